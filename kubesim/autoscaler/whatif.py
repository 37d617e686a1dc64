"""What would have to change for the autoscaler to decide otherwise: the nearest flips.

Each one is found by deciding again with the change, on the figures of the same pass: another
measurement through the same arithmetic, the same proposal through a wider corridor, or the same
corridor at a later second. Nothing is guessed, and a change that would not help is not offered.

No counterpart in Kubernetes, whose users have asked for it since 2016.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from kubesim.autoscaler.constants import MAX_REPLICAS, MAX_TOTAL
from kubesim.autoscaler.normalize import Corridor, Limited
from kubesim.autoscaler.ratios import quantity_text
from kubesim.autoscaler.types import Change, Curve, Metric, Observation
from kubesim.autoscaler.weighing import Weighed

MENDED = {
    "SelectorRequired": "the target's scale had a selector",
    "InvalidSelector": "the selector of the target's scale could be parsed",
    "AmbiguousSelector": "no other HPA selected these pods",
}


# -- the measurement ---------------------------------------------------------------------------


def zones(curve: Curve) -> list[int]:
    """The measurements at which the rules change, ascending: into the tolerance, onto the target,
    past it, out of the tolerance. Between two of them more measured never means fewer pods."""
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


def nearest_rise(curve: Curve, differs: Callable[[int], bool], grows: bool) -> int | None:
    """The least measurement above the present one at which the result differs.

    Args:
        curve: of the winning metric.
        differs: whether the result at a measurement is another one.
        grows: whether any number of pods, however large, would make a difference at all.
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
        if far > MAX_TOTAL:  # no pod is ready: whatever is measured, nothing is multiplied
            return None
    return _bisect(start, far, differs)


def nearest_fall(curve: Curve, differs: Callable[[int], bool]) -> int | None:
    """The largest measurement below the present one, 0 or more, at which the result differs."""
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
    """Between a measurement with the same result and one with another: the first that differs."""
    while abs(other - same) > 1:
        middle = (same + other) // 2
        if differs(middle):
            other = middle
        else:
            same = middle
    return other


def measured_changes(
    seen: Observation, weighed: Weighed, corridor: Corridor, here: int
) -> list[Change]:
    """How far the winning metric would have to rise or fall, everything else being equal."""
    curve = None if weighed.proposal is None else weighed.proposal.curve
    if curve is None or weighed.metric is None:
        return []

    def size(replicas: int | None) -> int:
        most = weighed.rest if replicas is None else max(replicas, weighed.rest)
        unknown = replicas is None or weighed.failure is not None
        held = unknown and most < seen.current  # nothing shrinks without a metric that failed
        return seen.current if held else corridor.final(most)

    subject, text = _words(seen, weighed.metric)
    now = f"(it is {text(curve.measured)})"
    place = next(i for i, found in enumerate(weighed.readings) if found is weighed.proposal)
    changes = []
    for rising, verb in ((True, "rose"), (False, "fell")):

        def result(measured: int, rising: bool = rising) -> int:
            return size(curve.at(measured, rising=rising))

        def differs(measured: int, result: Callable[[int], int] = result) -> bool:
            return result(measured) != here

        if rising:
            found = nearest_rise(curve, differs, grows=size(MAX_REPLICAS) != here)
        else:
            found = nearest_fall(curve, differs)
        if found is not None:
            value = curve.attained(found, rising=rising)
            said = f"{subject} {verb} to {text(value)} {now}"
            changes.append(Change("measured", value, result(found), said, place))
    return changes


def _words(seen: Observation, metric: Metric) -> tuple[str, Callable[[int], str]]:
    """(what is measured, how its values are written)."""
    of = f" of {metric.name}" if len(seen.metrics) > 1 or metric.type != "Resource" else ""
    if metric.by_request:
        return f"the average utilization{of}", lambda value: f"{value}%"
    if metric.type in ("Object", "External"):
        return f"the total{of}", quantity_text
    return f"the average for each pod{of}", quantity_text


# -- limits and history ------------------------------------------------------------------------


def limit_changes(corridor: Corridor, proposal: int, limited: Limited) -> list[Change]:
    """Which limit would have to give way, and what the size would be then."""
    high, low = limited.replicas + 1, limited.replicas - 1
    wider: list[tuple[str, int, Corridor, str]] = []
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
    seen: Observation,
    proposal: int,
    stable: int,
    here: int,
    later: Callable[[float], Corridor],
) -> list[Change]:
    """When the same proposal would be followed, because the entry that holds it has grown old.

    Args:
        seen: the pass.
        proposal, stable, here: the size as proposed, after history, and in the end.
        later: the corridor of a pass at a later second.
    """
    constants, log = seen.constants, seen.state.recommendations or ()
    margin, word = 1e-6, "after"  # without a behavior an entry as old as the window takes part
    window = constants.downscale_window_seconds
    growing = proposal > stable
    if seen.behavior is not None:
        rules = seen.behavior.filled(constants)
        window = (rules.up if growing else rules.down).window_seconds or 0.0
        margin, word = 0.0, "at"
    recent = [(size, at) for size, at in log if 0 <= seen.now - at <= window]
    # Nothing moves before the youngest entry that asks for this size, or for less change, is out.
    holding = [at for size, at in recent if (size <= stable if growing else size >= stable)]
    if not holding:
        return []
    for at in sorted({at for _, at in recent if at >= max(holding)}):
        due = at + window + margin
        corridor = later(due)
        size = corridor.final(proposal)
        if due > seen.now and size != here and corridor.stabilize(proposal) != stable:
            text = (
                f"no recommendation of {stable} were younger than {window:g} s "
                f"({word} t={at + window:g} s)"
            )
            return [Change("time", due, size, text)]
    return []


# -- passes that look at no metric, or fail ------------------------------------------------------


def shortcut_changes(
    seen: Observation, here: int, size: Callable[[Observation], int]
) -> list[Change]:
    """Paused at zero, or outside the bounds: what would lead elsewhere.

    Args:
        seen: the pass.
        here: its result.
        size: the result of another pass.
    """
    if seen.paused:
        text = "somebody scaled the target to 1 or more by hand"
        options = [("current", 1, replace(seen, current=1), text)]
    elif seen.current > seen.maximum:
        high = seen.maximum + 1
        text = f"maxReplicas were above {seen.maximum}"
        options = [("maximum", high, replace(seen, maximum=high), text)]
    else:
        low = seen.minimum - 1
        text = f"minReplicas were below {seen.minimum}"
        options = [("minimum", low, replace(seen, minimum=low), text)]
    return [
        Change(kind, value, size(other), text)
        for kind, value, other, text in options
        if size(other) != here
    ]


def failed_changes(seen: Observation, weighed: Weighed) -> list[Change]:
    """The pass failed: what has to be mended before anything can change."""
    if seen.selector_problem:
        text = MENDED.get(seen.selector_problem, "the selector were usable")
        return [Change("selector", 0, seen.current, text)]
    if weighed.failure is None:
        return [Change("metric", 0, seen.current, "the HPA had a metric")]
    text = f"{weighed.failure.metric.described()} could be read"
    return [Change("metric", 0, seen.current, text)]


def sentence(seen: Observation, changes: Sequence[Change]) -> str:
    """The changes as one sentence; a rise and a fall are put together.

    >>> rise = Change("measured", 78, 5, "the average utilization rose to 78% (it is 72%)")
    >>> fall = Change("measured", 52, 3, "the average utilization fell to 52% (it is 72%)")
    >>> sentence(Observation(0.0, 4, 10, (), ()), [rise, fall])
    'the average utilization rose to 78% or fell to 52% (it is 72%)'
    """
    if not changes:
        if seen.minimum == seen.maximum:
            return f"minReplicas and maxReplicas were not both {seen.maximum}"
        return "more than one thing changed at once"
    first = changes[0]
    if first.kind == "measured" and len(changes) > 1:
        rose, _, now = first.text.partition(" (")
        _, _, fell = changes[1].text.partition(" fell ")
        return f"{rose} or fell {fell}" if fell else f"{rose} ({now}"
    return first.text
