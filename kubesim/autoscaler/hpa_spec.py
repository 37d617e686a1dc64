"""The spec of an HPA as records: metrics and behavior; pure functions.

>>> target = {"type": "Utilization", "averageUtilization": 60}
>>> metric_of({"type": "Resource", "resource": {"name": "cpu", "target": target}}).utilization
60

Source: k8s.io/api/autoscaling/v2.
"""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

from kubesim.autoscaler.constants import DEFAULTS, PolicyConstants, Rules, ScalingPolicy
from kubesim.autoscaler.types import Behavior, Metric
from kubesim.objects.frozen import ReadOnlyDocument
from kubesim.quantity import parse_quantity

if TYPE_CHECKING:
    from kubesim.objects.types import (
        HorizontalPodAutoscalerDict,
        HPAScalingRulesDict,
        LabelSelectorDict,
        MetricSpecDict,
        MetricTargetDict,
    )

SOURCE_FIELDS = {
    "Resource": "resource",
    "ContainerResource": "containerResource",
    "Pods": "pods",
    "Object": "object",
    "External": "external",
}


def metrics_of(
    hpa: HorizontalPodAutoscalerDict, constants: PolicyConstants = DEFAULTS
) -> list[tuple[Metric, MetricSpecDict]]:
    """Return spec.metrics as records, each with its entry; the default metric for an empty list.

    Args:
        hpa: the HPA.
        constants: the controller's settings, with the default target.
    """
    entries = (hpa.get("spec") or {}).get("metrics") or ()
    return [(metric_of(entry), entry) for entry in entries or (default_metric(constants),)]


def default_metric(constants: PolicyConstants) -> MetricSpecDict:
    """Return the entry of spec.metrics that an HPA without metrics has: CPU utilization."""
    target: MetricTargetDict = {
        "type": "Utilization",
        "averageUtilization": constants.default_utilization,
    }
    return {"type": "Resource", "resource": {"name": "cpu", "target": target}}


def metric_of(entry: MetricSpecDict) -> Metric:
    """Return one entry of spec.metrics as a record; an unknown type is kept."""
    type_ = str(entry.get("type", ""))
    fields: ReadOnlyDocument = entry  # the name of the source follows from the type
    source = fields.get(SOURCE_FIELDS.get(type_, "")) or {}
    target = source.get("target") or {}
    named = source if type_ in ("Resource", "ContainerResource") else source.get("metric") or {}
    return Metric(
        type=type_,
        name=str(named.get("name", "")),
        container=str(source.get("container", "")),
        target_type=str(target.get("type", "")),
        utilization=target.get("averageUtilization"),
        average_milli=_milli(target.get("averageValue")),
        value_milli=_milli(target.get("value")),
        about=str((source.get("describedObject") or {}).get("kind", "")),
        selector=selector_text(named.get("selector")),
    )


def selector_text(selector: LabelSelectorDict | None) -> str:
    """Render a label selector as Go prints it, as conditions and events show it.

    >>> selector_text({"matchLabels": {"queue": "mail"}})[:59]  # no expressions follow
    '&LabelSelector{MatchLabels:map[string]string{queue: mail,},'
    """
    if selector is None:
        return "nil"
    labels = sorted((selector.get("matchLabels") or {}).items())
    matched = "".join(f"{key}: {value}," for key, value in labels)
    terms = ""
    for term in selector.get("matchExpressions") or ():
        values = " ".join(term.get("values") or ())
        key, operator = term.get("key", ""), term.get("operator", "")
        terms += f"LabelSelectorRequirement{{Key:{key},Operator:{operator},Values:[{values}],}},"
    return (
        f"&LabelSelector{{MatchLabels:map[string]string{{{matched}}},"
        f"MatchExpressions:[]LabelSelectorRequirement{{{terms}}},}}"
    )


def _milli(value: str | float | None) -> int | None:
    return None if value is None else ceil(parse_quantity(value) * 1000)


def behavior_of(hpa: HorizontalPodAutoscalerDict) -> Behavior | None:
    """Return spec.behavior as a record; `{}` is a behavior, too."""
    behavior = (hpa.get("spec") or {}).get("behavior")
    if behavior is None:
        return None
    return Behavior(_rules(behavior.get("scaleUp")), _rules(behavior.get("scaleDown")))


def _rules(rules: HPAScalingRulesDict | None) -> Rules:
    given = rules or {}
    window, policies = given.get("stabilizationWindowSeconds"), given.get("policies")
    tolerance = given.get("tolerance")
    return Rules(
        window_seconds=None if window is None else float(window),
        select=given.get("selectPolicy"),
        policies=None
        if policies is None
        else tuple(ScalingPolicy(p["type"], p["value"], p["periodSeconds"]) for p in policies),
        tolerance=None if tolerance is None else float(parse_quantity(tolerance)),
    )
