"""A Bokeh figure as a widget that brings BokehJS along, survives reloads, and knows who looks.

The widget consists of plain ipywidgets: hidden HTML widgets carry the chart to the page, hidden
buttons carry signs of life back. A short script (live.js) runs in each view of it:

    chart     the page's script, and the element that it draws in
    library   the text of BokehJS; empty until a page asks for it
    item      the figure as it was built, as JSON
    patch     the newest value of everything that was changed since then, as JSON
    hello     a button that the script presses while somebody looks at the panel
    ask       a button that the script presses when the page has no BokehJS

So the state of the widget is always the whole chart. A page that is reloaded asks the kernel for
that state, as for any other widget, and shows the newest values; a lost message does no harm.
Only public interfaces of ipywidgets and Bokeh are used. docs/decisions/0008-live-charts.md has the
alternatives. Kubernetes has no counterpart.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from functools import cache
from html import escape
from importlib.resources import files

import bokeh
import ipywidgets as W
from bokeh.core.serialization import Serializer
from bokeh.document import Document as BokehDocument
from bokeh.document.events import (
    ColumnDataChangedEvent,
    DocumentChangedEvent,
    ModelChangedEvent,
)
from bokeh.embed import json_item
from bokeh.models import LayoutDOM
from bokeh.resources import Resources

HEARTBEAT_SECONDS = 15.0  # time between two signs of life from a page
DROP_SECONDS = 30.0  # after which a chart that was scrolled away, or replaced, is freed
LIBRARY_SECONDS = 30.0  # how long the text of BokehJS stays in the widget
# An image of one pixel: its `onload` runs in every page, also after a reload, as scripts do not.
PIXEL = "data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA="
STYLE = """<style>
.ks-live { overflow: hidden; }
.ks-live > .ks-live-frame { width: 100%; height: 100%; min-width: 0; margin: 0;
  align-items: stretch; }
.ks-live-frame > .widget-html-content, .ks-live-chart { width: 100%; height: 100%; }
</style>"""


@cache
def library() -> str:
    """Return BokehJS, as text of an HTML element."""
    scripts = Resources(mode="inline", components=["bokeh"]).js_raw
    return _text("\n".join(scripts))


@cache
def script() -> str:
    """Return the page's script, as an HTML attribute."""
    head = (
        f"const image = this, LIBRARY_VERSION = {json.dumps(bokeh.__version__)},"
        f" HEARTBEAT_SECONDS = {HEARTBEAT_SECONDS}, DROP_SECONDS = {DROP_SECONDS};\n"
    )
    body = files("lessons.ui").joinpath("live.js").read_text(encoding="utf-8")
    return escape(head + body)


class Live(W.Box):  # type: ignore[misc]
    """A figure or layout as a widget; change its models from *one* thread, then call `flush()`.

    Args:
        model: the figure or layout; it cannot be shown by other means as well.

    Attributes:
        ready: set once a page has shown the chart.
        last_seen: monotonic second of the last sign of life from a page; at first, of creation.
    """

    def __init__(self, model: LayoutDOM) -> None:
        self.ready = threading.Event()
        self.last_seen = time.monotonic()
        self._callbacks: list[Callable[[], None]] = []
        self._library_sent = 0.0
        self._lock = threading.Lock()  # guards _changed and _encoded
        self._changed: dict[str, ModelChangedEvent | ColumnDataChangedEvent] = {}
        self._encoded: dict[str, str] = {}
        self._serial = 0
        self._document = model.document or BokehDocument()
        if model.document is None:
            self._document.add_root(model)
        item = json.dumps(json_item(model))
        self._document.on_change(self._model_changed)
        self._frame = _part(
            W.HTML(
                f'{STYLE}<img hidden alt="" src="{PIXEL}" onload="{script()}">'
                "<div class='ks-live-chart' role='img' aria-label='the charts of this panel'></div>"
            ),
            "frame",
        )
        self._library, self._item, self._patch = (
            _hidden(W.HTML(value), name)
            for name, value in (("library", ""), ("item", _text(item)), ("patch", ""))
        )
        self._hello, self._ask = (_hidden(W.Button(), name) for name in ("hello", "ask"))
        self._hello.on_click(lambda _button: self.view_seen())
        self._ask.on_click(lambda _button: self._send_library())
        hidden = [self._library, self._item, self._patch, self._hello, self._ask]
        super().__init__([self._frame, *hidden])
        self.add_class("ks-live")

    # -- from the page --------------------------------------------------------------------------

    def on_seen(self, callback: Callable[[], None]) -> None:
        """Call a function at each sign of life from a page."""
        self._callbacks.append(callback)

    def view_seen(self) -> None:
        """Note that somebody looks at the chart now."""
        self.last_seen = time.monotonic()
        self.ready.set()
        if self._library.value and self.last_seen - self._library_sent > LIBRARY_SECONDS:
            self._library.value = ""
        for callback in self._callbacks:
            callback()

    def _send_library(self) -> None:
        self._library_sent = time.monotonic()
        self._library.value = library()

    # -- to the page ----------------------------------------------------------------------------

    def _model_changed(self, event: DocumentChangedEvent) -> None:
        """Note a change; only the newest of each property is sent.

        Raises:
            TypeError: the change is not the new value of a property, as with `source.stream()`.
        """
        if not isinstance(event, ModelChangedEvent | ColumnDataChangedEvent) or (
            isinstance(event, ColumnDataChangedEvent) and event.cols is not None
        ):
            raise TypeError(f"{type(event).__name__}: replace `data` as a whole")
        with self._lock:
            self._changed[f"{event.model.id}.{event.attr}"] = event

    def flush(self) -> None:
        """Send what was changed since the last call."""
        with self._lock:
            if not self._changed:
                return
            changed, self._changed = self._changed, {}
            serializer = Serializer(references=set(self._document.models), deferred=False)
            self._serial += 1
            for key, event in changed.items():
                encoded = json.dumps(event.to_serializable(serializer))
                self._encoded[key] = f"{json.dumps(key)}: [{self._serial}, {encoded}]"
            patch = ", ".join(self._encoded.values())
        self._patch.value = _text(f"{{{patch}}}")

    def close(self) -> None:
        """Close the widget and its parts; may be called twice."""
        for part in self.children:
            part.close()
        super().close()

    def __repr__(self) -> str:
        return "Live()"


def _text(text: str) -> str:
    return f"<div>{escape(text, quote=False)}</div>"


def _part(widget: W.DOMWidget, name: str) -> W.DOMWidget:
    widget.add_class(f"ks-live-{name}")
    return widget


def _hidden(widget: W.DOMWidget, name: str) -> W.DOMWidget:
    widget.layout = W.Layout(display="none")
    return _part(widget, name)
