"""A Bokeh figure that really lives in JupyterLab.

The plain `BokehModel` widget has silent failures: a patch travels as several messages which the
page counts, so a view that is created after the first of them reads every later one shifted by one,
and a chart that starts in "Run All" never moves. `Live` sends nothing before a view exists, and now
and then realigns the count, which also revives a chart after the page was reloaded.

It leans on names that ipywidgets and jupyter_bokeh call private (`_view_count`,
`_document_patched`); no other module may. Both packages are pinned in pyproject.toml;
docs/decisions/0008-live-charts.md has the measurements.
"""

from __future__ import annotations

import json
import threading
import time
from typing import Any

from bokeh.events import DocumentReady
from jupyter_bokeh.widgets import BokehModel

RESYNC_SECONDS = 3.0
# Six texts, each valid as header, metadata or content, drive the page's receiver from any position
# to "waiting for a buffer", where it refuses texts; one buffer then completes an empty patch.
_FRAGMENT = json.dumps({"msgid": "resync", "msgtype": "PATCH-DOC", "num_buffers": 1, "events": []})
_FRAGMENTS = 6


class Live(BokehModel):  # type: ignore[misc]
    """A figure (or layout) as a widget; change its sources from *one* thread only.

    Args:
        model: the figure or layout; a figure wrapped here cannot be shown by other means.

    Attributes:
        ready: set once a view exists in the page; before, nothing is sent.
    """

    _open = False

    def __init__(self, model: Any) -> None:
        # The fragments of a patch, and of a realignment, must not be interleaved.
        self._io = threading.RLock()
        self.ready = threading.Event()
        self._realigned = 0.0
        self._open = True
        super().__init__(model, _view_count=0)  # 0: "please count the views"
        self._document.on_event(DocumentReady, lambda _event: self.view_created())
        self.observe(self._views_changed, "_view_count")

    def view_created(self) -> None:
        """The page shows the figure: from now on changes are sent."""
        self.realign()
        self.ready.set()

    def _views_changed(self, change: Any) -> None:
        if change["new"]:
            self.view_created()

    @property
    def seen(self) -> bool:
        """A view exists now: its output was not cleared, its page not left."""
        return bool(self._view_count)

    def _document_patched(self, event: Any) -> None:
        if self.ready.is_set():
            with self._io:
                super()._document_patched(event)

    def realign(self) -> None:
        """Bring the page's count of messages back to a boundary."""
        with self._io:
            self._realigned = time.monotonic()
            for _ in range(_FRAGMENTS):
                self.send({"msg": "patch", "payload": _FRAGMENT})
            self.send({"msg": "patch"}, [b"\0"])

    def realign_now_and_then(self) -> None:
        """Realign if it was not done for a while; called by the thread that draws."""
        if self.ready.is_set() and time.monotonic() - self._realigned > RESYNC_SECONDS:
            self.realign()

    def close(self) -> None:
        """End it; may be called twice (jupyter_bokeh's may not)."""
        if self._open:
            self._open = False
            super().close()

    def __repr__(self) -> str:
        return "Live()"
