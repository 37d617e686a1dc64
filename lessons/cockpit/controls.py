"""The cockpit's controls: the desired settings, and what the store has.

A slider that was just touched is left alone for a moment; otherwise it follows the store, where
other clients (`curl`, `kubectl`) may write, too. The nearest in Kubernetes is `kubectl edit hpa`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import ipywidgets as W

from kubesim.traffic import Constant, Ramp, Sine, Spike, TrafficModel
from lessons.ui.widgets import (
    PATIENCE_SECONDS,
    Change,
    NumberSlider,
    StoreWriter,
    dropdown,
    fact,
    heading,
    is_syncing,
    syncing,
)

INTERVALS = ("5s", "10s", "15s", "30s", "1m")
TARGETS = (10, 150)  # percent
PODS = (1, 20)
RATES = (0, 200)  # requests per second
PRESETS = (
    ("off: 100-200m at random", "off"),
    ("steady: as the slider", "steady"),
    ("spike: 200/s for 2 min", "spike"),
    ("waves: 10 to 130/s", "waves"),
    ("ramp: 0 to 150/s in 5 min", "ramp"),
)


class HpaControls:
    """Target, bounds and interval of the autoscaler.

    Args:
        config: the configuration that the store has.
        write: called with one changed key; writes through the API server.

    Attributes:
        box: the widgets.
    """

    def __init__(self, config: Mapping[str, object], write: Callable[..., object]) -> None:
        self._writer = StoreWriter(write)
        target, low, high = (_number(config[key]) for key in ("target_cpu", "min_pods", "max_pods"))
        self.target = NumberSlider(
            "target [%]", TARGETS, target, 5, "CPU target in percent of the request"
        )
        self.minimum = NumberSlider("min pods", PODS, low, 1, "minReplicas")
        self.maximum = NumberSlider("max pods", PODS, high, 1, "maxReplicas")
        self.interval = dropdown(
            "interval",
            _with(INTERVALS, str(config["interval"])),
            config["interval"],
            "how often the autoscaler compares the metrics with the target",
        )
        self.stored = W.HTML()
        for widget, key in (
            (self.target.slider, "target_cpu"),
            (self.minimum.slider, "min_pods"),
            (self.maximum.slider, "max_pods"),
            (self.interval, "interval"),
        ):
            widget.observe(self._writer.observer(key), "value")
        rows = (self.target.row, self.minimum.row, self.maximum.row, self.interval)
        self.box = W.VBox([heading("Autoscaler", "desired settings"), *rows, self.stored])
        self.show_stored(config)

    def options(self) -> dict[str, object]:
        """Return the settings of the sliders."""
        return {
            "target_cpu": self.target.value,
            "min_pods": self.minimum.value,
            "max_pods": self.maximum.value,
            "interval": self.interval.value,
        }

    def sync(self, config: Mapping[str, object], patience: float = PATIENCE_SECONDS) -> None:
        """Show what the store has, and set the sliders to it unless they were just touched.

        Args:
            config: the configuration that the store has.
            patience: seconds for which a touched slider is left alone.
        """
        self.show_stored(config)
        if self._writer.touched_within(patience) or self.options() == config:
            return
        with syncing():
            self.target.show(_number(config["target_cpu"]))
            self.minimum.show(_number(config["min_pods"]))
            self.maximum.show(_number(config["max_pods"]))
            self.interval.options = _with(INTERVALS, str(config["interval"]))
            self.interval.value = config["interval"]

    def show_stored(self, config: Mapping[str, object]) -> None:
        """Say what the store has."""
        self.stored.value = fact(
            "in the store",
            f"target {config['target_cpu']} %, {config['min_pods']} to {config['max_pods']} pods, "
            f"every {config['interval']}",
        )


class TrafficControls:
    """Requests per second to the workload.

    Args:
        rate: requests per second at the beginning; None: no traffic.
        route: called with a rate (the slider was moved) or the name of a preset.

    Attributes:
        box: the widgets.
    """

    def __init__(self, rate: float | None, route: Callable[[float | str], object]) -> None:
        self._route = route
        self.rate = NumberSlider("requests/s", RATES, int(rate or 0), 5, "requests per second")
        preset = "off" if rate is None else "steady"
        self.preset = dropdown("preset", PRESETS, preset, "how many requests arrive over time")
        self.status = W.HTML()
        self.rate.slider.observe(self._rate_changed, "value")
        self.preset.observe(self._preset_changed, "value")
        self.box = W.VBox(
            [heading("Traffic", "incoming load"), self.rate.row, self.preset, self.status]
        )

    def _rate_changed(self, change: Change) -> None:
        if is_syncing():
            return
        self._set_quietly(preset="steady")
        self._route(float(change["new"]))

    def _preset_changed(self, change: Change) -> None:
        if not is_syncing():
            self._route(float(self.rate.value) if change["new"] == "steady" else change["new"])

    def show(self, rate: float | None) -> None:
        """Set the controls without changing the traffic."""
        self._set_quietly(preset="off" if rate is None else "steady", rate=rate)

    def _set_quietly(self, preset: str, rate: float | None = None) -> None:
        with syncing():
            self.preset.value = preset
            if rate is not None:
                self.rate.show(int(rate))

    def show_traffic(self, routed: bool, offered: float, served: float) -> None:
        """Say how many requests arrive and how many are served.

        Args:
            routed: the workload gets traffic at all.
            offered, served: requests per second.
        """
        unmet = offered - served
        if not routed:
            text = "no requests arrive; each pod uses 100 to 200m at random"
        elif unmet > 0.05:
            text = f"{offered:.0f}/s arrive, <b>{unmet:.0f}/s are not served by any pod</b>"
        else:
            text = f"{offered:.0f}/s arrive, all are served"
        self.status.value = fact("now", text)


def preset_model(name: str, now: float) -> TrafficModel | None:
    """Return the traffic model of a preset that begins now; None for "off".

    Raises:
        KeyError: there is no such preset.
    """
    models: dict[str, TrafficModel | None] = {
        "off": None,
        "spike": Spike(base=30, peak=200, at_seconds=now + 30, seconds=120),
        "waves": Sine(base=70, amplitude=60, period_seconds=600, phase_seconds=now),
        "ramp": Ramp(start=0, end=150, begin_seconds=now, seconds=300),
        "steady": Constant(60),
    }
    return models[name]


def _number(value: object) -> int:
    return int(str(value))


def _with(options: tuple[str, ...], value: str) -> tuple[str, ...]:
    return options if value in options else (*options, value)
