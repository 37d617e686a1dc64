"""The HPA's algorithm: one pass, from an observation to a recommendation, as a pure function.

>>> from kubesim.autoscaler.types import PodFacts, Reading, Sample
>>> pods = tuple(PodFacts(f"p{n}", started=-999) for n in range(4))
>>> samples = {pod.name: Sample(200) for pod in pods}
>>> reading = Reading(samples, requests=dict.fromkeys(samples, 250))
>>> observation = Observation(now=0.0, current=4, maximum=10, pods=pods,
...                          metrics=((Metric(utilization=50), reading),))
>>> result = HorizontalPolicy().recommend(observation)
>>> result.replicas, result.reason, result.binding
(7, 'cpu resource utilization (percentage of request) above target', 'ceil(1.6 x 4) = 7')
>>> result.would_change_if
'the average utilization rose to 88% or fell to 75% (it is 80%)'

Order of a pass: paused at zero, outside the bounds, otherwise each metric by itself; the largest
proposal wins; stabilization, rate limits, bounds. Every rule leaves a step for `explain()`;
steps and what-if are rendered when somebody reads them.

A metric that cannot be read does not count as zero, since it might propose more than all others. So
a scale-down by the remaining metrics is not done, while a scale-up is safe.

Source: pkg/controller/podautoscaler/horizontal.go (reconcileAutoscaler,
computeReplicasForMetrics, computeReplicasForMetric).
"""

from __future__ import annotations

from dataclasses import replace

from kubesim.autoscaler.constants import PolicyConstants
from kubesim.autoscaler.policy import whatif
from kubesim.autoscaler.policy.failures import (
    FAILURES,
    PER_REQUEST,
    not_measured,
    not_usable,
    without_proposal,
    without_selector,
)
from kubesim.autoscaler.policy.figures import Failure, MetricsResult
from kubesim.autoscaler.policy.normalize import Limited, ReplicaLimits, after_proposal, limits_at
from kubesim.autoscaler.policy.replica_calculator import Tolerance, propose_per_pod
from kubesim.autoscaler.policy.steps import (
    LIMIT_MESSAGES,
    SOURCE,
    binding_of,
    limit_steps,
    metric_steps,
)
from kubesim.autoscaler.policy.totals import propose_total
from kubesim.autoscaler.records import without_readings
from kubesim.autoscaler.types import (
    Behavior,
    Change,
    Metric,
    MetricFailed,
    MetricProposal,
    Observation,
    Reading,
    Recommendation,
)
from kubesim.client.decisions import RuleStep

GOT_SCALE = (
    "AbleToScale",
    "True",
    "SucceededGetScale",
    "the HPA controller was able to get the target's current scale",
)
PAUSED = "scaling is disabled since the replica count of the target is zero"
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


def _recommend(observation: Observation, *, explained: bool) -> Recommendation:
    if observation.state.recommendations is None:
        # The size at the very first pass; it delays the first scale-down by a window.
        first = ((observation.current, observation.now),)
        observation = replace(observation, state=replace(observation.state, recommendations=first))
    # A paused target is below its minimum.
    if not observation.minimum <= observation.current <= observation.maximum:
        return _without_metrics(observation, explained=explained)
    weighed = propose_for_metrics(observation)
    if not weighed.ok or weighed.metric is None or weighed.proposal is None:
        return _failed(observation, weighed)
    limits = limits_for(observation, observation.now)
    proposal = weighed.proposal.replicas
    stable = limits.stabilize(proposal)
    limited = limits.limit(stable)
    log = after_proposal(
        observation.state.recommendations,
        proposal,
        observation.now,
        observation.behavior,
        observation.constants,
    )
    stability = _stability(observation, proposal, stable)
    plain = without_readings(observation)

    def explain() -> dict[str, object]:
        changes = _changes(plain, weighed, limits, stable, limited) if explained else ()
        rules = limit_steps(plain, limits, proposal, stable, limited, stability[3])
        return {
            "steps": (*weighed.steps, *rules),
            "binding": binding_of(weighed, stable, limited),
            "would_change_if": whatif.sentence(plain, changes) if explained else "",
            "changes": changes,
        }

    result = Recommendation.on_demand(
        explain,
        replicas=limited.replicas,
        reason=_reason(weighed.metric, proposal, observation.current, limited.replicas),
        conditions=(GOT_SCALE, *weighed.conditions, stability, _limitation(stable, limited)),
        events=weighed.events,
        readings=weighed.readings,
        failed=False,
        state=replace(observation.state, recommendations=log),
        data=_data(observation, limited.replicas, weighed, stable),
    )
    # An exception refers to the frames in which it was raised, and these to all samples.
    return result if weighed.failure is None else result.rendered()


def _size(observation: Observation) -> int:
    """Return the result of a pass, without its explanation."""
    return _recommend(observation, explained=False).replicas


def limits_for(observation: Observation, now: float) -> ReplicaLimits:
    """Return the limits of an observation at a second, which may be later than its own."""
    return limits_at(
        now=now,
        current=observation.current,
        minimum=observation.minimum,
        maximum=observation.maximum,
        state=observation.state,
        behavior=observation.behavior,
        constants=observation.constants,
    )


# -- metrics ---------------------------------------------------------------------------------------


def tolerance_of(observation: Observation) -> Tolerance:
    """Return the tolerance of each direction: the HPA's own, otherwise the controller's."""
    return tolerances(observation.behavior, observation.constants)


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
    targetless = metric.average_milli is None and metric.utilization is None
    if metric.type not in FAILURES or (metric.type in PER_REQUEST and targetless):
        raise not_usable(metric)
    try:
        if reading.error:
            raise ValueError(reading.error)
        return _propose(metric, reading, seen)
    except ValueError as error:
        raise not_measured(metric, str(error)) from error


def _propose(metric: Metric, reading: Reading, observation: Observation) -> MetricProposal:
    if metric.type in ("Object", "External"):
        return propose_total(
            metric,
            reading,
            observation.pods,
            current=observation.current,
            status_replicas=observation.status_replicas,
            tolerance=tolerance_of(observation),
        )
    if not metric.by_request and metric.average_milli is None:
        raise ValueError("invalid pods metric source: no average value target was set")
    return propose_per_pod(
        metric,
        reading,
        observation.pods,
        current=observation.current,
        now=observation.now,
        tolerance=tolerance_of(observation),
        constants=observation.constants,
    )


def propose_for_metrics(seen: Observation) -> MetricsResult:
    """Evaluate every metric and choose the largest proposal."""
    if seen.selector_problem:
        return without_selector(seen)
    best: tuple[Metric, MetricProposal] | None = None
    failures: list[Failure] = []
    readings: list[MetricProposal | None] = []
    for metric, reading in seen.metrics:
        try:
            proposal = propose(metric, reading, seen)
        except MetricFailed as error:
            failures.append(Failure(metric, error))
            readings.append(None)
            continue
        readings.append(proposal)
        # Upstream starts from 0, so that of several zeros the last is the one that is named.
        if best is None or best[1].replicas == 0 or proposal.replicas > best[1].replicas:
            best = (metric, proposal)
    names = [metric.name for metric, _ in seen.metrics]
    winner, chosen = best or (None, None)
    size = 0 if chosen is None else chosen.replicas
    followed = chosen is not None and not (failures and size < seen.current)
    name = winner.description if winner is not None and followed else ""
    message = f"the HPA was able to successfully calculate a replica count from {name}"
    weighed = MetricsResult.on_demand(
        lambda: {"steps": metric_steps(names, readings, failures, name, size)},
        ok=followed,
        metric=winner,
        proposal=chosen,
        rest=max([p.replicas for p in readings if p is not None and p is not chosen], default=0),
        failure=failures[0] if failures else None,
        readings=tuple(readings),
        conditions=(("ScalingActive", "True", "ValidMetricFound", message),),
        events=tuple([("Warning", f.error.reason, str(f.error)) for f in failures]),
    )
    return weighed if followed else without_proposal(seen, weighed, len(failures))


# -- passes without metrics ------------------------------------------------------------------------


def _without_metrics(observation: Observation, *, explained: bool) -> Recommendation:
    """Return the result of a pass that is paused at zero, or outside the bounds.

    No metric, policy, window or tolerance takes part, and nothing is added to the recommendation
    log.
    """
    conditions: tuple[tuple[str, str, str, str], ...] = (GOT_SCALE,)
    if observation.paused:
        replicas, reason, binding = 0, "", "replicas is 0: autoscaling is paused"
        rule, result = "paused", PAUSED
        conditions = (GOT_SCALE, ("ScalingActive", "False", "ScalingDisabled", PAUSED))
    elif observation.current > observation.maximum:
        replicas, binding = observation.maximum, "maxReplicas"
        reason = "Current number of replicas above Spec.MaxReplicas"
        rule, result = "bounds", f"above max: {replicas}"
    else:
        replicas, binding = observation.minimum, "minReplicas"
        reason = "Current number of replicas below Spec.MinReplicas"
        rule, result = "bounds", f"below min: {replicas}"
    bounds = {"min": observation.minimum, "max": observation.maximum}
    inputs = {"current": observation.current, **bounds}
    changes = tuple(whatif.shortcut_changes(observation, replicas, _size)) if explained else ()
    return Recommendation(
        replicas=replicas,
        reason=reason,
        conditions=conditions,
        steps=(RuleStep(rule, inputs, result, f"{SOURCE} reconcileAutoscaler"),),
        binding=binding,
        would_change_if=whatif.sentence(observation, changes) if explained else "",
        changes=changes,
        state=observation.state,
        data=_data(observation, replicas, None, replicas),
    )


def _failed(observation: Observation, weighed: MetricsResult) -> Recommendation:
    """Return the result of a pass whose selector or metrics failed: nothing is scaled or logged."""
    changes = tuple(whatif.failed_changes(observation, weighed))
    return Recommendation(
        replicas=observation.current,
        conditions=(GOT_SCALE, *weighed.conditions),
        events=weighed.events,
        readings=weighed.readings,
        failed=True,
        steps=weighed.steps,
        binding="selector" if observation.selector_problem else "metrics failed",
        would_change_if=whatif.sentence(observation, changes),
        changes=changes,
        state=observation.state,
        data=_data(observation, observation.current, weighed, observation.current),
    )


# -- conditions and figures ------------------------------------------------------------------------


def _changes(
    observation: Observation,
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
            return limits_for(observation, now)

        changes += whatif.time_changes(observation, proposal, stable, limited.replicas, later)
    changes += whatif.measured_changes(observation, weighed, limits, limited.replicas)
    return tuple(changes)


def _reason(metric: Metric, proposal: int, current: int, replicas: int) -> str:
    """Return the reason of the event; "" without a change, or if only history changed the size."""
    if replicas == current or proposal == current:
        return ""
    return (
        f"{metric.description} above target" if proposal > current else "All metrics below target"
    )


def _stability(observation: Observation, proposal: int, stable: int) -> tuple[str, str, str, str]:
    if stable == proposal:
        return "AbleToScale", "True", *UNCHANGED
    growing = observation.behavior is not None and proposal >= observation.current
    return "AbleToScale", "True", *(HOLDS_BACK_UP if growing else HOLDS_BACK_DOWN)


def _limitation(stable: int, limited: Limited) -> tuple[str, str, str, str]:
    status = "True" if limited.replicas != stable else "False"
    return "ScalingLimited", status, limited.reason, LIMIT_MESSAGES[limited.reason]


def _data(
    observation: Observation, replicas: int, weighed: MetricsResult | None, stable: int
) -> dict[str, object]:
    """Return the figures for charts: the sizes, and the winning metric against its target."""
    metric = None if weighed is None else weighed.metric
    proposal = None if weighed is None else weighed.proposal
    data: dict[str, object] = dict.fromkeys(("metric", "utilization", "target", "average_milli"))
    data |= {"from": observation.current, "to": replicas}
    data |= {"pods": len(observation.pods), "stable": stable}
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
