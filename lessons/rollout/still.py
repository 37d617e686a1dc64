"""A rollout as a still picture: old and new pods, stacked, over simulated time.

`watch_rollout()` lets a cluster run and keeps what its Deployment did; a cell that ends with it
shows the picture, and nbval compares picture and text.
"""

from __future__ import annotations

from html import escape

from kubesim import Cluster, Table
from lessons.rollout.series import LAYERS, RolloutSeries
from lessons.ui import drawing, style

SLICE_SECONDS = 1.0
HEIGHT, PLOT_HEIGHT, TOP = 330, 220, 62
HATCHES = {"/": "M0 8 L8 0", "\\": "M0 0 L8 8"}  # as Bokeh calls them


class RolloutStill:
    """What a rollout looked like: text, tables and picture.

    Args:
        series: the run; it is not kept running.
        title: what it shows.
    """

    def __init__(self, series: RolloutSeries, title: str) -> None:
        self.series = series
        self.title = title

    def table(self, which: str = "pods", last: int = 12) -> Table:
        """The rows behind the picture: ``pods``, or ``passes`` with their reasons."""
        return self.series.table(which, last)

    @property
    def fewest_ready(self) -> int:
        """The smallest number of ready pods at any look."""
        return min(row.ready for row in self.series.rows)

    @property
    def most_pods(self) -> int:
        """The largest number of pods at any look."""
        return max(row.pods for row in self.series.rows)

    def svg(self) -> str:
        """The picture."""
        return svg(self.series, self.title)

    def __repr__(self) -> str:
        row = self.series.rows[-1]
        return (
            f"{self.title}: at {row.time:g} s {row.old_ready} old and {row.new_ready} new pods "
            f"are ready, {row.old_waiting + row.new_waiting} are not; "
            f"never fewer than {self.fewest_ready} ready, never more than {self.most_pods} pods"
        )

    def _repr_svg_(self) -> str:
        return self.svg()


def watch_rollout(
    cluster: Cluster,
    seconds: float,
    title: str = "Rollout",
    slice_seconds: float = SLICE_SECONDS,
) -> RolloutStill:
    """Let a cluster run, and keep what the Deployment `web` did.

    Args:
        cluster: best on the virtual clock; then it takes no time.
        seconds: simulated time.
        title: of the picture.
        slice_seconds: simulated time between two looks.
    """
    series = RolloutSeries(cluster, window=seconds)
    series.pull()
    series.run(seconds, cluster.sleep, slice_seconds)
    return RolloutStill(series, title)


def svg(series: RolloutSeries, title: str) -> str:
    """The stacked pods, the bounds that the rollout keeps, and a mark for each pass."""
    columns = series.columns()
    if not columns["t"]:
        body = f'<text x="{drawing.LEFT}" y="80">nothing has happened yet</text>'
        return drawing.picture(title, "nothing has happened yet", body, HEIGHT)
    start = columns["t"][0]
    scale = drawing.Scale(start, max(columns["t"][-1], start + 1.0))
    most = max([1.0, *columns["most"], *columns["old_waiting"]]) * 1.1
    body = _patterns() + drawing.frame(
        "pods", most, TOP, scale, time_label=True, height=PLOT_HEIGHT
    )
    for layer in LAYERS:
        body += _area(columns, layer, scale, most)
    for key, (line, _label) in style.ROLLOUT_LINES.items():
        times, values = drawing.steps(columns["t"], columns[key])
        corners = drawing.points(times, values, scale, most, TOP, PLOT_HEIGHT)
        body += f'<polyline {line.svg} points="{corners}"/>'
    marks = series.mark_columns()
    for time, why in zip(marks["t"], marks["why"], strict=True):
        if time >= start:
            body += (
                f'<path d="M{scale.x(time):.1f} {TOP + PLOT_HEIGHT - 1} l6 -11 h-12 z" '
                f'fill="{style.AMBER}" stroke="black">'
                f"<title>{escape(f't={time:g} s: {why}')}</title></path>"
            )
    named = [(label, line) for line, label in style.ROLLOUT_LINES.values()]
    body += drawing.legend(named, TOP) + _layer_legend(TOP - 17)
    return drawing.picture(title, _description(series), body, HEIGHT)


def _patterns() -> str:
    """Areas differ by hatching, not by colour alone."""
    out = ""
    for layer, (fill, hatch, _label) in style.ROLLOUT_AREAS.items():
        path = HATCHES.get(hatch, "")
        stroke = f'<path d="{path}" stroke="#333333" stroke-width="1"/>' if path else ""
        out += (
            f'<pattern id="ks-{layer}" width="8" height="8" patternUnits="userSpaceOnUse">'
            f'<rect width="8" height="8" fill="{fill}" fill-opacity="0.75"/>{stroke}</pattern>'
        )
    return f"<defs>{out}</defs>"


def _area(columns: dict[str, list[float]], layer: str, scale: drawing.Scale, most: float) -> str:
    upper = drawing.steps(columns["t"], columns[layer])
    lower = drawing.steps(columns["t"], columns[f"{layer}_from"])
    corners = " ".join(
        (
            drawing.points(*upper, scale, most, TOP, PLOT_HEIGHT),
            drawing.points(lower[0][::-1], lower[1][::-1], scale, most, TOP, PLOT_HEIGHT),
        )
    )
    return f'<polygon fill="url(#ks-{layer})" points="{corners}"/>'


def _layer_legend(y: int) -> str:
    out, x = "", float(drawing.WIDTH - drawing.RIGHT)
    for layer, (_fill, _hatch, label) in reversed(style.ROLLOUT_AREAS.items()):
        x -= 6.6 * len(label)
        out += f'<text x="{x:.0f}" y="{y - 7}">{label}</text>'
        x -= 24
        out += (
            f'<rect x="{x:.0f}" y="{y - 17}" width="18" height="11" stroke="#555555" '
            f'fill="url(#ks-{layer})"/>'
        )
        x -= 14
    return out


def _description(series: RolloutSeries) -> str:
    """The picture in words."""
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
