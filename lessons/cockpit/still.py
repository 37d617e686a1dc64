"""Still pictures: what a run looked like, as SVG, for pages where widgets cannot live.

A page on a code host, a printed lesson, a screen reader: the picture has a title and a description,
and a table stands beside it. `record()` runs a cluster and keeps what it did; a cell that ends with
it shows the picture, and nbval compares picture and text.
"""

from __future__ import annotations

from html import escape

from kubesim import Cluster, Table
from lessons.cockpit import tables
from lessons.cockpit.series import Series
from lessons.ui import style
from lessons.ui.drawing import (
    LEFT,
    PLOT_HEIGHT,
    TOP,
    Scale,
    frame,
    legend,
    picture,
    points,
    steps,
)

HEIGHT = 400
SLICE_SECONDS = 1.0


class Still:
    """What a run looked like: text, table and picture.

    Args:
        series: the run; it is not kept running.
        title: what it shows.
    """

    def __init__(self, series: Series, title: str) -> None:
        self.series = series
        self.title = title

    def table(self, which: str = "pods", last: int = 12) -> Table:
        """The rows behind one chart: ``pods``, ``cpu``, ``traffic`` or ``decisions``."""
        return tables.of(self.series, which, last)

    def svg(self) -> str:
        """The picture."""
        return svg(self.series, self.title)

    def __repr__(self) -> str:
        if not self.series.rows:
            return f"{self.title}: nothing has happened yet"
        row = self.series.rows[-1]
        return (
            f"{self.title}: after {row.time:g} s {row.ready} of {row.desired} pods are ready; "
            f"{len(self.series.marks)} scalings"
        )

    def _repr_svg_(self) -> str:
        return self.svg()


def record(
    cluster: Cluster, seconds: float, title: str = "Run", slice_seconds: float = SLICE_SECONDS
) -> Still:
    """Let a cluster run, and keep what its workload did.

    Args:
        cluster: best on the virtual clock; then it takes no time.
        seconds: simulated time.
        title: of the picture.
        slice_seconds: simulated time between two looks.
    """
    series = Series(cluster, window=max(seconds, 1.0) + cluster.clock.now())
    series.pull()
    series.run(seconds, cluster.sleep, slice_seconds)
    return Still(series, title)


def svg(series: Series, title: str) -> str:
    """CPU against the target, and the number of pods, over simulated time."""
    columns = series.columns()
    if not columns["t"]:
        body = f'<text x="{LEFT}" y="80">nothing has happened yet</text>'
    else:
        scale = Scale(columns["t"][0], max(columns["t"][-1], columns["t"][0] + 1.0))
        body = _cpu_panel(columns, scale, TOP) + _pods_panel(
            series, columns, scale, TOP + PLOT_HEIGHT + 52
        )
    return picture(title, _description(series), body, HEIGHT)


def _cpu_panel(columns: dict[str, list[float]], scale: Scale, top: int) -> str:
    values = [value for key in ("average", "target") for value in columns[key] if value == value]
    most = max([100.0, *values]) * 1.1
    lines = ""
    for key, line in (("average", style.AVERAGE), ("target", style.TARGET)):
        corners = points(columns["t"], columns[key], scale, most, top)
        lines += f'<polyline {line.svg} points="{corners}"/>'
    named = (("average of the pods", style.AVERAGE), ("target", style.TARGET))
    return frame("CPU [millicores]", most, top, scale) + lines + legend(named, top)


def _pods_panel(series: Series, columns: dict[str, list[float]], scale: Scale, top: int) -> str:
    most = max([1.0, *columns["maximum"], *columns["desired"], *columns["ready"]]) * 1.1
    lines = ""
    looks = {
        "maximum": style.LIMIT,
        "minimum": style.LIMIT,
        "ready": style.READY,
        "desired": style.DESIRED,
    }
    for key, line in looks.items():
        times, values = steps(columns["t"], columns[key])
        lines += f'<polyline {line.svg} points="{points(times, values, scale, most, top)}"/>'
    for mark in (mark for mark in series.marks if mark.time >= scale.start):
        x = scale.x(mark.time)
        y = top + PLOT_HEIGHT * (1 - mark.after / most)
        tip, base = (-7, 5) if mark.after > mark.before else (7, -5)
        lines += (
            f'<path d="M{x:.1f} {y + tip:.1f} l6 {base - tip} h-12 z" fill="{style.AMBER}" '
            f'stroke="black"><title>{escape(f"t={mark.time:g} s: {mark.why}")}</title></path>'
        )
    named = (("desired", style.DESIRED), ("ready", style.READY), ("min, max", style.LIMIT))
    box = frame("pods", most, top, scale, time_label=True)
    return box + lines + legend(named, top)


def _description(series: Series) -> str:
    """The picture in words."""
    if not series.rows:
        return "nothing has happened yet"
    first, last = series.rows[0], series.rows[-1]
    changes = "; ".join(
        f"at {mark.time:g} s from {mark.before} to {mark.after} pods" for mark in series.marks
    )
    return (
        f"From {first.time:g} to {last.time:g} s of simulated time the number of desired pods "
        f"went from {first.desired} to {last.desired}. Scalings: {changes or 'none'}."
    )


__all__ = ["Still", "record", "svg"]
