"""What the store keeps: entries, changes, and the bounded history of them.

An `Entry` is a key at one revision, a `Change` is a step from one entry to the next, a `History` is
the newest changes in order of revision. All are immutable once made, so readers share them.

Usage samples take a leaner form, since they are written a million times a second on virtual time:
a *cell* is a tuple, and becomes an `Entry` when somebody reads it.

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
Cell = tuple[int, str, Sample, int, int]
"""A sample at one revision: (mod_revision, key, sample, create_revision, version)."""


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


SampleStep = tuple[Cell, Cell | None]
"""A step of one sample: the cell after it, and the one before."""


class History:
    """The newest changes, oldest first, at most about `limit` of them.

    A plain list: resuming in its middle is a binary search, where a deque would have to be walked.
    The front is cut in chunks, so that dropping costs nothing for each change. Cuts happen between
    revisions, never inside a transaction.

    Attributes:
        compacted: changes up to and including this revision are gone.
        steps: changes, and sample steps in their lean form; read them through the methods.
    """

    def __init__(self, limit: int, expand: Expand | None = None) -> None:
        self.limit = limit
        self.compacted = 0
        self.steps: list[Change | SampleStep] = []
        self.longest = limit + max(1, limit // 4)  # cut back to `limit` when this is reached
        self._expand = expand

    def __len__(self) -> int:
        return len(self.steps)

    def append(self, change: Change | SampleStep) -> None:
        """Add the newest change."""
        self.steps.append(change)
        if len(self.steps) >= self.longest:
            self.trim()

    def trim(self) -> None:
        """Drop the oldest changes, down to about `limit`."""
        self.compact(_revision_of(self.steps[len(self.steps) - self.limit - 1]))

    def compact(self, revision: int) -> None:
        """Forget the changes up to and including `revision`."""
        if revision > self.compacted:
            del self.steps[: self._position(revision)]
            self.compacted = revision

    def steps_after(self, revision: int, limit: int | None = None) -> list[Change | SampleStep]:
        """The changes after a revision in the form in which they are kept, oldest first."""
        start = self._position(revision)
        return self.steps[start : None if limit is None else start + limit]

    def after(self, revision: int, prefix: str = "") -> list[Change]:
        """The changes of keys under a prefix after a revision, oldest first."""
        start = self._position(revision)
        found = []
        for step in self.steps[start:]:
            key = step[0][1] if type(step) is tuple else step.entry.key  # type: ignore[union-attr]
            if key.startswith(prefix):
                found.append(self._full(step))
        return found

    def back_to(self, revision: int) -> Iterator[Change]:
        """The changes after a revision, newest first, for taking them back."""
        return map(self._full, reversed(self.steps[self._position(revision) :]))

    def at(self, key: str, revision: int, present: Entry | None) -> Entry | None:
        """The key as it was at a revision, given how it is now."""
        if present is not None and present.mod_revision <= revision:
            return present
        for change in self.back_to(revision):
            if change.entry.key == key:
                present = change.previous
        return present

    def entry_of(self, cell: Cell) -> Entry:
        """A sample's cell as an entry."""
        revision, key, sample, created, version = cell
        return Entry(key, sample, created, revision, version, 0, self._expand)

    def _full(self, step: Change | SampleStep) -> Change:
        if isinstance(step, Change):
            return step
        cell, previous = step
        before = self.entry_of(previous) if previous is not None else None
        return Change(PUT, self.entry_of(cell), before)

    def _position(self, revision: int) -> int:
        """Index of the first change after a revision."""
        steps = self.steps
        if not steps or _revision_of(steps[-1]) <= revision:
            return len(steps)
        return bisect_right(steps, revision, key=_revision_of)


def _revision_of(step: Change | SampleStep) -> int:
    return step.entry.mod_revision if isinstance(step, Change) else step[0][0]


__all__ = ["DELETE", "PUT", "Cell", "Change", "Entry", "Expand", "History", "SampleStep", "encode"]
