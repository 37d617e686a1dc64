"""The lessons in a real JupyterLab: sliders move the cluster, charts move with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from lab_page import (
    COCKPIT,
    LAST,
    OUTCOME,
    PODS,
    RUN_ALL,
    RUN_ALL_TIMEOUT,
    RUN_COCKPIT_CELL,
    TIMEOUT,
    evaluate,
    execute,
    open_notebook,
    press,
    settle,
    wait_for_kernel,
    wait_until_more,
)

pytestmark = [pytest.mark.browser, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "test-results"
SCHEDULER = "05_scheduler.ipynb"
NOTEBOOKS = sorted(path.name for path in (ROOT / "notebooks").glob("*.ipynb"))
# Run from top to bottom by the tests of their panels, which go on from there.
WITH_PANEL_TESTS = {COCKPIT, SCHEDULER}


def run_lesson(page: Any, url: str, name: str) -> None:
    """Restart and run all, as a reader does: every cell is run, none fails, nothing is logged."""
    open_notebook(page, url, name)
    evaluate(page, "() => window.jupyterapp.commands.execute('notebook:clear-all-cell-outputs')")
    evaluate(page, RUN_ALL, timeout=RUN_ALL_TIMEOUT)
    assert execute(page, "print('idle')") == "idle"
    outcome = evaluate(page, OUTCOME)
    assert outcome["failed"] == []
    assert outcome["run"] == outcome["cells"] >= 5
    assert page.console_errors == []


@pytest.mark.parametrize("script", ["() => new Promise(() => {})", "() => { while (true); }"])
def test_a_page_that_hangs_fails_instead_of_waiting(browser: Any, script: str) -> None:
    """A promise that is never fulfilled, and a script that never ends."""
    errors = pytest.importorskip("playwright.sync_api")
    page = browser.new_page()
    try:
        assert evaluate(page, "word => word + '!'", "here") == "here!"
        with pytest.raises(errors.TimeoutError):
            evaluate(page, script, timeout=1_000)
    finally:
        page.context.close()


def test_the_cockpit_moves_with_the_cluster(page: Any, lab: tuple[str, Path]) -> None:
    """Run all: the chart grows; sliders change the HPA and the traffic; the pods follow."""
    url, _home = lab
    run_lesson(page, url, COCKPIT)
    page.locator(".ks-cockpit").scroll_into_view_if_needed(timeout=TIMEOUT)
    wait_until_more(page, "metrics", "t", 5)
    wait_until_more(page, "metrics", "t", evaluate(page, LAST, ["metrics", "t"]) + 20)

    target = "print(cockpit.cluster.hpa_config()['target_cpu'])"
    press(page, "target [%]", "ArrowLeft", 4)  # 70 -> 50, in steps of 5
    wait_for_kernel(page, target, "50")
    page.get_by_text("target 50 %").wait_for(timeout=TIMEOUT)  # the store says so, in the panel
    row = page.locator(".ks-number", has_text="target [%]")
    box = row.locator("input[type=number]")
    box.fill("65")  # a number of its own, by the box beside the slider
    box.press("Tab")
    wait_for_kernel(page, target, "65")

    pods = evaluate(page, LAST, ["metrics", "desired"])
    press(page, "requests/s", "ArrowRight", 24)  # 30 -> 150
    wait_until_more(page, "metrics", "offered", 140)
    wait_until_more(page, "metrics", "desired", pods + 2)
    wait_until_more(page, "ups", "after", 5)
    wait_until_more(page, "metrics", "ready", 5)
    assert execute(page, "print(repr(cockpit.error))") == "''"

    page.locator("body").hover(position={"x": 5, "y": 5}, force=True)
    settle(page)
    RESULTS.mkdir(exist_ok=True)
    page.locator(".ks-cockpit").screenshot(path=str(RESULTS / "cockpit.png"))
    assert page.console_errors == []


class TestCockpitOfLesson4:
    """The tests share a page; each begins with a new cockpit."""

    @pytest.fixture
    def cockpit(self, lesson_4: Any) -> Any:
        """Run the cell again, and wait until the new cockpit's clock and chart have begun."""
        evaluate(lesson_4, RUN_COCKPIT_CELL)
        wait_for_kernel(lesson_4, "print(cockpit.cluster.clock.now() > 5)", "True")
        wait_until_more(lesson_4, "metrics", "t", 5)
        return lesson_4

    def test_refusals_are_red_and_pause_pauses(self, cockpit: Any) -> None:
        """Min above max is refused in words; Pause stops the clock, Step lets 5 s pass."""
        press(cockpit, "min pods", "End", 1)  # 20, above max 10
        alert = cockpit.get_by_role("alert").get_by_text("min_pods must not be above max_pods")
        alert.wait_for()
        cockpit.get_by_role("button", name="Pause").click()
        cockpit.locator(".ks-state", has_text="paused").wait_for(timeout=TIMEOUT)
        now = "print(round(cockpit.cluster.clock.now(), 3))"
        before = float(execute(cockpit, now))
        cockpit.wait_for_timeout(500)
        assert float(execute(cockpit, now)) == before
        cockpit.get_by_role("button", name="Step").click()
        wait_for_kernel(cockpit, now, str(round(before + 5, 3)))
        wait_until_more(cockpit, "metrics", "t", before + 4)

    def test_the_other_clock_moves_the_same_panel(self, cockpit: Any) -> None:
        """The toggle: no thread but the panel's own, and the chart goes on from zero."""
        cockpit.get_by_role("button", name="virtual", exact=True).click()
        threads = "from lessons import session; print(session.threads())"
        wait_for_kernel(cockpit, threads, "['cockpit-main']")
        wait_until_more(cockpit, "metrics", "t", 30)
        state = execute(cockpit, "print(cockpit.cluster.clock.virtual, repr(cockpit.error))")
        assert state == "True ''"

    def test_running_the_cell_again_leaks_nothing(self, cockpit: Any) -> None:
        """Two more runs of the cockpit's cell: one cockpit thread, one cluster, a moving chart."""
        for _ in range(2):
            evaluate(cockpit, RUN_COCKPIT_CELL)
        count = (
            "import threading\n"
            "names = [t.name for t in threading.enumerate()]\n"
            "print(names.count('cockpit-main'), names.count('horizontal-pod-autoscaler'))"
        )
        assert execute(cockpit, count) == "1 1"
        wait_until_more(cockpit, "metrics", "t", evaluate(cockpit, LAST, ["metrics", "t"]) + 20)
        done = "cockpit.close()\nfrom lessons import session\nprint(session.threads())"
        assert execute(cockpit, done) == "[]"


@pytest.mark.parametrize("name", [n for n in NOTEBOOKS if n not in WITH_PANEL_TESTS])
def test_every_lesson_runs_from_top_to_bottom(page: Any, lab: tuple[str, Path], name: str) -> None:
    """The lessons without a test of their panel above or below."""
    assert set(NOTEBOOKS) >= WITH_PANEL_TESTS
    run_lesson(page, lab[0], name)


def test_the_scheduler_s_panel_shows_where_pods_go(page: Any, lab: tuple[str, Path]) -> None:
    """Buttons make pods and close a node, the weight starts the scheduler anew, the bars follow."""
    url, _home = lab
    run_lesson(page, url, SCHEDULER)
    page.locator(".ks-cockpit").scroll_into_view_if_needed(timeout=TIMEOUT)
    newest = f"name => ({LAST})(['marked', 'y']) !== -1 && ({PODS})().includes(name)"
    page.wait_for_function(newest, arg="p6", timeout=TIMEOUT)
    page.get_by_role("button", name="Cordon / open").click()
    press(page, "weight", "ArrowRight", 5)
    page.get_by_text("default plug-ins + Pack × 5").wait_for(timeout=TIMEOUT)
    page.get_by_role("button", name="Create pods").click()
    page.wait_for_function(newest, arg="p9", timeout=TIMEOUT)
    asked = "from lessons.pods import where; print(len({where(panel.cluster, p) for p in NEW}))"
    wait_for_kernel(page, asked.replace("NEW", "('p7', 'p8', 'p9')"), "1")
    assert execute(page, "print(panel.cluster.node('node-1').schedulable)") == "False"
    assert execute(page, "print(repr(panel.error))") == "''"
    assert page.console_errors == []
