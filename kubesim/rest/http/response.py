"""A response: what a handler returns, and its bytes on the wire.

`render` serializes status line, headers and body in one piece. A response in two writes would take
40 ms longer where Nagle's algorithm meets delayed acknowledgements, and one more system call
everywhere.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Mapping
from email.utils import formatdate
from http import HTTPStatus

_encode = json.JSONEncoder(separators=(", ", ": "), ensure_ascii=False, allow_nan=False).encode
RETRY_AFTER_SECONDS = 5  # when all streams that the server allows are open
NO_HEADERS: Mapping[str, str] = {}
Resume = Callable[[socket.socket], None]
"""resume(socket): serve further requests on a socket whose stream has ended."""
HandOver = Callable[[socket.socket, bytes, "Resume | None"], None]
"""hand_over(socket, head, resume): take the socket over, send the head, then whatever comes. With
`resume`, the client keeps the connection after a stream that says itself where it ends."""


class Response:
    """A response.

    Attributes:
        status: HTTP code.
        body: the bytes of the body.
        content_type: media type of the body.
        headers: further headers.
        stream: in place of a body: takes the socket over, see `streams.StreamWriter`.
    """

    __slots__ = ("body", "content_type", "headers", "status", "stream")

    def __init__(
        self,
        status: int = 200,
        body: bytes = b"",
        content_type: str = "application/json",
        headers: Mapping[str, str] = NO_HEADERS,
        stream: HandOver | None = None,
    ) -> None:
        self.status = status
        self.body = body
        self.content_type = content_type
        self.headers = headers
        self.stream = stream

    def add_headers(self, headers: Mapping[str, str]) -> None:
        """Add headers; they replace those of the same name."""
        self.headers = {**self.headers, **headers}

    @classmethod
    def json(
        cls, value: object, status: int = 200, headers: Mapping[str, str] = NO_HEADERS
    ) -> Response:
        """Return a value as JSON.

        Args:
            value: JSON data.
            status: HTTP code.
            headers: further headers.
        """
        return cls(status, _encode(value).encode(), headers=headers)

    @classmethod
    def error(cls, status: int, message: str, headers: Mapping[str, str] = NO_HEADERS) -> Response:
        """Return ``{"error": message}``.

        Args:
            status: HTTP code.
            message: what is wrong.
            headers: further headers.
        """
        return cls.json({"error": message}, status, headers)


_REASONS = {status.value: status.phrase for status in HTTPStatus}
_starts: dict[tuple[int, str], bytes] = {}  # heads of this second, without length and own headers
_second = 0


def render(response: Response, *, close: bool, head_only: bool) -> bytes:
    """Return the bytes of a response.

    Args:
        response: what to send.
        close: announce that the connection is closed afterwards.
        head_only: without the body, for HEAD.
    """
    body = response.body
    if response.headers is NO_HEADERS and not close and not head_only and response.status != 204:
        start = _start(response.status, response.content_type)
        return b"%bContent-Length: %d\r\n\r\n%b" % (start, len(body), body)
    head = render_head(response, length=len(body), close=close)
    return head if head_only or response.status == 204 else head + body


def render_head(response: Response, *, length: int | None, close: bool) -> bytes:
    """Return the status line and the headers of a response.

    Args:
        response: what to send.
        length: of the body, in bytes; None: the body ends with the connection.
        close: announce that the connection is closed afterwards.
    """
    lines = ""
    if length is not None and response.status != 204:
        lines += f"Content-Length: {length}\r\n"
    for name, value in response.headers.items():
        lines += f"{name}: {value}\r\n"
    if close:
        lines += "Connection: close\r\n"
    return _start(response.status, response.content_type) + f"{lines}\r\n".encode("latin-1")


def _start(status: int, content_type: str) -> bytes:
    """Return the lines that all responses of a status and type share in one second (Date)."""
    global _second
    now = int(time.time())
    if now != _second:
        _starts.clear()
        _second = now
    start = _starts.get((status, content_type))
    if start is None:
        type_line = f"Content-Type: {content_type}\r\n" if status != 204 else ""
        date = formatdate(now, usegmt=True)
        start = _starts[status, content_type] = (
            f"HTTP/1.1 {status} {_REASONS.get(status, '')}\r\nServer: kubesim\r\n"
            f"X-Content-Type-Options: nosniff\r\n{type_line}Date: {date}\r\n"
        ).encode("latin-1")
    return start
