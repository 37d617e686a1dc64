"""The protocols of a clock: what both clocks do.

Kubernetes hands a `clock.Clock` to its components so that tests can fake time (k8s.io/utils/clock).
Its fake clock still runs real goroutines, so tests have to poll. Ours goes one step further:
components never sleep and never start threads; they register callbacks with a `Worker`, a *serial
lane* that runs one callback at a time. `LiveClock` makes each worker a daemon thread and a second a
second; `VirtualClock` runs all workers from one heap, without any thread.

Rules, for both clocks:

* One worker runs one callback at a time, so a component needs no lock.
* Only the *driver* (a notebook cell, a test, the CLI) calls `sleep`, `wait_until`, `step`; a worker
  that does gets a `ClockError`.
* A callback that raises ends neither the worker nor the clock: the failure goes to the clock's
  `on_failure` handler and, unless that handler swallows it, is raised as `WorkerFailed` in the
  driver's next call.
* `now()` counts simulated seconds since the clock was made, starting at 0.0.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime
from random import Random
from typing import Protocol, runtime_checkable

from kubesim.clock.calendar import Calendar

Callback = Callable[[], object]
FailureHandler = Callable[[str, BaseException], bool]
"""Called as handler(worker_name, error); returns True if it has handled the failure."""


def change_lock() -> AbstractContextManager[bool]:
    """Return a lock for a table that clients on several threads change; the same thread may nest.

    Only for code that requests run through: a component has its worker, and needs no lock.
    """
    return threading.RLock()


class Timer(Protocol):
    """A callback that is due later."""

    @property
    def due(self) -> float:
        """Simulated second at which the callback runs next."""

    def cancel(self) -> None:
        """Cancel the callback; harmless if it has run already."""


class Worker(Protocol):
    """A serial lane of callbacks: a named thread on the live clock, a queue on the virtual one."""

    @property
    def name(self) -> str:
        """Unique name, for example ``pod/default/web-0``; on the live clock the thread's name."""

    @property
    def actor(self) -> str:
        """The component that its callbacks belong to: ``kubelet/node-1``; else its own name."""

    @property
    def stopped(self) -> bool:
        """True once `stop` was called."""

    def call_soon(self, fn: Callback) -> None:
        """Run `fn` on this worker as soon as it is free. Callable from any thread."""

    def call_later(self, seconds: float, fn: Callback) -> Timer:
        """Run `fn` after `seconds` of simulated time (zero or negative: as `call_soon`)."""

    def every(self, period_seconds: float, fn: Callback, *, spread: bool = False) -> Timer:
        """Run `fn` each `period_seconds`, first one period from now.

        Ticks keep their phase (start + n * period, no drift). A live worker that is late skips the
        ticks that it missed. With `spread=True` the live clock may move the phase, by a hash of the
        worker's name, so that a thousand pods do not tick at the same instant; the virtual clock
        does not.

        Args:
            period_seconds: simulated seconds between two runs.
            fn: the callback.
            spread: the live clock may move the phase.
        """

    def stop(self, timeout_seconds: float = 5.0) -> bool:
        """Drop all pending callbacks, wait (wall time, bounded) for one in flight; True if idle.

        May be called from the worker itself, which then ends after the current callback.
        """


@runtime_checkable
class Clock(Protocol):
    """Simulated time, its workers and its named random streams."""

    @property
    def virtual(self) -> bool:
        """True if no thread runs: time moves only while the driver asks for it."""

    @property
    def epoch(self) -> datetime:
        """The UTC date and time at which `now()` was 0.0 (virtual: 2025-01-01T00:00:00Z)."""

    @property
    def speed(self) -> float:
        """Simulated seconds per wall second (live); the pace asked for by Play (virtual)."""

    @speed.setter
    def speed(self, value: float) -> None: ...

    @property
    def paused(self) -> bool:
        """True while time stands still."""

    @property
    def calendar(self) -> Calendar:
        """Converts between simulated seconds and dates."""

    def now(self) -> float:
        """Return the simulated seconds since the start. Never goes back."""

    def timestamp(self, seconds: float | None = None) -> str:
        """Return `now()` (or the given second) as metav1.Time: RFC 3339, UTC, whole seconds."""

    def seconds_at(self, timestamp: str) -> float:
        """Parse an RFC 3339 string; return its simulated seconds."""

    def worker(self, name: str, *, actor: str = "") -> Worker:
        """Return a new worker. Raises ClockError if a running worker has that name.

        Args:
            name: unique among the running workers.
            actor: the component that the worker belongs to; "": the worker is the component.
        """

    def workers(self) -> list[str]:
        """Return the names of the workers that are not stopped, sorted."""

    def stop_workers(self, workers: list[Worker], timeout_seconds: float = 5.0) -> list[str]:
        """Stop many workers (live: in batches); returns the names of those that did not end."""

    def inside_worker(self) -> bool:
        """Return whether the calling code runs inside a worker's callback."""

    def current_worker(self) -> str:
        """Return the name of the worker in whose callback the caller runs; "" outside of any."""

    def current_actor(self) -> str:
        """Return the component in whose callback the caller runs; "" outside of any."""

    def on_failure(self, handler: FailureHandler) -> None:
        """Set the handler that is called when a callback raises."""

    # -- for the driver alone -------------------------------------------------------------------

    def sleep(self, seconds: float) -> None:
        """Let `seconds` of simulated time pass. Raises ClockError inside a worker."""

    def wait_until(
        self,
        predicate: Callable[[], bool],
        timeout_seconds: float = 60.0,
        *,
        poll_seconds: float = 0.05,
    ) -> bool:
        """Let simulated time pass until the predicate holds; False after the (simulated) timeout.

        The virtual clock tests the predicate after each instant; the live one polls.

        Args:
            predicate: called until it returns True.
            timeout_seconds: simulated seconds after which to give up.
            poll_seconds: simulated seconds between two calls of the predicate.
        """

    def pause(self) -> None:
        """Stop time (live: all workers; virtual: Play, if it runs)."""

    def resume(self) -> None:
        """Let time run on."""

    def step(self, seconds: float = 1.0) -> None:
        """Let exactly `seconds` pass, then stand still again."""

    def close(self) -> None:
        """Stop every worker; the clock is of no further use. May be called twice."""


class Streams(Protocol):
    """Randomness: named streams of one seed."""

    seed: int

    def __call__(self, name: str) -> Random:
        """Return the stream of that name; its numbers depend on seed and name alone."""
