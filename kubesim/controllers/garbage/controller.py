"""The garbage collector: deletes objects whose owners no longer exist.

An object with ownerReferences is deleted when *no* owner exists any more; while one owner exists,
the references to the others are removed. Owners are compared by uid: a StatefulSet that is deleted
and recreated under the same name does not own the old pods. An owner in another namespace counts as
absent.

Ours keeps background, foreground and orphan deletion for every kind of the registry, also for kinds
that are registered later; circles; and the Event about owners in other namespaces. It leaves out
the cache of absent owners, since reading the store is cheap here. Pods whose node does not exist
are collected by the pod garbage collector (`node.podgc`).

Source: pkg/controller/garbagecollector/garbagecollector.go, graph_builder.go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from kubesim.apiserver import ResourceEvent
from kubesim.apiserver.registry import Kind
from kubesim.apiserver.verbs.propagation import FOREGROUND_FINALIZER, ORPHAN_FINALIZER
from kubesim.client import Controller, Informer, RuleStep, Tools, retry_on_conflict
from kubesim.controllers.garbage.plan import (
    GarbagePlan,
    OwnerState,
    blocks,
    plan,
    waits_in_foreground,
    without_owners,
)
from kubesim.errors import NotFound
from kubesim.objects import meta
from kubesim.objects.frozen import Document
from kubesim.quantity import count_of

if TYPE_CHECKING:
    from kubesim.objects.types import OwnerReferenceDict

IGNORED = ("Event",)  # as upstream: they are many and have no owners
DISCOVERY_SECONDS = 30.0  # how often the registry is read for new kinds
SOURCE = "https://kubernetes.io/docs/concepts/architecture/garbage-collection/"


class GarbageCollector(Controller):
    """Deletes the dependents of deleted objects. Its keys are ``Kind.group/namespace/name``."""

    name = "garbage-collector"

    def __init__(self, tools: Tools, **options: float) -> None:
        super().__init__(tools, **options)
        self._caches: dict[str, Informer[Document]] = {}
        self._known: dict[str, str] = {}  # uid -> key of each existing object
        self._prefixes: dict[str, str] = {}  # kind -> store prefix of its objects
        self._discover_kinds()

    def start(self) -> None:
        """Start an informer for every kind, and the periodic discovery of new kinds."""
        super().start()
        self.worker.every(DISCOVERY_SECONDS, self._start_discovered)

    def _discover_kinds(self) -> list[Informer[Document]]:
        """Return new informers for kinds that are new, or whose storage prefix changed."""
        registered = self.api.registry.kinds()
        kinds = {kind.qualified_kind: kind.prefix for kind in registered if _collectable(kind)}
        new_kinds = [kind for kind, prefix in kinds.items() if self._prefixes.get(kind) != prefix]
        for kind in new_kinds:
            if kind in self._caches:  # redefined under another name
                self.remove_informer(self._caches[kind])
            indexers = {"owners": _owner_uids}
            self._caches[kind] = self.informer(kind, self._object_changed, indexers=indexers)
            self._prefixes[kind] = kinds[kind]
        return [self._caches[kind] for kind in new_kinds]

    def _start_discovered(self) -> None:
        for informer in self._discover_kinds():
            informer.start()

    # -- watch events ---------------------------------------------------------------------------

    def _object_changed(self, event: ResourceEvent[Document]) -> Iterable[str]:
        obj, before = event.object, event.previous
        uid, key = meta.uid_of(obj), _key(obj)
        if event.type == "DELETED":
            yield from self._affected_by_deletion(obj)
            return
        if before is not None and meta.uid_of(before) != uid:
            yield from self._affected_by_deletion(before)  # deleted and recreated in between
            before = None
        self._known[uid] = key
        finalizers = obj["metadata"].get("finalizers") or ()
        waits = FOREGROUND_FINALIZER in finalizers or ORPHAN_FINALIZER in finalizers
        if meta.is_terminating(obj) and waits:
            yield key
            if waits_in_foreground(obj) and not (before and waits_in_foreground(before)):
                yield from (_key(dependent) for dependent in self._dependents(uid))
            return
        owners = meta.owners_of(obj)
        had = meta.owners_of(before) if before is not None else []
        if owners and owners != had:
            yield key
        if had != owners:
            yield from self._waiting_owners(had)

    def _affected_by_deletion(self, obj: Document) -> Iterable[str]:
        """Yield the keys of a deleted object's dependents, and of the owners that waited for it."""
        uid = meta.uid_of(obj)
        self._known.pop(uid, None)
        self.forget_decisions(obj)
        yield from (_key(dependent) for dependent in self._dependents(uid))
        yield from self._waiting_owners(meta.owners_of(obj))

    def _waiting_owners(self, owners: list[OwnerReferenceDict]) -> Iterable[str]:
        for owner in owners:
            key = self._known.get(owner["uid"])
            cached = self._cached(key) if key else None
            if key and cached is not None and waits_in_foreground(cached):
                yield key

    def _cached(self, key: str) -> Document | None:
        kind, _, name = key.partition("/")
        cache = self._caches.get(kind)
        return cache.get(name) if cache is not None else None

    def _dependents(self, uid: str) -> list[Document]:
        return [obj for cache in self._caches.values() for obj in cache.by_index("owners", uid)]

    # -- reconcile ------------------------------------------------------------------------------

    def reconcile(self, key: str) -> None:
        """Delete, strip or finalize the object of this key, by its owners and its own deletion."""
        kind, _, object_key = key.partition("/")
        namespace, name = meta.split_key(object_key)
        obj = self.api.peek(kind, name, namespace)
        if obj is None:
            return
        if meta.is_terminating(obj):
            finalizers = obj["metadata"].get("finalizers") or ()
            if ORPHAN_FINALIZER in finalizers:
                self._orphan_dependents(obj)
            elif FOREGROUND_FINALIZER in finalizers:
                self._wait_for_dependents(obj)
            return
        owners = meta.owners_of(obj)
        states = [(owner["uid"], self._state(owner, obj)) for owner in owners]
        if all(state is OwnerState.SOLID for _, state in states):
            return  # the usual case
        dependents = self._dependents(meta.uid_of(obj))
        decision = plan(
            states,
            obj["metadata"].get("finalizers") or (),
            has_dependents=bool(dependents),
            circular=any(waits_in_foreground(dependent) for dependent in dependents),
        )
        self._execute(key, obj, decision, states)

    def _execute(
        self, key: str, obj: Document, plan: GarbagePlan, states: list[tuple[str, OwnerState]]
    ) -> None:
        if plan.action == "later":
            self.queue.add_after(key, DISCOVERY_SECONDS)
        elif plan.action == "strip":
            self._rewrite(obj, lambda now: _set_owners(now, without_owners(now, plan.strip)))
            self.counts["stripped"] += 1
            self._record(
                obj, "keep {name}: an owner exists; references to the others are removed", states
            )
        elif plan.action == "delete":
            if plan.unblock:
                self._rewrite(obj, _unblock)
                obj = self.api.get(obj["kind"], meta.name_of(obj), meta.namespace_of(obj))
            self.api.delete(
                obj["kind"],
                meta.name_of(obj),
                meta.namespace_of(obj),
                uid=meta.uid_of(obj),
                resource_version=meta.resource_version_of(obj),
                propagation_policy=plan.policy,
            )
            self.counts["collected"] += 1
            names = ", ".join(f"{owner['kind']} {owner['name']}" for owner in meta.owners_of(obj))
            waiting = OwnerState.WAITING in [state for _, state in states]
            reason = f"its owner is gone: {names}"
            if waiting:
                reason = f"its owner waits for its deletion: {names}"
            self._record(obj, f"delete {{name}}: {reason}", states)

    def _state(self, owner: OwnerReferenceDict, dependent: Document) -> OwnerState:
        """Return what an owner reference refers to, read from the store."""
        try:
            kind = self.api.registry.of_object(owner["apiVersion"], owner["kind"])
        except NotFound:
            return OwnerState.UNKNOWN
        if kind.group != _group_of(owner["apiVersion"]):
            return OwnerState.UNKNOWN
        namespace = meta.namespace_of(dependent)
        if kind.namespaced and not namespace:
            return OwnerState.UNKNOWN  # a cluster-scoped object cannot have a namespaced owner
        current = self.api.peek(kind.qualified_kind, owner["name"], namespace)
        if current is None or meta.uid_of(current) != owner["uid"]:
            self._report_other_namespace(owner, dependent, kind)
            return OwnerState.DANGLING
        return OwnerState.WAITING if waits_in_foreground(current) else OwnerState.SOLID

    def _report_other_namespace(
        self, owner: OwnerReferenceDict, dependent: Document, kind: Kind
    ) -> None:
        """Record an Event if an absent owner exists in another namespace."""
        cached = self._cached(self._known.get(owner["uid"], f"{kind.qualified_kind}/"))
        namespace = meta.namespace_of(dependent)
        if cached is None or not kind.namespaced or meta.namespace_of(cached) == namespace:
            return
        message = (
            f"ownerRef [{owner['apiVersion']}/{owner['kind']}, namespace: {namespace}, "
            f"name: {owner['name']}, uid: {owner['uid']}] does not exist in namespace "
            f'"{namespace}"'
        )
        self.recorder.event(dependent, "Warning", "OwnerRefInvalidNamespace", message)

    # -- owners that are deleted ----------------------------------------------------------------

    def _orphan_dependents(self, obj: Document) -> None:
        """Remove the owner references of an object's dependents, then the finalizer orphan."""
        uid = meta.uid_of(obj)
        dependents = self._dependents(uid)
        for dependent in dependents:
            self._rewrite(dependent, lambda now: _set_owners(now, without_owners(now, [uid])))
        self._rewrite(obj, lambda now: _drop_finalizer(now, ORPHAN_FINALIZER))
        self.counts["orphaned"] += len(dependents)
        orphans = count_of(len(dependents), "dependent")
        self._record(obj, f"delete {{name}} and orphan its {orphans}", [])

    def _wait_for_dependents(self, obj: Document) -> None:
        """Remove the finalizer foregroundDeletion once no dependent blocks; queue those that do."""
        uid = meta.uid_of(obj)
        blocking = [one for one in self._dependents(uid) if blocks(one, uid)]
        if not blocking:
            self._rewrite(obj, lambda now: _drop_finalizer(now, FOREGROUND_FINALIZER))
            self._record(obj, "delete {name}: no dependent blocks it any more", [])
            return
        for dependent in blocking:
            if not waits_in_foreground(dependent):
                self.queue.add(_key(dependent))
        names = ", ".join(sorted(f"{one['kind']} {meta.name_of(one)}" for one in blocking))
        self._record(obj, f"{{name}} waits for its dependents: {names}", [], acted=False)

    def _rewrite(self, obj: Document, change: Callable[[Document], None]) -> None:
        """Update the newest state of an object; do nothing if it was deleted or recreated."""

        def attempt() -> None:
            kind = self.api.registry.of_object(obj["apiVersion"], obj["kind"]).qualified_kind
            current = self.api.get(kind, meta.name_of(obj), meta.namespace_of(obj))
            if meta.uid_of(current) == meta.uid_of(obj):
                change(current)
                self.api.update(current)

        try:
            retry_on_conflict(attempt)
        except NotFound:
            self.counts["gone"] += 1

    def _record(
        self,
        obj: Document,
        verdict: str,
        states: list[tuple[str, OwnerState]],
        *,
        acted: bool = True,
    ) -> None:
        """Record a decision.

        Args:
            obj: the object.
            verdict: its verdict; ``{name}`` stands for the object's name.
            states: (uid, state) of its owner references.
            acted: something was written.
        """
        by_uid = {owner["uid"]: f"{owner['kind']} {owner['name']}" for owner in meta.owners_of(obj)}
        verdict = verdict.format(name=meta.name_of(obj))
        change = "its dependents lost their blockOwnerDeletion, or it its finalizer"
        self.decide(
            obj,
            verdict,
            steps=[
                RuleStep("owner", {"owner": by_uid.get(uid, uid), "uid": uid}, state.value, SOURCE)
                for uid, state in states
            ],
            binding=verdict.partition(": ")[2] or verdict,
            would_change_if="an owner of the same uid existed" if states else change,
            signature=verdict,
            acted=acted,
        )


def _collectable(kind: Kind) -> bool:
    return not kind.read_only and kind.compute is None and kind.qualified_kind not in IGNORED


def _key(obj: Document) -> str:
    group = _group_of(obj["apiVersion"])
    kind = f"{obj['kind']}.{group}" if group else obj["kind"]
    return f"{kind}/{meta.key_of(obj)}"


def _group_of(api_version: str) -> str:
    return api_version.rpartition("/")[0]


def _owner_uids(obj: Document) -> Iterable[str]:
    return [owner["uid"] for owner in meta.owners_of(obj)]


def _set_owners(obj: Document, owners: list[OwnerReferenceDict]) -> None:
    obj["metadata"]["ownerReferences"] = owners


def _unblock(obj: Document) -> None:
    for owner in meta.owners_of(obj):
        owner["blockOwnerDeletion"] = False


def _drop_finalizer(obj: Document, finalizer: str) -> None:
    retained = [name for name in obj["metadata"].get("finalizers") or () if name != finalizer]
    obj["metadata"]["finalizers"] = retained
