"""All metrics of an HPA: each one proposes a number of replicas, and the largest one wins.

A metric that cannot be read does not count as zero, since it might propose more than all others. So
a scale-down by the remaining metrics is not done, while a scale-up is safe.

Source: pkg/controller/podautoscaler/horizontal.go (computeReplicasForMetrics,
computeReplicasForMetric, validateAndParseSelector).
"""

from __future__ import annotations

from dataclasses import dataclass

from kubesim.autoscaler.constants import PolicyConstants
from kubesim.autoscaler.policy.replica_calculator import propose_per_pod
from kubesim.autoscaler.policy.totals import propose_total
from kubesim.autoscaler.ratios import Tolerance
from kubesim.autoscaler.types import (
    Behavior,
    Metric,
    MetricFailed,
    MetricProposal,
    Observation,
    Reading,
)
from kubesim.client.decisions import RuleStep

SOURCE = "pkg/controller/podautoscaler/horizontal.go"
FAILURES = {  # type -> (reason of condition and event, beginning of the summary)
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
    """A metric without a proposal, and why."""

    metric: Metric
    error: MetricFailed


@dataclass(frozen=True, slots=True)
class MetricsResult:
    """The result of all metrics of a pass.

    Attributes:
        ok: there is a usable proposal.
        metric, proposal: the metric with the largest proposal; None if there is no proposal.
        rest: the largest proposal of the other metrics; 0 if they have none.
        failure: the first metric that failed; None: all succeeded.
        readings: the proposal of each metric in order; None where it failed.
        conditions, events: as in `types.Recommendation`.
        steps: the rules applied.
    """

    ok: bool
    metric: Metric | None = None
    proposal: MetricProposal | None = None
    rest: int = 0
    failure: Failure | None = None
    readings: tuple[MetricProposal | None, ...] = ()
    conditions: tuple[tuple[str, str, str, str], ...] = ()
    events: tuple[tuple[str, str, str], ...] = ()
    steps: tuple[RuleStep, ...] = ()

    def holds_back(self, replicas: int, current: int) -> bool:
        """Whether a proposal is not followed, since a failed metric might propose more."""
        return self.failure is not None and replicas < current


def tolerance_of(seen: Observation) -> Tolerance:
    """Return the tolerance of each direction: the HPA's own, otherwise the controller's."""
    return tolerances(seen.behavior, seen.constants)


def tolerances(behavior: Behavior | None, constants: PolicyConstants) -> Tolerance:
    """Return the tolerance of each direction.

    Args:
        behavior: of the HPA; None: it has none.
        constants: the controller's settings.
    """
    default = constants.tolerance
    if behavior is None:
        return Tolerance(default, default)
    up, down = behavior.up.tolerance, behavior.down.tolerance
    return Tolerance(default if up is None else up, default if down is None else down)


def propose(metric: Metric, reading: Reading, seen: Observation) -> MetricProposal:
    """Return the proposal of one metric.

    Args:
        metric: an entry of spec.metrics.
        reading: what was measured.
        seen: the observation of the pass.

    Raises:
        MetricFailed: there is no proposal; `reason` is that of the condition.
    """
    if metric.type not in FAILURES:
        raise MetricFailed("InvalidMetricSourceType", f'unknown metric source type "{metric.type}"')
    reason, beginning = FAILURES[metric.type]
    if metric.type in PER_REQUEST and metric.average_milli is None and metric.utilization is None:
        raise MetricFailed(reason, NO_TARGET, f"{beginning.format(metric)}: {NO_TARGET}")
    try:
        if reading.error:
            raise ValueError(reading.error)
        return _propose(metric, reading, seen)
    except ValueError as error:
        message = str(error)
        if metric.type in PER_REQUEST:
            what = "utilization" if metric.by_request else "usage"
            message = f"failed to get {metric.name} {what}: {message}"
        summary = f"{beginning.format(metric)}: {_inner(metric)}{message}"
        raise MetricFailed(reason, message, summary) from error


def _inner(metric: Metric) -> str:
    """Return what the summary repeats for metrics that do not belong to pods."""
    if metric.type == "External" and metric.average_milli is None:
        return f"failed to get external metric {metric.name}: " if metric.value_milli else ""
    if metric.type == "External":
        return f"failed to get {metric.name} external metric: "
    if metric.type == "Object" and metric.target_type == "AverageValue" and metric.average_milli:
        return f"failed to get {metric.name} object metric: "
    return ""


def _propose(metric: Metric, reading: Reading, seen: Observation) -> MetricProposal:
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


def propose_for_metrics(seen: Observation) -> MetricsResult:
    """Evaluate every metric and choose the largest proposal."""
    if seen.selector_problem:
        return _without_selector(seen)
    best: tuple[Metric, MetricProposal] | None = None
    failures: list[Failure] = []
    readings: list[MetricProposal | None] = []
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
    weighed = MetricsResult(
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
    return _succeeded(seen, weighed, len(failures))


def _succeeded(seen: Observation, weighed: MetricsResult, failures: int) -> MetricsResult:
    """Add the condition, and the step that names the winner."""
    name = "" if weighed.metric is None else weighed.metric.description
    message = f"the HPA was able to successfully calculate a replica count from {name}"
    steps = weighed.steps
    if len(seen.metrics) > 1 and weighed.proposal is not None:
        inputs = {"metrics": len(seen.metrics), "failed": failures}
        result = f"{name} has the largest proposal: {weighed.proposal.replicas}"
        steps += (RuleStep("largest", inputs, result, f"{SOURCE} computeReplicasForMetrics"),)
    return MetricsResult(
        True,
        weighed.metric,
        weighed.proposal,
        weighed.rest,
        weighed.failure,
        weighed.readings,
        (("ScalingActive", "True", "ValidMetricFound", message),),
        weighed.events,
        steps,
    )


def _failed(seen: Observation, weighed: MetricsResult, failures: int) -> MetricsResult:
    """Fail the pass with the reason of the first failing metric."""
    reason, message, first = "InvalidMetricSourceType", "the HPA has no metric", ""
    if weighed.failure is not None:
        error = weighed.failure.error
        reason, message, first = error.reason, str(error), error.value_message
    summary = (
        f"invalid metrics ({failures} invalid out of {len(seen.metrics)}), first error is: "
        f"{first or message}"
    )
    steps = weighed.steps
    if weighed.proposal is not None:
        desired = {"wanted": weighed.proposal.replicas, "current": seen.current}
        result = "a failed metric might propose more: no scale-down without it"
        steps += (
            RuleStep("failed metrics", desired, result, f"{SOURCE} computeReplicasForMetrics"),
        )
    return MetricsResult(
        False,
        weighed.metric,
        weighed.proposal,
        weighed.rest,
        weighed.failure,
        weighed.readings,
        (("ScalingActive", "False", reason, f"{UNABLE}: {message}"),),
        (*weighed.events, ("Warning", "FailedComputeMetricsReplicas", summary)),
        steps,
    )


def _without_selector(seen: Observation) -> MetricsResult:
    """Fail the pass: the selector is empty or malformed, or another HPA selects the same pods."""
    reason, message = seen.selector_problem, seen.selector_message
    condition = ("ScalingActive", "False", reason, message)
    if reason == "SelectorRequired":
        message = "selector is required"
        condition = ("ScalingActive", "False", "InvalidSelector", NO_SELECTOR)
    return MetricsResult(
        False,
        conditions=(condition,),
        events=(("Warning", reason, message), ("Warning", "FailedComputeMetricsReplicas", message)),
        steps=(RuleStep("selector", {}, condition[3], f"{SOURCE} validateAndParseSelector"),),
    )
