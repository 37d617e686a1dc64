"""Descriptions of charts: what a chart shows, described once and drawn twice.

A `Chart` lists its plots, from top to bottom, over one time axis. A `Plot` lists its layers: lines,
areas, markers. A layer names the columns that it reads and the style that it has in the theme.
`lessons.ui.charts.bokeh_chart` draws the description as live figures,
`lessons.ui.charts.svg_chart` as a still picture; both take the same `ChartData`.

Kubernetes has no counterpart; the nearest is a dashboard's JSON in Grafana.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isnan

HEADROOM = 1.08  # the y axis ends a little above the largest value
TIME_LABEL = "simulated time [s]"
NAN = float("nan")

Columns = Mapping[str, Sequence[object]]
"""Name of a column -> its values, all of one length."""


@dataclass(frozen=True)
class Curve:
    """A line.

    Attributes:
        source: name of the source that holds its columns.
        y: column of its values; a NaN leaves a gap or is skipped.
        style: key of a line style.
        label: text in the legend.
        step: the value holds until the next row.
        optional: the legend names the line only while there is data.
    """

    source: str
    y: str
    style: str
    label: str
    step: bool = False
    optional: bool = False


@dataclass(frozen=True)
class Band:
    """An area between two columns.

    Attributes:
        source: name of the source that holds its columns.
        low, high: columns of its edges; "" as `low` is zero.
        style: key of a fill style.
        label: text in the legend.
        step: the values hold until the next row.
    """

    source: str
    low: str
    high: str
    style: str
    label: str
    step: bool = False


@dataclass(frozen=True)
class Bundle:
    """Many thin lines, one for each pod; too many for a still picture, so they are live only.

    Attributes:
        source: name of a source with the columns xs, ys (a list for each line) and pod.
        label: text in the legend.
    """

    source: str
    label: str


@dataclass(frozen=True)
class Markers:
    """Triangles that mark decisions; each tells its reason (column `why`) on hover.

    Attributes:
        source: name of the source that holds its columns.
        y: column of the heights.
        up: the triangle points up.
        moments: a thin vertical line marks the moment through the whole plot.
    """

    source: str
    y: str
    up: bool
    moments: bool = True


@dataclass(frozen=True)
class Dots:
    """Small round dots.

    Attributes:
        source: name of the source that holds its columns.
        y: column of the heights.
        style: key of a line style; its width is the dots' size.
        label: text in the legend.
    """

    source: str
    y: str
    style: str
    label: str


Layer = Curve | Band | Bundle | Markers | Dots


@dataclass(frozen=True)
class Plot:
    """One plot of a chart.

    Attributes:
        name: its key in `ChartData.tops`; as a Bokeh figure it is called "<name>-figure".
        y_label: label of the y axis, with the unit.
        layers: from back to front.
        height: share of the live figure, with its axes, in the height of all figures.
        still_height: pixels of the still picture's frame; 0: the plot is live only.
        whole_numbers: ticks of the y axis are whole numbers.
        right_label: label of a second y axis, which ends at `ChartData.right_tops`; "": none.
        legend_columns: entries in a row of the legend; 0: all in one row.
        below_zero: share of the y axis below zero, where a marker at zero needs room.
    """

    name: str
    y_label: str
    layers: tuple[Layer, ...]
    height: int
    still_height: int = 128
    whole_numbers: bool = False
    right_label: str = ""
    legend_columns: int = 0
    below_zero: float = 0.0

    def bottom(self, top: float) -> float:
        """Return where a y axis begins that ends at `top`."""
        return -top * self.below_zero / (1 - self.below_zero)


@dataclass(frozen=True)
class Chart:
    """Plots over one time axis, from top to bottom."""

    plots: tuple[Plot, ...]

    def columns(self) -> dict[str, tuple[str, ...]]:
        """Return the columns that the layers read, by source."""
        columns: dict[str, dict[str, None]] = {}
        for plot in self.plots:
            for layer in plot.layers:
                columns.setdefault(layer.source, {}).update(dict.fromkeys(columns_of(layer)))
        return {source: tuple(names) for source, names in columns.items()}


@dataclass(frozen=True)
class ChartData:
    """What a chart shows at one moment.

    Attributes:
        sources: the columns of each source; every source but a `Bundle`'s has a column ``t``.
        start, end: the first and the last simulated second.
        tops: end of the y axis, by plot.
        right_tops: end of the second y axis, by plot.
        window: seconds that a live time axis shows; None: exactly from start to end.
    """

    sources: Mapping[str, Columns]
    start: float
    end: float
    tops: Mapping[str, float] = field(default_factory=dict)
    right_tops: Mapping[str, float] = field(default_factory=dict)
    window: float | None = None

    def column(self, source: str, name: str) -> list[float]:
        """Return a column of numbers."""
        return [value for value in self.sources[source][name] if isinstance(value, int | float)]


def columns_of(layer: Layer) -> tuple[str, ...]:
    """Return the columns that a layer reads."""
    match layer:
        case Band(low=low, high=high):
            return ("t", low, high) if low else ("t", high)
        case Bundle():
            return ("xs", "ys", "pod")
        case Markers(y=y):
            return ("t", y, "why")
        case _:
            return ("t", layer.y)


def top(values: Sequence[float], least: float) -> float:
    """Return where a y axis ends: a little above the largest value, and never below `least`.

    >>> top([50.0, NAN], least=10)
    54.0
    """
    return max([float(least), *(value for value in values if not isnan(value))]) * HEADROOM
