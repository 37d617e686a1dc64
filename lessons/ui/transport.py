"""The transport bar: Run, Pause, Step, speed, the clock; Reset stands apart.

The buttons that move time are on the left; Reset, which discards the run, is on the right.
Kubernetes has no counterpart.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import ipywidgets as W

SPEEDS = (1, 2, 5, 10, 20, 50, 100)  # simulated seconds per second
STEP_SECONDS = 5.0
HALL_SCALE = 1.5  # texts and lines, to be read from the back of a hall
CLOCKS = (("live", "live"), ("virtual", "virtual"))


class Driver(Protocol):
    """What the bar controls: a panel."""

    def run(self) -> None:
        """Let time run."""

    def pause(self) -> None:
        """Pause the clock."""

    def step(self, seconds: float = STEP_SECONDS) -> None:
        """Advance by some simulated seconds, then pause."""

    def set_speed(self, speed: float) -> None:
        """Set the simulated seconds per second."""

    def reset(self) -> None:
        """Start over."""

    def choose_clock(self, clock: str) -> None:
        """Start over on this clock."""

    def set_hall(self, on: bool) -> None:
        """Enlarge texts and lines."""


class Transport:
    """The bar.

    Args:
        driver: the panel that the buttons control.
        clock: "live" or "virtual".
        speed: simulated seconds per second; the nearest option is taken.

    Attributes:
        box: the row of widgets.
    """

    def __init__(self, driver: Driver, clock: str, speed: float) -> None:
        button = W.Layout(width="auto", flex="0 0 auto")
        self.run = W.Button(description="Run", icon="play", tooltip="let time run", layout=button)
        self.pause = W.Button(
            description="Pause", icon="pause", tooltip="pause the clock", layout=button
        )
        self.step = W.Button(
            description=f"Step {STEP_SECONDS:g} s",
            icon="step-forward",
            tooltip="advance by five simulated seconds, then pause",
            layout=button,
        )
        self.reset = W.Button(
            description="Reset",
            icon="undo",
            tooltip="discard this run and start over with the same seed",
            layout=button,
        )
        self.speed = W.Dropdown(
            options=[(f"×{speed}", speed) for speed in SPEEDS],
            value=nearest(speed),
            description="speed",
            tooltip="simulated seconds per second",
            layout=W.Layout(width="72px"),
        )
        self.speed.add_class("ks-speed")
        self.clock = W.ToggleButtons(
            options=CLOCKS,
            value=clock,
            tooltips=(
                "each component and each pod is a thread; time passes by itself",
                "one event queue; Run advances it, and the same seed gives the same run",
            ),
            style={"button_width": "auto"},
        )
        self.hall = hall_button(driver.set_hall)
        self.status = W.HTML()
        self.run.on_click(lambda _button: driver.run())
        self.pause.on_click(lambda _button: driver.pause())
        self.step.on_click(lambda _button: driver.step())
        self.reset.on_click(lambda _button: driver.reset())
        self.speed.observe(lambda change: driver.set_speed(float(change["new"])), "value")
        self.clock.observe(lambda change: driver.choose_clock(change["new"]), "value")
        self.box = self._arranged()

    def _arranged(self) -> W.Box:
        """Return the row: what moves time on the left, clock and Reset on the right."""
        left = W.HBox(
            [self.run, self.pause, self.step, self.speed, self.status],
            layout=W.Layout(align_items="center", flex_flow="row wrap"),
        )
        right = W.HBox(
            [self.clock, self.hall, self.reset],
            layout=W.Layout(align_items="center", flex_flow="row wrap"),
        )
        return W.Box(
            [left, right],
            layout=W.Layout(
                display="flex",
                flex_flow="row wrap",
                justify_content="space-between",
                align_items="center",
            ),
        )

    @property
    def chosen_speed(self) -> float:
        """Simulated seconds per second."""
        return float(self.speed.value)

    @property
    def scale(self) -> float:
        """Size of texts and lines; 1 is normal."""
        return HALL_SCALE if self.hall.value else 1.0

    def render(self, now: float, state: str) -> None:
        """Show the simulated time, and whether it runs."""
        minutes, seconds = divmod(int(now), 60)
        self.status.value = (
            f"<span class='ks-clock' title='simulated time'>t = {minutes}:{seconds:02d}</span>"
            f"<span class='ks-state'>{state}</span>"
        )


def hall_button(enlarge: Callable[[bool], None]) -> W.ToggleButton:
    """Return the switch between the sizes for a desk and for a hall."""
    button = W.ToggleButton(
        description="Hall",
        icon="search-plus",
        tooltip="bigger texts and lines, to be read from the back of a hall",
        layout=W.Layout(width="auto"),
    )
    button.observe(lambda change: enlarge(bool(change["new"])), "value")
    return button


def nearest(speed: float) -> int:
    """Return the option that is nearest to a speed.

    >>> nearest(18), nearest(1000)
    (20, 100)
    """
    return min(SPEEDS, key=lambda offered: abs(offered - speed))
