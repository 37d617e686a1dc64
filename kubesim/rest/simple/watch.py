"""GET /api/watch: every change of a kind, in the simulator's own stream formats.

Formats: server-sent events (``event:``, ``id:``, ``data:``), or one JSON object per line. A change
is serialized once for all clients. The stream of a client that reads too slowly ends with an event
that says so.

Source: k8s.io/apiserver/pkg/endpoints/handlers/watch.go; text/event-stream of the HTML standard.
"""

from __future__ import annotations

import json
import socket
import time
from collections import deque
from collections.abc import Callable

from kubesim.apiserver import KubeAPI, ResourceEvent
from kubesim.errors import BadRequest, Expired
from kubesim.objects.frozen import Document
from kubesim.rest.http import streams
from kubesim.rest.http.encodings import EncodingCache
from kubesim.rest.http.response import RETRY_AFTER_SECONDS, Response, Resume
from kubesim.rest.http.streams import StreamWriter, lines_within
from kubesim.rest.http.wire import Request, RequestRejected

HEARTBEAT_SECONDS = 15.0
FORMATS = {"sse": "text/event-stream", "jsonl": "application/x-ndjson"}
_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


class WatchRoute:
    """The route /api/watch.

    Args:
        api: the API server.
        streams: writes the streams.
    """

    def __init__(self, api: KubeAPI, streams: StreamWriter) -> None:
        self._api = api
        self._streams = streams
        self._encodings = EncodingCache()

    def watch(self, request: Request) -> Response:
        """Stream every change of a kind.

        Raises:
            StatusError: 400 unknown format, 404 unknown kind, 410 compacted revision.
            RequestRejected: 429, the server has as many streams as it may have.
        """
        kind = self._api.registry.find(request.parameter("kind", "Pod")).kind
        since = request.parameter("since")
        format = request.parameter("format", "sse")
        if format not in FORMATS:
            raise BadRequest("format must be sse or jsonl")
        if len(self._streams) >= self._streams.limit:
            message = f"the limit of {self._streams.limit} streams is reached"
            headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
            raise RequestRejected(429, message, close=False, headers=headers)
        # A revision that cannot be watched must become an error response, not a stream that ends.
        self._api.watch(kind, resource_version=since or None).close()

        def hand_over(connection: socket.socket, head: bytes, _resume: Resume | None) -> None:
            self._streams.open(
                connection,
                head,
                lambda on_ready: ChangeStream(
                    self._api, kind, since, format == "sse", self._encodings, on_ready
                ),
            )

        headers = {"Cache-Control": "no-store"}
        return Response(200, b"", FORMATS[format], headers, stream=hand_over)


class ChangeStream:
    """The stream source of one client of /api/watch.

    Args:
        api: the API server.
        kind: of the objects.
        since: changes after this revision; "": first the existing objects, as ADDED.
        sse: server-sent events, otherwise JSON lines.
        encodings: serialized changes, shared by all clients.
        on_ready: called when there are new changes.
    """

    def __init__(
        self,
        api: KubeAPI,
        kind: str,
        since: str,
        sse: bool,
        encodings: EncodingCache,
        on_ready: Callable[[], None],
    ) -> None:
        self.done = False
        self._sse = sse
        self._encodings = encodings
        self._last_sent = time.monotonic()  # wall time, for heartbeats
        self._initial: deque[ResourceEvent[Document]] = deque()  # to send before all changes
        start: str | int = since
        if not since:
            listed, start = api.snapshot(kind)
            self._initial.extend(
                ResourceEvent("ADDED", obj, None, int(obj["metadata"]["resourceVersion"]))
                for obj in listed
            )
        self.watch = api.watch(kind, resource_version=start, on_ready=on_ready)

    def pull(self, waiting: int) -> bytes:
        """Return new changes, or a heartbeat after a pause, or the event that ends the stream."""
        data = bytearray()
        if self._initial:  # however many: these wait until the client has room
            while self._initial and waiting + len(data) < streams.BACKLOG_BYTES:
                data += self._bytes(self._initial.popleft())
            return bytes(data)
        try:
            lines_within(data, self.watch.poll, self._bytes)
        except Expired as error:
            return bytes(data) + self._end(str(error))
        if waiting and waiting + len(data) > streams.BACKLOG_BYTES:
            return self._end("the client reads too slowly: list again, then watch")
        now = time.monotonic()
        if data or waiting:
            self._last_sent = now
        elif now - self._last_sent > HEARTBEAT_SECONDS:
            self._last_sent = now
            heartbeat = {"type": "BOOKMARK", "revision": self.watch.resource_version}
            return b": heartbeat\n\n" if self._sse else _encode(heartbeat).encode() + b"\n"
        return bytes(data)

    def close(self) -> None:
        """Close the watch."""
        self.watch.close()

    def _end(self, message: str) -> bytes:
        self.done = True
        body = _encode({"type": "EXPIRED", "message": message})
        text = f"event: EXPIRED\ndata: {body}\n\n" if self._sse else f"{body}\n"
        return text.encode()

    def _bytes(self, event: ResourceEvent[Document]) -> bytes:
        """Serialize an event; once for all clients of a format."""
        key = (event.revision, event.object["metadata"].get("uid", ""), self._sse)
        cached = self._encodings.get(key)
        if cached is not None and event.type != "ADDED":
            return cached
        body = _encode({"type": event.type, "revision": event.revision, "object": event.object})
        if self._sse:
            text = f"event: {event.type}\nid: {event.revision}\ndata: {body}\n\n"
        else:
            text = f"{body}\n"
        data = text.encode()
        if event.type != "ADDED":
            self._encodings.keep(key, data)
        return data
