"""Store operations, against the store that one writes first.

The peer: a dict under a lock, `json.dumps` at each write, `json.loads` at each read, a revision and
a bounded history; a list is a scan of all keys and a sort. kubesim's store does all that and keeps
versions, snapshots and watches besides.
"""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Sequence
from functools import partial
from typing import Any

from benchmarks.measure import BenchmarkRow, cpu_seconds, row, take_turns
from kubesim.store import EtcdStore

KEYS = 10_000
NAMESPACES = 10
PREFIX = "/registry/pods/"
SAMPLES = "/registry/metrics.k8s.io/pods/default/"


class PeerStore:
    """The naive store."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.revision = 0
        self.current: dict[str, tuple[int, str]] = {}
        self.history: deque[tuple[int, str, str]] = deque(maxlen=10_000)

    def set(self, key: str, value: Any) -> int:
        """Encode, then write."""
        text = json.dumps(value)
        with self.lock:
            self.revision += 1
            self.current[key] = (self.revision, text)
            self.history.append((self.revision, key, text))
            return self.revision

    def get(self, key: str) -> Any:
        """Look up, then decode."""
        with self.lock:
            return json.loads(self.current[key][1])

    def list(self, prefix: str) -> list[Any]:
        """Scan, sort, decode."""
        with self.lock:
            keys = sorted(key for key in self.current if key.startswith(prefix))
            return [json.loads(self.current[key][1]) for key in keys]

    def since(self, revision: int) -> Sequence[tuple[int, str, str]]:
        """Walk the history."""
        with self.lock:
            return [change for change in self.history if change[0] > revision]


def _document(number: int) -> dict[str, Any]:
    return {
        "kind": "Pod",
        "metadata": {"name": f"pod-{number}", "labels": {"app": "web"}},
        "spec": {"containers": [{"name": "main", "image": "x"}], "nodeName": "node-1"},
        "status": {"phase": "Running", "podIP": "10.0.0.1"},
    }


def _key(number: int) -> str:
    return f"{PREFIX}ns-{number % NAMESPACES}/pod-{number}"


def _filled(store: Any) -> Any:
    for number in range(KEYS):
        store.set(_key(number), _document(number))
    return store


def run(quick: bool) -> list[BenchmarkRow]:
    """Rows for the driver."""
    ours, theirs = _filled(EtcdStore()), _filled(PeerStore())
    rounds, count = (3, 3_000) if quick else (5, 20_000)
    documents = [_document(number) for number in range(count)]
    samples = [(1.0, 1.0, (("main", number % 200, 5),)) for number in range(count)]

    def rate(work: Any, operations: int = count) -> float:
        return operations / cpu_seconds(work)

    def many(call: Any, arguments: list[tuple[Any, ...]]) -> Any:
        return lambda: [call(*each) for each in arguments]

    writes = [(_key(n % KEYS), documents[n]) for n in range(count)]
    reads = [(_key(n % KEYS),) for n in range(count)]
    keys = [(f"{SAMPLES}p{n % 1000}", samples[n]) for n in range(count)]
    lists = 20 if quick else 60
    cases = {
        "set": (many(ours.set, writes), many(theirs.set, writes), count),
        "write a sample": (
            many(ours.put_sample, keys),
            many(theirs.set, [(key, {"s": sample}) for key, sample in keys]),
            count,
        ),
        "get": (
            lambda: [ours.get(*each).value for each in reads],
            many(theirs.get, reads),
            count,
        ),
        "list 1,000 of 10,000": (
            lambda: [[kv.value for kv in ours.list(f"{PREFIX}ns-3/").items] for _ in range(lists)],
            lambda: [theirs.list(f"{PREFIX}ns-3/") for _ in range(lists)],
            lists,
        ),
        "resume a watch 10 changes back": (
            lambda: [ours.watch(PREFIX, ours.revision - 10).poll() for _ in range(lists * 10)],
            lambda: [theirs.since(theirs.revision - 10) for _ in range(lists * 10)],
            lists * 10,
        ),
    }
    rows = []
    for name, (own, peer, operations) in cases.items():
        results = take_turns(
            rounds,
            kubesim=partial(rate, own, operations),
            peer=partial(rate, peer, operations),
        )
        rows.append(
            row(
                f"store: {name}, 10,000 keys",
                "ops/CPU s",
                results["kubesim"],
                results["peer"],
                "dict + lock + json",
            )
        )
    return rows
