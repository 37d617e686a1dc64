"""The output of a pass: the HPA's status, its decision record, its log line; pure functions.

Source: pkg/controller/podautoscaler/horizontal.go (setStatus, setCondition); api/autoscaling/v2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isfinite, isnan
from typing import TYPE_CHECKING, cast

from kubesim.autoscaler.constants import DEFAULTS, MAX_REPLICAS, PolicyConstants
from kubesim.autoscaler.hpa_spec import SOURCE_FIELDS, default_metric
from kubesim.autoscaler.types import MetricProposal, Observation, Reading, Recommendation
from kubesim.client import Decision, RuleStep
from kubesim.objects import meta
from kubesim.objects.frozen import Document, ReadOnlyDocument, thaw
from kubesim.objects.meta import set_condition
from kubesim.quantity import count_of

if TYPE_CHECKING:
    from kubesim.objects.types import HorizontalPodAutoscalerDict as HPADict
    from kubesim.objects.types import HorizontalPodAutoscalerStatusDict as HPAStatus
    from kubesim.objects.types import MetricSpecDict, MetricStatusDict

SOURCE = "pkg/controller/podautoscaler/horizontal.go"
NO_READING = Reading()
Condition = tuple[str, str, str, str]  # type, status, reason, message


@dataclass(frozen=True, slots=True)
class RescaleResult:
    """The result of an attempt to write a new number of replicas.

    Attributes:
        written: the new number was written.
        error: why it could not be written; "": it was written, or there was no attempt.
        condition: AbleToScale after the attempt; None: there was no attempt.
    """

    written: bool = False
    error: str = ""
    condition: Condition | None = None


def with_conditions(status: HPAStatus, conditions: Sequence[Condition], now: str) -> HPAStatus:
    """Return the status with conditions set one after the other; a later one replaces an earlier.

    Args:
        status: the old status; it is not changed.
        conditions: in the order in which they were set.
        now: RFC 3339 string.
    """
    retained = status.get("conditions") or []
    for type, value, reason, message in conditions:
        retained = set_condition(retained, type, value, reason, message, now=now)
    return {**status, "conditions": retained}


def status_of(
    hpa: HPADict,
    observation: Observation,
    result: Recommendation,
    outcome: RescaleResult,
    now: str,
    constants: PolicyConstants = DEFAULTS,
) -> HPAStatus:
    """Return the status of the HPA after a pass.

    Args:
        hpa: the newest HPA, with its old status.
        observation, result, outcome: of the pass.
        now: RFC 3339 string.
        constants: settings of the algorithm.
    """
    old = hpa.get("status") or {}
    attempt = () if outcome.condition is None else (outcome.condition,)
    desired = result.replicas if outcome.written else observation.current
    if result.failed or outcome.error:
        desired = old.get("desiredReplicas", 0)
    entries = hpa["spec"].get("metrics") or (default_metric(constants),)
    readings = zip(entries, result.readings, strict=False)
    new: HPAStatus = {
        **with_conditions(old, (*result.conditions, *attempt), now),
        "currentReplicas": observation.current,
        "desiredReplicas": desired,
        "currentMetrics": [metric_status(entry, proposal) for entry, proposal in readings],
    }
    if outcome.written:
        new["lastScaleTime"] = now
    return new


def metric_status(entry: MetricSpecDict, proposal: MetricProposal | None) -> MetricStatusDict:
    """Return one entry of status.currentMetrics; a blank one for a metric that failed.

    Args:
        entry: of spec.metrics.
        proposal: of that metric, or None.
    """
    metric_type = entry.get("type", "")
    if proposal is None or (source_field := SOURCE_FIELDS.get(metric_type)) is None:
        return {"type": ""}
    source = cast("ReadOnlyDocument", entry).get(source_field) or {}
    retained = ("name", "container", "metric", "describedObject")
    body: Document = {name: thaw(source[name]) for name in retained if name in source}
    if metric_type == "Object" and "averageValue" in source["target"]:
        body["describedObject"] = {"kind": "", "name": ""}
    current: Document = {}
    if proposal.utilization is not None:
        current["averageUtilization"] = proposal.utilization
    if proposal.average_milli is not None:
        current["averageValue"] = quantity_text(proposal.average_milli)
    if proposal.value_milli is not None:
        current["value"] = quantity_text(proposal.value_milli)
    body["current"] = current
    return cast("MetricStatusDict", {"type": metric_type, source_field: body})


def quantity_text(milli: int) -> str:
    """Render milli units as a decimal quantity in its shortest form, as resource.Quantity does.

    >>> quantity_text(150_000), quantity_text(4_500), quantity_text(2_000_000_000), quantity_text(0)
    ('150', '4500m', '2M', '0')
    """
    if milli == 0:
        return "0"
    for suffix in ("m", "", "k", "M", "G", "T", "P"):
        if milli % 1000:
            return f"{milli}{suffix}"
        milli //= 1000
    return f"{milli}E"


# -- decisions -----------------------------------------------------------------------------------


def decision_of(
    hpa: HPADict,
    observation: Observation,
    result: Recommendation,
    outcome: RescaleResult,
    component: str,
    *,
    shadow: bool | str = False,
) -> Decision:
    """Return the decision record of a pass; that of the real algorithm is rendered on demand.

    Args:
        hpa: the HPA.
        observation, result, outcome: of the pass.
        component: name of the controller.
        shadow: the policy decides without acting; a string: name of the policy.
    """
    complete = result.is_rendered
    figures = observation if complete else without_readings(observation)
    record = Decision.on_demand(
        lambda: _body_of(figures, result, outcome, shadow),
        time=observation.now,
        revision=meta.resource_version_of(hpa),
        component=component,
        object=object_of(hpa, shadow=shadow),
    )
    # A policy of the user's own may change its objects later, so its record is rendered at once.
    return record.rendered() if complete else record


def _body_of(
    observation: Observation, result: Recommendation, outcome: RescaleResult, shadow: bool | str
) -> Document:
    """Return the fields of a decision record that are rendered."""
    verdict = _verdict(observation.current, result, outcome)
    data = {
        **dict.fromkeys(("utilization", "target", "average_milli", "ready")),
        "pods": len(observation.pods),
        **result.data,
        "from": observation.current,
        "to": result.replicas,
        "min": observation.minimum,
        "max": observation.maximum,
        "reason": result.reason,
        "written": outcome.written,
        "metrics": metric_figures(observation, result),
        "changes": [
            {"kind": c.kind, "value": c.value, "replicas": c.replicas, "text": c.text}
            for c in result.changes
        ],
    }
    if shadow and isinstance(shadow, str):
        data["policy"] = shadow
    return {
        "verdict": f"shadow: {verdict}" if shadow else verdict,
        "steps": result.steps,
        "binding": result.binding,
        "would_change_if": result.would_change_if,
        "data": data,
    }


def _verdict(before: int, result: Recommendation, outcome: RescaleResult) -> str:
    if result.failed:
        cause = "the policy failed" if "policy_error" in result.data else "no valid metric"
        verdict = f"keep {count_of(before, 'replica')}: {cause}"
    elif result.replicas == before:
        verdict = f"keep {count_of(before, 'replica')}"
    else:
        verdict = f"{before} -> {count_of(result.replicas, 'replica')}"
    if measured := measured_text(result, " (", ", target ", ")"):
        verdict += measured
    if outcome.error:
        verdict += f"; not written: {outcome.error}"
    return verdict


def without_readings(observation: Observation) -> Observation:
    """Return an observation without pods and samples, for a record: its sums are all it needs."""
    metrics = tuple([(metric, NO_READING) for metric, _ in observation.metrics])
    return replace(observation, pods=(), metrics=metrics)


def metric_figures(observation: Observation, result: Recommendation) -> list[Document]:
    """Return measurement and proposal of each metric as JSON values; [] for a pass without metrics.

    Args:
        observation: the observation of the pass.
        result: its recommendation; the proposal of a failed metric is None.
    """
    rows = []
    for (metric, _), proposal in zip(observation.metrics, result.readings, strict=False):
        figures: Document = {"metric": metric.description, "proposal": None}
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
        rows.append(figures)
    return rows


def measured_text(result: Recommendation, before: str, between: str, after: str) -> str:
    """Return the winning metric and its target as text; "" if no metric decided.

    Args:
        result: of the pass.
        before, between, after: text around the two figures.
    """
    data = result.data
    if data.get("utilization") is not None:
        figures = f"{data['utilization']}% of request", f"{data.get('target')}%"
    elif data.get("measured_milli") is not None:
        figures = quantity_text(data["measured_milli"]), quantity_text(data["target_milli"])
    else:
        return ""
    return f"{before}{data.get('metric')} {figures[0]}{between}{figures[1]}{after}"


def log_line(hpa: HPADict, observation: Observation, result: Recommendation) -> str:
    """Return one line for the lifecycle log.

    Args:
        hpa, observation, result: of the pass.

    >>> from kubesim.autoscaler.types import Observation
    >>> observation = Observation(0.0, 2, 10, (), ())
    >>> figures = {"metric": "cpu", "utilization": 93, "target": 70}
    >>> log_line({"metadata": {"name": "auto-pod"}}, observation, Recommendation(4, data=figures))
    'auto-pod: 2 -> 4 replicas, cpu 93% of request against target 70%'
    """
    change = f"{observation.current} -> {result.replicas}"
    if result.replicas == observation.current:
        change = f"keeps {observation.current}"
    reason = measured_text(result, "", " against target ", "") or result.reason or result.binding
    return f"{short_name(hpa)}: {change} replicas, {reason}"


def unreadable_scale(
    hpa: HPADict, message: str, component: str, now: float, *, shadow: bool | str = False
) -> Decision:
    """Return the record of a pass whose scale could not be read.

    Args:
        hpa: the HPA.
        message: the error.
        component: name of the controller.
        now: in seconds.
        shadow: see `decision_of`.
    """
    return Decision(
        time=now,
        revision=meta.resource_version_of(hpa),
        component=component,
        object=object_of(hpa, shadow=shadow),
        verdict="nothing: the target's scale cannot be read",
        steps=(RuleStep("read scale", {}, message, f"{SOURCE} reconcileAutoscaler"),),
        binding="FailedGetScale",
        would_change_if="spec.scaleTargetRef named an object that exists and can be scaled",
    )


def object_of(hpa: HPADict, *, shadow: bool | str = False) -> str:
    """Return the name of an HPA in the decision log; each shadow policy has its own name.

    >>> web = {"metadata": {"name": "web", "namespace": "default"}}
    >>> object_of(web), object_of(web, shadow=True), object_of(web, shadow="cautious")
    ('hpa/web', 'hpa-shadow/web', 'hpa-shadow/web/cautious')
    """
    if not shadow:
        return f"hpa/{short_name(hpa)}"
    policy = f"/{shadow}" if isinstance(shadow, str) else ""
    return f"hpa-shadow/{short_name(hpa)}{policy}"


def short_name(hpa: HPADict) -> str:
    """Return the name of an HPA, with the namespace unless that is `default`."""
    namespace, name = meta.namespace_of(hpa), meta.name_of(hpa)
    return name if namespace in ("default", "", None) else f"{namespace}/{name}"


# -- your own policies ---------------------------------------------------------------------------


def checked(observation: Observation, answer: object) -> Recommendation:
    """Return the result of a policy, between minReplicas and maxReplicas; a paused target stays 0.

    The real algorithm respects these bounds itself, so its results are not changed.

    Args:
        observation: the observation of the pass.
        answer: the return value of `recommend`.

    Raises:
        TypeError: it is neither a recommendation nor a number.
    """
    result = answer if isinstance(answer, Recommendation) else from_number(observation, answer)
    if result.failed or result.replicas == observation.current:
        return result
    low, high = observation.minimum, observation.maximum
    if observation.current and low <= result.replicas <= high:
        return result  # within the bounds, and not paused
    allowed = 0 if observation.paused else min(max(result.replicas, low), high)
    if result.replicas == allowed:
        return result
    inputs = {"min": low, "max": high}
    step = RuleStep("bounds", inputs, f"{result.replicas} becomes {allowed}")
    return replace(
        result,
        replicas=allowed,
        reason=result.reason if allowed != observation.current else "",
        steps=(*result.steps, step),
        binding="the bounds",
    )


def from_number(observation: Observation, number: object) -> Recommendation:
    """Return the recommendation for a plain number of replicas.

    Args:
        observation: the observation of the pass.
        number: the return value of `recommend`.

    Raises:
        TypeError: it is not a number.
    """
    if not isinstance(number, (int, float)) or isinstance(number, bool) or isnan(number):
        raise TypeError(f"recommend() returned {number!r}; return a number of replicas")
    desired = round(max(0, min(number, MAX_REPLICAS)))
    got_scale = "the HPA controller was able to get the target's current scale"
    step = RuleStep("policy", {"current": observation.current}, f"the policy wants {desired}")
    return Recommendation(
        desired,
        reason="policy" if desired != observation.current else "",
        conditions=(
            ("AbleToScale", "True", "SucceededGetScale", got_scale),
            ("ScalingActive", "True", "ValidMetricFound", "a policy of your own decided"),
        ),
        steps=(step,),
        binding="the policy",
        would_change_if="the policy returned another number",
        state=observation.state,
        data={"ready": sum(pod.ready is True for pod in observation.pods), "proposal": desired},
    )


def from_error(observation: Observation, message: str) -> Recommendation:
    """Return the recommendation for a policy that raised: nothing changes."""
    return Recommendation(
        observation.current,
        failed=True,
        steps=(RuleStep("policy", {"current": observation.current}, message),),
        binding=message,
        would_change_if="the policy returned a number of replicas",
        state=observation.state,
        data={"policy_error": message},
    )
