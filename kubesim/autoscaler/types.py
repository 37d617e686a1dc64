"""What goes into an autoscaling decision and what comes out of it: plain numbers.

Nothing here knows a clock or an API server, so a case from a bug report can be typed in:

>>> pods = tuple(PodFacts(f"p{n}", started=-999) for n in range(2))
>>> reading = Reading({"p0": Sample(90), "p1": Sample(110)}, {"p0": 100, "p1": 100})
>>> seen = Observation(now=0.0, current=2, maximum=10, pods=pods,
...                    metrics=((Metric(utilization=50), reading),))
>>> len(seen.pods), seen.minimum
(2, 1)

Units: times are seconds on any common clock. Amounts are integer *milli* units: millicores of CPU,
thousandths of a byte of memory, thousandths of a custom metric. Utilization is in whole percent.

Source: k8s.io/api/autoscaling/v2; pkg/controller/podautoscaler.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from kubesim.autoscaler.constants import DEFAULTS, NO_RULES, PolicyConstants, Rules
from kubesim.autoscaler.ratios import Tolerance
from kubesim.client.decisions import RuleStep

Log = tuple[tuple[int, float], ...]
"""(number of pods, second) of earlier passes."""


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
    window: float = DEFAULTS.custom_window_seconds


@dataclass(frozen=True, slots=True)
class PodFacts:
    """What the algorithm looks at in a pod.

    Attributes:
        name: of the pod.
        phase: status.phase.
        terminating: has a deletionTimestamp.
        ready: status of condition Ready (True, False or "Unknown"); None: no such condition.
        ready_changed: its last transition.
        started: status.startTime; None if it has not started.
    """

    name: str
    phase: str = "Running"
    terminating: bool = False
    ready: bool | Literal["Unknown"] | None = True
    ready_changed: float = 0.0
    started: float | None = 0.0


@dataclass(frozen=True, slots=True)
class Metric:
    """One entry of spec.metrics.

    Attributes:
        type: Resource, ContainerResource, Pods, Object or External.
        name: of the resource or metric.
        container: for ContainerResource.
        target_type: Utilization, AverageValue or Value; only Object looks at it.
        utilization: target in percent of the request.
        average_milli: target for each pod.
        value_milli: target for the whole.
        about: kind of the object that an Object metric describes.
        selector: of the metric's series, as events print it.
    """

    type: str = "Resource"
    name: str = "cpu"
    container: str = ""
    target_type: str = "Utilization"
    utilization: int | None = None
    average_milli: int | None = None
    value_milli: int | None = None
    about: str = ""
    selector: str = "nil"

    @property
    def by_request(self) -> bool:
        """True if it is measured in percent of the request: averageValue wins whenever it is set,
        whatever `target.type` says."""
        return self.type in ("Resource", "ContainerResource") and self.average_milli is None

    def described(self) -> str:
        """How events and conditions name it."""
        share = " utilization (percentage of request)" if self.by_request else ""
        if self.type == "ContainerResource" and self.by_request:
            return f"{self.name} container resource{share}"
        if self.type in ("Resource", "ContainerResource"):
            return f"{self.name} resource{share}"
        if self.type == "Pods":
            return f"pods metric {self.name}"
        if self.type == "Object" and self.target_type == "Value":
            return f"{self.about} metric {self.name}"
        return f"external metric {self.name}({self.selector})"


@dataclass(frozen=True, slots=True)
class Reading:
    """What was measured for one metric.

    Attributes:
        samples: pod name -> sample (Resource, ContainerResource, Pods).
        requests: pod name -> request in milli units; None if a container asks for nothing. Of
            *every* selected pod, for Utilization targets.
        unrequested: pod name -> why it has no request, in upstream's words; for those with None.
        total_milli: the value (Object), or the sum of the series (External).
        error: why nothing was measured; the metric fails then.
    """

    samples: Mapping[str, Sample] = field(default_factory=dict)
    requests: Mapping[str, int | None] = field(default_factory=dict)
    unrequested: Mapping[str, str] = field(default_factory=dict)
    total_milli: int | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Behavior:
    """spec.behavior; `Behavior()` is `{}`, which is not the same as no behavior at all.

    Attributes:
        up, down: the rules of each direction; what they leave out is filled with the defaults.
    """

    up: Rules = NO_RULES
    down: Rules = NO_RULES

    def filled(self, constants: PolicyConstants) -> Behavior:
        """The effective rules, field by field; the scale-down window is the controller's."""
        down = self.down.filled(constants.scale_down)
        if down.window_seconds is None:
            window = constants.downscale_window_seconds
            down = Rules(window, down.select, down.policies, down.tolerance)
        return Behavior(self.up.filled(constants.scale_up), down)


@dataclass(frozen=True, slots=True)
class State:
    """What the controller remembers of one HPA, in its memory; a restart empties it.

    Attributes:
        recommendations: (replicas, time) of earlier passes; None before the very first pass.
        ups, downs: (change, time) of earlier scalings, kept while there is a behavior.
        memory: whatever a policy of your own wants to see again at the next pass of this HPA; the
            real algorithm hands it on as it is.
    """

    recommendations: Log | None = None
    ups: Log = ()
    downs: Log = ()
    memory: Any = None


@dataclass(frozen=True, slots=True)
class Observation:
    """Everything that one pass looks at.

    Attributes:
        now: in seconds.
        current: spec.replicas of the target.
        maximum: of the HPA.
        metrics: each entry of spec.metrics with what was measured.
        pods: the pods that the target's selector selects.
        name: of the HPA.
        status_replicas: status.replicas of the target; only AverageValue totals look at it.
        minimum: of the HPA; 0 only where scaling to zero is permitted.
        behavior: None if the HPA has none.
        selector_problem: "", SelectorRequired, InvalidSelector or AmbiguousSelector.
        selector_message: the problem in words.
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
    minimum: int = DEFAULTS.default_min_replicas
    behavior: Behavior | None = None
    selector_problem: str = ""
    selector_message: str = ""
    constants: PolicyConstants = DEFAULTS
    state: State = State()

    @property
    def paused(self) -> bool:
        """Somebody scaled the target to 0 by hand: autoscaling leaves it there."""
        return self.current == 0 and self.minimum != 0


class Curve(Protocol):
    """A metric's answer to "and if it had measured something else?": used for explanations."""

    @property
    def measured(self) -> int:
        """Percent, average in milli, or total in milli: what the metric was measured as."""

    @property
    def level(self) -> int:
        """The measurement at which the ratio is 1; 0: there is none."""

    @property
    def tolerance(self) -> Tolerance:
        """Around that level."""

    def attained(self, measured: int, *, rising: bool) -> int:
        """The measurement that sums of whole milli units really give, coming from below (rising)
        or from above."""

    def at(self, measured: int, *, rising: bool) -> int | None:
        """The proposal at that measurement; None: the metric would fail there."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """What one metric asks for.

    Attributes:
        replicas: proposed number of pods.
        utilization: measured percent of the request (first reading), if that is the target.
        average_milli: measured average for each pod, or None.
        value_milli: measured total, or None.
        ratio: measured divided by target, of the reading that decided.
        ready: pods that count (for Object and External values: that are Running and Ready).
        held: the rule that kept the current number, or "".
        steps: the rules applied.
        curve: what it would propose at another measurement.
    """

    replicas: int
    utilization: int | None = None
    average_milli: int | None = None
    value_milli: int | None = None
    ratio: float = 1.0
    ready: int = 0
    held: str = ""
    steps: tuple[RuleStep, ...] = ()
    curve: Curve | None = field(default=None, compare=False, repr=False)


class MetricFailed(Exception):
    """One metric gave no proposal.

    Attributes:
        reason: of the condition, for example FailedGetResourceMetric.
        value_message: the same message as the summary of the pass words it.
    """

    def __init__(self, reason: str, message: str, value_message: str = "") -> None:
        super().__init__(message)
        self.reason = reason
        self.value_message = value_message or message


@dataclass(frozen=True, slots=True)
class Change:
    """A change of the input that would alter the result, found by deciding again with it.

    Attributes:
        kind: what changes: ``measured`` (value: percent, average or total of the winning metric),
            ``maximum``, ``minimum``, ``current``, ``time`` (value: second of the next pass),
            ``scale_up`` or ``scale_down`` (value: pods that the policies would have to allow),
            ``metric`` or ``selector`` (what has to be mended first; no value).
        value: the new value.
        replicas: the result that it would lead to.
        text: the change as the end of a sentence that begins "would change if".
        metric: place in spec.metrics of the metric that is meant, or None.
    """

    kind: str
    value: float
    replicas: int
    text: str
    metric: int | None = None


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
        would_change_if: the smallest changes that would alter it, in words.
        changes: the same as data.
        state: what to remember.
        data: figures for charts.
    """

    replicas: int
    reason: str = ""
    conditions: tuple[tuple[str, str, str, str], ...] = ()
    events: tuple[tuple[str, str, str], ...] = ()
    readings: tuple[Proposal | None, ...] = ()
    failed: bool = False
    steps: tuple[RuleStep, ...] = ()
    binding: str = ""
    would_change_if: str = ""
    changes: tuple[Change, ...] = ()
    state: State = State()
    data: Mapping[str, Any] = field(default_factory=dict)


class AutoscalingPolicy(Protocol):
    """What stands where the real algorithm stands: a policy of your own is one method.

    The loop around it reads the scale and the metrics, keeps the result between minReplicas and
    maxReplicas, writes it, and records it. A policy that raises costs a Warning event and a
    decision record, and the loop goes on.
    """

    def recommend(self, observation: Observation) -> Recommendation | int:
        """The wanted number of pods; a bare number will do."""
