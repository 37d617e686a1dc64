"""Still pictures in each theme of JupyterLab: images, so only a screenshot shows their colours."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from lab_page import RUN_ALL, RUN_ALL_TIMEOUT, TIMEOUT, evaluate, open_notebook

pytestmark = [pytest.mark.browser, pytest.mark.slow]

CELLS = (
    "from lessons import fresh_cluster, record, setup\nsetup()",
    "cluster = fresh_cluster()\ncluster.set_traffic(60)\nrecord(cluster, 120)",
)
CHANGE_THEME = """async theme => {
  await window.jupyterapp.commands.execute('apputils:change-theme', {theme});
}"""
# Whether a picture has the dark colours: high contrast has none of its own, and takes them.
THEMES = {
    "JupyterLab Light": False,
    "JupyterLab Dark": True,
    "JupyterLab Dark High Contrast": True,
}


def shades(page: Any) -> tuple[int, int]:
    """Return the most frequent and the brightest grey of the picture, from 0 (black) to 255."""
    image = pytest.importorskip("PIL.Image")
    shot = page.locator(".jp-RenderedSVG img").screenshot()
    histogram = image.open(io.BytesIO(shot)).convert("L").histogram()
    most = max(range(256), key=histogram.__getitem__)
    return most, max(grey for grey in range(256) if histogram[grey])


def test_a_still_has_the_colours_of_the_page(
    page: Any, lab: tuple[str, Path], tmp_path: Path
) -> None:
    """Light paper with dark lines, or dark paper with white lines; it changes with the theme."""
    url, home = lab
    cells = [
        {
            "cell_type": "code",
            "id": f"cell-{n}",
            "metadata": {},
            "source": source,
            "outputs": [],
            "execution_count": None,
        }
        for n, source in enumerate(CELLS)
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    metadata = {"kernelspec": kernel}
    notebook = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    (home / "notebooks" / "stills.ipynb").write_text(json.dumps(notebook))
    open_notebook(page, url, "stills.ipynb")
    evaluate(page, RUN_ALL, timeout=RUN_ALL_TIMEOUT)
    page.locator(".jp-RenderedSVG img").wait_for(timeout=TIMEOUT)
    for theme, dark in THEMES.items():
        evaluate(page, CHANGE_THEME, theme)
        page.wait_for_timeout(1_000)
        page.screenshot(path=str(tmp_path / f"{theme}.png"))
        paper, brightest = shades(page)
        assert paper < 40 if dark else paper > 230, theme
        assert brightest > 230, theme
    evaluate(page, CHANGE_THEME, "JupyterLab Light")
    page.set_viewport_size({"width": 700, "height": 768})
    page.wait_for_timeout(1_000)
    width = page.locator(".jp-RenderedSVG img").bounding_box()["width"]
    assert 470 <= width <= 500  # it shrinks with the page, and stays legible
    assert page.console_errors == []
