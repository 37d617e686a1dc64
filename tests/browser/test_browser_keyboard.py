"""Each panel by keyboard alone, and what a screen reader is told about its controls.

The focus enters the panel by Tab from its cell, as it does for people without a mouse. Names are
those that the browser computes for screen readers.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from lab_page import TIMEOUT, evaluate, execute, open_notebook, run_cells, wait_for_kernel

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PANELS = {
    "cockpit": "from lessons import Cockpit\np = Cockpit(name='cockpit')\np",
    "scheduler": "from lessons import SchedulerPanel\np = SchedulerPanel(name='scheduler')\np",
    "rollout": "from lessons import RolloutPanel\np = RolloutPanel(name='rollout')\np",
    "tuning": "from lessons import TuningPanel\np = TuningPanel(name='tuning')\np",
}
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


@pytest.fixture
def panel(request: pytest.FixtureRequest, page: Any, lab: tuple[str, Path]) -> str:
    """Open a notebook with one panel, run it, and wait for its chart."""
    url, home = lab
    name = str(request.param)
    cells = [
        {
            "cell_type": "code",
            "id": f"cell-{n}",
            "metadata": {},
            "source": source,
            "outputs": [],
            "execution_count": None,
        }
        for n, source in enumerate(["from lessons import setup\nsetup()", PANELS[name]])
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    metadata = {"kernelspec": kernel}
    notebook = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    (home / "notebooks" / f"keys-{name}.ipynb").write_text(json.dumps(notebook))
    page.set_viewport_size({"width": 1366, "height": 768})
    open_notebook(page, url, f"keys-{name}.ipynb")
    run_cells(page, "setup()", f"name='{name}'")
    page.locator(".ks-cockpit .ks-charts canvas").first.wait_for(timeout=TIMEOUT)
    return name


def focused(page: Any) -> tuple[str, bool] | None:
    """Return the name of the focused control, and whether its focus is seen; None: not ours."""
    found = evaluate(page, FOCUSED)
    return (found[0], found[1]) if found else None


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


@pytest.mark.parametrize("panel", PANELS, indirect=True)
def test_tab_reaches_every_control_and_leaves(page: Any, panel: str, tmp_path: Path) -> None:
    """In the order of the page, with a visible focus, and the same way back; all have names."""
    snapshot = page.locator(".ks-cockpit").aria_snapshot()
    controls = CONTROL.findall(snapshot)
    nameless = [role for role, rest in controls if not re.match(r' "\S', rest)]
    assert nameless == [], snapshot
    evaluate(page, ENTER)
    names = tab_through(page)
    page.screenshot(path=str(tmp_path / f"{panel}.png"))
    assert names == ORDER[panel]
    assert tab_through(page, "Shift+Tab") == names[::-1]
    assert page.console_errors == []


@pytest.mark.parametrize("panel", ["cockpit"], indirect=True)
def test_the_cockpit_by_keyboard(page: Any, panel: str, tmp_path: Path) -> None:
    """Pause and Run, a slider, its box, a dropdown, a table: each by its usual keys."""
    evaluate(page, ENTER)
    tab_to(page, "Pause")
    page.keyboard.press("Space")
    wait_for_kernel(page, "print(p.running)", "False")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    wait_for_kernel(page, "print(p.running)", "True")
    page.screenshot(path=str(tmp_path / "focus.png"))
    tab_to(page, "speed")
    page.keyboard.press("ArrowDown")
    wait_for_kernel(page, "print(p.cluster.clock.speed)", "50.0")
    tab_to(page, "target [%]")
    for key in ("ArrowLeft", "ArrowLeft", "ArrowDown", "ArrowUp"):
        page.keyboard.press(key)
    wait_for_kernel(page, "print(p.cluster.hpa_config()['target_cpu'])", "60")
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowUp")
    wait_for_kernel(page, "print(p.cluster.hpa_config()['target_cpu'])", "61")
    tab_to(page, "Pods")
    page.keyboard.press("Enter")
    page.get_by_text("Pods (", exact=False).first.wait_for(timeout=TIMEOUT)
    assert evaluate(page, "() => document.activeElement.ariaPressed") == "true"
    index = "() => window.jupyterapp.shell.currentWidget.content.activeCellIndex"
    assert evaluate(page, index) == 1  # JupyterLab took none of the keys for itself


@pytest.mark.parametrize("panel", ["scheduler"], indirect=True)
def test_the_scheduler_s_panel_by_keyboard(page: Any, panel: str) -> None:
    """More pods by a button."""
    wait_for_kernel(page, "print(len(p.cluster.pods().rows) > 0)", "True")
    before = int(execute(page, "print(len(p.cluster.pods().rows))"))
    evaluate(page, ENTER)
    tab_to(page, "Create pods")
    page.keyboard.press("Space")
    wait_for_kernel(page, f"print(len(p.cluster.pods().rows) > {before})", "True")


@pytest.mark.parametrize("panel", ["rollout"], indirect=True)
def test_a_rollout_by_keyboard(page: Any, panel: str) -> None:
    """The next version is rolled out by Enter, and the replicas are changed by an arrow."""
    evaluate(page, ENTER)
    tab_to(page, "Roll out next version")
    page.keyboard.press("Enter")
    code = "print(len(p.cluster.rollout('deployment/web').versions()))"
    wait_for_kernel(page, code, "2")
    tab_to(page, "replicas")
    page.keyboard.press("ArrowRight")
    code = "print(p.cluster.api.get('Deployment', 'web')['spec']['replicas'])"
    wait_for_kernel(page, code, "11")


@pytest.mark.parametrize("panel", ["tuning"], indirect=True)
def test_tuning_by_keyboard(page: Any, panel: str) -> None:
    """Keep as A by Space, then a lower target by arrows: a new run beside the kept one."""
    evaluate(page, ENTER)
    tab_to(page, "Keep as A")
    page.keyboard.press("Space")
    wait_for_kernel(page, "print(p.kept is not None)", "True")
    tab_to(page, "target [%]")
    page.keyboard.press("ArrowLeft")
    wait_for_kernel(page, "print(p.settled(), p.tuning.target)", "True 75")
