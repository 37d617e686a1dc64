"""The EndpointSlice controller: which pods stand behind a Service, for whoever sends requests.

A pod is in as soon as it has an address, and stays until it has ended or is gone; its conditions
say whether it may be sent requests. What stands in which slice is decided by `endpointslice_plan`;
this file reads, writes and tells.

Ours keeps the conditions, port lists, address families, the order in which slices are filled,
labels, owner, placeholder slices, and the rule that nothing is decided on slices older than the own
last write. It leaves out: topology hints, the annotation with the last change's trigger time, and
the mirroring of hand-made Endpoints.

Source: pkg/controller/endpointslice/endpointslice_controller.go, k8s.io/endpointslice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from kubesim.apiserver import ResourceEvent
from kubesim.client import Controller, Decision, RuleStep, Tools
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
from kubesim.errors import AlreadyExists, Conflict, NotFound, StatusError
from kubesim.objects import meta
from kubesim.objects.frozen import Document
from kubesim.objects.pods import is_finished, is_ready, node_of
from kubesim.objects.wellknown import SERVICE_NAME_LABEL, ZONE_LABEL

GONE = 0  # in the place of a revision: the slice was deleted


class EndpointSliceController(Controller):
    """Reconciles the slices of Services; its keys are those of the Services.

    Args:
        max_endpoints: in one slice.
        watch_latency_seconds: how long news of slices take; more than 0 makes a stale cache
            visible.
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
        self._most = max_endpoints
        self._services = self.informer(
            "Service",
            self._service_changed,
            indexers={"namespace": lambda service: [meta.namespace_of(service)]},
        )
        self._slices = self.informer(
            "EndpointSlice",
            self._slice_changed,
            label_selector=f"{MANAGED_BY}={MANAGER}",
            indexers={"service": lambda found: [_service_key(found)]},
            latency_seconds=watch_latency_seconds,
        )
        self._pods = self.informer(
            "Pod", self._pod_changed, on_demand=True, indexers={"label": _label_pairs}
        )
        self._written: dict[str, dict[str, int]] = {}  # Service -> slice -> revision, or GONE
        self._last: dict[str, str] = {}

    # -- what wakes it --------------------------------------------------------------------------

    def _service_changed(self, event: ResourceEvent) -> Iterable[str]:
        if event.type == "DELETED":
            self._written.pop(meta.key_of(event.object), None)
        elif _is_ours(event.object):
            self.demand()
        yield meta.key_of(event.object)

    def _slice_changed(self, event: ResourceEvent) -> Iterable[str]:
        key = _service_key(event.object)
        if event.type == "DELETED":
            self._written.get(key, {}).pop(meta.key_of(event.object), None)
        yield key
        if event.previous is not None and _service_key(event.previous) != key:
            yield _service_key(event.previous)

    def _pod_changed(self, event: ResourceEvent) -> Iterable[str]:
        labels = affected_labels(event, _seen_of)
        if not labels:
            return
        for service in self._services.by_index("namespace", meta.namespace_of(event.object)):
            if any(_selects(service, found) for found in labels):
                yield meta.key_of(service)

    # -- one pass -------------------------------------------------------------------------------

    def about(self, key: str) -> Document | None:
        """The Service."""
        return self._services.get(key)

    def reconcile(self, key: str) -> None:
        """Bring the slices of one Service in line with its pods."""
        service = self._services.get(key)
        if service is None:
            self._last.pop(key, None)
            return  # the garbage collector sees to its slices
        if meta.is_terminating(service) or not _is_ours(service) or self._is_stale(key):
            return
        pods, left_out, homeless = self._pods_of(service)
        existing = list(self._slices.by_index("service", key))
        families = service["spec"].get("ipFamilies") or ["IPv4"]
        written = 0
        for family in families:
            there = [found for found in existing if found.get("addressType") == family]
            entries = self._entries(service, family, pods)
            writes = writes_for(service, family, entries, there, self._most)
            written += self._write(key, service, writes)
        obsolete = [found for found in existing if found.get("addressType") not in families]
        written += self._write(key, service, Writes(delete=obsolete))
        self._remember(key, service, pods, left_out, written)
        if homeless:
            said = f"the nodes of {', '.join(homeless)} are not there"
            raise NotFound(said, kind="nodes")  # tried again, until they are or the pods are gone

    def _is_stale(self, key: str) -> bool:
        """Whether the cache does not show yet what was written last."""
        written = self._written.get(key) or {}
        for name, revision in list(written.items()):
            cached = self._slices.get(name)
            if revision == GONE:
                seen = cached is None
            elif cached is not None:
                seen = meta.resource_version_of(cached) >= revision
            else:  # on its way, or deleted by somebody before the cache ever showed it
                namespace, short = meta.split_key(name)
                seen = self.api.peek("EndpointSlice", short, namespace) is None
            if seen:
                del written[name]
        if written:
            self.counts["waited"] += 1
        return bool(written)

    def _pods_of(self, service: Document) -> tuple[list[Document], dict[str, str], list[str]]:
        """The pods that are endpoints; why others are not; and those whose node is missing."""
        namespace = meta.namespace_of(service)
        pair = next(iter(sorted(service["spec"]["selector"].items())))
        publish = service["spec"].get("publishNotReadyAddresses")
        chosen: list[Document] = []
        left_out: dict[str, str] = {}
        homeless: list[str] = []
        for pod in self._pods.by_index("label", f"{namespace}/{pair[0]}={pair[1]}"):
            if not _selects(service, meta.labels_of(pod)):
                continue
            name, node = meta.name_of(pod), node_of(pod)
            if is_finished(pod):
                left_out[name] = why_left_out(pod)
            elif node and not publish and self.api.peek("Node", node) is None:
                left_out[name] = f"its node {node} is not there"
                homeless.append(name)
            else:
                chosen.append(pod)
        return sorted(chosen, key=meta.name_of), left_out, homeless

    def _entries(self, service: Document, family: str, pods: list[Document]) -> list[Entry]:
        """Each pod with an address of the family, as an endpoint and with its ports."""
        return [
            (ports_of(pod, service), endpoint_of(pod, service, family, self._zone_of(node_of(pod))))
            for pod in pods
            if not why_left_out(pod, family)
        ]

    def _zone_of(self, node_name: str) -> str:
        node = self.api.peek("Node", node_name) if node_name else None
        return "" if node is None else str(meta.labels_of(node).get(ZONE_LABEL, ""))

    # -- acting and telling ---------------------------------------------------------------------

    def _write(self, key: str, service: Document, writes: Writes) -> int:
        """Create, update, delete; returns how many slices were written."""
        written = self._written.setdefault(key, {})
        try:
            for document in writes.create:
                made = self.api.create(document)
                written[meta.key_of(made)] = meta.resource_version_of(made)
                self.counts["created"] += 1
            for document in writes.update:
                changed = self.api.update(document)
                written[meta.key_of(changed)] = meta.resource_version_of(changed)
                self.counts["updated"] += 1
            for document in writes.delete:
                name, namespace = meta.name_of(document), meta.namespace_of(document)
                self.api.delete("EndpointSlice", name, namespace, uid=meta.uid_of(document))
                written[meta.key_of(document)] = GONE
                self.counts["deleted"] += 1
        except (Conflict, NotFound, AlreadyExists):
            raise
        except StatusError as error:
            if any(cause.reason == "NamespaceTerminating" for cause in error.causes):
                return 0  # nothing that anybody could mend
            said = f"Error updating Endpoint Slices for Service {key}: {error.message}"
            self.recorder.event(service, "Warning", "FailedToUpdateEndpointSlices", said)
            raise
        return len(writes.create) + len(writes.update) + len(writes.delete)

    def _remember(
        self,
        key: str,
        service: Document,
        pods: list[Document],
        left_out: Mapping[str, str],
        written: int,
    ) -> None:
        """A decision record, unless it would say what the last one said."""
        waiting = {meta.name_of(pod): why for pod in pods if (why := why_left_out(pod))}
        left_out = {**left_out, **waiting}
        inside = [pod for pod in pods if meta.name_of(pod) not in waiting]
        leaving = sum(meta.is_terminating(pod) for pod in inside)
        ready = sum(is_ready(pod) and not meta.is_terminating(pod) for pod in inside)
        verdict = f"{len(inside)} endpoints: {ready} ready, {leaving} on their way out"
        reasons = "; ".join(f"{name}: {why}" for name, why in sorted(left_out.items()))
        if not written and self._last.get(key) == verdict + reasons:
            return
        self._last[key] = verdict + reasons
        selector = ",".join(f"{k}={v}" for k, v in sorted(service["spec"]["selector"].items()))
        steps = [RuleStep("select", {"selector": selector}, f"{len(pods)} pods match", SOURCE)]
        if left_out:
            steps.append(RuleStep("leave out", {"pods": len(left_out)}, reasons, SOURCE))
        steps.append(
            RuleStep("fill slices", {"most": self._most}, f"{written} slices written", SOURCE)
        )
        self.decisions.record(
            Decision(
                time=self.clock.now(),
                revision=meta.resource_version_of(service),
                component=self.name,
                object=meta.reference("service", key),
                verdict=verdict,
                steps=tuple(steps),
                binding=reasons or "ready pods that are not on their way out are sent requests",
                would_change_if="a pod's labels, address, readiness or deletion, or the selector",
                data={"ready": ready, "endpoints": len(inside), "left_out": dict(left_out)},
            )
        )


# -- small readings --------------------------------------------------------------------------------


def _is_ours(service: Document) -> bool:
    """A Service without a selector, or one that is a mere name, gets no endpoints from here."""
    spec = service.get("spec") or {}
    return bool(spec.get("selector")) and spec.get("type") != "ExternalName"


def _selects(service: Document, labels: Mapping[str, str]) -> bool:
    selector = service["spec"].get("selector")
    return bool(selector) and all(labels.get(key) == value for key, value in selector.items())


def _seen_of(pod: Document) -> tuple[Any, ...]:
    """What of a pod makes a difference for endpoints."""
    status, spec = pod.get("status") or {}, pod.get("spec") or {}
    return (
        meta.labels_of(pod),
        meta.is_terminating(pod),
        is_finished(pod),
        is_ready(pod),
        status.get("podIP"),
        status.get("podIPs"),
        spec.get("nodeName"),
        meta.uid_of(pod),
    )


def _service_key(found: Document) -> str:
    return f"{meta.namespace_of(found)}/{meta.labels_of(found).get(SERVICE_NAME_LABEL, '')}"


def _label_pairs(pod: Document) -> Iterable[str]:
    namespace = meta.namespace_of(pod)
    return [f"{namespace}/{key}={value}" for key, value in meta.labels_of(pod).items()]
