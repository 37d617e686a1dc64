"""The charts: CPU of each pod against the target, number of pods, requests served and not.

All three share their time axis. Decisions of the autoscaler are marked where they were made, with
the reason on hover. `draw` replaces the whole window: that heals itself after a lost message, and
measured no dearer than streaming (docs/decisions/0008-live-charts.md).
"""

from __future__ import annotations

from math import isnan
from typing import Any

from bokeh.layouts import column
from bokeh.models import BasicTicker, ColumnDataSource, HoverTool, LinearAxis, Range1d
from bokeh.plotting import figure

from lessons.cockpit.series import Series
from lessons.ui import style

CPU_HEIGHT = 232
PODS_HEIGHT = 204
TRAFFIC_HEIGHT = 204
HEADROOM = 1.08
LEAST_SECONDS = 60.0  # the time axis is never shorter
TIME_LABEL = "simulated time [s]"
DECISIONS = "(\u25b2 \u25bc a decision: point at it)"
WHY = """<div style="max-width:340px;white-space:normal;font-size:12px">
<b>@t{0.0} s</b>: @why</div>"""
ROWS = ("t", "desired", "ready", "minimum", "maximum", "target", "average", "offered", "served")
MARKS = ("t", "after", "seen", "why")


class WorkloadCharts:
    """Three figures over one series.

    Attributes:
        layout: the figures, for a `Live` widget.
        figures: (CPU, pods, requests).
    """

    def __init__(self) -> None:
        self._rows = _source("metrics", ROWS)
        self._pods = _source("cpu", ("xs", "ys", "pod", "colour", "dash"))
        self._ups = _source("ups", MARKS)
        self._downs = _source("downs", MARKS)
        self._time = Range1d(start=0, end=LEAST_SECONDS)
        self.figures = (self._cpu_figure(), self._pods_figure(), self._traffic_figure())
        self.layout = column(*self.figures, sizing_mode="stretch_width", spacing=2)

    # -- the figures ----------------------------------------------------------------------------

    def _figure(self, title: str, label: str, name: str, height: int, top: float) -> Any:
        plot = figure(
            title=title,
            name=name,
            height=height,
            sizing_mode="stretch_width",
            x_range=self._time,
            y_range=Range1d(start=0, end=top),
            x_axis_label=TIME_LABEL,
            y_axis_label=label,
            tools="",
        )
        plot.xaxis.axis_label_standoff = 2
        return plot

    def _cpu_figure(self) -> Any:
        plot = self._figure(
            f"CPU of each pod, and the target {DECISIONS}",
            "CPU [millicores]",
            "cpu-figure",
            CPU_HEIGHT,
            260,
        )
        self._percent = Range1d(start=0, end=130)
        plot.extra_y_ranges = {"percent": self._percent}
        plot.add_layout(LinearAxis(y_range_name="percent", axis_label="[% of request]"), "right")
        pods = plot.multi_line(
            "xs",
            "ys",
            source=self._pods,
            line_color="colour",
            line_dash="dash",
            line_width=style.pod_line(0).width,
            line_alpha=0.75,
            legend_label="one pod",
        )
        for key, line, label in (
            ("average", style.AVERAGE, "average"),
            ("target", style.TARGET, "target"),
        ):
            plot.line("t", key, source=self._rows, legend_label=label, **line.options())
        plot.add_tools(HoverTool(renderers=[pods], tooltips="<b>@pod</b>"))
        self._mark(plot, "seen")
        return _finished(plot)

    def _pods_figure(self) -> Any:
        plot = self._figure(f"Number of pods {DECISIONS}", "pods", "pods-figure", PODS_HEIGHT, 11)
        plot.yaxis.ticker = BasicTicker(min_interval=1, desired_num_ticks=6)
        for key, line, label in (
            ("maximum", style.LIMIT, "min, max"),
            ("minimum", style.LIMIT, "min, max"),
            ("ready", style.READY, "ready"),
            ("desired", style.DESIRED, "desired"),
        ):
            plot.step(
                "t", key, source=self._rows, mode="after", legend_label=label, **line.options()
            )
        self._mark(plot, "after")
        return _finished(plot)

    def _traffic_figure(self) -> Any:
        plot = self._figure(
            "Requests, and those that no pod could serve",
            "requests [1/s]",
            "traffic-figure",
            TRAFFIC_HEIGHT,
            10,
        )
        areas = (
            (0, "served", {"fill_color": style.SERVED_FILL, "fill_alpha": 0.45}, "served"),
            (
                "served",
                "offered",
                {"fill_color": style.UNMET_FILL, "fill_alpha": 0.6, "hatch_pattern": "/"},
                "not served",
            ),
        )
        for low, high, look, label in areas:
            plot.varea(x="t", y1=low, y2=high, source=self._rows, legend_label=label, **look)
        plot.line(
            "t", "offered", source=self._rows, legend_label="offered", **style.OFFERED.options()
        )
        return _finished(plot)

    def _mark(self, plot: Any, level: str) -> None:
        """Decisions: a thin line through the chart, a triangle to point at, the reason on hover."""
        marks = []
        for source, marker in ((self._ups, "triangle"), (self._downs, "inverted_triangle")):
            plot.vspan("t", source=source, line_color=style.GREY, line_alpha=0.35, line_width=1)
            marks.append(
                plot.scatter(
                    "t",
                    level,
                    source=source,
                    marker=marker,
                    size=13,
                    fill_color=style.AMBER,
                    line_color=style.BLACK,
                )
            )
        plot.add_tools(HoverTool(renderers=marks, tooltips=WHY))

    # -- drawing --------------------------------------------------------------------------------

    def draw(self, series: Series) -> None:
        """Replace what is shown by the whole window of the series."""
        columns = series.columns()
        lines = series.pod_lines()
        looks = [style.pod_line(index) for index in range(len(lines["pod"]))]
        lines["colour"] = [look.colour for look in looks]
        lines["dash"] = [look.dash for look in looks]
        self._fit(columns, lines, series)
        self._rows.data = columns
        self._pods.data = lines
        self._ups.data = series.mark_columns(growing=True)
        self._downs.data = series.mark_columns(growing=False)

    def _fit(self, columns: dict[str, list[float]], lines: dict[str, Any], series: Series) -> None:
        """The axes: time ends now; heights leave a little room above the largest value."""
        if not columns["t"]:
            return
        end = max(columns["t"][-1], LEAST_SECONDS)
        self._time.update(start=max(0.0, end - series.window), end=end)
        peaks = [_top(values, least=0) / HEADROOM for values in lines["ys"]]
        cpu = _top([*columns["target"], *columns["average"], *peaks], least=200)
        request = series.request_milli or 200
        pods = _top([*columns["maximum"], *columns["ready"], *columns["desired"]], least=1)
        cpu_plot, pods_plot, traffic_plot = self.figures
        cpu_plot.y_range.end = cpu
        self._percent.end = cpu / request * 100
        pods_plot.y_range.end = pods
        traffic_plot.y_range.end = _top(columns["offered"], least=10)


def _source(name: str, columns: tuple[str, ...]) -> ColumnDataSource:
    return ColumnDataSource({column: [] for column in columns}, name=name)


def _top(values: list[float], least: float) -> float:
    return max([least, *(value for value in values if not isnan(value))]) * HEADROOM


def _finished(plot: Any) -> Any:
    style.quiet(plot)
    style.legend_above(plot)
    return plot
