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

Order of a pass: paused at zero, outside the bounds, else each metric by itself; the largest
proposal wins; stabilization, rate limits, bounds. Every rule leaves a step, so that `explain()` can
say why.

Source: pkg/controller/podautoscaler/horizontal.go (reconcileAutoscaler,
computeReplicasForMetrics).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from kubesim.autoscaler import whatif
from kubesim.autoscaler.normalize import (
    Corridor,
    Limited,
    after_proposal,
    corridor_at,
    period_start,
    policy_limit,
)
from kubesim.autoscaler.types import Change, Metric, Observation, Recommendation
from kubesim.autoscaler.weighing import Weighed, weigh
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
    """kube-controller-manager's algorithm; it keeps nothing between two passes.

    Args:
        explained: also find out what would change the result; False is for sweeps over thousands of
            passes whose records nobody reads.
    """

    def __init__(self, *, explained: bool = True) -> None:
        self.explained = explained

    def recommend(self, observation: Observation) -> Recommendation:
        """One pass: see the module's docstring."""
        return _recommend(observation, explained=self.explained)


def _recommend(seen: Observation, *, explained: bool) -> Recommendation:
    if seen.state.recommendations is None:
        # The size found at the very first pass: it delays the first scale-down by a window.
        first = ((seen.current, seen.now),)
        seen = replace(seen, state=replace(seen.state, recommendations=first))
    if seen.paused or not seen.minimum <= seen.current <= seen.maximum:
        return _without_metrics(seen, explained=explained)
    weighed = weigh(seen)
    if not weighed.ok or weighed.metric is None or weighed.proposal is None:
        return _failed(seen, weighed)
    corridor = corridor_of(seen, seen.now)
    proposal = weighed.proposal.replicas
    stable = corridor.stabilize(proposal)
    limited = corridor.limit(stable)
    log = after_proposal(
        seen.state.recommendations, proposal, seen.now, seen.behavior, seen.constants
    )
    changes = _changes(seen, weighed, corridor, stable, limited) if explained else ()
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
        steps=(*weighed.steps, *_steps(seen, corridor, proposal, stable, limited)),
        binding=_binding(weighed, stable, limited),
        would_change_if=whatif.sentence(seen, changes) if explained else "",
        changes=changes,
        state=replace(seen.state, recommendations=log),
        data=_data(seen, limited.replicas, weighed, stable),
    )


def _size(seen: Observation) -> int:
    """The result of a pass, without its explanation."""
    return _recommend(seen, explained=False).replicas


def corridor_of(seen: Observation, now: float) -> Corridor:
    """The corridor of an observation at a second, which may be a later one than its own."""
    return corridor_at(
        now=now,
        current=seen.current,
        minimum=seen.minimum,
        maximum=seen.maximum,
        state=seen.state,
        behavior=seen.behavior,
        constants=seen.constants,
    )


# -- passes that scale by no metric ----------------------------------------------------------------


def _without_metrics(seen: Observation, *, explained: bool) -> Recommendation:
    """Paused at zero, or outside the bounds: no metric, policy, window or tolerance is looked at,
    and nothing is added to the recommendation log."""
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


def _failed(seen: Observation, weighed: Weighed) -> Recommendation:
    """Selector or metrics fail the pass: nothing is scaled, nothing goes into the log."""
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


# -- telling -------------------------------------------------------------------------------------


def _changes(
    seen: Observation, weighed: Weighed, corridor: Corridor, stable: int, limited: Limited
) -> tuple[Change, ...]:
    proposal = 0 if weighed.proposal is None else weighed.proposal.replicas
    changes: list[Change] = []
    if limited.replicas != stable:
        changes += whatif.limit_changes(corridor, proposal, limited)
    elif stable != proposal:

        def later(now: float) -> Corridor:
            return corridor_of(seen, now)

        changes += whatif.time_changes(seen, proposal, stable, limited.replicas, later)
    changes += whatif.measured_changes(seen, weighed, corridor, limited.replicas)
    return tuple(changes)


def _reason(metric: Metric, proposal: int, current: int, replicas: int) -> str:
    """Of the event; empty if nothing changes, or if only history moved the size."""
    if replicas == current or proposal == current:
        return ""
    return (
        f"{metric.described()} above target" if proposal > current else "All metrics below target"
    )


def _stability(seen: Observation, proposal: int, stable: int) -> tuple[str, str, str, str]:
    if stable == proposal:
        return "AbleToScale", "True", *UNCHANGED
    growing = seen.behavior is not None and proposal >= seen.current
    return "AbleToScale", "True", *(HOLDS_BACK_UP if growing else HOLDS_BACK_DOWN)


def _limitation(stable: int, limited: Limited) -> tuple[str, str, str, str]:
    status = "True" if limited.replicas != stable else "False"
    return "ScalingLimited", status, limited.reason, LIMIT_MESSAGES[limited.reason]


def _binding(weighed: Weighed, stable: int, limited: Limited) -> str:
    proposal = weighed.proposal
    if limited.replicas != stable or proposal is None:
        return limited.reason
    if stable != proposal.replicas:
        return "stabilization"
    return proposal.held or proposal.steps[-1].result


def _steps(
    seen: Observation, corridor: Corridor, proposal: int, stable: int, limited: Limited
) -> list[RuleStep]:
    """Stabilization, policies if there are any, limits."""
    inputs: dict[str, Any] = {"proposal": proposal}
    if seen.behavior is None:
        inputs["window_seconds"] = seen.constants.downscale_window_seconds
    else:
        rules = seen.behavior.filled(seen.constants)
        inputs["up_window_seconds"] = rules.up.window_seconds
        inputs["down_window_seconds"] = rules.down.window_seconds
    result = f"history changes nothing: {stable}"
    if stable != proposal:
        result = f"{proposal} becomes {stable}: {_stability(seen, proposal, stable)[3]}"
    steps = [RuleStep("stabilize", inputs, result, f"{SOURCE} stabilizeRecommendation")]
    if seen.behavior is not None and stable != seen.current:
        steps.append(_policy_step(seen, corridor, stable))
    said = LIMIT_MESSAGES[limited.reason]
    if limited.replicas != stable:
        said = f"{stable} becomes {limited.replicas}: {said}"
    inputs = {"wanted": stable, "low": limited.low, "high": limited.high}
    steps.append(RuleStep("limit", inputs, said, f"{SOURCE} convertDesiredReplicas"))
    return steps


def _policy_step(seen: Observation, corridor: Corridor, stable: int) -> RuleStep:
    """How far each policy of the direction lets the size go, and from where."""
    growing = stable > seen.current
    behavior = seen.behavior.filled(seen.constants) if seen.behavior is not None else None
    rules = None if behavior is None else behavior.up if growing else behavior.down
    inputs: dict[str, Any] = {"current": seen.current, "select": rules.select if rules else ""}
    for policy in (rules.policies if rules else None) or ():
        start = period_start(seen.current, seen.state, policy.period_seconds, seen.now)
        name = f"{policy.type} {policy.value} per {policy.period_seconds:g} s"
        inputs[name] = f"{start} -> {policy_limit(policy, start, up=growing)}"
    limit = corridor.rate_up if growing else corridor.rate_down
    word = "up" if growing else "down"
    return RuleStep(
        "policies", inputs, f"{word} to {limit}", f"{SOURCE} calculateScale{word.title()}Limit"
    )


def _data(seen: Observation, replicas: int, weighed: Weighed | None, stable: int) -> dict[str, Any]:
    """Figures for charts: the sizes, and the winning metric against its target."""
    metric = None if weighed is None else weighed.metric
    proposal = None if weighed is None else weighed.proposal
    data: dict[str, Any] = dict.fromkeys(("metric", "utilization", "target", "average_milli"))
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


__all__ = ["HorizontalPolicy"]
