"""Streaming responses: watches and followed logs, all written by one thread.

A handler hands its socket over together with a `Source`. A component with new data for a source
(the store's watches) only signals that there is some. A client that does not read delays no other
client; its source bounds how many bytes wait for it.

Source: k8s.io/apiserver/pkg/endpoints/handlers/watch.go.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from kubesim.analytics import Analytics, NullAnalytics
from kubesim.usercode import USER_ERRORS

BACKLOG_BYTES = 1024 * 1024  # that wait for one client
READ_SECONDS = 0.03  # between two looks for what clients have sent, if some send anything
IDLE_SECONDS = 0.5  # between two checks whether clients have closed their connections
RETRY_SECONDS = 0.02  # while the socket of a client is full
CACHED_ENCODINGS = 2_000  # serialized events that all streams of one kind share
PIECE_BYTES = 262_144


class Source(Protocol):
    """Where the bytes of one stream come from.

    Attributes:
        done: no more bytes will come.
    """

    done: bool

    def pull(self, waiting: int) -> bytes:
        """Return new bytes, ready for the wire; b"" if there are none.

        Args:
            waiting: number of bytes that the client has not accepted yet.
        """

    def close(self) -> None:
        """Release resources: the client has gone, or everything was sent."""


@dataclass(eq=False)
class Stream:
    """The stream of one client.

    Attributes:
        connection: the client's socket, non-blocking.
        source: where its bytes come from.
        pending: bytes that the client has not accepted yet.
        fresh: the last pull returned bytes.
        reads: the source reads what the client sends.
    """

    connection: socket.socket
    source: Source
    pending: bytearray = field(default_factory=bytearray)
    fresh: bool = False
    reads: bool = False


class StreamWriter:
    """All streams of one server, and the thread that writes them.

    Args:
        analytics: where a stream that fails is logged.
        limit: maximal number of streams.
    """

    def __init__(self, analytics: Analytics | None = None, limit: int = 1_000) -> None:
        self.limit = limit
        self._analytics = analytics or NullAnalytics()
        self._lock = threading.Lock()
        self._streams: list[Stream] = []
        self._data_ready = threading.Event()
        self._closed = False
        self._thread: threading.Thread | None = None

    def __len__(self) -> int:
        return len(self._streams)

    def start(self) -> None:
        """Start the writer thread."""
        self._thread = threading.Thread(target=self._run, name="rest-streams", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End every stream and the writer thread."""
        self._closed = True
        self._data_ready.set()
        if self._thread is not None:
            self._thread.join(2.0)
        for stream in self._streams[:]:
            self._drop(stream)

    def open(
        self,
        connection: socket.socket,
        head: bytes,
        make: Callable[[Callable[[], None]], Source],
        *,
        reads: bool = False,
    ) -> None:
        """Take a socket over.

        Args:
            connection: non-blocking; it is closed here in any case.
            head: status line and headers.
            make: returns the source; its argument is the function to call when there is new data.
            reads: the source reads the socket, and notices when the client has closed it.
        """
        try:
            source = make(self._data_ready.set)
            stream = Stream(connection, source, bytearray(head), reads=reads)
        except BaseException:
            connection.close()  # no other code holds this socket any more
            raise
        with self._lock:
            closed = self._closed
            self._streams.append(stream)
        if closed:
            self._drop(stream)
        self._data_ready.set()

    # -- the writer thread -----------------------------------------------------------------------

    def _run(self) -> None:
        while not self._closed:
            with self._lock:
                streams = self._streams[:]
            full = fresh = reads = False
            for stream in streams:
                if not self._serve(stream):
                    self._drop(stream)
                    continue
                full = full or bool(stream.pending)
                fresh = fresh or stream.fresh
                reads = reads or stream.reads
            if full:
                time.sleep(RETRY_SECONDS)
            elif not fresh:
                # A source signals new data only after a pull that returned none, so pull again
                # before waiting.
                self._data_ready.wait(READ_SECONDS if reads else IDLE_SECONDS)
                self._data_ready.clear()

    def _serve(self, stream: Stream) -> bool:
        """Pull and send; False if the stream is done. A failing stream harms no other one."""
        try:
            stream.fresh = False
            if not stream.source.done:
                data = stream.source.pull(len(stream.pending))
                stream.fresh = bool(data)
                stream.pending += data
            return self._push(stream)
        except USER_ERRORS as error:  # the last line of defence: other streams go on
            message = f"watch of {stream.source}: {type(error).__name__}: {error}"
            self._analytics.log("REST", "StreamFailed", message[:300], "error")
            return False

    def _push(self, stream: Stream) -> bool:
        """Send what the socket accepts; False if the stream is done."""
        try:
            if stream.pending:
                sent = stream.connection.send(memoryview(bytes(stream.pending[:PIECE_BYTES])))
                del stream.pending[:sent]
            elif not stream.reads and _is_closed_by_client(stream.connection):
                return False
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass  # the socket is full, or the client has not closed it
        except OSError:
            return False
        return bool(stream.pending) or not stream.source.done

    def _drop(self, stream: Stream) -> None:
        with self._lock:
            if stream in self._streams:
                self._streams.remove(stream)
        stream.source.close()
        with contextlib.suppress(OSError):
            stream.connection.shutdown(socket.SHUT_RDWR)
        stream.connection.close()


def _is_closed_by_client(connection: socket.socket) -> bool:
    """Whether the client has closed; plain sockets are peeked at, so that no byte is consumed."""
    flags = 0 if isinstance(connection, ssl.SSLSocket) else socket.MSG_PEEK
    return connection.recv(1, flags) == b""
