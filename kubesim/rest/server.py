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

import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from kubesim.analytics import Analytics, NullAnalytics
from kubesim.apiserver import KubeAPI
from kubesim.errors import BadRequest
from kubesim.rest.handler import Access, APIServerHandler, is_kube_path
from kubesim.rest.http.certificates import Certificate
from kubesim.rest.http.connections import Connections, HTTPServer, connection_limit, stream_limit
from kubesim.rest.http.reader import HeadCache
from kubesim.rest.http.response import Response
from kubesim.rest.http.streams import StreamWriter
from kubesim.rest.http.wire import Request, RequestRejected
from kubesim.rest.kube import KubeRoutes
from kubesim.rest.kubeconfig import kubeconfig_text, write_kubeconfig
from kubesim.rest.prometheus import CONTENT_TYPE, Statistics, metrics_text
from kubesim.rest.simple.routes import DecisionSource, make_router
from kubesim.rest.users import User, Users

MIN_TOKEN = 8  # characters of a token that other machines may try to guess
UNENCRYPTED = (
    "{host} can be reached from other machines, and tokens and objects travel there unencrypted: "
    "whoever reads the network is an administrator of this cluster. Start with --tls (tls=True)"
)
LOOPBACK_ADDRESSES = ("127.0.0.1", "::1", "localhost")


def check_exposure(host: str, token: str | None, users: Sequence[User]) -> None:
    """Refuse a server that other machines could reach without a token, or guess a token of.

    kube-apiserver has no counterpart: it does not start without TLS and authentication.

    Args:
        host: the address to bind.
        token: bearer token that every request must carry, or None.
        users: users with tokens of their own.

    Raises:
        BadRequest: another host than loopback without a token, or with a short one; a token beside
            users, of which no request can carry both.
    """
    for user in users:
        if not isinstance(user, User):
            hint = "make each with kubesim.rest.users.User, or read a file with read_users"
            raise BadRequest(f"users must be a list of User, not of {user!r:.80}", hint=hint)
    if token and users:
        raise BadRequest(
            "a token and users exclude each other: a request carries the token of a user",
            hint='leave token= (--token) out; a user in the group "system:masters" may do all',
        )
    if host in LOOPBACK_ADDRESSES:
        return
    if not token and not users:
        raise BadRequest(
            f"{host} can be reached from other machines, which could change the cluster",
            hint="bind to 127.0.0.1, or require a token (token=..., --token)",
        )
    tokens = [user.token for user in users] or [token or ""]
    if any(0 < len(each) < MIN_TOKEN for each in tokens):
        raise BadRequest(
            f"a token must have at least {MIN_TOKEN} characters: other machines could guess it",
            hint="for example the output of: openssl rand -hex 16",
        )


class RestServer:
    """The HTTP server of one cluster.

    Args:
        api: the API server to serve.
        host, port: the address to bind; port 0 takes any free port.
        decisions: the cluster's decision log, for /api/explain.
        analytics: the log that /api/logs returns; internal errors are added to it.
        allowed_hosts, allowed_origins: further ones in addition to loopback, for proxies and hubs.
        token: bearer token that every request must carry; needed for other hosts than loopback.
        users: users with their own tokens and rules (see `users`); then `token` is left out.
        tls: speak TLS, with a new self-signed certificate.
        read_only: reject every request that would change something.
        statistics: returns the counts of the components, for /metrics.
        kubeconfig: a file to write the kubeconfig to, before the server accepts connections.

    Raises:
        BadRequest: another host than loopback without a token, or with a short one; TLS without
            the program openssl.
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
        kubeconfig: str | Path | None = None,
    ) -> None:
        check_exposure(host, token, users := tuple(users))
        self.users = Users(users, api.access, api.tokens)
        self.host = host
        self.certificate = Certificate(host) if tls else None
        self._token = token
        self.analytics = analytics or NullAnalytics()
        if host not in LOOPBACK_ADDRESSES and not tls:
            self.analytics.log("REST", "Unencrypted", UNENCRYPTED.format(host=host), "warn")
        hosts = [*allowed_hosts] if host in LOOPBACK_ADDRESSES else [*allowed_hosts, host]
        self.streams = StreamWriter(self.analytics, stream_limit())
        self.router = make_router(api, decisions, self.analytics, self.streams)
        self.kube = KubeRoutes(api, self.streams, self.users, lambda: f"{self.host}:{self.port}")
        self.router.mount(is_kube_path, self.kube.serve)
        self.router.add("GET", "/metrics", lambda _request: self._metrics(api, statistics))
        access = Access(hosts, allowed_origins, token)
        handler = APIServerHandler(
            access, self.router, self.users, self.analytics, read_only=read_only
        )
        self.dispatch: Callable[[Request], Response] = handler.dispatch
        self.reject: Callable[[RequestRejected], Response] = handler.reject
        self.connections = Connections(connection_limit())
        self.heads = HeadCache()
        self.caches_heads = not self.users.configured
        self._requested_port = port
        self._kubeconfig_path = kubeconfig
        self._http: HTTPServer | None = None
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
            path: a file to write it to as well; it is readable by its owner only from then on.
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
            write_kubeconfig(path, kubeconfig)
        return kubeconfig

    def start(self) -> RestServer:
        """Bind the address and serve it in background threads.

        Raises:
            OSError: the port is in use; the message says what to do. Or the kubeconfig cannot be
                written.
        """
        if self._http is not None:
            return self
        try:
            self._http = HTTPServer((self.host, self._requested_port), self)
        except OSError as error:
            raise OSError(
                f"cannot listen on {self.host}:{self._requested_port}: {error.strerror or error}. "
                "Another server may be using it: stop that server, or choose another port "
                "(--port 8081, or --port 0 for any free one)"
            ) from error
        try:
            if self._kubeconfig_path is not None:
                self.kubeconfig(self._kubeconfig_path)
            self._http.server_activate()
        except OSError:
            http, self._http = self._http, None
            http.server_close()
            raise
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

    def _metrics(self, api: KubeAPI, statistics: Callable[[], Statistics] | None) -> Response:
        """Serve /metrics."""
        text = metrics_text(api, self.kube.request_counts(), len(self.streams), statistics)
        return Response(200, text.encode(), CONTENT_TYPE)
