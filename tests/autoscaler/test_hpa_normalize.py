"""Stabilization, rate limits, bounds, and what is remembered."""

from __future__ import annotations

import pytest

from kubesim.autoscaler import Behavior, PolicyConstants, Rules, ScalingPolicy, State
from kubesim.autoscaler.constants import DEFAULTS
from kubesim.autoscaler.policy.normalize import (
    ReplicaLimits,
    after_proposal,
    after_rescale,
    limits_at,
    period_start,
    policy_limit,
    remember,
    rules_limit,
)


def limits(log=(), *, now=1000.0, current=5, minimum=1, maximum=100, behavior=None, **state):
    return limits_at(
        now=now,
        current=current,
        minimum=minimum,
        maximum=maximum,
        state=State(recommendations=tuple(log), **state),
        behavior=behavior,
    )


def sides(up: float | None, down: float | None) -> Behavior:
    return Behavior(Rules(window_seconds=up), Rules(window_seconds=down))


# -- section 11: without a behavior ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("age", "stable"), [(0, 8), (299.9, 8), (300, 8), (300.0001, 3), (1000, 3)]
)
def test_an_entry_as_old_as_the_window_still_takes_part(age, stable) -> None:
    """Older than 300 s, strictly, is outdated."""
    assert limits([(8, 1000.0 - age)]).stabilize(3) == stable


def test_the_highest_of_the_window_is_taken() -> None:
    """Of the proposal and all entries that take part."""
    log = [(4, 800.0), (7, 900.0), (90, 100.0)]
    assert limits(log).stabilize(2) == 7
    assert limits(log).stabilize(9) == 9


def test_history_can_push_the_size_up_without_a_behavior() -> None:
    """After a manual scale-down the current size is not a bound."""
    assert limits([(8, 900.0)], current=2).stabilize(2) == 8
    assert limits([(8, 900.0)], current=2, behavior=Behavior()).stabilize(2) == 2


def test_the_raw_proposal_is_stored_over_the_last_outdated_entry() -> None:
    """Or at the end, if none is outdated."""
    log = ((8, 100.0), (7, 600.0), (6, 699.0), (5, 700.0))
    assert after_proposal(log, 3, 1000.0) == ((8, 100.0), (7, 600.0), (3, 1000.0), (5, 700.0))
    assert after_proposal(log[3:], 3, 1000.0) == ((5, 700.0), (3, 1000.0))  # 300 s old: kept
    assert after_proposal(None, 3, 1000.0) == ((3, 1000.0),)


@pytest.mark.parametrize(
    ("current", "maximum", "stable", "replicas", "reason", "high"),
    [
        (1, 100, 30, 4, "ScaleUpLimit", 4),
        (2, 100, 30, 4, "ScaleUpLimit", 4),
        (3, 100, 30, 6, "ScaleUpLimit", 6),
        (3, 6, 30, 6, "TooManyReplicas", 6),  # equal: max is the limit
        (3, 5, 30, 5, "TooManyReplicas", 5),
        (3, 100, 6, 6, "DesiredWithinRange", 6),
        (3, 100, 0, 1, "TooFewReplicas", 6),
        (3, 100, 1, 1, "DesiredWithinRange", 6),
        (0, 100, 9, 4, "ScaleUpLimit", 4),
    ],
)
def test_the_burst_limit_and_the_bounds(current, maximum, stable, replicas, reason, high) -> None:
    """max(2 x current, 4), then min and max."""
    limited = limits(current=current, maximum=maximum).limit(stable)
    assert (limited.replicas, limited.reason, limited.high) == (replicas, reason, high)


def test_the_burst_is_a_parameter() -> None:
    """Upstream's tests use a factor of 8; the product is cut to an integer."""
    wide = PolicyConstants(burst_factor=8.0)
    odd = PolicyConstants(burst_factor=1.5, burst_minimum=1)
    for constants, rate in ((wide, 40), (odd, 7)):
        found = limits_at(
            now=0.0, current=5, minimum=1, maximum=99, state=State(), constants=constants
        )
        assert found.rate_up == rate


# -- section 12.1, 12.2 ---------------------------------------------------------------------------


def test_a_behavior_is_filled_field_by_field() -> None:
    """A given list replaces the default one; a window of 0 is kept; the rest is the default."""
    one = (ScalingPolicy("Pods", 1, 60),)
    constants = PolicyConstants(downscale_window_seconds=120.0)
    filled = Behavior(Rules(policies=one), Rules(window_seconds=0.0, select="Min")).filled(
        constants
    )
    assert filled.up == Rules(0.0, "Max", one)
    assert filled.down == Rules(0.0, "Min", (ScalingPolicy("Percent", 100, 15),))
    empty = Behavior().filled(constants)
    assert empty.up == PolicyConstants().scale_up
    assert empty.down.window_seconds == 120.0


@pytest.mark.parametrize(
    ("age", "up", "down", "proposal", "stable"),
    [
        (59.9, 60, 0, 9, 6),  # current 5; an entry 6 in the window: the smallest wish
        (60, 60, 0, 9, 9),  # exactly as old as the window is out
        (60.1, 60, 0, 9, 9),
        (0, 0, 0, 9, 9),  # window 0: no entry takes part, not even one of this instant
        (59.9, 0, 60, 3, 5),  # 6 in the scale-down window: current holds, history never pushes up
        (60, 0, 60, 3, 3),
        (10, 60, 60, 5, 5),
    ],
)
def test_two_sided_stabilization(age, up, down, proposal, stable) -> None:
    """Each side has its window, and equal is out."""
    assert limits([(6, 1000.0 - age)], behavior=sides(up, down)).stabilize(proposal) == stable


def test_scale_up_takes_the_smallest_wish_and_scale_down_the_largest() -> None:
    """website#42493: the documentation said "highest" for both."""
    log = [(2, 990.0), (9, 991.0), (4, 992.0)]
    both = sides(60, 60)
    assert limits(log, current=3, behavior=both).stabilize(20) == 3  # min is 2, current is kept
    assert limits(log, current=1, behavior=both).stabilize(20) == 2
    assert limits(log, current=30, behavior=both).stabilize(1) == 9
    assert limits(log, current=6, behavior=both).stabilize(1) == 6


def test_outdated_means_older_than_both_windows() -> None:
    """An entry exactly as old as the longer one neither takes part nor is overwritten."""
    log = ((8, 900.0), (7, 940.0))
    both = sides(60, 100)
    assert after_proposal(log, 3, 1000.0, both) == (*log, (3, 1000.0))
    assert after_proposal(log, 3, 1000.1, both) == ((3, 1000.1), (7, 940.0))


# -- section 12.3 ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "start", "up", "limit"),
    [
        (("Pods", 4), 10, True, 14),
        (("Pods", 4), 10, False, 6),
        (("Percent", 10), 100, True, 111),  # 100 x 1.1 = 110.00000000000001
        (("Percent", 10), 50, True, 56),  # 50 x 1.1 = 55.00000000000001
        (("Percent", 10), 10, True, 11),
        (("Percent", 100), 5, True, 10),
        (("Percent", 1), 5, True, 6),
        (("Percent", 90), 10, False, 0),  # 10 x (1 - 0.9) = 0.9999...
        (("Percent", 10), 10, False, 9),
        (("Percent", 10), 15, False, 13),
        (("Percent", 100), 7, False, 0),
        (("Percent", 50), 7, False, 3),
        (("Percent", 200), 7, False, -7),
        (("Percent", 100), 0, True, 0),  # nothing to take a percentage of
    ],
)
def test_policies_are_doubles(policy, start, up, limit) -> None:
    """ceil upwards, truncation downwards."""
    assert policy_limit(ScalingPolicy(*policy, 60), start, up=up) == limit


@pytest.mark.parametrize(("age", "start"), [(59.9, 3), (60, 5), (61, 5), (0, 3)])
def test_an_event_as_old_as_the_period_no_longer_counts(age, start) -> None:
    """Younger, strictly."""
    state = State(ups=((2, 1000.0 - age),))
    assert period_start(5, state, 60, 1000.0) == start


def test_both_logs_count_in_both_directions() -> None:
    """kubernetes#108354: what came is taken off, what went is put back."""
    state = State(ups=((4, 900.0),), downs=((2, 950.0),))
    assert period_start(6, state, 300, 1000.0) == 4
    rules = Rules(select="Max", policies=(ScalingPolicy("Percent", 300, 300),))
    assert rules_limit(rules, 6, state, 1000.0, up=True) == 16
    assert rules_limit(rules, 6, state, 1000.0, up=False) == -8


@pytest.mark.parametrize(
    ("select", "up", "limit"),
    [
        ("Max", True, 20),
        ("Min", True, 12),
        ("Disabled", True, 10),
        ("Max", False, 0),
        ("Min", False, 8),
        ("Disabled", False, 10),
    ],
)
def test_select_policy(select, up, limit) -> None:
    """Max is the policy that allows the most change, whichever direction."""
    policies = (ScalingPolicy("Pods", 2, 60), ScalingPolicy("Percent", 100, 60))
    assert rules_limit(Rules(select=select, policies=policies), 10, State(), 0.0, up=up) == limit


@pytest.mark.parametrize(
    ("stable", "minimum", "maximum", "replicas", "reason"),
    [
        (20, 1, 100, 14, "ScaleUpLimit"),
        (20, 1, 14, 14, "TooManyReplicas"),
        (20, 1, 12, 12, "TooManyReplicas"),
        (13, 1, 100, 13, "DesiredWithinRange"),
        (10, 1, 100, 10, "DesiredWithinRange"),
        (1, 1, 100, 8, "ScaleDownLimit"),
        (1, 8, 100, 8, "TooFewReplicas"),
        (1, 9, 100, 9, "TooFewReplicas"),
        (9, 1, 100, 9, "DesiredWithinRange"),
    ],
)
def test_the_policies_of_its_direction_and_then_the_bounds(
    stable, minimum, maximum, replicas, reason
) -> None:
    """From 10: at most 4 up and 2 down."""
    behavior = Behavior(
        Rules(policies=(ScalingPolicy("Pods", 4, 60),)),
        Rules(policies=(ScalingPolicy("Pods", 2, 60),)),
    )
    limited = limits(current=10, minimum=minimum, maximum=maximum, behavior=behavior).limit(stable)
    assert (limited.replicas, limited.reason) == (replicas, reason)


@pytest.mark.parametrize("select", ["Max", "Min"])
def test_a_used_up_budget_holds_the_size_and_never_reverses_it(select) -> None:
    """5 came within the period, 2 are allowed: the limit 7 is below the present 10, so 10."""
    rules = Rules(select=select, policies=(ScalingPolicy("Pods", 2, 60),))
    behavior = Behavior(rules, rules)
    up = limits(current=10, behavior=behavior, ups=((5, 990.0),)).limit(30)
    assert (up.replicas, up.reason) == (10, "ScaleUpLimit")
    down = limits(current=10, behavior=behavior, downs=((5, 990.0),)).limit(1)
    assert (down.replicas, down.reason) == (10, "ScaleDownLimit")


# -- section 12.4 ---------------------------------------------------------------------------------


def test_events_are_kept_only_with_a_behavior() -> None:
    """One log for each direction."""
    state = State(recommendations=())
    assert after_rescale(state, 2, 5, 10.0, None) == state
    grown = after_rescale(state, 2, 5, 10.0, Behavior())
    assert (grown.ups, grown.downs) == (((3, 10.0),), ())
    shrunk = after_rescale(grown, 5, 1, 12.0, Behavior())
    assert (shrunk.ups, shrunk.downs) == (((3, 10.0),), ((4, 12.0),))
    assert after_rescale(grown, 5, 5, 12.0, Behavior()) == grown


def test_the_longest_period_of_the_direction_outdates_events() -> None:
    """Older than it, strictly; the last outdated one is overwritten."""
    rules = Rules(policies=(ScalingPolicy("Pods", 2, 15), ScalingPolicy("Pods", 9, 60)))
    state = State(recommendations=(), ups=((1, 10.0), (2, 39.0), (3, 40.0)))
    after = after_rescale(state, 2, 6, 100.0, Behavior(up=rules))
    assert after.ups == ((1, 10.0), (4, 100.0), (3, 40.0))
    assert after_rescale(state, 2, 6, 70.0, Behavior(up=rules)).ups[-1] == (4, 70.0)


@pytest.mark.parametrize(("sign", "limit"), [(1, 11), (-1, 5)])
def test_an_outdated_event_stays_outdated(sign: int, limit: int) -> None:
    """Even if the policy is changed to a longer period: its place is the next that is reused."""
    up = sign > 0
    state, size = State(recommendations=()), 5 if up else 11
    for second, period in ((0.0, 15), (15.0, 15), (100.0, 15), (120.0, 600)):
        rules = Rules(policies=(ScalingPolicy("Pods", 4, period),))
        behavior = Behavior(up=rules) if up else Behavior(down=rules)
        state = after_rescale(state, size, size + sign, second, behavior)
        size += sign
    assert (state.ups if up else state.downs) == ((1, 120.0), (1, 100.0))
    filled = behavior.filled(DEFAULTS)
    side = filled.up if up else filled.down
    assert rules_limit(side, size, state, 120.0, up=up) == limit


def test_remember_overwrites_the_last_outdated_entry() -> None:
    """Not the first, not all."""
    log = ((1, 0.0), (2, 0.0), (3, 0.0))
    assert remember(log, (9, 9.0), [0, 1]) == ((1, 0.0), (9, 9.0), (3, 0.0))
    assert remember(log, (9, 9.0), []) == (*log, (9, 9.0))


def test_a_corridor_can_be_asked_directly() -> None:
    """Plain numbers, without the documents of an HPA."""
    narrow = ReplicaLimits(5, 1, 10, lowest=None, highest=None, rate_up=7, rate_down=3)
    assert [narrow.final(n) for n in (1, 4, 5, 6, 9)] == [3, 4, 5, 6, 7]
