"""The pod records of a cluster by id, and their JSON.

A record is ``{id, name, status, cpu, memory, logs}``: id is metadata.uid, status the phase, cpu in
millicores and memory in MB (10^6 bytes) from the newest sample, logs the newest lines. `namespace`
and `node` follow.

Clients read these records thousands of times a second, so the JSON of a record is cached until its
pod, its sample or its log changes, and the JSON of the whole list until the store changes.

This package is below the API server: it reads the store, and gets everything else as functions.

No counterpart in Kubernetes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from kubesim.clock.base import Clock
from kubesim.errors import Compacted, NotFound, WatchClosed
from kubesim.objects import meta
from kubesim.simple.pods import PodRecord, record_of
from kubesim.store import (
    PUT,
    KeyValue,
    ListResult,
    Sample,
    SampleStore,
    Store,
    Watch,
    sample_key,
)

if TYPE_CHECKING:
    from kubesim.objects.types import PodDict

LogReader = Callable[["PodDict"], Sequence[tuple[float, str]]]
"""reader(pod) -> the kept log lines of the pod with their simulated seconds."""

LOG_LINES = 10  # newest lines in a record; `pod_logs` has all that are kept
FRESH_SECONDS = 0.1  # simulated; cached JSON is used so long without reading the log again
_encode = json.JSONEncoder(separators=(", ", ": "), ensure_ascii=False).encode


CachedJson = tuple[KeyValue, Sample | None, float, list[str], bytes]
"""(pod, sample, simulated second at which the log was read, log lines, JSON)."""


class PodEntry:
    """The keys of one pod, and its record as JSON.

    An entry belongs to one uid: a pod that is deleted and created again has another uid, and
    another create_revision. `cached` is replaced as a whole, never changed, so that threads may
    read it without a lock.
    """

    __slots__ = ("cached", "created", "key", "sample_key")

    def __init__(self, kv: KeyValue) -> None:
        namespace, name = meta.namespace_of(kv.value), meta.name_of(kv.value)
        self.key = kv.key
        self.sample_key = sample_key(namespace, name)
        self.created = kv.create_revision
        self.cached: CachedJson | None = None


class PodRecords:
    """Pod records and their JSON, by id. Any thread may read; there is no lock.

    The ids come from a watch of the pods that is polled when an unknown id is requested. A known id
    may belong to a deleted pod: reading the pod shows that.

    Args:
        store: has the pods.
        samples: has their usage samples.
        clock: says how old cached JSON is.
        prefix: of the pods' keys in the store.
        log_lines: reads a pod's log.
    """

    def __init__(
        self,
        store: Store,
        samples: SampleStore,
        clock: Clock,
        prefix: str,
        log_lines: LogReader,
    ) -> None:
        self._store = store
        self._samples = samples
        self._clock = clock
        self._prefix = prefix
        self._log_lines = log_lines
        self._entries: dict[str, PodEntry] = {}  # by id
        self._polling: list[None] = []  # one item for each thread that polls at this moment
        self._list: tuple[int, float, bytes] = (-1, 0.0, b"")
        self._watch: Watch = self._relist()

    # -- one record ------------------------------------------------------------------------------

    def find(self, id: str) -> KeyValue:
        """Return the stored pod of an id.

        Raises:
            NotFound: "Pod not found".
        """
        return self._locate(id)[1]

    def get(self, id: str) -> PodRecord:
        """Return the record of an id, read again.

        Raises:
            NotFound: "Pod not found".
        """
        entry, kv = self._locate(id)
        return record_of(kv.value, self._samples.sample(entry.sample_key), self._lines(kv.value))

    def get_bytes(self, id: str) -> bytes:
        """Return the record of an id as JSON.

        Raises:
            NotFound: "Pod not found".
        """
        entry, kv = self._locate(id)
        return self._bytes(entry, kv, self._samples.sample(entry.sample_key), self._clock.now())

    # -- all records -----------------------------------------------------------------------------

    def records(self) -> list[PodRecord]:
        """Return all records, by namespace and name."""
        records = []
        for kv in self._store.list(self._prefix).items:
            sample = self._samples.sample(self._entry_of(kv).sample_key)
            records.append(record_of(kv.value, sample, self._lines(kv.value)))
        return records

    def list_bytes(self) -> bytes:
        """Return all records as a JSON list; the same object again while nothing changes."""
        revision, read_at, body = self._list
        now = self._clock.now()
        if revision == self._store.revision and now - read_at < FRESH_SECONDS:
            return body
        result = self._store.list(self._prefix)
        parts = []
        for kv in result.items:
            entry = self._entry_of(kv)
            parts.append(self._bytes(entry, kv, self._samples.sample(entry.sample_key), now))
        new = b"[" + b", ".join(parts) + b"]"
        # Equal lists stay one object, so that readers can compare them by identity.
        self._list = (result.revision, now, body if new == body else new)
        return self._list[2]

    # -- inside ------------------------------------------------------------------------------------

    def _locate(self, id: str) -> tuple[PodEntry, KeyValue]:
        entry = self._entries.get(id) or self._discover(id)
        kv = self._store.get(entry.key) if entry is not None else None
        if entry is None or kv is None or kv.create_revision != entry.created:
            self._entries.pop(id, None)  # deleted; another pod may have its name
            raise NotFound("Pod not found", kind="pods", name=str(id))
        return entry, kv

    def _entry_of(self, kv: KeyValue) -> PodEntry:
        uid = meta.uid_of(kv.value)
        return self._entries.get(uid) or self._entries.setdefault(uid, PodEntry(kv))

    def _discover(self, id: str) -> PodEntry | None:
        """Read the pods created since the last poll, and look the id up again."""
        self._polling.append(None)
        try:
            for event in self._watch.poll():
                if event.type == PUT and event.previous is None:
                    self._entry_of(event.kv)
                elif event.type != PUT:
                    self._entries.pop(meta.uid_of(event.kv.value), None)
        except (Compacted, WatchClosed):
            # The last poll is older than the store's history, or another thread lists again.
            old, self._watch = self._watch, self._relist()
            old.close()
        finally:
            self._polling.pop()
        entry = self._entries.get(id)
        if entry is None and self._polling:
            # Another thread has polled events and not processed them yet.
            self._add(self._store.list(self._prefix))
            entry = self._entries.get(id)
        return entry

    def _relist(self) -> Watch:
        present = self._store.list(self._prefix)
        watch = self._store.watch(self._prefix, present.revision)
        self._add(present)
        for uid, entry in list(self._entries.items()):
            kv = self._store.get(entry.key)
            if kv is None or kv.create_revision != entry.created:
                self._entries.pop(uid, None)
        return watch

    def _add(self, present: ListResult) -> None:
        for kv in present.items:
            self._entry_of(kv)

    def _lines(self, pod: PodDict) -> list[str]:
        return [line for _, line in self._log_lines(pod)[-LOG_LINES:]]

    def _bytes(self, entry: PodEntry, kv: KeyValue, sample: Sample | None, now: float) -> bytes:
        cached = entry.cached
        same = cached is not None and cached[0] is kv and cached[1] == sample
        if cached is not None and same and now - cached[2] < FRESH_SECONDS:
            return cached[4]
        lines = self._lines(kv.value)
        if cached is not None and same and cached[3] == lines:
            body = cached[4]
        else:
            body = _encode(record_of(kv.value, sample, lines)).encode()
        entry.cached = (kv, sample, now, lines, body)
        return body
