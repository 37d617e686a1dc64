"""Leases: keys that are deleted when the lease that they are attached to expires.

The present time is an argument, since a store has no clock.

Source: etcd server/lease/lessor.go.
"""

from __future__ import annotations

from kubesim.errors import BadRequest, NotFound


class Leases:
    """Leases by id. Everything here is guarded by the store's lock.

    Attributes:
        keys: the attached keys of each lease; the store attaches and detaches them.
    """

    def __init__(self) -> None:
        self._next = 1
        self._ttl: dict[int, float] = {}
        self._until: dict[int, float] = {}
        self.keys: dict[int, set[str]] = {}

    def grant(self, ttl_seconds: float, now: float) -> int:
        """Return the id of a new lease."""
        if not ttl_seconds > 0:
            raise BadRequest(f"a lease must last longer than {ttl_seconds} s")
        lease, self._next = self._next, self._next + 1
        self._ttl[lease] = ttl_seconds
        self._until[lease] = now + ttl_seconds
        self.keys[lease] = set()
        return lease

    def keep_alive(self, lease: int, now: float) -> None:
        """Restart the time to live of a lease."""
        self.check(lease)
        self._until[lease] = now + self._ttl[lease]

    def revoke(self, lease: int) -> list[str]:
        """Remove a lease; return the keys that were attached to it, sorted."""
        self.check(lease)
        del self._ttl[lease], self._until[lease]
        return sorted(self.keys.pop(lease))

    def expired(self, now: float) -> list[int]:
        """Return the leases that have expired by `now`."""
        return sorted(lease for lease, until in self._until.items() if until <= now)

    def state(self) -> list[list[float]]:
        """Return [id, ttl, until] of each lease, for a snapshot."""
        return [[lease, self._ttl[lease], self._until[lease]] for lease in sorted(self._ttl)]

    def load(self, state: list[list[float]], keys: dict[str, int]) -> None:
        """Load the state of a snapshot."""
        for lease, ttl, until in state:
            number = int(lease)
            self._ttl[number], self._until[number] = ttl, until
            self.keys[number] = {key for key, of in keys.items() if of == number}
            self._next = max(self._next, number + 1)

    def check(self, lease: int) -> None:
        """Raise NotFound if there is no such lease (any more)."""
        if lease not in self._ttl:
            raise NotFound(f"lease {lease} not found", hint="it ended; grant a new one")
