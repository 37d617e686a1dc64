"""From a proposal to a decision: stabilization, rate limits, bounds.

*Stabilization* is not a waiting time: it is "act on the safest recommendation of the last N
seconds" - for shrinking the highest, for growing (with a behavior) the lowest.

>>> state = State(recommendations=((8, 0.0),))
>>> stabilize_classic(3, state.recommendations, now=299.0, window=300.0)[0]
8
>>> stabilize_classic(3, state.recommendations, now=301.0, window=300.0)[0]
3

Source: pkg/controller/podautoscaler/horizontal.go (normalizeDesiredReplicas,
normalizeDesiredReplicasWithBehaviors, stabilizeRecommendation, calculateScaleUpLimit...).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from kubesim.autoscaler.types import Constants, Rules, ScalingPolicy, State

Log = tuple[tuple[int, float], ...]


@dataclass(frozen=True, slots=True)
class Limited:
    """A size after the limits.

    Attributes:
        replicas: the size.
        reason: DesiredWithinRange, TooFewReplicas, TooManyReplicas, ScaleUpLimit, ScaleDownLimit.
        low, high: between which it had to be.
    """

    replicas: int
    reason: str
    low: int
    high: int


def remember(log: Log, entry: tuple[int, float], outdated: Sequence[int]) -> Log:
    """The log with one entry more: over the last outdated one, or at the end."""
    if not outdated:
        return (*log, entry)
    index = outdated[-1]
    return (*log[:index], entry, *log[index + 1 :])


def stabilize_classic(
    proposal: int, log: Log | None, *, now: float, window: float
) -> tuple[int, Log]:
    """Without a behavior: the highest of the proposal and the window; and the new log.

    An entry takes part while it is not older than the window (equal still does). History can also
    push the size up. What is stored is the raw proposal.
    """
    log = log or ()
    outdated = [i for i, (_, at) in enumerate(log) if now - at > window]
    recent = [replicas for replicas, at in log if now - at <= window]
    return max([proposal, *recent]), remember(log, (proposal, now), outdated)


def stabilize_both(
    proposal: int,
    current: int,
    log: Log | None,
    *,
    now: float,
    up_window: float,
    down_window: float,
) -> tuple[int, Log]:
    """With a behavior: current, raised to the least and lowered to the most of recent wishes.

    History only ever holds back. An entry takes part while it is younger than the window (equal is
    out).
    """
    log = log or ()
    low = min([proposal, *(r for r, at in log if now - at < up_window)])
    high = max([proposal, *(r for r, at in log if now - at < down_window)])
    stable = min(max(current, low), high)
    longest = max(up_window, down_window)
    outdated = [i for i, (_, at) in enumerate(log) if now - at >= longest]
    return stable, remember(log, (proposal, now), outdated)


def clamp_classic(
    stable: int, *, current: int, minimum: int, maximum: int, constants: Constants
) -> Limited:
    """Without a behavior: at most twice the current size (or four), then the bounds."""
    burst = int(max(constants.burst_factor * current, constants.burst_minimum))
    if maximum > burst:
        high, high_reason = burst, "ScaleUpLimit"
    else:
        high, high_reason = maximum, "TooManyReplicas"
    if stable < minimum:
        return Limited(minimum, "TooFewReplicas", minimum, high)
    if stable > high:
        return Limited(high, high_reason, minimum, high)
    return Limited(stable, "DesiredWithinRange", minimum, high)


def period_start(current: int, ups: Log, downs: Log, period_seconds: float, now: float) -> int:
    """How many pods there were a period ago: the current ones, less what came, plus what went."""
    added = sum(change for change, at in ups if now - at < period_seconds)
    removed = sum(change for change, at in downs if now - at < period_seconds)
    return current - added + removed


def policy_limit(policy: ScalingPolicy, start: int, *, up: bool) -> int:
    """How far one policy lets the size go, from the size at the start of its period.

    Percentages are doubles: "10 percent" of 100 allows 111, "90 percent" down from 10 allows 0.

    >>> policy_limit(ScalingPolicy("Percent", 10, 60), 100, up=True)
    111
    """
    if policy.type == "Pods":
        return start + policy.value if up else start - policy.value
    if up:
        return ceil(start * (1.0 + policy.value / 100.0))
    return int(start * (1.0 - policy.value / 100.0))


def rules_limit(rules: Rules, current: int, state: State, now: float, *, up: bool) -> int:
    """How far the policies of one direction let the size go."""
    if rules.select == "Disabled" or not rules.policies:
        return current
    limits = [
        policy_limit(
            policy, period_start(current, state.ups, state.downs, policy.period_seconds, now), up=up
        )
        for policy in rules.policies
    ]
    most = (rules.select == "Max") == up  # the most change: up the largest, down the smallest
    return max(limits) if most else min(limits)


def clamp_behavior(
    stable: int,
    *,
    current: int,
    minimum: int,
    maximum: int,
    up: Rules,
    down: Rules,
    state: State,
    now: float,
) -> Limited:
    """With a behavior: the policies of the direction, then the bounds."""
    if stable > current:
        limit = max(rules_limit(up, current, state, now, up=True), current)
        if maximum > limit:
            high, reason = limit, "ScaleUpLimit"
        else:
            high, reason = maximum, "TooManyReplicas"
        if stable > high:
            return Limited(high, reason, minimum, high)
        return Limited(stable, "DesiredWithinRange", minimum, high)
    if stable < current:
        limit = min(rules_limit(down, current, state, now, up=False), current)
        if minimum < limit:
            low, reason = limit, "ScaleDownLimit"
        else:
            low, reason = minimum, "TooFewReplicas"
        if stable < low:
            return Limited(low, reason, low, maximum)
        return Limited(stable, "DesiredWithinRange", low, maximum)
    return Limited(stable, "DesiredWithinRange", minimum, maximum)


def after_rescale(
    state: State, before: int, after: int, now: float, up: Rules | None, down: Rules | None
) -> State:
    """What to remember once a new size was written; only while there is a behavior."""
    if up is None or down is None or before == after:
        return state
    growing = after > before
    log, rules = (state.ups, up) if growing else (state.downs, down)
    longest = max((policy.period_seconds for policy in rules.policies), default=0)
    outdated = [i for i, (_, at) in enumerate(log) if now - at > longest]
    log = remember(log, (abs(after - before), now), outdated)
    if growing:
        return State(state.recommendations, log, state.downs)
    return State(state.recommendations, state.ups, log)
