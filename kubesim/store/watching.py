"""Watches: positions in the store's history, and the index of watches to notify.

A watch has no buffer. It remembers up to which revision all changes were returned, and reads later
ones from the history when it is polled; so ten thousand watches cost a writer nothing, a slow one
blocks no writer, and one that falls behind the kept history gets `Compacted` and must list
again.

A watch whose poll returned nothing is *armed*: the next matching write notifies it, once. A busy
watch is therefore notified once for each poll and not for each change.

Source: etcd server/storage/mvcc/watchable_store.go (synced and unsynced watchers).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from kubesim.errors import WatchClosed
from kubesim.store.base import WatchEvent
from kubesim.store.keyspace import Keyspace
from kubesim.store.past import Past
from kubesim.store.records import KeyChange, cut


class StoreWatch:
    """A position in the history of the keys under a prefix. One reader at a time.

    Args:
        source: reads the changes.
        prefix: of the keys; "": all.
        revision: the watch begins with the change after it.
        on_ready: called when an event arrives after a poll that returned none.
        where: only changes that concern this value of the prefix's trigger; None: all.

    Attributes:
        revision: all matching changes up to this revision were returned.
        serial: watches of one store are numbered in the order in which they were opened.
    """

    __slots__ = (
        "_closed",
        "_on_ready",
        "_source",
        "_woken",
        "prefix",
        "revision",
        "serial",
        "where",
    )

    def __init__(
        self,
        source: ChangeSource,
        prefix: str,
        revision: int,
        on_ready: Callable[[], None] | None,
        where: str | None = None,
    ) -> None:
        self.prefix = prefix
        self.where = where
        self.revision = revision
        self.serial = 0
        self._source = source
        self._on_ready = on_ready
        self._woken: threading.Event | None = None  # created when a thread first waits
        self._closed = False

    def poll(self, limit: int | None = None) -> list[WatchEvent]:
        """Return the changes since the last poll, oldest first, each once; [] if there are none.

        Args:
            limit: about so many at most; a transaction is never split.

        Raises:
            Compacted: this watch fell behind the kept history; the client must list again.
            WatchClosed: the watch was closed.
        """
        if self._closed:
            raise WatchClosed(f"the watch of {self.prefix!r} is closed; open a new one")
        return self._source.changes_for(self, limit)

    def wait(self, timeout_seconds: float) -> bool:
        """Block the calling thread (wall time) until there may be something to poll."""
        if self._closed:
            return False
        if self._woken is None:
            self._woken = threading.Event()
        self._woken.clear()
        # A change may have come between the last poll and now: check before sleeping.
        if self._source.has_changes(self):
            return True
        return self._woken.wait(timeout_seconds)

    def notify(self) -> None:
        """Wake the reader; called by a writer, outside the lock, when an event has arrived."""
        if self._woken is not None:
            self._woken.set()
        if self._on_ready is not None and not self._closed:
            self._on_ready()

    def close(self) -> None:
        """End the watch and free its memory; no event is returned afterwards."""
        self._closed = True
        self._source.close(self)
        if self._woken is not None:
            self._woken.set()


class WatchIndex:
    """The open watches, and the armed ones by prefix. All of it is guarded by the store's lock.

    Attributes:
        on_samples: number of armed watches of samples; 0 lets their writer skip the look-up.
    """

    def __init__(self, sample_prefix: str) -> None:
        self.on_samples = 0
        self._sample_prefix = sample_prefix
        self._opened = 0
        self._watches: set[StoreWatch] = set()
        # By prefix, then by the value of a trigger; None: watches without `where`.
        self._by_prefix: dict[str, dict[str | None, set[StoreWatch]]] = {}
        self._partial: set[str] = set()  # those of them that end within a part of a key

    def __len__(self) -> int:
        return len(self._watches)

    def add(self, watch: StoreWatch, *, armed: bool) -> None:
        """Add a new watch."""
        self._opened += 1
        watch.serial = self._opened
        self._watches.add(watch)
        if armed:
            self.arm(watch)

    def arm(self, watch: StoreWatch) -> None:
        """Notify this watch of the next matching write."""
        if watch not in self._watches:
            return  # closed in the meantime
        armed = self._by_prefix.setdefault(watch.prefix, {}).setdefault(watch.where, set())
        if not watch.prefix.endswith("/"):
            self._partial.add(watch.prefix)
        if watch not in armed:
            armed.add(watch)
            self.on_samples += self._sees_samples(watch.prefix)

    def remove(self, watch: StoreWatch) -> None:
        """Remove a closed watch."""
        self._watches.discard(watch)
        groups = self._by_prefix.get(watch.prefix, {})
        armed = groups.get(watch.where)
        if armed is not None and watch in armed:
            armed.remove(watch)
            self.on_samples -= self._sees_samples(watch.prefix)
        if armed is not None and not armed:
            del groups[watch.where]
            if not groups:
                self._forget(watch.prefix)

    def _forget(self, prefix: str) -> None:
        """Remove a prefix that no armed watch has."""
        del self._by_prefix[prefix]
        self._partial.discard(prefix)

    def _armed_prefixes(self, key: str) -> list[str]:
        """Return the prefixes of a key that armed watches have, in the order in which they came.

        The parts of the key are looked up, so that the number of watched kinds costs nothing.
        """
        by_prefix = self._by_prefix
        prefixes = [prefix for prefix in self._partial if key.startswith(prefix)]
        end = key.find("/")
        while end >= 0:
            prefix = key[: end + 1]
            if prefix in by_prefix:
                prefixes.append(prefix)
            end = key.find("/", end + 1)
        if len(prefixes) < 2:
            return prefixes
        return [prefix for prefix in by_prefix if prefix in prefixes]

    def ready_for(self, key: str, values: Sequence[str] = ()) -> list[Callable[[], None]]:
        """Disarm the watches of a changed key; return their callbacks, to call outside the lock.

        Args:
            key: the changed key.
            values: of the prefix's trigger, before and after the change.
        """
        ready: list[Callable[[], None]] = []
        if not self._by_prefix:
            return ready
        for prefix in self._armed_prefixes(key):
            groups = self._by_prefix[prefix]
            watches = list(groups.pop(None, ()))
            for value in values if groups else ():
                watches += groups.pop(value, ())
            if not groups:
                self._forget(prefix)
            self.on_samples -= len(watches) * self._sees_samples(prefix)
            watches.sort(key=_serial)
            ready += [watch.notify for watch in watches]
        return ready

    def _sees_samples(self, prefix: str) -> bool:
        samples = self._sample_prefix
        return prefix.startswith(samples) or samples.startswith(prefix)


class ChangeSource:
    """Reads the history for the watches of a store.

    Args:
        lock: of the store.
        space: the keys and their history.
        watches: the index of watches.
    """

    def __init__(self, lock: threading.Lock, space: Keyspace, watches: WatchIndex) -> None:
        self._lock = lock
        self._space = space
        self._past = Past(space)
        self._watches = watches

    def open(
        self,
        prefix: str,
        since_revision: int | None,
        on_ready: Callable[[], None] | None,
        where: str | None,
    ) -> StoreWatch:
        """Open a watch; the errors are those of `EtcdStore.watch`.

        Args:
            prefix, since_revision, on_ready, where: as for `EtcdStore.watch`.
        """
        with self._lock:
            self._space.settle()
            start = self._space.revision if since_revision is None else since_revision
            self._past.check_readable(prefix, start)
            watch = StoreWatch(self, prefix, start, on_ready, where)
            # A watch of the past has events to poll already; others are armed.
            self._watches.add(watch, armed=start == self._space.revision)
        return watch

    def changes_for(self, watch: StoreWatch, limit: int | None) -> list[WatchEvent]:
        """Return the matching changes after the watch's position, and move the position."""
        with self._lock:
            self._space.settle()
            # One more than the limit shows whether the poll returns everything.
            changes = self._changes(watch, None if limit is None else limit + 1)
            position = self._space.revision
            if limit is not None and len(changes) > limit:
                changes, position = cut(changes, limit)
            watch.revision = position
            if not changes:
                self._watches.arm(watch)
        return [change.event() for change in changes]

    def has_changes(self, watch: StoreWatch) -> bool:
        """Return whether a poll would return an event; if not, arm the watch."""
        with self._lock:
            self._space.settle()
            if self._changes(watch, 1):
                return True
            self._watches.arm(watch)
            return False

    def close(self, watch: StoreWatch) -> None:
        """Remove a closed watch."""
        with self._lock:
            self._watches.remove(watch)

    def _changes(self, watch: StoreWatch, at_least: int | None) -> list[KeyChange]:
        if watch.where is None:
            return self._past.changes_after(watch.prefix, watch.revision, at_least)
        return self._past.changes_where(watch.prefix, watch.revision, watch.where, at_least)


def _serial(watch: StoreWatch) -> int:
    """Return the order of notification, that of opening, so that runs repeat."""
    return watch.serial
