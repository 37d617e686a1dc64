"""What a pass leaves behind: the HPA's status, its decision record, its line in the log. All pure.

Source: pkg/controller/podautoscaler/horizontal.go (setStatus, setCondition); api/autoscaling/v2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isfinite, isnan
from typing import Any

from kubesim.autoscaler.constants import DEFAULTS, MAX_REPLICAS, PolicyConstants
from kubesim.autoscaler.documents import metric_status, metrics_of
from kubesim.autoscaler.policy.ratios import quantity_text
from kubesim.autoscaler.types import Observation, Recommendation
from kubesim.client import Decision, RuleStep
from kubesim.objects import meta
from kubesim.objects.conditions import set_condition
from kubesim.objects.frozen import Document

SOURCE = "pkg/controller/podautoscaler/horizontal.go"
Condition = tuple[str, str, str, str]  # type, status, reason, message


@dataclass(frozen=True, slots=True)
class RescaleResult:
    """What became of a recommendation.

    Attributes:
        written: a new size is in the store.
        error: why it could not be written; "" if it was, or if there was nothing to write.
        condition: AbleToScale after the attempt; None: there was none.
    """

    written: bool = False
    error: str = ""
    condition: Condition | None = None


# -- status --------------------------------------------------------------------------------------


def with_conditions(status: Document, conditions: Sequence[Condition], now: str) -> Document:
    """The status with conditions set one after the other; a later one overwrites an earlier.

    Args:
        status: so far; it is not changed.
        conditions: in the order in which they were set.
        now: RFC 3339 text.
    """
    kept = status.get("conditions") or []
    for type, value, reason, message in conditions:
        kept = set_condition(kept, type, value, reason, message, now=now)
    return {**status, "conditions": kept}


def status_of(
    hpa: Document,
    seen: Observation,
    result: Recommendation,
    outcome: RescaleResult,
    now: str,
    constants: PolicyConstants = DEFAULTS,
) -> Document:
    """status of the HPA after a pass.

    Args:
        hpa: with the status so far.
        seen, result, outcome: of the pass.
        now: RFC 3339 text.
        constants: settings of the algorithm.
    """
    old = hpa.get("status") or {}
    attempt = () if outcome.condition is None else (outcome.condition,)
    desired = result.replicas if outcome.written else seen.current
    if result.failed or outcome.error:
        desired = old.get("desiredReplicas", 0)
    entries = metrics_of(hpa, constants)
    new: Document = {
        **with_conditions(old, (*result.conditions, *attempt), now),
        "currentReplicas": seen.current,
        "desiredReplicas": desired,
        "currentMetrics": [
            metric_status(entry, metric, proposal)
            for (metric, entry), proposal in zip(entries, result.readings, strict=False)
        ],
    }
    if outcome.written:
        new["lastScaleTime"] = now
    return new


# -- decisions -----------------------------------------------------------------------------------


def decision_of(
    hpa: Document,
    seen: Observation,
    result: Recommendation,
    outcome: RescaleResult,
    component: str,
    *,
    shadow: bool | str = False,
) -> Decision:
    """The decision record of a pass."""
    before, after = seen.current, result.replicas
    if result.failed:
        verdict = f"keep {before} replicas: no usable recommendation"
    elif after == before:
        verdict = f"keep {before} replicas"
    else:
        verdict = f"{before} -> {after} replicas"
    if measured := measured_text(result, " (", ", target ", ")"):
        verdict += measured
    if outcome.error:
        verdict += f"; not written: {outcome.error}"
    data = {
        **dict.fromkeys(("utilization", "target", "average_milli", "ready")),
        "pods": len(seen.pods),
        **result.data,
        "from": before,
        "to": after,
        "min": seen.minimum,
        "max": seen.maximum,
        "reason": result.reason,
        "written": outcome.written,
        "metrics": metric_figures(seen, result),
        "changes": [
            {"kind": c.kind, "value": c.value, "replicas": c.replicas, "text": c.text}
            for c in result.changes
        ],
    }
    if shadow and isinstance(shadow, str):
        data["policy"] = shadow
    return Decision(
        time=seen.now,
        revision=meta.resource_version_of(hpa),
        component=component,
        object=object_of(hpa, shadow=shadow),
        verdict=f"shadow: {verdict}" if shadow else verdict,
        steps=result.steps,
        binding=result.binding,
        would_change_if=result.would_change_if,
        data=data,
    )


def metric_figures(seen: Observation, result: Recommendation) -> list[dict[str, Any]]:
    """What each metric measured and wants, as JSON values; `proposal` is None where it failed.

    Empty if the pass looked at no metric.
    """
    found = []
    for (metric, _), proposal in zip(seen.metrics, result.readings, strict=False):
        figures: dict[str, Any] = {"metric": metric.described(), "proposal": None}
        if proposal is not None:
            curve = proposal.curve
            figures |= {
                "proposal": proposal.replicas,
                "ratio": proposal.ratio if isfinite(proposal.ratio) else None,
                "measured": None if curve is None else curve.measured,
                "target": None if curve is None else curve.level,
                "unit": "percent" if proposal.utilization is not None else "milli",
                "held": proposal.held,
            }
        found.append(figures)
    return found


def measured_text(result: Recommendation, before: str, between: str, after: str) -> str:
    """The winning metric against its target; "" if no metric decided."""
    data = result.data
    if data.get("utilization") is not None:
        figures = f"{data['utilization']}% of request", f"{data.get('target')}%"
    elif data.get("measured_milli") is not None:
        figures = quantity_text(data["measured_milli"]), quantity_text(data["target_milli"])
    else:
        return ""
    return f"{before}{data.get('metric')} {figures[0]}{between}{figures[1]}{after}"


def log_line(hpa: Document, seen: Observation, result: Recommendation) -> str:
    """One line for the lifecycle log.

    >>> from kubesim.autoscaler.types import Observation
    >>> seen = Observation(0.0, 2, 10, (), ())
    >>> figures = {"metric": "cpu", "utilization": 93, "target": 70}
    >>> log_line({"metadata": {"name": "auto-pod"}}, seen, Recommendation(4, data=figures))
    'auto-pod: 2 -> 4 replicas, cpu 93% of request against target 70%'
    """
    change = f"{seen.current} -> {result.replicas}"
    if result.replicas == seen.current:
        change = f"keeps {seen.current}"
    why = measured_text(result, "", " against target ", "") or result.reason or result.binding
    return f"{short_name(hpa)}: {change} replicas, {why}"


def unreadable_scale(
    hpa: Document, said: str, component: str, now: float, *, shadow: bool | str = False
) -> Decision:
    """The record of a pass that ended before it began."""
    return Decision(
        time=now,
        revision=meta.resource_version_of(hpa),
        component=component,
        object=object_of(hpa, shadow=shadow),
        verdict="nothing: the target's scale cannot be read",
        steps=(RuleStep("read scale", {}, said, f"{SOURCE} reconcileAutoscaler"),),
        binding="FailedGetScale",
        would_change_if="spec.scaleTargetRef named an object that exists and can be scaled",
    )


def object_of(hpa: Document, *, shadow: bool | str = False) -> str:
    """How the decision log names an HPA; what a shadow would have done is kept apart, and each
    shadow with a name for itself.

    >>> web = {"metadata": {"name": "web", "namespace": "default"}}
    >>> object_of(web), object_of(web, shadow=True), object_of(web, shadow="cautious")
    ('hpa/web', 'hpa-shadow/web', 'hpa-shadow/web/cautious')
    """
    if not shadow:
        return f"hpa/{short_name(hpa)}"
    policy = f"/{shadow}" if isinstance(shadow, str) else ""
    return f"hpa-shadow/{short_name(hpa)}{policy}"


def short_name(hpa: Document) -> str:
    """Its name, with the namespace unless that is `default`."""
    namespace, name = meta.namespace_of(hpa), meta.name_of(hpa)
    return name if namespace in ("default", "", None) else f"{namespace}/{name}"


# -- policies of your own ------------------------------------------------------------------------


def checked(seen: Observation, answer: Any) -> Recommendation:
    """What a policy answered, between minReplicas and maxReplicas; a paused target stays at 0.

    The built-in algorithm keeps these bounds by itself; for it this changes nothing.

    Raises:
        TypeError: it is neither a recommendation nor a number.
    """
    result = answer if isinstance(answer, Recommendation) else from_number(seen, answer)
    allowed = min(max(result.replicas, seen.minimum), seen.maximum)
    if seen.paused:
        allowed = 0
    if result.failed or result.replicas in (allowed, seen.current):
        return result
    inputs = {"min": seen.minimum, "max": seen.maximum}
    step = RuleStep("bounds", inputs, f"{result.replicas} becomes {allowed}")
    return replace(
        result,
        replicas=allowed,
        reason=result.reason if allowed != seen.current else "",
        steps=(*result.steps, step),
        binding="the bounds",
    )


def from_number(seen: Observation, number: Any) -> Recommendation:
    """A policy of your own may return a bare number.

    Raises:
        TypeError: it is no number.
    """
    is_number = isinstance(number, (int, float)) and not isinstance(number, bool)
    if not is_number or isnan(number):
        raise TypeError(f"recommend() returned {number!r}; return a number of replicas")
    wanted = round(max(0, min(number, MAX_REPLICAS)))
    got = "the HPA controller was able to get the target's current scale"
    return Recommendation(
        wanted,
        reason="policy" if wanted != seen.current else "",
        conditions=(
            ("AbleToScale", "True", "SucceededGetScale", got),
            ("ScalingActive", "True", "ValidMetricFound", "a policy of your own decided"),
        ),
        steps=(RuleStep("policy", {"current": seen.current}, f"the policy wants {wanted}"),),
        binding="the policy",
        would_change_if="the policy returned another number",
        state=seen.state,
        data={"ready": sum(pod.ready is True for pod in seen.pods), "proposal": wanted},
    )


def from_error(seen: Observation, said: str) -> Recommendation:
    """The record of a policy that raised: nothing changes."""
    return Recommendation(
        seen.current,
        failed=True,
        steps=(RuleStep("policy", {"current": seen.current}, said),),
        binding=said,
        would_change_if="the policy returned a number of replicas",
        state=seen.state,
    )
