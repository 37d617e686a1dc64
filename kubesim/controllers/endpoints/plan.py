"""The Endpoints object of a Service: pure functions.

All endpoints of a Service stand in one object, in subsets of addresses that have the same ports, up
to a thousand addresses. EndpointSlices have replaced it: Endpoints is deprecated since 1.33.

>>> web = {"metadata": {"name": "web-0", "namespace": "default", "uid": "1"}, "spec": {},
...        "status": {"podIP": "10.244.1.2", "conditions": [{"type": "Ready", "status": "True"}]}}
>>> service = {"metadata": {"name": "web"}, "spec": {"ports": [{"port": 80, "targetPort": 8080}]}}
>>> [(s["addresses"][0]["ip"], s["ports"][0]["port"]) for s in subsets_of(service, [web])]
[('10.244.1.2', 8080)]

Source: pkg/controller/endpoint/endpoints_controller.go (syncService, truncateEndpoints),
pkg/api/v1/endpoints/util.go (RepackSubsets), k8s.io/endpointslice/util (ShouldPodBeInEndpoints).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import ceil
from typing import TYPE_CHECKING

from kubesim.controllers.endpointslice.plan import addresses_of, ports_of
from kubesim.objects import meta
from kubesim.objects.pods import is_finished, is_ready, node_of

if TYPE_CHECKING:
    from kubesim.controllers.endpoints.types import (
        EndpointAddressDict,
        EndpointsDict,
        EndpointSubsetDict,
    )
    from kubesim.objects.types import EndpointPortDict, ObjectMetaDict, PodDict, ServiceDict

MAX_ADDRESSES = 1000  # maxCapacity
OVER_CAPACITY = "endpoints.kubernetes.io/over-capacity"
MANAGED_BY, MANAGER = "endpoints.kubernetes.io/managed-by", "endpoint-controller"
HEADLESS = "service.kubernetes.io/headless"

Address = tuple[str, str]
"""IP and uid of the target: what tells addresses apart."""
Port = tuple[str, int, str, str]
"""Name, number, protocol and application protocol."""


def is_endpoint(pod: PodDict, service: ServiceDict) -> bool:
    """Return whether a pod that the selector matches is listed, ready or not."""
    if is_finished(pod) or not addresses_of(pod, _family(service)):
        return False
    return not meta.is_terminating(pod) or bool(service["spec"].get("publishNotReadyAddresses"))


def subsets_of(service: ServiceDict, pods: Iterable[PodDict]) -> list[EndpointSubsetDict]:
    """Return the subsets of a Service, packed.

    Args:
        service: with a selector.
        pods: those that the selector matches.
    """
    spec = service["spec"]
    subsets: list[EndpointSubsetDict] = []
    for pod in pods:
        if not is_endpoint(pod, service):
            continue
        address = _address_of(pod, service)
        ready = bool(spec.get("publishNotReadyAddresses")) or is_ready(pod)
        if not spec.get("ports") and spec.get("clusterIP") == "None":
            subsets.append(_subset([address], ready, []))
        for port in ports_of(pod, service):
            if not port.get("name"):
                port.pop("name", None)
            subsets.append(_subset([address], ready, [port]))
    return repack(subsets)


def _family(service: ServiceDict) -> str:
    families = service["spec"].get("ipFamilies") or ["IPv4"]
    return str(families[0])


def _address_of(pod: PodDict, service: ServiceDict) -> EndpointAddressDict:
    address: EndpointAddressDict = {"ip": addresses_of(pod, _family(service))[0]}
    hostname = pod["spec"].get("hostname")
    if hostname and pod["spec"].get("subdomain") == meta.name_of(service):
        address["hostname"] = hostname
    if node_of(pod):
        address["nodeName"] = node_of(pod)
    address["targetRef"] = {
        "kind": "Pod",
        "namespace": meta.namespace_of(pod),
        "name": meta.name_of(pod),
        "uid": meta.uid_of(pod),
    }
    return address


def _subset(
    addresses: list[EndpointAddressDict], ready: bool, ports: list[EndpointPortDict]
) -> EndpointSubsetDict:
    subset: EndpointSubsetDict = {"ports": ports} if ports else {}
    if ready:
        return {"addresses": addresses, **subset}
    return {"notReadyAddresses": addresses, **subset}


# -- packing ---------------------------------------------------------------------------------------


def repack(subsets: Iterable[EndpointSubsetDict]) -> list[EndpointSubsetDict]:
    """Return the same endpoints with one subset for each set of addresses, in a stable order.

    An address that is listed as ready and as not ready for the same port is not ready.
    """
    addresses: dict[Address, EndpointAddressDict] = {}
    ready_by_port: dict[Port | None, dict[Address, bool]] = {}
    ports: dict[Port, EndpointPortDict] = {}
    for subset in subsets:
        keys: list[Port | None] = []
        for port in subset.get("ports") or ():
            ports[_port_key(port)] = port
            keys.append(_port_key(port))
        for state, listed in (
            (True, subset.get("addresses") or ()),
            (False, subset.get("notReadyAddresses") or ()),
        ):
            for address in listed:
                key = _address_key(address)
                addresses.setdefault(key, address)
                for port_key in keys or [None]:
                    group = ready_by_port.setdefault(port_key, {})
                    group[key] = group.get(key, True) and state
    grouped: dict[tuple[tuple[Address, bool], ...], list[Port | None]] = {}
    for port_key, group in ready_by_port.items():
        grouped.setdefault(tuple(sorted(group.items())), []).append(port_key)
    packed = [
        _packed(group, [ports[key] for key in sorted(filter(None, keys))], addresses)
        for group, keys in grouped.items()
    ]
    return sorted(packed, key=_order)


def _packed(
    group: Sequence[tuple[Address, bool]],
    ports: list[EndpointPortDict],
    addresses: dict[Address, EndpointAddressDict],
) -> EndpointSubsetDict:
    subset: EndpointSubsetDict = {}
    if ready := [addresses[key] for key, state in group if state]:
        subset["addresses"] = ready
    if unready := [addresses[key] for key, state in group if not state]:
        subset["notReadyAddresses"] = unready
    if ports:
        subset["ports"] = ports
    return subset


def _order(subset: EndpointSubsetDict) -> tuple[list[Port], list[Address]]:
    listed = [*(subset.get("addresses") or ()), *(subset.get("notReadyAddresses") or ())]
    return [_port_key(port) for port in subset.get("ports") or ()], list(map(_address_key, listed))


def _address_key(address: EndpointAddressDict) -> Address:
    return str(address.get("ip") or ""), str((address.get("targetRef") or {}).get("uid") or "")


def _port_key(port: EndpointPortDict) -> Port:
    return (
        str(port.get("name") or ""),
        int(port.get("port") or 0),
        str(port.get("protocol") or "TCP"),
        str(port.get("appProtocol") or ""),
    )


# -- capacity --------------------------------------------------------------------------------------


def truncated(
    subsets: Sequence[EndpointSubsetDict], most: int = MAX_ADDRESSES
) -> tuple[list[EndpointSubsetDict], bool]:
    """Return the subsets with at most so many addresses, and whether some were left out.

    Ready addresses come first; each subset keeps a share in proportion to its size, rounded up.

    Args:
        subsets: packed.
        most: number of addresses.
    """
    ready = sum(len(subset.get("addresses") or ()) for subset in subsets)
    unready = sum(len(subset.get("notReadyAddresses") or ()) for subset in subsets)
    if ready + unready <= most:
        return list(subsets), False
    cuts_ready = ready > most
    room = capacity = most if cuts_ready else most - ready
    total = ready if cuts_ready else unready
    result: list[EndpointSubsetDict] = []
    for subset in subsets:
        listed = subset.get("addresses" if cuts_ready else "notReadyAddresses") or []
        share = listed[: min(ceil(len(listed) / total * capacity), room)]
        room -= len(share)
        cut: EndpointSubsetDict = {}
        addresses = share if cuts_ready else subset.get("addresses")
        if addresses:
            cut["addresses"] = addresses
        if not cuts_ready and share:
            cut["notReadyAddresses"] = share
        if subset.get("ports"):
            cut["ports"] = subset["ports"]
        result.append(cut)
    return result, True


# -- the object ------------------------------------------------------------------------------------


def endpoints_of(
    service: ServiceDict, pods: Iterable[PodDict], current: EndpointsDict | None
) -> EndpointsDict | None:
    """Return the Endpoints to write for a Service; None: those that exist are right.

    Args:
        service: with a selector.
        pods: those that the selector matches.
        current: the Endpoints of the Service's name, if they exist.
    """
    subsets, over = truncated(subsets_of(service, pods))
    metadata: ObjectMetaDict = {} if current is None else current["metadata"]
    annotations = dict(metadata.get("annotations") or {})
    annotations.pop(OVER_CAPACITY, None)
    if over:
        annotations[OVER_CAPACITY] = "truncated"
    labels = labels_of(service)
    if current is not None and (current.get("subsets") or []) == subsets:
        before = dict(metadata.get("labels") or {}), dict(metadata.get("annotations") or {})
        if before == (labels, annotations):
            return None
    new: ObjectMetaDict = {
        **metadata,
        "name": meta.name_of(service),
        "namespace": meta.namespace_of(service),
        "labels": labels,
    }
    if annotations or metadata.get("annotations"):
        new["annotations"] = annotations
    return {"apiVersion": "v1", "kind": "Endpoints", "metadata": new, "subsets": subsets}


def labels_of(service: ServiceDict) -> dict[str, str]:
    """Return the labels of a Service's Endpoints: its own, and those of the controller."""
    labels = {key: text for key, text in meta.labels_of(service).items() if key != HEADLESS}
    if service["spec"].get("clusterIP") in (None, "", "None"):
        labels[HEADLESS] = ""
    return {**labels, MANAGED_BY: MANAGER}
