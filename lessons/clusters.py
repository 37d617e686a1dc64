"""The open clusters of lessons and panels: one for each slot.

A cell may run again at any time, so each new cluster replaces the one that the cell made before.
Kubernetes has no counterpart.
"""

from __future__ import annotations

import threading
from typing import Any

from kubesim import Cluster
from kubesim.arguments import check_arguments, instance_of

LESSON_SEED = 7
LESSON = "lesson"  # the slot of the cells; each panel has its own
ERROR = "[ERROR] "

_open: dict[str, Cluster] = {}
_lock = threading.Lock()  # guards _open; nothing is closed while it is held


class _ErrorPrinter:
    """Prints each error that a component logs, once, below the cell that lets time pass."""

    def __init__(self) -> None:
        self._printed: set[str] = set()

    def __call__(self, line: str) -> None:
        if line.startswith(ERROR) and line not in self._printed:
            self._printed.add(line)
            print(line)


def fresh_cluster(*, slot: str = LESSON, **options: Any) -> Cluster:
    """Return a new cluster, and close the previous one of the same slot with its server.

    Args:
        slot: the owner of the cluster: the lesson, or a panel.
        options: options of `kubesim.Cluster`; the default seed is 7. On the virtual clock, errors
            that components log are printed, for example those of your own policy.

    Raises:
        BadRequest: the slot is not a string, or an option makes no sense.
    """
    check_arguments({"slot": instance_of(str, "a string")}, {"slot": slot})
    options.setdefault("seed", LESSON_SEED)
    if slot == LESSON and options.get("clock", "virtual") == "virtual":
        options.setdefault("sink", _ErrorPrinter())  # a live clock's threads must not print
    close_slot(slot)
    cluster = Cluster(**options)
    with _lock:
        _open[slot] = cluster
    return cluster


def cluster_of(slot: str) -> Cluster | None:
    """Return the open cluster of a slot, or None."""
    return _open.get(slot)


def slots() -> list[str]:
    """Return the slots that have an open cluster, sorted."""
    return sorted(_open)


def close_slot(slot: str) -> None:
    """Close the cluster of a slot, if there is one."""
    with _lock:
        cluster = _open.pop(slot, None)
    if cluster is not None:
        cluster.close()


def close_all() -> None:
    """Close the clusters of all slots."""
    for slot in slots():
        close_slot(slot)
