"""Which handler answers which path, and what an answer is.

>>> router = Router()
>>> router.add("GET", "/api/pods/:id", lambda request, id: Response.json({"id": id}))
>>> handler, values = router.find("GET", ("api", "pods", "42"))
>>> values
('42',)
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from kubesim.rest.http.wire import METHODS, Request, RequestRejected

_encode = json.JSONEncoder(separators=(", ", ": "), ensure_ascii=False, allow_nan=False).encode
NO_HEADERS: Mapping[str, str] = {}


class Response:
    """An answer.

    Attributes:
        status: HTTP code.
        body: bytes.
        content_type: of the body.
        headers: further ones.
        stream: instead of a body: takes over the socket, see `streams.StreamWriter`.
    """

    __slots__ = ("body", "content_type", "headers", "status", "stream")

    def __init__(
        self,
        status: int = 200,
        body: bytes = b"",
        content_type: str = "application/json",
        headers: Mapping[str, str] = NO_HEADERS,
        stream: Callable[[Any, bytes], None] | None = None,
    ) -> None:
        self.status = status
        self.body = body
        self.content_type = content_type
        self.headers = headers
        self.stream = stream

    @classmethod
    def json(
        cls, value: Any, status: int = 200, headers: Mapping[str, str] = NO_HEADERS
    ) -> Response:
        """A value as JSON."""
        return cls(status, _encode(value).encode(), headers=headers)

    @classmethod
    def error(cls, status: int, message: str, headers: Mapping[str, str] = NO_HEADERS) -> Response:
        """``{"error": message}``."""
        return cls.json({"error": message}, status, headers)


Handler = Callable[..., Response]


class Router:
    """Paths with placeholders (``:id``), each with handlers by method."""

    def __init__(self) -> None:
        self._routes: dict[int, list[tuple[tuple[str, ...], dict[str, Handler]]]] = {}
        self._mounts: list[tuple[Callable[[tuple[str, ...]], bool], Handler]] = []

    def mount(self, owns: Callable[[tuple[str, ...]], bool], handler: Handler) -> None:
        """Leave all paths that something `owns` to handler(request), whatever the method."""
        self._mounts.append((owns, handler))

    def add(self, method: str, pattern: str, handler: Handler) -> None:
        """Answer `method` on `pattern` with handler(request, *placeholders)."""
        parts = tuple(pattern.split("/")[1:])
        routes = self._routes.setdefault(len(parts), [])
        for known, methods in routes:
            if known == parts:
                methods[method] = handler
                return
        routes.append((parts, {method: handler}))

    def find(self, method: str, segments: tuple[str, ...]) -> tuple[Handler, tuple[str, ...]]:
        """The handler of a request and the values of its placeholders.

        Raises:
            RequestRejected: 404 no such path, 405 (with Allow) not this method, 501 no such method.
        """
        for owns, mounted in self._mounts:
            if owns(segments):
                return mounted, ()
        if segments and segments[-1] == "" and len(segments) > 1:
            segments = segments[:-1]  # a slash at the end is forgiven
        for parts, methods in self._routes.get(len(segments), ()):
            values = _match(parts, segments)
            if values is None:
                continue
            handler = methods.get("GET" if method == "HEAD" else method)
            if handler is not None:
                return handler, values
            allowed = ", ".join(allowed_methods(methods))
            if method not in METHODS:
                said = f"the method {method[:20]} is not known"
                raise RequestRejected(501, said, close=False, headers={"Allow": allowed})
            if method == "OPTIONS":
                return partial(_options, allowed), values
            said = f"{method} is not allowed here; allowed: {allowed}"
            raise RequestRejected(405, said, close=False, headers={"Allow": allowed})
        if method == "OPTIONS" and segments in ((), ("",)):
            return partial(_options, ", ".join(METHODS)), ()
        if method not in METHODS:
            headers = {"Allow": ", ".join(METHODS)}
            raise RequestRejected(
                501, f"the method {method[:20]} is not known", close=False, headers=headers
            )
        raise RequestRejected(
            404, "there is nothing at this path; GET / lists the routes", close=False
        )


def allowed_methods(methods: Mapping[str, Handler]) -> list[str]:
    """What Allow says: HEAD goes with GET, OPTIONS always."""
    extra = ["HEAD"] if "GET" in methods else []
    return [*sorted(methods), *extra, "OPTIONS"]


def _match(parts: tuple[str, ...], segments: tuple[str, ...]) -> tuple[str, ...] | None:
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


__all__ = ["Handler", "Request", "Response", "Router", "allowed_methods"]
