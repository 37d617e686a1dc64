"""Still pictures: what a run looked like, as SVG, for pages where widgets cannot live.

A page on a code host, a printed lesson, a screen reader: the picture has a title and a description,
and a table stands beside it. `record()` runs a cluster and keeps what it did; a cell that ends with
it shows the picture, and nbval compares picture and text.
"""

from __future__ import annotations

from html import escape

from kubesim import Cluster, Table
from lessons import style, tables
from lessons.series import Series

WIDTH, HEIGHT = 760, 400
LEFT, RIGHT, TOP = 58, 16, 40
PLOT_HEIGHT = 128
SLICE_SECONDS = 1.0
TICKS = 6


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
        scale = _Scale(columns["t"][0], max(columns["t"][-1], columns["t"][0] + 1.0))
        body = _cpu_panel(columns, scale, TOP) + _pods_panel(
            series, columns, scale, TOP + PLOT_HEIGHT + 52
        )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" '
        f'height="{HEIGHT}" font-family="sans-serif" font-size="12" role="img">'
        f"<title>{escape(title)}</title><desc>{escape(_description(series))}</desc>"
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>'
        f'<text x="{LEFT}" y="16" font-size="13" font-weight="bold">{escape(title)}</text>'
        f"{body}</svg>"
    )


class _Scale:
    """From simulated seconds to pixels."""

    def __init__(self, start: float, end: float) -> None:
        self.start, self.end = start, end

    def x(self, time: float) -> float:
        share = (time - self.start) / (self.end - self.start)
        return LEFT + (WIDTH - LEFT - RIGHT) * share


def _cpu_panel(columns: dict[str, list[float]], scale: _Scale, top: int) -> str:
    values = [value for key in ("average", "target") for value in columns[key] if value == value]
    most = max([100.0, *values]) * 1.1
    lines = ""
    for key, line in (("average", style.AVERAGE), ("target", style.TARGET)):
        points = _points(columns["t"], columns[key], scale, most, top)
        lines += f'<polyline {line.svg} points="{points}"/>'
    legend = (("average of the pods", style.AVERAGE), ("target", style.TARGET))
    return _frame("CPU [millicores]", most, top, scale) + lines + _legend(legend, top)


def _pods_panel(series: Series, columns: dict[str, list[float]], scale: _Scale, top: int) -> str:
    most = max([1.0, *columns["maximum"], *columns["desired"], *columns["ready"]]) * 1.1
    lines = ""
    looks = {
        "maximum": style.LIMIT,
        "minimum": style.LIMIT,
        "ready": style.READY,
        "desired": style.DESIRED,
    }
    for key, line in looks.items():
        times, values = _steps(columns["t"], columns[key])
        lines += f'<polyline {line.svg} points="{_points(times, values, scale, most, top)}"/>'
    for mark in (mark for mark in series.marks if mark.time >= scale.start):
        x = scale.x(mark.time)
        y = top + PLOT_HEIGHT * (1 - mark.after / most)
        tip, base = (-7, 5) if mark.after > mark.before else (7, -5)
        lines += (
            f'<path d="M{x:.1f} {y + tip:.1f} l6 {base - tip} h-12 z" fill="{style.AMBER}" '
            f'stroke="black"><title>{escape(f"t={mark.time:g} s: {mark.why}")}</title></path>'
        )
    legend = (("desired", style.DESIRED), ("ready", style.READY), ("min, max", style.LIMIT))
    frame = _frame("pods", most, top, scale, time_label=True)
    return frame + lines + _legend(legend, top)


def _frame(label: str, most: float, top: int, scale: _Scale, time_label: bool = False) -> str:
    """The box with its ticks and labels."""
    bottom = top + PLOT_HEIGHT
    out = (
        f'<rect x="{LEFT}" y="{top}" width="{WIDTH - LEFT - RIGHT}" height="{PLOT_HEIGHT}" '
        'fill="none" stroke="#bbbbbb"/>'
        f'<text transform="translate(14 {top + PLOT_HEIGHT / 2:.0f}) rotate(-90)" '
        f'text-anchor="middle">{escape(label)}</text>'
    )
    for value in _ticks(most):
        y = bottom - PLOT_HEIGHT * value / most
        out += (
            f'<path d="M{LEFT} {y:.1f} H{WIDTH - RIGHT}" stroke="#e4e4e4"/>'
            f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>'
        )
    for value in _ticks(scale.end):
        if value >= scale.start:
            out += (
                f'<text x="{scale.x(value):.1f}" y="{bottom + 15}" text-anchor="middle">'
                f"{value:g}</text>"
            )
    if time_label:
        middle = (LEFT + WIDTH - RIGHT) / 2
        out += (
            f'<text x="{middle:.0f}" y="{bottom + 32}" text-anchor="middle">'
            "simulated time [s]</text>"
        )
    return out


def _legend(entries: tuple[tuple[str, style.Line], ...], top: int) -> str:
    out, x = "", float(WIDTH - RIGHT)
    for label, line in reversed(entries):
        x -= 7.0 * len(label)
        out += f'<text x="{x:.0f}" y="{top - 7}">{escape(label)}</text>'
        x -= 34
        out += f'<path d="M{x:.0f} {top - 11} h28" {line.svg}/>'
        x -= 14
    return out


def _ticks(most: float) -> list[float]:
    """Round values from 0 to `most`.

    >>> _ticks(11.0)
    [0, 2, 4, 6, 8, 10]
    """
    step = 1.0
    while most / step > TICKS:
        lead = float(f"{step:e}".split("e")[0])
        step *= 2.5 if round(lead) == 2 else 2
    whole = int(step)
    return [n * whole for n in range(int(most / whole) + 1)]


def _points(times: list[float], values: list[float], scale: _Scale, most: float, top: int) -> str:
    return " ".join(
        f"{scale.x(time):.1f},{top + PLOT_HEIGHT * (1 - value / most):.1f}"
        for time, value in zip(times, values, strict=True)
        if value == value
    )


def _steps(times: list[float], values: list[float]) -> tuple[list[float], list[float]]:
    """The corners of a step line; points in between are left out.

    >>> _steps([0, 1, 2, 3], [1, 1, 4, 4])
    ([0, 2, 2, 3], [1, 1, 4, 4])
    """
    out_times, out_values = [times[0]], [values[0]]
    for time, value in zip(times[1:], values[1:], strict=True):
        if value != out_values[-1]:
            out_times += [time, time]
            out_values += [out_values[-1], value]
    if out_times[-1] != times[-1]:
        out_times.append(times[-1])
        out_values.append(out_values[-1])
    return out_times, out_values


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
