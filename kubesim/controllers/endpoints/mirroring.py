"""The EndpointSlice mirroring controller: Endpoints that somebody writes by hand become slices.

It mirrors the Endpoints of each Service without a selector, so that what reads EndpointSlices sees
them, one slice for each subset and address family. Endpoints with the label skip-mirror (those of
the Service `kubernetes`) or of a leader election stay alone.

Source: pkg/controller/endpointslicemirroring (endpointslicemirroring_controller.go, reconciler.go,
utils.go).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import ip_address
from typing import TYPE_CHECKING

from kubesim.apiserver import ResourceEvent
from kubesim.client import Controller, Tools
from kubesim.controllers.endpoints.plan import MANAGED_BY as ENDPOINTS_MANAGED_BY
from kubesim.controllers.endpoints.plan import MANAGER as ENDPOINTS_MANAGER
from kubesim.controllers.endpoints.types import ENDPOINTS
from kubesim.controllers.endpointslice.plan import port_key
from kubesim.controllers.endpointslice.reconciler import MANAGED_BY
from kubesim.errors import NotFound, StatusError
from kubesim.objects import meta
from kubesim.objects.kindnames import ENDPOINT_SLICE, SERVICE
from kubesim.objects.wellknown import LAST_APPLIED, SERVICE_NAME_LABEL

if TYPE_CHECKING:
    from kubesim.controllers.endpoints.types import (
        EndpointAddressDict,
        EndpointsDict,
        EndpointSubsetDict,
    )
    from kubesim.objects.types import (
        EndpointDict,
        EndpointPortDict,
        EndpointSliceDict,
        ServiceDict,
    )

MANAGER = "endpointslicemirroring-controller.k8s.io"
SKIP = "endpointslice.kubernetes.io/skip-mirror"
LEADER = "control-plane.alpha.kubernetes.io/leader"
TRIGGER_TIME = "endpoints.kubernetes.io/last-change-trigger-time"
MOST_IN_A_SUBSET = 1000  # --mirroring-max-endpoints-per-subset

SliceKey = tuple[str, tuple[object, ...]]
"""Address family and ports: there is one slice for each."""


class EndpointSliceMirroringController(Controller):
    """Mirrors Endpoints; its keys are those of the Endpoints, which are those of the Services.

    Args:
        options: of the base class.
    """

    name = "endpointslice-mirroring-controller"
    max_retries = 15

    def __init__(self, tools: Tools, **options: float) -> None:
        super().__init__(tools, **options)
        self._endpoints = self.informer(ENDPOINTS, self._endpoints_changed)
        self._services = self.informer(SERVICE, self._service_changed, on_demand=True)
        self._slices = self.informer(
            ENDPOINT_SLICE,
            self._slice_changed,
            on_demand=True,
            label_selector=f"{MANAGED_BY}={MANAGER}",
            indexers={"service": lambda endpoint_slice: [_service_key(endpoint_slice)]},
        )

    def _endpoints_changed(self, event: ResourceEvent[EndpointsDict]) -> Iterable[str]:
        labels = meta.labels_of(event.object)
        if labels.get(ENDPOINTS_MANAGED_BY) == ENDPOINTS_MANAGER:
            return  # the Service has a selector, and slices of its own
        mirrored = [event.object, *([event.previous] if event.previous is not None else [])]
        if any(map(is_mirrored, mirrored)):
            self.demand()
            yield meta.key_of(event.object)

    def _service_changed(self, event: ResourceEvent[ServiceDict]) -> Iterable[str]:
        yield meta.key_of(event.object)

    def _slice_changed(self, event: ResourceEvent[EndpointSliceDict]) -> Iterable[str]:
        yield _service_key(event.object)
        if event.previous is not None and _service_key(event.previous) != _service_key(
            event.object
        ):
            yield _service_key(event.previous)

    def reconcile(self, key: str) -> None:
        """Write the slices that mirror one Endpoints object."""
        namespace, name = meta.split_key(key)
        endpoints = self.api.peek(ENDPOINTS, name, namespace)
        service = self.api.peek(SERVICE, name, namespace)
        existing = sorted(self._slices.by_index("service", key), key=meta.name_of)
        if (
            endpoints is None
            or service is None
            or service["spec"].get("selector")
            or not is_mirrored(endpoints)
        ):
            self._delete(existing)
            return
        desired, invalid, skipped = slices_of(endpoints)
        self._report(endpoints, invalid, skipped)
        surplus: list[EndpointSliceDict] = []
        by_key: dict[SliceKey, list[EndpointSliceDict]] = {}
        for each in existing:
            by_key.setdefault(_key_of(each), []).append(each)
        for slice_key, slices in by_key.items():
            surplus += slices[1:] if slice_key in desired else slices
        for slice_key, document in desired.items():
            current = next(iter(by_key.get(slice_key, ())), None)
            if current is None:
                current = next((s for s in surplus if s["addressType"] == slice_key[0]), None)
                surplus = [each for each in surplus if each is not current]  # it is recycled
            self._write(endpoints, document, current)
        self._delete(surplus)

    def _write(
        self,
        endpoints: EndpointsDict,
        desired: EndpointSliceDict,
        current: EndpointSliceDict | None,
    ) -> None:
        """Create a slice, or update an existing one if it differs.

        Args:
            endpoints: what is mirrored.
            desired: the slice.
            current: the slice to update; None: there is none.
        """
        try:
            if current is None:
                if not meta.is_terminating(endpoints):
                    self.api.create(desired)
                    self.counts["created"] += 1
                return
            before = (current.get("endpoints"), current.get("ports"), meta.labels_of(current))
            if before != (desired["endpoints"], desired["ports"], meta.labels_of(desired)):
                metadata = {**current["metadata"], "labels": dict(meta.labels_of(desired))}
                changed = {"endpoints": desired["endpoints"], "ports": desired["ports"]}
                self.api.update({**current, **changed, "metadata": metadata})
                self.counts["updated"] += 1
        except StatusError as error:
            if not any(cause.reason == "NamespaceTerminating" for cause in error.causes):
                raise

    def _delete(self, slices: Sequence[EndpointSliceDict]) -> None:
        for each in slices:
            try:
                name, namespace = meta.name_of(each), meta.namespace_of(each)
                self.api.delete("EndpointSlice", name, namespace, uid=meta.uid_of(each))
            except NotFound:
                continue
            self.counts["deleted"] += 1

    def _report(self, endpoints: EndpointsDict, invalid: int, skipped: int) -> None:
        if invalid:
            message = f"Skipped {invalid} invalid IP addresses when mirroring to EndpointSlices"
            self.recorder.event(endpoints, "Warning", "InvalidIPAddress", message)
        if skipped > invalid:
            message = (
                f"A max of {MOST_IN_A_SUBSET} addresses can be mirrored to EndpointSlices per "
                f"Endpoints subset. {skipped} addresses were skipped"
            )
            self.recorder.event(endpoints, "Warning", "TooManyAddressesToMirror", message)


# -- from documents --------------------------------------------------------------------------------


def is_mirrored(endpoints: EndpointsDict) -> bool:
    """Return whether Endpoints are mirrored, if their Service has no selector."""
    skip = meta.labels_of(endpoints).get(SKIP) == "true"
    return not skip and LEADER not in meta.annotations_of(endpoints)


def slices_of(
    endpoints: EndpointsDict,
) -> tuple[dict[SliceKey, EndpointSliceDict], int, int]:
    """Return the slices that mirror Endpoints, and how many addresses are invalid and left out."""
    grouped: dict[SliceKey, tuple[list[EndpointPortDict], list[EndpointDict]]] = {}
    invalid = skipped = 0
    for subset in endpoints.get("subsets") or ():
        ports = [_port_of(port) for port in subset.get("ports") or ()]
        added = 0
        for address, ready in _addresses(subset):
            family = _family_of(str(address.get("ip") or ""))
            if added >= MOST_IN_A_SUBSET or not family:
                invalid += added < MOST_IN_A_SUBSET
                skipped += 1
                continue
            added += 1
            members = grouped.setdefault((family, port_key(ports)), (ports, []))[1]
            members.append(_endpoint_of(address, ready))
    result: dict[SliceKey, EndpointSliceDict] = {}
    for key, (ports, members) in grouped.items():
        result[key] = _new_slice(endpoints, key[0], ports, members)
    return result, invalid, skipped


def _addresses(subset: EndpointSubsetDict) -> list[tuple[EndpointAddressDict, bool]]:
    ready = [(address, True) for address in subset.get("addresses") or ()]
    return [*ready, *((address, False) for address in subset.get("notReadyAddresses") or ())]


def _family_of(address: str) -> str:
    """Return IPv4 or IPv6; "" if it is no address."""
    try:
        return f"IPv{ip_address(address).version}"
    except ValueError:
        return ""


def _port_of(port: EndpointPortDict) -> EndpointPortDict:
    return {"name": port.get("name") or "", **port}


def _endpoint_of(address: EndpointAddressDict, ready: bool) -> EndpointDict:
    endpoint: EndpointDict = {
        "addresses": [str(ip_address(address["ip"]))],
        "conditions": {"ready": ready},
    }
    if address.get("targetRef"):
        endpoint["targetRef"] = address["targetRef"]
    if address.get("nodeName"):
        endpoint["nodeName"] = address["nodeName"]
    if address.get("hostname"):
        endpoint["hostname"] = address["hostname"]
    return endpoint


def _new_slice(
    endpoints: EndpointsDict,
    family: str,
    ports: list[EndpointPortDict],
    members: list[EndpointDict],
) -> EndpointSliceDict:
    name = meta.name_of(endpoints)
    left_out = (TRIGGER_TIME, LAST_APPLIED)
    annotations = {
        key: text for key, text in meta.annotations_of(endpoints).items() if key not in left_out
    }
    labels = {**meta.labels_of(endpoints), SERVICE_NAME_LABEL: name, MANAGED_BY: MANAGER}
    document: EndpointSliceDict = {
        "kind": "EndpointSlice",
        "apiVersion": "discovery.k8s.io/v1",
        "metadata": {
            "generateName": f"{name}-",
            "namespace": meta.namespace_of(endpoints),
            "labels": labels,
            "ownerReferences": [meta.owner_reference(endpoints)],
        },
        "addressType": family,
        "endpoints": members,
        "ports": ports,
    }
    if annotations:
        document["metadata"]["annotations"] = annotations
    return document


def _key_of(endpoint_slice: EndpointSliceDict) -> SliceKey:
    return str(endpoint_slice.get("addressType")), port_key(endpoint_slice.get("ports") or ())


def _service_key(endpoint_slice: EndpointSliceDict) -> str:
    labels = meta.labels_of(endpoint_slice)
    return f"{meta.namespace_of(endpoint_slice)}/{labels.get(SERVICE_NAME_LABEL, '')}"
