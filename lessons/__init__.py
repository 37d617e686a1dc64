"""The notebooks' library: set-up, panels, charts, exercises.

Everything that needs Jupyter, ipywidgets or Bokeh is in this package; kubesim itself needs none of
them. The package imports them only on first use, so that `doctor()` can report a missing one.

    session      the first and the last cell of a lesson: setup(), finish()
    clusters     fresh_cluster(): the open clusters of lessons and panels
    health       doctor(): what is installed, and how to install what is missing
    kubectl      %%kubectl: the real kubectl against the lesson's cluster
    check        exercises: check(), hint(), solution(); questions
    feedback/    predict(), progress(), errors told with their line, hints behind buttons
    exercises/   the tasks of each lesson
    pods         short ways to write pods and to see where they go
    toy          a miniature controller, and what lost watch events do to it
    start        `python -m lessons start` copies the lessons into your own folder
    refresh      `python -m lessons.refresh` stores the outputs of the notebooks

    cockpit/     the panel of a cluster with an autoscaler; record(): a run as a picture
    scheduler/   the panel of the scheduler; fill(): how full the nodes are
    rollout/     the panel of a rolling update; watch_rollout(): a rollout as a picture
    tuning/      the panel of autoscaler settings; tune(): one run with some settings
    ui/          what the panels share: base panel, transport bar, widgets; charts and their theme

Each panel's folder holds `panel` (the panel), `controls` (its widgets), `chart` (the description of
its chart) and `still` (the picture for pages that cannot show widgets). `ui.charts.bokeh_chart` and
`ui.charts.svg_chart` draw the same description, live and still; `ui.charts.theme` has all colours.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from lessons.check import quiz
from lessons.clusters import fresh_cluster
from lessons.feedback.answers import todo
from lessons.feedback.predictions import predict
from lessons.feedback.progress_map import progress
from lessons.health import doctor
from lessons.pods import place, pod
from lessons.scheduler.nodefill import fill
from lessons.session import attempt, close_all, finish, setup

if TYPE_CHECKING:
    from lessons.cockpit.panel import Cockpit
    from lessons.cockpit.still import record
    from lessons.rollout.panel import RolloutPanel
    from lessons.rollout.still import watch_rollout
    from lessons.scheduler.panel import SchedulerPanel
    from lessons.tuning.panel import TuningPanel
    from lessons.tuning.tune import tune

__all__ = [
    "Cockpit",
    "RolloutPanel",
    "SchedulerPanel",
    "TuningPanel",
    "attempt",
    "close_all",
    "doctor",
    "fill",
    "finish",
    "fresh_cluster",
    "place",
    "pod",
    "predict",
    "progress",
    "quiz",
    "record",
    "setup",
    "todo",
    "tune",
    "watch_rollout",
]


_LAZY = {  # name -> module that is imported on first use
    "Cockpit": "lessons.cockpit.panel",
    "RolloutPanel": "lessons.rollout.panel",
    "SchedulerPanel": "lessons.scheduler.panel",
    "TuningPanel": "lessons.tuning.panel",
    "record": "lessons.cockpit.still",
    "tune": "lessons.tuning.tune",
    "watch_rollout": "lessons.rollout.still",
}


def __getattr__(name: str) -> object:
    """Import a name that needs ipywidgets or Bokeh when it is first used."""
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
