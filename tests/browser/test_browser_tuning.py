"""The tuning panel in a real JupyterLab: a knob is a new run, on the screen within a moment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from lab_page import (
    TIMEOUT,
    evaluate,
    execute,
    open_notebook,
    press,
    settle,
    wait_until_more,
)

RESULTS = Path(__file__).resolve().parents[2] / "test-results"
pytestmark = [pytest.mark.browser, pytest.mark.slow]

# Runs the cells that are needed for the panel: the set-up, and the panel's own.
RUN_PANEL = """async () => {
  const notebook = window.jupyterapp.shell.currentWidget.content;
  for (const text of ['setup()', 'TuningPanel(']) {
    notebook.activeCellIndex = notebook.widgets.findIndex(
      cell => cell.model.type === 'code' && cell.model.sharedModel.source.includes(text));
    await window.jupyterapp.commands.execute('notebook:run-cell');
  }
}"""
MOST = """() => {
  const found = (window.Bokeh?.documents || []).map(doc => doc.get_model_by_name('sizes'));
  const source = found.reverse().find(each => each && each.data['desired'].length);
  return source ? Math.max(...source.data['desired']) : -1;
}"""


def test_a_knob_of_the_tuning_panel_is_a_new_run(page: Any, lab: tuple[str, Path]) -> None:
    """Keep as A, then a lower target by keyboard: more pods in the page's own chart, and both
    columns of scores; the load of the page's dropdown is drawn over its own length."""
    url, _home = lab
    open_notebook(page, url, "07_hpa_tuning.ipynb")
    evaluate(page, RUN_PANEL)
    page.locator(".ks-cockpit").scroll_into_view_if_needed(timeout=TIMEOUT)
    wait_until_more(page, "trial", "t", 2_000)
    before = evaluate(page, MOST)

    page.get_by_role("button", name="Keep as A").click()
    press(page, "target [%]", "ArrowLeft", 6)  # 80 -> 50, in steps of 5
    page.wait_for_function(f"before => ({MOST})() > before", arg=before, timeout=TIMEOUT)
    page.get_by_text("averageUtilization 50").wait_for(timeout=TIMEOUT)  # the store says so
    assert execute(page, "print(panel.settled(), panel.tuning.target)") == "True 50"
    assert execute(page, "print(panel.table().columns)") == "('score', 'A', 'now')"

    settle(page)
    RESULTS.mkdir(exist_ok=True)
    page.locator(".ks-cockpit").screenshot(path=str(RESULTS / "tuning.png"))
    assert page.console_errors == []
