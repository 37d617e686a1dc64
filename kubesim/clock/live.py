"""Live time: a worker is a named daemon thread, and a second is a second (or 1/20 of one).

Every component, and every simulated pod, is a thread that a learner can see in
`threading.enumerate()`. A thread waits on its own lock until its next callback is due or
another thread hands it one. Beyond a stated number of threads Python collapses (a thousand threads
that wake at once compete for the interpreter), so further workers share one *paced loop* thread
through the same interface.

>>> clock = LiveClock(speed=100)
>>> worker = clock.worker("pod/default/web-0")
>>> seen = []
>>> timer = worker.every(1.0, lambda: seen.append(clock.now()))
>>> clock.wait_until(lambda: len(seen) >= 3, timeout_seconds=60)
True
>>> clock.close()

Real counterpart: a goroutine for each pod worker of a kubelet (pkg/kubelet/pod_workers.go).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

from kubesim.clock import collector
from kubesim.clock.base import FailureHandler, Worker
from kubesim.clock.calendar import Calendar
from kubesim.clock.lanes import LaneWorker, ThreadLane, running_worker
from kubesim.errors import ClockError, WorkerFailed

MAX_THREADS = 1_000  # 1,000 pods cost some 3 % of a core; beyond 2,000 threads collapse
STOP_BATCH = 64  # waking thousands of threads at once can take minutes; in batches half a second
PACED_LOOP = "paced-loop"
SETTLE_SECONDS = 5.0  # wall time that a step waits for its last callbacks


class LiveClock:
    """Simulated time that runs with the wall clock, at a factor.

    Args:
        speed: simulated seconds per wall second.
        max_threads: workers above this number share one paced thread.

    Raises:
        ClockError: a speed that is not positive.
    """

    virtual = False

    def __init__(self, *, speed: float = 1.0, max_threads: int = MAX_THREADS) -> None:
        self.calendar = Calendar(datetime.now(UTC))
        self._max_threads = max_threads
        # Guards the five fields below, from which the present second follows. No callback is called
        # while it is held.
        self._rate_lock = threading.Lock()
        self._speed = _checked_speed(speed)
        self._anchor_wall = time.monotonic()
        self._anchor_now = 0.0
        self._paused = False
        self._limit: float | None = None  # a step may go so far
        # Guards the tables of workers.
        self._workers_lock = threading.Lock()
        self._workers: dict[str, LaneWorker] = {}
        self._lanes: dict[str, ThreadLane] = {}
        self._closed = False
        self._handler: FailureHandler | None = None
        self._failure: WorkerFailed | None = None
        collector.enter(collector.LIVE)

    # -- what time is it ------------------------------------------------------------------------

    @property
    def epoch(self) -> datetime:
        """The UTC date and time at which the clock was made."""
        return self.calendar.epoch

    def now(self) -> float:
        """Return the simulated seconds since the start; never goes back."""
        with self._rate_lock:
            return self._now_locked()

    def _now_locked(self) -> float:
        if self._paused:
            return self._anchor_now
        now = self._anchor_now + (time.monotonic() - self._anchor_wall) * self._speed
        return now if self._limit is None else min(now, self._limit)

    def _reanchor_locked(self) -> None:
        self._anchor_now = self._now_locked()
        self._anchor_wall = time.monotonic()

    def timestamp(self, seconds: float | None = None) -> str:
        """Return `now()` (or the given second) as RFC 3339, whole seconds."""
        return self.calendar.timestamps[int(self.now() if seconds is None else seconds)]

    def seconds_at(self, timestamp: str) -> float:
        """Parse an RFC 3339 string; return its simulated seconds."""
        return self.calendar.seconds_at(timestamp)

    @property
    def speed(self) -> float:
        """Simulated seconds per wall second."""
        return self._speed

    @speed.setter
    def speed(self, value: float) -> None:
        value = _checked_speed(value)
        with self._rate_lock:
            self._reanchor_locked()
            self._speed = value
        self._wake_all()

    @property
    def paused(self) -> bool:
        """True while time is stopped, and with it every worker."""
        return self._paused

    def pause(self) -> None:
        """Stop time. A callback in flight ends; no further one starts."""
        with self._rate_lock:
            self._reanchor_locked()
            self._paused = True
            self._limit = None

    def resume(self) -> None:
        """Let time run on from the second at which it was stopped."""
        with self._rate_lock:
            self._anchor_now = self._now_locked()
            self._anchor_wall = time.monotonic()
            self._paused = False
            self._limit = None
        self._wake_all()

    def step(self, seconds: float = 1.0) -> None:
        """Let exactly `seconds` pass, at the current speed, then stop time.

        Raises:
            ClockError: called from inside a worker.
        """
        self._refuse_workers("step")
        with self._rate_lock:
            self._reanchor_locked()
            self._limit = limit = self._anchor_now + max(0.0, seconds)
            self._paused = False
        self._wake_all()
        while self.now() < limit and not self._closed:
            time.sleep(min(0.05, (limit - self.now()) / self._speed + 0.001))
        deadline = time.monotonic() + SETTLE_SECONDS
        while time.monotonic() < deadline and any(
            lane.has_due(limit) for lane in self._all_lanes()
        ):
            time.sleep(0.002)
        self.pause()
        self._raise_failure()

    def wait_seconds(self, due: float) -> float:
        """Return the wall seconds until a simulated second; infinity while time is stopped."""
        with self._rate_lock:
            if self._paused or (self._limit is not None and due > self._limit):
                return float("inf")
            return max(0.0, (due - self._now_locked()) / self._speed)

    # -- workers --------------------------------------------------------------------------------

    def worker(self, name: str, *, priority: int = 0, actor: str = "") -> LaneWorker:
        """Return a new worker: a thread of that name, or a part of the paced loop.

        Args:
            name: unique among the running workers.
            priority: ignored; it orders the callbacks of one instant on the virtual clock.
            actor: the component that the worker belongs to; "": the worker is the component.

        Raises:
            ClockError: the clock is closed, or a running worker has that name.
        """
        with self._workers_lock:
            if self._closed:
                raise ClockError("the clock is closed")
            if name in self._workers:
                raise ClockError(f"there is a worker {name!r} already; stop it first")
            if len(self._lanes) < self._max_threads:
                lane = self._lanes[name] = ThreadLane(self, name)
                worker = LaneWorker(self, name, lane, owns_lane=True, actor=actor)
            else:
                lane = self._lanes.setdefault(PACED_LOOP, ThreadLane(self, PACED_LOOP))
                worker = LaneWorker(self, name, lane, owns_lane=False, actor=actor)
            self._workers[name] = worker
        lane.start()
        return worker

    def workers(self) -> list[str]:
        """Return the names of the workers that are not stopped, sorted."""
        with self._workers_lock:
            return sorted(self._workers)

    def forget(self, worker: LaneWorker) -> None:
        """Free the name of a stopped worker."""
        with self._workers_lock:
            if self._workers.get(worker.name) is worker:
                del self._workers[worker.name]
                if worker.owns_lane:
                    del self._lanes[worker.name]

    def stop_workers(self, workers: list[Worker], timeout_seconds: float = 5.0) -> list[str]:
        """Stop many workers, a batch at a time; return the names of those that did not end."""
        deadline = time.monotonic() + timeout_seconds
        stuck = []
        for start in range(0, len(workers), STOP_BATCH):
            batch = workers[start : start + STOP_BATCH]
            for worker in batch:
                if isinstance(worker, LaneWorker):
                    worker.request_stop()
            for worker in batch:
                if not worker.stop(max(0.0, deadline - time.monotonic())):
                    stuck.append(worker.name)
        return stuck

    def inside_worker(self) -> bool:
        """Return whether the calling code runs on a worker's thread."""
        me = threading.current_thread()
        return any(lane.is_thread(me) for lane in self._all_lanes())

    def current_worker(self) -> str:
        """Return the name of the worker in whose callback the caller runs; "" outside of any."""
        worker = running_worker()
        return worker.name if worker is not None else ""

    def current_actor(self) -> str:
        """Return the component in whose callback the caller runs; "" outside of any."""
        worker = running_worker()
        return worker.actor if worker is not None else ""

    def on_failure(self, handler: FailureHandler) -> None:
        """Set the handler that is called when a callback raises."""
        self._handler = handler

    def failed(self, worker: str, error: BaseException) -> None:
        """Report a callback that raised to the handler, else to the driver in its next call."""
        if self._handler is not None and self._handler(worker, error):
            return
        if self._failure is None:
            self._failure = WorkerFailed(worker, error)

    # -- for the driver alone -------------------------------------------------------------------

    def sleep(self, seconds: float) -> None:
        """Let `seconds` of simulated time pass; while paused, that never happens.

        Raises:
            ClockError: inside a worker, a negative number, or while time is stopped.
            WorkerFailed: a callback raised, and no handler has handled it.
        """
        self._refuse_workers("sleep")
        if not seconds >= 0:
            raise ClockError(f"time cannot go backwards: cannot sleep {seconds} s")
        self._raise_failure()
        end = self.now() + seconds
        while (remaining := end - self.now()) > 0 and not self._closed:
            if self._paused:
                raise ClockError("the clock is paused: resume() or step() it")
            time.sleep(min(0.5, remaining / self._speed))
            self._raise_failure()

    def wait_until(
        self,
        predicate: Callable[[], bool],
        timeout_seconds: float = 60.0,
        *,
        poll_seconds: float = 0.05,
    ) -> bool:
        """Poll the predicate until it holds or `timeout_seconds` of simulated time have passed.

        `poll_seconds` is wall time. Paused time does not pass, so a paused clock waits as long as
        the same number of wall seconds.
        """
        self._refuse_workers("wait_until")
        end, wall_end = self.now() + timeout_seconds, time.monotonic() + timeout_seconds
        while not predicate():
            self._raise_failure()
            late = time.monotonic() > wall_end if self._paused else self.now() > end
            if late or self._closed:
                return bool(predicate())
            time.sleep(poll_seconds if poll_seconds > 0 else 0.001)
        return True

    def close(self) -> None:
        """Stop every worker, bounded; the clock is of no further use. May be called twice."""
        with self._workers_lock:
            if not self._closed:
                collector.leave(collector.LIVE)
            self._closed = True
            workers: list[Worker] = list(self._workers.values())
        self.stop_workers(workers)
        with self._workers_lock:
            lanes, self._lanes = list(self._lanes.values()), {}
        for lane in lanes:
            lane.stop(5.0)

    def statistics(self) -> dict[str, float]:
        """Return counts for tests and tables."""
        with self._workers_lock:
            return {
                "now": self.now(),
                "workers": len(self._workers),
                "threads": len(self._lanes),
                "speed": self._speed,
            }

    # -- inside ---------------------------------------------------------------------------------

    def _all_lanes(self) -> list[ThreadLane]:
        with self._workers_lock:
            return list(self._lanes.values())

    def _wake_all(self) -> None:
        for lane in self._all_lanes():
            lane.wake()

    def _refuse_workers(self, verb: str) -> None:
        if self.inside_worker():
            raise ClockError(
                f"a worker cannot {verb}: only the driver (a cell, a test) may. "
                "Use worker.call_later(seconds, ...) instead"
            )

    def _raise_failure(self) -> None:
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure from failure.error


def _checked_speed(value: float) -> float:
    if not 0 < value < float("inf"):
        raise ClockError(f"a speed must be positive, not {value}; pause() stops time")
    return float(value)
