"""Patches that cannot be applied: what the client is told."""

from __future__ import annotations

from typing import Any

import pytest
from api_builders import a_config_map, a_workload

from kubesim.apiserver import KubeAPI
from kubesim.errors import BadRequest, Invalid, NotFound


@pytest.mark.parametrize(
    ("patch", "shown", "words"),
    [
        (
            {"metadata": {"labels": "x"}},
            "map[metadata:map[labels:x]]",
            "cannot restore map from string",
        ),
        (
            {"metadata": {"labels": {"a": 1}}},
            "map[metadata:map[labels:map[a:1]]]",
            "cannot convert int64 to string",
        ),
        (
            {"spec": {"template": "x"}},
            "map[spec:map[template:x]]",
            "cannot restore struct from: string",
        ),
        (
            {"spec": {"template": {"spec": 3}}},
            "map[spec:map[template:map[spec:3]]]",
            "cannot restore struct from: int64",
        ),
        (
            {"spec": {"template": {"spec": []}}},
            "map[spec:map[template:map[spec:[]]]]",
            "cannot restore struct from: slice",
        ),
        (
            {"spec": {"selector": True}},
            "map[spec:map[selector:true]]",
            "cannot restore struct from: bool",
        ),
        (
            {"spec": {"replicas": "3", "paused": None}},
            "map[spec:map[paused:<nil> replicas:3]]",
            "unrecognized type: int32",
        ),
        (
            {"spec": {"replicas": 1.5}},
            "map[spec:map[replicas:1.5]]",
            "cannot convert float64 to int32",
        ),
    ],
)
def test_a_strategic_patch_fails_in_the_words_of_the_converter(
    api: KubeAPI, patch: Any, shown: str, words: str
) -> None:
    """422: the patch as Go prints a map, and what reflection says of the first wrong type."""
    api.create(a_workload("Deployment"))
    with pytest.raises(Invalid) as refused:
        api.patch("Deployment", "web", patch, patch_type="strategic")
    assert refused.value.message == (f' "" is invalid: patch: Invalid value: "{shown}": {words}')
    (cause,) = refused.value.causes
    assert cause.field == "patch" and cause.message.endswith(words)


def test_a_merge_patch_fails_in_the_words_of_the_decoder(api: KubeAPI) -> None:
    """The message shows the patched object, not the patch."""
    api.create(a_config_map(a="b"))
    with pytest.raises(Invalid) as refused:
        api.patch("ConfigMap", "settings", {"metadata": {"labels": "x"}})
    start, _, words = refused.value.message.rpartition(": json: ")
    assert start.startswith(' "" is invalid: patch: Invalid value: "{\\"')
    assert '\\"data\\":{\\"a\\":\\"b\\"}' in start
    assert words == (
        "cannot unmarshal string into Go struct field ObjectMeta.metadata.labels "
        "of type map[string]string"
    )


MAP = "Go value of type map[string]interface {}"
DECODING = "error decoding patch: json: cannot unmarshal"
OPERATION = "type handlers.jsonPatchOp"


@pytest.mark.parametrize(
    ("patch_type", "patch", "validation", "message"),
    [
        ("strategic", "foo", "Warn", f"json: cannot unmarshal string into {MAP}"),
        ("strategic", [], "Ignore", f"json: cannot unmarshal array into {MAP}"),
        ("merge", "foo", "Strict", f"{DECODING} string into {MAP}"),
        ("merge", True, "Warn", f"{DECODING} bool into {MAP}"),
        ("merge", 1, "Ignore", "Invalid JSON Patch"),
        ("merge", None, "Warn", "Invalid JSON Patch"),
        ("json", {}, "Warn", f"{DECODING} object into Go value of type []handlers.jsonPatchOp"),
        ("json", [1], "Warn", f"{DECODING} number into Go value of {OPERATION}"),
        (
            "json",
            [{"op": "add", "path": 1}],
            "Warn",
            f"{DECODING} number into Go struct field jsonPatchOp.path of type string",
        ),
        (
            "json",
            "foo",
            "Ignore",
            "json: cannot unmarshal string into Go value of type jsonpatch.Patch",
        ),
    ],
)
def test_a_patch_of_another_shape_than_its_type_is_refused(
    api: KubeAPI, patch_type: str, patch: Any, validation: str, message: str
) -> None:
    """400 in Go's words: `kubectl patch -p foo` sends a string."""
    with pytest.raises(NotFound):
        api.patch("ConfigMap", "settings", patch, patch_type=patch_type)
    api.create(a_config_map(a="b"))
    with pytest.raises(BadRequest) as refused:
        api.patch(
            "ConfigMap", "settings", patch, patch_type=patch_type, field_validation=validation
        )
    assert refused.value.message == message


def test_null_is_an_empty_patch(api: KubeAPI) -> None:
    """Of the types strategic and json; Go decodes null into an empty map, or list."""
    before = api.create(a_config_map(a="b"))
    for patch_type in ("strategic", "json"):
        assert api.patch("ConfigMap", "settings", None, patch_type=patch_type) == before


def test_a_failing_operation_is_told_as_upstream_does(api: KubeAPI) -> None:
    """The Status of a JSON patch that fails has a message and no causes; the hint says why."""
    api.create(a_workload("Deployment"))
    operation = {"op": "test", "path": "/spec/replicas", "value": 7}
    with pytest.raises(Invalid, match="testing value /spec/replicas failed") as refused:
        api.patch("Deployment", "web", [operation], patch_type="json")
    status = refused.value.status()
    assert status["message"] == ("the server rejected our request due to an error in our request")
    assert "details" not in status and status["code"] == 422


@pytest.mark.parametrize("field", ["resourceVersion", "uid"])
@pytest.mark.parametrize("value", [{}, [1], 5, True])
def test_a_precondition_is_a_string(api: KubeAPI, field: str, value: object) -> None:
    """A merge patch with another type cannot be decoded; `{}` was taken for no precondition."""
    api.create(a_config_map(a="b"))
    with pytest.raises(Invalid) as refused:
        api.patch("ConfigMap", "settings", {"metadata": {field: value}})
    (cause,) = refused.value.causes
    assert cause.field == "patch"
    assert cause.message.endswith(f"Go struct field ObjectMeta.metadata.{field} of type string")


@pytest.mark.parametrize("spec", [-1, "", [], False])
def test_the_spec_of_a_scale_is_an_object(api: KubeAPI, spec: object) -> None:
    """A patch with another type is refused, and the workload keeps its size."""
    api.create(a_workload("Deployment", replicas=3))
    with pytest.raises(Invalid, match=r"Go struct field Scale.spec of type v1.ScaleSpec"):
        api.patch("Deployment", "web", {"spec": spec}, subresource="scale")
    assert api.get("Deployment", "web")["spec"]["replicas"] == 3
