"""The quota controller: how much of each ResourceQuota is used, in its status.

The API server refuses what goes over a quota (kubesim.apiserver.admission.quotas); this loop only
tells. Real component: pkg/controller/resourcequota, which counts anew every five minutes and
whenever something goes away. Ours counts whenever anything that quotas are usually about comes,
goes or changes, and other kinds that a quota names whenever it is looked at; a cluster without
quotas has no watch for it. Left out: scopeSelector (such a quota counts nothing).
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import Any

from kubesim.apiserver import Kind, ResourceEvent
from kubesim.client import Controller
from kubesim.errors import NotFound
from kubesim.objects import meta
from kubesim.objects.frozen import Document
from kubesim.objects.usage import Usage, added, is_in_scope, text_of, usage_of

COUNTED_KINDS = (  # what the usual quotas are about
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


# -- what it decides -------------------------------------------------------------------------------


def status_of(quota: Document, used: Usage) -> Document:
    """The status of a quota, from what is used of everything.

    >>> quota = {"spec": {"hard": {"pods": "3"}}}
    >>> status_of(quota, {"pods": Fraction(2), "secrets": Fraction(1)})
    {'hard': {'pods': '3'}, 'used': {'pods': '2'}}
    """
    hard = (quota.get("spec") or {}).get("hard") or {}
    shown = {name: text_of(name, used.get(name, Fraction(0))) for name in hard}
    return {"hard": dict(hard), "used": shown}


# -- the controller --------------------------------------------------------------------------------


class ResourceQuotaController(Controller):
    """Keeps the status of every quota."""

    name = "resourcequota-controller"

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._quotas = self.informer(
            "ResourceQuota",
            self._quota_changed,
            indexers={"namespace": lambda quota: [meta.namespace_of(quota)]},
        )
        self._counted = {
            kind: self.informer(
                kind,
                self._counted_changed,
                on_demand=True,
                indexers={"namespace": lambda found: [meta.namespace_of(found)]},
            )
            for kind in COUNTED_KINDS
        }

    # -- what wakes it --------------------------------------------------------------------------

    def _quota_changed(self, event: ResourceEvent) -> Iterable[str]:
        if event.type != "DELETED":
            self.demand()
            yield meta.key_of(event.object)

    def _counted_changed(self, event: ResourceEvent) -> Iterable[str]:
        found, before = event.object, event.previous
        if before is not None and event.type == "MODIFIED":
            if found.get("spec") == before.get("spec") and _phase(found) == _phase(before):
                return  # what a kubelet reports all day uses nothing more
        namespace = meta.namespace_of(event.object)
        for quota in self._quotas.by_index("namespace", namespace):
            yield meta.key_of(quota)

    # -- one pass -------------------------------------------------------------------------------

    def about(self, key: str) -> Document | None:
        """The quota itself."""
        return self._quotas.get(key)

    def reconcile(self, key: str) -> None:
        """Count what is there, and write the status if it says something else."""
        quota = self._quotas.get(key)
        if quota is None:
            return
        status = status_of(quota, self._used(quota))
        if status != quota.get("status"):
            self.api.update_status({**quota, "status": status})
            self.counts["statuses"] += 1

    def _used(self, quota: Document) -> Usage:
        """What is used of everything in the quota's namespace."""
        found = []
        for name, informer in self._counted.items():
            kind = self.api.registry.find(name)
            for document in informer.by_index("namespace", meta.namespace_of(quota)):
                if is_in_scope(quota, kind.plural, document):
                    found.append(usage_of(kind.plural, kind.group, document))
        for kind in self._named(quota):
            documents, _ = self.api.snapshot(kind.kind, meta.namespace_of(quota))
            found += [usage_of(kind.plural, kind.group, document) for document in documents]
        return added(found)

    def _named(self, quota: Document) -> list[Kind]:
        """Further kinds that the quota counts by name: ``count/leases.coordination.k8s.io``."""
        kinds = []
        for name in (quota.get("spec") or {}).get("hard") or {}:
            prefix, _, resource = str(name).partition("/")
            if prefix != "count":
                continue
            try:
                kind = self.api.registry.find(resource)
            except NotFound:
                continue  # a kind that is not there (yet) takes nothing
            if kind.kind not in self._counted and kind.namespaced:
                kinds.append(kind)
        return kinds


def _phase(document: Document) -> Any:
    return (document.get("status") or {}).get("phase")
