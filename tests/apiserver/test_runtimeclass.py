"""RuntimeClass: what a pod gets from its class, and which pods are refused.

Expected values: plugin/pkg/admission/runtimeclass, pkg/util/tolerations of Kubernetes 1.34.
"""

from __future__ import annotations

from typing import Any

import pytest
from api_builders import a_pod

from kubesim.apiserver import KubeAPI
from kubesim.apiserver.admission.runtimeclass import merged_tolerations
from kubesim.errors import BadRequest, Forbidden, Invalid

OVERHEAD = {"cpu": "250m", "memory": "64Mi"}
SANDBOX = {
    "kind": "RuntimeClass",
    "apiVersion": "node.k8s.io/v1",
    "metadata": {"name": "sandbox"},
    "handler": "runsc",
    "overhead": {"podFixed": OVERHEAD},
    "scheduling": {
        "nodeSelector": {"sandbox": "yes"},
        "tolerations": [{"key": "sandbox", "operator": "Exists"}],
    },
}
PLAIN = {**SANDBOX, "metadata": {"name": "plain"}, "overhead": None, "scheduling": None}


@pytest.fixture
def server(api: KubeAPI) -> KubeAPI:
    """A server with two classes."""
    for document in (SANDBOX, PLAIN):
        api.create(document)
    return api


def pod(**fields: Any) -> dict[str, Any]:
    """A pod with these fields of its spec."""
    document = a_pod("web")
    document["spec"].update(fields)
    return document


def test_a_pod_gets_overhead_selector_and_tolerations(server: KubeAPI) -> None:
    """Merged with its own and with the default tolerations."""
    own = [{"key": "sandbox", "operator": "Equal", "value": "yes", "effect": "NoSchedule"}]
    asked = pod(runtimeClassName="sandbox", nodeSelector={"disk": "ssd"}, tolerations=own)
    spec = server.create(asked)["spec"]
    assert spec["overhead"] == OVERHEAD
    assert spec["nodeSelector"] == {"disk": "ssd", "sandbox": "yes"}
    keys = [each["key"].removeprefix("node.kubernetes.io/") for each in spec["tolerations"]]
    assert keys == ["not-ready", "unreachable", "sandbox"]  # the pod's own is part of the class's
    assert spec["tolerations"][-1] == {"key": "sandbox", "operator": "Exists"}
    assert spec["priority"] == 0


def test_a_class_without_fields_changes_nothing(server: KubeAPI) -> None:
    """Nor does a class that is changed later: only the creation of a pod is admitted."""
    made = server.create(pod(runtimeClassName="plain"))
    assert "overhead" not in made["spec"]
    assert "nodeSelector" not in made["spec"]
    server.delete("RuntimeClass", "plain")
    made["metadata"]["labels"] = {"a": "b"}
    assert server.update(made)["metadata"]["labels"] == {"a": "b"}


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"runtimeClassName": "x"}, 'pod rejected: RuntimeClass "x" not found'),
        (
            {"overhead": OVERHEAD},
            "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead",
        ),
        (
            {"runtimeClassName": "plain", "overhead": OVERHEAD},
            "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead",
        ),
        (
            {"runtimeClassName": "sandbox", "overhead": {"cpu": "250m"}},
            "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead",
        ),
        (
            {"runtimeClassName": "sandbox", "nodeSelector": {"sandbox": "no"}},
            "conflict: runtimeClass.scheduling.nodeSelector[sandbox] = yes; "
            "pod.spec.nodeSelector[sandbox] = no",
        ),
        (  # the plug-in Priority comes first
            {"runtimeClassName": "x", "priorityClassName": "y"},
            "no PriorityClass with name y was found",
        ),
        (
            {"runtimeClassName": "x", "priorityClassName": "system-node-critical"},
            'pod rejected: RuntimeClass "x" not found',
        ),
    ],
)
def test_a_pod_that_contradicts_its_class_is_refused(
    server: KubeAPI, fields: dict[str, Any], reason: str
) -> None:
    """With upstream's texts, as 403."""
    with pytest.raises(Forbidden) as refused:
        server.create(pod(**fields))
    assert refused.value.message == f'pods "web" is forbidden: {reason}'


def test_the_same_overhead_may_be_written_in_another_way(server: KubeAPI) -> None:
    """Quantities are compared, not their texts."""
    asked = {"cpu": "0.25", "memory": "65536Ki"}
    made = server.create(pod(runtimeClassName="sandbox", overhead=asked))
    assert made["spec"]["overhead"] == OVERHEAD


@pytest.mark.parametrize(
    "fields",
    [
        {"overhead": {"cpu": "much"}},
        {"overhead": "much"},
        {"nodeSelector": ["sandbox"]},
        {"tolerations": "all"},
        {"tolerations": [5]},
        {"runtimeClassName": 5},
    ],
)
def test_what_cannot_be_read_is_refused_as_such(server: KubeAPI, fields: dict[str, Any]) -> None:
    """400 or 422, not a fault of the server."""
    with pytest.raises((BadRequest, Invalid)):
        server.create(pod(**{"runtimeClassName": "sandbox", **fields}))


def test_tolerations_that_another_one_includes_are_dropped() -> None:
    """The first of two equal ones stays; an empty key with Exists includes all."""
    every = {"operator": "Exists"}
    short = {"key": "a", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 5}
    long = {**short, "tolerationSeconds": 9}
    equal = {"key": "a", "operator": "Equal", "value": "v", "effect": "NoSchedule"}
    merged: Any = merged_tolerations
    assert merged([short], [long]) == merged([long], [short]) == [long]
    assert merged([short, equal], [every]) == [every]
    assert merged([equal], [dict(equal)]) == [equal]
    assert merged([equal], [{**equal, "value": "w"}]) == [equal, {**equal, "value": "w"}]
