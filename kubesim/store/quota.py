"""How much a store holds, in bytes: the quota of etcd's backend, and a bound of the history.

etcd counts the bytes of its file, with the old versions in it. Here nothing is encoded at a write,
so sizes are estimated: a document of at most `LIGHT_BYTES` counts as much as the average of those
that were weighed, every larger one with what it occupies in memory. One write in about
`LONGEST_INTERVAL` is weighed; after a large document each write is, until none is large; and so is
each write as soon as less than `EXACT_BYTES` are left below the quota. Of a write of many keys some
`SAMPLED_KEYS` stand for all, as long as none of them is large and the quota is far.

As in etcd, `size` is that of the file: it grows with what is stored, and shrinks only when the
store is defragmented.

Source: etcd server/storage/quota.go (BackendQuota, costPut), server/etcdserver/apply/
apply.go (applierV3Capped); server/storage/mvcc/kvstore_compaction.go.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from sys import getsizeof

from kubesim.errors import NoSpace
from kubesim.store.records import PUT, KeyChange, KeyRevision

QUOTA_BYTES = 1024**3  # etcd: 2 GiB; a process has less memory than a machine has disk
HISTORY_BYTES = 128 * 1024**2  # of old versions; at most a quarter of the quota
KEY_BYTES = 256  # what etcd adds for the metadata of a key (kvOverhead)
LIGHT_BYTES = 16 * 1024
LIGHT_STRUCTURE_BYTES = 128 * 1024  # of the dictionaries and lists of such a document
LONGEST_INTERVAL = 256  # revisions between two weighed writes, on average
SAMPLED_KEYS = 16  # of one write
EXACT_BYTES = 256 * 1024**2
MOST_SWEPT = 512  # changes that are weighed when a large document was found
NOSPACE = "NOSPACE"


class SpaceQuota:
    """The bytes of one store. Everything here is guarded by the store's lock.

    Args:
        quota_bytes: a write that would exceed it is refused, and raises the alarm; below 0: none.
        history_bytes: of old versions that are kept; None: the default, or a quarter of the quota.

    Attributes:
        limit: the quota; 0: none.
        alarm: NOSPACE is active: only deletions and compactions are accepted.
        next_check: the revision from which on the next write has to be weighed by `admit`.
        weighed: sizes of the large documents of the write that was admitted last, by key.
        dropped: changes up to this revision were compacted because of their bytes.
    """

    def __init__(self, quota_bytes: int, history_bytes: int | None) -> None:
        self.limit = max(0, quota_bytes)
        default = min(HISTORY_BYTES, self.limit // 4) if self.limit else HISTORY_BYTES
        self._history_limit = default if history_bytes is None else history_bytes
        self.alarm = False
        self.next_check = 0
        self.weighed: dict[str, int] = {}
        self.dropped = 0
        self._size = 0
        self._live = 0  # of the large documents that are the present state of their key
        self._old = 0  # of the large documents that only the history holds
        self._replaced: deque[tuple[int, int]] = deque()  # (since which revision, bytes) of those
        self._light_bytes = self._light_count = 0  # of the other documents that were weighed
        self._interval, self._noise = 1, 1
        self._swept = 0  # every large document up to this revision is counted

    # -- writing --------------------------------------------------------------------------------

    def admit(
        self,
        puts: Sequence[tuple[str, object]],
        revision: int,
        entries: Mapping[str, KeyRevision],
        changes: Sequence[KeyChange],
    ) -> int:
        """Weigh a write, before anything is written.

        Args:
            puts: (key, frozen value) pairs.
            revision: that the write takes.
            entries: the present state of the keys.
            changes: the history, oldest first.

        Returns:
            The number of oldest changes to compact, because small documents fill the history.

        Raises:
            NoSpace: the write exceeds the quota, or the alarm is active.
        """
        if self.alarm:
            raise NoSpace()
        self.weighed = {}
        size = self._grown(entries, changes)
        stride = max(1, len(puts) // SAMPLED_KEYS)
        cost = stride * sum(self._weigh(key, value) for key, value in puts[::stride])
        if stride > 1 and (self.weighed or self._is_near(size + cost)):
            rest = (put for index, put in enumerate(puts) if index % stride)
            cost, stride = cost // stride + sum(self._weigh(*put) for put in rest), 1
        if self.weighed:
            self._sweep(entries, changes)
            size = self._grown(entries, changes)
        if self.limit and size + cost >= self.limit:
            self.alarm, self.next_check, self.weighed = True, 0, {}
            raise NoSpace()
        exact = self._is_near(size)
        if exact and changes and changes[-1].entry.mod_revision > self._swept:
            self._sweep(entries, changes)
        complete = stride == 1 and (exact or self._interval == 1)
        self._swept = revision if complete else self._swept
        self._schedule(revision, often=bool(exact or self.weighed))
        light = self._average() * len(changes)
        return len(changes) // 4 if light + self._old > self._history_limit else 0

    def _is_near(self, size: int) -> bool:
        """Return whether a file of this size is so near to the quota that each write counts."""
        return bool(self.limit) and self.limit - size < EXACT_BYTES

    def _weigh(self, key: str, value: object) -> int:
        text, structure = weigh(value)
        if text > LIGHT_BYTES or structure > LIGHT_STRUCTURE_BYTES:
            self.weighed[key] = text + structure
        else:
            self._light_bytes += text + KEY_BYTES
            self._light_count += 1
        return self.weighed.get(key, text) + len(key) + KEY_BYTES

    def _schedule(self, revision: int, *, often: bool) -> None:
        """Choose the next write to weigh; by chance, since writes may come in a fixed pattern."""
        self._interval = 1 if often else min(LONGEST_INTERVAL, self._interval * 2)
        self._noise = (self._noise * 1103515245 + 12345) & 0x7FFFFFFF
        self.next_check = revision + 1 + (self._noise >> 16) % (2 * self._interval - 1)

    def stored(self, entry: KeyRevision, previous: KeyRevision | None) -> None:
        """Count a new version of a key; needed only if it was weighed, or the last one is large."""
        size = self.weighed.pop(entry.key, 0)
        if previous is not None and previous.size:
            size = size or large_bytes(entry.value)
            self.removed(previous, entry.mod_revision)
        self._live += entry.keep_size(size)

    def removed(self, previous: KeyRevision, revision: int) -> None:
        """Count a large document that only the history holds since `revision`."""
        self._live -= previous.size
        self._old += previous.size
        self._replaced.append((revision, previous.size))

    def surplus(self, revision: int) -> int:
        """Return the revision to compact to, because large documents fill the history; or 0.

        Args:
            revision: that is being written, which stays.
        """
        rest, until = self._old, 0
        if rest > self._history_limit:
            for since, size in self._replaced:
                if since >= revision or rest <= self._history_limit * 3 // 4:
                    break
                rest, until = rest - size, since
        self.dropped = max(self.dropped, until)
        return until

    def compacted(self, revision: int) -> None:
        """Take note that the changes up to a revision were discarded."""
        while self._replaced and self._replaced[0][0] <= revision:
            self._old -= self._replaced.popleft()[1]

    def load(self, entries: Iterable[KeyRevision]) -> None:
        """Count the keys of a snapshot; nothing was counted before."""
        for entry in entries:
            cost = self._weigh(entry.key, entry.value)
            self._live += entry.keep_size(cost if entry.key in self.weighed else 0)
        self.weighed = {}

    def _sweep(self, entries: Mapping[str, KeyRevision], changes: Sequence[KeyChange]) -> None:
        """Weigh the newest changes that were not: large documents often come together."""
        fresh: set[KeyRevision] = set()
        late: list[tuple[int, int]] = []
        for change in changes[-MOST_SWEPT:]:
            entry, revision = change.entry, change.entry.mod_revision
            if revision > self._swept and change.previous in fresh:
                late.append((revision, change.previous.size if change.previous else 0))
            if revision > self._swept and change.type == PUT and not entry.size:
                if entry.keep_size(large_bytes(entry.value)):
                    fresh.add(entry)
        if changes:
            self._swept = changes[-1].entry.mod_revision
        self._live += sum(entry.size for entry in fresh if entries.get(entry.key) is entry)
        self._old += sum(size for _, size in late)
        if late:
            self._replaced = deque(sorted([*self._replaced, *late]))

    # -- reading --------------------------------------------------------------------------------

    def in_use(self, entries: Mapping[str, KeyRevision], changes: Sequence[KeyChange]) -> int:
        """Return the bytes of what is kept: present and old versions.

        Args:
            entries: the present state of the keys.
            changes: the history.
        """
        versions = max(len(entries), len(changes))
        return self._live + self._old + int(self._average() * versions)

    def size(self, entries: Mapping[str, KeyRevision], changes: Sequence[KeyChange]) -> int:
        """Return the bytes of the file: the most that was in use since it was defragmented."""
        return self._grown(entries, changes)

    def _grown(self, entries: Mapping[str, KeyRevision], changes: Sequence[KeyChange]) -> int:
        self._size = max(self._size, self.in_use(entries, changes))
        return self._size

    def _average(self) -> float:
        """Return the average size of a document that is not large."""
        return self._light_bytes / self._light_count if self._light_count else 0.0

    # -- maintenance ----------------------------------------------------------------------------

    def defragment(self) -> None:
        """Give the free pages of the file back."""
        self._size = 0

    def disarm(self) -> None:
        """End the alarm; the next write is weighed, and may raise it again."""
        self.alarm, self.next_check = False, 0


def large_bytes(value: object) -> int:
    """Return the bytes of a large document; 0 for one that is not counted by itself."""
    text, structure = weigh(value)
    return text + structure if text > LIGHT_BYTES or structure > LIGHT_STRUCTURE_BYTES else 0


def weigh(value: object) -> tuple[int, int]:
    """Return about how many bytes a JSON value has as text, and its structure adds in memory.

    >>> weigh({"a": "bc"})[0]
    13
    """
    text = structure = 0
    waiting: list[Iterable[object]] = [(value,)]
    while waiting:
        values = waiting.pop()
        if isinstance(values, dict):
            text += len("".join(values)) + 4 * len(values) + 1
            values = values.values()
        for each in values:
            if isinstance(each, str):
                size = len(each)
                text += size + 3 if size < 100 else getsizeof(each)  # long ones may be wide
                structure += 49
            elif isinstance(each, (dict, list)):
                structure += getsizeof(each)
                waiting.append(each)
                text += 2
            else:
                text += 6
    return text, structure
