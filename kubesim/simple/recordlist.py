"""The JSON of all pod records: only what changed is encoded again.

A cluster of a thousand running pods changes a thousand times a second, so a list that is encoded
anew after each change is encoded anew for each request. Here a request encodes the records whose
pod, sample or log changed since the request before, and joins all records.

No counterpart in Kubernetes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple

from kubesim.errors import Compacted, WatchClosed
from kubesim.simple.recordjson import FRESH_SECONDS, PodEntry, RecordEncoder, follows_samples
from kubesim.store import PUT, KeyValue, SampleStore, Store

if TYPE_CHECKING:
    from kubesim.clock.base import Clock
    from kubesim.store import Watch

BUILDERS = 2  # kept for the next requests


class Row:
    """A pod in the list: its entry, and its newest state."""

    __slots__ = ("entry", "kv")

    def __init__(self, entry: PodEntry, kv: KeyValue) -> None:
        self.entry = entry
        self.kv = kv


class RecordSource(NamedTuple):
    """What a list of records is made from.

    Attributes:
        store: has the pods.
        samples: has their usage samples.
        clock: says how old the list is.
        prefix: of the pods' keys in the store.
        encoder: makes the JSON of a record.
        entry_of: returns the entry of a stored pod.
    """

    store: Store
    samples: SampleStore
    clock: Clock
    prefix: str
    encoder: RecordEncoder
    entry_of: Callable[[KeyValue], PodEntry]


class RecordList:
    """The JSON list of all records, by namespace and name. Any thread may ask for it.

    There is no lock: a thread takes a builder that no other thread uses, or a new one.

    Args:
        source: of the records.
    """

    def __init__(self, source: RecordSource) -> None:
        self._source = source
        self._newest: tuple[int, float, bytes] = (-1, 0.0, b"[]")  # (revision, second, JSON)
        self._builders: list[ListBuilder] = []  # those that no thread uses

    def to_bytes(self) -> bytes:
        """Return the list; the same object again while nothing changes."""
        source = self._source
        revision, read_at, body = self._newest
        if revision == source.store.revision and source.clock.now() - read_at < FRESH_SECONDS:
            return body
        try:
            builder = self._builders.pop()
        except IndexError:
            builder = ListBuilder(source)
        now, revision = source.clock.now(), source.store.revision
        new = builder.build(now)
        if len(self._builders) < BUILDERS:
            self._builders.append(builder)
        else:
            builder.close()
        newest_revision, _, body = self._newest
        if new is not body and new == body:
            new = body  # so that readers can compare lists by identity
        if revision >= newest_revision:
            self._newest = (revision, now, new)
        return new


class ListBuilder:
    """Keeps the JSON of all records up to date. One thread at a time.

    Args:
        source: of the records.
    """

    def __init__(self, source: RecordSource) -> None:
        self._source = source
        self._rows: list[Row] = []  # in the order of the list
        self._parts: list[bytes] = []  # their JSON
        self._body, self._length = b"[]", 0  # the list, and the number of its records
        self._positions: dict[str, int] = {}  # by key of a pod and by key of its samples
        self._watch: Watch | None = None
        self._sample_revision = 0
        self._logs_read_at = 0.0

    def build(self, now: float) -> bytes:
        """Return the list at a simulated second; the same object again while nothing changes."""
        positions = self._changed_pods() | self._changed_samples() | self._changed_logs(now)
        if self._encode(sorted(positions), now) or len(self._parts) != self._length:
            self._length = len(self._parts)
            self._body = b"[" + b", ".join(self._parts) + b"]"
        return self._body

    def close(self) -> None:
        """End the watch."""
        if self._watch is not None:
            self._watch.close()

    # -- what changed since the last request ------------------------------------------------------

    def _changed_pods(self) -> set[int]:
        """Return the positions of changed pods; of all if some were created or deleted."""
        try:
            events = self._watch.poll() if self._watch is not None else None
        except (Compacted, WatchClosed):
            events = None  # the last request is older than the store's history
        if events is None:
            return self._relist()
        for event in events:
            if event.type != PUT or event.previous is None:
                return self._relist()
        positions = set()
        for event in events:
            position = self._positions[event.kv.key]
            self._rows[position].kv = event.kv
            positions.add(position)
        return positions

    def _relist(self) -> set[int]:
        self.close()
        source = self._source
        result = source.store.list(source.prefix)
        self._watch = source.store.watch(source.prefix, result.revision)
        self._rows = [Row(source.entry_of(kv), kv) for kv in result.items]
        self._parts = [b""] * len(self._rows)
        self._positions = {row.kv.key: number for number, row in enumerate(self._rows)}
        for number, row in enumerate(self._rows):
            self._positions[row.entry.sample_key] = number
        return set(range(len(self._rows)))

    def _changed_samples(self) -> set[int]:
        keys, revision, lost = self._source.samples.sample_keys_since(self._sample_revision)
        self._sample_revision = revision
        if lost:
            return set(range(len(self._rows)))
        return {position for key in keys if (position := self._positions.get(key)) is not None}

    def _changed_logs(self, now: float) -> set[int]:
        """Return the positions of pods whose logs do not follow their samples."""
        if now - self._logs_read_at < FRESH_SECONDS:
            return set()
        self._logs_read_at = now
        return {n for n, row in enumerate(self._rows) if not follows_samples(row.entry, now)}

    def _encode(self, positions: Iterable[int], now: float) -> bool:
        """Encode what may have changed; return whether the list differs from the last one."""
        differs = False
        for position in positions:
            row = self._rows[position]
            body = self._source.encoder.json_of(row.entry, row.kv, now)
            if body is not self._parts[position] and body != self._parts[position]:
                self._parts[position] = body
                differs = True
        return differs
