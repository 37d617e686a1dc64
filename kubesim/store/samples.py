"""The store's side for usage samples: the hottest path of the simulator.

A writer appends to a journal, in one atomic step and without the lock; the samples of the journal
get their revisions before anybody looks (`Keyspace.settle`). It is group commit: etcd, too, batches
writes on their way to the disk and numbers them in their order.

Source: etcd server/storage/backend (batch_tx.go); the role of the metrics-server's point store
(pkg/storage/pod.go), which is a part of our store.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock

from kubesim.store.base import Sample
from kubesim.store.keyspace import Keyspace
from kubesim.store.samplelog import Written, row_of, sample_of
from kubesim.store.watching import WatchIndex

JOURNAL_LIMIT = 1_000  # samples in the journal before a writer settles them himself

SampleWriter = Callable[..., None]
"""Called with (seconds, window_seconds, container, cpu_milli, memory_bytes, and again container,
cpu_milli, memory_bytes for each further container)."""


class SampleStore:
    """What `EtcdStore` can do for samples; it brings the lock and the keys."""

    _lock: Lock
    _space: Keyspace
    _watches: WatchIndex

    def put_sample(self, key: str, sample: Sample) -> int:
        """Write a usage sample under `sample_prefix`; returns its revision.

        Revisions, reads and watches are those of any other key; only the history is apart.

        Args:
            key: of the pod's samples.
            sample: (seconds, window_seconds, ((container, cpu_milli, memory_bytes), ...)).
        """
        with self._lock:
            self._space.journal.append(row_of(key, sample))
            self._space.settle()
            revision = self._space.revision
            ready = self._watches.ready_for(key)
        for notify in ready:
            notify()
        return revision

    def sample_writer(self, key: str) -> SampleWriter:
        """`put_sample` for one key, with everything that it needs bound beforehand.

        It is called a million times a second on virtual time, and tells no revision.
        """
        journal, watches, place = self._space.journal, self._watches, self._place
        append = journal.append

        def write(
            seconds: float, window: float, container: str, cpu: int, memory: int, *more: object
        ) -> None:
            if more:
                append((key, seconds, window, container, cpu, memory, *more))
            else:
                append((key, seconds, window, container, cpu, memory))
            # Looked at after the append: a watch that is armed later finds the sample by itself.
            if watches.on_samples or len(journal) >= JOURNAL_LIMIT:
                place(key)

        return write

    def sample(self, key: str) -> Sample | None:
        """The newest sample of a key as a tuple; None if there is none."""
        if self._space.journal:
            self._place()
        row = self._space.samples.latest.get(key)
        return None if row is None or isinstance(row[1], Written) else sample_of(row)

    def samples_since(
        self, revision: int, limit: int | None = None
    ) -> tuple[list[tuple[int, str, Sample]], bool]:
        """Samples after a revision as (revision, key, tuple), and whether some were lost."""
        with self._lock:
            self._space.settle()
            log = self._space.samples
            return log.rows_after(revision, limit), revision < log.compacted

    def _place(self, key: str = "") -> None:
        """Place the journal, and wake whoever waits for samples of a key."""
        with self._lock:
            self._space.settle()
            ready = self._watches.ready_for(key) if key else []
        for notify in ready:
            notify()
