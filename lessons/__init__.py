"""The laboratory's notebooks stand on this: set-up, cockpit, charts, checks.

Everything that needs Jupyter, ipywidgets or Bokeh is here; kubesim itself needs none of them. This
package imports them only when they are asked for, so that `doctor()` can speak where one is
missing.

    session      the first and the last cell of a lesson: setup(), fresh_cluster(), finish()
    kubectl      %%kubectl: the real kubectl against the lesson's cluster
    health       doctor(): what is installed, what to do where something is missing
    panels       which panels are open: one of each name
    check        exercises: check(), hint(), solution(); questions; predictions; progress
    exercises    the tasks of each lesson
    live         a Bokeh figure that survives in JupyterLab
    series       what happened in a cluster, as columns
    charts       those columns as three charts
    still        the same as a picture, for pages where widgets cannot live
    tables       the same as tables
    pods         short ways to write pods and to place them
    nodefill     how full the nodes are, as text; nodefill_still: as a picture
    look         the cockpit's style sheet
    transport    the cockpit's Run, Pause, Step, speed, Reset
    controls     the cockpit's sliders
    words        the texts beside the charts
    flight       what every live panel has: a cluster, a transport bar, a thread that paints
    cockpit      all of it in one panel
    deployments  the Deployment that is rolled out, as a document
    rollout      the panel of a rollout; rollout_series, _charts, _still, _controls are its parts
    scheduler_panel  the scheduler's panel; scheduler_charts and _controls are its parts
    toy          a controller in miniature, and what lost news do to it
    tuning       settings of an autoscaler, tried on a load in a cluster of their own; trial is what
                 came of it, loads the loads, tuning_panel the panel with _charts and _still
    drawing      axes, steps and legends of still pictures
    refresh      `python -m lessons.refresh` stores the outputs of the notebooks anew
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from lessons.check import predict, progress, quiz, todo
from lessons.health import doctor
from lessons.pods import place, pod
from lessons.scheduler.nodefill import fill
from lessons.session import attempt, close_all, finish, fresh_cluster, setup

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


_LATER = {  # what needs ipywidgets and Bokeh, and where it is
    "Cockpit": "lessons.cockpit.panel",
    "RolloutPanel": "lessons.rollout.panel",
    "SchedulerPanel": "lessons.scheduler.panel",
    "TuningPanel": "lessons.tuning.panel",
    "record": "lessons.cockpit.still",
    "tune": "lessons.tuning.tune",
    "watch_rollout": "lessons.rollout.still",
}


def __getattr__(name: str) -> Any:
    """Import what needs ipywidgets and Bokeh when it is first asked for."""
    if name in _LATER:
        return getattr(import_module(_LATER[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
