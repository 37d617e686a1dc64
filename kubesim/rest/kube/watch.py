"""Watches of the Kubernetes API: the stream of watch events for one client.

One JSON object per line, one chunk per pull. A watch from revision "0", or without one, first sends
the existing objects; a watch from a compacted revision sends a single ERROR event and ends. The
duration of a watch is wall time on both clocks: it belongs to the connection, not to the cluster.

The server waits for a slow client: it takes no events from the watch while a mebibyte waits to be
sent, and no more than that at once (`lines_within`). If the store compacts past the watch, the
client gets the ERROR and lists again.

Source: k8s.io/apiserver/pkg/endpoints/handlers/watch.go, pkg/storage/cacher (bookmarks, WatchList).
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from kubesim.apiserver import KubeAPI, ResourceEvent, ResourceWatch
from kubesim.errors import Expired
from kubesim.objects.frozen import Document
from kubesim.objects.wellknown import INITIAL_EVENTS_END
from kubesim.rest.http import streams
from kubesim.rest.http.encodings import EncodingCache
from kubesim.rest.http.streams import lines_within
from kubesim.rest.kube.requestinfo import ListQuery, Target
from kubesim.rest.kube.response import Transformer, encode

BOOKMARK_SECONDS = 60.0
BOOKMARK_BEFORE_END_SECONDS = 2.0
DEFAULT_SECONDS = 2_700.0  # without timeoutSeconds (upstream: 30 to 60 minutes)
MAX_SECONDS = 86_400.0
LAST_CHUNK = b"0\r\n\r\n"
Event = ResourceEvent[Document]


def chunk(data: bytes) -> bytes:
    """Return data as one chunk of a chunked body; b"" for no data."""
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""


class KubeWatch:
    """The stream source of one watch.

    Args:
        api: the API server.
        target: kind and namespace of the watched objects.
        options: of the request.
        transformer: for the representation that the client accepts.
        encodings: serialized events, shared by all watches of a server.
        on_ready: called when there are new events.

    Raises:
        StatusError: a malformed selector, or a revision in the future.
    """

    def __init__(
        self,
        api: KubeAPI,
        target: Target,
        options: ListQuery,
        transformer: Transformer,
        encodings: EncodingCache,
        on_ready: Callable[[], None],
    ) -> None:
        self.done = False
        self._target = target
        self._transformer = transformer
        self._encodings = encodings
        self._bookmarks = options.bookmarks
        self._head_sent = False  # the columns of a table were sent
        seconds = min(options.seconds or DEFAULT_SECONDS, MAX_SECONDS)
        self._start = self._marked = time.monotonic()
        self._end = self._start + seconds
        self._last_mark = self._end - min(BOOKMARK_BEFORE_END_SECONDS, seconds / 2)
        self._watch: ResourceWatch | None = None
        self._first = b""
        self._initial: deque[Event] = deque()  # to send before all changes
        self._end_of_initial = b""
        try:
            self._open(api, options, on_ready)
        except Expired as error:
            self._first = self._error(error)

    def pull(self, waiting: int) -> bytes:
        """Return new events as one chunk; at the end of the watch, also the last chunk."""
        data = bytearray(self._first)
        self._first = b""
        if self._watch is None:
            self.done = True
            return chunk(bytes(data)) + LAST_CHUNK
        if waiting < streams.BACKLOG_BYTES:
            try:
                self._take(data, self._watch)
            except Expired as error:
                self.done = True
                return chunk(bytes(data) + self._error(error)) + LAST_CHUNK
        now = time.monotonic()
        over = now >= self._end
        due = now - self._marked >= BOOKMARK_SECONDS or self._marked < self._last_mark <= now
        if self._bookmarks and (due or over) and not waiting:
            self._marked = now
            data += self._bookmark()
        self.done = over
        return chunk(bytes(data)) + (LAST_CHUNK if over else b"")

    def close(self) -> None:
        """Close the watch."""
        if self._watch is not None:
            self._watch.close()

    # -- inside ----------------------------------------------------------------------------------

    def _take(self, data: bytearray, watch: ResourceWatch) -> None:
        """Add the initial objects, then the changes, until a backlog is full."""
        while self._initial and len(data) < streams.BACKLOG_BYTES:
            data += self._line(self._initial.popleft())
        if not self._initial:
            data += self._end_of_initial
            self._end_of_initial = b""
            lines_within(data, watch.poll, self._line)

    def _open(self, api: KubeAPI, options: ListQuery, on_ready: Callable[[], None]) -> None:
        kind, (labels, fields) = self._target.kind.qualified_kind, _selectors(self._target, options)
        since, initial = options.revision or "0", False
        if options.initial:
            listed = api.list(
                kind, self._target.namespace, label_selector=labels, field_selector=fields
            )
            since, initial = listed["metadata"]["resourceVersion"], True
            self._initial.extend(ResourceEvent("ADDED", each, None, 0) for each in listed["items"])
        self._watch = api.watch(
            kind,
            self._target.namespace,
            resource_version=since,
            label_selector=labels,
            field_selector=fields,
            on_ready=on_ready,
        )
        if initial:
            self._end_of_initial = self._bookmark(since, initial=True)

    def _line(self, event: Event) -> bytes:
        """Serialize an event; once for all clients that accept the same representation."""
        document, first = event.object, not self._head_sent
        self._head_sent = True
        metadata = document["metadata"]
        key = (
            event.revision,
            event.type,
            metadata.get("uid"),
            metadata.get("resourceVersion"),
            self._target.kind.resource,
            self._transformer.key,
        )
        is_table = self._transformer.form.kind == "Table"
        cached = event.revision > 0 and not is_table  # a table contains ages
        if cached and (shared := self._encodings.get(key)) is not None:
            return shared
        if is_table:
            version = {"resourceVersion": metadata.get("resourceVersion", "")}
            body = self._transformer.table(
                [self._target.to_requested_version(document)], version, head=first
            )
        else:
            body = self._transformer.one(document)
        line = _event(event.type, body)
        if cached:
            self._encodings.keep(key, line)
        return line

    def _bookmark(self, revision: str = "", *, initial: bool = False) -> bytes:
        assert self._watch is not None
        metadata: Document = {"resourceVersion": revision or str(self._watch.resource_version)}
        if initial:
            metadata["annotations"] = {INITIAL_EVENTS_END: "true"}
        kind, version = self._target.kind.kind, self._target.api_version
        document = {"kind": kind, "apiVersion": version, "metadata": metadata}
        if self._transformer.form.kind == "Table":
            return _event("BOOKMARK", self._transformer.table([], metadata, head=False))
        return _event("BOOKMARK", document)

    @staticmethod
    def _error(error: Expired) -> bytes:
        return _event("ERROR", error.status())


def _event(type: str, document: Document) -> bytes:
    return encode({"type": type, "object": document}).encode() + b"\n"


def _selectors(target: Target, options: ListQuery) -> tuple[str, str]:
    """Return label and field selector of a request; a name in the path adds a field selector."""
    fields = options.fields
    if target.info.name:
        named = f"metadata.name={target.info.name}"
        fields = f"{fields},{named}" if fields else named
    return options.labels, fields
