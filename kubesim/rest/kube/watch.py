"""The stream of changes that a client of the Kubernetes API watches.

One JSON object a line, each pull of news one chunk. A watch from "0", or from nowhere, begins with
what is there; one from a revision that is no longer kept gets a single ERROR event, and ends. How
long a watch lasts is wall time, on both clocks: it is the connection's time, not the cluster's.

A client that reads slowly is waited for: nothing is taken from the watch while a mebibyte waits. If
the store's history passes it by meanwhile, it gets the ERROR, and lists again.

Source: k8s.io/apiserver/pkg/endpoints/handlers/watch.go, pkg/storage/cacher (bookmarks, WatchList).
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

from kubesim.apiserver import KubeAPI, ResourceEvent, ResourceWatch
from kubesim.errors import Expired
from kubesim.objects.frozen import Document
from kubesim.objects.wellknown import INITIAL_EVENTS_END
from kubesim.rest.http import streams
from kubesim.rest.kube.options import ListOptions
from kubesim.rest.kube.requestinfo import Target
from kubesim.rest.kube.transform import Transformer
from kubesim.rest.serializer.responses import encode

BOOKMARK_SECONDS = 60.0
BOOKMARK_BEFORE_END_SECONDS = 2.0
LASTS_SECONDS = 2_700.0  # if the client does not say (upstream: 30 to 60 minutes)
LONGEST_SECONDS = 86_400.0
BATCH = 500  # changes taken at a time
KEPT = 2_000
LAST_CHUNK = b"0\r\n\r\n"

Encodings = OrderedDict[tuple[object, ...], bytes]


def chunk(data: bytes) -> bytes:
    """A piece of a body of unknown length."""
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""


class KubeWatch:
    """The source of one watch.

    Args:
        api: what is watched.
        target: which objects.
        options: what the client asked for.
        transformer: in which form.
        encodings: what other clients' events were encoded to.
        on_ready: called when there is news.

    Raises:
        StatusError: the watch makes no sense: a bad selector, a revision of the future.
    """

    def __init__(
        self,
        api: KubeAPI,
        target: Target,
        options: ListOptions,
        transformer: Transformer,
        encodings: Encodings,
        on_ready: Callable[[], None],
    ) -> None:
        self.done = False
        self._target = target
        self._transformer = transformer
        self._encodings = encodings
        self._bookmarks = options.bookmarks
        self._headed = False  # a table's columns were told
        seconds = min(options.seconds or LASTS_SECONDS, LONGEST_SECONDS)
        self._start = self._marked = time.monotonic()
        self._end = self._start + seconds
        self._last_mark = self._end - min(BOOKMARK_BEFORE_END_SECONDS, seconds / 2)
        self._watch: ResourceWatch | None = None
        self._first = b""
        try:
            self._open(api, options, on_ready)
        except Expired as error:
            self._first = self._error(error)

    def pull(self, waiting: int) -> bytes:
        """What is new, as one chunk; the end of the stream if its time is over."""
        found = bytearray(self._first)
        self._first = b""
        if self._watch is None:
            self.done = True
            return chunk(bytes(found)) + LAST_CHUNK
        if waiting < streams.BACKLOG_BYTES:
            try:
                for event in self._watch.poll(BATCH):
                    found += self._line(event)
            except Expired as error:
                self.done = True
                return chunk(bytes(found) + self._error(error)) + LAST_CHUNK
        now = time.monotonic()
        over = now >= self._end
        due = now - self._marked >= BOOKMARK_SECONDS or self._marked < self._last_mark <= now
        if self._bookmarks and (due or over) and not waiting:
            self._marked = now
            found += self._bookmark()
        self.done = over
        return chunk(bytes(found)) + (LAST_CHUNK if over else b"")

    def close(self) -> None:
        """End the watch."""
        if self._watch is not None:
            self._watch.close()

    # -- inside ----------------------------------------------------------------------------------

    def _open(self, api: KubeAPI, options: ListOptions, on_ready: Callable[[], None]) -> None:
        kind, (labels, fields) = self._target.kind.kind, _selectors(self._target, options)
        since, initial = options.revision or "0", False
        if options.initial:
            listed = api.list(
                kind, self._target.namespace, label_selector=labels, field_selector=fields
            )
            since, initial = listed["metadata"]["resourceVersion"], True
            for document in listed["items"]:
                self._first += self._line(ResourceEvent("ADDED", document, None, 0))
        self._watch = api.watch(
            kind,
            self._target.namespace,
            resource_version=since,
            label_selector=labels,
            field_selector=fields,
            on_ready=on_ready,
        )
        if initial:
            self._first += self._bookmark(since, initial=True)

    def _line(self, event: ResourceEvent) -> bytes:
        """An event as it goes over the wire; encoded once for all clients of a form."""
        document, first = event.object, not self._headed
        self._headed = True
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
        keep = event.revision > 0 and not is_table  # a table's ages are of the moment
        if keep and key in self._encodings:
            return self._encodings[key]
        if is_table:
            version = {"resourceVersion": metadata.get("resourceVersion", "")}
            shaped = self._transformer.table([self._target.outward(document)], version, head=first)
        else:
            shaped = self._transformer.one(document)
        found = _event(event.type, shaped)
        if keep:
            self._encodings[key] = found
            while len(self._encodings) > KEPT:
                self._encodings.popitem(last=False)
        return found

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


def _selectors(target: Target, options: ListOptions) -> tuple[str, str]:
    """Label and field selector of a request; a name in the path counts as one."""
    fields = options.fields
    if target.info.name:
        named = f"metadata.name={target.info.name}"
        fields = f"{fields},{named}" if fields else named
    return options.labels, fields
