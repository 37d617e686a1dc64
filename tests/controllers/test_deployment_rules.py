"""Deployments without a cluster: passes, revisions, history; the specification's figures."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubesim.controllers.deployment import revisions
from kubesim.controllers.deployment.plan import (
    DeploymentFacts,
    OwnedSet,
    recreate,
    roll,
)
from kubesim.controllers.deployment.rolling import (
    Fenceposts,
    ReplicaSetState,
    proportional_sizes,
)
from kubesim.controllers.deployment.scaling import is_scaling_event, scale
from kubesim.controllers.shared import template_hash
from kubesim.objects.wellknown import LAST_APPLIED


def owned(name: str, replicas: int, available: int | None = None, **options: Any) -> OwnedSet:
    """A ReplicaSet with all pods available, scaled last when ten were wanted."""
    desired, pods = options.pop("desired", 10), options.pop("pods", replicas)
    state = ReplicaSetState(name, replicas, replicas if available is None else available, **options)
    return OwnedSet(state, desired, pods)


def facts(
    new: OwnedSet | None,
    *old: OwnedSet,
    replicas: int = 10,
    surge: int = 3,
    deleted: int = 2,
    **more: Any,
) -> DeploymentFacts:
    """Ten replicas at 25 %/25 % unless said."""
    return DeploymentFacts(replicas, Fenceposts(surge, deleted), new, old, new_name="new", **more)


# -- rolling update --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "create", "sizes"),
    [
        # The worked example, pass by pass.
        (facts(None, owned("old", 10)), 3, {"old": 8}),
        (facts(owned("new", 3, 0), owned("old", 8)), None, {"new": 5}),
        (facts(owned("new", 5, 0), owned("old", 8)), None, {}),
        (facts(owned("new", 5), owned("old", 8)), None, {"old": 3}),
        (facts(owned("new", 5), owned("old", 3)), None, {"new": 10}),
        (facts(owned("new", 10, 5), owned("old", 3)), None, {}),
        (facts(owned("new", 10), owned("old", 3)), None, {"old": 0}),
        (facts(owned("new", 10), owned("old", 0)), None, {}),
        # A first rollout gets everything at once.
        (facts(None), 10, {}),
        # Ill old pods go first, and free nothing for the others.
        (facts(owned("new", 0), owned("old", 10, 8), surge=0), None, {"old": 8}),
        # Too large: down to the wish.
        (facts(owned("new", 12), owned("old", 0)), None, {"new": 10}),
        # Without surge the old make room first.
        (facts(None, owned("old", 10), surge=0), 0, {"old": 8}),
        (facts(owned("new", 0), owned("old", 8), surge=0), None, {"new": 2}),
        # One replica: 1 more, none less.
        (facts(None, owned("old", 1), replicas=1, surge=1, deleted=0), 1, {}),
        (facts(owned("new", 1, 0), owned("old", 1), replicas=1, surge=1, deleted=0), None, {}),
        (facts(owned("new", 1), owned("old", 1), replicas=1, surge=1, deleted=0), None, {"old": 0}),
        # Several old ones: the oldest shrinks first.
        (facts(owned("new", 5), owned("a", 3), owned("b", 5)), None, {"a": 0, "b": 3}),
        (facts(owned("new", 3, 0), owned("a", 3, 2), owned("b", 7)), None, {"a": 1}),
    ],
)
def test_a_rolling_pass(state: DeploymentFacts, create: int | None, sizes: dict[str, int]) -> None:
    """Up before down; after a creation the same sync scales the old ones down."""
    decided = roll(state)
    assert decided.create == create
    assert dict(decided.sizes) == sizes
    assert decided.binding


def test_a_stuck_rollout_says_what_would_free_it() -> None:
    """Budget arithmetic, and the smallest change after which an old pod is deleted."""
    decided = roll(facts(owned("new", 5, 0), owned("old", 8)))
    assert decided.waiting
    assert "5 of 5 new pods are not available" in decided.binding
    assert "8 must stay available, 8 are" in decided.binding
    assert decided.unless.startswith("a pod of new becomes available, or maxUnavailable is raised")
    down = next(step for step in decided.steps if step.rule == "scale down")
    assert "13 pods - 8 that must stay - 5 new ones not available = 0" in down.result
    up = next(step for step in decided.steps if step.rule == "scale up")
    assert up.result == "new stays at 5: 13 pods, 13 are allowed"


@given(
    replicas=st.integers(0, 20),
    surge=st.integers(0, 5),
    deleted=st.integers(0, 5),
    new=st.integers(0, 20),
    ready=st.integers(0, 20),
    olds=st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=4),
)
def test_what_is_said_to_free_a_stuck_rollout_does(
    replicas: int, surge: int, deleted: int, new: int, ready: int, olds: list[tuple[int, int]]
) -> None:
    """If a pod more is said to help, then with a pod more the next pass takes an old one."""
    deleted = deleted or (0 if surge else 1)
    old = [owned(str(n), size, min(size, good)) for n, (size, good) in enumerate(olds)]
    before = owned("new", new, min(new, ready))
    decided = roll(facts(before, *old, replicas=replicas, surge=surge, deleted=deleted))
    if decided.waiting and decided.unless.startswith("a pod of new becomes"):
        after = owned("new", new, min(new, ready) + 1)
        freed = roll(facts(after, *old, replicas=replicas, surge=surge, deleted=deleted))
        assert any(name != "new" for name in freed.sizes)


@given(st.integers(1, 30), st.integers(0, 6), st.integers(0, 6), st.randoms())
def test_a_rollout_stays_between_its_limits_and_ends(
    replicas: int, surge: int, deleted: int, rng: Any
) -> None:
    """From all old to all new: never above the surge, never below what must be available."""
    deleted = deleted or (0 if surge else 1)
    old, new = replicas, 0
    ready, created = 0, False
    for _ in range(20 * replicas + 20):
        state = facts(
            owned("new", new, ready) if created else None,
            owned("old", old),
            replicas=replicas,
            surge=surge,
            deleted=deleted,
        )
        decided = roll(state)
        if decided.create is not None:
            new, created = decided.create, True
        new, old = decided.sizes.get("new", new), decided.sizes.get("old", old)
        assert old + new <= replicas + surge
        assert old + ready >= replicas - state.unavailable
        if not decided.sizes and decided.create is None:
            if old == 0 and ready == replicas:
                return
            ready = min(new, ready + rng.randint(1, 3))
    raise AssertionError("the rollout did not end")


# -- scaling, recreate -----------------------------------------------------------------------------


def test_a_scaling_event_is_seen_by_the_annotation_of_active_sets() -> None:
    """An empty ReplicaSet, or one without the annotation, says nothing."""
    assert is_scaling_event(facts(owned("new", 5), owned("old", 8), replicas=50))
    assert not is_scaling_event(facts(owned("new", 5), owned("old", 8)))
    assert not is_scaling_event(facts(owned("new", 10), owned("old", 0, desired=3)))
    assert not is_scaling_event(facts(owned("new", 10, desired=None), replicas=50))


@pytest.mark.parametrize(
    ("state", "sizes"),
    [
        (facts(owned("new", 10), owned("old", 0), replicas=4), {"new": 4}),
        (facts(owned("new", 0), owned("old", 10), replicas=4), {"old": 4}),
        (facts(owned("new", 0), owned("old", 0), replicas=4), {"new": 4}),
        (facts(None, owned("older", 0), owned("old", 0), replicas=4), {"old": 4}),
        (facts(None, replicas=4), {}),
        (facts(owned("new", 10), owned("old", 3)), {"old": 0}),
        (facts(owned("new", 10, desired=9), owned("old", 3), rolling=False), {}),
        (
            facts(
                owned("new", 5, max_replicas=13),
                owned("old", 8, max_replicas=13),
                replicas=50,
                surge=6,
            ),
            {"old": 34, "new": 22},
        ),
        (
            facts(
                owned("new", 2, created=9.0, max_replicas=5),
                owned("old", 3, max_replicas=5),
                replicas=10,
                surge=0,
            ),
            {"old": 6, "new": 4},
        ),
        (
            facts(
                owned("new", 2, created=9.0, max_replicas=13),
                owned("old", 3, max_replicas=13),
                owned("mid", 8, created=5.0, max_replicas=13),
                replicas=8,
                surge=0,
            ),
            {"mid": 5, "old": 2, "new": 1},
        ),
        (facts(owned("new", 2), owned("old", 3), replicas=0), {"old": 0, "new": 0}),
    ],
)
def test_only_scaling(state: DeploymentFacts, sizes: dict[str, int]) -> None:
    """One active gets all; a saturated new one ends the old; several share in proportion."""
    assert dict(scale(state).sizes) == sizes


@pytest.mark.parametrize(
    ("replicas", "surge", "before", "bases", "after"),
    [
        # Sizes from the newest to the oldest; `bases` are their annotations max-replicas.
        (3, 0, (2, 3), 5, (1, 2)),
        (4, 0, (8, 1), 9, (4, 0)),
        (10, 0, (2, 3, 2), 7, (3, 4, 3)),
        (8, 0, (2, 8, 3), 13, (1, 5, 2)),
        (4, 0, (1, 1, 1), 3, (2, 1, 1)),
        (2, 0, (1, 1, 1), 3, (1, 1, 0)),
        (5, 0, (2, 2), 4, (3, 2)),
        (0, 0, (3, 2, 1), 6, (0, 0, 0)),
        (20, 2, (6, 6), 12, (11, 11)),
        (14, 0, (7, 3), 10, (10, 4)),
        (50, 6, (5, 8), 13, (22, 34)),
        (5, 0, (2, 1, 1), (5, 3, 5), (2, 2, 1)),
        (2, 1, (2, 1), 3, (2, 1)),
        # Nothing is left after the first share: the others keep their sizes.
        (10, 0, (2, 9), (8, 15), (2, 8)),
        (10, 0, (9, 2), (15, 8), (8, 2)),
        (12, 0, (2, 9), (11, 9), (2, 10)),
    ],
)
def test_proportional_scaling(
    replicas: int, surge: int, before: tuple[int, ...], bases: Any, after: tuple[int, ...]
) -> None:
    """By share, the leftover to the largest."""
    each = bases if isinstance(bases, tuple) else (bases,) * len(before)
    sets = [
        owned(f"v{len(before) - i}", size, 0, created=float(-i), max_replicas=each[i])
        for i, size in enumerate(before)
    ]
    oldest_first = sorted(sets, key=lambda one: one.state.created)
    actual = scale(facts(None, *oldest_first, replicas=replicas, surge=surge, deleted=0))
    names = [one.state.name for one in sets]
    sizes = {one.state.name: one.state.replicas for one in sets} | dict(actual.sizes)
    assert tuple(sizes[name] for name in names) == after
    assert set(actual.refresh) == set(names), "the annotations follow, even where no size changes"


@given(
    replicas=st.integers(0, 60),
    surge=st.integers(0, 10),
    sizes=st.lists(st.integers(1, 30), min_size=2, max_size=5),
    extra=st.integers(0, 10),
)
def test_proportional_scaling_never_misses_its_sum(
    replicas: int, surge: int, sizes: list[int], extra: int
) -> None:
    """Growing or shrinking, the sizes add up to what is allowed, and none is negative."""
    base = sum(sizes) + extra
    old = [owned(str(n), size, max_replicas=base) for n, size in enumerate(sizes)]
    actual = scale(facts(None, *old, replicas=replicas, surge=surge, deleted=1))
    after = [actual.sizes.get(str(n), size) for n, size in enumerate(sizes)]
    assert sum(after) == (replicas + surge if replicas else 0)
    assert min(after) >= 0


def test_ties_of_a_growing_rollout_go_to_the_newest() -> None:
    """Equal sizes: the leftover goes to the newest when growing, is taken from the oldest else."""
    pair = [
        ReplicaSetState(name, 5, created=at, max_replicas=10) for name, at in (("a", 0), ("b", 1))
    ]
    assert proportional_sizes(pair, replicas=11, surge=0) == {"a": 5, "b": 6}
    assert proportional_sizes(pair, replicas=9, surge=0) == {"a": 4, "b": 5}
    same = [ReplicaSetState(name, 5, max_replicas=10) for name in "ab"]
    assert proportional_sizes(same, replicas=11, surge=0) == {"a": 5, "b": 6}
    assert proportional_sizes(same, replicas=9, surge=0) == {"a": 4, "b": 5}


@pytest.mark.parametrize(
    ("state", "create", "sizes", "waiting"),
    [
        (facts(None, owned("old", 10), rolling=False), None, {"old": 0}, False),
        (facts(None, owned("old", 0, pods=2), rolling=False), None, {}, True),
        (facts(None, owned("old", 0), rolling=False, old_pods=1), None, {}, True),
        (facts(None, owned("old", 0), rolling=False), 10, {}, False),
        (facts(owned("new", 0), owned("old", 0), rolling=False), None, {"new": 10}, False),
        (facts(owned("new", 10, 4), owned("old", 0), rolling=False), None, {}, True),
        (facts(owned("new", 10), owned("old", 0), rolling=False), None, {}, False),
    ],
)
def test_recreate(
    state: DeploymentFacts, create: int | None, sizes: dict[str, int], waiting: bool
) -> None:
    """All old ones to 0, then a wait for the last old pod, then all new ones."""
    decided = recreate(state)
    assert (decided.create, dict(decided.sizes), decided.waiting) == (create, sizes, waiting)


# -- revisions -------------------------------------------------------------------------------------


def replicaset(name: str, revision: str | None = None, **options: Any) -> dict[str, Any]:
    """An empty ReplicaSet that its controller has seen."""
    notes = {} if revision is None else {revisions.REVISION: revision}
    size, pods = options.get("size", 0), options.get("pods", options.get("size", 0))
    return {
        "metadata": {
            "name": name,
            "generation": 1,
            "annotations": {**notes, **options.get("notes", {})},
            "creationTimestamp": options.get("created", "2025-01-01T00:00:00Z"),
            **options.get("metadata", {}),
        },
        "spec": {"replicas": size, "template": options.get("template", {"spec": {}})},
        "status": {"replicas": pods, "observedGeneration": options.get("seen", 1)},
    }


def test_rolling_back_renumbers() -> None:
    """Revisions 1, 2, 3 with 3 current; back to 1: it gets 4 and notes that it was 1."""
    others = [replicaset("b", "2"), replicaset("c", "3")]
    number = revisions.next_revision(others)
    actual = revisions.annotations_for_new({"metadata": {}}, {revisions.REVISION: "1"}, number)
    assert actual == {revisions.REVISION: "4", revisions.REVISION_HISTORY: "1"}
    again = revisions.annotations_for_new({"metadata": {}}, actual, 7)
    assert again == {revisions.REVISION: "7", revisions.REVISION_HISTORY: "1,4"}


def test_a_revision_is_only_ever_raised() -> None:
    """Newer than all old ones, or no number at all: left alone."""
    for present in ({revisions.REVISION: "9"}, {revisions.REVISION: "x"}):
        assert revisions.annotations_for_new({"metadata": {}}, present, 4) == present
    assert revisions.next_revision([replicaset("a", "x"), replicaset("b", "3")]) == 4
    assert revisions.next_revision([]) == 1
    assert revisions.previous_revision([replicaset("a", "3"), replicaset("b", "5")]) == 3
    assert revisions.previous_revision([replicaset("a", "3")]) == 0


def test_the_history_annotation_stays_below_two_thousand_characters() -> None:
    """The oldest numbers are dropped."""
    long = ",".join(str(n) for n in range(1000, 1400))
    assert len(long) == 1999
    present = {revisions.REVISION: "1400", revisions.REVISION_HISTORY: long}
    actual = revisions.annotations_for_new({"metadata": {}}, present, 1500)
    history = actual[revisions.REVISION_HISTORY]
    assert len(history) == 1999
    assert history.startswith("1001,")
    assert history.endswith(",1400")


def test_annotations_are_copied_but_its_own() -> None:
    """change-cause goes along; last-applied and the controller's own do not."""
    notes = {
        "kubernetes.io/change-cause": "new image",
        LAST_APPLIED: "{}",
        revisions.DESIRED: "7",
        revisions.REVISION: "12",
    }
    actual = revisions.annotations_for_new({"metadata": {"annotations": notes}}, {}, 1)
    assert actual == {"kubernetes.io/change-cause": "new image", revisions.REVISION: "1"}


@pytest.mark.parametrize(
    ("limit", "sets", "deleted"),
    [
        (1, [("a", "1", 1), ("b", "2", 0), ("c", "3", 0)], ["b"]),
        (0, [("a", "1", 0), ("b", "2", 0)], ["a", "b"]),
        (2, [("c", "3", 0), ("a", "1", 0), ("b", "2", 0)], ["a"]),
        (2, [("a", "1", 1), ("b", "2", 0), ("c", "3", 0)], []),
        (None, [("a", "1", 0)], []),
        (2**31 - 1, [("a", "1", 0)], []),
        (1, [("b", None, 0), ("a", None, 0)], ["a"]),
        (1, [("b", "1", 0), ("a", None, 0)], ["a"]),
    ],
)
def test_the_history_limit(limit: int | None, sets: list[Any], deleted: list[str]) -> None:
    """Only the first excess ones are candidates; one with pods is kept, and not replaced."""
    actual = revisions.beyond_history_limit([replicaset(n, r, size=s) for n, r, s in sets], limit)
    assert [rs["metadata"]["name"] for rs in actual] == deleted


def test_history_takes_only_what_is_empty_by_wish_and_in_fact() -> None:
    """Of four in excess, the one that wants no pods and has none."""
    sets = [replicaset(f"{s}{p}", "1", size=s, pods=p) for s in (0, 1) for p in (0, 1)]
    assert [rs["metadata"]["name"] for rs in revisions.beyond_history_limit(sets, 0)] == ["00"]


def test_history_spares_what_is_not_settled() -> None:
    """Pods that still run, a generation not observed yet, or a deletion under way."""
    sets = [
        replicaset("a", "1", pods=1),
        replicaset("b", "2", seen=0),
        replicaset("c", "3", metadata={"deletionTimestamp": "t"}),
    ]
    assert revisions.beyond_history_limit(sets, 0) == []


def test_hashes_and_names() -> None:
    """Digits in the suffix alphabet; a collision gives another text; the label does not count."""
    assert template_hash.encode_hash(1234567890) == "56789bcdf4"
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": []}}
    text = template_hash.pod_template_hash(template)
    assert text == template_hash.pod_template_hash(dict(reversed(template.items())))
    assert set(text) <= set("456789bcdf")
    assert len(text) <= 10
    assert text != template_hash.pod_template_hash(template, 0)
    first, second = (template_hash.pod_template_hash(template, count) for count in (0, 1))
    assert first != second
    marked = {**template, "metadata": {"labels": {"app": "web", "pod-template-hash": "5"}}}
    assert revisions.equal_ignoring_hash(template, marked)
    assert not revisions.equal_ignoring_hash(template, {**template, "spec": {"x": 1}})


@pytest.mark.parametrize(
    ("more", "equal"),
    [
        ({"metadata": {"creationTimestamp": None}}, True),
        ({"spec": {"securityContext": {}, "nodeName": "", "volumes": []}}, True),
        ({"spec": {"priority": 0}}, False),
        ({"spec": {"hostNetwork": False}}, False),
        ({"spec": {"nodeName": "n"}}, False),
    ],
)
def test_a_field_that_says_nothing_is_as_good_as_none(more: dict[str, Any], equal: bool) -> None:
    """kubectl's rollback sends nulls along, and has to find the old ReplicaSet."""
    plain = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c"}]}}
    other = {key: {**plain[key], **more.get(key, {})} for key in plain}
    assert revisions.equal_ignoring_hash(plain, other) is equal
    assert revisions.equal_ignoring_hash(other, plain) is equal


def test_the_oldest_twin_is_the_new_one() -> None:
    """Two ReplicaSets of the present template: the younger one counts as old."""
    deployment = {"spec": {"template": {"spec": {"x": 1}}}}
    young = replicaset("a", created="2025-01-01T00:00:09Z", template={"spec": {"x": 1}})
    old = replicaset("b", created="2025-01-01T00:00:01Z", template={"spec": {"x": 1}})
    assert revisions.find_new(deployment, [young, old]) is old
    assert revisions.find_new(deployment, [replicaset("c")]) is None
