"""The scheduling queue: pods to try now, pods to try after a while, pods that wait for a change.

    active          a heap: higher priority first, then who waits longer
    back-off        failed recently; tried again after 1, 2, 4, 8, 10 s
    unschedulable   no node was good enough; waits for an event that could help, at most 5 min
    gated           must not be tried yet

Pure data: times are passed in.

Source: pkg/scheduler/backend/queue/scheduling_queue.go.
"""

from __future__ import annotations

from dataclasses import dataclass
from heapq import heappop, heappush

INITIAL_BACKOFF_SECONDS = 1.0
MAX_BACKOFF_SECONDS = 10.0
MAX_UNSCHEDULABLE_SECONDS = 300.0  # then it is tried again in any case


def backoff_seconds(attempts: int) -> float:
    """How long a pod waits after so many failed attempts.

    >>> [backoff_seconds(n) for n in (1, 2, 3, 4, 5, 6)]
    [1.0, 2.0, 4.0, 8.0, 10.0, 10.0]
    """
    return float(min(INITIAL_BACKOFF_SECONDS * 2 ** (max(1, attempts) - 1), MAX_BACKOFF_SECONDS))


@dataclass(slots=True)
class QueuedPod:
    """A pod that waits.

    Attributes:
        key: ``namespace/name``.
        priority: spec.priority; higher goes first.
        since: second at which it began to wait, or failed last.
        attempts: failed attempts so far.
        pool: new, active, trying, backoff, unschedulable or gated.
    """

    key: str
    priority: int = 0
    since: float = 0.0
    attempts: int = 0
    pool: str = "new"

    @property
    def backoff_until(self) -> float:
        """Second at which its back-off is over; it runs from the failed attempt."""
        return self.since + backoff_seconds(self.attempts)


class SchedulingQueue:
    """The pods that wait to be placed."""

    def __init__(self) -> None:
        self._pods: dict[str, QueuedPod] = {}
        self._heap: list[tuple[int, float, int, str]] = []  # (-priority, since, serial, key)
        self._serial = 0

    def __len__(self) -> int:
        return len(self._pods)

    def get(self, key: str) -> QueuedPod | None:
        """The waiting pod of a key."""
        return self._pods.get(key)

    def counts(self) -> dict[str, int]:
        """Pods in each pool."""
        pools = dict.fromkeys(("active", "trying", "backoff", "unschedulable", "gated"), 0)
        for pod in self._pods.values():
            pools[pod.pool] += 1
        return pools

    def add(self, key: str, priority: int, now: float, *, gated: bool = False) -> None:
        """A pod to be placed; one that waits already is tried anew."""
        pod = self._pods.get(key)
        if pod is None:
            pod = self._pods[key] = QueuedPod(key, priority, now)
        pod.priority = priority
        if gated:
            pod.pool = "gated"
        elif pod.pool != "backoff" or pod.backoff_until <= now:
            self._activate(pod)

    def remove(self, key: str) -> None:
        """The pod is placed, or gone."""
        self._pods.pop(key, None)

    def pop(self) -> QueuedPod | None:
        """The next pod to try; None if none is active. It stays known until `remove`."""
        while self._heap:
            _, since, _, key = heappop(self._heap)
            pod = self._pods.get(key)
            if pod is not None and pod.pool == "active" and pod.since == since:
                pod.pool = "trying"
                return pod
        return None

    def refused(self, key: str, now: float, *, error: bool) -> QueuedPod | None:
        """The attempt failed: wait for a change, or after an error just for a while."""
        pod = self._pods.get(key)
        if pod is not None:
            pod.attempts += 1
            pod.since = now
            pod.pool = "backoff" if error else "unschedulable"
        return pod

    def move_all(self, now: float) -> list[float]:
        """Something changed that might help: unschedulable pods come back, after their back-off.

        Returns the seconds at which back-offs end that are still running.
        """
        for pod in list(self._pods.values()):
            if pod.pool == "unschedulable":
                pod.pool = "backoff"
        return self.flush(now)

    def flush(self, now: float) -> list[float]:
        """Bring back the pods whose back-off or patience is over; when the next ones are."""
        pending = []
        for pod in list(self._pods.values()):
            if pod.pool == "backoff":
                if pod.backoff_until <= now:
                    self._activate(pod)
                else:
                    pending.append(pod.backoff_until)
            elif pod.pool == "unschedulable" and now - pod.since > MAX_UNSCHEDULABLE_SECONDS:
                self._activate(pod)
        return pending

    def _activate(self, pod: QueuedPod) -> None:
        if pod.pool == "active":
            return  # it stands in the heap already
        pod.pool = "active"
        self._serial += 1
        heappush(self._heap, (-pod.priority, pod.since, self._serial, pod.key))
