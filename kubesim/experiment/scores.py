"""Scores of a run: what it cost, and what its users felt.

No counterpart in Kubernetes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import exp, log

from kubesim.traffic import Flow
from kubesim.traffic.queueing import mean_service

FLAP_SECONDS = 600.0  # a scaling that takes back one so recent is a flap
PERCENT = 0.02  # how finely service times are told apart
WAIT_SECONDS = 0.05  # how finely waiting times are
BINS = 2_000  # how finely the load of pods is, where nobody waits


@dataclass(frozen=True, slots=True)
class Scores:
    """One run, in figures.

    Attributes:
        pod_seconds: the integral of the size: what is paid for.
        most_pods: the largest size.
        offered: requests that arrived.
        unmet: requests without an answer: timed out, or lost.
        p95: seconds that 95 of 100 answered requests did not exceed; None if there was none.
        slow_seconds: seconds whose p95 was above the target, or in which requests went unmet.
        scalings: changes of size.
        flaps: those that took back another one within ten minutes.
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
        """Unmet requests in percent of all."""
        return 100.0 * self.unmet / self.offered if self.offered else 0.0


@dataclass(frozen=True)
class Run:
    """One policy, one traffic, one seed.

    Attributes:
        policy, traffic, seed: which.
        scores: the figures.
        sizes: (second, pods) at the beginning and after each scaling.
    """

    policy: str
    traffic: str
    seed: int
    scores: Scores
    sizes: tuple[tuple[float, int], ...] = field(default=(), repr=False)


class LatencyTally:
    """The latencies of all requests of a run, in few numbers.

    In each second they are waiting plus an exponential (see `kubesim.traffic.queueing`); seconds
    with nearly the same two figures are added up, so that a day takes some hundred entries.

    Args:
        pod_rate: requests per second that a pod can serve; for `calm` alone.
    """

    def __init__(self, pod_rate: float = 1.0) -> None:
        self.pod_rate = pod_rate
        self.calm = [0.0] * (BINS + 1)
        """Requests of seconds in which nobody waited, by the pods' load in 1/BINS of capacity."""
        self._mass: dict[tuple[int, int], float] = {}

    def add(self, flow: Flow) -> None:
        """Count the served requests of a second."""
        if flow.served > 0:
            place = round(log(flow.mean_service) / PERCENT) if flow.mean_service > 0 else -10_000
            key = (place, round(flow.waited / WAIT_SECONDS))
            self._mass[key] = self._mass.get(key, 0.0) + flow.served

    def _entries(self) -> list[tuple[float, float, float]]:
        """(requests, seconds waited, mean seconds of service) of all that were counted."""
        found = [
            (mass, waits * WAIT_SECONDS, exp(place * PERCENT))
            for (place, waits), mass in self._mass.items()
        ]
        for place, mass in enumerate(self.calm):
            if mass:
                load = (place + 0.5) / BINS * self.pod_rate
                found.append((mass, 0.0, mean_service(self.pod_rate, load, 1)))
        return found

    def share_within(self, seconds: float) -> float:
        """Share of the requests that took no longer; 0 if there was none."""
        return _share(self._entries(), seconds)

    def percentile(self, percent: float) -> float | None:
        """Seconds that so many percent did not exceed; None without any request."""
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
    total = found = 0.0
    for mass, waited, mean in entries:
        total += mass
        beyond = seconds - waited
        if beyond >= 0:
            found += mass * (1.0 - exp(-min(beyond / mean, 700.0)) if mean > 1e-80 else 1.0)
    return found / total if total else 0.0


def count_flaps(sizes: Sequence[tuple[float, int]], within: float = FLAP_SECONDS) -> int:
    """How many scalings took back the one before them, soon after it.

    >>> count_flaps([(0, 1), (15, 3), (100, 2), (900, 3)])          # the last comes 800 s later
    1
    """
    found, last, when = 0, 0, 0.0
    for (_, before), (second, after) in pairwise(sizes):
        change = after - before
        found += last * change < 0 and second - when <= within
        last, when = change, second
    return found


def pod_seconds(sizes: Sequence[tuple[float, int]], end: float) -> float:
    """The integral of the size from the first entry to the end."""
    moments = [*(second for second, _ in sizes), end]
    return sum(
        size * (later - second) for (second, size), later in zip(sizes, moments[1:], strict=True)
    )
