"""The HPA's algorithm: one pass, from an observation to a recommendation, as a pure function.

>>> from kubesim.autoscaler.types import PodFacts, Reading, Sample
>>> pods = tuple(PodFacts(f"p{n}", started=-999) for n in range(4))
>>> samples = {pod.name: Sample(200) for pod in pods}
>>> reading = Reading(samples, requests=dict.fromkeys(samples, 250))
>>> seen = Observation(now=0.0, current=4, maximum=10, pods=pods,
...                    metrics=((Metric(utilization=50), reading),))
>>> result = HorizontalPolicy().recommend(seen)
>>> result.replicas, result.reason, result.binding
(7, 'cpu resource utilization (percentage of request) above target', 'ceil(1.6 x 4) = 7')
>>> result.would_change_if
'the average utilization rose to 88% or fell to 75% (it is 80%)'

Order of a pass: paused at zero, outside the bounds, otherwise each metric by itself; the largest
proposal wins; stabilization, rate limits, bounds. Every rule leaves a step for `explain()`.

Source: pkg/controller/podautoscaler/horizontal.go (reconcileAutoscaler,
computeReplicasForMetrics).
"""

from __future__ import annotations

from dataclasses import replace

from kubesim.autoscaler.policy import whatif
from kubesim.autoscaler.policy.metrics import MetricsResult, propose_for_metrics
from kubesim.autoscaler.policy.normalize import (
    Limited,
    ReplicaLimits,
    after_proposal,
    limits_at,
    period_start,
    policy_limit,
)
from kubesim.autoscaler.types import Change, Metric, Observation, Recommendation
from kubesim.client.decisions import RuleStep

SOURCE = "pkg/controller/podautoscaler/horizontal.go"
GOT_SCALE = (
    "AbleToScale",
    "True",
    "SucceededGetScale",
    "the HPA controller was able to get the target's current scale",
)
PAUSED = "scaling is disabled since the replica count of the target is zero"
LIMIT_MESSAGES = {
    "DesiredWithinRange": "the desired count is within the acceptable range",
    "TooFewReplicas": "the desired replica count is less than the minimum replica count",
    "TooManyReplicas": "the desired replica count is more than the maximum replica count",
    "ScaleUpLimit": "the desired replica count is increasing faster than the maximum scale rate",
    "ScaleDownLimit": "the desired replica count is decreasing faster than the maximum scale rate",
}
UNCHANGED = ("ReadyForNewScale", "recommended size matches current size")
HOLDS_BACK_UP = (
    "ScaleUpStabilized",
    "recent recommendations were lower than current one, applying the lowest recent recommendation",
)
HOLDS_BACK_DOWN = (
    "ScaleDownStabilized",
    "recent recommendations were higher than current one, applying the highest recent "
    "recommendation",
)


class HorizontalPolicy:
    """kube-controller-manager's algorithm; it has no state between two passes.

    Args:
        explained: also compute what would change the result; False saves time in sweeps over
            thousands of passes.
    """

    def __init__(self, *, explained: bool = True) -> None:
        self.explained = explained

    def recommend(self, observation: Observation) -> Recommendation:
        """Return the recommendation of one pass: see the module's docstring."""
        return _recommend(observation, explained=self.explained)


def _recommend(seen: Observation, *, explained: bool) -> Recommendation:
    if seen.state.recommendations is None:
        # The size at the very first pass; it delays the first scale-down by a window.
        first = ((seen.current, seen.now),)
        seen = replace(seen, state=replace(seen.state, recommendations=first))
    if not seen.minimum <= seen.current <= seen.maximum:  # a paused target is below its minimum
        return _without_metrics(seen, explained=explained)
    weighed = propose_for_metrics(seen)
    if not weighed.ok or weighed.metric is None or weighed.proposal is None:
        return _failed(seen, weighed)
    limits = limits_for(seen, seen.now)
    proposal = weighed.proposal.replicas
    stable = limits.stabilize(proposal)
    limited = limits.limit(stable)
    log = after_proposal(
        seen.state.recommendations, proposal, seen.now, seen.behavior, seen.constants
    )
    changes = _changes(seen, weighed, limits, stable, limited) if explained else ()
    return Recommendation(
        replicas=limited.replicas,
        reason=_reason(weighed.metric, proposal, seen.current, limited.replicas),
        conditions=(
            GOT_SCALE,
            *weighed.conditions,
            _stability(seen, proposal, stable),
            _limitation(stable, limited),
        ),
        events=weighed.events,
        readings=weighed.readings,
        steps=(*weighed.steps, *_steps(seen, limits, proposal, stable, limited)),
        binding=_binding(weighed, stable, limited),
        would_change_if=whatif.sentence(seen, changes) if explained else "",
        changes=changes,
        state=replace(seen.state, recommendations=log),
        data=_data(seen, limited.replicas, weighed, stable),
    )


def _size(seen: Observation) -> int:
    """Return the result of a pass, without its explanation."""
    return _recommend(seen, explained=False).replicas


def limits_for(seen: Observation, now: float) -> ReplicaLimits:
    """Return the limits of an observation at a second, which may be later than its own."""
    return limits_at(
        now=now,
        current=seen.current,
        minimum=seen.minimum,
        maximum=seen.maximum,
        state=seen.state,
        behavior=seen.behavior,
        constants=seen.constants,
    )


# -- passes without metrics ------------------------------------------------------------------------


def _without_metrics(seen: Observation, *, explained: bool) -> Recommendation:
    """Return the result of a pass that is paused at zero, or outside the bounds.

    No metric, policy, window or tolerance takes part, and nothing is added to the recommendation
    log.
    """
    conditions: tuple[tuple[str, str, str, str], ...] = (GOT_SCALE,)
    if seen.paused:
        replicas, reason, binding = 0, "", "replicas is 0: autoscaling is paused"
        rule, result = "paused", PAUSED
        conditions = (GOT_SCALE, ("ScalingActive", "False", "ScalingDisabled", PAUSED))
    elif seen.current > seen.maximum:
        replicas, binding = seen.maximum, "maxReplicas"
        reason = "Current number of replicas above Spec.MaxReplicas"
        rule, result = "bounds", f"above max: {replicas}"
    else:
        replicas, binding = seen.minimum, "minReplicas"
        reason = "Current number of replicas below Spec.MinReplicas"
        rule, result = "bounds", f"below min: {replicas}"
    inputs = {"current": seen.current, "min": seen.minimum, "max": seen.maximum}
    changes = tuple(whatif.shortcut_changes(seen, replicas, _size)) if explained else ()
    return Recommendation(
        replicas=replicas,
        reason=reason,
        conditions=conditions,
        steps=(RuleStep(rule, inputs, result, f"{SOURCE} reconcileAutoscaler"),),
        binding=binding,
        would_change_if=whatif.sentence(seen, changes) if explained else "",
        changes=changes,
        state=seen.state,
        data=_data(seen, replicas, None, replicas),
    )


def _failed(seen: Observation, weighed: MetricsResult) -> Recommendation:
    """Return the result of a pass whose selector or metrics failed: nothing is scaled or logged."""
    changes = tuple(whatif.failed_changes(seen, weighed))
    return Recommendation(
        replicas=seen.current,
        conditions=(GOT_SCALE, *weighed.conditions),
        events=weighed.events,
        readings=weighed.readings,
        failed=True,
        steps=weighed.steps,
        binding="selector" if seen.selector_problem else "metrics failed",
        would_change_if=whatif.sentence(seen, changes),
        changes=changes,
        state=seen.state,
        data=_data(seen, seen.current, weighed, seen.current),
    )


# -- conditions, steps and figures -----------------------------------------------------------------


def _changes(
    seen: Observation,
    weighed: MetricsResult,
    limits: ReplicaLimits,
    stable: int,
    limited: Limited,
) -> tuple[Change, ...]:
    proposal = 0 if weighed.proposal is None else weighed.proposal.replicas
    changes: list[Change] = []
    if limited.replicas != stable:
        changes += whatif.limit_changes(limits, proposal, limited)
    elif stable != proposal:

        def later(now: float) -> ReplicaLimits:
            return limits_for(seen, now)

        changes += whatif.time_changes(seen, proposal, stable, limited.replicas, later)
    changes += whatif.measured_changes(seen, weighed, limits, limited.replicas)
    return tuple(changes)


def _reason(metric: Metric, proposal: int, current: int, replicas: int) -> str:
    """Return the reason of the event; "" without a change, or if only history changed the size."""
    if replicas == current or proposal == current:
        return ""
    return (
        f"{metric.description} above target" if proposal > current else "All metrics below target"
    )


def _stability(seen: Observation, proposal: int, stable: int) -> tuple[str, str, str, str]:
    if stable == proposal:
        return "AbleToScale", "True", *UNCHANGED
    growing = seen.behavior is not None and proposal >= seen.current
    return "AbleToScale", "True", *(HOLDS_BACK_UP if growing else HOLDS_BACK_DOWN)


def _limitation(stable: int, limited: Limited) -> tuple[str, str, str, str]:
    status = "True" if limited.replicas != stable else "False"
    return "ScalingLimited", status, limited.reason, LIMIT_MESSAGES[limited.reason]


def _binding(weighed: MetricsResult, stable: int, limited: Limited) -> str:
    proposal = weighed.proposal
    if limited.replicas != stable or proposal is None:
        return limited.reason
    if stable != proposal.replicas:
        return "stabilization"
    return proposal.held or proposal.steps[-1].result


def _steps(
    seen: Observation, limits: ReplicaLimits, proposal: int, stable: int, limited: Limited
) -> list[RuleStep]:
    """Return the steps of stabilization, policies (with a behavior) and limits."""
    inputs: dict[str, object] = {"proposal": proposal}
    if seen.behavior is None:
        inputs["window_seconds"] = seen.constants.downscale_window_seconds
    else:
        rules = seen.behavior.filled(seen.constants)
        inputs["up_window_seconds"] = rules.up.window_seconds
        inputs["down_window_seconds"] = rules.down.window_seconds
    result = f"stabilized: {stable} (unchanged)"
    if stable != proposal:
        result = f"{proposal} becomes {stable}: {_stability(seen, proposal, stable)[3]}"
    steps = [RuleStep("stabilize", inputs, result, f"{SOURCE} stabilizeRecommendation")]
    if seen.behavior is not None and stable != seen.current:
        steps.append(_policy_step(seen, limits, stable))
    message = LIMIT_MESSAGES[limited.reason]
    if limited.replicas != stable:
        message = f"{stable} becomes {limited.replicas}: {message}"
    inputs = {"wanted": stable, "low": limited.low, "high": limited.high}
    steps.append(RuleStep("limit", inputs, message, f"{SOURCE} convertDesiredReplicas"))
    return steps


def _policy_step(seen: Observation, limits: ReplicaLimits, stable: int) -> RuleStep:
    """Return the step of the scaling policies: the limit of each, and the overall limit."""
    growing = stable > seen.current
    behavior = seen.behavior.filled(seen.constants) if seen.behavior is not None else None
    rules = None if behavior is None else behavior.up if growing else behavior.down
    inputs: dict[str, object] = {"current": seen.current, "select": rules.select if rules else ""}
    for policy in (rules.policies if rules else None) or ():
        start = period_start(seen.current, seen.state, policy.period_seconds, seen.now)
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


def _data(
    seen: Observation, replicas: int, weighed: MetricsResult | None, stable: int
) -> dict[str, object]:
    """Return the figures for charts: the sizes, and the winning metric against its target."""
    metric = None if weighed is None else weighed.metric
    proposal = None if weighed is None else weighed.proposal
    data: dict[str, object] = dict.fromkeys(("metric", "utilization", "target", "average_milli"))
    data |= {"from": seen.current, "to": replicas, "pods": len(seen.pods), "stable": stable}
    data |= {"ready": None, "proposal": None}
    if metric is None or proposal is None or proposal.curve is None:
        return data
    data |= {
        "metric": metric.name,
        "utilization": proposal.utilization,
        "average_milli": proposal.average_milli,
        "ready": proposal.ready,
        "proposal": proposal.replicas,
    }
    if metric.by_request:
        return data | {"target": metric.utilization}
    return data | {"measured_milli": proposal.curve.measured, "target_milli": proposal.curve.level}
