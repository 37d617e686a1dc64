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
ordered, complete and resumable, compaction, leases, snapshots, a quota with its alarm. It leaves
out: Raft, disk, ranges other than prefixes.

Usage samples have a history of their own (`samplelog`): they never displace that of objects.

Source: etcd server/storage/mvcc (kvstore.go, key_index.go, watchable_store.go),
https://etcd.io/docs/v3.5/learning/api_guarantees/.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from kubesim.analytics import Analytics, NullAnalytics
from kubesim.errors import BadRequest, NoSpace
from kubesim.objects.frozen import Document, freeze
from kubesim.store import snapshot as snapshots
from kubesim.store.base import (
    SAMPLE_PREFIX,
    KeyValue,
    ListResult,
    Sample,
    SampleWriter,
    TxnResult,
)
from kubesim.store.keyspace import Keyspace
from kubesim.store.leases import Leases
from kubesim.store.maintenance import Maintenance
from kubesim.store.past import Past
from kubesim.store.quota import QUOTA_BYTES, SpaceQuota
from kubesim.store.samples import SampleJournal
from kubesim.store.watching import ChangeSource, StoreWatch, WatchIndex

HISTORY_LIMIT = 10_000  # changes of objects kept
SAMPLE_HISTORY_LIMIT = 20_000  # samples kept


class EtcdStore:
    """The in-memory store.

    Any thread may call any method. Writers and consistent readers take `_lock`, and settle the
    journal of samples before anything else. `get` of an existing object does not need the lock,
    since a dictionary look-up is atomic and the values never change.

    Args:
        history_limit: number of changes of objects that are kept; older ones are compacted.
        history_bytes: of old versions that are kept; None: 128 MiB, at most a quarter of the quota.
        quota_bytes: a write that exceeds it is refused (see `SpaceQuota`); below 0: no quota.
        sample_prefix: of the keys of usage samples.
        sample_history_limit: number of samples that are kept.
        sample_document: expands a sample to a JSON document when it is read.
        analytics: the lifecycle log.

    Attributes:
        maintenance: sizes, the alarm of the quota, and how to end it.

    Raises:
        BadRequest: a limit below 1.
    """

    def __init__(
        self,
        *,
        history_limit: int = HISTORY_LIMIT,
        history_bytes: int | None = None,
        quota_bytes: int = QUOTA_BYTES,
        sample_prefix: str = SAMPLE_PREFIX,
        sample_history_limit: int = SAMPLE_HISTORY_LIMIT,
        sample_document: Callable[[str, Sample], Document] | None = None,
        analytics: Analytics | None = None,
    ) -> None:
        if history_limit < 1 or sample_history_limit < 1:
            raise BadRequest("the store has to keep at least one change")
        # The only lock, and the last in the lock order: no callback is called while it is held.
        self._lock = threading.Lock()
        # Guarded by _lock (written under it; single look-ups may go without):
        self._quota = SpaceQuota(quota_bytes, history_bytes)
        samples = sample_history_limit, sample_prefix, sample_document
        self._space = Keyspace(history_limit, *samples, self._quota)
        self._past = Past(self._space)
        self.maintenance = Maintenance(self._lock, self._space)
        self._leases = Leases()
        self._watches = WatchIndex(sample_prefix)
        self._source = ChangeSource(self._lock, self._space, self._watches)
        self._journal = SampleJournal(self._lock, self._space, self._watches)
        (analytics or NullAnalytics()).log(
            "EtcdStore", "Initialized", "Initialized in-memory etcd-style store."
        )

    # -- reading --------------------------------------------------------------------------------

    @property
    def revision(self) -> int:
        """Revision of the newest write; 0 for a store that was never written."""
        if self._space.journal:
            self._settle()
        return self._space.revision

    def _settle(self) -> None:
        """Give the samples of the journal their revisions, before something is read."""
        with self._lock:
            self._space.settle()

    @property
    def compact_revision(self) -> int:
        """Changes of objects up to and including this revision are no longer kept."""
        return self._space.objects.compacted

    def get(self, key: str, revision: int | None = None) -> KeyValue | None:
        """Return the key now, or at a revision; None if it did not exist.

        Raises:
            Compacted, FutureRevision: that revision cannot be read.
        """
        if self._space.journal:
            self._settle()
        if revision is None:
            entry = self._space.entries.get(key)
            if entry is not None or not key.startswith(self._space.sample_prefix):
                return entry
            revision = self._space.revision
        with self._lock:
            self._space.settle()
            return self._past.get_at(key, revision)

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
            prefix, revision, limit, start_after, where: as for `Store.list`.

        Raises:
            Compacted, FutureRevision: that revision cannot be read.
        """
        space = self._space
        with self._lock:
            self._space.settle()
            if where is not None:
                return ListResult(tuple(space.present_where(prefix, where)), space.revision)
            if revision is None or revision == space.revision:
                revision = space.revision
                items = space.present(prefix, start_after, None if limit is None else limit + 1)
            else:
                items = self._past.past(prefix, revision, start_after)
        more = limit is not None and len(items) > limit
        return ListResult(tuple(items[:limit]), revision, more)

    def count(self, prefix: str) -> int:
        """Return the number of keys under a prefix, without reading them (etcd: count_only)."""
        with self._lock:
            return self._space.count(prefix)

    # -- writing --------------------------------------------------------------------------------

    def set(self, key: str, value: object, *, lease: int = 0) -> int:
        """Write one key whatever its state; return the revision of the write.

        Raises:
            TypeError, ValueError: the value is not a JSON document.
            NotFound, NoSpace: there is no such lease; the quota is used up.
        """
        frozen = freeze(value)
        with self._lock:
            if self._space.journal:
                self._space.settle()
            revision = self._space.revision + 1
            if revision >= self._quota.next_check:
                self._space.admit([(key, frozen)], revision)
            self._put(key, frozen, revision, lease)
            self._space.commit(revision)
            ready = self._watches.ready_for(key, self._space.concerned(key))
        for notify in ready:
            notify()
        return revision

    def delete(self, key: str) -> int | None:
        """Delete one key; return the revision of the deletion, None if there was no such key."""
        result = self.txn([], deletes=[key])
        return result.revision if result.changed else None

    def txn(
        self,
        compare: Sequence[tuple[str, int]],
        puts: Sequence[tuple[str, object]] = (),
        deletes: Sequence[str] = (),
        *,
        lease: int = 0,
    ) -> TxnResult:
        """Write all keys if every (key, mod_revision) still holds (0: must not exist), else none.

        All writes share one revision, as in etcd; a transaction that changes nothing takes none.

        Args:
            compare, puts, deletes, lease: as for `Store.txn`.

        Raises:
            TypeError, ValueError: a value is not a JSON document.
            NotFound, NoSpace: there is no such lease; the quota is used up (deletions are free).
        """
        frozen = [(key, freeze(value)) for key, value in puts]
        space = self._space
        with self._lock:
            if space.journal:
                space.settle()
            if lease and lease not in self._leases.keys:
                self._leases.check(lease)  # raises, before anything is written
            for key, expected in compare:
                entry = space.entries.get(key) or space.get(key)
                if (entry.mod_revision if entry is not None else 0) != expected:
                    current = tuple(space.get(compared) for compared, _ in compare)
                    return TxnResult(False, space.revision, current)
            revision = space.revision + 1
            if revision >= self._quota.next_check and frozen:
                space.admit(frozen, revision)
            touched = [key for key in deletes if self._remove(key, revision)]
            for key, value in frozen:
                self._put(key, value, revision, lease)
                touched.append(key)
            if touched:
                space.commit(revision)
            result = TxnResult(True, space.revision, changed=len(touched))
            watches, concerned = self._watches, space.concerned
            ready = [n for key in touched for n in watches.ready_for(key, concerned(key))]
        for notify in ready:
            notify()
        return result

    def _put(self, key: str, value: Document, revision: int, lease: int) -> None:
        attached = self._leases.keys
        if lease and lease not in attached:
            self._leases.check(lease)  # raises
        if lease:
            attached[lease].add(key)
        before = self._space.put(key, value, revision, lease)
        if before and before != lease and before in attached:
            attached[before].discard(key)

    def _remove(self, key: str, revision: int) -> bool:
        previous = self._space.remove(key, revision)
        if previous is not None and previous.lease in self._leases.keys:
            self._leases.keys[previous.lease].discard(key)
        return previous is not None

    # -- watching -------------------------------------------------------------------------------

    def trigger(self, prefix: str, path: str) -> None:
        """Index the keys under a prefix by a field, so that lists and watches may have `where`."""
        with self._lock:
            self._space.add_trigger(prefix, path)

    def watch(
        self,
        prefix: str,
        since_revision: int | None = None,
        *,
        on_ready: Callable[[], None] | None = None,
        where: str | None = None,
    ) -> StoreWatch:
        """Watch the keys under a prefix.

        Args:
            prefix, since_revision, on_ready, where: as for `Store.watch`.

        Raises:
            Compacted: changes after `since_revision` are no longer all kept.
            FutureRevision: no write has reached that revision.
        """
        return self._source.open(prefix, since_revision, on_ready, where)

    # -- usage samples --------------------------------------------------------------------------

    def put_sample(self, key: str, sample: Sample) -> int:
        """Write a sample under a key with `sample_prefix`; return the revision."""
        return self._journal.put(key, sample)

    def sample_writer(self, key: str) -> SampleWriter:
        """Return a function that writes samples of one key and returns no revision."""
        return self._journal.writer(key)

    def sample(self, key: str) -> Sample | None:
        """Return the newest sample of a key as a tuple, or None."""
        if self._space.journal:
            self._settle()
        return self._space.samples.newest(key)

    def samples_since(
        self, revision: int, limit: int | None = None
    ) -> tuple[Sequence[tuple[int, str, Sample]], bool]:
        """Return (revision, key, sample) after a revision, and whether some are no longer kept."""
        return self._journal.since(revision, limit)

    def sample_keys_since(self, revision: int) -> tuple[AbstractSet[str], int, bool]:
        """Return the keys written after a revision, the present one, and whether some are lost."""
        return self._journal.keys_since(revision)

    # -- leases and history ---------------------------------------------------------------------

    def compact(self, revision: int) -> None:
        """Discard the changes up to and including `revision`; that state itself stays readable.

        Raises:
            Compacted, FutureRevision: it is compacted already, or not reached yet.
        """
        with self._lock:
            self._space.settle()
            self._space.compact(revision)

    def grant(self, ttl_seconds: float, *, now: float = 0.0) -> int:
        """Return a new lease; its keys are deleted when it expires after `ttl_seconds`."""
        if self._quota.alarm:
            raise NoSpace()
        with self._lock:
            return self._leases.grant(ttl_seconds, now)

    def keep_alive(self, lease: int, *, now: float = 0.0) -> None:
        """Restart the time to live of a lease.

        Raises:
            NotFound: there is no such lease (any more).
        """
        with self._lock:
            self._leases.keep_alive(lease, now)

    def revoke(self, lease: int) -> int | None:
        """End a lease and delete its keys; return that revision, None if it had no key.

        Raises:
            NotFound: there is no such lease (any more).
        """
        with self._lock:
            keys = self._leases.revoke(lease)
        result = self.txn([], deletes=keys)
        return result.revision if result.changed else None

    def expire(self, now: float) -> Sequence[int]:
        """End the leases that have expired by `now`; return their ids."""
        with self._lock:
            expired = self._leases.expired(now)
        for lease in expired:
            self.revoke(lease)
        return expired

    def statistics(self) -> dict[str, int]:
        """Return counts for tests and tables."""
        return {**self.maintenance.counts(), "watches": len(self._watches)}

    def snapshot(self) -> bytes:
        """Return the present state as bytes, for `restore`; history is not part of it."""
        with self._lock:
            self._space.settle()
            return snapshots.dump(self._space.revision, self._space.present(""), self._leases)

    @classmethod
    def restore(cls, data: bytes, **options: Any) -> EtcdStore:
        """Return a store with the state of a snapshot; its history begins there.

        Raises:
            BadRequest: the bytes are not a snapshot, or damaged.
        """
        store = cls(**options)
        revision, entries, store._leases = snapshots.load(data, store._space)
        store._space.load(revision, entries)
        return store
