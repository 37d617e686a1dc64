"""A panel by keyboard alone: what Tab reaches, where the focus is.

The focus enters the panel by Tab from its cell, as it does for people without a mouse. Names are
those that the browser computes for screen readers.
"""

from __future__ import annotations

import re
from typing import Any

from lab_page import evaluate

TIME = ["Run", "Pause", "Step 5 s", "speed", "live", "virtual", "Hall", "Reset"]


def with_boxes(*labels: str) -> list[str]:
    """Each slider is followed by its number box."""
    return [label for label in labels for _ in range(2)]


# What Tab reaches, in this order.
ORDER = {
    "cockpit": [
        *TIME,
        *with_boxes("requests/s"),
        "preset",
        *with_boxes("target [%]", "min pods", "max pods"),
        "interval",
        "Pods",
        "The charts as tables",
    ],
    "scheduler": [
        *TIME,
        *with_boxes("CPU [m]", "mem. [Mi]", "how many"),
        "Create pods",
        "Delete all pods",
        "node",
        "Cordon / open",
        "Taint / clean",
        *with_boxes("weight"),
        "how was it placed:",
        "The chart as a table",
    ],
    "rollout": [
        *TIME,
        "Roll out next version",
        "Roll out bad image",
        "Pause rollout",
        "Undo",
        "Kill a pod",
        *with_boxes("replicas", "surge %", "unavail. %"),
        "The chart as a table",
    ],
    "tuning": [
        "Keep as A",
        "Clear A",
        "Hall",
        *with_boxes("target [%]", "min pods", "max pods", "window [s]"),
        "scale up",
        "scale down",
        "load",
        *with_boxes("start-up [s]", "metrics [s]"),
    ],
}
# The roles that need a name.
CONTROL = re.compile(r"- (button|slider|spinbutton|combobox|textbox|checkbox|tab)\b(.*)")
ENTER = """() => {
  const notebook = window.jupyterapp.shell.currentWidget.content;
  notebook.activeCellIndex = 1;
  notebook.mode = 'command';
  notebook.activate();
  document.querySelector('.ks-cockpit').scrollIntoView({block: 'start'});
}"""
# The focused control: its name, and whether its focus can be seen; [] outside of the panel.
FOCUSED = """() => {
  const element = document.activeElement;
  if (!element.closest('.ks-cockpit')) return [];
  const style = getComputedStyle(element);
  const outline = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2;
  const ring = style.boxShadow.endsWith('0px 0px 0px 2px');
  const name = element.getAttribute('aria-label') || element.labels?.[0]?.textContent
    || element.textContent;
  return [name.trim(), (outline || ring) && element.matches(':focus-visible')];
}"""


def focused(page: Any) -> tuple[str, bool] | None:
    """Return the name of the focused control, and whether its focus is seen; None: not ours."""
    found = evaluate(page, FOCUSED)
    return (found[0], found[1]) if found else None


def enter(page: Any) -> None:
    """Show the panel on a laptop's screen, with the focus on its cell."""
    page.set_viewport_size({"width": 1366, "height": 768})
    evaluate(page, ENTER)


def tab_through(page: Any, key: str = "Tab", most: int = 60) -> list[str]:
    """Press Tab until the focus has been in the panel and has left it; return the names."""
    names: list[str] = []
    for _ in range(most):
        page.keyboard.press(key)
        control = focused(page)
        if control is None and names:
            return names
        if control is not None:
            assert control[1], f"the focus of {control[0]!r} is not seen"
            names.append(control[0])
    raise AssertionError(f"the focus does not leave the panel: {names}")


def tab_to(page: Any, name: str, times: int = 1) -> None:
    """Press Tab until a control of that name has the focus, for the first or a later time."""
    for _ in range(60):
        page.keyboard.press("Tab")
        control = focused(page)
        if control is not None and control[0] == name:
            times -= 1
            if times == 0:
                return
    raise AssertionError(f"Tab does not reach {name!r}")
