"""Stores with one mistake each, as people make them; the witness must find every one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kubesim.objects.frozen import freeze
from kubesim.store import EtcdStore, TxnResult
from kubesim.store.base import ListResult
from kubesim.store.keyspace import Keyspace
from kubesim.store.records import KeyChange, KeyRevision


class _NoLock:
    """A lock that locks nothing."""

    def acquire(self) -> bool:
        return True

    def release(self) -> None:
        return None

    def __enter__(self) -> _NoLock:
        return self

    def __exit__(self, *_error: object) -> None:
        return None


class NoLockAtAll(EtcdStore):
    """Every writer for himself."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = self._source._lock = self._journal._lock = _NoLock()  # type: ignore[assignment]


class CompareOutsideTheLock(EtcdStore):
    """Checks first, locks later."""

    def txn(
        self,
        compare: Sequence[tuple[str, int]],
        puts: Sequence[tuple[str, Any]] = (),
        deletes: Sequence[str] = (),
        *,
        lease: int = 0,
    ) -> TxnResult:
        for key, expected in compare:
            entry = self.get(key)
            if (entry.mod_revision if entry is not None else 0) != expected:
                return TxnResult(False, self.revision)
        return super().txn((), puts, deletes, lease=lease)


class EventsOutsideTheLock(EtcdStore):
    """Writes under the lock, tells afterwards: changes overtake each other."""

    def set(self, key: str, value: Any, *, lease: int = 0) -> int:
        frozen = freeze(value)
        space = self._space
        with self._lock:
            revision = space.revision + 1
            previous = space.get(key)
            created = previous.create_revision if previous is not None else revision
            version = previous.version + 1 if previous is not None else 1
            entry = KeyRevision(key, frozen, created, revision, version)
            if previous is None:
                space.keys.append(key)
                space.keys.sort()
            space.entries[key] = entry
            space.revision = revision
        space.objects.append(KeyChange("PUT", entry, previous))
        return revision


class RevisionReadApart(EtcdStore):
    """A list takes the items and, later, the revision."""

    def list(
        self,
        prefix: str,
        revision: int | None = None,
        *,
        limit: int | None = None,
        start_after: str = "",
    ) -> ListResult:
        result = super().list(prefix, revision, limit=limit, start_after=start_after)
        items = tuple(kv for kv in result.items if kv.key.startswith(prefix))
        return ListResult(items, self.revision, result.more)


class RevisionTakenEarly(EtcdStore):
    """Draws its revision before it takes the lock."""

    def set(self, key: str, value: Any, *, lease: int = 0) -> int:
        frozen = freeze(value)
        revision = self._space.revision + 1
        with self._lock:
            self._put(key, frozen, revision, lease)
            self._space.revision = max(revision, self._space.revision)
        return revision


class ListInPieces(EtcdStore):
    """A list that takes the lock for each key anew."""

    def list(
        self,
        prefix: str,
        revision: int | None = None,
        *,
        limit: int | None = None,
        start_after: str = "",
    ) -> ListResult:
        at = self.revision
        found = (self.get(key) for key in [k for k in self._space.keys if k.startswith(prefix)])
        return ListResult(tuple(kv for kv in found if kv is not None), at)


BROKEN = (
    NoLockAtAll,
    CompareOutsideTheLock,
    EventsOutsideTheLock,
    RevisionReadApart,
    RevisionTakenEarly,
    ListInPieces,
)


class _ClearsFirst(Keyspace):
    """Empties the journal, then places what was in it."""

    def settle(self) -> None:
        rows = self.journal[:]
        del self.journal[: len(rows)]
        if rows:
            self.samples.extend(self.revision + 1, rows)
            self.revision += len(rows)


class _ClearsAll(Keyspace):
    """Throws away what was appended while it placed."""

    def settle(self) -> None:
        rows = self.journal[:]
        if rows:
            self.samples.extend(self.revision + 1, rows)
            self.revision += len(rows)
        self.journal.clear()


class JournalClearedFirst(EtcdStore):
    """A reader finds the journal empty and the sample not yet placed."""

    def __init__(self) -> None:
        super().__init__()
        self._space.__class__ = _ClearsFirst


class JournalClearedWhole(EtcdStore):
    """A sample that comes at the wrong moment is lost."""

    def __init__(self) -> None:
        super().__init__()
        self._space.__class__ = _ClearsAll


__all__ = ["BROKEN", "JournalClearedFirst", "JournalClearedWhole"]
