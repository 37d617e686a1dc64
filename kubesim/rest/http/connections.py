"""The open connections of a server: their limit, and the eviction order when the server is full.

File descriptors run out first, so the limit is well below the system's, and a new connection is
always accepted. When the server is full, one connection is evicted for it:

1. of the connections that got a response and have no request in progress, the longest idle one;
2. otherwise, of those that have never sent a request, the oldest;
3. otherwise the one whose request has been in progress for longest (a half-open connection).

Many clients that connect at the same moment are not an attack, so no connection of the groups 2 and
3 is closed in its first 0.25 s.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from kubesim.rest.http.reader import Connection

MAX_CONNECTIONS = 512
MIN_CONNECTIONS = 8
MAX_STREAMS = 2_000
MOMENT_SECONDS = 0.25  # that every connection has, however many others wait
POLL_SECONDS = 0.005


def connection_limit() -> int:
    """Return the limit of connections: at most half of the process's file descriptors."""
    return min(MAX_CONNECTIONS, max(MIN_CONNECTIONS, _descriptors() // 2))


def stream_limit() -> int:
    """Return the limit of streams: at most a quarter of the process's file descriptors."""
    return min(MAX_STREAMS, max(MIN_CONNECTIONS, _descriptors() // 4))


def _descriptors() -> int:
    try:
        import resource

        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    except (ImportError, ValueError, OSError):
        return 2 * MAX_CONNECTIONS
    return 2**20 if soft == resource.RLIM_INFINITY else soft


class Connections:
    """The open connections of one server. Any thread may call its methods.

    Args:
        limit: maximal number of open connections.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._lock = threading.Lock()
        self._open: set[Connection] = set()
        self._closed = False

    def __len__(self) -> int:
        return len(self._open)

    def make_room(self) -> None:
        """Evict a connection if the server is full; wait until one may be evicted."""
        while True:
            with self._lock:
                if self._closed or len(self._open) < self.limit:
                    return
                victim = self._victim()
                idle = victim.served and not victim.busy
                if idle or time.monotonic() - victim.since >= MOMENT_SECONDS:
                    self._open.discard(victim)
                    victim.shut()
                    return
            time.sleep(POLL_SECONDS)

    def evict(self) -> None:
        """Close the first connection in the eviction order, if there is one."""
        with self._lock:
            if self._open:
                victim = self._victim()
                self._open.discard(victim)
                victim.shut()

    def add(self, connection: Connection) -> None:
        """Add a connection that was accepted."""
        with self._lock:
            self._open.add(connection)
            closed = self._closed
        if closed:
            connection.shut()

    def remove(self, connection: Connection) -> None:
        """Remove a connection that is closed, or whose socket was handed over."""
        with self._lock:
            self._open.discard(connection)

    def close(self, grace_seconds: float) -> None:
        """Close idle connections at once, busy ones after the grace period.

        Args:
            grace_seconds: how long requests in progress may take; the call returns earlier if all
                connections are closed earlier.
        """
        self._closed = True
        end = time.monotonic() + grace_seconds
        while self._open and time.monotonic() < end:
            self._shut(lambda connection: not connection.busy)
            time.sleep(POLL_SECONDS)
        self._shut(lambda _connection: True)

    def _shut(self, selected: Callable[[Connection], bool]) -> None:
        with self._lock:
            for connection in filter(selected, self._open):
                connection.shut()

    def _victim(self) -> Connection:
        return min(self._open, key=lambda c: (c.busy, not c.served, c.since))
