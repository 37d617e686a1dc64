"""`kubectl exec`: the output of a command in a simulated container, over a websocket.

The protocol is the real one: binary frames whose first byte is a channel (1 stdout, 2 stderr, 3
error: the result as a Status). SPDY, which kubectl used before 1.30, is not supported. Each piece
of output is sent at its simulated second.

Source: k8s.io/apiserver/pkg/util/wsstream, k8s.io/apimachinery/pkg/util/remotecommand; RFC 6455.
"""

from __future__ import annotations

import hashlib
import json
import time
from base64 import b64encode
from collections import deque
from math import inf

from kubesim.apiserver.verbs.subresources import CommandResult, OutputChunk
from kubesim.clock.base import Clock
from kubesim.errors import GenericStatusError
from kubesim.objects.frozen import Document
from kubesim.rest.http.wire import Request

PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # of RFC 6455
ERROR = 3  # channel of the exit status
LINGER_SECONDS = 1.0  # for the client to close the connection
FRAME_BYTES = 32_768


def handshake(request: Request) -> bytes:
    """Return the head of the response that opens a websocket.

    Raises:
        GenericStatusError: 400, the request offers no supported subprotocol.
    """
    offered = [p.strip() for p in request.headers.get("sec-websocket-protocol", "").split(",")]
    chosen = next((protocol for protocol in PROTOCOLS if protocol in offered), None)
    key = request.headers.get("sec-websocket-key", "")
    if chosen is None or not key:
        raise GenericStatusError(
            400, f"exec needs a websocket with one of these subprotocols: {', '.join(PROTOCOLS)}"
        )
    digest = b64encode(hashlib.sha1(f"{key}{MAGIC}".encode(), usedforsecurity=False).digest())
    return (
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {digest.decode()}\r\nSec-WebSocket-Protocol: {chosen}\r\n\r\n"
    ).encode()


def frames(chunk: OutputChunk) -> bytes:
    """Return the websocket frames of a piece of output."""
    raw = chunk.text.encode()
    return b"".join(
        _frame(bytes([chunk.stream]) + raw[at : at + FRAME_BYTES])
        for at in range(0, len(raw), FRAME_BYTES)
    )


def closing_frames(code: int) -> bytes:
    """Return the frames of an exit status and of the end of the connection."""
    status = _frame(bytes([ERROR]) + json.dumps(exit_status(code)).encode())
    return status + _frame(b"\x03\xe8", opcode=8)  # 1000: normal closure


def exit_status(code: int) -> Document:
    """Return the exit code of a command as a Status."""
    if code == 0:
        return {"metadata": {}, "status": "Success"}
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"command terminated with non-zero exit code: exit status {code}",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }


def _frame(payload: bytes, opcode: int = 2) -> bytes:
    size = len(payload)
    if size < 126:
        head = bytes([0x80 | opcode, size])
    else:
        head = bytes([0x80 | opcode, 126]) + size.to_bytes(2, "big")
    return head + payload


class CommandSource:
    """The stream of a command: its output in its own time, then its exit status.

    Args:
        result: of the command.
        clock: on a virtual one, which nobody moves during a request, all is sent at once.
    """

    def __init__(self, result: CommandResult, clock: Clock) -> None:
        self.done = False
        self._clock = clock
        self._began = -inf if clock.virtual else clock.now()
        self._chunks = deque(result.chunks)
        self._end: tuple[float, int] | None = (result.seconds, result.code)
        self._until = 0.0

    def pull(self, waiting: int) -> bytes:
        """Return the output that is due; end the stream LINGER_SECONDS after the exit status."""
        elapsed = self._clock.now() - self._began
        data = b""
        while self._chunks and self._chunks[0].second <= elapsed:
            data += frames(self._chunks.popleft())
        if self._end is not None and not self._chunks and self._end[0] <= elapsed:
            data += closing_frames(self._end[1])
            self._end = None
        elif self._end is None and not waiting:
            self._until = self._until or time.monotonic() + LINGER_SECONDS
            self.done = time.monotonic() > self._until
        return data

    def close(self) -> None:
        """Do nothing: there is nothing to release."""
