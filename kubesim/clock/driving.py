"""The turn of a driver: who lets virtual time pass, and what ends it.

No counterpart in Kubernetes.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from kubesim.clock import collector
from kubesim.clock.base import FailureHandler
from kubesim.clock.interrupts import InterruptRequest, deferred_interrupts
from kubesim.errors import ClockError, WorkerFailed


class DriverTurn:
    """The right to let virtual time pass, which one thread has at a time.

    Attributes:
        driver: identity of the thread that has it now; None: no thread.
        interrupt: Ctrl-C during the turn.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()  # held by the thread that drives
        self.driver: int | None = None
        self.interrupt = InterruptRequest()
        self._handler: FailureHandler | None = None
        self._failure: WorkerFailed | None = None

    @contextmanager
    def taken(self, *, closed: bool) -> Iterator[None]:
        """Become the driver, with higher thresholds of the garbage collector (`collector`).

        Args:
            closed: the clock is closed.

        Raises:
            ClockError: the calling thread drives already, or the clock is closed.
            WorkerFailed: a callback raised, and no handler dealt with it.
        """
        me = threading.get_ident()
        if self.driver == me:
            raise ClockError(
                "a callback cannot let time pass: only the driver (a cell, a test) may. "
                "Use worker.call_later(seconds, ...) instead"
            )
        if closed:
            raise ClockError("the clock is closed")
        with self._lock:
            try:
                with collector.calm(collector.VIRTUAL), deferred_interrupts(self.interrupt):
                    self.driver = me
                    self._raise_failure()
                    yield
                    self._raise_failure()
                self.interrupt.check()
            finally:
                self.driver = None

    def on_failure(self, handler: FailureHandler) -> None:
        """Set the handler that is called when a callback raises."""
        self._handler = handler

    def failed(self, worker: str, error: BaseException) -> None:
        """Report that a callback of a worker raised; the driver raises the first such error."""
        handled = self._handler is not None and self._handler(worker, error)
        if not handled and self._failure is None:
            self._failure = WorkerFailed(worker, error)

    def _raise_failure(self) -> None:
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure from failure.error
