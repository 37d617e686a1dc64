"""RestServer: KubeAPI over HTTP, on the standard library's http.server.

One thread per connection reads requests with a strict parser (`wire`), routes them, and sends each
response in one write. Streams leave their connection's thread: one thread writes all of them
(`streams`).

    server = RestServer(api); server.start(); print(server.url); ...; server.close()

Ours keeps http.server's classes and replaces its parser, which costs more than the rest together
and is lenient where it should not be.

Source: the role of k8s.io/apiserver/pkg/server; limits after net/http and kube-apiserver.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import threading
import time
from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import TCPServer
from typing import Any

from kubesim.analytics import Analytics, NullAnalytics
from kubesim.apiserver import KubeAPI
from kubesim.errors import BadRequest, StatusError
from kubesim.rest.http.access import Access
from kubesim.rest.http.certificates import Certificate
from kubesim.rest.http.connections import Connections, connection_limit, stream_limit
from kubesim.rest.http.reader import Connection, ConnectionClosed, KnownHeads
from kubesim.rest.http.render import render, render_head
from kubesim.rest.http.router import Response, Router
from kubesim.rest.http.streams import StreamWriter
from kubesim.rest.http.wire import Request, RequestRejected
from kubesim.rest.kube import KubeRoutes
from kubesim.rest.kube.routes import is_kube_path, refuse_writes
from kubesim.rest.kubeconfig import kubeconfig_text
from kubesim.rest.prometheus import CONTENT_TYPE, Statistics, metrics_text
from kubesim.rest.serializer.responses import error_response, rejection_response
from kubesim.rest.simple.routes import DecisionSource, make_router
from kubesim.rest.users import RequestAttributes, User, Users

LOOPBACK_ADDRESSES = ("127.0.0.1", "::1", "localhost")
BACKLOG = 1024
ROOM_SECONDS = 0.01  # between two tries to accept when there are no descriptors left


class RestServer:
    """The HTTP server of one cluster.

    Args:
        api: what it serves.
        host, port: where; port 0 takes any free one.
        decisions: the cluster's decision log, for /api/explain.
        analytics: where requests are logged (level debug) and read (/api/logs).
        allowed_hosts, allowed_origins: beyond loopback, for proxies and hubs.
        token: bearer token that every request must carry; a must beyond loopback.
        users: with tokens and rules of their own, instead of the one token (see `users`).
        tls: speak TLS, with a certificate made for the occasion.
        read_only: refuse what would change anything.
        statistics: gives the counts of the components, for /metrics.

    Raises:
        BadRequest: bound beyond loopback without a token; TLS without the program openssl.
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
        users: Iterable[User] = (),
        tls: bool = False,
        read_only: bool = False,
        statistics: Callable[[], Statistics] | None = None,
    ) -> None:
        self.users = Users(users)
        if host not in LOOPBACK_ADDRESSES and not token and not self.users.known:
            raise BadRequest(
                f"{host} can be reached from other machines, and the server changes things",
                hint="bind to 127.0.0.1, or ask for a token (token=..., --token)",
            )
        self.host = host
        self.read_only = read_only
        self.certificate = Certificate(host) if tls else None
        self._token = token
        self.analytics = analytics or NullAnalytics()
        hosts = [*allowed_hosts] if host in LOOPBACK_ADDRESSES else [*allowed_hosts, host]
        self.access = Access(hosts, allowed_origins, token)
        self.streams = StreamWriter(self.analytics, stream_limit())
        self.router = make_router(api, decisions, self.analytics, self.streams)
        self.kube = KubeRoutes(api, self.streams, self.users, lambda: f"{self.host}:{self.port}")
        self.router.mount(is_kube_path, self.kube.serve)
        self.router.add("GET", "/metrics", lambda _request: self._metrics(api, statistics))
        self.connections = Connections(connection_limit())
        self.known = KnownHeads()
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
        return f"http{'' if self.certificate is None else 's'}://{host}:{self.port}"

    def kubeconfig(self, path: str | Path | None = None, *, user: str = "") -> str:
        """What kubectl and other clients need to find this server, as YAML.

        Args:
            path: where to write it, too, for its owner alone to read.
            user: whose token to put in, if the server knows users; "": the first one's.

        Raises:
            BadRequest: no such user.
        """
        token, name = self._token, user or "kubesim"
        if self.users.known:
            found = self.users.named(user) if user else self.users.first
            if found is None:
                raise BadRequest(f"there is no user {user!r} here")
            token, name = found.token, found.name
        authority = None if self.certificate is None else self.certificate.text
        text = kubeconfig_text(self.url, token=token, authority=authority, user=name)
        if path is not None:
            Path(path).touch(0o600)
            Path(path).write_text(text, encoding="utf-8")
        return text

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
            route = request.route
            if route is None:
                request.origin = self.access.check(request)
                request.route = route = self.router.find(request.method, request.segments)
            if self.users.known and not is_kube_path(request.segments):
                self._check_user(request)
            if self.read_only:
                refuse_writes(request)
            response: Response = route[0](request, *route[1])
        except RequestRejected as refusal:
            refusal.segments = request.segments
            raise
        except StatusError as error:
            if is_kube_path(request.segments):
                return error_response(error)
            return Response.error(error.code, str(error))
        except Exception as error:  # noqa: BLE001 - the last line: an answer, a log row, no traceback
            said = f"{request.method} {request.path[:200]}: {type(error).__name__}: {error}"
            self.analytics.log("REST", "InternalError", said, "error")
            return Response.error(500, "internal error; the server's log has more")
        if request.origin:
            response.headers = {
                **response.headers,
                "Access-Control-Allow-Origin": request.origin,
                "Vary": "Origin",
            }
        return response

    def _metrics(self, api: KubeAPI, statistics: Callable[[], Statistics] | None) -> Response:
        """What Prometheus scrapes."""
        text = metrics_text(api, self.kube.requests, len(self.streams), statistics)
        return Response(200, text.encode(), CONTENT_TYPE)

    def _check_user(self, request: Request) -> None:
        """Who asks for one of the simulator's own routes, and whether he may."""
        user = self.users.of(request.headers)
        if user is None:
            said = "send the header Authorization: Bearer TOKEN, with the token of a user"
            raise RequestRejected(401, said, headers={"WWW-Authenticate": "Bearer"})
        user.require(RequestAttributes(request.method.lower(), path=request.path))


class _HTTPServer(ThreadingHTTPServer):
    """http.server with a large backlog, and sockets that may be handed over to the streams."""

    request_queue_size = BACKLOG
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = os.name == "posix"  # on Windows it would let two servers share a port

    def __init__(self, address: tuple[str, int], owner: RestServer) -> None:
        self.owner = owner
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, _Connection)

    def server_bind(self) -> None:
        """Bind without asking DNS for our own name, which can hang for seconds offline."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[0], self.server_address[1]  # type: ignore[assignment]

    def get_request(self) -> tuple[Any, Any]:
        """Accept a connection as a `Connection`, for which there is room.

        Raises:
            OSError: nobody to accept, or no descriptor left; http.server then asks again.
        """
        connections = self.owner.connections
        try:
            connection, address = super().get_request()
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                connections.evict()
                time.sleep(ROOM_SECONDS)  # else the loop would spin: the newcomer keeps waiting
            raise
        connections.make_room()  # before its own moment begins
        certificate = self.owner.certificate
        try:
            if certificate is not None:  # the handshake is for the connection's own thread
                connection = certificate.context.wrap_socket(
                    connection, server_side=True, do_handshake_on_connect=False
                )
            channel = Connection(connection, self.owner.known)
        except OSError:
            connection.close()  # it has gone while it was waiting
            raise
        connections.add(channel)
        return channel, address

    def shutdown_request(self, request: Any) -> None:
        """Close a connection, whatever became of it."""
        request.close()
        self.owner.connections.remove(request)

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
        """Nothing to wrap: the channel reads and writes the socket itself."""

    def finish(self) -> None:
        """Nothing to flush: every answer is one write."""

    def handle(self) -> None:
        """Serve requests until the connection ends."""
        owner, channel = self.server.owner, self.request
        with contextlib.suppress(ConnectionClosed, OSError):  # it went away: nobody is left to tell
            while self._serve_one(owner, channel):
                pass

    def _serve_one(self, owner: RestServer, channel: Connection) -> bool:
        """Read and answer one request; False if the connection is done."""
        head_only = False
        try:
            request = channel.next()
            head_only = request.method == "HEAD"
            response = owner.dispatch(request)
            close = not request.keep_alive
            if channel.head and not owner.users.known:
                owner.known.learn(channel.head, request)
        except RequestRejected as refusal:
            if is_kube_path(refusal.segments):
                response = rejection_response(refusal.status, str(refusal), refusal.headers)
            else:
                response = Response.error(refusal.status, str(refusal), refusal.headers)
            close = refusal.close
        if response.stream is not None and not head_only:
            head = render_head(response, length=None, close=True)
            response.stream(channel.give_away(), head)
            return False
        channel.send(render(response, close=close, head_only=head_only))
        if close:
            channel.linger()
        return not close

    def log_message(self, format: str, *args: Any) -> None:
        """http.server's own log would land in whatever notebook cell happens to run."""


__all__ = ["RestServer", "Router", "render"]
