"""The chart of the scheduler's panel: for each node a bar of CPU and one of memory.

Segments are pods: point at one to read what it asks for. A node that keeps pods away is hatched.
The same as a still picture: `nodefill_still`.
"""

from __future__ import annotations

from typing import Any, Protocol

from bokeh.models import ColumnDataSource, FactorRange, FixedTicker, HoverTool, Range1d
from bokeh.plotting import figure

from lessons.scheduler.nodefill import Fill, NodeRow
from lessons.scheduler.still import RESOURCES, SHADE, TICKS, colours_of, figures
from lessons.ui import style

HEIGHT_OF_NODE = 62  # pixels
FRAME = 96  # title and axis
MARGIN = 1.5  # room to the right of 100 % for figures and notes
LETTER = 2.6  # percent of the axis that one letter of a name takes in a narrow chart
SEGMENTS = ("y", "left", "right", "middle", "pod", "label", "colour", "asks")
WHOLES = ("y", "right", "hatch", "said")
TIP = "<b>@pod</b>: @asks"


class Seen(Protocol):
    """What is drawn: the nodes now, and which pod is marked."""

    def fill(self) -> Fill:
        """The nodes now."""

    @property
    def marked(self) -> str:
        """Name of the pod that is marked; "" for none."""


class FillChart:
    """One figure.

    Attributes:
        layout: the figure, for a `Live` widget.
    """

    def __init__(self) -> None:
        self._segments = ColumnDataSource({c: [] for c in SEGMENTS}, name="segments")
        self._marked = ColumnDataSource({c: [] for c in ("y", "left", "right")}, name="marked")
        self._wholes = ColumnDataSource({c: [] for c in WHOLES}, name="nodes")
        self._factors = FactorRange(factors=[("node", "CPU")], group_padding=0.6)
        self._end = Range1d(start=0, end=100 * MARGIN)
        self.layout = self._figure()

    def _figure(self) -> Any:
        plot = figure(
            title="What pods ask for (point at a segment)",
            name="fill-figure",
            height=3 * HEIGHT_OF_NODE + FRAME,
            sizing_mode="stretch_width",
            x_range=self._end,
            y_range=self._factors,
            x_axis_label="asked for [% of what the node offers]",
            tools="",
        )
        plot.xaxis.ticker = FixedTicker(ticks=list(TICKS))
        style.quiet(plot)
        plot.yaxis.group_label_orientation = "horizontal"
        plot.yaxis.group_text_font_size = style.FONT_SIZE
        plot.yaxis.group_text_color = style.BLACK
        plot.ygrid.grid_line_color = None
        plot.hbar(
            y="y",
            right="right",
            height=0.86,
            source=self._wholes,
            fill_color="#f3f3f3",
            line_color="#999999",
            hatch_pattern="hatch",
            hatch_color="#8a8a8a",
            hatch_scale=8,
        )
        bar = {"y": "y", "left": "left", "right": "right", "height": 0.86}
        plot.hbar(**bar, source=self._segments, fill_color="white", line_color=None)
        pods = plot.hbar(
            **bar,
            source=self._segments,
            fill_color="colour",
            fill_alpha=SHADE,
            line_color="colour",
        )
        plot.hbar(**bar, source=self._marked, fill_alpha=0, line_color=style.BLACK, line_width=2.6)
        text = {"text_font_size": "11px", "text_baseline": "middle"}
        plot.text(
            x="middle", y="y", text="label", source=self._segments, text_align="center", **text
        )
        plot.text(x="right", y="y", text="said", source=self._wholes, x_offset=8, **text)
        plot.add_tools(HoverTool(renderers=[pods], tooltips=TIP))
        return plot

    def draw(self, seen: Seen) -> None:
        """Replace what is shown by the nodes as they are now."""
        fill = seen.fill()
        factors = [(row.name, label) for row in reversed(fill.rows) for _, label in RESOURCES[::-1]]
        if factors and factors != self._factors.factors:
            self._factors.factors = factors
            self.layout.height = len(fill.rows) * HEIGHT_OF_NODE + FRAME
        shares = [row.share(key) for row in fill.rows for key, _ in RESOURCES]
        self._end.end = 100 * MARGIN * max([1.0, *shares])
        segments = segments_of(fill)
        chosen = [i for i, name in enumerate(segments["pod"]) if name == seen.marked]
        self._wholes.data = wholes_of(fill)
        self._segments.data = segments
        self._marked.data = {
            key: [segments[key][i] for i in chosen] for key in ("y", "left", "right")
        }


def segments_of(fill: Fill) -> dict[str, list[Any]]:
    """A row for each pod and resource: where its segment lies, and what it says."""
    colours = colours_of([fill])
    columns: dict[str, list[Any]] = {column: [] for column in SEGMENTS}
    for row in fill.rows:
        for key, label in RESOURCES:
            left = 0.0
            for part in row.pods:
                right = left + 100 * part.takes(key) / max(1, row.offers(key))
                values = (
                    (row.name, label),
                    left,
                    right,
                    (left + right) / 2,
                    part.name,
                    part.name if right - left >= LETTER * len(part.name) else "",
                    colours[part.group],
                    f"{part.cpu}m CPU, {part.memory // 1024**2} Mi",
                )
                for column, value in zip(SEGMENTS, values, strict=True):
                    columns[column].append(value)
                left = right
    return columns


def wholes_of(fill: Fill) -> dict[str, list[Any]]:
    """A row for each node and resource: its whole bar, hatched if pods are kept away."""
    columns: dict[str, list[Any]] = {column: [] for column in WHOLES}
    for row in fill.rows:
        for key, label in RESOURCES:
            values = ((row.name, label), 100.0, "/" if row.notes else " ", _said(row, key))
            for column, value in zip(WHOLES, values, strict=True):
                columns[column].append(value)
    return columns


def _said(row: NodeRow, key: str) -> str:
    """SeriesSource beside the CPU bar, with what keeps pods away beside the memory's."""
    notes = ", ".join(note.rpartition("/")[2] for note in row.notes)
    return figures(row, key) + (f"  ({notes})" if notes and key == "memory" else "")
