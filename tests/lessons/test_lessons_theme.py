"""A chart is described once: what the live figures show, the still picture shows, in any theme."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import pytest

from lessons.cockpit import chart as cockpit
from lessons.rollout import chart as rollout
from lessons.scheduler import still as node_picture
from lessons.scheduler.bars import bar_chart, group_colours
from lessons.scheduler.chart import FillChart, segments_of
from lessons.scheduler.nodes import Fill, NodeRow, Part
from lessons.tuning import chart as tuning
from lessons.ui.charts import svg_chart
from lessons.ui.charts.bokeh_chart import BokehChart
from lessons.ui.charts.chart import Band, Bundle, Chart, ChartData, Curve, Dots, Markers, Plot
from lessons.ui.charts.theme import LIGHT, FillStyle, LineStyle

CHARTS = {"cockpit": cockpit.CHART, "rollout": rollout.CHART, "tuning": tuning.CHART}
DARK = replace(
    LIGHT,
    name="dark",
    background="#101010",
    text="#eeeeee",
    marker_edge="#dddddd",
    lines={key: LineStyle("#fafafa", style.dash) for key, style in LIGHT.lines.items()},
    fills={key: FillStyle("#222222", 0.5, style.hatch) for key, style in LIGHT.fills.items()},
)


def data_of(chart: Chart) -> ChartData:
    """Two rows for every column that the chart reads."""
    sources = {
        source: {
            name: ["a", "b"]
            if name in ("why", "pod")
            else [[0.0, 9.0]] * 2
            if name in ("xs", "ys")
            else [0.0, 9.0]
            for name in columns
        }
        for source, columns in chart.columns().items()
    }
    return ChartData(sources, start=0.0, end=9.0, tops={plot.name: 10.0 for plot in chart.plots})


@pytest.mark.parametrize("name", CHARTS)
def test_every_style_that_a_chart_names_is_in_the_theme(name: str) -> None:
    """A further theme needs these keys, and no others."""
    for plot in CHARTS[name].plots:
        for layer in plot.layers:
            if isinstance(layer, Band):
                assert layer.style in LIGHT.fills
            elif isinstance(layer, Curve | Dots):
                assert layer.style in LIGHT.lines


@pytest.mark.parametrize("name", CHARTS)
def test_live_figures_and_still_picture_have_the_same_legends(name: str) -> None:
    """Except for the lines of single pods, and plots that are live only."""
    chart = CHARTS[name]
    live, data = BokehChart(chart), data_of(chart)
    live.draw(data)
    picture = svg_chart.draw(chart, data, "title", "in words")
    texts = [text.text for text in ElementTree.fromstring(picture).iter() if text.text]
    for plot, figure in zip(chart.plots, live.figures, strict=True):
        named = {item.label.value for item in figure.legend[0].items}
        single = {layer.label for layer in plot.layers if isinstance(layer, Bundle)}
        if plot.still_height:
            assert named - single <= set(texts)
            assert plot.y_label in texts


@pytest.mark.parametrize("name", CHARTS)
def test_a_theme_changes_both_drawings(name: str) -> None:
    """No colour of the light theme is left in a dark picture, or in dark figures."""
    chart, light_lines = CHARTS[name], {style.colour for style in LIGHT.lines.values()}
    data = data_of(chart)
    picture = svg_chart.draw(chart, data, "title", "in words", DARK)
    assert not [colour for colour in light_lines | {"white"} if f'"{colour}"' in picture]
    for figure in BokehChart(chart, DARK).figures:
        assert figure.background_fill_color is figure.border_fill_color is None  # the page's
        for each in figure.renderers:
            assert str(getattr(each.glyph, "line_color", None)) not in light_lines
        assert figure.legend[0].label_text_color == "#eeeeee"


def test_a_chart_without_data_says_so() -> None:
    """Neither drawing fails."""
    chart = Chart((Plot("p", "y", (Curve("s", "y", "ready", "line"),), height=100),))
    data = ChartData({"s": {"t": [], "y": []}}, start=0.0, end=-1.0)
    BokehChart(chart).draw(replace(data, end=0.0))
    assert svg_chart.NOTHING in svg_chart.draw(chart, data, "empty", "in words")


def test_markers_outside_of_the_picture_are_left_out() -> None:
    """A decision before the first second, or without a value, has no triangle."""
    layers = (Curve("s", "y", "ready", "line"), Markers("m", "y", up=True))
    chart = Chart((Plot("p", "y", layers, height=100),))
    marks = {"t": [1.0, 6.0, 7.0], "y": [1.0, 2.0, float("nan")], "why": ["early", "seen", "nan"]}
    data = ChartData({"s": {"t": [5.0, 9.0], "y": [1.0, 1.0]}, "m": marks}, 5.0, 9.0, {"p": 3.0})
    picture = svg_chart.draw(chart, data, "title", "in words")
    assert "t=6 s: seen" in picture
    assert "early" not in picture and "t=7" not in picture


def test_the_node_chart_is_described_once_too() -> None:
    """The live segments are those of the picture; a dark theme reaches both."""
    part = Part("web-0", "web", cpu=1000, memory=1024**3)
    row = NodeRow("node-1", "", 4000, 4 * 1024**3, (part,), ("cordoned",))
    fill = Fill("Nodes", (row,), ())
    segments = segments_of(bar_chart(fill), group_colours([fill], DARK))
    assert list(zip(segments["left"], segments["right"], strict=True)) == [(0.0, 25.0)] * 2
    picture = node_picture.svg([fill], DARK)
    assert picture.count("<title>web-0: ") == 2
    assert 'fill="#101010"' in picture and '"white"' not in picture
    live = FillChart(DARK)
    live.draw(fill, "web-0")
    assert live.layout.background_fill_color is None  # the page's
    assert live.layout.yaxis[0].major_label_text_color == "#eeeeee"
