"""Sources of custom and external metrics: what a user registers, and what the traffic measures.

A metric is a number, or a function of the simulated second (for a metric of pods: of pod name and
second). The adapter (`autoscaler.metrics.adapter`) reads it and serves it to autoscalers.

No counterpart in Kubernetes: there, an adapter queries a monitoring system such as Prometheus.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import ceil, isfinite
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from kubesim.arguments import Check, check_arguments

if TYPE_CHECKING:
    from kubesim.objects.types import PodDict

BUILT_IN = (
    "requests_per_second",
    "queue_length",
    "unmet_requests_per_second",
    "latency_p95_seconds",
)
PER_POD = "requests_per_second"  # the built-in metric of pods

Total = Callable[[float], float] | float
"""A number, or a function of the simulated second."""

PodValue = Callable[[str, float], float | None] | float
"""A number, or a function of pod name and second; None: this pod has no value."""


class TrafficFigures(Protocol):
    """The figures of the traffic that the adapter serves."""

    def load_for(self, pod: PodDict, now: float) -> float | None:
        """Return the requests per second that reach one pod; None: no traffic is routed to it."""

    def figures(self) -> Mapping[str, Mapping[str, float]]:
        """Return the `BUILT_IN` figures of the newest second, by route; only those with a value."""


V = TypeVar("V", Total, PodValue)


@dataclass(frozen=True)
class MetricSource(Generic[V]):
    """One registered metric.

    Attributes:
        value: a number or a function.
        labels: of a series of an external metric.
        window: seconds that a value of a pod covers.
    """

    value: V
    labels: Mapping[str, str] = field(default_factory=dict)
    window: float = 0.0


def source_check(expected: str) -> Check:
    """Expect a finite number or a function.

    Args:
        expected: for the message, for example ``a number, or a function of the second``.
    """

    def check(value: object) -> str | None:
        number = isinstance(value, (int, float)) and not isinstance(value, bool) and isfinite(value)
        return None if number or callable(value) else expected

    return check


TOTAL = {"value": source_check("a number, or a function of the second")}
PODS = {"value": source_check("a number, or a function of pod name and second")}


def checked_total(value: Total) -> Total:
    """Return the value of a metric, if it is a number or a function.

    Raises:
        BadRequest: it is neither.
    """
    check_arguments(TOTAL, {"value": value})
    return value


def checked_pod_value(value: PodValue) -> PodValue:
    """Return the value of a metric of pods, if it is a number or a function.

    Raises:
        BadRequest: it is neither.
    """
    check_arguments(PODS, {"value": value})
    return value


def milli_of(value: float) -> int:
    """Return thousandths, rounded up, as a quantity is parsed.

    Raises:
        ValueError: the value is not a finite number.
    """
    if not isfinite(value):
        raise ValueError(f"the metric's value is {value!r}")
    return ceil(round(value * 1000, 6))
