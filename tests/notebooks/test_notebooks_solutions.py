"""Each lesson from top to bottom with its exercises solved, and again with them done wrong.

The cells run in this process, without a kernel; those of a shell in a shell.
"""

from __future__ import annotations

import importlib
import json
import re
import shutil
import subprocess
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lessons import clusters, kubectl, session
from lessons.check import Task
from lessons.ui import open_panels as panels

pytestmark = pytest.mark.notebook

NOTEBOOKS = sorted((Path(__file__).resolve().parents[2] / "notebooks").glob("*.ipynb"))
SHELL = re.compile(r"%%bash(?: --out (\w+))?\n")
KUBECTL = "%%kubectl\n"
PANELS = {"04": ["main"], "05": ["scheduler"], "06": ["rollout"], "07": ["tuning"]}
CHECKED = re.compile(r"^(q\d|bonus)\.check\((\w+)\)", re.MULTILINE)


@pytest.fixture(autouse=True)
def leave_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Progress goes to a temporary file; panels that are still open are closed."""
    monkeypatch.setenv("KUBESIM_PROGRESS", str(tmp_path / "progress.json"))
    yield
    session.close_all()
    assert session.threads() == []


def code_cells(path: Path) -> list[str]:
    """The sources of the code cells, without the one that loads BokehJS into a page."""
    cells = json.loads(path.read_text())["cells"]
    sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    return [
        source
        for source in sources
        if not source.startswith(("from lessons import setup", "from lessons import doctor"))
    ]


def in_a_shell(commands: str) -> str:
    """Run the commands of a cell, which have to be there; return what they print."""
    if shutil.which("bash") is None or shutil.which("curl") is None:
        pytest.skip("no bash or no curl here")
    done = subprocess.run(["bash", "-c", commands], capture_output=True, text=True, timeout=30)
    assert done.stdout
    assert done.stderr == ""
    return done.stdout


def run(path: Path, answers: dict[str, Any]) -> dict[str, Any]:
    """Run a notebook; `answers` (task -> value) take the place of what is yet to do."""
    scope = vars(types.ModuleType("notebook"))
    for source in code_cells(path):
        if shell := SHELL.match(source):
            scope[shell[1] or "_"] = in_a_shell(source[shell.end() :])
            continue
        if source.startswith(KUBECTL):
            kubectl.run_cell(source.removeprefix(KUBECTL), clusters.cluster_of("lesson"))
            continue
        for task, variable in CHECKED.findall(source):
            before, check, after = source.partition(f"{task}.check({variable})")
            exec(before, scope)
            scope[variable] = answers[task]
            exec(check + after, scope)
            break
        else:
            exec(source, scope)
    return scope


def tasks_of(path: Path) -> dict[str, Task]:
    """The exercises of a lesson by their names in the notebook."""
    module = importlib.import_module(f"lessons.exercises.l{path.name[:2]}")
    return {name: task for name, task in vars(module).items() if isinstance(task, Task)}


@pytest.mark.live
@pytest.mark.parametrize("path", NOTEBOOKS[1:], ids=lambda path: path.stem)
def test_a_lesson_runs_with_right_answers_and_again_with_wrong_ones(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Solved, all checks say OK, the lesson goes on to its end, and no cluster is left.

    Then run all once more in the same kernel, with wrong answers: no name is taken, nothing piles
    up, and a check never raises, so the lesson goes on, whatever was answered.
    """
    tasks = tasks_of(path)
    run(path, {name: task.correct for name, task in tasks.items()})
    out = capsys.readouterr().out
    assert len(re.findall(r"^\[ OK \] \d\.\d", out, re.MULTILINE)) == len(tasks) >= 3
    assert "[MISS]" not in out
    assert "closed" in out.splitlines()[-1]
    assert "lesson" not in clusters.slots()
    assert panels.names() == PANELS.get(path.name[:2], [])

    run(path, {name: task.wrong[0] for name, task in tasks.items()})
    out = capsys.readouterr().out
    assert len(re.findall(r"^\[MISS\] \d\.\d", out, re.MULTILINE)) == len(tasks)
    assert "lesson" not in clusters.slots()
    assert panels.names() == PANELS.get(path.name[:2], [])
    of_panels = [name for name in session.threads() if name.startswith("cockpit-")]
    assert len(of_panels) == len(set(of_panels))


@pytest.mark.live
def test_lesson_0_may_be_run_twice_in_one_kernel() -> None:
    """Run all, and run all again: it has no exercises."""
    for _ in range(2):
        run(NOTEBOOKS[0], {})
    assert session.threads().count("cockpit-main") <= 1
