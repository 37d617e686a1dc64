"""Autoscaling runs of 24 h per CPU second, against SimPy with a process for each pod.

Both sides: one workload under a day's traffic, 60 pods on average, that start in 10 s and use CPU
for the requests that reach them; an autoscaler looks each 15 s. The peer is what one writes with
SimPy: pods are processes that wake each second, and the autoscaler's core has ten lines
(utilization, tolerance, window, burst limit). kubesim's side is `experiment.simulate`: the whole
policy, and a queue with latency percentiles, each second; and once more in steps of 15 s, which is
as often as the autoscaler looks. Both arrive at the same pod seconds (within 3 %), or the benchmark
fails.

Shorter runs are measured, and the rate is that of 24 h.
"""

from __future__ import annotations

from collections.abc import Generator
from math import ceil
from typing import Any

import simpy

from benchmarks.measure import BenchmarkRow, cpu_seconds, row, take_turns
from kubesim.experiment import Contender, World, simulate
from kubesim.traffic import Queue, Sine

DAY = 86_400.0
SYNC, START, WINDOW = 15.0, 10.0, 300.0
TARGET, MOST, REQUEST, LIMIT, IDLE, COST = 70, 120, 200, 500, 20, 10.0
AGREE = 0.03


class Peer:
    """The SimPy model."""

    def __init__(self, traffic: Sine) -> None:
        self.traffic = traffic
        self.environment = simpy.Environment()
        self.size = 0
        self.ready: set[int] = set()
        self.used: dict[int, float] = {}
        self.pod_seconds = 0.0
        self.recommendations: list[tuple[float, int]] = [(SYNC, 1)]
        self.resize(1, 0.0)
        self.environment.process(self.autoscaler())

    def resize(self, desired: int, delay: float) -> None:
        """New pods start; the newest go."""
        for number in range(self.size, desired):
            self.environment.process(self.pod(number, delay))
        for number in range(desired, self.size):
            self.ready.discard(number)
            self.used.pop(number, None)
        self.size = desired

    def pod(self, number: int, delay: float) -> Generator[simpy.Event, Any, None]:
        """One pod: it starts, and works each second until it is taken away."""
        yield self.environment.timeout(delay)
        if number >= self.size:
            return
        self.ready.add(number)
        while number < self.size:
            load = self.traffic.rate(self.environment.now) / len(self.ready)
            self.used[number] = min(float(LIMIT), IDLE + COST * load)
            yield self.environment.timeout(1.0)

    def autoscaler(self) -> Generator[simpy.Event, Any, None]:
        """The core of the HPA, without conditions, events, missing metrics or behaviors."""
        while True:
            yield self.environment.timeout(SYNC)
            now, current = self.environment.now, self.size
            self.pod_seconds += SYNC * current
            percent = int(sum(self.used.values()) * 100) // (REQUEST * len(self.used))
            ratio = percent / TARGET
            proposal = current if 0.9 <= ratio <= 1.1 else ceil(ratio * len(self.used))
            self.recommendations = [r for r in self.recommendations if now - r[0] <= WINDOW]
            self.recommendations.append((now, proposal))
            stable = max(size for _, size in self.recommendations)
            desired = max(1, min(stable, max(2 * current, 4), MOST))
            if desired != current:
                self.resize(desired, START)


def peer_run(traffic: Sine, duration: float, totals: dict[str, float]) -> float:
    """Runs of 24 h per CPU second of the SimPy model."""

    def work() -> None:
        peer = Peer(traffic)
        peer.environment.run(until=duration)
        totals["peer"] = peer.pod_seconds

    return duration / DAY / cpu_seconds(work)


def kubesim_run(traffic: Sine, duration: float, step: float, totals: dict[str, float]) -> float:
    """Runs of 24 h per CPU second of kubesim's model."""
    world = World(
        cost_milli_per_rps=COST,
        idle_milli=IDLE,
        request_milli=REQUEST,
        limit_milli=LIMIT,
        start_seconds=START,
        queue=Queue(limit=0),
        metrics_resolution=None,
        step_seconds=step,
    )
    contender = Contender(target=TARGET, maximum=MOST)

    def work() -> None:
        run = simulate(contender, traffic, duration=duration, world=world)
        totals[f"step {step:g}"] = run.scores.pod_seconds

    return duration / DAY / cpu_seconds(work)


def run(quick: bool) -> list[BenchmarkRow]:
    """The rows of this benchmark."""
    duration = 7_200.0 if quick else 14_400.0
    traffic = Sine(base=660, amplitude=560, period_seconds=duration)
    totals: dict[str, float] = {}
    results = take_turns(
        3 if quick else 5,
        each_second=lambda: kubesim_run(traffic, duration, 1.0, totals),
        each_look=lambda: kubesim_run(traffic, duration, SYNC, totals),
        peer=lambda: peer_run(traffic, duration, totals),
    )
    for name, pod_seconds in totals.items():
        if abs(pod_seconds / totals["peer"] - 1) > AGREE:
            raise AssertionError(f"{name} disagrees with the peer: {totals}")
    unit, peer = "runs of 24 h per CPU s", "SimPy, a process per pod"
    return [
        row("HPA runs, every second", unit, results["each_second"], results["peer"], peer, mark=20),
        row("HPA runs, every 15 s", unit, results["each_look"], results["peer"], peer, mark=40),
    ]
