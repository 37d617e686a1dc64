"""The pod collector: pods that no kubelet will ever remove."""

from __future__ import annotations

from typing import Any

import pytest
from controller_faults import controller_of, replace_controller

from kubesim import Cluster
from kubesim.controllers.node.podgc import (
    OUT_OF_SERVICE,
    PodGarbageCollector,
    beyond_threshold,
    is_out_of_service,
)
from kubesim.objects import meta
from kubesim.objects.meta import get_condition


def finished(name: str, created: int, reason: str = "", phase: str = "Failed") -> dict[str, Any]:
    """A pod that has ended."""
    return {
        "metadata": {"name": name, "creationTimestamp": f"2025-01-01T00:00:{created:02}Z"},
        "status": {"phase": phase, "reason": reason},
    }


@pytest.mark.parametrize(
    ("threshold", "expected"),
    [
        (0, []),
        (-1, []),
        (5, []),
        (4, ["evicted"]),
        (2, ["evicted", "b", "a"]),
        (1, ["evicted", "b", "a", "z"]),
    ],
)
def test_which_finished_pods_go(threshold: int, expected: list[str]) -> None:
    """Evicted ones first, then the oldest, ties by name; running ones never."""
    pods = [
        finished("z", 9),
        finished("a", 5, phase="Succeeded"),
        finished("young", 30),
        finished("evicted", 40, "Evicted"),
        finished("b", 1),
        finished("running", 0, phase="Running"),
    ]
    assert [meta.name_of(pod) for pod in beyond_threshold(pods, threshold)] == expected


def test_out_of_service_needs_both() -> None:
    """The taint on a node that is Ready deletes no pod."""
    taint = {"spec": {"taints": [{"key": OUT_OF_SERVICE, "effect": "NoExecute"}]}}
    ready = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    assert is_out_of_service(taint)
    assert not is_out_of_service({**taint, **ready})
    assert not is_out_of_service({"spec": {}})


@pytest.fixture
def cluster() -> Any:
    """Two nodes, a bare pod on one of them."""
    with Cluster(nodes=2, seed=6, hpa=False) as new_object:
        new_object.api.create_pod("bare")
        new_object.sleep(5)
        yield new_object


def pod_of(cluster: Cluster) -> Any:
    return cluster.api.peek("Pod", "bare")


def test_pods_of_a_node_that_is_gone_go_after_its_quarantine(cluster: Cluster) -> None:
    """Missing at the check at 20 s, deleted at the one at 60 s, with phase Failed."""
    node = pod_of(cluster)["spec"]["nodeName"]
    cluster.kubelets[int(node[-1]) - 1].stop()
    cluster.api.delete("Node", node)
    watch = cluster.api.watch("Pod")
    cluster.sleep(54.9)
    assert pod_of(cluster) is not None
    cluster.sleep(0.2)
    assert pod_of(cluster) is None
    last = next(event.object for event in watch.poll() if event.type == "DELETED")
    assert last["status"]["phase"] == "Failed"
    condition = get_condition(last, "DisruptionTarget")
    assert condition is not None
    assert (condition["status"], condition["reason"], condition["message"]) == (
        "True",
        "DeletionByPodGC",
        "PodGC: node no longer exists",
    )
    assert f"its node {node} has been gone for 40 s" in str(cluster.explain("pod/bare"))


def test_a_node_that_comes_back_in_time_keeps_its_pods(cluster: Cluster) -> None:
    """The quarantine restarts when the node is missing again."""
    name = pod_of(cluster)["spec"]["nodeName"]
    node = cluster.api.get("Node", name)
    cluster.api.delete("Node", name)
    cluster.sleep(30)
    node["metadata"].pop("resourceVersion")
    cluster.api.create(node)
    cluster.sleep(100)
    assert pod_of(cluster) is not None


def test_deleted_before_it_had_a_node(cluster: Cluster) -> None:
    """Only a finalizer can keep such a pod; it is reported Failed meanwhile."""
    gated = {
        "kind": "Pod",
        "metadata": {"name": "gated", "finalizers": ["example.com/keep"]},
        "spec": {
            "schedulingGates": [{"name": "example.com/wait"}],
            "containers": [{"name": "main", "image": "kubesim/pod"}],
        },
    }
    cluster.api.create(gated)
    cluster.api.delete("Pod", "gated")
    cluster.sleep(21)
    assert cluster.api.get("Pod", "gated")["status"]["phase"] == "Failed"
    revision = cluster.store.revision
    controller_of(cluster, PodGarbageCollector).reconcile("collect")
    assert cluster.store.revision == revision, "the second look changes nothing"


def test_out_of_service_frees_pods_that_hang(cluster: Cluster) -> None:
    """Terminating on a dead node until the node gets the taint out-of-service."""
    name = pod_of(cluster)["spec"]["nodeName"]
    cluster.kubelets[int(name[-1]) - 1].stop()
    cluster.api.delete("Pod", "bare")
    cluster.sleep(100)
    assert meta.is_terminating(pod_of(cluster))
    node = cluster.api.get("Node", name)
    node["status"]["conditions"] = [{"type": "Ready", "status": "Unknown"}]
    cluster.api.update_status(node)
    taint = {"key": OUT_OF_SERVICE, "value": "nodeshutdown", "effect": "NoExecute"}
    cluster.api.patch("Node", name, {"spec": {"taints": [taint]}})
    cluster.sleep(20)
    assert pod_of(cluster) is None


def test_finished_pods_beyond_the_threshold(cluster: Cluster) -> None:
    """The oldest are deleted at the next check; running pods do not count."""
    replace_controller(cluster, PodGarbageCollector, terminated_threshold=2)
    for number in range(4):
        cluster.api.create_pod(f"job-{number}", run_seconds=1)
        cluster.sleep(3)
    cluster.sleep(20)
    names = [meta.name_of(pod) for pod in cluster.api.snapshot("Pod")[0]]
    assert names == ["bare", "job-2", "job-3"]


def test_a_healthy_cluster_is_left_alone(cluster: Cluster) -> None:
    """Looking writes nothing."""
    revision = cluster.store.revision
    for _ in range(3):
        controller_of(cluster, PodGarbageCollector).reconcile("collect")
    assert cluster.store.revision == revision
    assert controller_of(cluster, PodGarbageCollector).statistics().get("collected", 0) == 0
