"""The EndpointSlice controller: keeps the endpoint slices of each Service.

A pod is an endpoint from the time it has an address until it finishes or is deleted; the conditions
of the endpoint say whether it receives requests. `plan` assigns endpoints to slices, `reconciler`
builds the documents; the controller reads and writes.

Ours keeps the conditions, port lists, address families, the order in which slices are filled,
labels, owner, placeholder slices, and the rule that a sync waits for the watch events of its own
last writes. It leaves out topology hints, the annotation with the last change's trigger time, and
the mirroring of manually created Endpoints.

Source: pkg/controller/endpointslice/endpointslice_controller.go, k8s.io/endpointslice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from kubesim.apiserver import ResourceEvent
from kubesim.client import Controller, RuleStep, Tools
from kubesim.controllers.endpointslice.plan import (
    MAX_ENDPOINTS,
    SOURCE,
    endpoint_of,
    ports_of,
    why_left_out,
)
from kubesim.controllers.endpointslice.reconciler import (
    MANAGED_BY,
    MANAGER,
    Entry,
    Writes,
    writes_for,
)
from kubesim.controllers.shared.pod_events import affected_labels
from kubesim.controllers.shared.service_pods import (
    endpoint_state,
    has_endpoints,
    label_pairs,
    selects,
)
from kubesim.errors import AlreadyExists, Conflict, NotFound, StatusError
from kubesim.objects import meta
from kubesim.objects.kindnames import ENDPOINT_SLICE, NODE, POD, SERVICE
from kubesim.objects.pods import is_finished, is_ready, node_of
from kubesim.objects.wellknown import SERVICE_NAME_LABEL, ZONE_LABEL
from kubesim.quantity import count_of

if TYPE_CHECKING:
    from kubesim.objects.types import EndpointSliceDict, PodDict, ServiceDict

DELETED = 0  # in place of a revision: the slice was deleted


class EndpointSliceController(Controller):
    """Reconciles the slices of Services; its keys are those of the Services.

    Args:
        max_endpoints: maximum number of endpoints in one slice.
        watch_latency_seconds: delay of the watch events of slices; more than 0 lets tests and
            lessons observe a stale cache.
        options: of the base class.
    """

    name = "endpointslice-controller"

    def __init__(
        self,
        tools: Tools,
        *,
        max_endpoints: int = MAX_ENDPOINTS,
        watch_latency_seconds: float = 0.0,
        **options: float,
    ) -> None:
        super().__init__(tools, **options)
        self._max_endpoints = max_endpoints
        self._services = self.informer(
            SERVICE,
            self._service_changed,
            indexers={"namespace": lambda service: [meta.namespace_of(service)]},
        )
        self._slices = self.informer(
            ENDPOINT_SLICE,
            self._slice_changed,
            label_selector=f"{MANAGED_BY}={MANAGER}",
            indexers={"service": lambda endpoint_slice: [_service_key(endpoint_slice)]},
            latency_seconds=watch_latency_seconds,
        )
        self._pods = self.informer(
            POD, self._pod_changed, on_demand=True, indexers={"label": label_pairs}
        )
        self._written: dict[str, dict[str, int]] = {}  # Service -> slice -> revision, or DELETED

    # -- watch events ---------------------------------------------------------------------------

    def _service_changed(self, event: ResourceEvent[ServiceDict]) -> Iterable[str]:
        if event.type == "DELETED":
            self._written.pop(meta.key_of(event.object), None)
            self.forget_decisions(event.object)
        elif has_endpoints(event.object):
            self.demand()
        yield meta.key_of(event.object)

    def _slice_changed(self, event: ResourceEvent[EndpointSliceDict]) -> Iterable[str]:
        key = _service_key(event.object)
        if event.type == "DELETED":
            self._written.get(key, {}).pop(meta.key_of(event.object), None)
        yield key
        if event.previous is not None and _service_key(event.previous) != key:
            yield _service_key(event.previous)

    def _pod_changed(self, event: ResourceEvent[PodDict]) -> Iterable[str]:
        labels = affected_labels(event, endpoint_state)
        if not labels:
            return
        for service in self._services.by_index("namespace", meta.namespace_of(event.object)):
            if any(selects(service, each) for each in labels):
                yield meta.key_of(service)

    # -- reconcile ------------------------------------------------------------------------------

    def about(self, key: str) -> ServiceDict | None:
        """Return the Service."""
        return self._services.get(key)

    def reconcile(self, key: str) -> None:
        """Write the slices of one Service so that they match its pods."""
        service = self._services.get(key)
        if service is None:
            return  # the garbage collector deletes its slices
        if meta.is_terminating(service) or not has_endpoints(service) or self._is_stale(key):
            return
        pods, left_out, without_node = self._pods_of(service)
        existing = list(self._slices.by_index("service", key))
        families = service["spec"].get("ipFamilies") or ["IPv4"]
        written = 0
        for family in families:
            slices = [each for each in existing if each.get("addressType") == family]
            entries = self._entries(service, family, pods)
            writes = writes_for(service, family, entries, slices, self._max_endpoints)
            written += self._write(key, service, writes)
        obsolete = [each for each in existing if each.get("addressType") not in families]
        written += self._write(key, service, Writes(delete=obsolete))
        self._record(service, pods, left_out, written)
        if without_node:
            message = f"the nodes of {', '.join(without_node)} do not exist"
            raise NotFound(message, kind="nodes")  # retried until they exist or the pods are gone

    def _is_stale(self, key: str) -> bool:
        """Return whether the cache does not show the last writes yet."""
        written = self._written.get(key) or {}
        for name, revision in list(written.items()):
            cached = self._slices.get(name)
            if revision == DELETED:
                observed = cached is None
            elif cached is not None:
                observed = meta.resource_version_of(cached) >= revision
            else:  # not observed yet, or deleted before the cache ever showed it
                namespace, short = meta.split_key(name)
                observed = self.api.peek(ENDPOINT_SLICE, short, namespace) is None
            if observed:
                del written[name]
        if written:
            self.counts["waited"] += 1
        return bool(written)

    def _pods_of(self, service: ServiceDict) -> tuple[list[PodDict], dict[str, str], list[str]]:
        """Return the endpoint pods, why others are none, and those whose node is missing."""
        namespace = meta.namespace_of(service)
        pair = next(iter(sorted(service["spec"]["selector"].items())))
        publish = service["spec"].get("publishNotReadyAddresses")
        endpoints: list[PodDict] = []
        left_out: dict[str, str] = {}
        without_node: list[str] = []
        for pod in self._pods.by_index("label", f"{namespace}/{pair[0]}={pair[1]}"):
            if not selects(service, meta.labels_of(pod)):
                continue
            name, node = meta.name_of(pod), node_of(pod)
            if is_finished(pod):
                left_out[name] = why_left_out(pod)
            elif node and not publish and self.api.peek(NODE, node) is None:
                left_out[name] = f"its node {node} does not exist"
                without_node.append(name)
            else:
                endpoints.append(pod)
        return sorted(endpoints, key=meta.name_of), left_out, without_node

    def _entries(self, service: ServiceDict, family: str, pods: list[PodDict]) -> list[Entry]:
        """Return the ports and the endpoint of each pod with an address of the family."""
        return [
            (ports_of(pod, service), endpoint_of(pod, service, family, self._zone_of(node_of(pod))))
            for pod in pods
            if not why_left_out(pod, family)
        ]

    def _zone_of(self, node_name: str) -> str:
        node = self.api.peek(NODE, node_name) if node_name else None
        return "" if node is None else str(meta.labels_of(node).get(ZONE_LABEL, ""))

    # -- writes and decision records ------------------------------------------------------------

    def _write(self, key: str, service: ServiceDict, writes: Writes) -> int:
        """Create, update and delete slices; return how many were written."""
        written = self._written.setdefault(key, {})
        try:
            for document in writes.create:
                created = self.api.create(document)
                written[meta.key_of(created)] = meta.resource_version_of(created)
                self.counts["created"] += 1
            for document in writes.update:
                updated = self.api.update(document)
                written[meta.key_of(updated)] = meta.resource_version_of(updated)
                self.counts["updated"] += 1
            for document in writes.delete:
                name, namespace = meta.name_of(document), meta.namespace_of(document)
                self.api.delete("EndpointSlice", name, namespace, uid=meta.uid_of(document))
                written[meta.key_of(document)] = DELETED
                self.counts["deleted"] += 1
        except (Conflict, NotFound, AlreadyExists):
            raise
        except StatusError as error:
            if any(cause.reason == "NamespaceTerminating" for cause in error.causes):
                return 0  # no retry can succeed
            message = f"Error updating Endpoint Slices for Service {key}: {error.message}"
            self.recorder.event(service, "Warning", "FailedToUpdateEndpointSlices", message)
            raise
        return len(writes.create) + len(writes.update) + len(writes.delete)

    def _record(
        self, service: ServiceDict, pods: list[PodDict], left_out: Mapping[str, str], written: int
    ) -> None:
        """Record a decision, unless nothing was written and it says what the last one said.

        Args:
            service: the document.
            pods: the pods that are endpoints as soon as they have an address.
            left_out: by name, why other pods are not endpoints.
            written: number of slices that were written.
        """
        waiting = {meta.name_of(pod): reason for pod in pods if (reason := why_left_out(pod))}
        left_out = {**left_out, **waiting}
        endpoints = [pod for pod in pods if meta.name_of(pod) not in waiting]
        terminating = sum(meta.is_terminating(pod) for pod in endpoints)
        ready = sum(is_ready(pod) and not meta.is_terminating(pod) for pod in endpoints)
        verdict = (
            f"{count_of(len(endpoints), 'endpoint')}: {ready} ready, {terminating} terminating"
        )
        reasons = "; ".join(f"{name}: {reason}" for name, reason in sorted(left_out.items()))
        if not written and self.last_signature(service) == verdict + reasons:
            return
        selector = ",".join(f"{k}={v}" for k, v in sorted(service["spec"]["selector"].items()))
        matching = count_of(len(pods), "pod matches", "pods match")
        steps = [RuleStep("select", {"selector": selector}, matching, SOURCE)]
        if left_out:
            steps.append(RuleStep("leave out", {"pods": len(left_out)}, reasons, SOURCE))
        limit = {"max_endpoints": self._max_endpoints}
        steps.append(RuleStep("write slices", limit, count_of(written, "slice"), SOURCE))
        self.decide(
            service,
            verdict,
            steps=steps,
            binding=reasons or "ready pods that are not terminating receive requests",
            would_change_if="a pod's labels, address, readiness or deletion, or the selector",
            data={"ready": ready, "endpoints": len(endpoints), "left_out": dict(left_out)},
            signature=verdict + reasons,
            acted=bool(written),
        )


# -- from documents --------------------------------------------------------------------------------


def _service_key(endpoint_slice: EndpointSliceDict) -> str:
    labels = meta.labels_of(endpoint_slice)
    return f"{meta.namespace_of(endpoint_slice)}/{labels.get(SERVICE_NAME_LABEL, '')}"
