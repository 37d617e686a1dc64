"""Printers of Service, Endpoints, EndpointSlice, HorizontalPodAutoscaler and Event.

Source: pkg/printers/internalversion/printers.go (printService, formatHPAMetrics ...).
"""

from __future__ import annotations

from kubesim.apiserver.printers.ages import UNKNOWN, Ages
from kubesim.apiserver.printers.cells import (
    AGE,
    NONE,
    UNSET,
    Cell,
    Printer,
    at,
    column,
    count,
    integer_at,
    labels_at,
    mapping,
    number,
    objects,
    part,
    printer_of,
    texts,
    wide,
)
from kubesim.objects.frozen import Document

MOST_TARGETS = 2  # metrics of an HPA that are shown
MOST_ENDPOINTS = 3  # addresses that are shown


# -- Service, EndpointSlice, Endpoints -------------------------------------------------------------


def _external_addresses(service: Document, ages: Ages) -> str:
    spec = mapping(service, "spec")
    external = texts(spec, "externalIPs")
    if spec.get("type") == "ExternalName":
        return str(spec.get("externalName") or NONE)
    if spec.get("type") == "LoadBalancer":
        ingress = objects(service, "status", "loadBalancer", "ingress")
        addresses = [str(item.get("ip") or item.get("hostname")) for item in ingress]
        return ",".join([*addresses, *external]) or "<pending>"
    return ",".join(external) or NONE


def _service_ports(service: Document, ages: Ages) -> str:
    return ",".join(_port(port) for port in objects(service, "spec", "ports")) or NONE


def _port(port: Document) -> str:
    node = f":{port['nodePort']}" if port.get("nodePort") else ""
    return f"{port.get('port')}{node}/{port.get('protocol', 'TCP')}"


def _shortened(values: list[str]) -> str:
    if len(values) > MOST_ENDPOINTS:
        more = len(values) - MOST_ENDPOINTS
        return f"{','.join(values[:MOST_ENDPOINTS])} + {more} more..."
    return ",".join(values)


def _slice_ports(slice_: Document, ages: Ages) -> str:
    ports = [str(port["port"]) for port in objects(slice_, "ports") if port.get("port")]
    return _shortened(ports) or UNSET


def _slice_addresses(slice_: Document, ages: Ages) -> str:
    addresses = [
        address
        for endpoint in objects(slice_, "endpoints")
        for address in texts(endpoint, "addresses")
    ]
    return _shortened(addresses) or UNSET


def _endpoint_pairs(endpoints: Document, ages: Ages) -> str:
    pairs = [
        f"{address.get('ip')}:{port.get('port')}" if port else str(address.get("ip"))
        for subset in objects(endpoints, "subsets")
        for port in objects(subset, "ports") or [{}]
        for address in objects(subset, "addresses")
    ]
    return _shortened(pairs) or NONE


# -- HorizontalPodAutoscaler -----------------------------------------------------------------------


def _scale_target(hpa: Document, ages: Ages) -> str:
    target = mapping(hpa, "spec", "scaleTargetRef")
    return f"{target.get('kind')}/{target.get('name')}"


def _min_pods(hpa: Document, ages: Ages) -> str:
    minimum = part(hpa, "spec", "minReplicas")
    return UNSET if minimum is None else str(minimum)


def targets_text(hpa: Document) -> str:
    """Return current value and target of each metric: ``cpu: 10%/50%``."""
    metrics, current = objects(hpa, "spec", "metrics"), objects(hpa, "status", "currentMetrics")
    cpu = part(hpa, "spec", "targetCPUUtilizationPercentage")
    if cpu is not None:  # autoscaling/v1
        used = part(hpa, "status", "currentCPUUtilizationPercentage")
        return f"cpu: {UNKNOWN if used is None else f'{used}%'}/{cpu}%"
    targets = [
        _target(metric, current[index] if index < len(current) else {})
        for index, metric in enumerate(metrics)
    ]
    if not targets:
        return NONE
    more = len(targets) - MOST_TARGETS
    shown = ", ".join(targets[:MOST_TARGETS])
    return f"{shown} + {more} more..." if more > 0 else shown


def _target(metric: Document, status: Document) -> str:
    type_ = str(metric.get("type"))
    field = type_[:1].lower() + type_[1:]
    source, current = mapping(metric, field), mapping(status, field, "current")
    goal = mapping(source, "target")
    average = goal.get("averageValue")
    if type_ in ("Resource", "ContainerResource"):
        name = source.get("name")
        if average is not None:
            return f"{name}: {current.get('averageValue', UNKNOWN)}/{average}"
        used, target = current.get("averageUtilization"), goal.get("averageUtilization")
        shown = UNKNOWN if used is None else f"{used}%"
        return f"{name}: {shown}/{'<auto>' if target is None else f'{target}%'}"
    if average is not None:
        suffix = "" if type_ == "Pods" else " (avg)"
        return f"{current.get('averageValue', UNKNOWN)}/{average}{suffix}"
    if type_ in ("Object", "External"):
        return f"{current.get('value', UNKNOWN)}/{goal.get('value')}"
    return "<unknown type>"


# -- Event -----------------------------------------------------------------------------------------


def _event_cells(event: Document, ages: Ages) -> list[object]:
    first = event.get("firstTimestamp") or event.get("eventTime")
    last = event.get("lastTimestamp") or first
    occurrences = count(event, "count") or 1
    if isinstance(event.get("series"), dict):
        last, occurrences = event["series"].get("lastObservedTime"), count(event, "series", "count")
    about = mapping(event, "involvedObject")
    target = str(about.get("kind", "")).lower()
    source = mapping(event, "source")
    reporter = [source.get("component") or event.get("reportingComponent") or ""]
    if source.get("host"):
        reporter.append(source["host"])
    return [
        ages.since(last),
        event.get("type", ""),
        event.get("reason", ""),
        f"{target}/{about['name']}" if about.get("name") else target,
        about.get("fieldPath", ""),
        ", ".join(reporter),
        str(event.get("message", "")).strip(),
        ages.since(first),
        occurrences,
        part(event, "metadata", "name"),
    ]


EVENT_COLUMNS = (
    column("Last Seen", "time since the event occurred last"),
    column("Type", "Normal or Warning"),
    column("Reason", "reason of the event, in one word"),
    column("Object", "the object that the event is about"),
    wide("Subobject", "the part of the object that the event is about"),
    wide("Source", "the component that reported the event"),
    column("Message", "description of the event"),
    wide("First Seen", "time since the event occurred first"),
    wide("Count", "number of occurrences", "integer"),
    {**wide("Name", "name of the event"), "format": "name"},
)
NETWORK: dict[str, Printer] = {
    "Service": printer_of(
        Cell(
            column("Type", "how the service is exposed"),
            lambda service, ages: mapping(service, "spec").get("type", "ClusterIP"),
        ),
        at(column("Cluster-IP", "address inside the cluster"), "spec.clusterIP", NONE),
        Cell(column("External-IP", "addresses outside the cluster"), _external_addresses),
        Cell(column("Port(s)", "ports of the service"), _service_ports),
        AGE,
        labels_at(wide("Selector", "labels of the pods behind the service"), "spec.selector"),
    ),
    "EndpointSlice": printer_of(
        at(column("AddressType", "type of the addresses"), "addressType"),
        Cell(column("Ports", "ports of the endpoints"), _slice_ports),
        Cell(column("Endpoints", "addresses of the endpoints"), _slice_addresses),
        AGE,
    ),
    "Endpoints": printer_of(Cell(column("Endpoints", "addresses and ports"), _endpoint_pairs), AGE),
    "HorizontalPodAutoscaler": printer_of(
        Cell(column("Reference", "the object that is scaled"), _scale_target),
        Cell(
            column("Targets", "current value and target of each metric"),
            lambda hpa, ages: targets_text(hpa),
        ),
        Cell(column("MinPods", "lower limit of the number of pods"), _min_pods),
        integer_at(number("MaxPods", "upper limit of the number of pods"), "spec.maxReplicas"),
        Cell(
            column("Replicas", "current number of pods"),
            lambda hpa, ages: str(count(hpa, "status", "currentReplicas")),
        ),
        AGE,
    ),
    "Event": Printer(EVENT_COLUMNS, _event_cells),
}
