"""Watching objects: changes of the store as ADDED, MODIFIED and DELETED.

A selector changes what a change is: an object that begins to match is ADDED for this watcher, one
that ceases to is DELETED, although it lives on.

Source: k8s.io/apiserver/pkg/storage/etcd3/watcher.go (transform).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from kubesim.errors import Compacted, Expired
from kubesim.objects.frozen import Document, FrozenDict
from kubesim.objects.meta import labels_of
from kubesim.objects.selectors import FieldSelector, Selector
from kubesim.store import DELETE, KeyValue, Watch, WatchEvent

EventType = Literal["ADDED", "MODIFIED", "DELETED"]


@dataclass(frozen=True, slots=True)
class ResourceEvent:
    """One change of one object.

    Attributes:
        type: ADDED, MODIFIED or DELETED.
        object: the object after it (of DELETED: its last state), frozen, shared.
        previous: the object before it; None if it was created.
        revision: of the change.
    """

    type: EventType
    object: Document
    previous: Document | None
    revision: int


def view_of(kv: KeyValue) -> Document:
    """The object at one revision, with its resourceVersion; made once for each revision.

    The store's revision is the object's resourceVersion. It is not stored inside the object, since
    it is known only after the write; as in the real API server it is put in on reading.
    """
    if kv.view is None:
        value = kv.value
        metadata = {**value["metadata"], "resourceVersion": str(kv.mod_revision)}
        kv.view = FrozenDict({**value, "metadata": FrozenDict(metadata)})
    return kv.view  # type: ignore[no-any-return]


class ResourceWatch:
    """A watch of one kind, narrowed by selectors. One reader at a time."""

    def __init__(
        self,
        watch: Watch,
        labels: Selector,
        fields: FieldSelector,
        resource: str,
    ) -> None:
        self._watch = watch
        self._labels = labels
        self._fields = fields
        self._resource = resource
        self._filtered = not (labels.empty and fields.empty)

    @property
    def resource_version(self) -> int:
        """All matching changes up to this revision were handed out."""
        return self._watch.revision

    def poll(self, limit: int | None = None) -> list[ResourceEvent]:
        """The changes since the last poll, oldest first; [] if there are none.

        Raises:
            Expired: this watch fell behind the kept history; list again, and watch from there.
            WatchClosed: the watch was closed.
        """
        try:
            events = self._watch.poll(limit)
        except Compacted as error:
            raise Expired(
                f"too old resource version: {error.revision} ({error.compact_revision})",
                hint="list again and watch from the resourceVersion of that list",
                kind=self._resource,
            ) from error
        found = (self._transform(event) for event in events)
        return [event for event in found if event is not None]

    def wait(self, timeout_seconds: float) -> bool:
        """Block the calling thread (wall time) until there may be something to poll."""
        return self._watch.wait(timeout_seconds)

    def close(self) -> None:
        """End the watch."""
        self._watch.close()

    def _transform(self, event: WatchEvent) -> ResourceEvent | None:
        after = view_of(event.kv)
        before = view_of(event.previous) if event.previous is not None else None
        matched = before is not None and self._matches(before)
        matches = event.type != DELETE and self._matches(after)
        type_: EventType
        if matches:
            type_ = "MODIFIED" if matched else "ADDED"
        elif matched:
            type_ = "DELETED"
        else:
            return None
        return ResourceEvent(type_, after, before, event.revision)

    def _matches(self, document: Document) -> bool:
        if not self._filtered:
            return True
        return self._labels.matches(labels_of(document)) and self._fields.matches(document)


def open_watch(
    watch: Callable[..., Watch],
    prefix: str,
    since_revision: int | None,
    on_ready: Callable[[], None] | None,
    resource: str,
) -> Watch:
    """A watch of the store, its errors in the API server's words.

    Raises:
        Expired: the revision is compacted.
    """
    try:
        return watch(prefix, since_revision, on_ready=on_ready)
    except Compacted as error:
        raise Expired(
            f"too old resource version: {error.revision} ({error.compact_revision})",
            hint="list again and watch from the resourceVersion of that list",
            kind=resource,
        ) from error
