"""The open connections: how many may be there, and who goes when there are too many.

A descriptor is what runs out first. So there is a limit well below the system's, and a newcomer is
always let in. Who goes for him: of those that got an answer and ask nothing now, the one that idles
longest; else, of those that never asked, the oldest; else the one that is in the middle of a
request for longest, which is what a half-open connection is. Since a crowd that comes at once is no
attack, nobody goes before he had a moment.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from kubesim.rest.http.reader import Connection

MAX_CONNECTIONS = 512
LEAST_CONNECTIONS = 8
MAX_STREAMS = 2_000
MOMENT_SECONDS = 0.25  # that everybody has, however many others wait
STEP_SECONDS = 0.005


def connection_limit() -> int:
    """At most half of the descriptors that the system grants us."""
    return min(MAX_CONNECTIONS, max(LEAST_CONNECTIONS, _descriptors() // 2))


def stream_limit() -> int:
    """At most a quarter of the descriptors."""
    return min(MAX_STREAMS, max(LEAST_CONNECTIONS, _descriptors() // 4))


def _descriptors() -> int:
    try:
        import resource

        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    except (ImportError, ValueError, OSError):
        return 2 * MAX_CONNECTIONS
    return 2**20 if soft == resource.RLIM_INFINITY else soft


class Connections:
    """The open connections of one server.

    Args:
        limit: so many at a time.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._lock = threading.Lock()
        self._open: set[Connection] = set()
        self._closed = False

    def __len__(self) -> int:
        return len(self._open)

    def make_room(self) -> None:
        """See to it that one more fits; the thread that accepts waits for it, but not long."""
        while True:
            with self._lock:
                if self._closed or len(self._open) < self.limit:
                    return
                spared = self._sparable()
                idle = spared.served and not spared.busy
                if idle or time.monotonic() - spared.since >= MOMENT_SECONDS:
                    self._open.discard(spared)
                    spared.shut()
                    return
            time.sleep(STEP_SECONDS)

    def evict(self) -> None:
        """Close the connection that can best be spared, if there is one."""
        with self._lock:
            if self._open:
                spared = self._sparable()
                self._open.discard(spared)
                spared.shut()

    def add(self, channel: Connection) -> None:
        """Take a connection in."""
        with self._lock:
            self._open.add(channel)
            closed = self._closed
        if closed:
            channel.shut()

    def remove(self, channel: Connection) -> None:
        """The connection is closed, or handed over."""
        with self._lock:
            self._open.discard(channel)

    def close(self, grace_seconds: float) -> None:
        """Close idle connections now, busy ones after the grace; returns when all have gone."""
        self._closed = True
        end = time.monotonic() + grace_seconds
        while self._open and time.monotonic() < end:
            self._shut(lambda channel: not channel.busy)
            time.sleep(STEP_SECONDS)
        self._shut(lambda _channel: True)

    def _shut(self, wanted: Callable[[Connection], bool]) -> None:
        with self._lock:
            for channel in filter(wanted, self._open):
                channel.shut()

    def _sparable(self) -> Connection:
        return min(self._open, key=lambda c: (c.busy, not c.served, c.since))
