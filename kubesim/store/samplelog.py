"""Usage samples: their present state and their newest history, in rows.

Samples are written a million times a second on virtual time and rarely read, so a write is one
tuple and everything else is computed by the reader. A *row* is

    (key, seconds, window_seconds, container, cpu_milli, memory_bytes, container, cpu_milli, ...)

and rows of consecutive revisions form a *block*: the position of a row gives its revision. The
*base* is the state at the compacted revision, before the first block.

No method takes a lock: the store calls all of them under its own.

Source: the idea of etcd's append-only backend with an index next to it (server/storage/mvcc/
kvstore.go, index.go); the role of the metrics-server's point store (pkg/storage/pod.go).
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from itertools import count
from operator import attrgetter, itemgetter
from typing import Any, Literal, NamedTuple

from kubesim.objects.frozen import Document
from kubesim.store.base import DELETE, PUT, Sample
from kubesim.store.records import Expand, KeyChange, KeyRevision, SampleRevision

SampleRow = tuple[Any, ...]

key_of = itemgetter(0)


class ManualWrite(NamedTuple):
    """In a row (key, ManualWrite): a document that was written by `set` under a sample's key."""

    value: Document
    lease: int


class DeletedSample(NamedTuple):
    """In a row (key, DeletedSample): the last state of a key that was deleted."""

    row: SampleRow
    create_revision: int
    version: int


class Block:
    """Rows of consecutive revisions.

    Attributes:
        first, last: revisions of the first and the last row.
        rows: the rows.
        special: it has one row, which is not a plain sample.
    """

    __slots__ = ("first", "last", "rows", "special")

    def __init__(self, first: int, rows: list[SampleRow], *, special: bool = False) -> None:
        self.first = first
        self.last = first + len(rows) - 1
        self.rows = rows
        self.special = special


class SampleLog:
    """Samples by key, and the newest of their changes.

    Args:
        limit: about so many rows are kept.
        expand: makes a document of a sample when it is read.

    Attributes:
        compacted: rows up to and including this revision are no longer kept.
        latest: each key's newest row.
    """

    def __init__(self, limit: int, expand: Expand) -> None:
        self.limit = limit
        self.compacted = 0
        self.latest: dict[str, SampleRow] = {}
        self._expand = expand
        self._created: dict[str, int] = {}
        self._versions: Counter[str] = Counter()
        self._blocks: list[Block] = []
        self._size = 0
        self._longest = limit + max(1, limit // 4)  # cut back to `limit` when this is reached
        self._base: dict[str, SampleRow] = {}
        self._base_revisions: dict[str, int] = {}

    def __len__(self) -> int:
        return self._size

    # -- writing --------------------------------------------------------------------------------

    def extend(self, first: int, rows: list[SampleRow]) -> None:
        """Append plain samples; the first has revision `first`, each further one the next."""
        before = len(self._versions)
        self.latest.update(zip(map(key_of, rows), rows, strict=True))
        self._versions.update(map(key_of, rows))
        if len(self._versions) != before:
            for number, row in enumerate(rows):
                self._created.setdefault(row[0], first + number)
        self._add(Block(first, rows))

    def write(self, key: str, value: Document, lease: int, revision: int) -> None:
        """Append a document that was written by `set`.

        Args:
            key: the key.
            value: the document.
            lease: id of its lease; 0: none.
            revision: revision of the write.
        """
        self.latest[key] = row = (key, ManualWrite(value, lease))
        self._versions[key] += 1
        self._created.setdefault(key, revision)
        self._add(Block(revision, [row], special=True))

    def remove(self, key: str, revision: int) -> None:
        """Delete an existing key."""
        deleted = DeletedSample(
            self.latest.pop(key), self._created.pop(key), self._versions.pop(key)
        )
        self._add(Block(revision, [(key, deleted)], special=True))

    def load(self, entries: list[KeyRevision], revision: int) -> None:
        """Load the state of a snapshot; the history begins after it."""
        for entry in entries:
            key, raw = entry.key, entry.raw
            if isinstance(raw, tuple):
                self.latest[key] = row_of(key, raw)
            else:
                self.latest[key] = (key, ManualWrite(raw, entry.lease))
            self._created[key] = entry.create_revision
            self._versions[key] = entry.version
            self._base_revisions[key] = entry.mod_revision
        self._base = dict(self.latest)
        self.compacted = revision

    def compact(self, revision: int) -> None:
        """Discard the rows up to and including `revision`; the base becomes their result."""
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
        if block.special and isinstance(rows[0][1], DeletedSample):
            self._base.pop(rows[0][0], None)
            self._base_revisions.pop(rows[0][0], None)
        else:
            self._base.update(zip(map(key_of, rows), rows, strict=True))
            self._base_revisions.update(zip(map(key_of, rows), count(block.first), strict=False))

    def _revision_at(self, index: int) -> int:
        """Return the revision of the row with that index, counted from the oldest."""
        for block in self._blocks:
            if index < len(block.rows):
                return block.first + index
            index -= len(block.rows)
        return self.compacted

    # -- reading --------------------------------------------------------------------------------

    def newest(self, key: str) -> Sample | None:
        """Return the newest sample of a key as a tuple, or None."""
        row = self.latest.get(key)
        return None if row is None or isinstance(row[1], ManualWrite) else sample_of(row)

    def get(self, key: str) -> KeyRevision | None:
        """Return a key's present state."""
        return self.present([key]).get(key) if key in self.latest else None

    def present(self, keys: list[str]) -> dict[str, KeyRevision]:
        """Return the present state of existing keys."""
        facts = {key: (self._created[key], self._versions[key]) for key in keys}
        return self._entries(facts, self._back(self.compacted))

    def past(self, prefix: str, revision: int) -> dict[str, KeyRevision]:
        """Return the keys under a prefix at a revision."""
        facts = {
            key: (self._created[key], self._versions[key])
            for key in self.latest
            if key.startswith(prefix)
        }
        back = self._back(self.compacted)
        earlier: list[tuple[int, SampleRow]] = []
        for at, row in back:
            if at <= revision:
                earlier.append((at, row))
                break
            if row[0].startswith(prefix):
                _undo(row, facts)
        return self._entries(facts, (item for part in (earlier, back) for item in part))

    def changes_after(self, prefix: str, revision: int) -> list[KeyChange]:
        """Return the changes under a prefix after a revision, oldest first."""
        facts: dict[str, tuple[int, int]] = {}
        changes: list[tuple[Literal["PUT", "DELETE"], KeyRevision]] = []
        previous: dict[int, KeyRevision | None] = {}  # by position in `changes`
        open_: dict[str, int] = {}  # positions whose previous state comes next, going back
        for at, row in self._back(revision):
            key = row[0]
            if not key.startswith(prefix):
                continue
            if key not in facts:
                facts[key] = (self._created.get(key, 0), self._versions.get(key, 0))
            deleted = row[1] if isinstance(row[1], DeletedSample) else None
            if deleted is not None:
                last = self._entry(at, deleted.row, deleted.create_revision, deleted.version)
                changes.append((DELETE, last))
            else:
                entry = self._entry(at, row, *facts[key])
                if key in open_:
                    previous[open_[key]] = entry
                changes.append((PUT, entry))
            _undo(row, facts)
            if key in facts:
                open_[key] = len(changes) - 1
            else:
                open_.pop(key, None)
        before = self._entries({key: facts[key] for key in open_}, self._back_from(revision))
        previous.update((position, before.get(key)) for key, position in open_.items())
        return [
            KeyChange(type, entry, previous.get(position))
            for position, (type, entry) in reversed(list(enumerate(changes)))
        ]

    def rows_after(self, revision: int, limit: int | None) -> list[tuple[int, str, Sample]]:
        """Return (revision, key, sample) of the plain samples after a revision, oldest first."""
        samples: list[tuple[int, str, Sample]] = []
        start = bisect_right(self._blocks, revision, key=attrgetter("last"))
        for block in self._blocks[start:]:
            if block.special:
                continue
            skipped = max(0, revision + 1 - block.first)
            rows = block.rows[skipped : None if limit is None else skipped + limit - len(samples)]
            numbered = enumerate(rows, block.first + skipped)
            samples += [(at, row[0], sample_of(row)) for at, row in numbered]
            if limit is not None and len(samples) >= limit:
                break
        return samples

    def keys_after(self, revision: int) -> set[str]:
        """Return the keys that were written or deleted after a revision."""
        keys: set[str] = set()
        start = bisect_right(self._blocks, revision, key=attrgetter("last"))
        for block in self._blocks[start:]:
            keys.update(map(key_of, block.rows[max(0, revision + 1 - block.first) :]))
        return keys

    def _back(self, revision: int) -> Iterator[tuple[int, SampleRow]]:
        """Yield (revision, row) of the rows after a revision, newest first."""
        for block in reversed(self._blocks):
            if block.last <= revision:
                return
            for index in range(len(block.rows) - 1, -1, -1):
                if block.first + index <= revision:
                    return
                yield block.first + index, block.rows[index]

    def _back_from(self, revision: int) -> Iterator[tuple[int, SampleRow]]:
        """Yield (revision, row) of the rows up to a revision, newest first."""
        end = bisect_right(self._blocks, revision, key=attrgetter("first"))
        for block in reversed(self._blocks[:end]):
            newest = min(len(block.rows) - 1, revision - block.first)
            for index in range(newest, -1, -1):
                yield block.first + index, block.rows[index]

    def _entries(
        self, facts: dict[str, tuple[int, int]], back: Iterator[tuple[int, SampleRow]]
    ) -> dict[str, KeyRevision]:
        """Return the states of keys whose (create_revision, version) are known."""
        missing = dict(facts)
        states: dict[str, KeyRevision] = {}
        for at, row in back if missing else ():
            if row[0] in missing:
                states[row[0]] = self._entry(at, row, *missing.pop(row[0]))
                if not missing:
                    break
        for key, (created, version) in missing.items():
            at, row = self._base_revisions[key], self._base[key]
            states[key] = self._entry(at, row, created, version)
        return states

    def _entry(self, revision: int, row: SampleRow, created: int, version: int) -> KeyRevision:
        if len(row) == 2:  # a ManualWrite
            return KeyRevision(row[0], row[1].value, created, revision, version, row[1].lease)
        return SampleRevision(row[0], sample_of(row), created, revision, version, self._expand)


def _undo(row: SampleRow, facts: dict[str, tuple[int, int]]) -> None:
    """Undo one row in {key: (create_revision, version)}."""
    key = row[0]
    if isinstance(row[1], DeletedSample):
        facts[key] = (row[1].create_revision, row[1].version)
    else:
        created, version = facts[key]
        if version == 1:
            del facts[key]
        else:
            facts[key] = (created, version - 1)


def row_of(key: str, sample: Sample) -> SampleRow:
    """Flatten a sample (seconds, window, ((container, cpu, memory), ...)) to a row.

    >>> row_of("/p", (1.0, 1.0, (("main", 150, 64),)))
    ('/p', 1.0, 1.0, 'main', 150, 64)
    """
    seconds, window, containers = sample
    return (key, seconds, window, *(part for container in containers for part in container))


def sample_of(row: SampleRow) -> Sample:
    """Return the sample of a row.

    >>> sample_of(("/p", 1.0, 1.0, "main", 150, 64))
    (1.0, 1.0, (('main', 150, 64),))
    """
    if len(row) == 6:
        return (row[1], row[2], (row[3:],))
    return (row[1], row[2], tuple(row[at : at + 3] for at in range(3, len(row), 3)))
