"""Ctrl-C between two instants, never in the middle of a callback; and signals that end a server.

An interrupt inside a component could leave it in an intermediate state: a key taken from its queue
and not processed, a tick that is never armed again. So while a driver lets virtual time pass, the
first Ctrl-C only requests a stop at the end of the instant; the second interrupts at once, for a
callback that hangs.

No counterpart in Kubernetes.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from types import FrameType

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
SIGNAL_POLL_SECONDS = 0.2  # how long a signal may go unnoticed; see `stop_signals`


class InterruptRequest:
    """A request to stop.

    Attributes:
        requested: the first Ctrl-C was pressed.
    """

    __slots__ = ("requested",)

    def __init__(self) -> None:
        self.requested = False

    def check(self) -> None:
        """Raise KeyboardInterrupt, once, if it was requested."""
        if self.requested:
            self.requested = False
            raise KeyboardInterrupt

    def _handle(self, _signal: int, _frame: FrameType | None) -> None:
        if self.requested:
            self.requested = False
            raise KeyboardInterrupt
        self.requested = True


@contextmanager
def deferred_interrupts(request: InterruptRequest) -> Iterator[None]:
    """Let Ctrl-C set `request.requested` instead of raising; the caller calls `request.check()`.

    Only the main thread receives signals; a handler that the program has installed stays.
    """
    is_default = (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )
    if not is_default:
        yield
        return
    before = signal.signal(signal.SIGINT, request._handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def stop_signals(idle: Callable[[], None], *, restore: bool) -> Iterator[Callable[[], None]]:
    """Handle SIGINT and SIGTERM; yields a function that waits for the first of them.

    The wait is a loop of short waits. Python runs signal handlers in the main thread, between two
    byte codes: a signal that arrives just before an unbounded wait, or that the kernel delivers to
    another thread, would not wake it, and the process would never end. The handler puts into a
    SimpleQueue because `put` may interrupt `get` in the same thread; `Event.set` would wait for the
    lock that `Event.wait` holds.

    Args:
        idle: called between two of the short waits.
        restore: reinstall the previous handlers at the end. Otherwise later signals are ignored,
            so that an impatient second Ctrl-C does not change the exit code.
    """
    received: SimpleQueue[int] = SimpleQueue()

    def handle(number: int, _frame: FrameType | None) -> None:
        received.put(number)

    def wait_for_signal() -> None:
        while True:
            try:
                received.get(timeout=SIGNAL_POLL_SECONDS)
            except Empty:
                idle()
                continue
            return

    previous = {number: signal.signal(number, handle) for number in STOP_SIGNALS}
    try:
        yield wait_for_signal
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler if restore else signal.SIG_IGN)
