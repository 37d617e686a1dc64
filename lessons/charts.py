"""The charts: CPU of each pod against the target, and the number of pods.

Both share their time axis. Decisions of the autoscaler are marked where they were made, with the
reason on hover.
"""

from __future__ import annotations

from typing import Any

from bokeh.layouts import column
from bokeh.models import ColumnDataSource, HoverTool, Range1d
from bokeh.plotting import figure

from lessons import style
from lessons.series import Series

HEIGHT = 260


class WorkloadCharts:
    """Two figures over one series.

    Attributes:
        layout: both figures, for a `Live` widget.
    """

    def __init__(self) -> None:
        self._rows = ColumnDataSource(
            {
                k: []
                for k in (
                    "t",
                    "desired",
                    "ready",
                    "minimum",
                    "maximum",
                    "target",
                    "average",
                    "offered",
                )
            },
            name="metrics",
        )
        self._pods = ColumnDataSource({"xs": [], "ys": [], "pod": [], "colour": []}, name="cpu")
        self._ups = ColumnDataSource({"t": [], "after": [], "why": []}, name="ups")
        self._downs = ColumnDataSource({"t": [], "after": [], "why": []}, name="downs")
        self._range = Range1d(0, 60)
        self.layout = column(self._cpu_figure(), self._pods_figure(), sizing_mode="stretch_width")

    def _figure(self, title: str, label: str, name: str) -> Any:
        plot = figure(
            title=title,
            height=HEIGHT,
            sizing_mode="stretch_width",
            x_range=self._range,
            x_axis_label="simulated time [s]",
            y_axis_label=label,
            tools="pan,wheel_zoom,reset",
            name=name,
        )
        plot.y_range.start = 0
        return plot

    def _cpu_figure(self) -> Any:
        plot = self._figure("CPU of each pod", "CPU [millicores]", "cpu-figure")
        lines = plot.multi_line(
            "xs",
            "ys",
            source=self._pods,
            line_color="colour",
            line_width=1.2,
            line_alpha=0.7,
            legend_label="each pod",
        )
        plot.line(
            "t",
            "average",
            source=self._rows,
            line_width=3,
            color=style.BLACK,
            legend_label="average",
        )
        plot.line(
            "t",
            "target",
            source=self._rows,
            line_width=2.5,
            line_dash="dashed",
            color=style.PINK,
            legend_label="target",
        )
        plot.add_tools(HoverTool(renderers=[lines], tooltips=[("pod", "@pod")]))
        style.plain(plot)
        style.place_legend(plot)
        return plot

    def _pods_figure(self) -> Any:
        plot = self._figure("Number of pods", "pods", "pods-figure")
        for key, colour, dash, width, label in (
            ("maximum", style.GREY, "dotted", 2, "max"),
            ("minimum", style.GREY, "dotdash", 2, "min"),
            ("desired", style.ORANGE, "dashed", 2.5, "desired"),
            ("ready", style.GREEN, "solid", 3, "ready"),
        ):
            plot.step(
                "t",
                key,
                source=self._rows,
                mode="after",
                color=colour,
                line_dash=dash,
                line_width=width,
                legend_label=label,
            )
        marks = []
        for source, marker, label in (
            (self._ups, "triangle", "scaled up"),
            (self._downs, "inverted_triangle", "scaled down"),
        ):
            marks.append(
                plot.scatter(
                    "t",
                    "after",
                    source=source,
                    marker=marker,
                    size=13,
                    color=style.BLUE,
                    line_color="white",
                    legend_label=label,
                )
            )
        plot.add_tools(HoverTool(renderers=marks, tooltips=[("t", "@t s"), ("why", "@why")]))
        style.plain(plot)
        style.place_legend(plot)
        return plot

    def draw(self, series: Series) -> None:
        """Replace what is shown by the whole window: self-healing, and no dearer than streaming."""
        columns = series.columns()
        lines = series.pod_lines()
        lines["colour"] = [
            style.POD_COLOURS[index % len(style.POD_COLOURS)] for index in range(len(lines["pod"]))
        ]
        self._rows.data = columns
        self._pods.data = lines
        self._ups.data = series.mark_columns(growing=True)
        self._downs.data = series.mark_columns(growing=False)
        if columns["t"]:
            end = max(columns["t"][-1], 60.0)
            self._range.start = max(0.0, end - series.window)
            self._range.end = end


def svg(series: Series, title: str) -> str:
    """A still picture of the number of pods, for pages where widgets cannot live."""
    columns = series.columns()
    width, height = 640, 160
    if not columns["t"]:
        body = '<text x="20" y="80">nothing has happened yet</text>'
    else:
        end = max(columns["t"][-1], 1.0)
        top = max([*columns["maximum"], *columns["desired"], 1])

        def line(key: str, colour: str, dash: str) -> str:
            points = " ".join(
                f"{40 + 580 * t / end:.1f},{140 - 120 * value / top:.1f}"
                for t, value in zip(columns["t"], columns[key], strict=True)
            )
            return (
                f'<polyline fill="none" stroke="{colour}" stroke-width="2" '
                f'stroke-dasharray="{dash}" points="{points}"/>'
            )

        body = line("desired", style.ORANGE, "6 4") + line("ready", style.GREEN, "")
        body += f'<text x="40" y="156">0 s</text><text x="580" y="156">{end:.0f} s</text>'
        body += f'<text x="4" y="26">{top} pods</text>'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'font-family="sans-serif" font-size="11" role="img"><title>{title}</title>{body}</svg>'
    )
