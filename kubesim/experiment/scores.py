"""Scores of a run: its cost, and the service that clients got.

No counterpart in Kubernetes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import exp, log

from kubesim.traffic import Flow
from kubesim.traffic.queueing import mean_service

FLAP_SECONDS = 600.0  # a scaling that reverses a more recent one is a flap
PERCENT = 0.02  # resolution of service times
WAIT_SECONDS = 0.05  # resolution of waiting times
BINS = 2_000  # resolution of the load of pods, without waiting


@dataclass(frozen=True, slots=True)
class Scores:
    """The scores of one run.

    Attributes:
        pod_seconds: the integral of the size: the cost.
        most_pods: the largest size.
        offered: requests that arrived.
        unmet: requests without an answer: timed out, or lost.
        p95: 95th percentile of the latency in seconds; None if no request was answered.
        slow_seconds: seconds with a p95 above the target, or with unmet requests.
        scalings: changes of size.
        flaps: scalings that reversed another one within ten minutes.
    """

    pod_seconds: float
    most_pods: int
    offered: float
    unmet: float
    p95: float | None
    slow_seconds: float
    scalings: int
    flaps: int

    @property
    def unmet_percent(self) -> float:
        """Unmet requests as a percentage of all requests."""
        return 100.0 * self.unmet / self.offered if self.offered else 0.0


@dataclass(frozen=True)
class Run:
    """One policy, one traffic, one seed.

    Attributes:
        policy, traffic, seed: of the run.
        scores: its scores.
        sizes: (second, pods) at the start and after each scaling.
    """

    policy: str
    traffic: str
    seed: int
    scores: Scores
    sizes: tuple[tuple[float, int], ...] = field(default=(), repr=False)


class LatencyTally:
    """The latencies of all requests of a run, in little memory.

    In each second the latency is a wait plus an exponential (see `kubesim.traffic.queueing`).
    Seconds with nearly equal parameters are added up, so that a day takes some hundred entries.

    Args:
        pod_rate: requests per second that a pod can serve; used for `calm`.
    """

    def __init__(self, pod_rate: float = 1.0) -> None:
        self.pod_rate = pod_rate
        self.calm = [0.0] * (BINS + 1)
        """Requests of seconds without waiting, by the pods' load in 1/BINS of their capacity."""
        self._mass: dict[tuple[int, int], float] = {}

    def add(self, flow: Flow) -> None:
        """Count the served requests of a second."""
        if flow.served > 0:
            place = round(log(flow.mean_service) / PERCENT) if flow.mean_service > 0 else -10_000
            key = (place, round(flow.waited / WAIT_SECONDS))
            self._mass[key] = self._mass.get(key, 0.0) + flow.served

    def _entries(self) -> list[tuple[float, float, float]]:
        """Return (requests, seconds waited, mean seconds of service) of all entries."""
        entries = [
            (mass, waits * WAIT_SECONDS, exp(place * PERCENT))
            for (place, waits), mass in self._mass.items()
        ]
        for place, mass in enumerate(self.calm):
            if mass:
                load = (place + 0.5) / BINS * self.pod_rate
                entries.append((mass, 0.0, mean_service(self.pod_rate, load, 1)))
        return entries

    def share_within(self, seconds: float) -> float:
        """Return the share of the requests with at most that latency; 0 without requests."""
        return _share(self._entries(), seconds)

    def percentile(self, percent: float) -> float | None:
        """Return a percentile of the latency in seconds; None without requests."""
        entries = self._entries()
        if not entries:
            return None
        low, high, share = 0.0, 1.0, percent / 100
        while _share(entries, high) < share:
            high *= 2
        for _ in range(40):
            middle = (low + high) / 2
            low, high = (low, middle) if _share(entries, middle) >= share else (middle, high)
        return high


def _share(entries: Sequence[tuple[float, float, float]], seconds: float) -> float:
    total = within = 0.0
    for mass, waited, mean in entries:
        total += mass
        beyond = seconds - waited
        if beyond >= 0:
            within += mass * (1.0 - exp(-min(beyond / mean, 700.0)) if mean > 1e-80 else 1.0)
    return within / total if total else 0.0


def count_flaps(sizes: Sequence[tuple[float, int]], within: float = FLAP_SECONDS) -> int:
    """Return how many scalings reversed the one before them within some seconds.

    >>> count_flaps([(0, 1), (15, 3), (100, 2), (900, 3)])          # the last comes 800 s later
    1
    """
    flaps, last, when = 0, 0, 0.0
    for (_, before), (second, after) in pairwise(sizes):
        change = after - before
        flaps += last * change < 0 and second - when <= within
        last, when = change, second
    return flaps


def pod_seconds(sizes: Sequence[tuple[float, int]], end: float) -> float:
    """Return the integral of the size from the first entry to the end.

    Args:
        sizes: (second, pods) pairs.
        end: simulated second.
    """
    times = [*(second for second, _ in sizes), end]
    return sum(
        size * (later - second) for (second, size), later in zip(sizes, times[1:], strict=True)
    )
