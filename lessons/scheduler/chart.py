"""The node chart, live: for each node a bar of CPU and one of memory, pods as segments.

Point at a segment to read what the pod requests. `lessons.scheduler.still` draws the same
description as a still picture. Kubernetes has no counterpart.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from bokeh.models import (
    ColumnDataSource,
    FactorRange,
    FixedTicker,
    HoverTool,
    LayoutDOM,
    Range1d,
)
from bokeh.plotting import figure

from lessons.scheduler.bars import (
    AXIS_LABEL,
    RESOURCES,
    SHADE,
    TICKS,
    BarChart,
    NodeBars,
    bar_chart,
    group_colours,
)
from lessons.scheduler.nodes import Fill
from lessons.ui.bokeh_chart import FONT_SIZE, set_plain_style
from lessons.ui.theme import LIGHT, Theme

HEIGHT_OF_NODE = 62  # pixels
FRAME = 96  # title and axis
MARGIN = 1.5  # room to the right of 100 % for figures and notes
LETTER = 2.6  # percent of the axis that a letter of a name takes in a narrow chart
SEGMENTS = ("y", "left", "right", "middle", "pod", "label", "colour", "asks")
WHOLES = ("y", "right", "hatch", "figures")
MARKED = ("y", "left", "right")
TIP = "<b>@pod</b>: @asks"


class FillChart:
    """The live node chart.

    Args:
        theme: colours.

    Attributes:
        layout: the figure, for a `Live` widget.
    """

    def __init__(self, theme: Theme = LIGHT) -> None:
        self._theme = theme
        self._segments = _source("segments", SEGMENTS)
        self._marked = _source("marked", MARKED)
        self._wholes = _source("nodes", WHOLES)
        self._factors = FactorRange(factors=[("node", "CPU")], group_padding=0.6)
        self._end = Range1d(start=0, end=100 * MARGIN)
        self.layout = self._figure()
        self._add_bars(self.layout)

    def _figure(self) -> LayoutDOM:
        plot: Any = figure(
            title="Requests of the pods (point at a segment)",
            name="fill-figure",
            height=3 * HEIGHT_OF_NODE + FRAME,
            sizing_mode="stretch_width",
            x_range=self._end,
            y_range=self._factors,
            x_axis_label=AXIS_LABEL,
            tools="",
        )
        plot.xaxis.ticker = FixedTicker(ticks=list(TICKS))
        set_plain_style(plot, self._theme)
        plot.yaxis.group_label_orientation = "horizontal"
        plot.yaxis.group_text_font_size = FONT_SIZE
        plot.yaxis.group_text_color = self._theme.text
        plot.ygrid.grid_line_color = None
        return cast(LayoutDOM, plot)

    def _add_bars(self, plot: Any) -> None:
        """Add, from back to front: whole bars, segments, the marked pod, texts."""
        theme = self._theme
        plot.hbar(
            y="y",
            right="right",
            height=0.86,
            source=self._wholes,
            fill_color=theme.bar,
            line_color=theme.bar_edge,
            hatch_pattern="hatch",
            hatch_color=theme.bar_hatch,
            hatch_scale=8,
        )
        bar: dict[str, Any] = {"y": "y", "left": "left", "right": "right", "height": 0.86}
        plot.hbar(**bar, source=self._segments, fill_color=theme.background, line_color=None)
        pods = plot.hbar(
            **bar,
            source=self._segments,
            fill_color="colour",
            fill_alpha=SHADE,
            line_color="colour",
        )
        plot.hbar(**bar, source=self._marked, fill_alpha=0, line_color=theme.text, line_width=2.6)
        text: dict[str, Any] = {
            "text_font_size": "11px",
            "text_baseline": "middle",
            "text_color": theme.text,
        }
        plot.text(
            x="middle", y="y", text="label", source=self._segments, text_align="center", **text
        )
        plot.text(x="right", y="y", text="figures", source=self._wholes, x_offset=8, **text)
        plot.add_tools(HoverTool(renderers=[pods], tooltips=TIP))

    def draw(self, fill: Fill, marked: str = "") -> None:
        """Replace everything that is shown.

        Args:
            fill: the nodes now.
            marked: name of the pod to outline; "" for none.
        """
        chart = bar_chart(fill)
        factors = [
            (node.node, label) for node in reversed(chart.nodes) for _, label in RESOURCES[::-1]
        ]
        if factors and factors != self._factors.factors:
            self._factors.factors = factors
            self.layout.height = len(chart.nodes) * HEIGHT_OF_NODE + FRAME
        self._end.end = 100 * MARGIN * chart.most
        segments = segments_of(chart, group_colours([fill], self._theme))
        chosen = [n for n, name in enumerate(segments["pod"]) if name == marked]
        self._wholes.data = dict(wholes_of(chart))
        self._segments.data = dict(segments)
        self._marked.data = {key: [segments[key][n] for n in chosen] for key in MARKED}


def segments_of(chart: BarChart, colours: dict[str, str]) -> dict[str, list[Any]]:
    """Return a row for each pod and resource: where its segment is, and its texts."""
    columns: dict[str, list[Any]] = {column: [] for column in SEGMENTS}
    for node in chart.nodes:
        amounts = _amounts(node)
        for bar in node.bars:
            for segment in bar.segments:
                room = segment.right - segment.left >= LETTER * len(segment.pod)
                row = (
                    (node.node, bar.label),
                    segment.left,
                    segment.right,
                    (segment.left + segment.right) / 2,
                    segment.pod,
                    segment.pod if room else "",
                    colours[segment.group],
                    amounts[segment.pod],
                )
                for column, value in zip(SEGMENTS, row, strict=True):
                    columns[column].append(value)
    return columns


def wholes_of(chart: BarChart) -> dict[str, list[Any]]:
    """Return a row for each node and resource: its whole bar, hatched if pods are kept away."""
    columns: dict[str, list[Any]] = {column: [] for column in WHOLES}
    for node in chart.nodes:
        for bar in node.bars:
            last = bar is node.bars[-1]
            text = bar.figures + (_notes(node) if last else "")
            row = ((node.node, bar.label), 100.0, "/" if node.notes else " ", text)
            for column, value in zip(WHOLES, row, strict=True):
                columns[column].append(value)
    return columns


def _amounts(node: NodeBars) -> dict[str, str]:
    """Return what each pod requests, in words."""
    amounts: dict[str, list[str]] = {}
    for bar in node.bars:
        for segment in bar.segments:
            amounts.setdefault(segment.pod, []).append(f"{segment.amount} {bar.label}")
    return {pod: ", ".join(each) for pod, each in amounts.items()}


def _notes(node: NodeBars) -> str:
    notes = ", ".join(note.rpartition("/")[2] for note in node.notes)
    return f"  ({notes})" if notes else ""


def _source(name: str, columns: Sequence[str]) -> ColumnDataSource:
    return ColumnDataSource({column: [] for column in columns}, name=name)
