"""The scheduling queue: pods to try now, pods in back-off, pods that wait for a cluster event.

    active          a heap: higher priority first, then the pod that has waited longer
    backoff         refused or failed recently; tried again after 1, 2, 4, 8, 10 s
    unschedulable   no node was feasible; waits for an event that could help, at most 5 min
    gated           a PreEnqueue plug-in holds the pod back
    trying          an attempt is in progress, or the pod waits in Permit

A refused pod goes to *unschedulable* with the names of the plug-ins that refused it; when an event
arrives, their hints say whether it could help. A pod whose attempt failed with an error goes to
*backoff* at once. If no pod is active, the head of the back-off may be taken early, but not a pod
whose attempt failed with an error.

Pure data: times are passed in.

Source: pkg/scheduler/backend/queue/{scheduling_queue,backoff_queue,active_queue}.go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from heapq import heappop, heappush
from math import floor
from typing import TYPE_CHECKING, TypeAlias

from kubesim.objects import meta
from kubesim.scheduler.framework.events import ANYTHING, ClusterEvent
from kubesim.scheduler.framework.podinfo import priority_of

if TYPE_CHECKING:
    from kubesim.objects.types import PodDict

INITIAL_BACKOFF_SECONDS = 1.0
MAX_BACKOFF_SECONDS = 10.0
MAX_UNSCHEDULABLE_SECONDS = 300.0  # after that a pod is tried again in any case
POOLS = ("active", "trying", "backoff", "unschedulable", "gated")
Hint: TypeAlias = Callable[["PodDict", Iterable[str], ClusterEvent], bool]
"""hint(pod, plug-ins that refused it, event) -> whether the event could help."""


def backoff_seconds(
    attempts: int, initial: float = INITIAL_BACKOFF_SECONDS, maximum: float = MAX_BACKOFF_SECONDS
) -> float:
    """Return the back-off in seconds after a number of failed attempts.

    Args:
        attempts: number of failed attempts.
        initial, maximum: podInitialBackoffSeconds and podMaxBackoffSeconds.

    >>> [backoff_seconds(n) for n in (0, 1, 2, 3, 4, 5, 6)]
    [0.0, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0]
    """
    if attempts <= 0:
        return 0.0
    return float(min(initial * 2 ** min(attempts - 1, 40), maximum))


@dataclass(slots=True)
class QueuedPod:
    """A pod in the queue.

    Attributes:
        pod: the Pod document.
        key: ``namespace/name``.
        since: simulated second at which it was added, or refused last.
        refusals: number of attempts in which no node was feasible.
        errors: number of consecutive attempts that failed with an error.
        refused_by: plug-ins that refused it in the last attempt.
        pool: one of POOLS.
        serial: number of its current heap entry; entries with another number are stale.
        backoff: the first and the longest back-off in seconds.
    """

    pod: PodDict
    key: str
    since: float
    refusals: int = 0
    errors: int = 0
    refused_by: frozenset[str] = frozenset()
    pool: str = "new"
    serial: int = field(default=0, repr=False)
    backoff: tuple[float, float] = (INITIAL_BACKOFF_SECONDS, MAX_BACKOFF_SECONDS)

    @property
    def priority(self) -> int:
        """spec.priority; higher is tried first."""
        return priority_of(self.pod)

    @property
    def attempts(self) -> int:
        """Number of failed attempts that count for the back-off."""
        return self.errors or self.refusals

    @property
    def backoff_until(self) -> float:
        """Simulated second at which the back-off ends, rounded down to a whole second."""
        return float(floor(self.since + backoff_seconds(self.attempts, *self.backoff)))


Less: TypeAlias = Callable[[QueuedPod, QueuedPod], bool]
"""less(a, b) -> whether queued pod a is tried before b."""


class _ByPlugin:
    """A heap entry ordered by a QueueSort plug-in."""

    __slots__ = ("less", "queued", "serial")

    def __init__(self, queued: QueuedPod, serial: int, less: Less) -> None:
        self.queued, self.serial, self.less = queued, serial, less

    def __lt__(self, other: _ByPlugin) -> bool:
        if self.less(self.queued, other.queued):
            return True
        return not self.less(other.queued, self.queued) and self.serial < other.serial


_ActiveEntry: TypeAlias = tuple[tuple[int, float, int] | _ByPlugin, int, str]


class SchedulingQueue:
    """The pods that wait to be scheduled.

    Args:
        hint: asks plug-ins about an event; None: every event could help.
        less: order of the active pods; None: higher priority first, then the pod that has waited
            longer.
        pop_from_backoff: take the head of the back-off early while no pod is active.
        backoff: the first and the longest back-off in seconds.
    """

    def __init__(
        self,
        hint: Hint | None = None,
        less: Less | None = None,
        *,
        pop_from_backoff: bool = True,
        backoff: tuple[float, float] = (INITIAL_BACKOFF_SECONDS, MAX_BACKOFF_SECONDS),
    ) -> None:
        self._hint = hint
        self._less = less
        self._early = pop_from_backoff
        self._limits = backoff
        self._pods: dict[str, QueuedPod] = {}
        self._active: list[_ActiveEntry] = []
        self._backoff: list[tuple[float, int, float, int, str]] = []
        self._in_flight: dict[str, list[ClusterEvent]] = {}
        self._unschedulable: dict[str, QueuedPod] = {}  # the pods of that pool, for `move`
        self._serial = 0

    def __len__(self) -> int:
        return len(self._pods)

    def get(self, key: str) -> QueuedPod | None:
        """Return the queued pod of a key, or None."""
        return self._pods.get(key)

    def pods(self) -> list[QueuedPod]:
        """Return all pods that wait or are being tried."""
        return list(self._pods.values())

    def counts(self) -> dict[str, int]:
        """Return the number of pods in each pool; from any thread."""
        pools = dict.fromkeys(POOLS, 0)
        for pod in list(self._pods.values()):  # one atomic copy: pods come and go on the worker
            if (pool := pod.pool) in pools:  # it may be on its way into one
                pools[pool] += 1
        return pools

    # -- adding and removing -----------------------------------------------------------------------

    def add(self, pod: PodDict, now: float, *, gated: bool = False) -> None:
        """Add a pod; if it is queued already, only replace its document.

        Args:
            pod: the Pod document.
            now: simulated second.
            gated: whether a PreEnqueue plug-in holds it back.
        """
        key = meta.key_of(pod)
        queued = self._pods.get(key)
        if queued is not None:
            queued.pod = pod
            return
        queued = self._pods[key] = QueuedPod(pod, key, now, backoff=self._limits)
        if gated:
            self._put(queued, "gated")
        else:
            self._activate(queued)

    def update(self, pod: PodDict, now: float, event: ClusterEvent, *, gated: bool) -> None:
        """Replace the document of a pod whose spec or labels changed; that may help it.

        Args:
            pod: the new document.
            now: simulated second.
            event: the change.
            gated: whether a PreEnqueue plug-in holds it back.
        """
        queued = self._pods.get(meta.key_of(pod))
        if queued is None:
            self.add(pod, now, gated=gated)
            return
        reprioritized = priority_of(pod) != queued.priority
        queued.pod = pod
        if queued.pool == "trying":
            self._in_flight.setdefault(queued.key, []).append(event)
        elif gated:
            self._put(queued, "gated")
        elif queued.pool == "gated":
            self._activate(queued)
        elif queued.pool == "unschedulable" and self._helps(queued, event):
            self._requeue(queued, now)
        elif queued.pool == "active" and reprioritized:
            self._activate(queued)

    def remove(self, key: str) -> None:
        """Remove a pod that was bound or deleted."""
        self._pods.pop(key, None)
        self._unschedulable.pop(key, None)
        self._in_flight.pop(key, None)

    def pop(self, now: float) -> QueuedPod | None:
        """Return the next pod to try, or None; the pod stays in the queue until `remove`.

        A pod that was refused at this very instant is not taken from the back-off: otherwise two
        pods whose failures requeue each other would keep a virtual clock from advancing.
        """
        while self._active:
            _, serial, key = heappop(self._active)
            pod = self._pods.get(key)
            if pod is not None and pod.pool == "active" and pod.serial == serial:
                return self._begin(pod)
        while self._early and self._backoff:
            *_, serial, key = self._backoff[0]
            pod = self._pods.get(key)
            current = pod is not None and pod.pool == "backoff" and pod.serial == serial
            if current and pod is not None and pod.since >= now:
                break
            heappop(self._backoff)
            if current and pod is not None:
                return self._begin(pod)
        return None

    def _begin(self, pod: QueuedPod) -> QueuedPod:
        self._put(pod, "trying")
        self._in_flight[pod.key] = []
        return pod

    # -- after an attempt -------------------------------------------------------------------------

    def refused(self, key: str, now: float, plugins: Iterable[str] = ()) -> QueuedPod | None:
        """Put a pod back after a failed attempt.

        Args:
            key: key of the pod.
            now: simulated second.
            plugins: the plug-ins that refused it; none: the attempt failed with an error.

        Returns:
            The pod, in its new pool; None if it is no longer in the queue.
        """
        pod = self._pods.get(key)
        missed_events = self._in_flight.pop(key, [])
        if pod is None:
            return None
        pod.since = now
        pod.refused_by = frozenset(plugins)
        if pod.refused_by:
            pod.refusals += 1
            pod.errors = 0
            if any(self._helps(pod, event) for event in missed_events):
                self._back_off(pod)
            else:
                self._put(pod, "unschedulable")
        else:
            pod.errors += 1
            self._back_off(pod)
        return pod

    def move(self, event: ClusterEvent, now: float, but: str = "") -> list[QueuedPod]:
        """Requeue the pods that an event could help, after their back-off.

        Args:
            event: what happened.
            now: simulated second.
            but: key of the pod that caused the event and is not helped by it.

        Returns:
            The pods that were moved to the back-off.
        """
        waiting = []
        for key, events in self._in_flight.items():
            if key != but:
                events.append(event)
        for pod in list(self._unschedulable.values()):
            if pod.key != but and self._helps(pod, event):
                self._requeue(pod, now)
                if pod.pool == "backoff":
                    waiting.append(pod)
        return waiting

    def flush(self, now: float, slack: float = 0.0) -> None:
        """Activate the pods whose back-off or longest wait is over.

        Args:
            now: simulated second.
            slack: seconds by which a back-off may end early.
        """
        for pod in list(self._pods.values()):
            if pod.pool == "backoff" and pod.backoff_until <= now + slack:
                self._activate(pod)
            elif pod.pool == "unschedulable" and now - pod.since > MAX_UNSCHEDULABLE_SECONDS:
                self._requeue(pod, now)

    def activate(self, key: str) -> None:
        """Make a waiting pod active at once."""
        pod = self._pods.get(key)
        if pod is not None and pod.pool in ("backoff", "unschedulable"):
            self._activate(pod)

    def _helps(self, pod: QueuedPod, event: ClusterEvent) -> bool:
        if not pod.refused_by or event.kind == ANYTHING or self._hint is None:
            return True
        return self._hint(pod.pod, sorted(pod.refused_by), event)

    def _requeue(self, pod: QueuedPod, now: float) -> None:
        if pod.backoff_until > now:
            self._back_off(pod)
        else:
            self._activate(pod)

    def _put(self, pod: QueuedPod, pool: str) -> None:
        pod.pool = pool
        if pool == "unschedulable":
            self._unschedulable[pod.key] = pod
        else:
            self._unschedulable.pop(pod.key, None)

    def _back_off(self, pod: QueuedPod) -> None:
        self._put(pod, "backoff")
        self._serial += 1
        pod.serial = self._serial
        if not pod.errors:
            entry = (pod.backoff_until, -pod.priority, pod.since, pod.serial, pod.key)
            heappush(self._backoff, entry)

    def _activate(self, pod: QueuedPod) -> None:
        self._put(pod, "active")
        self._serial += 1
        pod.serial = self._serial
        order: tuple[int, float, int] | _ByPlugin = (-pod.priority, pod.since, pod.serial)
        if self._less is not None:
            order = _ByPlugin(pod, pod.serial, self._less)
        heappush(self._active, (order, pod.serial, pod.key))
