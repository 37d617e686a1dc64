"""The cockpit without a page: its controls and its texts."""

from __future__ import annotations

import threading
import xml.etree.ElementTree as ElementTree
from typing import Any

import pytest
from panel_tools import from_the_page, wait_for

from kubesim.errors import BadRequest, NotFound
from lessons import Cockpit, clusters, session
from lessons.cockpit.controls import PRESETS, preset_model
from lessons.ui import open_panels as panels
from lessons.ui import rest
from lessons.ui.widgets import NumberSlider, StoreWriter


def paused_cockpit(**options: Any) -> Cockpit:
    """Return a cockpit on the virtual clock that changes only when the test changes it."""
    return Cockpit("virtual", running=False, **options)


def test_a_slider_writes_through_the_api_server() -> None:
    """Target, bounds and interval each become one change of the HPA object."""
    cockpit = paused_cockpit()
    from_the_page(cockpit.hpa.target.slider, 50)
    from_the_page(cockpit.hpa.maximum.box, 7)
    from_the_page(cockpit.hpa.minimum.slider, 2)
    cockpit.hpa.interval.value = "15s"
    assert cockpit.cluster.hpa_config() == {
        "target_cpu": 50,
        "min_pods": 2,
        "max_pods": 7,
        "interval": "15s",
    }
    assert cockpit.hpa.target.box.value == 50
    assert cockpit.error == ""


def test_a_refused_setting_is_shown_and_reverted() -> None:
    """The store keeps its values, the strip says why, the slider goes back to the store."""
    cockpit = paused_cockpit()
    from_the_page(cockpit.hpa.minimum.slider, 15)
    assert cockpit.error == "min_pods must not be above max_pods: 15 > 10"
    assert "role='alert'" in cockpit._error.value
    assert cockpit.hpa.minimum.value == 15
    cockpit.hpa.sync(cockpit.cluster.hpa_config(), patience=0.0)
    assert cockpit.hpa.minimum.value == cockpit.hpa.minimum.box.value == 1
    from_the_page(cockpit.hpa.minimum.slider, 3)
    assert cockpit.error == ""
    assert cockpit._error.value == ""


def test_sliders_follow_what_others_write() -> None:
    """Somebody uses curl: the panel hears of it from its watch, and writes nothing back."""
    cockpit = paused_cockpit()
    cockpit.cluster.set_hpa_config(target_cpu=33, max_pods=50, interval="7s")
    revision = cockpit.cluster.store.revision
    assert wait_for(lambda: cockpit.hpa.options() == cockpit.cluster.hpa_config())
    assert "target 33 %" in cockpit.hpa.stored.value
    assert "every 7s" in cockpit.hpa.stored.value
    assert cockpit.cluster.store.revision == revision


def test_a_slider_that_was_just_touched_is_left_alone() -> None:
    """Else a fast hand would fight with its own echo."""
    cockpit = paused_cockpit()
    from_the_page(cockpit.hpa.target.slider, 60)
    stale = {**cockpit.cluster.hpa_config(), "target_cpu": 70}
    cockpit.hpa.sync(stale)
    assert cockpit.hpa.target.value == 60
    assert "target 70 %" in cockpit.hpa.stored.value  # the fact is shown all the same


def test_a_callback_uses_the_value_that_it_received() -> None:
    """Callbacks come late and on other threads: the slider may say something else by then."""
    written: list[dict[str, Any]] = []
    change = StoreWriter(lambda **changes: written.append(changes)).observer("target_cpu")
    thread = threading.Thread(target=change, args=({"new": 45},))
    thread.start()
    thread.join()
    assert written == [{"target_cpu": 45}]


def test_traffic_and_its_presets() -> None:
    """The slider routes a steady rate, a preset its model; "off" routes nothing."""
    cockpit = paused_cockpit(traffic=None)
    offered = cockpit.cluster.traffic.offered
    assert cockpit.cluster.traffic.routes() == []
    from_the_page(cockpit.traffic.rate.slider, 80)
    assert offered("auto-pod") == 80
    assert cockpit.traffic.preset.value == "steady"
    cockpit.set_preset("waves")
    assert offered("auto-pod") == pytest.approx(70)
    cockpit.set_preset("steady")
    assert offered("auto-pod") == 80
    cockpit.set_traffic(25)
    assert (offered("auto-pod"), cockpit.traffic.rate.value) == (25, 25)
    cockpit.set_traffic(None)
    assert cockpit.cluster.traffic.routes() == []
    assert cockpit.traffic.preset.value == "off"


@pytest.mark.parametrize("preset", [value for _label, value in PRESETS])
def test_presets_begin_when_they_are_chosen(preset: str) -> None:
    """Whatever the hour, the spike is still to come; no rate is ever negative."""
    model = preset_model(preset, now=1_000.0)
    if model is None:
        assert preset == "off"
        return
    rates = [model.rate(1_000.0 + second) for second in range(0, 900, 10)]
    assert min(rates) >= 0
    assert rates[0] < 200
    assert max(rates) <= 200


def test_step_lets_exactly_so_much_time_pass() -> None:
    """Step stops the time again, and the charts' figures miss nothing in between."""
    cockpit = paused_cockpit()
    cockpit.step(20)
    assert cockpit.cluster.clock.now() == 20
    assert not cockpit.running
    assert [row.time for row in cockpit.series.rows][-3:] == [18, 19, 20]
    assert cockpit.table("decisions").rows[0][1:3] == (1, 3)


def test_run_paces_virtual_time_and_pause_stops_it() -> None:
    """Only Run ties the virtual clock to the wall."""
    cockpit = Cockpit("virtual", speed=100)
    assert wait_for(lambda: cockpit.cluster.clock.now() > 20)
    cockpit.pause()
    wait_for(lambda: False, 0.2)
    now = cockpit.cluster.clock.now()
    wait_for(lambda: False, 0.3)
    assert cockpit.cluster.clock.now() == now
    assert "paused" in cockpit.transport.status.value
    cockpit.transport.run.click()
    assert wait_for(lambda: cockpit.cluster.clock.now() > now)


def test_the_buttons_are_wired() -> None:
    """Pause, Step, speed and Reset by the widgets themselves."""
    cockpit = paused_cockpit()
    cockpit.transport.step.click()
    assert cockpit.cluster.clock.now() == 5
    cockpit.transport.speed.value = 50
    assert cockpit.cluster.clock.speed == 50
    cockpit.transport.run.click()
    assert cockpit.running
    cockpit.transport.pause.click()
    assert not cockpit.running
    before = cockpit.cluster
    cockpit.transport.reset.click()
    assert cockpit.cluster is not before
    assert cockpit.cluster.clock.speed == 50


def test_reset_begins_again_with_the_same_seed() -> None:
    """Two runs of one seed are the same; sliders and traffic are back at their beginning."""
    cockpit = paused_cockpit()
    cockpit.step(60)
    first = [(row.time, row.ready, row.average_milli) for row in cockpit.series.rows]
    cockpit.hpa.target.slider.value = 30
    cockpit.set_traffic(150)
    cockpit.reset()
    assert cockpit.cluster.hpa_config()["target_cpu"] == cockpit.hpa.target.value == 70
    assert cockpit.traffic.rate.value == 30
    cockpit.step(60)
    assert [(row.time, row.ready, row.average_milli) for row in cockpit.series.rows] == first


@pytest.mark.live
def test_live_pods_are_threads_and_the_toggle_ends_them() -> None:
    """The same panel on the other clock: the threads of the live one are gone."""
    cockpit = Cockpit("live", speed=100)
    assert wait_for(lambda: "pod/default/auto-pod-0" in session.threads())
    assert wait_for(lambda: len(cockpit.series.rows) > 3)
    cockpit.transport.clock.value = "virtual"
    assert cockpit.cluster.clock.virtual
    assert session.threads() == ["cockpit-main"]
    assert repr(cockpit) == "Cockpit('main', virtual clock)"


@pytest.mark.live
def test_running_the_cell_again_leaves_one_of_everything() -> None:
    """One cockpit thread, one cluster, whatever was there before."""
    for _ in range(3):
        cockpit = Cockpit("live", speed=50)
    names = [thread.name for thread in threading.enumerate()]
    assert names.count("cockpit-main") == 1
    assert names.count("horizontal-pod-autoscaler") == 1
    assert panels.names() == ["main"]
    cockpit.close()
    cockpit.close()
    assert session.threads() == []


def test_texts_say_what_the_charts_show() -> None:
    """Why, pods, events, traffic: all in words."""
    cockpit = paused_cockpit()
    cockpit.step(30)
    cockpit.update()
    cockpit.repaint()
    assert "keep 3 replicas" in cockpit.summary.why.value
    assert "1 → 3 pods" in cockpit.summary.why.value
    assert "Would change if:" in cockpit.summary.why.value
    assert cockpit.summary.strip.value.count("<i ") == 3
    assert cockpit.summary.pods.value == ""  # nobody reads it
    cockpit.summary.details.buttons[0].value = True
    cockpit.step(1)
    cockpit.update()
    cockpit.repaint()
    assert "Pods (3)" in cockpit.summary.pods.value
    assert "auto-pod-2" in cockpit.summary.pods.value
    assert "Pod auto-pod-2 is running" in cockpit.summary.feed.value
    assert "30/s arrive, all are served" in cockpit.traffic.status.value
    cockpit.summary.details.buttons[1].value = True
    cockpit.step(5)
    cockpit.repaint()
    assert all("<th scope='col'" in widget.value for widget in cockpit.summary.tables)
    cockpit.set_traffic(200)
    cockpit.step(1)
    cockpit.repaint()
    assert "not served by any pod" in cockpit.traffic.status.value


def test_a_failing_component_is_seen() -> None:
    """A worker that dies: the red strip says who and what, until Reset."""
    cockpit = paused_cockpit()
    cockpit.cluster.clock.worker("saboteur").call_later(1, lambda: 1 / 0)
    cockpit.step(10)
    cockpit.step(1)
    assert wait_for(lambda: "saboteur" in cockpit._error.value)
    assert "ZeroDivisionError" in cockpit.error
    cockpit.reset()
    cockpit.update()
    assert cockpit.error == ""
    assert cockpit.transport.clock.value == "virtual"


def test_a_policy_that_raises_is_seen() -> None:
    """The cluster goes on, and the learner reads what their class did."""

    class Broken:
        def recommend(self, seen: Any) -> int:
            raise RuntimeError("no idea")

    cockpit = paused_cockpit(policy=Broken())
    cockpit.step(10)
    cockpit.repaint()
    assert "RuntimeError: no idea" in cockpit.error
    assert "t=10 s" in cockpit.error
    assert cockpit.cluster.pods("default").rows[0][1] == "Running"


def test_a_closed_cluster_is_reported_and_the_panel_keeps_running() -> None:
    """When the cluster is closed under the panel, the error strip says so."""
    cockpit = Cockpit("virtual", speed=20)
    cockpit.cluster.close()
    assert wait_for(lambda: "closed" in cockpit.error)
    cockpit.reset()
    assert wait_for(lambda: cockpit.cluster.clock.now() > 1)


def test_nothing_goes_to_a_page_that_does_not_exist() -> None:
    """Without a view no figure is touched; with one each repaint sends whole windows."""
    cockpit = paused_cockpit()
    cockpit.step(10)
    cockpit.repaint()
    metrics = cockpit.charts.layout.select_one({"name": "metrics"})
    assert metrics.data["t"] == []
    cockpit.live.view_seen()
    cockpit.repaint()  # the first view gets the chart although no time has passed
    assert metrics.data["t"][-1] == 10
    cockpit.step(1)
    cockpit.repaint()
    assert metrics.data["t"][-1] == 11


@pytest.mark.parametrize("clock", ["virtual", pytest.param("live", marks=pytest.mark.live)])
def test_it_rests_while_nobody_looks(clock: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No sign of life: time, thread and messages stop; with the next sign it goes on."""
    cockpit = Cockpit(clock, speed=100)
    assert wait_for(lambda: cockpit.cluster.clock.now() > 5)
    monkeypatch.setattr(rest, "REST_SECONDS", 0.2)
    assert wait_for(lambda: "resting" in cockpit.transport.status.value)
    now = cockpit.cluster.clock.now()
    sent: list[Any] = []
    for widget in (cockpit.transport.status, cockpit.live.children[3]):
        widget.send_state = lambda *message: sent.append(message)
    wait_for(lambda: False, 0.3)
    assert cockpit.cluster.clock.now() == now
    assert sent == []
    assert cockpit.running  # it only rests
    monkeypatch.setattr(rest, "REST_SECONDS", 600)  # a busy machine looks late
    cockpit.live.view_seen()
    assert wait_for(lambda: cockpit.cluster.clock.now() > now)
    assert wait_for(lambda: "rested for" in cockpit.transport.status.value)


def test_controls_keep_it_awake(monkeypatch: pytest.MonkeyPatch) -> None:
    """A resting panel that is paused stays paused; Run wakes it, and close() ends it."""
    monkeypatch.setattr(rest, "REST_SECONDS", 0.2)
    cockpit = paused_cockpit()
    assert wait_for(lambda: "resting" in cockpit.transport.status.value)
    monkeypatch.setattr(rest, "REST_SECONDS", 600)  # a busy machine looks late
    cockpit.live.view_seen()
    assert wait_for(lambda: "paused (rested for" in cockpit.transport.status.value)
    monkeypatch.setattr(rest, "REST_SECONDS", 0.2)
    assert wait_for(lambda: "resting" in cockpit.transport.status.value)
    monkeypatch.setattr(rest, "REST_SECONDS", 600)
    cockpit.run()
    assert wait_for(lambda: cockpit.cluster.clock.now() > 1)
    monkeypatch.setattr(rest, "REST_SECONDS", 0.2)
    assert wait_for(lambda: "resting" in cockpit.transport.status.value)
    closing = threading.Thread(target=cockpit.close)
    closing.start()
    closing.join(30)
    assert not closing.is_alive()


def test_it_shows_itself_as_text_and_picture() -> None:
    """For static pages: a name without ids, and an SVG that is the same each time."""
    bundles = [Cockpit(running=False)._repr_mimebundle_() for _ in range(2)]
    data = [bundle[0] if isinstance(bundle, tuple) else bundle for bundle in bundles]
    assert data[0]["text/plain"].startswith("Cockpit('main', live clock): run this cell")
    assert data[0]["image/svg+xml"] == data[1]["image/svg+xml"]
    ElementTree.fromstring(data[0]["image/svg+xml"])
    cockpit = paused_cockpit()
    cockpit.step(20)
    assert "at 5 s from 1 to 3 pods" in cockpit.svg()


def test_bad_arguments_are_refused_before_anything_starts() -> None:
    """No half-built panel stays behind."""
    with pytest.raises(BadRequest, match="sideways"):
        Cockpit("sideways")
    with pytest.raises(NotFound, match="HPA not configured"):
        Cockpit("virtual", hpa=False)
    assert panels.names() == []
    assert session.threads() == []
    assert clusters.slots() == []


def test_a_number_slider_reaches_as_far_as_it_must() -> None:
    """A value from the store may lie beyond the scale."""
    slider = NumberSlider("pods", (1, 20), 5, 1, "pods")
    slider.show(50)
    assert (slider.value, slider.box.value, slider.slider.max) == (50, 50, 50)
    assert slider.slider.tooltip == "pods"
