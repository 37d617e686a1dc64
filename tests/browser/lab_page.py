"""What the browser tests do with a page of JupyterLab, each call with a time limit.

`page.evaluate` has no time limit, so a hanging page would stop the tests forever. `evaluate` here
uses `wait_for_function`, which Playwright's driver ends even while the page's thread is blocked.
"""

from __future__ import annotations

import time
from typing import Any

COCKPIT = "04_autoscaler.ipynb"
TIMEOUT = 90_000  # ms; machines with two busy cores are slow
RUN_ALL_TIMEOUT = 240_000
# The panels that have a page of their own, for all tests of that panel.
PANELS = {
    "cockpit": "from lessons import Cockpit\np = Cockpit(name='cockpit')\np",
    "scheduler": "from lessons import SchedulerPanel\np = SchedulerPanel(name='scheduler')\np",
    "rollout": "from lessons import RolloutPanel\np = RolloutPanel(name='rollout')\np",
    "tuning": "from lessons import TuningPanel\np = TuningPanel(name='tuning')\np",
}
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
RUN_CELLS = """async texts => {
  const notebook = window.jupyterapp.shell.currentWidget.content;
  for (const text of texts) {
    notebook.activeCellIndex = notebook.widgets.findIndex(
      cell => cell.model.type === 'code' && cell.model.sharedModel.source.includes(text));
    await window.jupyterapp.commands.execute('notebook:run-cell');
  }
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
# Whether BokehJS has drawn a document.
DRAWN = """() => (window.Bokeh?.documents || []).some(
  each => each.roots().length && each.roots()[0].constructor)"""
# Fulfilled when no box of a panel has moved or changed its size for half a second.
SETTLED = """async () => {
  const parts = '.ks-cockpit, .ks-card, .ks-charts > *, .ks-cockpit .noUi-target';
  const boxes = () => JSON.stringify(
    [...document.querySelectorAll(parts)].map(each => each.getBoundingClientRect()));
  for (let last = '', same = 0; same < 5; last = boxes()) {
    await new Promise(done => setTimeout(done, 100));
    same = boxes() === last ? same + 1 : 0;
  }
}"""


def evaluate(page: Any, script: str, arg: Any = None, timeout: float = TIMEOUT) -> Any:
    """Call a JavaScript function in the page, once, and return what it returns or promises.

    Args:
        page: the page.
        script: a function expression with at most one parameter.
        arg: its argument.
        timeout: in milliseconds.

    Raises:
        playwright.sync_api.TimeoutError: the function, or the page, did not answer in time.
    """
    wrapped = f"async arg => ({{ value: await ({script})(arg) }})"
    handle = page.wait_for_function(wrapped, arg=arg, timeout=timeout)
    return handle.json_value().get("value")


def open_notebook(page: Any, url: str, name: str) -> None:
    """Open a notebook and wait for its kernel."""
    page.goto(f"{url}/lab/tree/{name}?reset", timeout=TIMEOUT)
    page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=TIMEOUT)
    page.wait_for_function(READY, timeout=TIMEOUT)


def execute(page: Any, code: str) -> str:
    """Run code in the notebook's kernel; return what it printed."""
    return str(evaluate(page, EXECUTE, code))


def run_cells(page: Any, *texts: str) -> None:
    """Run the first code cell that contains the first text, then that of the next one."""
    evaluate(page, RUN_CELLS, list(texts))


def run_cockpit(page: Any, url: str) -> None:
    """Open lesson 4, run its first cell and the cockpit's, and wait until the chart moves."""
    open_notebook(page, url, COCKPIT)
    run_cells(page, "setup()", "Cockpit(")
    page.locator(".ks-cockpit").scroll_into_view_if_needed(timeout=TIMEOUT)
    wait_until_more(page, "metrics", "t", 5)


def wait_until_more(page: Any, source: str, column: str, than: float) -> None:
    """Wait until the newest value in the page's own data is above a number."""
    newest = f"value => ({LAST})({[source, column]}) > value"
    page.wait_for_function(newest, arg=than, timeout=TIMEOUT)


def settle(page: Any) -> None:
    """Wait until the panels on the page have their places and sizes."""
    evaluate(page, SETTLED)


def wait_for_kernel(page: Any, code: str, wanted: str) -> None:
    """Run code in the kernel until it prints what is wanted."""
    printed, end = "", time.monotonic() + TIMEOUT / 1_000
    while time.monotonic() < end:
        printed = execute(page, code)
        if printed == wanted:
            return
        page.wait_for_timeout(200)
    raise AssertionError(f"{code} prints {printed!r}, not {wanted!r}")


def press(page: Any, label: str, key: str, times: int) -> None:
    """Move the slider with that label by keyboard, as people without a mouse do."""
    handle = page.locator(".widget-slider").filter(has_text=label).locator(".noUi-handle")
    for _ in range(times):
        handle.press(key, timeout=TIMEOUT)
