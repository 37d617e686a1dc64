"""From endpoints to EndpointSlice documents: which to create, to change, to delete. Pure.

`endpointslice_plan` decides what stands in which slice; here that becomes documents with their
labels and owner, and two writes become one where a slice can be used again.

Source: k8s.io/endpointslice (reconciler.go: reconcileByAddressType, finalize; utils.go).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from kubesim.controllers.endpointslice.plan import MAX_ENDPOINTS, SliceState, plan_slices, port_key
from kubesim.objects import meta
from kubesim.objects.frozen import Document
from kubesim.objects.wellknown import SERVICE_NAME_LABEL

MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
HEADLESS = "service.kubernetes.io/headless"
MANAGER = "endpointslice-controller.k8s.io"

Entry = tuple[list[Document], Document]
"""The ports of a pod, and the pod as an endpoint."""


@dataclass
class Writes:
    """Documents of slices: to create, to update, to delete."""

    create: list[Document] = field(default_factory=list)
    update: list[Document] = field(default_factory=list)
    delete: list[Document] = field(default_factory=list)


def writes_for(
    service: Document,
    family: str,
    entries: Sequence[Entry],
    existing: Sequence[Document],
    most: int = MAX_ENDPOINTS,
) -> Writes:
    """What has to be written for one address family.

    Args:
        service: the document.
        family: IPv4 or IPv6.
        entries: the endpoints with their ports, in the order in which they are placed.
        existing: the Service's slices of that address type.
        most: endpoints in a slice.
    """
    desired: dict[tuple[Any, ...], tuple[list[Document], list[Document]]] = {}
    for ports, endpoint in entries:
        desired.setdefault(port_key(ports), (ports, []))[1].append(endpoint)
    grouped: dict[tuple[Any, ...], list[Document]] = {}
    for found in existing:
        grouped.setdefault(port_key(found.get("ports") or ()), []).append(found)
    labels = labels_for(service)
    writes = Writes()
    for key, slices in grouped.items():
        if key not in desired:
            writes.delete += slices
    for key, (ports, endpoints) in desired.items():
        there = {meta.name_of(found): found for found in grouped.get(key, ())}
        states = [_state_of(found, labels) for found in there.values()]
        planned = plan_slices(states, endpoints, most)
        writes.create += [new_slice(service, family, ports, held) for held in planned.create]
        for name, held in planned.update.items():
            writes.update.append(_changed(there[name], labels, held))
        writes.delete += [there[name] for name in planned.delete]
    _keep_a_placeholder(service, family, existing, writes)
    _reuse(service, labels, writes)
    return writes


def labels_for(service: Document) -> dict[str, str]:
    """The labels of a Service's slices: its own, and those by which slices are found."""
    reserved = (SERVICE_NAME_LABEL, MANAGED_BY, HEADLESS)
    labels = {k: v for k, v in meta.labels_of(service).items() if k not in reserved}
    if (service.get("spec") or {}).get("clusterIP") == "None":
        labels[HEADLESS] = ""
    return {**labels, SERVICE_NAME_LABEL: meta.name_of(service), MANAGED_BY: MANAGER}


def new_slice(
    service: Document, family: str, ports: list[Document], endpoints: list[Document]
) -> Document:
    """A slice that is to be created."""
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


def _changed(found: Document, labels: dict[str, str], endpoints: list[Document]) -> Document:
    return {**found, "metadata": {**found["metadata"], "labels": labels}, "endpoints": endpoints}


def _state_of(found: Document, labels: dict[str, str]) -> SliceState:
    relabel = meta.labels_of(found) != labels
    return SliceState(meta.name_of(found), found.get("endpoints") or [], relabel)


def _keep_a_placeholder(
    service: Document, family: str, existing: Sequence[Document], writes: Writes
) -> None:
    """A Service without endpoints has one empty slice, so that it can be seen to have none."""
    if writes.create or len(existing) > len(writes.delete):
        return
    empty = new_slice(service, family, [], [])
    if len(writes.delete) == 1:
        found = writes.delete[0]
        same = meta.labels_of(found) == empty["metadata"]["labels"]
        if same and not found.get("endpoints") and not found.get("ports"):
            writes.delete.clear()
            return
    writes.create.append(empty)


def _reuse(service: Document, labels: dict[str, str], writes: Writes) -> None:
    """Write a new slice over one that would be deleted: one write for two."""
    for found in list(writes.delete):
        if not writes.create:
            return
        if meta.is_owned_by(found, service):
            fresh = writes.create.pop()
            over = _changed(found, labels, fresh["endpoints"])
            writes.update.append({**over, "ports": fresh["ports"]})
            writes.delete.remove(found)
