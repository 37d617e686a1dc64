"""The keys and their history, without locks: the store calls every method under its lock.

Keys stand in a dictionary for look-ups and in a sorted list for prefixes: updating a key is one
dictionary step, and a prefix is two binary searches. Objects and samples have a history each.

Source: etcd server/storage/mvcc (index.go, kvstore.go).
"""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import Any

from kubesim.errors import Compacted, FutureRevision
from kubesim.objects.frozen import Document
from kubesim.store.base import DELETE, PUT, Sample
from kubesim.store.records import Cell, Change, Entry, Expand, History


class Keyspace:
    """Keys, values and the newest changes.

    Attributes:
        revision: of the newest write.
        objects, samples: the two histories.
        cells: each key's present state: an entry, or the lean cell of a sample.
    """

    def __init__(
        self, history_limit: int, sample_limit: int, sample_prefix: str, expand: Expand | None
    ) -> None:
        self.revision = 0
        self.sample_prefix = sample_prefix
        self.expand = expand or _plain
        self.objects = History(history_limit)
        self.samples = History(sample_limit, self.expand)
        self.cells: dict[str, Entry | Cell] = {}
        self.keys: list[str] = []  # of cells, sorted

    # -- reading --------------------------------------------------------------------------------

    def get(self, key: str) -> Entry | None:
        """The key now. Needs no lock: the look-up is one step, and what it finds never changes."""
        cell = self.cells.get(key)
        return self.samples.entry_of(cell) if type(cell) is tuple else cell  # type: ignore[return-value]

    def get_at(self, key: str, revision: int) -> Entry | None:
        """The key as it was at a revision."""
        self.check_readable(key, revision)
        return self.history_of(key).at(key, revision, self.get(key))

    def present(
        self, prefix: str, start_after: str = "", at_most: int | None = None
    ) -> list[Entry]:
        """The entries under a prefix, in ascending order of key."""
        keys, cells, entry_of = self.keys, self.cells, self.samples.entry_of
        start = bisect_left(keys, max(prefix, start_after + "\0" if start_after else ""))
        end = bisect_left(keys, _after(prefix), lo=start) if prefix else len(keys)
        if at_most is not None:
            end = min(end, start + at_most)
        found = [cells[key] for key in keys[start:end]]
        return [entry_of(cell) if type(cell) is tuple else cell for cell in found]  # type: ignore[misc]

    def past(self, prefix: str, revision: int, start_after: str = "") -> list[Entry]:
        """The entries as they were: the present with every later change taken back."""
        self.check_readable(prefix, revision)
        state = {entry.key: entry for entry in self.present(prefix)}
        for history in self.histories(prefix):
            for change in history.back_to(revision):
                key = change.entry.key
                if key.startswith(prefix):
                    if change.previous is None:
                        state.pop(key, None)
                    else:
                        state[key] = change.previous
        return [state[key] for key in sorted(state) if key > start_after]

    def changes_after(self, prefix: str, revision: int) -> list[Change]:
        """The changes under a prefix after a revision, oldest first.

        Raises:
            Compacted: not all of them are kept.
        """
        histories = self.histories(prefix)
        compacted = max(history.compacted for history in histories)
        if revision < compacted:
            raise Compacted(revision, compacted)
        found = [change for history in histories for change in history.after(revision, prefix)]
        if len(histories) > 1:
            found.sort(key=lambda change: change.entry.mod_revision)
        return found

    def history_of(self, key: str) -> History:
        """The history that a key's changes go to."""
        return self.samples if key.startswith(self.sample_prefix) else self.objects

    def histories(self, prefix: str) -> list[History]:
        """The histories in which changes under a prefix may be."""
        if prefix.startswith(self.sample_prefix):
            return [self.samples]
        if self.sample_prefix.startswith(prefix):
            return [self.objects, self.samples]
        return [self.objects]

    def check_readable(self, prefix: str, revision: int) -> None:
        """Raise Compacted or FutureRevision if that revision of these keys cannot be read."""
        if revision > self.revision:
            raise FutureRevision(revision, self.revision)
        compacted = max(history.compacted for history in self.histories(prefix))
        if revision < compacted:
            raise Compacted(revision, compacted)

    # -- writing; the caller raises `revision` --------------------------------------------------

    def put(self, key: str, value: Any, revision: int, lease: int) -> int:
        """Write a key; returns the lease that it hung on before."""
        previous = self.get(key)
        if previous is None:
            insort(self.keys, key)
            entry = Entry(key, value, revision, revision, 1, lease)
        else:
            version = previous.version + 1
            entry = Entry(key, value, previous.create_revision, revision, version, lease)
        self.cells[key] = entry
        self.history_of(key).append(Change(PUT, entry, previous))
        return previous.lease if previous is not None else 0

    def first_sample(self, key: str, sample: Sample, revision: int) -> None:
        """Write the first sample of a key; later ones take the way written out in the store."""
        if key in self.cells:  # somebody wrote a document under this key with `set`
            self.put(key, self.expand(key, sample), revision, 0)
            return
        insort(self.keys, key)
        cell = (revision, key, sample, revision, 1)
        self.cells[key] = cell
        self.samples.append((cell, None))

    def remove(self, key: str, revision: int) -> Entry | None:
        """Delete a key; what it was."""
        previous = self.get(key)
        if previous is None:
            return None
        del self.cells[key]
        del self.keys[bisect_left(self.keys, key)]
        self.history_of(key).append(Change(DELETE, previous.deleted_at(revision), previous))
        return previous

    def compact(self, revision: int) -> None:
        """Forget the changes up to and including `revision`; that state itself stays readable."""
        if revision > self.revision:
            raise FutureRevision(revision, self.revision)
        if revision <= self.objects.compacted:
            raise Compacted(revision, self.objects.compacted)
        self.objects.compact(revision)
        self.samples.compact(revision)

    def load(self, revision: int, entries: list[Entry]) -> None:
        """Take over the state of a snapshot; the history begins there."""
        for entry in entries:
            if entry.key.startswith(self.sample_prefix) and type(entry.raw) is tuple:
                created, version = entry.create_revision, entry.version
                cell = (entry.mod_revision, entry.key, entry.raw, created, version)
                self.cells[entry.key] = cell
            else:
                self.cells[entry.key] = entry
        self.keys = sorted(self.cells)
        self.revision = revision
        self.objects.compact(revision)
        self.samples.compact(revision)


def _plain(key: str, sample: Sample) -> Document:
    return {"key": key, "sample": list(sample)}


def _after(prefix: str) -> str:
    """The least text that is greater than every text with this prefix."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)
