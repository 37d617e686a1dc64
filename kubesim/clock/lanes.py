"""The threads of the live clock: a lane runs callbacks one at a time, when they are due.

A `ThreadLane` is one thread with its timers; a `LaneWorker` is the worker that a component gets.
Usually a worker owns its lane; above the clock's thread limit many workers share one lane, each
still serial, since one thread runs one callback at a time.

No counterpart in Kubernetes; Go's runtime multiplexes goroutines onto threads by itself.
"""

from __future__ import annotations

import threading
from collections import deque
from heapq import heappop, heappush
from itertools import count
from math import floor
from time import monotonic, sleep
from typing import Protocol

from kubesim.clock.base import Callback
from kubesim.clock.streams import keyed_fraction
from kubesim.errors import ClockError

LONGEST_WAIT_SECONDS = 60.0  # the longest single wait of a thread


class LaneClock(Protocol):
    """What a lane and its workers need of their clock."""

    @property
    def paused(self) -> bool:
        """True while time is stopped."""

    def now(self) -> float:
        """Return the present simulated second."""

    def wait_seconds(self, due: float) -> float:
        """Return the wall seconds until a simulated second; infinity while time is stopped."""

    def failed(self, worker: str, error: BaseException) -> None:
        """Report a callback of a worker that raised."""

    def forget(self, worker: LaneWorker) -> None:
        """Free the name of a stopped worker."""


class LaneTimer:
    """A callback that is due later.

    Args:
        worker: the worker that runs the callback.
        fn: the callback.
        due: simulated second of the first run.
        period: simulated seconds between two runs; 0: it runs once.
    """

    __slots__ = ("cancelled", "due", "fn", "period", "start", "worker")

    def __init__(self, worker: LaneWorker, fn: Callback, due: float, period: float) -> None:
        self.worker = worker
        self.fn = fn
        self.due = self.start = due
        self.period = period  # 0.0: runs once
        self.cancelled = False

    def cancel(self) -> None:
        """Cancel the callback; the lane drops it when it is due."""
        self.cancelled = True

    def rearm(self, now: float) -> None:
        """Move `due` by whole periods: missed ticks are skipped, the phase is kept."""
        self.due += self.period
        if self.due <= now:
            self.due = self.start + (floor((now - self.start) / self.period) + 1) * self.period


_here = threading.local()  # .lane: the lane whose thread this is


def running_worker() -> LaneWorker | None:
    """Return the worker whose callback runs on this thread; None if none does."""
    lane: ThreadLane | None = getattr(_here, "lane", None)
    return lane.running if lane is not None else None


class ThreadLane:
    """One daemon thread and its pending callbacks.

    The thread sleeps by acquiring `_gate` with a timeout; another thread releases it to wake it.
    This is cheaper than an Event, and a release while the thread is awake is not lost.
    """

    def __init__(self, clock: LaneClock, name: str) -> None:
        self._clock = clock
        self._gate = threading.Lock()
        self._gate.acquire()
        # Handed over by any thread (a deque's append and popleft are atomic):
        self._soon: deque[LaneTimer] = deque()
        self._arrivals: deque[LaneTimer] = deque()
        # Touched by the lane's own thread alone:
        self._timers: list[tuple[float, int, LaneTimer]] = []
        self._serials = count()
        self._ended = False
        self._running: LaneWorker | None = None  # the worker whose callback runs
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._started = False

    def start(self) -> None:
        """Start the thread, once."""
        if not self._started:
            self._started = True
            self._thread.start()

    @property
    def running(self) -> LaneWorker | None:
        """The worker whose callback runs now; None between two callbacks."""
        return self._running

    def is_thread(self, thread: threading.Thread) -> bool:
        """Return whether that is this lane's thread."""
        return thread is self._thread

    def call_soon(self, timer: LaneTimer) -> None:
        """Add a callback that is due at once."""
        self._soon.append(timer)
        self.wake()

    def add(self, timer: LaneTimer) -> None:
        """Add a callback that is due later."""
        if threading.current_thread() is self._thread:
            heappush(self._timers, (timer.due, next(self._serials), timer))
        else:
            self._arrivals.append(timer)
            self.wake()

    def wake(self) -> None:
        """Wake the thread."""
        if self._gate.locked():
            try:
                self._gate.release()
            except RuntimeError:
                return  # another thread has just released it: this one is awake

    def has_due(self, now: float) -> bool:
        """Return whether a callback is due or running; approximate, for `LiveClock.step`."""
        timers = self._timers
        return bool(
            self._running or self._soon or self._arrivals or (timers and timers[0][0] <= now)
        )

    def request_stop(self) -> None:
        """Tell the thread to end after the callback in flight."""
        self._ended = True
        self.wake()

    def stop(self, timeout_seconds: float) -> bool:
        """Wait, bounded, until the thread has ended; return True if it has, or is the caller."""
        self.request_stop()
        if threading.current_thread() is self._thread or not self._started:
            return True
        self._thread.join(timeout_seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        _here.lane = self
        clock, gate, soon, timers = self._clock, self._gate, self._soon, self._timers
        while not self._ended:
            while self._arrivals:
                timer = self._arrivals.popleft()
                heappush(timers, (timer.due, next(self._serials), timer))
            if clock.paused:
                gate.acquire(timeout=LONGEST_WAIT_SECONDS)
            elif soon:
                self._call(soon.popleft())
            elif timers:
                wait = clock.wait_seconds(timers[0][0])
                if wait <= 0:
                    self._run_due(heappop(timers)[2])
                else:
                    gate.acquire(timeout=min(wait, LONGEST_WAIT_SECONDS))
            else:
                gate.acquire(timeout=LONGEST_WAIT_SECONDS)

    def _run_due(self, timer: LaneTimer) -> None:
        if timer.cancelled or timer.worker.stopped:
            return
        if timer.period:
            timer.rearm(self._clock.now())
            heappush(self._timers, (timer.due, next(self._serials), timer))
        self._call(timer)

    def _call(self, timer: LaneTimer) -> None:
        worker = timer.worker
        if timer.cancelled or worker.stopped:
            return
        self._running = worker
        worker.busy = True
        try:
            timer.fn()
        except BaseException as error:  # noqa: BLE001 - the thread of a component never ends by one
            self._clock.failed(worker.name, error)
        finally:
            worker.busy = False
            self._running = None


class LaneWorker:
    """A serial lane of callbacks on the live clock.

    Args:
        clock: the live clock.
        name: unique name; with its own lane also the name of the thread.
        lane: the lane that runs the callbacks.
        owns_lane: the lane serves only this worker.
        actor: the name in the audit log; "": `name`.
    """

    __slots__ = ("_clock", "_lane", "actor", "busy", "name", "owns_lane", "stopped")

    def __init__(
        self, clock: LaneClock, name: str, lane: ThreadLane, *, owns_lane: bool, actor: str = ""
    ) -> None:
        self._clock = clock
        self._lane = lane
        self.name = name
        self.actor = actor or name
        self.owns_lane = owns_lane
        self.stopped = False
        self.busy = False  # a callback of this worker is in flight

    def call_soon(self, fn: Callback) -> None:
        """Run `fn` on this worker's thread as soon as it is free. Callable from any thread."""
        if not self.stopped:
            self._lane.call_soon(LaneTimer(self, fn, 0.0, 0.0))

    def call_later(self, seconds: float, fn: Callback) -> LaneTimer:
        """Run `fn` after `seconds` of simulated time."""
        timer = LaneTimer(self, fn, self._clock.now() + max(0.0, seconds), 0.0)
        if not self.stopped:
            self._lane.add(timer)
        return timer

    def every(self, period_seconds: float, fn: Callback, *, spread: bool = False) -> LaneTimer:
        """Run `fn` each period; with `spread` at a phase of the worker's own.

        A thousand threads that wake at one instant cost ten times as much as when spread over the
        second; the phase is a hash of the worker's name.
        """
        if period_seconds <= 0:
            raise ClockError(f"a period must be positive, not {period_seconds}")
        first = self._clock.now() + period_seconds
        if spread:
            first -= period_seconds * keyed_fraction(self.name)
        timer = LaneTimer(self, fn, first, period_seconds)
        if not self.stopped:
            self._lane.add(timer)
        return timer

    def request_stop(self) -> None:
        """Drop all pending callbacks without waiting for the one in flight."""
        self.stopped = True
        self._clock.forget(self)
        if self.owns_lane:
            self._lane.request_stop()

    def stop(self, timeout_seconds: float = 5.0) -> bool:
        """Drop all pending callbacks and wait, bounded, for one in flight; return True if idle."""
        self.request_stop()
        if self.owns_lane:
            return self._lane.stop(timeout_seconds)
        if self._lane.is_thread(threading.current_thread()):
            return True
        deadline = monotonic() + timeout_seconds
        while self.busy and monotonic() < deadline:
            sleep(0.001)
        return not self.busy
