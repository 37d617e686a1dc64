"""Wrong types in the metadata of an object: 422 from a patch, 400 from a whole object."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from kubesim import Cluster
from kubesim.errors import BadRequest, Invalid

CASES = [
    ("resourceVersion", {}, "object", "string"),
    ("resourceVersion", 5, "number", "string"),
    ("resourceVersion", True, "bool", "string"),
    ("uid", [], "array", "string"),
    ("uid", 5, "number", "string"),
    ("name", 5, "number", "string"),
    ("namespace", {}, "object", "string"),
    ("generateName", 5, "number", "string"),
    ("selfLink", 5, "number", "string"),
    ("creationTimestamp", 5, "number", "string"),
    ("creationTimestamp", {}, "object", "string"),
    ("deletionTimestamp", 5, "number", "string"),
    ("generation", "x", "string", "int64"),
    ("generation", 1.5, "number 1.5", "int64"),
    ("deletionGracePeriodSeconds", "x", "string", "int64"),
    ("labels", "x", "string", "map[string]string"),
    ("labels", [], "array", "map[string]string"),
    ("annotations", "x", "string", "map[string]string"),
    ("finalizers", "x", "string", "[]string"),
    ("ownerReferences", "x", "string", "[]v1.OwnerReference"),
    ("managedFields", "x", "string", "[]v1.ManagedFieldsEntry"),
]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A cluster with one ConfigMap."""
    with Cluster(nodes=0, seed=1, hpa=False) as made:
        made.api.create({"kind": "ConfigMap", "metadata": {"name": "m"}, "data": {"a": "b"}})
        yield made


def said(field: str, given: str, go_type: str) -> str:
    """What Go's decoder says."""
    into = f"Go struct field ObjectMeta.metadata.{field} of type {go_type}"
    return f"json: cannot unmarshal {given} into {into}"


CONVERTED = {  # (what was given, the Go type) -> what the converter of a strategic patch says
    ("object", "string"): "unrecognized type: string",
    ("array", "string"): "unrecognized type: string",
    ("bool", "string"): "unrecognized type: string",
    ("number", "string"): "cannot convert int64 to string",
    ("string", "int64"): "unrecognized type: int64",
    ("number 1.5", "int64"): "cannot convert float64 to int64",
    ("string", "map[string]string"): "cannot restore map from string",
    ("array", "map[string]string"): "cannot restore map from slice",
}


def converted(field: str, given: str, go_type: str) -> str:
    """What the converter of Go's types says; a time decodes itself."""
    if field.endswith("Timestamp"):
        return f"json: cannot unmarshal {given} into Go value of type string"
    return CONVERTED.get((given, go_type), "cannot restore slice from string")


@pytest.mark.parametrize("patch_type", ["merge", "strategic", "json"])
@pytest.mark.parametrize(("field", "value", "given", "go_type"), CASES)
def test_a_patch_whose_result_cannot_be_decoded_is_invalid(
    cluster: Cluster, field: str, value: Any, given: str, go_type: str, patch_type: str
) -> None:
    """patch.go, applyPatchToCurrentObject and applyPatchToObject: NewInvalid of the field patch."""
    before = cluster.api.get("ConfigMap", "m")
    patch: Any = {"metadata": {field: value}}
    if patch_type == "json":
        patch = [{"op": "add", "path": f"/metadata/{field}", "value": value}]
    with pytest.raises(Invalid) as caught:
        cluster.api.patch("ConfigMap", "m", patch, patch_type=patch_type)
    error = caught.value
    assert (error.code, error.reason) == (422, "Invalid")
    assert error.message.startswith(' "" is invalid: patch: Invalid value: ')
    words = converted if patch_type == "strategic" else said
    assert error.message.endswith(f": {words(field, given, go_type)}")
    assert [cause.field for cause in error.causes] == ["patch"]
    assert cluster.api.get("ConfigMap", "m") == before


@pytest.mark.parametrize(
    ("field", "value", "given", "go_type"),
    [case for case in CASES if case[0] != "namespace"],  # compared with that of the request first
)
def test_a_whole_object_that_cannot_be_decoded_is_a_bad_request(
    cluster: Cluster, field: str, value: Any, given: str, go_type: str
) -> None:
    """create.go and update.go, transformDecodeError; also for what the server sets itself."""
    object_: Any = {"kind": "ConfigMap", "metadata": {"name": "m", field: value}}
    expected = (
        f'ConfigMap in version "v1" cannot be handled as a ConfigMap: {said(field, given, go_type)}'
    )
    for write in (cluster.api.update, cluster.api.create):
        if (field, write) == ("name", cluster.api.update):
            continue  # there is no such object
        with pytest.raises(BadRequest) as caught:
            write(object_)
        assert caught.value.message == expected


def test_a_null_is_no_wrong_type(cluster: Cluster) -> None:
    """Go clients send `creationTimestamp: null`."""
    metadata = {"name": "nulls", "creationTimestamp": None, "generation": None, "uid": None}
    created = cluster.api.create({"kind": "ConfigMap", "metadata": metadata})
    assert created["metadata"]["creationTimestamp"] and created["metadata"]["uid"]
    cluster.api.patch("ConfigMap", "nulls", {"metadata": {"creationTimestamp": None}})
