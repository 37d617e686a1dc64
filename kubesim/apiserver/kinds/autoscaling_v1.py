"""autoscaling/v1: the HPA as it was first, with CPU alone; made of v2 and turned into it.

What v1 has no field for travels in annotations, so that nothing is lost on the way there and back:

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
from typing import Any

from kubesim.objects.frozen import Document, thaw

PREFIX = "autoscaling.alpha.kubernetes.io/"
METRICS, BEHAVIOR = f"{PREFIX}metrics", f"{PREFIX}behavior"
CONDITIONS, CURRENT = f"{PREFIX}conditions", f"{PREFIX}current-metrics"
TARGET = "targetCPUUtilizationPercentage"
CURRENT_CPU = "currentCPUUtilizationPercentage"


def from_v2(hpa: Document) -> Document:
    """A v2 document as v1; it is not changed."""
    made: Document = thaw(hpa)
    spec, status = made.get("spec"), made.get("status")
    carried: dict[str, Any] = {}
    if isinstance(spec, dict):
        metrics = spec.pop("metrics", None) or []
        cpu = next((metric for metric in metrics if _cpu_target(metric) is not None), None)
        if cpu is not None:
            spec[TARGET] = _cpu_target(cpu)
        carried[METRICS] = [metric for metric in metrics if metric is not cpu]
        carried[BEHAVIOR] = spec.pop("behavior", None)
    if isinstance(status, dict):
        current = status.pop("currentMetrics", None) or []
        cpu = next((metric for metric in current if _cpu_use(metric) is not None), None)
        if cpu is not None:
            status[CURRENT_CPU] = _cpu_use(cpu)
        carried[CURRENT] = current
        carried[CONDITIONS] = status.pop("conditions", None)
    texts = {
        name: json.dumps(value, separators=(",", ":")) for name, value in carried.items() if value
    }
    if texts:
        metadata = made.setdefault("metadata", {})
        metadata["annotations"] = {**(metadata.get("annotations") or {}), **texts}
    return made


def to_v2(hpa: Document) -> Document:
    """A v1 document as v2; it is not changed."""
    made: Document = thaw(hpa)
    metadata = made.get("metadata")
    annotations = metadata.get("annotations") if isinstance(metadata, dict) else None
    carried = _carried(annotations if isinstance(annotations, dict) else {})
    if isinstance(annotations, dict) and not annotations and isinstance(metadata, dict):
        del metadata["annotations"]
    spec, status = made.get("spec"), made.get("status")
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
        used = status.pop(CURRENT_CPU, None)
        if carried.get(CURRENT):
            status["currentMetrics"] = carried[CURRENT]
        elif used is not None:
            resource = {"name": "cpu", "current": {"averageUtilization": used}}
            status["currentMetrics"] = [{"type": "Resource", "resource": resource}]
        if carried.get(CONDITIONS):
            status["conditions"] = carried[CONDITIONS]
    return made


def _carried(annotations: dict[str, Any]) -> dict[str, Any]:
    """What stands in the annotations, taken out of them; what is no JSON stays."""
    found = {}
    for name in (METRICS, BEHAVIOR, CURRENT, CONDITIONS):
        try:
            value = json.loads(annotations[name]) if name in annotations else None
        except (TypeError, ValueError):
            continue
        if value is not None:
            found[name] = value
            del annotations[name]
    return found


def _cpu_target(metric: Any) -> Any:
    return _cpu(metric, "target")


def _cpu_use(metric: Any) -> Any:
    return _cpu(metric, "current")


def _cpu(metric: Any, side: str) -> Any:
    match metric:
        case {"type": "Resource", "resource": {"name": "cpu", **rest}}:
            part = rest.get(side)
            return part.get("averageUtilization") if isinstance(part, dict) else None
    return None
