"""The queue of a service: which requests are served, wait, time out or are lost, and the latency.

A *fluid* queue in steps of one second, first come, first served. All ready pods together serve at
most `capacity` requests per second. Requests above that wait; a request that has waited longer than
the time-out is given up by its client; a request that finds the queue full, or no ready pod, is
lost at once (kube-proxy rejects connections to a Service without endpoints).

>>> queue = FluidQueue(Queue(limit=100, timeout_seconds=2))
>>> flow = queue.step(now=0.0, arrivals=60, capacity=48, pods=1)
>>> flow.served, flow.queued, flow.lost
(48.0, 12.0, 0.0)
>>> flow = queue.step(now=1.0, arrivals=0, capacity=48, pods=1)
>>> flow.served, flow.queued
(12.0, 0.0)

Latency has two parts. *Waiting*: the time since the requests that are served now arrived, by the
fluid model. *Service*: requests arrive one by one and not as a fluid, so that a pod near its limit
is slow, too. Each pod is an M/M/1 queue: with `rate` requests per second that it can serve and
`load` that it serves, the time in it is exponential with mean 1 / (rate - load); random splitting,
as by kube-proxy, keeps arrivals Poisson. That is a steady state; within one second a queue cannot
become infinitely long, so that the load counts as at most 95 % of the rate.

Clients may retry requests without an answer (`retries`), and servers may not notice that a client
has given up (`wasted_work`). With both, a service can stay down after the overload has ended: it
works for clients that have given up, and these retry. More pods help, or less waiting: a short
queue, fewer retries.

Units: seconds, requests, requests per second. No counterpart in Kubernetes. Source of the formulas:
L. Kleinrock, Queueing Systems, vol. 1 (1975), chapter 3 (M/M/1, time in the system); of the
collapse: N. Bronson et al., Metastable Failures in Distributed Systems (HotOS 2021).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from math import inf, log
from typing import NamedTuple

from kubesim.arguments import check_arguments, flag, real_number
from kubesim.errors import BadRequest

LIMIT = 1_000.0  # requests that may wait
TIMEOUT_SECONDS = 5.0  # how long a client waits
MOST_LOADED = 0.95  # highest load in the M/M/1 formula, as a share of a pod's rate
STEP_SECONDS = 1.0
QUEUE_FIELDS = {
    "limit": real_number,
    "timeout_seconds": real_number,
    "retries": real_number,
    "wasted_work": flag,
}
P50, P95, P99 = (-log(1.0 - share) for share in (0.5, 0.95, 0.99))  # of an exponential of mean 1


@dataclass(frozen=True, slots=True)
class Queue:
    """How long requests may wait, and what their clients do then.

    Attributes:
        limit: requests that may wait, for all pods together; 0: no request waits.
        timeout_seconds: seconds that a client waits before it gives up.
        retries: share of the requests without an answer that are sent again, a second later.
        wasted_work: a request stays in the queue after its client gave up, and is worked on in
            vain.

    Raises:
        BadRequest: a negative limit, a time-out that is not above 0, a share not from 0 to 1, or
            no numbers.
    """

    limit: float = LIMIT
    timeout_seconds: float = TIMEOUT_SECONDS
    retries: float = 0.0
    wasted_work: bool = False

    def __post_init__(self) -> None:
        check_arguments(QUEUE_FIELDS, {name: getattr(self, name) for name in QUEUE_FIELDS})
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
        offered: requests that arrived for the first time.
        ready: pods that share the requests.
        capacity: requests that these pods can serve in this step; infinite without a limit.
        served: requests that were answered.
        queued: requests that wait at the end.
        timed_out: requests whose clients gave up.
        lost: requests that found the queue full, or no pod.
        p50, p95, p99: percentiles of the latency of served requests, in seconds; None if no request
            was served.
        waited: mean seconds that the served requests waited; a part of the latency.
        mean_service: mean seconds of the exponential part of the latency.
        worked: requests that the pods worked on: served, or wasted because the client had given up.
        retried: requests that were sent again and arrived in this step.
        again: requests that timed out or were lost in this step and will be sent again.
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
        """Requests that got no answer and will not be retried."""
        return self.timed_out + self.lost - self.again


def mean_service(capacity: float, served: float, pods: int) -> float:
    """Return the mean seconds in a pod by M/M/1; see the module's docstring.

    Args:
        capacity: requests per second that all pods can serve.
        served: requests per second that they serve.
        pods: number of pods.

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
    """Waiting requests that arrived evenly between two times."""

    begin: float
    end: float
    amount: float


class FluidQueue:
    """The queue of one service: the waiting requests by arrival, and the number of retries."""

    __slots__ = ("_again", "_total", "_waiting", "rules")

    def __init__(self, rules: Queue = NO_QUEUE) -> None:
        self.rules = rules
        self._waiting: deque[_Waiting] = deque()
        self._total = 0.0
        self._again = 0.0

    def change_rules(self, rules: Queue) -> None:
        """Go on with the waiting requests by other rules."""
        self.rules = rules

    @property
    def empty(self) -> bool:
        """Whether no request waits, and none is retried."""
        return not self._waiting and not self._again

    def step(
        self,
        now: float,
        arrivals: float,
        capacity: float,
        pods: int,
        seconds: float = STEP_SECONDS,
    ) -> Flow:
        """Compute the next second, or a longer step.

        Args:
            now: simulated second at which the step begins; later than that of the step before.
            arrivals: requests that arrive in the step.
            capacity: requests that all ready pods can serve in the step.
            pods: number of ready pods.
            seconds: length of the step.

        Returns:
            The requests of the step.
        """
        fresh, retried = float(arrivals), self._again
        arrivals = fresh + retried
        worked = timed_out = lost = late = waited = 0.0
        if pods <= 0:  # no endpoint: new and waiting requests are rejected
            lost, self._total, capacity = arrivals + self._total, 0.0, 0.0
            self._waiting.clear()
        elif not self._waiting and arrivals <= capacity:  # the most frequent case: no request waits
            worked = arrivals
        else:
            before = now - self._waiting[0].begin if self._waiting else 0.0
            if arrivals > 0:
                self._waiting.append(_Waiting(now, now + seconds, arrivals))
                self._total += arrivals
            timeout = self.rules.timeout_seconds
            worked, old = self._take(min(self._total, capacity), now + seconds / 2 - timeout)
            if self.rules.wasted_work:
                timed_out = late = old
            else:
                timed_out = self._expire(now + seconds - timeout)
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
        """Take the oldest requests from the queue.

        Args:
            amount: how many.
            cut: a simulated second.

        Returns:
            The amount, and how many of the requests arrived before `cut`.
        """
        remaining, old = amount, 0.0
        while self._waiting and remaining > 0:
            first = self._waiting[0]
            removed = min(first.amount, remaining)
            end = first.begin + (first.end - first.begin) * removed / first.amount
            if first.begin < cut:
                whole = end <= cut or end <= first.begin
                old += removed if whole else removed * (cut - first.begin) / (end - first.begin)
            remaining -= removed
            if removed == first.amount:
                self._waiting.popleft()
            else:
                first.begin, first.amount = end, first.amount - removed
        self._total = self._total - amount if self._waiting else 0.0
        return float(amount), old

    def _expire(self, cut: float) -> float:
        """Drop the requests that arrived before a simulated second; return how many."""
        expired = 0.0
        while self._waiting and self._waiting[0].begin < cut:
            first = self._waiting[0]
            if first.end <= cut:
                expired += first.amount
                self._waiting.popleft()
            else:
                part = first.amount * (cut - first.begin) / (first.end - first.begin)
                expired, first.begin, first.amount = expired + part, cut, first.amount - part
        self._total = max(0.0, self._total - expired) if self._waiting else 0.0
        return expired

    def _cut(self, excess: float) -> float:
        """Drop the newest requests, for which the queue is full; return how many."""
        if excess <= 0:
            return 0.0
        remaining = excess
        while self._waiting and remaining > 0:
            last = self._waiting[-1]
            if last.amount <= remaining:
                remaining -= last.amount
                self._waiting.pop()
            else:
                last.end -= (last.end - last.begin) * remaining / last.amount
                last.amount -= remaining
                remaining = 0.0
        self._total = self.rules.limit if self._waiting else 0.0
        return excess
