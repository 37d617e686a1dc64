"""Reads the requests of one connection, and writes its answers: every wait has an end.

The clock runs for the *whole* request and for the *whole* answer: a client that sends or takes one
byte a second does not reset it. Between two requests the kernel counts (SO_RCVTIMEO), because
Python's own time-outs cost a further system call for each read.

A client that asks again sends the same head again. What a head of plain bytes means is a pure
function of these bytes, so heads that were parsed, checked and routed before are kept in two small
tables, by request line and by header block; see `KnownHeads`.
"""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import struct
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from kubesim.rest.http.wire import (
    BODY_LIMIT,
    CHUNK_LINE_LIMIT,
    HEAD_LIMIT,
    Request,
    RequestRejected,
    body_length,
    check_start,
    chunk_length,
    parse_head,
)

REQUEST_SECONDS = 10.0  # for head and body together, from the first byte
ANSWER_SECONDS = 10.0  # for the rest of an answer that the kernel did not take at once
IDLE_SECONDS = 15.0  # between two requests
SEND_SECONDS = 5.0  # that the kernel waits for a client that does not read
LINGER_SECONDS = 1.0  # so that a refusal is read before the connection is reset
LINGER_BYTES = 4 * 1024 * 1024
READ_BYTES = 64 * 1024
KERNEL_COUNTS = os.name == "posix"
KNOWN_LINES = 16_384
KNOWN_BLOCKS = 256
KNOWN_BYTES = 1_024  # longer ones are parsed each time

Headers = dict[str, str]


class ConnectionClosed(Exception):
    """The client has closed the connection, or was silent for too long: nothing to answer."""


class KnownLine(NamedTuple):
    """What a request line means: ``GET /api/pods/ID HTTP/1.1``."""

    path: str
    segments: tuple[str, ...]
    query: str
    route: tuple[Callable[..., Any], tuple[str, ...]]


class KnownHeads:
    """Request lines and header blocks that were judged before, and found good.

    Only what can have no body and keeps the connection open is learnt, from requests that passed
    the parser, the access rules and the router. Any thread may use it, without a lock: entries are
    immutable, and a lost one is only parsed again.
    """

    def __init__(self) -> None:
        self._lines: dict[bytes, KnownLine] = {}
        self._blocks: dict[bytes, tuple[Headers, str]] = {}

    def find(self, data: bytes) -> Request | None:
        """The request that `data` is, all of it; None if it is not known."""
        cut = data.find(b"\r\n")
        line = self._lines.get(data[:cut])
        if line is None:
            return None
        block = self._blocks.get(data[cut:])
        if block is None:
            return None
        path, segments, query, route = line
        return Request("GET", path, segments, query, block[0], b"", True, block[1], route)

    def learn(self, head: bytes, request: Request) -> None:
        """Remember the head of a request that has been routed and allowed."""
        cut = head.find(b"\r\n")
        headers = request.headers
        plain = request.keep_alive and head.startswith(b"GET /") and head[:cut].endswith(b"/1.1")
        if not plain or len(head) > KNOWN_BYTES or request.route is None:
            return
        if "content-length" in headers or "expect" in headers or "upgrade" in headers:
            return
        found = KnownLine(request.path, request.segments, request.query, request.route)
        _keep(self._lines, head[:cut], found, KNOWN_LINES)
        _keep(self._blocks, head[cut:] + b"\r\n\r\n", (headers, request.origin), KNOWN_BLOCKS)


def _keep(table: dict[bytes, Any], key: bytes, value: Any, limit: int) -> None:
    if len(table) >= limit:
        table.clear()
    table[key] = value


class Connection:
    """One connection: requests in, answers out, in order.

    Attributes:
        busy: from the first byte of a request to the last byte of its answer.
        since: when it was opened, last got its answer, or began a request in pieces.
        served: it got an answer before.
        head: the bytes of the newest head that had to be parsed.
    """

    def __init__(self, connection: socket.socket, known: KnownHeads) -> None:
        self.connection = connection
        self.busy = False
        self.served = False
        self.since = time.monotonic()
        self.head = b""
        self._known = known
        self._buffer = b""
        self._patience = None if KERNEL_COUNTS else IDLE_SECONDS
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
        connection.settimeout(self._patience)
        if KERNEL_COUNTS:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _timeval(IDLE_SECONDS))
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _timeval(SEND_SECONDS))

    def next(self) -> Request:
        """The next request.

        Raises:
            RequestRejected: it is not plainly right; the answer says why.
            ConnectionClosed: there is none.
        """
        self.head = b""
        if not self._buffer:
            try:
                data = self.connection.recv(READ_BYTES)
            except OSError as error:
                raise ConnectionClosed from error
            if not data:
                raise ConnectionClosed
            self.busy = True
            known = self._known.find(data)
            if known is not None:
                return known
            self._buffer = data
        self.busy = True
        self.since = time.monotonic()
        return self._read(self.since + REQUEST_SECONDS)

    def send(self, data: bytes) -> None:
        """Write an answer, with one system call if the client reads.

        Raises:
            ConnectionClosed: the client does not take it in time.
            OSError: it went away.
        """
        sent = self.connection.send(data)
        if sent < len(data):
            self._send_rest(memoryview(data)[sent:])
        self.since = time.monotonic()
        self.served = True
        self.busy = False

    def linger(self) -> None:
        """Take what the client still sends, so that our answer is read before the reset."""
        self.connection.shutdown(socket.SHUT_WR)
        end, taken = time.monotonic() + LINGER_SECONDS, 0
        while taken < LINGER_BYTES and (left := end - time.monotonic()) > 0:
            self.connection.settimeout(left)
            data = self.connection.recv(READ_BYTES)
            if not data:
                return
            taken += len(data)

    def give_away(self) -> socket.socket:
        """The socket, for somebody else to use and close; the channel is done with it."""
        given = self.connection
        if isinstance(given, ssl.SSLSocket):
            self.connection = socket.socket()  # nothing that could be shut or closed by mistake
        else:
            given = socket.socket(fileno=given.detach())
        given.setblocking(False)
        return given

    def shut(self) -> None:
        """End the connection; the thread that waits for it wakes up, and closes it."""
        with contextlib.suppress(OSError):  # it has gone already
            self.connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Give the descriptor back."""
        self.shut()
        self.connection.close()

    # -- inside ----------------------------------------------------------------------------------

    def _read(self, deadline: float) -> Request:
        """A request that was not known, from what is there and what comes until the deadline."""
        head = self._read_head(deadline)
        request = parse_head(head)
        try:
            self._read_body(request, deadline)
        except RequestRejected as refusal:
            refusal.segments = request.segments
            raise
        self.connection.settimeout(self._patience)
        self.head = head
        return request

    def _read_body(self, request: Request, deadline: float) -> None:
        length = body_length(request)
        if length < 0:
            request.body = self._take_chunks(deadline)
        elif length:
            if "expect" in request.headers:
                self.connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            request.body = self._take(length, deadline)

    def _read_head(self, deadline: float) -> bytes:
        seen = 0  # so far there is no end of a head, and nothing wrong
        while True:
            if self._buffer[:1] in (b"\r", b"\n", b""):  # empty lines before a request are forgiven
                self._buffer, seen = self._buffer.lstrip(b"\r\n"), 0
            end = self._buffer.find(b"\r\n\r\n", max(0, seen - 3))
            if end >= 0:
                break
            check_start(self._buffer, seen)
            seen = len(self._buffer)
            self._receive(deadline)
        if end > HEAD_LIMIT:
            raise RequestRejected(431, f"the head is longer than {HEAD_LIMIT} bytes")
        head, self._buffer = self._buffer[:end], self._buffer[end + 4 :]
        return head

    def _take_chunks(self, deadline: float) -> bytes:
        """A body in chunks, as strictly as all else; trailers are refused."""
        body = bytearray()
        while size := chunk_length(self._take_line(deadline)):
            if len(body) + size > BODY_LIMIT:
                raise RequestRejected(413, f"the body is larger than {BODY_LIMIT} bytes")
            body += self._take(size, deadline)
            if self._take(2, deadline) != b"\r\n":
                raise RequestRejected(400, "a chunk must end with CR LF")
        if self._take_line(deadline):
            raise RequestRejected(400, "trailers are not taken")
        return bytes(body)

    def _take_line(self, deadline: float) -> bytes:
        while (end := self._buffer.find(b"\r\n")) < 0:
            if len(self._buffer) > CHUNK_LINE_LIMIT:
                raise RequestRejected(400, "the line before a chunk is too long")
            self._receive(deadline)
        line, self._buffer = self._buffer[:end], self._buffer[end + 2 :]
        return line

    def _take(self, length: int, deadline: float) -> bytes:
        while len(self._buffer) < length:
            self._receive(deadline)
        body, self._buffer = self._buffer[:length], self._buffer[length:]
        return body

    def _receive(self, deadline: float) -> None:
        left = deadline - time.monotonic()
        if left <= 0:
            raise RequestRejected(408, "the request took too long")
        try:
            self.connection.settimeout(left)
            data = self.connection.recv(READ_BYTES)
        except (TimeoutError, BlockingIOError):  # the second is the kernel's own time-out
            raise RequestRejected(408, "the request took too long") from None
        except OSError as error:
            raise ConnectionClosed from error
        if not data:
            if self._buffer:
                raise RequestRejected(400, "the request ended early")
            raise ConnectionClosed
        self._buffer += data

    def _send_rest(self, rest: memoryview) -> None:
        deadline = time.monotonic() + ANSWER_SECONDS
        while rest:
            left = deadline - time.monotonic()
            if left <= 0:
                raise ConnectionClosed
            self.connection.settimeout(left)
            rest = rest[self.connection.send(rest) :]
        self.connection.settimeout(self._patience)


def _timeval(seconds: float) -> bytes:
    return struct.pack("ll", int(seconds), int(seconds % 1 * 1e6))
