"""Open and close a lesson: `setup()`, `finish()`; try what may be refused: `attempt()`.

Kubernetes has no counterpart.
"""

from __future__ import annotations

import atexit
import threading
from collections.abc import Callable
from typing import Any

from kubesim import KUBERNETES_VERSION, KubeSimError, StatusError
from kubesim import __version__ as kubesim_version
from kubesim.arguments import check_arguments, function
from lessons import clusters, kubectl
from lessons.ui import css
from lessons.ui import open_panels as panels

OWN_THREADS = ("cockpit-", "pod/", "kubelet/", "scheduler/", "rest", "paced-loop")


def setup() -> None:
    """Register the %%kubectl magic, let pictures follow the page's theme, print the versions."""
    if kubectl.load(lambda: clusters.cluster_of(clusters.LESSON)):
        from IPython.display import HTML, display

        display(HTML(css.PAGE))  # type: ignore[no-untyped-call]
    print(f"kubesim {kubesim_version} is ready; it mirrors Kubernetes {KUBERNETES_VERSION}")


def finish() -> None:
    """Close the lesson's cluster and its server; called by the last cell of a lesson.

    Panels stay open, so that "Run All" does not close one before you have seen it. A panel rests
    while nobody looks at it; `close()` ends it.
    """
    clusters.close_slot(clusters.LESSON)
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
    clusters.close_all()


def attempt(action: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Call an action that may be refused; print a refusal instead of raising it.

    Args:
        action: what to call.
        arguments, options: the arguments of the call.

    >>> from kubesim.store import EtcdStore
    >>> attempt(EtcdStore().get, "key", revision=9)
    FutureRevision: revision 9 is in the future; the newest is 0

    Returns:
        the result of the action; None if it was refused.

    Raises:
        BadRequest: the action is not a function.
    """
    check_arguments({"action": function}, {"action": action})
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
