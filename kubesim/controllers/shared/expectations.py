"""Expectations: creations and deletions that a controller's cache does not show yet.

A controller reads a cache that a watch updates with a delay. A controller that created three pods
and syncs again before their watch events arrive would create three more. It therefore records what
it expects, and creates or deletes nothing until the cache shows it or five minutes have passed.

Upstream counts creations and tracks deletions by name; ours tracks both by uid, which also holds
when another pod of the same owner appears in the meantime.

>>> expectations = Expectations()
>>> expectations.expect_creation("shop/web", "uid-1", now=0.0)
>>> expectations.unsatisfied("shop/web", now=1.0)
1
>>> expectations.creation_observed("uid-1")
>>> expectations.unsatisfied("shop/web", now=1.0)
0

Source: pkg/controller/controller_utils.go (ControllerExpectations,
UIDTrackingControllerExpectations).
"""

from __future__ import annotations

TIMEOUT_SECONDS = 300.0  # ExpectationsTimeout


class Expectations:
    """The pods whose watch events each owner still waits for.

    Args:
        timeout_seconds: age at which expectations expire.
    """

    def __init__(self, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self._timeout = timeout_seconds
        self._creations: dict[str, str] = {}  # pod uid -> owner key
        self._deletions: dict[str, str] = {}
        self._unsatisfied: dict[str, int] = {}  # owner key -> number of both
        self._updated_at: dict[str, float] = {}

    def expect_creation(self, key: str, uid: str, now: float) -> None:
        """Expect the watch event of a pod that was created.

        Args:
            key: the owner's key.
            uid: the pod's uid.
            now: in seconds.
        """
        self._expect(self._creations, key, uid, now)

    def expect_deletion(self, key: str, uid: str, now: float) -> None:
        """Expect the watch event of a pod that was deleted.

        Args:
            key: the owner's key.
            uid: the pod's uid.
            now: in seconds.
        """
        self._expect(self._deletions, key, uid, now)

    def creation_observed(self, uid: str) -> None:
        """Satisfy the creation expectation of a pod that the cache shows."""
        self._satisfy(self._creations, uid)

    def deletion_observed(self, uid: str) -> None:
        """Satisfy the expectations of a pod that the cache shows as terminating or deleted."""
        self._satisfy(self._creations, uid)
        self._satisfy(self._deletions, uid)

    def unsatisfied(self, key: str, now: float) -> int:
        """Return how many watch events an owner still waits for; 0 once they have expired."""
        count = self._unsatisfied.get(key, 0)
        if count and now - self._updated_at[key] > self._timeout:
            self.delete_expectations(key)
            return 0
        return count

    def expires_at(self, key: str) -> float:
        """Return the second after which an owner's expectations have expired."""
        return self._updated_at.get(key, 0.0) + self._timeout

    def delete_expectations(self, key: str) -> None:
        """Drop the expectations of an owner: it was deleted, or they have expired."""
        if self._unsatisfied.pop(key, 0):
            for table in (self._creations, self._deletions):
                for uid in [uid for uid, owner in table.items() if owner == key]:
                    del table[uid]
        self._updated_at.pop(key, None)

    def _expect(self, table: dict[str, str], key: str, uid: str, now: float) -> None:
        if uid not in table:
            table[uid] = key
            self._unsatisfied[key] = self._unsatisfied.get(key, 0) + 1
        self._updated_at[key] = now

    def _satisfy(self, table: dict[str, str], uid: str) -> None:
        key = table.pop(uid, None)
        if key is None:
            return
        self._unsatisfied[key] -= 1
        if not self._unsatisfied[key]:
            del self._unsatisfied[key], self._updated_at[key]
