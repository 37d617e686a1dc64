"""The samples: their present state and their newest history, in rows.

A pod's sample is written a million times a second on virtual time and read now and then, so a write
is one tuple and everything else is worked out by the reader. A *row* is

    (key, seconds, window_seconds, container, cpu_milli, memory_bytes, container, cpu_milli, ...)

and rows of consecutive revisions stand in a *block*: the revision of a row is its place. What the
rows before the first block left behind is the *base*, the state at the compacted revision.

No method takes a lock: the store calls every one under its own.

Source: the idea of etcd's append-only backend with an index beside it (server/storage/mvcc/
kvstore.go, index.go); the role of the metrics-server's point store (pkg/storage/pod.go).
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import count
from operator import attrgetter, itemgetter
from typing import Any, NamedTuple

from kubesim.objects.frozen import Document
from kubesim.store.base import DELETE, PUT, Sample
from kubesim.store.records import Change, Entry

Row = tuple[Any, ...]
Expand = Callable[[str, Sample], Document]

key_of = itemgetter(0)


class Written(NamedTuple):
    """In a row (key, Written): a document that somebody wrote by hand under a sample's key."""

    value: Any
    lease: int


class Gone(NamedTuple):
    """In a row (key, Gone): the key was deleted; its last state."""

    row: Row
    create_revision: int
    version: int


class Block:
    """Rows of consecutive revisions.

    Attributes:
        first, last: revisions of the first and the last row.
        rows: the rows.
        special: one row, and not a plain sample.
    """

    __slots__ = ("first", "last", "rows", "special")

    def __init__(self, first: int, rows: list[Row], *, special: bool = False) -> None:
        self.first = first
        self.last = first + len(rows) - 1
        self.rows = rows
        self.special = special


class SampleLog:
    """Samples by key, and the newest of their changes.

    Args:
        limit: rows that are kept, about.
        expand: makes a document of a sample when it is read.

    Attributes:
        compacted: rows up to and including this revision are gone.
        latest: each key's newest row.
    """

    def __init__(self, limit: int, expand: Expand) -> None:
        self.limit = limit
        self.compacted = 0
        self.latest: dict[str, Row] = {}
        self._expand = expand
        self._created: dict[str, int] = {}
        self._versions: Counter[str] = Counter()
        self._blocks: list[Block] = []
        self._size = 0
        self._longest = limit + max(1, limit // 4)  # cut back to `limit` when this is reached
        self._base: dict[str, Row] = {}
        self._base_revisions: dict[str, int] = {}

    def __len__(self) -> int:
        return self._size

    # -- writing --------------------------------------------------------------------------------

    def extend(self, first: int, rows: list[Row]) -> None:
        """Take in plain samples; the first has revision `first`, each further one the next."""
        known = len(self._versions)
        self.latest.update(zip(map(key_of, rows), rows, strict=True))
        self._versions.update(map(key_of, rows))
        if len(self._versions) != known:
            for number, row in enumerate(rows):
                self._created.setdefault(row[0], first + number)
        self._add(Block(first, rows))

    def write(self, key: str, value: Any, lease: int, revision: int) -> None:
        """Take in a document that was written by hand."""
        self.latest[key] = row = (key, Written(value, lease))
        self._versions[key] += 1
        self._created.setdefault(key, revision)
        self._add(Block(revision, [row], special=True))

    def remove(self, key: str, revision: int) -> None:
        """Delete a key that is there."""
        gone = Gone(self.latest.pop(key), self._created.pop(key), self._versions.pop(key))
        self._add(Block(revision, [(key, gone)], special=True))

    def load(self, entries: list[Entry], revision: int) -> None:
        """Take over the state of a snapshot; the history begins after it."""
        for entry in entries:
            key, raw = entry.key, entry.raw
            plain = type(raw) is tuple
            self.latest[key] = row_of(key, raw) if plain else (key, Written(raw, entry.lease))
            self._created[key] = entry.create_revision
            self._versions[key] = entry.version
            self._base_revisions[key] = entry.mod_revision
        self._base = dict(self.latest)
        self.compacted = revision

    def compact(self, revision: int) -> None:
        """Forget the rows up to and including `revision`; the base takes in what they did."""
        if revision <= self.compacted:
            return
        self.compacted = revision
        whole = 0
        for block in self._blocks:
            if block.last > revision:
                break
            self._forget(block)
            whole += 1
        del self._blocks[:whole]
        if self._blocks and self._blocks[0].first <= revision:
            block = self._blocks[0]
            part = revision - block.first + 1
            self._forget(Block(block.first, block.rows[:part]))
            self._blocks[0] = Block(revision + 1, block.rows[part:])

    def _add(self, block: Block) -> None:
        self._blocks.append(block)
        self._size += len(block.rows)
        if self._size >= self._longest:
            self.compact(self._revision_at(self._size - self.limit - 1))

    def _forget(self, block: Block) -> None:
        rows = block.rows
        self._size -= len(rows)
        if block.special and isinstance(rows[0][1], Gone):
            self._base.pop(rows[0][0], None)
            self._base_revisions.pop(rows[0][0], None)
        else:
            self._base.update(zip(map(key_of, rows), rows, strict=True))
            self._base_revisions.update(zip(map(key_of, rows), count(block.first), strict=False))

    def _revision_at(self, index: int) -> int:
        """The revision of the row with that index, counted from the oldest."""
        for block in self._blocks:
            if index < len(block.rows):
                return block.first + index
            index -= len(block.rows)
        return self.compacted

    # -- reading --------------------------------------------------------------------------------

    def get(self, key: str) -> Entry | None:
        """A key now."""
        return self.present([key]).get(key) if key in self.latest else None

    def present(self, keys: list[str]) -> dict[str, Entry]:
        """The present entries of keys that are there."""
        facts = {key: (self._created[key], self._versions[key]) for key in keys}
        return self._entries(facts, self._back(self.compacted))

    def past(self, prefix: str, revision: int) -> dict[str, Entry]:
        """The entries under a prefix as they were at a revision."""
        facts = {
            key: (self._created[key], self._versions[key])
            for key in self.latest
            if key.startswith(prefix)
        }
        back = self._back(self.compacted)
        earlier: list[tuple[int, Row]] = []
        for at, row in back:
            if at <= revision:
                earlier.append((at, row))
                break
            if row[0].startswith(prefix):
                _undo(row, facts)
        return self._entries(facts, (item for part in (earlier, back) for item in part))

    def changes_after(self, prefix: str, revision: int) -> list[Change]:
        """The changes under a prefix after a revision, oldest first."""
        facts: dict[str, tuple[int, int]] = {}
        found: list[Change] = []
        open_: dict[str, Change] = {}  # the state before them comes next, going back
        for at, row in self._back(revision):
            key = row[0]
            if not key.startswith(prefix):
                continue
            if key not in facts:
                facts[key] = (self._created.get(key, 0), self._versions.get(key, 0))
            gone = row[1] if isinstance(row[1], Gone) else None
            if gone is not None:
                last = self._entry(at, gone.row, gone.create_revision, gone.version)
                change = Change(DELETE, last, None)
            else:
                change = Change(PUT, self._entry(at, row, *facts[key]), None)
                if key in open_:
                    open_[key].previous = change.entry
            _undo(row, facts)
            if key in facts:
                open_[key] = change
            else:
                open_.pop(key, None)
            found.append(change)
        before = self._entries({key: facts[key] for key in open_}, self._back_from(revision))
        for key, change in open_.items():
            change.previous = before.get(key)
        found.reverse()
        return found

    def rows_after(self, revision: int, limit: int | None) -> list[tuple[int, str, Sample]]:
        """Plain samples after a revision, oldest first, as (revision, key, sample)."""
        found: list[tuple[int, str, Sample]] = []
        start = bisect_right(self._blocks, revision, key=attrgetter("last"))
        for block in self._blocks[start:]:
            if block.special:
                continue
            skipped = max(0, revision + 1 - block.first)
            rows = block.rows[skipped : None if limit is None else skipped + limit - len(found)]
            numbered = enumerate(rows, block.first + skipped)
            found += [(at, row[0], sample_of(row)) for at, row in numbered]
            if limit is not None and len(found) >= limit:
                break
        return found

    def _back(self, revision: int) -> Iterator[tuple[int, Row]]:
        """(revision, row) of what came after a revision, newest first."""
        for block in reversed(self._blocks):
            if block.last <= revision:
                return
            for index in range(len(block.rows) - 1, -1, -1):
                if block.first + index <= revision:
                    return
                yield block.first + index, block.rows[index]

    def _back_from(self, revision: int) -> Iterator[tuple[int, Row]]:
        """(revision, row) up to a revision, newest first."""
        end = bisect_right(self._blocks, revision, key=attrgetter("first"))
        for block in reversed(self._blocks[:end]):
            newest = min(len(block.rows) - 1, revision - block.first)
            for index in range(newest, -1, -1):
                yield block.first + index, block.rows[index]

    def _entries(
        self, facts: dict[str, tuple[int, int]], back: Iterator[tuple[int, Row]]
    ) -> dict[str, Entry]:
        """Entries of keys whose (create_revision, version) are known; rows are looked up."""
        wanted = dict(facts)
        found: dict[str, Entry] = {}
        for at, row in back if wanted else ():
            if row[0] in wanted:
                found[row[0]] = self._entry(at, row, *wanted.pop(row[0]))
                if not wanted:
                    break
        for key, (created, version) in wanted.items():
            at, row = self._base_revisions[key], self._base[key]
            found[key] = self._entry(at, row, created, version)
        return found

    def _entry(self, revision: int, row: Row, created: int, version: int) -> Entry:
        if len(row) == 2:  # only by hand
            return Entry(row[0], row[1].value, created, revision, version, row[1].lease)
        return Entry(row[0], sample_of(row), created, revision, version, 0, self._expand)


def _undo(row: Row, facts: dict[str, tuple[int, int]]) -> None:
    """Take one row back in {key: (create_revision, version)}."""
    key = row[0]
    if isinstance(row[1], Gone):
        facts[key] = (row[1].create_revision, row[1].version)
    else:
        created, version = facts[key]
        if version == 1:
            del facts[key]
        else:
            facts[key] = (created, version - 1)


def row_of(key: str, sample: Sample) -> Row:
    """A sample (seconds, window, ((container, cpu, memory), ...)) as a row.

    >>> row_of("/p", (1.0, 1.0, (("main", 150, 64),)))
    ('/p', 1.0, 1.0, 'main', 150, 64)
    """
    seconds, window, containers = sample
    return (key, seconds, window, *(part for container in containers for part in container))


def sample_of(row: Row) -> Sample:
    """A row as a sample.

    >>> sample_of(("/p", 1.0, 1.0, "main", 150, 64))
    (1.0, 1.0, (('main', 150, 64),))
    """
    if len(row) == 6:
        return (row[1], row[2], (row[3:],))
    return (row[1], row[2], tuple(row[at : at + 3] for at in range(3, len(row), 3)))
