"""When a panel rests: nobody has looked at it for a while.

A page that is closed, or a browser that crashes, sends no message. So a page says every few seconds
that somebody looks (live.js), and a panel that hears nothing for `REST_SECONDS` rests: its clock
and its thread stop until somebody looks again. Kubernetes has no counterpart; a node's lease works
the same way.
"""

from __future__ import annotations

import threading
import time

REST_SECONDS = 60.0  # without a sign of life; a page sends one every `live.HEARTBEAT_SECONDS`
NOTE_SECONDS = 20.0  # how long a panel says that it has rested
MINUTE = 60.0


class Rest:
    """Whether a panel rests. It starts awake, even if no page shows it yet.

    Attributes:
        resting: whether the panel rests.
    """

    def __init__(self) -> None:
        self.resting = False
        self._woken = threading.Event()
        self._last_sign = self._woke_up = time.monotonic()
        self._rested_seconds = 0.0

    def touch(self) -> None:
        """Note a sign of life: somebody looks, or uses a control."""
        self._last_sign = time.monotonic()
        self._woken.set()

    def check(self) -> bool:
        """Decide whether the panel rests from now on; return whether that has changed."""
        now = time.monotonic()
        resting = now - self._last_sign > REST_SECONDS
        if resting == self.resting:
            return False
        self.resting = resting
        if resting:
            self._began = now
        else:
            self._woke_up, self._rested_seconds = now, now - self._began
        return True

    def wait(self) -> None:
        """Block until the next sign of life."""
        self._woken.wait()
        self._woken.clear()

    def state(self, running: bool) -> str:
        """Return the state of the panel in words.

        Args:
            running: whether time passes, or would pass without the rest.
        """
        if self.resting:
            return "resting: nobody looks at this panel, so time stands still"
        word = "running" if running else "paused"
        if self._rested_seconds and time.monotonic() - self._woke_up < NOTE_SECONDS:
            return f"{word} (rested for {duration(self._rested_seconds)} while nobody looked)"
        return word


def duration(seconds: float) -> str:
    """Return a time span in words.

    >>> duration(59.7), duration(600.0)
    ('60 s', '10 min')
    """
    if seconds <= 2 * MINUTE:
        return f"{seconds:.0f} s"
    return f"{seconds / MINUTE:.0f} min"
