"""From documents to numbers: what the API server holds, as the policy wants it. Pure functions.

>>> request_milli({"spec": {"containers": [
...     {"name": "main", "resources": {"requests": {"cpu": "250m"}}},
...     {"name": "proxy", "resources": {"requests": {"cpu": "0.1"}}}]}}, "cpu")
350

Source: pkg/controller/podautoscaler/metrics/client.go (resource metrics), replica_calculator.go
(calculateRequests), k8s.io/api/autoscaling/v2.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import ceil
from typing import Any

from kubesim.autoscaler.constants import DEFAULTS, PolicyConstants, Rules, ScalingPolicy
from kubesim.autoscaler.policy.ratios import quantity_text
from kubesim.autoscaler.types import Behavior, Metric, MetricProposal, PodFacts, Sample
from kubesim.objects import meta
from kubesim.objects.conditions import get_condition
from kubesim.objects.frozen import Document, thaw
from kubesim.objects.pods import (
    container_requests,
    containers_of,
    is_sidecar,
    phase_of,
    pod_requests,
)
from kubesim.quantity import parse_cpu_milli, parse_quantity

SOURCE_FIELDS = {
    "Resource": "resource",
    "ContainerResource": "containerResource",
    "Pods": "pods",
    "Object": "object",
    "External": "external",
}
RESOURCES = {"cpu": (1, 1), "memory": (2, 1000)}  # place in a sample's entry, milli for each unit
READY = {"True": True, "False": False}


# -- the HPA -------------------------------------------------------------------------------------


def metrics_of(
    hpa: Document, constants: PolicyConstants = DEFAULTS
) -> list[tuple[Metric, Document]]:
    """spec.metrics as records, each with the entry that it was read from."""
    entries = (hpa.get("spec") or {}).get("metrics") or ()
    if not entries:
        target = {"type": "Utilization", "averageUtilization": constants.default_utilization}
        entries = ({"type": "Resource", "resource": {"name": "cpu", "target": target}},)
    return [(metric_of(entry), entry) for entry in entries]


def metric_of(entry: Mapping[str, Any]) -> Metric:
    """One entry of spec.metrics as a record; one of an unknown type keeps that type."""
    type_ = str(entry.get("type", ""))
    source = entry.get(SOURCE_FIELDS.get(type_, "")) or {}
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


def selector_text(selector: Mapping[str, Any] | None) -> str:
    """A label selector as Go prints it, since that is what conditions and events show.

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


def _milli(value: Any) -> int | None:
    return None if value is None else ceil(parse_quantity(value) * 1000)


def behavior_of(hpa: Document) -> Behavior | None:
    """spec.behavior as a record; `{}` is a behavior, too."""
    behavior = (hpa.get("spec") or {}).get("behavior")
    if behavior is None:
        return None
    return Behavior(_rules(behavior.get("scaleUp")), _rules(behavior.get("scaleDown")))


def _rules(rules: Mapping[str, Any] | None) -> Rules:
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


# -- pods ----------------------------------------------------------------------------------------


def facts_of(pod: Document, seconds_at: Callable[[str], float]) -> PodFacts:
    """What the policy looks at in a pod.

    Args:
        pod: the document.
        seconds_at: makes seconds of RFC 3339 text (`clock.seconds_at`).
    """
    condition = get_condition(pod, "Ready")
    started = (pod.get("status") or {}).get("startTime")
    changed = (condition or {}).get("lastTransitionTime")
    status = None if condition is None else str(condition.get("status"))
    return PodFacts(
        name=meta.name_of(pod),
        phase=phase_of(pod),
        terminating=meta.is_terminating(pod),
        ready=None if status is None else READY.get(status, "Unknown"),
        ready_changed=seconds_at(changed) if changed else 0.0,
        started=seconds_at(started) if started else None,
    )


def sample_of(
    raw: tuple[float, float, tuple[tuple[Any, ...], ...]] | None, resource: str, container: str = ""
) -> Sample | None:
    """A pod's usage of one resource; None if it is not known.

    Args:
        raw: (second, window in seconds, ((container, CPU in milli, memory in bytes), ...)).
        resource: cpu or memory; nothing else is measured.
        container: only this one; "": the whole pod, which takes every listed container.
    """
    if raw is None or resource not in RESOURCES:
        return None
    seconds, window, containers = raw
    counted = [entry for entry in containers if not container or entry[0] == container]
    if not counted:
        return None
    place, unit = RESOURCES[resource]
    return Sample(sum(entry[place] for entry in counted) * unit, seconds, window)


def request_milli(pod: Document, resource: str, container: str = "") -> int | None:
    """What a pod (or one of its containers) asks for, in milli units; None if one asks for nothing.

    Containers and sidecars count, ordinary init containers do not. Requests of the pod as a whole
    take the place of the sum; of a resource that they leave out, any container's will do.
    """
    level = _pod_level(pod)
    if level and not container:
        if resource in level:
            return parse_cpu_milli(level[resource])  # thousandths, of whatever it is
        request = pod_requests(pod)
        total = request.cpu_milli if resource == "cpu" else request.memory_bytes * 1000
        return total or None
    total = 0
    counted = _counted(pod, container)
    for item in counted:
        if resource not in ((item.get("resources") or {}).get("requests") or {}):
            return None
        request = container_requests(item)
        total += request.cpu_milli if resource == "cpu" else request.memory_bytes * 1000
    return total if counted else None


def no_request(pod: Document, resource: str, container: str = "") -> str:
    """Why `request_milli` is None, in upstream's words.

    >>> no_request({"metadata": {"name": "web"}, "spec": {"containers": [{"name": "main"}]}}, "cpu")
    'missing request for cpu in container main of Pod web'
    """
    name = meta.name_of(pod)
    if _pod_level(pod) and not container:
        return f"missing pod-level request for {resource} in Pod {name}"
    for item in _counted(pod, container):
        if resource not in ((item.get("resources") or {}).get("requests") or {}):
            return f"missing request for {resource} in container {item.get('name')} of Pod {name}"
    return f"container {container} not found in Pod {name}"


def _pod_level(pod: Document) -> Mapping[str, Any]:
    return ((pod.get("spec") or {}).get("resources") or {}).get("requests") or {}


def _counted(pod: Document, container: str) -> list[Document]:
    """Containers and sidecars; only the named one, if one is named."""
    init = (pod.get("spec") or {}).get("initContainers") or ()
    running = [*containers_of(pod), *(item for item in init if is_sidecar(item))]
    return [item for item in running if not container or item["name"] == container]


# -- back to documents ---------------------------------------------------------------------------


def metric_status(
    entry: Mapping[str, Any], metric: Metric, proposal: MetricProposal | None
) -> Document:
    """One entry of status.currentMetrics; a blank one for a metric that failed.

    Args:
        entry: of spec.metrics.
        metric: the same as a record.
        proposal: what it came to, or None.
    """
    if proposal is None or metric.type not in SOURCE_FIELDS:
        return {"type": ""}
    field = SOURCE_FIELDS[metric.type]
    source = entry.get(field) or {}
    kept = ("name", "container", "metric", "describedObject")
    body: Document = {name: thaw(source[name]) for name in kept if name in source}
    current: Document = {}
    if proposal.utilization is not None:
        current["averageUtilization"] = proposal.utilization
    if proposal.average_milli is not None:
        current["averageValue"] = quantity_text(proposal.average_milli)
    if proposal.value_milli is not None:
        current["value"] = quantity_text(proposal.value_milli)
    return {"type": metric.type, field: {**body, "current": current}}
