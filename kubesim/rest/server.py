"""RestServer: KubeAPI over HTTP, on the standard library's http.server.

A thread for each connection reads requests through the strict front door (`wire`), asks the router,
and answers each with one write. Streams leave their thread: the socket goes to one writer thread
for all of them (`streams`).

    server = RestServer(api); server.start(); print(server.url); ...; server.close()

Ours keeps http.server's classes and replaces its parser, which costs more than the rest together
and is lenient where it should not be.

Source: the role of k8s.io/apiserver/pkg/server; limits after net/http and kube-apiserver.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Iterable
from email.utils import formatdate
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any

from kubesim.analytics import Analytics, NullAnalytics
from kubesim.apiserver import KubeAPI
from kubesim.errors import BadRequest, StatusError
from kubesim.rest.access import Access
from kubesim.rest.router import Response, Router
from kubesim.rest.routes import DecisionSource, make_router
from kubesim.rest.streams import Streams
from kubesim.rest.wire import IDLE_SECONDS, Gone, Reader, Refused, Request, set_idle_timeout

LOOPBACK_ADDRESSES = ("127.0.0.1", "::1", "localhost")
MAX_CONNECTIONS = 512
BACKLOG = 1024
LINGER_SECONDS = 1.0  # so that a refusal is read before the connection is reset
LINGER_BYTES = 4 * 1024 * 1024
_REASONS = {status.value: status.phrase for status in HTTPStatus}


class RestServer:
    """The HTTP server of one cluster.

    Args:
        api: what it serves.
        host, port: where; port 0 takes any free one.
        decisions: the cluster's decision log, for /api/explain.
        analytics: where requests are logged (level debug) and read (/api/logs).
        allowed_hosts, allowed_origins: beyond loopback, for proxies and hubs.
        token: bearer token that every request must carry; a must beyond loopback.

    Raises:
        BadRequest: bound beyond loopback without a token.
    """

    def __init__(
        self,
        api: KubeAPI,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        decisions: DecisionSource | None = None,
        analytics: Analytics | None = None,
        allowed_hosts: Iterable[str] = (),
        allowed_origins: Iterable[str] = (),
        token: str | None = None,
    ) -> None:
        if host not in LOOPBACK_ADDRESSES and not token:
            raise BadRequest(
                f"{host} can be reached from other machines, and the server changes things",
                hint="bind to 127.0.0.1, or ask for a token (token=..., --token)",
            )
        self.host = host
        self.analytics = analytics or NullAnalytics()
        hosts = [*allowed_hosts] if host in LOOPBACK_ADDRESSES else [*allowed_hosts, host]
        self.access = Access(hosts, allowed_origins, token)
        self.streams = Streams()
        self.router = make_router(api, decisions, self.analytics, self.streams)
        self.connections = Connections(_connection_limit())
        self._requested_port = port
        self._http: _HTTPServer | None = None
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        """The port that it is bound to; 0 before `start`."""
        return int(self._http.server_address[1]) if self._http is not None else 0

    @property
    def url(self) -> str:
        """For example ``http://127.0.0.1:8080``."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    def start(self) -> RestServer:
        """Bind and serve, in threads of its own.

        Raises:
            OSError: the port is taken; the message says what to do.
        """
        if self._http is not None:
            return self
        try:
            self._http = _HTTPServer((self.host, self._requested_port), self)
        except OSError as error:
            raise OSError(
                f"cannot listen on {self.host}:{self._requested_port}: {error.strerror or error}. "
                "Another server may be there: stop it, or take another port "
                "(--port 8081, or --port 0 for any free one)"
            ) from error
        self.streams.start()
        self._thread = threading.Thread(
            target=self._http.serve_forever, args=(0.05,), name="rest", daemon=True
        )
        self._thread.start()
        return self

    def close(self, grace_seconds: float = 2.0) -> None:
        """Stop: no new connection, streams end, requests in flight may finish; may be repeated."""
        http, self._http = self._http, None
        if http is None:
            return
        http.shutdown()
        http.server_close()
        self.streams.close()
        self.connections.close(grace_seconds)
        if self._thread is not None:
            self._thread.join(grace_seconds)

    def __enter__(self) -> RestServer:
        return self.start()

    def __exit__(self, *_error: object) -> None:
        self.close()

    def dispatch(self, request: Request) -> Response:
        """The answer to a request; whatever a handler raises becomes a JSON error."""
        try:
            origin = self.access.check(request)
            handler, values = self.router.find(request.method, request.segments)
            response = handler(request, *values)
        except Refused:
            raise
        except StatusError as error:
            return Response.error(error.code, str(error))
        except Exception as error:  # noqa: BLE001 - the last line: an answer, a log row, no traceback
            said = f"{request.method} {request.path[:200]}: {type(error).__name__}: {error}"
            self.analytics.log("REST", "InternalError", said, "error")
            return Response.error(500, "internal error; the server's log has more")
        if origin:
            response.headers = {
                **response.headers,
                "Access-Control-Allow-Origin": origin,
                "Vary": "Origin",
            }
        return response


def _connection_limit() -> int:
    try:
        import resource

        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        return min(MAX_CONNECTIONS, max(8, soft // 2))
    except (ImportError, ValueError, OSError):
        return MAX_CONNECTIONS


class Connections:
    """The open connections; when there are too many, the one that idles longest is closed."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._open: dict[int, tuple[socket.socket, Reader, float]] = {}

    def __len__(self) -> int:
        return len(self._open)

    def add(self, connection: socket.socket, reader: Reader) -> bool:
        """Take a connection in; False if there is no room even so."""
        with self._lock:
            if len(self._open) >= self._limit:
                idle = [(since, key) for key, (_, r, since) in self._open.items() if not r.busy]
                waiting = idle or [(since, key) for key, (_, _, since) in self._open.items()]
                _shut(self._open.pop(min(waiting)[1])[0])
            self._open[id(connection)] = (connection, reader, time.monotonic())
            return True

    def touch(self, connection: socket.socket, reader: Reader) -> None:
        """The connection was used just now."""
        self._open[id(connection)] = (connection, reader, time.monotonic())

    def remove(self, connection: socket.socket) -> None:
        """The connection is closed, or handed over."""
        self._open.pop(id(connection), None)

    def close(self, grace_seconds: float) -> None:
        """Close idle connections now, busy ones after the grace."""
        end = time.monotonic() + grace_seconds
        while self._open and time.monotonic() < end:
            for connection, reader, _ in list(self._open.values()):
                if not reader.busy:
                    _shut(connection)
                    self.remove(connection)
            time.sleep(0.005)
        for connection, _, _ in list(self._open.values()):
            _shut(connection)


def _shut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


class _HTTPServer(ThreadingHTTPServer):
    """http.server with a large backlog, and sockets that may be handed over to the streams."""

    request_queue_size = BACKLOG
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = os.name == "posix"  # on Windows it would let two servers share a port

    def __init__(self, address: tuple[str, int], owner: RestServer) -> None:
        self.owner = owner
        self.handed_over: set[int] = set()
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, _Connection)

    def server_bind(self) -> None:
        """Bind without asking DNS for our own name, which can hang for seconds offline."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[0], self.server_address[1]  # type: ignore[assignment]

    def shutdown_request(self, request: Any) -> None:
        """Close a connection, unless the streams have it now."""
        if id(request) in self.handed_over:
            self.handed_over.discard(id(request))
            return
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A thread failed: one log row instead of a traceback on stderr."""
        import sys

        error = sys.exc_info()[1]
        said = f"{type(error).__name__}: {error}"
        self.owner.analytics.log("REST", "ConnectionFailed", said, "error")


class _Connection(BaseHTTPRequestHandler):
    """One connection: requests in order until it is closed."""

    server: _HTTPServer

    def setup(self) -> None:
        """One write for each answer, at once: no Nagle delay."""
        self.connection: socket.socket = self.request
        with contextlib.suppress(OSError):
            self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
            set_idle_timeout(self.connection, IDLE_SECONDS)

    def finish(self) -> None:
        """Nothing to flush: every answer is one write."""

    def handle(self) -> None:
        """Serve requests until the connection ends."""
        owner, reader = self.server.owner, Reader(self.connection)
        owner.connections.add(self.connection, reader)
        try:
            while self._serve_one(owner, reader):
                owner.connections.touch(self.connection, reader)
        except (Gone, OSError):
            return  # the client went away: nobody is left to tell
        finally:
            owner.connections.remove(self.connection)

    def _serve_one(self, owner: RestServer, reader: Reader) -> bool:
        """Read and answer one request; False if the connection is done."""
        head_only = False
        try:
            request = reader.next()
            head_only = request.method == "HEAD"
            reader.busy = True
            response = owner.dispatch(request)
            close = not request.keep_alive
        except Refused as refusal:
            response = Response.error(refusal.status, str(refusal), refusal.headers)
            close = refusal.close
        if response.stream is not None and not head_only:
            self._hand_over(response)
            return False
        self.connection.sendall(render(response, close=close, head_only=head_only))
        reader.busy = False
        if close:
            self._linger()
        return not close

    def _hand_over(self, response: Response) -> None:
        self.server.handed_over.add(id(self.request))
        self.server.owner.connections.remove(self.connection)
        head = render_head(response, length=None, close=True)
        response.stream(self.connection, head)

    def _linger(self) -> None:
        """Take what the client still sends, so that our answer is read before the reset."""
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            end, taken = time.monotonic() + LINGER_SECONDS, 0
            while taken < LINGER_BYTES and (left := end - time.monotonic()) > 0:
                self.connection.settimeout(left)
                data = self.connection.recv(65536)
                if not data:
                    return
                taken += len(data)

    def log_message(self, format: str, *args: Any) -> None:
        """http.server's own log would land in whatever notebook cell happens to run."""


_heads: dict[tuple[int, str], str] = {}
_date: tuple[int, str] = (0, "")


def render_head(response: Response, *, length: int | None, close: bool) -> bytes:
    """Status line and headers."""
    key = (response.status, response.content_type)
    first = _heads.get(key)
    if first is None:
        phrase = _REASONS.get(response.status, "")
        first = _heads[key] = (
            f"HTTP/1.1 {response.status} {phrase}\r\n"
            f"Server: kubesim\r\nX-Content-Type-Options: nosniff\r\n"
            + (f"Content-Type: {response.content_type}\r\n" if response.status != 204 else "")
        )
    text = f"{first}Date: {_http_date()}\r\n"
    if length is not None and response.status != 204:
        text += f"Content-Length: {length}\r\n"
    for name, value in response.headers.items():
        text += f"{name}: {value}\r\n"
    if close:
        text += "Connection: close\r\n"
    return (text + "\r\n").encode("latin-1")


def render(response: Response, *, close: bool, head_only: bool) -> bytes:
    """The whole answer as one piece of bytes."""
    head = render_head(response, length=len(response.body), close=close)
    return head if head_only or response.status == 204 else head + response.body


def _http_date() -> str:
    """The Date header; made once a second."""
    global _date
    now = int(time.time())
    if _date[0] != now:
        _date = (now, formatdate(now, usegmt=True))
    return _date[1]


__all__ = ["RestServer", "Router", "render"]
