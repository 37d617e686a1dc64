"""`lessons start`: the learner's own copy is brought up to date and never overwritten."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lessons.start import FIRST, Copied, copy_course, course_folder, jupyter_command, main

LESSON = "notebooks/01.ipynb"


@pytest.fixture
def course(tmp_path: Path) -> Path:
    """A small course: two notebooks and a page."""
    folder = tmp_path / "course"
    for name, text in {FIRST: "zero", LESSON: "one", "docs/kubectl.md": "page"}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def test_the_first_start_copies_everything(course: Path, tmp_path: Path) -> None:
    """Notebooks and the pages that they link to, at the same relative places."""
    result = copy_course(course, tmp_path / "mine")
    assert result == Copied([FIRST, LESSON, "docs/kubectl.md"], [], [])
    assert (tmp_path / "mine" / LESSON).read_text() == "one"


def test_a_second_start_changes_nothing(course: Path, tmp_path: Path) -> None:
    """Neither what the learner changed nor what they left alone."""
    mine = tmp_path / "mine"
    copy_course(course, mine)
    (mine / LESSON).write_text("my work")
    assert copy_course(course, mine) == Copied([], [], [LESSON])
    assert (mine / LESSON).read_text() == "my work"
    assert not (mine / "notebooks/01.new.ipynb").exists()


def test_an_update_replaces_what_is_unchanged_and_keeps_work(course: Path, tmp_path: Path) -> None:
    """The newer lesson comes beside the learner's own."""
    mine = tmp_path / "mine"
    copy_course(course, mine)
    (mine / LESSON).write_text("my work")
    (course / LESSON).write_text("one, second edition")
    (course / FIRST).write_text("zero, second edition")
    assert copy_course(course, mine) == Copied([], [FIRST], [LESSON])
    assert (mine / FIRST).read_text() == "zero, second edition"
    assert (mine / LESSON).read_text() == "my work"
    assert (mine / "notebooks/01.new.ipynb").read_text() == "one, second edition"


def test_without_a_manifest_nothing_is_overwritten(course: Path, tmp_path: Path) -> None:
    """A damaged or missing manifest counts as "the learner changed it"."""
    mine = tmp_path / "mine"
    copy_course(course, mine)
    (mine / ".kubesim-lessons.json").write_text("[")
    (mine / LESSON).write_text("my work")
    assert copy_course(course, mine).kept == [LESSON]
    assert (mine / LESSON).read_text() == "my work"


def test_a_copied_notebook_has_the_metadata_of_this_python(course: Path, tmp_path: Path) -> None:
    """What JupyterLab would add as soon as a kernel runs; then an opened lesson is unchanged."""
    from ipykernel.ipkernel import IPythonKernel
    from ipykernel.kernelspec import get_kernel_dict

    cell = {"cell_type": "markdown", "id": "a", "metadata": {}, "source": ["pods → nodes"]}
    notebook = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    (course / LESSON).write_text(json.dumps(notebook))
    mine = tmp_path / "mine"
    copy_course(course, mine)
    copied = json.loads((mine / LESSON).read_text())
    assert copied["cells"] == [cell]
    assert copied["metadata"]["language_info"] == IPythonKernel.language_info
    kernel = copied["metadata"]["kernelspec"]
    assert kernel["display_name"] == get_kernel_dict()["display_name"]
    assert copy_course(course, mine) == Copied([], [], [])


def test_the_original_lessons_are_not_a_working_folder(
    course: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A clear message and exit code 2."""
    with pytest.raises(ValueError, match="choose another folder"):
        copy_course(course, course)
    assert main(["start", "--no-lab", str(course_folder())]) == 2
    assert "choose another folder" in capsys.readouterr().err


def test_the_real_course_is_complete(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All nine lessons, and the pages that they name."""
    assert main(["start", "--no-lab", str(tmp_path / "mine")]) == 0
    assert len(list((tmp_path / "mine" / "notebooks").glob("*.ipynb"))) == 9
    for name in ("docs/kubectl.md", "docs/experiments.md", "CONTRIBUTING.md"):
        assert (tmp_path / "mine" / name).exists()
    assert "new" in capsys.readouterr().out


def test_jupyter_opens_lesson_0_in_the_learners_folder(tmp_path: Path) -> None:
    """The printed address leads there, too; root must be allowed by name."""
    command = jupyter_command(tmp_path, root=False)
    assert f"--LabApp.default_url=/lab/tree/{FIRST}" in command
    assert f"--ServerApp.root_dir={tmp_path}" in command
    assert "--allow-root" not in command
    assert jupyter_command(tmp_path, root=True)[-1] == "--allow-root"
