"""The lessons in a real JupyterLab: sliders move the cluster, charts move with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "test-results"
NOTEBOOKS = sorted(path.name for path in (ROOT / "notebooks").glob("*.ipynb"))
COCKPIT = "04_autoscaler.ipynb"
TIMEOUT = 90_000  # ms; machines with two busy cores are slow
# The last value of a column of a named source, of the newest document that has one; -1 if none.
LAST = """([name, column]) => {
  for (const doc of (window.Bokeh?.documents || []).slice().reverse()) {
    const source = doc.get_model_by_name(name);
    if (source && source.data[column].length) return source.data[column].at(-1);
  }
  return -1;
}"""
# Names of the pods in the bars of the newest document that has some.
PODS = """() => {
  for (const doc of (window.Bokeh?.documents || []).slice().reverse()) {
    const source = doc.get_model_by_name('segments');
    if (source && source.data.pod.length) return Array.from(source.data.pod);
  }
  return [];
}"""
EXECUTE = """async code => {
  const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
  let text = '';
  const future = kernel.requestExecute({code});
  future.onIOPub = message => {
    if (message.header.msg_type === 'stream') text += message.content.text;
    if (message.header.msg_type === 'error') text += message.content.evalue;
  };
  await future.done;
  return text.trim();
}"""
READY = """() => window.jupyterapp?.shell?.currentWidget?.sessionContext?.session?.kernel?.status
  === 'idle'"""
RUN_ALL = "() => window.jupyterapp.commands.execute('notebook:run-all-cells')"
RUN_COCKPIT_CELL = """async () => {
  const notebook = window.jupyterapp.shell.currentWidget.content;
  notebook.activeCellIndex = notebook.widgets.findIndex(
    cell => cell.model.sharedModel.source.includes('Cockpit('));
  await window.jupyterapp.commands.execute('notebook:run-cell');
}"""
# After "run all": how many code cells there are, and which of them failed.
OUTCOME = """() => {
  const cells = window.jupyterapp.shell.currentWidget.content.widgets
    .filter(cell => cell.model.type === 'code').map(cell => cell.model.sharedModel);
  const failed = cells.filter(
    cell => cell.outputs.some(output => output.output_type === 'error'));
  return {
    cells: cells.length,
    run: cells.filter(cell => cell.execution_count).length,
    failed: failed.map(cell => cell.source),
  };
}"""


def open_notebook(page: Any, url: str, name: str) -> None:
    """Open a notebook and wait for its kernel."""
    page.goto(f"{url}/lab/tree/{name}?reset", timeout=TIMEOUT)
    page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=TIMEOUT)
    page.wait_for_function(READY, timeout=TIMEOUT)


def execute(page: Any, code: str) -> str:
    """Run code in the notebook's kernel; what it printed."""
    return str(page.evaluate(EXECUTE, code))


def run_cockpit(page: Any, url: str) -> None:
    """Open lesson 4, run all its cells, and wait until the cockpit's chart moves."""
    open_notebook(page, url, COCKPIT)
    page.evaluate(RUN_ALL)
    page.locator(".ks-cockpit").scroll_into_view_if_needed(timeout=TIMEOUT)
    wait_until_more(page, "metrics", "t", 5)


def wait_until_more(page: Any, source: str, column: str, than: float) -> None:
    """Wait until the newest value in the page's own data is above a number."""
    newest = f"value => ({LAST})({[source, column]}) > value"
    page.wait_for_function(newest, arg=than, timeout=TIMEOUT)


def wait_for_kernel(page: Any, code: str, wanted: str) -> None:
    """Ask the kernel until it says what is wanted."""
    said = ""
    for _ in range(60):
        said = execute(page, code)
        if said == wanted:
            return
        page.wait_for_timeout(200)
    raise AssertionError(f"{code} says {said!r}, not {wanted!r}")


def press(page: Any, label: str, key: str, times: int) -> None:
    """Move the slider with that label by keyboard, as somebody without a mouse does."""
    page.locator(".widget-slider").filter(has_text=label).locator(".noUi-handle").focus()
    for _ in range(times):
        page.keyboard.press(key)


def test_the_cockpit_moves_with_the_cluster(page: Any, lab: tuple[str, Path]) -> None:
    """Run all: the chart grows; sliders change the HPA and the traffic; the pods follow."""
    url, _home = lab
    run_cockpit(page, url)
    wait_until_more(page, "metrics", "t", page.evaluate(LAST, ["metrics", "t"]) + 20)

    target = "print(cockpit.cluster.hpa_config()['target_cpu'])"
    press(page, "target [%]", "ArrowLeft", 4)  # 70 -> 50, in steps of 5
    wait_for_kernel(page, target, "50")
    page.get_by_text("target 50 %").wait_for(timeout=TIMEOUT)  # the store says so, in the panel
    box = page.locator(".ks-cockpit input[type=number]").first
    box.fill("65")  # a number of its own, by the box beside the slider
    box.press("Tab")
    wait_for_kernel(page, target, "65")

    pods = page.evaluate(LAST, ["metrics", "desired"])
    press(page, "requests/s", "ArrowRight", 24)  # 30 -> 150
    wait_until_more(page, "metrics", "offered", 140)
    wait_until_more(page, "metrics", "desired", pods + 2)
    wait_until_more(page, "ups", "after", 5)
    wait_until_more(page, "metrics", "ready", 5)
    assert execute(page, "print(repr(cockpit.error))") == "''"

    page.mouse.move(5, 5)
    page.wait_for_timeout(4_000)
    RESULTS.mkdir(exist_ok=True)
    page.locator(".ks-cockpit").screenshot(path=str(RESULTS / "cockpit.png"))
    assert page.console_errors == []


def test_refusals_are_red_and_pause_pauses(page: Any, lab: tuple[str, Path]) -> None:
    """Min above max is refused in words; Pause stops the clock, Step lets five seconds pass."""
    url, _home = lab
    run_cockpit(page, url)
    press(page, "min pods", "End", 1)  # 20, above max 10
    page.get_by_role("alert").get_by_text("min_pods must not be above max_pods").wait_for()
    page.get_by_role("button", name="Pause").click()
    page.locator(".ks-state", has_text="paused").wait_for(timeout=TIMEOUT)
    now = "print(round(cockpit.cluster.clock.now(), 3))"
    before = float(execute(page, now))
    page.wait_for_timeout(500)
    assert float(execute(page, now)) == before
    page.get_by_role("button", name="Step").click()
    wait_for_kernel(page, now, str(round(before + 5, 3)))
    wait_until_more(page, "metrics", "t", before + 4)


def test_running_the_cell_again_leaks_nothing(page: Any, lab: tuple[str, Path]) -> None:
    """Three more runs of the cockpit's cell: one cockpit thread, one cluster, a moving chart."""
    url, _home = lab
    run_cockpit(page, url)
    for _ in range(3):
        page.evaluate(RUN_COCKPIT_CELL)
    count = (
        "import threading\n"
        "names = [t.name for t in threading.enumerate()]\n"
        "print(names.count('cockpit-main'), names.count('horizontal-pod-autoscaler'))"
    )
    assert execute(page, count) == "1 1"
    wait_until_more(page, "metrics", "t", page.evaluate(LAST, ["metrics", "t"]) + 20)
    done = "cockpit.close()\nfrom lessons import session\nprint(session.threads())"
    assert execute(page, done) == "[]"


def test_the_chart_survives_a_reload_of_the_page(page: Any, lab: tuple[str, Path]) -> None:
    """The kernel lives on; after "run all" so does the chart, again and again."""
    url, _home = lab
    run_cockpit(page, url)
    for _ in range(2):
        page.reload()
        run_cockpit(page, url)
        wait_until_more(page, "metrics", "t", page.evaluate(LAST, ["metrics", "t"]) + 20)
    count = "import threading; print([t.name for t in threading.enumerate()].count('cockpit-main'))"
    assert execute(page, count) == "1"


def test_the_other_clock_moves_the_same_panel(page: Any, lab: tuple[str, Path]) -> None:
    """The toggle: no thread but the panel's own, and the chart goes on from zero."""
    url, _home = lab
    run_cockpit(page, url)
    page.get_by_role("button", name="virtual: no threads").click()
    threads = "from lessons import session; print(session.threads())"
    wait_for_kernel(page, threads, "['cockpit-main']")
    wait_until_more(page, "metrics", "t", 30)
    assert execute(page, "print(cockpit.cluster.clock.virtual, repr(cockpit.error))") == "True ''"


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_every_lesson_runs_from_top_to_bottom(page: Any, lab: tuple[str, Path], name: str) -> None:
    """Restart and run all, as a reader does: every cell is run, none fails, nothing is logged."""
    url, _home = lab
    open_notebook(page, url, name)
    page.evaluate("() => window.jupyterapp.commands.execute('notebook:clear-all-cell-outputs')")
    page.evaluate(RUN_ALL)
    assert execute(page, "print('idle')") == "idle"
    outcome = page.evaluate(OUTCOME)
    assert outcome["failed"] == []
    assert outcome["run"] == outcome["cells"] >= 5
    assert page.console_errors == []


def test_the_scheduler_s_panel_shows_where_pods_go(page: Any, lab: tuple[str, Path]) -> None:
    """Buttons make pods and close a node, the weight starts the scheduler anew, the bars follow."""
    url, _home = lab
    open_notebook(page, url, "05_scheduler.ipynb")
    page.evaluate(RUN_ALL)
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
