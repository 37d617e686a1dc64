"""Rollout arithmetic, deletion ranking, budgets, Job arithmetic: the specification's figures."""

from __future__ import annotations

from typing import Any

import pytest

from kubesim.controllers.deployment.rolling import (
    Fenceposts,
    ReplicaSetState,
    RolloutStatus,
    has_timed_out,
    is_complete,
    is_progressing,
    max_unavailable_of,
    new_replica_set_size,
    proportional_sizes,
    resolve_fenceposts,
    scale_down_old,
)
from kubesim.controllers.disruption.plan import (
    Budget,
    BudgetStatus,
    EvictionVerdict,
    desired_healthy,
    disruptions_allowed,
    eviction_verdict,
)
from kubesim.controllers.job.backoff import (
    backoff_for,
    backoff_limit_exceeded,
    format_indexes,
    missing_indexes,
    wanted_active,
)
from kubesim.controllers.shared.ranking import (
    RankedPod,
    age_class,
    parse_deletion_cost,
    rank_for_deletion,
    slow_start_batches,
)

HOUR = 3600.0


@pytest.mark.parametrize(
    ("surge", "unavailable", "replicas", "expected"),
    [
        ("39%", "39%", 10, (4, 3)),
        ("25%", "25%", 1, (1, 0)),
        ("25%", "25%", 10, (3, 2)),
        ("25%", "25%", 3, (1, 0)),
        ("0%", "1%", 10, (0, 1)),
        (0, 0, 5, (0, 1)),
        (None, None, 5, (0, 1)),
        (2, "50%", 4, (2, 2)),
    ],
)
def test_surge_rounds_up_and_unavailable_down(
    surge: Any, unavailable: Any, replicas: int, expected: tuple[int, int]
) -> None:
    """If both end at 0, unavailable becomes 1."""
    result = resolve_fenceposts(max_surge=surge, max_unavailable=unavailable, replicas=replicas)
    assert result == Fenceposts(*expected)


@pytest.mark.parametrize("text", ["25", "x%", "-5%", "2.5%"])
def test_a_percentage_must_be_one(text: str) -> None:
    """A text without % is no number here."""
    with pytest.raises(ValueError, match="25%"):
        resolve_fenceposts(max_surge=text, max_unavailable=0, replicas=3)


def test_a_rolling_update_of_ten_step_by_step() -> None:
    """The worked example: 3 new, old 8; then 5 new; then it waits for them to be available."""
    new = new_replica_set_size(replicas=10, surge=3, new_replicas=0, all_replicas=10)
    assert new == 3
    old = ReplicaSetState("old", 10, 10)
    fresh = ReplicaSetState("new", 3, 0, created=1.0)
    assert scale_down_old([old], fresh, replicas=10, unavailable=2) == {"old": 8}
    assert new_replica_set_size(replicas=10, surge=3, new_replicas=3, all_replicas=11) == 5
    old, fresh = ReplicaSetState("old", 8, 8), ReplicaSetState("new", 5, 0, created=1.0)
    assert scale_down_old([old], fresh, replicas=10, unavailable=2) == {}
    fresh = ReplicaSetState("new", 5, 5, created=1.0)
    assert scale_down_old([old], fresh, replicas=10, unavailable=2) == {"old": 3}
    assert new_replica_set_size(replicas=10, surge=3, new_replicas=5, all_replicas=8) == 10


def test_ill_old_pods_go_first() -> None:
    """Ten wanted, eight available: two ill ones are removed, and no good one."""
    old = ReplicaSetState("old", 10, 8)
    result = scale_down_old([old], ReplicaSetState("new", 0), replicas=10, unavailable=2)
    assert result == {"old": 8}


def test_unavailable_is_capped() -> None:
    """At replicas; 0 for Recreate and for nothing."""
    assert max_unavailable_of(5, 3) == 3
    assert max_unavailable_of(5, 0) == 0
    assert max_unavailable_of(5, 3, rolling=False) == 0


@pytest.mark.parametrize(
    ("active", "replicas", "surge", "expected"),
    [
        ([("new", 2, 9, 5), ("old", 3, 0, 5)], 10, 0, {"old": 6, "new": 4}),
        (
            [("new", 2, 9, 13), ("mid", 8, 5, 13), ("old", 3, 0, 13)],
            8,
            0,
            {"mid": 5, "old": 2, "new": 1},
        ),
        ([("old", 8, 0, 13), ("new", 5, 9, 13)], 50, 6, {"old": 34, "new": 22}),
        ([("old", 3, 0, 5), ("new", 2, 9, 5)], 0, 0, {"old": 0, "new": 0}),
    ],
)
def test_scaling_during_a_rollout_is_proportional(
    active: list[tuple[str, int, float, int]],
    replicas: int,
    surge: int,
    expected: dict[str, int],
) -> None:
    """By size; the leftover goes to the largest."""
    states = [ReplicaSetState(n, r, created=c, max_replicas=m) for n, r, c, m in active]
    assert proportional_sizes(states, replicas=replicas, surge=surge) == expected


def test_progress_and_deadline() -> None:
    """Strictly after the deadline; a finished rollout has none."""
    before, after = RolloutStatus(3, 1, 1, 1), RolloutStatus(3, 2, 1, 1)
    assert is_progressing(before, after)
    assert not is_progressing(after, before)
    assert is_complete(RolloutStatus(3, 3, 3, 3), 3)
    assert not is_complete(RolloutStatus(3, 3, 3, 3, observed=False), 3)
    assert not has_timed_out("ReplicaSetUpdated", 0.0, 600, now=600.0)
    assert has_timed_out("ReplicaSetUpdated", 0.0, 600, now=600.1)
    assert not has_timed_out("NewReplicaSetAvailable", 0.0, 600, now=9999.0)
    assert has_timed_out("ProgressDeadlineExceeded", 0.0, 600, now=1.0)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"node": ""}, {"node": "n"}),
        ({"phase": "Pending"}, {"phase": "Running"}),
        ({"phase": "Unknown"}, {"phase": "Running"}),
        ({"ready": False}, {"ready": True}),
        ({"deletion_cost": -5}, {"deletion_cost": 0}),
        ({"related_on_node": 3}, {"related_on_node": 1}),
        ({"ready_since": None}, {"ready_since": 0.0}),
        ({"ready_since": 8 * HOUR}, {"ready_since": 2 * HOUR}),
        ({"restarts": 4}, {"restarts": 0}),
        ({"created": 8 * HOUR}, {"created": 0.0}),
    ],
)
def test_who_is_deleted_first(first: dict[str, Any], second: dict[str, Any]) -> None:
    """Each rule by itself, the other facts equal; whatever the order of the input."""
    base = {"node": "n", "ready_since": 0.0}
    a, b = RankedPod("a", **{**base, **first}), RankedPod("b", **{**base, **second})
    now = 10 * HOUR
    assert [pod.uid for pod in rank_for_deletion([a, b], now)] == ["a", "b"]
    assert [pod.uid for pod in rank_for_deletion([b, a], now)] == ["a", "b"]


def test_ages_of_one_class_are_decided_by_uid() -> None:
    """5 h and 8 h are one class of powers of two; 2 h is younger and is deleted first."""
    now = 10 * HOUR
    pods = [
        RankedPod("c", "n", ready_since=now - 5 * HOUR),
        RankedPod("b", "n", ready_since=now - 8 * HOUR),
        RankedPod("z", "n", ready_since=now - 2 * HOUR),
    ]
    assert [pod.uid for pod in rank_for_deletion(pods, now)] == ["z", "b", "c"]
    assert age_class(5 * HOUR) == age_class(8 * HOUR) == 44
    assert age_class(2 * HOUR) == 42


@pytest.mark.parametrize(
    ("text", "cost"),
    [(None, 0), ("5", 5), ("-5", -5), ("05", 0), ("x", 0), ("", 0), ("9999999999", 0)],
)
def test_deletion_costs(text: str | None, cost: int) -> None:
    """Malformed counts 0."""
    assert parse_deletion_cost(text) == cost


def test_slow_start() -> None:
    """1, 2, 4, ... capped by the rest."""
    assert slow_start_batches(10) == [1, 2, 4, 3]
    assert slow_start_batches(0) == []
    assert sum(slow_start_batches(500)) == 500


@pytest.mark.parametrize(
    ("budget", "expected", "desired"),
    [
        (Budget(max_unavailable="30%"), 7, 4),
        (Budget(max_unavailable=2), 7, 5),
        (Budget(max_unavailable=9), 7, 0),
        (Budget(min_available=3), 7, 3),
        (Budget(min_available="50%"), 7, 4),
    ],
)
def test_disruption(budget: Budget, expected: int, desired: int) -> None:
    """Percentages round up, both of them."""
    assert desired_healthy(budget, expected) == desired


def test_disruptions_allowed() -> None:
    """Never negative; nothing expected, nothing allowed."""
    assert disruptions_allowed(healthy=5, desired=4, expected=5) == 1
    assert disruptions_allowed(healthy=3, desired=4, expected=5) == 0
    assert disruptions_allowed(healthy=5, desired=4, expected=0) == 0


@pytest.mark.parametrize(
    ("budgets", "facts", "verdict"),
    [
        ([], {}, EvictionVerdict.DELETE),
        ([BudgetStatus(0, 3, 3)], {"phase": "Pending"}, EvictionVerdict.DELETE),
        ([BudgetStatus(0, 3, 3)], {"terminating": True}, EvictionVerdict.DELETE),
        ([BudgetStatus(1, 4, 3)] * 2, {}, EvictionVerdict.AMBIGUOUS),
        ([BudgetStatus(1, 4, 3)], {}, EvictionVerdict.CONSUME),
        ([BudgetStatus(0, 3, 3)], {}, EvictionVerdict.REFUSE),
        ([BudgetStatus(1, 4, 3, observed=False)], {}, EvictionVerdict.RETRY),
        ([BudgetStatus(0, 3, 3)], {"ready": False}, EvictionVerdict.DELETE),
        ([BudgetStatus(0, 2, 3)], {"ready": False}, EvictionVerdict.REFUSE),
        (
            [BudgetStatus(0, 2, 3, always_allow_unhealthy=True)],
            {"ready": False},
            EvictionVerdict.DELETE,
        ),
    ],
)
def test_evictions(
    budgets: list[BudgetStatus], facts: dict[str, Any], verdict: EvictionVerdict
) -> None:
    """Pods that do not run need no permission; unhealthy ones only sometimes."""
    given = {"phase": "Running", "terminating": False, "ready": True, **facts}
    assert eviction_verdict(budgets, **given) is verdict


def test_jobs() -> None:
    """How many are wanted, when it backs off, when it gives up, which indexes it lacks."""
    assert wanted_active(parallelism=3, completions=5, succeeded=1, active=0) == 3
    assert wanted_active(parallelism=3, completions=5, succeeded=5, active=0) == 0
    assert wanted_active(parallelism=3, completions=None, succeeded=0, active=1) == 3
    assert wanted_active(parallelism=3, completions=None, succeeded=1, active=2) == 2
    assert [backoff_for(n) for n in (0, 1, 2, 7, 50)] == [0.0, 10.0, 20.0, 600.0, 600.0]
    assert not backoff_limit_exceeded(failed=6, limit=6)
    assert backoff_limit_exceeded(failed=7, limit=6)
    assert backoff_limit_exceeded(failed=0, limit=6, restarts_of_active=6, on_failure=True)
    assert not backoff_limit_exceeded(failed=0, limit=0, restarts_of_active=0, on_failure=True)
    result = missing_indexes(completions=6, succeeded={0, 2}, active={1}, failed={4}, limit=5)
    assert result == [3, 5]
    assert format_indexes([]) == ""
    assert format_indexes([9, 7, 8, 1, 2]) == "1,2,7-9"
