"""A real JupyterLab and a real (headless) Chromium, both ended by their pids."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import nbformat
import pytest
from lab_page import (
    DRAWN,
    OUTCOME,
    PANELS,
    TIMEOUT,
    evaluate,
    open_notebook,
    run_cells,
    run_cockpit,
    settle,
)

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = next(
    (
        path
        for path in (
            os.environ.get("KUBESIM_CHROMIUM"),
            shutil.which("chromium"),
            shutil.which("chromium-browser"),
            shutil.which("google-chrome"),
        )
        if path
    ),
    None,
)
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # no name leads beyond this machine
]
LOOPBACK = ("http://127.0.0.1", "ws://127.0.0.1", "data:", "blob:", "about:")


# So that the next test, like a reader who restarts, meets a kernel without a past.
END_KERNELS = "() => window.jupyterapp?.serviceManager.sessions.shutdownAll()"


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """(url, folder with copies of the notebooks) of a JupyterLab with settings of its own."""
    home = tmp_path_factory.mktemp("lab")
    shutil.copytree(ROOT / "notebooks", home / "notebooks")
    _set(home, "apputils-extension/notification", fetchNews="false", checkForUpdates=False)
    _set(home, "docmanager-extension/plugin", autosave=False)  # each test opens the stored lesson
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        **os.environ,
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        "KUBESIM_PROGRESS": str(home / "progress.json"),
        "PYTHONPATH": str(ROOT),
    }
    log = (home / "lab.log").open("w")
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "jupyterlab",
            "--no-browser",
            "--ip=127.0.0.1",
            f"--port={port}",
            "--expose-app-in-browser",
            "--IdentityProvider.token=",
            "--ServerApp.password=",
            "--allow-root",
            f"--notebook-dir={home / 'notebooks'}",
        ],
        env=environment,
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_for(f"{url}/api/status", process, home / "lab.log")
        yield url, home
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5)
        log.close()


def _set(home: Path, plugin: str, **values: Any) -> None:
    """Write the settings of one JupyterLab plug-in."""
    file = home / "settings" / "@jupyterlab" / f"{plugin}.jupyterlab-settings"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(values))


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(300):
        assert process.poll() is None, log.read_text()[-2000:]
        try:
            urllib.request.urlopen(url, timeout=2).read()
            return
        except OSError:
            time.sleep(0.2)
    raise AssertionError(f"JupyterLab did not come up:\n{log.read_text()[-2000:]}")


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """The system's Chromium, driven by Playwright."""
    if CHROMIUM is None:
        pytest.skip("no Chromium here: install the package chromium, or set KUBESIM_CHROMIUM")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@contextmanager
def opened_page(browser: Any) -> Iterator[Any]:
    """A page that may talk to loopback alone; a request to anywhere else fails the test."""
    context = browser.new_context(viewport={"width": 1400, "height": 1150})
    strangers: list[str] = []

    def note(request: Any) -> None:
        if not request.url.startswith(LOOPBACK):
            strangers.append(request.url)

    # `context.route` would hold each of a page's some hundred requests until this thread is free.
    context.on("request", note)
    context.set_default_timeout(TIMEOUT)
    tab = context.new_page()
    # The default asks in every frame, which makes the page draw sixty frames a second.
    tab.wait_for_function = partial(tab.wait_for_function, polling=100)
    tab.on("websocket", note)
    tab.console_errors = []
    tab.script_errors = []
    tab.on("pageerror", lambda error: tab.script_errors.append(str(error)))
    tab.on(
        "console",
        lambda message: (
            tab.console_errors.append(message.text) if message.type == "error" else None
        ),
    )
    try:
        yield tab
        evaluate(tab, END_KERNELS)
    finally:
        context.close()
    assert strangers == [], "the page asked for something beyond this machine"


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A page of this test alone; its kernels end with it."""
    with opened_page(browser) as tab:
        yield tab


@pytest.fixture(scope="class")
def panel(request: pytest.FixtureRequest, browser: Any, lab: tuple[str, Path]) -> Iterator[Any]:
    """The page of a notebook whose second cell shows the class's panel, with its charts drawn."""
    url, home = lab
    name = request.cls.name
    notebook = nbformat.v4.new_notebook()
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    sources = ["from lessons import setup\nsetup()", PANELS[name]]
    notebook.cells = [nbformat.v4.new_code_cell(source) for source in sources]
    nbformat.write(notebook, home / "notebooks" / f"panel-{name}.ipynb")
    with opened_page(browser) as tab:
        tab.set_viewport_size({"width": 1366, "height": 768})
        open_notebook(tab, url, f"panel-{name}.ipynb")
        run_cells(tab, "setup()", f"name='{name}'")
        assert evaluate(tab, OUTCOME)["failed"] == []
        tab.locator(".ks-cockpit .ks-charts canvas").first.wait_for(timeout=TIMEOUT)
        tab.wait_for_function(DRAWN, timeout=TIMEOUT)
        settle(tab)
        yield tab


@pytest.fixture(scope="class")
def lesson_4(browser: Any, lab: tuple[str, Path]) -> Iterator[Any]:
    """A page of lesson 4 in which the cockpit's cell has run."""
    with opened_page(browser) as tab:
        run_cockpit(tab, lab[0])
        yield tab
