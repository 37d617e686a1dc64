"""The theme table: every colour, line style and fill of the charts, legible without colour.

The colours are those of Okabe and Ito, which people with any kind of colour blindness can tell
apart. No meaning depends on hue alone: lines also differ by dash and width, markers by shape, and
areas by hatching. Where a colour is too pale for a thin line on its background, the table has a
darker or lighter twin: lines reach a contrast of 3:1, texts 4.5:1 (WCAG 2.2, 1.4.3 and 1.4.11).

Chart descriptions name styles by key ("target", "ready"), and the drawing code looks them up in a
`Theme`. There are three: `LIGHT`, `DARK` and `CONTRAST`. `PAGE` has CSS variables in place of
colours: a still picture in this theme takes the colours of the page that shows it.

Kubernetes has no counterpart.

Source: Okabe, Ito: Color Universal Design (2008), https://jfly.uni-koeln.de/color/.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace

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
WHITE = "#ffffff"
POD_DASHES = ("solid", "dashed", "dotted")  # one dash for each round through the colours
POD_WIDTH = 1.3
CASING = 2.6  # pixels by which the line below an important line is wider
SVG_DASHES = {"dashed": "7 4", "dotted": "2 3", "dotdash": "2 3 7 3"}


@dataclass(frozen=True)
class LineStyle:
    """The look of one line; colour, dash and width together make it recognizable.

    Attributes:
        colour: CSS colour.
        dash: "solid", "dashed", "dotted" or "dotdash".
        width: in pixels.
        cased: a wider line in the background's colour lies below it, so that it stands out from
            coloured areas.
    """

    colour: str
    dash: str = "solid"
    width: float = 2.0
    cased: bool = False

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

    def colours(self) -> dict[str, str]:
        """Return every colour by name: ``text``, ``line-average``, ``fill-served``, ``pod-0``."""
        return dict(self._colours())

    def _colours(self) -> Iterator[tuple[str, str]]:
        for each in fields(self):
            value = getattr(self, each.name)
            if isinstance(value, str) and each.name != "name":
                yield each.name.replace("_", "-"), value
        yield from ((f"line-{key}", style.colour) for key, style in self.lines.items())
        yield from ((f"fill-{key}", style.colour) for key, style in self.fills.items())
        yield from ((f"pod-{n}", colour) for n, colour in enumerate(self.pods))
        yield from ((f"group-{n}", colour) for n, colour in enumerate(self.groups))


LIGHT = Theme(
    name="light",
    background=WHITE,
    text=BLACK,
    muted="#444444",
    frame="#bbbbbb",
    grid="#e4e4e4",
    axis="#888888",
    hatch="#333333",
    marker=AMBER,
    marker_edge=BLACK,
    bar="#f3f3f3",
    bar_edge="#8a8a8a",
    bar_hatch="#8a8a8a",
    lines={
        "average": LineStyle(BLACK, "solid", 2.2),
        "target": LineStyle(DARK_PINK, "dashed", 2.4, cased=True),
        "limit": LineStyle(GREY, "dotted", 1.6),
        "ready": LineStyle(GREEN, "solid", 3.0),
        "desired": LineStyle(VERMILION, "dashed", 2.4),
        "offered": LineStyle(BLUE, "solid", 2.4),
        "latency": LineStyle(WINE, "solid", 2.0),
        "reference": LineStyle(GREY, "solid", 1.4),  # another run, for comparison
        "recommendation": LineStyle(BLACK, "solid", 4.0),
        "moment": LineStyle("#949494", "solid", 0.8),  # a vertical line through a decision
        "max-pods": LineStyle(GREY, "dotted", 2.0, cased=True),
        "wanted": LineStyle("#8F3E00", "dashed", 2.4, cased=True),
        "min-ready": LineStyle(DARK_PINK, "dotdash", 2.4, cased=True),
        "all-ready": LineStyle(BLACK, "solid", 2.6, cased=True),
    },
    fills={
        "served": FillStyle(SKY, 0.45),
        "unmet": FillStyle(VERMILION, 0.6, "/"),
        "old-ready": FillStyle(SKY, 0.75),
        "new-ready": FillStyle(GREEN, 0.75),
        "new-waiting": FillStyle(AMBER, 0.75, "/"),
        "old-waiting": FillStyle("#cccccc", 0.75, "\\"),
    },
    pods=(BLUE, "#2F8FC4", GREEN, "#B77900", WINE, "#2A8C7C", "#7C7C1F", "#332288"),
    groups=(BLUE, "#B77900", GREEN, "#B0568A", VERMILION, GREY),
)
_ON_DARK = {
    "average": WHITE,
    "target": "#E8A0CB",
    "limit": "#A8A8A8",
    "ready": "#2CC99A",
    "desired": "#FF9A57",
    "offered": SKY,
    "latency": "#DDA0E0",
    "reference": "#A8A8A8",
    "recommendation": WHITE,
    "moment": "#7A7A7A",
    "max-pods": "#C0C0C0",
    "wanted": "#FFC79E",
    "min-ready": "#FFB3DE",
    "all-ready": WHITE,
}
DARK = replace(
    LIGHT,
    name="dark",
    background="#111111",
    text="#f2f2f2",
    muted="#c4c4c4",
    frame="#5a5a5a",
    grid="#3a3a3a",
    axis="#9a9a9a",
    hatch="#e8e8e8",
    marker_edge=WHITE,
    bar="#2a2a2a",
    bar_edge="#8c8c8c",
    bar_hatch="#8c8c8c",
    lines={key: replace(style, colour=_ON_DARK[key]) for key, style in LIGHT.lines.items()},
    fills={
        "served": FillStyle(SKY, 0.4),
        "unmet": FillStyle(VERMILION, 0.75, "/"),
        "old-ready": FillStyle("#2E86BF", 0.75),
        "new-ready": FillStyle("#0A8A66", 0.85),
        "new-waiting": FillStyle("#B27B00", 0.8, "/"),
        "old-waiting": FillStyle("#6a6a6a", 0.75, "\\"),
    },
    pods=(SKY, "#8CCBF2", "#2CC99A", AMBER, "#E8A0CB", "#66CDBB", "#C6C65C", "#A99BEF"),
    groups=(SKY, AMBER, "#2CC99A", "#E8A0CB", "#FF9A57", "#B8B8B8"),
)
CONTRAST = replace(
    DARK,
    name="contrast",
    background=BLACK,
    text=WHITE,
    muted=WHITE,
    frame=WHITE,
    grid="#505050",
    axis=WHITE,
    hatch=WHITE,
    marker="#FFD000",
    bar=BLACK,
    bar_edge=WHITE,
    bar_hatch=WHITE,
    lines={
        **{key: replace(style, width=style.width + 0.6) for key, style in DARK.lines.items()},
        "limit": LineStyle("#D0D0D0", "dotted", 2.2),
        "reference": LineStyle("#D0D0D0", "solid", 1.8),
        "moment": LineStyle("#A0A0A0", "solid", 1.0),
    },
)
THEMES = (LIGHT, DARK, CONTRAST)


def _variables(theme: Theme) -> Theme:
    """Return a theme whose colours are CSS variables named after `Theme.colours`."""
    plain = {
        each.name: f"var(--ks-{each.name.replace('_', '-')})"
        for each in fields(theme)
        if each.name != "name" and isinstance(getattr(theme, each.name), str)
    }
    return replace(
        theme,
        name="page",
        lines={k: replace(v, colour=f"var(--ks-line-{k})") for k, v in theme.lines.items()},
        fills={k: replace(v, colour=f"var(--ks-fill-{k})") for k, v in theme.fills.items()},
        pods=tuple(f"var(--ks-pod-{n})" for n, _ in enumerate(theme.pods)),
        groups=tuple(f"var(--ks-group-{n})" for n, _ in enumerate(theme.groups)),
        **plain,
    )


PAGE = _variables(LIGHT)


def stylesheet(drawing: str) -> str:
    """Return the CSS that defines the variables of `PAGE` which a drawing names; "" for none.

    A picture in a page follows the page's `color-scheme`; within the HTML of JupyterLab and
    nbconvert it follows the theme that these write on the page's body.

    Args:
        drawing: SVG elements.
    """
    used = sorted(set(re.findall(r"var\(--ks-([a-z0-9-]+)\)", drawing)))
    if not used:
        return ""

    def rules(theme: Theme) -> str:
        colours = theme.colours()
        return "".join(f"--ks-{name}:{colours[name]};" for name in used)

    light, dark, contrast = map(rules, THEMES)
    return (
        f"<style>.ks-still{{{light}}}"
        f"@media(prefers-color-scheme:dark){{.ks-still{{{dark}}}}}"
        f"@media(prefers-color-scheme:dark)and (prefers-contrast:more){{.ks-still{{{contrast}}}}}"
        f'[data-jp-theme-light="true"] .ks-still{{{light}}}'
        f'[data-jp-theme-light="false"] .ks-still{{{dark}}}</style>'
    )


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours as WCAG defines it, from 1 to 21.

    >>> contrast("#000000", "#ffffff")
    21.0

    Source: WCAG 2.2, https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio.
    """
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: str) -> float:
    shares = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    red, green, blue = (
        share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
