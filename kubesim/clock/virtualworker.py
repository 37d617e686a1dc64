"""Workers and timers of the virtual clock.

No counterpart in Kubernetes.
"""

from __future__ import annotations

from typing import Protocol

from kubesim.clock.base import Callback
from kubesim.errors import ClockError


class WorkerQueue(Protocol):
    """What a worker needs of its clock."""

    def now(self) -> float:
        """Return the present simulated second."""

    def add(self, timer: VirtualTimer) -> None:
        """Queue a timer."""

    def forget(self, worker: VirtualWorker) -> None:
        """Free the name of a stopped worker."""


class VirtualTimer:
    """A callback in the queue of the virtual clock.

    Args:
        worker: the worker that runs the callback.
        fn: the callback.
        due: simulated second of the first run.
        period: simulated seconds between two runs; 0: it runs once.
    """

    __slots__ = ("cancelled", "due", "fn", "period", "start", "ticks", "worker")

    def __init__(self, worker: VirtualWorker, fn: Callback, due: float, period: float) -> None:
        self.worker = worker
        self.fn = fn
        self.due = due
        self.period = period  # 0.0: runs once
        self.start = due - period
        self.ticks = 1
        self.cancelled = False

    def cancel(self) -> None:
        """Cancel the callback; the queue drops it when its instant comes."""
        self.cancelled = True


class VirtualWorker:
    """A worker of the virtual clock: a serial lane without a thread.

    Args:
        clock: the queue of the virtual clock.
        name: unique name.
        priority: order among callbacks that are due at the same second, lowest first.
        actor: the name in the audit log; "": `name`.
    """

    __slots__ = ("_clock", "actor", "name", "priority", "stopped")

    def __init__(self, clock: WorkerQueue, name: str, priority: int, actor: str = "") -> None:
        self._clock = clock
        self.name = name
        self.actor = actor or name
        self.priority = priority
        self.stopped = False

    def call_soon(self, fn: Callback) -> None:
        """Run `fn` at this instant, after the queued callbacks. Callable from any thread."""
        self._clock.add(VirtualTimer(self, fn, self._clock.now(), 0.0))

    def call_later(self, seconds: float, fn: Callback) -> VirtualTimer:
        """Run `fn` after `seconds` of simulated time."""
        timer = VirtualTimer(self, fn, self._clock.now() + max(0.0, seconds), 0.0)
        self._clock.add(timer)
        return timer

    def every(self, period_seconds: float, fn: Callback, *, spread: bool = False) -> VirtualTimer:
        """Run `fn` each period, first one period from now, without drift.

        `spread` is ignored: on virtual time a thousand ticks at one instant are cheap.
        """
        if period_seconds <= 0:
            raise ClockError(f"a period must be positive, not {period_seconds}")
        timer = VirtualTimer(self, fn, self._clock.now() + period_seconds, period_seconds)
        self._clock.add(timer)
        return timer

    def stop(self, timeout_seconds: float = 5.0) -> bool:
        """Drop all pending callbacks; the worker is idle afterwards, since no thread runs."""
        self.stopped = True
        self._clock.forget(self)
        return True
