"""The audit log: which client wrote what, and when.

One row for each committed write, in the order of their revisions, in a bounded ring. The real API
server writes audit events of the levels None, Metadata, Request and RequestResponse; ours has the
level RequestResponse for writes, costs an append, and is kept in memory. Leases and Events are left
out, as in common audit policies: they are written all the time and carry no intent.

`kubesim.ctl.trace` builds its trees from these rows.

Source: k8s.io/apiserver/pkg/audit; kubernetes.io/docs/tasks/debug/debug-cluster/audit.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import NamedTuple

from kubesim.clock.base import Clock
from kubesim.objects.frozen import Document
from kubesim.store import Dropped

RING = 10_000  # writes kept
TRIM_REVISIONS = 16  # between two looks for writes that the store has dropped
UNAUDITED = ("/registry/events/", "/registry/events.k8s.io/", "/registry/coordination.k8s.io/")
DRIVER = "client"  # the actor outside of any worker: a notebook cell, a test

_actor: ContextVar[str] = ContextVar("actor", default="")


@contextmanager
def acting_as(name: str) -> Iterator[None]:
    """Attribute the writes inside this block to an actor, for example a user of the REST server.

    Args:
        name: of the actor, for example a user agent.
    """
    token = _actor.set(name)
    try:
        yield
    finally:
        _actor.reset(token)


class Write(NamedTuple):
    """One committed write.

    Attributes:
        time: simulated second.
        revision: of the store.
        actor: name of the component that wrote, or ``client``.
        key: of the object in the store.
        before: the object before, frozen; None if it was created.
        after: the object since then, frozen; None if it was removed.
    """

    time: float
    revision: int
    actor: str
    key: str
    before: Document | None
    after: Document | None


class AuditLog:
    """A bounded ring of writes; written on any thread, each step is one atomic append.

    Args:
        clock: the time of each write.
        quota: says which old versions the store has dropped because of their bytes; the writes of
            these are dropped as well.
        ring: number of writes that are kept.
    """

    def __init__(self, clock: Clock, quota: Dropped | None = None, ring: int = RING) -> None:
        self._clock = clock
        self._quota = quota
        self._next_trim = 0
        self._rows: deque[Write] = deque(maxlen=ring)

    def record(
        self, revision: int, key: str, before: Document | None, after: Document | None
    ) -> None:
        """Append one write.

        Args:
            revision: of the write.
            key: of the object.
            before, after: the object, frozen; None where it does not exist.
        """
        if key.startswith(UNAUDITED):
            return
        self._rows.append(Write(self._clock.now(), revision, self.actor(), key, before, after))
        if revision >= self._next_trim and self._quota is not None:
            self._next_trim = revision + TRIM_REVISIONS
            self._trim(self._quota.dropped)

    def _trim(self, revision: int) -> None:
        """Drop the writes up to a revision: they would keep the objects of that time in memory."""
        rows = self._rows
        with suppress(IndexError):  # another thread was faster
            while rows[0].revision <= revision:
                rows.popleft()

    def actor(self) -> str:
        """Return the name of the current actor: a component, a user, or ``client``.

        A pod's own worker acts for its kubelet: ``kubelet/node-1``.
        """
        return self._clock.current_actor() or _actor.get() or DRIVER

    def rows(self, after_revision: int = 0) -> list[Write]:
        """Return the kept writes after a revision, in the order of their revisions."""
        rows = [row for row in self._rows.copy() if row.revision > after_revision]
        rows.sort(key=lambda row: row.revision)  # threads may append in another order
        return rows
