"""What one published change costs the writer with 0, 10, 1,000 and 10,000 watchers in the process.

The peer is the usual way: a queue for each watcher, the writer puts the event into each. In kubesim
a watcher is a position in a shared history, so the writer's cost does not depend on their number.
"""

from __future__ import annotations

import statistics
import time
from queue import SimpleQueue

from benchmarks.measure import BenchmarkRow, row
from kubesim.store import EtcdStore

KEY = "/registry/configmaps/default/x"


def ours(watchers: int, changes: int) -> float:
    """CPU microseconds for each change."""
    store = EtcdStore()
    watches = [store.watch("/registry/configmaps/") for _ in range(watchers)]
    value = {"data": {"a": "b"}}
    start = time.process_time()
    for _ in range(changes):
        store.set(KEY, value)
    spent = time.process_time() - start
    assert all(len(w.poll()) == changes for w in watches[:50])
    return spent / changes * 1e6


def queues(watchers: int, changes: int) -> float:
    """The same work in the peer: revision, current value, and an event in each queue."""
    current: dict[str, tuple[int, object]] = {}
    value = {"data": {"a": "b"}}
    inboxes: list[SimpleQueue[object]] = [SimpleQueue() for _ in range(watchers)]
    start = time.process_time()
    for revision in range(1, changes + 1):
        current[KEY] = (revision, dict(value))
        for inbox in inboxes:
            inbox.put((revision, KEY, value))
    return (time.process_time() - start) / changes * 1e6


def run(quick: bool) -> list[BenchmarkRow]:
    """Rows for the driver."""
    rounds = 3 if quick else 5
    rows = []
    for watchers in (0, 10, 1_000, 10_000):
        changes = 2_000 if watchers < 1_000 else 300
        own, peers = [], []
        for _ in range(rounds):
            peers.append(queues(watchers, changes))
            own.append(ours(watchers, changes))
        rows.append(
            row(
                f"a change with {watchers:,} watchers",
                "us CPU",
                own,
                peers,
                "a queue for each watcher",
                less_is_better=True,
                mark=10.0 if watchers >= 1_000 else None,
            )
        )
    flat = statistics.median([rows[-1]["kubesim"] / max(rows[0]["kubesim"], 1e-9)])
    rows[-1]["name"] += f" ({flat:.1f} x the cost with none)"
    return rows
