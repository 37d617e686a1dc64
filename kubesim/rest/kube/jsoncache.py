"""JSON of objects, kept while they are the same: what makes lists cheap.

A stored object is one frozen document for each of its revisions (`apiserver.watching.view_of`). So
its JSON is kept together with the document, and used while a list shows that very document. The
cells of a table also hold ages; they are kept until the first of these would read otherwise.

Source: k8s.io/apiserver/pkg/storage/cacher (cachingObject).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from kubesim.clock.base import Clock
from kubesim.objects.frozen import Document
from kubesim.objects.meta import key_of
from kubesim.rest.kube.transform import Transformer
from kubesim.rest.serializer.responses import encode

KEPT_OBJECTS = 16_384  # as many bodies as the original's routes keep
FOREVER = float("inf")

Entry = tuple[Document, float, bytes]  # what it was made from, until when it holds, the JSON
Make = Callable[[Document], tuple[Any, float]]


class JSONCache:
    """JSON by object and form.

    Args:
        clock: for ages.
        limit: about so many texts; if there are more, all are forgotten.
    """

    def __init__(self, clock: Clock, limit: int = KEPT_OBJECTS) -> None:
        self._clock = clock
        self._limit = limit
        self._size = 0
        self._kept: dict[tuple[str, ...], dict[str, Entry]] = {}

    def __len__(self) -> int:
        return self._size

    def one(self, transformer: Transformer, document: Document) -> bytes:
        """The body of an answer with one object."""
        if transformer.form.kind:
            return encode(transformer.one(document)).encode()
        return self._all(transformer, "item", [document], _forever(transformer.item))[0]

    def many(self, transformer: Transformer, listed: Document) -> bytes:
        """The body of an answer with a list, whose items are as the API server shares them."""
        frame = encode(transformer.frame(listed["kind"], listed["metadata"]))[:-1].encode()
        items = listed["items"]
        if transformer.form.kind != "Table":
            found = self._all(transformer, "item", items, _forever(transformer.item))
            return b'%b,"items":[%b]}' % (frame, b",".join(found))
        # The object of a row is kept apart from the cells: it outlives the ages in them.
        cells = self._all(transformer, "cells", items, transformer.cells)
        shown = self._all(transformer, "shown", items, _forever(transformer.shown))
        rows = [b'{"cells":%b,"object":%b}' % pair for pair in zip(cells, shown, strict=True)]
        return b'%b,"rows":[%b]}' % (frame, b",".join(rows))

    def _all(
        self, transformer: Transformer, part: str, documents: Sequence[Document], make: Make
    ) -> list[bytes]:
        """The JSON of one part of each object."""
        if not transformer.stored:
            return [encode(make(document)[0]).encode() for document in documents]
        kept = self._kept.setdefault((part, *transformer.key), {})
        now, found = self._clock.now(), []
        for document in documents:
            name = key_of(document)
            entry = kept.get(name)
            if entry is None or entry[0] is not document or now >= entry[1]:
                self._size += entry is None
                value, until = make(document)
                entry = kept[name] = (document, until, encode(value).encode())
            found.append(entry[2])
        if self._size > self._limit:
            self._kept, self._size = {}, 0
        return found


def _forever(make: Callable[[Document], Any]) -> Make:
    """What depends on nothing but the object."""
    return lambda document: (make(document), FOREVER)
