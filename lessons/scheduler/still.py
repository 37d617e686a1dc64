"""The node chart as a still picture, for pages that cannot show widgets.

A segment carries its pod's name where there is room, and shows it on hover. A node that keeps pods
away is hatched and says why, so nothing depends on colour alone. Kubernetes has no counterpart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from lessons.scheduler.bars import (
    AXIS_LABEL,
    SHADE,
    TICKS,
    Bar,
    BarChart,
    NodeBars,
    Segment,
    bar_chart,
    group_colours,
)
from lessons.scheduler.nodes import Fill
from lessons.ui.charts.svg import WIDTH, heading, picture
from lessons.ui.charts.theme import PAGE, Theme

GAP = 24  # between two pictures side by side
LEFT, RIGHT = 132, 118  # room for the names, and for the figures
NARROW_RIGHT = 14  # side by side there is no room for the figures
TOP, BOTTOM, LEGEND = 44, 34, 28
BAR, BLOCK = 16, 52  # height of a bar, and of a node
LETTER = 6.2  # average width of a letter
NOTE = 15  # letters of a note; the hover text and the table show all of it
HATCH = "ks-away"  # id of the pattern of a node that keeps pods away


@dataclass(frozen=True)
class Column:
    """The place of one node chart in the picture.

    Attributes:
        x, width: left edge, and pixels.
        full: pixels of 100 %.
        wide: there is room for figures to the right of the bars.
    """

    x: float
    width: float
    full: float
    wide: bool

    @property
    def bars(self) -> float:
        """The left edge of the bars."""
        return self.x + LEFT


def svg(fills: Sequence[Fill], theme: Theme = PAGE) -> str:
    """Return one or more node charts side by side, over the same axis.

    Args:
        fills: what to draw, from left to right.
        theme: colours.
    """
    colours = group_colours(fills, theme)
    charts = [bar_chart(fill) for fill in fills]
    rows = max((len(chart.nodes) for chart in charts), default=0)
    height = TOP + rows * BLOCK + BOTTOM + (LEGEND if len(colours) > 1 else 0)
    body = "".join(
        _chart(chart, _column(n, chart, len(charts)), colours, theme)
        for n, chart in enumerate(charts)
    )
    title = " | ".join(fill.title for fill in fills)
    description = "; ".join(map(described, fills))
    body = f"{_pattern(theme)}{body}{_legend(colours, height - 8)}"
    return picture(title, description, body, height, theme)


def described(fill: Fill) -> str:
    """Return the picture in words."""
    nodes = ", ".join(
        f"{row.name} {round(100 * row.share('cpu'))} % of its CPU and "
        f"{round(100 * row.share('memory'))} % of its memory"
        for row in fill.rows
    )
    waiting = f"; without a node: {' '.join(fill.waiting)}" if fill.waiting else ""
    return f"{fill.title}: {nodes}{waiting}"


def _pattern(theme: Theme) -> str:
    return (
        f'<defs><pattern id="{HATCH}" width="7" height="7" patternUnits="userSpaceOnUse" '
        f'patternTransform="rotate(45)"><path d="M0 0V7" stroke="{theme.bar_hatch}" '
        'stroke-width="2"/></pattern></defs>'
    )


def _column(index: int, chart: BarChart, count: int) -> Column:
    width = (WIDTH - GAP * (count - 1)) / count
    wide = count == 1
    room = width - LEFT - (RIGHT if wide else NARROW_RIGHT)
    return Column(index * (width + GAP), width, room / chart.most, wide)


def _chart(chart: BarChart, column: Column, colours: Mapping[str, str], theme: Theme) -> str:
    bottom = TOP + len(chart.nodes) * BLOCK - 6
    out = heading(chart.title, column.x, 18)
    for tick in TICKS:
        x = column.bars + column.full * tick / 100
        out += (
            f'<path d="M{x:.1f} {TOP - 8}V{bottom}" stroke="{theme.grid}"/>'
            f'<text x="{x:.1f}" y="{bottom + 14}" text-anchor="middle" font-size="11">'
            f"{tick}</text>"
        )
    middle = column.bars + column.full * chart.most / 2
    out += f'<text x="{middle:.0f}" y="{bottom + 29}" text-anchor="middle">{AXIS_LABEL}</text>'
    for index, node in enumerate(chart.nodes):
        out += _node(node, TOP + index * BLOCK, column, colours, theme)
    if chart.waiting:
        names = escape(" ".join(chart.waiting))
        out += f'<text x="{column.x:.0f}" y="34" font-size="11">without a node: {names}</text>'
    return out


def _node(node: NodeBars, y: int, column: Column, colours: Mapping[str, str], theme: Theme) -> str:
    zone = f" ({node.zone})" if node.zone else ""
    name = escape(node.node + zone)
    out = f'<text x="{column.x:.0f}" y="{y + 12}" font-weight="bold">{name}</text>'
    if node.notes:
        note = node.notes[0].partition(":")[0].rpartition("/")[2]
        out += (
            f'<text x="{column.x:.0f}" y="{y + 29}" font-size="10">{escape(note[:NOTE])}'
            f"<title>{escape(', '.join(node.notes))}</title></text>"
        )
    fill = f"url(#{HATCH})" if node.notes else theme.bar
    for index, bar in enumerate(node.bars):
        out += _bar(bar, y + index * (BAR + 3), fill, column, theme)
        for segment in bar.segments:
            out += _segment(segment, y + index * (BAR + 3), column, colours, theme)
    return out


def _bar(bar: Bar, y: int, fill: str, column: Column, theme: Theme) -> str:
    out = (
        f'<text x="{column.bars - 6:.0f}" y="{y + 12}" text-anchor="end" font-size="11" '
        f'fill="{theme.muted}">{bar.label}</text>'
        f'<rect x="{column.bars:.1f}" y="{y}" width="{column.full:.1f}" height="{BAR}" '
        f'fill="{fill}" stroke="{theme.bar_edge}"/>'
    )
    if column.wide:
        x = column.bars + column.full + 8
        out += f'<text x="{x:.0f}" y="{y + 12}">{bar.figures}</text>'
    return out


def _segment(
    segment: Segment, y: int, column: Column, colours: Mapping[str, str], theme: Theme
) -> str:
    x = column.bars + column.full * segment.left / 100
    width = column.full * (segment.right - segment.left) / 100
    colour, pod = colours[segment.group], escape(segment.pod)
    out = (
        f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{BAR}" '
        f'fill="{theme.background}"/>'
        f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{BAR}" fill="{colour}" '
        f'fill-opacity="{SHADE}" stroke="{colour}">'
        f"<title>{pod}: {segment.amount}</title></rect>"
    )
    if len(segment.pod) * LETTER < width - 4:
        out += (
            f'<text x="{x + width / 2:.1f}" y="{y + 12}" text-anchor="middle" '
            f'font-size="11">{pod}</text>'
        )
    return out


def _legend(colours: Mapping[str, str], y: int) -> str:
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
