"""The garbage collector of a process that simulates: calm, and given back as it was.

A large simulation keeps millions of objects and makes thousands of short-lived ones each second. At
the default thresholds the collector traverses all of them again and again: on the virtual clock at
twice the cost of the simulation itself, on the live clock in pauses of seconds in which no request
is answered. Nearly everything here is freed by reference counts, so collections can be rare.

No counterpart in Kubernetes; Go's collector runs beside the program.
"""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

Thresholds = tuple[int, int, int]

VIRTUAL: Thresholds = (50_000, 20, 100)
"""While virtual time passes: nobody waits for an answer, so the least work is best."""

LIVE: Thresholds = (10_000, 10, 100)
"""While a live clock is open: a collection looks at few objects, so that pauses are short."""

FREEZE_SECONDS = 30.0  # wall time between two freezes
LEAST_GROWTH = 500_000  # frozen objects; fewer are never worth a full collection

_lock = threading.Lock()
_users: list[Thresholds] = []  # the last one's thresholds hold
_before: Thresholds = (0, 0, 0)  # those of the process, when it has users


def enter(thresholds: Thresholds) -> None:
    """Set thresholds until `leave`; those that were entered last hold."""
    global _before
    with _lock:
        if not _users:
            _before = gc.get_threshold()
        _users.append(thresholds)
        gc.set_threshold(*thresholds)


def leave(thresholds: Thresholds) -> None:
    """End one `enter`; after the last one the process has its own thresholds again."""
    with _lock:
        _users.reverse()
        _users.remove(thresholds)
        _users.reverse()
        gc.set_threshold(*(_users[-1] if _users else _before))


@contextmanager
def calm(thresholds: Thresholds) -> Iterator[None]:
    """Set thresholds inside a with statement."""
    enter(thresholds)
    try:
        yield
    finally:
        leave(thresholds)


class Freezer:
    """Takes old objects out of the collector's sight, for a server that runs for days.

    Every half a minute all objects are frozen (`gc.freeze`), so that no later collection looks at
    them: pauses depend on what is new and not on the size of the cluster. Cycles that become
    garbage afterwards stay; hence, when the frozen objects have doubled, all are collected once.
    """

    def __init__(self) -> None:
        self._next = 0.0  # wall time of the next freeze
        self._collected_at = 0  # frozen objects after the last full collection

    def __call__(self) -> None:
        """Freeze, if it is time; call it about once a second."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + FREEZE_SECONDS
        gc.freeze()
        frozen = gc.get_freeze_count()
        if frozen > max(LEAST_GROWTH, 2 * self._collected_at):
            gc.unfreeze()
            gc.collect()
            gc.freeze()
            self._collected_at = gc.get_freeze_count()

    def close(self) -> None:
        """Let the collector see all objects again."""
        gc.unfreeze()
