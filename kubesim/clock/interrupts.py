"""Ctrl-C between two instants, never in the middle of a callback.

An interrupt inside a component could leave it in an intermediate state: a key taken from its queue
and not processed, a tick that is never armed again. So while a driver lets virtual time pass, the
first Ctrl-C only requests a stop at the end of the instant; the second interrupts at once, for a
callback that hangs.

No counterpart in Kubernetes.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


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
