"""From a proposal to a number of replicas: stabilization, rate limits, bounds.

*Stabilization* is not a waiting time. It acts on the safest recommendation of the last N seconds:
on the highest one for a scale-down, on the lowest one for a scale-up with a behavior.

>>> state = State(recommendations=((8, 0.0),))
>>> limits_at(now=300.0, current=8, minimum=1, maximum=10, state=state).final(3)
8
>>> limits_at(now=300.1, current=8, minimum=1, maximum=10, state=state).final(3)
3

Everything but the proposal is gathered in `ReplicaLimits`, so that explanations can apply the same
limits to other proposals.

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
    """A number of replicas after the limits.

    Attributes:
        replicas: the number.
        reason: DesiredWithinRange, TooFewReplicas, TooManyReplicas, ScaleUpLimit, ScaleDownLimit.
        low, high: the range that it had to be in.
    """

    replicas: int
    reason: str
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class ReplicaLimits:
    """The limits of one pass, whatever the metrics propose.

    Attributes:
        current, minimum, maximum: of the target and of the HPA.
        lowest: smallest recommendation of the scale-up window; None: none, or no behavior.
        highest: largest recommendation of the scale-down window; None: none.
        rate_up: the largest number that the scale-up policies (or the burst limit) permit.
        rate_down: the least number that the scale-down policies permit; None: no behavior.
    """

    current: int
    minimum: int
    maximum: int
    lowest: int | None
    highest: int | None
    rate_up: int
    rate_down: int | None

    def stabilize(self, proposal: int) -> int:
        """Return the proposal after stabilization by earlier recommendations.

        Without a behavior it is the maximum of the proposal and the window. It is not bounded by
        the current number, so history can also raise it. With a behavior it is the current number,
        raised to the least and lowered to the largest recent recommendation, so history only holds
        back.
        """
        high = proposal if self.highest is None else max(proposal, self.highest)
        if self.rate_down is None:
            return high
        low = proposal if self.lowest is None else min(proposal, self.lowest)
        return min(max(self.current, low), high)

    def limit(self, stable: int) -> Limited:
        """Apply the rate limits of its direction, then the bounds."""
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
        """Return the number of replicas that a proposal leads to."""
        return self.limit(self.stabilize(proposal)).replicas


def limits_at(
    *,
    now: float,
    current: int,
    minimum: int,
    maximum: int,
    state: State,
    behavior: Behavior | None = None,
    constants: PolicyConstants = DEFAULTS,
) -> ReplicaLimits:
    """Return the limits of a pass.

    Args:
        now: in seconds.
        current: spec.replicas of the target.
        minimum, maximum: of the HPA.
        state: what the controller remembers of the HPA.
        behavior: of the HPA; missing fields have defaults. None: it has no behavior.
        constants: the controller's settings.
    """
    log = state.recommendations or ()
    if behavior is None:
        # An entry counts while it is not older than the window: an equal age counts.
        window = constants.downscale_window_seconds
        highest = max([size for size, at in log if now - at <= window], default=None)
        burst = int(max(constants.burst_factor * current, constants.burst_minimum))
        return ReplicaLimits(current, minimum, maximum, None, highest, burst, None)
    # Here an entry counts while it is younger than the window: an equal age does not.
    rules = behavior.filled(constants)
    up, down = rules.up.window_seconds or 0.0, rules.down.window_seconds or 0.0
    return ReplicaLimits(
        current,
        minimum,
        maximum,
        lowest=min([size for size, at in log if now - at < up], default=None),
        highest=max([size for size, at in log if now - at < down], default=None),
        rate_up=rules_limit(rules.up, current, state, now, up=True),
        rate_down=rules_limit(rules.down, current, state, now, up=False),
    )


# -- policies ------------------------------------------------------------------------------------


def period_start(current: int, state: State, period_seconds: float, now: float) -> int:
    """Return the number of pods a period ago: the current ones, less added ones, plus removed ones.

    The events of both directions count while they are younger than the period.

    Args:
        current: spec.replicas of the target.
        state: the events of earlier scalings.
        period_seconds: of the policy.
        now: in seconds.
    """
    added = sum([change for change, at in state.ups if now - at < period_seconds])
    removed = sum([change for change, at in state.downs if now - at < period_seconds])
    return current - added + removed


def policy_limit(policy: ScalingPolicy, start: int, *, up: bool) -> int:
    """Return the number of replicas that one policy permits.

    Percentages are doubles: "10 percent" of 100 permits 111, "90 percent" down from 10 permits 0.

    Args:
        policy: the policy.
        start: number of replicas at the start of its period.
        up: scale-up, not scale-down.

    >>> policy_limit(ScalingPolicy("Percent", 10, 60), 100, up=True)
    111
    """
    if policy.type == "Pods":
        return start + policy.value if up else start - policy.value
    if up:
        return ceil(start * (1.0 + policy.value / 100.0))
    return int(start * (1.0 - policy.value / 100.0))


def rules_limit(rules: Rules, current: int, state: State, now: float, *, up: bool) -> int:
    """Return the number of replicas that the rules of one direction permit.

    Args:
        rules: with all defaults filled in.
        current: spec.replicas of the target.
        state: the events of earlier scalings.
        now: in seconds.
        up: scale-up, not scale-down.
    """
    if rules.select == "Disabled" or not rules.policies:
        return current
    limits = [
        policy_limit(policy, period_start(current, state, policy.period_seconds, now), up=up)
        for policy in rules.policies
    ]
    # Max: the policy that permits the most change; when scaling down, the smallest number.
    return max(limits) if (rules.select != "Min") == up else min(limits)


# -- state ---------------------------------------------------------------------------------------


def remember(log: Log, entry: tuple[int, float], outdated: Sequence[int]) -> Log:
    """Return the log with one more entry: in place of the last outdated one, or at the end.

    Args:
        log: the entries so far.
        entry: the new one.
        outdated: indexes of outdated entries.
    """
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
    """Return the recommendation log after a pass, with the *raw* proposal, before any limit.

    Args:
        log: the recommendations so far.
        proposal: of the metrics.
        now: in seconds.
        behavior: of the HPA; None: it has none.
        constants: the controller's settings.
    """
    longest = constants.downscale_window_seconds
    if behavior is not None:
        rules = behavior.filled(constants)
        longest = max(rules.up.window_seconds or 0.0, rules.down.window_seconds or 0.0)
    entries = log or ()
    outdated = [index for index, (_, at) in enumerate(entries) if now - at > longest]
    return remember(entries, (proposal, now), outdated)


def after_rescale(
    state: State,
    before: int,
    after: int,
    now: float,
    behavior: Behavior | None,
    constants: PolicyConstants = DEFAULTS,
) -> State:
    """Return the state after a new size was written; events are kept only with a behavior.

    The new event takes the place of the last outdated one. An event that was once outdated stays
    so, even under a policy with a longer period.

    Args:
        state: before.
        before, after: the two sizes.
        now: in seconds.
        behavior: of the HPA; None: it has none.
        constants: the controller's settings.

    Source: pkg/controller/podautoscaler/horizontal.go (storeScaleEvent, markScaleEventsOutdated).
    """
    if behavior is None or before == after:
        return state
    rules = behavior.filled(constants)
    growing = after > before
    log, side = (state.ups, rules.up) if growing else (state.downs, rules.down)
    already = state.outdated_ups if growing else state.outdated_downs
    longest = max((policy.period_seconds for policy in side.policies or ()), default=0)
    outdated = [
        index for index, (_, at) in enumerate(log) if index in already or now - at > longest
    ]
    log, flags = remember(log, (abs(after - before), now), outdated), frozenset(outdated[:-1])
    if growing:
        return replace(state, ups=log, outdated_ups=flags)
    return replace(state, downs=log, outdated_downs=flags)
