"""The first and the last cell of a lesson, and the clusters in between.

No counterpart in Kubernetes: this is about notebooks. A cell may be run again at any time, so
whatever it makes replaces what it made before; nothing is left running behind it.
"""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Callable
from typing import Any

from kubesim import KUBERNETES_VERSION, Cluster, KubeSimError, StatusError
from kubesim import __version__ as kubesim_version
from lessons import kubectl
from lessons.ui import open_panels as panels

LESSON_SEED = 7
OWN_THREADS = ("cockpit-", "pod/", "kubelet/", "scheduler/", "rest", "paced-loop")

_open: dict[str, Cluster] = {}
_lock = threading.Lock()  # guards _open; nothing is closed while it is held


def setup() -> None:
    """Load BokehJS into the page, offline, teach it %%kubectl, and say that all is ready.

    The script is loaded inline and its output cleared at once: the page keeps it, the saved
    notebook stays small. Voila runs cells before there is a page, so there it has to stay.
    """
    from bokeh.io import output_notebook
    from bokeh.resources import Resources
    from IPython.display import clear_output

    kubectl.load(lambda: _open.get("lesson"))
    output_notebook(Resources(mode="inline", components=["bokeh"]), hide_banner=True)
    if not os.environ.get("SERVER_SOFTWARE", "").startswith("voila"):
        clear_output()  # type: ignore[no-untyped-call]
    print(f"kubesim {kubesim_version} is ready; it mirrors Kubernetes {KUBERNETES_VERSION}")


def fresh_cluster(*, slot: str = "lesson", **options: Any) -> Cluster:
    """A new cluster; the one before it is closed, with its server, so a cell may be run again.

    Args:
        slot: whose cluster it is. A lesson has one, and each cockpit has one of its own.
        options: as for `kubesim.Cluster`; the seed is 7 unless you say otherwise.
    """
    options.setdefault("seed", LESSON_SEED)
    close_slot(slot)
    cluster = Cluster(**options)
    with _lock:
        _open[slot] = cluster
    return cluster


def close_slot(slot: str) -> None:
    """Close the cluster of one slot, if there is one."""
    with _lock:
        cluster = _open.pop(slot, None)
    if cluster is not None:
        cluster.close()


def finish() -> None:
    """The last cell of a lesson: close its cluster, and the server of that cluster.

    A cockpit flies on while somebody looks at it, so that "Run All" does not end it before it was
    seen; it rests when nobody does, and `cockpit.close()` ends it.
    """
    close_slot("lesson")
    flying = ", ".join(panels.names())
    note = f"; {flying!r} flies on until you close() it" if flying else ""
    print(f"closed{note}")


def close_all() -> None:
    """Close every cockpit and every cluster."""
    panels.close_all()
    for slot in list(_open):
        close_slot(slot)


def attempt(action: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Do something that may be refused; a refusal is printed as an answer, not as a traceback.

    >>> from kubesim.store import EtcdStore
    >>> attempt(EtcdStore().get, "key", revision=9)
    FutureRevision: revision 9 is in the future; the newest is 0

    Returns:
        what the action returned; None if it was refused.
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
    """Names of the threads that belong to the laboratory, sorted; [] after `close_all()`."""
    names = [thread.name for thread in threading.enumerate()]
    return sorted(name for name in names if name.startswith(OWN_THREADS))


atexit.register(close_all)
