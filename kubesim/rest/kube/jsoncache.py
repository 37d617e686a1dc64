"""A cache of serialized objects, which makes lists cheap.

Each revision of a stored object is one frozen document (`apiserver.watching.view_of`), so its JSON
is cached with the document and used as long as a list contains that same document. The cells of a
table include ages; they are cached until the first of these ages changes.

Source: k8s.io/apiserver/pkg/storage/cacher (cachingObject).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Self

from kubesim.clock.base import Clock
from kubesim.objects.frozen import Document
from kubesim.objects.meta import key_of
from kubesim.rest.kube.response import Transformer, encode, encode_line

CACHE_BYTES = 128 * 1024**2
ENTRY_BYTES = 200  # of an entry, besides its JSON
FOREVER = float("inf")

Entry = tuple[Document, float, bytes]  # the object, until when the JSON is valid, the JSON
Make = Callable[[Document], tuple[object, float]]


class Representation:
    """The cached JSON of objects in one representation, for example as the rows of a table.

    Attributes:
        parts: by part of the representation, then by the object's key.
        used, used_before: serial numbers of the last two requests for it; -1: none.
    """

    __slots__ = ("parts", "used", "used_before")

    def __init__(self) -> None:
        self.parts: dict[str, dict[str, Entry]] = {}
        self.used = self.used_before = -1

    def request(self, serial: int) -> Self:
        """Note a request."""
        self.used_before, self.used = self.used, serial
        return self

    def size(self) -> int:
        """Return the number of bytes."""
        return sum(
            ENTRY_BYTES + len(entry[2])
            for part in list(self.parts.values())
            for entry in list(part.values())
        )


class JSONCache:
    """JSON by object and representation, bounded in bytes.

    A full cache drops representations that were requested less recently than the present one was
    before, then objects that are not in the present list; what still finds no room is encoded at
    each request. So a list that is larger than the cache is partly cached, and two lists that are
    requested in turn do not displace each other.

    Args:
        clock: for ages.
        size: approximate number of bytes.
    """

    def __init__(self, clock: Clock, size: int = CACHE_BYTES) -> None:
        self._clock = clock
        self._limit = size
        self._bytes = 0
        self._refused = size  # bytes that found no room since room was made
        self._serial = 0
        self._representations: dict[tuple[str, ...], Representation] = {}

    @property
    def size(self) -> int:
        """Approximate number of bytes."""
        return self._bytes

    def __len__(self) -> int:
        parts = [part for each in self._representations.values() for part in each.parts.values()]
        return sum(map(len, parts))

    def one(self, transformer: Transformer, document: Document) -> bytes:
        """Return the response body for one object."""
        if transformer.form.kind:
            return encode_line(transformer.one(document))
        cached = self._request(transformer)
        make = _forever(transformer.item)
        return self._all(transformer, cached, "item", [document], make)[0] + b"\n"

    def many(self, transformer: Transformer, listed: Document) -> bytes:
        """Return the response body for a list; its items are the API server's shared documents."""
        head = encode(transformer.list_head(listed["kind"], listed["metadata"]))[:-1].encode()
        items = listed["items"]
        cached = self._request(transformer)
        if transformer.form.kind != "Table":
            parts = self._all(transformer, cached, "item", items, _forever(transformer.item))
            return b'%b,"items":[%b]}\n' % (head, b",".join(parts))
        # The object of a row is cached apart from its cells, because it outlives their ages.
        cells = self._all(transformer, cached, "cells", items, transformer.cells)
        objects = self._all(transformer, cached, "object", items, _forever(transformer.row_object))
        rows = [b'{"cells":%b,"object":%b}' % pair for pair in zip(cells, objects, strict=True)]
        return b'%b,"rows":[%b]}\n' % (head, b",".join(rows))

    def _request(self, transformer: Transformer) -> Representation:
        self._serial += 1
        representation = self._representations.setdefault(transformer.key, Representation())
        return representation.request(self._serial)

    def _all(
        self,
        transformer: Transformer,
        representation: Representation,
        part: str,
        documents: Sequence[Document],
        make: Make,
    ) -> list[bytes]:
        """Return the JSON of one part of each document, from the cache where possible."""
        if not transformer.stored:
            return [encode(make(document)[0]).encode() for document in documents]
        entries = representation.parts.setdefault(part, {})
        now, result = self._clock.now(), []
        for document in documents:
            name = key_of(document)
            entry = entries.get(name)
            if entry is None or entry[0] is not document or now >= entry[1]:
                value, until = make(document)
                new = (document, until, encode(value).encode())
                more = len(new[2]) - len(entry[2]) if entry else ENTRY_BYTES + len(new[2])
                if self._bytes + more > self._limit and self._refused > self._limit // 8:
                    self._make_room(representation, part, documents)
                if self._bytes + more <= self._limit:
                    entries[name] = new
                    self._bytes += more
                else:
                    self._refused += len(new[2])
                entry = new
            result.append(entry[2])
        return result

    def _make_room(self, present: Representation, part: str, documents: Sequence[Document]) -> None:
        """Drop what was not requested lately, and objects that are not in the present list.

        It reads the whole cache, so it is called once for many objects that found no room.
        """
        self._refused = 0
        sizes = {key: each.size() for key, each in list(self._representations.items())}
        for key, each in sorted(self._representations.items(), key=_last_use):
            if sum(sizes.values()) <= self._limit * 3 // 4:
                break
            if each.used < present.used_before:
                del self._representations[key], sizes[key]
        if sum(sizes.values()) > self._limit * 3 // 4:
            listed = {key_of(document) for document in documents}
            entries = present.parts[part]
            for name in [name for name in list(entries) if name not in listed]:
                del entries[name]
        self._bytes = sum(each.size() for each in list(self._representations.values()))


def _last_use(item: tuple[tuple[str, ...], Representation]) -> int:
    return item[1].used


def _forever(make: Callable[[Document], object]) -> Make:
    """Wrap a function whose result depends on the object alone."""
    return lambda document: (make(document), FOREVER)
