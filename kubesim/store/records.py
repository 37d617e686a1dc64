"""The records of the in-memory store: keys at a revision, and changes.

A `KeyRevision` is a key at one revision, a `KeyChange` is a step from one to the next. Both are
immutable once made, so readers share them.

Usage samples are written a million times a second on virtual time and take a compact form
(`samplelog`); they are expanded to these records when they are read.

Source: etcd api/mvccpb/kv.proto; server/storage/mvcc/kvstore.go.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from json import JSONEncoder
from typing import Literal

from kubesim.objects.frozen import Document, freeze
from kubesim.store.base import DELETE, PUT, Sample, WatchEvent

# One encoder for all calls: json.dumps with arguments builds a new one at each call.
encode = JSONEncoder(separators=(",", ":"), allow_nan=False, ensure_ascii=False).encode

Expand = Callable[[str, Sample], Document]
"""expand(key, sample) -> the JSON document of a sample."""


@dataclass(slots=True, eq=False, repr=False)
class KeyRevision:
    """One key at one revision (mvccpb.KeyValue).

    Attributes:
        value: the JSON document, frozen.
        size: bytes of a large document, as `SpaceQuota` counts them; 0 for all others.
        view: a document derived from the value; see `keep_view`.
        key, create_revision, mod_revision, version, lease: as of `store.KeyValue`.
    """

    key: str
    value: Document
    create_revision: int
    mod_revision: int
    version: int
    lease: int = 0
    size: int = field(default=0, init=False)
    view: Document | None = field(default=None, init=False)
    _bytes: bytes | None = field(default=None, init=False)

    @property
    def encoded(self) -> bytes:
        """The value as compact JSON in UTF-8; encoded at the first read."""
        if self._bytes is None:
            self._bytes = encode(self.value).encode()
        return self._bytes

    @property
    def raw(self) -> Document | Sample:
        """What the store holds: the document, or the tuple of a sample."""
        return self.value

    def keep_size(self, size: int) -> int:
        """Keep the number of bytes of a large document; return it."""
        self.size = size
        return size

    def keep_view(self, view: Document) -> Document:
        """Keep a document that was derived from the value, for the next reader; return it."""
        self.view = view
        return view

    def deleted_at(self, revision: int) -> KeyRevision:
        """Return the last state of the key before its deletion at `revision`."""
        return KeyRevision(
            self.key, self.value, self.create_revision, revision, self.version, self.lease
        )

    def __repr__(self) -> str:
        return f"KeyValue({self.key!r}, mod_revision={self.mod_revision}, value={self.value!r})"


class SampleRevision(KeyRevision):
    """A usage sample at one revision; `value` is expanded at the first read.

    Args:
        sample: the sample as it was written.
        expand: makes a document of a sample.
    """

    __slots__ = ("_expand", "_sample")

    def __init__(
        self,
        key: str,
        sample: Sample,
        create_revision: int,
        mod_revision: int,
        version: int,
        expand: Expand,
    ) -> None:
        self.key = key
        self.create_revision = create_revision
        self.mod_revision = mod_revision
        self.version = version
        self.lease = 0
        self.size = 0
        self.view = None
        self._bytes = None
        self._sample = sample
        self._expand = expand

    def __getattr__(self, name: str) -> Document:
        if name != "value":
            raise AttributeError(name)
        self.value = freeze(self._expand(self.key, self._sample))
        return self.value

    @property
    def raw(self) -> Document | Sample:
        """The sample as a tuple."""
        return self._sample


@dataclass(slots=True, eq=False)
class KeyChange:
    """A step of one key: the state after it, and the one before (None if the key was created)."""

    type: Literal["PUT", "DELETE"]
    entry: KeyRevision
    previous: KeyRevision | None

    def event(self) -> WatchEvent:
        """Return the change as a watch event."""
        return WatchEvent(self.type, self.entry, self.previous)


def plain_sample(key: str, sample: Sample) -> Document:
    """Return a document for a sample of a store that was not told how to make one."""
    return {"key": key, "sample": list(sample)}


def revision_of(change: KeyChange) -> int:
    """Return the revision of a change."""
    return change.entry.mod_revision


def cut(changes: list[KeyChange], limit: int) -> tuple[list[KeyChange], int]:
    """Return about `limit` changes, never half of a transaction, and the revision of the last."""
    end = max(1, limit)
    while (
        end < len(changes)
        and changes[end].entry.mod_revision == changes[end - 1].entry.mod_revision
    ):
        end += 1
    return changes[:end], changes[end - 1].entry.mod_revision


__all__ = [
    "DELETE",
    "PUT",
    "Expand",
    "KeyChange",
    "KeyRevision",
    "SampleRevision",
    "cut",
    "encode",
    "plain_sample",
    "revision_of",
]
