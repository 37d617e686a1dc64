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

Order of a pass: paused at zero, outside the bounds, else each metric by itself; the largest
proposal wins; stabilization, rate limits, bounds. Every rule leaves a step, so that `explain()` can
say why.

Source: pkg/controller/podautoscaler/horizontal.go (reconcileAutoscaler,
computeReplicasForMetrics).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from kubesim.autoscaler.normalize import (
    Limited,
    Log,
    clamp_behavior,
    clamp_classic,
    stabilize_both,
    stabilize_classic,
)
from kubesim.autoscaler.replicas import Tolerance, propose
from kubesim.autoscaler.types import (
    Metric,
    MetricFailed,
    Observation,
    Proposal,
    Recommendation,
    State,
)
from kubesim.autoscaler.whatif import would_change_if
from kubesim.client.decisions import Step

SOURCE = "pkg/controller/podautoscaler/horizontal.go"
LIMIT_MESSAGES = {
    "DesiredWithinRange": "the desired count is within the acceptable range",
    "TooFewReplicas": "the desired replica count is less than the minimum replica count",
    "TooManyReplicas": "the desired replica count is more than the maximum replica count",
    "ScaleUpLimit": "the desired replica count is increasing faster than the maximum scale rate",
    "ScaleDownLimit": "the desired replica count is decreasing faster than the maximum scale rate",
}
SELECTOR_MESSAGES = {
    "InvalidSelector": "the HPA target's scale is missing a selector",
    "AmbiguousSelector": "pods by selector are controlled by multiple HPAs",
}
HOLDS_BACK_UP = (
    "ScaleUpStabilized",
    "recent recommendations were lower than current one, applying the lowest recent recommendation",
)
HOLDS_BACK_DOWN = (
    "ScaleDownStabilized",
    "recent recommendations were higher than current one, applying the highest recent "
    "recommendation",
)


@dataclass
class _Notes:
    """What a pass collects on its way."""

    steps: list[Step] = field(default_factory=list)
    conditions: list[tuple[str, str, str, str]] = field(default_factory=list)
    events: list[tuple[str, str, str]] = field(default_factory=list)
    readings: list[Proposal | None] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Best:
    """The largest proposal and the metric that made it."""

    metric: Metric
    proposal: Proposal


class HorizontalPolicy:
    """kube-controller-manager's algorithm."""

    def recommend(self, seen: Observation) -> Recommendation:
        """One pass: see the module's docstring."""
        notes = _Notes()
        got = "the HPA controller was able to get the target's current scale"
        notes.conditions.append(("AbleToScale", "True", "SucceededGetScale", got))
        state = seen.state
        if state.recommendations is None:
            # The size found at the very first pass: it delays the first scale-down by a window.
            state = replace(state, recommendations=((seen.current, seen.now),))
            seen = replace(seen, state=state)
        shortcut = _without_metrics(seen, notes)
        if shortcut is not None:
            return shortcut
        best = _best_proposal(seen, notes)
        if best is None:
            return _finish(seen, notes, seen.current, "", "metrics failed", failed=True)
        return _normalize(seen, notes, best)


def _without_metrics(seen: Observation, notes: _Notes) -> Recommendation | None:
    """Paused at zero, or outside the bounds: no metric is looked at."""
    inputs = {"current": seen.current, "min": seen.minimum, "max": seen.maximum}
    if seen.current == 0 and seen.minimum != 0:
        said = "scaling is disabled since the replica count of the target is zero"
        notes.conditions.append(("ScalingActive", "False", "ScalingDisabled", said))
        notes.steps.append(Step("paused", inputs, said, SOURCE))
        return _finish(seen, notes, 0, "", "replicas is 0: autoscaling is paused")
    if seen.current > seen.maximum:
        reason = "Current number of replicas above Spec.MaxReplicas"
        notes.steps.append(Step("bounds", inputs, f"above max: {seen.maximum}", SOURCE))
        return _finish(seen, notes, seen.maximum, reason, "maxReplicas")
    if seen.current < seen.minimum:
        reason = "Current number of replicas below Spec.MinReplicas"
        notes.steps.append(Step("bounds", inputs, f"below min: {seen.minimum}", SOURCE))
        return _finish(seen, notes, seen.minimum, reason, "minReplicas")
    return None


def _best_proposal(seen: Observation, notes: _Notes) -> Best | None:
    """Each metric by itself, the largest proposal wins; None if the metrics fail the pass."""
    if seen.selector_problem:
        said = SELECTOR_MESSAGES.get(seen.selector_problem, seen.selector_problem)
        notes.conditions.append(("ScalingActive", "False", seen.selector_problem, said))
        notes.events.append(("Warning", seen.selector_problem, said))
        notes.steps.append(Step("selector", {}, said, SOURCE))
        return None
    best: Best | None = None
    first_failure: MetricFailed | None = None
    for metric, reading in seen.metrics:
        try:
            proposal = propose(
                metric,
                reading,
                seen.pods,
                current=seen.current,
                status_replicas=seen.status_replicas,
                now=seen.now,
                tolerance=tolerance_of(seen),
                constants=seen.constants,
            )
        except MetricFailed as failure:
            first_failure = first_failure or failure
            notes.readings.append(None)
            notes.events.append(("Warning", failure.reason, str(failure)))
            notes.steps.append(Step(f"metric {metric.name}", {}, f"failed: {failure}", SOURCE))
            continue
        notes.readings.append(proposal)
        notes.steps += proposal.steps
        if best is None or proposal.replicas > best.proposal.replicas:
            best = Best(metric, proposal)
    too_few = best is not None and best.proposal.replicas < seen.current
    if first_failure is not None and (best is None or too_few):
        # A metric that is not known may want more: so nothing shrinks without it.
        said = f"the HPA was unable to compute the replica count: {first_failure}"
        notes.conditions.append(("ScalingActive", "False", first_failure.reason, said))
        notes.events.append(("Warning", "FailedComputeMetricsReplicas", said))
        return None
    if best is None:
        return None
    if len(seen.metrics) > 1:
        result = f"{best.metric.described()} wants the most: {best.proposal.replicas}"
        notes.steps.append(Step("largest", {"metrics": len(seen.metrics)}, result, SOURCE))
    said = (
        f"the HPA was able to successfully calculate a replica count from {best.metric.described()}"
    )
    notes.conditions.append(("ScalingActive", "True", "ValidMetricFound", said))
    return best


def _normalize(seen: Observation, notes: _Notes, best: Best) -> Recommendation:
    """Stabilization, rate limits, bounds."""
    proposal = best.proposal.replicas
    stable, log, windows = _stabilize(seen, proposal)
    _note_stabilization(seen, notes, proposal, stable, windows)
    limited = _limit(seen, stable)
    _note_limit(notes, stable, limited)
    reason = ""
    if limited.replicas != seen.current:
        if proposal > seen.current:
            reason = f"{best.metric.described()} above target"
        elif proposal < seen.current:
            reason = "All metrics below target"
    binding = _binding(best, stable, limited)
    after = replace(seen, state=replace(seen.state, recommendations=log))
    return _finish(
        after, notes, limited.replicas, reason, binding, best, stable, limited, before=seen
    )


def _stabilize(seen: Observation, proposal: int) -> tuple[int, Log, dict[str, float]]:
    """(size, new recommendation log, windows used)."""
    log = seen.state.recommendations
    default = seen.constants.downscale_window_seconds
    if seen.behavior is None:
        stable, log = stabilize_classic(proposal, log, now=seen.now, window=default)
        return stable, log, {"window_seconds": default}
    up = seen.behavior.up.window_seconds or 0.0
    down = seen.behavior.down.window_seconds
    down = default if down is None else down
    stable, log = stabilize_both(
        proposal, seen.current, log, now=seen.now, up_window=up, down_window=down
    )
    return stable, log, {"up_window_seconds": up, "down_window_seconds": down}


def _limit(seen: Observation, stable: int) -> Limited:
    """The rate limits and the bounds."""
    if seen.behavior is None:
        return clamp_classic(
            stable,
            current=seen.current,
            minimum=seen.minimum,
            maximum=seen.maximum,
            constants=seen.constants,
        )
    return clamp_behavior(
        stable,
        current=seen.current,
        minimum=seen.minimum,
        maximum=seen.maximum,
        up=seen.behavior.up,
        down=seen.behavior.down,
        state=seen.state,
        now=seen.now,
    )


def _note_stabilization(
    seen: Observation, notes: _Notes, proposal: int, stable: int, windows: dict[str, float]
) -> None:
    if stable == proposal:
        said = "recommended size matches current size"
        notes.conditions.append(("AbleToScale", "True", "ReadyForNewScale", said))
        result = f"history changes nothing: {stable}"
    else:
        growing = seen.behavior is not None and proposal >= seen.current
        kind, said = HOLDS_BACK_UP if growing else HOLDS_BACK_DOWN
        notes.conditions.append(("AbleToScale", "True", kind, said))
        result = f"{proposal} becomes {stable}: {said}"
    notes.steps.append(Step("stabilize", {"proposal": proposal, **windows}, result, SOURCE))


def _note_limit(notes: _Notes, stable: int, limited: Limited) -> None:
    is_limited = limited.replicas != stable
    status = "True" if is_limited else "False"
    said = LIMIT_MESSAGES[limited.reason]
    notes.conditions.append(("ScalingLimited", status, limited.reason, said))
    inputs = {"wanted": stable, "low": limited.low, "high": limited.high}
    result = f"{stable} becomes {limited.replicas}: {said}" if is_limited else said
    notes.steps.append(Step("limit", inputs, result, SOURCE))


def _binding(best: Best, stable: int, limited: Limited) -> str:
    if limited.replicas != stable:
        return limited.reason
    if stable != best.proposal.replicas:
        return "stabilization"
    if best.proposal.held:
        return best.proposal.held
    return best.proposal.steps[-1].result


def tolerance_of(seen: Observation) -> Tolerance:
    """The tolerance of each direction: the HPA's own, else the controller's."""
    default = seen.constants.tolerance
    if seen.behavior is None:
        return Tolerance(default, default)
    up, down = seen.behavior.up.tolerance, seen.behavior.down.tolerance
    return Tolerance(default if up is None else up, default if down is None else down)


def _finish(
    seen: Observation,
    notes: _Notes,
    replicas: int,
    reason: str,
    binding: str,
    best: Best | None = None,
    stable: int | None = None,
    limited: Limited | None = None,
    *,
    before: Observation | None = None,
    failed: bool = False,
) -> Recommendation:
    before = before or seen  # as it was before this pass was remembered
    proposal = best.proposal if best is not None else None
    data = {
        "from": seen.current,
        "to": replicas,
        "utilization": proposal.utilization if proposal is not None else None,
        "target": best.metric.utilization if best is not None else None,
        "average_milli": proposal.average_milli if proposal is not None else None,
        "ready": proposal.ready if proposal is not None else None,
        "pods": len(seen.pods),
        "proposal": proposal.replicas if proposal is not None else None,
        "reason": reason,
    }
    return Recommendation(
        replicas=replicas,
        reason=reason,
        conditions=tuple(notes.conditions),
        events=tuple(notes.events),
        readings=tuple(notes.readings),
        failed=failed,
        steps=tuple(notes.steps),
        binding=binding,
        would_change_if=would_change_if(
            seen,
            None if best is None else best.metric,
            proposal,
            tolerance_of(seen),
            stable,
            limited,
            lambda wanted: _limit(before, _stabilize(before, wanted)[0]).replicas,
        ),
        state=seen.state,
        data=data,
    )


__all__ = ["HorizontalPolicy", "State", "tolerance_of"]
