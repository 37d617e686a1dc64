"""The endpoints of a Service, and their endpoint slices: pure functions.

The endpoints are divided into slices of at most a hundred, so that a pod that becomes ready changes
one small object instead of a list of thousands. Pods whose named ports resolve to different numbers
are in different slices.

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
from typing import TYPE_CHECKING

from kubesim.objects import meta
from kubesim.objects.pods import containers_of, is_finished, is_ready, is_sidecar, node_of

if TYPE_CHECKING:
    from kubesim.objects.types import (
        EndpointDict,
        EndpointPortDict,
        PodDict,
        ServiceDict,
        ServicePortDict,
    )

MAX_ENDPOINTS = 100  # --max-endpoints-per-slice
SOURCE = "https://kubernetes.io/docs/concepts/services-networking/endpoint-slices/"


@dataclass(frozen=True, slots=True)
class SliceState:
    """One existing slice of a port list and an address type.

    Attributes:
        name: name of the EndpointSlice.
        endpoints: its endpoints.
        relabel: its labels differ from the wanted ones, so it is written in any case.
    """

    name: str
    endpoints: Sequence[EndpointDict]
    relabel: bool = False


@dataclass(frozen=True, slots=True)
class SlicePlan:
    """What to write.

    Attributes:
        create: the endpoints of each new slice.
        update: the endpoints of slices that change, by name.
        delete: names of slices that become empty.
    """

    create: tuple[list[EndpointDict], ...] = ()
    update: Mapping[str, list[EndpointDict]] = field(default_factory=dict)
    delete: tuple[str, ...] = ()


# -- endpoints -------------------------------------------------------------------------------------


def why_left_out(pod: PodDict, family: str = "IPv4") -> str:
    """Return why a pod that the selector matches is no endpoint; "" if it is one.

    Args:
        pod: the document.
        family: IPv4 or IPv6.
    """
    if is_finished(pod):
        return "it has ended"
    if not addresses_of(pod, family):
        return f"it has no {family} address yet"
    return ""


def addresses_of(pod: PodDict, family: str) -> list[str]:
    """Return the pod's addresses of a family (IPv4 or IPv6)."""
    status = pod.get("status") or {}
    addresses = [item.get("ip") for item in status.get("podIPs") or ()] or [status.get("podIP")]
    return [ip for ip in addresses if ip and (":" in ip) == (family == "IPv6")]


def endpoint_of(pod: PodDict, service: ServiceDict, family: str, zone: str = "") -> EndpointDict:
    """Return a pod as an endpoint: its address, and whether it receives requests.

    serving is the pod's readiness; ready is the same, but False for a terminating pod, and True for
    every pod of a Service with publishNotReadyAddresses.

    Args:
        pod, service: the documents.
        family: IPv4 or IPv6.
        zone: zone of its node; "" if unknown.
    """
    serving, terminating = is_ready(pod), meta.is_terminating(pod)
    publish = bool((service.get("spec") or {}).get("publishNotReadyAddresses"))
    endpoint: EndpointDict = {
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


def ports_of(pod: PodDict, service: ServiceDict) -> list[EndpointPortDict]:
    """Return the Service's ports on a pod; a named port that the pod lacks is omitted."""
    ports: list[EndpointPortDict] = []
    for port in (service.get("spec") or {}).get("ports") or ():
        number = _port_number(pod, port)
        if number is None:
            continue
        entry: EndpointPortDict = {
            "name": port.get("name") or "",
            "protocol": port.get("protocol") or "TCP",
            "port": number,
        }
        if port.get("appProtocol"):
            entry["appProtocol"] = port["appProtocol"]
        ports.append(entry)
    return ports


def _port_number(pod: PodDict, port: ServicePortDict) -> int | None:
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


def port_key(ports: Iterable[EndpointPortDict]) -> tuple[object, ...]:
    """Return a key that is equal for equal port lists in any order."""
    parts = (
        (port.get("name"), port.get("protocol"), port.get("port"), port.get("appProtocol"))
        for port in ports
    )
    return tuple(sorted(tuple(str(part or "") for part in each) for each in parts))


# -- slices ----------------------------------------------------------------------------------------


def identity_of(endpoint: EndpointDict) -> tuple[object, ...]:
    """Return a key that is equal for the same endpoint, whatever its conditions are."""
    target = endpoint.get("targetRef") or {}
    pod = (target.get("namespace"), target.get("name"), endpoint.get("hostname"))
    return (tuple(endpoint.get("addresses") or ()), *pod)


def plan_slices(
    existing: Sequence[SliceState], desired: Sequence[EndpointDict], most: int = MAX_ENDPOINTS
) -> SlicePlan:
    """Decide which slices to write so that they hold the desired endpoints, with few writes.

    First each slice drops endpoints that are no longer desired. New endpoints fill the slices that
    are written anyway, the fullest first; the rest goes into one unchanged slice that has room for
    all of it (the best fit), else into new slices. Slices are never rebalanced.

    Args:
        existing: the slices of one port list and one address type.
        desired: the endpoints, in order of placement.
        most: maximum number of endpoints in a slice.
    """
    to_place = {identity_of(endpoint): endpoint for endpoint in desired}
    update: dict[str, list[EndpointDict]] = {}
    unchanged: dict[str, list[EndpointDict]] = {}
    delete: list[str] = []
    for state in existing:
        pairs = [
            (endpoint, to_place.pop(identity_of(endpoint), None)) for endpoint in state.endpoints
        ]
        retained = [new for _, new in pairs if new is not None]
        if state.endpoints and not retained:
            delete.append(state.name)
        elif state.relabel or any(old != new for old, new in pairs):
            update[state.name] = retained
        else:
            unchanged[state.name] = retained
    remaining = list(to_place.values())
    for endpoints in sorted(update.values(), key=len, reverse=True):
        _fill(endpoints, remaining, most)
    create: list[list[EndpointDict]] = []
    while remaining:
        name = best_fit({n: len(e) for n, e in unchanged.items()}, len(remaining), most)
        if name is None:
            create.append([])
            _fill(create[-1], remaining, most)
        else:
            update[name] = unchanged.pop(name)
            _fill(update[name], remaining, most)
    return SlicePlan(tuple(create), update, tuple(delete))


def best_fit(sizes: Mapping[str, int], count: int, most: int = MAX_ENDPOINTS) -> str | None:
    """Return the slice that `count` more endpoints fill best; None if they fit into none.

    Args:
        sizes: number of endpoints in each slice, by name.
        count: number of endpoints to place together.
        most: maximum number of endpoints in a slice.
    """
    if count >= most:
        return None  # they fill a new slice
    fits = {name: most - size - count for name, size in sizes.items()}
    fits = {name: room for name, room in fits.items() if 0 <= room < most}
    return min(fits, key=lambda name: (fits[name], name), default=None)


def _fill(endpoints: list[EndpointDict], remaining: list[EndpointDict], most: int) -> None:
    """Move endpoints from `remaining` to `endpoints` until the slice is full."""
    room = max(0, most - len(endpoints))
    endpoints += remaining[:room]
    del remaining[:room]
