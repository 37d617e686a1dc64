"""Trials of an autoscaler's settings, their results, and the panel without a page."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from typing import Any

import pytest
from panel_tools import from_the_page, wait_for

from kubesim.autoscaler import Predictive
from kubesim.errors import BadRequest
from lessons import TuningPanel, session, tune
from lessons.exercises import l07
from lessons.tuning.loads import LOADS, load_of
from lessons.tuning.panel import UPS, settings_text
from lessons.tuning.trial import WHICH, beside
from lessons.tuning.tune import policies
from lessons.ui import open_panels as panels
from lessons.ui import rest
from lessons.ui.transport import HALL_SCALE

# -- settings ----------------------------------------------------------------------------------


def test_words_become_the_fields_of_a_manifest() -> None:
    """Policies, window and tolerance stand in the stored HPA as they would in a real one."""
    trial = tune(load="steady", window=60, up="2 pods in 30 s or 50 % in 60 s", tolerance=0.05)
    behavior = trial.stored["behavior"]
    assert behavior["scaleUp"]["policies"] == policies("2 pods in 30 s or 50 % in 60 s")
    assert behavior["scaleDown"]["stabilizationWindowSeconds"] == 60
    assert behavior["scaleDown"]["tolerance"] == "50m"
    assert "Max of Pods 2 / 30 s, Percent 50 / 60 s" in settings_text(trial)


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"up": "quickly"}, "not a scaling policy"),
        ({"load": "rain"}, "no load"),
        ({"speed": 3}, "the settings are: load, target"),
        ({"burn": -1}, "0 or more"),
        ({"minimum": 9, "maximum": 3}, "minimum <= maximum"),
    ],
)
def test_invalid_settings_are_refused_with_a_reason(settings: dict[str, Any], why: str) -> None:
    """Nothing is tried, and the message says what would do."""
    with pytest.raises(BadRequest) as refusal:
        tune(**settings)
    assert why in f"{refusal.value} {refusal.value.hint}"


@pytest.mark.parametrize("name", LOADS)
def test_loads_are_never_negative_and_last_long_enough(name: str) -> None:
    """Every load has requests in every second of its run."""
    load = load_of(name)
    assert all(load.model.rate(second) > 0 for second in range(int(load.seconds)))


# -- what came of it ---------------------------------------------------------------------------


def test_the_same_settings_give_the_same_trial() -> None:
    """Two trials meet the very same requests."""
    assert tune(load="spike").scores() == tune(load="spike").scores()


def test_a_lower_target_serves_more_and_costs_more() -> None:
    """The trade that the lesson is about."""
    high, low = tune(load="spike", target=80), tune(load="spike", target=50)
    assert low.unmet_percent < high.unmet_percent / 2
    assert low.pod_minutes > 1.5 * high.pod_minutes
    assert beside(high=high, low=low).column("low")[0] == round(low.unmet_percent, 2)


def test_the_window_keeps_it_from_turning() -> None:
    """A saw-tooth load: a window of 0 follows each tooth, one of 300 s none."""
    assert tune(load="saw-tooth", target=60).turns == 0
    assert tune(load="saw-tooth", target=60, window=0).turns >= 10


def test_a_target_beyond_what_a_pod_can_use_never_scales_up() -> None:
    """Full pods show 100 %; that is within the tolerance of 95 %."""
    tight = tune(load="steady", target=95)
    assert tight.sizes == [(0.0, 3)]
    assert tight.at(600).binding == "tolerance"


def test_a_probe_stops_the_start_up_runaway() -> None:
    """Pods that warm up make more pods, unless they are not ready meanwhile."""
    warm = {"load": "steady", "target": 60, "start": 5, "burn": 60}
    assert tune(**warm).most_pods > 2 * tune(**warm, probe=True).most_pods


def test_old_measurements_delay_the_autoscaler() -> None:
    """The first growth after the leap comes a minute later with a scrape each minute."""
    late, soon = tune(load="spike", metrics=60), tune(load="spike", metrics=15)
    first = [next(t for t, _ in each.sizes if t > 120) for each in (late, soon)]
    assert first[0] >= first[1] + 30


def test_a_trial_has_tables_and_a_picture() -> None:
    """Every table has rows; the picture has title, description, and a reason for each scaling."""
    trial = tune(load="ramp", shadows={"ahead": Predictive()})
    for which in WHICH:
        assert trial.table(which).rows, which
    picture = trial.svg(tune(load="ramp", target=50))
    root = ElementTree.fromstring(picture)
    assert root[0].text == f"{trial.title} (grey: ramp, target=50)"
    assert picture.count("bound by") == len(trial.decisions)
    with pytest.raises(BadRequest, match="load, syncs"):
        trial.table("weather")
    with pytest.raises(BadRequest, match="had not decided"):
        trial.at(1)


def test_lines_of_a_chart_are_thinned_but_keep_what_was_unmet() -> None:
    """240 points stand for any number of seconds, and the area between the lines is what was
    unmet, but for those who gave up when fewer than that arrived."""
    trial = tune(load="spike")
    columns = trial.columns()
    assert len(columns["t"]) <= 240
    width = columns["t"][1] - columns["t"][0]
    gap = sum(columns["offered"]) - sum(columns["served"])
    assert 0.95 < gap * width / sum(flow.unmet for flow in trial.flows) <= 1


def test_the_next_size_of_the_exercise_is_what_the_hpa_itself_does() -> None:
    """The official answer agrees with the simulated algorithm on all kinds of histories."""
    for now in (300, 450, 600):
        for current in (3, 6, 9):
            for newest in range(1, 12):
                for old in range(1, 12):
                    history = [(now - 299, old), (now - 300, 12), (now - 10, 4)]
                    assert l07._good_next(now, current, newest, history) == l07._really(
                        now, current, newest, history
                    )


# -- the panel ---------------------------------------------------------------------------------


def test_a_slider_is_a_new_trial() -> None:
    """Each setting becomes a new trial, with the settings in its title; A stays behind it."""
    panel = TuningPanel(load="steady")
    panel.keep_as_a()
    from_the_page(panel.sliders["target"].slider, 50)
    from_the_page(panel.up, UPS.index("1 pod in 60 s"), "index")
    from_the_page(panel.down, 1, "index")
    from_the_page(panel.sliders["metrics"].slider, 0)
    assert panel.settled()
    policy = "up='1 pod in 60 s', down='1 pod in 60 s'"
    assert panel.trial.title == f"steady, target=50, {policy}, metrics=None"
    assert panel.table().columns == ("score", "A", "now")
    assert "grey: steady, the defaults" in panel.svg()
    panel.clear_a()
    assert panel.table().columns == ("score", "value")


def test_a_refusal_is_shown_and_the_last_run_stays() -> None:
    """Min above max: in words, and the panel goes on."""
    panel = TuningPanel(load="steady")
    before = panel.trial
    panel.set(minimum=15, maximum=5)
    assert panel.settled()
    assert panel.trial is before
    assert "minimum <= maximum" in panel.error
    panel.set(maximum=20)
    assert panel.settled()
    assert panel.error == "" and panel.trial.begin == 15


def test_the_charts_hold_what_the_trial_says() -> None:
    """Sources are replaced as a whole; marks carry their reasons."""
    panel = TuningPanel(load="spike")
    panel.charts.draw(panel.trial.chart_data(tune(load="spike", target=50)))
    sources = {s.name: s.data for s in panel.charts.layout.select({"type": _source_type()})}
    ups = [d for d in panel.trial.decisions if d.data["to"] > d.data["from"]]
    assert sources["trial-ups"]["after"] == [d.data["to"] for d in ups]
    assert "bound by" in sources["trial-ups"]["why"][0]
    assert max(sources["reference-sizes"]["desired"]) == 20
    named = [item for plot in panel.charts.figures for item in plot.legend[0].items]
    assert all(item.visible for item in named)
    panel.charts.draw(panel.trial.chart_data())
    assert [item.label.value for item in named if not item.visible] == ["A served", "A", "A"]


def _source_type() -> Any:
    from bokeh.models import ColumnDataSource

    return ColumnDataSource


def test_a_panel_of_the_same_name_replaces_the_one_before() -> None:
    """A cell may be run again: one thread, and none after close()."""
    for _ in range(2):
        panel = TuningPanel(load="steady")
    assert session.threads() == ["cockpit-tuning"]
    assert panels.names() == ["tuning"]
    bundle = panel._repr_mimebundle_()
    data = bundle[0] if isinstance(bundle, tuple) else bundle
    assert "<title>" in data["image/svg+xml"] and "steady" in data["text/plain"]
    panel.close()
    panel.close()
    assert session.threads() == []


# -- rest --------------------------------------------------------------------------------------


def resting_panel(monkeypatch: pytest.MonkeyPatch) -> TuningPanel:
    """A panel at which nobody has looked for a while."""
    monkeypatch.setattr(rest, "REST_SECONDS", 0.2)
    panel = TuningPanel(load="steady")
    assert wait_for(lambda: panel._rest.resting)
    return panel


def test_its_thread_stops_while_nobody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """No poll, no repaint; with the next sign of life from a page it draws the chart."""
    panel = resting_panel(monkeypatch)
    polls: list[float] = []
    wait = panel._pending.wait
    monkeypatch.setattr(panel._pending, "wait", lambda seconds: polls.append(seconds) or wait(0.01))
    wait_for(lambda: False, 0.5)
    assert polls == []
    trial = panel.charts._sources["trial"]
    assert trial.data["t"] == []
    monkeypatch.setattr(rest, "REST_SECONDS", 600)  # a busy machine looks late
    panel.live.view_seen()
    assert wait_for(lambda: len(trial.data["t"]) > 0)


@pytest.mark.parametrize(
    ("action", "done"),
    [
        (lambda panel: panel.set(target=50), lambda panel: "Utilization 50" in panel.stored.value),
        (lambda panel: panel.keep_as_a(), lambda panel: ">A</th>" in panel.scores.value),
        (
            lambda panel: setattr(panel.hall, "value", True),
            lambda panel: panel._rendered[-1] == HALL_SCALE,
        ),
    ],
    ids=["a setting", "Keep as A", "the hall's size"],
)
def test_every_control_wakes_it(
    action: Callable[[TuningPanel], object],
    done: Callable[[TuningPanel], bool],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A resting panel does what is asked, and rests again."""
    panel = resting_panel(monkeypatch)
    assert not done(panel)
    action(panel)
    assert wait_for(lambda: done(panel))
    assert wait_for(lambda: panel._rest.resting)
    panel.close()
    assert not panel._thread.is_alive()
