"""How things look: one palette for every chart, legible without colour.

The colours are those of Okabe and Ito, which people with any kind of colour blindness can tell
apart; and no meaning hangs on hue alone: lines differ by dash and width, marks by shape, areas by
hatching.

Source: Okabe, Ito: Color Universal Design (2008), https://jfly.uni-koeln.de/color/.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

BLUE = "#0072B2"
VERMILION = "#D55E00"
GREEN = "#009E73"
PINK = "#CC79A7"
SKY = "#56B4E9"
AMBER = "#E69F00"
GREY = "#767676"
BLACK = "#000000"
POD_COLOURS = (BLUE, SKY, GREEN, AMBER, "#882255", "#44AA99", "#999933", "#332288")
POD_DASHES = ("solid", "dashed", "dotted")  # each round through the colours has another dash
FONT_SIZE = "12px"
LEFT_BORDER = 62  # pixels, the same in all charts, so that their time axes are aligned
RIGHT_BORDER = 58


@dataclass(frozen=True)
class Line:
    """How one line is drawn: colour, dash and width, so that any one of them tells it apart."""

    colour: str
    dash: str = "solid"
    width: float = 2.0

    def options(self) -> dict[str, Any]:
        """As keyword arguments of a Bokeh glyph."""
        return {"line_color": self.colour, "line_dash": self.dash, "line_width": self.width}

    @property
    def svg(self) -> str:
        """As attributes of an SVG element."""
        dash = {"dashed": "7 4", "dotted": "2 3", "dotdash": "2 3 7 3"}.get(self.dash, "")
        pattern = f' stroke-dasharray="{dash}"' if dash else ""
        return f'fill="none" stroke="{self.colour}" stroke-width="{self.width:g}"{pattern}'


AVERAGE = Line(BLACK, "solid", 2.6)
TARGET = Line("#A0417A", "dashed", 2.4)  # PINK, darkened: a line has to stand out from white
DESIRED = Line(VERMILION, "dashed", 2.4)
READY = Line(GREEN, "solid", 3.0)
LIMIT = Line(GREY, "dotted", 1.6)
OFFERED = Line(BLUE, "solid", 2.4)
LATENCY = Line("#882255", "solid", 2.0)
SERVED_FILL = SKY
UNMET_FILL = VERMILION
# Rollouts, from the bottom to the top: colour, hatching (as Bokeh calls it), name.
ROLLOUT_AREAS = {
    "old_ready": (SKY, "", "old, ready"),
    "new_ready": (GREEN, "", "new, ready"),
    "new_waiting": (AMBER, "/", "new, not ready yet"),
    "old_waiting": ("#cccccc", "\\", "old, not ready"),
}
ROLLOUT_LINES = {
    "most": (Line(GREY, "dotted", 2.0), "at most"),
    "wanted": (Line(VERMILION, "dashed", 2.4), "wanted"),
    "least": (Line("#A0417A", "dotdash", 2.4), "ready at least"),
    "ready": (Line(BLACK, "solid", 2.6), "ready"),
}


def pod_line(index: int) -> Line:
    """The line of the n-th pod."""
    rounds, colour = divmod(index, len(POD_COLOURS))
    return Line(POD_COLOURS[colour], POD_DASHES[rounds % len(POD_DASHES)], 1.3)


def quiet(plot: Any) -> None:
    """Legible labels, a faint grid, no ornaments; borders that align the charts."""
    plot.toolbar_location = None
    plot.outline_line_color = "#cccccc"
    plot.min_border_left = LEFT_BORDER
    plot.min_border_right = RIGHT_BORDER
    plot.title.text_font_size = "13px"
    plot.title.text_font_style = "bold"
    plot.title.standoff = 2
    for axis in plot.axis:
        axis.axis_label_text_font_size = FONT_SIZE
        axis.axis_label_text_font_style = "normal"
        axis.major_label_text_font_size = FONT_SIZE
        axis.minor_tick_line_color = None
        axis.axis_line_color = "#888888"
    for grid in plot.grid:
        grid.grid_line_alpha = 0.35


def legend_above(plot: Any) -> None:
    """The legend between title and data, in one row: it hides nothing."""
    legend = plot.legend[0]
    legend.orientation = "horizontal"
    legend.label_text_font_size = FONT_SIZE
    legend.glyph_width = 28
    legend.glyph_height = 12
    legend.spacing = 14
    legend.padding = 0
    legend.margin = 3
    legend.border_line_color = None
    legend.background_fill_alpha = 0.0
    plot.add_layout(legend, "above")
