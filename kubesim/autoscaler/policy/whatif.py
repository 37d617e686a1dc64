"""The smallest changes that would lead the autoscaler to another decision.

Each one is found by a new decision on the figures of the same pass with that change: another
measurement, wider limits for the same proposal, or the same limits at a later second. So every
reported change has been verified.

No counterpart in Kubernetes, whose users have asked for it since 2016.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from kubesim.autoscaler.constants import MAX_REPLICAS, MAX_TOTAL
from kubesim.autoscaler.policy.figures import MetricsResult
from kubesim.autoscaler.policy.normalize import Limited, ReplicaLimits
from kubesim.autoscaler.records import quantity_text
from kubesim.autoscaler.types import Change, Metric, Observation, ProposalCurve

REMEDIES = {
    "SelectorRequired": "the target's scale had a selector",
    "InvalidSelector": "the selector of the target's scale could be parsed",
    "AmbiguousSelector": "no other HPA selected these pods",
}


# -- the measurement -----------------------------------------------------------------------------


def zones(curve: ProposalCurve) -> list[int]:
    """Return the measurements at which the rules change, ascending.

    They are the first one within the tolerance, the target, the one above it, and the first one
    beyond the tolerance. Between two of them the proposal never falls as the measurement rises.
    """
    level = curve.level
    if level <= 0:
        return []
    low = int(level * (1.0 - curve.tolerance.down))
    while low < level and not curve.tolerance.holds(low / level):
        low += 1
    while low > 0 and curve.tolerance.holds((low - 1) / level):
        low -= 1
    high = int(level * (1.0 + curve.tolerance.up))
    while curve.tolerance.holds(high / level):
        high += 1
    while high > level + 1 and not curve.tolerance.holds((high - 1) / level):
        high -= 1
    return sorted({low, level, level + 1, high})


def nearest_rise(curve: ProposalCurve, differs: Callable[[int], bool], grows: bool) -> int | None:
    """Return the least measurement above the present one at which the result differs.

    Args:
        curve: of the winning metric.
        differs: whether the result at a measurement is another one.
        grows: whether the largest possible proposal would lead to another result.
    """
    start = curve.measured + 1
    for border in [zone for zone in zones(curve) if zone > start]:
        if differs(start):
            return start
        if differs(border - 1):
            return _bisect(start, border - 1, differs)
        start = border
    if differs(start):
        return start
    if not grows:
        return None
    far = max(2 * start, 2)
    while not differs(far):
        far *= 2
        if far > MAX_TOTAL:  # no pod is ready, so no measurement changes the product
            return None
    return _bisect(start, far, differs)


def nearest_fall(curve: ProposalCurve, differs: Callable[[int], bool]) -> int | None:
    """Return the largest non-negative measurement below the present one with another result.

    Args:
        curve: of the winning metric.
        differs: whether the result at a measurement is another one.
    """
    end = curve.measured - 1
    for border in [zone for zone in reversed(zones(curve)) if zone <= end] + [0]:
        if end < 0:
            return None
        if differs(end):
            return end
        if differs(border):
            return _bisect(end, border, differs)
        end = border - 1
    return None


def _bisect(same: int, other: int, differs: Callable[[int], bool]) -> int:
    """Return the first measurement that differs, between one with the same result and another."""
    while abs(other - same) > 1:
        middle = (same + other) // 2
        if differs(middle):
            other = middle
        else:
            same = middle
    return other


def measured_changes(
    observation: Observation, weighed: MetricsResult, corridor: ReplicaLimits, here: int
) -> list[Change]:
    """Return how far the winning metric would have to rise or fall, all else being equal.

    Args:
        observation: the observation of the pass.
        weighed: the result of its metrics.
        corridor: its limits.
        here: its result.
    """
    curve = None if weighed.proposal is None else weighed.proposal.curve
    if curve is None or weighed.metric is None:
        return []

    def size(replicas: int | None) -> int:
        most = weighed.rest if replicas is None else max(replicas, weighed.rest)
        unknown = replicas is None or weighed.failure is not None
        blocked = unknown and most < observation.current  # no scale-down without a failed metric
        return observation.current if blocked else corridor.final(most)

    subject, render = _describe(observation, weighed.metric)
    now = f"(it is {render(curve.measured)})"
    place = next(i for i, p in enumerate(weighed.readings) if p is weighed.proposal)
    changes = []
    for rising, verb in ((True, "rose"), (False, "fell")):

        def result(measured: int, rising: bool = rising) -> int:
            return size(curve.at(measured, rising=rising))

        def differs(measured: int, result: Callable[[int], int] = result) -> bool:
            return result(measured) != here

        if rising:
            nearest = nearest_rise(curve, differs, grows=size(MAX_REPLICAS) != here)
        else:
            nearest = nearest_fall(curve, differs)
        if nearest is not None:
            value = curve.attained(nearest, rising=rising)
            message = f"{subject} {verb} to {render(value)} {now}"
            changes.append(Change("measured", value, result(nearest), message, place))
    return changes


def _describe(observation: Observation, metric: Metric) -> tuple[str, Callable[[int], str]]:
    """Return the name of a measurement, and a function that renders its values."""
    of = f" of {metric.name}" if len(observation.metrics) > 1 or metric.type != "Resource" else ""
    if metric.by_request:
        return f"the average utilization{of}", lambda value: f"{value}%"
    if metric.type in ("Object", "External"):
        return f"the total{of}", quantity_text
    return f"the average for each pod{of}", quantity_text


# -- limits and history ------------------------------------------------------------------------


def limit_changes(corridor: ReplicaLimits, proposal: int, limited: Limited) -> list[Change]:
    """Return which limit would have to change, and the number of replicas with the new limit.

    Args:
        corridor: the limits of the pass.
        proposal: of its metrics.
        limited: its result.
    """
    high, low = limited.replicas + 1, limited.replicas - 1
    wider: list[tuple[str, int, ReplicaLimits, str]] = []
    max_text = f"maxReplicas were above {limited.replicas}"
    up_text = "a scale-up policy allowed more at once"
    if limited.reason == "TooManyReplicas":
        more = replace(corridor, maximum=high)
        wider = [
            ("maximum", high, more, max_text),
            (
                "maximum_and_scale_up",
                high,
                replace(more, rate_up=high),
                f"{max_text} and {up_text}",
            ),
        ]
    elif limited.reason == "ScaleUpLimit":
        wider = [("scale_up", high, replace(corridor, rate_up=high), up_text)]
    elif limited.reason == "TooFewReplicas":
        text = f"minReplicas were below {limited.replicas}"
        if low == 0:
            text = "minReplicas were 0, which needs the feature gate HPAScaleToZero"
        wider = [("minimum", low, replace(corridor, minimum=low), text)]
    elif limited.reason == "ScaleDownLimit":
        text = "a scale-down policy allowed more at once"
        wider = [("scale_down", low, replace(corridor, rate_down=low), text)]
    for kind, value, other, text in wider:
        size = other.final(proposal)
        if size != limited.replicas:
            return [Change(kind, value, size, text)]
    return []


def time_changes(
    observation: Observation,
    proposal: int,
    stable: int,
    here: int,
    later: Callable[[float], ReplicaLimits],
) -> list[Change]:
    """Return when the same proposal would be followed, since the entries that hold it are outdated.

    Args:
        observation: the observation of the pass.
        proposal, stable, here: the number as proposed, after stabilization, and in the end.
        later: returns the limits of a pass at a later second.
    """
    constants, log = observation.constants, observation.state.recommendations or ()
    margin, word = 1e-6, "after"  # without a behavior an entry as old as the window counts
    window = constants.downscale_window_seconds
    growing = proposal > stable
    if observation.behavior is not None:
        rules = observation.behavior.filled(constants)
        window = (rules.up if growing else rules.down).window_seconds or 0.0
        margin, word = 0.0, "at"
    recent = [(size, at) for size, at in log if 0 <= observation.now - at <= window]
    # The result stays until the youngest entry with this number, or with less change, is outdated.
    holding = [at for size, at in recent if (size <= stable if growing else size >= stable)]
    if not holding:
        return []
    for at in sorted({at for _, at in recent if at >= max(holding)}):
        due = at + window + margin
        corridor = later(due)
        size = corridor.final(proposal)
        if due > observation.now and size != here and corridor.stabilize(proposal) != stable:
            text = (
                f"no recommendation of {stable} were younger than {window:g} s "
                f"({word} t={at + window:g} s)"
            )
            return [Change("time", due, size, text)]
    return []


# -- passes that use no metric, or fail ----------------------------------------------------------


def shortcut_changes(
    observation: Observation, here: int, size: Callable[[Observation], int]
) -> list[Change]:
    """Return what would change the result of a pass that is paused, or outside the bounds.

    Args:
        observation: the observation of the pass.
        here: its result.
        size: returns the result for another observation.
    """
    if observation.paused:
        text = "somebody scaled the target to 1 or more by hand"
        options = [("current", 1, replace(observation, current=1), text)]
    elif observation.current > observation.maximum:
        high = observation.maximum + 1
        text = f"maxReplicas were above {observation.maximum}"
        options = [("maximum", high, replace(observation, maximum=high), text)]
    else:
        low = observation.minimum - 1
        text = f"minReplicas were below {observation.minimum}"
        options = [("minimum", low, replace(observation, minimum=low), text)]
    return [
        Change(kind, value, size(other), text)
        for kind, value, other, text in options
        if size(other) != here
    ]


NO_REQUEST = "missing request for "  # in the message of a failed metric


def failed_changes(observation: Observation, weighed: MetricsResult) -> list[Change]:
    """Return what has to be corrected before a failed pass can change anything."""
    if observation.selector_problem:
        text = REMEDIES.get(observation.selector_problem, "the selector were usable")
        return [Change("selector", 0, observation.current, text)]
    if weighed.failure is None:
        return [Change("metric", 0, observation.current, "the HPA had a metric")]
    metric = weighed.failure.metric
    text = f"{metric.described()} could be read"
    if NO_REQUEST in str(weighed.failure.error):
        text = f"each container that counts had resources.requests.{metric.name} in its template"
    return [Change("metric", 0, observation.current, text)]


def sentence(observation: Observation, changes: Sequence[Change]) -> str:
    """Render the changes as one sentence, a rise and a fall together.

    Args:
        observation: the observation of the pass.
        changes: the smallest changes, the most useful one first.

    >>> rise = Change("measured", 78, 5, "the average utilization rose to 78% (it is 72%)")
    >>> fall = Change("measured", 52, 3, "the average utilization fell to 52% (it is 72%)")
    >>> sentence(Observation(0.0, 4, 10, (), ()), [rise, fall])
    'the average utilization rose to 78% or fell to 52% (it is 72%)'
    """
    if not changes:
        if observation.minimum == observation.maximum:
            return f"minReplicas and maxReplicas were not both {observation.maximum}"
        return "more than one thing changed at once"
    first = changes[0]
    if first.kind == "measured" and len(changes) > 1:
        rose, _, now = first.text.partition(" (")
        _, _, fell = changes[1].text.partition(" fell ")
        return f"{rose} or fell {fell}" if fell else f"{rose} ({now}"
    return first.text
