"""Still pictures: a chart description drawn as SVG, for pages that cannot show widgets.

Such pages are a code host, a printed lesson, a screen reader. nbval compares the pictures, so the
same data always gives the same text. Kubernetes has no counterpart.
"""

from __future__ import annotations

from html import escape

from lessons.ui.charts import svg
from lessons.ui.charts.chart import Band, Chart, ChartData, Curve, Dots, Layer, Markers, Plot
from lessons.ui.charts.theme import PAGE, Theme

TOP = 40  # pixels above the first plot with one row of legend
GAP = 44  # between two plots: ticks of the upper one, legend of the lower one
BOTTOM = 42  # ticks and label of the time axis
EMPTY_HEIGHT = 120
NOTHING = "nothing has happened yet"


def draw(chart: Chart, data: ChartData, title: str, description: str, theme: Theme = PAGE) -> str:
    """Return a chart as SVG.

    Args:
        chart: what to draw; plots and layers that are live only are left out.
        data: the values.
        title: heading of the picture.
        description: the picture in words, for people who cannot see it.
        theme: colours and line styles.
    """
    if data.end < data.start or not data.tops:
        body = svg.heading(title) + f'<text x="{svg.LEFT}" y="80">{NOTHING}</text>'
        return svg.picture(title, NOTHING, body, EMPTY_HEIGHT, theme)
    plots = [plot for plot in chart.plots if plot.still_height]
    scale = svg.TimeScale(data.start, max(data.end, data.start + 1.0))
    styles = [layer.style for plot in plots for layer in plot.layers if isinstance(layer, Band)]
    used = {key: theme.fills[key] for key in styles}
    body, top = svg.heading(title) + svg.patterns(used, theme), TOP
    for plot in plots:
        rows = legend_rows(plot, data)
        top += svg.LEGEND_ROW * (len(rows) - 1)
        most = data.tops[plot.name]
        area = svg.PlotArea(scale, most, top, plot.still_height, plot.bottom(most))
        body += svg.frame(area, plot.y_label, theme, time_label=plot is plots[-1])
        body += "".join(_layer(layer, data, area, theme) for layer in plot.layers)
        body += "".join(
            _legend_row(row, top - svg.LEGEND_ROW * n, theme)
            for n, row in enumerate(reversed(rows))
        )
        top = area.bottom + GAP
    return svg.picture(title, description, body, top - GAP + BOTTOM, theme)


def _layer(layer: Layer, data: ChartData, area: svg.PlotArea, theme: Theme) -> str:
    match layer:
        case Curve():
            return _curve(layer, data, area, theme)
        case Band():
            return _band(layer, data, area, theme)
        case Markers():
            return _markers(layer, data, area, theme)
        case Dots():
            return _dots(layer, data, area, theme)
        case _:
            return ""


def _corners(layer: Curve | Band, column: str, data: ChartData, area: svg.PlotArea) -> list[str]:
    times = data.column(layer.source, "t")
    values = data.column(layer.source, column) if column else [0.0] * len(times)
    return area.points(*(svg.steps(times, values) if layer.step else (times, values)))


def _curve(layer: Curve, data: ChartData, area: svg.PlotArea, theme: Theme) -> str:
    return svg.line(theme.lines[layer.style], _corners(layer, layer.y, data, area), theme)


def _band(layer: Band, data: ChartData, area: svg.PlotArea, theme: Theme) -> str:
    high = _corners(layer, layer.high, data, area)
    low = _corners(layer, layer.low, data, area)
    if not high or high == low:
        return ""
    fill = svg.fill_attributes(layer.style, theme.fills[layer.style])
    return f'<polygon {fill} points="{" ".join([*high, *reversed(low)])}"/>'


def _markers(layer: Markers, data: ChartData, area: svg.PlotArea, theme: Theme) -> str:
    """Return a triangle for each decision, with its reason as the title that a pointer shows."""
    source = data.sources[layer.source]
    tip, base = (-7, 5) if layer.up else (7, -5)
    moments, triangles = "", ""
    for time, value, why in zip(source["t"], source[layer.y], source["why"], strict=True):
        if not isinstance(time, int | float) or not isinstance(value, int | float):
            continue
        if time < area.scale.start or value != value:
            continue
        x, y = area.x(time), area.y(value)
        moments += f"M{x:.1f} {area.top}v{area.height}"
        tooltip = escape(f"t={time:g} s: {why}")
        triangles += (
            f'<path d="M{x:.1f} {y + tip:.1f} l6 {base - tip} h-12 z" fill="{theme.marker}" '
            f'stroke="{theme.marker_edge}"><title>{tooltip}</title></path>'
        )
    if moments and layer.moments:
        triangles = f'<path {theme.lines["moment"].svg} d="{moments}"/>{triangles}'
    return triangles


def _dots(layer: Dots, data: ChartData, area: svg.PlotArea, theme: Theme) -> str:
    times, values = data.column(layer.source, "t"), data.column(layer.source, layer.y)
    dots = "".join(
        f"M{area.x(time):.1f} {area.y(value):.1f}h0"
        for time, value in zip(times, values, strict=True)
        if value == value
    )
    style = theme.lines[layer.style]
    return (
        f'<path d="{dots}" stroke="{style.colour}" stroke-width="{style.width:g}" '
        'stroke-linecap="round"/>'
    )


# -- legends ------------------------------------------------------------------------------------

Named = Curve | Band | Dots


def legend_rows(plot: Plot, data: ChartData) -> list[list[Named]]:
    """Return the layers that the legend names, in rows of `legend_columns`."""
    named: dict[str, Named] = {}
    for layer in plot.layers:
        if not isinstance(layer, Curve | Band | Dots) or layer.label in named:
            continue
        optional = isinstance(layer, Curve) and layer.optional
        if not optional or data.sources[layer.source]["t"]:
            named[layer.label] = layer
    layers = list(named.values())
    in_a_row = plot.legend_columns or len(layers)
    return [layers[n : n + in_a_row] for n in range(0, len(layers), in_a_row)]


def _entry_width(label: str) -> float:
    return 48 + svg.LETTER * len(label)


def _legend_row(row: list[Named], top: int, theme: Theme) -> str:
    """Return one row of a legend, above the frame and to the right."""
    out, x = "", svg.WIDTH - svg.RIGHT - sum(_entry_width(layer.label) for layer in row) + 14
    for layer in row:
        out += _sample(layer, x, top, theme)
        out += f'<text x="{x + 34:.0f}" y="{top - 7}">{escape(layer.label)}</text>'
        x += _entry_width(layer.label)
    return out


def _sample(layer: Named, x: float, top: int, theme: Theme) -> str:
    """Return the sample of a line, an area or a dot in a legend."""
    if isinstance(layer, Band):
        fill = svg.fill_attributes(layer.style, theme.fills[layer.style])
        return (
            f'<rect x="{x + 8:.0f}" y="{top - 16}" width="20" height="10" {fill} '
            f'stroke="{theme.muted}"/>'
        )
    style = theme.lines[layer.style]
    if isinstance(layer, Dots):
        return f'<circle cx="{x + 22:.0f}" cy="{top - 11}" r="3" fill="{style.colour}"/>'
    return f'<path d="M{x:.0f} {top - 11}h28" {style.svg}/>'
