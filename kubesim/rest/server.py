"""RestServer: KubeAPI over HTTP, based on the standard library's http.server.

One thread per connection reads requests with a strict parser (`wire`), routes them, and sends each
response in one write. Streams leave their connection's thread: one thread writes all of them
(`streams`).

    server = RestServer(api); server.start(); print(server.url); ...; server.close()

Ours keeps http.server's classes and replaces its parser, which accepts malformed requests and takes
more time than everything else together.

Source: the role of k8s.io/apiserver/pkg/server; limits as in net/http and kube-apiserver.
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

from kubesim.analytics import Analytics, NullAnalytics
from kubesim.apiserver import KubeAPI
from kubesim.errors import BadRequest, StatusError
from kubesim.rest.http.certificates import Certificate
from kubesim.rest.http.connections import Connections, connection_limit, stream_limit
from kubesim.rest.http.handler import Access, is_kube_path
from kubesim.rest.http.reader import Connection, ConnectionClosed, HeadCache
from kubesim.rest.http.response import Response, render, render_head
from kubesim.rest.http.streams import StreamWriter
from kubesim.rest.http.wire import Request, RequestRejected
from kubesim.rest.kube import KubeRoutes
from kubesim.rest.kube.response import error_response, rejection_response
from kubesim.rest.kube.routes import refuse_writes
from kubesim.rest.kubeconfig import kubeconfig_text
from kubesim.rest.prometheus import CONTENT_TYPE, Statistics, metrics_text
from kubesim.rest.simple.routes import DecisionSource, make_router
from kubesim.rest.users import RequestAttributes, User, Users

LOOPBACK_ADDRESSES = ("127.0.0.1", "::1", "localhost")
BACKLOG = 1024
RETRY_SECONDS = 0.01  # between two accepts when there are no file descriptors left


class RestServer:
    """The HTTP server of one cluster.

    Args:
        api: the API server to serve.
        host, port: the address to bind; port 0 takes any free port.
        decisions: the cluster's decision log, for /api/explain.
        analytics: the log that /api/logs returns; internal errors are added to it.
        allowed_hosts, allowed_origins: further ones beside loopback, for proxies and hubs.
        token: bearer token that every request must carry; needed for other hosts than loopback.
        users: users with tokens and rules of their own, in place of `token` (see `users`).
        tls: speak TLS, with a new self-signed certificate.
        read_only: reject every request that would change something.
        statistics: returns the counts of the components, for /metrics.

    Raises:
        BadRequest: another host than loopback without a token; TLS without the program openssl.
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
        if host not in LOOPBACK_ADDRESSES and not token and not self.users.configured:
            raise BadRequest(
                f"{host} can be reached from other machines, which could change the cluster",
                hint="bind to 127.0.0.1, or require a token (token=..., --token)",
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
        self.heads = HeadCache()
        self._requested_port = port
        self._http: _HTTPServer | None = None
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        """The bound port; 0 before `start`."""
        return int(self._http.server_address[1]) if self._http is not None else 0

    @property
    def url(self) -> str:
        """The address for clients, for example ``http://127.0.0.1:8080``."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http{'' if self.certificate is None else 's'}://{host}:{self.port}"

    def kubeconfig(self, path: str | Path | None = None, *, user: str = "") -> str:
        """Return a kubeconfig for this server, as YAML.

        Args:
            path: a file to write it to as well; a new file is readable by its owner only.
            user: the user whose token it holds; "": the first user.

        Raises:
            BadRequest: no such user.
        """
        token, name = self._token, user or "kubesim"
        if self.users.configured:
            selected = self.users.find(user) if user else self.users.first
            if selected is None:
                raise BadRequest(f"this server has no user {user!r}")
            token, name = selected.token, selected.name
        authority = None if self.certificate is None else self.certificate.text
        kubeconfig = kubeconfig_text(self.url, token=token, authority=authority, user=name)
        if path is not None:
            Path(path).touch(0o600)
            Path(path).write_text(kubeconfig, encoding="utf-8")
        return kubeconfig

    def start(self) -> RestServer:
        """Bind the address and serve it in background threads.

        Raises:
            OSError: the port is in use; the message says what to do.
        """
        if self._http is not None:
            return self
        try:
            self._http = _HTTPServer((self.host, self._requested_port), self)
        except OSError as error:
            raise OSError(
                f"cannot listen on {self.host}:{self._requested_port}: {error.strerror or error}. "
                "Another server may be using it: stop that server, or choose another port "
                "(--port 8081, or --port 0 for any free one)"
            ) from error
        self.streams.start()
        self._thread = threading.Thread(
            target=self._http.serve_forever, args=(0.05,), name="rest", daemon=True
        )
        self._thread.start()
        return self

    def close(self, grace_seconds: float = 2.0) -> None:
        """Stop the server: accept no more connections, end streams, let requests finish.

        Args:
            grace_seconds: how long requests in progress may take. A second call does nothing.
        """
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
        """Return the response to a request; whatever a handler raises becomes an error response."""
        try:
            route = request.route
            if route is None:
                request.origin = self.access.check(request)
                request.route = route = self.router.find(request.method, request.segments)
            if self.users.configured and not is_kube_path(request.segments):
                self._check_user(request)
            if self.read_only:
                refuse_writes(request)
            response: Response = route[0](request, *route[1])
        except RequestRejected as rejection:
            rejection.segments = request.segments
            raise
        except StatusError as error:
            if is_kube_path(request.segments):
                return error_response(error)
            return Response.error(error.code, str(error))
        except Exception as error:  # noqa: BLE001 - the client gets a response, the log a row
            message = f"{request.method} {request.path[:200]}: {type(error).__name__}: {error}"
            self.analytics.log("REST", "InternalError", message, "error")
            return Response.error(500, "internal error; the server's log has more")
        if request.origin:
            response.headers = {
                **response.headers,
                "Access-Control-Allow-Origin": request.origin,
                "Vary": "Origin",
            }
        return response

    def _metrics(self, api: KubeAPI, statistics: Callable[[], Statistics] | None) -> Response:
        """Serve /metrics."""
        text = metrics_text(api, self.kube.request_counts(), len(self.streams), statistics)
        return Response(200, text.encode(), CONTENT_TYPE)

    def _check_user(self, request: Request) -> None:
        """Authenticate and authorize a request for one of the simulator's own routes."""
        user = self.users.authenticate(request.headers)
        if user is None:
            message = "send the header Authorization: Bearer TOKEN, with the token of a user"
            raise RequestRejected(401, message, headers={"WWW-Authenticate": "Bearer"})
        user.require(RequestAttributes(request.method.lower(), path=request.path))


class _HTTPServer(ThreadingHTTPServer):
    """http.server with a large backlog, and sockets that can be handed over to the streams."""

    request_queue_size = BACKLOG
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = os.name == "posix"  # on Windows two servers could share a port

    def __init__(self, address: tuple[str, int], owner: RestServer) -> None:
        self.owner = owner
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, _ConnectionHandler)

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


class _ConnectionHandler(BaseHTTPRequestHandler):
    """Serve the requests of one connection, in order, until it is closed."""

    server: _HTTPServer
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

    def _serve_one(self, owner: RestServer, connection: Connection) -> bool:
        """Read one request and send its response; False if the connection is done."""
        head_only = False
        try:
            request = connection.next()
            head_only = request.method == "HEAD"
            response = owner.dispatch(request)
            close = not request.keep_alive
            if connection.head and not owner.users.configured:
                owner.heads.learn(connection.head, request)
        except RequestRejected as rejection:
            if is_kube_path(rejection.segments):
                response = rejection_response(rejection.status, str(rejection), rejection.headers)
            else:
                response = Response.error(rejection.status, str(rejection), rejection.headers)
            close = rejection.close
        if response.stream is not None and not head_only:
            head = render_head(response, length=None, close=True)
            response.stream(connection.give_away(), head)
            return False
        connection.send(render(response, close=close, head_only=head_only))
        if close:
            connection.linger()
        return not close

    def log_message(self, format: str, *args: object) -> None:
        """Discard http.server's own log, which would appear in whatever notebook cell runs."""
