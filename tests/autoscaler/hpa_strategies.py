"""Hypothesis strategies: whole passes, with all sorts of pods, metrics, behaviors and histories."""

from __future__ import annotations

from hypothesis import strategies as st

from kubesim.autoscaler import (
    Behavior,
    Metric,
    Observation,
    PodFacts,
    Reading,
    Rules,
    Sample,
    ScalingPolicy,
    State,
)

NOW = 1000.0
# Times on a grid, so that boundaries are hit exactly and often.
ages = st.sampled_from(
    [0.0, 1.0, 14.0, 15.0, 16.0, 29.0, 30.0, 31.0, 60.0, 299.0, 300.0, 301.0, 900.0]
)
windows = st.sampled_from([0.0, 15.0, 60.0, 300.0, 3600.0])
sizes = st.integers(0, 30)


@st.composite
def pods(draw, least: int = 0, most: int = 8) -> tuple[PodFacts, ...]:
    """Pods in every state; most of them are well."""
    found = []
    for index in range(draw(st.integers(least, most))):
        started = NOW - draw(ages)
        well = draw(st.integers(0, 2)) > 0
        found.append(
            PodFacts(
                f"p{index}",
                "Running"
                if well
                else draw(st.sampled_from(["Pending", "Failed", "Succeeded", "Running"])),
                False if well else draw(st.booleans()),
                True if well else draw(st.sampled_from([True, False, "Unknown", None])),
                started if well else min(NOW, started + draw(ages)),
                draw(st.sampled_from([started, started, None])) if not well else started,
            )
        )
    return tuple(found)


PER_POD = ("cpu", "cpu", "memory", "average", "Pods")
ALL_KINDS = (*PER_POD, "External", "Value", "error")


@st.composite
def readings(draw, names: list[str], kinds=ALL_KINDS) -> tuple[Metric, Reading]:
    """One metric with what was measured; now and then it fails."""
    kind = draw(st.sampled_from(kinds))
    if kind == "error":
        return Metric("External", "broken", average_milli=1), Reading(error="no answer")
    if kind in ("External", "Value"):
        target = draw(st.integers(1, 300))
        total = draw(st.integers(0, 4000))
        field = "average_milli" if kind == "External" else "value_milli"
        return Metric("External", "queue", **{field: target}), Reading(total_milli=total)
    have = [name for name in [*names, "stray"] if draw(st.integers(0, 5))]
    if kind in ("cpu", "memory", "average"):
        have = [name for name in have if name != "stray"]
    samples = {
        name: Sample(draw(st.integers(0, 1500)), NOW - draw(st.sampled_from([0.0, 5.0])), 15.0)
        for name in have
    }
    requests = {name: draw(st.sampled_from([100, 500, 1000])) for name in names}
    if kind in ("cpu", "memory"):
        metric = Metric(name=kind, utilization=draw(st.sampled_from([30, 50, 70, 100, 200])))
    else:
        type_ = "Pods" if kind == "Pods" else "Resource"
        metric = Metric(type_, "cpu", average_milli=draw(st.integers(1, 900)))
    return metric, Reading(samples, requests)


policies = st.builds(
    ScalingPolicy,
    st.sampled_from(["Pods", "Percent"]),
    st.integers(1, 120),
    st.sampled_from([15, 60, 300]),
)
rules = st.builds(
    Rules,
    window_seconds=st.none() | windows,
    select=st.sampled_from([None, "Max", "Min", "Disabled"]),
    policies=st.none() | st.lists(policies, min_size=1, max_size=3).map(tuple),
    tolerance=st.sampled_from([None, None, 0.0, 0.05, 0.3]),
)
behaviors = st.none() | st.builds(Behavior, rules, rules)
logs = st.lists(st.tuples(sizes, ages.map(lambda age: NOW - age)), max_size=5).map(tuple)
events = st.lists(st.tuples(st.integers(1, 5), ages.map(lambda age: NOW - age)), max_size=3).map(
    tuple
)
states = st.builds(State, st.none() | logs, events, events)


@st.composite
def observations(draw, metrics: int = 3, kinds=ALL_KINDS, least_pods: int = 0) -> Observation:
    """A whole pass."""
    group = draw(pods(least_pods))
    names = [pod.name for pod in group]
    minimum = draw(st.integers(0, 8))
    return Observation(
        now=NOW,
        current=draw(st.integers(0, 20)),
        maximum=draw(st.integers(max(1, minimum), 25)),
        metrics=tuple(draw(readings(names, kinds)) for _ in range(draw(st.integers(1, metrics)))),
        pods=group,
        status_replicas=draw(st.integers(0, 20)),
        minimum=minimum,
        behavior=draw(behaviors),
        state=draw(states),
    )
