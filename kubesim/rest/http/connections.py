"""The connections of a server: accept them, serve their requests, and keep their number in limits.

File descriptors run out first, so the limit is well below the system's. When the server is full,
one connection is evicted for a new one:

1. of the connections that got a response and have no request in progress, the longest idle one;
2. otherwise, of those that have never sent a request, the oldest;
3. otherwise, of those that owe the rest of a request or do not read their response, the longest so.

Many clients that connect at the same moment are not an attack: no connection of the groups 2 and 3
is closed in its first 0.25 s, and none whose bytes already wait in its socket or whose request is
being served. If there is no other, the newcomer waits in the backlog until one of them is done.

Ours keeps http.server's classes, which start a thread for each connection, and replaces its parser.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import threading
import time
from collections.abc import Callable
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Protocol

from kubesim.analytics import Analytics
from kubesim.rest.http.certificates import Certificate
from kubesim.rest.http.reader import Connection, ConnectionClosed, HeadCache, waiting_input
from kubesim.rest.http.response import Response, Resume, render, render_head
from kubesim.rest.http.wire import Request, RequestRejected

MAX_CONNECTIONS = 512
MIN_CONNECTIONS = 8
MAX_STREAMS = 2_000
MOMENT_SECONDS = 0.25  # that every connection has, however many others wait
POLL_SECONDS = 0.005
BACKLOG = 1024
RETRY_SECONDS = 0.01  # between two accepts when there are no file descriptors left


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
                if victim is not None:
                    idle = victim.served and not victim.busy
                    if idle or time.monotonic() - victim.since >= MOMENT_SECONDS:
                        self._open.discard(victim)
                        victim.shut()
                        return
            time.sleep(POLL_SECONDS)

    def evict(self) -> None:
        """Close the first connection in the eviction order, if there is one."""
        with self._lock:
            victim = self._victim()
            if victim is not None:
                self._open.discard(victim)
                victim.shut()

    def add(self, connection: Connection) -> None:
        """Add a connection that was accepted."""
        with self._lock:
            self._open.add(connection)
            closed = self._closed
        if closed:
            connection.shut()

    def readmit(self, connection: Connection) -> bool:
        """Add a connection whose stream has ended; False if there is no room for it.

        It takes no other's place: a client whose watch has ended can connect again.
        """
        with self._lock:
            if self._closed or len(self._open) >= self.limit:
                return False
            self._open.add(connection)
            return True

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

    def _victim(self) -> Connection | None:
        """Return the first connection in the eviction order; None if all are served right now."""
        silent = [each for each in self._open if each.stalled or not each.busy]
        speaking = waiting_input(each.connection for each in silent)
        silent = [each for each in silent if each.connection.fileno() not in speaking]
        silent += [each for each in self._open if each.unread]
        return min(silent, key=lambda c: (c.busy, not c.served, c.since), default=None)


class ConnectionOwner(Protocol):
    """The server whose connections are served.

    Attributes:
        analytics: failures are added to it.
        certificate: for TLS; None: plain HTTP.
        connections: the open connections.
        heads: the cache of heads.
        caches_heads: what a head means does not depend on who sends it.
    """

    analytics: Analytics
    certificate: Certificate | None
    connections: Connections
    heads: HeadCache
    caches_heads: bool
    dispatch: Callable[[Request], Response]
    reject: Callable[[RequestRejected], Response]


class HTTPServer(ThreadingHTTPServer):
    """http.server with a large backlog, and sockets that can be handed over to the streams.

    The constructor binds the address; `server_activate` lets clients connect.
    """

    request_queue_size = BACKLOG
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = os.name == "posix"  # on Windows two servers could share a port

    def __init__(self, address: tuple[str, int], owner: ConnectionOwner) -> None:
        self.owner = owner
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, ConnectionHandler, bind_and_activate=False)
        try:
            self.server_bind()
        except OSError:
            self.server_close()
            raise

    def server_bind(self) -> None:
        """Bind without a DNS query for the server's own name, which can take seconds offline."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[0], self.server_address[1]  # type: ignore[assignment]

    def get_request(self) -> tuple[Connection, object]:  # type: ignore[override]
        """Accept a connection, after making room for it.

        Raises:
            OSError: there is none to accept, or no file descriptor; http.server tries again.
        """
        connections = self.owner.connections
        try:
            accepted, address = super().get_request()
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                connections.evict()
                time.sleep(RETRY_SECONDS)  # the loop would spin while a connection waits
            raise
        connections.make_room()  # before the deadlines of the new connection start
        certificate = self.owner.certificate
        try:
            if certificate is not None:  # the connection's own thread does the handshake
                accepted = certificate.context.wrap_socket(
                    accepted, server_side=True, do_handshake_on_connect=False
                )
            connection = Connection(accepted, self.owner.heads)
        except OSError:
            accepted.close()  # the client closed it while it was waiting
            raise
        connections.add(connection)
        return connection, address

    def resume(self, address: object, received: bytes, accepted: socket.socket) -> None:
        """Serve further requests on a socket whose stream has ended; any thread may call it.

        Args:
            address: of the client.
            received: what the client had sent behind the request of the stream.
            accepted: the socket; it is closed if it cannot be served.
        """
        try:
            connection = Connection(accepted, self.owner.heads, received)
        except OSError:
            accepted.close()  # the client has closed it
            return
        if not self.owner.connections.readmit(connection):
            connection.close()
            return
        try:
            self.process_request(connection, address)  # type: ignore[arg-type]
        except RuntimeError:  # no further thread can be started
            self.shutdown_request(connection)

    def shutdown_request(self, request: Connection) -> None:  # type: ignore[override]
        """Close a connection whose handler has returned."""
        request.close()
        self.owner.connections.remove(request)

    def handle_error(self, request: object, client_address: object) -> None:
        """Log the failure of a thread as one row, in place of a traceback on stderr."""
        import sys

        error = sys.exc_info()[1]
        message = f"{type(error).__name__}: {error}"
        self.owner.analytics.log("REST", "ConnectionFailed", message, "error")


class ConnectionHandler(BaseHTTPRequestHandler):
    """Serve the requests of one connection, in order, until it is closed."""

    server: HTTPServer
    request: Connection

    def setup(self) -> None:
        """Do nothing: the connection reads and writes its socket itself."""

    def finish(self) -> None:
        """Do nothing: every response is one write, so there is nothing to flush."""

    def handle(self) -> None:
        """Serve requests until the connection ends."""
        owner, connection = self.server.owner, self.request
        with contextlib.suppress(ConnectionClosed, OSError):
            while self._serve_one(owner, connection):
                pass

    def _serve_one(self, owner: ConnectionOwner, connection: Connection) -> bool:
        """Read one request and send its response; False if the connection is done."""
        head_only = False
        try:
            request = connection.next()
            head_only = request.method == "HEAD"
            response = owner.dispatch(request)
            close = not request.keep_alive
            if connection.head and owner.caches_heads:
                owner.heads.learn(connection.head, request)
        except RequestRejected as rejection:
            response = owner.reject(rejection)
            close = rejection.close
        if response.stream is not None and not head_only:
            # A chunked stream says itself where it ends. The official Python client waits a minute
            # when it stops a watch whose head announces the end of the connection.
            chunked = "Transfer-Encoding" in response.headers
            head = render_head(response, length=None, close=not chunked)
            resume: Resume | None = None
            if chunked and not close:
                received = connection.received
                resume = partial(self.server.resume, self.client_address, received)
            response.stream(connection.detach_socket(), head, resume)
            return False
        connection.send(render(response, close=close, head_only=head_only))
        if close:
            connection.linger()
        return not close

    def log_message(self, format: str, *args: object) -> None:
        """Discard http.server's own log, which would appear in whatever notebook cell runs."""
