"""Several metrics, one proposal: each is evaluated by itself, and the largest wins.

A metric that cannot be read is not taken for zero: it might want more than all the others. So if
the rest would shrink the workload, nothing is done; if it would grow it, that is safe to follow.

Source: pkg/controller/podautoscaler/horizontal.go (computeReplicasForMetrics,
computeReplicasForMetric, validateAndParseSelector).
"""

from __future__ import annotations

from dataclasses import dataclass

from kubesim.autoscaler.constants import PolicyConstants
from kubesim.autoscaler.ratios import Tolerance
from kubesim.autoscaler.replicas import propose_per_pod
from kubesim.autoscaler.totals import propose_total
from kubesim.autoscaler.types import Behavior, Metric, MetricFailed, Observation, Proposal, Reading
from kubesim.client.decisions import RuleStep

SOURCE = "pkg/controller/podautoscaler/horizontal.go"
FAILURES = {  # type -> (reason of condition and event, how the summary of the pass begins)
    "Resource": ("FailedGetResourceMetric", "failed to get {0.name} resource metric value"),
    "ContainerResource": (
        "FailedGetContainerResourceMetric",
        "failed to get {0.container} container metric value",
    ),
    "Pods": ("FailedGetPodsMetric", "failed to get pods metric value"),
    "Object": ("FailedGetObjectMetric", "failed to get object metric value"),
    "External": ("FailedGetExternalMetric", "failed to get {0.name} external metric value"),
}
PER_REQUEST = ("Resource", "ContainerResource")
NO_TARGET = (
    "invalid resource metric source: neither an average utilization target nor an average value "
    "(usage) target was set"
)
NO_SELECTOR = "the HPA target's scale is missing a selector"
UNABLE = "the HPA was unable to compute the replica count"


@dataclass(frozen=True, slots=True)
class Failure:
    """A metric that gave no proposal, and why."""

    metric: Metric
    error: MetricFailed


@dataclass(frozen=True, slots=True)
class Weighed:
    """What the metrics of a pass came to.

    Attributes:
        ok: there is a usable proposal.
        metric, proposal: the largest proposal, and whose it is; None if there is none.
        rest: the largest proposal of the other metrics; 0 if there is none.
        failure: the first metric that failed.
        readings: the proposal of each metric in order; None where it failed.
        conditions, events: as in `types.Recommendation`.
        steps: the rules applied.
    """

    ok: bool
    metric: Metric | None = None
    proposal: Proposal | None = None
    rest: int = 0
    failure: Failure | None = None
    readings: tuple[Proposal | None, ...] = ()
    conditions: tuple[tuple[str, str, str, str], ...] = ()
    events: tuple[tuple[str, str, str], ...] = ()
    steps: tuple[RuleStep, ...] = ()

    def holds_back(self, replicas: int, current: int) -> bool:
        """True if a proposal is not followed, because a failed metric might want more."""
        return self.failure is not None and replicas < current


def tolerance_of(seen: Observation) -> Tolerance:
    """The tolerance of each direction: the HPA's own, else the controller's."""
    return tolerances(seen.behavior, seen.constants)


def tolerances(behavior: Behavior | None, constants: PolicyConstants) -> Tolerance:
    """The same, of a behavior (None: the HPA has none) and the controller's settings."""
    default = constants.tolerance
    if behavior is None:
        return Tolerance(default, default)
    up, down = behavior.up.tolerance, behavior.down.tolerance
    return Tolerance(default if up is None else up, default if down is None else down)


def propose(metric: Metric, reading: Reading, seen: Observation) -> Proposal:
    """What one metric asks for, by itself.

    Raises:
        MetricFailed: nothing; `reason` is that of the condition.
    """
    if metric.type not in FAILURES:
        raise MetricFailed("InvalidMetricSourceType", f'unknown metric source type "{metric.type}"')
    reason, begins = FAILURES[metric.type]
    if metric.type in PER_REQUEST and metric.average_milli is None and metric.utilization is None:
        raise MetricFailed(reason, NO_TARGET, f"{begins.format(metric)}: {NO_TARGET}")
    try:
        if reading.error:
            raise ValueError(reading.error)
        return _propose(metric, reading, seen)
    except ValueError as error:
        said = str(error)
        if metric.type in PER_REQUEST:
            what = "utilization" if metric.by_request else "usage"
            said = f"failed to get {metric.name} {what}: {said}"
        summary = f"{begins.format(metric)}: {_inner(metric)}{said}"
        raise MetricFailed(reason, said, summary) from error


def _inner(metric: Metric) -> str:
    """What the summary says once more of metrics that do not belong to pods."""
    if metric.type == "External" and metric.average_milli is None:
        return f"failed to get external metric {metric.name}: " if metric.value_milli else ""
    if metric.type == "External":
        return f"failed to get {metric.name} external metric: "
    if metric.type == "Object" and metric.target_type == "AverageValue" and metric.average_milli:
        return f"failed to get {metric.name} object metric: "
    return ""


def _propose(metric: Metric, reading: Reading, seen: Observation) -> Proposal:
    if metric.type in ("Object", "External"):
        return propose_total(
            metric,
            reading,
            seen.pods,
            current=seen.current,
            status_replicas=seen.status_replicas,
            tolerance=tolerance_of(seen),
        )
    if not metric.by_request and metric.average_milli is None:
        raise ValueError("invalid pods metric source: no average value target was set")
    return propose_per_pod(
        metric,
        reading,
        seen.pods,
        current=seen.current,
        now=seen.now,
        tolerance=tolerance_of(seen),
        constants=seen.constants,
    )


def weigh(seen: Observation) -> Weighed:
    """Evaluate every metric and choose."""
    if seen.selector_problem:
        return _without_selector(seen)
    best: tuple[Metric, Proposal] | None = None
    failures: list[Failure] = []
    readings: list[Proposal | None] = []
    steps: list[RuleStep] = []
    for metric, reading in seen.metrics:
        try:
            proposal = propose(metric, reading, seen)
        except MetricFailed as error:
            failures.append(Failure(metric, error))
            readings.append(None)
            steps.append(RuleStep(f"metric {metric.name}", {}, f"failed: {error}", SOURCE))
            continue
        readings.append(proposal)
        steps += proposal.steps
        # Upstream starts from 0, so that of several zeros the last is the one that is named.
        if best is None or best[1].replicas == 0 or proposal.replicas > best[1].replicas:
            best = (metric, proposal)
    events = tuple(("Warning", f.error.reason, str(f.error)) for f in failures)
    chosen = None if best is None else best[1]
    weighed = Weighed(
        ok=chosen is not None,
        metric=None if best is None else best[0],
        proposal=chosen,
        rest=max((p.replicas for p in readings if p is not None and p is not chosen), default=0),
        failure=failures[0] if failures else None,
        readings=tuple(readings),
        events=events,
        steps=tuple(steps),
    )
    if chosen is None or weighed.holds_back(chosen.replicas, seen.current):
        return _failed(seen, weighed, len(failures))
    return _found(seen, weighed, len(failures))


def _found(seen: Observation, weighed: Weighed, failures: int) -> Weighed:
    """With the winner's name in condition and steps."""
    name = "" if weighed.metric is None else weighed.metric.described()
    said = f"the HPA was able to successfully calculate a replica count from {name}"
    steps = weighed.steps
    if len(seen.metrics) > 1 and weighed.proposal is not None:
        inputs = {"metrics": len(seen.metrics), "failed": failures}
        result = f"{name} wants the most: {weighed.proposal.replicas}"
        steps += (RuleStep("largest", inputs, result, f"{SOURCE} computeReplicasForMetrics"),)
    return Weighed(
        True,
        weighed.metric,
        weighed.proposal,
        weighed.rest,
        weighed.failure,
        weighed.readings,
        (("ScalingActive", "True", "ValidMetricFound", said),),
        weighed.events,
        steps,
    )


def _failed(seen: Observation, weighed: Weighed, failures: int) -> Weighed:
    """The pass fails with the reason of the first failing metric."""
    reason, said, first = "InvalidMetricSourceType", "the HPA has no metric", ""
    if weighed.failure is not None:
        error = weighed.failure.error
        reason, said, first = error.reason, str(error), error.value_message
    summary = (
        f"invalid metrics ({failures} invalid out of {len(seen.metrics)}), first error is: "
        f"{first or said}"
    )
    steps = weighed.steps
    if weighed.proposal is not None:
        wanted = {"wanted": weighed.proposal.replicas, "current": seen.current}
        result = "a metric that failed might want more: nothing shrinks without it"
        steps += (
            RuleStep("failed metrics", wanted, result, f"{SOURCE} computeReplicasForMetrics"),
        )
    return Weighed(
        False,
        weighed.metric,
        weighed.proposal,
        weighed.rest,
        weighed.failure,
        weighed.readings,
        (("ScalingActive", "False", reason, f"{UNABLE}: {said}"),),
        (*weighed.events, ("Warning", "FailedComputeMetricsReplicas", summary)),
        steps,
    )


def _without_selector(seen: Observation) -> Weighed:
    """An empty selector, an unparsable one, or pods that another HPA selects, too."""
    reason, said = seen.selector_problem, seen.selector_message
    condition = ("ScalingActive", "False", reason, said)
    if reason == "SelectorRequired":
        said = "selector is required"
        condition = ("ScalingActive", "False", "InvalidSelector", NO_SELECTOR)
    return Weighed(
        False,
        conditions=(condition,),
        events=(("Warning", reason, said), ("Warning", "FailedComputeMetricsReplicas", said)),
        steps=(RuleStep("selector", {}, condition[3], f"{SOURCE} validateAndParseSelector"),),
    )
