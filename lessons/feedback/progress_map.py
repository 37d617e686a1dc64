"""`progress()`: the map of the lessons with what you have solved and predicted, and with totals.

A notebook shows it as a table whose lessons are links; elsewhere it is text.

Kubernetes has no counterpart.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from lessons.feedback.course import LESSONS, Lesson
from lessons.feedback.faults import in_a_notebook
from lessons.feedback.progress_file import Achievements, progress_file, read_progress

BAR_WIDTH = 12


def progress() -> None:
    """Show your progress in each lesson and in the whole course, and what comes next."""
    done = read_progress()
    text = "\n".join(progress_lines(done))
    if not in_a_notebook():
        print(text)
        return
    from IPython.display import display

    display({"text/html": map_html(done), "text/plain": text}, raw=True)  # type: ignore[no-untyped-call]


class Count(NamedTuple):
    """What is done in one lesson or in several.

    Attributes:
        solved, exercises: how many exercises are solved, and how many there are.
        made, predictions: how many predictions were made, and how many are asked for.
        right: how many of those made were right or close.
    """

    solved: int
    exercises: int
    made: int
    predictions: int
    right: int

    @property
    def solved_text(self) -> str:
        """For example ``2 of 3``."""
        return f"{self.solved} of {self.exercises}"

    @property
    def made_text(self) -> str:
        """For example ``3 of 4, 2 right or close``."""
        note = f", {self.right} right or close" if self.made else ""
        return f"{self.made} of {self.predictions}{note}"


def count(lessons: Sequence[Lesson], done: Achievements) -> Count:
    """Count what is done in some lessons."""
    exercises = [task for lesson in lessons for task in lesson.exercises]
    predictions = [name for lesson in lessons for name in lesson.predictions]
    recorded = [done.predictions[name] for name in predictions if name in done.predictions]
    return Count(
        sum(task in done.solved for task in exercises),
        len(exercises),
        len(recorded),
        len(predictions),
        sum(prediction.result != "wrong" for prediction in recorded),
    )


def map_html(done: Achievements) -> str:
    """Return the map of the lessons as HTML: links, a bar and the counts of each, and totals."""
    rows = "".join(_html_row(_link(lesson), count([lesson], done)) for lesson in LESSONS)
    total = _html_row("<b>all lessons</b>", count(LESSONS, done))
    head = "".join(
        f'<th style="text-align:left">{name}</th>'
        for name in ("lesson", "exercises solved", "predictions made")
    )
    notes = [escape(note) for note in _notes(done)]
    lesson = _next_lesson(done)
    if lesson is not None:
        notes[0] += f" {_link(lesson)}"
    return (
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody><tfoot>{total}</tfoot></table>"
        f"<p>{'<br>'.join(notes)}</p>"
    )


def _link(lesson: Lesson) -> str:
    return f'<a href="{lesson.file}">{escape(_name(lesson))}</a>'


def _html_row(name: str, counted: Count) -> str:
    progress_bar = f"<code>{bar(counted.solved, counted.exercises)}</code> {counted.solved_text}"
    cells = "".join(
        f'<td style="text-align:left">{cell}</td>'
        for cell in (name, progress_bar, counted.made_text)
    )
    return f"<tr>{cells}</tr>"


def progress_lines(done: Achievements) -> list[str]:
    """Return a table with a bar for each lesson and one for all, and what comes next."""
    width = max(len(_name(lesson)) for lesson in LESSONS)
    rows = [f"{'':{width}}  {'exercises solved':{BAR_WIDTH + 10}}  predictions made"]
    for lesson in LESSONS:
        rows.append(_row(_name(lesson), width, count([lesson], done)))
    rows.append(_row("all lessons", width, count(LESSONS, done)))
    return [*rows, "", *_notes(done)]


def _notes(done: Achievements) -> list[str]:
    """Return what comes next, and where the progress is kept."""
    notes = [_next_step(done)]
    if done.problem:
        notes.append(f"{progress_file()} cannot be read ({done.problem}), so nothing counts yet.")
    elif done.solved or done.predictions:
        notes.append(f"Saved in {progress_file()}; delete the file to start over.")
    return notes


def _name(lesson: Lesson) -> str:
    return f"{lesson.number} {lesson.title}"


def _row(name: str, width: int, counted: Count) -> str:
    progress_bar = bar(counted.solved, counted.exercises)
    return f"{name:{width}}  {progress_bar} {counted.solved_text:9}  {counted.made_text}"


def bar(part: int, whole: int, width: int = BAR_WIDTH) -> str:
    """Return a bar of text; it is full only if the part is the whole, and empty only for 0.

    >>> bar(1, 3)
    '████░░░░░░░░'

    Args:
        part: what is done.
        whole: everything; above 0.
        width: in characters.
    """
    full = width * part // whole
    if part and not full:
        full = 1
    return "█" * full + "░" * (width - full)


def _next_lesson(done: Achievements) -> Lesson | None:
    """Return the first lesson with an exercise that is not solved."""
    return next((each for each in LESSONS if not done.solved.issuperset(each.exercises)), None)


def _next_step(done: Achievements) -> str:
    lesson = _next_lesson(done)
    if lesson is None:
        return "Every exercise is solved."
    if count(LESSONS, done).solved == 0:
        return "Nothing is solved yet. Begin with lesson 1."
    task = next(each for each in lesson.exercises if each not in done.solved)
    return f"Next: exercise {task} in lesson {lesson.number}, {lesson.title}."
