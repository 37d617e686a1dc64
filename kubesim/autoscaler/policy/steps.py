"""The steps of a decision record: which rule was applied, with which values, and its result.

They are rendered from the figures of the pass when somebody reads the record.

No counterpart in Kubernetes.
"""

from __future__ import annotations

from collections.abc import Sequence

from kubesim.autoscaler.policy.figures import (
    Failure,
    MetricsResult,
    PodFigures,
    RatioResult,
    SampleSums,
)
from kubesim.autoscaler.policy.normalize import (
    Limited,
    ReplicaLimits,
    period_start,
    policy_limit,
)
from kubesim.autoscaler.types import Metric, MetricProposal, Observation, ToleranceRange
from kubesim.client.decisions import RuleStep

CALCULATOR = "pkg/controller/podautoscaler/replica_calculator.go"
SOURCE = "pkg/controller/podautoscaler/horizontal.go"
FULL_PERCENT = 100  # least assumed usage of a missing pod when scaling down, of its request
LIMIT_MESSAGES = {
    "DesiredWithinRange": "the desired count is within the acceptable range",
    "TooFewReplicas": "the desired replica count is less than the minimum replica count",
    "TooManyReplicas": "the desired replica count is more than the maximum replica count",
    "ScaleUpLimit": "the desired replica count is increasing faster than the maximum scale rate",
    "ScaleDownLimit": "the desired replica count is decreasing faster than the maximum scale rate",
}

# -- one metric ----------------------------------------------------------------------------------


def pod_steps(figures: PodFigures) -> tuple[RuleStep, ...]:
    """Return the steps of a proposal that follows from the samples of pods."""
    outcome, sums = figures.outcome, figures.sums
    ready, unready, missing, ignored = figures.groups
    counts = {"ready": ready, "unready": unready, "missing": missing, "ignored": ignored}
    result = "1 pod counts" if ready == 1 else f"{ready} pods count"
    steps = [
        RuleStep("sort pods", counts, result, f"{CALCULATOR} groupPods"),
        _reading_step("first reading", figures, outcome.first, figures.measured, sums.entries),
    ]
    if outcome.second is not None:
        steps.append(_assumption_step(figures.metric, sums, outcome.first))
        measured, count = outcome.second_measured, outcome.count
        steps.append(_reading_step("second reading", figures, outcome.second, measured, count))
    steps.append(proposal_step(outcome, figures.tolerance))
    return tuple(steps)


def _reading_step(
    rule: str, figures: PodFigures, ratio: float, measured: int, pods: int
) -> RuleStep:
    inputs: dict[str, object] = {"pods": pods}
    if figures.metric.by_request:
        inputs |= {"utilization_percent": measured, "target_percent": figures.target}
        if rule == "first reading":
            inputs["average_milli"] = figures.average_milli
    else:
        inputs |= {"target_milli": figures.target, "average_milli": measured}
    return RuleStep(rule, inputs, f"ratio {ratio:.4g}", f"{CALCULATOR} GetResourceReplicas")


def _assumption_step(metric: Metric, sums: SampleSums, first: float) -> RuleStep:
    inputs = {"missing": sums.missing, "unready": sums.unready}
    if first > 1.0:
        result = "missing and unready pods are assumed to use nothing"
    elif first < 1.0:
        share = max(FULL_PERCENT, metric.utilization or 0)
        use = f"{share}% of their request" if metric.by_request else "exactly the target"
        result = f"missing pods are assumed to use {use}"
    else:
        result = "exactly on target: nothing is assumed"
    return RuleStep("assume", inputs, result, CALCULATOR)


def proposal_step(outcome: RatioResult, tolerance: ToleranceRange) -> RuleStep:
    """Return the last step of a proposal: the multiplication, or the rule that kept the number."""
    ratio = outcome.first if outcome.second is None else outcome.second
    if outcome.held == "tolerance":
        result = f"ratio {ratio:.4g} is within {tolerance}: keep {outcome.replicas}"
    elif outcome.held:
        result = f"{outcome.held}: keep {outcome.replicas}"
    else:
        result = f"ceil({ratio:.4g} x {outcome.count}) = {outcome.replicas}"
    return RuleStep("proposal", {"ratio": ratio, "pods": outcome.count}, result, CALCULATOR)


# -- the whole pass ------------------------------------------------------------------------------


def metric_steps(
    names: Sequence[str],
    readings: Sequence[MetricProposal | None],
    failures: Sequence[Failure],
    winner: str,
    proposal: int,
) -> tuple[RuleStep, ...]:
    """Return the steps of all metrics, and the one that names the winner of several.

    Args:
        names: of the metrics.
        readings: the proposal of each; None: it failed.
        failures: why, for those that failed.
        winner: description of the metric with the largest proposal; "": there is none, or it is not
            followed.
        proposal: its number of replicas.
    """
    steps: list[RuleStep] = []
    errors = iter(failures)
    for name, reading in zip(names, readings, strict=True):
        if reading is None:
            result = f"failed: {next(errors).error}"
            steps.append(RuleStep(f"metric {name}", {}, result, SOURCE))
        else:
            steps += reading.steps
    if len(names) > 1 and winner:
        inputs = {"metrics": len(names), "failed": len(failures)}
        result = f"{winner} has the largest proposal: {proposal}"
        steps.append(RuleStep("largest", inputs, result, f"{SOURCE} computeReplicasForMetrics"))
    return tuple(steps)


def binding_of(weighed: MetricsResult, stable: int, limited: Limited) -> str:
    """Return what determined the result of a pass.

    Args:
        weighed: the result of all metrics.
        stable, limited: the number of replicas after stabilization, and after the limits.
    """
    proposal = weighed.proposal
    if limited.replicas != stable or proposal is None:
        return limited.reason
    if stable != proposal.replicas:
        return "stabilization"
    return proposal.held or proposal.steps[-1].result


def limit_steps(
    observation: Observation,
    limits: ReplicaLimits,
    proposal: int,
    stable: int,
    limited: Limited,
    stability: str,
) -> list[RuleStep]:
    """Return the steps of stabilization, policies (with a behavior) and limits.

    Args:
        observation: the observation of the pass; its pods and samples are not read.
        limits: of the pass.
        proposal, stable, limited: the number of replicas as proposed, after stabilization, and
            after the limits.
        stability: the message of the condition AbleToScale.
    """
    inputs: dict[str, object] = {"proposal": proposal}
    if observation.behavior is None:
        inputs["window_seconds"] = observation.constants.downscale_window_seconds
    else:
        rules = observation.behavior.filled(observation.constants)
        inputs["up_window_seconds"] = rules.up.window_seconds
        inputs["down_window_seconds"] = rules.down.window_seconds
    result = f"unchanged: {stable}"
    if stable != proposal:
        result = f"{proposal} becomes {stable}: {stability}"
    steps = [RuleStep("stabilize", inputs, result, f"{SOURCE} stabilizeRecommendation")]
    if observation.behavior is not None and stable != observation.current:
        steps.append(_policy_step(observation, limits, stable))
    message = LIMIT_MESSAGES[limited.reason]
    if limited.replicas != stable:
        message = f"{stable} becomes {limited.replicas}: {message}"
    inputs = {"wanted": stable, "low": limited.low, "high": limited.high}
    steps.append(RuleStep("limit", inputs, message, f"{SOURCE} convertDesiredReplicas"))
    return steps


def _policy_step(observation: Observation, limits: ReplicaLimits, stable: int) -> RuleStep:
    """Return the step of the scaling policies: the limit of each, and the overall limit."""
    growing = stable > observation.current
    behavior = (
        observation.behavior.filled(observation.constants)
        if observation.behavior is not None
        else None
    )
    rules = None if behavior is None else behavior.up if growing else behavior.down
    inputs: dict[str, object] = {
        "current": observation.current,
        "select": rules.select if rules else "",
    }
    for policy in (rules.policies if rules else None) or ():
        start = period_start(
            observation.current, observation.state, policy.period_seconds, observation.now
        )
        name = f"{policy.type} {policy.value} per {policy.period_seconds:g} s"
        inputs[name] = f"{start} -> {policy_limit(policy, start, up=growing)}"
    limit = limits.rate_up if growing else limits.rate_down
    direction = "up" if growing else "down"
    return RuleStep(
        "policies",
        inputs,
        f"{direction} to {limit}",
        f"{SOURCE} calculateScale{direction.title()}Limit",
    )
