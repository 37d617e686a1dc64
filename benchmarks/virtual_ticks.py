"""Pod ticks per CPU second on the virtual clock, against SimPy doing the same store work.

Both sides: N pods with usage code of their own, one tick each simulated second; each tick computes
CPU and memory, keeps a log line, and writes the state to a store with a global revision, a current
value for each key and a bounded history. The SimPy peer encodes the state as JSON at each tick, as
the original simulator does; a second peer row leaves the encoding out (a tuple instead), so that
nobody takes lazy encoding for a faster loop. kubesim's side is the whole simulator: kubelet, pod
workers, API server, store.
"""

from __future__ import annotations

import json
from collections import deque
from typing import Any

import simpy

from benchmarks.measure import BenchmarkRow, cpu_seconds, row, take_turns
from kubesim import Cluster

WARM_UP_SECONDS = 60  # by then both histories are full: memory is reused, not asked for
SECONDS = 60


class OwnCode:
    """A workload model as an experimenter writes it."""

    def __init__(self, number: int) -> None:
        self.number = number

    def usage(self, now: float, load: float | None) -> tuple[int, int]:
        """(CPU in millicores, memory in bytes)."""
        phase = (int(now) * 7 + self.number) % 101
        return 100 + phase, (50 + phase // 2) * 1_000_000


class PeerStore:
    """The least that a store with revisions needs."""

    def __init__(self) -> None:
        self.revision = 0
        self.current: dict[str, tuple[int, Any]] = {}
        self.history: deque[tuple[int, str, Any]] = deque(maxlen=20_000)

    def set(self, key: str, value: Any) -> None:
        """One write: next revision, current value, history."""
        self.revision = revision = self.revision + 1
        self.current[key] = (revision, value)
        self.history.append((revision, key, value))


def simpy_run(pods: int, encode: bool) -> float:
    """Ticks per CPU second of the SimPy peer."""
    store = PeerStore()
    environment = simpy.Environment()

    def pod(number: int) -> Any:
        model = OwnCode(number)
        key, name = f"/registry/pods/default/pod-{number}", f"pod-{number}"
        logs: deque[str] = deque(maxlen=100)
        while True:
            yield environment.timeout(1)
            cpu, memory = model.usage(environment.now, None)
            logs.append("[tick] Pod is running...")
            if encode:
                state = {"name": name, "status": "Running", "cpu": cpu, "memory": memory}
                store.set(key, json.dumps(state))
            else:
                store.set(key, (name, "Running", cpu, memory))

    for number in range(pods):
        environment.process(pod(number))
    environment.run(until=WARM_UP_SECONDS)
    before = store.revision
    seconds = cpu_seconds(lambda: environment.run(until=WARM_UP_SECONDS + SECONDS))
    return (store.revision - before) / seconds


def kubesim_run(pods: int) -> float:
    """Ticks per CPU second of the whole simulator."""
    numbers = iter(range(pods + 1))
    factory = {"own": lambda *_args, **_options: OwnCode(next(numbers))}
    with Cluster(
        nodes=10, hpa=False, node_cpu="1000", node_memory="1Ti", max_pods=10_000, workloads=factory
    ) as cluster:
        for number in range(pods):
            cluster.api.create(_manifest(number))
        cluster.sleep(WARM_UP_SECONDS)
        before = cluster.store.revision
        seconds = cpu_seconds(lambda: cluster.sleep(SECONDS))
        samples = cluster.store.revision - before
        assert samples >= pods * SECONDS, "a tick was left out"
        return pods * SECONDS / seconds


def _manifest(number: int) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"pod-{number}",
            "namespace": "default",
            "annotations": {"kubesim.dev/workload": '{"model": "own"}'},
        },
        "spec": {"containers": [{"name": "main", "image": "kubesim/pod"}]},
    }


def run(quick: bool) -> list[BenchmarkRow]:
    """Rows for the driver."""
    pods, rounds = (500, 3) if quick else (1_000, 5)
    results = take_turns(
        rounds,
        kubesim=lambda: kubesim_run(pods),
        json=lambda: simpy_run(pods, encode=True),
        tuples=lambda: simpy_run(pods, encode=False),
    )
    name = f"virtual pod ticks, {pods:,} pods, own code"
    return [
        row(name, "ticks/CPU s", results["kubesim"], results["json"], "SimPy, JSON", mark=3.0),
        row(name, "ticks/CPU s", results["kubesim"], results["tuples"], "SimPy, no encoding"),
    ]
