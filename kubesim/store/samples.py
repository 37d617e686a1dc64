"""Writing usage samples: the hottest path of the simulator.

A writer appends to a journal, in one atomic step and without the lock; the samples of the journal
get their revisions before anything else is read or written (`Keyspace.settle`). This is group
commit: etcd, too, batches writes to the disk and numbers them in their order.

Source: etcd server/storage/backend (batch_tx.go); the role of the metrics-server's point store
(pkg/storage/pod.go), which is a part of our store.
"""

from __future__ import annotations

from threading import Lock

from kubesim.store.base import Sample, SampleWriter
from kubesim.store.keyspace import Keyspace
from kubesim.store.samplelog import row_of
from kubesim.store.watching import WatchIndex

JOURNAL_LIMIT = 1_000  # samples in the journal before a writer settles them itself


class SampleJournal:
    """Usage samples of a store.

    Args:
        lock: of the store.
        space: the keys; it has the journal.
        watches: the watches to notify.
    """

    def __init__(self, lock: Lock, space: Keyspace, watches: WatchIndex) -> None:
        self._lock = lock
        self._space = space
        self._watches = watches

    def put(self, key: str, sample: Sample) -> int:
        """Write a sample; return its revision."""
        with self._lock:
            self._space.journal.append(row_of(key, sample))
            self._space.settle()
            revision = self._space.revision
            ready = self._watches.ready_for(key) if self._watches.on_samples else []
        for notify in ready:
            notify()
        return revision

    def writer(self, key: str) -> SampleWriter:
        """Return a function that writes samples of one key, with everything bound beforehand.

        It is called a million times a second on virtual time, and returns no revision.
        """
        journal, watches, settle = self._space.journal, self._watches, self.settle
        append = journal.append

        def write(
            seconds: float, window: float, container: str, cpu: int, memory: int, *more: object
        ) -> None:
            if more:
                append((key, seconds, window, container, cpu, memory, *more))
            else:
                append((key, seconds, window, container, cpu, memory))
            # Checked after the append: a watch that is armed later finds the sample by itself.
            if watches.on_samples or len(journal) >= JOURNAL_LIMIT:
                settle(key)

        return write

    def since(
        self, revision: int, limit: int | None = None
    ) -> tuple[list[tuple[int, str, Sample]], bool]:
        """Return (revision, key, sample) after a revision, and whether some are no longer kept."""
        with self._lock:
            self._space.settle()
            log = self._space.samples
            return log.rows_after(revision, limit), revision < log.compacted

    def keys_since(self, revision: int) -> tuple[set[str], int, bool]:
        """Return the keys written after a revision, the present one, and whether some are lost."""
        with self._lock:
            self._space.settle()
            log = self._space.samples
            return log.keys_after(revision), self._space.revision, revision < log.compacted

    def settle(self, key: str) -> None:
        """Give the journal's samples their revisions, and notify the watches of a key."""
        with self._lock:
            self._space.settle()
            ready = self._watches.ready_for(key)
        for notify in ready:
            notify()
