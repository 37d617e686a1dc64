"""Run a cluster and keep what it did, as text, table and still picture.

A cell that ends with `record()` shows the picture, and nbval compares picture and text. Kubernetes
has no counterpart.
"""

from __future__ import annotations

from kubesim import Cluster, Table
from lessons.cockpit import tables
from lessons.cockpit.chart import CHART, chart_data
from lessons.cockpit.series import WorkloadSeries
from lessons.ui.charts import svg_chart
from lessons.ui.series import RecordedRun, check_run, run_in_slices

SLICE_SECONDS = 1.0


class Still(RecordedRun[WorkloadSeries]):
    """A recorded run of the autoscaled workload: text, tables and picture."""

    def table(self, which: str = "pods", last: int = 12) -> Table:
        """Return the rows of one plot.

        Args:
            which: ``pods``, ``cpu``, ``traffic`` or ``decisions``.
            last: at most this many rows, the newest.

        Raises:
            BadRequest: there is no such table.
        """
        return tables.of(self.series, which, last)

    def svg(self) -> str:
        """Return the picture."""
        return svg(self.series, self.title)

    def __repr__(self) -> str:
        if not self.series.rows:
            return f"{self.title}: nothing has happened yet"
        row = self.series.rows[-1]
        return (
            f"{self.title}: after {row.time:g} s {row.ready} of {row.desired} pods are ready; "
            f"{len(self.series.marks)} scalings"
        )


def record(
    cluster: Cluster, seconds: float, title: str = "Run", slice_seconds: float = SLICE_SECONDS
) -> Still:
    """Run a cluster, and keep what its workload did.

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
    series = WorkloadSeries(cluster, window=max(seconds, 1.0) + cluster.clock.now())
    series.pull()
    run_in_slices(series, seconds, cluster.sleep, slice_seconds)
    return Still(series, title)


def svg(series: WorkloadSeries, title: str) -> str:
    """Return CPU against the target, and the number of pods, as a picture."""
    return svg_chart.draw(CHART, chart_data(series, single_pods=False), title, _description(series))


def _description(series: WorkloadSeries) -> str:
    """Return the picture in words."""
    if not series.rows:
        return svg_chart.NOTHING
    first, last = series.rows[0], series.rows[-1]
    changes = "; ".join(
        f"at {mark.time:g} s from {mark.before} to {mark.after} pods" for mark in series.marks
    )
    return (
        f"From {first.time:g} to {last.time:g} s of simulated time the number of desired pods "
        f"went from {first.desired} to {last.desired}. Scalings: {changes or 'none'}."
    )


__all__ = ["Still", "record", "svg"]
