"""Which pods a Service leads to, and in which slices they stand: pure functions.

The list of a Service's endpoints is cut into slices of at most a hundred, so that one pod that
becomes ready changes one small object and not a list of thousands. Pods whose named ports resolve
to different numbers stand in slices of their own.

>>> pod = {"metadata": {"name": "web-0", "namespace": "default", "uid": "1"}, "spec": {},
...        "status": {"podIP": "10.244.1.2", "conditions": [{"type": "Ready", "status": "True"}]}}
>>> endpoint_of(pod, {"metadata": {"name": "web"}, "spec": {}}, "IPv4")["conditions"]
{'ready': True, 'serving': True, 'terminating': False}
>>> plan_slices([], [{"addresses": [f"10.0.0.{n}"]} for n in range(3)], most=2).create
([{'addresses': ['10.0.0.0']}, {'addresses': ['10.0.0.1']}], [{'addresses': ['10.0.0.2']}])

Source: k8s.io/endpointslice (reconciler.go, utils.go), k8s.io/endpointslice/util.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kubesim.objects import meta
from kubesim.objects.frozen import Document
from kubesim.objects.pods import containers_of, is_finished, is_ready, is_sidecar, node_of

MAX_ENDPOINTS = 100  # --max-endpoints-per-slice
SOURCE = "https://kubernetes.io/docs/concepts/services-networking/endpoint-slices/"


@dataclass(frozen=True, slots=True)
class SliceState:
    """One slice that exists, of the ports and the address type in question.

    Attributes:
        name: of the EndpointSlice.
        endpoints: as it has them.
        relabel: its labels no longer follow the Service's, so it is written in any case.
    """

    name: str
    endpoints: Sequence[Document]
    relabel: bool = False


@dataclass(frozen=True, slots=True)
class SlicePlan:
    """What to write.

    Attributes:
        create: the endpoints of each new slice.
        update: by name, the endpoints of slices that change.
        delete: names of slices that are empty now.
    """

    create: tuple[list[Document], ...] = ()
    update: Mapping[str, list[Document]] = field(default_factory=dict)
    delete: tuple[str, ...] = ()


# -- one pod ---------------------------------------------------------------------------------------


def why_left_out(pod: Mapping[str, Any], family: str = "IPv4") -> str:
    """Why a pod that the selector matches is no endpoint; "" if it is one.

    Args:
        pod: the document.
        family: IPv4 or IPv6.
    """
    if is_finished(pod):
        return "it has ended"
    if not addresses_of(pod, family):
        return f"it has no {family} address yet"
    return ""


def addresses_of(pod: Mapping[str, Any], family: str) -> list[str]:
    """The pod's addresses of a family (IPv4 or IPv6)."""
    status = pod.get("status") or {}
    listed = [item.get("ip") for item in status.get("podIPs") or ()] or [status.get("podIP")]
    return [ip for ip in listed if ip and (":" in ip) == (family == "IPv6")]


def endpoint_of(
    pod: Mapping[str, Any], service: Mapping[str, Any], family: str, zone: str = ""
) -> Document:
    """A pod as an endpoint: where it is, and whether it can be sent requests.

    serving is readiness; ready is that, too, but never of a pod on its way out; a Service that
    publishes addresses that are not ready calls all of them ready.

    Args:
        pod, service: the documents.
        family: IPv4 or IPv6.
        zone: of its node; "" if it is unknown.
    """
    serving, terminating = is_ready(pod), meta.is_terminating(pod)
    publish = bool((service.get("spec") or {}).get("publishNotReadyAddresses"))
    endpoint: Document = {
        "addresses": addresses_of(pod, family),
        "conditions": {
            "ready": publish or (serving and not terminating),
            "serving": serving,
            "terminating": terminating,
        },
        "targetRef": {
            "kind": "Pod",
            "namespace": meta.namespace_of(pod),
            "name": meta.name_of(pod),
            "uid": meta.uid_of(pod),
        },
    }
    spec = pod.get("spec") or {}
    if node_of(pod):
        endpoint["nodeName"] = node_of(pod)
    if zone:
        endpoint["zone"] = zone
    if spec.get("hostname") and spec.get("subdomain") == meta.name_of(service):
        endpoint["hostname"] = spec["hostname"]
    return endpoint


def ports_of(pod: Mapping[str, Any], service: Mapping[str, Any]) -> list[Document]:
    """The Service's ports as this pod has them; a named port that it lacks is left out."""
    found: list[Document] = []
    for port in (service.get("spec") or {}).get("ports") or ():
        number = _number_of(pod, port)
        if number is None:
            continue
        entry: Document = {
            "name": port.get("name") or "",
            "protocol": port.get("protocol") or "TCP",
            "port": number,
        }
        if port.get("appProtocol"):
            entry["appProtocol"] = port["appProtocol"]
        found.append(entry)
    return found


def _number_of(pod: Mapping[str, Any], port: Mapping[str, Any]) -> int | None:
    target = port.get("targetPort")
    if isinstance(target, int):
        return target
    init = (pod.get("spec") or {}).get("initContainers") or ()
    for container in [*containers_of(pod), *(item for item in init if is_sidecar(item))]:
        for offered in container.get("ports") or ():
            same = (offered.get("protocol") or "TCP") == (port.get("protocol") or "TCP")
            if offered.get("name") == target and same:
                return int(offered["containerPort"])
    return None


def port_key(ports: Iterable[Mapping[str, Any]]) -> tuple[Any, ...]:
    """What makes two lists of ports the same, whatever their order."""
    fields = ("name", "protocol", "port", "appProtocol")
    return tuple(sorted(tuple(str(port.get(field) or "") for field in fields) for port in ports))


# -- slices ----------------------------------------------------------------------------------------


def identity_of(endpoint: Mapping[str, Any]) -> tuple[Any, ...]:
    """What makes two endpoints the same one, be their conditions what they may."""
    target = endpoint.get("targetRef") or {}
    place = (target.get("namespace"), target.get("name"), endpoint.get("hostname"))
    return (tuple(endpoint.get("addresses") or ()), *place)


def plan_slices(
    existing: Sequence[SliceState], desired: Sequence[Document], most: int = MAX_ENDPOINTS
) -> SlicePlan:
    """Which slices to write so that they hold the desired endpoints, with as few writes as may be.

    First each slice drops what is no longer desired. New endpoints fill the slices that are written
    anyway, the fullest first; what is left goes into one untouched slice that has room for all of
    it (the one that it fills best), else into new ones. Slices are never balanced anew.

    Args:
        existing: the slices of one port list and one address type.
        desired: the endpoints, in the order in which they are placed.
        most: endpoints in a slice.
    """
    wanted = {identity_of(endpoint): endpoint for endpoint in desired}
    update: dict[str, list[Document]] = {}
    unchanged: dict[str, list[Document]] = {}
    delete: list[str] = []
    for state in existing:
        held = [(endpoint, wanted.pop(identity_of(endpoint), None)) for endpoint in state.endpoints]
        kept = [new for _, new in held if new is not None]
        if state.endpoints and not kept:
            delete.append(state.name)
        elif state.relabel or any(old != new for old, new in held):
            update[state.name] = kept
        else:
            unchanged[state.name] = kept
    left = list(wanted.values())
    for endpoints in sorted(update.values(), key=len, reverse=True):
        _fill(endpoints, left, most)
    create: list[list[Document]] = []
    while left:
        name = best_fit({n: len(e) for n, e in unchanged.items()}, len(left), most)
        if name is None:
            create.append([])
            _fill(create[-1], left, most)
        else:
            update[name] = unchanged.pop(name)
            _fill(update[name], left, most)
    return SlicePlan(tuple(create), update, tuple(delete))


def best_fit(sizes: Mapping[str, int], count: int, most: int = MAX_ENDPOINTS) -> str | None:
    """The slice with room for `count` more that has the least room left then; None: no such.

    Args:
        sizes: endpoints in each slice, by its name.
        count: endpoints that are to go in together.
        most: endpoints in a slice.
    """
    if count >= most:
        return None  # a slice of their own would be full
    fits = {name: most - size - count for name, size in sizes.items()}
    fits = {name: room for name, room in fits.items() if 0 <= room < most}
    return min(fits, key=lambda name: (fits[name], name), default=None)


def _fill(endpoints: list[Document], left: list[Document], most: int) -> None:
    """Move endpoints from `left` until the slice is full."""
    room = max(0, most - len(endpoints))
    endpoints += left[:room]
    del left[:room]
