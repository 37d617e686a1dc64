"""Which panels are open: one of each name, so that running a cell again replaces it.

Kept apart from the cockpit, so that `close_all()` works without ipywidgets.
"""

from __future__ import annotations

import threading
from typing import Protocol


class Panel(Protocol):
    """What can be open."""

    def close(self) -> None:
        """End it; may be called twice."""


_open: dict[str, Panel] = {}
_lock = threading.Lock()  # guards _open; nothing is closed while it is held


def opened(name: str, panel: Panel) -> None:
    """Remember an open panel."""
    with _lock:
        _open[name] = panel


def forget(name: str, panel: Panel) -> None:
    """The panel was closed by itself."""
    with _lock:
        if _open.get(name) is panel:
            del _open[name]


def close(name: str) -> None:
    """Close the panel of that name, if there is one."""
    with _lock:
        panel = _open.pop(name, None)
    if panel is not None:
        panel.close()


def names() -> list[str]:
    """Names of the open panels, sorted."""
    return sorted(_open)


def close_all() -> None:
    """Close every panel."""
    for name in names():
        close(name)
