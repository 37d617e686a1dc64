"""What a store is: the protocol that every backend keeps, and the records that it hands out.

Kubernetes keeps all state in etcd, a key-value store with one global *revision*: each write takes
the next number, and each key remembers at which revision it was created and last modified
(etcdserverpb.KeyValue). A watch is a position in that history.

Source: etcd `api/mvccpb/kv.proto`, https://etcd.io/docs/v3.5/learning/api/.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

PUT: Literal["PUT"] = "PUT"
DELETE: Literal["DELETE"] = "DELETE"


Sample = tuple[Any, ...]
"""A usage sample as the kubelet writes it: a plain tuple of atoms (see `EtcdStore.put_sample`).

A pod's sample is written a thousand times for each time that it is read, so encoding it at each
write would be the largest cost of the whole simulator. The store keeps the tuple, which is an
immutable snapshot already, and makes a document of it when somebody reads it.
"""


class KeyValue(Protocol):
    """One key at one revision (etcd: mvccpb.KeyValue). Immutable, shared by all readers.

    Attributes:
        key: the key.
        value: the JSON document, frozen.
        create_revision: revision of the write that created the key (since it was last deleted).
        mod_revision: revision of the write that made this value.
        version: number of writes since creation; 1 for the first.
        lease: id of the lease that the key hangs on; 0 for none.
        view: a form derived from the value; the API server keeps the object with its
            resourceVersion here, so that it is made once and not by each reader.
    """

    view: Any

    @property
    def key(self) -> str:
        """See the class."""

    @property
    def value(self) -> Any:
        """See the class."""

    @property
    def create_revision(self) -> int:
        """See the class."""

    @property
    def mod_revision(self) -> int:
        """See the class."""

    @property
    def version(self) -> int:
        """See the class."""

    @property
    def lease(self) -> int:
        """See the class."""

    @property
    def encoded(self) -> bytes:
        """The value as compact JSON in UTF-8; computed once, then kept."""


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """One change of one key, as a watcher sees it.

    Attributes:
        type: "PUT" or "DELETE".
        kv: the key after the change; of a DELETE: the last value, with mod_revision = the
            revision of the deletion.
        previous: the key before the change; None if it was created.
    """

    type: Literal["PUT", "DELETE"]
    kv: KeyValue
    previous: KeyValue | None

    @property
    def revision(self) -> int:
        """The revision of this change."""
        return self.kv.mod_revision


@dataclass(frozen=True, slots=True)
class ListResult:
    """A snapshot of the keys under a prefix.

    Attributes:
        items: the keys in ascending order.
        revision: the store's revision of the snapshot; watch from here to miss nothing.
        more: True if `limit` cut the list.
    """

    items: Sequence[KeyValue]
    revision: int
    more: bool = False


@dataclass(frozen=True, slots=True)
class TxnResult:
    """Outcome of a transaction.

    Attributes:
        succeeded: True if every comparison held and the writes were made.
        revision: the store's revision afterwards.
        current: if it failed, the present state of the compared keys, in order.
        changed: number of keys written or deleted.
    """

    succeeded: bool
    revision: int
    current: Sequence[KeyValue | None] = ()
    changed: int = 0


class Watch(Protocol):
    """A position in the history of the keys under a prefix. Readers pull, writers never wait."""

    prefix: str

    def poll(self, limit: int | None = None) -> list[WatchEvent]:
        """The changes since the last poll, oldest first, each once; [] if there are none.

        Raises:
            Compacted: this watcher fell behind the kept history and must list again.
            WatchClosed: the watch was closed.
        """

    def wait(self, timeout_seconds: float) -> bool:
        """Block the calling *thread* (wall time) until there may be something to poll."""

    @property
    def revision(self) -> int:
        """All matching changes up to this revision were handed out."""

    def close(self) -> None:
        """End the watch and free what it holds; no event is handed out afterwards."""


class Store(Protocol):
    """The protocol of every backend."""

    @property
    def revision(self) -> int:
        """Revision of the newest write; 0 for a store that was never written."""

    @property
    def compact_revision(self) -> int:
        """Changes up to and including this revision are no longer kept."""

    def set(self, key: str, value: Any, *, lease: int = 0) -> int:
        """Write one key whatever its state; returns the revision of the write."""

    def get(self, key: str, revision: int | None = None) -> KeyValue | None:
        """The key now, or as it was at a revision; None if it did not exist.

        Raises:
            Compacted, FutureRevision: that revision cannot be read.
        """

    def delete(self, key: str) -> int | None:
        """Delete one key; the revision of the deletion, or None if there was no such key."""

    def list(
        self,
        prefix: str,
        revision: int | None = None,
        *,
        limit: int | None = None,
        start_after: str = "",
    ) -> ListResult:
        """One consistent snapshot of the keys under a prefix, in ascending order of key."""

    def txn(
        self,
        compare: Sequence[tuple[str, int]],
        puts: Sequence[tuple[str, Any]] = (),
        deletes: Sequence[str] = (),
        *,
        lease: int = 0,
    ) -> TxnResult:
        """If every (key, mod_revision) still holds (0: must not exist), write all.

        All writes of one transaction share one revision, as in etcd.
        """

    def watch(
        self,
        prefix: str,
        since_revision: int | None = None,
        *,
        on_ready: Callable[[], None] | None = None,
        where: str | None = None,
    ) -> Watch:
        """Watch the keys under a prefix, from the change after `since_revision` (None: from now).

        With `where`, only changes that concern this value of the field that `trigger` indexed.

        `on_ready` is called, outside every lock and on the writer's thread, when events arrive
        after a poll found none; it may only enqueue.

        Raises:
            Compacted: changes after `since_revision` are no longer all kept.
            FutureRevision: no write has reached that revision.
        """

    def trigger(self, prefix: str, path: str) -> None:
        """Index the changes under a prefix by a field, for watches with `where`; before them."""

    def grant(self, ttl_seconds: float, *, now: float = 0.0) -> int:
        """A new lease that lasts `ttl_seconds` unless it is kept alive; its keys go with it."""

    def compact(self, revision: int) -> None:
        """Forget the changes up to and including `revision`."""
