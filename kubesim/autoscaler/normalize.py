"""From a proposal to a size: stabilization, rate limits, bounds.

*Stabilization* is not a waiting time: it is "act on the safest recommendation of the last N
seconds" - for shrinking the highest, for growing (with a behavior) the lowest.

>>> state = State(recommendations=((8, 0.0),))
>>> corridor_at(now=300.0, current=8, minimum=1, maximum=10, state=state).final(3)
8
>>> corridor_at(now=300.1, current=8, minimum=1, maximum=10, state=state).final(3)
3

Everything but the proposal is gathered in a `Corridor` first, so that explanations can push other
proposals through the same one.

Source: pkg/controller/podautoscaler/horizontal.go (normalizeDesiredReplicas,
normalizeDesiredReplicasWithBehaviors, stabilizeRecommendation,
calculateScaleUpLimitWithScalingRules, ...).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil

from kubesim.autoscaler.constants import DEFAULTS, PolicyConstants, Rules, ScalingPolicy
from kubesim.autoscaler.types import Behavior, Log, State


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


@dataclass(frozen=True, slots=True)
class Corridor:
    """What one pass may do, whatever the metrics propose.

    Attributes:
        current, minimum, maximum: of the target and of the HPA.
        lowest: smallest recommendation of the scale-up window; None: none, or no behavior.
        highest: largest recommendation of the scale-down window; None: none.
        rate_up: the size up to which the scale-up policies (or the burst limit) let it grow.
        rate_down: the size down to which the scale-down policies let it shrink; None: no behavior.
    """

    current: int
    minimum: int
    maximum: int
    lowest: int | None
    highest: int | None
    rate_up: int
    rate_down: int | None

    def stabilize(self, proposal: int) -> int:
        """The size that history allows.

        Without a behavior: the highest of the proposal and the window; there is no bound by the
        current size, so history can also push it up. With one: the current size, raised to the
        least and lowered to the most of recent wishes, so history only ever holds back.
        """
        high = proposal if self.highest is None else max(proposal, self.highest)
        if self.rate_down is None:
            return high
        low = proposal if self.lowest is None else min(proposal, self.lowest)
        return min(max(self.current, low), high)

    def limit(self, stable: int) -> Limited:
        """The rate limits of its direction, then the bounds."""
        if self.rate_down is None:
            return self._limit_burst(stable, self.rate_up)
        if stable > self.current:
            rate = max(self.rate_up, self.current)
            if self.maximum > rate:
                return self._at_most(stable, rate, "ScaleUpLimit")
            return self._at_most(stable, self.maximum, "TooManyReplicas")
        if stable < self.current:
            rate = min(self.rate_down, self.current)
            if self.minimum < rate:
                return self._at_least(stable, rate, "ScaleDownLimit")
            return self._at_least(stable, self.minimum, "TooFewReplicas")
        return Limited(stable, "DesiredWithinRange", self.minimum, self.maximum)

    def _limit_burst(self, stable: int, burst: int) -> Limited:
        high, reason = self.maximum, "TooManyReplicas"
        if self.maximum > burst:
            high, reason = burst, "ScaleUpLimit"
        if stable < self.minimum:
            return Limited(self.minimum, "TooFewReplicas", self.minimum, high)
        if stable > high:
            return Limited(high, reason, self.minimum, high)
        return Limited(stable, "DesiredWithinRange", self.minimum, high)

    def _at_most(self, stable: int, high: int, reason: str) -> Limited:
        if stable > high:
            return Limited(high, reason, self.minimum, high)
        return Limited(stable, "DesiredWithinRange", self.minimum, high)

    def _at_least(self, stable: int, low: int, reason: str) -> Limited:
        if stable < low:
            return Limited(low, reason, low, self.maximum)
        return Limited(stable, "DesiredWithinRange", low, self.maximum)

    def final(self, proposal: int) -> int:
        """The size that a proposal ends up as."""
        return self.limit(self.stabilize(proposal)).replicas


def corridor_at(
    *,
    now: float,
    current: int,
    minimum: int,
    maximum: int,
    state: State,
    behavior: Behavior | None = None,
    constants: PolicyConstants = DEFAULTS,
) -> Corridor:
    """The corridor of a pass.

    Args:
        now: in seconds.
        current: spec.replicas of the target.
        minimum, maximum: of the HPA.
        state: what the controller remembers.
        behavior: of the HPA; what it leaves out is filled in. None: it has none.
        constants: the controller's settings.
    """
    log = state.recommendations or ()
    if behavior is None:
        # An entry takes part while it is not older than the window: equal still does.
        window = constants.downscale_window_seconds
        highest = max((size for size, at in log if now - at <= window), default=None)
        burst = int(max(constants.burst_factor * current, constants.burst_minimum))
        return Corridor(current, minimum, maximum, None, highest, burst, None)
    # Here it takes part while it is younger than the window: equal is out.
    rules = behavior.filled(constants)
    up, down = rules.up.window_seconds or 0.0, rules.down.window_seconds or 0.0
    return Corridor(
        current,
        minimum,
        maximum,
        lowest=min((size for size, at in log if now - at < up), default=None),
        highest=max((size for size, at in log if now - at < down), default=None),
        rate_up=rules_limit(rules.up, current, state, now, up=True),
        rate_down=rules_limit(rules.down, current, state, now, up=False),
    )


# -- policies ------------------------------------------------------------------------------------


def period_start(current: int, state: State, period_seconds: float, now: float) -> int:
    """How many pods there were a period ago: the current ones, less what came, plus what went.

    Both directions count, whichever is asked for; an event counts while it is younger than the
    period.
    """
    added = sum(change for change, at in state.ups if now - at < period_seconds)
    removed = sum(change for change, at in state.downs if now - at < period_seconds)
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
    """How far the (filled) rules of one direction let the size go."""
    if rules.select == "Disabled" or not rules.policies:
        return current
    limits = [
        policy_limit(policy, period_start(current, state, policy.period_seconds, now), up=up)
        for policy in rules.policies
    ]
    # Max: the policy that allows the most change; that is the smallest size when shrinking.
    return max(limits) if (rules.select != "Min") == up else min(limits)


# -- what is remembered --------------------------------------------------------------------------


def remember(log: Log, entry: tuple[int, float], outdated: Sequence[int]) -> Log:
    """The log with one entry more: over the last outdated one, or at the end."""
    if not outdated:
        return (*log, entry)
    index = outdated[-1]
    return (*log[:index], entry, *log[index + 1 :])


def after_proposal(
    log: Log | None,
    proposal: int,
    now: float,
    behavior: Behavior | None = None,
    constants: PolicyConstants = DEFAULTS,
) -> Log:
    """The recommendation log after a pass: the *raw* proposal goes in, not what became of it."""
    longest = constants.downscale_window_seconds
    if behavior is not None:
        rules = behavior.filled(constants)
        longest = max(rules.up.window_seconds or 0.0, rules.down.window_seconds or 0.0)
    known = log or ()
    outdated = [index for index, (_, at) in enumerate(known) if now - at > longest]
    return remember(known, (proposal, now), outdated)


def after_rescale(
    state: State,
    before: int,
    after: int,
    now: float,
    behavior: Behavior | None,
    constants: PolicyConstants = DEFAULTS,
) -> State:
    """What to remember once a new size was written; events are kept only with a behavior."""
    if behavior is None or before == after:
        return state
    rules = behavior.filled(constants)
    growing = after > before
    log, side = (state.ups, rules.up) if growing else (state.downs, rules.down)
    longest = max((policy.period_seconds for policy in side.policies or ()), default=0)
    outdated = [index for index, (_, at) in enumerate(log) if now - at > longest]
    log = remember(log, (abs(after - before), now), outdated)
    return replace(state, ups=log) if growing else replace(state, downs=log)
