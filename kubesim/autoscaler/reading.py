"""From documents to numbers: what the API server holds, as the policy wants it.

Source: pkg/controller/podautoscaler/metrics/client.go, pkg/apis/autoscaling/v2.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import ceil
from typing import Any, Protocol

from kubesim.apiserver import KubeAPI
from kubesim.autoscaler.types import (
    DEFAULT_DOWN,
    DEFAULT_UP,
    Behavior,
    Metric,
    PodFacts,
    Reading,
    Rules,
    Sample,
    ScalingPolicy,
)
from kubesim.objects import meta
from kubesim.objects.conditions import get_condition
from kubesim.objects.frozen import Document
from kubesim.objects.pods import container_requests, containers_of, is_sidecar, phase_of
from kubesim.quantity import parse_quantity

SOURCE_FIELDS = {
    "Resource": "resource",
    "ContainerResource": "containerResource",
    "Pods": "pods",
    "Object": "object",
    "External": "external",
}


class MetricsSource(Protocol):
    """Where custom and external metrics come from (custom.metrics.k8s.io, external...)."""

    def pods_metric(self, namespace: str, name: str, pods: Sequence[str]) -> Mapping[str, Sample]:
        """A custom metric of each pod, by pod name."""

    def object_metric(self, namespace: str, kind: str, object_name: str, name: str) -> int:
        """A metric of one object, in milli units."""

    def external_metric(self, namespace: str, name: str, selector: str) -> Sequence[int]:
        """The series of an external metric, in milli units."""


def metrics_of(hpa: Document) -> list[Metric]:
    """spec.metrics as records."""
    return [_metric(entry) for entry in hpa["spec"].get("metrics") or ()]


def _metric(entry: Document) -> Metric:
    type_ = entry["type"]
    source = entry.get(SOURCE_FIELDS[type_]) or {}
    target = source.get("target") or {}
    named = source if type_ in ("Resource", "ContainerResource") else source.get("metric") or {}
    about = ""
    if type_ == "Object":
        about = str((source.get("describedObject") or {}).get("kind", ""))
    elif type_ == "External":
        labels = (named.get("selector") or {}).get("matchLabels") or {}
        about = ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
    return Metric(
        type=type_,
        name=str(named.get("name", "")),
        container=str(source.get("container", "")),
        target_type=str(target.get("type", "")),
        utilization=target.get("averageUtilization"),
        average_milli=_milli(target.get("averageValue")),
        value_milli=_milli(target.get("value")),
        about=about,
    )


def _milli(value: Any) -> int | None:
    return None if value is None else ceil(parse_quantity(value) * 1000)


def behavior_of(hpa: Document) -> Behavior | None:
    """spec.behavior as a record; what it leaves out is filled in."""
    behavior = hpa["spec"].get("behavior")
    if behavior is None:
        return None
    return Behavior(
        _rules(behavior.get("scaleUp"), DEFAULT_UP), _rules(behavior.get("scaleDown"), DEFAULT_DOWN)
    )


def _rules(rules: Document | None, default: Rules) -> Rules:
    if rules is None:
        return default
    window = rules.get("stabilizationWindowSeconds")
    policies = rules.get("policies")
    tolerance = rules.get("tolerance")
    return Rules(
        window_seconds=default.window_seconds if window is None else float(window),
        select=rules.get("selectPolicy") or "Max",
        policies=default.policies
        if policies is None
        else tuple(ScalingPolicy(p["type"], p["value"], p["periodSeconds"]) for p in policies),
        tolerance=None if tolerance is None else float(parse_quantity(tolerance)),
    )


def facts_of(pod: Document, seconds_at: Callable[[str], float]) -> PodFacts:
    """What the policy looks at in a pod."""
    condition = get_condition(pod, "Ready")
    started = (pod.get("status") or {}).get("startTime")
    changed = (condition or {}).get("lastTransitionTime")
    return PodFacts(
        name=meta.name_of(pod),
        phase=phase_of(pod),
        terminating=meta.is_terminating(pod),
        ready=None if condition is None else condition.get("status") == "True",
        ready_changed=seconds_at(changed) if changed else 0.0,
        started=seconds_at(started) if started else None,
    )


def read_metric(
    api: KubeAPI,
    namespace: str,
    metric: Metric,
    entry: Document,
    pods: Sequence[Document],
    source: MetricsSource | None,
) -> Reading:
    """What is measured for one metric now; an error becomes `Reading.error`.

    Args:
        api: the API server, for PodMetrics.
        namespace: of the HPA.
        metric: the entry of spec.metrics as a record.
        entry: the entry itself.
        pods: the selected pods.
        source: where custom and external metrics come from.
    """
    if metric.type in ("Resource", "ContainerResource"):
        return _resource(api, namespace, metric, pods)
    if source is None:
        said = "no metrics returned: this cluster has no source of custom or external metrics"
        return Reading(error=f"unable to get {metric.described()}: {said}")
    try:
        if metric.type == "Pods":
            names = [meta.name_of(pod) for pod in pods]
            return Reading(samples=source.pods_metric(namespace, metric.name, names))
        if metric.type == "Object":
            described = entry["object"]["describedObject"]
            total = source.object_metric(namespace, metric.about, described["name"], metric.name)
            return Reading(total_milli=total)
        series = source.external_metric(namespace, metric.name, metric.about)
        return Reading(total_milli=sum(series) if series else None)
    except Exception as error:  # noqa: BLE001 - a source of the learner's own
        said = f"{type(error).__name__}: {error}"
        return Reading(error=f"unable to get {metric.described()}: {said}")


def _resource(api: KubeAPI, namespace: str, metric: Metric, pods: Sequence[Document]) -> Reading:
    samples: dict[str, Sample] = {}
    requests: dict[str, int | None] = {}
    for pod in pods:
        name = meta.name_of(pod)
        requests[name] = request_milli(pod, metric.name, metric.container)
        raw = api.sample(namespace, name)
        if raw is None:
            continue
        seconds, window, containers = raw
        index = {"cpu": 1, "memory": 2}.get(metric.name)
        values = [c for c in containers if not metric.container or c[0] == metric.container]
        if index is None or not values:
            continue
        total = sum(container[index] for container in values)
        samples[name] = Sample(total if index == 1 else total * 1000, seconds, window)
    return Reading(samples=samples, requests=requests)


def request_milli(pod: Document, resource: str, container: str = "") -> int | None:
    """What a pod (or one of its containers) asks for, in milli units; None if one asks for nothing.

    Containers and sidecars count, ordinary init containers do not.
    """
    init = [c for c in pod["spec"].get("initContainers") or () if is_sidecar(c)]
    counted = [c for c in [*containers_of(pod), *init] if not container or c["name"] == container]
    total = 0
    for item in counted:
        if resource not in ((item.get("resources") or {}).get("requests") or {}):
            return None
        request = container_requests(item)
        total += request.cpu_milli if resource == "cpu" else request.memory_bytes * 1000
    return total if counted else None


def metric_status(
    metric: Metric, utilization: int | None, average: int | None, value: int | None
) -> Document:
    """One entry of status.currentMetrics."""
    current: Document = {}
    if utilization is not None:
        current["averageUtilization"] = utilization
    if average is not None:
        current["averageValue"] = _quantity(metric, average)
    if value is not None:
        current["value"] = _quantity(metric, value)
    field = SOURCE_FIELDS[metric.type]
    body: Document = {"current": current}
    if metric.type in ("Resource", "ContainerResource"):
        body["name"] = metric.name
        if metric.container:
            body["container"] = metric.container
    else:
        body["metric"] = {"name": metric.name}
    return {"type": metric.type, field: body}


def _quantity(metric: Metric, milli: int) -> str:
    if milli % 1000 == 0:
        return str(milli // 1000)
    return f"{milli}m"
