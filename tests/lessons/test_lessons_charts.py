"""Series, charts, still pictures and tables: four views of the same run."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from math import isnan

import pytest

from kubesim import Cluster
from kubesim.errors import BadRequest
from kubesim.traffic import Spike, Step
from lessons import record
from lessons.clusters import fresh_cluster
from lessons.cockpit import tables
from lessons.cockpit.chart import CHART, chart_data
from lessons.cockpit.series import MAX_POINTS, MAX_ROWS, WorkloadSeries
from lessons.cockpit.still import Still, svg
from lessons.rollout import chart as rollout
from lessons.rollout.series import RolloutSeries
from lessons.ui.charts.bokeh_chart import BokehChart
from lessons.ui.charts.svg import PlotArea, TimeScale
from lessons.ui.charts.theme import LIGHT
from lessons.ui.html import html_table
from lessons.ui.series import run_in_slices

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def busy() -> Still:
    """Five minutes in which the workload grows."""
    cluster = fresh_cluster(nodes=3)
    cluster.set_traffic(60)
    return record(cluster, 300, title="busy & bright")


def test_the_series_agrees_with_the_cluster(busy: Still) -> None:
    """Desired, ready, bounds and marks are what the API server and the decisions say."""
    series = busy.series
    cluster, last = series.cluster, series.rows[-1]
    assert last.time == cluster.clock.now()
    assert last.ready == len(cluster.pods("default").rows) == 5
    assert (last.minimum, last.maximum) == (1, 10)
    assert last.target_milli == pytest.approx(0.7 * 200)
    assert last.average_milli == pytest.approx(140, abs=15)
    scalings = [d for d in cluster.decisions.of("hpa/auto-pod") if d.data["from"] != d.data["to"]]
    assert [(m.time, m.before, m.after) for m in series.marks] == [
        (d.time, d.data["from"], d.data["to"]) for d in scalings
    ]
    assert len(series.marks) == 2


def test_a_second_pull_at_one_moment_adds_nothing(busy: Still) -> None:
    """Without time there is nothing new."""
    rows = len(busy.series.rows)
    assert busy.series.pull() is False
    assert len(busy.series.rows) == rows


def test_no_step_is_lost_and_rows_stay_bounded() -> None:
    """Quiet stretches are thinned out; every change of level keeps its row."""
    cluster = fresh_cluster(nodes=3)
    cluster.set_traffic(Spike(base=20, peak=200, at_seconds=100, seconds=100))
    series = WorkloadSeries(cluster)
    run_in_slices(series, 2_000, cluster.sleep, 0.25)
    assert len(series.rows) <= MAX_ROWS
    assert series.rows[0].time >= 2_000 - series.window
    cluster.set_hpa_config(max_pods=11)
    run_in_slices(series, 1, cluster.sleep, 0.25)
    cluster.set_hpa_config(max_pods=10)
    run_in_slices(series, 30, cluster.sleep, 0.25)
    assert 11 in [row.maximum for row in series.rows]


def test_a_pod_that_was_away_leaves_a_gap_in_its_line() -> None:
    """auto-pod-4 ends and comes back minutes later: two pieces, and no line between them."""
    cluster = fresh_cluster(nodes=3)
    cluster.set_traffic(60)
    series = WorkloadSeries(cluster)
    run_in_slices(series, 60, cluster.sleep, 1)
    cluster.set_hpa_config(max_pods=2)
    run_in_slices(series, 30, cluster.sleep, 1)
    cluster.set_hpa_config(max_pods=10)
    run_in_slices(series, 30, cluster.sleep, 1)
    _times, values = series.cpu["auto-pod-4"]
    assert sum(isnan(value) for value in values) == 1
    _times, values = series.cpu["auto-pod-0"]
    assert not any(isnan(value) for value in values)


def test_many_pods_are_thinned_out_alike() -> None:
    """A thousand seconds of twenty pods stay a picture that can be sent five times a second."""
    cluster = fresh_cluster(nodes=5)
    cluster.set_hpa_config(min_pods=20, max_pods=20)
    series = WorkloadSeries(cluster)
    run_in_slices(series, 600, cluster.sleep, 5)
    lines = series.pod_lines()
    assert len(lines["pod"]) == 20
    assert sum(map(len, lines["xs"])) <= MAX_POINTS + 20
    assert len({tuple(xs) for xs in lines["xs"][1:]}) == 1


def test_requests_that_are_not_served_are_shown() -> None:
    """Two pods serve 96 of 150 requests a second."""
    cluster = fresh_cluster(nodes=3)
    cluster.set_hpa_config(max_pods=2)
    cluster.set_traffic(150)
    run = record(cluster, 60)
    assert run.table("traffic").rows[-1][1:] == (150.0, 96.0, 54.0)
    assert run.series.columns()["served"][0] == 0  # no pod was ready at first


def test_charts_show_the_series_and_name_their_axes(busy: Still) -> None:
    """Each axis has a label with its unit; sources have names."""
    charts = BokehChart(CHART)
    charts.draw(chart_data(busy.series))
    labels = [axis.axis_label for plot in charts.figures for axis in plot.axis]
    assert set(labels) == {
        "simulated time [s]",
        "CPU [millicores]",
        "[% of request]",
        "pods",
        "requests [1/s]",
    }
    for plot in charts.figures:
        assert not plot.title.visible  # the axis says it
        assert plot.legend[0].items
        assert plot.x_range is charts.figures[0].x_range
    document = charts.layout
    metrics = document.select_one({"name": "metrics"})
    assert metrics.data["desired"][-1] == 5
    assert document.select_one({"name": "ups"}).data["after"] == [4, 5]
    assert document.select_one({"name": "downs"}).data["t"] == []
    assert len(document.select_one({"name": "cpu"}).data["pod"]) == 5
    assert charts.figures[0].x_range.end == 300
    assert charts.figures[1].y_range.end > 10


def test_a_marker_at_zero_has_room_below_it() -> None:
    """The rollout's first pass creates pods while there are none; ticks begin at zero."""
    plot, series = rollout.CHART.plots[0], RolloutSeries(fresh_cluster(nodes=1, hpa=False))
    series.pull()
    data = replace(rollout.chart_data(series), tops={"rollout": 19.0})
    charts = BokehChart(rollout.CHART)
    charts.draw(data)
    (figure,) = charts.figures
    assert (figure.y_range.start, figure.y_range.end) == (pytest.approx(-1), 19)
    assert figure.x_range.start < 0 < figure.x_range.end == 60
    area = PlotArea(TimeScale(0, 60), 19, 40, 200, plot.bottom(19))
    assert (area.y(19), area.y(0), area.y(-1)) == (40, pytest.approx(230), pytest.approx(240))
    assert PlotArea(TimeScale(0, 60), 19, 40, 200).y(0) == 240


def test_a_table_with_few_columns_is_as_wide_as_its_texts() -> None:
    """Label and number stay together; wider tables fill their box."""
    assert "ks-few" in html_table(("score", "value"), [("pods", 3)], "Scores")
    assert "ks-few" in html_table(("score", "A", "now"), [("pods", 3, 4)], "Scores")
    assert "ks-few" not in html_table(("a", "b", "c", "d"), [], "ReplicaSets")


def test_no_line_depends_on_colour_alone() -> None:
    """In each chart every two lines differ in dash or width as well."""
    for keys in (("average", "target"), ("desired", "ready", "limit")):
        lines = [LIGHT.lines[key] for key in keys]
        shapes = {(line.dash, line.width) for line in lines}
        assert len(shapes) == len(lines)
    looks = [LIGHT.pod_line(index) for index in range(24)]
    assert len({(look.colour, look.dash) for look in looks}) == 24


def test_the_picture_is_well_formed_and_speaks(busy: Still) -> None:
    """Title and description for those who cannot see it; labels with units for those who can."""
    root = ElementTree.fromstring(busy.svg())
    assert root.find(f"{SVG}title").text == "busy & bright"  # type: ignore[union-attr]
    description = root.find(f"{SVG}desc").text or ""  # type: ignore[union-attr]
    assert "at 5 s from 1 to 4 pods" in description
    texts = [text.text for text in root.iter(f"{SVG}text")]
    assert {"CPU [millicores]", "pods", "simulated time [s]", "desired", "ready"} <= set(texts)
    numbers = [
        float(part)
        for line in root.iter(f"{SVG}polyline")
        for pair in line.get("points", "").split()
        for part in pair.split(",")
    ]
    assert numbers
    assert all(0 <= number <= 760 for number in numbers)


def test_the_same_run_gives_the_same_picture(busy: Still) -> None:
    """What nbval compares has to be the same everywhere."""
    with Cluster(nodes=3, seed=7) as again:
        again.set_traffic(60)
        other = record(again, 300, title="busy & bright")
        assert other.svg() == busy.svg()
        assert repr(other) == repr(busy)


def test_a_picture_of_nothing_says_so() -> None:
    """Before time has passed there is nothing to draw, and nothing breaks."""
    series = WorkloadSeries(fresh_cluster(nodes=1))
    assert "nothing has happened yet" in svg(series, "empty")
    assert "nothing has happened yet" in repr(Still(series, "empty"))


def test_decisions_before_the_picture_are_not_drawn_outside_of_it() -> None:
    """A recording that starts late marks only what it shows."""
    cluster = fresh_cluster(nodes=3)
    cluster.set_traffic(Step(60, 10, at_seconds=60))
    cluster.sleep(100)
    late = record(cluster, 50)
    assert len(late.series.marks) == 2
    assert '<path d="M-' not in late.svg()
    assert "a decision" not in late.svg()


@pytest.mark.parametrize("which", tables.WHICH)
def test_each_chart_has_its_table(busy: Still, which: str) -> None:
    """Columns with units, at most the rows that were asked for."""
    table = busy.table(which, last=2)
    assert table.columns[0] == "time [s]"
    assert len(table.rows) == 2


def test_an_unknown_table_names_those_that_exist(busy: Still) -> None:
    """The message is the help."""
    with pytest.raises(BadRequest, match="pods, cpu, traffic, decisions"):
        busy.table("nodes")


def test_html_escapes_what_it_is_given() -> None:
    """A pod cannot be named so, but a message can say anything."""
    html = html_table(("a<b",), [("<script>",)], "x&y")
    assert "<script>" not in html
    assert "a&lt;b" in html
    assert "x&amp;y" in html
