"""A pod's record as JSON, cached until its pod, its sample or its log changes.

No counterpart in Kubernetes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from kubesim.objects import meta
from kubesim.objects.wellknown import TICK_LINE
from kubesim.simple.pods import PodRecord, record_of
from kubesim.store import KeyValue, Sample, SampleStore, sample_key

if TYPE_CHECKING:
    from kubesim.objects.types import PodDict

LogReader = Callable[["PodDict"], Sequence[tuple[float, str]]]
"""reader(pod) -> the kept log lines of the pod with their simulated seconds."""

LOG_LINES = 10  # newest lines in a record; `pod_logs` has all that are kept
FRESH_SECONDS = 0.1  # simulated; cached JSON is used so long without reading the log again
PATIENCE_SECONDS = 1.5  # simulated; the log of ticks grows each second
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


class RecordEncoder:
    """Makes the records of pods, and their JSON. Any thread may call it.

    Args:
        samples: has the usage samples.
        log_lines: reads a pod's log.
    """

    def __init__(self, samples: SampleStore, log_lines: LogReader) -> None:
        self._samples = samples
        self._log_lines = log_lines

    def record(self, entry: PodEntry, kv: KeyValue) -> PodRecord:
        """Return the record of a pod, read again."""
        return record_of(kv.value, self._samples.sample(entry.sample_key), self._lines(kv.value))

    def json_of(self, entry: PodEntry, kv: KeyValue, now: float) -> bytes:
        """Return the record of a pod as JSON.

        Args:
            entry: of the pod.
            kv: the pod.
            now: simulated second.
        """
        sample, cached = self._samples.sample(entry.sample_key), entry.cached
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

    def _lines(self, pod: PodDict) -> list[str]:
        return [line for _, line in self._log_lines(pod)[-LOG_LINES:]]


def follows_samples(entry: PodEntry, now: float) -> bool:
    """Return whether a pod's log grows with its samples alone: it consists of ticks.

    Args:
        entry: of the pod.
        now: simulated second. A log that was not read for longer than a tick takes, since no
            sample came, may be out of reach now.
    """
    if entry.cached is None or now - entry.cached[2] > PATIENCE_SECONDS:
        return False
    lines = entry.cached[3]
    return bool(lines) and all(line == TICK_LINE for line in lines)
