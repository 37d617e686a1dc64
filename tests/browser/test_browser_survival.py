"""What people do to a page: reload it, end its kernel, leave it; the panel lives, or says why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from lab_page import (
    COCKPIT,
    LAST,
    READY,
    TIMEOUT,
    evaluate,
    execute,
    open_notebook,
    press,
    run_cells,
    wait_for_kernel,
    wait_until_more,
)

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SAVE = "() => window.jupyterapp.commands.execute('docmanager:save')"
RESTART = """() => {
  window.kernelWas = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.id;
  return window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart();
}"""
SHUT_DOWN = """async () => {
  await window.jupyterapp.shell.currentWidget.sessionContext.shutdown();
}"""
SCROLL_TO_TOP = """() => {
  window.jupyterapp.shell.currentWidget.content.scrollToItem(0);
}"""
ADVICE = "To start it, run the first code cell of this notebook"
ERRORS = "Click to show javascript error|Error displaying widget|Loading widget"
# The broken chain that ipywidgets draws beside a widget without a kernel.
BROKEN_LINKS = """() => [...document.querySelectorAll('.jupyter-widgets-disconnected')]
  .filter(each => each.checkVisibility()).length"""
HISTORY = """() => {
  for (const doc of (window.Bokeh?.documents || []).slice().reverse()) {
    const source = doc.get_model_by_name('metrics');
    if (source) return source.data.t.length;
  }
  return -1;
}"""


def run_panel(page: Any, url: str) -> None:
    """Open lesson 4, run its first cell and the cockpit's, and wait until the chart moves."""
    open_notebook(page, url, COCKPIT)
    run_cells(page, "setup()", "Cockpit(")
    page.locator(".ks-cockpit").scroll_into_view_if_needed(timeout=TIMEOUT)
    wait_until_more(page, "metrics", "t", 5)


def expect_still(page: Any) -> None:
    """The picture and the advice are there; the panel and error boxes are not."""
    page.get_by_text(ADVICE).wait_for(timeout=TIMEOUT)
    assert page.locator(".jp-RenderedSVG").first.is_visible()
    assert not page.locator(".ks-cockpit").first.is_visible()
    for box in page.get_by_text(ERRORS).all():
        assert not box.is_visible()
    assert evaluate(page, BROKEN_LINKS) == 0


def test_save_and_reload_brings_the_panel_back_alive(page: Any, lab: tuple[str, Path]) -> None:
    """The kernel lives on: the same run, with its history, in a chart that moves."""
    url, _home = lab
    run_panel(page, url)
    assert not page.get_by_text(ADVICE).is_visible()
    before = execute(page, "print(id(cockpit))")
    for _ in range(2):
        length = evaluate(page, HISTORY)
        evaluate(page, SAVE)
        page.reload(timeout=TIMEOUT)
        page.wait_for_function(READY, timeout=TIMEOUT)
        page.locator(".ks-cockpit").scroll_into_view_if_needed(timeout=TIMEOUT)
        wait_until_more(page, "metrics", "t", 5)
        assert evaluate(page, HISTORY) >= length
        wait_until_more(page, "metrics", "t", evaluate(page, LAST, ["metrics", "t"]) + 20)
        for box in page.get_by_text(ERRORS).all():
            assert not box.is_visible()
        assert not page.get_by_text(ADVICE).is_visible()
    assert execute(page, "print(id(cockpit))") == before
    press(page, "target [%]", "ArrowLeft", 4)  # 70 -> 50, in steps of 5
    wait_for_kernel(page, "print(cockpit.cluster.hpa_config()['target_cpu'])", "50")
    assert page.console_errors == []


def test_the_next_day_the_page_shows_a_picture_and_what_to_do(
    page: Any, lab: tuple[str, Path]
) -> None:
    """Saved, the kernel shut down, opened again; then the advice is followed."""
    url, _home = lab
    run_panel(page, url)
    evaluate(page, SAVE)
    evaluate(page, SHUT_DOWN)
    open_notebook(page, url, COCKPIT)
    page.locator(".ks-still").scroll_into_view_if_needed(timeout=TIMEOUT)
    expect_still(page)
    run_cells(page, "setup()", "Cockpit(")
    page.locator(".ks-cockpit").scroll_into_view_if_needed(timeout=TIMEOUT)
    wait_until_more(page, "metrics", "t", 5)
    assert not page.get_by_text(ADVICE).is_visible()


def test_a_restart_with_the_page_open_shows_the_picture(page: Any, lab: tuple[str, Path]) -> None:
    """No dead controls and no broken links stay behind."""
    url, _home = lab
    run_panel(page, url)
    evaluate(page, RESTART)
    page.wait_for_function(READY, timeout=TIMEOUT)
    expect_still(page)
