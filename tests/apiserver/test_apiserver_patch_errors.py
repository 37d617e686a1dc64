"""Patches that cannot be applied: what the client is told."""

from __future__ import annotations

from typing import Any

import pytest
from api_builders import a_config_map, a_workload

from kubesim.apiserver import KubeAPI
from kubesim.errors import Invalid


@pytest.mark.parametrize(
    ("spec", "word"),
    [
        ({"template": "x"}, "string"),
        ({"template": {"spec": 3}}, "number"),
        ({"template": {"spec": []}}, "slice"),
        ({"selector": True}, "bool"),
    ],
)
def test_a_plain_value_in_the_place_of_an_object(api: KubeAPI, spec: Any, word: str) -> None:
    """A strategic patch that puts a text where an object belongs is 422, in the decoder's words."""
    api.create(a_workload("Deployment"))
    with pytest.raises(Invalid) as refused:
        api.patch("Deployment", "web", {"spec": spec}, patch_type="strategic")
    (cause,) = refused.value.causes
    assert cause.field == "patch" and cause.message.endswith(f"cannot restore map from {word}")


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
