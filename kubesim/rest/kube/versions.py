"""Versions of a kind beside the one that is stored: autoscaling/v1.

kubectl before 1.33 makes HorizontalPodAutoscalers of version v1, which knows the CPU target alone.
What v1 has no field for travels in an annotation, as upstream, so that nothing is lost on the way.

Source: pkg/apis/autoscaling/v1/conversion.go.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from kubesim.objects.frozen import Document

METRICS = "autoscaling.alpha.kubernetes.io/metrics"
BEHAVIOR = "autoscaling.alpha.kubernetes.io/behavior"
CONDITIONS = "autoscaling.alpha.kubernetes.io/conditions"
CURRENT = "autoscaling.alpha.kubernetes.io/current-metrics"
CPU = "targetCPUUtilizationPercentage"


class Version(NamedTuple):
    """How to get from the stored version of a kind to another one, and back.

    Both are pure: a document in, a new one out.
    """

    outward: Callable[[Document], Document]
    inward: Callable[[Document], Document]


def _utilization(metric: Any, part: str) -> int | None:
    """The CPU percentage of a plain CPU metric; None if it is another metric."""
    if not isinstance(metric, dict) or metric.get("type") != "Resource":
        return None
    resource = metric.get("resource") or {}
    value = (resource.get(part) or {}).get("averageUtilization")
    return value if resource.get("name") == "cpu" and value is not None else None


def hpa_to_v1(hpa: Document) -> Document:
    """autoscaling/v2 as autoscaling/v1."""
    metadata = dict(hpa.get("metadata") or {})
    annotations = dict(metadata.get("annotations") or {})
    spec, status = dict(hpa.get("spec") or {}), dict(hpa.get("status") or {})
    metrics = spec.pop("metrics", None) or []
    first = next((m for m in metrics if _utilization(m, "target") is not None), None)
    if first is not None:
        spec[CPU] = _utilization(first, "target")
    _put(annotations, METRICS, [m for m in metrics if m is not first])
    _put(annotations, BEHAVIOR, spec.pop("behavior", None))
    current = status.pop("currentMetrics", None) or []
    used = next((m for m in current if _utilization(m, "current") is not None), None)
    if used is not None:
        status["currentCPUUtilizationPercentage"] = _utilization(used, "current")
    _put(annotations, CURRENT, current)
    _put(annotations, CONDITIONS, status.pop("conditions", None))
    if annotations:
        metadata["annotations"] = annotations
    made = {**hpa, "apiVersion": "autoscaling/v1", "metadata": metadata, "spec": spec}
    if "status" in hpa:
        made["status"] = status
    return made


def hpa_from_v1(hpa: Document) -> Document:
    """autoscaling/v1 as autoscaling/v2; what is malformed is left for validation to name."""
    made = {**hpa, "apiVersion": "autoscaling/v2"}
    metadata, spec, status = hpa.get("metadata"), hpa.get("spec"), hpa.get("status")
    annotations: dict[str, Any] = {}
    if isinstance(metadata, dict) and isinstance(metadata.get("annotations"), dict):
        annotations = dict(metadata["annotations"])
        told = {key: _take(annotations, key) for key in (METRICS, BEHAVIOR, CONDITIONS, CURRENT)}
        made["metadata"] = {**metadata, "annotations": annotations}
        if not annotations:
            made["metadata"].pop("annotations")
    else:
        told = {}
    if isinstance(spec, dict):
        spec = dict(spec)
        percent = spec.pop(CPU, None)
        metrics = list(told.get(METRICS) or [])
        if percent is not None:
            target = {"type": "Utilization", "averageUtilization": percent}
            metrics.insert(0, {"type": "Resource", "resource": {"name": "cpu", "target": target}})
        if metrics:
            spec["metrics"] = metrics
        if told.get(BEHAVIOR):
            spec["behavior"] = told[BEHAVIOR]
        made["spec"] = spec
    if isinstance(status, dict):
        status = dict(status)
        status.pop("currentCPUUtilizationPercentage", None)
        for field, key in (("currentMetrics", CURRENT), ("conditions", CONDITIONS)):
            if told.get(key):
                status[field] = told[key]
        made["status"] = status
    return made


def _put(annotations: dict[str, Any], key: str, value: Any) -> None:
    if value:
        annotations[key] = json.dumps(value, separators=(",", ":"))


def _take(annotations: dict[str, Any], key: str) -> Any:
    """What an annotation holds; one that is no JSON stays where it is."""
    text = annotations.get(key)
    if not isinstance(text, str):
        return None
    try:
        value = json.loads(text)
    except ValueError:
        return None
    del annotations[key]
    return value


VERSIONS: dict[tuple[str, str, str], Version] = {
    ("autoscaling", "v1", "horizontalpodautoscalers"): Version(hpa_to_v1, hpa_from_v1),
}
