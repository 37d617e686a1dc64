"""Themes, contrast, order of names, alignment of tables, and what a screen has room for."""

from __future__ import annotations

import re

import pytest

from kubesim import Table
from kubesim.traffic import Step
from lessons import fill, fresh_cluster, record
from lessons.cockpit import tables
from lessons.cockpit.chart import CHART
from lessons.rollout.deployments import image_of, set_image, web
from lessons.rollout.still import watch_rollout
from lessons.scheduler.bars import SHADE, bar_chart
from lessons.scheduler.chart import wholes_of
from lessons.scheduler.controls import closed_html
from lessons.scheduler.nodes import read_nodes
from lessons.tuning.panel import TuningPanel
from lessons.ui import css
from lessons.ui.charts import svg
from lessons.ui.charts.bokeh_chart import BokehChart
from lessons.ui.charts.theme import CONTRAST, DARK, LIGHT, PAGE, THEMES, Theme, contrast, stylesheet
from lessons.ui.charts.themed import scaled
from lessons.ui.html import html_table, natural
from lessons.ui.widgets import NumberSlider

LINES, TEXTS = 3.0, 4.5  # WCAG 2.2, 1.4.11 and 1.4.3
DARK_PAGES = ("#111111", "#212121")  # JupyterLab's layout colours 0 and 1 in its dark theme
PAGES = {"light": ("#ffffff",), "dark": DARK_PAGES, "contrast": ("#000000", *DARK_PAGES)}


@pytest.fixture
def stills() -> dict[str, str]:
    """One still picture of each kind."""
    cluster = fresh_cluster(nodes=3)
    cluster.set_traffic(Step(60, 10, at_seconds=60))
    busy = record(cluster, 100, "the pods of `auto-pod`").svg()
    nodes = fill(cluster).svg()
    cluster = fresh_cluster(nodes=3, hpa=False)
    cluster.api.create(web(10))
    cluster.sleep(20)
    set_image(cluster, image_of(2))
    return {"cockpit": busy, "nodes": nodes, "rollout": watch_rollout(cluster, 60).svg()}


@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)
def test_lines_and_texts_stand_out_from_each_page(theme: Theme) -> None:
    """Lines, markers and bars reach 3:1, texts 4.5:1; the palette is Okabe and Ito's."""
    colours = theme.colours()
    for page in PAGES[theme.name]:
        for name, colour in colours.items():
            if name.startswith(("line-", "pod-", "group-")) or name in ("marker-edge", "bar-edge"):
                assert contrast(colour, page) >= LINES, (name, page)
        for name in ("text", "muted"):
            assert contrast(colours[name], page) >= TEXTS


@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)
def test_names_on_segments_are_legible(theme: Theme) -> None:
    """The text colour on a group's colour, mixed with the background."""
    below = theme.background
    for colour in theme.groups:
        pairs = [(int(colour[n : n + 2], 16), int(below[n : n + 2], 16)) for n in (1, 3, 5)]
        mixed = "#" + "".join(f"{round(SHADE * a + (1 - SHADE) * b):02x}" for a, b in pairs)
        assert contrast(theme.text, mixed) >= TEXTS, colour


def test_all_themes_have_the_same_styles() -> None:
    """Each line of the light theme has a twin, with the same dash."""
    names = set(LIGHT.colours())
    for theme in (DARK, CONTRAST, PAGE):
        assert set(theme.colours()) == names
        assert {key: style.dash for key, style in theme.lines.items()} == {
            key: style.dash for key, style in LIGHT.lines.items()
        }


def test_a_still_has_no_colour_but_those_of_its_style_sheet(stills: dict[str, str]) -> None:
    """Each colour is a variable with a light and a dark value; nothing is white by itself."""
    for name, picture in stills.items():
        sheet, drawing = re.findall("<style>.*?</style>", picture), picture
        assert len(sheet) == 1, name
        drawing = picture.replace(sheet[0], "")
        assert not re.findall(r"#[0-9a-fA-F]{3,8}\b(?!\))|\"(?:white|black)\"", drawing), name
        used = set(re.findall(r"var\(--ks-([a-z0-9-]+)\)", drawing))
        for part in ("prefers-color-scheme:dark", 'theme-light="true"', 'theme-light="false"'):
            assert part in sheet[0]
        for theme in (LIGHT, DARK):
            colours = theme.colours()
            assert all(f"--ks-{each}:{colours[each]};" in sheet[0] for each in used), name


def test_a_fixed_theme_needs_no_style_sheet() -> None:
    """And names in backticks are set in a fixed-width font."""
    assert stylesheet('<path stroke="#111111"/>') == ""
    assert "`" not in svg.heading("before `web` comes") and "monospace" in svg.heading("a `web`")
    assert "<code>web</code>" in html_table(("a",), [(1,)], "before `web` comes")


def test_a_live_chart_lets_the_page_choose() -> None:
    """Transparent figures; the script has a colour for every model, in every theme."""
    chart = BokehChart(CHART)
    for figure in chart.figures:
        assert figure.background_fill_color is None and figure.border_fill_color is None
        assert figure.yaxis[0].major_label_text_color == LIGHT.text
    (script,) = chart.layout.document.callbacks._js_event_callbacks["document_ready"]
    names = set(LIGHT.colours())
    for model, keys in zip(script.args["models"], script.args["keys"], strict=True):
        assert keys and set(keys) <= model.properties()
        for key in keys.values():
            assert set(key if isinstance(key, list) else [key]) <= names
    assert set(script.args["tables"]) == {"light", "dark", "contrast"}


def test_stacked_charts_have_one_time_axis_and_no_titles() -> None:
    """So all three fit a laptop's screen."""
    figures = BokehChart(CHART).figures
    assert [figure.xaxis[0].visible for figure in figures] == [False, False, True]
    assert not any(figure.title.visible for figure in figures)
    assert {figure.sizing_mode for figure in figures} == {"stretch_both"}
    assert "calc(100vh" in css.STYLE and "@container" in css.STYLE


def test_a_hall_needs_bigger_letters_and_lines() -> None:
    """And back again, without rounding errors."""
    chart = BokehChart(CHART)
    axis = chart.figures[0].yaxis[0]
    chart.themed.scale(1.5)
    assert axis.major_label_text_font_size == "18px"
    chart.themed.scale(1.0)
    assert axis.major_label_text_font_size == "12px"
    assert scaled(13, 1.5) == 20


def test_names_are_sorted_as_people_count() -> None:
    """auto-pod-2 before auto-pod-10, in tables and in the strip."""
    names = [f"auto-pod-{n}" for n in (10, 2, 1, 100, 0)]
    wanted = [f"auto-pod-{n}" for n in (0, 1, 2, 10, 100)]
    assert sorted(names, key=natural) == wanted
    rows = tables.pods_sorted([(name, "Running", "node-1", 100, 1, 0) for name in names])
    assert [row[0] for row in rows] == wanted
    strip = tables.strip_html(rows, 200)
    assert re.findall(r"title='(auto-pod-\d+):", strip) == wanted


def test_two_hundred_pods_have_two_hundred_cells() -> None:
    """Each with its name, node and CPU; numbers only while there is room for them."""
    rows = [(f"auto-pod-{n}", "Running", "node-1", n, 1, 0) for n in range(200)]
    strip = tables.strip_html(rows, 100)
    assert strip.count("<i ") == 200 and "ks-crowd" in strip
    assert "--full:100%' title='auto-pod-199: Running on node-1, 199 m'></i>" in strip
    few = tables.strip_html([*rows[50:51], ("new", "Pending", None, None, None, 0)], 100)
    assert ">50</i>" in few and ">·</i>" in few


def test_words_stand_left_and_numbers_right() -> None:
    """Headings over their columns; an empty cell does not make a column of words."""
    table = Table(("pod", "cpu [m]"), [("auto-pod-0", 134), ("auto-pod-1", None)])
    html = table._repr_html_()
    for cell in ("<th{left}>pod", "<td{left}>auto-pod-0", "<th{right}>cpu [m]", "<td{right}>134"):
        left, right = ' style="text-align:left"', ' style="text-align:right"'
        assert cell.format(left=left, right=right) in html
    shown = html_table(table.columns, table.rows, "")
    assert "<th scope='col' class='ks-n'>cpu [m]" in shown and "<td>auto-pod-0" in shown


def test_decisions_and_traces_are_aligned_too() -> None:
    """Rule and result to the left; revision and time to the right."""
    cluster = fresh_cluster(nodes=3)
    cluster.sleep(30)
    explained = cluster.explain("hpa/auto-pod")._repr_html_()
    assert '<th style="text-align:left">rule' in explained
    assert '<th style="text-align:right">#' in explained
    traced = cluster.trace("pod/auto-pod-0")._repr_html_()
    assert traced.count('<th style="text-align:') == 5
    assert '<th style="text-align:left">what' in traced


def test_what_closes_a_node_is_never_cut_off() -> None:
    """A short word beside the bar, all of it below the chart."""
    cluster = fresh_cluster(nodes=3, hpa=False)
    cluster.sleep(1)
    cluster.node("node-2").cordon()
    cluster.node("node-2").taint("dedicated=database-of-the-shop:NoSchedule")
    nodes = read_nodes(cluster)
    figures = wholes_of(bar_chart(nodes))["figures"]
    assert figures[2:4] == ["0 of 4 cores, cordoned", "0 of 8 Gi, tainted"]
    assert max(map(len, figures)) <= 26
    assert "cordoned, dedicated=database-of-the-shop:NoSchedule" in closed_html(nodes)


def test_time_axes_have_enough_ticks() -> None:
    """Not 40 and 60 alone."""
    assert svg.ticks(80.0, first=20.0) == [20, 30, 40, 50, 60, 70, 80]
    assert len(svg.ticks(13.0, steps=10)) >= 6


def test_a_slider_shows_its_number_while_it_is_dragged_and_writes_on_release() -> None:
    """The page shows the readout over the box while the handle is held."""
    number = NumberSlider("target [%]", (10, 150), 70, 5, "")
    assert number.slider.readout and not number.slider.continuous_update
    assert ".ks-number:has(.noUi-active) .widget-readout" in css.STYLE


def test_the_tuning_panel_says_that_it_computes() -> None:
    """From the moment of the change until the run is done."""
    panel = TuningPanel()
    assert panel.status.value == ""
    with panel._lock:
        panel.set(target=60)
        assert "computing" in panel.status.value and "ks-busy" in panel._dom_classes
    assert panel.settled()
    assert panel.status.value == "" and "ks-busy" not in panel._dom_classes
    panel.close()
