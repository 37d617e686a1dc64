"""Every exercise four ways: not attempted, right, and two plausible wrong answers."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest

from lessons import exercises, progress
from lessons.check import Task
from lessons.feedback.answers import todo

LESSONS = sorted(path.stem for path in Path(exercises.__file__).parent.glob("l*.py"))
TASKS = [
    task
    for name in LESSONS
    for task in vars(importlib.import_module(f"lessons.exercises.{name}")).values()
    if isinstance(task, Task)
]


# What the cells of the exercises import.
IMPORTED = "from math import ceil\nfrom lessons.tuning.tune import pods_needed\n"


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.id)
def test_not_attempted_is_a_result_of_its_own(task: Task, capsys: Any) -> None:
    """The starter is neither right nor wrong."""
    assert task.check(todo) is None
    assert "not attempted" in capsys.readouterr().out


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.id)
def test_the_solution_is_right(task: Task, capsys: Any) -> None:
    """The official answer passes, and is remembered."""
    assert task.check(task.correct) is True
    progress()
    assert task.id in capsys.readouterr().out


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.id)
def test_wrong_answers_get_a_reason(task: Task, capsys: Any) -> None:
    """Each plausible mistake gets a message of its own."""
    messages = []
    assert len(task.wrong) >= 2
    for answer in task.wrong:
        assert task.check(answer) is False
        messages.append(capsys.readouterr().out)
    assert len(set(messages)) == len(messages), "two mistakes have the same message"
    assert all("[MISS]" in message and len(message) > 60 for message in messages)


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.id)
def test_the_text_of_the_solution_works(task: Task) -> None:
    """What solution() prints is the answer, not a sketch of it."""
    scope: dict[str, Any] = {}
    if "def " in task.answer:
        exec(IMPORTED + task.answer, scope)
        name = task.answer.split("def " if task.answer.startswith(("def", "from")) else "class ")
        value = scope[name[1].split("(")[0].split(":")[0]]
    elif task.answer[0] in "{[":
        value = eval(task.answer)
    elif task.answer[0].isdigit():
        value = int(task.answer.split(":")[0])
    else:
        value = task.answer
    assert task.check(value) is True


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.id)
def test_hints_end_with_the_last(task: Task, capsys: Any) -> None:
    """Asking again gives the next hint; the last one stays."""
    for _ in range(len(task.hints) + 2):
        task.hint()
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith(f"hint {len(task.hints)} of {len(task.hints)}")


@pytest.mark.parametrize("name", LESSONS)
def test_questions_have_one_right_answer_and_feedback_for_each(name: str, capsys: Any) -> None:
    """Three questions a lesson; every answer says why."""
    questions = importlib.import_module(f"lessons.exercises.{name}").questions
    assert len(questions) == 3
    for question in questions:
        right = [letter for letter, choice in question.choices.items() if choice[1]]
        assert len(right) == 1
        assert all(choice[2] for choice in question.choices.values())
        assert question.answer(right[0]) is True
        assert question.answer("z") is False
    assert "[ OK ]" in capsys.readouterr().out


def test_an_answer_that_raises_is_a_miss(capsys: Any) -> None:
    """The learner's exception becomes a sentence."""
    task = TASKS[0]
    assert task.check(lambda *_args: 1 / 0) is False
    assert "ZeroDivisionError" in capsys.readouterr().out
