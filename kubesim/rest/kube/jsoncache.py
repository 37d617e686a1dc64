"""A cache of serialized objects, which makes lists cheap.

Each revision of a stored object is one frozen document (`apiserver.watching.view_of`), so its JSON
is cached with the document and used as long as a list contains that same document. The cells of a
table include ages; they are cached until the first of these ages changes.

Source: k8s.io/apiserver/pkg/storage/cacher (cachingObject).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from kubesim.clock.base import Clock
from kubesim.objects.frozen import Document
from kubesim.objects.meta import key_of
from kubesim.rest.kube.response import Transformer, encode, encode_line

CACHE_SIZE = 16_384  # entries
CACHE_BYTES = 64 * 1024**2
FOREVER = float("inf")

Entry = tuple[Document, float, bytes]  # the object, until when the JSON is valid, the JSON
Make = Callable[[Document], tuple[object, float]]


class JSONCache:
    """JSON by object and representation.

    Args:
        clock: for ages.
        limit: approximate number of entries; a full cache is emptied.
        size: approximate number of bytes; likewise.
    """

    def __init__(self, clock: Clock, limit: int = CACHE_SIZE, size: int = CACHE_BYTES) -> None:
        self._clock = clock
        self._limit, self._most_bytes = limit, size
        self._size = self._bytes = 0
        self._entries: dict[tuple[str, ...], dict[str, Entry]] = {}

    def __len__(self) -> int:
        return self._size

    def one(self, transformer: Transformer, document: Document) -> bytes:
        """Return the response body for one object."""
        if transformer.form.kind:
            return encode_line(transformer.one(document))
        return self._all(transformer, "item", [document], _forever(transformer.item))[0] + b"\n"

    def many(self, transformer: Transformer, listed: Document) -> bytes:
        """Return the response body for a list; its items are the API server's shared documents."""
        head = encode(transformer.list_head(listed["kind"], listed["metadata"]))[:-1].encode()
        items = listed["items"]
        if transformer.form.kind != "Table":
            parts = self._all(transformer, "item", items, _forever(transformer.item))
            return b'%b,"items":[%b]}\n' % (head, b",".join(parts))
        # The object of a row is cached apart from its cells, because it outlives their ages.
        cells = self._all(transformer, "cells", items, transformer.cells)
        objects = self._all(transformer, "object", items, _forever(transformer.row_object))
        rows = [b'{"cells":%b,"object":%b}' % pair for pair in zip(cells, objects, strict=True)]
        return b'%b,"rows":[%b]}\n' % (head, b",".join(rows))

    def _all(
        self, transformer: Transformer, part: str, documents: Sequence[Document], make: Make
    ) -> list[bytes]:
        """Return the JSON of one part of each document, from the cache where possible."""
        if not transformer.stored:
            return [encode(make(document)[0]).encode() for document in documents]
        entries = self._entries.setdefault((part, *transformer.key), {})
        now, result = self._clock.now(), []
        for document in documents:
            name = key_of(document)
            entry = entries.get(name)
            if entry is None or entry[0] is not document or now >= entry[1]:
                self._size += entry is None
                self._bytes -= len(entry[2]) if entry is not None else 0
                value, until = make(document)
                entry = entries[name] = (document, until, encode(value).encode())
                self._bytes += len(entry[2])
            result.append(entry[2])
        if self._size > self._limit or self._bytes > self._most_bytes:
            self._entries, self._size, self._bytes = {}, 0, 0
        return result


def _forever(make: Callable[[Document], object]) -> Make:
    """Wrap a function whose result depends on the object alone."""
    return lambda document: (make(document), FOREVER)
