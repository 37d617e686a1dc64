"""What a pass leaves behind: the HPA's status, and its decision record. Pure functions.

Source: pkg/controller/podautoscaler/horizontal.go (setStatus); api/autoscaling/v2.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kubesim.autoscaler.reading import metric_status
from kubesim.autoscaler.types import Observation, Recommendation
from kubesim.client import Decision, Step
from kubesim.objects import meta
from kubesim.objects.conditions import set_condition
from kubesim.objects.frozen import Document

SOURCE = "pkg/controller/podautoscaler/horizontal.go"
Condition = tuple[str, str, str, str]  # type, status, reason, message


def status_of(
    old: Document,
    seen: Observation,
    result: Recommendation,
    conditions: Sequence[Condition],
    *,
    rescaled: bool,
    now: str,
) -> Document:
    """status of the HPA after a pass.

    Args:
        old: the status so far.
        seen, result: of the pass.
        conditions: in the order in which they were set; a later one overwrites an earlier.
        rescaled: a new size was written.
        now: RFC 3339 text.
    """
    kept = old.get("conditions") or []
    for type, status, reason, message in conditions:
        kept = set_condition(kept, type, status, reason, message, now=now)
    desired = result.replicas if rescaled else seen.current
    if result.failed or (result.replicas != seen.current and not rescaled):
        desired = old.get("desiredReplicas", 0)
    new: Document = {
        "currentReplicas": seen.current,
        "desiredReplicas": desired,
        "currentMetrics": [
            metric_status(metric, p.utilization, p.average_milli, p.value_milli)
            if p is not None
            else {"type": ""}
            for (metric, _), p in zip(seen.metrics, result.readings, strict=False)
        ],
        "conditions": kept,
    }
    if rescaled:
        new["lastScaleTime"] = now
    elif "lastScaleTime" in old:
        new["lastScaleTime"] = old["lastScaleTime"]
    return new


def decision_of(
    hpa: Document,
    seen: Observation,
    result: Recommendation,
    component: str,
    now: float,
    shadow: bool,
) -> Decision:
    """The decision record of a pass."""
    before, after = seen.current, result.replicas
    if result.failed:
        verdict = f"keep {before} replicas: no usable recommendation"
    elif after == before:
        verdict = f"keep {before} replicas"
    else:
        verdict = f"{'shadow: ' if shadow else ''}{before} -> {after} replicas"
    measured = result.data.get("utilization")
    if measured is not None:
        verdict += f" (cpu {measured}% of request, target {result.data.get('target')}%)"
    return Decision(
        time=now,
        revision=meta.resource_version_of(hpa),
        component=component,
        object=object_of(hpa),
        verdict=verdict,
        steps=result.steps,
        binding=result.binding,
        would_change_if=result.would_change_if,
        data=result.data,
    )


def unreadable_scale(hpa: Document, said: str, component: str, now: float) -> Decision:
    """The record of a pass that ended before it began."""
    return Decision(
        time=now,
        revision=meta.resource_version_of(hpa),
        component=component,
        object=object_of(hpa),
        verdict="nothing: the target's scale cannot be read",
        steps=(Step("read scale", {}, said, SOURCE),),
        binding="FailedGetScale",
        would_change_if="spec.scaleTargetRef named an object that exists and can be scaled",
    )


def object_of(hpa: Document) -> str:
    """How the decision log names an HPA."""
    namespace, name = meta.namespace_of(hpa), meta.name_of(hpa)
    return f"hpa/{name}" if namespace == "default" else f"hpa/{namespace}/{name}"


def from_number(seen: Observation, number: Any) -> Recommendation:
    """A policy of your own may return a bare number; the bounds hold for it, too.

    Raises:
        TypeError: it is no number.
    """
    if isinstance(number, bool) or not isinstance(number, (int, float)) or number != number:
        raise TypeError(f"recommend() returned {number!r}; return a number of replicas")
    wanted = max(0, round(min(number, 2**31 - 1)))
    replicas = min(max(wanted, seen.minimum), seen.maximum)
    step = Step("policy", {"current": seen.current}, f"the policy wants {wanted}")
    bounds = Step("bounds", {"min": seen.minimum, "max": seen.maximum}, f"{replicas}")
    return Recommendation(
        replicas,
        reason="policy" if replicas != seen.current else "",
        conditions=(("ScalingActive", "True", "ValidMetricFound", "a policy of your own decided"),),
        steps=(step, bounds),
        binding="the policy" if replicas == wanted else "the bounds",
        would_change_if="the policy returned another number",
        state=seen.state,
        data={"from": seen.current, "to": replicas, "proposal": wanted, "pods": len(seen.pods)},
    )
