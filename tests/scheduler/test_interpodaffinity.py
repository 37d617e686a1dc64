"""InterPodAffinity: three filters in order, and the score."""

from __future__ import annotations

from typing import Any

import pytest
from sched_builders import HOST, ZONE, filtered, node, passing, pod, scored

from kubesim.scheduler import Code, CycleState, Framework, Snapshot
from kubesim.scheduler.plugins.interpodaffinity import InterPodAffinity

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
DB, WEB = {"app": "db"}, {"app": "web"}
PLUGIN = [InterPodAffinity()]
NODES = [node("a1", zone="a"), node("a2", zone="a"), node("b", zone="b"), node("x")]


def term(labels: Any = None, key: str = ZONE, **more: Any) -> dict[str, Any]:
    """Return a term that selects pods by labels; None: a null selector."""
    selector = {} if labels is None else {"labelSelector": {"matchLabels": labels}}
    return {"topologyKey": key, **selector, **more}


def near(*terms: Any) -> dict[str, Any]:
    """Return a spec with required affinity."""
    return {"affinity": {"podAffinity": {REQUIRED: list(terms)}}}


def far(*terms: Any) -> dict[str, Any]:
    """Return a spec with required anti-affinity."""
    return {"affinity": {"podAntiAffinity": {REQUIRED: list(terms)}}}


def wish(kind: str, weight: int, what: Any) -> dict[str, Any]:
    """Return a spec with a preferred term."""
    return {"affinity": {kind: {PREFERRED: [{"weight": weight, "podAffinityTerm": what}]}}}


def test_own_affinity() -> None:
    """All nodes of the domain pass, nodes without the key never; refusals are unresolvable."""
    snapshot = Snapshot.of(NODES, [pod("db", labels=DB, on="a1")])
    statuses = filtered(PLUGIN, pod(**near(term(DB))), snapshot)
    assert [n for n, s in statuses.items() if s.ok] == ["a1", "a2"]
    for name in ("b", "x"):
        assert statuses[name].code is Code.UNRESOLVABLE
        assert statuses[name].reasons == ("node(s) didn't match pod affinity rules",)


def test_all_terms_must_match_the_same_pod() -> None:
    """One existing pod must match all terms."""
    both = near(term(DB), term({"tier": "back"}, HOST))
    halves = [pod("p", labels=DB, on="a1"), pod("q", labels={"tier": "back"}, on="a1")]
    assert passing(PLUGIN, pod(**both), Snapshot.of(NODES, halves)) == []
    whole = [pod("p", labels={**DB, "tier": "back"}, on="a1")]
    assert passing(PLUGIN, pod(**both), Snapshot.of(NODES, whole)) == ["a1"]


def test_the_first_of_a_group_goes_anywhere_with_the_keys() -> None:
    """This holds only if no pod of the cluster matches and the pod matches its own terms."""
    itself = pod(labels=WEB, **near(term(WEB)))
    assert passing(PLUGIN, itself, Snapshot.of(NODES)) == ["a1", "a2", "b"]
    assert passing(PLUGIN, pod(**near(term(WEB))), Snapshot.of(NODES)) == []
    somewhere = Snapshot.of(NODES, [pod("w", labels=WEB, on="b")])
    assert passing(PLUGIN, itself, somewhere) == ["b"]
    # A matching pod on a node without the key belongs to no domain and does not count.
    unplaced = Snapshot.of(NODES, [pod("w", labels=WEB, on="x")])
    assert passing(PLUGIN, itself, unplaced) == ["a1", "a2", "b"]


def test_own_anti_affinity() -> None:
    """Each term counts by itself; a node without the key passes."""
    snapshot = Snapshot.of(NODES, [pod("db", labels=DB, on="a1"), pod("w", labels=WEB, on="b")])
    statuses = filtered(PLUGIN, pod(**far(term(DB), term(WEB, HOST))), snapshot)
    assert [n for n, s in statuses.items() if s.ok] == ["x"]
    assert statuses["a2"].code is Code.UNSCHEDULABLE
    assert statuses["a2"].reasons == ("node(s) didn't match pod anti-affinity rules",)


def test_anti_affinity_of_those_who_are_there() -> None:
    """The anti-affinity of existing pods excludes the pod from their domain."""
    shy = pod("shy", labels=DB, on="a1", **far(term(WEB)))
    statuses = filtered(PLUGIN, pod(labels=WEB), Snapshot.of(NODES, [shy]))
    assert {n for n, s in statuses.items() if s.ok} == {"b", "x"}
    assert statuses["a2"].code is Code.UNSCHEDULABLE
    assert statuses["a2"].reasons == ("node(s) didn't satisfy existing pods anti-affinity rules",)


def test_the_order_of_the_checks() -> None:
    """Affinity is checked first, then anti-affinity, then that of existing pods."""
    shy = pod("shy", labels=DB, on="a1", **far(term(WEB)))
    rules = {**near(term({"none": "x"}))["affinity"], **far(term(DB))["affinity"]}
    status = filtered(PLUGIN, pod(labels=WEB, affinity=rules), Snapshot.of(NODES, [shy]))["a1"]
    assert status.message == "node(s) didn't match pod affinity rules"
    status = filtered(PLUGIN, pod(labels=WEB, **far(term(DB))), Snapshot.of(NODES, [shy]))["a1"]
    assert status.message == "node(s) didn't match pod anti-affinity rules"


def test_terminating_pods_count() -> None:
    """Terminating pods count, unlike in topology spread."""
    going = pod("going", labels=DB, on="a1")
    going["metadata"]["deletionTimestamp"] = "2025-01-01T00:00:00Z"
    assert passing(PLUGIN, pod(**far(term(DB))), Snapshot.of(NODES, [going])) == ["b", "x"]


SPACES = [
    {"kind": "Namespace", "metadata": {"name": "red", "labels": {"team": "r"}}},
    {"kind": "Namespace", "metadata": {"name": "blue", "labels": {"team": "b"}}},
]
TEAM_R = {"matchLabels": {"team": "r"}}


@pytest.mark.parametrize(
    ("more", "hit"),
    [
        ({}, {"default"}),
        ({"namespaces": ["red"]}, {"red"}),
        ({"namespaceSelector": TEAM_R}, {"red"}),
        ({"namespaceSelector": {}}, {"default", "red", "blue"}),
        ({"namespaces": ["blue"], "namespaceSelector": TEAM_R}, {"red", "blue"}),
        ({"namespaces": [], "namespaceSelector": None}, {"default"}),
    ],
)
def test_namespaces_of_a_term(more: Any, hit: set[str]) -> None:
    """Namespaces are selected by name or label; the default is the pod's own."""
    for space in ("default", "red", "blue"):
        other = pod("db", labels=DB, on="a1", namespace=space)
        snapshot = Snapshot.of(NODES, [other], SPACES)
        refused = "a1" not in passing(PLUGIN, pod(**far(term(DB, **more))), snapshot)
        assert refused is (space in hit), space


def test_selectors_of_a_term() -> None:
    """A null selector matches no pod, an empty one all; label keys are merged."""
    snapshot = Snapshot.of(NODES, [pod("o", labels={**WEB, "rev": "1"}, on="a1")])
    assert "a1" in passing(PLUGIN, pod(**far(term(None))), snapshot)
    assert "a1" not in passing(PLUGIN, pod(**far(term({}))), snapshot)
    mine = {**WEB, "rev": "2"}
    for field, free in (("matchLabelKeys", True), ("mismatchLabelKeys", False)):
        incoming = pod(labels=mine, **far(term(WEB, **{field: ["rev"]})))
        assert ("a1" in passing(PLUGIN, incoming, snapshot)) is free


def test_it_is_skipped_without_terms() -> None:
    """PreFilter is skipped without terms and without matching anti-affinity."""
    shy = pod("shy", on="a1", **far(term(DB)))
    for others, skipped in (([], True), ([shy], True)):
        state = CycleState(Snapshot.of(NODES, others))
        Framework(PLUGIN).pre_filter(pod(labels=WEB), state)
        assert ("InterPodAffinity" in state.skip_filter) is skipped
    state = CycleState(Snapshot.of(NODES, [shy]))
    Framework(PLUGIN).pre_filter(pod(labels=DB), state)
    assert state.skip_filter == set()


def test_hypothetical_pods() -> None:
    """Removing a pod with anti-affinity frees its domain; adding it blocks the domain."""
    framework, snapshot = (
        Framework(PLUGIN),
        Snapshot.of(NODES, [pod("shy", labels=DB, on="a1", **far(term(WEB)))]),
    )
    incoming, state = pod(labels=WEB), CycleState(snapshot)
    framework.pre_filter(incoming, state)
    twin, place = state.clone(), snapshot["a1"].clone()
    shy = place.pods["default/shy"]
    framework.remove_pod(incoming, shy, place, twin)
    assert framework.filter(incoming, place, twin).ok
    framework.add_pod(incoming, shy, place, twin)
    assert not framework.filter(incoming, place, twin).ok
    assert not framework.filter(incoming, snapshot["a1"], state).ok


def test_a_pod_that_is_taken_away_was_counted_once() -> None:
    """Removing a pod frees the domain that it blocked, and blocks one that needed it."""
    other = pod("db", labels=DB, on="a1")
    snapshot = Snapshot.of(NODES, [other])
    for rule, before, after in ((far(term(DB)), False, True), (near(term(DB)), True, False)):
        framework, incoming, state = Framework(PLUGIN), pod(**rule), CycleState(snapshot)
        framework.pre_filter(incoming, state)
        assert framework.filter(incoming, snapshot["a2"], state).ok is before
        twin, place = state.clone(), snapshot["a1"].clone()
        framework.remove_pod(incoming, place.pods["default/db"], place, twin)
        assert framework.filter(incoming, place, twin).ok is after


# -- scores ---------------------------------------------------------------------------------------


def test_worked_example_six() -> None:
    """Preferred anti-affinity 10 against zones with 2, 1, 1 pods: 0, 100, 100."""
    nodes = [node(z, zone=z) for z in "abc"]
    pods = [
        pod(f"p{z}{n}", labels=DB, on=z)
        for z, c in zip("abc", (2, 1, 1), strict=True)
        for n in range(c)
    ]
    cycle = scored(PLUGIN, pod(**wish("podAntiAffinity", 10, term(DB))), Snapshot.of(nodes, pods))
    assert cycle.raw["InterPodAffinity"] == {"a": -20, "b": -10, "c": -10}
    assert cycle.scores["InterPodAffinity"] == {"a": 0, "b": 100, "c": 100}


def test_wishes_of_those_who_are_there_count() -> None:
    """Preferred terms count with their weight, required ones with hardPodAffinityWeight."""
    nodes = [node(z, zone=z) for z in "abcd"]
    pods = [
        pod("likes", on="a", **wish("podAffinity", 5, term(WEB))),
        pod("dislikes", on="b", **wish("podAntiAffinity", 5, term(WEB))),
        pod("needs", on="c", **near(term(WEB))),
        pod("indifferent", on="d", **near(term(DB))),
    ]
    incoming, snapshot = pod(labels=WEB), Snapshot.of(nodes, pods)
    assert scored(PLUGIN, incoming, snapshot).raw["InterPodAffinity"] == {
        "a": 5,
        "b": -5,
        "c": 1,
        "d": 0,
    }
    heavy = [InterPodAffinity(hard_weight=20)]
    assert scored(heavy, incoming, snapshot).raw["InterPodAffinity"]["c"] == 20
    deaf = [InterPodAffinity(ignore_preferred_of_existing=True)]
    assert scored(deaf, incoming, snapshot).scores == {}
    assert scored(PLUGIN, incoming, snapshot).scores["InterPodAffinity"] == {
        "a": 100,
        "b": 0,
        "c": 60,
        "d": 50,
    }


def test_nothing_added_is_a_skip_and_equal_sums_are_zero() -> None:
    """A skipped plug-in adds nothing; equal scores are normalized to 0."""
    nodes = [node("a", zone="z"), node("b", zone="z")]
    incoming = pod(**wish("podAffinity", 1, term(DB)))
    assert scored(PLUGIN, incoming, Snapshot.of(nodes)).scores == {}
    same = scored(PLUGIN, incoming, Snapshot.of(nodes, [pod("d", labels=DB, on="a")]))
    assert same.scores["InterPodAffinity"] == {"a": 0, "b": 0}
