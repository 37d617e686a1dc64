"""Virtual time: the callbacks of all workers in one queue, without threads; a day takes seconds.

Time jumps from one instant to the next at which a callback is due. Callbacks of one instant run in
the order (priority of their worker, order of registration), so the same program gives the same run.

Most callbacks are periodic and share their instants, so the queue is not a heap of callbacks but a
heap of *instants* with a list of callbacks for each: re-arming a pod's tick is one dictionary
look-up and one append.

>>> clock = VirtualClock()
>>> worker = clock.worker("pod/default/web-0")
>>> timer = worker.every(1.0, lambda: print("tick at", clock.now()))
>>> clock.sleep(2.5)
tick at 1.0
tick at 2.0
>>> clock.now()
2.5

No counterpart in Kubernetes, whose tests fake time under real goroutines (k8s.io/utils/clock).
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from heapq import heappop, heappush
from random import Random

from kubesim.clock.base import Callback, FailureHandler, Worker
from kubesim.clock.calendar import CACHED_TIMESTAMPS, RFC_3339, VIRTUAL_EPOCH, Calendar
from kubesim.clock.driving import DriverTurn
from kubesim.errors import ClockError
from kubesim.usercode import USER_ERRORS

Instant = tuple[float, int]  # (simulated second, priority)


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
        clock: the virtual clock.
        name: unique name.
        priority: order among callbacks that are due at the same second, lowest first.
        actor: the name in the audit log; "": `name`.
    """

    __slots__ = ("_clock", "actor", "name", "priority", "stopped")

    def __init__(self, clock: VirtualClock, name: str, priority: int, actor: str = "") -> None:
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


_IteratorState = tuple[object, tuple[list[VirtualTimer]], int]


class VirtualClock:
    """Simulated time that moves only while a driver asks for it.

    Any thread that is not inside a callback may drive; drivers take turns. Callbacks registered
    from other threads (for example by an HTTP request) enter the queue between two instants; their
    effect on the order of a run is outside the promise of determinism.

    Args:
        shuffle_seed: run the workers of one instant in a seeded random order instead of the order
            of registration, to find code that depends on it. Each worker stays a serial lane.
        speed: the pace of a lesson's Play, in simulated seconds per wall second; drivers ignore it.
    """

    virtual = True

    def __init__(self, *, shuffle_seed: int | None = None, speed: float = 1.0) -> None:
        self._now = 0.0
        self.calendar = Calendar(VIRTUAL_EPOCH)
        self._timestamps: dict[int, str] = {}  # by second
        self._seconds: dict[str, float] = {}  # the same the other way round
        self._instants: list[Instant] = []  # heap
        self._queue: dict[Instant, list[VirtualTimer]] = {}
        self._inbox: deque[VirtualTimer] = deque()  # from threads that do not drive
        self._workers: dict[str, VirtualWorker] = {}
        self._turn = DriverTurn()
        self._shuffle = Random(shuffle_seed) if shuffle_seed is not None else None
        self._in_flight: VirtualTimer | None = None  # the callback that a second Ctrl-C ended
        self._walk: Iterator[VirtualTimer] | None = None  # over the bucket that runs now
        self._closed = False
        self.speed = speed
        self.paused = False

    # -- what components use --------------------------------------------------------------------

    @property
    def epoch(self) -> datetime:
        """2025-01-01T00:00:00Z, in every run."""
        return self.calendar.epoch

    def now(self) -> float:
        """Return the simulated seconds since the start."""
        return self._now

    def timestamp(self, seconds: float | None = None) -> str:
        """Return `now()` (or the given second) as RFC 3339, whole seconds."""
        second = int(self._now if seconds is None else seconds)
        return self._timestamps.get(second) or self._format(second)

    def _format(self, second: int) -> str:
        if len(self._timestamps) >= CACHED_TIMESTAMPS:
            self._timestamps.clear()
            self._seconds.clear()
        timestamp = (VIRTUAL_EPOCH + timedelta(seconds=second)).strftime(RFC_3339)
        self._timestamps[second], self._seconds[timestamp] = timestamp, float(second)
        return timestamp

    def seconds_at(self, timestamp: str) -> float:
        """Parse an RFC 3339 string; return its simulated seconds."""
        second = self._seconds.get(timestamp)
        return self.calendar.seconds_at(timestamp) if second is None else second

    def worker(self, name: str, *, priority: int = 0, actor: str = "") -> VirtualWorker:
        """Return a new worker.

        Args:
            name: unique among the running workers.
            priority: at one instant, lower priorities run first.
            actor: the component that the worker belongs to; "": the worker is the component.

        Raises:
            ClockError: the clock is closed, or a running worker has that name.
        """
        if self._closed:
            raise ClockError("the clock is closed")
        if name in self._workers:
            raise ClockError(f"there is a worker {name!r} already; stop it first")
        worker = self._workers[name] = VirtualWorker(self, name, priority, actor)
        return worker

    def workers(self) -> list[str]:
        """Return the names of the workers that are not stopped, sorted."""
        return sorted(self._workers)

    def stop_workers(self, workers: list[Worker], timeout_seconds: float = 5.0) -> list[str]:
        """Stop many workers; none can hang here."""
        for worker in workers:
            worker.stop()
        return []

    def inside_worker(self) -> bool:
        """Return whether the calling code runs inside a callback."""
        return threading.get_ident() == self._turn.driver

    def current_worker(self) -> str:
        """Return the name of the worker in whose callback the caller runs; "" outside of any."""
        worker = self._running_worker()
        return worker.name if worker is not None else ""

    def current_actor(self) -> str:
        """Return the component in whose callback the caller runs; "" outside of any."""
        worker = self._running_worker()
        return worker.actor if worker is not None else ""

    def _running_worker(self) -> VirtualWorker | None:
        if self._walk is None or threading.get_ident() != self._turn.driver:
            return None
        # Callbacks run a million times a second: none is recorded, so the iterator tells which.
        # `iter(list).__reduce__()` is (iter, (list,), position of the next item).
        state: _IteratorState = self._walk.__reduce__()  # type: ignore[assignment]  # as above
        _, (timers,), position = state
        return timers[position - 1].worker

    def on_failure(self, handler: FailureHandler) -> None:
        """Set the handler that is called when a callback raises."""
        self._turn.on_failure(handler)

    # -- for the driver alone -------------------------------------------------------------------

    def sleep(self, seconds: float) -> None:
        """Let `seconds` of simulated time pass; every callback due by then has run.

        Raises:
            ClockError: called from inside a callback, or a negative number.
            WorkerFailed: a callback raised, and no handler dealt with it.
        """
        if not seconds >= 0:
            raise ClockError(f"time cannot go backwards: cannot sleep {seconds} s")
        with self._turn.taken(closed=self._closed):
            end = self._now + seconds
            while self._run_next(end):
                pass
            self._now = end

    def advance_to(self, seconds: float) -> None:
        """Let time pass until `now()` is the given second."""
        self.sleep(seconds - self._now)

    def wait_until(
        self,
        predicate: Callable[[], bool],
        timeout_seconds: float = 60.0,
        *,
        poll_seconds: float = 0.05,
    ) -> bool:
        """Let time pass until the predicate holds, tested after each instant."""
        with self._turn.taken(closed=self._closed):
            end = self._now + timeout_seconds
            while not predicate():
                if not self._run_next(end):
                    self._now = max(self._now, end)
                    return bool(predicate())
            return True

    def pause(self) -> None:
        """Tell a lesson's Play to stop; a driver's calls still let time pass."""
        self.paused = True

    def resume(self) -> None:
        """Tell a lesson's Play to go on."""
        self.paused = False

    def step(self, seconds: float = 1.0) -> None:
        """Let exactly `seconds` pass and stay paused."""
        self.paused = True
        self.sleep(seconds)

    def close(self) -> None:
        """Stop every worker and drop the pending callbacks. May be called twice."""
        self._closed = True
        for worker in list(self._workers.values()):
            worker.stop()
        self._instants, self._queue, self._inbox = [], {}, deque()

    def pending(self) -> int:
        """Return the number of pending callbacks that are not cancelled."""
        timers = [*self._inbox, *(timer for bucket in self._queue.values() for timer in bucket)]
        return sum(not (timer.cancelled or timer.worker.stopped) for timer in timers)

    def next_due(self) -> float | None:
        """Return the simulated second of the next instant; None if no callback is pending."""
        waiting = [timer.due for timer in self._inbox]
        if self._instants:
            waiting.append(self._instants[0][0])
        return min(waiting) if waiting else None

    # -- inside ---------------------------------------------------------------------------------

    def add(self, timer: VirtualTimer) -> None:
        """Queue a timer; from another thread it goes through the inbox."""
        if timer.worker.stopped:
            return
        if threading.get_ident() == self._turn.driver:
            self._enqueue(timer)
        else:
            self._inbox.append(timer)

    def forget(self, worker: VirtualWorker) -> None:
        """Free the name of a stopped worker; its timers are dropped when their instants come."""
        if self._workers.get(worker.name) is worker:
            del self._workers[worker.name]

    def _enqueue(self, timer: VirtualTimer) -> None:
        instant = (timer.due, timer.worker.priority)
        bucket = self._queue.get(instant)
        if bucket is None:
            self._queue[instant] = [timer]
            heappush(self._instants, instant)
        else:
            bucket.append(timer)

    def _run_next(self, end: float) -> bool:
        """Run the next instant if it is not after `end`; return False if there is none."""
        if self._turn.interrupt.requested:
            self._turn.interrupt.check()
        while self._inbox:
            timer = self._inbox.popleft()
            timer.due = max(timer.due, self._now)
            self._enqueue(timer)
        if not self._instants or self._instants[0][0] > end:
            return False
        instant = heappop(self._instants)
        self._now = max(self._now, instant[0])
        bucket = self._queue[instant]
        rest = iter(bucket)
        try:
            if self._shuffle is not None:
                self._run_shuffled(bucket, instant[1], self._shuffle)
            else:
                self._run_bucket(rest, instant[1])
        except BaseException:  # a second Ctrl-C: callbacks that have not ended stay due
            if self._shuffle is None:
                bucket[:] = rest
            if self._in_flight is not None:
                bucket.insert(0, self._in_flight)
                self._in_flight = None
            heappush(self._instants, instant)
            raise
        finally:
            self._walk = None
        if self._queue.get(instant) is bucket:
            del self._queue[instant]
        return True

    def _run_bucket(self, bucket: Iterator[VirtualTimer], priority: int) -> None:
        """Run the callbacks of one instant in order; they may add more to the same instant."""
        queue, instants = self._queue, self._instants
        self._walk = bucket
        last = -1.0  # the instant for which `target` is the list
        target: list[VirtualTimer] = []
        for timer in bucket:  # a list may grow during its iteration
            if timer.cancelled or timer.worker.stopped:
                continue
            period = timer.period
            if period:
                # Re-armed before it runs, so that the callback may cancel it.
                timer.ticks = ticks = timer.ticks + 1
                timer.due = due = timer.start + ticks * period
                if due == last:
                    target.append(timer)
                else:
                    instant = (due, priority)
                    later = queue.get(instant)
                    if later is None:
                        later = queue[instant] = []
                        heappush(instants, instant)
                    later.append(timer)
                    last, target = due, later
            try:
                timer.fn()
            except USER_ERRORS as error:  # the boundary of every component
                self._turn.failed(timer.worker.name, error)
            except BaseException:
                self._in_flight = None if period else timer  # a period is armed again already
                raise

    def _run_shuffled(self, bucket: list[VirtualTimer], priority: int, rng: Random) -> None:
        """Run a bucket, drawing the next worker at random; each worker keeps its own order."""
        while bucket:
            chosen = bucket[rng.randrange(len(bucket))].worker
            index = next(i for i, timer in enumerate(bucket) if timer.worker is chosen)
            self._run_bucket(iter([bucket.pop(index)]), priority)

    def statistics(self) -> dict[str, float]:
        """Return counts for tests and tables."""
        return {"now": self._now, "workers": len(self._workers), "instants": len(self._instants)}
