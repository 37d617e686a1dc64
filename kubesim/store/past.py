"""Reading earlier revisions and the changes since, without locks.

The store calls every method under its lock.

Source: etcd server/storage/mvcc (kvstore_txn.go, watchable_store.go).
"""

from __future__ import annotations

from bisect import bisect_left

from kubesim.errors import Compacted, FutureRevision
from kubesim.store.keyspace import Keyspace, after_prefix
from kubesim.store.records import KeyChange, KeyRevision


class Past:
    """The earlier revisions of a keyspace.

    Args:
        space: the keys, and their newest changes.
    """

    def __init__(self, space: Keyspace) -> None:
        self._space = space

    def get_at(self, key: str, revision: int) -> KeyRevision | None:
        """Return a key's state at a revision."""
        self.check_readable(key, revision)
        if key.startswith(self._space.sample_prefix):
            return self._space.samples.past(key, revision).get(key)
        present = self._space.entries.get(key)
        if present is not None and present.mod_revision <= revision:
            return present
        for change in self._space.objects.back_to(revision):
            if change.entry.key == key:
                present = change.previous
        return present

    def past(self, prefix: str, revision: int, start_after: str = "") -> list[KeyRevision]:
        """Return the keys at a revision: the present ones with every later change undone.

        Args:
            prefix, revision, start_after: as for `Store.list`.
        """
        self.check_readable(prefix, revision)
        start = bisect_left(self._space.keys, prefix)
        end = (
            bisect_left(self._space.keys, after_prefix(prefix), lo=start)
            if prefix
            else len(self._space.keys)
        )
        state = {key: self._space.entries[key] for key in self._space.keys[start:end]}
        for change in self._space.objects.back_to(revision):
            key = change.entry.key
            if key.startswith(prefix):
                if change.previous is None:
                    state.pop(key, None)
                else:
                    state[key] = change.previous
        if self._space.sees_samples(prefix):
            state |= self._space.samples.past(prefix, revision)
        return [state[key] for key in sorted(state) if key > start_after]

    def changes_after(
        self, prefix: str, revision: int, at_least: int | None = None
    ) -> list[KeyChange]:
        """Return the changes after a revision, oldest first; raise Compacted if some are gone.

        Args:
            prefix, revision, at_least: as for `History.after`.
        """
        compacted = self._compacted(prefix)
        if revision < compacted:
            raise Compacted(revision, compacted)
        if not self._space.sees_samples(prefix):
            return self._space.objects.after(revision, prefix, at_least)
        changes = self._space.samples.changes_after(prefix, revision)
        if not prefix.startswith(self._space.sample_prefix):
            changes += self._space.objects.after(revision, prefix)
            changes.sort(key=lambda change: change.entry.mod_revision)
        return changes

    def changes_where(
        self, prefix: str, revision: int, value: str, at_least: int | None = None
    ) -> list[KeyChange]:
        """Return those of the changes that concern a value of the prefix's trigger.

        Args:
            prefix, revision, value: return only the changes after the revision.
            at_least: as for `History.after`.
        """
        compacted = self._space.objects.compacted
        if revision < compacted:
            raise Compacted(revision, compacted)
        return self._space.trigger_of(prefix).after(revision, value, at_least)

    def check_readable(self, prefix: str, revision: int) -> None:
        """Raise Compacted or FutureRevision if that revision of these keys cannot be read."""
        if revision > self._space.revision:
            raise FutureRevision(revision, self._space.revision)
        compacted = self._compacted(prefix)
        if revision < compacted:
            raise Compacted(revision, compacted)

    def _compacted(self, prefix: str) -> int:
        if prefix.startswith(self._space.sample_prefix):
            return self._space.samples.compacted
        if self._space.sees_samples(prefix):
            return max(self._space.objects.compacted, self._space.samples.compacted)
        return self._space.objects.compacted
