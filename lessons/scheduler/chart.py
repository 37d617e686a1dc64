"""The node chart, live: for each node a bar of CPU and one of memory, pods as segments.

Point at a segment to read what the pod requests. `lessons.scheduler.still` draws the same
description as a still picture. Kubernetes has no counterpart.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from bokeh.models import (
    CategoricalColorMapper,
    ColumnDataSource,
    CustomJS,
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
    group_numbers,
)
from lessons.scheduler.nodes import Fill
from lessons.ui.charts.figure_style import FONT_SIZE, NARROW_BORDER, set_plain_style
from lessons.ui.charts.theme import LIGHT, Theme
from lessons.ui.charts.themed import ThemedModels

HEIGHT_OF_NODE = 62  # pixels
FRAME = 54  # axis
MARGIN = 0.5  # room to the right of 100 % for figures, as a share of it
LETTER = 2.6  # percent of the axis that a letter of a name takes in a narrow chart
SEGMENTS = ("y", "left", "right", "middle", "pod", "label", "colour", "asks")
WHOLES = ("y", "right", "hatch", "figures")
MARKED = ("y", "left", "right")
TIP = "<b>@pod</b>: @asks"
# In the page: room for the texts beside the bars, and no name that is wider than its segment.
FIT_TEXTS = """
const inner = figure.inner_width, range = figure.x_range;
if (!inner) return;
const pen = document.createElement('canvas').getContext('2d');
const plain = spec => spec.value ?? spec;
pen.font = `${plain(glyph.text_font_size)} ${plain(glyph.text_font)}`;
const width = text => pen.measureText(text).width;
const bars = Math.max(100, ...Array.from(segments.data.right));
const beside = Math.max(0, ...Array.from(wholes.data.figures, width)) + 16;
const end = bars * inner / Math.max(inner - beside, inner * 0.3);
const {pod, left, right} = segments.data;
const label = Array.from(pod, (name, n) =>
  (right[n] - left[n]) / end * inner > width(name) + 3 ? name : '');
setTimeout(() => {
  if (Math.abs(range.end - end) > 0.01) range.setv({end}, {sync: false});
  if (label.join() !== Array.from(segments.data.label).join())
    segments.setv({data: {...segments.data, label}}, {sync: false});
}, 0);
"""


class FillChart:
    """The live node chart.

    Args:
        theme: colours until a page shows the figure.

    Attributes:
        layout: the figure, for a `Live` widget.
        themed: what follows the theme of the page.
    """

    def __init__(self, theme: Theme = LIGHT) -> None:
        self._theme = theme
        self.themed, self._scale = ThemedModels(theme), 1.0
        self._segments = _source("segments", SEGMENTS)
        self._marked = _source("marked", MARKED)
        self._wholes = _source("nodes", WHOLES)
        self._factors = FactorRange(factors=[("node", "CPU")], group_padding=0.6)
        self._end = Range1d(start=0, end=100 * (1 + MARGIN))
        self.layout = self._figure()
        self._add_bars(self.layout)
        self.themed.follow_page(self.layout)

    def _figure(self) -> LayoutDOM:
        plot: Any = figure(
            name="fill-figure",
            height=3 * HEIGHT_OF_NODE + FRAME,
            sizing_mode="stretch_width",
            x_range=self._end,
            y_range=self._factors,
            x_axis_label=AXIS_LABEL,
            tools="",
        )
        plot.xaxis.ticker = FixedTicker(ticks=list(TICKS))
        set_plain_style(plot, self.themed, NARROW_BORDER)
        (nodes,) = plot.yaxis
        nodes.group_label_orientation = "horizontal"
        self.themed.size(nodes, group_text_font_size=FONT_SIZE)
        self.themed.paint(nodes, group_text_color="text", separator_line_color="grid")
        plot.ygrid.visible = False
        return cast(LayoutDOM, plot)

    def _add_bars(self, plot: Any) -> None:
        """Add, from back to front: whole bars, segments, the marked pod, texts."""
        themed, groups = self.themed, range(len(self._theme.groups))
        mapper = CategoricalColorMapper(factors=[str(n) for n in groups])
        themed.paint_mapper(mapper, [f"group-{n}" for n in groups])
        whole = plot.hbar(
            y="y",
            right="right",
            height=0.86,
            source=self._wholes,
            hatch_pattern="hatch",
            hatch_scale=8,
        ).glyph
        themed.paint(whole, fill_color="bar", line_color="bar-edge", hatch_color="bar-hatch")
        bar: dict[str, Any] = {"y": "y", "left": "left", "right": "right", "height": 0.86}
        below = plot.hbar(**bar, source=self._segments, line_color=None).glyph
        themed.paint(below, fill_color="background")
        colour = {"field": "colour", "transform": mapper}
        pods = plot.hbar(
            **bar, source=self._segments, fill_color=colour, fill_alpha=SHADE, line_color=colour
        )
        outline = plot.hbar(**bar, source=self._marked, fill_alpha=0).glyph
        themed.paint(outline, line_color="text")
        themed.size(outline, line_width=2.6)
        name = plot.text(
            x="middle", y="y", text="label", source=self._segments, text_align="center"
        ).glyph
        figures = plot.text(x="right", y="y", text="figures", source=self._wholes, x_offset=8).glyph
        for text in (name, figures):
            text.text_baseline = "middle"
            themed.size(text, text_font_size="11px")
            themed.paint(text, text_color="text")
        arguments = {
            "figure": plot,
            "segments": self._segments,
            "wholes": self._wholes,
            "glyph": figures,
        }
        fit = CustomJS(args=arguments, code=FIT_TEXTS)
        plot.js_on_change("inner_width", fit)
        plot.x_range.js_on_change("end", fit)
        for source in (self._segments, self._wholes):
            source.js_on_change("data", fit)
        plot.add_tools(HoverTool(renderers=[pods], tooltips=TIP))

    def scale(self, factor: float) -> None:
        """Enlarge texts, lines and bars; 1 is normal."""
        self.themed.scale(factor)
        self._scale = factor
        self._set_height()

    def _set_height(self) -> None:
        nodes = len(self._factors.factors) // len(RESOURCES)
        height = round((nodes * HEIGHT_OF_NODE + FRAME) * self._scale)
        if self.layout.height != height:
            self.layout.height = height

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
            self._set_height()
        self._end.end = 100 * (1 + MARGIN * self._scale) * chart.most
        segments = segments_of(chart, group_numbers([fill]), self._scale)
        chosen = [n for n, name in enumerate(segments["pod"]) if name == marked]
        self._wholes.data = dict(wholes_of(chart))
        self._segments.data = dict(segments)
        self._marked.data = {key: [segments[key][n] for n in chosen] for key in MARKED}


def segments_of(
    chart: BarChart, colours: dict[str, str], scale: float = 1.0
) -> dict[str, list[Any]]:
    """Return a row for each pod and resource: where its segment is, and its texts.

    Args:
        chart: the description.
        colours: of the groups of pods.
        scale: size of the letters; a name that has no room is left out.
    """
    columns: dict[str, list[Any]] = {column: [] for column in SEGMENTS}
    for node in chart.nodes:
        amounts = _amounts(node)
        for bar in node.bars:
            for segment in bar.segments:
                room = segment.right - segment.left >= LETTER * scale * len(segment.pod)
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
        closed = _closed(node)
        for bar in node.bars:
            text = ", ".join([bar.figures, *closed.pop(0)])
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


def _closed(node: NodeBars) -> list[list[str]]:
    """Return one word for each row of a node; `closed_html` says the rest."""
    cordoned = ["cordoned"] if "cordoned" in node.notes else []
    tainted = ["tainted"] if len(node.notes) > len(cordoned) else []
    return [cordoned, tainted]


def _source(name: str, columns: Sequence[str]) -> ColumnDataSource:
    return ColumnDataSource({column: [] for column in columns}, name=name)
