"""Each panel on its screens, in each theme of JupyterLab, and by keyboard alone.

The tests of a panel share its page: each begins by choosing its screen, and leaves the theme, the
size and the switches as it met them. The screenshots are in pytest's temporary folder, named after
panel and screen (`--basetemp` chooses it).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, ClassVar

import pytest
from lab_keys import CONTROL, ORDER, enter, tab_through, tab_to
from lab_looks import (
    CHANGE_THEME,
    CUT,
    EDGES,
    LETTERS,
    LIGHT,
    NAMES,
    SCREENS,
    TARGET,
    THEME,
    TO_TOP,
    has_its_colours,
)
from lab_page import TIMEOUT, evaluate, execute, settle, wait_for_kernel

pytestmark = [pytest.mark.browser, pytest.mark.slow]


class PanelTests:
    """What holds for each panel."""

    name: ClassVar[str]

    def test_it_fits_the_screen_and_follows_the_theme(self, panel: Any, tmp_path: Path) -> None:
        """Sliders and charts are seen at once; in a dark theme the charts are dark."""
        for screen, (width, theme) in SCREENS.items():
            panel.set_viewport_size({"width": width, "height": 768})
            evaluate(panel, CHANGE_THEME, theme)
            panel.wait_for_function(THEME, arg=theme, timeout=TIMEOUT)
            assert has_its_colours(panel, theme), screen
            settle(panel)
            evaluate(panel, TO_TOP)
            settle(panel)
            panel.screenshot(path=str(tmp_path / f"{self.name}-{screen}.png"))
            edges = evaluate(panel, EDGES)
            assert edges["sliders"] <= edges["window"], (screen, edges)
            assert edges["charts"] <= edges["window"], (screen, edges)
            assert edges["wide"] == 0, screen
            assert edges["beside"] or width < 1366, screen
        evaluate(panel, CHANGE_THEME, LIGHT)
        assert panel.console_errors == []

    def test_tab_reaches_every_control_and_leaves(self, panel: Any, tmp_path: Path) -> None:
        """In the order of the page, with a visible focus, and the same way back; all have names."""
        snapshot = panel.locator(".ks-cockpit").aria_snapshot()
        controls = CONTROL.findall(snapshot)
        nameless = [role for role, rest in controls if not re.match(r' "\S', rest)]
        assert nameless == [], snapshot
        enter(panel)
        names = tab_through(panel)
        panel.screenshot(path=str(tmp_path / f"{self.name}.png"))
        assert names == ORDER[self.name]
        assert tab_through(panel, "Shift+Tab") == names[::-1]
        assert panel.console_errors == []

    def test_a_column_beside_the_file_browser(self, panel: Any, tmp_path: Path) -> None:
        """In 350 pixels the cards stand one below the other, and every control can be used."""
        panel.set_viewport_size({"width": 700, "height": 768})
        panel.wait_for_timeout(1_500)
        evaluate(panel, TO_TOP)
        panel.wait_for_timeout(1_000)
        panel.screenshot(path=str(tmp_path / f"{self.name}-column.png"))
        assert panel.locator(".ks-cockpit").bounding_box()["width"] < 400
        cut = evaluate(panel, CUT)
        assert cut["buttons"] == cut["dropdowns"] == []
        assert min(cut["tracks"]) > 60, cut


class TestCockpit(PanelTests):
    """The cockpit of lesson 4."""

    name = "cockpit"

    def test_by_keyboard(self, panel: Any, tmp_path: Path) -> None:
        """Pause and Run, a slider, its box, a dropdown, a table: each by its usual keys."""
        enter(panel)
        tab_to(panel, "Pause")
        panel.keyboard.press("Space")
        wait_for_kernel(panel, "print(p.running)", "False")
        panel.keyboard.press("Shift+Tab")
        panel.keyboard.press("Enter")
        wait_for_kernel(panel, "print(p.running)", "True")
        panel.screenshot(path=str(tmp_path / "focus.png"))
        tab_to(panel, "speed")
        panel.keyboard.press("ArrowDown")
        wait_for_kernel(panel, "print(p.cluster.clock.speed)", "50.0")
        tab_to(panel, "target [%]")
        for key in ("ArrowLeft", "ArrowLeft", "ArrowDown", "ArrowUp"):
            panel.keyboard.press(key)
        wait_for_kernel(panel, "print(p.cluster.hpa_config()['target_cpu'])", "60")
        panel.keyboard.press("Tab")
        panel.keyboard.press("ArrowUp")
        wait_for_kernel(panel, "print(p.cluster.hpa_config()['target_cpu'])", "61")
        tab_to(panel, "Pods")
        panel.keyboard.press("Enter")
        panel.get_by_text("Pods (", exact=False).first.wait_for(timeout=TIMEOUT)
        assert evaluate(panel, "() => document.activeElement.ariaPressed") == "true"
        panel.keyboard.press("Enter")
        panel.get_by_text("Pods (", exact=False).first.wait_for(state="hidden", timeout=TIMEOUT)
        index = "() => window.jupyterapp.shell.currentWidget.content.activeCellIndex"
        assert evaluate(panel, index) == 1  # JupyterLab took none of the keys for itself

    def test_a_hall_and_a_screen_reader(self, panel: Any, tmp_path: Path) -> None:
        """Bigger letters by one button; sliders have names; the number follows while dragging."""
        panel.set_viewport_size({"width": 1366, "height": 768})
        target = execute(panel, TARGET)
        panel.get_by_role("button", name="Hall").click()
        wait_for_kernel(panel, f"print({LETTERS})", "18px")
        settle(panel)
        evaluate(panel, TO_TOP)
        settle(panel)
        panel.screenshot(path=str(tmp_path / "hall.png"))
        edges = evaluate(panel, EDGES)
        assert max(edges["sliders"], edges["charts"]) <= edges["window"]
        assert evaluate(panel, NAMES) == ["requests/s", "target [%]", "min pods", "max pods"]
        assert panel.get_by_role("slider", name="target [%]").count() == 1

        handle = panel.get_by_role("slider", name="target [%]").bounding_box()
        x, y = handle["x"] + handle["width"] / 2, handle["y"] + handle["height"] / 2
        panel.mouse.move(x, y)
        panel.mouse.down()
        panel.mouse.move(x - 30, y, steps=5)
        readout = panel.locator(".ks-number", has_text="target [%]").locator(".widget-readout")
        readout.wait_for(timeout=TIMEOUT)
        dragged = int(readout.inner_text())
        assert dragged < int(target)
        assert execute(panel, TARGET) == target
        panel.mouse.up()
        readout.wait_for(state="hidden", timeout=TIMEOUT)
        panel.get_by_text(f"target {dragged} %").wait_for(timeout=TIMEOUT)
        panel.get_by_role("button", name="Hall").click()
        wait_for_kernel(panel, f"print({LETTERS} != '18px')", "True")


class TestScheduler(PanelTests):
    """The panel of lesson 5."""

    name = "scheduler"

    def test_by_keyboard(self, panel: Any) -> None:
        """More pods by a button."""
        wait_for_kernel(panel, "print(len(p.cluster.pods().rows) > 0)", "True")
        before = int(execute(panel, "print(len(p.cluster.pods().rows))"))
        enter(panel)
        tab_to(panel, "Create pods")
        panel.keyboard.press("Space")
        wait_for_kernel(panel, f"print(len(p.cluster.pods().rows) > {before})", "True")


class TestRollout(PanelTests):
    """The panel of lesson 6."""

    name = "rollout"

    def test_by_keyboard(self, panel: Any) -> None:
        """The next version is rolled out by Enter, and the replicas are changed by an arrow."""
        enter(panel)
        tab_to(panel, "Roll out next version")
        panel.keyboard.press("Enter")
        code = "print(len(p.cluster.rollout('deployment/web').versions()))"
        wait_for_kernel(panel, code, "2")
        tab_to(panel, "replicas")
        panel.keyboard.press("ArrowRight")
        code = "print(p.cluster.api.get('Deployment', 'web')['spec']['replicas'])"
        wait_for_kernel(panel, code, "11")


class TestTuning(PanelTests):
    """The panel of lesson 7."""

    name = "tuning"

    def test_by_keyboard(self, panel: Any) -> None:
        """Keep as A by Space, then a lower target by arrows: a new run beside the kept one."""
        enter(panel)
        tab_to(panel, "Keep as A")
        panel.keyboard.press("Space")
        wait_for_kernel(panel, "print(p.kept is not None)", "True")
        tab_to(panel, "target [%]")
        panel.keyboard.press("ArrowLeft")
        wait_for_kernel(panel, "print(p.settled(), p.tuning.target)", "True 75")
