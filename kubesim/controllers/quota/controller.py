"""The resource quota controller: writes into each ResourceQuota's status how much of it is used.

The API server refuses requests that exceed a quota (kubesim.apiserver.admission.quotas); this
controller only reports the usage. Upstream recalculates every five minutes and whenever an object
is deleted. Ours recalculates whenever an object of a commonly counted kind is added, changed or
deleted; other kinds that a quota names are counted at each recalculation. A cluster without quotas
starts no watch for it.

Ours leaves out scopeSelector (a quota that has one counts nothing).

Source: pkg/controller/resourcequota/resource_quota_controller.go.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from kubesim.apiserver import Kind, ResourceEvent
from kubesim.client import Controller, Tools
from kubesim.controllers.quota.plan import object_count_resources, status_of
from kubesim.errors import NotFound
from kubesim.objects import meta
from kubesim.objects.frozen import Document, ReadOnlyDocument
from kubesim.objects.kindnames import RESOURCE_QUOTA
from kubesim.objects.usage import Usage, added, is_in_scope, usage_of

if TYPE_CHECKING:
    from kubesim.objects.types import ResourceQuotaDict

COUNTED_KINDS = (  # the kinds that quotas usually limit
    "Pod",
    "Service",
    "ConfigMap",
    "Secret",
    "PersistentVolumeClaim",
    "Deployment",
    "ReplicaSet",
    "StatefulSet",
    "Job",
)


class ResourceQuotaController(Controller):
    """Keeps the status of every ResourceQuota up to date."""

    name = "resourcequota-controller"

    def __init__(self, tools: Tools, **options: float) -> None:
        super().__init__(tools, **options)
        self._quotas = self.informer(
            RESOURCE_QUOTA,
            self._quota_changed,
            indexers={"namespace": lambda quota: [meta.namespace_of(quota)]},
        )
        self._counted = {
            kind: self.informer(
                kind,
                self._counted_object_changed,
                on_demand=True,
                indexers={"namespace": lambda obj: [meta.namespace_of(obj)]},
            )
            for kind in COUNTED_KINDS
        }

    # -- watch events ---------------------------------------------------------------------------

    def _quota_changed(self, event: ResourceEvent[ResourceQuotaDict]) -> Iterable[str]:
        if event.type != "DELETED":
            self.demand()
            yield meta.key_of(event.object)

    def _counted_object_changed(self, event: ResourceEvent[Document]) -> Iterable[str]:
        obj, before = event.object, event.previous
        if before is not None and event.type == "MODIFIED":
            if obj.get("spec") == before.get("spec") and _phase(obj) == _phase(before):
                return  # a kubelet's status updates change no usage
        for quota in self._quotas.by_index("namespace", meta.namespace_of(obj)):
            yield meta.key_of(quota)

    # -- reconcile ------------------------------------------------------------------------------

    def about(self, key: str) -> ResourceQuotaDict | None:
        """Return the quota itself."""
        return self._quotas.get(key)

    def reconcile(self, key: str) -> None:
        """Recalculate the usage, and write the status if it changed."""
        quota = self._quotas.get(key)
        if quota is None:
            return
        status = status_of(quota, self._usage(quota))
        if status != quota.get("status"):
            self.api.update_status({**quota, "status": status})
            self.counts["statuses"] += 1

    def _usage(self, quota: ResourceQuotaDict) -> Usage:
        """Return the usage of every resource in the quota's namespace."""
        usages = []
        for name, informer in self._counted.items():
            kind = self.api.registry.find(name)
            for document in informer.by_index("namespace", meta.namespace_of(quota)):
                if is_in_scope(quota, kind.plural, document):
                    usages.append(usage_of(kind.plural, kind.group, document))
        for kind in self._further_kinds(quota):
            documents, _ = self.api.snapshot(kind.qualified_kind, meta.namespace_of(quota))
            usages += [usage_of(kind.plural, kind.group, document) for document in documents]
        return added(usages)

    def _further_kinds(self, quota: ResourceQuotaDict) -> list[Kind]:
        """Return the kinds that the quota counts by name and for which there is no informer."""
        kinds = []
        for resource in object_count_resources(quota):
            try:
                kind = self.api.registry.find(resource)
            except NotFound:
                continue  # a kind that is not registered (yet) has no objects
            if kind.kind not in self._counted and kind.namespaced:
                kinds.append(kind)
        return kinds


def _phase(document: ReadOnlyDocument) -> object:
    return (document.get("status") or {}).get("phase")
