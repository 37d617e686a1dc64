"""Serialized events that many streams share, bounded in number and in bytes.

Source: k8s.io/apiserver/pkg/storage/cacher/caching_object.go.
"""

from __future__ import annotations

from collections import OrderedDict

CACHED_ENCODINGS = 2_000
CACHED_BYTES = 16 * 1024**2

Key = tuple[object, ...]


class EncodingCache:
    """The newest serialized events by what they show and how; used by the streams' thread.

    Args:
        items: number of events that are kept.
        size: bytes that are kept.
    """

    def __init__(self, items: int = CACHED_ENCODINGS, size: int = CACHED_BYTES) -> None:
        self._items, self._limit = items, size
        self._lines: OrderedDict[Key, bytes] = OrderedDict()
        self._size = 0
        self.get = self._lines.get

    def __len__(self) -> int:
        return len(self._lines)

    def keep(self, key: Key, line: bytes) -> None:
        """Keep an event; the oldest ones make room."""
        lines = self._lines
        self._size += len(line) - len(lines.get(key, b""))
        lines[key] = line
        while lines and (len(lines) > self._items or self._size > self._limit):
            self._size -= len(lines.popitem(last=False)[1])
