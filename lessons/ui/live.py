"""A Bokeh figure as a widget that keeps working in JupyterLab.

The plain `BokehModel` widget fails silently: a patch travels as several messages that the page
counts, so a view that is created after the first of them reads every later one shifted by one, and
a chart that starts during "Run All" never moves. `Live` sends nothing before a view exists, and
realigns the count every few seconds, which also revives a chart after a reload of the page.

It uses private names of ipywidgets and jupyter_bokeh (`_view_count`, `_document_patched`); no
other module may. pyproject.toml pins both packages; docs/decisions/0008-live-charts.md has the
measurements. Kubernetes has no counterpart.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping

from bokeh.document.events import DocumentPatchedEvent
from bokeh.events import DocumentReady
from bokeh.models import LayoutDOM
from jupyter_bokeh.widgets import BokehModel

RESYNC_SECONDS = 3.0
# Six strings, each valid as header, metadata or content, move the page's receiver from any position
# to "waiting for a buffer", where it refuses strings; one buffer then completes an empty patch.
_FRAGMENT = json.dumps({"msgid": "resync", "msgtype": "PATCH-DOC", "num_buffers": 1, "events": []})
_FRAGMENTS = 6


class Live(BokehModel):  # type: ignore[misc]
    """A figure or layout as a widget; change its sources from *one* thread only.

    Args:
        model: the figure or layout; it cannot be shown by other means as well.

    Attributes:
        ready: set once the page has a view; before, nothing is sent.
    """

    _open = False

    def __init__(self, model: LayoutDOM) -> None:
        # The fragments of a patch and of a realignment must not be interleaved.
        self._io = threading.RLock()
        self.ready = threading.Event()
        self._realigned = 0.0
        self._open = True
        super().__init__(model, _view_count=0)  # 0: "please count the views"
        self._document.on_event(DocumentReady, lambda _event: self.view_created())
        self.observe(self._views_changed, "_view_count")

    def view_created(self) -> None:
        """Send changes from now on, because the page shows the figure."""
        self.realign()
        self.ready.set()

    def _views_changed(self, change: Mapping[str, int]) -> None:
        if change["new"]:
            self.view_created()

    @property
    def seen(self) -> bool:
        """Whether a view exists now; false once its output is cleared or its page closed."""
        return bool(self._view_count)

    def _document_patched(self, event: DocumentPatchedEvent) -> None:
        if self.ready.is_set():
            with self._io:
                super()._document_patched(event)

    def realign(self) -> None:
        """Move the page's count of messages back to the start of a patch."""
        with self._io:
            self._realigned = time.monotonic()
            for _ in range(_FRAGMENTS):
                self.send({"msg": "patch", "payload": _FRAGMENT})
            self.send({"msg": "patch"}, [b"\0"])

    def realign_now_and_then(self) -> None:
        """Realign unless that was done a moment ago; called by the thread that draws."""
        if self.ready.is_set() and time.monotonic() - self._realigned > RESYNC_SECONDS:
            self.realign()

    def close(self) -> None:
        """Close the widget; unlike jupyter_bokeh's, this may be called twice."""
        if self._open:
            self._open = False
            super().close()

    def __repr__(self) -> str:
        return "Live()"
