"""Metrics that have no proposal, in upstream's words.

A metric that cannot be read does not count as zero, since it might propose more than all others. So
a scale-down by the remaining metrics is not done, while a scale-up is safe.

Source: pkg/controller/podautoscaler/horizontal.go (computeReplicasForMetrics,
computeReplicasForMetric, validateAndParseSelector).
"""

from __future__ import annotations

from kubesim.autoscaler.policy.figures import MetricsResult
from kubesim.autoscaler.types import Metric, MetricFailed, Observation
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


def not_usable(metric: Metric) -> MetricFailed:
    """Return the error of a metric of an unknown type, or without a target."""
    if metric.type not in FAILURES:
        message = f'unknown metric source type "{metric.type}"'
        return MetricFailed("InvalidMetricSourceType", message)
    reason, beginning = FAILURES[metric.type]
    return MetricFailed(reason, NO_TARGET, f"{beginning.format(metric)}: {NO_TARGET}")


def not_measured(metric: Metric, message: str) -> MetricFailed:
    """Return the error of a metric without a proposal.

    Args:
        metric: the metric.
        message: why there is none.
    """
    reason, beginning = FAILURES[metric.type]
    if metric.type in PER_REQUEST:
        what = "utilization" if metric.by_request else "usage"
        message = f"failed to get {metric.name} {what}: {message}"
    summary = f"{beginning.format(metric)}: {_inner(metric)}{message}"
    return MetricFailed(reason, message, summary)


def _inner(metric: Metric) -> str:
    """Return what the summary repeats for metrics that do not belong to pods."""
    if metric.type == "External" and metric.average_milli is None:
        return f"failed to get external metric {metric.name}: " if metric.value_milli else ""
    if metric.type == "External":
        return f"failed to get {metric.name} external metric: "
    if metric.type == "Object" and metric.target_type == "AverageValue" and metric.average_milli:
        return f"failed to get {metric.name} object metric: "
    return ""


def without_proposal(
    observation: Observation, weighed: MetricsResult, failures: int
) -> MetricsResult:
    """Fail the pass with the reason of the first failing metric.

    Args:
        observation: the observation of the pass.
        weighed: the result of its metrics.
        failures: number of metrics that failed.
    """
    reason, message, first = "InvalidMetricSourceType", "the HPA has no metric", ""
    if weighed.failure is not None:
        error = weighed.failure.error
        reason, message, first = error.reason, str(error), error.value_message
    summary = (
        f"invalid metrics ({failures} invalid out of {len(observation.metrics)}), first error is: "
        f"{first or message}"
    )
    steps = weighed.steps
    if weighed.proposal is not None:
        desired = {"wanted": weighed.proposal.replicas, "current": observation.current}
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


def without_selector(observation: Observation) -> MetricsResult:
    """Fail the pass: the selector is empty or malformed, or another HPA selects the same pods."""
    reason, message = observation.selector_problem, observation.selector_message
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
