"""`progress()`: what is solved and predicted, for each lesson and for the whole course.

Kubernetes has no counterpart.
"""

from __future__ import annotations

from lessons.feedback.course import LESSONS, Lesson
from lessons.feedback.progress_file import Achievements, progress_file, read_progress

BAR_WIDTH = 12


def progress() -> None:
    """Print your progress in each lesson and in the whole course; see `progress_lines`."""
    print("\n".join(progress_lines(read_progress())))


def progress_lines(done: Achievements) -> list[str]:
    """Return a table with a bar for each lesson and one for all, and what comes next."""
    width = max(len(_name(lesson)) for lesson in LESSONS)
    rows = [f"{'':{width}}  {'exercises solved':{BAR_WIDTH + 10}}  predictions made"]
    for lesson in LESSONS:
        rows.append(_row(_name(lesson), width, [lesson], done))
    rows.append(_row("all lessons", width, list(LESSONS), done))
    rows += ["", _next_step(done)]
    if done.problem:
        rows.append(f"{progress_file()} cannot be read ({done.problem}), so nothing counts yet.")
    elif done.solved or done.predictions:
        rows.append(f"Saved in {progress_file()}; delete the file to start over.")
    return rows


def _name(lesson: Lesson) -> str:
    return f"{lesson.number} {lesson.title}"


def _row(name: str, width: int, lessons: list[Lesson], done: Achievements) -> str:
    exercises = [task for lesson in lessons for task in lesson.exercises]
    predictions = [name for lesson in lessons for name in lesson.predictions]
    solved = sum(task in done.solved for task in exercises)
    recorded = [done.predictions[name] for name in predictions if name in done.predictions]
    right = sum(prediction.result != "wrong" for prediction in recorded)
    counts = f"{len(recorded)} of {len(predictions)}"
    note = f", {right} right or close" if recorded else ""
    total = f"{solved} of {len(exercises)}"
    return f"{name:{width}}  {bar(solved, len(exercises))} {total:9}  {counts}{note}"


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


def _next_step(done: Achievements) -> str:
    tasks = [(task, lesson) for lesson in LESSONS for task in lesson.exercises]
    open_tasks = [(task, lesson) for task, lesson in tasks if task not in done.solved]
    if not open_tasks:
        return "Every exercise is solved."
    task, lesson = open_tasks[0]
    if len(open_tasks) == len(tasks):
        return "Nothing is solved yet. Begin with lesson 1."
    return f"Next: exercise {task} in lesson {lesson.number}, {lesson.title}."
