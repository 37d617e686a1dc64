"""How a panel looks: screens, themes, edges, colours."""

from __future__ import annotations

import io
import time
from typing import Any

import pytest
from lab_page import TIMEOUT

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
LETTERS = "p.charts.figures[0].yaxis[0].major_label_text_font_size"
TARGET = "print(p.cluster.hpa_config()['target_cpu'])"
NAMES = """() => [...document.querySelectorAll('.ks-cockpit .noUi-handle')]
  .map(each => each.getAttribute('aria-label'))"""


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
