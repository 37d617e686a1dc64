"""1,000 pod threads at one tick a second: share of a core, lateness, time to stop.

The peer is the naive way to write the same: a `threading.Thread` for each pod that waits on an
`Event`, draws CPU and memory, encodes its state as JSON and stores it in a dict under a lock.
kubesim's pods do the whole of theirs: kubelet, API server, store with revisions.
"""

from __future__ import annotations

import json
import random
import statistics
import threading
import time
from collections import deque
from collections.abc import Iterable
from typing import Any

from benchmarks.measure import BenchmarkRow, row
from kubesim import Cluster

WINDOW_SECONDS = 5.0


def naive(pods: int) -> tuple[float, float, list[float]]:
    """(CPU share of a core in %, seconds to stop, lateness of each tick in ms) of the peer."""
    lock, current, stop = threading.Lock(), {}, threading.Event()
    late: deque[float] = deque(maxlen=200_000)

    def pod(number: int) -> None:
        due = time.monotonic() + 1 + number / pods
        while not stop.wait(max(0.0, due - time.monotonic())):
            late.append((time.monotonic() - due) * 1000)
            state = {"cpu": random.randint(100, 200), "memory": random.randint(50, 100)}
            with lock:
                current[number] = json.dumps(state)
            due += 1

    threads = [threading.Thread(target=pod, args=(n,), daemon=True) for n in range(pods)]
    for thread in threads:
        thread.start()
    time.sleep(2)
    share = _share()
    start = time.monotonic()
    stop.set()
    for thread in threads:
        thread.join(30)
    return share, time.monotonic() - start, list(late)


def kubesim(pods: int) -> tuple[float, float, list[float]]:
    """The same of kubesim: every pod a thread, every sample in the store."""
    cluster = Cluster(
        nodes=10,
        hpa=False,
        clock="live",
        node_cpu="1000",
        node_memory="1Ti",
        max_pods=10_000,
        max_threads=pods + 50,
    )
    try:
        for number in range(pods):
            cluster.api.create_pod(f"pod-{number}")
        assert cluster.wait_until(lambda: _running(cluster) == pods, 120), "pods did not start"
        names = {thread.name for thread in threading.enumerate()}
        assert sum(name.startswith("pod/") for name in names) == pods
        cluster.sleep(2)
        before = cluster.store.revision
        share = _share()
        samples, lost = cluster.store.samples_since(before)
        assert not lost
        ticks = [sample[0] for _revision, _key, sample in samples]
        assert len(ticks) >= 0.98 * pods * WINDOW_SECONDS, "ticks were left out"
        late = _lateness(samples)
    finally:
        start = time.monotonic()
        cluster.close()
        stopped = time.monotonic() - start
    return share, stopped, late


def _running(cluster: Cluster) -> int:
    return sum(pod["status"] == "Running" for pod in cluster.api.list_pods())


def _share() -> float:
    wall, cpu = time.monotonic(), time.process_time()
    time.sleep(WINDOW_SECONDS)
    return 100 * (time.process_time() - cpu) / (time.monotonic() - wall)


def _lateness(samples: Iterable[tuple[int, str, Any]]) -> list[float]:
    """Milliseconds that each tick came after its pod's earliest phase."""
    by_pod: dict[str, list[float]] = {}
    for _revision, key, sample in samples:
        by_pod.setdefault(key, []).append(sample[0])
    late = []
    for times in by_pod.values():
        phase = min(moment % 1.0 for moment in times)
        late += [((moment % 1.0) - phase) * 1000 for moment in times]
    return late


def _p99(values: list[float]) -> float:
    return sorted(values)[int(len(values) * 0.99)]


def run(quick: bool) -> list[BenchmarkRow]:
    """Rows for the driver."""
    pods, rounds = 1_000, 1 if quick else 3
    ours, theirs = [], []
    for _ in range(rounds):
        theirs.append(naive(pods))
        ours.append(kubesim(pods))
    peer = "thread + Event + JSON"
    share = row(
        f"{pods:,} live pod threads, share of a core",
        "%",
        [o[0] for o in ours],
        [t[0] for t in theirs],
        peer,
        less_is_better=True,
    )
    stop = row(
        f"{pods:,} live pod threads, time to stop",
        "s",
        [o[1] for o in ours],
        [t[1] for t in theirs],
        peer,
        less_is_better=True,
    )
    jitter = row(
        f"{pods:,} live pod threads, tick jitter p99",
        "ms",
        [_p99(o[2]) for o in ours],
        [_p99(t[2]) for t in theirs],
        peer,
        less_is_better=True,
    )
    p50 = row(
        f"{pods:,} live pod threads, tick jitter p50",
        "ms",
        [statistics.median(o[2]) for o in ours],
        [statistics.median(t[2]) for t in theirs],
        peer,
        less_is_better=True,
    )
    return [share | {"limit": 10.0}, stop | {"limit": 1.0}, p50, jitter]
