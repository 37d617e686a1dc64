"""The newest changes of objects, in their order and by the value of a field.

Without locks: the store calls every method under its lock.

Source: etcd server/storage/mvcc (kvstore.go); k8s.io/apiserver/pkg/storage/cacher (watch_cache.go,
indexedTriggerFunc).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence

from kubesim.objects.selectors import field_of
from kubesim.store.base import PUT
from kubesim.store.records import KeyChange, KeyRevision, revision_of


class History:
    """The newest changes of objects, oldest first, at most about `limit` of them.

    A plain list, so that resuming in its middle is a binary search. The front is cut in chunks,
    between revisions and never inside a transaction.

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

    def after(
        self, revision: int, prefix: str = "", at_least: int | None = None
    ) -> list[KeyChange]:
        """Return the changes of keys under a prefix after a revision, oldest first.

        A client that resumes far back asks for some hundred changes at a time: only those are
        walked, however long the rest is.

        Args:
            revision: of the last change that is left out.
            prefix: of the keys.
            at_least: stop after so many, at the end of a transaction; None: all.
        """
        first = self._position(revision)
        if at_least is None:
            later = self.changes[first:]
            return [change for change in later if change.entry.key.startswith(prefix)]
        matching: list[KeyChange] = []
        for index in range(first, len(self.changes)):
            change = self.changes[index]
            if not change.entry.key.startswith(prefix):
                continue
            if len(matching) >= at_least and revision_of(matching[-1]) != revision_of(change):
                break
            matching.append(change)
        return matching

    def back_to(self, revision: int) -> Iterator[KeyChange]:
        """Return the changes after a revision, newest first, to undo them."""
        return reversed(self.changes[self._position(revision) :])

    def at(self, key: str, revision: int, present: KeyRevision | None) -> KeyRevision | None:
        """Return the state of a key at a revision, given its present state.

        Args:
            key, revision, present: what is read, and the newest state; None: it does not exist.
        """
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


class Trigger:
    """The kept changes of keys under a prefix, and the present keys, by the value of one field.

    Each of a hundred kubelets watches the pods of its node. Without an index every change of a pod
    notifies all of them, and 99 discard it. Upstream: indexedTriggerFunc of the watch cache.

    Args:
        prefix: of the keys.
        path: of the field, for example ``spec.nodeName``.
    """

    def __init__(self, prefix: str, path: str) -> None:
        self.prefix = prefix
        self.path = path
        self._fields = path.split(".")
        self._by_value: dict[str, list[KeyChange]] = {}
        self._present: dict[str, dict[str, KeyRevision]] = {}  # by value, then by key

    def add(self, change: KeyChange) -> Sequence[str]:
        """Index the newest change; return the values that it concerns."""
        entry, previous = change.entry, change.previous
        values = [self._value_in(entry.value)]
        if previous is not None and previous is not entry:
            before = self._value_in(previous.value)
            if before != values[0]:
                values.append(before)
            self._remove(before, entry.key)
        if change.type == PUT:
            self._present.setdefault(values[0], {})[entry.key] = entry
        for value in values:
            self._by_value.setdefault(value, []).append(change)
        return values

    def _remove(self, value: str, key: str) -> None:
        present = self._present.get(value, {})
        present.pop(key, None)
        if not present:
            self._present.pop(value, None)

    def index(self, entries: Iterable[KeyRevision]) -> None:
        """Index the present keys anew."""
        self._present = {}
        for entry in entries:
            if entry.key.startswith(self.prefix):
                value = self._value_in(entry.value)
                self._present.setdefault(value, {})[entry.key] = entry

    def present(self, value: str) -> list[KeyRevision]:
        """Return the present keys with a value, in ascending order."""
        entries = self._present.get(value, {})
        return [entries[key] for key in sorted(entries)]

    def _value_in(self, document: object) -> str:
        """Return the indexed field as a string, as `field_of` does; this runs at every write."""
        value = document
        for field in self._fields:
            value = value.get(field) if isinstance(value, dict) else None
        if value is None:
            return ""
        return value if isinstance(value, str) else field_of({"value": value}, "value")

    def after(self, revision: int, value: str, at_least: int | None = None) -> list[KeyChange]:
        """Return the changes that concern a value after a revision, oldest first.

        Args:
            revision, at_least: as for `History.after`.
            value: of the field, before or after a change.
        """
        changes = self._by_value.get(value, [])
        if not changes or revision_of(changes[-1]) <= revision:
            return []
        first = bisect_right(changes, revision, key=revision_of)
        if at_least is None or first + at_least >= len(changes):
            return changes[first:]
        end = first + max(1, at_least)
        while end < len(changes) and revision_of(changes[end]) == revision_of(changes[end - 1]):
            end += 1
        return changes[first:end]

    def compact(self, revision: int) -> None:
        """Discard the changes up to and including `revision`."""
        for value, changes in list(self._by_value.items()):
            del changes[: bisect_right(changes, revision, key=revision_of)]
            if not changes:
                del self._by_value[value]
