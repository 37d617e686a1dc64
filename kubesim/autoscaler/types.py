"""What goes into an autoscaling decision and what comes out of it: plain numbers.

Times are seconds on any common clock. Amounts are integer *milli* units: millicores of CPU,
thousandths of a byte of memory, thousandths of a custom metric.

Source: k8s.io/api/autoscaling/v2; pkg/controller/podautoscaler.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from kubesim.client.decisions import Step


@dataclass(frozen=True, slots=True)
class Constants:
    """Settings of the controller, with kube-controller-manager's defaults.

    Attributes:
        tolerance: ratios within 1 +- this do nothing.
        downscale_window_seconds: how far back recommendations hold a scale-down up.
        cpu_initialization_seconds: how long the CPU samples of a starting pod are suspect.
        readiness_delay_seconds: a pod that was unready so shortly after its start never was ready.
        burst_factor, burst_minimum: without a behavior, at most max(factor * current, minimum).
    """

    tolerance: float = 0.1
    downscale_window_seconds: float = 300.0
    cpu_initialization_seconds: float = 300.0
    readiness_delay_seconds: float = 30.0
    burst_factor: float = 2.0
    burst_minimum: int = 4


@dataclass(frozen=True, slots=True)
class Sample:
    """One pod's value of one metric.

    Attributes:
        milli: the value.
        time: when it was taken.
        window: seconds that it covers, before `time`.
    """

    milli: int
    time: float = 0.0
    window: float = 60.0


@dataclass(frozen=True, slots=True)
class PodFacts:
    """What the algorithm looks at in a pod.

    Attributes:
        name: of the pod.
        phase: status.phase.
        terminating: has a deletionTimestamp.
        ready: status of condition Ready; None if there is no such condition.
        ready_changed: its last transition.
        started: status.startTime; None if it has not started.
    """

    name: str
    phase: str = "Running"
    terminating: bool = False
    ready: bool | None = True
    ready_changed: float = 0.0
    started: float | None = 0.0


@dataclass(frozen=True, slots=True)
class Metric:
    """One entry of spec.metrics.

    Attributes:
        type: Resource, ContainerResource, Pods, Object or External.
        name: of the resource or metric.
        container: for ContainerResource.
        target_type: Utilization, AverageValue or Value.
        utilization: percent of the request.
        average_milli: target for each pod.
        value_milli: target for the whole.
        about: kind of the described object, or the selector of an external metric.
    """

    type: str = "Resource"
    name: str = "cpu"
    container: str = ""
    target_type: str = "Utilization"
    utilization: int | None = None
    average_milli: int | None = None
    value_milli: int | None = None
    about: str = ""

    def described(self) -> str:
        """How events and conditions name it."""
        if self.type == "Resource":
            if self.average_milli is not None:
                return f"{self.name} resource"
            return f"{self.name} resource utilization (percentage of request)"
        if self.type == "ContainerResource":
            if self.average_milli is not None:
                return f"{self.name} container resource"
            return f"{self.name} container resource utilization (percentage of request)"
        if self.type == "Pods":
            return f"pods metric {self.name}"
        if self.type == "Object" and self.target_type == "Value":
            return f"{self.about} metric {self.name}"
        return f"external metric {self.name}({self.about})"


@dataclass(frozen=True, slots=True)
class Reading:
    """What was measured for one metric.

    Attributes:
        samples: pod name -> sample (Resource, ContainerResource, Pods).
        requests: pod name -> request in milli units; None if a container asks for nothing. Of
            *every* selected pod, for Utilization targets.
        total_milli: the value (Object), or the sum of the series (External).
        error: why nothing was measured; the metric fails then.
    """

    samples: Mapping[str, Sample] = field(default_factory=dict)
    requests: Mapping[str, int | None] = field(default_factory=dict)
    total_milli: int | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class ScalingPolicy:
    """One policy: at most `value` Pods or Percent each `period_seconds`."""

    type: str
    value: int
    period_seconds: int


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of one direction.

    Attributes:
        window_seconds: stabilization window; None: the controller's (scale-down only).
        select: Max, Min or Disabled.
        policies: at least one.
        tolerance: overrides the controller's; None: it does not.
    """

    window_seconds: float | None = None
    select: str = "Max"
    policies: tuple[ScalingPolicy, ...] = ()
    tolerance: float | None = None


DEFAULT_UP = Rules(0.0, "Max", (ScalingPolicy("Pods", 4, 15), ScalingPolicy("Percent", 100, 15)))
DEFAULT_DOWN = Rules(None, "Max", (ScalingPolicy("Percent", 100, 15),))


@dataclass(frozen=True, slots=True)
class Behavior:
    """spec.behavior with its defaults filled in."""

    up: Rules = DEFAULT_UP
    down: Rules = DEFAULT_DOWN


@dataclass(frozen=True, slots=True)
class State:
    """What the controller remembers of one HPA, in its memory.

    Attributes:
        recommendations: (replicas, time) of earlier passes; None before the very first pass.
        ups, downs: (change, time) of earlier scalings, kept while there is a behavior.
    """

    recommendations: tuple[tuple[int, float], ...] | None = None
    ups: tuple[tuple[int, float], ...] = ()
    downs: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Observation:
    """Everything that one pass looks at.

    Attributes:
        name: of the HPA.
        now: in seconds.
        current: spec.replicas of the target.
        status_replicas: status.replicas of the target.
        minimum, maximum: of the HPA.
        metrics: each entry of spec.metrics with what was measured.
        pods: the pods that the target's selector selects.
        behavior: None if the HPA has none.
        selector_problem: "" or InvalidSelector or AmbiguousSelector.
        scale_to_zero: minReplicas 0 is permitted.
        constants: the controller's settings.
        state: what it remembers.
    """

    now: float
    current: int
    maximum: int
    metrics: tuple[tuple[Metric, Reading], ...]
    pods: tuple[PodFacts, ...]
    name: str = ""
    status_replicas: int = 0
    minimum: int = 1
    behavior: Behavior | None = None
    selector_problem: str = ""
    constants: Constants = Constants()
    state: State = State()


@dataclass(frozen=True, slots=True)
class Proposal:
    """What one metric asks for.

    Attributes:
        replicas: proposed number of pods.
        utilization: measured percent of the request (first reading), if that is the target.
        average_milli: measured average for each pod, or None.
        value_milli: measured total, or None.
        ratio: measured divided by target, of the reading that decided.
        ready: number of pods that were multiplied.
        held: the rule that kept the current number, or "".
        steps: the rules applied.
    """

    replicas: int
    utilization: int | None = None
    average_milli: int | None = None
    value_milli: int | None = None
    ratio: float = 1.0
    ready: int = 0
    held: str = ""
    steps: tuple[Step, ...] = ()


class MetricFailed(Exception):
    """One metric gave no proposal.

    Attributes:
        reason: of the condition, for example FailedGetResourceMetric.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Recommendation:
    """The outcome of one pass.

    Attributes:
        replicas: the wanted size; `current` if nothing is to change.
        reason: of the rescale event; "" if nothing changes or only history moved the size.
        conditions: (type, status, reason, message) in the order in which they are set.
        events: (type, reason, message) besides the rescale event.
        readings: of each metric, for status.currentMetrics; None where it failed.
        failed: metrics failed the pass: size, recommendation log and desiredReplicas stay.
        steps: the rules applied.
        binding: what determined the result.
        would_change_if: the smallest change that would alter it.
        state: what to remember.
        data: figures for charts.
    """

    replicas: int
    reason: str = ""
    conditions: tuple[tuple[str, str, str, str], ...] = ()
    events: tuple[tuple[str, str, str], ...] = ()
    readings: tuple[Proposal | None, ...] = ()
    failed: bool = False
    steps: tuple[Step, ...] = ()
    binding: str = ""
    would_change_if: str = ""
    state: State = State()
    data: Mapping[str, Any] = field(default_factory=dict)


class AutoscalingPolicy(Protocol):
    """What stands where the real algorithm stands: a policy of your own is one method.

    The loop around it reads the scale and the metrics, writes the result, and records it.
    """

    def recommend(self, observation: Observation) -> Recommendation | int:
        """The wanted number of pods; a bare number will do."""
