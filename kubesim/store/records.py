"""What the store keeps: entries, changes, and the bounded history of them.

An `Entry` is a key at one revision, a `Change` is a step from one entry to the next, a `History` is
the newest changes in order of revision. All are immutable once made, so readers share them.

Usage samples take a leaner form, since they are written a million times a second on virtual time
(`samplelog`); they become entries and changes when somebody reads them.

Source: etcd api/mvccpb/kv.proto; server/storage/mvcc/kvstore.go.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator
from json import JSONEncoder
from typing import Any, Literal

from kubesim.objects.frozen import Document, freeze
from kubesim.store.base import DELETE, PUT, Sample, WatchEvent

# One kept encoder: json.dumps with arguments builds a new one at each call.
encode = JSONEncoder(separators=(",", ":"), allow_nan=False, ensure_ascii=False).encode

Expand = Callable[[str, Sample], Document]


class Entry:
    """One key at one revision (mvccpb.KeyValue); `value` and `encoded` are made at first read."""

    __slots__ = (
        "_bytes",
        "_document",
        "_expand",
        "create_revision",
        "key",
        "lease",
        "mod_revision",
        "raw",
        "version",
        "view",
    )

    def __init__(
        self,
        key: str,
        raw: Any,
        create_revision: int,
        mod_revision: int,
        version: int,
        lease: int = 0,
        expand: Expand | None = None,
    ) -> None:
        self.key = key
        self.raw = raw  # the frozen document, or a sample's tuple
        self.create_revision = create_revision
        self.mod_revision = mod_revision
        self.version = version
        self.lease = lease
        self._expand = expand
        self._document: Any = None
        self._bytes: bytes | None = None
        self.view: Any = None  # a form derived from the value, kept here by whoever derives it

    @property
    def value(self) -> Any:
        """The JSON document, frozen."""
        if self._expand is None:
            return self.raw
        if self._document is None:
            self._document = freeze(self._expand(self.key, self.raw))
        return self._document

    @property
    def encoded(self) -> bytes:
        """The value as compact JSON in UTF-8."""
        if self._bytes is None:
            self._bytes = encode(self.value).encode()
        return self._bytes

    def deleted_at(self, revision: int) -> Entry:
        """The same value as the last state before its deletion."""
        return Entry(
            self.key,
            self.raw,
            self.create_revision,
            revision,
            self.version,
            self.lease,
            self._expand,
        )

    def __repr__(self) -> str:
        return f"KeyValue({self.key!r}, mod_revision={self.mod_revision}, value={self.value!r})"


class Change:
    """A step of one key: the entry after it, and the one before (None if the key was created)."""

    __slots__ = ("entry", "previous", "type")

    def __init__(
        self, type: Literal["PUT", "DELETE"], entry: Entry, previous: Entry | None
    ) -> None:
        self.type = type
        self.entry = entry
        self.previous = previous

    def event(self) -> WatchEvent:
        """The change as a watcher sees it."""
        return WatchEvent(self.type, self.entry, self.previous)


class History:
    """The newest changes of objects, oldest first, at most about `limit` of them.

    A plain list: resuming in its middle is a binary search, where a deque would have to be walked.
    The front is cut in chunks, so that dropping costs nothing for each change. Cuts happen between
    revisions, never inside a transaction.

    Attributes:
        compacted: changes up to and including this revision are gone.
        changes: the changes.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.compacted = 0
        self.changes: list[Change] = []
        self._longest = limit + max(1, limit // 4)  # cut back to `limit` when this is reached

    def __len__(self) -> int:
        return len(self.changes)

    def append(self, change: Change) -> None:
        """Add the newest change."""
        self.changes.append(change)
        if len(self.changes) >= self._longest:
            self.compact(_revision_of(self.changes[len(self.changes) - self.limit - 1]))

    def compact(self, revision: int) -> None:
        """Forget the changes up to and including `revision`."""
        if revision > self.compacted:
            del self.changes[: self._position(revision)]
            self.compacted = revision

    def after(self, revision: int, prefix: str = "") -> list[Change]:
        """The changes of keys under a prefix after a revision, oldest first."""
        later = self.changes[self._position(revision) :]
        return [change for change in later if change.entry.key.startswith(prefix)]

    def back_to(self, revision: int) -> Iterator[Change]:
        """The changes after a revision, newest first, for taking them back."""
        return reversed(self.changes[self._position(revision) :])

    def at(self, key: str, revision: int, present: Entry | None) -> Entry | None:
        """The key as it was at a revision, given how it is now."""
        if present is not None and present.mod_revision <= revision:
            return present
        for change in self.back_to(revision):
            if change.entry.key == key:
                present = change.previous
        return present

    def _position(self, revision: int) -> int:
        """Index of the first change after a revision."""
        changes = self.changes
        if not changes or _revision_of(changes[-1]) <= revision:
            return len(changes)
        return bisect_right(changes, revision, key=_revision_of)


def _revision_of(change: Change) -> int:
    return change.entry.mod_revision


def cut(found: list[Change], limit: int) -> tuple[list[Change], int]:
    """At most `limit` changes, but never half of a transaction; and the position after them."""
    end = max(1, limit)
    while end < len(found) and found[end].entry.mod_revision == found[end - 1].entry.mod_revision:
        end += 1
    return found[:end], found[end - 1].entry.mod_revision


__all__ = ["DELETE", "PUT", "Change", "Entry", "Expand", "History", "cut", "encode"]
