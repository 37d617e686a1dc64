"""The chart of a rollout: old and new pods, ready and not yet ready, one above the other.

Two lines say what the rollout has to keep: never more pods than *at most*, never fewer ready ones
than *at least*. Each pass of the Deployment controller is marked on the time axis, with its reason
on hover.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bokeh.layouts import column
from bokeh.models import BasicTicker, ColumnDataSource, HoverTool, Range1d
from bokeh.plotting import figure

from lessons.cockpit.charts import HEADROOM, LEAST_SECONDS, TIME_LABEL, WHY
from lessons.rollout.series import LAYERS, LINES, RolloutSeries
from lessons.ui import style

HEIGHT = 460
EDGES = tuple(f"{layer}_from" for layer in LAYERS)
HINT = "(\u25bc a pass of the controller: point at it)"


class RolloutCharts:
    """One figure over one series.

    Attributes:
        layout: the figure, for a `Live` widget.
        figure: the same.
    """

    def __init__(self) -> None:
        self._rows = _source("rollout", ("t", *LAYERS, *LINES))
        self._areas = _source("areas", ("t", *LAYERS, *EDGES))
        self._marks = _source("passes", ("t", "y", "why"))
        self._time = Range1d(start=0, end=LEAST_SECONDS)
        self.figure = self._figure()
        self.layout = column(self.figure, sizing_mode="stretch_width")

    def _figure(self) -> Any:
        plot = figure(
            title=f"Pods of the Deployment {HINT}",
            name="rollout-figure",
            height=HEIGHT,
            sizing_mode="stretch_width",
            x_range=self._time,
            y_range=Range1d(start=0, end=14),
            x_axis_label=TIME_LABEL,
            y_axis_label="pods",
            tools="",
        )
        plot.xaxis.axis_label_standoff = 2
        plot.yaxis.ticker = BasicTicker(min_interval=1, desired_num_ticks=6)
        for layer, (fill, hatch, label) in style.ROLLOUT_AREAS.items():
            hatched = {"hatch_pattern": hatch, "hatch_alpha": 0.45} if hatch else {}
            plot.varea(
                x="t",
                y1=f"{layer}_from",
                y2=layer,
                source=self._areas,
                fill_color=fill,
                fill_alpha=0.75,
                legend_label=label,
                **hatched,
            )
        for key, (line, label) in style.ROLLOUT_LINES.items():
            plot.step(
                "t", key, source=self._rows, mode="after", legend_label=label, **line.options()
            )
        self._mark(plot)
        style.quiet(plot)
        style.legend_above(plot)
        plot.legend[0].ncols = 4
        return plot

    def _mark(self, plot: Any) -> None:
        """Passes: a thin line through the chart, a triangle to point at, the reason on hover."""
        source = self._marks
        plot.vspan("t", source=source, line_color=style.GREY, line_alpha=0.35, line_width=1)
        marks = plot.scatter(
            "t",
            "y",
            source=source,
            marker="inverted_triangle",
            size=13,
            fill_color=style.AMBER,
            line_color=style.BLACK,
        )
        plot.add_tools(HoverTool(renderers=[marks], tooltips=WHY))

    def draw(self, series: RolloutSeries) -> None:
        """Replace what is shown by the whole window of the series."""
        columns = series.columns()
        if columns["t"]:
            end = max(columns["t"][-1], LEAST_SECONDS)
            self._time.update(start=max(0.0, end - series.window), end=end)
            tallest = max(14.0, *columns["most"], *columns["old_waiting"])
            self.figure.y_range.end = tallest * HEADROOM
        self._rows.data = {key: columns[key] for key in ("t", *LAYERS, *LINES)}
        self._areas.data = corners({key: columns[key] for key in ("t", *LAYERS, *EDGES)})
        self._marks.data = series.mark_columns()


def corners(columns: Mapping[str, Sequence[float]]) -> dict[str, list[float]]:
    """Columns as steps: before each row but the first, the row before it at the later time.

    BokehJS 3.9 has areas with steps, but draws those without data for ever.

    >>> corners({"t": [0, 5], "pods": [1, 3]})
    {'t': [0, 5, 5], 'pods': [1, 1, 3]}
    """
    out: dict[str, list[float]] = {}
    for key, values in columns.items():
        before = values[1:] if key == "t" else values[:-1]
        pairs = zip(before, values[1:], strict=True)
        out[key] = [*values[:1], *(value for pair in pairs for value in pair)]
    return out


def _source(name: str, columns: tuple[str, ...]) -> ColumnDataSource:
    return ColumnDataSource({column: [] for column in columns}, name=name)
