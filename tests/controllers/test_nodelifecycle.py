"""The node controller on virtual time: silence, taints, zones, recovery, faults."""

from __future__ import annotations

from typing import Any

import pytest
from controller_faults import controller_of, go_deaf, replace_controller
from node_cases import (
    a_replicaset,
    events,
    fail,
    pods_on,
    ready_of,
    revive,
    set_ready,
    tainted_at,
    taints,
    terminating,
    until,
)

from kubesim import Cluster
from kubesim.controllers import NodeLifecycleController
from kubesim.errors import Conflict
from kubesim.objects import meta
from kubesim.objects.meta import get_condition
from kubesim.objects.pods import is_ready


@pytest.fixture
def cluster() -> Any:
    """Three nodes, a ReplicaSet with a pod or two on each."""
    with Cluster(nodes=3, seed=1, hpa=False) as created:
        created.api.create(a_replicaset(5))
        until(created, 101)
        yield created


@pytest.mark.parametrize(
    ("grace", "unknown", "tainted", "deleted"), [(50.0, 155, 160, 460), (40.0, 145, 150, 450)]
)
def test_the_timeline_of_a_dead_node(
    grace: float, unknown: int, tainted: int, deleted: int
) -> None:
    """Last seen at 100; Unknown, NoExecute one check later, pods deleted 300 s after that."""
    with Cluster(nodes=3, seed=1, hpa=False) as cluster:
        replace_controller(cluster, NodeLifecycleController, grace_seconds=grace)
        cluster.api.create(a_replicaset(5))
        until(cluster, 101)
        fail(cluster, 2)
        until(cluster, unknown - 0.01)
        assert ready_of(cluster, "node-2") == "True" and taints(cluster, "node-2") == []
        until(cluster, unknown)
        assert ready_of(cluster, "node-2") == "Unknown"
        assert taints(cluster, "node-2") == ["unreachable:NoSchedule"]
        until(cluster, tainted - 0.01)
        assert tainted_at(cluster, "node-2") == ""
        until(cluster, tainted)
        assert taints(cluster, "node-2") == ["unreachable:NoSchedule", "unreachable:NoExecute"]
        until(cluster, deleted - 0.01)
        assert not any(terminating(cluster, "node-2"))
        until(cluster, deleted)
        assert terminating(cluster, "node-2") and all(terminating(cluster, "node-2"))


def test_a_dead_node_and_its_replicaset(cluster: Cluster) -> None:
    """Not ready at once, replaced after the tolerations, and the old pods hang Terminating."""
    victims = [meta.name_of(pod) for pod in pods_on(cluster, "node-2")]
    fail(cluster, 2)
    until(cluster, 155)
    for pod in pods_on(cluster, "node-2"):
        condition = get_condition(pod, "Ready")
        assert condition is not None and condition["status"] == "False"
        assert condition["lastTransitionTime"] == "2025-01-01T00:02:35Z"
    assert cluster.api.get("ReplicaSet", "web")["status"]["readyReplicas"] == 5 - len(victims)
    assert events(cluster, "NodeNotReady") == [
        ("node-2", "Normal", "NodeNotReady", "Node node-2 status is now: NodeNotReady"),
        *[(name, "Warning", "NodeNotReady", "Node is not ready") for name in victims],
    ]
    until(cluster, 470)
    assert [meta.name_of(pod) for pod in pods_on(cluster, "node-2")] == victims
    assert cluster.api.get("ReplicaSet", "web")["status"]["readyReplicas"] == 5
    assert len(pods_on(cluster, "node-1")) + len(pods_on(cluster, "node-3")) == 5
    expected_message = str(cluster.explain("node/node-2").history())
    assert "node-2 is NotReady: no heartbeat since t=100" in expected_message
    assert (
        "evict the pods of node-2: taint node.kubernetes.io/unreachable:NoExecute"
        in expected_message
    )
    why = str(cluster.explain(f"pod/{victims[0]}").history())
    assert "evict at t=460, 300 s after node-2 got node.kubernetes.io/unreachable:NoExecute" in why
    cluster.api.delete("Node", "node-2")
    cluster.sleep(70)
    assert pods_on(cluster, "node-2") == [], "the pod collector frees them with the Node"


def test_two_of_three_are_evicted_ten_seconds_apart(cluster: Cluster) -> None:
    """Two are not more than two: the zone is normal, and its rate one node in 10 s."""
    fail(cluster, 1, 3)
    until(cluster, 300)
    assert tainted_at(cluster, "node-1") == "2025-01-01T00:02:40Z"
    assert tainted_at(cluster, "node-3") == "2025-01-01T00:02:50Z"
    until(cluster, 459)
    assert not any(terminating(cluster, "node-1") + terminating(cluster, "node-3"))
    until(cluster, 461)
    assert all(terminating(cluster, "node-1")) and not any(terminating(cluster, "node-3"))
    until(cluster, 471)
    assert all(terminating(cluster, "node-3"))


def test_three_of_three_are_never_evicted(cluster: Cluster) -> None:
    """No node answers: the control plane assumes that it is cut off."""
    fail(cluster, 1, 2, 3)
    until(cluster, 3000)
    for number in (1, 2, 3):
        assert ready_of(cluster, f"node-{number}") == "Unknown"
        assert taints(cluster, f"node-{number}") == ["unreachable:NoSchedule"]
        assert not any(terminating(cluster, f"node-{number}"))
    assert "FullDisruption" in str(cluster.explain("zone/default"))
    assert "no evictions in this zone" in str(cluster.explain("node/node-1"))


def test_the_last_node_to_fall_takes_the_taints_off(cluster: Cluster) -> None:
    """Two are tainted and their pods' clocks run, when the third one falls: all is called off."""
    fail(cluster, 1, 2)
    until(cluster, 201)
    assert tainted_at(cluster, "node-1") and tainted_at(cluster, "node-2")
    fail(cluster, 3)
    until(cluster, 260)
    assert not tainted_at(cluster, "node-1") and not tainted_at(cluster, "node-2")
    cancelled = [e[3] for e in events(cluster, "TaintManagerEviction")]
    assert cancelled and all(text.startswith("Cancelling deletion of Pod") for text in cancelled)
    expected_message = "".join(map(str, cluster.explain("node/node-1").decisions))
    assert (
        "no node of any zone is Ready: the control plane assumes that it is cut off"
        in expected_message
    )
    until(cluster, 2000)
    assert not any(any(terminating(cluster, f"node-{n}")) for n in (1, 2, 3))


def test_after_darkness_every_clock_restarts(cluster: Cluster) -> None:
    """One node answers: the others get a new grace period, and are then evicted one by one."""
    fail(cluster, 1, 2, 3)
    until(cluster, 1001)
    for second in range(1002, 1400, 9):
        until(cluster, second)
        revive(cluster, 3)
    assert ready_of(cluster, "node-3") == "True"
    first, second = sorted([tainted_at(cluster, "node-1"), tainted_at(cluster, "node-2")])
    assert first >= "2025-01-01T00:16:45Z", "not before the look that saw the light"
    assert first and second > first
    minute, other = (int(stamp[14:16]) * 60 + int(stamp[17:19]) for stamp in (first, second))
    assert other - minute == 10


@pytest.mark.parametrize(
    ("count", "stamps"),
    [(51, ["00:02:40", "00:04:20", "00:06:00"]), (50, [])],
)
def test_a_zone_that_is_partly_down_is_evicted_slowly(count: int, stamps: list[str]) -> None:
    """29 silent nodes of 51: one in 100 s; of 50, which is no large zone: none at all."""
    with Cluster(nodes=count, seed=2, hpa=False) as cluster:
        until(cluster, 101)
        fail(cluster, *range(1, 30))
        until(cluster, 361)
        assert "PartialDisruption" in str(cluster.explain("zone/default"))
        result = [tainted_at(cluster, f"node-{n}") for n in range(1, count + 1)]
        assert sorted(stamp[11:19] for stamp in result if stamp) == stamps


def test_zones_are_judged_apart() -> None:
    """A zone that is fully down is evicted at full speed while another one is well."""
    with Cluster(nodes=6, seed=3, hpa=False) as cluster:
        cluster.sleep(1)
        for number in range(1, 7):
            labels = {"topology.kubernetes.io/zone": "a" if number <= 4 else "b"}
            cluster.api.patch("Node", f"node-{number}", {"metadata": {"labels": labels}})
        until(cluster, 101)
        fail(cluster, 1, 2, 3, 4)
        until(cluster, 200)
        stamps = [tainted_at(cluster, f"node-{n}") for n in range(1, 5)]
        assert stamps == [
            f"2025-01-01T00:0{m}:{s:02}Z" for m, s in ((2, 40), (2, 50), (3, 0), (3, 10))
        ]
        assert "zone a: Normal -> FullDisruption" in str(cluster.explain("zone/a"))


def test_an_excluded_node_says_nothing_about_its_zone(cluster: Cluster) -> None:
    """Two of three are down, the third does not count: full disruption, no evictions."""
    label = {"metadata": {"labels": {"node.kubernetes.io/exclude-disruption": ""}}}
    cluster.api.patch("Node", "node-3", label)
    fail(cluster, 1, 2)
    until(cluster, 600)
    assert not tainted_at(cluster, "node-1") and not tainted_at(cluster, "node-2")


def test_a_node_that_is_back_before_its_turn_loses_nothing(cluster: Cluster) -> None:
    """Queued second, Ready again before its 10 s are over."""
    fail(cluster, 1, 2)
    until(cluster, 165)
    revive(cluster, 2)
    until(cluster, 200)
    assert tainted_at(cluster, "node-1") and not tainted_at(cluster, "node-2")
    assert "do not evict the pods of node-2: it is Ready again" in str(
        cluster.explain("node/node-2")
    )


def test_recovery_takes_the_taints_off_and_cancels(cluster: Cluster) -> None:
    """Ready in time: NoSchedule is removed at once, NoExecute at the next check."""
    fail(cluster, 2)
    until(cluster, 302)
    names = [meta.key_of(pod) for pod in pods_on(cluster, "node-2")]
    revive(cluster, 2)
    cluster.sleep(0.1)
    assert taints(cluster, "node-2") == ["unreachable:NoExecute"]
    until(cluster, 305)
    assert taints(cluster, "node-2") == []
    assert [e[3] for e in events(cluster, "TaintManagerEviction")] == [
        f"Cancelling deletion of Pod {name}" for name in names
    ]
    assert "cancel the eviction that was due at t=460" in str(
        cluster.explain(f"pod/{names[0].partition('/')[2]}")
    )


def test_false_and_unknown_swap_the_taint(cluster: Cluster) -> None:
    """A kubelet that reports NotReady itself, then dies: one taint takes the other's place."""
    set_ready(cluster, "node-2", "False")
    cluster.sleep(0.1)
    assert taints(cluster, "node-2") == ["not-ready:NoSchedule"]
    fail(cluster, 2)
    until(cluster, 106)
    assert taints(cluster, "node-2") == ["not-ready:NoSchedule", "not-ready:NoExecute"]
    until(cluster, 160)
    assert taints(cluster, "node-2") == ["not-ready:NoExecute", "unreachable:NoSchedule"]
    until(cluster, 165)
    assert taints(cluster, "node-2") == ["unreachable:NoSchedule", "unreachable:NoExecute"]
    assert not any(terminating(cluster, "node-2"))
    until(cluster, 406)
    assert all(terminating(cluster, "node-2")), "the clock runs since the first taint"


def test_a_node_that_never_reported() -> None:
    """60 s after its creation; its conditions are created then."""
    with Cluster(nodes=1, seed=1, hpa=False) as cluster:
        until(cluster, 2)
        cluster.api.create({"kind": "Node", "metadata": {"name": "ghost"}})
        until(cluster, 64)
        assert "conditions" not in cluster.api.get("Node", "ghost")["status"]
        until(cluster, 65)
        result = cluster.api.get("Node", "ghost")["status"]["conditions"]
        assert {(c["type"], c["status"], c["reason"], c["message"]) for c in result} == {
            (type, "Unknown", "NodeStatusNeverUpdated", "Kubelet never posted node status.")
            for type in ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")
        }


@pytest.mark.parametrize(
    ("ready", "expected", "bound"),
    [("False", ["not-ready:NoSchedule"], False), (None, [], True)],
)
def test_a_node_made_through_the_api(ready: str | None, expected: list[str], bound: bool) -> None:
    """Tainted from the first moment; the controller keeps the taint while it is not Ready.

    A node that reports nothing at all loses it at once: doNoScheduleTaintingPass.
    """
    with Cluster(nodes=0, seed=1, hpa=False) as cluster:
        until(cluster, 2)
        allocatable = {"cpu": "4", "memory": "8Gi", "pods": "9"}
        conditions = [{"type": "Ready", "status": ready}] if ready else []
        status = {"allocatable": allocatable, "conditions": conditions}
        node = {"kind": "Node", "metadata": {"name": "kwok"}, "status": status}
        (taint,) = cluster.api.create(node)["spec"]["taints"]
        assert taint == {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}
        containers = [{"name": "main", "image": "i"}]
        cluster.api.create(
            {"kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": containers}}
        )
        until(cluster, 40)
        assert [t for t in taints(cluster, "kwok") if t.endswith("NoSchedule")] == expected
        assert bool(cluster.api.get("Pod", "p")["spec"].get("nodeName")) is bound


def test_nodes_are_met_and_missed(cluster: Cluster) -> None:
    """Each is reported once."""
    assert events(cluster, "RegisteredNode") == [
        (
            f"node-{n}",
            "Normal",
            "RegisteredNode",
            f"Node node-{n} event: Registered Node node-{n} in Controller",
        )
        for n in (1, 2, 3)
    ]
    cluster.kubelets[1].stop()
    cluster.api.delete("Node", "node-2")
    cluster.sleep(20)
    assert events(cluster, "RemovingNode") == [
        (
            "node-2",
            "Normal",
            "RemovingNode",
            "Node node-2 event: Removing Node node-2 from Controller",
        )
    ]


def test_cordons_and_pressure_become_taints(cluster: Cluster) -> None:
    """At once, and off again at once; taints of others are left alone."""
    cluster.api.patch("Node", "node-1", {"spec": {"unschedulable": True}})
    cluster.sleep(0.1)
    assert taints(cluster, "node-1") == ["unschedulable:NoSchedule"]
    mine = {"key": "dedicated", "value": "gpu", "effect": "NoSchedule"}
    cluster.api.patch("Node", "node-1", {"spec": {"unschedulable": None, "taints": [mine]}})
    node = cluster.api.get("Node", "node-1")
    for condition in node["status"]["conditions"]:
        if condition["type"] == "MemoryPressure":
            condition["status"] = "True"
    cluster.api.update_status(node)
    cluster.sleep(0.1)
    assert taints(cluster, "node-1") == ["dedicated:NoSchedule", "memory-pressure:NoSchedule"]


def test_a_pod_bound_to_a_dead_node_is_not_ready(cluster: Cluster) -> None:
    """Also if it came, already Ready, after the node had fallen."""
    fail(cluster, 2)
    until(cluster, 156)
    spec = a_replicaset()["spec"]["template"]["spec"]
    cluster.api.create({"kind": "Pod", "metadata": {"name": "late"}, "spec": spec})
    pod = cluster.api.get("Pod", "late")
    ready = {"type": "Ready", "status": "True"}
    cluster.api.update_status({**pod, "status": {"phase": "Running", "conditions": [ready]}})
    cluster.api.bind("late", "default", "node-2")
    cluster.sleep(0.1)
    assert not is_ready(cluster.api.get("Pod", "late"))


def test_a_healthy_cluster_is_left_alone(cluster: Cluster) -> None:
    """Checks, however many, write nothing."""
    revision = cluster.store.revision
    for _ in range(3):
        controller_of(cluster, NodeLifecycleController).reconcile("monitor")
        controller_of(cluster, NodeLifecycleController).reconcile("evict")
        controller_of(cluster, NodeLifecycleController).reconcile("taints/node-1")
    assert cluster.store.revision == revision


@pytest.mark.parametrize("seed", range(4))
def test_conflicts_only_cost_time(seed: int) -> None:
    """Half of the writes to nodes and pods meet one; the story ends the same way."""
    with Cluster(nodes=3, seed=seed, hpa=False) as cluster:
        cluster.api.create(a_replicaset(4))
        until(cluster, 101)
        rng, raised = cluster.streams("test/conflicts"), [0]

        def flaky(verb: Any) -> Any:
            def call(document: Any, *args: Any, **options: Any) -> Any:
                if document.get("kind") in ("Node", "Pod") and rng.random() < 0.5:
                    raised[0] += 1
                    raise Conflict("injected")
                return verb(document, *args, **options)

            return call

        for verb in ("update", "update_status"):
            setattr(cluster.api, verb, flaky(getattr(cluster.api, verb)))
        fail(cluster, 2)
        until(cluster, 520)
        assert raised[0] > 3
        assert ready_of(cluster, "node-2") == "Unknown"
        assert taints(cluster, "node-2") == ["unreachable:NoSchedule", "unreachable:NoExecute"]
        assert all(terminating(cluster, "node-2"))
        assert len(pods_on(cluster, "node-1")) + len(pods_on(cluster, "node-3")) == 4


def test_one_node_that_cannot_be_written_holds_nobody_up(cluster: Cluster) -> None:
    """The check skips it; the other node is checked, and this one later."""
    update, block = cluster.api.update_status, [True]

    def refusing(document: Any, **options: Any) -> Any:
        if block[0] and meta.name_of(document) == "node-1":
            raise Conflict("injected")
        return update(document, **options)

    cluster.api.update_status = refusing  # type: ignore[method-assign]
    fail(cluster, 1, 2)
    until(cluster, 200)
    assert (ready_of(cluster, "node-1"), ready_of(cluster, "node-2")) == ("True", "Unknown")
    assert controller_of(cluster, NodeLifecycleController).statistics()["failed"] > 0
    block[0] = False
    until(cluster, 220)
    assert ready_of(cluster, "node-1") == "Unknown" and tainted_at(cluster, "node-1")


def test_pods_that_could_not_be_marked_are_tried_again(cluster: Cluster) -> None:
    """At the next check, until each of them is not ready."""
    update, block = cluster.api.update_status, [True]

    def refusing(document: Any, **options: Any) -> Any:
        if block[0] and document.get("kind") == "Pod":
            raise Conflict("injected")
        return update(document, **options)

    cluster.api.update_status = refusing  # type: ignore[method-assign]
    fail(cluster, 2)
    until(cluster, 172)
    assert any(is_ready(pod) for pod in pods_on(cluster, "node-2"))
    block[0] = False
    until(cluster, 176)
    assert not any(is_ready(pod) for pod in pods_on(cluster, "node-2"))
    reported = [event for event in events(cluster, "NodeNotReady") if event[0] == "node-2"]
    assert len(reported) == 1, "the change of the node is reported once"


def test_lost_watches_are_made_up_for(cluster: Cluster) -> None:
    """Checks read the store; lost watch events are found at the next list."""
    go_deaf(controller_of(cluster, NodeLifecycleController))
    fail(cluster, 2)
    until(cluster, 165)
    assert ready_of(cluster, "node-2") == "Unknown"
    assert taints(cluster, "node-2") == ["unreachable:NoExecute"]
    until(cluster, 601)
    assert taints(cluster, "node-2") == ["unreachable:NoExecute", "unreachable:NoSchedule"]


def test_a_check_that_is_much_too_late_blames_nobody(cluster: Cluster) -> None:
    """What stalls the controller stalls the kubelets: they get a new grace period."""
    fail(cluster, 2)
    until(cluster, 154)
    controller_of(cluster, NodeLifecycleController)._last_check = 100.0  # as if it had stalled
    until(cluster, 205)
    assert ready_of(cluster, "node-2") == "True"
    until(cluster, 210)
    assert ready_of(cluster, "node-2") == "Unknown"
    rows = [row for row in cluster.analytics.since(0).rows if row.action == "LateCheck"]
    assert len(rows) == 1 and "55 s since the last check" in rows[0].message


@pytest.mark.live
def test_a_power_cut_on_the_live_clock() -> None:
    """Threads instead of a heap: the same story, noticed and mended."""
    with Cluster(nodes=3, seed=1, hpa=False, clock="live", speed=25) as cluster:
        node = cluster.node("node-2")
        assert cluster.wait_until(lambda: cluster.api.peek("Node", "node-2") is not None, 3_000)
        cluster.sleep(20)
        node.fail()
        assert cluster.wait_until(lambda: not node.ready, 3_000)
        assert cluster.wait_until(
            lambda: "unreachable:NoSchedule" in taints(cluster, "node-2"), 3_000
        )
        node.recover()
        assert cluster.wait_until(lambda: node.ready and not node.taints(), 3_000)
        assert list(cluster.failures) == []


def test_a_fresh_controller_goes_on(cluster: Cluster) -> None:
    """It gives every node a new grace period, and keeps what the last one had written."""
    fail(cluster, 2)
    until(cluster, 162)
    replace_controller(cluster, NodeLifecycleController)
    until(cluster, 470)
    assert taints(cluster, "node-2") == ["unreachable:NoSchedule", "unreachable:NoExecute"]
    assert all(terminating(cluster, "node-2"))


def test_the_same_seed_gives_the_same_run() -> None:
    """Failures included, compared as a digest of the whole history."""

    def run() -> str:
        with Cluster(nodes=4, seed=9, digest=True) as cluster:
            cluster.set_hpa_config(min_pods=6, max_pods=6)
            until(cluster, 61)
            fail(cluster, 1, 3)
            until(cluster, 600)
            return cluster.digest()

    assert run() == run()
