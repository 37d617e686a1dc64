"""The open connections: how many may be there, and who goes when there are too many.

A descriptor is what runs out first. So there is a limit well below the system's, and a newcomer is
always let in: the connection that idles longest goes. If all are in the middle of a request, it is
the one that has been at it for longest, which is what half-open connections are.
"""

from __future__ import annotations

import threading
import time

from kubesim.rest.reader import Channel

MAX_CONNECTIONS = 512
LEAST_CONNECTIONS = 8
CLOSE_STEP_SECONDS = 0.005


def connection_limit() -> int:
    """At most half of what the system grants us: streams, files and other servers need some."""
    try:
        import resource

        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    except (ImportError, ValueError, OSError):
        return MAX_CONNECTIONS
    if soft == resource.RLIM_INFINITY:
        return MAX_CONNECTIONS
    return min(MAX_CONNECTIONS, max(LEAST_CONNECTIONS, soft // 2))


class Connections:
    """The open connections of one server.

    Args:
        limit: so many at a time.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._lock = threading.Lock()
        self._open: set[Channel] = set()
        self._closed = False

    def __len__(self) -> int:
        return len(self._open)

    def add(self, channel: Channel) -> None:
        """Take a connection in; another may have to go."""
        with self._lock:
            closed = self._closed
            if not closed:
                if len(self._open) >= self.limit:
                    self._evict()
                self._open.add(channel)
        if closed:
            channel.shut()

    def remove(self, channel: Channel) -> None:
        """The connection is closed, or handed over."""
        with self._lock:
            self._open.discard(channel)

    def evict(self) -> None:
        """Close the connection that can best be spared, if there is one."""
        with self._lock:
            self._evict()

    def close(self, grace_seconds: float) -> None:
        """Close idle connections now, busy ones after the grace."""
        end = time.monotonic() + grace_seconds
        with self._lock:
            self._closed = True
        while self._open and time.monotonic() < end:
            with self._lock:
                idle = [channel for channel in self._open if not channel.busy]
                self._open.difference_update(idle)
            for channel in idle:
                channel.shut()
            time.sleep(CLOSE_STEP_SECONDS)
        with self._lock:
            left = list(self._open)
        for channel in left:
            channel.shut()

    def _evict(self) -> None:
        if self._open:
            spared = min(self._open, key=lambda channel: (channel.busy, channel.since))
            self._open.discard(spared)
            spared.shut()
