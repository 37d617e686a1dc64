"""Expectations: what a controller has done and its cache does not show yet.

A controller reads a cache that the watch fills a little later. Who has made three pods and looks
before the news have come sees none, and would make three more. So it notes what it did, and neither
makes nor deletes anything until the cache shows it, or until five minutes have passed.

Upstream counts what was made and names what was deleted; ours names both, by uid, which also holds
when another pod of the same owner appears meanwhile.

>>> expected = Expectations()
>>> expected.made("shop/web", "uid-1", now=0.0)
>>> expected.waiting("shop/web", now=1.0)
1
>>> expected.seen("uid-1")                                         # the watch brought it
>>> expected.waiting("shop/web", now=1.0)
0

Source: pkg/controller/controller_utils.go (ControllerExpectations,
UIDTrackingControllerExpectations).
"""

from __future__ import annotations

TIMEOUT_SECONDS = 300.0  # ExpectationsTimeout


class Expectations:
    """By key of an owner: the uids of pods whose news are on their way."""

    def __init__(self, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self._timeout = timeout_seconds
        self._made: dict[str, str] = {}  # uid of a pod -> key of its owner
        self._deleted: dict[str, str] = {}
        self._open: dict[str, int] = {}  # key -> how many of both
        self._since: dict[str, float] = {}

    def made(self, key: str, uid: str, now: float) -> None:
        """A pod was created."""
        self._note(self._made, key, uid, now)

    def deleted(self, key: str, uid: str, now: float) -> None:
        """A pod was deleted."""
        self._note(self._deleted, key, uid, now)

    def seen(self, uid: str) -> None:
        """The cache shows a pod that was made."""
        self._settle(self._made, uid)

    def gone(self, uid: str) -> None:
        """The cache shows that a pod is on its way out, or has gone."""
        self._settle(self._made, uid)
        self._settle(self._deleted, uid)

    def waiting(self, key: str, now: float) -> int:
        """How many news of this owner's pods are on their way; 0 once they are overdue."""
        count = self._open.get(key, 0)
        if count and now - self._since[key] > self._timeout:
            self.forget(key)
            return 0
        return count

    def expiry(self, key: str) -> float:
        """The second after which the news of this owner's pods are no longer waited for."""
        return self._since.get(key, 0.0) + self._timeout

    def forget(self, key: str) -> None:
        """The owner is gone, or its news are overdue."""
        if self._open.pop(key, 0):
            for table in (self._made, self._deleted):
                for uid in [uid for uid, owner in table.items() if owner == key]:
                    del table[uid]
        self._since.pop(key, None)

    def _note(self, table: dict[str, str], key: str, uid: str, now: float) -> None:
        if uid not in table:
            table[uid] = key
            self._open[key] = self._open.get(key, 0) + 1
        self._since[key] = now

    def _settle(self, table: dict[str, str], uid: str) -> None:
        key = table.pop(uid, None)
        if key is None:
            return
        self._open[key] -= 1
        if not self._open[key]:
            del self._open[key], self._since[key]
