"""Websockets: the handshake, and frames in both directions.

Kubernetes sends streams of a container over one websocket: the first byte of a frame names the
channel (0 stdin, 1 stdout, 2 stderr, 3 error, 4 resize; in v5 also 255, which closes a channel).

Source: RFC 6455; k8s.io/apimachinery/pkg/util/httpstream/wsstream (conn.go),
k8s.io/apimachinery/pkg/util/remotecommand (constants.go).
"""

from __future__ import annotations

import hashlib
import socket
import ssl
from base64 import b64encode
from typing import NamedTuple

from kubesim.errors import GenericStatusError
from kubesim.rest.http.wire import Request

V5, V4 = "v5.channel.k8s.io", "v4.channel.k8s.io"
PROTOCOLS = (V5, V4)
MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # of RFC 6455
STDIN, STDOUT, STDERR, ERROR, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255
CONTINUED, TEXT, BINARY, GOODBYE, PING, PONG = 0, 1, 2, 8, 9, 10
FRAME_BYTES = 32_768
MOST_BYTES = 1024 * 1024  # of one message, and of what was received but not yet parsed
READ_BYTES = 65_536


class Message(NamedTuple):
    """A message of the client: its channel, and the bytes behind the first one."""

    channel: int
    data: bytes


def is_websocket(request: Request) -> bool:
    """Return whether a request asks for a websocket."""
    return request.headers.get("upgrade", "").lower() == "websocket" and request.method == "GET"


def protocol_of(request: Request) -> str:
    """Return the subprotocol that both sides speak; "" if there is none."""
    offered = [p.strip() for p in request.headers.get("sec-websocket-protocol", "").split(",")]
    return next((protocol for protocol in PROTOCOLS if protocol in offered), "")


def handshake(request: Request) -> bytes:
    """Return the head of the response that opens a websocket.

    Raises:
        GenericStatusError: 400, the request offers no supported subprotocol.
    """
    chosen, key = protocol_of(request), request.headers.get("sec-websocket-key", "")
    if not chosen or not key:
        raise GenericStatusError(
            400, f"exec needs a websocket with one of these subprotocols: {', '.join(PROTOCOLS)}"
        )
    digest = b64encode(hashlib.sha1(f"{key}{MAGIC}".encode(), usedforsecurity=False).digest())
    return (
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {digest.decode()}\r\nSec-WebSocket-Protocol: {chosen}\r\n\r\n"
    ).encode()


def frame(payload: bytes, opcode: int = BINARY) -> bytes:
    """Return one frame of the server."""
    size = len(payload)
    if size < 126:
        head = bytes([0x80 | opcode, size])
    else:
        head = bytes([0x80 | opcode, 126]) + size.to_bytes(2, "big")
    return head + payload


def channel_frames(channel: int, data: bytes) -> bytes:
    """Return the frames of data on a channel; b"" for none."""
    return b"".join(
        frame(bytes([channel]) + data[at : at + FRAME_BYTES])
        for at in range(0, len(data), FRAME_BYTES)
    )


def goodbye() -> bytes:
    """Return the frame that ends a connection normally."""
    return frame(b"\x03\xe8", GOODBYE)  # 1000


class FrameReader:
    """What the client sends over a websocket.

    Args:
        connection: non-blocking.

    Attributes:
        closed: the client has gone, said goodbye, or broke the protocol.
    """

    def __init__(self, connection: socket.socket) -> None:
        self.closed = False
        self._connection = connection
        self._buffer = b""
        self._parts = b""  # of a message that comes in several frames
        self._replies = b""

    def messages(self) -> list[Message]:
        """Return the messages that have arrived; never waits."""
        self._receive()
        result: list[Message] = []
        while (parsed := self._next_frame()) is not None:
            final, opcode, payload = parsed
            if opcode == GOODBYE:
                self.closed = True
                break
            if opcode == PING:
                self._replies += frame(payload[:125], PONG)
            elif opcode in (CONTINUED, TEXT, BINARY):
                self._parts += payload
                if final and self._parts:
                    result.append(Message(self._parts[0], self._parts[1:]))
                if final:
                    self._parts = b""
        if len(self._parts) > MOST_BYTES:
            self.closed = True
        return result

    def replies(self) -> bytes:
        """Return the frames that answer pings, once."""
        replies, self._replies = self._replies, b""
        return replies

    def _receive(self) -> None:
        try:
            while not self.closed and len(self._buffer) <= MOST_BYTES:
                data = self._connection.recv(READ_BYTES)
                self._buffer += data
                self.closed = not data
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
        except OSError:
            self.closed = True

    def _next_frame(self) -> tuple[bool, int, bytes] | None:
        """Return (final, opcode, payload) of the next whole frame, or None."""
        data = self._buffer
        if len(data) < 2:
            return None
        size, start = data[1] & 0x7F, 2
        if size >= 126:
            start = 4 if size == 126 else 10
            size = int.from_bytes(data[2:start], "big") if len(data) >= start else 0
        masked = data[1] & 0x80
        if size > MOST_BYTES or not masked:  # a client always masks
            self.closed = True
            return None
        end = start + 4 + size
        if len(data) < end:
            return None
        mask, payload = data[start : start + 4], data[start + 4 : end]
        self._buffer = data[end:]
        key = int.from_bytes(mask * (size // 4 + 1), "big") >> (8 * (4 - size % 4))
        plain = (int.from_bytes(payload, "big") ^ key).to_bytes(size, "big")
        return bool(data[0] & 0x80), data[0] & 0x0F, plain
