"""A response: what a handler returns."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Mapping

_encode = json.JSONEncoder(separators=(", ", ": "), ensure_ascii=False, allow_nan=False).encode
NO_HEADERS: Mapping[str, str] = {}
HandOver = Callable[[socket.socket, bytes], None]
"""hand_over(socket, head): take the socket over, send the head, then whatever comes."""


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
