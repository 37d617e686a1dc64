"""Builders for the tests of the autoscaler: pods, readings and passes, in a line each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kubesim.autoscaler import (
    Metric,
    Observation,
    PodFacts,
    Reading,
    Recommendation,
    Sample,
    State,
)
from kubesim.autoscaler.policy.horizontal import HorizontalPolicy

OLD = -10_000.0  # a start so long ago that no rule of starting pods applies
NOW = 1_000.0


def pod(name: str = "p0", **facts: Any) -> PodFacts:
    """A pod that has been Running and Ready for hours."""
    return PodFacts(name, **{"started": OLD, "ready_changed": OLD, **facts})


def pods(count: int, first: int = 0, **facts: Any) -> tuple[PodFacts, ...]:
    """`count` such pods: p0, p1 ..."""
    return tuple(pod(f"p{first + n}", **facts) for n in range(count))


def cpu(
    *used: int, request: int = 1000, target: int = 50, missing: int = 0, **metric: Any
) -> tuple[Metric, Reading]:
    """CPU in milli of p0, p1 ... against a utilization target in percent.

    `missing` more pods have a request and no sample.
    """
    names = [f"p{n}" for n in range(len(used) + missing)]
    samples = {name: Sample(milli, NOW, 15.0) for name, milli in zip(names, used, strict=False)}
    reading = Reading(samples, dict.fromkeys(names, request))
    return Metric(utilization=target, **metric), reading


def plain(*values: int, target: int, type: str = "Pods", name: str = "qps") -> Any:
    """A plain value of p0, p1 ... in milli against an average."""
    samples = {f"p{n}": Sample(milli, NOW) for n, milli in enumerate(values)}
    return Metric(type, name, target_type="AverageValue", average_milli=target), Reading(samples)


def external(total: int, *, average: int | None = None, value: int | None = None) -> Any:
    """A total in milli against an average for each pod, or against one value."""
    kind = "Value" if average is None else "AverageValue"
    metric = Metric("External", "queue", "", kind, None, average, value)
    return metric, Reading(total_milli=total)


def broken(type: str = "External", error: str = "no answer", **metric: Any) -> Any:
    """A metric that cannot be read."""
    return Metric(type, metric.pop("name", "queue"), **metric), Reading(error=error)


def seen(
    *metrics: tuple[Metric, Reading], current: int = 1, state: State | None = None, **more: Any
) -> Observation:
    """Run one pass; the recommendation log is empty unless a state is given."""
    facts = {"pods": pods(current), "maximum": 100, "now": NOW, "status_replicas": current, **more}
    state = State(recommendations=()) if state is None else state
    return Observation(metrics=metrics, current=current, state=state, **facts)


def decide(*metrics: tuple[Metric, Reading], current: int = 1, **more: Any) -> Recommendation:
    """Return what the real algorithm recommends."""
    return HorizontalPolicy().recommend(seen(*metrics, current=current, **more))


def condition(result: Recommendation, type: str) -> tuple[str, str] | None:
    """(status, reason) of a condition after a pass; None if it was not set."""
    found = [(status, reason) for kind, status, reason, _ in result.conditions if kind == type]
    return found[-1] if found else None


def reasons(result: Recommendation) -> list[str]:
    """The reasons of the events."""
    return [reason for _, reason, _ in result.events]


def rules_of(result: Recommendation) -> Sequence[str]:
    """The names of the rules applied."""
    return [step.rule for step in result.steps]
