"""From endpoints to EndpointSlice documents to create, update and delete: pure functions.

`plan` assigns endpoints to slices; `writes_for` builds the documents with labels and owner, and
reuses a slice that would be deleted for one that would be created.

Source: k8s.io/endpointslice (reconciler.go: reconcileByAddressType, finalize; utils.go).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kubesim.controllers.endpointslice.plan import MAX_ENDPOINTS, SliceState, plan_slices, port_key
from kubesim.objects import meta
from kubesim.objects.wellknown import SERVICE_NAME_LABEL

if TYPE_CHECKING:
    from kubesim.objects.types import (
        EndpointDict,
        EndpointPortDict,
        EndpointSliceDict,
        ObjectMetaDict,
        ServiceDict,
    )

MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
HEADLESS = "service.kubernetes.io/headless"
MANAGER = "endpointslice-controller.k8s.io"

Entry = tuple[list["EndpointPortDict"], "EndpointDict"]
"""The ports of a pod, and the pod as an endpoint."""


@dataclass
class Writes:
    """EndpointSlice documents to create, update and delete."""

    create: list[EndpointSliceDict] = field(default_factory=list)
    update: list[EndpointSliceDict] = field(default_factory=list)
    delete: list[EndpointSliceDict] = field(default_factory=list)


def writes_for(
    service: ServiceDict,
    family: str,
    entries: Sequence[Entry],
    existing: Sequence[EndpointSliceDict],
    most: int = MAX_ENDPOINTS,
) -> Writes:
    """Return the writes for one address family.

    Args:
        service: the document.
        family: IPv4 or IPv6.
        entries: the endpoints with their ports, in order of placement.
        existing: the Service's slices of that address type.
        most: maximum number of endpoints in a slice.
    """
    desired: dict[tuple[object, ...], tuple[list[EndpointPortDict], list[EndpointDict]]] = {}
    for ports, endpoint in entries:
        desired.setdefault(port_key(ports), (ports, []))[1].append(endpoint)
    grouped: dict[tuple[object, ...], list[EndpointSliceDict]] = {}
    for each in existing:
        grouped.setdefault(port_key(each.get("ports") or ()), []).append(each)
    labels = labels_for(service)
    writes = Writes()
    for key, slices in grouped.items():
        if key not in desired:
            writes.delete += slices
    for key, (ports, endpoints) in desired.items():
        by_name = {meta.name_of(each): each for each in grouped.get(key, ())}
        states = [_state_of(each, labels) for each in by_name.values()]
        planned = plan_slices(states, endpoints, most)
        writes.create += [new_slice(service, family, ports, members) for members in planned.create]
        for name, members in planned.update.items():
            writes.update.append(_updated(by_name[name], labels, members))
        writes.delete += [by_name[name] for name in planned.delete]
    _keep_placeholder(service, family, existing, writes)
    _reuse_deleted(service, labels, writes)
    return writes


def labels_for(service: ServiceDict) -> dict[str, str]:
    """Return the labels of a Service's slices: its own, and those of the controller."""
    reserved = (SERVICE_NAME_LABEL, MANAGED_BY, HEADLESS)
    labels = {k: v for k, v in meta.labels_of(service).items() if k not in reserved}
    if (service.get("spec") or {}).get("clusterIP") == "None":
        labels[HEADLESS] = ""
    return {**labels, SERVICE_NAME_LABEL: meta.name_of(service), MANAGED_BY: MANAGER}


def new_slice(
    service: ServiceDict, family: str, ports: list[EndpointPortDict], endpoints: list[EndpointDict]
) -> EndpointSliceDict:
    """Return a slice to create.

    Args:
        service: the document.
        family: IPv4 or IPv6.
        ports, endpoints: of the slice.
    """
    return {
        "kind": "EndpointSlice",
        "apiVersion": "discovery.k8s.io/v1",
        "metadata": {
            "generateName": f"{meta.name_of(service)}-",
            "namespace": meta.namespace_of(service),
            "labels": labels_for(service),
            "ownerReferences": [meta.owner_reference(service)],
        },
        "addressType": family,
        "endpoints": endpoints,
        "ports": ports,
    }


def _updated(
    current: EndpointSliceDict, labels: dict[str, str], endpoints: list[EndpointDict]
) -> EndpointSliceDict:
    metadata: ObjectMetaDict = {**current["metadata"], "labels": labels}
    return {**current, "metadata": metadata, "endpoints": endpoints}


def _state_of(current: EndpointSliceDict, labels: dict[str, str]) -> SliceState:
    relabel = meta.labels_of(current) != labels
    return SliceState(meta.name_of(current), current.get("endpoints") or [], relabel)


def _keep_placeholder(
    service: ServiceDict, family: str, existing: Sequence[EndpointSliceDict], writes: Writes
) -> None:
    """Keep one empty slice for a Service without endpoints."""
    if writes.create or len(existing) > len(writes.delete):
        return
    empty = new_slice(service, family, [], [])
    if len(writes.delete) == 1:
        current = writes.delete[0]
        same = meta.labels_of(current) == empty["metadata"]["labels"]
        if same and not current.get("endpoints") and not current.get("ports"):
            writes.delete.clear()
            return
    writes.create.append(empty)


def _reuse_deleted(service: ServiceDict, labels: dict[str, str], writes: Writes) -> None:
    """Update slices that would be deleted in place of creating new ones."""
    for current in list(writes.delete):
        if not writes.create:
            return
        if meta.is_owned_by(current, service):
            fresh = writes.create.pop()
            over = _updated(current, labels, fresh["endpoints"])
            writes.update.append({**over, "ports": fresh["ports"]})
            writes.delete.remove(current)
