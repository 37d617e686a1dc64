"""The theme table: every colour, line style and fill of the charts, legible without colour.

The colours are those of Okabe and Ito, which people with any kind of colour blindness can tell
apart. No meaning depends on hue alone: lines also differ by dash and width, markers by shape, and
areas by hatching. Chart descriptions name styles by key ("target", "ready"), and the drawing code
looks them up in a `Theme`; a further theme is one more table here.

Kubernetes has no counterpart.

Source: Okabe, Ito: Color Universal Design (2008), https://jfly.uni-koeln.de/color/.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

BLUE = "#0072B2"
VERMILION = "#D55E00"
GREEN = "#009E73"
PINK = "#CC79A7"
DARK_PINK = "#A0417A"  # PINK, darkened so that a thin line stands out from white
SKY = "#56B4E9"
AMBER = "#E69F00"
WINE = "#882255"
GREY = "#767676"
BLACK = "#000000"
POD_DASHES = ("solid", "dashed", "dotted")  # one dash for each round through the colours
POD_WIDTH = 1.3
SVG_DASHES = {"dashed": "7 4", "dotted": "2 3", "dotdash": "2 3 7 3"}


@dataclass(frozen=True)
class LineStyle:
    """The look of one line; colour, dash and width together make it recognizable.

    Attributes:
        colour: CSS colour.
        dash: "solid", "dashed", "dotted" or "dotdash".
        width: in pixels.
    """

    colour: str
    dash: str = "solid"
    width: float = 2.0

    @property
    def svg(self) -> str:
        """The style as attributes of an SVG element."""
        dash = SVG_DASHES.get(self.dash, "")
        pattern = f' stroke-dasharray="{dash}"' if dash else ""
        return f'fill="none" stroke="{self.colour}" stroke-width="{self.width:g}"{pattern}'


@dataclass(frozen=True)
class FillStyle:
    """The look of one area.

    Attributes:
        colour: CSS colour.
        alpha: opacity, 0 to 1.
        hatch: "/" or "\\\\" for diagonal lines; "" for none.
    """

    colour: str
    alpha: float
    hatch: str = ""


@dataclass(frozen=True)
class Theme:
    """All styles of the charts.

    Attributes:
        name: name of the theme.
        background, text, muted: colours of the page, of texts, and of secondary texts.
        frame, grid, axis: colours of a plot's box, its grid lines and its axes.
        hatch: colour of the hatching of areas.
        marker, marker_edge: colours of the triangles that mark a decision, and their edges.
        bar, bar_edge, bar_hatch: colours of an empty bar of the node chart; hatched if closed.
        lines, fills: styles by key.
        pods: colours of the lines of single pods.
        groups: colours of the groups of pods in the node chart.
    """

    name: str
    background: str
    text: str
    muted: str
    frame: str
    grid: str
    axis: str
    hatch: str
    marker: str
    marker_edge: str
    bar: str
    bar_edge: str
    bar_hatch: str
    lines: Mapping[str, LineStyle]
    fills: Mapping[str, FillStyle]
    pods: tuple[str, ...]
    groups: tuple[str, ...]

    def pod_line(self, index: int) -> LineStyle:
        """Return the style of the n-th pod's line."""
        rounds, colour = divmod(index, len(self.pods))
        return LineStyle(self.pods[colour], POD_DASHES[rounds % len(POD_DASHES)], POD_WIDTH)


LIGHT = Theme(
    name="light",
    background="white",
    text=BLACK,
    muted="#444444",
    frame="#bbbbbb",
    grid="#e4e4e4",
    axis="#888888",
    hatch="#333333",
    marker=AMBER,
    marker_edge=BLACK,
    bar="#f3f3f3",
    bar_edge="#999999",
    bar_hatch="#8a8a8a",
    lines={
        "average": LineStyle(BLACK, "solid", 2.6),
        "target": LineStyle(DARK_PINK, "dashed", 2.4),
        "limit": LineStyle(GREY, "dotted", 1.6),
        "ready": LineStyle(GREEN, "solid", 3.0),
        "desired": LineStyle(VERMILION, "dashed", 2.4),
        "offered": LineStyle(BLUE, "solid", 2.4),
        "latency": LineStyle(WINE, "solid", 2.0),
        "reference": LineStyle(GREY, "solid", 1.4),  # another run, for comparison
        "recommendation": LineStyle(BLACK, "solid", 4.0),
        "moment": LineStyle("#cacaca", "solid", 1.0),  # a vertical line through a decision
        "max-pods": LineStyle(GREY, "dotted", 2.0),
        "min-ready": LineStyle(DARK_PINK, "dotdash", 2.4),
        "all-ready": LineStyle(BLACK, "solid", 2.6),
    },
    fills={
        "served": FillStyle(SKY, 0.45),
        "unmet": FillStyle(VERMILION, 0.6, "/"),
        "old-ready": FillStyle(SKY, 0.75),
        "new-ready": FillStyle(GREEN, 0.75),
        "new-waiting": FillStyle(AMBER, 0.75, "/"),
        "old-waiting": FillStyle("#cccccc", 0.75, "\\"),
    },
    pods=(BLUE, SKY, GREEN, AMBER, WINE, "#44AA99", "#999933", "#332288"),
    groups=(BLUE, AMBER, GREEN, PINK, VERMILION, GREY),
)
