"""The scheduling loop: takes one pod after the other from the queue, and requeues waiting pods.

Source: pkg/scheduler/scheduler.go (Run), pkg/scheduler/backend/queue/scheduling_queue.go (Run).
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil

from kubesim.clock.base import Clock, Worker
from kubesim.scheduler.framework.events import ClusterEvent
from kubesim.scheduler.queue import QueuedPod, SchedulingQueue

FLUSH_SECONDS = 30.0  # how often the queue is searched for pods that have waited too long
TIMER_SLACK_SECONDS = 0.01  # a live timer may fire early by that much


class SchedulingLoop:
    """Calls `schedule` for each pod of the queue, one at a time, while a pod is ready.

    Args:
        worker: runs the loop and its timers.
        clock: simulated time.
        queue: the pods.
        schedule: makes one attempt.
    """

    def __init__(
        self,
        worker: Worker,
        clock: Clock,
        queue: SchedulingQueue,
        schedule: Callable[[QueuedPod], None],
    ) -> None:
        self._worker = worker
        self._clock = clock
        self._queue = queue
        self._schedule = schedule
        self._awake = False
        self._flushes: set[float] = set()

    def start(self) -> None:
        """Start the timer for pods that have waited too long."""
        self._worker.every(FLUSH_SECONDS, self._flush)

    def wake(self) -> None:
        """Let the worker try the next pod soon."""
        if not self._awake:
            self._awake = True
            self._worker.call_soon(self._schedule_one)

    def move(self, event: ClusterEvent, but: str = "") -> None:
        """Requeue the pods that an event might help.

        Args:
            event: what happened.
            but: key of the pod that caused the event and is not helped by it.
        """
        for queued in self._queue.move(event, self._clock.now(), but):
            self.retry_after_backoff(queued)
        self.wake()

    def retry_after_backoff(self, queued: QueuedPod | None) -> None:
        """Set a timer for the end of a pod's back-off; upstream flushes once per full second."""
        if queued is None or queued.pool != "backoff":
            return
        due = max(queued.backoff_until, float(ceil(self._clock.now())))
        if due not in self._flushes:
            self._flushes.add(due)
            self._worker.call_later(due - self._clock.now(), self._flush)

    def _flush(self) -> None:
        now = self._clock.now()
        self._flushes = {due for due in self._flushes if due > now + TIMER_SLACK_SECONDS}
        self._queue.flush(now, TIMER_SLACK_SECONDS)
        self.wake()

    def _schedule_one(self) -> None:
        self._awake = False
        queued = self._queue.pop(self._clock.now())
        if queued is not None:
            self.wake()
            self._schedule(queued)
