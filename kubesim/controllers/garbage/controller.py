"""The garbage collector: what nobody owns any more goes, too.

An object with ownerReferences is deleted when *no* owner exists any more; one that lives keeps it,
and the references to the others are taken off. The uid counts, not the name: a StatefulSet that is
deleted and made anew under its old name does not own the old pods. An owner in another namespace is
as good as none.

Ours keeps: background, foreground and orphan deletion, for every kind of the registry, also those
that are registered while it runs; circles; the Event about owners in other namespaces. It leaves
out: the cache of absent owners, since a look at the store costs nothing here. Pods whose node is
gone are the pod collector's (podgc.py).

Source: pkg/controller/garbagecollector/garbagecollector.go, graph_builder.go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from kubesim.apiserver import ResourceEvent
from kubesim.apiserver.registry import Kind
from kubesim.apiserver.verbs.propagation import FOREGROUND_FINALIZER, ORPHAN_FINALIZER
from kubesim.client import Controller, Decision, Informer, RuleStep, Tools, retry_on_conflict
from kubesim.controllers.garbage.plan import (
    OwnerState,
    Verdict,
    blocks,
    plan,
    waits_in_foreground,
    without_owners,
)
from kubesim.errors import NotFound
from kubesim.objects import meta
from kubesim.objects.frozen import Document

IGNORED = ("Event",)  # nobody collects them, and there are many; upstream ignores them, too
DISCOVERY_SECONDS = 30.0  # how often it looks for new kinds
SOURCE = "https://kubernetes.io/docs/concepts/architecture/garbage-collection/"


class GarbageCollector(Controller):
    """Deletes the dependents of what is gone. Its keys are ``Kind/namespace/name``."""

    name = "garbage-collector"

    def __init__(self, tools: Tools, **options: float) -> None:
        super().__init__(tools, **options)
        self._caches: dict[str, Informer] = {}
        self._known: dict[str, str] = {}  # uid -> key of what exists
        self._told: dict[str, str] = {}  # key -> the last wait that was recorded
        self._places: dict[str, str] = {}  # kind -> where its objects stand
        self._discover()

    def start(self) -> None:
        """Begin to watch every kind, and to look for new ones."""
        super().start()
        self.worker.every(DISCOVERY_SECONDS, self._discover_and_start)

    def _discover(self) -> list[Informer]:
        """Informers for the kinds that have none yet; those of kinds that moved are exchanged."""
        kinds = {kind.kind: kind.prefix for kind in self.api.registry.kinds() if _collectable(kind)}
        fresh = [kind for kind, prefix in kinds.items() if self._places.get(kind) != prefix]
        for kind in fresh:
            if kind in self._caches:  # defined anew, under another name
                self._caches[kind].stop()
                self._informers.remove(self._caches[kind])
            indexers = {"owners": _owner_uids}
            self._caches[kind] = self.informer(kind, self._keys, indexers=indexers)
            self._places[kind] = kinds[kind]
        return [self._caches[kind] for kind in fresh]

    def _discover_and_start(self) -> None:
        for informer in self._discover():
            informer.start()

    # -- what wakes it --------------------------------------------------------------------------

    def _keys(self, event: ResourceEvent) -> Iterable[str]:
        obj, before = event.object, event.previous
        uid, key = meta.uid_of(obj), _key(obj)
        if event.type == "DELETED":
            yield from self._left_behind(obj)
            return
        if before is not None and meta.uid_of(before) != uid:
            yield from self._left_behind(before)  # made anew under its name before we saw it go
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
            yield from self._owners_that_wait(had)

    def _left_behind(self, obj: Document) -> Iterable[str]:
        """An object is gone: its dependents, and the owners that waited for it."""
        uid = meta.uid_of(obj)
        self._known.pop(uid, None)
        self._told.pop(_key(obj), None)
        yield from (_key(dependent) for dependent in self._dependents(uid))
        yield from self._owners_that_wait(meta.owners_of(obj))

    def _owners_that_wait(self, owners: list[Document]) -> Iterable[str]:
        for owner in owners:
            key = self._known.get(owner["uid"])
            cached = self._cached(key) if key else None
            if key and cached is not None and waits_in_foreground(cached):
                yield key

    def _cached(self, key: str) -> Document | None:
        kind, _, place = key.partition("/")
        cache = self._caches.get(kind)
        return cache.get(place) if cache is not None else None

    def _dependents(self, uid: str) -> list[Document]:
        return [obj for cache in self._caches.values() for obj in cache.by_index("owners", uid)]

    # -- one pass -------------------------------------------------------------------------------

    def reconcile(self, key: str) -> None:
        """Do with the object of this key what its owners, or its own deletion, ask for."""
        kind, _, place = key.partition("/")
        namespace, name = meta.split_key(place)
        obj = self.api.peek(kind, name, namespace)
        if obj is None:
            return
        if meta.is_terminating(obj):
            finalizers = obj["metadata"].get("finalizers") or ()
            if ORPHAN_FINALIZER in finalizers:
                self._orphan(obj)
            elif FOREGROUND_FINALIZER in finalizers:
                self._wait_for_dependents(obj)
            return
        owners = meta.owners_of(obj)
        states = [(owner["uid"], self._state(owner, obj)) for owner in owners]
        if all(state is OwnerState.SOLID for _, state in states):
            return  # as nearly always
        dependents = self._dependents(meta.uid_of(obj))
        verdict = plan(
            states,
            obj["metadata"].get("finalizers") or (),
            has_dependents=bool(dependents),
            circular=any(waits_in_foreground(dependent) for dependent in dependents),
        )
        self._act(key, obj, verdict, states)

    def _act(
        self, key: str, obj: Document, verdict: Verdict, states: list[tuple[str, OwnerState]]
    ) -> None:
        if verdict.action == "later":
            self.queue.add_after(key, DISCOVERY_SECONDS)
        elif verdict.action == "strip":
            self._rewrite(obj, lambda now: _set_owners(now, without_owners(now, verdict.strip)))
            self.counts["stripped"] += 1
            self._remember(obj, "keep {name}: an owner lives; the others are taken off", states)
        elif verdict.action == "delete":
            if verdict.unblock:
                self._rewrite(obj, _unblock)
                obj = self.api.get(obj["kind"], meta.name_of(obj), meta.namespace_of(obj))
            self.api.delete(
                obj["kind"],
                meta.name_of(obj),
                meta.namespace_of(obj),
                uid=meta.uid_of(obj),
                resource_version=meta.resource_version_of(obj),
                propagation_policy=verdict.policy,
            )
            self.counts["collected"] += 1
            names = ", ".join(f"{owner['kind']} {owner['name']}" for owner in meta.owners_of(obj))
            waiting = OwnerState.WAITING in [state for _, state in states]
            why = f"its owner goes after it: {names}" if waiting else f"its owner is gone: {names}"
            self._remember(obj, f"delete {{name}}: {why}", states)

    def _state(self, owner: Document, dependent: Document) -> OwnerState:
        """What one owner reference refers to, by a look at the store."""
        try:
            kind = self.api.registry.find(owner["kind"])
        except NotFound:
            return OwnerState.UNKNOWN
        if kind.group != _group_of(owner["apiVersion"]):
            return OwnerState.UNKNOWN
        namespace = meta.namespace_of(dependent)
        if kind.namespaced and not namespace:
            return OwnerState.UNKNOWN  # what has no namespace can have no owner in one
        found = self.api.peek(kind.kind, owner["name"], namespace)
        if found is None or meta.uid_of(found) != owner["uid"]:
            self._tell_if_elsewhere(owner, dependent, kind)
            return OwnerState.DANGLING
        return OwnerState.WAITING if waits_in_foreground(found) else OwnerState.SOLID

    def _tell_if_elsewhere(self, owner: Document, dependent: Document, kind: Kind) -> None:
        """An owner in another namespace counts as absent; the owner of the object is told so."""
        known = self._cached(self._known.get(owner["uid"], f"{kind.kind}/"))
        namespace = meta.namespace_of(dependent)
        if known is None or not kind.namespaced or meta.namespace_of(known) == namespace:
            return
        said = (
            f"ownerRef [{owner['apiVersion']}/{owner['kind']}, namespace: {namespace}, "
            f"name: {owner['name']}, uid: {owner['uid']}] does not exist in namespace "
            f'"{namespace}"'
        )
        self.recorder.event(dependent, "Warning", "OwnerRefInvalidNamespace", said)

    # -- owners that are deleted ----------------------------------------------------------------

    def _orphan(self, obj: Document) -> None:
        """Take the references to an object off its dependents, then let it go."""
        uid = meta.uid_of(obj)
        dependents = self._dependents(uid)
        for dependent in dependents:
            self._rewrite(dependent, lambda now: _set_owners(now, without_owners(now, [uid])))
        self._rewrite(obj, lambda now: _drop_finalizer(now, ORPHAN_FINALIZER))
        self.counts["orphaned"] += len(dependents)
        self._remember(obj, f"let {{name}} go without its {len(dependents)} dependents", [])

    def _wait_for_dependents(self, obj: Document) -> None:
        """Let an object go once no dependent blocks it; see to those that do."""
        uid, key = meta.uid_of(obj), _key(obj)
        blocking = [one for one in self._dependents(uid) if blocks(one, uid)]
        if not blocking:
            self._rewrite(obj, lambda now: _drop_finalizer(now, FOREGROUND_FINALIZER))
            self._remember(obj, "let {name} go: no dependent is left that blocks it", [])
            return
        for dependent in blocking:
            if not waits_in_foreground(dependent):
                self.queue.add(_key(dependent))
        names = ", ".join(sorted(f"{one['kind']} {meta.name_of(one)}" for one in blocking))
        if self._told.get(key) != names:
            self._told[key] = names
            self._remember(obj, f"{{name}} waits for its dependents: {names}", [])

    def _rewrite(self, obj: Document, change: Callable[[Document], None]) -> None:
        """Change the newest state of this very object; gone or another by now: nothing."""

        def attempt() -> None:
            current = self.api.get(obj["kind"], meta.name_of(obj), meta.namespace_of(obj))
            if meta.uid_of(current) == meta.uid_of(obj):
                change(current)
                self.api.update(current)

        try:
            retry_on_conflict(attempt)
        except NotFound:
            self.counts["gone"] += 1

    def _remember(self, obj: Document, verdict: str, states: list[tuple[str, OwnerState]]) -> None:
        name, namespace = meta.name_of(obj), meta.namespace_of(obj)
        shown = name if namespace in ("", "default") else f"{namespace}/{name}"
        by_uid = {owner["uid"]: f"{owner['kind']} {owner['name']}" for owner in meta.owners_of(obj)}
        steps = tuple(
            RuleStep("owner", {"owner": by_uid.get(uid, uid), "uid": uid}, state.value, SOURCE)
            for uid, state in states
        )
        said = verdict.format(name=name)
        self.decisions.record(
            Decision(
                time=self.clock.now(),
                revision=meta.resource_version_of(obj),
                component=self.name,
                object=f"{obj['kind'].lower()}/{shown}",
                verdict=said,
                steps=steps,
                binding=said.partition(": ")[2] or said,
                would_change_if="an owner of the same uid existed"
                if states
                else "its dependents lost their blockOwnerDeletion, or it its finalizer",
            )
        )


def _collectable(kind: Kind) -> bool:
    return not kind.read_only and kind.compute is None and kind.kind not in IGNORED


def _key(obj: Document) -> str:
    return f"{obj['kind']}/{meta.key_of(obj)}"


def _group_of(api_version: str) -> str:
    return api_version.rpartition("/")[0]


def _owner_uids(obj: Document) -> Iterable[str]:
    return [owner["uid"] for owner in meta.owners_of(obj)]


def _set_owners(obj: Document, owners: list[Document]) -> None:
    obj["metadata"]["ownerReferences"] = owners


def _unblock(obj: Document) -> None:
    for owner in meta.owners_of(obj):
        owner["blockOwnerDeletion"] = False


def _drop_finalizer(obj: Document, finalizer: str) -> None:
    kept = [name for name in obj["metadata"].get("finalizers") or () if name != finalizer]
    obj["metadata"]["finalizers"] = kept
