"""The charts of the tuning panel: load, latency and pods of a trial, another trial behind it."""

from __future__ import annotations

from typing import Any

from bokeh.layouts import column
from bokeh.models import BasicTicker, ColumnDataSource, HoverTool, Range1d
from bokeh.plotting import figure

from lessons.cockpit.charts import HEADROOM, TIME_LABEL, WHY
from lessons.tuning.trial import COLUMNS, NAN, Trial
from lessons.ui import style

LOAD_HEIGHT, LATENCY_HEIGHT, PODS_HEIGHT = 220, 160, 230
BEHIND = style.Line(style.GREY, "solid", 1.4)
MARKS = ("t", "after", "why")


class TuningCharts:
    """Three figures over a trial.

    Attributes:
        layout: the figures, for a `Live` widget.
        figures: (load, latency, pods).
    """

    def __init__(self) -> None:
        self._rows = _source("trial", COLUMNS)
        self._behind = _source("behind", COLUMNS)
        self._sizes = _source("sizes", ("t", "wanted"))
        self._behind_sizes = _source("behind-sizes", ("t", "wanted"))
        self._wishes = _source("wishes", ("t", "wish"))
        self._ups = _source("trial-ups", MARKS)
        self._downs = _source("trial-downs", MARKS)
        self._time = Range1d(start=0, end=600)
        self.figures = (self._load_figure(), self._latency_figure(), self._pods_figure())
        self._show_a(False)
        self.layout = column(*self.figures, sizing_mode="stretch_width", spacing=2)

    def _figure(self, title: str, label: str, name: str, height: int) -> Any:
        plot = figure(
            title=title,
            name=name,
            height=height,
            sizing_mode="stretch_width",
            x_range=self._time,
            y_range=Range1d(start=0, end=10),
            x_axis_label=TIME_LABEL,
            y_axis_label=label,
            tools="",
        )
        plot.xaxis.axis_label_standoff = 2
        return plot

    def _load_figure(self) -> Any:
        plot = self._figure("Requests", "requests [1/s]", "load-figure", LOAD_HEIGHT)
        served = {"fill_color": style.SERVED_FILL, "fill_alpha": 0.45}
        unmet = {"fill_color": style.UNMET_FILL, "fill_alpha": 0.6, "hatch_pattern": "/"}
        plot.varea(x="t", y1=0, y2="served", source=self._rows, legend_label="served", **served)
        plot.varea(
            x="t", y1="served", y2="offered", source=self._rows, legend_label="unmet", **unmet
        )
        plot.line("t", "served", source=self._behind, legend_label="A served", **BEHIND.options())
        look = style.OFFERED.options()
        plot.line("t", "offered", source=self._rows, legend_label="offered", **look)
        return _finished(plot)

    def _latency_figure(self) -> Any:
        title = "Latency that 95 % of the requests do not exceed"
        plot = self._figure(title, "p95 [s]", "latency-figure", LATENCY_HEIGHT)
        plot.line("t", "p95", source=self._behind, legend_label="A", **BEHIND.options())
        plot.line("t", "p95", source=self._rows, legend_label="now", **style.LATENCY.options())
        return _finished(plot)

    def _pods_figure(self) -> Any:
        title = "Pods, and what the autoscaler wished (▲ ▼ a decision: point at it)"
        plot = self._figure(title, "pods", "trial-pods-figure", PODS_HEIGHT)
        plot.yaxis.ticker = BasicTicker(min_interval=1, desired_num_ticks=6)
        for source, key, line, label in (
            (self._behind_sizes, "wanted", BEHIND, "A"),
            (self._rows, "ready", style.READY, "ready"),
            (self._sizes, "wanted", style.DESIRED, "wanted"),
        ):
            plot.step("t", key, source=source, mode="after", legend_label=label, **line.options())
        plot.scatter(
            "t", "wish", source=self._wishes, size=4, color=style.BLACK, legend_label="wish"
        )
        marks = [
            plot.scatter(
                "t",
                "after",
                source=source,
                marker=marker,
                size=12,
                fill_color=style.AMBER,
                line_color=style.BLACK,
            )
            for source, marker in ((self._ups, "triangle"), (self._downs, "inverted_triangle"))
        ]
        plot.add_tools(HoverTool(renderers=marks, tooltips=WHY))
        return _finished(plot)

    def _show_a(self, there: bool) -> None:
        """Name the other trial in the legends, or do not."""
        for plot in self.figures:
            for item in plot.legend[0].items:
                if item.label.value.startswith("A"):
                    item.visible = there

    def draw(self, trial: Trial, other: Trial | None = None) -> None:
        """Replace what is shown by a trial; another one as thin grey lines behind it."""
        columns, steps = trial.columns(), trial.steps()
        behind = other.columns() if other is not None else {key: [] for key in COLUMNS}
        behind_steps = other.steps() if other is not None else {"t": [], "wanted": []}
        load, latency, pods = self.figures
        self._show_a(other is not None)
        self._time.end = trial.seconds
        load.y_range.end = _top(columns["offered"], 10)
        latency.y_range.end = _top([*columns["p95"], *behind["p95"]], 1)
        tallest = _top([*steps["wanted"], *columns["ready"], *behind_steps["wanted"]], 3)
        pods.y_range.end = tallest
        self._rows.data = columns
        self._behind.data = behind
        self._sizes.data = {key: steps[key] for key in ("t", "wanted")}
        self._behind_sizes.data = {key: behind_steps[key] for key in ("t", "wanted")}
        wishes = [wish if wish <= tallest else NAN for wish in steps["wish"]]
        self._wishes.data = {"t": steps["wish_t"], "wish": wishes}
        self._ups.data = _marks(trial, growing=True)
        self._downs.data = _marks(trial, growing=False)


def _marks(trial: Trial, *, growing: bool) -> dict[str, list[Any]]:
    found = [d for d in trial.decisions if (d.data["to"] > d.data["from"]) == growing]
    return {
        "t": [d.time for d in found],
        "after": [d.data["to"] for d in found],
        "why": [f"{d.verdict}; bound by: {d.binding}" for d in found],
    }


def _source(name: str, columns: tuple[str, ...]) -> ColumnDataSource:
    return ColumnDataSource({column: [] for column in columns}, name=name)


def _top(values: list[float], least: float) -> float:
    return max([float(least), *(value for value in values if value == value)]) * HEADROOM


def _finished(plot: Any) -> Any:
    style.quiet(plot)
    style.legend_above(plot)
    return plot
