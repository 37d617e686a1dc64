"""The records of the in-memory store: keys at a revision, changes, and their bounded history.

A `KeyRevision` is a key at one revision, a `KeyChange` is a step from one to the next, a `History`
holds the newest changes in order of revision. All are immutable once made, so readers share them.

Usage samples are written a million times a second on virtual time and take a compact form
(`samplelog`); they are expanded to these records when they are read.

Source: etcd api/mvccpb/kv.proto; server/storage/mvcc/kvstore.go.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator
from json import JSONEncoder
from typing import Literal

from kubesim.objects.frozen import Document, freeze
from kubesim.store.base import DELETE, PUT, Sample, WatchEvent

# One encoder for all calls: json.dumps with arguments builds a new one at each call.
encode = JSONEncoder(separators=(",", ":"), allow_nan=False, ensure_ascii=False).encode

Expand = Callable[[str, Sample], Document]
"""expand(key, sample) -> the JSON document of a sample."""


class KeyRevision:
    """One key at one revision (mvccpb.KeyValue).

    Attributes:
        value: the JSON document, frozen.
        view: a document derived from the value, kept here by the reader that derives it.
        key, create_revision, mod_revision, version, lease: as of `store.KeyValue`.
    """

    __slots__ = (
        "_bytes",
        "create_revision",
        "key",
        "lease",
        "mod_revision",
        "value",
        "version",
        "view",
    )

    value: Document

    def __init__(
        self,
        key: str,
        value: Document,
        create_revision: int,
        mod_revision: int,
        version: int,
        lease: int = 0,
    ) -> None:
        self.key = key
        self.value = value
        self.create_revision = create_revision
        self.mod_revision = mod_revision
        self.version = version
        self.lease = lease
        self.view: Document | None = None
        self._bytes: bytes | None = None

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

    def deleted_at(self, revision: int) -> KeyRevision:
        """Return the last state of the key before its deletion at `revision`."""
        return KeyRevision(
            self.key, self.value, self.create_revision, revision, self.version, self.lease
        )

    def __repr__(self) -> str:
        return f"KeyValue({self.key!r}, mod_revision={self.mod_revision}, value={self.value!r})"


class SampleRevision(KeyRevision):
    """A usage sample at one revision; `value` is expanded at the first read."""

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


class KeyChange:
    """A step of one key: the state after it, and the one before (None if the key was created)."""

    __slots__ = ("entry", "previous", "type")

    def __init__(
        self, type: Literal["PUT", "DELETE"], entry: KeyRevision, previous: KeyRevision | None
    ) -> None:
        self.type = type
        self.entry = entry
        self.previous = previous

    def event(self) -> WatchEvent:
        """Return the change as a watch event."""
        return WatchEvent(self.type, self.entry, self.previous)


class History:
    """The newest changes of objects, oldest first, at most about `limit` of them.

    A plain list: resuming in its middle is a binary search, where a deque would have to be walked.
    The front is cut in chunks, so that the cost for each change is negligible. A cut falls between
    revisions, never inside a transaction.

    Attributes:
        compacted: changes up to and including this revision are no longer kept.
        changes: the kept changes.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.compacted = 0
        self.changes: list[KeyChange] = []
        self._longest = limit + max(1, limit // 4)  # cut back to `limit` when this is reached

    def __len__(self) -> int:
        return len(self.changes)

    def append(self, change: KeyChange) -> None:
        """Add the newest change."""
        self.changes.append(change)
        if len(self.changes) >= self._longest:
            self.compact(revision_of(self.changes[len(self.changes) - self.limit - 1]))

    def compact(self, revision: int) -> None:
        """Discard the changes up to and including `revision`."""
        if revision > self.compacted:
            del self.changes[: self._position(revision)]
            self.compacted = revision

    def after(self, revision: int, prefix: str = "") -> list[KeyChange]:
        """Return the changes of keys under a prefix after a revision, oldest first."""
        later = self.changes[self._position(revision) :]
        return [change for change in later if change.entry.key.startswith(prefix)]

    def back_to(self, revision: int) -> Iterator[KeyChange]:
        """Return the changes after a revision, newest first, to undo them."""
        return reversed(self.changes[self._position(revision) :])

    def at(self, key: str, revision: int, present: KeyRevision | None) -> KeyRevision | None:
        """Return the state of a key at a revision, given its present state."""
        if present is not None and present.mod_revision <= revision:
            return present
        for change in self.back_to(revision):
            if change.entry.key == key:
                present = change.previous
        return present

    def _position(self, revision: int) -> int:
        """Return the index of the first change after a revision."""
        changes = self.changes
        if not changes or revision_of(changes[-1]) <= revision:
            return len(changes)
        return bisect_right(changes, revision, key=revision_of)


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
    "History",
    "KeyChange",
    "KeyRevision",
    "SampleRevision",
    "cut",
    "encode",
    "revision_of",
]
