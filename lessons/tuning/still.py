"""A trial as a still picture: load, latency and pods over simulated time, one above the other."""

from __future__ import annotations

from html import escape
from math import isnan

from lessons.tuning.trial import Trial
from lessons.ui import drawing, style

HEIGHT = 488
HEIGHTS = (120, 80, 120)  # load, latency, pods
GAP = 44
BEHIND = style.Line(style.GREY, "solid", 1.4)  # the other trial
HATCH = (
    '<defs><pattern id="ks-unmet" width="8" height="8" patternUnits="userSpaceOnUse">'
    f'<rect width="8" height="8" fill="{style.UNMET_FILL}" fill-opacity="0.6"/>'
    '<path d="M0 8 L8 0" stroke="#333333" stroke-width="1"/></pattern></defs>'
)


def svg(trial: Trial, other: Trial | None = None) -> str:
    """The picture; another trial as thin grey lines behind it."""
    columns = trial.columns()
    if not columns["t"]:
        body = f'<text x="{drawing.LEFT}" y="80">nothing has happened yet</text>'
        return drawing.picture(trial.title, "nothing has happened yet", body, HEIGHT)
    scale = drawing.Scale(0.0, trial.seconds)
    top = drawing.TOP
    body = HATCH + _load(columns, scale, top)
    top += HEIGHTS[0] + GAP
    body += _latency(columns, other, scale, top)
    top += HEIGHTS[1] + GAP
    body += _pods(trial, other, columns, scale, top)
    title = trial.title if other is None else f"{trial.title} (grey: {other.title})"
    return drawing.picture(title, _description(trial), body, HEIGHT)


def _thin(times: list[float], values: list[float]) -> tuple[list[float], list[float]]:
    """A line without the points that lie on a level between equal neighbours."""
    kept = [
        n
        for n, value in enumerate(values)
        if not (0 < n < len(values) - 1 and values[n - 1] == value == values[n + 1])
    ]
    return [times[n] for n in kept], [values[n] for n in kept]


def _line(
    columns: dict[str, list[float]],
    key: str,
    scale: drawing.Scale,
    most: float,
    top: int,
    high: int,
) -> str:
    """Corners of one column."""
    values = [round(value, 3) for value in columns[key]]
    return drawing.points(*_thin(columns["t"], values), scale, most, top, high)


def _load(columns: dict[str, list[float]], scale: drawing.Scale, top: int) -> str:
    high, most = HEIGHTS[0], max([10.0, *columns["offered"]]) * 1.1
    offered = _line(columns, "offered", scale, most, top, high)
    served = _line(columns, "served", scale, most, top, high)
    floor = drawing.points([columns["t"][0], columns["t"][-1]], [0.0, 0.0], scale, most, top, high)
    out = drawing.frame("requests [1/s]", most, top, scale, height=high)
    out += (
        f'<polygon fill="{style.SERVED_FILL}" fill-opacity="0.45" '
        f'points="{served} {_backwards(floor)}"/>'
        f'<polygon fill="url(#ks-unmet)" points="{offered} {_backwards(served)}"/>'
        f'<polyline {style.OFFERED.svg} points="{offered}"/>'
    )
    out += (
        f'<rect x="{drawing.LEFT}" y="{top - 16}" width="18" height="11" fill="url(#ks-unmet)" '
        f'stroke="#555555"/><text x="{drawing.LEFT + 24}" y="{top - 7}">unmet</text>'
        f'<rect x="{drawing.LEFT + 80}" y="{top - 16}" width="18" height="11" '
        f'fill="{style.SERVED_FILL}" fill-opacity="0.45" stroke="#555555"/>'
        f'<text x="{drawing.LEFT + 104}" y="{top - 7}">served</text>'
    )
    return out + drawing.legend((("offered", style.OFFERED),), top)


def _latency(
    columns: dict[str, list[float]], other: Trial | None, scale: drawing.Scale, top: int
) -> str:
    high = HEIGHTS[1]
    behind = other.columns() if other is not None else {"t": [], "p95": []}
    values = [value for value in (*columns["p95"], *behind["p95"]) if not isnan(value)]
    most = max([1.0, *values]) * 1.1
    out = drawing.frame("p95 [s]", most, top, scale, height=high)
    for lines, look in ((behind, BEHIND), (columns, style.LATENCY)):
        corners = _line(lines, "p95", scale, most, top, high)
        out += f'<polyline {look.svg} points="{corners}"/>' if corners else ""
    return out + drawing.legend((("latency of the slowest 5 %", style.LATENCY),), top)


def _pods(
    trial: Trial,
    other: Trial | None,
    columns: dict[str, list[float]],
    scale: drawing.Scale,
    top: int,
) -> str:
    high, steps = HEIGHTS[2], trial.steps()
    behind = other.steps() if other is not None else {"t": [], "wanted": []}
    tallest = max([*steps["wanted"], *behind["wanted"], *columns["ready"]])
    most = max(tallest, min(max(steps["wish"], default=0.0), trial.bounds[1] * 1.3)) * 1.1
    out = drawing.frame("pods", most, top, scale, time_label=True, height=high)
    ready = drawing.steps(columns["t"], columns["ready"])
    wanted = drawing.steps(steps["t"], steps["wanted"])
    for (times, values), look in ((ready, style.READY), (wanted, style.DESIRED)):
        corners = drawing.points(times, values, scale, most, top, high)
        out += f'<polyline {look.svg} points="{corners}"/>'
    if other is not None:
        times, values = drawing.steps(behind["t"], behind["wanted"])
        corners = drawing.points(times, values, scale, most, top, high)
        out += f'<polyline {BEHIND.svg} points="{corners}"/>'
    dots = "".join(
        f"M{scale.x(time):.1f} {top + high * (1 - min(wish, most) / most):.1f}h0"
        for time, wish in zip(steps["wish_t"], steps["wish"], strict=True)
    )
    out += f'<path d="{dots}" stroke="{style.BLACK}" stroke-width="4" stroke-linecap="round"/>'
    out += _marks(trial, scale, most, top)
    named = [("wanted", style.DESIRED), ("ready", style.READY)]
    note = f'<text x="{drawing.LEFT}" y="{top - 7}">&#9679; wish at a look</text>'
    return out + note + drawing.legend(named, top)


def _marks(trial: Trial, scale: drawing.Scale, most: float, top: int) -> str:
    """A triangle for each scaling, with the reason for whoever points at it."""
    out = ""
    for decision in trial.decisions:
        before, after = decision.data["from"], decision.data["to"]
        x, y = scale.x(decision.time), top + HEIGHTS[2] * (1 - after / most)
        tip, base = (-6, 4) if after > before else (6, -4)
        why = f"t={decision.time:g} s: {decision.verdict}; bound by: {decision.binding}"
        out += (
            f'<path d="M{x:.1f} {y + tip:.1f} l5 {base - tip} h-10 z" fill="{style.AMBER}" '
            f'stroke="black"><title>{escape(why)}</title></path>'
        )
    return out


def _backwards(corners: str) -> str:
    return " ".join(reversed(corners.split(" ")))


def _description(trial: Trial) -> str:
    """The picture in words."""
    moves = "; ".join(f"at {time:g} s {size} pods" for time, size in trial.sizes)
    return f"{trial}. Sizes: {moves}."
