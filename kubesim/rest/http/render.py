"""An answer as bytes: status line, headers and body in one piece.

A reply in two writes costs 40 ms where Nagle's algorithm meets a delayed acknowledgement, and a
second system call everywhere.
"""

from __future__ import annotations

import time
from email.utils import formatdate
from http import HTTPStatus

from kubesim.rest.http.router import NO_HEADERS, Response

_REASONS = {status.value: status.phrase for status in HTTPStatus}
_starts: dict[tuple[int, str], bytes] = {}  # of this second, up to the length of the body
_second = 0


def render(response: Response, *, close: bool, head_only: bool) -> bytes:
    """The whole answer."""
    body = response.body
    if response.headers is NO_HEADERS and not close and not head_only and response.status != 204:
        start = _start(response.status, response.content_type)
        return b"%bContent-Length: %d\r\n\r\n%b" % (start, len(body), body)
    head = render_head(response, length=len(body), close=close)
    return head if head_only or response.status == 204 else head + body


def render_head(response: Response, *, length: int | None, close: bool) -> bytes:
    """Status line and headers; without a length the body ends with the connection."""
    text = ""
    if length is not None and response.status != 204:
        text += f"Content-Length: {length}\r\n"
    for name, value in response.headers.items():
        text += f"{name}: {value}\r\n"
    if close:
        text += "Connection: close\r\n"
    return _start(response.status, response.content_type) + f"{text}\r\n".encode("latin-1")


def _start(status: int, content_type: str) -> bytes:
    """The lines that are the same for all answers of a kind; made once a second, for the date."""
    global _second
    now = int(time.time())
    if now != _second:
        _starts.clear()
        _second = now
    found = _starts.get((status, content_type))
    if found is None:
        kind = f"Content-Type: {content_type}\r\n" if status != 204 else ""
        found = _starts[status, content_type] = (
            f"HTTP/1.1 {status} {_REASONS.get(status, '')}\r\nServer: kubesim\r\n"
            f"X-Content-Type-Options: nosniff\r\n{kind}Date: {formatdate(now, usegmt=True)}\r\n"
        ).encode("latin-1")
    return found
