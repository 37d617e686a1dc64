"""Fields that a kind does not have: dropped by every write, and never stored."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from api_builders import a_config_map, a_workload

from kubesim import Cluster
from kubesim.apiserver import KubeAPI
from kubesim.errors import BadRequest

CONDITION = {"type": "Available", "status": "True"}
OPEN = {"x-kubernetes-preserve-unknown-fields": True}
SIZE = {"type": "object", "properties": {"size": {"type": "integer"}}}


def test_an_unknown_field_changes_nothing(api: KubeAPI) -> None:
    """An update that adds unknown fields alone: no revision, no generation, no owner of them."""
    created = api.create(a_workload("Deployment"), field_manager="one")
    sent = deepcopy(created)
    sent["spec"]["replica"] = 3
    sent["spec"]["template"]["spec"]["containers"][0]["imagee"] = "x"
    assert api.update(sent, field_manager="two") == created
    patch = {"spec": {"replica": 3}}
    assert api.patch("Deployment", "web", patch, field_manager="two") == created


def test_unknown_fields_of_a_status_are_dropped(api: KubeAPI) -> None:
    """By PUT and PATCH of the status, and of a node that is registered with its status."""
    deployment = api.create(a_workload("Deployment"))
    status = {"replicas": 1, "colour": "red", "conditions": [CONDITION | {"mood": "good"}]}
    stored = api.update_status({**deployment, "status": status})["status"]
    assert stored == {"replicas": 1, "conditions": [CONDITION]}
    patched = api.patch("Deployment", "web", {"status": {"size": 3}}, subresource="status")
    assert patched["status"] == stored
    node = {"kind": "Node", "metadata": {"name": "n"}, "status": {"capacity": {}, "colour": 1}}
    assert "colour" not in api.create(node)["status"]


def test_a_dropped_field_is_a_row_of_the_log() -> None:
    """A call in Python has no header for warnings."""
    with Cluster(0, hpa=False) as cluster:
        cluster.api.create(a_workload("Deployment", replica=3))
        rows = cluster.analytics.since(0, action="UnknownField").rows
    assert [row.message for row in rows] == [
        "spec.replica of deployment web is dropped: Deployment has no such field"
    ]


def test_unknown_fields_cannot_be_applied(api: KubeAPI) -> None:
    """Server-side apply owns fields by the schema: 400 in upstream's words, which are a 500."""
    config = a_config_map(a="b") | {"datum": 1}
    with pytest.raises(BadRequest) as refused:
        api.apply(config, field_manager="me", field_validation="Ignore")
    assert refused.value.message == (
        "failed to create typed patch object (default/settings; v1, Kind=ConfigMap): "
        ".datum: field not declared in schema"
    )


def test_open_parts_keep_whatever_they_hold(api: KubeAPI) -> None:
    """A ControllerRevision's data is any object."""
    data = {"spec": {"any": [{"thing": None}]}}
    revision = {"kind": "ControllerRevision", "metadata": {"name": "r"}, "revision": 1}
    assert api.create(revision | {"data": data})["data"] == data


@pytest.mark.parametrize(
    ("schema", "sent", "stored"),
    [
        (SIZE, {"size": 1, "colour": 2}, {"size": 1}),
        ({"type": "object"}, {"size": 1}, {}),
        ({"type": "object", **OPEN}, {"any": {"thing": 1}}, {"any": {"thing": 1}}),
        (
            {"type": "object", "properties": {"a": SIZE}, **OPEN},
            {"a": {"size": 1, "b": 2}, "c": {"d": 3}},
            {"a": {"size": 1}, "c": {"d": 3}},
        ),
        (
            {"type": "object", "additionalProperties": SIZE},
            {"a": {"size": 1, "b": 2}},
            {"a": {"size": 1}},
        ),
        (
            {"type": "object", "properties": {"l": {"type": "array", "items": SIZE}}},
            {"l": [{"b": 2}, {"size": 1}]},
            {"l": [{}, {"size": 1}]},
        ),
        (
            {
                "type": "object",
                "properties": {"o": {**SIZE, "x-kubernetes-embedded-resource": True}},
            },
            {
                "o": {
                    "kind": "Pod",
                    "apiVersion": "v1",
                    "metadata": {"name": "a"},
                    "b": 1,
                    "size": 2,
                }
            },
            {"o": {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "a"}, "size": 2}},
        ),
        (
            {"type": "object", "properties": {"n": {"x-kubernetes-int-or-string": True}}},
            {"n": "50%", "m": 1},
            {"n": "50%"},
        ),
    ],
    ids=["field", "empty", "open", "inside open", "map", "list", "embedded", "int-or-string"],
)
def test_custom_kinds_are_pruned(
    api: KubeAPI, schema: dict[str, Any], sent: dict[str, Any], stored: dict[str, Any]
) -> None:
    """By the schema of the definition, except where it preserves unknown fields."""
    api.create(a_definition({"type": "object", "properties": {"spec": schema}}))
    tab = {"apiVersion": "example.com/v1", "kind": "Tab", "metadata": {"name": "a"}, "spec": sent}
    warnings: list[str] = []
    created = api.create(tab | {"sepc": 1}, field_validation="Warn", warnings=warnings)
    assert (created["spec"], "sepc" in created) == (stored, False)
    assert 'unknown field "sepc"' in warnings
    assert api.update({**created, "spec": sent}) == created
    assert api.patch("Tab", "a", {"spec": sent, "more": {}}) == created


def test_a_status_that_the_schema_does_not_have_is_pruned(api: KubeAPI) -> None:
    """Whole, or field by field."""
    api.create(a_definition({"type": "object", "properties": {"status": SIZE}}))
    tab = {"apiVersion": "example.com/v1", "kind": "Tab", "metadata": {"name": "a"}}
    api.create(tab)
    stored = api.update_status({**tab, "status": {"size": 1, "colour": 2}})
    assert stored["status"] == {"size": 1}


def a_definition(schema: dict[str, Any]) -> dict[str, Any]:
    """A CustomResourceDefinition of the kind Tab."""
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "tabs.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": "tabs", "kind": "Tab"},
            "versions": [version | {"subresources": {"status": {}}}],
        },
    }
