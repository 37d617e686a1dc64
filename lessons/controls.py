"""The cockpit's controls: sliders with a number box beside them, so that a keyboard or a screen
reader is as good as a mouse; status as text, never as colour alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets as W

if TYPE_CHECKING:
    from lessons.cockpit import Cockpit

SPEEDS = (1, 5, 10, 20, 50, 100)
INTERVALS = ("5s", "10s", "15s", "30s", "1m0s")
LABEL = {"description_width": "84px"}


def slider_with_box(
    low: int, high: int, value: int, label: str, step: int = 1
) -> tuple[Any, Any, Any]:
    """(row, slider, box): a slider and a number box that follow each other."""
    slider = W.IntSlider(
        value,
        low,
        high,
        step,
        description=label,
        continuous_update=False,
        readout=False,
        style=LABEL,
        layout=W.Layout(width="290px"),
    )
    box = W.BoundedIntText(value, low, high, step, layout=W.Layout(width="64px"))
    W.link((slider, "value"), (box, "value"))
    return W.HBox([slider, box]), slider, box


class Controls:
    """All controls of one cockpit.

    Attributes:
        transport, autoscaler, traffic: the three rows.
    """

    def __init__(self, cockpit: Cockpit, clock: str, speed: float) -> None:
        self._cockpit = cockpit
        self._quiet = False  # values are being set by us, not by the learner
        self._build_transport(clock, speed)
        self._build_autoscaler()
        self._build_traffic()

    # -- transport ------------------------------------------------------------------------------

    def _build_transport(self, clock: str, speed: float) -> None:
        narrow = W.Layout(width="86px")
        self.run = W.Button(description="Run", icon="play", layout=narrow)
        self.pause = W.Button(description="Pause", icon="pause", layout=narrow)
        self.step = W.Button(description="Step 5 s", icon="step-forward", layout=narrow)
        self.reset = W.Button(description="Reset", icon="refresh", layout=narrow)
        nearest = min(SPEEDS, key=lambda s: abs(s - speed))
        self.speed = W.Dropdown(
            options=[(f"x{s}", s) for s in SPEEDS],
            value=nearest,
            description="speed",
            layout=W.Layout(width="130px"),
            style={"description_width": "44px"},
        )
        self.clock = W.ToggleButtons(
            options=[("live: pods are threads", "live"), ("virtual", "virtual")],
            value=clock if clock in ("live", "virtual") else "virtual",
            style={"button_width": "auto"},
        )
        self.status = W.HTML()
        self.run.on_click(lambda _button: self._cockpit.run())
        self.pause.on_click(lambda _button: self._cockpit.pause())
        self.step.on_click(lambda _button: self._cockpit.step())
        self.reset.on_click(lambda _button: self._cockpit.reset())
        self.speed.observe(lambda change: self._cockpit.set_speed(float(change["new"])), "value")
        self.clock.observe(lambda change: self._cockpit.reset(change["new"]), "value")
        gap = W.HTML(layout=W.Layout(width="28px"))
        self.transport = W.HBox(
            [self.run, self.pause, self.step, self.speed, self.status, gap, self.clock, self.reset],
            layout=W.Layout(align_items="center", flex_flow="row wrap"),
        )

    @property
    def speed_value(self) -> float:
        """The chosen speed."""
        return float(self.speed.value)

    def show_clock(self, now: float, kind: str, running: bool) -> None:
        """The visible clock."""
        minutes, seconds = divmod(int(now), 60)
        state = "running" if running else "paused"
        self.status.value = (
            "<span style='font-family:monospace;font-size:14px;padding:0 8px'>"
            f"t = {minutes:d}:{seconds:02d} ({kind}, {state})</span>"
        )

    # -- autoscaler -----------------------------------------------------------------------------

    def _build_autoscaler(self) -> None:
        config = self._cockpit.cluster.hpa_config()
        target = slider_with_box(10, 100, config["target_cpu"], "target [%]", 5)
        low = slider_with_box(1, 20, config["min_pods"], "min pods")
        high = slider_with_box(1, 20, config["max_pods"], "max pods")
        self.target, self.minimum, self.maximum = target[1], low[1], high[1]
        self.interval = W.Dropdown(
            options=INTERVALS,
            value=config["interval"],
            description="interval",
            layout=W.Layout(width="160px"),
            style={"description_width": "60px"},
        )
        self.stored = W.HTML()
        for widget, key in (
            (self.target, "target_cpu"),
            (self.minimum, "min_pods"),
            (self.maximum, "max_pods"),
            (self.interval, "interval"),
        ):
            widget.observe(self._writer(key), "value")
        self.autoscaler = W.HBox(
            [target[0], low[0], high[0], self.interval, self.stored],
            layout=W.Layout(align_items="center", flex_flow="row wrap"),
        )

    def _writer(self, key: str) -> Any:
        def write(change: Any) -> None:
            if not self._quiet:
                self._cockpit.set_hpa(**{key: change["new"]})

        return write

    def show_config(self, config: dict[str, Any]) -> None:
        """Set the sliders to what the store says, without writing it back."""
        self._quiet = True
        try:
            self.target.value = config["target_cpu"]
            self.minimum.value = config["min_pods"]
            self.maximum.value = config["max_pods"]
            if config["interval"] in INTERVALS:
                self.interval.value = config["interval"]
        finally:
            self._quiet = False

    def show_stored(self, config: dict[str, Any]) -> None:
        """What the store says, beside what the sliders wish."""
        self.stored.value = (
            "<span style='font-size:12px'>in the store: "
            f"target {config['target_cpu']}%, {config['min_pods']} to {config['max_pods']} pods, "
            f"every {config['interval']}</span>"
        )

    # -- traffic --------------------------------------------------------------------------------

    def _build_traffic(self) -> None:
        row, self.rate, _box = slider_with_box(0, 200, 0, "requests/s", 5)
        self.rate.observe(self._rate_changed, "value")
        self.preset = W.Dropdown(
            options=[
                ("no traffic: random CPU", "none"),
                ("steady 60/s", "steady"),
                ("spike in a minute", "spike"),
                ("waves", "wave"),
            ],
            value="none",
            description="preset",
            style={"description_width": "60px"},
            layout=W.Layout(width="260px"),
        )
        self.preset.observe(lambda change: self._cockpit.set_preset(change["new"]), "value")
        self.traffic = W.HBox(
            [row, self.preset], layout=W.Layout(align_items="center", flex_flow="row wrap")
        )

    def _rate_changed(self, change: Any) -> None:
        self._cockpit.set_traffic(float(change["new"]))
