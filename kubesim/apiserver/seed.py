"""The original simulator's world: pod records, as a projection of the real objects.

A record is ``{id, name, status, cpu, memory, logs}``: id is metadata.uid, status the phase, cpu in
millicores and memory in MB (10^6 bytes) from the newest sample, logs the newest lines. `namespace`
and `node` follow.

`curl` asks for these records thousands of times a second, so the JSON of a record is kept until its
pod, its sample or its log changes, and the JSON of the whole list until the store changes.

No counterpart in Kubernetes.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from kubesim.apiserver.kinds.metrics import sample_key
from kubesim.errors import Compacted, NotFound, WatchClosed
from kubesim.objects import meta
from kubesim.objects.frozen import Document
from kubesim.objects.pods import node_of, phase_of
from kubesim.objects.wellknown import EXIT_CODE, RUN_SECONDS
from kubesim.store import PUT, KeyValue, ListResult, Sample, Watch

if TYPE_CHECKING:
    from kubesim.apiserver.kubeapi import KubeAPI

Record = dict[str, Any]
LOG_LINES = 10  # newest lines in a record; `pod_logs` has all that are kept
MEGABYTE = 1_000_000
FRESH_SECONDS = 0.1  # simulated; so long kept JSON is used without looking at the log again
_encode = json.JSONEncoder(separators=(", ", ": "), ensure_ascii=False).encode


def bare_pod(name: str, run_seconds: float | None = None, exit_code: int = 0) -> Document:
    """The manifest of a pod that nobody controls."""
    container = {
        "name": "main",
        "image": "kubesim/pod",
        "resources": {"requests": {"cpu": "200m", "memory": "128Mi"}},
    }
    metadata: Document = {"name": name, "namespace": "default"}
    spec: Document = {"containers": [container]}
    if run_seconds is not None:
        spec["restartPolicy"] = "Never"
        metadata["annotations"] = {RUN_SECONDS: str(run_seconds), EXIT_CODE: str(exit_code)}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


class Row:
    """Where one pod is found, and its record as JSON.

    A row belongs to one life of a pod: a pod that is deleted and made anew has another uid, and
    another create_revision. `kept` is replaced as a whole, never changed, so that threads may read
    it without a lock: (pod, sample, second at which the log was read, log lines, JSON).
    """

    __slots__ = ("created", "kept", "key", "sample_key")

    def __init__(self, kv: KeyValue) -> None:
        namespace, name = meta.namespace_of(kv.value), meta.name_of(kv.value)
        self.key = kv.key
        self.sample_key = sample_key(namespace, name)
        self.created = kv.create_revision
        self.kept: tuple[KeyValue, Sample | None, float, list[str], bytes] | None = None


class SeedView:
    """Pod records and their JSON, by id. Any thread may read; there is no lock.

    The ids come from a watch of the pods that is polled when an unknown id is asked for, as an
    informer would. An id that is known may have died meanwhile: that shows when its pod is read.
    """

    def __init__(self, api: KubeAPI) -> None:
        self._api = api
        self._store = api.store
        self._prefix = api.registry.find("Pod").prefix
        self._rows: dict[str, Row] = {}
        self._polling: list[None] = []  # one entry for each thread that is polling just now
        self._list: tuple[int, float, bytes] = (-1, 0.0, b"")
        self._watch: Watch = self._relist()

    # -- one record ------------------------------------------------------------------------------

    def find(self, id: str) -> KeyValue:
        """The stored pod of an id.

        Raises:
            NotFound: "Pod not found".
        """
        return self._locate(id)[1]

    def get(self, id: str) -> Record:
        """The record of an id, read anew.

        Raises:
            NotFound: "Pod not found".
        """
        row, kv = self._locate(id)
        return self._record(kv, self._store.sample(row.sample_key), self._lines(kv.value))

    def get_bytes(self, id: str) -> bytes:
        """The record of an id as JSON.

        Raises:
            NotFound: "Pod not found".
        """
        row, kv = self._locate(id)
        return self._bytes(row, kv, self._store.sample(row.sample_key), self._api.clock.now())

    # -- all records -----------------------------------------------------------------------------

    def records(self) -> list[Record]:
        """All records, by namespace and name."""
        found = []
        for kv in self._store.list(self._prefix).items:
            sample = self._store.sample(self._row_of(kv).sample_key)
            found.append(self._record(kv, sample, self._lines(kv.value)))
        return found

    def list_bytes(self) -> bytes:
        """All records as a JSON list; the same object again while nothing changes."""
        revision, read_at, body = self._list
        now = self._api.clock.now()
        if revision == self._store.revision and now - read_at < FRESH_SECONDS:
            return body
        result = self._store.list(self._prefix)
        parts = []
        for kv in result.items:
            row = self._row_of(kv)
            parts.append(self._bytes(row, kv, self._store.sample(row.sample_key), now))
        new = b"[" + b", ".join(parts) + b"]"
        # Equal lists stay one object, so that a reader can compare them by identity.
        self._list = (result.revision, now, body if new == body else new)
        return self._list[2]

    # -- inside ------------------------------------------------------------------------------------

    def _locate(self, id: str) -> tuple[Row, KeyValue]:
        row = self._rows.get(id) or self._discover(id)
        kv = self._store.get(row.key) if row is not None else None
        if row is None or kv is None or kv.create_revision != row.created:
            self._rows.pop(id, None)  # that life is over; the name may be taken by another
            raise NotFound("Pod not found", kind="pods", name=str(id))
        return row, kv

    def _row_of(self, kv: KeyValue) -> Row:
        uid = meta.uid_of(kv.value)
        return self._rows.get(uid) or self._rows.setdefault(uid, Row(kv))

    def _discover(self, id: str) -> Row | None:
        """Take in the pods that were made since the last time, and look again."""
        self._polling.append(None)
        try:
            for event in self._watch.poll():
                if event.type == PUT and event.previous is None:
                    self._row_of(event.kv)
                elif event.type != PUT:
                    self._rows.pop(meta.uid_of(event.kv.value), None)
        except (Compacted, WatchClosed):
            # Nobody asked for so long that the store forgot; or another thread is just mending it.
            old, self._watch = self._watch, self._relist()
            old.close()
        finally:
            self._polling.pop()
        row = self._rows.get(id)
        if row is None and self._polling:
            # Another thread has taken events out of the watch and not worked them in yet.
            self._take(self._store.list(self._prefix))
            row = self._rows.get(id)
        return row

    def _relist(self) -> Watch:
        present = self._store.list(self._prefix)
        watch = self._store.watch(self._prefix, present.revision)
        self._take(present)
        for uid, row in list(self._rows.items()):
            kv = self._store.get(row.key)
            if kv is None or kv.create_revision != row.created:
                self._rows.pop(uid, None)
        return watch

    def _take(self, present: ListResult) -> None:
        for kv in present.items:
            self._row_of(kv)

    def _lines(self, pod: Document) -> list[str]:
        return [line for _, line in self._api.log_lines(pod)[-LOG_LINES:]]

    def _record(self, kv: KeyValue, sample: Sample | None, lines: list[str]) -> Record:
        pod = kv.value
        phase = phase_of(pod)
        # A pod that does not run uses nothing, although its last sample may still be there.
        containers = sample[2] if sample is not None and phase == "Running" else ()
        return {
            "id": meta.uid_of(pod),
            "name": meta.name_of(pod),
            "status": phase,
            "cpu": sum(item[1] for item in containers),
            "memory": sum(item[2] for item in containers) // MEGABYTE,
            "logs": lines,
            "namespace": meta.namespace_of(pod),
            "node": node_of(pod),
        }

    def _bytes(self, row: Row, kv: KeyValue, sample: Sample | None, now: float) -> bytes:
        kept = row.kept
        same = kept is not None and kept[0] is kv and kept[1] is sample
        if kept is not None and same and now - kept[2] < FRESH_SECONDS:
            return kept[4]
        lines = self._lines(kv.value)
        if kept is not None and same and kept[3] == lines:
            body = kept[4]
        else:
            body = _encode(self._record(kv, sample, lines)).encode()
        row.kept = (kv, sample, now, lines, body)
        return body
