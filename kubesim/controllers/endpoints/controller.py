"""The Endpoints controller: one Endpoints object for each Service with a selector.

Ours keeps subsets, ready and not ready addresses, the capacity of a thousand addresses, labels, and
the deletion of Endpoints with their Service. It leaves out the annotation with the last change's
trigger time. It also creates the Service `kubernetes` again when somebody has deleted it, which a
controller inside kube-apiserver does in a real cluster.

Source: pkg/controller/endpoint/endpoints_controller.go,
pkg/controlplane/controller/kubernetesservice/controller.go.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from kubesim.apiserver import ResourceEvent
from kubesim.apiserver.kinds.services import kubernetes_service
from kubesim.client import Controller, Tools
from kubesim.controllers.endpoints.plan import MANAGED_BY, MANAGER, endpoints_of
from kubesim.controllers.endpoints.types import ENDPOINTS
from kubesim.controllers.shared.pod_events import affected_labels
from kubesim.controllers.shared.service_pods import (
    endpoint_state,
    has_endpoints,
    label_pairs,
    selects,
)
from kubesim.errors import AlreadyExists, Conflict, NotFound, StatusError
from kubesim.objects import meta
from kubesim.objects.kindnames import POD, SERVICE

if TYPE_CHECKING:
    from kubesim.controllers.endpoints.types import EndpointsDict
    from kubesim.objects.types import PodDict, ServiceDict


KUBERNETES = "default/kubernetes"
RESTORE_SECONDS = 10.0  # DefaultEndpointReconcilerInterval


class EndpointsController(Controller):
    """Reconciles the Endpoints of Services; its keys are those of the Services.

    Args:
        options: of the base class.
    """

    name = "endpoint-controller"
    max_retries = 15

    def __init__(self, tools: Tools, **options: float) -> None:
        super().__init__(tools, **options)
        self._services = self.informer(
            SERVICE,
            self._service_changed,
            indexers={"namespace": lambda service: [meta.namespace_of(service)]},
        )
        self._endpoints = self.informer(ENDPOINTS, self._endpoints_changed, on_demand=True)
        self._pods = self.informer(
            POD, self._pod_changed, on_demand=True, indexers={"label": label_pairs}
        )

    # -- watch events ---------------------------------------------------------------------------

    def _service_changed(self, event: ResourceEvent[ServiceDict]) -> Iterable[str]:
        key = meta.key_of(event.object)
        if has_endpoints(event.object):
            self.demand()
        if event.type == "DELETED" and key == KUBERNETES:
            self.queue.add_after(key, RESTORE_SECONDS)
        else:
            yield key

    def _endpoints_changed(self, event: ResourceEvent[EndpointsDict]) -> Iterable[str]:
        """Queue what somebody deleted, and at the start what may have lost its Service."""
        left_over = (
            event.type == "ADDED" and meta.labels_of(event.object).get(MANAGED_BY) == MANAGER
        )
        if event.type == "DELETED" or left_over:
            yield meta.key_of(event.object)

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
        """Write or delete the Endpoints of one Service."""
        if key == KUBERNETES:
            self._restore()
            return
        namespace, name = meta.split_key(key)
        service = self._services.get(key)
        if service is None:
            self._delete(name, namespace)
            return
        if not has_endpoints(service):
            return  # written by hand, or there are none
        current = self.api.peek(ENDPOINTS, name, namespace)
        desired = endpoints_of(service, self._pods_of(service), current)
        if desired is None:
            return
        try:
            if current is None:
                self.api.create(desired)
                self.counts["created"] += 1
            else:
                self.api.update(desired)
                self.counts["updated"] += 1
        except (Conflict, NotFound, AlreadyExists):
            raise
        except StatusError as error:
            if any(cause.reason == "NamespaceTerminating" for cause in error.causes):
                return  # no retry can succeed
            verb = "create" if current is None else "update"
            about = f"endpoint for service {key}" if current is None else f"endpoint {key}"
            message = f"Failed to {verb} {about}: {error.message}"
            self.recorder.event(desired, "Warning", f"FailedTo{verb.title()}Endpoint", message)
            raise

    def _restore(self) -> None:
        """Create the Service of the API server and its endpoints where they are missing."""
        for document in kubernetes_service():
            name, namespace = document["metadata"]["name"], document["metadata"]["namespace"]
            if self.api.peek(document["kind"], name, namespace) is None:
                self.api.create(document)

    def _delete(self, name: str, namespace: str | None) -> None:
        try:
            self.api.delete("Endpoints", name, namespace)
        except NotFound:
            return
        self.counts["deleted"] += 1

    def _pods_of(self, service: ServiceDict) -> list[PodDict]:
        namespace = meta.namespace_of(service)
        key, value = next(iter(sorted(service["spec"]["selector"].items())))
        pods = self._pods.by_index("label", f"{namespace}/{key}={value}")
        return [pod for pod in pods if selects(service, meta.labels_of(pod))]
