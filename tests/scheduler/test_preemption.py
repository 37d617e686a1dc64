"""Preemption: victims, candidate nodes, messages, and two upstream peculiarities."""

from __future__ import annotations

from typing import Any

import pytest
from sched_builders import HOST, ZONE, node, pod

from kubesim.scheduler import CycleState, Framework, Snapshot, Status, default_profile
from kubesim.scheduler.framework.handle import Nominator, filter_with_nominated
from kubesim.scheduler.framework.preemption import (
    BY_SCHEDULER,
    PreemptionCandidate,
    enough_candidates,
    find_candidates,
    is_terminating_victim,
    pick_node,
    select_victims,
    split_by_budgets,
    why_not_eligible,
)

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


def started(incoming: Any) -> float:
    """Return the start time in seconds; without one, the current second, 1000."""
    return float((incoming.get("status") or {}).get("startTime", 1000.0))


def placed(
    name: str, cpu: str, priority: int = 0, start: float | None = None, **more: Any
) -> dict[str, Any]:
    """Return a pod on node n1."""
    result = pod(name, cpu, on=more.pop("on", "n1"), priority=priority, **more)
    result["status"] = {} if start is None else {"startTime": start}
    return result


def budget(allowed: int, name: str = "b", disrupted: Any = (), **labels: str) -> dict[str, Any]:
    """Return a budget for pods with these labels."""
    return {
        "kind": "PodDisruptionBudget",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"selector": {"matchLabels": labels}},
        "status": {"disruptionsAllowed": allowed, "disruptedPods": dict.fromkeys(disrupted, "t")},
    }


def victims(incoming: Any, nodes: Any, pods: Any, budgets: Any = (), on: str = "n1") -> Any:
    """Return names of the victims and violations, or the reason of the refusal."""
    framework, snapshot = Framework(default_profile()), Snapshot.of(nodes, pods, budgets)
    state = CycleState(snapshot)
    framework.pre_filter(incoming, state)
    result = select_victims(
        framework, Nominator(), incoming, snapshot[on].clone(), state.clone(), budgets, started
    )
    if isinstance(result, Status):
        return result.message
    return [v["metadata"]["name"] for v in result.victims], result.violations


HIGH = pod("high", "1", priority=10)


def test_the_least_important_go_and_the_others_are_spared() -> None:
    """All lower pods are removed and put back by priority, then start time."""
    pods = [placed("a", "1", 5), placed("b", "1", 1, 10), placed("c", "1", 1, 20)]
    assert victims(HIGH, [node(cpu="3")], pods) == (["c"], 0)
    assert victims(pod("h", "2", priority=10), [node(cpu="3")], pods) == (["b", "c"], 0)


def test_sparing_goes_on_after_a_failure() -> None:
    """A large pod stays a victim while a small, less important one is put back."""
    pods = [placed("big", "2", 5), placed("small", "500m", 1)]
    assert victims(HIGH, [node(cpu="2500m")], pods) == (["big"], 0)


def test_equal_priority_is_never_taken() -> None:
    """Without pods of lower priority there are no victims."""
    none = "No preemption victims found for incoming pod"
    assert victims(HIGH, [node(cpu="1")], [placed("same", "1", 10)]) == none
    both = [placed("same", "1", 10), placed("low", "500m", 1)]
    assert victims(HIGH, [node(cpu="1500m")], both) == "Insufficient cpu"


def test_budgets_decide_who_is_put_back_first() -> None:
    """A protected pod is spared at the cost of a more important one."""
    pods = [placed("a", "1", 5), placed("b", "1", 1, labels={"app": "b"})]
    nodes = [node(cpu="2")]
    assert victims(HIGH, nodes, pods) == (["b"], 0)
    assert victims(HIGH, nodes, pods, [budget(0, app="b")]) == (["a"], 0)
    assert victims(HIGH, nodes, pods, [budget(1, app="b")]) == (["b"], 0)
    both = pod("h", "2", priority=10)
    assert victims(both, nodes, pods, [budget(0, app="b")]) == (["a", "b"], 1)


def test_how_budgets_are_counted_down() -> None:
    """Same namespace, non-empty selector, not yet known as disrupted; below zero violates."""
    pods = [placed(f"p{n}", "1", labels={"app": "x"}) for n in range(3)]
    names = lambda part: [p["metadata"]["name"] for p in part]  # noqa: E731
    violating, others = split_by_budgets(pods, [budget(2, app="x")])
    assert (names(violating), names(others)) == (["p2"], ["p0", "p1"])
    violating, _ = split_by_budgets(pods, [budget(0, app="x", disrupted=["p1"])])
    assert names(violating) == ["p0", "p2"]
    assert split_by_budgets(pods, [budget(0)])[0] == []
    foreign = budget(0, app="x")
    foreign["metadata"]["namespace"] = "other"
    assert split_by_budgets(pods, [foreign])[0] == []
    bare = [placed("bare", "1")]
    everybody = budget(0)
    everybody["spec"]["selector"] = {"matchExpressions": [{"key": "x", "operator": "DoesNotExist"}]}
    assert split_by_budgets(bare, [everybody])[0] == []
    twice = split_by_budgets(pods, [budget(3, app="x"), budget(1, "c", app="x")])[0]
    assert names(twice) == ["p1", "p2"]


def candidate(name: str, *pods: tuple[int, float], violations: int = 0) -> PreemptionCandidate:
    """Return a candidate with victims of (priority, start)."""
    result = [placed(f"{name}{i}", "1", p, s) for i, (p, s) in enumerate(pods)]
    return PreemptionCandidate(name, tuple(result), violations)


PICKS: list[tuple[str, PreemptionCandidate, PreemptionCandidate]] = [
    ("fewest violations", candidate("a", (9, 0.0)), candidate("b", (1, 0.0), violations=1)),
    ("lowest top priority", candidate("a", (4, 0.0), (4, 0.0)), candidate("b", (5, 0.0))),
    ("smallest sum", candidate("a", (5, 0.0), (1, 0.0)), candidate("b", (5, 0.0), (2, 0.0))),
    ("fewest victims", candidate("a", (5, 0.0)), candidate("b", (5, 0.0), (-(2**31), 0.0))),
    ("latest start", candidate("a", (5, 20.0)), candidate("b", (5, 10.0))),
    (
        "of the most important only",
        candidate("a", (5, 20.0), (1, 0.0)),
        candidate("b", (5, 10.0), (1, 90.0)),
    ),
    (
        "the earliest of them",
        candidate("a", (5, 20.0), (5, 30.0)),
        candidate("b", (5, 10.0), (5, 90.0)),
    ),
]


@pytest.mark.parametrize(("_rule", "better", "worse"), PICKS, ids=[row[0] for row in PICKS])
def test_the_node_with_least_harm_is_picked(
    _rule: str, better: PreemptionCandidate, worse: PreemptionCandidate
) -> None:
    """The result does not depend on the order, except among equals."""
    assert pick_node([better, worse], started).node == better.node
    assert pick_node([worse, better], started).node == better.node
    twins = [candidate("x", (1, 0.0)), candidate("y", (1, 0.0))]
    assert pick_node(twins, started).node == "x"


def test_many_negative_priorities_are_no_smaller_sum() -> None:
    """Priorities are shifted by 2^31, so more victims have a larger sum."""
    few, many = candidate("few", (-10, 0.0)), candidate("many", (-10, 0.0), (-10, 0.0))
    assert pick_node([many, few], started).node == "few"


def test_who_may_preempt() -> None:
    """A pod with policy Never, or with terminating victims, may not preempt."""
    never = pod("p", priority=10, preemptionPolicy="Never")
    assert why_not_eligible(never, None, False) == "not eligible due to preemptionPolicy=Never."
    going = placed("going", "1", 1)
    going["metadata"]["deletionTimestamp"] = "2025-01-01T00:00:00Z"
    here = Snapshot.of([node()], [going])["n1"]
    assert why_not_eligible(HIGH, here, False) == ""  # somebody else deleted it
    condition = {"type": "DisruptionTarget", "status": "True", "reason": BY_SCHEDULER}
    going["status"]["conditions"] = [condition]
    assert is_terminating_victim(going)
    here = Snapshot.of([node()], [going])["n1"]
    words = "not eligible due to a terminating pod on the nominated node."
    assert why_not_eligible(HIGH, here, False) == words
    assert why_not_eligible(HIGH, here, True) == ""
    assert why_not_eligible(pod("p", priority=1), here, False) == ""


def test_how_many_candidates_are_enough() -> None:
    """A tenth of the nodes, at least 100; one candidate must violate no budget."""
    assert [enough_candidates(n, 10, 100) for n in (5, 100, 999, 2000)] == [5, 100, 100, 200]
    nodes = [node(f"n{n}", cpu="1") for n in range(6)]
    pods = [
        placed(f"v{n}", "1", 0, on=f"n{n}", labels={"app": "x" if n < 3 else "y"}) for n in range(6)
    ]
    snapshot = Snapshot.of(nodes, pods, [budget(0, app="x")])
    framework, state = Framework(default_profile()), CycleState(snapshot)
    framework.pre_filter(HIGH, state)

    def tried(offset: int, wanted: int) -> list[str]:
        result, refused = find_candidates(
            framework,
            Nominator(),
            HIGH,
            snapshot.nodes,
            state,
            started,
            offset=offset,
            wanted=wanted,
        )
        assert refused == {}
        return [c.node for c in result]

    assert tried(0, 2) == ["n3", "n0", "n1", "n2"]
    assert tried(3, 1) == ["n3"]
    assert tried(5, 2) == ["n5", "n0"]


def test_dry_runs_leave_the_cluster_as_it_is() -> None:
    """Dry runs change neither nodes nor states."""
    snapshot = Snapshot.of([node(cpu="1")], [placed("v", "1", 0)])
    framework, state = Framework(default_profile()), CycleState(snapshot)
    framework.pre_filter(HIGH, state)
    find_candidates(
        framework, Nominator(), HIGH, snapshot.nodes, state, started, offset=0, wanted=1
    )
    assert list(snapshot["n1"].pods) == ["default/v"]
    assert not framework.filter(HIGH, snapshot["n1"], state).ok


def test_affinity_is_judged_again_with_the_victims_gone() -> None:
    """The pod with anti-affinity is the victim although resources are free."""
    term = {"labelSelector": {"matchLabels": {"app": "high"}}, "topologyKey": HOST}
    shy = placed("shy", "1", 1, affinity={"podAntiAffinity": {REQUIRED: [term]}})
    incoming = pod("high", "1", priority=10, labels={"app": "high"})
    assert victims(incoming, [node(cpu="9")], [shy, placed("plain", "1", 0)]) == (["shy"], 0)


def test_nominated_pods_hold_their_room() -> None:
    """Nominated pods count for pods of lower or equal priority only, not for themselves."""
    framework, snapshot = Framework(default_profile()), Snapshot.of([node(cpu="1")])
    nominator = Nominator()
    nominator.add(pod("waiting", "1", priority=5), "n1")
    for priority, fits in ((4, False), (5, False), (6, True)):
        incoming, state = pod("p", "1", priority=priority), CycleState(snapshot)
        framework.pre_filter(incoming, state)
        assert (
            filter_with_nominated(framework, nominator, incoming, snapshot["n1"], state).ok is fits
        )
    itself = pod("waiting", "1", priority=5)
    state = CycleState(snapshot)
    framework.pre_filter(itself, state)
    assert filter_with_nominated(framework, nominator, itself, snapshot["n1"], state).ok
    nominator.remove("default/waiting")
    assert len(nominator) == 0


# -- the oddities of the original, copied ---------------------------------------------------------


def test_oddity_a_skipped_plug_in_stays_skipped() -> None:
    """A pod whose filter is skipped ignores the anti-affinity of a nominated pod."""
    term = {"labelSelector": {"matchLabels": {"app": "web"}}, "topologyKey": HOST}
    rule = {"podAntiAffinity": {REQUIRED: [term]}}
    nominator = Nominator()
    nominator.add(pod("shy", "100m", priority=9, affinity=rule), "n1")
    framework, snapshot = Framework(default_profile()), Snapshot.of([node()])
    incoming, state = pod("web", labels={"app": "web"}), CycleState(snapshot)
    framework.pre_filter(incoming, state)
    assert filter_with_nominated(framework, nominator, incoming, snapshot["n1"], state).ok


def test_oddity_a_terminating_pod_leaves_a_count_that_never_held_it() -> None:
    """w2 alone is the victim, although only the removal of w1 would help."""
    labels = {"app": "w"}
    going = placed("w2", "1", 0, labels=labels)
    going["metadata"]["deletionTimestamp"] = "2025-01-01T00:00:00Z"
    taint = {"key": "k", "effect": "NoSchedule"}
    nodes = [node("n1", zone="a"), node("n2", zone="b", taints=[taint])]
    constraint = {
        "maxSkew": 1,
        "topologyKey": ZONE,
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": labels},
    }
    incoming = pod("w3", "1", priority=10, labels=labels, topologySpreadConstraints=[constraint])
    assert victims(incoming, nodes, [placed("w1", "1", 5, labels=labels), going]) == (["w2"], 0)
