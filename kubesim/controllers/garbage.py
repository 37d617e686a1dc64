"""The garbage collector: what nobody owns any more goes, too.

An object with ownerReferences is deleted when *no* owner exists any more. The uid counts, not the
name: a StatefulSet that is deleted and made anew under its old name does not own the old pods.

Ours keeps background propagation, for all kinds with owners, and the pod collector's rule that pods
of a node that is gone are removed. It leaves out: foreground and orphan propagation, the
quarantine of 40 s.

Source: pkg/controller/garbagecollector/garbagecollector.go, pkg/controller/podgc/gc_controller.go.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kubesim.apiserver import ResourceEvent
from kubesim.client import Controller, Decision, Step
from kubesim.errors import NotFound
from kubesim.objects import meta
from kubesim.objects.frozen import Document
from kubesim.objects.pods import node_of

NEVER_OWNED = ("Event", "PodMetrics", "NodeMetrics", "Namespace", "Node", "Lease")
SOURCE = "https://kubernetes.io/docs/concepts/architecture/garbage-collection/"


class GarbageCollector(Controller):
    """Deletes the dependents of what is gone. Its keys are ``Kind/namespace/name``."""

    name = "garbage-collector"

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        kinds = [kind for kind in self.api.registry.kinds() if kind.kind not in NEVER_OWNED]
        self._caches = {
            kind.kind: self.informer(kind.kind, self._keys, indexers={"owners": _owner_uids})
            for kind in kinds
        }
        self._nodes = self.informer("Node", self._pods_of_node)

    def _keys(self, event: ResourceEvent) -> Iterable[str]:
        if event.type == "DELETED":
            uid = meta.uid_of(event.object)
            for kind, cache in self._caches.items():
                for dependent in cache.by_index("owners", uid):
                    yield f"{kind}/{meta.key_of(dependent)}"
        elif event.type == "ADDED" and meta.owners_of(event.object):
            yield f"{event.object['kind']}/{meta.key_of(event.object)}"

    def _pods_of_node(self, event: ResourceEvent) -> Iterable[str]:
        if event.type == "DELETED":
            for pod in self._caches["Pod"].list():
                if node_of(pod) == meta.name_of(event.object):
                    yield f"Pod/{meta.key_of(pod)}"

    def reconcile(self, key: str) -> None:
        """Delete the object of this key if nobody owns it any more, or if its node is gone."""
        kind, _, place = key.partition("/")
        obj = self._caches[kind].get(place)
        if obj is None:
            return
        owners = meta.owners_of(obj)
        if owners and not any(self._exists(owner, obj) for owner in owners):
            names = ", ".join(f"{owner['kind']} {owner['name']}" for owner in owners)
            if not meta.is_terminating(obj):
                self._collect(kind, obj, f"its owner is gone: {names}", None)
        elif kind == "Pod" and node_of(obj) and self.api.peek("Node", node_of(obj)) is None:
            self._collect(kind, obj, f"its node is gone: {node_of(obj)}", 0)

    def _exists(self, owner: Document, dependent: Document) -> bool:
        try:
            found = self.api.peek(owner["kind"], owner["name"], meta.namespace_of(dependent))
        except NotFound:
            return False  # no such kind
        return found is not None and meta.uid_of(found) == owner["uid"]

    def _collect(self, kind: str, obj: Document, why: str, grace: int | None) -> None:
        name, namespace = meta.name_of(obj), meta.namespace_of(obj)
        self.api.delete(kind, name, namespace, uid=meta.uid_of(obj), grace_period_seconds=grace)
        self.counts["collected"] += 1
        shown = name if namespace in ("", "default") else f"{namespace}/{name}"
        self.decisions.record(
            Decision(
                time=self.clock.now(),
                revision=meta.resource_version_of(obj),
                component=self.name,
                object=f"{kind.lower()}/{shown}",
                verdict=f"delete {name}: {why}",
                steps=(Step("owners", {"owners": len(meta.owners_of(obj))}, why, SOURCE),),
                binding=why,
                would_change_if="an owner of the same uid existed",
            )
        )


def _owner_uids(obj: Document) -> Iterable[str]:
    return [owner["uid"] for owner in meta.owners_of(obj)]
