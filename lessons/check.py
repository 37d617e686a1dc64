"""Exercises that check themselves: ``check()``, ``hint()``, ``solution()``.

A check never raises. It has three outcomes: not attempted, right, and not right with a sentence
that names the cause. There are no grades and no hidden tests; the message is what counts.

Kubernetes has no counterpart.

>>> task = Task("0.1", "six times seven", lambda value: None if value == 42 else "count again",
...             hints=["it is less than 50"], answer="42")
>>> task.check(todo)
[ .. ] 0.1 six times seven: not attempted yet
>>> task.check(41)
[MISS] 0.1 six times seven: count again
False
>>> task.hint()
hint 1 of 1: it is less than 50
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Test = Callable[[Any], str | None]
"""test(value) -> None if the answer is right, else a sentence that says what is wrong."""


class Endless(BaseException):
    """An answer repeats the same call without end; raised by the objects of an exercise.

    This is not an `Exception`, so that an answer that catches all exceptions ends, too.
    """


class _Todo:
    """The value of an exercise that has not been attempted."""

    def __repr__(self) -> str:
        return "todo"

    def __bool__(self) -> bool:
        return False


todo: Any = _Todo()


@dataclass
class Task:
    """One exercise.

    Attributes:
        id: for example ``1.1``.
        title: the task in a few words.
        test: decides whether an answer is right.
        hints: from a first idea to almost the answer.
        answer: the solution as text, shown by `solution()`; run as Python, it is a right answer.
        correct: the solution as a value, for the tests of the lessons.
        wrong: plausible wrong values, for the tests of the lessons.
    """

    id: str
    title: str
    test: Test
    hints: Sequence[str]
    answer: str
    correct: Any = None
    wrong: Sequence[Any] = ()
    _shown: int = field(default=0, repr=False)

    def check(self, value: Any = todo) -> bool | None:
        """Print whether an answer is right, and return it; None means not attempted."""
        if value is todo or value is None:
            print(f"[ .. ] {self.id} {self.title}: not attempted yet")
            return None
        try:
            message = self.test(value)
        except Endless:
            message = "your answer repeats the same call again and again and never ends"
        except KeyboardInterrupt:
            message = "interrupted: does your answer ever end?"
        except Exception as error:  # noqa: BLE001 - the learner's own code runs here
            message = f"your answer raised {type(error).__name__}: {error}"
        if message is None:
            print(f"[ OK ] {self.id} {self.title}")
            _remember(self.id)
            return True
        print(f"[MISS] {self.id} {self.title}: {message}")
        return False

    def hint(self) -> None:
        """Print the next hint; the last one is almost the answer."""
        index = min(self._shown, len(self.hints) - 1)
        self._shown += 1
        print(f"hint {index + 1} of {len(self.hints)}: {self.hints[index]}")

    def solution(self) -> None:
        """Print one solution."""
        print(self.answer)

    def __repr__(self) -> str:
        return f"exercise {self.id}: {self.title}"


@dataclass(frozen=True)
class Question:
    """A quick question with feedback for each answer.

    Attributes:
        text: the question.
        choices: letter -> (answer, whether it is right, why).
    """

    text: str
    choices: dict[str, tuple[str, bool, str]]

    def ask(self, answer: str = "") -> None:
        """Print the question and its answers; with a letter, also whether it is right, and why."""
        print(self.text)
        for letter, (text, _, _) in self.choices.items():
            print(f"  {letter}) {text}")
        if answer:
            self.answer(answer)

    def answer(self, letter: str) -> bool:
        """Print whether an answer is right, and why; return whether it is."""
        choice = self.choices.get(str(letter).strip().lower())
        if choice is None:
            print(f"answer with one of: {', '.join(self.choices)}")
            return False
        print(f"[{' OK ' if choice[1] else 'MISS'}] {choice[2]}")
        return choice[1]


def quiz(questions: Sequence[Question], answers: str = "") -> None:
    """Print questions; with answers, also whether each is right, and why.

    Args:
        questions: the questions of a lesson.
        answers: one letter for each question, for example ``"bac"``; "" only asks.
    """
    for number, question in enumerate(questions):
        if number:
            print()
        question.ask(answers[number : number + 1])


def predict(what: str, mine: object, really: object) -> None:
    """Print a prediction beside what happened; predictions are never graded.

    >>> predict("pods after two minutes", 3, 5)
    pods after two minutes: you said 3, but the answer is 5. Find out why before you read on.
    >>> predict("pods after two minutes", todo, 5)
    pods after two minutes: the answer is 5. Next time, predict first: you learn more that way.

    Args:
        what: what was predicted.
        mine: your prediction; `todo` if you made none.
        really: what happened.
    """
    if mine is todo or mine is None:
        message = f"the answer is {really!r}. Next time, predict first: you learn more that way."
    elif mine == really:
        message = f"you said {mine!r}, which is right."
    else:
        message = (
            f"you said {mine!r}, but the answer is {really!r}. Find out why before you read on."
        )
    print(f"{what}: {message}")


# -- progress: a small file that you can delete at any time -------------------------------------


def _progress_file() -> Path:
    base = os.environ.get("XDG_DATA_HOME") or os.path.join(os.path.expanduser("~"), ".local/share")
    return Path(os.environ.get("KUBESIM_PROGRESS", os.path.join(base, "kubesim", "progress.json")))


def _read() -> list[str]:
    try:
        done = json.loads(_progress_file().read_text())
    except (OSError, ValueError):
        return []
    return [str(task) for task in done] if isinstance(done, list) else []


def _remember(task: str) -> None:
    done = _read()
    if task not in done:
        path = _progress_file()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(sorted([*done, task])))
        except OSError as error:  # for example a read-only home folder
            print(f"(progress is not saved: {error})")


def progress() -> None:
    """Print the exercises solved so far on this machine; delete the file to start over."""
    done = _read()
    if done:
        print(f"solved: {', '.join(done)}   (saved in {_progress_file()})")
    else:
        print("nothing solved yet: open lesson 1")
