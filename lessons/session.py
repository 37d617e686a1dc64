"""Open and close a lesson: `setup()`, `fresh_cluster()`, `finish()`.

A cell may run again at any time, so each new cluster replaces the one that the cell made before.
Kubernetes has no counterpart.
"""

from __future__ import annotations

import atexit
import threading
from collections.abc import Callable
from typing import Any

from kubesim import KUBERNETES_VERSION, Cluster, KubeSimError, StatusError
from kubesim import __version__ as kubesim_version
from lessons import kubectl
from lessons.ui import css
from lessons.ui import open_panels as panels

LESSON_SEED = 7
LESSON = "lesson"  # the slot of the cells; each panel has its own
ERROR = "[ERROR] "
OWN_THREADS = ("cockpit-", "pod/", "kubelet/", "scheduler/", "rest", "paced-loop")

_open: dict[str, Cluster] = {}
_lock = threading.Lock()  # guards _open; nothing is closed while it is held


def setup() -> None:
    """Register the %%kubectl magic, let pictures follow the page's theme, print the versions."""
    if kubectl.load(lambda: _open.get(LESSON)):
        from IPython.display import HTML, display

        display(HTML(css.PAGE))  # type: ignore[no-untyped-call]
    print(f"kubesim {kubesim_version} is ready; it mirrors Kubernetes {KUBERNETES_VERSION}")


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
            that components log are printed, for example those of a policy of your own.
    """
    options.setdefault("seed", LESSON_SEED)
    if slot == LESSON and options.get("clock", "virtual") == "virtual":
        options.setdefault("sink", _ErrorPrinter())  # a live clock's threads must not print
    close_slot(slot)
    cluster = Cluster(**options)
    with _lock:
        _open[slot] = cluster
    return cluster


def close_slot(slot: str) -> None:
    """Close the cluster of a slot, if there is one."""
    with _lock:
        cluster = _open.pop(slot, None)
    if cluster is not None:
        cluster.close()


def finish() -> None:
    """Close the lesson's cluster and its server; called by the last cell of a lesson.

    Panels stay open, so that "Run All" does not close one before you have seen it. A panel rests
    while nobody looks at it; `close()` ends it.
    """
    close_slot(LESSON)
    print(f"closed{_open_panels_note(panels.names())}")


def _open_panels_note(names: list[str]) -> str:
    """Return a note on the panels that keep running; "" if there is none."""
    if not names:
        return ""
    quoted = " and ".join(map(repr, names))
    if len(names) == 1:
        return f"; the panel {quoted} keeps running; call close() to stop it"
    return f"; the panels {quoted} keep running; call close() to stop them"


def close_all() -> None:
    """Close all panels and all clusters."""
    panels.close_all()
    for slot in list(_open):
        close_slot(slot)


def attempt(action: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Call an action that may be refused; print a refusal instead of raising it.

    >>> from kubesim.store import EtcdStore
    >>> attempt(EtcdStore().get, "key", revision=9)
    FutureRevision: revision 9 is in the future; the newest is 0

    Returns:
        the result of the action; None if it was refused.
    """
    try:
        return action(*arguments, **options)
    except StatusError as error:
        print(f"{error.code} {error.reason}: {error.message}")
        if error.hint:
            print(f"  hint: {error.hint}")
    except KubeSimError as error:
        print(f"{type(error).__name__}: {error}")
    return None


def threads() -> list[str]:
    """Return the names of the threads of panels and clusters, sorted; [] after `close_all()`."""
    names = [thread.name for thread in threading.enumerate()]
    return sorted(name for name in names if name.startswith(OWN_THREADS))


atexit.register(close_all)
