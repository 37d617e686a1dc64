"""Exercises in a real kernel: exit() ends nothing, errors name the cell's line, buttons appear."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

pytestmark = pytest.mark.notebook

CELLS = (
    "from lessons.exercises.l04 import q1",
    "def desired(pods, utilization, target):\n    exit()",
    "q1.check(desired)",
    "def desired(pods, utilization, target):\n    step = {'a': 1}\n    return step['b']",
    "q1.check(desired)",
    "q1.check(lambda pods, utilization, target: quit())",
    "q1.check('banana')",
    "q1.check(q1.correct)",
)


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> list[list[Any]]:
    """The outputs of the cells, which run in one kernel."""
    folder = tmp_path_factory.mktemp("kernel")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in CELLS])
    root = str(Path(__file__).resolve().parents[2])
    environment = {
        **os.environ,
        "KUBESIM_PROGRESS": str(folder / "progress.json"),
        "PYTHONPATH": root,
    }
    NotebookClient(notebook, timeout=60, kernel_name="python3").execute(env=environment)
    return [cell.outputs for cell in notebook.cells]


def printed(cell: list[Any]) -> str:
    """What a cell printed."""
    return "".join(output.text for output in cell if output.output_type == "stream")


@pytest.mark.parametrize("number", [2, 5])
def test_exit_does_not_escape_a_check(outputs: list[list[Any]], number: int) -> None:
    """IPython's own exit() would end the kernel; the cells after it run all the same."""
    assert "your answer calls exit(), which ends a program" in printed(outputs[number])
    assert "[ OK ] 4.1" in printed(outputs[-1])


def test_an_error_names_the_line_of_the_cell(outputs: list[list[Any]]) -> None:
    """The kernel keeps the text of each cell."""
    assert printed(outputs[4]).splitlines()[:3] == [
        "[MISS] 4.1 the algorithm in three lines: your answer raised KeyError: 'b'",
        "       in line 3 of `desired`: return step['b']",
        "       with pods = 4, utilization = 84, target = 60, step = {'a': 1}",
    ]


def test_the_buttons_stand_below_what_is_not_right(outputs: list[list[Any]]) -> None:
    """They are HTML, and the same at each run."""
    pages = [
        [o.data["text/html"] for o in cell if "data" in o and "text/html" in o.data]
        for cell in outputs
    ]
    assert [len(found) for found in pages] == [0, 0, 1, 0, 1, 1, 1, 0]
    assert len({found[0] for found in pages if found}) == 1
    assert "write a function: def desired(pods, utilization, target)" in printed(outputs[6])
