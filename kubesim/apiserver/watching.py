"""Watches of objects: changes of the store as ADDED, MODIFIED and DELETED events.

With a selector, an object that begins to match is sent as ADDED, and one that no longer matches as
DELETED, although it still exists.

Source: k8s.io/apiserver/pkg/storage/etcd3/watcher.go (transform).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Generic, Literal, NamedTuple

from kubesim.apiserver.core import at_revision, view_of
from kubesim.errors import Cause, Compacted, Expired, FutureRevision, Timeout
from kubesim.objects.frozen import Document, freeze
from kubesim.objects.kindnames import D
from kubesim.objects.meta import labels_of, resource_version_of
from kubesim.objects.selectors import FieldSelector, Selector
from kubesim.objects.wellknown import INITIAL_EVENTS_END
from kubesim.store import DELETE, Watch, WatchEvent

if TYPE_CHECKING:
    from kubesim.apiserver.registry import Kind

EventType = Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK"]


class ResourceEvent(NamedTuple, Generic[D]):
    """One watch event.

    Attributes:
        type: ADDED, MODIFIED or DELETED; or BOOKMARK, on request: all changes up to its
            resourceVersion were sent.
        object: the object after the change; of DELETED: its last state (that matched), with the
            resourceVersion of the deletion. Frozen, shared.
        previous: the object before the change; None if it was created.
        revision: of the change.
    """

    type: EventType
    object: D
    previous: D | None
    revision: int


class ResourceWatch:
    """A watch of one kind, narrowed by selectors. One reader at a time.

    Args:
        watch: the position in the store's history.
        labels, fields: which objects.
        kind: of the objects.
        initial: objects that are sent first, as ADDED.
    """

    def __init__(
        self,
        watch: Watch,
        labels: Selector,
        fields: FieldSelector,
        kind: Kind,
        initial: Sequence[Document] = (),
    ) -> None:
        self._watch = watch
        self._labels = labels
        self._fields = fields
        self._kind = kind
        self._filtered = not (labels.empty and fields.empty)
        self._initial = [
            ResourceEvent("ADDED", document, None, resource_version_of(document))
            for document in initial
            if self._matches(document)
        ]

    def mark_initial(self) -> None:
        """Send a BOOKMARK after the initial objects, annotated as their end."""
        self._initial.append(self.bookmark({INITIAL_EVENTS_END: "true"}))

    def bookmark(self, annotations: Document | None = None) -> ResourceEvent[Document]:
        """Return a BOOKMARK: all changes up to this watch's revision were returned."""
        revision = self._watch.revision
        metadata: Document = {"resourceVersion": str(revision)}
        if annotations:
            metadata["annotations"] = annotations
        document = {
            "kind": self._kind.kind,
            "apiVersion": self._kind.api_version,
            "metadata": metadata,
        }
        return ResourceEvent("BOOKMARK", freeze(document), None, revision)

    @property
    def resource_version(self) -> int:
        """All matching changes up to this revision were returned."""
        return self._watch.revision

    def poll(self, limit: int | None = None) -> list[ResourceEvent[Document]]:
        """Return the events since the last poll, oldest first; [] if there are none.

        Args:
            limit: about so many at most; None: all.

        Raises:
            Expired: this watch fell behind the kept history; list again, and watch from there.
            WatchClosed: the watch was closed.
        """
        if self._initial:
            first, self._initial = (
                self._initial[:limit],
                self._initial[len(self._initial[:limit]) :],
            )
            return first
        while True:
            try:
                events = self._watch.poll(limit)
            except Compacted as error:
                raise too_old(error, self._kind.resource) from error
            matching = [e for e in map(self._transform, events) if e is not None]
            # The store arms the watch for the next write only if its poll returned no change at
            # all, so changes that the selectors filter out are polled until there are none.
            if matching or not events:
                return matching

    def wait(self, timeout_seconds: float) -> bool:
        """Block the calling thread (wall time) until there may be something to poll."""
        return bool(self._initial) or self._watch.wait(timeout_seconds)

    def close(self) -> None:
        """End the watch."""
        self._initial = []
        self._watch.close()

    def _transform(self, event: WatchEvent) -> ResourceEvent[Document] | None:
        after = view_of(event.kv)
        before = view_of(event.previous) if event.previous is not None else None
        matched = before is not None and self._matches(before)
        matches = event.type != DELETE and self._matches(after)
        if matches:
            type_: EventType = "MODIFIED" if matched else "ADDED"
            return ResourceEvent(type_, after, before, event.revision)
        if not matched or event.previous is None:
            return None
        # The client gets the last state that matched, with the revision of the change.
        last = after if event.type == DELETE else at_revision(event.previous.value, event.revision)
        return ResourceEvent("DELETED", last, before, event.revision)

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
    where: str | None = None,
) -> Watch:
    """Open a watch of the store; raise its errors with the API server's messages.

    Args:
        watch: `Store.watch`.
        prefix, since_revision, on_ready, where: as of `Store.watch`.
        resource: name of the kind, for messages.

    Raises:
        Expired: the revision is compacted.
        Timeout: no write has reached the revision yet.
    """
    try:
        return watch(prefix, since_revision, on_ready=on_ready, where=where)
    except Compacted as error:
        raise too_old(error, resource) from error
    except FutureRevision as error:
        raise too_large(error, resource) from error


def too_old(error: Compacted, resource: str) -> Expired:
    """Return the error for a client that must list again."""
    return Expired(
        f"too old resource version: {error.revision} ({error.compact_revision})",
        hint="list again and watch from the resourceVersion of that list",
        kind=resource,
    )


def too_large(error: FutureRevision, resource: str) -> Timeout:
    """Return the error for a revision that the store has not reached."""
    return Timeout(
        f"Too large resource version: {error.revision}, current: {error.current}",
        kind=resource,
        causes=[Cause("", "ResourceVersionTooLarge", "Too large resource version")],
        retry_after_seconds=1,
    )
