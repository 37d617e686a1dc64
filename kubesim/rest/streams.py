"""Watch streams over HTTP: every change, as it happens.

One thread writes all streams. A handler hands its socket over; writers of the store only say that
there is news. A client that does not read holds nobody up: what it has not taken yet is bounded,
and beyond that its stream ends with an event that says so. Each change is encoded once, however
many clients see it.

Formats: server-sent events (``event:``, ``id:``, ``data:``), or one JSON object a line.

Source: k8s.io/apiserver/pkg/endpoints/handlers/watch.go; text/event-stream of the HTML standard.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field

from kubesim.analytics import Analytics, NullAnalytics
from kubesim.apiserver import KubeAPI, ResourceEvent, ResourceWatch
from kubesim.errors import Expired

BACKLOG_BYTES = 1024 * 1024  # not yet taken by a client
HEARTBEAT_SECONDS = 15.0
IDLE_SECONDS = 0.5  # how often the thread looks for clients that went away
RETRY_SECONDS = 0.02  # while a client's socket is full
KEPT_ENCODINGS = 2_000
_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


@dataclass(eq=False)
class Stream:
    """One client.

    Attributes:
        connection: its socket, not blocking.
        watch: what it sees.
        sse: server-sent events (else JSON lines).
        pending: bytes that it has not taken yet.
        spoke: when something was last sent.
        ended: no more events; close when `pending` is out.
    """

    connection: socket.socket
    watch: ResourceWatch
    sse: bool
    pending: bytearray = field(default_factory=bytearray)
    spoke: float = 0.0
    ended: bool = False


class Streams:
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
        self._encodings: OrderedDict[tuple[int, str, bool], bytes] = OrderedDict()

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
        self,
        api: KubeAPI,
        kind: str,
        connection: socket.socket,
        head: bytes,
        *,
        since: str,
        sse: bool,
    ) -> None:
        """Take over a socket; without `since` the present objects come first, as ADDED."""
        try:
            stream = self._begin(api, kind, connection, head, since=since, sse=sse)
        except BaseException:
            connection.close()  # nobody else has it any more
            raise
        with self._lock:
            closed = self._closed
            self._streams.append(stream)
        if closed:
            self._drop(stream)
        self._news.set()

    def _begin(
        self,
        api: KubeAPI,
        kind: str,
        connection: socket.socket,
        head: bytes,
        *,
        since: str,
        sse: bool,
    ) -> Stream:
        objects: list[ResourceEvent] = []
        start: str | int = since
        if not since:
            listed, start = api.snapshot(kind)
            objects = [
                ResourceEvent("ADDED", obj, None, int(obj["metadata"]["resourceVersion"]))
                for obj in listed
            ]
        watch = api.watch(kind, resource_version=start, on_ready=self._news.set)
        stream = Stream(connection, watch, sse, bytearray(head))
        for event in objects:
            stream.pending += self._bytes(event, sse)
        return stream

    # -- the thread ------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._closed:
            with self._lock:
                streams = self._streams[:]
            full = False
            for stream in streams:
                if not self._serve(stream):
                    self._drop(stream)
                elif stream.pending:
                    full = True
            if full:
                time.sleep(RETRY_SECONDS)
            else:
                self._news.wait(IDLE_SECONDS)
                self._news.clear()

    def _serve(self, stream: Stream) -> bool:
        """Take news and send them; False if the stream is done. One that fails harms no other."""
        try:
            self._pull(stream)
            return self._push(stream)
        except Exception as error:  # noqa: BLE001 - the last line: the other streams go on
            said = f"watch of {stream.watch}: {type(error).__name__}: {error}"
            self._analytics.log("REST", "StreamFailed", said[:300], "error")
            return False

    def _pull(self, stream: Stream) -> None:
        """Take the news of one stream."""
        if stream.ended:
            return
        try:
            for event in stream.watch.poll():
                stream.pending += self._bytes(event, stream.sse)
        except Expired as error:
            self._end(stream, "EXPIRED", str(error))
        if len(stream.pending) > BACKLOG_BYTES:
            stream.pending.clear()
            self._end(stream, "EXPIRED", "the client reads too slowly: list again, then watch")
        now = time.monotonic()
        if now - stream.spoke > HEARTBEAT_SECONDS and not stream.pending:
            beat = {"type": "BOOKMARK", "revision": stream.watch.resource_version}
            stream.pending += b": heartbeat\n\n" if stream.sse else _encode(beat).encode() + b"\n"

    def _push(self, stream: Stream) -> bool:
        """Send what the socket takes; False if the stream is done."""
        try:
            if stream.pending:
                sent = stream.connection.send(memoryview(bytes(stream.pending[:262_144])))
                del stream.pending[:sent]
                stream.spoke = time.monotonic()
            elif stream.connection.recv(1, socket.MSG_PEEK) == b"":
                return False  # the client hung up
        except BlockingIOError:
            return True
        except OSError:
            return False
        return bool(stream.pending) or not stream.ended

    def _end(self, stream: Stream, type: str, message: str) -> None:
        body = _encode({"type": type, "message": message})
        text = f"event: {type}\ndata: {body}\n\n" if stream.sse else f"{body}\n"
        stream.pending += text.encode()
        stream.ended = True

    def _drop(self, stream: Stream) -> None:
        with self._lock:
            if stream in self._streams:
                self._streams.remove(stream)
        stream.watch.close()
        with contextlib.suppress(OSError):
            stream.connection.shutdown(socket.SHUT_RDWR)
        stream.connection.close()

    def _bytes(self, event: ResourceEvent, sse: bool) -> bytes:
        """An event as it goes over the wire; encoded once for all clients of a format."""
        key = (event.revision, event.object["metadata"].get("uid", ""), sse)
        known = self._encodings.get(key)
        if known is not None and event.type != "ADDED":
            return known
        body = _encode({"type": event.type, "revision": event.revision, "object": event.object})
        if sse:
            text = f"event: {event.type}\nid: {event.revision}\ndata: {body}\n\n"
        else:
            text = f"{body}\n"
        found = text.encode()
        if event.type != "ADDED":
            self._encodings[key] = found
            while len(self._encodings) > KEPT_ENCODINGS:
                self._encodings.popitem(last=False)
        return found
