"""Every panel on a laptop and on a projector, in each theme of JupyterLab; the screenshots stay.

They are in pytest's temporary folder, named after panel and screen (`--basetemp` chooses it).
"""

from __future__ import annotations

import io
import json
import time
from pathlib import Path
from typing import Any

import pytest
from lab_page import (
    OUTCOME,
    TIMEOUT,
    evaluate,
    execute,
    open_notebook,
    run_cells,
    settle,
    wait_for_kernel,
)

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PANELS = {
    "cockpit": "from lessons import Cockpit\np = Cockpit(name='cockpit')\np",
    "scheduler": "from lessons import SchedulerPanel\np = SchedulerPanel(name='scheduler')\np",
    "rollout": "from lessons import RolloutPanel\np = RolloutPanel(name='rollout')\np",
    "tuning": "from lessons import TuningPanel\np = TuningPanel(name='tuning')\np",
}
LIGHT, DARK = "JupyterLab Light", "JupyterLab Dark"
SCREENS = {  # name -> width, theme; all are 768 pixels high
    "laptop": (1366, LIGHT),
    "laptop-dark": (1366, DARK),
    "laptop-contrast": (1366, "JupyterLab Dark High Contrast"),
    "projector": (1024, LIGHT),
    "projector-dark": (1024, DARK),
}
CHANGE_THEME = """async theme => {
  await window.jupyterapp.commands.execute('apputils:change-theme', {theme});
}"""
THEME = "theme => document.body.dataset.jpThemeName === theme"
TO_TOP = """() => {
  document.querySelector('.ks-cockpit').scrollIntoView({block: 'start'});
}"""
# Lower edges of the notebook's window, of the lowest slider and of the charts; whether the texts
# begin beside the charts or the cards; whether something in the cards is wider than its card.
EDGES = """() => {
  const box = element => element.getBoundingClientRect();
  const all = selector => [...document.querySelectorAll('.ks-cockpit ' + selector)];
  return {
    window: Math.min(innerHeight, box(document.querySelector('.jp-NotebookPanel-notebook')).bottom),
    sliders: Math.max(...all('.noUi-target').map(each => box(each).bottom)),
    charts: box(document.querySelector('.ks-charts').firstElementChild).bottom,
    beside: box(document.querySelector('.ks-texts')).top < Math.max(
      ...['.ks-cards', '.ks-charts'].map(each => box(document.querySelector(each)).bottom)),
    wide: all('.ks-card').filter(each => each.scrollWidth > each.clientWidth + 1).length,
  };
}"""
LETTERS = "print(p.charts.figures[0].yaxis[0].major_label_text_font_size)"
NAMES = """() => [...document.querySelectorAll('.ks-cockpit .noUi-handle')]
  .map(each => each.getAttribute('aria-label'))"""
DRAWN = """() => (window.Bokeh?.documents || []).some(
  each => each.roots().length && each.roots()[0].constructor)"""


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
    notebook = {
        "cells": cells,
        "metadata": {"kernelspec": kernel},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    (home / "notebooks" / f"look-{name}.ipynb").write_text(json.dumps(notebook))
    page.set_viewport_size({"width": 1366, "height": 768})
    open_notebook(page, url, f"look-{name}.ipynb")
    run_cells(page, "setup()", "from lessons import")
    run_cells(page, f"name='{name}'")
    assert evaluate(page, OUTCOME)["failed"] == []
    page.locator(".ks-cockpit .ks-charts").wait_for(timeout=TIMEOUT)
    page.wait_for_function(DRAWN, timeout=TIMEOUT)
    settle(page)
    return name


def brightness(page: Any) -> float:
    """Return how bright the charts are on the screen, from 0 (black) to 1 (white)."""
    image = pytest.importorskip("PIL.Image")
    shot = page.locator(".ks-charts > :first-child").first.screenshot()
    grey = image.open(io.BytesIO(shot)).convert("L").resize((64, 64))
    return float(sum(grey.tobytes()) / 255 / 64 / 64)


def has_its_colours(page: Any, theme: str) -> bool:
    """Wait for charts that are light in a light theme, dark in a dark one; False if they stay."""
    end = time.monotonic() + TIMEOUT / 1_000
    while time.monotonic() < end:
        bright = brightness(page)
        if bright > 0.6 if theme == LIGHT else bright < 0.45:
            return True
        page.wait_for_timeout(200)
    return False


@pytest.mark.parametrize("panel", PANELS, indirect=True)
def test_a_panel_fits_the_screen_and_follows_the_theme(
    page: Any, panel: str, tmp_path: Path
) -> None:
    """Sliders and charts are seen at once; in a dark theme the charts are dark."""
    for screen, (width, theme) in SCREENS.items():
        page.set_viewport_size({"width": width, "height": 768})
        evaluate(page, CHANGE_THEME, theme)
        page.wait_for_function(THEME, arg=theme, timeout=TIMEOUT)
        assert has_its_colours(page, theme), screen
        settle(page)
        evaluate(page, TO_TOP)
        settle(page)
        page.screenshot(path=str(tmp_path / f"{panel}-{screen}.png"))
        edges = evaluate(page, EDGES)
        assert edges["sliders"] <= edges["window"], (screen, edges)
        assert edges["charts"] <= edges["window"], (screen, edges)
        assert edges["wide"] == 0, screen
        assert edges["beside"] or width < 1366, screen
    evaluate(page, CHANGE_THEME, LIGHT)
    assert page.console_errors == []


@pytest.mark.parametrize("panel", ["cockpit"], indirect=True)
def test_a_hall_and_a_screen_reader(page: Any, panel: str, tmp_path: Path) -> None:
    """Bigger letters by one button; sliders have names; the number follows while dragging."""
    page.get_by_role("button", name="Hall").click()
    wait_for_kernel(page, LETTERS, "18px")
    settle(page)
    evaluate(page, TO_TOP)
    settle(page)
    page.screenshot(path=str(tmp_path / "hall.png"))
    edges = evaluate(page, EDGES)
    assert max(edges["sliders"], edges["charts"]) <= edges["window"]
    assert evaluate(page, NAMES) == ["requests/s", "target [%]", "min pods", "max pods"]
    assert page.get_by_role("slider", name="target [%]").count() == 1

    handle = page.get_by_role("slider", name="target [%]").bounding_box()
    x, y = handle["x"] + handle["width"] / 2, handle["y"] + handle["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 30, y, steps=5)
    readout = page.locator(".ks-number", has_text="target [%]").locator(".widget-readout")
    readout.wait_for(timeout=TIMEOUT)
    dragged = int(readout.inner_text())
    assert dragged < 70
    assert execute(page, "print(p.cluster.hpa_config()['target_cpu'])") == "70"
    page.mouse.up()
    readout.wait_for(state="hidden", timeout=TIMEOUT)
    page.get_by_text(f"target {dragged} %").wait_for(timeout=TIMEOUT)


# Widths of the slider tracks; the labels of buttons, and the values of dropdowns, that are cut off.
CUT = """() => {
  const room = select => {
    const whole = select.cloneNode(true);
    whole.style.cssText = 'position: absolute; width: max-content; max-width: none';
    select.parentNode.append(whole);
    const width = whole.offsetWidth;
    whole.remove();
    return width;
  };
  const all = selector => [...document.querySelectorAll('.ks-cockpit ' + selector)];
  return {
    tracks: all('.noUi-target').map(each => each.getBoundingClientRect().width),
    buttons: all('button').filter(each => each.scrollWidth > each.clientWidth + 1)
      .map(each => each.textContent),
    dropdowns: all('.ks-card select').filter(each => each.offsetWidth + 1 < room(each))
      .map(each => each.value),
  };
}"""


@pytest.mark.parametrize("panel", ["cockpit", "tuning"], indirect=True)
def test_a_column_beside_the_file_browser(page: Any, panel: str, tmp_path: Path) -> None:
    """In 350 pixels the cards stand one below the other, and every control can be used."""
    page.set_viewport_size({"width": 700, "height": 768})
    page.wait_for_timeout(1_500)
    evaluate(page, TO_TOP)
    page.wait_for_timeout(1_000)
    page.screenshot(path=str(tmp_path / "column.png"))
    assert page.locator(".ks-cockpit").bounding_box()["width"] < 400
    cut = evaluate(page, CUT)
    assert cut["buttons"] == cut["dropdowns"] == []
    assert min(cut["tracks"]) > 60, cut
