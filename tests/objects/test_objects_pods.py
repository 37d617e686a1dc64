"""Conditions, and what components want to know of a pod."""

from __future__ import annotations

from typing import Any

import pytest

from kubesim.objects import pods
from kubesim.objects.meta import get_condition, is_condition_true, set_condition

MI = 1 << 20


def a_container(cpu: Any = None, memory: Any = None, **fields: Any) -> dict[str, Any]:
    named = {"cpu": cpu, "memory": memory}
    requests = {name: value for name, value in named.items() if value is not None}
    return {"resources": {"requests": requests}, **fields}


def sidecar(cpu: str) -> dict[str, Any]:
    return a_container(cpu, restartPolicy="Always")


@pytest.mark.parametrize(
    ("spec", "cpu", "memory"),
    [
        ({}, 0, 0),
        ({"containers": [a_container("1"), a_container(memory="1Gi")]}, 1000, 1024 * MI),
        # The worked example: init 1500m, sidecar 500m, init 1000m, container 300m -> 1500m.
        (
            {
                "initContainers": [a_container("1500m"), sidecar("500m"), a_container("1")],
                "containers": [a_container("300m")],
            },
            1500,
            0,
        ),
        # An init container counts beside the sidecars before it, not beside those after it.
        (
            {
                "initContainers": [sidecar("500m"), a_container("1200m")],
                "containers": [a_container("300m")],
            },
            1700,
            0,
        ),
        (
            {"containers": [a_container("1")], "overhead": {"cpu": "250m", "memory": "1Mi"}},
            1250,
            MI,
        ),
        # Pod-level requests replace the sum of what they name; overhead comes on top.
        (
            {
                "containers": [a_container("1", "1Mi")],
                "resources": {"requests": {"cpu": "3"}},
                "overhead": {"cpu": "1"},
            },
            4000,
            MI,
        ),
        # Exact sums: two halves of a millicore are one, not two.
        ({"containers": [a_container("0.0005"), a_container("500u")]}, 1, 0),
        ({"containers": [a_container("0.0005")]}, 1, 0),
        ({"containers": [a_container(0.1)] * 3}, 300, 0),
        ({"containers": [{"resources": None}, {}]}, 0, 0),
    ],
)
def test_pod_requests(spec: dict[str, Any], cpu: int, memory: int) -> None:
    """What the scheduler sets aside."""
    assert pods.pod_requests({"spec": spec}) == (cpu, memory)


def test_scoring_requests_use_a_default_per_container() -> None:
    """A container that does not name a resource gets the default; a named zero stays zero."""
    default = pods.PodResources(100, 200 * MI)
    pod = {"spec": {"containers": [a_container("1"), a_container(memory="1Gi")]}}
    assert pods.pod_requests(pod, default) == (1100, 1224 * MI)
    zero = {"spec": {"containers": [a_container("0", "0")]}}
    assert pods.pod_requests(zero, default) == (0, 0)


def test_container_limits() -> None:
    """A container without a limit has the limit None."""
    limits = {"resources": {"limits": {"cpu": "500m"}}}
    assert pods.container_limits(limits) == (500, None)


def test_phases() -> None:
    """Pending before anybody wrote one; finished and terminating pods are not active."""
    assert pods.phase_of({}) == "Pending"
    running = {"status": {"phase": "Running"}}
    assert pods.is_active(running) and not pods.is_finished(running)
    assert not pods.is_active({**running, "metadata": {"deletionTimestamp": "x"}})
    for phase in ("Succeeded", "Failed"):
        done = {"status": {"phase": phase}}
        assert pods.is_finished(done) and not pods.is_active(done)
    assert pods.node_of({"spec": {"nodeName": "n"}}) == "n" and pods.node_of({}) == ""
    restarts = [{"restartCount": 2}, {"restartCount": 1}, {}]
    assert pods.restart_count({"status": {"containerStatuses": restarts}}) == 3


def test_a_condition_moves_its_time_only_with_its_status() -> None:
    """A new reason alone leaves lastTransitionTime; the list and its order are kept."""
    first = set_condition([{"type": "A"}], "Ready", "False", "Starting", "not yet", "t1")
    second = set_condition(first, "Ready", "False", "Waiting", "", "t2")
    third = set_condition(second, "Ready", "True", now="t3")
    assert first == [
        {"type": "A"},
        {
            "type": "Ready",
            "status": "False",
            "lastTransitionTime": "t1",
            "reason": "Starting",
            "message": "not yet",
        },
    ]
    assert second[1]["lastTransitionTime"] == "t1" and second[1]["reason"] == "Waiting"
    assert third[1] == {"type": "Ready", "status": "True", "lastTransitionTime": "t3"}
    assert len(first) == 2, "the list that was given is not changed"
    pod = {"status": {"conditions": third}}
    assert is_condition_true(pod, "Ready") and not is_condition_true(pod, "A")
    assert get_condition(pod, "None") is None and get_condition({}, "Ready") is None
    assert pods.is_ready(pod)
