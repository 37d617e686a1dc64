"""The keys and their history, without locks: the store calls every method under its lock.

Keys are in a dictionary for look-ups and in a sorted list for prefixes: updating a key is one
dictionary step, and a prefix is two binary searches. Samples are in a `SampleLog`.

Source: etcd server/storage/mvcc (index.go, kvstore.go); k8s.io/apiserver/pkg/storage/cacher
(watch_cache.go, indexedTriggerFunc).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator, Sequence

from kubesim.errors import Compacted, FutureRevision
from kubesim.objects.frozen import Document
from kubesim.objects.selectors import field_of
from kubesim.store.base import DELETE, PUT
from kubesim.store.quota import SpaceQuota
from kubesim.store.records import Expand, KeyChange, KeyRevision, plain_sample, revision_of
from kubesim.store.samplelog import SampleLog, SampleRow


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

    def present(
        self, prefix: str, start_after: str = "", at_most: int | None = None
    ) -> list[KeyRevision]:
        """Return the present keys under a prefix, in ascending order.

        Args:
            prefix, start_after, at_most: as for `Store.list`; at_most None: all.
        """
        keys, entries = self.keys, self.entries
        start = bisect_left(keys, max(prefix, start_after + "\0" if start_after else ""))
        with_samples = self.sees_samples(prefix)
        if not with_samples and (start == len(keys) or not keys[start].startswith(prefix)):
            return []  # the usual case for quotas, limit ranges and priority classes
        end = bisect_left(keys, after_prefix(prefix), lo=start) if prefix else len(keys)
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
        end = bisect_left(self.keys, after_prefix(prefix), lo=first) if prefix else len(self.keys)
        samples = self.samples.latest if self.sees_samples(prefix) else ()
        return end - first + sum(key.startswith(prefix) for key in samples)

    def present_where(self, prefix: str, value: str) -> list[KeyRevision]:
        """Return the present keys with a value of the prefix's trigger, in ascending order."""
        return self.trigger_of(prefix).present(value)

    def add_trigger(self, prefix: str, path: str) -> None:
        """Index the keys under a prefix, and their later changes, by a field."""
        self.triggers.append(Trigger(prefix, path))
        self.triggers[-1].index(self.entries.values())

    def trigger_of(self, prefix: str) -> Trigger:
        """Return the index of the keys under a prefix."""
        return next(each for each in self.triggers if each.prefix == prefix)

    def sees_samples(self, prefix: str) -> bool:
        """Return whether some keys under a prefix may be samples."""
        return prefix.startswith(self.sample_prefix) or self.sample_prefix.startswith(prefix)

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
        self.revision = revision
        self.objects.compact(revision)


def after_prefix(prefix: str) -> str:
    """Return the least string that is greater than every string with this prefix."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)
