"""What becomes of the requests of one second: served, waiting, timed out, lost; and how soon.

A *fluid* queue in steps of one second, first come, first served. All ready pods together serve at
most `capacity` requests per second. What exceeds that waits; who has waited longer than the
time-out gives up; who finds the queue full, or no ready pod at all, is lost at once (kube-proxy
rejects connections to a Service without endpoints).

>>> queue = FluidQueue(Queue(limit=100, timeout_seconds=2))
>>> flow = queue.step(now=0.0, arrivals=60, capacity=48, pods=1)
>>> flow.served, flow.queued, flow.lost
(48.0, 12.0, 0.0)
>>> flow = queue.step(now=1.0, arrivals=0, capacity=48, pods=1)
>>> flow.served, flow.queued
(12.0, 0.0)

Latency has two parts. *Waiting*: how long ago those who are served now arrived, as the fluid says.
*Service*: requests come one by one and not as a fluid, so that a pod which could just keep up is
slow, too. Each pod is an M/M/1 queue: with `rate` requests per second that it could serve and
`load` that it does serve, the time in it is exponential with mean 1 / (rate - load); random
splitting, as kube-proxy does it, keeps arrivals Poisson. That is a steady state; within one second
a queue cannot become infinitely long, so that the load counts as at most 95 % of the rate.

Clients may send again what was not answered (`retries`), and servers may not notice that a client
is gone (`wasted_work`). With both, a service can stay down although the load that brought it down
has gone: it works for clients that have given up, and these come again. More pods cure it, or less
waiting: a short queue, fewer retries.

Units: seconds, requests, requests per second. No counterpart in Kubernetes. Source of the formulas:
L. Kleinrock, Queueing Systems, vol. 1 (1975), chapter 3 (M/M/1, time in the system); of the
collapse: N. Bronson et al., Metastable Failures in Distributed Systems (HotOS 2021).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from math import inf, log
from typing import NamedTuple

from kubesim.errors import BadRequest

LIMIT = 1_000.0  # requests that may wait
TIMEOUT_SECONDS = 5.0  # how long a client waits
MOST_LOADED = 0.95  # share of a pod's rate that the M/M/1 formula is asked with at most
STEP_SECONDS = 1.0
P50, P95, P99 = (-log(1.0 - share) for share in (0.5, 0.95, 0.99))  # of an exponential of mean 1


@dataclass(frozen=True, slots=True)
class Queue:
    """How patient a service and its clients are.

    Attributes:
        limit: requests that may wait, all pods together; 0: nobody waits.
        timeout_seconds: how long a client waits before it gives up.
        retries: share of the requests without an answer that are sent again, a second later.
        wasted_work: who gives up leaves no trace in the queue; the server works for it in vain.

    Raises:
        BadRequest: a negative limit, a time-out that is not above 0, a share not from 0 to 1.
    """

    limit: float = LIMIT
    timeout_seconds: float = TIMEOUT_SECONDS
    retries: float = 0.0
    wasted_work: bool = False

    def __post_init__(self) -> None:
        if not self.limit >= 0:
            raise BadRequest(f"a queue's limit must be 0 or more, not {self.limit!r}")
        if not self.timeout_seconds > 0:
            raise BadRequest(f"timeout_seconds must be more than 0, not {self.timeout_seconds!r}")
        if not 0 <= self.retries <= 1:
            raise BadRequest(f"retries must be a share from 0 to 1, not {self.retries!r}")


NO_QUEUE = Queue(limit=0.0)


class Flow(NamedTuple):
    """One second of one service, or a longer step.

    Attributes:
        time: the second in which it began.
        offered: requests that arrived in it, for the first time.
        ready: pods that share them.
        capacity: requests that these could serve in it; infinite if they know no limit.
        served: requests that were answered.
        queued: requests that wait at its end.
        timed_out: requests whose clients gave up.
        lost: requests that found the queue full, or no pod.
        p50, p95, p99: latency in seconds that so many percent of the served ones did not exceed;
            None if none was served.
        waited: seconds that the served ones waited, on average; a part of the latency.
        mean_service: mean seconds of the exponential part.
        worked: requests that the pods worked on: served, or in vain.
        retried: requests that arrived once more.
        again: of those that timed out or were lost, how many are sent again.
    """

    time: float
    offered: float
    ready: int
    capacity: float
    served: float
    queued: float
    timed_out: float
    lost: float
    p50: float | None
    p95: float | None
    p99: float | None
    waited: float
    mean_service: float
    worked: float = 0.0
    retried: float = 0.0
    again: float = 0.0

    @property
    def unmet(self) -> float:
        """Requests that got no answer and never will."""
        return self.timed_out + self.lost - self.again


def mean_service(capacity: float, served: float, pods: int) -> float:
    """Mean seconds in a pod, by M/M/1: see the module's docstring.

    >>> round(mean_service(capacity=48, served=24, pods=1), 4)     # 1 / (48 - 24)
    0.0417
    >>> round(mean_service(capacity=48, served=48, pods=1), 4)     # 1 / (5 % of 48)
    0.4167
    """
    if pods <= 0 or capacity <= 0 or capacity == inf:
        return 0.0
    rate = capacity / pods
    return 1.0 / (rate - min(served / pods, MOST_LOADED * rate))


@dataclass(slots=True)
class _Waiting:
    """Requests that arrived evenly between two moments and wait."""

    begin: float
    end: float
    amount: float


class FluidQueue:
    """The queue of one service; it keeps only who waits, in the order of arrival, and how many
    come again."""

    __slots__ = ("_again", "_total", "_waiting", "rules")

    def __init__(self, rules: Queue = NO_QUEUE) -> None:
        self.rules = rules
        self._waiting: deque[_Waiting] = deque()
        self._total = 0.0
        self._again = 0.0

    @property
    def empty(self) -> bool:
        """True if nobody waits, and nobody comes again."""
        return not self._waiting and not self._again

    def step(
        self,
        now: float,
        arrivals: float,
        capacity: float,
        pods: int,
        seconds: float = STEP_SECONDS,
    ) -> Flow:
        """The next second, or a longer step.

        Args:
            now: the second in which it begins; each step must be later than the one before.
            arrivals: requests that come in it.
            capacity: requests that all ready pods could serve in it.
            pods: how many these are.
            seconds: its length.
        """
        fresh, retried = float(arrivals), self._again
        arrivals = fresh + retried
        worked = timed_out = lost = late = waited = 0.0
        if pods <= 0:  # nobody listens: those who come and those who wait are refused
            lost, self._total, capacity = arrivals + self._total, 0.0, 0.0
            self._waiting.clear()
        elif not self._waiting and arrivals <= capacity:  # the common case: nobody has to wait
            worked = arrivals
        else:
            before = now - self._waiting[0].begin if self._waiting else 0.0
            if arrivals > 0:
                self._waiting.append(_Waiting(now, now + seconds, arrivals))
                self._total += arrivals
            patience = self.rules.timeout_seconds
            worked, old = self._take(min(self._total, capacity), now + seconds / 2 - patience)
            if self.rules.wasted_work:
                timed_out = late = old
            else:
                timed_out = self._expire(now + seconds - patience)
            lost = self._cut(self._total - self.rules.limit)
            after = now + seconds - self._waiting[0].begin if self._waiting else 0.0
            waited = max(0.0, before + after) / 2
        self._again = again = self.rules.retries * (timed_out + lost)
        served, mean = worked - late, mean_service(capacity / seconds, worked / seconds, pods)
        latency: tuple[float | None, float | None, float | None] = (None, None, None)
        if served > 0:
            latency = (waited + P50 * mean, waited + P95 * mean, waited + P99 * mean)
        return Flow(
            now,
            fresh,
            max(0, pods),
            capacity,
            served,
            self._total,
            timed_out,
            lost,
            *latency,
            waited,
            mean,
            worked,
            retried,
            again,
        )

    def _take(self, amount: float, cut: float) -> tuple[float, float]:
        """Work on so many of those who came first; returns how many, and how many of them had
        arrived before a moment."""
        left, old = amount, 0.0
        while self._waiting and left > 0:
            first = self._waiting[0]
            taken = min(first.amount, left)
            end = first.begin + (first.end - first.begin) * taken / first.amount
            if first.begin < cut:
                whole = end <= cut or end <= first.begin
                old += taken if whole else taken * (cut - first.begin) / (end - first.begin)
            left -= taken
            if taken == first.amount:
                self._waiting.popleft()
            else:
                first.begin, first.amount = end, first.amount - taken
        self._total = self._total - amount if self._waiting else 0.0
        return float(amount), old

    def _expire(self, cut: float) -> float:
        """Whoever arrived before that moment gives up; returns how many did."""
        gone = 0.0
        while self._waiting and self._waiting[0].begin < cut:
            first = self._waiting[0]
            if first.end <= cut:
                gone += first.amount
                self._waiting.popleft()
            else:
                part = first.amount * (cut - first.begin) / (first.end - first.begin)
                gone, first.begin, first.amount = gone + part, cut, first.amount - part
        self._total = max(0.0, self._total - gone) if self._waiting else 0.0
        return gone

    def _cut(self, excess: float) -> float:
        """Those who came last found the queue full; returns how many did."""
        if excess <= 0:
            return 0.0
        left = excess
        while self._waiting and left > 0:
            last = self._waiting[-1]
            if last.amount <= left:
                left -= last.amount
                self._waiting.pop()
            else:
                last.end -= (last.end - last.begin) * left / last.amount
                last.amount -= left
                left = 0.0
        self._total = self.rules.limit if self._waiting else 0.0
        return excess
