"""The parts of a still picture, as SVG text: the page, axes, lines, legends.

A few lines of SVG take the place of a drawing library. Kubernetes has no counterpart.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from math import ceil

from lessons.ui.charts.chart import TIME_LABEL
from lessons.ui.charts.theme import CASING, FillStyle, LineStyle, Theme, stylesheet

WIDTH = 760  # pixels of a picture
LEFT, RIGHT = 58, 16  # room to the left and right of a plot
LEGEND_ROW = 17  # pixels from one row of a legend to the next
TICK_ROOM = 21  # pixels from one tick of a y axis to the next, at least
TIME_TICKS = 10  # at most this many steps between ticks of the time axis
LETTER = 6.6  # average width of a letter
HATCHES = {"/": "M0 8 L8 0", "\\": "M0 0 L8 8"}  # as Bokeh names them


class TimeScale:
    """A linear map from simulated seconds to pixels.

    Args:
        start, end: the seconds at the left and the right edge of a plot.
    """

    def __init__(self, start: float, end: float) -> None:
        self.start, self.end = start, end

    def x(self, time: float) -> float:
        """Return the pixels from the left edge of the picture."""
        share = (time - self.start) / (self.end - self.start)
        return LEFT + (WIDTH - LEFT - RIGHT) * share


class PlotArea:
    """The frame of one plot: where a moment and a value are.

    Args:
        scale: the time axis.
        most, least: the values at the upper and the lower edge.
        top, height: pixels from the upper edge of the picture, and of the frame.
    """

    def __init__(
        self, scale: TimeScale, most: float, top: int, height: int, least: float = 0.0
    ) -> None:
        self.scale, self.most, self.top, self.height = scale, most, top, height
        self.least = least

    @property
    def bottom(self) -> int:
        """Pixels from the upper edge of the picture to the lower edge of the frame."""
        return self.top + self.height

    def x(self, time: float) -> float:
        """Return the pixels from the left edge of the picture."""
        return self.scale.x(time)

    def y(self, value: float) -> float:
        """Return the pixels from the upper edge of the picture."""
        return self.top + self.height * (1 - (value - self.least) / (self.most - self.least))

    def points(self, times: Sequence[float], values: Sequence[float]) -> list[str]:
        """Return the corners of a line; NaN, and points inside a level stretch, are left out."""
        corners = [
            (f"{self.x(time):.1f}", f"{self.y(value):.1f}")
            for time, value in zip(times, values, strict=True)
            if value == value
        ]
        last = len(corners) - 1
        return [
            f"{x},{y}"
            for n, (x, y) in enumerate(corners)
            if not (0 < n < last and corners[n - 1][1] == y == corners[n + 1][1])
        ]


def picture(title: str, description: str, body: str, height: int, theme: Theme) -> str:
    """Return a whole picture.

    Args:
        title: text above the plots, and the picture's name for a screen reader.
        description: the picture in words.
        body: SVG elements.
        height: in pixels.
        theme: colours.
    """
    content = f'<rect width="{WIDTH}" height="{height}" fill="{theme.background}"/>{body}'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="ks-still" viewBox="0 0 {WIDTH} {height}" '
        f'width="{WIDTH}" height="{height}" font-family="sans-serif" font-size="12" '
        f'fill="{theme.text}" role="img"><title>{escape(title)}</title>'
        f"<desc>{escape(description)}</desc>{stylesheet(theme.text + content)}{content}</svg>"
    )


def heading(title: str, x: float = LEFT, y: int = 16) -> str:
    """Return a heading; names in backticks are set in a fixed-width font.

    Args:
        title: the text.
        x, y: left end and baseline, in pixels.
    """
    return f'<text x="{x:.0f}" y="{y}" font-size="13" font-weight="bold">{styled(title)}</text>'


def styled(text: str) -> str:
    """Return a text with its names in backticks set in a fixed-width font.

    >>> styled("the pod `web` & more")
    'the pod <tspan font-family="monospace">web</tspan> &amp; more'
    """
    return re.sub(r"`([^`]+)`", r'<tspan font-family="monospace">\1</tspan>', escape(text))


def frame(area: PlotArea, label: str, theme: Theme, *, time_label: bool = False) -> str:
    """Return the box of a plot with its grid, ticks and labels.

    Args:
        area: where the plot is.
        label: of the y axis.
        theme: colours.
        time_label: name the time axis, too.
    """
    middle = area.top + area.height / 2
    out = (
        f'<rect x="{LEFT}" y="{area.top}" width="{WIDTH - LEFT - RIGHT}" height="{area.height}" '
        f'fill="none" stroke="{theme.frame}"/>'
        f'<text transform="translate(14 {middle:.0f}) rotate(-90)" '
        f'text-anchor="middle">{escape(label)}</text>'
    )
    for value in ticks(area.most, steps=max(5, round(area.height / TICK_ROOM))):
        y = area.y(value)
        out += (
            f'<path d="M{LEFT} {y:.1f} H{WIDTH - RIGHT}" stroke="{theme.grid}"/>'
            f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>'
        )
    for value in ticks(area.scale.end, first=area.scale.start):
        out += (
            f'<text x="{area.x(value):.1f}" y="{area.bottom + 15}" text-anchor="middle">'
            f"{value:g}</text>"
        )
    if time_label:
        x = (LEFT + WIDTH - RIGHT) / 2
        out += f'<text x="{x:.0f}" y="{area.bottom + 32}" text-anchor="middle">{TIME_LABEL}</text>'
    return out


def line(style: LineStyle, points: Sequence[str], theme: Theme) -> str:
    """Return a line through some points; "" if there are none.

    Args:
        style: colour, width and dash.
        points: pairs of pixels, as the attribute `points` has them.
        theme: colours.
    """
    if not points:
        return ""
    corners = " ".join(points)
    below = LineStyle(theme.background, "solid", style.width + CASING)
    casing = f'<polyline {below.svg} opacity="0.8" points="{corners}"/>' if style.cased else ""
    return f'{casing}<polyline {style.svg} points="{corners}"/>'


def fill_attributes(key: str, style: FillStyle) -> str:
    """Return a fill as attributes of an SVG element; a hatched one refers to its pattern."""
    if style.hatch:
        return f'fill="url(#ks-{key})"'
    return f'fill="{style.colour}" fill-opacity="{style.alpha:g}"'


def patterns(fills: dict[str, FillStyle], theme: Theme) -> str:
    """Return the definitions of the hatched fills; areas do not differ by colour alone."""
    out = ""
    for key, style in fills.items():
        if style.hatch:
            out += (
                f'<pattern id="ks-{key}" width="8" height="8" patternUnits="userSpaceOnUse">'
                f'<rect width="8" height="8" fill="{style.colour}" fill-opacity="{style.alpha:g}"/>'
                f'<path d="{HATCHES[style.hatch]}" stroke="{theme.hatch}"/></pattern>'
            )
    return f"<defs>{out}</defs>" if out else ""


def ticks(most: float, first: float = 0.0, steps: int = TIME_TICKS) -> list[int]:
    """Return round values from `first` to `most`.

    >>> ticks(11.0), ticks(142.0, first=22.0)
    ([0, 2, 4, 6, 8, 10], [40, 60, 80, 100, 120, 140])

    Args:
        most, first: the ends of the axis.
        steps: at most this many steps from one value to the next.
    """
    step = 1.0
    while (most - first) / step > steps:
        lead = float(f"{step:e}".split("e")[0])
        step *= 2.5 if round(lead) == 2 else 2
    whole = int(step)
    return [n * whole for n in range(ceil(first / whole), int(most / whole) + 1)]


def steps(times: Sequence[float], values: Sequence[float]) -> tuple[list[float], list[float]]:
    """Return the corners of a step line.

    >>> steps([0, 1, 2, 3], [1, 1, 4, 4])
    ([0, 2, 2, 3], [1, 1, 4, 4])
    """
    if not times:
        return [], []
    out_times, out_values = [times[0]], [values[0]]
    for time, value in zip(times[1:], values[1:], strict=True):
        if value != out_values[-1]:
            out_times += [time, time]
            out_values += [out_values[-1], value]
    if out_times[-1] != times[-1]:
        out_times.append(times[-1])
        out_values.append(out_values[-1])
    return out_times, out_values
