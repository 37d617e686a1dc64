"""Streaming responses: watches and followed logs, written by one thread.

One thread writes all streams. A handler hands its socket over together with a `Source`; writers of
the store only say that there is news. A client that does not read holds nobody up: what it has not
taken yet is bounded by the source.

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

BACKLOG_BYTES = 1024 * 1024  # not yet taken by a client
IDLE_SECONDS = 0.5  # how often the thread looks for clients that went away
RETRY_SECONDS = 0.02  # while a client's socket is full
PIECE_BYTES = 262_144


class Source(Protocol):
    """Where the bytes of one stream come from.

    Attributes:
        done: nothing more will come.
    """

    done: bool

    def pull(self, waiting: int) -> bytes:
        """What is new, ready for the wire; b"" if nothing is.

        Args:
            waiting: bytes that the client has not taken yet.
        """

    def close(self) -> None:
        """The client has gone, or everything was sent."""


@dataclass(eq=False)
class Stream:
    """One client.

    Attributes:
        connection: its socket, not blocking.
        source: what it gets.
        pending: bytes that it has not taken yet.
        fresh: the last look at its source found news.
    """

    connection: socket.socket
    source: Source
    pending: bytearray = field(default_factory=bytearray)
    fresh: bool = False


class StreamWriter:
    """All streams of one server, and the thread that writes them.

    Args:
        analytics: where a stream that fails is logged.
        limit: so many at a time.
    """

    def __init__(self, analytics: Analytics | None = None, limit: int = 1_000) -> None:
        self.limit = limit
        self._analytics = analytics or NullAnalytics()
        self._lock = threading.Lock()
        self._streams: list[Stream] = []
        self._news = threading.Event()
        self._closed = False
        self._thread: threading.Thread | None = None

    def __len__(self) -> int:
        return len(self._streams)

    def start(self) -> None:
        """Start the writer thread."""
        self._thread = threading.Thread(target=self._run, name="rest-streams", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End every stream and the thread."""
        self._closed = True
        self._news.set()
        if self._thread is not None:
            self._thread.join(2.0)
        for stream in self._streams[:]:
            self._drop(stream)

    def open(
        self, connection: socket.socket, head: bytes, make: Callable[[Callable[[], None]], Source]
    ) -> None:
        """Take over a socket.

        Args:
            connection: not blocking; closed here, whatever happens.
            head: status line and headers.
            make: makes the source; it is given what to call when there is news.
        """
        try:
            stream = Stream(connection, make(self._news.set), bytearray(head))
        except BaseException:
            connection.close()  # nobody else has it any more
            raise
        with self._lock:
            closed = self._closed
            self._streams.append(stream)
        if closed:
            self._drop(stream)
        self._news.set()

    # -- the thread ------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._closed:
            with self._lock:
                streams = self._streams[:]
            full = fresh = False
            for stream in streams:
                if not self._serve(stream):
                    self._drop(stream)
                    continue
                full = full or bool(stream.pending)
                fresh = fresh or stream.fresh
            if full:
                time.sleep(RETRY_SECONDS)
            elif not fresh:
                # A source that had news calls only after a look that found none: look again first.
                self._news.wait(IDLE_SECONDS)
                self._news.clear()

    def _serve(self, stream: Stream) -> bool:
        """Take news and send them; False if the stream is done. One that fails harms no other."""
        try:
            stream.fresh = False
            if not stream.source.done:
                found = stream.source.pull(len(stream.pending))
                stream.fresh = bool(found)
                stream.pending += found
            return self._push(stream)
        except Exception as error:  # noqa: BLE001 - the last line: the other streams go on
            said = f"watch of {stream.source}: {type(error).__name__}: {error}"
            self._analytics.log("REST", "StreamFailed", said[:300], "error")
            return False

    def _push(self, stream: Stream) -> bool:
        """Send what the socket takes; False if the stream is done."""
        try:
            if stream.pending:
                sent = stream.connection.send(memoryview(bytes(stream.pending[:PIECE_BYTES])))
                del stream.pending[:sent]
            elif _hung_up(stream.connection):
                return False
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass  # it does not take any more, or has not hung up
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


def _hung_up(connection: socket.socket) -> bool:
    """Whether the client has closed; looks without taking anything where that can be done."""
    flags = 0 if isinstance(connection, ssl.SSLSocket) else socket.MSG_PEEK
    return connection.recv(1, flags) == b""
