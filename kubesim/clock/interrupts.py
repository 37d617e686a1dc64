"""Ctrl-C between two instants, never in the middle of a callback.

An interrupt that struck inside a component could leave it half-way: a key taken from its queue and
not worked on, a tick that is never armed again. So while a driver lets virtual time pass, the first
Ctrl-C only asks to stop at the end of the instant; the second strikes at once, for a callback that
hangs.

No counterpart in Kubernetes.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class InterruptRequest:
    """Whether somebody asked to stop.

    Attributes:
        made: the first Ctrl-C came.
    """

    __slots__ = ("made",)

    def __init__(self) -> None:
        self.made = False

    def check(self) -> None:
        """Raise KeyboardInterrupt, once, if it was asked for."""
        if self.made:
            self.made = False
            raise KeyboardInterrupt

    def _handle(self, _signal: int, _frame: FrameType | None) -> None:
        if self.made:
            self.made = False
            raise KeyboardInterrupt
        self.made = True


@contextmanager
def deferred_interrupts(request: InterruptRequest) -> Iterator[None]:
    """Let Ctrl-C set `request.made` instead of raising; the caller calls `request.check()`.

    Only the main thread receives signals, and a handler that somebody else installed is left alone.
    """
    ours = (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )
    if not ours:
        yield
        return
    before = signal.signal(signal.SIGINT, request._handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
