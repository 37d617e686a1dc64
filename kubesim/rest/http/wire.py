"""A strict HTTP parser: the bytes of a request become a `Request`, or the request is rejected.

Python's `http.server` accepts what HTTP forbids: two lengths, a bare line feed, a body that is
shorter than announced. Each of these can be used to smuggle a second request behind the first, so
whatever is not well-formed is rejected with a JSON error before any handler runs.

Everything is bounded: the head, the path, the number of headers, the body and its contents.

Source: RFC 9110, RFC 9112; limits after net/http and kube-apiserver.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import NoReturn
from urllib.parse import parse_qsl, unquote_to_bytes

from kubesim.rest.http.response import Response

HEAD_LIMIT = 1024 * 1024  # DefaultMaxHeaderBytes of net/http
TARGET_LIMIT = HEAD_LIMIT
HEADER_LIMIT = 1_000  # net/http counts their bytes alone
BODY_LIMIT = 3 * 1024 * 1024  # MaxRequestBodyBytes of k8s.io/apiserver/pkg/server/config.go
TOO_LARGE = f"Request entity too large: limit is {BODY_LIMIT}"
JSON_DEPTH = 200
JSON_DIGITS = 19  # digits of an integer
REPEATED = ("command", "dryRun")  # query parameters that may occur more than once
CHUNK_LINE_LIMIT = 256
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
SIMPLE_TYPES = ("", "text/json", "application/x-www-form-urlencoded")
JSON_TYPES = ("application/json", *SIMPLE_TYPES)

_REQUEST_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([\x21-\x7e]+) HTTP/([0-9])\.([0-9])")
_HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)")
_ABSOLUTE = re.compile("https?://([^/?#]*)", re.ASCII | re.IGNORECASE)
OBJECT_PATHS = ("/api/v1/", "/apis/")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,8})(?:[ \t]*;[\x20-\x7e]*)?", re.ASCII)
_LENGTH = re.compile("[0-9]{1,18}", re.ASCII)
_SINGLE_HEADERS = ("host", "content-length", "transfer-encoding", "content-type", "authorization")

Handler = Callable[..., Response]
"""handler(request, *placeholders)."""


class RequestRejected(Exception):
    """The request is not well-formed, not allowed, or not served.

    Args:
        status: HTTP code.
        message: what is wrong.
        close: the connection cannot be used any further.
        headers: headers of the response.
        segments: segments of the requested path, if the request was parsed that far.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        close: bool = True,
        headers: Mapping[str, str] | None = None,
        segments: tuple[str, ...] = (),
    ) -> None:
        super().__init__(message)
        self.status = status
        self.close = close
        self.headers = dict(headers or {})
        self.segments = segments

    def locate(self, segments: tuple[str, ...]) -> None:
        """Say which path was requested: it decides the form of the response."""
        self.segments = segments


@dataclass(slots=True)
class Request:
    """One request.

    Attributes:
        method: in upper case.
        path: the raw path.
        segments: the segments of the path, decoded.
        query: the raw query string.
        headers: values by lower-case name.
        body: the raw body.
        keep_alive: the client may send another request on this connection.
        origin: the Origin to allow in the response; see `route_to`.
        route: the handler and the values of its placeholders; see `route_to`.
        modern: the client speaks HTTP/1.1, not 1.0.
    """

    method: str
    path: str
    segments: tuple[str, ...]
    query: str
    headers: dict[str, str]
    body: bytes = b""
    keep_alive: bool = True
    origin: str = ""
    route: tuple[Handler, tuple[str, ...]] | None = None
    modern: bool = True
    _parameters: dict[str, str] | None = None

    def attach_body(self, body: bytes) -> None:
        """Add the body, which is read after the head."""
        self.body = body

    def route_to(self, route: tuple[Handler, tuple[str, ...]], origin: str) -> None:
        """Keep what the router and the access rules decided, also for the next such request.

        Args:
            route: the handler and the values of its placeholders.
            origin: the Origin to allow in the response; "" for none.
        """
        self.route = route
        self.origin = origin

    def parameter(self, name: str, default: str = "") -> str:
        """Return a query parameter; its first value where Kubernetes' objects are served.

        Args:
            name: of the parameter.
            default: the value if the query does not name it.

        Raises:
            RequestRejected: 400, the query is malformed, or a parameter of the simulator's own
                routes occurs twice.

        Source: k8s.io/apimachinery/pkg/runtime/converter.go (Convert_Slice_string_To_string).
        """
        if self._parameters is None:
            pairs = [pair for pair in self._pairs() if pair[0] not in REPEATED]
            self._parameters = dict(pairs)
            if len(self._parameters) != len(pairs):
                if not self.path.startswith(OBJECT_PATHS):
                    raise RequestRejected(400, "duplicate query parameter", close=False)
                self._parameters = dict(reversed(pairs))  # of several values the first counts
        return self._parameters.get(name, default)

    def parameters(self, name: str) -> list[str]:
        """Return all values of a parameter that may occur more than once, as ``command`` may.

        Raises:
            RequestRejected: 400, the query is malformed.
        """
        return [value for key, value in self._pairs() if key == name]

    def _pairs(self) -> list[tuple[str, str]]:
        try:
            query = "&".join(filter(None, self.query.split("&")))  # empty fields mean nothing
            return parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=50)
        except ValueError as error:
            raise RequestRejected(400, "the query string is malformed", close=False) from error

    def json(self, types: Sequence[str] = JSON_TYPES, *, duplicates: bool = False) -> object:
        """Parse the body as strict JSON.

        Args:
            types: accepted content types; a web page may only use those that need a CORS preflight.
            duplicates: accept an object that names a key twice; the last value counts.

        Raises:
            RequestRejected: 400 malformed, 415 not JSON.
        """
        kind = self.headers.get("content-type", "").partition(";")
        if self.headers.get("content-encoding", "identity") != "identity":
            raise RequestRejected(415, "compressed bodies are not supported", close=False)
        # A web page can POST a form or plain text across sites without a preflight.
        allowed = [t for t in types if "origin" not in self.headers or t not in SIMPLE_TYPES]
        if kind[0].strip().lower() not in allowed:
            listed = " or ".join(name for name in types if name not in SIMPLE_TYPES)
            raise RequestRejected(415, f"the body must be {listed}", close=False)
        charset = kind[2].partition("charset=")[2].strip(' "').lower()
        if charset not in ("", "utf-8", "utf8"):
            raise RequestRejected(415, "the body must be UTF-8", close=False)
        return read_json(self.body, duplicates=duplicates)


def read_json(body: bytes, *, duplicates: bool = False) -> object:
    """Parse JSON: UTF-8, no duplicate keys, no NaN, no infinity, bounded depth and digits.

    Args:
        body: the bytes of the document.
        duplicates: accept an object that names a key twice; the last value counts.

    Raises:
        RequestRejected: 400.
    """
    try:
        text = body.decode("utf-8")
        _check_depth(text)
        value = json.loads(
            text,
            parse_constant=_no_constant,
            parse_float=_finite,
            parse_int=_whole,
            object_pairs_hook=None if duplicates else _no_duplicates,
        )
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode()  # a lone surrogate has no UTF-8
    except (ValueError, RecursionError) as error:
        raise RequestRejected(
            400, f"the body is not valid JSON: {error}"[:200], close=False
        ) from error
    return value


def _check_depth(text: str) -> None:
    if text.count("[") + text.count("{") <= JSON_DEPTH:
        return
    depth, inside, escaped = 0, False, False
    for character in text:
        if inside:
            if escaped:
                escaped = False
            elif character == "\\":
                escaped = True
            elif character == '"':
                inside = False
        elif character == '"':
            inside = True
        elif character in "[{":
            depth += 1
            if depth > JSON_DEPTH:
                raise ValueError(f"nested deeper than {JSON_DEPTH}")
        elif character in "]}":
            depth -= 1


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if not isfinite(value):
        raise ValueError(f"{text[:20]} is too large")
    return value


def _whole(text: str) -> int:
    if len(text.lstrip("-")) > JSON_DIGITS:
        raise ValueError(f"an integer has {len(text)} digits")
    return int(text)


def _no_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("an object names a key twice")
    return result


def check_start(received: bytes, checked: int = 0) -> None:
    """Reject early what cannot become a well-formed head.

    Args:
        received: the bytes of a head so far.
        checked: number of bytes that earlier calls have checked.

    Raises:
        RequestRejected: 400, 414, 431 or 505.
    """
    new = received[max(0, checked - 1) :].removeprefix(b"\n") if checked else received
    if new.count(b"\n") != new.count(b"\r\n"):
        raise RequestRejected(400, "lines must end with CR LF")
    if b"\0" in new or received.startswith((b"\x16", b"\x80")):
        raise RequestRejected(400, "this is plain HTTP: use http://, not https://")
    if len(received) > HEAD_LIMIT:
        segments = _first_segments(received)
        if received.find(b"\r\n", 0, HEAD_LIMIT) < 0:
            raise RequestRejected(414, "the request line is too long", segments=segments)
        message = f"the head is longer than {HEAD_LIMIT} bytes"
        raise RequestRejected(431, message, segments=segments)
    if b"\r\n" in new:
        parse_request_line(received.partition(b"\r\n")[0])


def body_length(request: Request) -> int:
    """Return the number of body bytes that follow a head; -1: the body is chunked.

    Chunked bodies are accepted by the Kubernetes API only: `kubectl create --raw` sends them.

    Raises:
        RequestRejected: 400, 411 or 413; 417 for an Expect header that is not supported.
    """
    headers = request.headers
    if "transfer-encoding" in headers:
        chunked = headers["transfer-encoding"].lower() == "chunked" and request.modern
        if chunked and "content-length" not in headers and request.path.startswith(OBJECT_PATHS):
            return -1
        raise RequestRejected(411, "send the body with Content-Length, not with Transfer-Encoding")
    text = headers.get("content-length")
    if text is None:
        if request.method in ("POST", "PUT", "PATCH"):
            raise RequestRejected(411, "a Content-Length is needed")
        text = "0"
    if _LENGTH.fullmatch(text) is None:
        raise RequestRejected(400, "Content-Length must be a whole number")
    if int(text) > BODY_LIMIT:
        raise RequestRejected(413, TOO_LARGE)
    if headers.get("expect", "100-continue").lower() != "100-continue":
        raise RequestRejected(417, "the only supported expectation is 100-continue")
    return int(text)


def chunk_length(line: bytes) -> int:
    """Return the length that the first line of a chunk announces, in bytes.

    Raises:
        RequestRejected: the line is malformed.
    """
    match = _CHUNK.fullmatch(line)
    if match is None:
        raise RequestRejected(400, "a chunk must begin with its length in hexadecimal digits")
    return int(match[1], 16)


def parse_request_line(line: bytes) -> tuple[str, str, bool]:
    """Parse a request line; returns (method, target, whether it is HTTP/1.1).

    Raises:
        RequestRejected: the line is malformed, or of another version of HTTP.
    """
    match = _REQUEST_LINE.fullmatch(line)
    if match is None:
        raise RequestRejected(400, "the request line must read: METHOD /path HTTP/1.1")
    if match[3] != b"1" or match[4] not in b"01":
        raise RequestRejected(505, "this server speaks HTTP/1.1")
    if len(match[2]) > TARGET_LIMIT:
        message = f"the path is longer than {TARGET_LIMIT} bytes"
        raise RequestRejected(414, message, segments=_first_segments(line))
    if len(match[1]) > 32:
        raise RequestRejected(
            501, "this method is not known", headers={"Allow": ", ".join(METHODS)}
        )
    return match[1].decode(), match[2].decode(), match[4] == b"1"


def parse_head(head: bytes) -> Request:
    """Parse the head of a request; the body is not read yet.

    Raises:
        RequestRejected: the head is not well-formed.
    """
    lines = head.split(b"\r\n")
    method, target, modern = parse_request_line(lines[0])
    if len(lines) - 1 > HEADER_LIMIT:
        message = f"more than {HEADER_LIMIT} headers"
        raise RequestRejected(431, message, segments=_first_segments(head))
    headers: dict[str, str] = {}
    for line in lines[1:]:
        match = _HEADER.fullmatch(line)
        if match is None:
            raise RequestRejected(400, "a header must read: Name: value")
        name = match[1].decode().lower()
        if name in headers:
            if name in _SINGLE_HEADERS:
                raise RequestRejected(400, f"two headers {name}")
            headers[name] += ", " + match[2].decode("latin-1").rstrip(" \t")
        else:
            headers[name] = match[2].decode("latin-1").rstrip(" \t")
    if modern and "host" not in headers:
        raise RequestRejected(400, "a Host header is needed")
    connection = headers.get("connection", "").lower()
    keep_alive = modern and "close" not in connection  # HTTP/1.0: one request per connection
    if absolute := _ABSOLUTE.match(target):  # its host overrides Host
        headers["host"], target = absolute[1], "/" + target[absolute.end() :].removeprefix("/")
    path, _, query = target.partition("?")
    if "#" in target or not (path.startswith("/") or (path == "*" and method == "OPTIONS")):
        raise RequestRejected(400, "the path must begin with /")
    segments = _segments(path)
    return Request(method, path, segments, query, headers, b"", keep_alive, modern=modern)


def _first_segments(head: bytes) -> tuple[str, ...]:
    """Return the first segments of the path of a head that is not parsed: whose route it is."""
    start = head[:256].partition(b" ")[2].partition(b" ")[0].partition(b"?")[0]
    return tuple(start.decode("latin-1").split("/")[1:4])


def _segments(path: str) -> tuple[str, ...]:
    """Return the segments of a path, each decoded once and strictly."""
    parts = path.split("/")[1:]
    if "%" not in path:
        return tuple(parts)
    try:
        if re.search("%(?![0-9A-Fa-f]{2})", path):
            raise ValueError("a lone %")
        return tuple(unquote_to_bytes(part).decode("utf-8") for part in parts)
    except ValueError as error:
        message = "the path is not properly encoded"
        raise RequestRejected(400, message, close=False, segments=tuple(parts)) from error
