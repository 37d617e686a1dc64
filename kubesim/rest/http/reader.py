"""Read the requests of one connection and write the responses; every wait has a deadline.

A deadline covers the *whole* request or the *whole* response: a client that sends or reads one byte
a second does not extend it. Between two requests the kernel's time-out (SO_RCVTIMEO) applies,
because Python's own time-outs cost one more system call per read.

Clients send the same heads again and again. The meaning of a head is a pure function of its bytes,
so the results of parsing, checking and routing are cached by request line and by header block; see
`HeadCache`.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import ssl
import struct
import time
from collections.abc import Iterable
from typing import NamedTuple, TypeVar

from kubesim.rest.http.wire import (
    BODY_LIMIT,
    CHUNK_LINE_LIMIT,
    HEAD_LIMIT,
    TOO_LARGE,
    Handler,
    Request,
    RequestRejected,
    body_length,
    check_start,
    chunk_length,
    parse_head,
)

REQUEST_SECONDS = 10.0  # for head and body together, from the first byte
ANSWER_SECONDS = 10.0  # for the rest of a response that the kernel did not accept at once
IDLE_SECONDS = 15.0  # between two requests
SEND_SECONDS = 5.0  # the kernel's time-out for a client that does not read
LINGER_SECONDS = 1.0  # so that a response is read before the connection is reset
LINGER_BYTES = 4 * 1024 * 1024
READ_BYTES = 64 * 1024
HAS_KERNEL_TIMEOUTS = os.name == "posix"
CACHED_LINES = 16_384
CACHED_BLOCKS = 256
CACHED_BYTES = 1_024  # longer heads are parsed each time

Headers = dict[str, str]
Value = TypeVar("Value")


class ConnectionClosed(Exception):
    """The client has closed the connection or was silent for too long: there is no request."""


class ParsedRequestLine(NamedTuple):
    """The meaning of a request line such as ``GET /api/pods/ID HTTP/1.1``."""

    path: str
    segments: tuple[str, ...]
    query: str
    route: tuple[Handler, tuple[str, ...]]


class HeadCache:
    """Request lines and header blocks that were parsed, checked and routed before.

    It holds only requests without a body that keep the connection open, and that passed the parser,
    the access rules and the router. Any thread may use it without a lock: entries are immutable,
    and a lost entry is only parsed again.
    """

    def __init__(self) -> None:
        self._lines: dict[bytes, ParsedRequestLine] = {}
        self._blocks: dict[bytes, tuple[Headers, str]] = {}

    def find(self, data: bytes) -> Request | None:
        """Return the request if `data` is exactly one cached head; None otherwise."""
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
        """Remember the head of a request that was routed and allowed."""
        cut = head.find(b"\r\n")
        headers = request.headers
        plain = request.keep_alive and head.startswith(b"GET /") and head[:cut].endswith(b"/1.1")
        if not plain or len(head) > CACHED_BYTES or request.route is None:
            return
        if "content-length" in headers or "expect" in headers or "upgrade" in headers:
            return
        line = ParsedRequestLine(request.path, request.segments, request.query, request.route)
        _put(self._lines, head[:cut], line, CACHED_LINES)
        _put(self._blocks, head[cut:] + b"\r\n\r\n", (headers, request.origin), CACHED_BLOCKS)


def _put(table: dict[bytes, Value], key: bytes, value: Value, limit: int) -> None:
    """Add an entry; a full table is emptied first."""
    if len(table) >= limit:
        table.clear()
    table[key] = value


class Connection:
    """One connection: requests in, responses out, in order.

    Args:
        connection: the accepted socket.
        heads: the cache of heads, shared by all connections of a server.
        received: bytes that were read from the socket before; None: it is new. Otherwise a response
            was sent on it, and the client may send its next request.

    Attributes:
        busy: a request is in progress, from its first byte to the last byte of its response.
        since: wall time (monotonic seconds) of the accept, of the last response, or of the first
            byte of a request that is read in pieces.
        served: a response was sent.
        stalled: a request is in progress, and its client owes the next bytes.
        unread: the client does not read the response.
        head: the bytes of the newest head that was parsed; b"" if it was cached.
    """

    def __init__(
        self, connection: socket.socket, heads: HeadCache, received: bytes | None = None
    ) -> None:
        self.connection = connection
        self.busy = False
        self.served = received is not None
        self.stalled = False
        self.unread = False
        self.since = time.monotonic()
        self.head = b""
        self._heads = heads
        self._buffer = received or b""
        # The kernel's time-outs do not end a read of TLS: Python waits again for the rest of it.
        has_kernel_timeouts = HAS_KERNEL_TIMEOUTS and not isinstance(connection, ssl.SSLSocket)
        self._idle_timeout = None if has_kernel_timeouts else IDLE_SECONDS
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
        connection.settimeout(self._idle_timeout)
        if HAS_KERNEL_TIMEOUTS:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _timeval(IDLE_SECONDS))
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _timeval(SEND_SECONDS))

    def next(self) -> Request:
        """Read the next request.

        Raises:
            RequestRejected: the request is not well-formed.
            ConnectionClosed: there is no further request.
        """
        self.head = b""
        if not self._buffer:
            if not (self.served or isinstance(self.connection, ssl.SSLSocket)):
                self._await_first()
            try:
                data = self.connection.recv(READ_BYTES)
            except OSError as error:
                raise ConnectionClosed from error
            if not data:
                raise ConnectionClosed
            self.busy = True
            cached = self._heads.find(data)
            if cached is not None:
                return cached
            self._buffer = data
        self.busy = True
        self.since = time.monotonic()
        return self._read(self.since + REQUEST_SECONDS)

    def _await_first(self) -> None:
        """Wait for the first bytes, and say that a request is in progress before they are read.

        A busy interpreter may need long to go on after `recv`, when the bytes are no longer in the
        socket: a full server would take the connection for a silent one.
        """
        if not waiting_input([self.connection], IDLE_SECONDS):
            raise ConnectionClosed
        self.busy = True

    def send(self, data: bytes) -> None:
        """Send a response, with one system call if the client reads.

        Raises:
            ConnectionClosed: the client does not read in time.
            OSError: the client has closed the connection.
        """
        sent = self.connection.send(data)
        if sent < len(data):
            self._send_rest(memoryview(data)[sent:])
        self.since = time.monotonic()
        self.served = True
        self.busy = False

    def linger(self) -> None:
        """Read what the client still sends, so that it reads the response before the reset."""
        self.connection.shutdown(socket.SHUT_WR)
        end, received = time.monotonic() + LINGER_SECONDS, 0
        while received < LINGER_BYTES and (remaining := end - time.monotonic()) > 0:
            self.connection.settimeout(remaining)
            data = self.connection.recv(READ_BYTES)
            if not data:
                return
            received += len(data)

    @property
    def received(self) -> bytes:
        """The bytes that were read behind the newest request."""
        return self._buffer

    def detach_socket(self) -> socket.socket:
        """Return the socket, non-blocking, for the caller to use and close."""
        detached = self.connection
        if isinstance(detached, ssl.SSLSocket):
            self.connection = socket.socket()  # a stand-in, which shut() and close() may close
        else:
            detached = socket.socket(fileno=detached.detach())
        detached.setblocking(False)
        return detached

    def shut(self) -> None:
        """Shut the connection down; the thread that reads it wakes up and closes it."""
        with contextlib.suppress(OSError):  # already closed
            self.connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Shut down and close the socket."""
        self.shut()
        self.connection.close()

    # -- inside ----------------------------------------------------------------------------------

    def _read(self, deadline: float) -> Request:
        """Read a request that is not cached, from the buffer and the socket."""
        head = self._read_head(deadline)
        request = parse_head(head)
        try:
            self._read_body(request, deadline)
        except RequestRejected as refusal:
            refusal.locate(request.segments)
            raise
        self.connection.settimeout(self._idle_timeout)
        self.head = head
        return request

    def _read_body(self, request: Request, deadline: float) -> None:
        length = body_length(request)
        if length < 0:
            request.attach_body(self._take_chunks(deadline))
        elif length:
            if "expect" in request.headers:
                self.connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            request.attach_body(self._take(length, deadline))

    def _read_head(self, deadline: float) -> bytes:
        checked = 0  # bytes without the end of a head, and without an error
        while True:
            if self._buffer[:1] in (b"\r", b"\n", b""):  # skip empty lines
                self._buffer, checked = self._buffer.lstrip(b"\r\n"), 0
            end = self._buffer.find(b"\r\n\r\n", max(0, checked - 3))
            if end >= 0:
                break
            check_start(self._buffer, checked)
            checked = len(self._buffer)
            self._receive(deadline)
        if end > HEAD_LIMIT:
            check_start(self._buffer)  # it came with the piece that made it too long
        head, self._buffer = self._buffer[:end], self._buffer[end + 4 :]
        return head

    def _take_chunks(self, deadline: float) -> bytes:
        """Read a chunked body; trailers are rejected."""
        body = bytearray()
        while size := chunk_length(self._take_line(deadline)):
            if len(body) + size > BODY_LIMIT:
                raise RequestRejected(413, TOO_LARGE)
            body += self._take(size, deadline)
            if self._take(2, deadline) != b"\r\n":
                raise RequestRejected(400, "a chunk must end with CR LF")
        if self._take_line(deadline):
            raise RequestRejected(400, "trailers are not supported")
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
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            raise RequestRejected(408, "the request took too long")
        self.stalled = True
        try:
            self.connection.settimeout(remaining)
            data = self.connection.recv(READ_BYTES)
        except (TimeoutError, BlockingIOError):  # the second is the kernel's own time-out
            raise RequestRejected(408, "the request took too long") from None
        except OSError as error:
            raise ConnectionClosed from error
        finally:
            self.stalled = False
        if not data:
            if self._buffer:
                raise RequestRejected(400, "the request ended early")
            raise ConnectionClosed
        self._buffer += data

    def _send_rest(self, rest: memoryview) -> None:
        deadline = time.monotonic() + ANSWER_SECONDS
        self.unread = True
        while rest:
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise ConnectionClosed
            self.connection.settimeout(remaining)
            rest = rest[self.connection.send(rest) :]
        self.unread = False
        self.connection.settimeout(self._idle_timeout)


def waiting_input(sockets: Iterable[socket.socket], seconds: float = 0.0) -> set[int]:
    """Return the descriptors of the sockets that have bytes to read, or an end, after a wait.

    Args:
        sockets: those that are closed meanwhile are left out.
        seconds: how long to wait for the first.
    """
    descriptors = [number for each in sockets if (number := each.fileno()) >= 0]
    if not hasattr(select, "poll"):
        return set(select.select(descriptors, (), (), seconds)[0])
    poll = select.poll()
    for number in descriptors:
        poll.register(number, select.POLLIN)
    return {number for number, _ in poll.poll(int(seconds * 1000))}


def _timeval(seconds: float) -> bytes:
    return struct.pack("ll", int(seconds), int(seconds % 1 * 1e6))
