"""The tuning panel: change a setting of the autoscaler, and see at once how the whole run changes.

    settings    target, bounds, window, policies, start-up, metrics, and the load
    chart       offered and served requests, latency, pods with recommendations and decisions
    texts       the scores, the settings that the store has, every scaling with its reason
    Keep as A   the current run stays behind the next ones, as thin grey lines

Each change is a new trial: a new cluster with the same seed, half an hour of virtual time in a
fraction of a second. So you never wait, and two settings meet exactly the same load. While nobody
looks, the panel's thread waits for the next sign of life.

Kubernetes has no counterpart; the nearest is a load test that is run again and again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from html import escape
from typing import Any

import ipywidgets as W

from kubesim import Table
from kubesim.arguments import Check, check_arguments, instance_of, optional, whole_number
from kubesim.errors import KubeSimError
from kubesim.objects import ReadOnlyDocument
from lessons.tuning.chart import CHART
from lessons.tuning.loads import LOADS
from lessons.tuning.trial import Trial, beside
from lessons.tuning.tune import ANY_DOWN, ANY_UP, SEED, Tuning, tune
from lessons.ui import open_panels as panels
from lessons.ui.charts.bokeh_chart import BokehChart
from lessons.ui.css import STYLE
from lessons.ui.html import error_html, html_table
from lessons.ui.live import Live
from lessons.ui.rest import Rest
from lessons.ui.still_output import HOW_TO_SHOW, display_panel, with_picture
from lessons.ui.transport import HALL_SCALE, hall_button
from lessons.ui.widgets import (
    ROW,
    Change,
    NumberSlider,
    close_with_parts,
    dashboard,
    dropdown,
    fact,
    heading,
    icon_button,
)

ARGUMENTS: Mapping[str, Check] = {
    "tuning": optional(instance_of(Tuning, "a Tuning")),
    "name": instance_of(str, "a string"),
    "seed": whole_number(),
}
PERIOD_SECONDS = 0.1  # how often the thread checks for new settings
SETTLED_SECONDS = 30.0
DECISIONS = 12
UPS = (ANY_UP, "1 pod in 60 s", "2 pods in 30 s", "10 pods in 15 s", "50 % in 60 s")
DOWNS = (ANY_DOWN, "1 pod in 60 s", "2 pods in 60 s", "10 % in 60 s")
SLIDERS = {  # setting -> label, bounds, step, tooltip
    "target": ("target [%]", (10, 150), 5, "averageUtilization, in percent of the CPU request"),
    "minimum": ("min pods", (1, 20), 1, "minReplicas"),
    "maximum": ("max pods", (1, 30), 1, "maxReplicas"),
    "window": ("window [s]", (0, 600), 30, "scaleDown.stabilizationWindowSeconds"),
    "start": ("start-up [s]", (0, 120), 5, "seconds until a new pod is ready"),
    "metrics": ("metrics [s]", (0, 60), 15, "metrics-server's resolution; 0: the last second"),
}
OUTSIDE = ("start", "metrics")  # not settings of the autoscaler
COMPUTING = "<span class='ks-state' role='status'>computing the run &hellip;</span>"


class TuningPanel(W.VBox):  # type: ignore[misc]
    """The panel.

    Args:
        tuning: settings at the beginning; None: the defaults.
        name: an open panel of the same name is closed first, so a cell can run again.
        seed: seed of every trial.
        settings: further settings, see `lessons.tuning.tune.Tuning`.

    Attributes:
        tuning: the settings of the controls.
        trial: the run with these settings, or with the last ones that the API server accepted.
        kept: the trial behind it, or None.
        error: why the settings were refused; "" if they were not.

    Raises:
        BadRequest, Invalid: the initial settings are not valid, or an argument is of another type.
    """

    _open = False

    def __init__(
        self,
        tuning: Tuning | None = None,
        *,
        name: str = "tuning",
        seed: int = SEED,
        **settings: Any,
    ) -> None:
        check_arguments(ARGUMENTS, {"tuning": tuning, "name": name, "seed": seed})
        panels.close(name)
        self._name, self._seed = name, seed
        self.tuning = replace(tuning or Tuning(), **settings)
        self.trial: Trial = tune(self.tuning, seed=seed)
        self.kept: Trial | None = None
        self.error = ""
        self._stop, self._pending, self._settled = (threading.Event() for _ in range(3))
        self._settled.set()
        self._lock = threading.RLock()  # guards tuning, trial and kept
        self._rendered: tuple[object, ...] | None = None
        self._rest = Rest()
        self.charts = BokehChart(CHART)
        self.live = Live(self.charts.layout)
        self.live.on_seen(self._rest.touch)
        self.live.layout = W.Layout(width="100%", min_width="0")
        self.live.add_class("ks-fill")
        cards = self._cards()
        self.scores, self.decisions = W.HTML(), W.HTML()
        body = dashboard(cards, (self.live, self.stored), (self.scores, self.decisions))
        super().__init__([W.HTML(STYLE), self._bar(), self._strip, body])
        self.add_class("ks-cockpit")
        self._render_texts()
        panels.add(name, self)
        self._thread = threading.Thread(target=self._loop, name=f"cockpit-{name}", daemon=True)
        self._open = True
        self._thread.start()

    # -- the widgets ----------------------------------------------------------------------------

    def _bar(self) -> W.Widget:
        """Return the buttons, and the sign that a run is being computed."""
        self.keep = icon_button("Keep as A", "thumb-tack", "keep this run behind the next ones")
        self.clear = icon_button("Clear A", "eraser", "show only the current run")
        self.keep.on_click(lambda _button: self.keep_as_a())
        self.clear.on_click(lambda _button: self.clear_a())
        self.hall = hall_button(self.set_hall)
        self.status = W.HTML()
        left = W.HBox([self.keep, self.clear, self.status])
        layout = W.Layout(justify_content="space-between", **ROW)
        return W.Box([left, self.hall], layout=layout)

    def _cards(self) -> tuple[W.Widget, W.Widget]:
        self.sliders = {}
        for key, (label, bounds, step, tooltip) in SLIDERS.items():
            value = int(getattr(self.tuning, key) or 0)
            self.sliders[key] = NumberSlider(label, bounds, value, step, tooltip)
            self.sliders[key].slider.observe(self._writer(key), "value")
        self.up = self._dropdown("up", "scale up", UPS, "scaleUp.policies: the fastest rate")
        self.down = self._dropdown("down", "scale down", DOWNS, "scaleDown.policies")
        self.load = self._dropdown("load", "load", LOADS, "how many requests arrive over time")
        self.stored, self._strip = W.HTML(), W.HTML()
        head = heading("Autoscaler", "each change is a new run")
        rows = [each.row for key, each in self.sliders.items() if key not in OUTSIDE]
        outside = [self.sliders[key].row for key in OUTSIDE]
        return (
            W.VBox([head, *rows, self.up, self.down]),
            W.VBox([heading("Load and pods", "the same in every run"), self.load, *outside]),
        )

    def _dropdown(self, key: str, label: str, options: Iterable[str], tooltip: str) -> W.Dropdown:
        value = getattr(self.tuning, key)
        widget = dropdown(label, list(dict.fromkeys([*options, value])), value, tooltip)
        widget.observe(self._writer(key), "value")
        return widget

    def _writer(self, key: str) -> Callable[[Change], None]:
        return lambda change: self.set(**{key: change["new"]})

    # -- the actions of the controls ------------------------------------------------------------

    def set(self, **settings: Any) -> None:
        """Change settings; the panel's thread runs the trial, and `settled()` waits for it."""
        if settings.get("metrics") == 0:
            settings["metrics"] = None
        with self._lock:
            try:
                self.tuning = replace(self.tuning, **settings)
            except (KubeSimError, TypeError) as error:
                self.error = str(error)
                return
            self._settled.clear()
            self._show_busy(True)
            self._pending.set()
        self._rest.touch()

    def _show_busy(self, busy: bool) -> None:
        """Say that the charts are those of the run before; the new one is being computed."""
        self.status.value = COMPUTING if busy else ""
        (self.add_class if busy else self.remove_class)("ks-busy")

    def set_hall(self, _on: bool) -> None:
        """Enlarge texts and lines, to be read from the back of a hall; the thread draws them."""
        (self.add_class if self.hall.value else self.remove_class)("ks-hall")
        self._rest.touch()

    def keep_as_a(self) -> None:
        """Keep the current run behind the next ones."""
        with self._lock:
            self.kept = self.trial
        self._rest.touch()

    def clear_a(self) -> None:
        """Show only the current run."""
        with self._lock:
            self.kept = None
        self._rest.touch()

    def settled(self, seconds: float = SETTLED_SECONDS) -> bool:
        """Wait until the trial of the newest settings is done; return False on timeout."""
        return self._settled.wait(seconds)

    def close(self) -> None:
        """Stop the thread; may be called twice."""
        if not self._open:
            return
        self._open = False
        self._stop.set()
        self._rest.touch()
        if self._thread is not threading.current_thread():
            self._thread.join(SETTLED_SECONDS)
        panels.remove(self._name, self)
        close_with_parts(self)

    # -- the thread -----------------------------------------------------------------------------

    def _loop(self) -> None:
        while not self._stop.is_set():
            if self._pending.wait(PERIOD_SECONDS):
                self._run_trial()
            self._render()
            self.live.flush()
            self._rest.check()
            if self._rest.resting and not self._pending.is_set():
                self._rest.wait()

    def _run_trial(self) -> None:
        """Run a trial of the newest settings; a refusal is shown, and the last run stays."""
        with self._lock:
            self._pending.clear()
            tuning = self.tuning
        try:
            trial, error = tune(tuning, seed=self._seed), ""
        except Exception as refusal:  # noqa: BLE001 - the panel reports it and continues
            trial, error = self.trial, str(refusal)
        with self._lock:
            self.trial, self.error = trial, error
            if not self._pending.is_set():
                self._show_busy(False)
                self._settled.set()

    def _render(self) -> None:
        with self._lock:
            trial, kept, error = self.trial, self.kept, self.error
        scale = HALL_SCALE if self.hall.value else 1.0
        current = (id(trial), id(kept), error, self.live.ready.is_set(), scale)
        if current == self._rendered:
            return
        self._rendered = current
        self._render_texts()
        if self.live.ready.is_set():
            self.charts.themed.scale(scale)
            self.charts.draw(trial.chart_data(kept))

    # -- texts and pictures ---------------------------------------------------------------------

    def _render_texts(self) -> None:
        """Update scores, stored settings and decisions."""
        scores = self.table("scores")
        self.scores.value = html_table(scores.columns, scores.rows, "Scores")
        last = self.table("decisions", last=DECISIONS)
        caption = f"The last {len(last.rows)} scalings"
        self.decisions.value = html_table(last.columns, last.rows, caption)
        self.stored.value = fact("in the store", escape(settings_text(self.trial)))
        self._strip.value = error_html(self.error)

    def table(self, which: str = "scores", last: int = 12) -> Table:
        """Return the charts as text: ``scores`` (with A), ``load``, ``syncs``, ``decisions``."""
        if which == "scores" and self.kept is not None:
            return beside(A=self.kept, now=self.trial)
        return self.trial.table(which, last)

    def svg(self) -> str:
        """Return a still picture, for pages that cannot show widgets."""
        return self.trial.svg(self.kept)

    def __repr__(self) -> str:
        return f"TuningPanel({self._name!r}): {self.trial}"

    def _repr_mimebundle_(self, **options: object) -> object:
        text = f"{self!r}\n({HOW_TO_SHOW})"
        return with_picture(super()._repr_mimebundle_(**options), text, self.svg())

    def _ipython_display_(self, **options: object) -> None:
        display_panel(self._repr_mimebundle_(**options), self.svg())


def settings_text(trial: Trial) -> str:
    """Return the settings that the store has, in words."""
    spec = trial.stored
    metric = spec["metrics"][0]["resource"]["target"]["averageUtilization"]
    up, down = (spec["behavior"][key] for key in ("scaleUp", "scaleDown"))
    return (
        f"averageUtilization {metric}, minReplicas {spec['minReplicas']}, "
        f"maxReplicas {spec['maxReplicas']}; scaleUp: {_rules(up)}; scaleDown: {_rules(down)}"
    )


def _rules(side: ReadOnlyDocument) -> str:
    policies = ", ".join(
        f"{policy['type']} {policy['value']} / {policy['periodSeconds']} s"
        for policy in side["policies"]
    )
    return f"window {side['stabilizationWindowSeconds']} s, {side['selectPolicy']} of {policies}"
