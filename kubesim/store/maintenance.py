"""What an administrator does to a store: its status, its alarm, and how to get space back.

`etcdctl endpoint status`, `etcdctl alarm list`, `etcdctl defrag` and `etcdctl alarm disarm`. A
store whose quota is used up accepts no write but deletions. The way out is that of etcd:

>>> from kubesim.store import EtcdStore
>>> store = EtcdStore(quota_bytes=100_000)
>>> store.set("/a", "x" * 99_000)
1
>>> store.set("/b", "x" * 1_000)
Traceback (most recent call last):
...
kubesim.errors.NoSpace: etcdserver: mvcc: database space exceeded (delete objects, then ...)
>>> store.maintenance.status().alarms
('NOSPACE',)
>>> store.delete("/a")
2
>>> store.compact(store.revision)                # etcdctl compact 2
>>> store.maintenance.defragment()               # etcdctl defrag
>>> store.maintenance.disarm()                   # etcdctl alarm disarm
>>> store.set("/b", "x" * 1_000)
3

Source: etcd api/etcdserverpb/rpc.proto (service Maintenance), server/etcdserver/api/v3alarm;
https://etcd.io/docs/v3.6/op-guide/maintenance/#space-quota.
"""

from __future__ import annotations

from threading import Lock

from kubesim.store.administration import StoreStatus
from kubesim.store.keyspace import Keyspace
from kubesim.store.quota import NOSPACE


class Maintenance:
    """The maintenance of one store.

    Args:
        lock: of the store.
        space: its keys and their history.

    Attributes:
        quota: counts the bytes.
    """

    def __init__(self, lock: Lock, space: Keyspace) -> None:
        self._lock = lock
        self._space = space
        self.quota = space.quota

    def status(self) -> StoreStatus:
        """Return sizes in bytes, the quota and the active alarms."""
        space = self._space
        with self._lock:
            space.settle()
            quota, entries, changes = space.quota, space.entries, space.objects.changes
            return StoreStatus(
                space.revision,
                space.objects.compacted,
                quota.size(entries, changes),
                quota.in_use(entries, changes),
                quota.limit,
                (NOSPACE,) if quota.alarm else (),
            )

    def defragment(self) -> None:
        """Give back what compaction has freed: `db_size` becomes `db_size_in_use`."""
        with self._lock:
            self._space.quota.defragment()

    def disarm(self) -> None:
        """End the alarm. The next write that exceeds the quota raises it again."""
        with self._lock:
            self._space.quota.disarm()

    def counts(self) -> dict[str, int]:
        """Return how much the store has and keeps."""
        with self._lock:
            space = self._space
            space.settle()
            return {
                "revision": space.revision,
                "keys": len(space.keys) + len(space.samples.latest),
                "changes": len(space.objects),
                "samples": len(space.samples),
                "compact_revision": space.objects.compacted,
            }
