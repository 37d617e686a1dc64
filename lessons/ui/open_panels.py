"""The open panels, one of each name, so that running a cell again replaces its panel.

This module does not need ipywidgets, so `close_all()` works without it. Kubernetes has no
counterpart.
"""

from __future__ import annotations

import threading
from typing import Protocol


class Closable(Protocol):
    """An open panel."""

    def close(self) -> None:
        """Close the panel; may be called twice."""


_open: dict[str, Closable] = {}
_lock = threading.Lock()  # guards _open; nothing is closed while it is held


def add(name: str, panel: Closable) -> None:
    """Register an open panel."""
    with _lock:
        _open[name] = panel


def remove(name: str, panel: Closable) -> None:
    """Remove a panel that was closed; a newer one of the same name stays."""
    with _lock:
        if _open.get(name) is panel:
            del _open[name]


def close(name: str) -> None:
    """Close the panel of this name, if one is open."""
    with _lock:
        panel = _open.pop(name, None)
    if panel is not None:
        panel.close()


def names() -> list[str]:
    """Return the names of the open panels, sorted."""
    return sorted(_open)


def close_all() -> None:
    """Close all panels."""
    for name in names():
        close(name)
