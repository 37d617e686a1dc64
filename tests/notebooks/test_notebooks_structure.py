"""The notebooks themselves: complete outputs, short code, no traces of a machine."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest

NOTEBOOKS = sorted((Path(__file__).resolve().parents[2] / "notebooks").glob("*.ipynb"))
MAX_LINES = 18
KNOWN_TAGS = {"nbval-ignore-output", "nbval-skip", "raises-exception"}


def cells_of(path: Path, kind: str = "code") -> list[dict[str, Any]]:
    """The cells of one type."""
    return [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == kind]


def source(cell: dict[str, Any]) -> str:
    """A cell's text."""
    text = cell["source"]
    return text if isinstance(text, str) else "".join(text)


def test_the_map_names_every_lesson() -> None:
    """00_start_here links all the others, and they exist."""
    links = set(re.findall(r"\((\d\d_\w+\.ipynb)\)", NOTEBOOKS[0].read_text()))
    assert links == {path.name for path in NOTEBOOKS[1:]}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_code_cell_was_run(path: Path) -> None:
    """A notebook without stored outputs would pass every comparison."""
    for cell in cells_of(path):
        assert cell["execution_count"] is not None, source(cell)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_cells_are_short_and_define_no_long_class(path: Path) -> None:
    """Prose and short calls; whatever is longer belongs into lessons/."""
    for cell in cells_of(path):
        lines = source(cell).splitlines()
        assert len(lines) <= MAX_LINES, source(cell)
        code = "\n".join(line for line in lines if not line.startswith("!"))
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.ClassDef):
                assert (node.end_lineno or 0) - node.lineno < 15


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_nothing_of_a_machine_or_a_page_is_stored(path: Path) -> None:
    """No absolute path, no widget state, no port, no library of a megabyte."""
    text = path.read_text()
    assert "/home/" not in text
    assert "/root/" not in text
    assert "127.0.0.1:" not in text
    assert "widgets" not in json.loads(text)["metadata"]
    assert len(text) < 100_000
    for cell in cells_of(path):
        assert set(cell["metadata"].get("tags", [])) <= KNOWN_TAGS


@pytest.mark.parametrize("path", NOTEBOOKS[1:], ids=lambda path: path.stem)
def test_lessons_follow_the_rhythm(path: Path) -> None:
    """Goal, predict, explain, break, in real Kubernetes, exercises, questions, a closing cell."""
    prose = "\n".join(source(cell) for cell in cells_of(path, "markdown"))
    for part in ("After this you can", "The goal", "Predict", "Explain", "In real Kubernetes"):
        assert part in prose, part
    assert re.search("break it", prose, re.IGNORECASE)
    code = "\n".join(source(cell) for cell in cells_of(path))
    assert "q1.check(" in code
    assert "q2.check(" in code
    assert "bonus.check(" in code
    assert "questions" in code
    assert re.search(r"close(_all)?\(\)", source(cells_of(path)[-1]))
    assert "setup()" in source(cells_of(path)[0])
