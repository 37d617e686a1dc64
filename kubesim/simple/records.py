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

from kubesim.clock.base import Clock
from kubesim.errors import Compacted, NotFound, WatchClosed
from kubesim.objects import meta
from kubesim.simple.pods import PodRecord
from kubesim.simple.recordjson import LogReader, PodEntry, RecordEncoder
from kubesim.simple.recordlist import RecordList, RecordSource
from kubesim.store import PUT, KeyValue, ListResult, SampleStore, Store, Watch


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
        self._clock = clock
        self._prefix = prefix
        self._entries: dict[str, PodEntry] = {}  # by id
        self._polling: list[None] = []  # one item for each thread that polls at this moment
        self._encoder = RecordEncoder(samples, log_lines)
        self._watch: Watch = self._relist()
        source = RecordSource(store, samples, clock, prefix, self._encoder, self._entry_of)
        self._list = RecordList(source)

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
        return self._encoder.record(entry, kv)

    def get_bytes(self, id: str) -> bytes:
        """Return the record of an id as JSON.

        Raises:
            NotFound: "Pod not found".
        """
        entry, kv = self._locate(id)
        return self._encoder.json_of(entry, kv, self._clock.now())

    # -- all records -----------------------------------------------------------------------------

    def records(self) -> list[PodRecord]:
        """Return all records, by namespace and name."""
        listed = self._store.list(self._prefix).items
        return [self._encoder.record(self._entry_of(kv), kv) for kv in listed]

    def list_bytes(self) -> bytes:
        """Return all records as a JSON list; the same object again while nothing changes."""
        return self._list.to_bytes()

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
