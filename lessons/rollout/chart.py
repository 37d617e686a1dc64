"""The chart of a rollout: old and new pods, ready and not ready, stacked.

Two lines show the bounds that the rollout keeps: never more than `max pods`, never fewer than
`min ready`. A marker shows each pass of the Deployment controller, with its reason on hover.

Kubernetes has no counterpart; the nearest is `kubectl rollout status --watch` with a graph.
"""

from __future__ import annotations

from lessons.rollout.series import RolloutSeries
from lessons.ui.charts.chart import Band, Chart, ChartData, Curve, Markers, Plot, top


def _band(layer: str, label: str) -> Band:
    """Return one of the stacked areas."""
    style = layer.replace("_", "-")
    return Band("rollout", f"{layer}_from", layer, style, label, step=True)


CHART = Chart(
    (
        Plot(
            name="rollout",
            y_label="pods",
            layers=(
                _band("old_ready", "old, ready"),
                _band("new_ready", "new, ready"),
                _band("new_waiting", "new, not ready yet"),
                _band("old_waiting", "old, not ready"),
                Curve("rollout", "max_pods", "max-pods", "max pods", step=True),
                Curve("rollout", "desired", "wanted", "desired", step=True),
                Curve("rollout", "min_ready", "min-ready", "min ready", step=True),
                Curve("rollout", "ready", "all-ready", "ready", step=True),
                Markers("passes", "y", up=False),
            ),
            height=400,
            still_height=220,
            whole_numbers=True,
            legend_columns=4,
            below_zero=0.05,
        ),
    )
)


def chart_data(series: RolloutSeries) -> ChartData:
    """Return what the chart shows of a series."""
    columns = series.columns()
    sources = {"rollout": columns, "passes": series.mark_columns()}
    times = columns["t"]
    if not times:
        return ChartData(sources, start=0.0, end=-1.0)
    tallest = top([*columns["max_pods"], *columns["old_waiting"]], least=1)
    return ChartData(
        sources,
        start=times[0],
        end=times[-1],
        tops={"rollout": tallest},
        window=series.window,
    )
