"""Plug-ins and messages as cases; the scheduler on whole clusters."""

from __future__ import annotations

from typing import Any

import pytest

from kubesim import Cluster
from kubesim.errors import BadRequest
from kubesim.scheduler import SUCCESS, NodeInfo, Status, default_profile
from kubesim.scheduler.framework.cycle import Cycle
from kubesim.scheduler.framework.messages import fit_message
from kubesim.scheduler.framework.runtime import Framework, make_profile
from kubesim.scheduler.plugins.noderesources import (
    NodeResourcesBalancedAllocation,
    NodeResourcesFit,
    least_allocated,
)
from kubesim.scheduler.plugins.tainttoleration import TaintToleration, tolerates

GI = 1024**3


def a_node(cpu: str = "4", memory: str = "8Gi", pods: str = "110", **spec: Any) -> NodeInfo:
    """Return a node of that size."""
    document = {
        "metadata": {"name": "n1", "labels": {"disk": "ssd"}},
        "spec": spec,
        "status": {"allocatable": {"cpu": cpu, "memory": memory, "pods": pods}},
    }
    info = NodeInfo(document)
    info.set_node(document)
    return info


def a_pod(name: str = "p", cpu: str | None = None, memory: str | None = None, **spec: Any) -> Any:
    """Return a pod with these requests."""
    requests = {k: v for k, v in (("cpu", cpu), ("memory", memory)) if v is not None}
    container = {"name": "main", "image": "x", "resources": {"requests": requests}}
    return {
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"containers": [container], **spec},
    }


# -- the worked examples of the specification -----------------------------------------------------


def test_scores_of_an_empty_node() -> None:
    """4 cpu / 8Gi, pod 1 cpu / 2Gi: least 75, balanced 100."""
    pod = a_pod(cpu="1", memory="2Gi")
    assert NodeResourcesFit().score(pod, a_node()) == 75
    assert NodeResourcesBalancedAllocation().score(pod, a_node()) == 100
    small = a_node("2", "16Gi")
    assert NodeResourcesFit().score(pod, small) == 68
    assert NodeResourcesBalancedAllocation().score(pod, small) == 81


def test_pods_without_requests_weigh_when_nodes_are_compared() -> None:
    """Ten of them: 1000m and 2000Mi for the score, nothing for balance and filter."""
    node = a_node()
    for number in range(10):
        node.add(a_pod(f"p{number}"))
    pod = a_pod(cpu="1", memory="2Gi")
    assert NodeResourcesFit().score(pod, node) == 50
    assert NodeResourcesBalancedAllocation().score(pod, node) == 100
    assert NodeResourcesFit().filter(a_pod(cpu="4"), node).ok


def test_soft_taints_are_normalized_in_reverse() -> None:
    """0, 1, 2, 3 taints: 100, 67, 34, 0; without taints all score 100."""
    plugin = TaintToleration()
    assert plugin.normalize({"a": 0, "b": 1, "c": 2, "d": 3}) == {
        "a": 100,
        "b": 67,
        "c": 34,
        "d": 0,
    }
    assert plugin.normalize({"a": 0, "b": 0}) == {"a": 100, "b": 100}


def test_all_shortages_are_named() -> None:
    """cpu and memory in one refusal; more than the node has can never be resolved."""
    node = a_node("2", "1Gi")
    node.add(a_pod("full", cpu="1500m", memory="1Gi"))
    status = NodeResourcesFit().filter(a_pod(cpu="1", memory="512Mi"), node)
    assert status.reasons == ("Insufficient cpu", "Insufficient memory")
    assert status.code.value == "unschedulable"
    assert NodeResourcesFit().filter(a_pod(cpu="3"), node).code.value == "unresolvable"
    crowded = a_node(pods="0")
    assert NodeResourcesFit().filter(a_pod(), crowded).reasons == ("Too many pods",)
    assert least_allocated(5000, 4000) == 0


@pytest.mark.parametrize(
    ("toleration", "covers"),
    [
        ({"key": "k", "value": "v", "effect": "NoSchedule"}, True),
        ({"key": "k", "operator": "Equal", "value": "v"}, True),
        ({"key": "k", "operator": "Exists"}, True),
        ({"operator": "Exists"}, True),
        ({"key": "k", "value": "other"}, False),
        ({"key": "other", "operator": "Exists"}, False),
        ({"key": "k", "operator": "Exists", "effect": "NoExecute"}, False),
        ({"key": "k"}, False),
    ],
)
def test_tolerations(toleration: dict[str, str], covers: bool) -> None:
    """Empty effect and key cover all; Equal is the default."""
    assert tolerates(toleration, {"key": "k", "value": "v", "effect": "NoSchedule"}) is covers


def test_the_message_counts_and_sorts_as_text() -> None:
    """`10 ...` stands before `2 ...`."""
    cycle = Cycle()
    for number in range(10):
        cycle.statuses[f"a{number}"] = Status.unresolvable("node(s) were unschedulable")
    for number in range(2):
        cycle.statuses[f"b{number}"] = Status.unschedulable("Insufficient cpu")
    assert fit_message(cycle, 12) == (
        "0/12 nodes are available: 10 node(s) were unschedulable, 2 Insufficient cpu."
    )
    assert fit_message(Cycle(), 0) == "no nodes available to schedule pods"


# -- whole clusters -------------------------------------------------------------------------------


def place(cluster: Cluster, *pods: Any) -> dict[str, str]:
    """Create pods, let time pass; return node by pod name."""
    for pod in pods:
        cluster.api.create(pod)
    cluster.sleep(5)
    items = cluster.api.list("Pod")["items"]
    return {p["metadata"]["name"]: p["spec"].get("nodeName", "") for p in items}


def test_pods_spread_over_equal_nodes() -> None:
    """LeastAllocated: nine pods on three nodes, three each."""
    with Cluster(nodes=3, seed=1, hpa=False) as cluster:
        nodes = place(cluster, *(a_pod(f"p{n}", "500m", "512Mi") for n in range(9)))
        assert sorted(nodes.values()) == sorted([f"node-{n}" for n in (1, 2, 3)] * 3)


def test_ties_are_drawn_and_not_always_the_first() -> None:
    """Different seeds, different nodes for the first pod."""
    seen = set()
    for seed in range(12):
        with Cluster(nodes=3, seed=seed, hpa=False) as cluster:
            seen |= set(place(cluster, a_pod("p", "1")).values())
    assert seen == {"node-1", "node-2", "node-3"}


def test_nothing_is_overcommitted() -> None:
    """No node is overcommitted; the other pods wait with a message."""
    with Cluster(nodes=2, seed=3, hpa=False, node_cpu="2") as cluster:
        nodes = place(cluster, *(a_pod(f"p{n}", "700m") for n in range(10)))
        placed = [node for node in nodes.values() if node]
        assert len(placed) == 4
        waiting = next(name for name, node in nodes.items() if not node)
        message = (
            "0/2 nodes are available: 2 Insufficient cpu. preemption: 0/2 nodes are available: "
            "2 No preemption victims found for incoming pod."
        )
        condition = cluster.api.get("Pod", waiting)["status"]["conditions"][0]
        assert (condition["reason"], condition["message"]) == ("Unschedulable", message)
        assert cluster.explain(f"pod/{waiting}").latest.verdict == message
        assert any(e["reason"] == "FailedScheduling" for e in cluster.api.list("Event")["items"])
        cluster.api.delete("Pod", next(n for n, node in nodes.items() if node))
        cluster.sleep(30)
        assert sum(bool(node) for node in place(cluster).values()) == 4


def test_a_new_node_helps_a_waiting_pod() -> None:
    """A refused pod is retried after an event, not before its back-off ends."""
    from kubesim.kubelet import Kubelet

    with Cluster(nodes=0, seed=1, hpa=False) as cluster:
        assert place(cluster, a_pod("p", "1")) == {"p": ""}
        assert "no nodes available" in cluster.explain("pod/p").latest.verdict
        kubelet = Kubelet(cluster.tools, node_name="late")
        kubelet.start()
        cluster.sleep(15)
        assert cluster.api.get("Pod", "p")["spec"]["nodeName"] == "late"
        kubelet.stop()


def test_taints_cordons_names_and_selectors_are_honoured() -> None:
    """Each rule excludes all nodes but one."""
    with Cluster(nodes=3, seed=1, hpa=False) as cluster:
        cluster.sleep(1)
        cluster.api.patch("Node", "node-1", {"spec": {"unschedulable": True}})
        taint = {"key": "dedicated", "value": "db", "effect": "NoSchedule"}
        cluster.api.patch("Node", "node-2", {"spec": {"taints": [taint]}})
        cluster.sleep(1)
        nodes = place(
            cluster,
            a_pod("plain"),
            a_pod("db", nodeSelector={"kubernetes.io/hostname": "node-2"}, tolerations=[taint]),
            a_pod("stuck", nodeSelector={"kubernetes.io/hostname": "node-2"}),
        )
        assert nodes == {"plain": "node-3", "db": "node-2", "stuck": ""}
        assert cluster.explain("pod/stuck").latest.verdict == (
            "0/3 nodes are available: 1 node(s) didn't match Pod's node affinity/selector, "
            "1 node(s) had untolerated taint {dedicated: db}, 1 node(s) were unschedulable. "
            "preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling."
        )


def test_gated_pods_wait_silently() -> None:
    """Pods are scheduled when their last gate is removed."""
    with Cluster(nodes=1, seed=1, hpa=False) as cluster:
        gated = a_pod("gated", schedulingGates=[{"name": "wait"}])
        assert place(cluster, gated) == {"gated": ""}
        assert cluster.scheduler.statistics()["gated"] == 1


class Picky:
    """A learner's plug-in: ten lines."""

    name = "Picky"

    def filter(self, pod: Any, node: NodeInfo) -> Status:
        """Even numbers only."""
        even = int(node.name[-1]) % 2 == 0
        return SUCCESS if even else Status.unschedulable("node(s) had an odd number")


class Loves:
    """A learner's score."""

    name = "Loves"

    def __init__(self, node: str) -> None:
        self.node = node

    def score(self, pod: Any, node: NodeInfo) -> int:
        """Prefer one node."""
        return 100 if node.name == self.node else 0


class Broken:
    """A plug-in that raises, or returns a wrong answer."""

    name = "Broken"

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def score(self, pod: Any, node: NodeInfo) -> Any:
        """Return the wrong answer, or raise."""
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def test_a_plug_in_of_one_s_own_filters_and_scores() -> None:
    """A plug-in joins the default profile with a weight; `explain` shows its score."""
    with Cluster(nodes=4, seed=1, hpa=False, profile=[*default_profile(), Picky()]) as cluster:
        nodes = place(cluster, *(a_pod(f"p{n}", "100m") for n in range(6)))
        assert set(nodes.values()) == {"node-2", "node-4"}
        rows = cluster.explain("pod/p0").latest.data["table"]
        assert rows[0]["reasons"] == ["node(s) had an odd number"]
        assert rows[0]["plugin"] == "Picky"
    profile = [*default_profile(), (Loves("node-3"), 50)]
    with Cluster(nodes=4, seed=1, hpa=False, profile=profile) as cluster:
        assert set(place(cluster, *(a_pod(f"p{n}") for n in range(4))).values()) == {"node-3"}


@pytest.mark.parametrize("answer", [ValueError("oops"), 101, -1, None, "many", True])
def test_a_broken_plug_in_is_seen_and_the_scheduler_lives_on(answer: Any) -> None:
    """A failure leaves an Event, a log row and a record; the pod is retried."""
    profile = [*default_profile(), Broken(answer)]
    with Cluster(nodes=2, seed=1, hpa=False, profile=profile) as cluster:
        assert place(cluster, a_pod("p")) == {"p": ""}
        assert cluster.analytics.since(action="PluginFailed", level="error").rows
        assert "Broken" in cluster.explain("pod/p").latest.verdict
        condition = cluster.api.get("Pod", "p")["status"]["conditions"][0]
        assert condition["reason"] == "SchedulerError"
        record = cluster.explain("pod/p").latest
        assert record.binding == record.verdict and "Broken" in record.binding
        assert "the code that failed were mended" in record.would_change_if
        attempts = cluster.scheduler.statistics()["attempts"]
        cluster.sleep(30)
        assert cluster.scheduler.statistics()["attempts"] > attempts


def test_what_is_no_plug_in_is_refused() -> None:
    """The message says what a plug-in needs."""
    with pytest.raises(BadRequest, match="not a scheduler plug-in"):
        make_profile([object()])


def test_two_schedulers_side_by_side() -> None:
    """Each schedules its own pods, and both see all used resources."""
    from kubesim.scheduler import Scheduler

    with Cluster(nodes=2, seed=1, hpa=False, node_cpu="1") as cluster:
        other = Scheduler(
            cluster.api,
            clock=cluster.clock,
            streams=cluster.streams,
            analytics=cluster.analytics,
            decisions=cluster.decisions,
            scheduler_name="mine",
            profile=[NodeResourcesFit(), (Loves("node-2"), 9)],
        )
        other.start()
        cluster.sleep(1)
        nodes = place(
            cluster,
            a_pod("a", "600m", schedulerName="mine"),
            a_pod("b", "600m", schedulerName="mine"),
            a_pod("c", "600m", schedulerName="nobody"),
        )
        assert nodes == {"a": "node-2", "b": "node-1", "c": ""}
        other.stop()


def test_a_framework_without_scores_takes_any_feasible_node() -> None:
    """Filters alone are a profile, too."""
    framework = Framework(make_profile([Picky()]))
    assert framework.filter(a_pod(), a_node()).reasons == ("node(s) had an odd number",)
