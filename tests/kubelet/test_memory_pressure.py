"""Memory pressure: which pod is evicted, when, with which message; which pods are refused then."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from kubelet_world import a_pod, condition, container, events, reasons, status

from kubesim import Cluster
from kubesim.kubelet import KubeletConfig
from kubesim.kubelet.eviction import (
    EvictionCandidate,
    evictable,
    eviction_message,
    rank_for_eviction,
    still_pressed,
    threshold_met,
)
from kubesim.quantity import MEBIBYTE


def candidate(key: str, usage: int | None, request: int, priority: int = 0) -> EvictionCandidate:
    return EvictionCandidate(key, priority, usage, request)


@pytest.mark.parametrize(
    ("pods", "order"),
    [
        ([candidate("a", 10, 100), candidate("b", 110, 100)], "ba"),
        ([candidate("a", 200, 100, 5), candidate("b", 110, 100, 0)], "ba"),
        ([candidate("a", 110, 100), candidate("b", 200, 100)], "ba"),
        ([candidate("a", 90, 100, 0), candidate("b", 101, 100, 9)], "ba"),
        ([candidate("a", 900, 100), candidate("b", None, 100)], "ba"),
        ([candidate("a", 100, 100), candidate("b", 50, 100)], "ab"),
        ([candidate("a", 50, 0), candidate("b", 50, 0)], "ab"),
    ],
)
def test_who_goes_first(pods: list[EvictionCandidate], order: str) -> None:
    """No statistics, above the request, lower priority, further above it."""
    assert "".join(c.key for c in rank_for_eviction(pods)) == order


def test_the_ranking_does_not_depend_on_the_order_of_the_pods() -> None:
    """Every permutation of distinct pods ranks alike."""
    pods = [
        candidate("a", None, 10),
        candidate("b", 300, 100, 0),
        candidate("c", 200, 100, 0),
        candidate("d", 300, 100, 7),
        candidate("e", 90, 100, 0),
    ]
    orders = {
        "".join(c.key for c in rank_for_eviction(list(p))) for p in itertools.permutations(pods)
    }
    assert orders == {"abcde"}


def test_critical_pods_are_passed_over() -> None:
    """From two thousand million on."""
    assert evictable(candidate("a", 1, 0, 1_999_999_999))
    assert not evictable(candidate("a", 1, 0, 2_000_000_000))


@pytest.mark.parametrize(
    ("available", "reclaim", "recovering", "met"),
    [(100, 0, False, False), (99, 0, False, True), (120, 50, False, False), (120, 50, True, True),
     (150, 50, True, False)],
)  # fmt: skip
def test_the_threshold(available: int, reclaim: int, recovering: bool, met: bool) -> None:
    """Strictly below; while recovering, the minimum reclaim counts, too."""
    assert threshold_met(available, 100, reclaim, recovering=recovering) is met


def test_pressure_outlives_the_alarm() -> None:
    """By five minutes."""
    assert not still_pressed(0, None, 300)
    assert still_pressed(299.9, 0, 300)
    assert not still_pressed(300, 0, 300)


def test_the_message_to_the_letter() -> None:
    """Threshold, what is available, and each container above its request."""
    web = EvictionCandidate(
        "d/p", 0, 400 * MEBIBYTE, 300 * MEBIBYTE,
        (("web", 300 * MEBIBYTE, 100 * MEBIBYTE), ("log", 100 * MEBIBYTE, 200 * MEBIBYTE)),
    )  # fmt: skip
    assert eviction_message(100 * MEBIBYTE, 80 * MEBIBYTE, web) == (
        "The node was low on resource: memory. Threshold quantity: 100Mi, available: 80Mi. "
        "Container web was using 300Mi, request is 100Mi, has larger consumption of memory. "
    )


def hungry(name: str, mb: int, request: str | None = None, **spec: Any) -> dict[str, Any]:
    """A pod that uses so many MB from its start."""
    fields = {"resources": {"requests": {"memory": request}}} if request else {}
    notes = {"workload": {"model": "load", "memory_mb": mb}}
    return a_pod(name, container(**fields), notes=notes, **spec)


@pytest.fixture
def cluster() -> Any:
    """One node with 1000 MB."""
    with Cluster(nodes=1, seed=1, hpa=False, node_memory="1000M") as made:
        yield made


def pressure(cluster: Cluster) -> str:
    found = cluster.api.get("Node", "node-1")["status"]["conditions"]
    return next(str(c["status"]) for c in found if c["type"] == "MemoryPressure")


def test_a_pod_is_evicted_when_memory_is_short(cluster: Cluster) -> None:
    """The one above its request; the node recovers, and says MemoryPressure for five minutes."""
    cluster.api.create(hungry("modest", 300, "400M"))
    cluster.api.create(hungry("greedy", 700, "100M"))
    cluster.sleep(12)
    found = status(cluster, "greedy")
    assert (found["phase"], found["reason"]) == ("Failed", "Evicted")
    assert found["message"].startswith(
        "The node was low on resource: memory. Threshold quantity: 100Mi, available: 0. "
        "Container main was using 700"
    )
    assert condition(cluster, "DisruptionTarget", "greedy")["reason"] == "TerminationByKubelet"
    assert ("Warning", "Evicted", found["message"], 1) in events(cluster, "greedy")
    said = ("Warning", "EvictionThresholdMet", "Attempting to reclaim memory", 1)
    assert said in events(cluster, "node-1")
    assert status(cluster, "modest")["phase"] == "Running"
    assert pressure(cluster) == "True"
    cluster.sleep(295)
    assert pressure(cluster) == "True"
    cluster.sleep(10)
    assert pressure(cluster) == "False"
    assert cluster.kubelets[0].statistics()["evicted"] == 1
    assert reasons(cluster, "node-1").count("NodeHasSufficientMemory") == 1


def test_one_pod_each_ten_seconds(cluster: Cluster) -> None:
    """The ranking is computed at each check; no pod is evicted without need."""
    for number in range(4):
        cluster.api.create(hungry(f"p{number}", 300, priority=0))
    cluster.sleep(65)
    failed = [p["name"] for p in cluster.api.list_pods() if p["status"] == "Failed"]
    assert len(failed) == 2
    ends = sorted(
        status(cluster, name)["containerStatuses"][0]["state"]["terminated"]["finishedAt"][-3:-1]
        for name in failed
    )
    assert ends == ["10", "20"]


def test_why_this_pod_and_no_other(cluster: Cluster) -> None:
    """The record has the ranking as a table."""
    cluster.api.create(hungry("modest", 300, "400M"))
    cluster.api.create(hungry("greedy", 700, "100M"))
    cluster.sleep(12)
    record = cluster.explain("pod/greedy").latest
    assert record.verdict == "evicted: the node was low on memory"
    assert record.binding == "above its request"
    table = record.data["ranking"]
    assert [(row["rank"], row["pod"], row["above_request"]) for row in table] == [
        (1, "default/greedy", True),
        (2, "default/modest", False),
    ]


def test_under_pressure_best_effort_pods_are_refused(cluster: Cluster) -> None:
    """Failed/Evicted with the node's condition; one that asks for memory is taken."""
    cluster.api.create(hungry("greedy", 950))
    cluster.sleep(12)
    assert pressure(cluster) == "True"
    cluster.api.create(a_pod("nothing", nodeName="node-1"))
    burstable = container(resources={"requests": {"memory": "10M"}})
    cluster.api.create(a_pod("something", burstable, nodeName="node-1"))
    tolerates = [{"key": "node.kubernetes.io/memory-pressure", "operator": "Exists"}]
    cluster.api.create(a_pod("patient", nodeName="node-1", tolerations=tolerates))
    cluster.sleep(3)
    refused = status(cluster, "nothing")
    assert (refused["phase"], refused["reason"]) == ("Failed", "Evicted")
    assert refused["message"] == "Pod was rejected: The node had condition: [MemoryPressure]. "
    assert status(cluster, "something")["phase"] == "Running"
    assert status(cluster, "patient")["phase"] == "Running"
    assert cluster.explain("pod/nothing").latest.binding == "Evicted"


def test_reserves_count(cluster: Cluster) -> None:
    """What is reserved for the system is not available to pods."""
    config = KubeletConfig(system_reserved={"memory": "300M"})
    with Cluster(nodes=1, hpa=False, node_memory="1000M", kubelet=config) as reserved:
        reserved.api.create(hungry("p", 650))
        cluster.api.create(hungry("p", 650))
        for made in (reserved, cluster):
            made.sleep(65)
        assert status(reserved)["reason"] == "Evicted"
        assert status(cluster)["phase"] == "Running"
        node = reserved.api.get("Node", "node-1")["status"]
        assert node["capacity"]["memory"] == "1G"
        assert node["allocatable"] == {
            "cpu": "4",
            "ephemeral-storage": "100Gi",
            "hugepages-1Gi": "0",
            "hugepages-2Mi": "0",
            "memory": "581193Ki",
            "pods": "110",
        }


def test_a_node_that_cannot_be_filled_is_not_measured() -> None:
    """Its pods' models have a most: no sample is read, whatever time passes."""
    with Cluster(nodes=1, seed=1) as cluster:
        cluster.sleep(30)
        asked: list[str] = []
        watch = cluster.kubelets[0]._evictions
        watch._candidate = lambda key, runner: asked.append(key)  # type: ignore[method-assign, assignment]
        cluster.sleep(300)
        assert asked == []


def test_an_evicted_pod_stops_within_its_second(cluster: Cluster) -> None:
    """A hard eviction gives one second, whatever the pod asked for (a kill gives two at least)."""
    pod = hungry("greedy", 950)
    pod["metadata"]["annotations"]["kubesim.dev/stop-seconds"] = "never"
    cluster.api.create(pod)
    cluster.sleep(13)
    found = status(cluster, "greedy")
    ended = found["containerStatuses"][0]["state"]["terminated"]
    assert (ended["exitCode"], ended["finishedAt"]) == (137, "2025-01-01T00:00:12Z")
    assert found["reason"] == "Evicted"


def test_an_evicted_pod_is_made_anew_elsewhere() -> None:
    """Eviction, condition, taint, a new pod on another node: four components that never met."""
    with Cluster(nodes=2, seed=1, hpa=False, node_memory="1000M") as cluster:
        template = hungry("x", 950)
        template["metadata"] = {
            "labels": {"app": "web"},
            "annotations": template["metadata"]["annotations"],
        }
        del template["kind"]
        cluster.api.create(
            {
                "kind": "ReplicaSet",
                "metadata": {"name": "web"},
                "spec": {
                    "replicas": 1,
                    "selector": {"matchLabels": {"app": "web"}},
                    "template": template,
                },
            }
        )
        cluster.sleep(3)
        first = cluster.api.list("Pod")["items"][0]["spec"]["nodeName"]
        cluster.sleep(12)
        where = {
            pod["spec"].get("nodeName"): pod["status"].get("reason", pod["status"]["phase"])
            for pod in cluster.api.list("Pod")["items"]
        }
        other = next(name for name in ("node-1", "node-2") if name != first)
        assert where == {first: "Evicted", other: "Running"}
        taints = cluster.api.get("Node", first)["spec"]["taints"]
        assert {t["key"] for t in taints} == {"node.kubernetes.io/memory-pressure"}
