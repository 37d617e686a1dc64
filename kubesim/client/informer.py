"""Informer: a component's cache of one kind, kept up to date by list and watch.

A component does not poll the API server. The informer lists once, watches from the revision of that
list, caches the objects and calls the component for each change. When the watch has fallen behind
(Expired), or an event was lost for another reason, listing again repairs the cache.

Guaranteed: the events of one object are in order; the cache is at least as new as the event;
`previous` is what the cache held before, so that comparing the two finds every difference, also
after a loss. Not guaranteed: that every intermediate state is seen, or that the cache is as new as
the store. A client that needs the newest state sends the resourceVersion that it read, and gets a
Conflict if there is a newer one.

Source: k8s.io/client-go/tools/cache (shared_informer.go, reflector.go).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, Protocol, TypedDict, Unpack, cast, overload

from kubesim.apiserver import KubeAPI, ResourceEvent
from kubesim.clock.base import Timer, Worker
from kubesim.errors import Expired
from kubesim.objects.frozen import Document
from kubesim.objects.kindnames import D, KindName
from kubesim.objects.meta import key_of, labels_of, resource_version_of
from kubesim.objects.selectors import parse_field_selector, parse_label_selector

Indexer = Callable[[D], Iterable[str]]


class InformerOptions(TypedDict, Generic[D], total=False):
    """Options of an `Informer`."""

    namespace: str | None
    label_selector: str
    field_selector: str
    indexers: Mapping[str, Indexer[D]]
    latency_seconds: float
    resync_seconds: float


class EventSource(Protocol[D]):
    """A watch as the informer uses it, with the type of its objects."""

    def poll(self) -> list[ResourceEvent[D]]:
        """Return the events since the last poll."""

    def close(self) -> None:
        """End the watch."""


class Informer(Generic[D]):
    """A cache of one kind, whose objects have the type `D`.

    It runs on the component's worker, so that it needs no lock.

    Args:
        api: the API server.
        worker: the component's serial lane.
        kind: any name of the kind; one of `kubesim.objects.kindnames` says the type of its objects.
        namespace: None: all namespaces.
        on_event: called for each change; it may only enqueue.
        label_selector, field_selector: cache only these objects.
        indexers: by name, functions that return the values under which `by_index` finds an object.
        latency_seconds: delay of watch events; more than 0 makes a stale cache visible.
        resync_seconds: seconds between two lists, which repair a lost event; 0: list once.
    """

    @overload
    def __init__(
        self,
        api: KubeAPI,
        worker: Worker,
        kind: KindName[D],
        *,
        on_event: Callable[[ResourceEvent[D]], None] | None = None,
        **options: Unpack[InformerOptions[D]],
    ) -> None: ...
    @overload
    def __init__(
        self: Informer[Document],
        api: KubeAPI,
        worker: Worker,
        kind: str,
        *,
        on_event: Callable[[ResourceEvent[Document]], None] | None = None,
        **options: Unpack[InformerOptions[Document]],
    ) -> None: ...
    def __init__(
        self,
        api: KubeAPI,
        worker: Worker,
        kind: KindName[Any] | str,
        *,
        namespace: str | None = None,
        on_event: Callable[[ResourceEvent[Any]], None] | None = None,
        label_selector: str = "",
        field_selector: str = "",
        indexers: Mapping[str, Indexer[Any]] | None = None,
        latency_seconds: float = 0.0,
        resync_seconds: float = 0.0,
    ) -> None:
        self._api = api
        self._worker = worker
        self._kind = cast("KindName[D]", kind)
        self._kind_name = cast(str, kind)
        self._namespace = namespace
        self._on_event = on_event
        self._selectors = {"label_selector": label_selector, "field_selector": field_selector}
        self._labels = parse_label_selector(label_selector)
        self._fields = parse_field_selector(field_selector)
        self._latency = latency_seconds
        self._resync = resync_seconds
        self._objects: dict[str, D] = {}
        self._indexers = dict(indexers or {})
        self._indexes: dict[str, dict[str, dict[str, D]]] = {n: {} for n in self._indexers}
        self._watch: EventSource[D] | None = None
        self._timer: Timer | None = None
        self._draining = False
        self._stopped = False
        self.synced = False
        self.relists = 0

    # -- reading --------------------------------------------------------------------------------

    def get(self, key: str) -> D | None:
        """Return the cached object of a key (``namespace/name``), frozen, or None."""
        return self._objects.get(key)

    def list(self) -> list[D]:
        """Return all cached objects, frozen, in the order in which they were first seen."""
        return list(self._objects.values())

    def by_index(self, index: str, value: str) -> Iterable[D]:
        """Return the cached objects for which an indexer returned a value."""
        return tuple(self._indexes[index].get(value, {}).values())

    def index_values(self, index: str) -> Iterable[str]:
        """Return the values of an index that have at least one object."""
        return tuple(self._indexes[index])

    def __len__(self) -> int:
        return len(self._objects)

    # -- running --------------------------------------------------------------------------------

    def start(self) -> None:
        """List, then watch, on the worker."""
        self._worker.call_soon(self._relist)
        if self._resync > 0:
            self._timer = self._worker.every(self._resync, self._relist)

    def stop(self) -> None:
        """Close the watch."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
        if self._watch is not None:
            self._watch.close()
            self._watch = None

    def _relist(self) -> None:
        """List and watch again; each difference from the cache is passed on as an event."""
        if self._stopped:
            return
        if self._watch is not None:
            self._watch.close()
        fields = self._selectors["field_selector"]
        objects, revision = self._api.snapshot(self._kind, self._namespace, field_selector=fields)
        watch = self._api.watch(
            self._kind_name,
            self._namespace,
            resource_version=revision,
            on_ready=self._wake,
            **self._selectors,
        )
        self._watch = cast("EventSource[D]", watch)
        self.relists += 1
        listed = {key_of(obj): obj for obj in objects if self._matches(obj)}
        for key in [key for key in self._objects if key not in listed]:
            last = self._objects[key]
            self._apply(ResourceEvent("DELETED", last, last, revision))
        for key, obj in listed.items():
            cached = self._objects.get(key)
            version = resource_version_of(obj)
            if cached is None:
                self._apply(ResourceEvent("ADDED", obj, None, version))
            elif version != resource_version_of(cached):
                self._apply(ResourceEvent("MODIFIED", obj, cached, version))
        self.synced = True
        self._wake()

    def _matches(self, obj: D) -> bool:
        return self._labels.matches(labels_of(obj)) and self._fields.matches(obj)

    def _wake(self) -> None:
        """Queue a drain of the watch; writers call it, on any thread."""
        if self._latency > 0:
            self._worker.call_later(self._latency, self._drain)
        else:
            self._worker.call_soon(self._drain)

    def _drain(self) -> None:
        """Apply the events of the watch until none are left; that arms the watch again."""
        while self._watch is not None and not self._stopped:
            try:
                events = self._watch.poll()
            except Expired:
                self._relist()
                return
            if not events:
                return
            for event in events:
                self._apply(event)

    def _apply(self, event: ResourceEvent[D]) -> None:
        key = key_of(event.object)
        cached = self._objects.pop(key, None) if event.type == "DELETED" else self._objects.get(key)
        if self._indexers:
            self._reindex(key, cached, None if event.type == "DELETED" else event.object)
        if event.type != "DELETED":
            self._objects[key] = event.object
        if event.previous is not cached:
            # What the component saw last; it is older if events were lost in between.
            event = event._replace(previous=cached)
        if self._on_event is not None:
            self._on_event(event)

    def _reindex(self, key: str, old: D | None, new: D | None) -> None:
        for name, indexer in self._indexers.items():
            index = self._indexes[name]
            if old is not None:
                for value in indexer(old):
                    bucket = index.get(value, {})
                    bucket.pop(key, None)
                    if not bucket:
                        index.pop(value, None)
            if new is not None:
                for value in indexer(new):
                    index.setdefault(value, {})[key] = new

    def statistics(self) -> Document:
        """Return counts for tests and tables."""
        return {"kind": self._kind_name, "objects": len(self._objects), "relists": self.relists}
