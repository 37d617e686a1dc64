"""The keys and their history, without locks: the store calls every method under its lock.

Keys are in a dictionary for look-ups and in a sorted list for prefixes: updating a key is one
dictionary step, and a prefix is two binary searches. Samples are in a `SampleLog`.

Source: etcd server/storage/mvcc (index.go, kvstore.go); k8s.io/apiserver/pkg/storage/cacher.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence

from kubesim.errors import Compacted, FutureRevision
from kubesim.objects.frozen import Document
from kubesim.store.base import DELETE, PUT
from kubesim.store.history import History, Trigger
from kubesim.store.quota import SpaceQuota
from kubesim.store.records import Expand, KeyChange, KeyRevision, plain_sample, revision_of
from kubesim.store.samplelog import SampleLog, SampleRow


class Keyspace:
    """Keys, values and the newest changes.

    Args:
        history_limit: number of changes to objects that are kept.
        sample_limit: number of changes to samples that are kept.
        sample_prefix: prefix of the samples' keys.
        expand: makes a document of a sample; None: samples are documents.
        quota: counts the bytes; None: without limits.

    Attributes:
        revision: of the newest write.
        objects: the history of everything but samples.
        samples: the samples and their history.
        triggers: indexes of changes by the value of a field.
        entries: each object's present state.
        quota: counts the bytes, and limits them.
        journal: samples that were written and have no revision yet, in order; see `settle`.
    """

    def __init__(
        self,
        history_limit: int,
        sample_limit: int,
        sample_prefix: str,
        expand: Expand | None,
        quota: SpaceQuota | None = None,
    ) -> None:
        self.quota = quota or SpaceQuota(-1, None)
        self.revision = 0
        self.sample_prefix = sample_prefix
        self.expand = expand or plain_sample
        self.objects = History(history_limit)
        self.triggers: list[Trigger] = []
        self._concerned: dict[str, Sequence[str]] = {}  # by key: values of triggers
        self.samples = SampleLog(sample_limit, self.expand)
        self.entries: dict[str, KeyRevision] = {}
        self.keys: list[str] = []  # of entries, sorted
        self.journal: list[SampleRow] = []  # appended to without the lock

    # -- reading --------------------------------------------------------------------------------

    def get(self, key: str) -> KeyRevision | None:
        """Return a key's present state."""
        if key.startswith(self.sample_prefix):
            return self.samples.get(key)
        return self.entries.get(key)

    def get_at(self, key: str, revision: int) -> KeyRevision | None:
        """Return a key's state at a revision."""
        self.check_readable(key, revision)
        if key.startswith(self.sample_prefix):
            return self.samples.past(key, revision).get(key)
        return self.objects.at(key, revision, self.entries.get(key))

    def present(
        self, prefix: str, start_after: str = "", at_most: int | None = None
    ) -> list[KeyRevision]:
        """Return the present keys under a prefix, in ascending order.

        Args:
            prefix, start_after, at_most: as for `Store.list`; at_most None: all.
        """
        keys, entries = self.keys, self.entries
        start = bisect_left(keys, max(prefix, start_after + "\0" if start_after else ""))
        with_samples = self._sees_samples(prefix)
        if not with_samples and (start == len(keys) or not keys[start].startswith(prefix)):
            return []  # the usual case for quotas, limit ranges and priority classes
        end = bisect_left(keys, _after(prefix), lo=start) if prefix else len(keys)
        if not with_samples:
            if at_most is not None:
                end = min(end, start + at_most)
            return [entries[key] for key in keys[start:end]]
        sample_keys = [k for k in self.samples.latest if k.startswith(prefix) and k > start_after]
        states = self.samples.present(sample_keys) | {key: entries[key] for key in keys[start:end]}
        return [states[key] for key in sorted(states)[:at_most]]

    def count(self, prefix: str) -> int:
        """Settle the journal; return the number of present keys under a prefix."""
        self.settle()
        first = bisect_left(self.keys, prefix)
        end = bisect_left(self.keys, _after(prefix), lo=first) if prefix else len(self.keys)
        if not self._sees_samples(prefix):
            return end - first
        return end - first + sum(key.startswith(prefix) for key in self.samples.latest)

    def present_where(self, prefix: str, value: str) -> list[KeyRevision]:
        """Return the present keys with a value of the prefix's trigger, in ascending order."""
        return self._trigger(prefix).present(value)

    def add_trigger(self, prefix: str, path: str) -> None:
        """Index the keys under a prefix, and their later changes, by a field."""
        trigger = Trigger(prefix, path)
        trigger.index(self.entries.values())
        self.triggers.append(trigger)

    def _trigger(self, prefix: str) -> Trigger:
        return next(each for each in self.triggers if each.prefix == prefix)

    def past(self, prefix: str, revision: int, start_after: str = "") -> list[KeyRevision]:
        """Return the keys at a revision: the present ones with every later change undone.

        Args:
            prefix, revision, start_after: as for `Store.list`.
        """
        self.check_readable(prefix, revision)
        start = bisect_left(self.keys, prefix)
        end = bisect_left(self.keys, _after(prefix), lo=start) if prefix else len(self.keys)
        state = {key: self.entries[key] for key in self.keys[start:end]}
        for change in self.objects.back_to(revision):
            key = change.entry.key
            if key.startswith(prefix):
                if change.previous is None:
                    state.pop(key, None)
                else:
                    state[key] = change.previous
        if self._sees_samples(prefix):
            state |= self.samples.past(prefix, revision)
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
        if not self._sees_samples(prefix):
            return self.objects.after(revision, prefix, at_least)
        changes = self.samples.changes_after(prefix, revision)
        if not prefix.startswith(self.sample_prefix):
            changes += self.objects.after(revision, prefix)
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
        compacted = self.objects.compacted
        if revision < compacted:
            raise Compacted(revision, compacted)
        return self._trigger(prefix).after(revision, value, at_least)

    def _compacted(self, prefix: str) -> int:
        if prefix.startswith(self.sample_prefix):
            return self.samples.compacted
        if self._sees_samples(prefix):
            return max(self.objects.compacted, self.samples.compacted)
        return self.objects.compacted

    def _sees_samples(self, prefix: str) -> bool:
        return prefix.startswith(self.sample_prefix) or self.sample_prefix.startswith(prefix)

    def check_readable(self, prefix: str, revision: int) -> None:
        """Raise Compacted or FutureRevision if that revision of these keys cannot be read."""
        if revision > self.revision:
            raise FutureRevision(revision, self.revision)
        compacted = self._compacted(prefix)
        if revision < compacted:
            raise Compacted(revision, compacted)

    # -- writing --------------------------------------------------------------------------------

    def settle(self) -> None:
        """Give the samples of the journal their revisions, in the order of arrival.

        Every other read or write settles first, so that a sample appears to be stored at once. This
        saves taking the lock for each of a million samples a second.
        """
        rows = self.journal[:]  # a copy: other threads may append concurrently
        if not rows:
            return
        self.samples.extend(self.revision + 1, rows)
        self.revision += len(rows)
        # Last, so that a reader without the lock sees an empty journal only if all are settled.
        del self.journal[: len(rows)]

    def commit(self, revision: int) -> None:
        """Publish a revision after all of its keys were written or deleted."""
        self.revision = revision

    # The caller of these calls `commit` afterwards.

    def put(self, key: str, value: Document, revision: int, lease: int) -> int:
        """Write a key; return the lease that it was attached to before.

        Args:
            key, value, revision, lease: the value is frozen; a lease of 0 is none.
        """
        if key.startswith(self.sample_prefix):
            previous = self.samples.get(key)
            self.samples.write(key, value, lease, revision)
            return previous.lease if previous is not None else 0
        previous = self.entries.get(key)
        if previous is None:
            insort(self.keys, key)
            entry = KeyRevision(key, value, revision, revision, 1, lease)
            if self.quota.weighed:
                self.quota.stored(entry, None)
        else:
            created, version = previous.create_revision, previous.version + 1
            entry = KeyRevision(key, value, created, revision, version, lease)
            if previous.size or self.quota.weighed:
                self.quota.stored(entry, previous)
                self._make_room(self.quota.surplus(revision))
        self.entries[key] = entry
        self._append(KeyChange(PUT, entry, previous))
        return previous.lease if previous is not None else 0

    def _append(self, change: KeyChange) -> None:
        for trigger in self.triggers:
            if change.entry.key.startswith(trigger.prefix):
                key = change.entry.key
                self._concerned[key] = (*self._concerned.get(key, ()), *trigger.add(change))
        before = self.objects.compacted
        self.objects.append(change)
        if self.objects.compacted != before:
            self._discarded()

    def concerned(self, key: str) -> Sequence[str]:
        """Return, once, the values of triggers that the last change of a key concerns."""
        return self._concerned.pop(key, ()) if self._concerned else ()

    def _discarded(self) -> None:
        for trigger in self.triggers:
            trigger.compact(self.objects.compacted)
        self.quota.compacted(self.objects.compacted)

    def admit(self, puts: Sequence[tuple[str, object]], revision: int) -> None:
        """Weigh a write before it is made; compact the history if small documents fill it.

        Raises:
            NoSpace: it exceeds the quota of the store.
        """
        changes = self.objects.changes
        surplus = self.quota.admit(puts, revision, self.entries, changes)
        if surplus:
            self._make_room(revision_of(changes[surplus - 1]))

    def _make_room(self, revision: int) -> None:
        if revision > self.objects.compacted:
            self.objects.compact(revision)
            self._discarded()

    def remove(self, key: str, revision: int) -> KeyRevision | None:
        """Delete a key; return its last state, None if it does not exist."""
        previous = self.get(key)
        if previous is None:
            return None
        if key.startswith(self.sample_prefix):
            self.samples.remove(key, revision)
            return previous
        if previous.size:
            self.quota.removed(previous, revision)
            self._make_room(self.quota.surplus(revision))
        del self.entries[key]
        del self.keys[bisect_left(self.keys, key)]
        self._append(KeyChange(DELETE, previous.deleted_at(revision), previous))
        return previous

    def compact(self, revision: int) -> None:
        """Discard the changes up to and including `revision`; that state itself stays readable."""
        if revision > self.revision:
            raise FutureRevision(revision, self.revision)
        if revision <= self.objects.compacted:
            raise Compacted(revision, self.objects.compacted)
        self.objects.compact(revision)
        self.samples.compact(revision)
        self._discarded()

    def load(self, revision: int, entries: list[KeyRevision]) -> None:
        """Load the state of a snapshot; the history begins there."""
        samples = [e for e in entries if e.key.startswith(self.sample_prefix)]
        self.samples.load(samples, revision)
        self.entries = {e.key: e for e in entries if not e.key.startswith(self.sample_prefix)}
        self.keys = sorted(self.entries)
        self.quota.load(self.entries.values())
        for trigger in self.triggers:
            trigger.index(self.entries.values())
        self.revision = revision
        self.objects.compact(revision)


def _after(prefix: str) -> str:
    """Return the least string that is greater than every string with this prefix."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)
