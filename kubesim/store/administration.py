"""The protocols of what an administrator sees of a store, and does to it.

Source: etcd api/etcdserverpb/rpc.proto (service Maintenance).
"""

from __future__ import annotations

from typing import NamedTuple, Protocol


class StoreStatus(NamedTuple):
    """The status of a store (etcd: StatusResponse).

    Attributes:
        revision: of the newest write.
        compact_revision: changes up to it are no longer kept.
        db_size: bytes that are allocated: the most that was in use since the last defragmentation.
        db_size_in_use: bytes of the present and the old versions of all keys.
        quota: a write that would exceed it is refused; 0: none.
        alarms: NOSPACE, or nothing.
    """

    revision: int
    compact_revision: int
    db_size: int
    db_size_in_use: int
    quota: int
    alarms: tuple[str, ...]


class Dropped(Protocol):
    """What has left the history early.

    Attributes:
        dropped: changes up to this revision were compacted because of their bytes.
    """

    dropped: int


class Maintained(Protocol):
    """What an administrator does to a store (etcd: service Maintenance)."""

    @property
    def quota(self) -> Dropped:
        """What bounds the store in bytes."""

    def status(self) -> StoreStatus:
        """Return sizes in bytes, the quota and the active alarms."""

    def defragment(self) -> None:
        """Give back what compaction has freed: `db_size` becomes `db_size_in_use`."""

    def disarm(self) -> None:
        """End the alarm. The next write that exceeds the quota raises it again."""
