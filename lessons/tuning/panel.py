"""The tuning panel: turn a knob, and see at once what the whole run would have been.

    settings    target, bounds, window, policies, start-up, metrics, and the load
    chart       offered and served, latency, pods with wishes and decisions
    beside it   the scores, the settings as the store has them, every scaling with its reason
    Keep as A   the present run stays behind the next ones, as thin grey lines

Each change is a new trial: a fresh cluster with the same seed, half an hour of virtual time in a
fraction of a second. So nothing has to be waited for, and two settings meet the very same load.

No counterpart in Kubernetes; the nearest is a load test that is run again and again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from html import escape
from typing import Any

import ipywidgets as W

from kubesim import Table
from kubesim.errors import KubeSimError
from lessons.cockpit import tables
from lessons.cockpit.controls import NumberSlider, heading
from lessons.tuning.charts import TuningCharts
from lessons.tuning.loads import LOADS
from lessons.tuning.trial import Trial, beside
from lessons.tuning.tune import ANY_DOWN, ANY_UP, SEED, Tuning, tune
from lessons.ui import open_panels as panels
from lessons.ui.base_panel import ROW
from lessons.ui.css import STYLE
from lessons.ui.live import Live

PERIOD_SECONDS = 0.1  # how often the thread looks for a wish
SETTLED_SECONDS = 30.0
DECISIONS = 12
UPS = (ANY_UP, "1 pod in 60 s", "2 pods in 30 s", "10 pods in 15 s", "50 % in 60 s")
DOWNS = (ANY_DOWN, "1 pod in 60 s", "2 pods in 60 s", "10 % in 60 s")
SLIDERS = {  # setting -> label, bounds, step, about
    "target": ("target [%]", (10, 150), 5, "averageUtilization, in percent of the CPU request"),
    "minimum": ("min pods", (1, 20), 1, "minReplicas"),
    "maximum": ("max pods", (1, 30), 1, "maxReplicas"),
    "window": ("window [s]", (0, 600), 30, "scaleDown.stabilizationWindowSeconds"),
    "start": ("start-up [s]", (0, 120), 5, "seconds until a new pod is ready"),
    "metrics": ("metrics [s]", (0, 60), 15, "metrics-server's resolution; 0: the last second"),
}


class TuningPanel(W.VBox):  # type: ignore[misc]
    """The panel.

    Args:
        tuning: settings to begin with; None: the defaults.
        name: a panel of the same name is closed first, so a cell may be run again.
        seed: of every trial.
        settings: further ones, see `lessons.tuning.tune.Tuning`.

    Attributes:
        tuning: what the controls say.
        trial: what came of it; of the settings before, while the API server refuses these.
        kept: the trial behind it, or None.
        error: why the settings were refused; "" if they were not.

    Raises:
        BadRequest, Invalid: the settings to begin with make no sense.
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
        panels.close(name)
        self._name, self._seed = name, seed
        self.tuning = replace(tuning or Tuning(), **settings)
        self.trial: Trial = tune(self.tuning, seed=seed)
        self.kept: Trial | None = None
        self.error = ""
        self._stop, self._wished, self._settled = (threading.Event() for _ in range(3))
        self._settled.set()
        self._lock = threading.RLock()  # guards tuning, trial and kept
        self._drawn: Any = None
        self.charts = TuningCharts()
        self.live = Live(self.charts.layout)
        self.live.layout = W.Layout(flex="5 1 540px", min_width="0")
        super().__init__([W.HTML(STYLE), self._controls(), self._build_summary()])
        self.add_class("ks-cockpit")
        self._say()
        panels.add(name, self)
        self._thread = threading.Thread(target=self._loop, name=f"cockpit-{name}", daemon=True)
        self._open = True
        self._thread.start()

    # -- the widgets ----------------------------------------------------------------------------

    def _controls(self) -> Any:
        self.sliders = {}
        for key, (label, bounds, step, about) in SLIDERS.items():
            value = int(getattr(self.tuning, key) or 0)
            self.sliders[key] = NumberSlider(label, bounds, value, step, about)
            self.sliders[key].slider.observe(self._writer(key), "value")
        self.up = self._dropdown("up", "scale up", UPS, "scaleUp.policies: at most so fast")
        self.down = self._dropdown("down", "scale down", DOWNS, "scaleDown.policies")
        self.load = self._dropdown("load", "load", LOADS, "how many requests arrive")
        self.keep = _button("Keep as A", "thumb-tack", "let this run stand behind the next ones")
        self.forget = _button("Forget A", "eraser", "nothing stands behind the run")
        self.keep.on_click(lambda _button: self.keep_as_a())
        self.forget.on_click(lambda _button: self.forget_a())
        grid = W.GridBox(
            [*(each.row for each in self.sliders.values()), self.up, self.down, self.load],
            layout=W.Layout(
                grid_template_columns="repeat(auto-fit, minmax(300px, 1fr))",
                grid_gap="0 18px",
                width="100%",
            ),
        )
        self.stored, self._strip = W.HTML(), W.HTML()
        row = W.HBox([self.keep, self.forget], layout=W.Layout(grid_gap="6px"))
        head = heading("Settings", "each change is a new run of the same load")
        card = W.VBox([head, grid, row, self.stored, self._strip])
        card.add_class("ks-card")
        card.layout = W.Layout(width="100%", margin="0 0 6px 0")
        return card

    def _dropdown(self, key: str, label: str, options: Iterable[str], about: str) -> Any:
        value = getattr(self.tuning, key)
        widget = W.Dropdown(
            options=list(dict.fromkeys([*options, value])),
            value=value,
            description=label,
            tooltip=about,
            style={"description_width": "76px"},
            layout=W.Layout(width="auto"),
        )
        widget.observe(self._writer(key), "value")
        return widget

    def _build_summary(self) -> Any:
        self.scores, self.decisions = W.HTML(), W.HTML()
        words = W.VBox(
            [self.scores, self.decisions],
            layout=W.Layout(flex="3 1 330px", min_width="0", grid_gap="6px", padding="0 0 0 12px"),
        )
        return W.Box([self.live, words], layout=W.Layout(**ROW))

    def _writer(self, key: str) -> Callable[[Any], None]:
        return lambda change: self.set(**{key: change["new"]})

    # -- what the controls do -------------------------------------------------------------------

    def set(self, **settings: Any) -> None:
        """Wish for other settings; the panel's thread tries them. `settled()` waits for it."""
        if settings.get("metrics") == 0:
            settings["metrics"] = None
        with self._lock:
            try:
                self.tuning = replace(self.tuning, **settings)
            except (KubeSimError, TypeError) as error:
                self.error = str(error)
                return
            self._settled.clear()
            self._wished.set()

    def keep_as_a(self) -> None:
        """Let the present run stand behind the next ones."""
        with self._lock:
            self.kept = self.trial

    def forget_a(self) -> None:
        """Let nothing stand behind the run."""
        with self._lock:
            self.kept = None

    def settled(self, seconds: float = SETTLED_SECONDS) -> bool:
        """Wait until the last wish was tried; False if that takes too long."""
        return self._settled.wait(seconds)

    def close(self) -> None:
        """End the thread; may be called twice."""
        if not self._open:
            return
        self._open = False
        self._stop.set()
        if self._thread is not threading.current_thread():
            self._thread.join(SETTLED_SECONDS)
        panels.remove(self._name, self)
        self.live.close()
        super().close()

    # -- the thread -----------------------------------------------------------------------------

    def _loop(self) -> None:
        while not self._stop.is_set():
            if self._wished.wait(PERIOD_SECONDS):
                self._fly()
            self._paint()
            self.live.realign_now_and_then()

    def _fly(self) -> None:
        """Try the newest wish; a refusal is shown, and the run before stays."""
        with self._lock:
            self._wished.clear()
            wish = self.tuning
        try:
            trial, error = tune(wish, seed=self._seed), ""
        except Exception as refusal:  # noqa: BLE001 - the panel says it and goes on
            trial, error = self.trial, str(refusal)
        with self._lock:
            self.trial, self.error = trial, error
            if not self._wished.is_set():
                self._settled.set()

    def _paint(self) -> None:
        with self._lock:
            trial, kept, error = self.trial, self.kept, self.error
        shown = (id(trial), id(kept), error, self.live.ready.is_set())
        if shown == self._drawn:
            return
        self._drawn = shown
        self._say()
        if self.live.ready.is_set():
            self.charts.draw(trial, kept)

    # -- what it says ---------------------------------------------------------------------------

    def _say(self) -> None:
        """Scores, store and decisions in words."""
        shown = self.table("scores")
        self.scores.value = tables.html_table(shown.columns, shown.rows, "Scores")
        found = self.table("decisions", last=DECISIONS)
        self.decisions.value = tables.html_table(
            found.columns, found.rows, f"The last {len(found.rows)} scalings"
        )
        self.stored.value = (
            f"<span class='ks-fact'><b>in the store:</b> {escape(told(self.trial))}</span>"
        )
        self._strip.value = (
            f"<div role='alert' class='ks-error'><b>Error:</b> {escape(self.error)}</div>"
            if self.error
            else ""
        )

    def table(self, which: str = "scores", last: int = 12) -> Table:
        """What the charts show, as text: ``scores`` (beside A), ``load``, ``looks``,
        ``decisions``."""
        if which == "scores" and self.kept is not None:
            return beside(A=self.kept, now=self.trial)
        return self.trial.table(which, last)

    def svg(self) -> str:
        """A still picture, for pages where widgets cannot live."""
        return self.trial.svg(self.kept)

    def __repr__(self) -> str:
        return f"TuningPanel({self._name!r}): {self.trial}"

    def _repr_mimebundle_(self, **options: Any) -> Any:
        bundle = super()._repr_mimebundle_(**options)
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        data["text/plain"] = f"{self!r}\n(run this cell, and the panel appears here)"
        data["image/svg+xml"] = self.svg()
        return bundle


def told(trial: Trial) -> str:
    """The settings as the store has them, in words."""
    spec = trial.stored
    metric = spec["metrics"][0]["resource"]["target"]["averageUtilization"]
    up, down = (spec["behavior"][key] for key in ("scaleUp", "scaleDown"))
    return (
        f"averageUtilization {metric}, minReplicas {spec['minReplicas']}, "
        f"maxReplicas {spec['maxReplicas']}; scaleUp: {_rules(up)}; scaleDown: {_rules(down)}"
    )


def _rules(side: Any) -> str:
    parts = [f"{p['type']} {p['value']} / {p['periodSeconds']} s" for p in side["policies"]]
    return f"window {side['stabilizationWindowSeconds']} s, {side['selectPolicy']} of " + ", ".join(
        parts
    )


def _button(text: str, icon: str, about: str) -> W.Button:
    layout = W.Layout(width="auto", min_width="78px")
    return W.Button(description=text, icon=icon, tooltip=about, layout=layout)
