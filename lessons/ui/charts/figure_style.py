"""The style of live figures: plain frames and axes, a legend above the plot, room for both.

Kubernetes has no counterpart.
"""

from __future__ import annotations

from typing import Any

from bokeh.models import CustomJS

from lessons.ui.charts.themed import ThemedModels

LEFT_BORDER = 62  # pixels, the same in all plots, so that their time axes are aligned
RIGHT_BORDER = 58  # with a second y axis
NARROW_BORDER = 14
Y_TICKS = 4  # about this many
FONT_SIZE = "12px"


def set_plain_style(fig: Any, themed: ThemedModels, right_border: int) -> None:
    """Give a figure legible labels, a faint grid, no ornaments, and borders that align.

    Args:
        fig: the figure; the page shines through it.
        themed: sets colours and sizes.
        right_border: pixels to the right of the frame, at least.
    """
    fig.toolbar_location = None
    fig.background_fill_color = fig.border_fill_color = None
    # Bokeh clears half of the first row and column of pixels; the layout before shines
    # through, in two rows and columns where the figure begins between two pixels.
    fig.styles = {**fig.styles, "clip-path": "inset(2px 0px 0px 2px)"}
    fig.min_border_right = right_border
    fig.min_border_top = fig.min_border_bottom = 7
    fig.title.visible = False
    themed.size(fig, min_border_left=LEFT_BORDER)
    themed.paint(fig, outline_line_color="frame")
    # Without a colour Bokeh leaves traces of the layout before in the border.
    colour = "background"
    themed.paint_in_page(fig, border_fill_color=colour, background_fill_color=colour)
    for axis in fig.axis:
        axis.axis_label_text_font_style = "normal"
        axis.minor_tick_line_color = None
        themed.size(axis, axis_label_text_font_size=FONT_SIZE, major_label_text_font_size=FONT_SIZE)
        themed.paint(
            axis,
            axis_label_text_color="text",
            major_label_text_color="text",
            axis_line_color="axis",
            major_tick_line_color="axis",
        )
    for grid in fig.grid:
        themed.paint(grid, grid_line_color="grid")


# In the page: so many legend entries in a row, and so many ticks, as the plot has room for.
FIT_TO_ROOM = """
const font = parseFloat(legend.label_text_font_size);
const ticks = Math.max(2, Math.min(most_ticks, Math.floor(figure.inner_height / font / 2)));
for (const ticker of tickers)
  if (ticker.desired_num_ticks !== ticks)
    setTimeout(() => ticker.setv({desired_num_ticks: ticks}, {sync: false}), 0);
const pen = document.createElement('canvas').getContext('2d');
pen.font = `${legend.label_text_font_size} ${legend.label_text_font}`;
const widths = labels.map(
  each => pen.measureText(each).width + legend.glyph_width + legend.label_standoff + 4);
const shown = widths.filter((_width, n) => legend.items[n].visible);
const row_width = columns => {
  let sum = (columns - 1) * legend.spacing;
  for (let column = 0; column < columns; column++)
    sum += Math.max(0, ...shown.filter((_width, n) => n % columns === column));
  return sum;
};
let columns = Math.min(most, shown.length);
while (columns > 1 && row_width(columns) > figure.inner_width) columns--;
if (columns > 0 && columns !== legend.ncols)
  setTimeout(() => legend.setv({ncols: columns}, {sync: false}), 0);
"""


def set_legend_above(fig: Any, themed: ThemedModels, columns: int = 0) -> None:
    """Put the legend above the plot, so that it hides nothing.

    Args:
        fig: the figure.
        themed: colours and sizes of the chart.
        columns: entries in a row, 0: all; fewer if the plot is too narrow for them.
    """
    legend = fig.legend[0]
    legend.orientation = "horizontal"
    legend.location = "left"
    legend.glyph_height = 12
    legend.padding = 0
    legend.margin = 2
    legend.border_line_color = None
    legend.background_fill_alpha = 0.0
    themed.size(
        legend,
        label_text_font_size=FONT_SIZE,
        glyph_width=26,
        spacing=10,
    )
    themed.paint(legend, label_text_color="text")
    fig.add_layout(legend, "above")
    labels = [item.label.value for item in legend.items]
    legend.ncols = columns or len(labels)
    arguments = {
        "legend": legend,
        "figure": fig,
        "labels": labels,
        "most": legend.ncols,
        "tickers": [axis.ticker for axis in fig.yaxis],
        "most_ticks": Y_TICKS,
    }
    fit = CustomJS(args=arguments, code=FIT_TO_ROOM)
    fig.js_on_change("inner_width", fit)
    fig.js_on_change("inner_height", fit)
    legend.js_on_change("label_text_font_size", fit)
    for item in legend.items:
        item.js_on_change("visible", fit)
