"""Exercises that check themselves: ``check()``, ``hint()``, ``solution()``.

A check never raises. It has three outcomes: not attempted, right, and not right with a sentence
that names the cause. There are no grades and no hidden tests; the message is what counts. In a
notebook, hints and the solution are also behind buttons below an open exercise.

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

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from kubesim.arguments import check_arguments, instance_of, list_of
from lessons.feedback.answers import Form, todo
from lessons.feedback.faults import in_a_notebook, no_exit, tell
from lessons.feedback.hints import help_html
from lessons.feedback.progress_file import remember_solved

Test = Callable[[Any], str | None]
"""test(value) -> None if the answer is right, else a sentence that says what is wrong."""


class Outcome(int):
    """True or False, as a number that a notebook does not show below the cell that ends with it."""

    def __repr__(self) -> str:
        return repr(bool(self))

    def _ipython_display_(self) -> None:
        """Show nothing: the feedback has been printed."""


def _outcome(right: bool) -> bool:
    """Return whether an answer is right, in a notebook without a display of its own."""
    return cast("bool", Outcome(right)) if in_a_notebook() else right


class Endless(BaseException):
    """An answer repeats the same call without end; raised by the objects of an exercise.

    This is not an `Exception`, so that an answer that catches all exceptions ends, too.
    """


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
        form: decides whether an answer is a function, a number and so on, as the test needs it.
    """

    id: str
    title: str
    test: Test
    hints: Sequence[str]
    answer: str
    correct: Any = None
    wrong: Sequence[Any] = ()
    form: Form | None = None
    _shown: int = field(default=0, repr=False)

    def check(self, value: Any = todo) -> bool | None:
        """Print whether an answer is right, and return it; None means not attempted.

        As the last value of a notebook's cell the result shows nothing more: see `Outcome`.
        """
        if value is todo or value is None:
            print(f"[ .. ] {self.id} {self.title}: not attempted yet")
            self._offer_help()
            return None
        message = self._problem(value)
        if message is None:
            print(f"[ OK ] {self.id} {self.title}")
            remember_solved(self.id)
            return _outcome(True)
        print(f"[MISS] {self.id} {self.title}: {message}")
        self._offer_help()
        return _outcome(False)

    def _problem(self, value: Any) -> str | None:
        """Return what is wrong with an answer; None if it is right."""
        try:
            with no_exit():
                return (self.form and self.form(value)) or self.test(value)
        except Endless:
            return "your answer repeats the same call again and again and never ends"
        except (Exception, SystemExit, KeyboardInterrupt) as error:  # noqa: BLE001 - the learner's own code runs here
            return tell(error)

    def _offer_help(self) -> None:
        """Show the buttons in a notebook; elsewhere `hint()` and `solution()` are at hand."""
        if in_a_notebook():
            from IPython.display import display

            text = "Hints and the solution: .hint(), .solution()"
            page = help_html(self.hints, self.answer)
            display({"text/html": page, "text/plain": text}, raw=True)  # type: ignore[no-untyped-call]

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
            return _outcome(False)
        print(f"[{' OK ' if choice[1] else 'MISS'}] {choice[2]}")
        return _outcome(choice[1])


QUIZ = {
    "questions": list_of(instance_of(Question, "a question"), "questions"),
    "answers": instance_of(str, 'a string such as "bac"'),
}


def quiz(questions: Sequence[Question], answers: str = "") -> None:
    """Print questions; with answers, also whether each is right, and why.

    Args:
        questions: the questions of a lesson.
        answers: one letter for each question, for example ``"bac"``; "" only asks.

    Raises:
        BadRequest: no list of questions, or answers that are not a string.
    """
    check_arguments(QUIZ, {"questions": questions, "answers": answers})
    for number, question in enumerate(questions):
        if number:
            print()
        question.ask(answers[number : number + 1])
