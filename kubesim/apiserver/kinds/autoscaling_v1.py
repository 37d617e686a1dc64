"""autoscaling/v1: conversion of HPAs between v1, which has CPU only, and v2.

Annotations carry the parts that have no field in v1, so that a round trip loses nothing:

>>> v2 = {"kind": "HorizontalPodAutoscaler", "metadata": {"name": "web"}, "spec": {"maxReplicas": 9,
...       "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target":
...                    {"type": "Utilization", "averageUtilization": 50}}}]}}
>>> from_v2(v2)["spec"]
{'maxReplicas': 9, 'targetCPUUtilizationPercentage': 50}
>>> to_v2(from_v2(v2)) == v2
True

Source: pkg/apis/autoscaling/v1/conversion.go, pkg/apis/autoscaling/annotations.go.
"""

from __future__ import annotations

import json

from kubesim.objects.frozen import Document, thaw

PREFIX = "autoscaling.alpha.kubernetes.io/"
METRICS, BEHAVIOR = f"{PREFIX}metrics", f"{PREFIX}behavior"
CONDITIONS, CURRENT = f"{PREFIX}conditions", f"{PREFIX}current-metrics"
TARGET = "targetCPUUtilizationPercentage"
ALWAYS_WRITTEN = ("currentReplicas", "desiredReplicas")  # of a status in v1: no omitempty
CURRENT_CPU = "currentCPUUtilizationPercentage"


def from_v2(hpa: Document) -> Document:
    """Return an HPA of v2 converted to v1; the argument is not changed."""
    result: Document = thaw(hpa)
    spec, status = result.get("spec"), result.get("status")
    carried: dict[str, object] = {}
    if isinstance(spec, dict):
        metrics = spec.pop("metrics", None) or []
        cpu = next((metric for metric in metrics if _cpu_target(metric) is not None), None)
        if cpu is not None:
            spec[TARGET] = _cpu_target(cpu)
        carried[METRICS] = [metric for metric in metrics if metric is not cpu]
        carried[BEHAVIOR] = spec.pop("behavior", None)
    if isinstance(status, dict):
        for field in ALWAYS_WRITTEN:
            status.setdefault(field, 0)
        current = status.pop("currentMetrics", None) or []
        cpu = next((metric for metric in current if _cpu_use(metric) is not None), None)
        if cpu is not None:
            status[CURRENT_CPU] = _cpu_use(cpu)
        carried[CURRENT] = current
        carried[CONDITIONS] = status.pop("conditions", None)
    encoded = {
        name: json.dumps(value, separators=(",", ":")) for name, value in carried.items() if value
    }
    if encoded:
        metadata = result.setdefault("metadata", {})
        metadata["annotations"] = {**(metadata.get("annotations") or {}), **encoded}
    return result


def to_v2(hpa: Document) -> Document:
    """Return an HPA of v1 converted to v2; the argument is not changed."""
    result: Document = thaw(hpa)
    metadata = result.get("metadata")
    annotations = metadata.get("annotations") if isinstance(metadata, dict) else None
    carried = _carried(annotations if isinstance(annotations, dict) else {})
    if isinstance(annotations, dict) and not annotations and isinstance(metadata, dict):
        del metadata["annotations"]
    spec, status = result.get("spec"), result.get("status")
    if isinstance(spec, dict):
        metrics = carried.get(METRICS) or []
        target = spec.pop(TARGET, None)
        if target is not None:
            goal = {"type": "Utilization", "averageUtilization": target}
            resource = {"name": "cpu", "target": goal}
            metrics = [{"type": "Resource", "resource": resource}, *metrics]
        if metrics:
            spec["metrics"] = metrics
        if carried.get(BEHAVIOR):
            spec["behavior"] = carried[BEHAVIOR]
    if isinstance(status, dict):
        for field in ALWAYS_WRITTEN:
            if status.get(field) == 0:
                del status[field]
        used = status.pop(CURRENT_CPU, None)
        if carried.get(CURRENT):
            status["currentMetrics"] = carried[CURRENT]
        elif used is not None:
            resource = {"name": "cpu", "current": {"averageUtilization": used}}
            status["currentMetrics"] = [{"type": "Resource", "resource": resource}]
        if carried.get(CONDITIONS):
            status["conditions"] = carried[CONDITIONS]
    return result


def _carried(annotations: Document) -> Document:
    """Remove the parts of v2 from the annotations and return them; malformed JSON stays."""
    parts: Document = {}
    for name in (METRICS, BEHAVIOR, CURRENT, CONDITIONS):
        try:
            value = json.loads(annotations[name]) if name in annotations else None
        except (TypeError, ValueError):
            continue
        if value is not None:
            parts[name] = value
            del annotations[name]
    return parts


def _cpu_target(metric: object) -> object:
    return _cpu_utilization(metric, "target")


def _cpu_use(metric: object) -> object:
    return _cpu_utilization(metric, "current")


def _cpu_utilization(metric: object, side: str) -> object:
    match metric:
        case {"type": "Resource", "resource": {"name": "cpu", **rest}}:
            part = rest.get(side)
            return part.get("averageUtilization") if isinstance(part, dict) else None
    return None
