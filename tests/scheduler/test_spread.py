"""PodTopologySpread: hard and soft constraints, policies, defaults."""

from __future__ import annotations

from typing import Any

import pytest
from sched_builders import HOST, ZONE, filtered, node, passing, pod, scored

from kubesim.scheduler import Code, CycleState, Framework, Snapshot
from kubesim.scheduler.plugins.podtopologyspread import PodTopologySpread

WEB = {"app": "web"}
SKEW = "node(s) didn't match pod topology spread constraints"
NO_LABEL = f"{SKEW} (missing required label)"
DB = {"key": "dedicated", "value": "db", "effect": "NoSchedule"}


def hard(key: str = ZONE, skew: int = 1, **more: Any) -> dict[str, Any]:
    """Return a DoNotSchedule constraint for pods with app=web."""
    result = {"maxSkew": skew, "topologyKey": key, "whenUnsatisfiable": "DoNotSchedule"}
    return {**result, "labelSelector": {"matchLabels": WEB}, **more}


def soft(key: str = ZONE, skew: int = 1, **more: Any) -> dict[str, Any]:
    """Return a ScheduleAnyway constraint."""
    return hard(key, skew, **more) | {"whenUnsatisfiable": "ScheduleAnyway"}


def incoming_pod(*constraints: Any, **more: Any) -> dict[str, Any]:
    """Return a pod with app=web and constraints."""
    labels = more.pop("labels", WEB)
    return pod("new", labels=labels, topologySpreadConstraints=list(constraints), **more)


def zones(**counts: int) -> Snapshot:
    """Return one node per zone, named after it."""
    nodes = [node(zone, zone=zone) for zone in counts]
    return Snapshot.of(nodes, webs(**counts))


def webs(**counts: int) -> list[dict[str, Any]]:
    """Return that many web pods on each node."""
    return [
        pod(f"{name}-{n}", labels=WEB, on=name)
        for name, count in counts.items()
        for n in range(count)
    ]


PLUGIN = [PodTopologySpread()]


def test_worked_example_five() -> None:
    """Zones 1, 1, 0 with maxSkew 1: only the empty one; minDomains 4 sets the least to 0."""
    snapshot = zones(a=1, b=1, c=0)
    statuses = filtered(PLUGIN, incoming_pod(hard()), snapshot)
    assert [n for n, s in statuses.items() if s.ok] == ["c"]
    assert statuses["a"].code is Code.UNSCHEDULABLE
    assert statuses["a"].reasons == (SKEW,)
    assert passing(PLUGIN, incoming_pod(hard(minDomains=4)), snapshot) == ["c"]
    assert passing(PLUGIN, incoming_pod(hard()), zones(a=1, b=1, c=1)) == ["a", "b", "c"]
    assert passing(PLUGIN, incoming_pod(hard(minDomains=4)), zones(a=1, b=1, c=1)) == []


def test_a_node_without_the_key_can_never_do() -> None:
    """A node without all keys is not counted."""
    snapshot = Snapshot.of([node("x"), node("y", zone="a")], webs(x=9))
    statuses = filtered(PLUGIN, incoming_pod(hard()), snapshot)
    assert (statuses["x"].code, statuses["x"].reasons) == (Code.UNRESOLVABLE, (NO_LABEL,))
    assert statuses["y"].ok
    assert passing(PLUGIN, incoming_pod(hard(), hard(HOST, 5)), snapshot) == ["y"]


@pytest.mark.parametrize(
    ("constraint", "labels", "fits"),
    [
        (hard(), WEB, False),
        (hard(), {"app": "other"}, True),  # it does not count itself: 1 + 0 - 0
        (hard(skew=2), WEB, True),
        (hard(labelSelector=None), WEB, True),
        (hard(labelSelector={}), WEB, True),  # counts nobody but itself: 0 + 1 - 0
        (hard(matchLabelKeys=["rev"]), WEB, False),
        (hard(matchLabelKeys=["rev"]), {**WEB, "rev": "2"}, True),
    ],
)
def test_who_is_counted(constraint: Any, labels: Any, fits: bool) -> None:
    """One web pod in zone a, none in b: does the pod fit in a?"""
    assert (
        "a" in passing(PLUGIN, incoming_pod(constraint, labels=labels), zones(a=1, b=0))
    ) is fits


def test_only_living_pods_of_the_namespace_count() -> None:
    """Terminating pods and pods of other namespaces do not count."""
    nodes = [node("a", zone="a"), node("b", zone="b")]
    going = pod("going", labels=WEB, on="a")
    going["metadata"]["deletionTimestamp"] = "2025-01-01T00:00:00Z"
    foreign = pod("foreign", labels=WEB, on="a", namespace="other")
    assert passing(PLUGIN, incoming_pod(hard()), Snapshot.of(nodes, [going, foreign])) == ["a", "b"]


def test_inclusion_policies() -> None:
    """Node affinity is honored by default, taints are not."""
    nodes = [
        node("a", zone="a", labels={"pool": "x"}),
        node("b", zone="b", labels={"pool": "y"}),
        node("c", zone="c", labels={"pool": "x"}, taints=[DB]),
    ]
    snapshot = Snapshot.of(nodes, webs(a=1, b=0, c=1))
    only_x = {"nodeSelector": {"pool": "x"}}
    assert "a" not in passing(PLUGIN, incoming_pod(hard()), snapshot)
    assert "a" in passing(PLUGIN, incoming_pod(hard(), **only_x), snapshot)
    ignoring = hard(nodeAffinityPolicy="Ignore")
    assert "a" not in passing(PLUGIN, incoming_pod(ignoring, **only_x), snapshot)
    empty_c = Snapshot.of(nodes, webs(a=1))
    assert "a" not in passing(PLUGIN, incoming_pod(hard(), **only_x), empty_c)
    honour = hard(nodeTaintsPolicy="Honor")
    assert "a" in passing(PLUGIN, incoming_pod(honour, **only_x), empty_c)


def test_a_value_that_no_included_node_carries_counts_nothing() -> None:
    """Pods of zone b, excluded by affinity, do not count."""
    nodes = [node("a", zone="a", labels={"pool": "x"}), node("b", zone="b")]
    snapshot = Snapshot.of(nodes, webs(a=1, b=5))
    assert passing(PLUGIN, incoming_pod(hard(), nodeSelector={"pool": "x"}), snapshot) == ["a", "b"]


def test_hypothetical_pods_change_the_state_copy() -> None:
    """add_pod and remove_pod on a clone do not change the original state."""
    framework, snapshot = Framework(PLUGIN), zones(a=1, b=0)
    state, incoming = CycleState(snapshot), incoming_pod(hard())
    framework.pre_filter(incoming, state)
    assert not framework.filter(incoming, snapshot["a"], state).ok
    twin, place = state.clone(), snapshot["a"].clone()
    framework.remove_pod(incoming, place.pods["default/a-0"], place, twin)
    assert framework.filter(incoming, place, twin).ok
    framework.add_pod(incoming, pod("back", labels=WEB, on="a"), place, twin)
    assert not framework.filter(incoming, place, twin).ok
    assert not framework.filter(incoming, snapshot["a"], state).ok


# -- scores ---------------------------------------------------------------------------------------


def test_worked_example_four() -> None:
    """Zones with 2, 1, 0 pods, four candidates: raw 3, 2, 0; scores 0, 33, 100."""
    nodes = [node("a", zone="a"), node("b", zone="b"), node("c", zone="c"), node("c2", zone="c")]
    cycle = scored(PLUGIN, incoming_pod(soft()), Snapshot.of(nodes, webs(a=2, b=1)))
    assert cycle.raw["PodTopologySpread"] == {"a": 3, "b": 2, "c": 0, "c2": 0}
    assert cycle.scores["PodTopologySpread"] == {"a": 0, "b": 33, "c": 100, "c2": 100}


def test_all_empty_places_score_a_hundred() -> None:
    """maxSkew 1 adds nothing, so the raw scores are 0."""
    cycle = scored(PLUGIN, incoming_pod(soft()), zones(a=0, b=0))
    assert cycle.scores["PodTopologySpread"] == {"a": 100, "b": 100}


def test_candidates_without_a_key_get_nothing() -> None:
    """Nodes without a key score 0; the others are normalized among themselves."""
    nodes = [node("a", zone="a"), node("b", zone="b"), node("x")]
    cycle = scored(PLUGIN, incoming_pod(soft()), Snapshot.of(nodes, webs(a=1, x=7)))
    assert cycle.scores["PodTopologySpread"] == {"a": 0, "b": 100, "x": 0}


def test_pods_on_nodes_that_are_no_candidates_count() -> None:
    """Zone a has its pods on a node that was filtered out."""
    nodes = [node("a1", zone="a"), node("a2", zone="a"), node("b", zone="b")]
    snapshot = Snapshot.of(nodes, webs(a1=2))
    cycle = scored(PLUGIN, incoming_pod(soft()), snapshot, ["a2", "b"])
    assert cycle.scores["PodTopologySpread"] == {"a2": 0, "b": 100}


def test_hosts_are_weighed_by_the_number_of_candidates() -> None:
    """ln(3 + 2) = 1.609 for each pod, plus maxSkew - 1; rounded to the nearest."""
    nodes = [node(n) for n in ("a", "b", "c")]
    cycle = scored(PLUGIN, incoming_pod(soft(HOST, 3)), Snapshot.of(nodes, webs(a=2, b=1)))
    assert cycle.raw["PodTopologySpread"] == {"a": 5, "b": 4, "c": 2}
    assert cycle.scores["PodTopologySpread"] == {"a": 40, "b": 60, "c": 100}


def service(**selector: str) -> dict[str, Any]:
    """Return a Service."""
    meta = {"name": "s", "namespace": "default"}
    return {"kind": "Service", "metadata": meta, "spec": {"selector": selector}}


def test_system_defaults_spread_the_pods_of_a_service() -> None:
    """Host with maxSkew 3 and zone with 5; nodes without a zone still spread by host."""
    nodes = [node("a"), node("b")]
    plain = pod("new", labels=WEB)
    snapshot = Snapshot.of(nodes, webs(a=3), [service(app="web")])
    cycle = scored(PLUGIN, plain, snapshot)
    # host: 3 * ln(2 + 2) + 2; the label zone is missing, so it adds nothing
    assert cycle.raw["PodTopologySpread"] == {"a": 6, "b": 2}
    assert cycle.scores["PodTopologySpread"] == {"a": 33, "b": 100}
    assert scored(PLUGIN, plain, Snapshot.of(nodes, webs(a=3))).scores == {}
    other = Snapshot.of(nodes, webs(a=3), [service(app="db"), service()])
    assert scored(PLUGIN, plain, other).scores == {}
    assert passing(PLUGIN, plain, snapshot) == ["a", "b"]


@pytest.mark.parametrize("kind", ["ReplicaSet", "StatefulSet", "ReplicationController"])
def test_system_defaults_spread_the_pods_of_a_workload(kind: str) -> None:
    """The selector of the controlling owner counts."""
    selector: Any = WEB if kind == "ReplicationController" else {"matchLabels": WEB}
    owner = {"kind": kind, "metadata": {"name": "w", "namespace": "default"}}
    workload = {**owner, "spec": {"selector": selector}}
    mine = pod("new", labels=WEB)
    mine["metadata"]["ownerReferences"] = [{"kind": kind, "name": "w", "controller": True}]
    cycle = scored(PLUGIN, mine, Snapshot.of([node("a"), node("b")], webs(a=1), [workload]))
    assert cycle.scores["PodTopologySpread"]["b"] == 100
    assert cycle.scores["PodTopologySpread"]["a"] < 100


def test_constraints_of_the_configuration_replace_the_system_s() -> None:
    """Configured defaults need all keys; DoNotSchedule ones refuse."""
    listed = {"topologyKey": ZONE, "whenUnsatisfiable": "DoNotSchedule", "maxSkew": 1}
    plugin = [PodTopologySpread([listed])]
    nodes = [node("a", zone="a"), node("b", zone="b"), node("x")]
    snapshot = Snapshot.of(nodes, webs(a=1), [service(app="web")])
    assert passing(plugin, pod("new", labels=WEB), snapshot) == ["b"]
    none = [PodTopologySpread(system_defaults=False)]
    assert scored(none, pod("new", labels=WEB), snapshot).scores == {}
