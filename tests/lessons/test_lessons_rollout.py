"""The rollout panel without a page: what its controls do, what it says, what its picture shows."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from typing import Any

import pytest
from panel_tools import from_the_page

from kubesim import Cluster
from lessons import RolloutPanel, fresh_cluster, session, watch_rollout
from lessons.rollout.deployments import set_image, set_replicas, web
from lessons.rollout.series import RolloutSeries, Stage, stage_of
from lessons.ui import open_panels as panels
from lessons.ui.series import run_in_slices


def paused_panel(**options: Any) -> RolloutPanel:
    """Return a panel on the virtual clock that changes only when the test changes it."""
    return RolloutPanel("virtual", running=False, **options)


def settled(replicas: int = 10, **options: Any) -> Cluster:
    """A cluster whose Deployment is complete."""
    cluster = fresh_cluster(nodes=3, hpa=False)
    cluster.api.create(web(replicas, **options))
    cluster.sleep(30)
    return cluster


# -- the figures -------------------------------------------------------------------------------


def test_a_rollout_is_recorded_pass_by_pass() -> None:
    """10 pods, 25 % and 25 %: 8/5, then 3/10, then 0/10, each with what bound it."""
    cluster = settled()
    set_image(cluster, "web:2")
    run = watch_rollout(cluster, 40)
    stages = [(s.old_ready, s.new_waiting, s.new_ready) for s in run.series.rows]
    assert [s for n, s in enumerate(stages) if s not in stages[:n]] == [
        (10, 0, 0),
        (8, 5, 0),
        (3, 5, 5),
        (0, 0, 10),
    ]
    bounds = [row[2] for row in run.table("passes").rows]
    assert bounds[1] == "maxSurge 3"
    assert bounds[-1] == "maxUnavailable 2: 8 must stay available"
    assert (run.fewest_ready, run.most_pods) == (8, 13)
    assert repr(run).endswith("never fewer than 8 ready, never more than 13 pods")


def test_the_stage_before_the_controller_has_looked_is_all_old() -> None:
    """A new template alone makes every pod an old one."""
    cluster = settled(4)
    set_image(cluster, "web:2")
    now = stage_of(cluster)
    assert (now.old_ready, now.new_ready, now.min_ready, now.max_pods) == (4, 0, 3, 5)


def test_without_a_deployment_there_is_an_empty_stage() -> None:
    """Nothing is drawn, nothing fails."""
    cluster = fresh_cluster(nodes=1, hpa=False)
    assert stage_of(cluster) == Stage(cluster.clock.now())
    run = watch_rollout(cluster, 5)
    ElementTree.fromstring(run.svg())


def test_layers_are_stacked() -> None:
    """Each layer begins where the one below ends; the last ends at the number of pods."""
    cluster = settled()
    set_image(cluster, "web:missing")
    series = watch_rollout(cluster, 20).series
    columns = series.columns()
    assert columns["new_ready_from"] == columns["old_ready"]
    assert columns["new_waiting_from"] == columns["new_ready"]
    assert columns["old_waiting"][-1] == series.rows[-1].pods == 13
    assert columns["ready"][-1] == 8


def test_the_series_drops_what_left_its_window() -> None:
    """Rows and passes are kept for the window alone, but one row before it for the step."""
    cluster = settled()
    series = RolloutSeries(cluster, window=10)
    series.pull()
    for replicas in (12, 9, 11):
        set_replicas(cluster, replicas)
        run_in_slices(series, 15, cluster.sleep, 1.0)
    now = cluster.clock.now()
    assert all(each.time >= now - 10 for each in series.passes)
    assert len([row for row in series.rows if row.time < now - 10]) <= 1


def test_the_picture_names_areas_lines_and_passes() -> None:
    """It is legible without colour, and it has a description in words."""
    cluster = settled()
    set_image(cluster, "web:2")
    picture = watch_rollout(cluster, 40, "Good").svg()
    ElementTree.fromstring(picture)
    assert "<title>Good</title>" in picture
    assert "at last 10 of 10, of them 10 new" in picture
    for text in ("old, ready", "new, not ready yet", "min ready", "maxSurge 3"):
        assert text in picture


# -- the panel ---------------------------------------------------------------------------------


def test_sliders_write_through_the_api_server() -> None:
    """Replicas, surge and unavailable each become one change of the Deployment."""
    panel = paused_panel()
    panel.step(20)
    from_the_page(panel.deployment.replicas.slider, 20)
    from_the_page(panel.deployment.surge.box, 10)
    from_the_page(panel.deployment.unavailable.slider, 5)
    spec = panel.cluster.api.get("Deployment", "web")["spec"]
    assert spec["replicas"] == 20
    assert spec["strategy"]["rollingUpdate"] == {"maxSurge": "10%", "maxUnavailable": "5%"}
    panel.step(5)
    panel.update()
    panel.repaint()
    assert "at most 22 pods, at least 19 ready" in panel.deployment.stored.value


def test_a_refused_setting_is_shown() -> None:
    """Both bounds 0 would never move anything: the API server says so, and keeps what it had."""
    panel = paused_panel()
    panel.set(surge=0)
    panel.set(unavailable=0)
    assert "may not be 0 when `maxSurge` is 0" in panel.error
    rolling = panel.cluster.api.get("Deployment", "web")["spec"]["strategy"]["rollingUpdate"]
    assert rolling == {"maxSurge": "0%", "maxUnavailable": "25%"}


def test_sliders_follow_what_others_write() -> None:
    """Numbers that another client wrote are shown as percentages, and not written back."""
    panel = paused_panel()
    bounds = {"maxSurge": 4, "maxUnavailable": "10%"}
    panel.cluster.api.patch("Deployment", "web", {"spec": {"strategy": {"rollingUpdate": bounds}}})
    revision = panel.cluster.store.revision
    panel.update()
    panel.sync_controls(patience=0.0)
    assert panel.deployment.options() == {"replicas": 10, "surge": 40, "unavailable": 10}
    assert panel.cluster.store.revision == revision


def test_the_buttons_roll_out_pause_undo_and_kill() -> None:
    """A good version, a bad one that gets stuck, a paused one, and a rollback."""
    panel = paused_panel()
    panel.step(20)
    panel.version.good.click()
    panel.step(40)
    assert panel.series.rows[-1].new_ready == 10
    panel.version.bad.click()
    panel.step(90)
    panel.update()
    panel.repaint()
    assert panel.image == "web:missing"
    assert "exceeded its progress deadline" in panel.version.status.value
    assert "5 of 5 new pods are not available" in panel.summary.why.value
    panel.version.undo.click()
    panel.step(20)
    panel.update()
    assert panel.image == "web:2"
    assert panel.series.rows[-1].new_ready == 10
    panel.version.pause.click()
    panel.version.good.click()
    panel.step(10)
    panel.update()
    panel.repaint()
    assert panel.version.pause.description == "Resume rollout"
    assert panel.series.rows[-1].old_ready == 10
    panel.version.undo.click()
    assert "cannot rollback a paused deployment" in panel.error
    before = {row[0] for row in panel.cluster.pods("default").rows}
    panel.version.kill.click()
    panel.step(10)
    after = {row[0] for row in panel.cluster.pods("default").rows}
    assert len(before - after) == 1 == len(after - before)


def test_texts_and_tables_say_what_the_chart_shows() -> None:
    """Why, ReplicaSets and passes in words; the chart as a table when it is unfolded."""
    panel = paused_panel()
    panel.step(20)
    panel.roll_out()
    panel.summary.details.buttons[0].value = True
    panel.step(5)
    panel.update()
    panel.repaint()
    assert "the Deployment controller's decision" in panel.summary.why.value
    assert "web:2" in panel.summary.sets.value
    assert "maxSurge 3" in panel.summary.feed.value
    assert "old ready" in panel.summary.table.value
    assert panel.table("passes").rows[-1][2] == "maxSurge 3"


def test_the_chart_gets_the_whole_window() -> None:
    """With a page each repaint replaces layers, lines and marks."""
    panel = paused_panel()
    panel.live.view_seen()
    panel.step(20)
    panel.roll_out()
    panel.step(20)
    panel.repaint()
    data = panel.charts.layout.select_one({"name": "rollout"}).data
    assert data["t"][-1] == 40
    assert data["new_ready"][-1] == panel.series.rows[-1].ready
    assert len(panel.charts.layout.select_one({"name": "passes"}).data["why"]) >= 3


def test_areas_are_drawn_by_a_glyph_that_bears_no_data() -> None:
    """BokehJS 3.9 never ends to draw an empty `VAreaStep`: the page would hang at once."""
    (figure,) = paused_panel().charts.figures
    assert {type(renderer.glyph).__name__ for renderer in figure.renderers} == {
        "VArea",
        "Step",
        "VSpan",
        "Scatter",
    }


def test_reset_begins_again_with_the_first_version() -> None:
    """Another cluster: version 1, the bounds of the beginning."""
    panel = paused_panel(surge=50)
    panel.step(20)
    panel.roll_out()
    panel.set(surge=10)
    panel.reset()
    assert panel.image == "web:1"
    assert panel.deployment.options()["surge"] == 50
    panel.roll_out()
    panel.update()
    assert panel.image == "web:2"


@pytest.mark.live
def test_it_runs_live_and_ends_without_a_trace() -> None:
    """Two runs of the cell leave one panel; closed, it leaves no thread."""
    for _ in range(2):
        panel = RolloutPanel(speed=50)
    assert panels.names() == ["rollout"]
    assert panel.cluster.wait_until(lambda: stage_of(panel.cluster).ready == 10, 60)
    panel.close()
    assert session.threads() == []


def test_it_shows_itself_as_text_and_picture() -> None:
    """For static pages: a name without ids, and an SVG that is the same each time."""
    bundles = [RolloutPanel(running=False)._repr_mimebundle_() for _ in range(2)]
    data = [bundle[0] if isinstance(bundle, tuple) else bundle for bundle in bundles]
    assert data[0]["text/plain"].startswith("RolloutPanel('rollout', live clock): run this cell")
    assert data[0]["image/svg+xml"] == data[1]["image/svg+xml"]
    assert "a bad one at 80 s" in data[0]["image/svg+xml"]
