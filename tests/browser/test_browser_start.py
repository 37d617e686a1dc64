"""A learner's first minutes: `lessons start`, the printed address, the links of lesson 0."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lab_page import READY, TIMEOUT, evaluate

pytestmark = [pytest.mark.browser, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]
ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+/lab\S*")
PAGES = {"cheat sheet": "Cheat sheet", "glossary": "Glossary", "teacher's guide": "Teacher's guide"}


def printed_address(process: subprocess.Popen[bytes], log: Path) -> str:
    """Return the address that JupyterLab prints for people without a browser on that machine."""
    for _ in range(300):
        assert process.poll() is None, log.read_text()[-2000:]
        found = ADDRESS.search(log.read_text())
        if found:
            return found.group()
        time.sleep(0.2)
    raise AssertionError(f"no address was printed:\n{log.read_text()[-2000:]}")


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """(printed address, learner's folder) of `python -m lessons start`."""
    home = tmp_path_factory.mktemp("start")
    folder, log = home / "mine", home / "lab.log"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        **os.environ,
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        "PYTHONPATH": str(ROOT),
    }
    lab = ["--no-browser", "--ip=127.0.0.1", f"--port={port}", "--expose-app-in-browser"]
    command = [sys.executable, "-m", "lessons", "start", str(folder), *lab]
    with log.open("w") as output:
        process = subprocess.Popen(
            [*command, "--IdentityProvider.token=", "--ServerApp.password="],
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a process group: `lessons start` and its JupyterLab
        )
        try:
            yield printed_address(process, log), folder
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(20)


def test_the_printed_address_opens_lesson_0(page: Any, started: tuple[str, Path]) -> None:
    """Not the empty launcher, and no question about news lies on top of it."""
    address, folder = started
    page.goto(address, timeout=TIMEOUT)
    page.get_by_role("heading", name="Start here").wait_for(timeout=TIMEOUT)
    page.get_by_role("heading", name="The lessons", exact=False).wait_for(timeout=TIMEOUT)
    assert page.locator(".jp-Launcher").count() == 0
    assert page.locator(".jp-Dialog").count() == 0
    assert page.get_by_text("Would you like to get notified").count() == 0
    assert (folder / "notebooks/00_start_here.ipynb").is_file()
    picture = page.locator(".jp-RenderedSVG img").first  # a signed notebook: JupyterLab shows it
    picture.scroll_into_view_if_needed(timeout=TIMEOUT)
    assert picture.bounding_box()["width"] > 400


def test_the_links_of_lesson_0_open(page: Any, started: tuple[str, Path]) -> None:
    """The pages are in the learner's own copy, and rendered; the map leads to the lessons."""
    address, _folder = started
    page.goto(f"{address}?reset", timeout=TIMEOUT)
    links = page.locator(".jp-Notebook").get_by_role("link")
    for name, title in PAGES.items():
        links.filter(has_text=name).first.click(timeout=TIMEOUT)
        preview = page.locator(".jp-MarkdownViewer:visible")
        preview.get_by_role("heading", name=title, level=1).wait_for(timeout=TIMEOUT)
        page.locator(".lm-TabBar-tab").filter(has_text="00_start_here").first.click(timeout=TIMEOUT)
    links.filter(has_text="2 The API server").first.click(timeout=TIMEOUT)
    page.get_by_role("heading", name="Lesson 2: the API server").wait_for(timeout=TIMEOUT)


DIRTY = "() => window.jupyterapp.shell.currentWidget.context.model.dirty"
RUN_WITH = """async ([find, source]) => {
  const notebook = window.jupyterapp.shell.currentWidget.content;
  const index = notebook.widgets.findIndex(cell => cell.model.sharedModel.source.includes(find));
  notebook.widgets[index].model.sharedModel.source = source;
  notebook.activeCellIndex = index;
  await window.jupyterapp.commands.execute('notebook:run-cell');
}"""
WRONG = """from lessons.exercises.l04 import bonus, q1, q2

def desired(pods, utilization, target):
    step = {'a': pods}
    return step['b']

q1.check(desired)"""


def open_lesson(page: Any, address: str, name: str) -> None:
    """Open a lesson of the learner's copy, and wait until its kernel has answered."""
    page.goto(f"{address.replace('00_start_here.ipynb', name)}?reset", timeout=TIMEOUT)
    page.wait_for_function(READY, timeout=TIMEOUT)
    page.wait_for_timeout(2_000)


@pytest.mark.parametrize("name", ["00_start_here.ipynb", "04_autoscaler.ipynb"])
def test_a_lesson_that_was_only_opened_is_not_changed(
    page: Any, started: tuple[str, Path], name: str
) -> None:
    """No dot in the tab, no question at closing; a change of the learner's is seen."""
    open_lesson(page, started[0], name)
    assert evaluate(page, DIRTY) is False
    evaluate(page, RUN_WITH, ["setup()", "1 + 1"])
    assert evaluate(page, DIRTY) is True


def test_an_error_is_told_and_hints_open_one_after_the_other(
    page: Any, started: tuple[str, Path]
) -> None:
    """With the mouse and with the keyboard; the solution has a button of its own."""
    open_lesson(page, started[0], "04_autoscaler.ipynb")
    evaluate(page, RUN_WITH, ["desired = todo", WRONG])
    page.get_by_text("in line 3 of `desired`: return step['b']").wait_for(timeout=TIMEOUT)
    page.get_by_text("with pods = 4, utilization = 84, target = 60, step = {'a': 4}").wait_for()
    second = page.locator("summary", has_text="Hint 2 of 3")
    assert not second.is_visible()
    page.locator("summary", has_text="Hint 1 of 3").click()
    second.focus()
    second.press("Enter")
    page.get_by_text("nothing changes: return pods").wait_for()
    solution = page.get_by_text("else ceil(pods * ratio)")
    assert not solution.is_visible()
    page.locator("summary", has_text="Solution").click()
    solution.wait_for()
