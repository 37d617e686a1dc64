"""Every "would change if" is true: the pass is run again with the change, and decides otherwise."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hpa_builders import NOW, broken, cpu, decide, external, plain, pod, pods, seen
from hpa_strategies import observations
from hypothesis import given, settings

from kubesim.autoscaler import (
    Behavior,
    Change,
    HorizontalPolicy,
    Metric,
    Observation,
    PolicyConstants,
    Reading,
    Rules,
    Sample,
    ScalingPolicy,
    State,
)
from kubesim.autoscaler.policy.normalize import period_start
from kubesim.autoscaler.policy.replica_calculator import group_pods

recommend = HorizontalPolicy().recommend
WIDE = PolicyConstants(burst_factor=10.0)


# -- applying a change to the input ----------------------------------------------------------------


def measuring(case: Observation, value: int, *, rising: bool, place: int = 0) -> Observation:
    """The pass, had one metric measured this much: the sum of its samples is changed."""
    metric, reading = case.metrics[place]
    if metric.type in ("Object", "External"):
        changed = replace(reading, total_milli=value)
    else:
        changed = replace(reading, samples=_samples(case, metric, reading, value, rising))
    metrics = list(case.metrics)
    metrics[place] = (metric, changed)
    return replace(case, metrics=tuple(metrics))


def _samples(case: Observation, metric: Metric, reading: Reading, value: int, rising: bool):
    is_cpu = metric.name == "cpu" and metric.type != "Pods"
    groups = group_pods(
        case.pods, reading.samples, cpu=is_cpu, now=case.now, constants=case.constants
    )
    dropped = {*groups.ignored, *groups.unready}
    counted = [name for name in reading.samples if name not in dropped]
    scale, base = 1, len(counted)
    if metric.by_request:
        counted = [name for name in counted if name in reading.requests]
        scale, base = 100, sum(reading.requests[name] for name in counted)
    # The least sum that measures `value`, or the most if it is to fall.
    total = -(-value * base // scale) if rising else -(-(value + 1) * base // scale) - 1
    samples = dict(reading.samples)
    for name in counted:
        samples[name] = replace(samples[name], milli=0)
    samples[counted[0]] = replace(samples[counted[0]], milli=total)
    return samples


def allowing(case: Observation, size: int, *, up: bool) -> Observation:
    """The pass, did its policies (or the burst limit) allow exactly this size."""
    if case.behavior is None:
        limits = PolicyConstants(burst_factor=0.0, burst_minimum=size)
        return replace(case, constants=limits)
    start = period_start(case.current, case.state, 1, case.now)
    policy = ScalingPolicy("Pods", size - start if up else start - size, 1)
    rules = case.behavior.up if up else case.behavior.down
    rules = replace(rules, select="Max", policies=(policy,))
    behavior = replace(case.behavior, **{"up" if up else "down": rules})
    return replace(case, behavior=behavior)


def at_time(case: Observation, now: float) -> Observation:
    """The same pods and samples at a later second: everything is younger by as much."""
    later = now - case.now
    facts = tuple(
        replace(
            p,
            ready_changed=p.ready_changed + later,
            started=None if p.started is None else p.started + later,
        )
        for p in case.pods
    )
    metrics = tuple(
        (m, replace(r, samples={n: replace(s, time=s.time + later) for n, s in r.samples.items()}))
        for m, r in case.metrics
    )
    return replace(case, now=now, pods=facts, metrics=metrics)


def applied(case: Observation, change: Change) -> Observation:
    """The pass with one change."""
    value = int(change.value)
    if change.kind == "measured":
        rising = " rose to " in change.text
        return measuring(case, value, rising=rising, place=change.metric)
    if change.kind == "time":
        return at_time(case, change.value)
    if change.kind in ("maximum", "minimum", "current"):
        return replace(case, **{change.kind: value})
    if change.kind == "maximum_and_scale_up":
        return allowing(replace(case, maximum=value), value, up=True)
    assert change.kind in ("scale_up", "scale_down"), change
    return allowing(case, value, up=change.kind == "scale_up")


# -- every change is true --------------------------------------------------------------------------


@settings(max_examples=400, deadline=None)
@given(observations(metrics=2))
def test_every_offered_change_alters_the_result_as_it_says(case: Observation) -> None:
    """Run again with the change: another size, and the one that was promised."""
    if case.state.recommendations is None:  # the seed is made of the pass itself
        case = replace(case, state=State(((case.current, NOW),), case.state.ups, case.state.downs))
    result = recommend(case)
    for change in result.changes:
        if change.kind in ("metric", "selector"):
            assert result.failed
            continue
        again = recommend(applied(case, change))
        assert again.replicas == change.replicas, change
        assert again.replicas != result.replicas, change


@settings(max_examples=150, deadline=None)
@given(observations(metrics=1))
def test_nothing_nearer_would_do(case: Observation) -> None:
    """Every measurement between the present one and the flip gives the present size."""
    result = recommend(case)
    if result.failed or not result.readings or result.readings[0] is None:
        return
    curve = result.readings[0].curve
    flips = {" rose to " in c.text: int(c.value) for c in result.changes if c.kind == "measured"}
    up, down = flips.get(True, curve.measured + 40), flips.get(False, -1)
    for measured in range(curve.measured + 1, min(up, curve.measured + 40)):
        if curve.attained(measured, rising=True) == measured:
            assert recommend(measuring(case, measured, rising=True)).replicas == result.replicas
    for measured in range(max(down + 1, curve.measured - 40, 0), curve.measured):
        if curve.attained(measured, rising=False) == measured:
            assert recommend(measuring(case, measured, rising=False)).replicas == result.replicas


# -- examples, with their words --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("case", "text"),
    [
        (
            seen(cpu(720, 720, 720, 720, target=70), current=4),
            "the average utilization rose to 78% or fell to 52% (it is 72%)",
        ),
        (  # far below the target: the next pod is nearer than the tolerance
            seen(cpu(100, 100, 100, 100), current=4),
            "the average utilization rose to 13% (it is 10%)",
        ),
        (  # far above it: likewise
            seen(cpu(1000, 1000, 1000, 1000), current=4, constants=WIDE),
            "the average utilization rose to 101% or fell to 87% (it is 100%)",
        ),
        (  # one more pod would need 281 %, and the burst limit is 4: only a fall matters
            seen(cpu(500, request=200, target=70), current=1),
            "the average utilization fell to 210% (it is 250%)",
        ),
        (seen(cpu(900, 900), current=2, maximum=3), "maxReplicas were above 3"),
        (
            seen(cpu(9000, 9000), current=2, maximum=4),
            "maxReplicas were above 4 and a scale-up policy allowed more at once",
        ),
        (seen(cpu(9000, 9000), current=2), "a scale-up policy allowed more at once"),
        (
            seen(cpu(0, 0), current=2),
            "minReplicas were 0, which needs the feature gate HPAScaleToZero",
        ),
        (seen(cpu(0, 0, 0), current=3, minimum=2), "minReplicas were below 2"),
        (seen(cpu(), current=0, pods=()), "somebody scaled the target to 1 or more by hand"),
        (seen(cpu(), current=9, maximum=5, pods=()), "maxReplicas were above 5"),
        (seen(cpu(), current=2, minimum=5, pods=()), "minReplicas were below 5"),
        (
            seen(cpu(100, 100), current=2, state=State(((2, 800.0), (1, 990.0)))),
            "no recommendation of 2 were younger than 300 s (after t=1100 s)",
        ),
        (
            seen(
                cpu(900, 900),
                current=2,
                state=State(((2, 990.0),)),
                behavior=Behavior(Rules(window_seconds=60)),
            ),
            "no recommendation of 2 were younger than 60 s (at t=1050 s)",
        ),
        (
            seen(cpu(100), broken(), current=1),
            "the average utilization of cpu rose to 56% (it is 10%)",
        ),
        (
            seen(cpu(*[100] * 5), broken(), current=5),
            "external metric queue(nil) could be read",
        ),
        (
            seen(cpu(500, 500), current=2, minimum=2, maximum=2),
            "minReplicas and maxReplicas were not both 2",
        ),
        (
            seen(external(450_000, average=100_000), current=5),
            "the total of queue rose to 550001m or fell to 400 (it is 450)",
        ),
        (
            seen(plain(100, 100, target=100), current=2),
            "the average for each pod of qps rose to 111m or fell to 50m (it is 100m)",
        ),
        (
            seen(
                cpu(100, 100, 100, 100),
                current=4,
                behavior=Behavior(down=Rules(0, None, (ScalingPolicy("Pods", 1, 60),))),
            ),
            "a scale-down policy allowed more at once",
        ),
        (
            seen(cpu(500), selector_problem="AmbiguousSelector"),
            "no other HPA selected these pods",
        ),
    ],
)
def test_the_words(case: Observation, text: str) -> None:
    """What explain() prints after "would change if"."""
    result = recommend(case)
    assert result.would_change_if == text
    for change in result.changes:
        if change.kind not in ("metric", "selector"):
            assert recommend(applied(case, change)).replicas == change.replicas != result.replicas


def test_the_flip_of_a_held_size() -> None:
    """3 ready pods at 72 % and a starting one: held at 4 until the damped reading is over 55 %."""
    young = pod("p3", started=NOW - 20, ready=False, ready_changed=NOW - 20)
    case = seen(cpu(720, 720, 720, 900), current=4, pods=(*pods(3), young))
    result = recommend(case)
    rise = result.changes[0]
    assert (rise.kind, rise.value, rise.replicas) == ("measured", 75, 5)  # 2250 / 4000 = 56 %
    assert recommend(measuring(case, 74, rising=True)).replicas == 4


def test_another_metric_can_make_a_fall_pointless() -> None:
    """Both propose 8, and 8 is the burst limit: neither alone would change it."""
    both = decide(cpu(*[960] * 4), external(8, average=1), current=4, status_replicas=999)
    assert (both.replicas, both.changes) == (8, ())
    assert both.would_change_if == "more than one thing changed at once"
    alone = decide(cpu(*[960] * 4), current=4)
    assert alone.would_change_if == "the average utilization fell to 87% (it is 96%)"


def test_a_metric_that_nobody_multiplies_offers_no_rise() -> None:
    """No pod is ready: whatever the queue holds, 0 pods times anything is 0."""
    result = decide(external(500, value=100), current=3, pods=pods(3, ready=False), minimum=0)
    assert not [c for c in result.changes if " rose " in c.text]


def test_a_day_of_passes_is_cheap_to_explain() -> None:
    """The search halves its range: a total of a petabyte in milli units is no problem."""
    result = decide(external(10**15, average=10**12), current=5, status_replicas=900)
    assert result.changes


def test_samples_are_what_is_changed() -> None:
    """What these tests apply is what they mean to."""
    case = seen(cpu(100, 200, 300), current=3)
    assert recommend(measuring(case, 47, rising=True)).data["utilization"] == 47
    assert recommend(measuring(case, 11, rising=False)).data["utilization"] == 11
    assert (
        sum(s.milli for s in measuring(case, 47, rising=True).metrics[0][1].samples.values())
        == 1410
    )
    assert Sample(1).window == 60.0
