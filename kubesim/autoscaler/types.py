"""The input and output of an autoscaling decision: plain numbers.

These types need no clock and no API server, so a case from a bug report can be typed in:

>>> pods = tuple(PodFacts(f"p{n}", started=-999) for n in range(2))
>>> reading = Reading({"p0": Sample(90), "p1": Sample(110)}, {"p0": 100, "p1": 100})
>>> observation = Observation(now=0.0, current=2, maximum=10, pods=pods,
...                          metrics=((Metric(utilization=50), reading),))
>>> len(observation.pods), observation.minimum
(2, 1)

Units: times are seconds on any common clock. Amounts are integer *milli* units: millicores of CPU,
thousandths of a byte of memory, thousandths of a custom metric. Utilization is in whole percent.

Source: k8s.io/api/autoscaling/v2; pkg/controller/podautoscaler.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, cast

from kubesim.arguments import check_arguments, having
from kubesim.autoscaler.constants import DEFAULTS, NO_RULES, PolicyConstants, Rules
from kubesim.client.decisions import OnDemand, RuleStep
from kubesim.objects.frozen import ReadOnlyDocument

Log = tuple[tuple[int, float], ...]
"""(number of pods, second) of earlier passes."""

IS_POLICY = having("recommend", "an object with a method recommend(observation)")


@dataclass(frozen=True, slots=True)
class Sample:
    """One pod's value of one metric.

    Attributes:
        milli: the value.
        time: second at which it was taken.
        window: seconds before `time` that it covers.
    """

    milli: int
    time: float = 0.0
    window: float = DEFAULTS.custom_window_seconds


@dataclass(frozen=True, slots=True)
class PodFacts:
    """The facts about a pod that the algorithm uses.

    Attributes:
        name: of the pod.
        phase: status.phase.
        terminating: it has a deletionTimestamp.
        ready: status of condition Ready (True, False or "Unknown"); None: no such condition.
        ready_changed: second of its last transition.
        started: second of status.startTime; None: it has not started.
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
        target_type: Utilization, AverageValue or Value; used for Object metrics only.
        utilization: target in percent of the request.
        average_milli: target for each pod.
        value_milli: target for the whole.
        about: kind of the object that an Object metric describes.
        selector: of the metric's series, as events print it.
        by_request: it is measured in percent of the request: averageValue wins whenever it is set,
            whatever `target.type` says.
        description: its name in events and conditions.
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
    by_request: bool = field(init=False, repr=False, compare=False)
    description: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        by_request = self.type in ("Resource", "ContainerResource") and self.average_milli is None
        object.__setattr__(self, "by_request", by_request)  # computed once, read in every pass
        object.__setattr__(self, "description", self._describe())

    def described(self) -> str:
        """Return its name in events and conditions."""
        return self.description

    def _describe(self) -> str:
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
    """The measurement of one metric.

    Attributes:
        samples: pod name -> sample (Resource, ContainerResource, Pods).
        requests: pod name -> request in milli units; None: a container has no request. For
            Utilization targets it has *every* selected pod.
        unrequested: pod name -> why it has no request, in upstream's words; for those with None.
        total_milli: the value (Object), or the sum of the series (External).
        error: why there is no measurement; the metric fails then.
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
        up, down: the rules of each direction; missing fields have defaults.
    """

    up: Rules = NO_RULES
    down: Rules = NO_RULES

    def filled(self, constants: PolicyConstants) -> Behavior:
        """Return the rules with all defaults filled in.

        Args:
            constants: the controller's settings; its downscale window is the default of scale-down.
        """
        down = self.down.filled(constants.scale_down)
        if down.window_seconds is None:
            window = constants.downscale_window_seconds
            down = Rules(window, down.select, down.policies, down.tolerance)
        return Behavior(self.up.filled(constants.scale_up), down)


@dataclass(frozen=True, slots=True)
class State:
    """What the controller remembers of one HPA; a restart loses it.

    Attributes:
        recommendations: (replicas, time) of earlier passes; None before the very first pass.
        ups, downs: (change, time) of earlier scalings, kept only with a behavior.
        outdated_ups, outdated_downs: indexes of those that were older than every policy's period
            when the HPA scaled; they stay outdated even if the policies change.
        memory: an object that your own policy keeps for its next pass over this HPA; the real
            algorithm passes it on unchanged.
    """

    recommendations: Log | None = None
    ups: Log = ()
    downs: Log = ()
    memory: Any = None
    outdated_ups: frozenset[int] = field(default=frozenset(), compare=False, repr=False)
    outdated_downs: frozenset[int] = field(default=frozenset(), compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Observation:
    """The input of one pass.

    Attributes:
        now: in seconds.
        current: spec.replicas of the target.
        maximum: of the HPA.
        metrics: each entry of spec.metrics with its measurement.
        pods: the pods that the target's selector selects.
        name: of the HPA.
        status_replicas: status.replicas of the target; used for AverageValue totals only.
        minimum: of the HPA; 0 only where scaling to zero is permitted.
        behavior: of the HPA; None: it has none.
        selector_problem: "", SelectorRequired, InvalidSelector or AmbiguousSelector.
        selector_message: the problem as a message.
        constants: the controller's settings.
        state: what the controller remembers of the HPA.
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
        """Whether the target was scaled to 0 by hand: autoscaling does not change it."""
        return self.current == 0 and self.minimum != 0


class ToleranceRange(Protocol):
    """The range of ratios that cause no change; see `policy.replica_calculator.Tolerance`."""

    @property
    def up(self) -> float:
        """How far the ratio may be above 1."""

    @property
    def down(self) -> float:
        """How far it may be below 1."""

    def holds(self, ratio: float) -> bool:
        """Whether the ratio is too close to 1 to act on."""


class ProposalCurve(Protocol):
    """The proposal of a metric as a function of its measurement; used for explanations."""

    @property
    def measured(self) -> int:
        """The real measurement: percent, average in milli, or total in milli."""

    @property
    def level(self) -> int:
        """The measurement at which the ratio is 1, or 0."""

    @property
    def tolerance(self) -> ToleranceRange:
        """The tolerance around that level."""

    def attained(self, measured: int, *, rising: bool) -> int:
        """Return the nearest measurement that sums of whole milli units can give.

        Args:
            measured: percent, or milli.
            rising: the measurement rises to that value; otherwise it falls to it.
        """

    def at(self, measured: int, *, rising: bool) -> int | None:
        """Return the proposal at a measurement; None: the metric would fail.

        Args:
            measured: percent, or milli.
            rising: the measurement rises to that value; otherwise it falls to it.
        """


@dataclass(frozen=True, slots=True)
class MetricProposal(OnDemand):
    """The proposal of one metric.

    Attributes:
        replicas: proposed number of pods.
        utilization: measured percent of the request (first reading), if that is the target.
        average_milli: measured average for each pod, or None.
        value_milli: measured total, or None.
        ratio: measurement divided by target, of the deciding reading.
        ready: number of pods that count (for Object and External values: Running and Ready ones).
        held: the rule that kept the current number, or "".
        steps: the rules applied.
        curve: the proposals at other measurements.
    """

    replicas: int
    utilization: int | None = None
    average_milli: int | None = None
    value_milli: int | None = None
    ratio: float = 1.0
    ready: int = 0
    held: str = ""
    steps: tuple[RuleStep, ...] = ()
    curve: ProposalCurve | None = field(default=None, compare=False, repr=False)


class MetricFailed(Exception):
    """One metric has no proposal.

    Args:
        message: why there is no proposal.

    Attributes:
        reason: of the condition, for example FailedGetResourceMetric.
        value_message: the message in the summary of the pass.
    """

    def __init__(self, reason: str, message: str, value_message: str = "") -> None:
        super().__init__(message)
        self.reason = reason
        self.value_message = value_message or message


@dataclass(frozen=True, slots=True)
class Change:
    """A change of the input that would change the result, verified by a decision with it.

    Attributes:
        kind: what changes: ``measured`` (value: percent, average or total of the winning metric),
            ``maximum``, ``minimum``, ``current``, ``time`` (value: second of the next pass),
            ``scale_up`` or ``scale_down`` (value: pods that the policies would have to permit),
            ``metric`` or ``selector`` (it has to be corrected first; no value).
        value: the new value.
        replicas: the result that it would lead to.
        text: the change as the end of a sentence that begins "would change if".
        metric: index of the metric in spec.metrics, or None.
    """

    kind: str
    value: float
    replicas: int
    text: str
    metric: int | None = None


@dataclass(frozen=True, slots=True)
class Recommendation(OnDemand):
    """The outcome of one pass.

    Attributes:
        replicas: the desired number of pods; `current`: nothing changes.
        reason: of the rescale event; "" if nothing changes or only history changed the number.
        conditions: (type, status, reason, message) in the order in which they are set.
        events: (type, reason, message) in addition to the rescale event.
        readings: proposals of the metrics, for status.currentMetrics; None: the metric failed.
        failed: the metrics failed the pass: size, recommendation log and desiredReplicas stay.
        steps: the rules applied.
        binding: what determined the result.
        would_change_if: the smallest changes that would lead to another result, as a sentence.
        changes: the same as data.
        state: what the controller has to remember.
        data: figures for charts.
    """

    replicas: int
    reason: str = ""
    conditions: tuple[tuple[str, str, str, str], ...] = ()
    events: tuple[tuple[str, str, str], ...] = ()
    readings: tuple[MetricProposal | None, ...] = ()
    failed: bool = False
    steps: tuple[RuleStep, ...] = ()
    binding: str = ""
    would_change_if: str = ""
    changes: tuple[Change, ...] = ()
    state: State = State()
    data: ReadOnlyDocument = field(default_factory=dict)


class AutoscalingPolicy(Protocol):
    """The protocol of an autoscaling policy: one method.

    The controller around it reads the scale and the metrics, keeps the result between minReplicas
    and maxReplicas, writes it, and records it. If a policy raises, there is a Warning event and a
    decision record, and the controller goes on.
    """

    def recommend(self, observation: Observation) -> Recommendation | int:
        """Return the desired number of pods, as a recommendation or as a plain number."""


def checked_policy(policy: object) -> AutoscalingPolicy:
    """Return the policy, if it is one.

    Raises:
        BadRequest: it has no method `recommend`.
    """
    check_arguments({"policy": IS_POLICY}, {"policy": policy})
    return cast("AutoscalingPolicy", policy)
