"""The cockpit's controls: what the learner *options*; beside it, what the *store* has.

Each slider has a number box, so that a keyboard or a screen reader is as good as a mouse.

Three parties move a slider: the learner in the page, code in a cell, and the cockpit's own thread,
which makes it follow the store when somebody else wrote there (another client, `curl`). Callbacks
of the page arrive on a thread of their own, even while a cell runs. So a callback acts on the value
it was told and not on what the slider says by then; what the cockpit's thread sets is not written
back; and a slider that was just touched is left alone for a moment.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import ipywidgets as W

from kubesim.traffic import Constant, Ramp, Sine, Spike, TrafficModel

INTERVALS = ("5s", "10s", "15s", "30s", "1m")
PATIENCE_SECONDS = 1.5  # a slider that was touched so recently does not follow the store
TARGETS = (10, 150)  # percent
PODS = (1, 20)
RATES = (0, 200)  # requests per second
PRESETS = (
    ("off: pods use 100-200m at random", "off"),
    ("steady: what the slider says", "steady"),
    ("spike: 30/s; in 30 s 200/s for 2 min", "spike"),
    ("waves: 10 to 130/s within 10 min", "waves"),
    ("ramp: from 0 to 150/s within 5 min", "ramp"),
)
Write = Callable[..., Any]


class Syncing(threading.local):
    """True while this very thread makes a slider follow the store."""

    on = False


syncing = Syncing()


class NumberSlider:
    """A slider and a number box that say the same.

    Attributes:
        row: both.
        slider, box: the widgets.
    """

    def __init__(self, label: str, bounds: tuple[int, int], value: int, step: int, about: str):
        low, high = bounds
        self.slider = W.IntSlider(
            value,
            low,
            max(high, value),
            step,
            description=label,
            tooltip=about,
            continuous_update=False,
            readout=False,
            style={"description_width": "76px"},
            layout=W.Layout(width="auto", flex="1 1 150px", min_width="150px"),
        )
        self.box = W.BoundedIntText(
            value, low, max(high, value), 1, tooltip=about, layout=W.Layout(width="58px")
        )
        W.link((self.slider, "value"), (self.box, "value"))
        self.row = W.HBox([self.slider, self.box], layout=W.Layout(width="100%"))

    @property
    def value(self) -> int:
        """What it says."""
        return int(self.slider.value)

    def show(self, value: int) -> None:
        """Set both, further out than the slider reaches if need be."""
        for widget in (self.slider, self.box):
            widget.max = max(widget.max, value)
            widget.value = value


class HpaControls:
    """Target, bounds and interval of the autoscaler.

    Args:
        config: as the store has it.
        write: called with one changed key; writes through the API server.

    Attributes:
        box: the widgets.
    """

    def __init__(self, config: dict[str, Any], write: Write) -> None:
        self._write = write
        self._touched = 0.0
        self.target = NumberSlider(
            "target [%]", TARGETS, config["target_cpu"], 5, "CPU target in percent of the request"
        )
        self.minimum = NumberSlider("min pods", PODS, config["min_pods"], 1, "minReplicas")
        self.maximum = NumberSlider("max pods", PODS, config["max_pods"], 1, "maxReplicas")
        self.interval = W.Dropdown(
            options=_with(INTERVALS, config["interval"]),
            value=config["interval"],
            description="interval",
            tooltip="how often the autoscaler looks",
            style={"description_width": "76px"},
            layout=W.Layout(width="180px"),
        )
        self.stored = W.HTML()
        for widget, key in (
            (self.target.slider, "target_cpu"),
            (self.minimum.slider, "min_pods"),
            (self.maximum.slider, "max_pods"),
            (self.interval, "interval"),
        ):
            widget.observe(self._writer(key), "value")
        grid = W.GridBox(
            [self.target.row, self.minimum.row, self.interval, self.maximum.row],
            layout=W.Layout(grid_template_columns="1fr 1fr", grid_gap="0 14px", width="100%"),
        )
        self.box = W.VBox([heading("Autoscaler", "what you wish"), grid, self.stored])
        self.show_stored(config)

    def _writer(self, key: str) -> Callable[[Any], None]:
        def changed(change: Any) -> None:
            if not syncing.on:
                self._touched = time.monotonic()
                self._write(**{key: change["new"]})

        return changed

    def options(self) -> dict[str, Any]:
        """What the sliders say."""
        return {
            "target_cpu": self.target.value,
            "min_pods": self.minimum.value,
            "max_pods": self.maximum.value,
            "interval": self.interval.value,
        }

    def sync(self, config: dict[str, Any], patience: float = PATIENCE_SECONDS) -> None:
        """Show what the store has; let the sliders go there unless they were just touched."""
        self.show_stored(config)
        if time.monotonic() - self._touched < patience or self.options() == config:
            return
        syncing.on = True
        try:
            self.target.show(config["target_cpu"])
            self.minimum.show(config["min_pods"])
            self.maximum.show(config["max_pods"])
            self.interval.options = _with(INTERVALS, config["interval"])
            self.interval.value = config["interval"]
        finally:
            syncing.on = False

    def show_stored(self, config: dict[str, Any]) -> None:
        """What the store has, in words."""
        self.stored.value = (
            "<span class='ks-fact'><b>in the store:</b> "
            f"target {config['target_cpu']} %, {config['min_pods']} to {config['max_pods']} pods, "
            f"a look every {config['interval']}</span>"
        )


class TrafficControls:
    """Requests per second to the workload.

    Args:
        rate: requests per second to begin with; None: no traffic.
        route: called with a rate (the slider was moved) or the name of a preset.

    Attributes:
        box: the widgets.
    """

    def __init__(self, rate: float | None, route: Callable[[float | str], Any]) -> None:
        self._route = route
        self.rate = NumberSlider("requests/s", RATES, int(rate or 0), 5, "requests per second")
        self.preset = W.Dropdown(
            options=PRESETS,
            value="off" if rate is None else "steady",
            description="preset",
            tooltip="how many requests arrive over time",
            style={"description_width": "76px"},
            layout=W.Layout(width="100%"),
        )
        self.status = W.HTML()
        self.rate.slider.observe(self._rate_changed, "value")
        self.preset.observe(self._preset_changed, "value")
        self.box = W.VBox(
            [heading("Traffic", "what users do"), self.rate.row, self.preset, self.status]
        )

    def _rate_changed(self, change: Any) -> None:
        if syncing.on:
            return
        self._set_quietly(preset="steady")
        self._route(float(change["new"]))

    def _preset_changed(self, change: Any) -> None:
        if not syncing.on:
            self._route(float(self.rate.value) if change["new"] == "steady" else change["new"])

    def show(self, rate: float | None) -> None:
        """Set the controls without routing anything."""
        self._set_quietly(preset="off" if rate is None else "steady", rate=rate)

    def _set_quietly(self, preset: str, rate: float | None = None) -> None:
        syncing.on = True
        try:
            self.preset.value = preset
            if rate is not None:
                self.rate.show(int(rate))
        finally:
            syncing.on = False

    def show_traffic(self, routed: bool, offered: float, served: float) -> None:
        """What arrives and what is served, in words."""
        unmet = offered - served
        if not routed:
            said = "no requests arrive; each pod uses 100 to 200m at random"
        elif unmet > 0.05:
            said = f"{offered:.0f}/s arrive, <b>{unmet:.0f}/s find no pod that could serve them</b>"
        else:
            said = f"{offered:.0f}/s arrive, all are served"
        self.status.value = f"<span class='ks-fact'><b>now:</b> {said}</span>"


def preset_model(name: str, now: float) -> TrafficModel | None:
    """The traffic model of a preset that begins now; None for "off".

    Raises:
        KeyError: no such preset.
    """
    models: dict[str, TrafficModel | None] = {
        "off": None,
        "spike": Spike(base=30, peak=200, at_seconds=now + 30, seconds=120),
        "waves": Sine(base=70, amplitude=60, period_seconds=600, phase_seconds=now),
        "ramp": Ramp(start=0, end=150, begin_seconds=now, seconds=300),
        "steady": Constant(60),
    }
    return models[name]


def heading(title: str, note: str) -> Any:
    """The head of a card: what it is about, and a word beside it."""
    return W.HTML(f"<div class='ks-head'>{title} <span>{note}</span></div>")


def _with(options: tuple[str, ...], value: str) -> tuple[str, ...]:
    return options if value in options else (*options, value)
