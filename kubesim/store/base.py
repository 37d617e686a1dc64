"""The protocols of a store: what every backend does, and the records that it returns.

Kubernetes keeps all state in etcd, a key-value store with one global *revision*: each write takes
the next number, and each key has the revisions of its creation and its last change
(etcdserverpb.KeyValue). A watch is a position in that history.

Source: etcd `api/mvccpb/kv.proto`, https://etcd.io/docs/v3.5/learning/api/.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Literal, NamedTuple, Protocol

from kubesim.objects.frozen import Document
from kubesim.objects.wellknown import METRICS_GROUP
from kubesim.store.administration import Maintained

PUT: Literal["PUT"] = "PUT"
DELETE: Literal["DELETE"] = "DELETE"
SAMPLE_PREFIX = f"/registry/{METRICS_GROUP}/pods/"  # usage samples are under these keys

Sample = tuple[float, float, tuple[tuple[str, int, int], ...]]
"""A usage sample of a pod: (seconds, window_seconds, ((container, cpu_milli, memory_bytes), ...)).

A pod's sample is written a thousand times for each time that it is read, so encoding it at each
write would be the largest cost of the whole simulator. The store keeps the tuple, which is an
immutable snapshot already, and expands it to a document when it is read as one.
"""

SampleWriter = Callable[..., None]
"""Called with (seconds, window_seconds, container, cpu_milli, memory_bytes), and again container,
cpu_milli, memory_bytes for each further container."""


sample_key: Callable[[str, str], str] = (SAMPLE_PREFIX + "{}/{}").format
"""sample_key(namespace, name) -> the key of a pod's usage samples."""


class KeyValue(Protocol):
    """One key at one revision (etcd: mvccpb.KeyValue). Immutable, shared by all readers.

    Attributes:
        key: the key.
        value: the JSON document, frozen.
        create_revision: revision of the write that created the key (since it was last deleted).
        mod_revision: revision of the write that made this value.
        version: number of writes since creation; 1 for the first.
        lease: id of the lease that the key is attached to; 0 for none.
        view: the document that `keep_view` was given; None before.
    """

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
        """The value as compact JSON in UTF-8; encoded once, then kept."""

    @property
    def view(self) -> Document | None:
        """See the class."""

    def keep_view(self, view: Document) -> Document:
        """Keep a document that was derived from the value, and return it.

        The API server keeps the object with its resourceVersion here, so that it is built once and
        not by each reader.
        """


class WatchEvent(NamedTuple):
    """One change of one key: a watch event.

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


class ListResult(NamedTuple):
    """A snapshot of the keys under a prefix.

    Attributes:
        items: the keys in ascending order.
        revision: of the snapshot; a watch from here misses nothing.
        more: True if `limit` cut the list.
    """

    items: Sequence[KeyValue]
    revision: int
    more: bool = False


class TxnResult(NamedTuple):
    """Result of a transaction.

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
    """A position in the history of the keys under a prefix. Readers pull; writers never wait."""

    prefix: str

    def poll(self, limit: int | None = None) -> list[WatchEvent]:
        """Return the changes since the last poll, oldest first, each once; [] if there are none.

        Args:
            limit: about so many at most; a transaction is never split.

        Raises:
            Compacted: this watch fell behind the kept history; the client must list again.
            WatchClosed: the watch was closed.
        """

    def wait(self, timeout_seconds: float) -> bool:
        """Block the calling *thread* (wall time) until there may be something to poll."""

    @property
    def revision(self) -> int:
        """All matching changes up to this revision were returned."""

    def close(self) -> None:
        """End the watch and free its memory; no event is returned afterwards."""


class Store(Protocol):
    """What every backend does; the API server is typed on it.

    Any thread may call any method.
    """

    @property
    def revision(self) -> int:
        """Revision of the newest write; 0 for a store that was never written."""

    @property
    def compact_revision(self) -> int:
        """Changes up to and including this revision are no longer kept."""

    @property
    def maintenance(self) -> Maintained:
        """Sizes in bytes, the quota and its alarm, and how to get space back."""

    # -- reading ---------------------------------------------------------------------------------

    def get(self, key: str, revision: int | None = None) -> KeyValue | None:
        """Return the key now, or at a revision; None if it did not exist.

        Raises:
            Compacted, FutureRevision: that revision cannot be read.
        """

    def list(
        self,
        prefix: str,
        revision: int | None = None,
        *,
        limit: int | None = None,
        start_after: str = "",
        where: str | None = None,
    ) -> ListResult:
        """Return one consistent snapshot of the keys under a prefix, in ascending order of key.

        Args:
            prefix: of the keys; "": all.
            revision: None: now.
            limit: at most so many keys.
            start_after: only keys after this one, for the next page.
            where: only keys whose indexed field (see `trigger`) has this value; now, without limit.

        Raises:
            Compacted, FutureRevision: that revision cannot be read.
        """

    def count(self, prefix: str) -> int:
        """Return the number of keys under a prefix, without reading them (etcd: count_only)."""

    # -- writing ---------------------------------------------------------------------------------

    def set(self, key: str, value: object, *, lease: int = 0) -> int:
        """Write one key whatever its state; return the revision of the write.

        Args:
            key: the key.
            value: a JSON document.
            lease: id of the lease that the key ends with; 0: none.
        """

    def delete(self, key: str) -> int | None:
        """Delete one key; return the revision of the deletion, None if there was no such key."""

    def txn(
        self,
        compare: Sequence[tuple[str, int]],
        puts: Sequence[tuple[str, object]] = (),
        deletes: Sequence[str] = (),
        *,
        lease: int = 0,
    ) -> TxnResult:
        """Write all keys if every (key, mod_revision) still holds (0: must not exist), else none.

        All writes of one transaction share one revision, as in etcd; one that changes nothing takes
        none.

        Args:
            compare: (key, mod_revision) pairs.
            puts: (key, value) pairs to write.
            deletes: keys to delete.
            lease: of the written keys; 0: none.

        Raises:
            TypeError, ValueError: a value is not a JSON document.
            NotFound: there is no such lease.
        """

    # -- watching --------------------------------------------------------------------------------

    def watch(
        self,
        prefix: str,
        since_revision: int | None = None,
        *,
        on_ready: Callable[[], None] | None = None,
        where: str | None = None,
    ) -> Watch:
        """Watch the keys under a prefix.

        Args:
            prefix: of the keys; "": all.
            since_revision: the watch begins with the change after it; None: now.
            on_ready: called, outside every lock and on the writer's thread, when an event arrives
                after a poll that returned none; it may only enqueue.
            where: only changes of keys whose indexed field (see `trigger`) has or had this value.

        Raises:
            Compacted: changes after `since_revision` are no longer all kept.
            FutureRevision: no write has reached that revision.
        """

    def trigger(self, prefix: str, path: str) -> None:
        """Index the keys under a prefix by a field, so that lists and watches may have `where`."""

    # -- leases and history ----------------------------------------------------------------------

    def grant(self, ttl_seconds: float, *, now: float = 0.0) -> int:
        """Return a new lease; its keys are deleted when it expires.

        Args:
            ttl_seconds: after so long it expires unless it is kept alive.
            now: the present simulated second; a store has no clock.
        """

    def keep_alive(self, lease: int, *, now: float = 0.0) -> None:
        """Restart the time to live of a lease.

        Raises:
            NotFound: there is no such lease (any more).
        """

    def revoke(self, lease: int) -> int | None:
        """End a lease and delete its keys; return that revision, None if it had no key.

        Raises:
            NotFound: there is no such lease (any more).
        """

    def expire(self, now: float) -> Sequence[int]:
        """End the leases that have expired by `now`; return their ids."""

    def compact(self, revision: int) -> None:
        """Discard the changes up to and including `revision`.

        Raises:
            Compacted, FutureRevision: it is compacted already, or not reached yet.
        """


class SampleStore(Protocol):
    """Keeps the usage samples of pods.

    Revisions, reads and watches of samples are those of any other key of the store; their history
    is separate, so that samples never displace the history of objects.
    """

    def put_sample(self, key: str, sample: Sample) -> int:
        """Write a sample; return its revision."""

    def sample_writer(self, key: str) -> SampleWriter:
        """Return a function that writes samples of one key and returns no revision."""

    def sample(self, key: str) -> Sample | None:
        """Return the newest sample of a key, or None."""

    def samples_since(
        self, revision: int, limit: int | None = None
    ) -> tuple[Sequence[tuple[int, str, Sample]], bool]:
        """Return the samples after a revision, oldest first.

        Args:
            revision: the reader has seen all samples up to it.
            limit: at most so many; None: all.

        Returns:
            (revision, key, sample) of each, and whether some are no longer kept.
        """

    def sample_keys_since(self, revision: int) -> tuple[AbstractSet[str], int, bool]:
        """Return the keys of samples that were written or deleted after a revision.

        Args:
            revision: the reader has seen all samples up to it.

        Returns:
            The keys, the present revision, and whether some changes are no longer kept.
        """


class Backend(Store, SampleStore, Protocol):
    """A store that keeps usage samples as well."""
