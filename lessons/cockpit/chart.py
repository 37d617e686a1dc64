"""The cockpit's chart: CPU against the target, number of pods, requests served and not served.

The three plots share their time axis. A marker shows each decision of the autoscaler, with its
reason on hover.

Kubernetes has no counterpart; the nearest is a Grafana dashboard of a Deployment and its HPA.
"""

from __future__ import annotations

from lessons.cockpit.series import WorkloadSeries
from lessons.ui.charts.chart import (
    Band,
    Bundle,
    Chart,
    ChartData,
    Columns,
    Curve,
    Markers,
    Plot,
    top,
)

CPU = Plot(
    name="cpu",
    y_label="CPU [millicores]",
    layers=(
        Bundle("cpu", "each pod"),
        Curve("metrics", "average", "average", "average"),
        Curve("metrics", "target", "target", "target"),
        Markers("ups", "seen", up=True),
        Markers("downs", "seen", up=False),
    ),
    height=158,
    right_label="[% of request]",
)
PODS = Plot(
    name="pods",
    y_label="pods",
    layers=(
        Curve("metrics", "maximum", "limit", "min, max", step=True),
        Curve("metrics", "minimum", "limit", "min, max", step=True),
        Curve("metrics", "ready", "ready", "ready", step=True),
        Curve("metrics", "desired", "desired", "desired", step=True),
        Markers("ups", "after", up=True),
        Markers("downs", "after", up=False),
    ),
    height=130,
    whole_numbers=True,
)
TRAFFIC = Plot(
    name="traffic",
    y_label="requests [1/s]",
    layers=(
        Band("metrics", "", "served", "served", "served"),
        Band("metrics", "served", "offered", "unmet", "not served"),
        Curve("metrics", "offered", "offered", "offered"),
    ),
    height=160,
    still_height=0,
)
CHART = Chart((CPU, PODS, TRAFFIC))
DEFAULT_REQUEST_MILLI = 200  # until the workload says what a pod requests


def chart_data(series: WorkloadSeries, *, single_pods: bool = True) -> ChartData:
    """Return what the chart shows of a series; without single pods for a still picture."""
    columns = series.columns()
    sources: dict[str, Columns] = {
        "metrics": columns,
        "cpu": series.pod_lines(),
        "ups": series.mark_columns(growing=True),
        "downs": series.mark_columns(growing=False),
    }
    times = columns["t"]
    if not times:
        return ChartData(sources, start=0.0, end=-1.0)
    peaks = series.cpu_peaks() if single_pods else []
    cpu = top([*columns["target"], *columns["average"], *peaks], least=100)
    return ChartData(
        sources,
        start=times[0],
        end=times[-1],
        tops={
            "cpu": cpu,
            "pods": top([*columns["maximum"], *columns["ready"], *columns["desired"]], least=1),
            "traffic": top(columns["offered"], least=10),
        },
        right_tops={"cpu": cpu / (series.request_milli or DEFAULT_REQUEST_MILLI) * 100},
        window=series.window,
    )


__all__ = ["CHART", "chart_data"]
