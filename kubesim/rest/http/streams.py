"""Streaming responses: watches and followed logs, all written by one thread.

A handler hands its socket over together with a `Source`. A component with new data for a source
(the store's watches) only signals that there is some. A client that does not read delays no other
client: the thread waits until its socket takes more or another source has data, whichever is first.
Its source bounds how many bytes wait for it. A client that takes nothing for a minute while its
backlog is full is cut off; it lists again and watches from there.

After the last byte of a stream that says itself where it ends (a chunked body), the connection goes
back to a thread of its own, for the next request: Go's clients keep it for that.

Source: k8s.io/apiserver/pkg/endpoints/handlers/watch.go; pkg/storage/cacher/cache_watcher.go (add:
a watcher that does not take its events is closed).
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Protocol, TypeVar

from kubesim.analytics import Analytics, NullAnalytics
from kubesim.rest.http.response import Resume
from kubesim.usercode import USER_ERRORS

BACKLOG_BYTES = 1024 * 1024  # that wait for one client
READ_SECONDS = 0.03  # between two looks for what clients have sent, if some send anything
IDLE_SECONDS = 0.5  # between two checks whether clients have closed their connections
STALLED_SECONDS = 60.0  # a client that accepts nothing for so long, with a full backlog, is cut off
PIECE_BYTES = 262_144
LARGEST_BATCH = 500  # events that are taken from a watch at once

E = TypeVar("E")


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
        moved: when it accepted bytes last, or the first bytes of `pending` came; wall time.
        fresh: the last pull returned bytes.
        reads: the source reads what the client sends.
        resume: takes the socket back after the last byte; None: it is closed then.
        complete: everything was sent.
    """

    connection: socket.socket
    source: Source
    pending: bytearray = field(default_factory=bytearray)
    moved: float = field(default_factory=monotonic)
    fresh: bool = False
    reads: bool = False
    resume: Resume | None = None
    complete: bool = False


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
        self._selecting = False  # the thread waits for sockets, and not for `_data_ready`
        self._wake_up, self._woken = socket.socketpair()
        for end in (self._wake_up, self._woken):
            end.setblocking(False)
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
        self._signal()
        if self._thread is not None:
            self._thread.join(2.0)
        for stream in self._streams[:]:
            self._drop(stream)
        self._wake_up.close()
        self._woken.close()

    def open(
        self,
        connection: socket.socket,
        head: bytes,
        make: Callable[[Callable[[], None]], Source],
        *,
        reads: bool = False,
        resume: Resume | None = None,
    ) -> None:
        """Take a socket over.

        Args:
            connection: non-blocking; it is closed here unless `resume` takes it back.
            head: status line and headers.
            make: returns the source; its argument is the function to call when there is new data.
            reads: the source reads the socket, and notices when the client has closed it.
            resume: takes the socket back when everything was sent; None: the connection ends then.
        """
        try:
            source = make(self._signal)
            stream = Stream(connection, source, bytearray(head), reads=reads, resume=resume)
        except BaseException:
            connection.close()  # no other code holds this socket any more
            raise
        with self._lock:
            closed = self._closed
            self._streams.append(stream)
        if closed:
            self._drop(stream)
        self._signal()

    def _signal(self) -> None:
        """Say that a source has new data; any thread may call it."""
        self._data_ready.set()
        if self._selecting:
            with contextlib.suppress(OSError):  # full: it wakes up anyway; closed: it has ended
                self._wake_up.send(b"x")

    # -- the writer thread -----------------------------------------------------------------------

    def _run(self) -> None:
        while not self._closed:
            with self._lock:
                streams = self._streams[:]
            full: list[Stream] = []
            fresh = reads = False
            for stream in streams:
                if not self._serve(stream):
                    self._drop(stream)
                    continue
                if stream.pending:
                    full.append(stream)
                fresh = fresh or stream.fresh
                reads = reads or stream.reads
            # A source signals new data only after a pull that returned none, so pull again before
            # waiting.
            if not fresh:
                seconds = READ_SECONDS if reads else IDLE_SECONDS
                if full:
                    self._wait_with(full, seconds)
                else:
                    self._data_ready.wait(seconds)
                self._data_ready.clear()

    def _wait_with(self, full: list[Stream], seconds: float) -> None:
        """Wait for new data, and meanwhile send what waits for clients whose sockets were full.

        Args:
            full: the streams of these clients.
            seconds: how long at most.
        """
        end = monotonic() + seconds
        self._selecting = True  # from now on a signal is a byte, too
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(self._woken, selectors.EVENT_READ)
                for stream in full:
                    selector.register(stream.connection, selectors.EVENT_WRITE, stream)
                while not self._data_ready.is_set() and (remaining := end - monotonic()) > 0:
                    for key, _ in selector.select(remaining):
                        if key.data is None:
                            return
                        selector.unregister(key.fileobj)
                        if not self._push(key.data):
                            return  # the next round drops it
                        if key.data.pending:
                            selector.register(key.fileobj, selectors.EVENT_WRITE, key.data)
                        else:
                            return  # its source may have held more back
        finally:
            self._selecting = False
            with contextlib.suppress(OSError):
                self._woken.recv(4096)

    def _serve(self, stream: Stream) -> bool:
        """Pull and send; False if the stream is done. A failing stream harms no other one."""
        try:
            stream.fresh = False
            if not stream.source.done:
                data = stream.source.pull(len(stream.pending))
                stream.fresh = bool(data)
                if data and not stream.pending:
                    stream.moved = monotonic()
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
                stream.moved = monotonic()
            elif not (stream.source.done or stream.reads) and _has_client_closed(stream):
                return False
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            if _is_stalled(stream):  # the socket is full; otherwise the client has not closed it
                return False
        except OSError:
            return False
        stream.complete = stream.source.done and not stream.pending
        return not stream.complete

    def _drop(self, stream: Stream) -> None:
        with self._lock:
            if stream in self._streams:
                self._streams.remove(stream)
        stream.source.close()
        if stream.complete and stream.resume is not None and not self._closed:
            stream.resume(stream.connection)
            return
        with contextlib.suppress(OSError):
            stream.connection.shutdown(socket.SHUT_RDWR)
        stream.connection.close()


def lines_within(
    data: bytearray, poll: Callable[[int], Sequence[E]], line: Callable[[E], bytes]
) -> None:
    """Serialize new events until there are none, or as many bytes as may wait for one client.

    Args:
        data: the lines are added to it.
        poll: returns about so many events, oldest first.
        line: serializes one event.

    Raises:
        Expired: of `poll`; what was added before remains.
    """
    batch = 4  # the first events tell how large they are
    while len(data) < BACKLOG_BYTES:
        events = poll(batch)
        before = len(data)
        for event in events:
            data += line(event)
        if len(events) < batch:
            return
        average = 1 + (len(data) - before) // len(events)
        batch = max(1, min(LARGEST_BATCH, 4 * batch, (BACKLOG_BYTES - len(data)) // average))


def _is_stalled(stream: Stream) -> bool:
    """Whether a client does not read: nothing more can be kept for it, or there is nothing more."""
    full = len(stream.pending) >= BACKLOG_BYTES or (stream.source.done and bool(stream.pending))
    return full and monotonic() - stream.moved > STALLED_SECONDS


def _has_client_closed(stream: Stream) -> bool:
    """Whether the client has closed; plain sockets are peeked at, so that no byte is consumed."""
    tls = isinstance(stream.connection, ssl.SSLSocket)
    data = stream.connection.recv(1, 0 if tls else socket.MSG_PEEK)
    if data and tls:
        stream.resume = None  # the next request lacks this byte
    return data == b""
