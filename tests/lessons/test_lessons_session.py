"""The first and last cells of a lesson, the doctor, predictions, questions, progress."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import lessons
from kubesim import StatusError
from kubesim.errors import BadRequest, ClockError, Conflict, NotFound
from lessons import (
    attempt,
    clusters,
    finish,
    fresh_cluster,
    health,
    predict,
    progress,
    quiz,
    session,
    todo,
)
from lessons.check import Question, Task


def test_a_fresh_cluster_closes_the_one_before() -> None:
    """A cell may be run again and leaks nothing: neither cluster nor server."""
    first = fresh_cluster(nodes=1)
    server = first.serve()
    fresh_cluster(nodes=1)
    with pytest.raises(ClockError):
        first.sleep(1)
    assert server.port == 0


@pytest.mark.live
def test_a_fresh_live_cluster_leaves_one_set_of_threads() -> None:
    """Three times the same cell: as many threads as after the first."""
    counts = []
    for _ in range(3):
        fresh_cluster(nodes=2, hpa=False, clock="live", speed=50)
        counts.append(threading.active_count())
    assert len(set(counts)) == 1
    session.close_all()
    assert session.threads() == []


def test_slots_do_not_disturb_each_other() -> None:
    """A cockpit has a cluster of its own; the lesson's lives on."""
    mine = fresh_cluster(nodes=1)
    fresh_cluster(slot="cockpit/main", nodes=1)
    mine.sleep(1)
    clusters.close_slot("cockpit/main")
    mine.sleep(1)
    assert mine.clock.now() == 2


def test_finish_closes_the_lessons_cluster(capsys: Any) -> None:
    """The last cell; it may be run twice."""
    cluster = fresh_cluster(nodes=1)
    finish()
    finish()
    assert capsys.readouterr().out == "closed\nclosed\n"
    with pytest.raises(ClockError):
        cluster.sleep(1)


def test_lessons_have_a_seed_of_their_own() -> None:
    """So that stored outputs are the same everywhere; another one may be asked for."""
    assert fresh_cluster(nodes=1).seed == clusters.LESSON_SEED
    assert fresh_cluster(nodes=1, seed=3).seed == 3


def test_a_refusal_is_an_answer_and_no_traceback(capsys: Any) -> None:
    """Code, reason, message and hint; what succeeds is returned."""

    def refuse(error: StatusError) -> None:
        raise error

    assert attempt(refuse, NotFound("no pod", hint="make one")) is None
    assert attempt(refuse, Conflict("too late")) is None
    assert capsys.readouterr().out.splitlines() == [
        "404 NotFound: no pod",
        "  hint: make one",
        "409 Conflict: too late",
    ]
    assert attempt(lambda a, b: a + b, 1, b=2) == 3
    with pytest.raises(ZeroDivisionError):  # a mistake in the learner's code is no answer
        attempt(lambda: 1 / 0)


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda: attempt(None), "action must be a function, not None"),
        (lambda: quiz(None), "questions must be a list of questions, not None"),
        (lambda: quiz([3]), "questions must be a list of questions"),
        (lambda: quiz([], 3), "answers must be a string such as"),
        (lambda: predict([], 1, 2), "what must be a string"),
        (lambda: predict("a", 1, 2, within=-1), "within must be at least 0"),
        (lambda: predict("a", 1, 2, within="x"), "within must be a number"),
        (lambda: fresh_cluster(slot=[]), "slot must be a string"),
        (lambda: lessons.place(None), "cluster must be a Cluster"),
        (lambda: lessons.pod(None), "name must be a string"),
    ],
)
def test_an_argument_of_another_type_is_refused(call: Callable[[], object], expected: str) -> None:
    """With the sentence that every door of kubesim has; a mistake in a call is no answer."""
    open_before = clusters.slots()
    with pytest.raises(BadRequest, match=expected):
        call()
    assert clusters.slots() == open_before


def test_predictions_are_echoed_and_never_graded(capsys: Any) -> None:
    """Three tones: none made, right, and not."""
    predict("pods", todo, 4)
    predict("pods", 4, 4)
    predict("pods", 3, 4)
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "pods: the answer is 4 (no prediction made)."
    assert out[1] == "pods: you said 4, which is right."
    assert "you said 3, but the answer is 4" in out[2]


def test_a_quiz_asks_and_then_answers(capsys: Any) -> None:
    """Without letters it only asks; with letters each answer says why."""
    questions = [
        Question("one?", {"a": ("yes", True, "because"), "b": ("no", False, "since")}),
        Question("two?", {"a": ("yes", False, "hardly"), "b": ("no", True, "indeed")}),
    ]
    quiz(questions)
    assert "[" not in capsys.readouterr().out
    quiz(questions, "bb")
    out = capsys.readouterr().out
    assert "[MISS] since" in out
    assert "[ OK ] indeed" in out
    quiz(questions, "?")
    assert "answer with one of: a, b" in capsys.readouterr().out


def test_progress_survives_a_damaged_or_missing_file(
    capsys: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is a convenience: whatever its file says, a lesson goes on."""
    task = Task("9.9", "test", lambda _value: None, ["-"], "1")
    file = tmp_path / "deep" / "progress.json"
    monkeypatch.setenv("KUBESIM_PROGRESS", str(file))
    progress()
    assert "Nothing is solved yet" in capsys.readouterr().out
    for content in ("{broken", '{"a": 1}', "[]", '["1.1"]', "3"):
        file.parent.mkdir(exist_ok=True)
        file.write_text(content)
        task.check(1)
        progress()
        assert "cannot be read" not in capsys.readouterr().out
        assert "9.9" in file.read_text()
    monkeypatch.setenv("KUBESIM_PROGRESS", str(file / "no" / "folder"))
    assert task.check(1) is True
    assert "progress is not saved" in capsys.readouterr().out


def test_the_doctor_finds_everything_here(capsys: Any) -> None:
    """In the environment of the tests nothing is missing."""
    lessons.doctor()
    out = capsys.readouterr().out
    assert "everything is installed" in out
    assert "[MISS]" not in out


def test_the_doctor_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is missing comes with a remedy in the same line."""
    findings = {finding.name: finding for finding in health.examine(str(tmp_path))}
    extension = findings["extension @jupyter-widgets/jupyterlab-manager"]
    assert str(extension).startswith("[MISS]")
    assert "make lab" in str(extension)
    assert "[NOTE]" in str(health.Finding("curl", "", False, "do without"))
    monkeypatch.setattr(health, "examine", lambda: [health.Finding("bokeh", "")])
    lessons.doctor()


def test_the_package_imports_widgets_only_on_first_use() -> None:
    """doctor() has to work where ipywidgets or Bokeh is missing."""
    import subprocess
    import sys

    code = (
        "import sys, lessons; lessons.doctor(); lessons.fresh_cluster(nodes=1); lessons.finish();"
        "print(any(name.split('.')[0] in ('bokeh', 'ipywidgets') for name in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.splitlines()[-1] == "False"
    with pytest.raises(AttributeError):
        _ = lessons.nonsense
