"""The learner's progress: a small file that you can delete at any time.

It holds the solved exercises and, for each prediction, the first one that was made. All notebooks
share it. Kubernetes has no counterpart.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Prediction:
    """One recorded prediction.

    Attributes:
        said: what was predicted, as Python text.
        answer: what happened, as Python text.
        result: ``right``, ``close`` or ``wrong``.
    """

    said: str
    answer: str
    result: str


@dataclass
class Achievements:
    """What was done so far.

    Attributes:
        solved: the ids of the solved exercises.
        predictions: the first prediction of each name.
        problem: why the file could not be read; "" if it could, or if there is none yet.
    """

    solved: set[str] = field(default_factory=set)
    predictions: dict[str, Prediction] = field(default_factory=dict)
    problem: str = ""


def progress_file() -> Path:
    """Return the path of the file; the environment variable KUBESIM_PROGRESS overrides it."""
    base = os.environ.get("XDG_DATA_HOME") or os.path.join(os.path.expanduser("~"), ".local/share")
    return Path(os.environ.get("KUBESIM_PROGRESS", os.path.join(base, "kubesim", "progress.json")))


def read_progress() -> Achievements:
    """Return what was done so far; nothing if there is no file, or none that can be read."""
    try:
        document = json.loads(progress_file().read_text(encoding="utf-8"))
        if isinstance(document, list):  # the format of release 0.2.0
            document = {"solved": document}
        return Achievements(
            {str(task) for task in document.get("solved", ())},
            {
                str(name): Prediction(*(str(entry[key]) for key in Prediction.__annotations__))
                for name, entry in document.get("predictions", {}).items()
            },
        )
    except FileNotFoundError:
        return Achievements()
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return Achievements(problem=f"{type(error).__name__}: {error}")


def remember_solved(task: str) -> None:
    """Record that an exercise was solved."""
    progress = read_progress()
    if task not in progress.solved:
        progress.solved.add(task)
        _write(progress)


def remember_prediction(name: str, prediction: Prediction) -> None:
    """Record a prediction; a later one of the same name does not replace the first."""
    progress = read_progress()
    if name not in progress.predictions:
        progress.predictions[name] = prediction
        _write(progress)


def _write(progress: Achievements) -> None:
    """Replace the file as a whole, so that no other notebook reads half of it."""
    path = progress_file()
    document = {
        "solved": sorted(progress.solved),
        "predictions": {name: asdict(each) for name, each in progress.predictions.items()},
    }
    new = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if progress.problem:
            path.replace(path.with_name(f"{path.name}.unreadable"))
        new.write_text(json.dumps(document, indent=1), encoding="utf-8")
        new.replace(path)
    except OSError as error:  # for example a read-only home folder
        print(f"(progress is not saved: {error})")
