"""`lessons start`: the learner's own copy is brought up to date and never overwritten."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lessons import start
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
    assert result == Copied([FIRST, LESSON, "docs/kubectl.md"], [], [], [])
    assert (tmp_path / "mine" / LESSON).read_text() == "one"


def test_a_second_start_changes_nothing(course: Path, tmp_path: Path) -> None:
    """Neither what the learner changed nor what they left alone."""
    mine = tmp_path / "mine"
    copy_course(course, mine)
    (mine / LESSON).write_text("my work")
    assert copy_course(course, mine) == Copied([], [], [LESSON], [])
    assert (mine / LESSON).read_text() == "my work"
    assert not (mine / "notebooks/01.new.ipynb").exists()


def test_an_update_replaces_what_is_unchanged_and_keeps_work(course: Path, tmp_path: Path) -> None:
    """The newer lesson comes beside the learner's own."""
    mine = tmp_path / "mine"
    copy_course(course, mine)
    (mine / LESSON).write_text("my work")
    (course / LESSON).write_text("one, second edition")
    (course / FIRST).write_text("zero, second edition")
    assert copy_course(course, mine) == Copied([], [FIRST], [LESSON], ["notebooks/01.new.ipynb"])
    assert (mine / FIRST).read_text() == "zero, second edition"
    assert (mine / LESSON).read_text() == "my work"
    assert (mine / "notebooks/01.new.ipynb").read_text() == "one, second edition"


def test_an_update_keeps_work_in_a_newer_lesson_as_well(course: Path, tmp_path: Path) -> None:
    """Whoever went over to NAME.new.ipynb finds the third edition beside it."""
    mine = tmp_path / "mine"
    newer = [mine / f"notebooks/01.{name}.ipynb" for name in ("new", "new2")]
    copy_course(course, mine)
    (mine / LESSON).write_text("my work")
    for edition in ("second", "third"):
        (course / LESSON).write_text(edition)
        assert copy_course(course, mine).newer == ["notebooks/01.new.ipynb"]
        assert newer[0].read_text() == edition
    newer[0].write_text("my work, continued")
    (course / LESSON).write_text("fourth")
    assert copy_course(course, mine).newer == ["notebooks/01.new2.ipynb"]
    assert newer[0].read_text() == "my work, continued"
    assert newer[1].read_text() == "fourth"
    assert copy_course(course, mine).newer == []


def test_a_new_python_is_no_new_lesson(
    course: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing comes beside a changed lesson; an unchanged one gets the metadata of this Python."""
    cell = {"cell_type": "markdown", "id": "a", "metadata": {}, "source": ["pods"]}
    text = json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5})
    for name in (FIRST, LESSON):
        (course / name).write_text(text)
    mine = tmp_path / "mine"
    copy_course(course, mine)
    (mine / LESSON).write_text((mine / LESSON).read_text().replace("pods", "my pods"))
    monkeypatch.setitem(start.LANGUAGE, "version", "3.99.0")
    assert copy_course(course, mine) == Copied([], [], [LESSON], [])
    assert sorted(path.name for path in (mine / "notebooks").iterdir()) == [
        "00_start_here.ipynb",
        "01.ipynb",
    ]
    assert "3.99.0" in (mine / FIRST).read_text()


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
    assert copy_course(course, mine) == Copied([], [], [], [])


def test_the_original_lessons_are_not_a_working_folder(
    course: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A clear message and exit code 2."""
    with pytest.raises(ValueError, match="choose another folder"):
        copy_course(course, course)
    assert main(["start", "--no-lab", str(course_folder())]) == 2
    assert main(["start", "--no-lab", str(course_folder() / "notebooks")]) == 2
    assert "choose another folder" in capsys.readouterr().err


def test_a_folder_with_spaces_is_quoted(capsys: pytest.CaptureFixture[str]) -> None:
    """Otherwise its second word would be a notebook that JupyterLab is to open."""
    with pytest.raises(SystemExit):
        main(["start", "my", "lessons", "--no-lab"])
    assert "Quote a name with spaces" in capsys.readouterr().err
    recipe = (course_folder() / "Makefile").read_text()
    assert 'lessons start "$(LESSONS)"' in recipe


def test_the_real_course_is_complete(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All nine lessons, and the pages that they name."""
    assert main(["start", "--no-lab", str(tmp_path / "mine")]) == 0
    assert len(list((tmp_path / "mine" / "notebooks").glob("*.ipynb"))) == 9
    for name in ("docs/kubectl.md", "docs/experiments.md", "CONTRIBUTING.md"):
        assert (tmp_path / "mine" / name).exists()
    assert "new" in capsys.readouterr().out


def test_no_link_of_the_copy_is_broken(tmp_path: Path) -> None:
    """A link to a file that is not copied leads to GitHub; the others stay relative."""
    mine = tmp_path / "mine"
    main(["start", "--no-lab", str(mine)])
    outward = 0
    for page in mine.rglob("*.md"):
        for link in re.findall(r"\]\(([^)#\s]+)", page.read_text()):
            outward += link.startswith(start.SOURCE)
            assert ":" in link or (page.parent / link).exists(), (page.name, link)
    assert outward
    assert "](docs/guides/" in (mine / "README.md").read_text()


def test_jupyter_opens_lesson_0_in_the_learners_folder(tmp_path: Path) -> None:
    """The printed address leads there, too; root must be allowed by name."""
    command = jupyter_command(tmp_path, root=False)
    assert f"--LabApp.default_url=/lab/tree/{FIRST}" in command
    assert f"--ServerApp.root_dir={tmp_path}" in command
    assert "--allow-root" not in command
    assert jupyter_command(tmp_path, root=True)[-1] == "--allow-root"


# -- the end of JupyterLab -----------------------------------------------------------------------

ROOT = Path(__file__).resolve().parents[2]
# Stands in for JupyterLab: says its process id; ends on SIGTERM, or does not care about it.
OBEDIENT = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + OBEDIENT
START = """
import sys
from lessons.start import run_until_signalled
sys.exit(run_until_signalled([sys.executable, "-c", sys.argv[1]], grace_seconds=0.5))
"""


def running(pid: int) -> bool:
    """Whether there is a process of this number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@contextmanager
def started(*arguments: str, **options: object) -> Iterator[subprocess.Popen[str]]:
    """Run Python in a process of its own, and end that in any case."""
    process = subprocess.Popen(
        [sys.executable, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        **options,  # type: ignore[call-overload]
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(30)
        process.stdout.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("program", [OBEDIENT, STUBBORN], ids=["obedient", "stubborn"])
def test_a_signal_ends_the_program_that_was_started(program: str, number: int) -> None:
    """One that does not end is killed; the exit code names the signal, as a shell's does."""
    with started("-c", START, program) as process:
        child = int(process.stdout.readline())
        process.send_signal(number)
        assert process.wait(20) == 128 + number
        assert not running(child)


def test_a_program_that_ends_by_itself_leaves_its_exit_code() -> None:
    """Without a signal nothing is killed and nothing waits."""
    with started("-c", START, "raise SystemExit(3)") as process:
        assert process.wait(20) == 3


@pytest.mark.slow
def test_sigterm_ends_jupyterlab(tmp_path: Path) -> None:
    """As service managers, containers and closed terminals send it; the server answers no more."""
    folders = {name: str(tmp_path / name) for name in ("config", "data", "runtime")}
    environment = {
        **os.environ,
        **{f"JUPYTER_{name.upper()}_DIR": path for name, path in folders.items()},
        "PYTHONPATH": str(ROOT),
    }
    command = ["-m", "lessons", "start", str(tmp_path / "mine"), "--no-browser", "--port=0"]
    with started(*command, env=environment, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 60
        while not (servers := list((tmp_path / "runtime").glob("jpserver-*.json"))):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.1)
        server = int(servers[0].stem.removeprefix("jpserver-"))
        assert running(server)
        process.terminate()
        assert process.wait(30) == 128 + signal.SIGTERM
        assert not running(server)
