"""The picture of `nodefill`: for each node a bar of CPU and one of memory, pods as segments.

Each segment bears its pod's name where there is room, and has it as a title to point at; a node
that keeps pods away is hatched, and says why. So nothing hangs on colour alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from lessons.scheduler.nodefill import Fill, NodeRow, Part
from lessons.ui import style

WIDTH = 760
GAP = 24  # between two pictures side by side
LEFT, RIGHT = 132, 118  # for names, and for figures
NARROW_RIGHT = 14  # side by side the figures stand in the bars
TOP, BOTTOM, LEGEND = 44, 34, 28
BAR, BLOCK = 16, 52  # height of a bar, and of a node
LETTER = 6.2  # width of a small letter
SHADE = 0.45  # of a segment: a black name on it stays legible
RESOURCES = (("cpu", "CPU"), ("memory", "mem."))
NOTE = 15  # letters of a note; all of it stands in the table and in the title
COLOURS = (style.BLUE, style.AMBER, style.GREEN, style.PINK, style.VERMILION, style.GREY)
TICKS = (0, 25, 50, 75, 100)
HATCH = (
    '<defs><pattern id="ks-away" width="7" height="7" patternUnits="userSpaceOnUse" '
    'patternTransform="rotate(45)"><path d="M0 0V7" stroke="#9a9a9a" stroke-width="2"/>'
    "</pattern></defs>"
)


def svg(fills: Sequence[Fill]) -> str:
    """One or more fills side by side, over the same axis."""
    colours = colours_of(fills)
    rows = max((len(fill.rows) for fill in fills), default=0)
    height = TOP + rows * BLOCK + BOTTOM + (LEGEND if len(colours) > 1 else 0)
    wide = len(fills) == 1
    width = (WIDTH - GAP * (len(fills) - 1)) / max(1, len(fills))
    body = "".join(
        _panel(fill, index * (width + GAP), width, wide, colours)
        for index, fill in enumerate(fills)
    )
    title = " | ".join(fill.title for fill in fills)
    said = escape("; ".join(map(described, fills)))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
        f'height="{height}" font-family="sans-serif" font-size="12" role="img">'
        f"<title>{escape(title)}</title><desc>{said}</desc>{HATCH}"
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>{body}'
        f"{_legend(colours, height - 8)}</svg>"
    )


def colours_of(fills: Sequence[Fill]) -> dict[str, str]:
    """A colour for each group, the same in all pictures."""
    groups = sorted({group for fill in fills for group in fill.groups})
    return {group: COLOURS[index % len(COLOURS)] for index, group in enumerate(groups)}


def described(fill: Fill) -> str:
    """The picture in words."""
    nodes = ", ".join(
        f"{row.name} {round(100 * row.share('cpu'))} % of its CPU and "
        f"{round(100 * row.share('memory'))} % of its memory"
        for row in fill.rows
    )
    waiting = f"; without a node: {' '.join(fill.waiting)}" if fill.waiting else ""
    return f"{fill.title}: {nodes}{waiting}"


def _panel(fill: Fill, x: float, width: float, wide: bool, colours: dict[str, str]) -> str:
    bars = x + LEFT
    room = width - LEFT - (RIGHT if wide else NARROW_RIGHT)
    most = max([1.0, *(row.share(key) for row in fill.rows for key, _ in RESOURCES)])
    bottom = TOP + len(fill.rows) * BLOCK - 6
    out = f'<text x="{x:.0f}" y="18" font-size="13" font-weight="bold">{escape(fill.title)}</text>'
    for tick in TICKS:
        at = bars + room * tick / 100 / most
        out += (
            f'<path d="M{at:.1f} {TOP - 8}V{bottom}" stroke="#e4e4e4"/>'
            f'<text x="{at:.1f}" y="{bottom + 14}" text-anchor="middle" font-size="11">'
            f"{tick}</text>"
        )
    out += (
        f'<text x="{bars + room / 2:.0f}" y="{bottom + 29}" text-anchor="middle">'
        "asked for [% of what the node offers]</text>"
    )
    for index, row in enumerate(fill.rows):
        out += _node(row, x, TOP + index * BLOCK, bars, room / most, wide, colours)
    if fill.waiting:
        names = " ".join(fill.waiting)
        out += f'<text x="{x:.0f}" y="34" font-size="11">without a node: {escape(names)}</text>'
    return out


def _node(
    row: NodeRow, x: float, y: int, bars: float, full: float, wide: bool, colours: dict[str, str]
) -> str:
    zone = f" ({row.zone})" if row.zone else ""
    out = f'<text x="{x:.0f}" y="{y + 12}" font-weight="bold">{escape(row.name + zone)}</text>'
    if row.notes:
        shown = row.notes[0].partition(":")[0].rpartition("/")[2]
        out += (
            f'<text x="{x:.0f}" y="{y + 29}" font-size="10">{escape(shown[:NOTE])}'
            f"<title>{escape(', '.join(row.notes))}</title></text>"
        )
    for index, (key, label) in enumerate(RESOURCES):
        top = y + index * (BAR + 3)
        out += (
            f'<text x="{bars - 6:.0f}" y="{top + 12}" text-anchor="end" font-size="11" '
            f'fill="#444444">{label}</text>'
            f'<rect x="{bars:.1f}" y="{top}" width="{full:.1f}" height="{BAR}" '
            f'fill="{"url(#ks-away)" if row.notes else "#f3f3f3"}" stroke="#999999"/>'
        )
        left = bars
        for part in row.pods:
            right = left + full * part.takes(key) / max(1, row.offers(key))
            out += _segment(part, key, left, right - left, top, colours[part.group])
            left = right
        if wide:
            said = figures(row, key)
            out += f'<text x="{bars + full + 8:.0f}" y="{top + 12}">{said}</text>'
    return out


def figures(row: NodeRow, key: str) -> str:
    """What is taken of what there is: cores, or GiB."""
    if key == "cpu":
        return f"{row.taken(key) / 1000:g} of {row.offers(key) / 1000:g} cores"
    return f"{row.taken(key) / 1024**3:.3g} of {row.offers(key) / 1024**3:.3g} Gi"


def _segment(part: Part, key: str, left: float, width: float, top: int, colour: str) -> str:
    amount = f"{part.cpu}m" if key == "cpu" else f"{part.memory // 1024**2}Mi"
    out = (
        f'<rect x="{left:.1f}" y="{top}" width="{width:.1f}" height="{BAR}" fill="white"/>'
        f'<rect x="{left:.1f}" y="{top}" width="{width:.1f}" height="{BAR}" fill="{colour}" '
        f'fill-opacity="{SHADE}" stroke="{colour}">'
        f"<title>{escape(part.name)}: {amount}</title></rect>"
    )
    if len(part.name) * LETTER < width - 4:
        out += (
            f'<text x="{left + width / 2:.1f}" y="{top + 12}" text-anchor="middle" '
            f'font-size="11">{escape(part.name)}</text>'
        )
    return out


def _legend(colours: dict[str, str], y: int) -> str:
    out, x = "", 0.0
    if len(colours) > 1:
        for group, colour in colours.items():
            out += (
                f'<rect x="{x:.0f}" y="{y - 10}" width="22" height="11" fill="{colour}" '
                f'fill-opacity="{SHADE}" stroke="{colour}"/>'
                f'<text x="{x + 28:.0f}" y="{y}">{escape(group)}</text>'
            )
            x += 28 + LETTER * len(group) + 26
    return out
