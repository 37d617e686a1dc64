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
    CategoricalColorMapper,
    ColumnDataSource,
    HoverTool,
    LinearAxis,
    Range1d,
)
from bokeh.models.renderers import DataRenderer, GlyphRenderer
from bokeh.plotting import figure

from lessons.ui.charts.chart import (
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
from lessons.ui.charts.figure_style import (
    NARROW_BORDER,
    RIGHT_BORDER,
    Y_TICKS,
    set_legend_above,
    set_plain_style,
)
from lessons.ui.charts.theme import CASING, LIGHT, POD_DASHES, POD_WIDTH, Theme
from lessons.ui.charts.themed import ThemedModels

LEAST_SECONDS = 60.0  # a moving time axis is never shorter
MARGIN = 0.015  # share of a moving time axis before its first second
STEPS = "-steps"  # suffix of a source that holds the corners of stepped areas
FEW_PODS = 10  # up to here the lines of single pods are clearly visible
CROWD_ALPHA = 0.4  # opacity of each line of more pods
WHY = """<div style="max-width:340px;white-space:normal;font-size:12px">
<b>@t{0.0} s</b>: @why</div>"""


class BokehChart:
    """The live figures of one chart.

    Args:
        chart: what to draw.
        theme: colours and line styles until a page shows the figures.

    Attributes:
        layout: the figures, for a `Live` widget.
        figures: one for each plot.
        themed: what follows the theme of the page.
    """

    def __init__(self, chart: Chart, theme: Theme = LIGHT) -> None:
        self._chart, self._theme = chart, theme
        self.themed = ThemedModels(theme)
        self._right_border = (
            RIGHT_BORDER if any(plot.right_label for plot in chart.plots) else NARROW_BORDER
        )
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
        self.layout = column(*self.figures, sizing_mode="stretch_both", spacing=2)
        self.themed.follow_page(self.layout)
        self._show_optional()

    # -- building -------------------------------------------------------------------------------

    def _figure(self, plot: Plot) -> Any:
        fig = figure(
            name=f"{plot.name}-figure",
            sizing_mode="stretch_both",
            styles={"flex": f"{plot.height} 1 0"},
            x_range=self._time,
            y_range=Range1d(start=plot.bottom(10), end=10),
            x_axis_label=TIME_LABEL,
            y_axis_label=plot.y_label,
            tools="",
        )
        fig.xaxis.axis_label_standoff = 2
        fig.xaxis.visible = plot is self._chart.plots[-1]  # one axis for all
        least = 1 if plot.whole_numbers else 0
        fig.yaxis.ticker = BasicTicker(desired_num_ticks=Y_TICKS, min_interval=least)
        if plot.right_label:
            self._right[plot.name] = Range1d(start=0, end=130)
            fig.extra_y_ranges = {"right": self._right[plot.name]}
            axis = LinearAxis(y_range_name="right", axis_label=plot.right_label)
            axis.ticker = BasicTicker(desired_num_ticks=Y_TICKS)
            fig.add_layout(axis, "right")
        renderers = [self._add(fig, layer) for layer in plot.layers]
        if markers := [each for each in renderers if each is not None]:
            fig.add_tools(HoverTool(renderers=markers, tooltips=WHY))
        set_plain_style(fig, self.themed, self._right_border)
        set_legend_above(fig, self.themed, plot.legend_columns)
        return fig

    def _add(self, fig: Any, layer: Layer) -> DataRenderer | None:
        """Add the glyphs of one layer to a figure; return the markers, if it has some."""
        source = self._sources[layer.source]
        match layer:
            case Curve():
                self._add_curve(fig, layer)
            case Band():
                self._add_band(fig, layer)
            case Bundle():
                self._add_bundle(fig, layer)
            case Markers():
                return self._add_markers(fig, layer)
            case Dots():
                dots = fig.scatter("t", layer.y, source=source, legend_label=layer.label).glyph
                colour = f"line-{layer.style}"
                self.themed.paint(dots, fill_color=colour, line_color=colour)
                self.themed.size(dots, size=self._theme.lines[layer.style].width)
        return None

    def _add_curve(self, fig: Any, layer: Curve) -> None:
        """Add a line; below an important one lies a wider line in the background's colour."""
        style, source = self._theme.lines[layer.style], self._sources[layer.source]
        draw, how = (fig.step, {"mode": "after"}) if layer.step else (fig.line, {})
        if style.cased:
            below = draw("t", layer.y, source=source, line_alpha=0.8, **how).glyph
            self.themed.paint(below, line_color="background")
            self.themed.size(below, line_width=style.width + CASING)
        line = draw(
            "t", layer.y, source=source, line_dash=style.dash, legend_label=layer.label, **how
        ).glyph
        self.themed.paint(line, line_color=f"line-{layer.style}")
        self.themed.size(line, line_width=style.width)

    def _add_band(self, fig: Any, layer: Band) -> None:
        """Add an area.

        BokehJS 3.9 hangs on an empty `varea_step`, so stepped areas are drawn with `varea`.
        """
        fill = self._theme.fills[layer.style]
        hatch: dict[str, Any] = {}
        if fill.hatch:
            hatch = {"hatch_pattern": fill.hatch, "hatch_alpha": 0.45}
        area = fig.varea(
            x="t",
            y1=layer.low or 0,
            y2=layer.high,
            source=(self._corners if layer.step else self._sources)[layer.source],
            fill_alpha=fill.alpha,
            legend_label=layer.label,
            **hatch,
        ).glyph
        self.themed.paint(area, fill_color=f"fill-{layer.style}", hatch_color="hatch")

    def _add_bundle(self, fig: Any, layer: Bundle) -> None:
        source = self._sources[layer.source]
        source.data = {**source.data, **self._line_styles(0)}
        colours = range(len(self._theme.pods))
        mapper = CategoricalColorMapper(factors=[str(n) for n in colours])
        self.themed.paint_mapper(mapper, [f"pod-{n}" for n in colours])
        lines = fig.multi_line(
            "xs",
            "ys",
            source=source,
            line_color={"field": "colour", "transform": mapper},
            line_dash="dash",
            line_alpha="alpha",
            legend_label=layer.label,
        )
        self.themed.size(lines.glyph, line_width=POD_WIDTH)
        fig.add_tools(HoverTool(renderers=[lines], tooltips="<b>@pod</b>"))

    def _add_markers(self, fig: Any, layer: Markers) -> DataRenderer:
        source = self._sources[layer.source]
        if layer.moments:
            moments = fig.vspan("t", source=source).glyph
            self.themed.paint(moments, line_color="line-moment")
            self.themed.size(moments, line_width=self._theme.lines["moment"].width)
        markers: GlyphRenderer[Any] = fig.scatter(
            "t",
            layer.y,
            source=source,
            marker="triangle" if layer.up else "inverted_triangle",
        )
        self.themed.paint(markers.glyph, fill_color="marker", line_color="marker-edge")
        self.themed.size(markers.glyph, size=13)
        return markers

    # -- drawing --------------------------------------------------------------------------------

    def draw(self, data: ChartData) -> None:
        """Replace everything that is shown."""
        self._set_axes(data)
        columns = self._chart.columns()
        bundles = self._bundles()
        for name, source in self._sources.items():
            columns_given = data.sources[name]
            columns_now = {each: list(columns_given[each]) for each in columns[name]}
            if name in bundles:
                columns_now |= self._line_styles(len(columns_given["pod"]))
            source.data = columns_now
        for name, source in self._corners.items():
            columns_given = data.sources[name]
            source.data = corners({each: columns_given[each] for each in columns[name]})
        self._show_optional()

    def _bundles(self) -> set[str]:
        """Return the names of the sources whose lines have their own styles."""
        layers = (layer for plot in self._chart.plots for layer in plot.layers)
        return {layer.source for layer in layers if isinstance(layer, Bundle)}

    def _line_styles(self, count: int) -> dict[str, list[object]]:
        """Return the columns `colour`, `dash` and `alpha` of that many lines."""
        colours = len(self._theme.pods)
        return {
            "colour": [str(n % colours) for n in range(count)],
            "dash": [POD_DASHES[n // colours % len(POD_DASHES)] for n in range(count)],
            "alpha": [0.85 if count <= FEW_PODS else CROWD_ALPHA] * count,
        }

    def _set_axes(self, data: ChartData) -> None:
        if data.window is None:
            self._time.update(start=data.start, end=data.end)
        else:
            end = max(data.end, LEAST_SECONDS)
            start = max(0.0, end - data.window)
            # A marker of the first second is not cut in half by the frame.
            self._time.update(start=start - MARGIN * (end - start), end=end)
        for plot, fig in zip(self._chart.plots, self.figures, strict=True):
            if plot.name in data.tops:
                top = data.tops[plot.name]
                fig.y_range.update(start=plot.bottom(top), end=top)
            if plot.name in data.right_tops:
                self._right[plot.name].update(end=data.right_tops[plot.name])

    def _show_optional(self) -> None:
        """Name optional lines in the legends only while they have data."""
        for plot, fig in zip(self._chart.plots, self.figures, strict=True):
            items = {item.label.value: item for item in fig.legend[0].items}
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


def _source(name: str, columns: Sequence[str]) -> ColumnDataSource:
    empty: Mapping[str, list[object]] = {each: [] for each in columns}
    return ColumnDataSource(dict(empty), name=name)
