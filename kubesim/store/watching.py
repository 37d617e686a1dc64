"""Watches: positions in the store's history, and the index that tells whom to wake.

A watcher owns no buffer. It remembers up to which revision it has seen everything, and pulls what
came after; so ten thousand watchers cost a writer nothing, a slow one holds nobody up, and one that
falls behind the kept history is told so (`Compacted`) and has to list again.

A watcher that polled and found nothing is *armed*: the next matching write wakes it, once. A busy
watcher is therefore woken once for each poll and not for each change.

Source: etcd server/storage/mvcc/watchable_store.go (synced and unsynced watchers).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from kubesim.errors import WatchClosed
from kubesim.store.base import WatchEvent

if TYPE_CHECKING:
    from kubesim.store.memory import EtcdStore


class StoreWatch:
    """A position in the history of the keys under a prefix. One reader at a time.

    Attributes:
        prefix: the keys that are watched.
        revision: all matching changes up to this revision were handed out.
        where: only changes that concern this value of the prefix's trigger; None: all.
        serial: watches of one store are numbered in the order in which they were opened.
    """

    __slots__ = (
        "_closed",
        "_on_ready",
        "_store",
        "_woken",
        "prefix",
        "revision",
        "serial",
        "where",
    )

    def __init__(
        self,
        store: EtcdStore,
        prefix: str,
        revision: int,
        on_ready: Callable[[], None] | None,
        where: str | None = None,
    ) -> None:
        self.prefix = prefix
        self.where = where
        self.revision = revision
        self.serial = 0
        self._store = store
        self._on_ready = on_ready
        self._woken: threading.Event | None = None  # made when a thread first waits
        self._closed = False

    def poll(self, limit: int | None = None) -> list[WatchEvent]:
        """The changes since the last poll, oldest first, each once; [] if there are none.

        Args:
            limit: at most about so many; a transaction is never cut in two.

        Raises:
            Compacted: this watcher fell behind the kept history and must list again.
            WatchClosed: the watch was closed.
        """
        if self._closed:
            raise WatchClosed(f"the watch of {self.prefix!r} is closed; open a new one")
        return self._store.changes_for(self, limit)

    def wait(self, timeout_seconds: float) -> bool:
        """Block the calling thread (wall time) until there may be something to poll."""
        if self._closed:
            return False
        if self._woken is None:
            self._woken = threading.Event()
        self._woken.clear()
        # A change may have come between the last poll and now: look before sleeping.
        if self._store.has_changes(self):
            return True
        return self._woken.wait(timeout_seconds)

    def advance(self, revision: int) -> None:
        """Move the position; called by the store, under its lock."""
        self.revision = revision

    def notify(self) -> None:
        """Called by a writer, outside the lock, when an armed watch has something to poll."""
        if self._woken is not None:
            self._woken.set()
        if self._on_ready is not None and not self._closed:
            self._on_ready()

    def close(self) -> None:
        """End the watch and free what it holds; no event is handed out afterwards."""
        self._closed = True
        self._store.close_watch(self)
        if self._woken is not None:
            self._woken.set()


class WatchIndex:
    """Which watches are armed, by prefix. Everything here is guarded by the store's lock.

    Attributes:
        on_samples: number of armed watches that samples concern; 0 lets their writer skip the
            look-up.
    """

    def __init__(self, sample_prefix: str) -> None:
        self.on_samples = 0
        self._sample_prefix = sample_prefix
        self._opened = 0
        self._watches: set[StoreWatch] = set()
        # By prefix, then by the value of a trigger; None: those that want every change.
        self._by_prefix: dict[str, dict[str | None, set[StoreWatch]]] = {}

    def __len__(self) -> int:
        return len(self._watches)

    def add(self, watch: StoreWatch, *, armed: bool) -> None:
        """A new watch."""
        self._opened += 1
        watch.serial = self._opened
        self._watches.add(watch)
        if armed:
            self.arm(watch)

    def arm(self, watch: StoreWatch) -> None:
        """Wake this watch at the next matching write."""
        if watch not in self._watches:
            return  # closed meanwhile
        armed = self._by_prefix.setdefault(watch.prefix, {}).setdefault(watch.where, set())
        if watch not in armed:
            armed.add(watch)
            self.on_samples += self._sees_samples(watch.prefix)

    def remove(self, watch: StoreWatch) -> None:
        """Forget a watch."""
        self._watches.discard(watch)
        groups = self._by_prefix.get(watch.prefix, {})
        armed = groups.get(watch.where)
        if armed is not None and watch in armed:
            armed.remove(watch)
            self.on_samples -= self._sees_samples(watch.prefix)
        if armed is not None and not armed:
            del groups[watch.where]
            if not groups:
                del self._by_prefix[watch.prefix]

    def ready_for(self, key: str, values: Sequence[str] = ()) -> list[Callable[[], None]]:
        """Disarm the watches that a change of `key` concerns; what to call outside the lock.

        Args:
            key: what was changed.
            values: of the prefix's trigger, before and after the change.
        """
        found: list[Callable[[], None]] = []
        for prefix in [p for p in self._by_prefix if key.startswith(p)]:
            groups = self._by_prefix[prefix]
            watches = list(groups.pop(None, ()))
            for value in values if groups else ():
                watches += groups.pop(value, ())
            if not groups:
                del self._by_prefix[prefix]
            self.on_samples -= len(watches) * self._sees_samples(prefix)
            watches.sort(key=_serial)
            found += [watch.notify for watch in watches]
        return found

    def _sees_samples(self, prefix: str) -> bool:
        samples = self._sample_prefix
        return prefix.startswith(samples) or samples.startswith(prefix)


def _serial(watch: StoreWatch) -> int:
    """Watches are woken in the order in which they were opened, so that runs repeat."""
    return watch.serial
