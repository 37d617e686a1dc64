"""What people do to a page: reload it, end its kernel, leave it; the panel lives, or says why."""

from __future__ import annotations

import json
import time
import urllib.request
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
SHORT_LIMITS = """
from lessons.ui import live, rest
live.HEARTBEAT_SECONDS, live.DROP_SECONDS, rest.REST_SECONDS = 1.0, 1.0, 3.0
"""
# Writes down what the kernel does while no page asks it: simulated time, CPU seconds, the state.
DIARY = """
import os, pathlib, threading, time
def write():
    while True:
        rests = "resting" in cockpit.transport.status.value
        line = f"{cockpit.cluster.clock.now()} {time.process_time()} {rests:d}"
        pathlib.Path("../diary.new").write_text(line)
        os.replace("../diary.new", "../diary.txt")
        time.sleep(0.5)
threading.Thread(target=write, daemon=True).start()
"""
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


def read_diary(home: Path) -> list[float]:
    """Return simulated time, CPU seconds, and whether the panel rests; [] before the first."""
    file = home / "diary.txt"
    return [float(word) for word in file.read_text().split()] if file.exists() else []


def last_activity(url: str) -> list[str]:
    """Return when the server's kernels last did something, as JupyterHub's culler sees it."""
    with urllib.request.urlopen(f"{url}/api/kernels", timeout=10) as answer:
        return [kernel["last_activity"] for kernel in json.load(answer)]


def expect_still(page: Any) -> None:
    """The picture and the advice are there; the panel and error boxes are not."""
    page.get_by_text(ADVICE).wait_for(timeout=TIMEOUT)
    assert page.locator(".jp-RenderedSVG").first.is_visible()
    assert not page.locator(".ks-cockpit").first.is_visible()
    for box in page.get_by_text(ERRORS).all():
        assert not box.is_visible()
    assert evaluate(page, BROKEN_LINKS) == 0


def test_save_and_reload_brings_the_panel_back_alive(page: Any, lab: tuple[str, Path]) -> None:
    """The kernel lives on: the same run, with its history, in a chart that moves.

    The panel's cell has run twice, as people do: what was closed must not stop the restoration.
    """
    url, _home = lab
    run_panel(page, url)
    run_cells(page, "Cockpit(")
    page.locator(".ks-cockpit").scroll_into_view_if_needed(timeout=TIMEOUT)
    wait_until_more(page, "metrics", "t", 5)
    assert not page.get_by_text(ADVICE).is_visible()
    before = execute(page, "print(id(cockpit))")
    for _ in range(2):
        length = evaluate(page, HISTORY)
        evaluate(page, SAVE)
        page.reload(timeout=TIMEOUT)
        page.wait_for_function(READY, timeout=TIMEOUT)
        page.locator(".ks-cockpit").scroll_into_view_if_needed(timeout=TIMEOUT)
        wait_until_more(page, "metrics", "t", 5)
        assert evaluate(page, HISTORY) >= length / 2  # a full chart drops its oldest values
        wait_until_more(page, "metrics", "t", evaluate(page, LAST, ["metrics", "t"]) + 20)
        for box in page.get_by_text(ERRORS).all():
            assert not box.is_visible()
        assert not page.get_by_text(ADVICE).is_visible()
    assert execute(page, "print(id(cockpit))") == before
    press(page, "target [%]", "ArrowLeft", 4)  # 70 -> 50, in steps of 5
    wait_for_kernel(page, "print(cockpit.cluster.hpa_config()['target_cpu'])", "50")
    assert page.console_errors == []


def test_without_its_kernel_a_panel_is_a_picture(page: Any, lab: tuple[str, Path]) -> None:
    """A restart with the page open, and the next day: no dead controls, no broken links, advice.

    Each time the advice is followed, and the panel lives again.
    """
    url, _home = lab
    run_panel(page, url)
    evaluate(page, RESTART)
    page.wait_for_function(READY, timeout=TIMEOUT)
    expect_still(page)
    run_cells(page, "setup()", "Cockpit(")
    wait_until_more(page, "metrics", "t", 5)
    evaluate(page, SAVE)
    evaluate(page, SHUT_DOWN)
    open_notebook(page, url, COCKPIT)
    page.locator(".ks-still").scroll_into_view_if_needed(timeout=TIMEOUT)
    expect_still(page)
    run_cells(page, "setup()", "Cockpit(")
    page.locator(".ks-cockpit").scroll_into_view_if_needed(timeout=TIMEOUT)
    wait_until_more(page, "metrics", "t", 5)
    assert not page.get_by_text(ADVICE).is_visible()


def test_a_panel_rests_while_nobody_looks(page: Any, lab: tuple[str, Path]) -> None:
    """Watched, it never rests; scrolled away it does, and says so when somebody is back.

    A page that is closed says nothing. Then the kernel falls silent as well, and lives on when the
    page is opened again.
    """
    url, home = lab
    open_notebook(page, url, COCKPIT)
    execute(page, SHORT_LIMITS)
    run_cells(page, "setup()", "Cockpit(")
    page.locator(".ks-cockpit").scroll_into_view_if_needed(timeout=TIMEOUT)
    wait_until_more(page, "metrics", "t", 5)
    page.wait_for_timeout(5_000)
    state = "print('resting' in cockpit.transport.status.value)"
    assert execute(page, state) == "False"

    evaluate(page, SCROLL_TO_TOP)
    wait_for_kernel(page, state, "True")
    now = "print(cockpit.cluster.clock.now())"
    stopped = execute(page, now)
    page.wait_for_timeout(1_000)
    assert execute(page, now) == stopped
    page.locator(".ks-cockpit").scroll_into_view_if_needed(timeout=TIMEOUT)
    page.get_by_text("while nobody looked").wait_for(timeout=TIMEOUT)
    wait_until_more(page, "metrics", "t", float(stopped) + 5)

    evaluate(page, SAVE)
    execute(page, DIARY)
    page.goto("about:blank", timeout=TIMEOUT)
    end = time.monotonic() + TIMEOUT / 1_000
    while read_diary(home)[2:] != [1] and time.monotonic() < end:
        time.sleep(0.2)
    time.sleep(1)
    (left, cpu, rests), active = read_diary(home), last_activity(url)
    start = time.monotonic()
    time.sleep(5)
    later, later_cpu, still_rests = read_diary(home)
    assert (later, rests, still_rests) == (left, 1, 1)
    assert (later_cpu - cpu) / (time.monotonic() - start) < 0.02  # of a core, with the diary
    assert last_activity(url) == active  # no message at all
    open_notebook(page, url, COCKPIT)
    page.locator(".ks-cockpit").scroll_into_view_if_needed(timeout=TIMEOUT)
    wait_until_more(page, "metrics", "t", left + 5)

    execute(page, SHORT_LIMITS)
    run_cells(page, "Cockpit(")  # the new view is there; the old one is freed
    page.wait_for_timeout(3_000)
    run_cells(page, "Cockpit(")
    page.wait_for_timeout(3_000)
    assert page.script_errors == []
