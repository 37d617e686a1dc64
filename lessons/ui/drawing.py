"""What still pictures are drawn with: axes, steps, legends, as SVG text.

No counterpart in Kubernetes; a dozen lines of SVG instead of a drawing library.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from lessons.ui import style

WIDTH = 760
LEFT, RIGHT, TOP = 58, 16, 40
PLOT_HEIGHT = 128
TICKS = 6


class Scale:
    """From simulated seconds to pixels.

    Args:
        start, end: the seconds at the left and the right edge.
    """

    def __init__(self, start: float, end: float) -> None:
        self.start, self.end = start, end

    def x(self, time: float) -> float:
        """Pixels from the left edge of the picture."""
        share = (time - self.start) / (self.end - self.start)
        return LEFT + (WIDTH - LEFT - RIGHT) * share


def picture(title: str, description: str, body: str, height: int) -> str:
    """A whole picture with its title, and a description for those who cannot see it."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
        f'height="{height}" font-family="sans-serif" font-size="12" role="img">'
        f"<title>{escape(title)}</title><desc>{escape(description)}</desc>"
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>'
        f'<text x="{LEFT}" y="16" font-size="13" font-weight="bold">{escape(title)}</text>'
        f"{body}</svg>"
    )


def frame(
    label: str,
    most: float,
    top: int,
    scale: Scale,
    *,
    time_label: bool = False,
    height: int = PLOT_HEIGHT,
) -> str:
    """The box with its ticks and labels."""
    bottom = top + height
    out = (
        f'<rect x="{LEFT}" y="{top}" width="{WIDTH - LEFT - RIGHT}" height="{height}" '
        'fill="none" stroke="#bbbbbb"/>'
        f'<text transform="translate(14 {top + height / 2:.0f}) rotate(-90)" '
        f'text-anchor="middle">{escape(label)}</text>'
    )
    for value in ticks(most):
        y = bottom - height * value / most
        out += (
            f'<path d="M{LEFT} {y:.1f} H{WIDTH - RIGHT}" stroke="#e4e4e4"/>'
            f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>'
        )
    for value in ticks(scale.end):
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


def legend(entries: Sequence[tuple[str, style.Line]], top: int) -> str:
    """Names of lines, above the frame and to the right."""
    out, x = "", float(WIDTH - RIGHT)
    for label, line in reversed(entries):
        x -= 7.0 * len(label)
        out += f'<text x="{x:.0f}" y="{top - 7}">{escape(label)}</text>'
        x -= 34
        out += f'<path d="M{x:.0f} {top - 11} h28" {line.svg}/>'
        x -= 14
    return out


def ticks(most: float) -> list[float]:
    """Round values from 0 to `most`.

    >>> ticks(11.0)
    [0, 2, 4, 6, 8, 10]
    """
    step = 1.0
    while most / step > TICKS:
        lead = float(f"{step:e}".split("e")[0])
        step *= 2.5 if round(lead) == 2 else 2
    whole = int(step)
    return [n * whole for n in range(int(most / whole) + 1)]


def points(
    times: Sequence[float],
    values: Sequence[float],
    scale: Scale,
    most: float,
    top: int,
    height: int = PLOT_HEIGHT,
) -> str:
    """Corners of a line, as SVG wants them; values that are no numbers are left out."""
    return " ".join(
        f"{scale.x(time):.1f},{top + height * (1 - value / most):.1f}"
        for time, value in zip(times, values, strict=True)
        if value == value
    )


def steps(times: Sequence[float], values: Sequence[float]) -> tuple[list[float], list[float]]:
    """The corners of a step line; points in between are left out.

    >>> steps([0, 1, 2, 3], [1, 1, 4, 4])
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
