"""Routes: which handler serves which method and path.

>>> router = Router()
>>> router.add("GET", "/api/pods/:id", lambda request, id: Response.json({"id": id}))
>>> handler, values = router.find("GET", ("api", "pods", "42"))
>>> values
('42',)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from kubesim.rest.http.response import Response
from kubesim.rest.http.wire import METHODS, Handler, Request, RequestRejected


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
        for known, methods in routes:
            if known == parts:
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
        message = "there is nothing at this path; GET / lists the routes"
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
