"""The transport bar: Run, Pause, Step, speed, the clock; Reset stands apart.

As on a tape recorder: what lets time pass is on the left, what throws the run away is far from it.
"""

from __future__ import annotations

from typing import Protocol

import ipywidgets as W

SPEEDS = (1, 2, 5, 10, 20, 50, 100)  # simulated seconds per second
STEP_SECONDS = 5.0
CLOCKS = (("live: pods are threads", "live"), ("virtual: no threads", "virtual"))


class Driver(Protocol):
    """What the bar drives: the cockpit."""

    def run(self) -> None:
        """Let time run."""

    def pause(self) -> None:
        """Let time stand still."""

    def step(self, seconds: float = STEP_SECONDS) -> None:
        """Let some time pass, then stand still."""

    def set_speed(self, speed: float) -> None:
        """Simulated seconds per second."""

    def reset(self) -> None:
        """Begin again."""

    def choose_clock(self, clock: str) -> None:
        """Begin again on this clock, or on the other."""


class Transport:
    """The bar.

    Args:
        driver: what its buttons call.
        clock: "live" or "virtual".
        speed: simulated seconds per second; the nearest on offer is taken.

    Attributes:
        box: the row of widgets.
    """

    def __init__(self, driver: Driver, clock: str, speed: float) -> None:
        button = W.Layout(width="auto", min_width="78px")
        self.run = W.Button(description="Run", icon="play", tooltip="let time run", layout=button)
        self.pause = W.Button(
            description="Pause", icon="pause", tooltip="let time stand still", layout=button
        )
        self.step = W.Button(
            description=f"Step {STEP_SECONDS:g} s",
            icon="step-forward",
            tooltip="let five simulated seconds pass, then stand still",
            layout=button,
        )
        self.reset = W.Button(
            description="Reset",
            icon="undo",
            tooltip="throw this run away and begin again with the same seed",
            layout=button,
        )
        self.speed = W.Dropdown(
            options=[(f"×{speed}", speed) for speed in SPEEDS],
            value=nearest(speed),
            description="speed",
            tooltip="simulated seconds per second",
            layout=W.Layout(width="124px"),
            style={"description_width": "42px"},
        )
        self.clock = W.ToggleButtons(
            options=CLOCKS,
            value=clock,
            tooltips=(
                "each component and each pod is a thread; time runs by itself",
                "one queue of events; Run paces it, and the same seed gives the same run",
            ),
            style={"button_width": "auto"},
        )
        self.status = W.HTML()
        self.run.on_click(lambda _button: driver.run())
        self.pause.on_click(lambda _button: driver.pause())
        self.step.on_click(lambda _button: driver.step())
        self.reset.on_click(lambda _button: driver.reset())
        self.speed.observe(lambda change: driver.set_speed(float(change["new"])), "value")
        self.clock.observe(lambda change: driver.choose_clock(change["new"]), "value")
        self.box = self._arranged()

    def _arranged(self) -> W.Box:
        """What moves time on the left; what begins anew on the right, apart from it."""
        left = W.HBox(
            [self.run, self.pause, self.step, self.speed, self.status],
            layout=W.Layout(align_items="center"),
        )
        right = W.HBox([self.clock, self.reset], layout=W.Layout(align_items="center"))
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

    def render(self, now: float, state: str) -> None:
        """The visible clock, and in words whether it runs."""
        minutes, seconds = divmod(int(now), 60)
        self.status.value = (
            f"<span class='ks-clock' title='simulated time'>t = {minutes}:{seconds:02d}</span>"
            f"<span class='ks-state'>{state}</span>"
        )


def nearest(speed: float) -> int:
    """The speed on offer that is nearest.

    >>> nearest(18), nearest(1000)
    (20, 100)
    """
    return min(SPEEDS, key=lambda offered: abs(offered - speed))
