"""Widgets that the panels share: a slider with a number box, a button with an icon, a heading.

Each slider has a number box, so a keyboard or a screen reader works as well as a mouse. While the
handle is dragged, the number that it would set covers the box; the value is written on release.

Three parties move a slider: the user in the page, code in a cell, and the panel's own thread, which
syncs the slider when another client writes to the store. Callbacks of the page arrive on their own
thread, even while a cell runs. So a callback acts on the value that it received and not on
the slider's value by then, and what the panel's thread sets is not written back: see `syncing`.

Kubernetes has no counterpart.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import inf
from typing import Any

import ipywidgets as W

LABEL_WIDTH = "76px"
BOX_WIDTH = "58px"
PATIENCE_SECONDS = 1.5  # a control that was touched this recently does not follow the store
CLOSED, OPEN = "caret-right", "caret-down"  # icons of Font Awesome
ROW = {"display": "flex", "flex_flow": "row wrap", "width": "100%"}  # layout of a box

Change = Mapping[str, Any]
"""What ipywidgets passes to an observer; "new" is the new value."""


class _Syncing(threading.local):
    """True while this very thread sets a control to what the store has."""

    on = False


_syncing = _Syncing()


def is_syncing() -> bool:
    """Return whether this thread is setting a control, so that observers do not write back."""
    return _syncing.on


@contextmanager
def syncing() -> Iterator[None]:
    """Set controls in the block without writing their values back."""
    _syncing.on = True
    try:
        yield
    finally:
        _syncing.on = False


class StoreWriter:
    """Writes what the user sets in a group of controls, and remembers when that was.

    Args:
        write: called with one changed setting; writes through the API server.
    """

    def __init__(self, write: Callable[..., object]) -> None:
        self._write = write
        self._touched = -inf  # wall time of the user's last change

    def observer(self, key: str) -> Callable[[Change], None]:
        """Return the observer of a control that writes the setting `key`."""

        def changed(change: Change) -> None:
            if not is_syncing():
                self._touched = time.monotonic()
                self._write(**{key: change["new"]})

        return changed

    def touched_within(self, seconds: float) -> bool:
        """Return whether the user changed a control in the last seconds of wall time."""
        return time.monotonic() - self._touched < seconds


class NumberSlider:
    """A slider and a number box with one value.

    Args:
        label: name of the value.
        bounds: smallest and largest value of the slider.
        value: initial value; a larger one extends the slider.
        step: of the slider.
        tooltip: one line about the value.

    Attributes:
        row: both widgets, side by side.
        slider, box: the widgets.
    """

    def __init__(
        self, label: str, bounds: tuple[int, int], value: int, step: int, tooltip: str
    ) -> None:
        low, high = bounds
        self.slider = W.IntSlider(
            value,
            low,
            max(high, value),
            step,
            description=label,
            tooltip=tooltip,
            continuous_update=False,
            readout=True,
            style={"description_width": LABEL_WIDTH},
            layout=W.Layout(width="auto", flex="1 1 90px", min_width="0"),
        )
        self.box = W.BoundedIntText(
            value, low, max(high, value), 1, tooltip=tooltip, layout=W.Layout(width=BOX_WIDTH)
        )
        W.link((self.slider, "value"), (self.box, "value"))
        self.row = W.HBox([self.slider, self.box], layout=W.Layout(width="100%"))
        self.row.add_class("ks-number")

    @property
    def value(self) -> int:
        """The current value."""
        return int(self.slider.value)

    def show(self, value: int) -> None:
        """Set both widgets; a value beyond the slider's end extends it."""
        for widget in (self.slider, self.box):
            widget.max = max(widget.max, value)
            widget.value = value


def dropdown(label: str, options: Sequence[object], value: object, tooltip: str) -> W.Dropdown:
    """Return a dropdown whose label is as wide as those of the sliders.

    Args:
        label: name of the value.
        options: the values, or pairs of a text and a value.
        value: initial value.
        tooltip: one line about the value.
    """
    return W.Dropdown(
        options=options,
        value=value,
        description=label,
        tooltip=tooltip,
        style={"description_width": LABEL_WIDTH},
        layout=W.Layout(width="auto"),
    )


def icon_button(label: str, icon: str, tooltip: str) -> W.Button:
    """Return a button with an icon.

    Args:
        label: text of the button.
        icon: name of a Font Awesome icon.
        tooltip: one line about the action.
    """
    layout = W.Layout(width="auto", flex="0 0 auto")
    return W.Button(description=label, icon=icon, tooltip=tooltip, layout=layout)


def dashboard(
    cards: Sequence[W.Widget], charts: Sequence[W.Widget], texts: Sequence[W.Widget]
) -> W.Box:
    """Return the body of a panel: the cards next to the charts, so that both are visible at once.

    On a wide page the texts stand to the right of the charts, on a narrower one below the cards,
    next to the charts. On a page that is too narrow for two columns, the cards stand side by side
    above the charts, and the texts below them.

    Args:
        cards: the controls.
        charts: charts, and what belongs directly below them.
        texts: decisions, tables, events.
    """
    for card in cards:
        card.add_class("ks-card")
        card.layout = W.Layout(flex="0 1 auto", min_width="0")
    columns = (
        _column(cards, "ks-cards", "1 1 264px"),
        _column(charts, "ks-charts", "6 1 430px"),
        _column(texts, "ks-texts", "3 1 300px"),
    )
    body = W.Box(columns, layout=W.Layout(grid_gap="6px 10px", align_items="flex-start", **ROW))
    body.add_class("ks-body")
    return body


def _column(widgets: Sequence[W.Widget], name: str, flex: str) -> W.Box:
    layout = W.Layout(display="flex", flex_flow="column", flex=flex, min_width="0", grid_gap="6px")
    column = W.Box(list(widgets), layout=layout)
    column.add_class(name)
    return column


class Details(W.VBox):  # type: ignore[misc]
    """Parts of a panel that are shown on demand; a button opens and closes each of them.

    The titles of ipywidgets' Accordion cannot be reached by keyboard; buttons can.

    Args:
        parts: title -> widget; all of them are closed at first.
        on_toggle: called after a part was opened or closed.

    Attributes:
        buttons: one for each part, in the same order.
    """

    def __init__(
        self, parts: Mapping[str, W.Widget], on_toggle: Callable[[], object] = bool
    ) -> None:
        self._parts, self._on_toggle = list(parts.values()), on_toggle
        self.buttons = [
            W.ToggleButton(description=title, icon=CLOSED, layout=W.Layout(width="auto"))
            for title in parts
        ]
        self._show()
        for button in self.buttons:
            button.observe(self._toggled, "value")
        row = W.HBox(self.buttons, layout=W.Layout(flex_flow="row wrap"))
        super().__init__([row, *self._parts])

    def is_open(self, number: int) -> bool:
        """Return whether a part is shown."""
        return bool(self.buttons[number].value)

    def _toggled(self, _change: Change) -> None:
        self._show()
        self._on_toggle()

    def _show(self) -> None:
        for button, part in zip(self.buttons, self._parts, strict=True):
            button.icon = OPEN if button.value else CLOSED
            part.layout.display = None if button.value else "none"


def heading(title: str, note: str) -> W.HTML:
    """Return the heading of a card, with a note."""
    return W.HTML(f"<div class='ks-head'>{title} <span>{note}</span></div>")


def fact(name: str, text: str) -> str:
    """Return one small line of HTML: a bold name and what there is to say."""
    return f"<span class='ks-fact'><b>{name}:</b> {text}</span>"


def close_with_parts(widget: W.Widget) -> None:
    """Close a widget and all that it consists of: children, layouts, styles.

    ipywidgets closes the widget alone. A part that stays may refer to one that is closed, and then
    a page that is reloaded can restore no widget of the kernel at all.
    """
    closing, pending = {id(widget): widget}, [widget]
    while pending:
        for part in _parts(pending.pop()):
            if id(part) not in closing:
                closing[id(part)] = part
                pending.append(part)
    for part in closing.values():
        W.Widget.close(part)


def _parts(widget: W.Widget) -> Iterator[W.Widget]:
    """Yield the widgets that the state of a widget refers to."""
    for name in widget.keys:
        value = getattr(widget, name)
        for each in value if isinstance(value, tuple | list) else (value,):
            if isinstance(each, W.Widget):
                yield each
