"""EtcdStore: an in-memory key-value store that behaves like etcd.

Every write takes the next *revision* of the whole store; every key remembers when it was created
and last modified; the newest changes are kept as a history that can be read and watched:

>>> store = EtcdStore()
>>> store.set("/registry/pods/default/web", {"phase": "Pending"})
1
>>> store.set("/registry/pods/default/web", {"phase": "Running"})
2
>>> store.get("/registry/pods/default/web").version         # two writes since creation
2
>>> store.get("/registry/pods/default/web", revision=1).value
{'phase': 'Pending'}
>>> watch = store.watch("/registry/pods/", since_revision=1)
>>> store.delete("/registry/pods/default/web")
3
>>> [(event.type, event.revision) for event in watch.poll()]
[('PUT', 2), ('DELETE', 3)]
>>> store.compact(2)
>>> store.get("/registry/pods/default/web", revision=1)
Traceback (most recent call last):
...
kubesim.errors.Compacted: revision 1 has been compacted; ...

Ours keeps: revisions, old-revision reads, transactions that compare and set, watches that are
ordered, complete and resumable, compaction, leases, snapshots. It leaves out: Raft, disk, ranges
other than prefixes.

A usage sample of a pod is written a thousand times for each time that it is read. `put_sample`
takes it as a plain tuple, gives it a revision like any write, and keeps it in a history of its own
(`samplelog`), so that samples never push the history of objects out; readers see documents as ever.

Source: etcd server/storage/mvcc (kvstore.go, key_index.go, watchable_store.go),
https://etcd.io/docs/v3.5/learning/api_guarantees/.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from kubesim.analytics import Analytics, NullAnalytics
from kubesim.errors import BadRequest
from kubesim.objects.frozen import Document, freeze
from kubesim.objects.wellknown import METRICS_GROUP
from kubesim.store import snapshot as snapshots
from kubesim.store.base import KeyValue, ListResult, Sample, TxnResult, WatchEvent
from kubesim.store.keyspace import Keyspace
from kubesim.store.leases import Leases
from kubesim.store.records import Change, cut
from kubesim.store.samples import SampleStore
from kubesim.store.triggers import Trigger
from kubesim.store.watching import StoreWatch, WatchIndex

# `list` is a method of the store, so annotations in it need other names for the type.
Changes = list[Change]
WatchEvents = list[WatchEvent]
LeaseIds = list[int]

HISTORY_LIMIT = 10_000  # changes of objects kept
SAMPLE_HISTORY_LIMIT = 20_000  # samples kept
SAMPLE_PREFIX = f"/registry/{METRICS_GROUP}/pods/"


class EtcdStore(SampleStore):
    """The store.

    Any thread may call any method. Writers and consistent readers take `_lock`, and settle the
    journal of samples before anything else. `get` of a present object does not need the lock, since
    a dictionary look-up is atomic and entries never change.

    Args:
        history_limit: changes of objects that are kept; older ones are compacted.
        sample_prefix: keys under it are written by `put_sample`.
        sample_history_limit: samples that are kept.
        sample_document: makes the JSON document of a sample when it is read.
        analytics: where the store says that it is there.

    Raises:
        BadRequest: a limit below 1.
    """

    def __init__(
        self,
        *,
        history_limit: int = HISTORY_LIMIT,
        sample_prefix: str = SAMPLE_PREFIX,
        sample_history_limit: int = SAMPLE_HISTORY_LIMIT,
        sample_document: Callable[[str, Sample], Document] | None = None,
        analytics: Analytics | None = None,
    ) -> None:
        if history_limit < 1 or sample_history_limit < 1:
            raise BadRequest("the store has to keep at least one change")
        # The one lock, and the last in the lock order: nothing is called out while it is held.
        self._lock = threading.Lock()
        # Guarded by _lock (written under it; single look-ups may go without):
        self._space = Keyspace(history_limit, sample_history_limit, sample_prefix, sample_document)
        self._leases = Leases()
        self._watches = WatchIndex(sample_prefix)
        (analytics or NullAnalytics()).log(
            "EtcdStore", "Initialized", "Initialized in-memory etcd-style store."
        )

    # -- reading --------------------------------------------------------------------------------

    @property
    def revision(self) -> int:
        """Revision of the newest write; 0 for a store that was never written."""
        if self._space.journal:
            self._place()
        return self._space.revision

    @property
    def compact_revision(self) -> int:
        """Changes of objects up to and including this revision are no longer kept."""
        return self._space.objects.compacted

    def get(self, key: str, revision: int | None = None) -> KeyValue | None:
        """The key now, or as it was at a revision; None if it did not exist.

        Raises:
            Compacted, FutureRevision: that revision cannot be read.
        """
        if self._space.journal:
            self._place()
        if revision is None:
            found = self._space.entries.get(key)
            if found is not None or not key.startswith(self._space.sample_prefix):
                return found
            revision = self._space.revision
        with self._lock:
            self._space.settle()
            return self._space.get_at(key, revision)

    def list(
        self,
        prefix: str,
        revision: int | None = None,
        *,
        limit: int | None = None,
        start_after: str = "",
    ) -> ListResult:
        """One consistent snapshot of the keys under a prefix, in ascending order of key.

        Args:
            prefix: which keys; "" for all.
            revision: as of this revision; None: now.
            limit: at most so many; `more` then says whether there are further ones.
            start_after: only keys after this one, for the next page.

        Raises:
            Compacted, FutureRevision: that revision cannot be read.
        """
        space = self._space
        with self._lock:
            self._space.settle()
            if revision is None or revision == space.revision:
                revision = space.revision
                at_most = None if limit is None else limit + 1
                items = space.present(prefix, start_after, at_most)
            else:
                items = space.past(prefix, revision, start_after)
        if limit is not None and len(items) > limit:
            return ListResult(tuple(items[:limit]), revision, more=True)
        return ListResult(tuple(items), revision)

    # -- writing --------------------------------------------------------------------------------

    def set(self, key: str, value: Any, *, lease: int = 0) -> int:
        """Write one key whatever its state; returns the revision of the write.

        Raises:
            TypeError, ValueError: the value is no JSON document.
            NotFound: no such lease.
        """
        frozen = freeze(value)
        with self._lock:
            self._space.settle()
            revision = self._space.revision + 1
            self._put(key, frozen, revision, lease)
            self._space.revision = revision
            ready = self._watches.ready_for(key, self._space.concerned(key))
        for notify in ready:
            notify()
        return revision

    def delete(self, key: str) -> int | None:
        """Delete one key; the revision of the deletion, or None if there was no such key."""
        result = self.txn([], deletes=[key])
        return result.revision if result.changed else None

    def txn(
        self,
        compare: Sequence[tuple[str, int]],
        puts: Sequence[tuple[str, Any]] = (),
        deletes: Sequence[str] = (),
        *,
        lease: int = 0,
    ) -> TxnResult:
        """Compare-and-set: if every (key, mod_revision) still holds, write all, else nothing.

        A mod_revision of 0 means that the key must not exist. All writes of a transaction share
        one revision, as in etcd; one that changes nothing takes none.

        Raises:
            TypeError, ValueError: a value is no JSON document.
            NotFound: no such lease.
        """
        frozen = [(key, freeze(value)) for key, value in puts]
        space = self._space
        with self._lock:
            self._space.settle()
            if lease:
                self._leases.check(lease)  # before anything is written
            for key, expected in compare:
                entry = space.get(key)
                if (entry.mod_revision if entry is not None else 0) != expected:
                    current = tuple(space.get(compared) for compared, _ in compare)
                    return TxnResult(False, space.revision, current)
            revision = space.revision + 1
            touched = [key for key in deletes if self._remove(key, revision)]
            for key, value in frozen:
                self._put(key, value, revision, lease)
                touched.append(key)
            if touched:
                space.revision = revision
            result = TxnResult(True, space.revision, changed=len(touched))
            watches, concerned = self._watches, space.concerned
            ready = [n for key in touched for n in watches.ready_for(key, concerned(key))]
        for notify in ready:
            notify()
        return result

    def _put(self, key: str, value: Any, revision: int, lease: int) -> None:
        if lease:
            self._leases.attach(lease, key)
        before = self._space.put(key, value, revision, lease)
        if before and before != lease:
            self._leases.detach(before, key)

    def _remove(self, key: str, revision: int) -> bool:
        previous = self._space.remove(key, revision)
        if previous is not None and previous.lease:
            self._leases.detach(previous.lease, key)
        return previous is not None

    # -- watching -------------------------------------------------------------------------------

    def trigger(self, prefix: str, path: str) -> None:
        """Index the changes under a prefix by a field, for watches with `where`; before them."""
        with self._lock:
            self._space.triggers.append(Trigger(prefix, path))

    def watch(
        self,
        prefix: str,
        since_revision: int | None = None,
        *,
        on_ready: Callable[[], None] | None = None,
        where: str | None = None,
    ) -> StoreWatch:
        """Watch the keys under a prefix, from the change after `since_revision` (None: from now).

        With `where`, only the changes that concern this value of the prefix's trigger.

        `on_ready` is called, outside every lock and on the writer's thread, when something arrives
        after a poll that found nothing; it may only enqueue.

        Raises:
            Compacted: changes after `since_revision` are no longer all kept.
            FutureRevision: no write has reached that revision.
        """
        with self._lock:
            self._space.settle()
            start = self._space.revision if since_revision is None else since_revision
            self._space.check_readable(prefix, start)
            watch = StoreWatch(self, prefix, start, on_ready, where)
            # Behind the present there is something to poll already; else the next write wakes it.
            self._watches.add(watch, armed=start == self._space.revision)
        return watch

    def changes_for(self, watch: StoreWatch, limit: int | None) -> WatchEvents:
        """What `StoreWatch.poll` hands out: the matching changes after the watch's position."""
        with self._lock:
            self._space.settle()
            found = self._changes(watch)
            position = self._space.revision
            if limit is not None and len(found) > limit:
                found, position = cut(found, limit)
            watch.advance(position)
            if not found:
                self._watches.arm(watch)
        return [change.event() for change in found]

    def has_changes(self, watch: StoreWatch) -> bool:
        """True if a poll of the watch would find something; else the next write wakes it."""
        with self._lock:
            self._space.settle()
            if self._changes(watch):
                return True
            self._watches.arm(watch)
            return False

    def _changes(self, watch: StoreWatch) -> Changes:
        if watch.where is None:
            return self._space.changes_after(watch.prefix, watch.revision)
        return self._space.changes_where(watch.prefix, watch.revision, watch.where)

    def close_watch(self, watch: StoreWatch) -> None:
        """Forget a watch."""
        with self._lock:
            self._watches.remove(watch)

    # -- keeping house --------------------------------------------------------------------------

    def compact(self, revision: int) -> None:
        """Forget the changes up to and including `revision`; that state itself stays readable.

        Raises:
            Compacted, FutureRevision: it is compacted already, or not reached yet.
        """
        with self._lock:
            self._space.settle()
            self._space.compact(revision)

    def grant(self, ttl_seconds: float, *, now: float = 0.0) -> int:
        """A new lease that lasts `ttl_seconds` unless it is kept alive; its keys go with it."""
        with self._lock:
            return self._leases.grant(ttl_seconds, now)

    def keep_alive(self, lease: int, *, now: float = 0.0) -> None:
        """Start the lease's time anew.

        Raises:
            NotFound: no such lease (any more).
        """
        with self._lock:
            self._leases.keep_alive(lease, now)

    def revoke(self, lease: int) -> int | None:
        """End a lease and delete its keys, in one revision; None if it held no key.

        Raises:
            NotFound: no such lease (any more).
        """
        with self._lock:
            keys = self._leases.revoke(lease)
        result = self.txn([], deletes=keys)
        return result.revision if result.changed else None

    def expire(self, now: float) -> LeaseIds:
        """End the leases whose time is over; returns their ids."""
        with self._lock:
            over = self._leases.over(now)
        for lease in over:
            self.revoke(lease)
        return over

    def statistics(self) -> dict[str, int]:
        """Counts for tests and tables."""
        with self._lock:
            self._space.settle()
            return {
                "revision": self._space.revision,
                "keys": len(self._space.keys) + len(self._space.samples.latest),
                "changes": len(self._space.objects),
                "samples": len(self._space.samples),
                "watches": len(self._watches),
                "compact_revision": self._space.objects.compacted,
            }

    def snapshot(self) -> bytes:
        """The whole present state as bytes, for `restore`; history is not part of it."""
        with self._lock:
            self._space.settle()
            return snapshots.dump(self._space.revision, self._space.present(""), self._leases)

    @classmethod
    def restore(cls, data: bytes, **options: Any) -> EtcdStore:
        """A store with the state of a snapshot; its history begins there.

        Args:
            data: what `snapshot` returned.
            options: as for a new store.

        Raises:
            BadRequest: the bytes are no snapshot, or damaged.
        """
        store = cls(**options)
        revision, entries, store._leases = snapshots.load(data, store._space)
        store._space.load(revision, entries)
        return store
