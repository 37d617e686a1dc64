"""From a parsed request to its response: the access rules, the routes, the user, the errors.

A server on loopback can be reached by every web page that its user opens: a page can send it a POST
across sites, and with a host name that it rebinds to 127.0.0.1 a page can even read the responses.
So the Host must be a loopback name (against DNS rebinding), and the Origin, if there is one, a
loopback page (against cross-site requests). The two checks stop different attacks; both are needed.

>>> router = Router()
>>> router.add("GET", "/api/pods/:id", lambda request, id: Response.json({"id": id}))
>>> handler, values = router.find("GET", ("api", "pods", "42"))
>>> values
('42',)

Source: k8s.io/apiserver/pkg/server/handler.go (director); the access rules are those of `kubectl
proxy` (--accept-hosts) and of Jupyter Server.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from urllib.parse import urlsplit

from kubesim.analytics import Analytics
from kubesim.errors import Forbidden, GenericStatusError, StatusError
from kubesim.rest.http.response import Response
from kubesim.rest.http.wire import METHODS, Handler, Request, RequestRejected
from kubesim.rest.kube.requestinfo import parse_request_info
from kubesim.rest.kube.response import (
    error_response,
    internal_error_response,
    rejection_response,
)
from kubesim.rest.kube.reviews import REVIEWS
from kubesim.rest.users import NOBODY, RequestAttributes, Users
from kubesim.usercode import USER_ERRORS

# -- access ----------------------------------------------------------------------------------------

LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
HOST_CACHE_SIZE = 1_000
LONGEST_HOST = 260  # a name of 253 characters, and a port
OWN_ROUTES = "/kubesim"  # before /api/pods ... in the nonResourceURLs of a role
_PORT = re.compile(r":[0-9]{1,5}", re.ASCII)


class Access:
    """The access rules of one server.

    Args:
        hosts: further names of the server, without port.
        origins: further allowed origins, in full: ``https://hub.example``.
        token: a bearer token that every request must carry; None: no token is needed.
    """

    def __init__(
        self, hosts: Iterable[str] = (), origins: Iterable[str] = (), token: str | None = None
    ) -> None:
        self._hosts = LOOPBACK | {host.lower() for host in hosts}
        self._origins = frozenset(origins)
        self._token = token
        self._host_cache: dict[str, bool] = {}  # Host header -> whether it is allowed

    def check(self, request: Request) -> str:
        """Return the Origin to allow in the response; "" if the request has none.

        Raises:
            RequestRejected: 401 or 403.
        """
        host = request.headers.get("host", "127.0.0.1")
        allowed = self._host_cache.get(host)
        if allowed is None:
            allowed = self._host_allowed(host)
            if len(self._host_cache) < HOST_CACHE_SIZE and len(host) <= LONGEST_HOST:
                self._host_cache[host] = allowed
        if not allowed:
            message = "host not allowed; use http://127.0.0.1 or localhost"
            raise RequestRejected(403, message)
        origin = request.headers.get("origin", "")
        if origin and not self._origin_allowed(origin):
            raise RequestRejected(403, "requests from this Origin are refused")
        if self._token is not None:
            authorization = request.headers.get("authorization", "")
            if not hmac.compare_digest(authorization.encode(), f"Bearer {self._token}".encode()):
                message = "send the header Authorization: Bearer TOKEN"
                raise RequestRejected(401, message, headers={"WWW-Authenticate": "Bearer"})
        return origin

    def _host_allowed(self, host: str) -> bool:
        name = host.lower()
        bare = name if name.endswith("]") else name.rpartition(":")[0] or name
        rest = name[len(bare) :]
        return bare in self._hosts and (not rest or _PORT.fullmatch(rest) is not None)

    def _origin_allowed(self, origin: str) -> bool:
        if origin in self._origins:
            return True
        try:
            parts = urlsplit(origin)
            name = parts.hostname or ""
        except ValueError:
            return False
        plain = parts.scheme in ("http", "https") and parts.path in ("", "/")
        return plain and "@" not in parts.netloc and (name in LOOPBACK or name == "::1")


# -- routes ----------------------------------------------------------------------------------------


class Router:
    """Paths with placeholders (``:id``), each with its handlers by method."""

    def __init__(self) -> None:
        self._routes: dict[int, list[tuple[tuple[str, ...], dict[str, Handler]]]] = {}
        self._mounts: list[tuple[Callable[[tuple[str, ...]], bool], Handler]] = []

    def mount(self, owns: Callable[[tuple[str, ...]], bool], handler: Handler) -> None:
        """Serve all paths for which `owns(segments)` holds with handler(request)."""
        self._mounts.append((owns, handler))

    def add(self, method: str, pattern: str, handler: Handler) -> None:
        """Serve a method and a path with handler(request, *placeholders).

        Args:
            method: for example ``GET``; it serves HEAD as well.
            pattern: the path; a segment ``:name`` matches any one segment.
            handler: returns the response.
        """
        parts = tuple(pattern.split("/")[1:])
        routes = self._routes.setdefault(len(parts), [])
        for segments, methods in routes:
            if segments == parts:
                methods[method] = handler
                return
        routes.append((parts, {method: handler}))

    def find(self, method: str, segments: tuple[str, ...]) -> tuple[Handler, tuple[str, ...]]:
        """Return the handler of a request and the values of its placeholders.

        Raises:
            RequestRejected: 404 unknown path, 405 (with Allow) method not allowed, 501 unknown
                method.
        """
        for owns, mounted in self._mounts:
            if owns(segments):
                return mounted, ()
        if segments and segments[-1] == "" and len(segments) > 1:
            segments = segments[:-1]  # a trailing slash is ignored
        for parts, methods in self._routes.get(len(segments), ()):
            values = _match(parts, segments)
            if values is None:
                continue
            handler = methods.get("GET" if method == "HEAD" else method)
            if handler is not None:
                return handler, values
            allowed = ", ".join(allowed_methods(methods))
            if method not in METHODS:
                raise _unknown_method(method, allowed)
            if method == "OPTIONS":
                return partial(_options, allowed), values
            message = f"{method} is not allowed here; allowed: {allowed}"
            raise RequestRejected(405, message, close=False, headers={"Allow": allowed})
        everything = ", ".join(METHODS)
        if method == "OPTIONS" and segments in ((), ("",)):
            return partial(_options, everything), ()
        if method not in METHODS:
            raise _unknown_method(method, everything)
        message = "no route for this path; GET / lists the routes"
        raise RequestRejected(404, message, close=False)


def allowed_methods(methods: Mapping[str, Handler]) -> list[str]:
    """Return the methods for an Allow header: HEAD goes with GET, OPTIONS is always allowed."""
    extra = ["HEAD"] if "GET" in methods else []
    return [*sorted(methods), *extra, "OPTIONS"]


def _unknown_method(method: str, allowed: str) -> RequestRejected:
    message = f"the method {method[:20]} is not known"
    return RequestRejected(501, message, close=False, headers={"Allow": allowed})


def _match(parts: tuple[str, ...], segments: tuple[str, ...]) -> tuple[str, ...] | None:
    """Return the values of the placeholders; None if the path does not match."""
    values = []
    for part, segment in zip(parts, segments, strict=True):
        if part[:1] == ":":
            if not segment:
                return None
            values.append(segment)
        elif part != segment:
            return None
    return tuple(values)


def _options(allowed: str, _request: Request, *_values: str) -> Response:
    headers = {
        "Allow": allowed,
        "Access-Control-Allow-Methods": allowed,
        "Access-Control-Allow-Headers": "Content-Type, Authorization",
    }
    return Response(204, headers=headers)


ROOTS = frozenset({"apis", "version", "healthz", "livez", "readyz", "openapi"})
METRICS = "metrics"  # a route of this server, whose errors have the form of the Kubernetes API


def is_kube_path(segments: tuple[str, ...]) -> bool:
    """Return whether a path belongs to the Kubernetes API, not to the simulator's own routes."""
    if segments[:1] == ("api",):
        return segments in (("api",), ("api", "")) or segments[1] == "v1"
    return bool(segments) and segments[0] in ROOTS


def fails_with_status(segments: tuple[str, ...]) -> bool:
    """Return whether errors of a path are a Status; those of the simulator's own are JSON objects.

    Source: k8s.io/apiserver/pkg/endpoints/filters (authentication.go: failedHandler;
    authorization.go), pkg/server/routes/metrics.go.

    >>> fails_with_status(("metrics",)), fails_with_status(("healthz",))
    (True, True)
    >>> fails_with_status(("api", "pods"))
    False
    """
    return segments[:1] == (METRICS,) or is_kube_path(segments)


# -- dispatch --------------------------------------------------------------------------------------


class APIServerHandler:
    """Answers the requests of one server.

    Args:
        access: the access rules.
        router: the routes.
        users: authenticate and authorize requests, if there are any.
        analytics: internal errors are added to it.
        read_only: reject every request that would change something.
    """

    def __init__(
        self, access: Access, router: Router, users: Users, analytics: Analytics, *, read_only: bool
    ) -> None:
        self._access = access
        self._router = router
        self._users = users
        self._analytics = analytics
        self._read_only = read_only

    def dispatch(self, request: Request) -> Response:
        """Return the response to a request; whatever a handler raises becomes an error response."""
        try:
            route = request.route
            if route is None:
                origin = self._access.check(request)
                route = self._router.find(request.method, request.segments)
                request.route_to(route, origin)
            if self._users.configured and not is_kube_path(request.segments):
                self._check_user(request)
            if self._read_only:
                refuse_writes(request)
            response: Response = route[0](request, *route[1])
        except RequestRejected as rejection:
            rejection.locate(request.segments)
            raise
        except StatusError as error:
            if fails_with_status(request.segments):
                return error_response(error)
            return Response.error(error.code, str(error))
        except USER_ERRORS as error:  # the client gets a response, the log a row
            message = f"{request.method} {request.path[:200]}: {type(error).__name__}: {error}"
            self._analytics.log("REST", "InternalError", message, "error")
            if fails_with_status(request.segments):
                return internal_error_response(error)
            return Response.error(500, "internal error; the server's log has more")
        if request.origin:
            response.add_headers({"Access-Control-Allow-Origin": request.origin, "Vary": "Origin"})
        return response

    def reject(self, rejection: RequestRejected) -> Response:
        """Return the response to a request that was rejected before any verb was called."""
        if fails_with_status(rejection.segments):
            return rejection_response(rejection.status, str(rejection), rejection.headers)
        return Response.error(rejection.status, str(rejection), rejection.headers)

    def _check_user(self, request: Request) -> None:
        """Authenticate and authorize a request for one of the simulator's own routes.

        Raises:
            RequestRejected, GenericStatusError: 401, the token belongs to nobody, or a route of the
                simulator needs one.
            Forbidden: the user may not do this.
        """
        user = self._users.authenticate(request.headers)
        if user is None:
            if fails_with_status(request.segments):
                raise GenericStatusError(401, "Unauthorized")
            raise self._token_needed()
        attempt = RequestAttributes(request.method.lower(), path=request.path)
        if not user.may(attempt):
            # Everybody may read /api/* for discovery; a role names these routes with a prefix.
            if request.path.startswith("/api/"):
                attempt = attempt._replace(path=f"{OWN_ROUTES}{request.path}")
            try:
                self._users.access.require(user, attempt)
            except Forbidden:
                if user is NOBODY and not fails_with_status(request.segments):
                    raise self._token_needed() from None
                raise

    @staticmethod
    def _token_needed() -> RequestRejected:
        message = "send the header Authorization: Bearer TOKEN, with the token of a user"
        return RequestRejected(401, message, headers={"WWW-Authenticate": "Bearer"})


def refuse_writes(request: Request) -> None:
    """Reject requests that would change something, for a read-only server.

    Raises:
        Forbidden: the request would change something.
    """
    if request.method not in ("GET", "HEAD", "OPTIONS") and not _is_review(request.segments):
        raise Forbidden("this server is read-only: it was started with --read-only")


def _is_review(segments: tuple[str, ...]) -> bool:
    """Whether a POST to this path only asks a question."""
    info = parse_request_info(segments)
    return info is not None and info.plural in REVIEWS
