"""The lessons of the course: titles, exercises and predictions.

Kubernetes has no counterpart.
"""

from __future__ import annotations

from typing import NamedTuple


class Lesson(NamedTuple):
    """One lesson.

    Attributes:
        number: 1 for the first one.
        title: as in the map of the lessons.
        file: the notebook.
        exercises: the ids of its exercises.
        predictions: the names of its predictions; each name stands once in the whole course.
    """

    number: int
    title: str
    file: str
    exercises: tuple[str, ...]
    predictions: tuple[str, ...]


LESSONS = (
    Lesson(
        1,
        "The store and its watch",
        "01_store_and_watch.ipynb",
        ("1.1", "1.2", "1.3"),
        ("the store's revision", "the counter", "events"),
    ),
    Lesson(
        2,
        "The API server",
        "02_api_server.ipynb",
        ("2.1", "2.2", "2.3"),
        ("restartPolicy", "the same manifest", "three pods", "replicas in the store"),
    ),
    Lesson(
        3,
        "The life of a pod",
        "03_life_of_a_pod.ipynb",
        ("3.1", "3.2", "3.3"),
        (
            "changes",
            "the last phase",
            "starts",
            "the phase",
            "restarts",
            "pods with a thread of their own",
        ),
    ),
    Lesson(
        4,
        "The autoscaler",
        "04_autoscaler.ipynb",
        ("4.1", "4.2", "4.3"),
        (
            "pods after the first check",
            "pods with half the target",
            "seconds until it scaled down",
            "requests/s not served",
        ),
    ),
    Lesson(
        5,
        "The scheduler",
        "05_scheduler.ipynb",
        ("5.1", "5.2", "5.3", "5.4"),
        (
            "the node of web",
            "pods on node-1",
            "what you have to do",
            "web pods on node-4",
            "preempted in spite of the budget",
            "nodes with pods",
            "pods with a node",
        ),
    ),
    Lesson(
        6,
        "Controllers and rollouts",
        "06_controllers_and_rollouts.ipynb",
        ("6.1", "6.2", "6.3"),
        (
            "what creates the pods",
            "what acts",
            "changes of size",
            "pods, edge-triggered, some events lost",
            "pods, edge-triggered, events twice",
            "pods left by Orphan",
            "at most",
            "ready at least",
            "old pods",
            "new pods",
            "while it is down",
            "after the restart",
            "seconds, about",
        ),
    ),
    Lesson(
        7,
        "Tuning the autoscaler",
        "07_hpa_tuning.ipynb",
        ("7.1", "7.2", "7.3"),
        (
            "seconds until all requests are served",
            "second of the first scale-down",
            "percent unmet",
            "pods at most, while warming up",
            "pods at most before 600 s",
            "pods with a target of 95 %",
        ),
    ),
    Lesson(
        8,
        "Three ways in",
        "08_three_ways_in.ipynb",
        ("8.1", "8.2", "8.3"),
        (
            "the columns are computed by",
            "the codes of the two refusals",
            "lines",
            "the PATCH is",
            "the codes without permission",
        ),
    ),
)


def lesson_of_prediction(name: str) -> int:
    """Return the number of the lesson that asks for a prediction; 0 if none does."""
    for lesson in LESSONS:
        if name in lesson.predictions:
            return lesson.number
    return 0
