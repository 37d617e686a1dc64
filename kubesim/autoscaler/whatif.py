"""What would have to change for the autoscaler to decide otherwise: the nearest flip, in words.

No counterpart in Kubernetes, whose users have asked for it since 2016.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil

from kubesim.autoscaler.normalize import Limited
from kubesim.autoscaler.replicas import Tolerance
from kubesim.autoscaler.types import Metric, Observation, Proposal

FARTHEST_PERCENT = 2_000  # utilization is looked at up to here
Decide = Callable[[int], int]
"""decide(proposal) -> the size after stabilization and limits."""


def flip_points(
    target: int, pods: int, current: int, tolerance: Tolerance, percent: int, decide: Decide
) -> tuple[int | None, int | None]:
    """The nearest utilizations below and above `percent` at which the *result* is another one.

    For pods that all count (none missing, none starting): the proposal is then
    ceil(percent / target * pods), or `current` within the tolerance.

    Args:
        target: percent.
        pods: that count.
        current: spec.replicas.
        tolerance: of each direction.
        percent: as measured.
        decide: what becomes of a proposal.

    >>> flip_points(70, 4, 4, Tolerance(), 72, decide=lambda proposal: proposal)
    (52, 78)
    >>> flip_points(70, 4, 4, Tolerance(), 72, decide=lambda proposal: min(proposal, 4))
    (52, None)
    """

    def proposal(value: int) -> int:
        ratio = value / target
        return current if tolerance.holds(ratio) else ceil(ratio * pods)

    here = decide(proposal(percent))

    def first(values: range) -> int | None:
        last = proposal(percent)
        for value in values:
            new = proposal(value)
            if new != last and decide(new) != here:
                return value
            last = new
        return None

    return first(range(percent - 1, -1, -1)), first(range(percent + 1, FARTHEST_PERCENT))


def would_change_if(
    seen: Observation,
    metric: Metric | None,
    proposal: Proposal | None,
    tolerance: Tolerance,
    stable: int | None,
    limited: Limited | None,
    decide: Decide,
) -> str:
    """The smallest change that would alter the result, in one sentence.

    Args:
        seen: what the pass looked at (with the recommendations after it).
        metric, proposal: the winning ones; None if no metric decided.
        tolerance: as used.
        stable: the size after stabilization.
        limited: the size after the limits.
        decide: what becomes of a proposal.
    """
    if seen.current == 0 and seen.minimum != 0:
        return "somebody scaled the target to 1 or more by hand"
    if seen.current > seen.maximum:
        return f"maxReplicas were {seen.current} or more"
    if seen.current < seen.minimum:
        return f"minReplicas were {seen.current} or less"
    if metric is None or proposal is None or stable is None or limited is None:
        return "every metric could be read"
    if limited.replicas != stable:
        return {
            "TooManyReplicas": f"maxReplicas were above {limited.replicas}",
            "TooFewReplicas": f"minReplicas were below {limited.replicas}",
            "ScaleUpLimit": "a scale-up policy allowed more at once",
            "ScaleDownLimit": "a scale-down policy allowed more at once",
        }[limited.reason]
    if stable != proposal.replicas:
        return _until(seen, proposal, stable)
    if metric.utilization is None or proposal.utilization is None or proposal.ready == 0:
        return "the measured value changed by more than the tolerance"
    below, above = flip_points(
        metric.utilization,
        proposal.ready,
        seen.current,
        tolerance,
        proposal.utilization,
        decide,
    )
    if above is None and below is None:
        return "another limit or another history applied"
    parts = []
    if above is not None:
        parts.append(f"rose to {above}%")
    if below is not None:
        parts.append(f"fell to {below}%")
    return f"the average utilization {' or '.join(parts)} (it is {proposal.utilization}%)"


def _until(seen: Observation, proposal: Proposal, stable: int) -> str:
    """Until when history holds the size: the youngest entry that asks for it has to grow old."""
    window = seen.constants.downscale_window_seconds
    if seen.behavior is not None:
        rules = seen.behavior.up if proposal.replicas > stable else seen.behavior.down
        window = window if rules.window_seconds is None else rules.window_seconds
    holding = [at for replicas, at in seen.state.recommendations or () if replicas == stable]
    if not holding:
        return "earlier recommendations were different"
    until = max(holding) + window
    return f"no recommendation of {stable} were younger than {window:g} s (after t={until:g} s)"
