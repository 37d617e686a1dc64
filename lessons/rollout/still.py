"""Run a cluster and keep what its Deployment did, as text, table and still picture.

A cell that ends with `watch_rollout()` shows the picture, and nbval compares picture and text.
Kubernetes has no counterpart.
"""

from __future__ import annotations

from kubesim import Cluster, Table
from lessons.rollout.chart import CHART, chart_data
from lessons.rollout.series import RolloutSeries
from lessons.ui.charts import svg_chart
from lessons.ui.series import RecordedRun, check_run, run_in_slices

SLICE_SECONDS = 1.0


class RolloutStill(RecordedRun[RolloutSeries]):
    """A recorded rollout: text, tables and picture."""

    def table(self, which: str = "pods", last: int = 12) -> Table:
        """Return the newest rows of the picture: ``pods``, or ``passes`` with their reasons."""
        return self.series.table(which, last)

    @property
    def fewest_ready(self) -> int:
        """The smallest number of ready pods at any time."""
        return min(row.ready for row in self.series.rows)

    @property
    def most_pods(self) -> int:
        """The largest number of pods at any time."""
        return max(row.pods for row in self.series.rows)

    def svg(self) -> str:
        """Return the picture."""
        return svg(self.series, self.title)

    def __repr__(self) -> str:
        row = self.series.rows[-1]
        return (
            f"{self.title}: at {row.time:g} s {row.old_ready} old and {row.new_ready} new pods "
            f"are ready, {row.old_waiting + row.new_waiting} are not; "
            f"never fewer than {self.fewest_ready} ready, never more than {self.most_pods} pods"
        )


def watch_rollout(
    cluster: Cluster,
    seconds: float,
    title: str = "Rollout",
    slice_seconds: float = SLICE_SECONDS,
) -> RolloutStill:
    """Run a cluster, and keep what the Deployment `web` did.

    Args:
        cluster: preferably on the virtual clock, where this takes no time.
        seconds: simulated time.
        title: heading of the picture.
        slice_seconds: simulated time between two rows.

    Returns:
        the run; as the last value of a cell it shows its picture.

    Raises:
        BadRequest: an argument of another type.
    """
    check_run(cluster=cluster, seconds=seconds, title=title, slice_seconds=slice_seconds)
    series = RolloutSeries(cluster, window=seconds)
    series.pull()
    run_in_slices(series, seconds, cluster.sleep, slice_seconds)
    return RolloutStill(series, title)


def svg(series: RolloutSeries, title: str) -> str:
    """Return the stacked pods, the bounds that the rollout keeps, and its passes as a picture."""
    return svg_chart.draw(CHART, chart_data(series), title, _description(series))


def _description(series: RolloutSeries) -> str:
    """Return the picture in words."""
    if not series.rows:
        return svg_chart.NOTHING
    first, last = series.rows[0], series.rows[-1]
    whys = series.mark_columns()
    passes = "; ".join(
        f"at {time:g} s {why}" for time, why in zip(whys["t"], whys["why"], strict=True)
    )
    return (
        f"From {first.time:g} to {last.time:g} s of simulated time: at first {first.ready} of "
        f"{first.pods} pods ready, at last {last.ready} of {last.pods}, of them {last.new_ready} "
        f"new. Passes: {passes or 'none'}."
    )


__all__ = ["RolloutStill", "svg", "watch_rollout"]
