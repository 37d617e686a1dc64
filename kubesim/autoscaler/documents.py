"""From documents to numbers: HPAs and pods as the policy takes them; pure functions.

>>> request_milli({"spec": {"containers": [
...     {"name": "main", "resources": {"requests": {"cpu": "250m"}}},
...     {"name": "proxy", "resources": {"requests": {"cpu": "0.1"}}}]}}, "cpu")
350

Source: pkg/controller/podautoscaler/metrics/client.go (resource metrics), replica_calculator.go
(calculateRequests), k8s.io/api/autoscaling/v2.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil

from kubesim.autoscaler.constants import DEFAULTS, PolicyConstants, Rules, ScalingPolicy
from kubesim.autoscaler.types import Behavior, Metric, PodFacts
from kubesim.objects import meta
from kubesim.objects.conditions import get_condition
from kubesim.objects.frozen import Document, ReadOnlyDocument
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
READY = {"True": True, "False": False}


# -- the HPA -------------------------------------------------------------------------------------


def metrics_of(
    hpa: Document, constants: PolicyConstants = DEFAULTS
) -> list[tuple[Metric, Document]]:
    """Return spec.metrics as records, each with its entry; the default metric if there is none.

    Args:
        hpa: the HPA.
        constants: the controller's settings, with the default target.
    """
    entries = (hpa.get("spec") or {}).get("metrics") or ()
    return [(metric_of(entry), entry) for entry in entries or (default_metric(constants),)]


def default_metric(constants: PolicyConstants) -> Document:
    """Return the entry of spec.metrics that an HPA without metrics has: CPU utilization."""
    target = {"type": "Utilization", "averageUtilization": constants.default_utilization}
    return {"type": "Resource", "resource": {"name": "cpu", "target": target}}


def metric_of(entry: ReadOnlyDocument) -> Metric:
    """Return one entry of spec.metrics as a record; an unknown type is kept."""
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


def selector_text(selector: ReadOnlyDocument | None) -> str:
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


def behavior_of(hpa: Document) -> Behavior | None:
    """Return spec.behavior as a record; `{}` is a behavior, too."""
    behavior = (hpa.get("spec") or {}).get("behavior")
    if behavior is None:
        return None
    return Behavior(_rules(behavior.get("scaleUp")), _rules(behavior.get("scaleDown")))


def _rules(rules: ReadOnlyDocument | None) -> Rules:
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
    """Return the facts about a pod that the policy uses.

    Args:
        pod: the document.
        seconds_at: parses an RFC 3339 string (`clock.seconds_at`).
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


def request_milli(pod: Document, resource: str, container: str = "") -> int | None:
    """Return the request of a pod, or of one of its containers, in milli units.

    It is None if a counted container has no request. Containers and sidecars count, ordinary init
    containers do not. Pod-level requests replace the sum; for a resource that they do not name, the
    request of any container is enough.

    Args:
        pod: the pod.
        resource: cpu or memory.
        container: name; "": the whole pod.
    """
    level = _pod_level(pod)
    if level and not container:
        if resource in level:
            return parse_cpu_milli(level[resource])  # thousandths of any unit
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
    """Return why `request_milli` is None, in upstream's words.

    Args:
        pod: the pod.
        resource: cpu or memory.
        container: name; "": the whole pod.

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


def _pod_level(pod: Document) -> ReadOnlyDocument:
    return ((pod.get("spec") or {}).get("resources") or {}).get("requests") or {}


def _counted(pod: Document, container: str) -> list[Document]:
    """Return containers and sidecars; only the named one, if a name is given."""
    init = (pod.get("spec") or {}).get("initContainers") or ()
    running = [*containers_of(pod), *(item for item in init if is_sidecar(item))]
    return [item for item in running if not container or item["name"] == container]
