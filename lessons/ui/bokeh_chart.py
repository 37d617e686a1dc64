"""Live figures: a chart description drawn with Bokeh.

`draw` replaces the whole window instead of streaming single rows. That recovers from a lost message
by itself, and measured no slower (docs/decisions/0008-live-charts.md).

Kubernetes has no counterpart; the nearest is a panel of Grafana.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bokeh.layouts import column
from bokeh.models import (
    BasicTicker,
    ColumnDataSource,
    HoverTool,
    LinearAxis,
    Range1d,
)
from bokeh.models.renderers import DataRenderer
from bokeh.plotting import figure

from lessons.ui.chart import (
    TIME_LABEL,
    Band,
    Bundle,
    Chart,
    ChartData,
    Columns,
    Curve,
    Dots,
    Layer,
    Markers,
    Plot,
)
from lessons.ui.theme import LIGHT, POD_WIDTH, LineStyle, Theme

LEAST_SECONDS = 60.0  # a moving time axis is never shorter
STEPS = "-steps"  # suffix of a source that holds the corners of stepped areas
LEFT_BORDER = 62  # pixels, the same in all plots, so that their time axes are aligned
RIGHT_BORDER = 58
FONT_SIZE = "12px"
WHY = """<div style="max-width:340px;white-space:normal;font-size:12px">
<b>@t{0.0} s</b>: @why</div>"""


class BokehChart:
    """The live figures of one chart.

    Args:
        chart: what to draw.
        theme: colours and line styles.

    Attributes:
        layout: the figures, for a `Live` widget.
        figures: one for each plot.
    """

    def __init__(self, chart: Chart, theme: Theme = LIGHT) -> None:
        self._chart, self._theme = chart, theme
        self._sources = {name: _source(name, columns) for name, columns in chart.columns().items()}
        stepped = {
            layer.source
            for plot in chart.plots
            for layer in plot.layers
            if isinstance(layer, Band) and layer.step
        }
        self._corners = {
            name: _source(name + STEPS, chart.columns()[name]) for name in sorted(stepped)
        }
        self._time = Range1d(start=0, end=LEAST_SECONDS)
        self._right: dict[str, Range1d] = {}
        self.figures = tuple(self._figure(plot) for plot in chart.plots)
        self.layout = column(*self.figures, sizing_mode="stretch_width", spacing=2)
        self._show_optional()

    # -- building -------------------------------------------------------------------------------

    def _figure(self, plot: Plot) -> Any:
        drawn = figure(
            title=plot.title,
            name=f"{plot.name}-figure",
            height=plot.height,
            sizing_mode="stretch_width",
            x_range=self._time,
            y_range=Range1d(start=0, end=10),
            x_axis_label=TIME_LABEL,
            y_axis_label=plot.y_label,
            tools="",
        )
        drawn.xaxis.axis_label_standoff = 2
        if plot.whole_numbers:
            drawn.yaxis.ticker = BasicTicker(min_interval=1, desired_num_ticks=6)
        if plot.right_label:
            self._right[plot.name] = Range1d(start=0, end=130)
            drawn.extra_y_ranges = {"right": self._right[plot.name]}
            drawn.add_layout(LinearAxis(y_range_name="right", axis_label=plot.right_label), "right")
        drawn_layers = [self._add(drawn, layer) for layer in plot.layers]
        if markers := [each for each in drawn_layers if each is not None]:
            drawn.add_tools(HoverTool(renderers=markers, tooltips=WHY))
        set_plain_style(drawn, self._theme)
        set_legend_above(drawn, self._theme)
        if plot.legend_columns:
            drawn.legend[0].ncols = plot.legend_columns
        return drawn

    def _add(self, drawn: Any, layer: Layer) -> DataRenderer | None:
        """Add the glyphs of one layer to a figure; return the markers, if it has some."""
        source = self._sources[layer.source]
        match layer:
            case Curve():
                options = line_options(self._theme.lines[layer.style])
                if layer.step:
                    options["mode"] = "after"
                draw = drawn.step if layer.step else drawn.line
                draw("t", layer.y, source=source, legend_label=layer.label, **options)
            case Band():
                self._add_band(drawn, layer)
            case Bundle():
                self._add_bundle(drawn, layer)
            case Markers():
                return self._add_markers(drawn, layer)
            case Dots():
                style = self._theme.lines[layer.style]
                drawn.scatter(
                    "t",
                    layer.y,
                    source=source,
                    size=style.width,
                    color=style.colour,
                    legend_label=layer.label,
                )
        return None

    def _add_band(self, drawn: Any, layer: Band) -> None:
        """Add an area.

        BokehJS 3.9 hangs on an empty `varea_step`, so stepped areas are drawn with `varea`.
        """
        fill = self._theme.fills[layer.style]
        hatch: dict[str, Any] = {}
        if fill.hatch:
            hatch = {"hatch_pattern": fill.hatch, "hatch_alpha": 0.45}
        drawn.varea(
            x="t",
            y1=layer.low or 0,
            y2=layer.high,
            source=(self._corners if layer.step else self._sources)[layer.source],
            fill_color=fill.colour,
            fill_alpha=fill.alpha,
            legend_label=layer.label,
            **hatch,
        )

    def _add_bundle(self, drawn: Any, layer: Bundle) -> None:
        source = self._sources[layer.source]
        source.data = {**source.data, "colour": [], "dash": []}
        lines = drawn.multi_line(
            "xs",
            "ys",
            source=source,
            line_color="colour",
            line_dash="dash",
            line_width=POD_WIDTH,
            line_alpha=0.75,
            legend_label=layer.label,
        )
        drawn.add_tools(HoverTool(renderers=[lines], tooltips="<b>@pod</b>"))

    def _add_markers(self, drawn: Any, layer: Markers) -> DataRenderer:
        source, theme = self._sources[layer.source], self._theme
        if layer.moments:
            moment = theme.lines["moment"]
            drawn.vspan("t", source=source, line_color=moment.colour, line_width=moment.width)
        markers: DataRenderer = drawn.scatter(
            "t",
            layer.y,
            source=source,
            marker="triangle" if layer.up else "inverted_triangle",
            size=13,
            fill_color=theme.marker,
            line_color=theme.marker_edge,
        )
        return markers

    # -- drawing --------------------------------------------------------------------------------

    def draw(self, data: ChartData) -> None:
        """Replace everything that is shown."""
        self._set_axes(data)
        columns = self._chart.columns()
        bundles = self._bundles()
        for name, source in self._sources.items():
            given = data.sources[name]
            columns_now = {each: list(given[each]) for each in columns[name]}
            if name in bundles:
                columns_now |= self._line_styles(len(given["pod"]))
            source.data = columns_now
        for name, source in self._corners.items():
            given = data.sources[name]
            source.data = corners({each: given[each] for each in columns[name]})
        self._show_optional()

    def _bundles(self) -> set[str]:
        """Return the names of the sources whose lines have styles of their own."""
        layers = (layer for plot in self._chart.plots for layer in plot.layers)
        return {layer.source for layer in layers if isinstance(layer, Bundle)}

    def _line_styles(self, count: int) -> dict[str, list[object]]:
        """Return the columns `colour` and `dash` of that many lines."""
        styles = [self._theme.pod_line(n) for n in range(count)]
        return {
            "colour": [style.colour for style in styles],
            "dash": [style.dash for style in styles],
        }

    def _set_axes(self, data: ChartData) -> None:
        if data.window is None:
            self._time.update(start=data.start, end=data.end)
        else:
            end = max(data.end, LEAST_SECONDS)
            self._time.update(start=max(0.0, end - data.window), end=end)
        for plot, drawn in zip(self._chart.plots, self.figures, strict=True):
            if plot.name in data.tops:
                drawn.y_range.end = data.tops[plot.name]
            if plot.name in data.right_tops:
                self._right[plot.name].end = data.right_tops[plot.name]

    def _show_optional(self) -> None:
        """Name optional lines in the legends only while they have data."""
        for plot, drawn in zip(self._chart.plots, self.figures, strict=True):
            items = {item.label.value: item for item in drawn.legend[0].items}
            for layer in plot.layers:
                if isinstance(layer, Curve) and layer.optional:
                    items[layer.label].visible = bool(self._sources[layer.source].data["t"])


def corners(columns: Columns) -> dict[str, list[object]]:
    """Return columns as steps: each row but the first follows a copy of the row before it.

    >>> corners({"t": [0, 5], "pods": [1, 3]})
    {'t': [0, 5, 5], 'pods': [1, 1, 3]}
    """
    out: dict[str, list[object]] = {}
    for key, values in columns.items():
        before = values[1:] if key == "t" else values[:-1]
        pairs = zip(before, values[1:], strict=True)
        out[key] = [*values[:1], *(value for pair in pairs for value in pair)]
    return out


def line_options(style: LineStyle) -> dict[str, Any]:
    """Return a line style as keyword arguments of a Bokeh glyph."""
    return {"line_color": style.colour, "line_dash": style.dash, "line_width": style.width}


def set_plain_style(drawn: Any, theme: Theme) -> None:
    """Give a figure legible labels, a faint grid, no ornaments, and borders that align."""
    drawn.toolbar_location = None
    drawn.outline_line_color = theme.frame
    drawn.background_fill_color = theme.background
    drawn.border_fill_color = theme.background
    drawn.min_border_left = LEFT_BORDER
    drawn.min_border_right = RIGHT_BORDER
    drawn.title.text_font_size = "13px"
    drawn.title.text_font_style = "bold"
    drawn.title.text_color = theme.text
    drawn.title.standoff = 2
    for axis in drawn.axis:
        axis.axis_label_text_font_size = FONT_SIZE
        axis.axis_label_text_font_style = "normal"
        axis.axis_label_text_color = theme.text
        axis.major_label_text_font_size = FONT_SIZE
        axis.major_label_text_color = theme.text
        axis.minor_tick_line_color = None
        axis.axis_line_color = theme.axis
    for grid in drawn.grid:
        grid.grid_line_color = theme.grid


def set_legend_above(drawn: Any, theme: Theme) -> None:
    """Put the legend between title and plot, in one row, so that it hides nothing."""
    legend = drawn.legend[0]
    legend.orientation = "horizontal"
    legend.label_text_font_size = FONT_SIZE
    legend.label_text_color = theme.text
    legend.glyph_width = 28
    legend.glyph_height = 12
    legend.spacing = 14
    legend.padding = 0
    legend.margin = 3
    legend.border_line_color = None
    legend.background_fill_alpha = 0.0
    drawn.add_layout(legend, "above")


def _source(name: str, columns: Sequence[str]) -> ColumnDataSource:
    empty: Mapping[str, list[object]] = {each: [] for each in columns}
    return ColumnDataSource(dict(empty), name=name)
