"""The changes of a kind as a stream of the simulator's own: what GET /api/watch sends.

Formats: server-sent events (``event:``, ``id:``, ``data:``), or one JSON object a line. Each change
is encoded once, however many clients see it. A client that reads too slowly gets a last event that
says so.

Source: k8s.io/apiserver/pkg/endpoints/handlers/watch.go; text/event-stream of the HTML standard.
"""

from __future__ import annotations

import json
import time
from collections import OrderedDict
from collections.abc import Callable

from kubesim.apiserver import KubeAPI, ResourceEvent
from kubesim.errors import Expired
from kubesim.rest.http import streams

HEARTBEAT_SECONDS = 15.0
KEPT_ENCODINGS = 2_000
_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode

Encodings = OrderedDict[tuple[int, str, bool], bytes]


class ChangeStream:
    """The source of one client of /api/watch.

    Args:
        api: what is watched.
        kind: of the objects.
        since: changes after this revision; "": first the present objects, as ADDED.
        sse: server-sent events (else JSON lines).
        encodings: what other clients' changes were encoded to.
        on_ready: called when there is news.
    """

    def __init__(
        self,
        api: KubeAPI,
        kind: str,
        since: str,
        sse: bool,
        encodings: Encodings,
        on_ready: Callable[[], None],
    ) -> None:
        self.done = False
        self._sse = sse
        self._encodings = encodings
        self._spoke = time.monotonic()  # no sign of life before there was a silence
        objects: list[ResourceEvent] = []
        start: str | int = since
        if not since:
            listed, start = api.snapshot(kind)
            objects = [
                ResourceEvent("ADDED", obj, None, int(obj["metadata"]["resourceVersion"]))
                for obj in listed
            ]
        self.watch = api.watch(kind, resource_version=start, on_ready=on_ready)
        self._first = b"".join(map(self._bytes, objects))

    def pull(self, waiting: int) -> bytes:
        """ChangeStream; a sign of life after a silence; at last why the stream ends."""
        first, self._first = self._first, b""
        if first:
            return first  # however much it is
        found = bytearray()
        try:
            for event in self.watch.poll():
                found += self._bytes(event)
        except Expired as error:
            return bytes(found) + self._end(str(error))
        if waiting + len(found) > streams.BACKLOG_BYTES:
            return self._end("the client reads too slowly: list again, then watch")
        now = time.monotonic()
        if found or waiting:
            self._spoke = now
        elif now - self._spoke > HEARTBEAT_SECONDS:
            self._spoke = now
            beat = {"type": "BOOKMARK", "revision": self.watch.resource_version}
            return b": heartbeat\n\n" if self._sse else _encode(beat).encode() + b"\n"
        return bytes(found)

    def close(self) -> None:
        """End the watch."""
        self.watch.close()

    def _end(self, message: str) -> bytes:
        self.done = True
        body = _encode({"type": "EXPIRED", "message": message})
        text = f"event: EXPIRED\ndata: {body}\n\n" if self._sse else f"{body}\n"
        return text.encode()

    def _bytes(self, event: ResourceEvent) -> bytes:
        """An event as it goes over the wire; encoded once for all clients of a format."""
        key = (event.revision, event.object["metadata"].get("uid", ""), self._sse)
        known = self._encodings.get(key)
        if known is not None and event.type != "ADDED":
            return known
        body = _encode({"type": event.type, "revision": event.revision, "object": event.object})
        if self._sse:
            text = f"event: {event.type}\nid: {event.revision}\ndata: {body}\n\n"
        else:
            text = f"{body}\n"
        found = text.encode()
        if event.type != "ADDED":
            self._encodings[key] = found
            while len(self._encodings) > KEPT_ENCODINGS:
                self._encodings.popitem(last=False)
        return found
