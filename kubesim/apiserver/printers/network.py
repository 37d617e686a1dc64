"""The columns and cells of services, endpoints, autoscalers and events.

Source: pkg/printers/internalversion/printers.go (printService, formatHPAMetrics ...).
"""

from __future__ import annotations

from typing import Any

from kubesim.apiserver.printers.ages import UNKNOWN, Ages
from kubesim.apiserver.printers.cells import (
    AGE,
    NAME,
    NONE,
    UNSET,
    Row,
    age,
    column,
    count,
    labels_text,
    mapping,
    number,
    objects,
    part,
    texts,
    wide,
)
from kubesim.objects.frozen import Document

MOST_TARGETS = 2  # metrics of an HPA that are shown
MOST_ENDPOINTS = 3  # addresses that are shown


# -- services --------------------------------------------------------------------------------------


def _service(service: Document, ages: Ages) -> list[Any]:
    spec = mapping(service, "spec")
    ports = [_port(port) for port in objects(spec, "ports")]
    return [
        spec.get("type", "ClusterIP"),
        spec.get("clusterIP") or NONE,
        _external(service, spec),
        ",".join(ports) or NONE,
        age(service, ages),
        labels_text(spec.get("selector")),
    ]


def _external(service: Document, spec: Document) -> str:
    given = [str(address) for address in texts(spec, "externalIPs")]
    if spec.get("type") == "ExternalName":
        return str(spec.get("externalName") or NONE)
    if spec.get("type") == "LoadBalancer":
        ingress = objects(service, "status", "loadBalancer", "ingress")
        found = [str(item.get("ip") or item.get("hostname")) for item in ingress]
        return ",".join([*found, *given]) or "<pending>"
    return ",".join(given) or NONE


def _port(port: Document) -> str:
    node = f":{port['nodePort']}" if port.get("nodePort") else ""
    return f"{port.get('port')}{node}/{port.get('protocol', 'TCP')}"


def _cut(values: list[str]) -> str:
    if len(values) > MOST_ENDPOINTS:
        more = len(values) - MOST_ENDPOINTS
        return f"{','.join(values[:MOST_ENDPOINTS])} + {more} more..."
    return ",".join(values)


def _slice(found: Document, ages: Ages) -> list[Any]:
    ports = [str(port["port"]) for port in objects(found, "ports") if port.get("port")]
    addresses = [
        str(address)
        for endpoint in objects(found, "endpoints")
        for address in texts(endpoint, "addresses")
    ]
    return [
        found.get("addressType", ""),
        _cut(ports) or UNSET,
        _cut(addresses) or UNSET,
        age(found, ages),
    ]


def _endpoints(found: Document, ages: Ages) -> list[Any]:
    pairs = [
        f"{address.get('ip')}:{port.get('port')}" if port else str(address.get("ip"))
        for subset in objects(found, "subsets")
        for port in objects(subset, "ports") or [{}]
        for address in objects(subset, "addresses")
    ]
    return [_cut(pairs) or NONE, age(found, ages)]


# -- HorizontalPodAutoscaler -----------------------------------------------------------------------


def _hpa(hpa: Document, ages: Ages) -> list[Any]:
    target = mapping(hpa, "spec", "scaleTargetRef")
    least = part(hpa, "spec", "minReplicas")
    return [
        f"{target.get('kind')}/{target.get('name')}",
        targets_text(hpa),
        UNSET if least is None else str(least),
        count(hpa, "spec", "maxReplicas"),
        str(count(hpa, "status", "currentReplicas")),
        age(hpa, ages),
    ]


def targets_text(hpa: Document) -> str:
    """What each metric of an HPA is, and should be: ``cpu: 10%/50%``."""
    metrics, current = objects(hpa, "spec", "metrics"), objects(hpa, "status", "currentMetrics")
    cpu = part(hpa, "spec", "targetCPUUtilizationPercentage")
    if cpu is not None:  # as autoscaling/v1 has it
        used = part(hpa, "status", "currentCPUUtilizationPercentage")
        return f"cpu: {UNKNOWN if used is None else f'{used}%'}/{cpu}%"
    texts = [
        _target(metric, current[index] if index < len(current) else {})
        for index, metric in enumerate(metrics)
    ]
    if not texts:
        return NONE
    more = len(texts) - MOST_TARGETS
    shown = ", ".join(texts[:MOST_TARGETS])
    return f"{shown} + {more} more..." if more > 0 else shown


def _target(metric: Document, status: Document) -> str:
    type_ = str(metric.get("type"))
    field = type_[:1].lower() + type_[1:]
    source, now = mapping(metric, field), mapping(status, field, "current")
    goal = mapping(source, "target")
    average = goal.get("averageValue")
    if type_ in ("Resource", "ContainerResource"):
        name = source.get("name")
        if average is not None:
            return f"{name}: {now.get('averageValue', UNKNOWN)}/{average}"
        used, wanted = now.get("averageUtilization"), goal.get("averageUtilization")
        shown = UNKNOWN if used is None else f"{used}%"
        return f"{name}: {shown}/{'<auto>' if wanted is None else f'{wanted}%'}"
    if average is not None:
        suffix = "" if type_ == "Pods" else " (avg)"
        return f"{now.get('averageValue', UNKNOWN)}/{average}{suffix}"
    if type_ in ("Object", "External"):
        return f"{now.get('value', UNKNOWN)}/{goal.get('value')}"
    return "<unknown type>"


# -- Event -----------------------------------------------------------------------------------------


def _event_row(event: Document, ages: Ages) -> list[Any]:
    first = event.get("firstTimestamp") or event.get("eventTime")
    last = event.get("lastTimestamp") or first
    number_of = count(event, "count") or 1
    if isinstance(event.get("series"), dict):
        last, number_of = event["series"].get("lastObservedTime"), count(event, "series", "count")
    about = mapping(event, "involvedObject")
    target = str(about.get("kind", "")).lower()
    source = mapping(event, "source")
    said = [source.get("component") or event.get("reportingComponent") or ""]
    if source.get("host"):
        said.append(source["host"])
    return [
        ages.since(last),
        event.get("type", ""),
        event.get("reason", ""),
        f"{target}/{about['name']}" if about.get("name") else target,
        about.get("fieldPath", ""),
        ", ".join(said),
        str(event.get("message", "")).strip(),
        ages.since(first),
        number_of,
        part(event, "metadata", "name"),
    ]


SINCE = column("Last Seen", "when it happened last")
TRAFFIC: dict[str, Row] = {
    "Service": (
        (
            NAME,
            column("Type", "how it is reached"),
            column("Cluster-IP", "its address inside the cluster"),
            column("External-IP", "its addresses outside"),
            column("Port(s)", "its ports"),
            AGE,
            wide("Selector", "which pods stand behind it"),
        ),
        _service,
    ),
    "EndpointSlice": (
        (
            NAME,
            column("AddressType", "of its endpoints"),
            column("Ports", "of its endpoints"),
            column("Endpoints", "their addresses"),
            AGE,
        ),
        _slice,
    ),
    "Endpoints": ((NAME, column("Endpoints", "addresses and ports"), AGE), _endpoints),
    "HorizontalPodAutoscaler": (
        (
            NAME,
            column("Reference", "what it scales"),
            column("Targets", "what each metric is, and should be"),
            column("MinPods", "it goes no lower"),
            number("MaxPods", "it goes no higher"),
            column("Replicas", "pods that there are"),
            AGE,
        ),
        _hpa,
    ),
    "Event": (
        (
            SINCE,
            column("Type", "Normal or Warning"),
            column("Reason", "why, in a word"),
            column("Object", "what it is about"),
            wide("Subobject", "which part of it"),
            wide("Source", "who says so"),
            column("Message", "what happened"),
            wide("First Seen", "when it happened first"),
            wide("Count", "how often", "integer"),
            {**wide("Name", "the event's name"), "format": "name"},
        ),
        _event_row,
    ),
}
