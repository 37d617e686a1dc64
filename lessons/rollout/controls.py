"""The controls and the words of the rollout panel.

Left, what you wish: replicas, maxSurge, maxUnavailable; below it what the store has, and what that
means in pods. Right, what is rolled out: the next version, a bad one, pause, undo, and a pod to
kill. As in the cockpit, sliders write through the API server and follow it when others write.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import ipywidgets as W

from kubesim import Cluster
from lessons.cockpit import tables
from lessons.cockpit.controls import PATIENCE_SECONDS, NumberSlider, heading, syncing
from lessons.rollout.deployments import NAME
from lessons.rollout.series import RolloutSeries, Stage

REPLICAS = (1, 40)
PERCENT = (0, 100)
FEED_ROWS = 8


class DeploymentControls:
    """Replicas, maxSurge and maxUnavailable of the Deployment.

    Args:
        options: as the store has them, see `options_of`.
        write: called with one changed key; writes through the API server.

    Attributes:
        box: the widgets.
    """

    def __init__(self, options: Mapping[str, int], write: Callable[..., Any]) -> None:
        self._write = write
        self._touched = 0.0
        self.replicas = NumberSlider("replicas", REPLICAS, options["replicas"], 1, "spec.replicas")
        self.surge = NumberSlider(
            "surge %", PERCENT, options["surge"], 5, "maxSurge: so much more than replicas"
        )
        self.unavailable = NumberSlider(
            "unavail. %", PERCENT, options["unavailable"], 5, "maxUnavailable: so much less"
        )
        self._sliders = {
            "replicas": self.replicas,
            "surge": self.surge,
            "unavailable": self.unavailable,
        }
        for key, each in self._sliders.items():
            each.slider.observe(self._writer(key), "value")
        self.stored = W.HTML()
        rows = [each.row for each in self._sliders.values()]
        self.box = W.VBox([heading("Deployment", "what you wish"), *rows, self.stored])

    def _writer(self, key: str) -> Callable[[Any], None]:
        def changed(change: Any) -> None:
            if not syncing.on:
                self._touched = time.monotonic()
                self._write(**{key: change["new"]})

        return changed

    def options(self) -> dict[str, int]:
        """What the sliders say."""
        return {key: each.value for key, each in self._sliders.items()}

    def sync(self, options: Mapping[str, int], patience: float = PATIENCE_SECONDS) -> None:
        """Let the sliders go to what the store has, unless they were just touched."""
        if time.monotonic() - self._touched < patience or self.options() == dict(options):
            return
        syncing.on = True
        try:
            for key, each in self._sliders.items():
                each.show(options[key])
        finally:
            syncing.on = False

    def show_stored(self, options: Mapping[str, int], stage: Stage) -> None:
        """What the store has, and what its percentages are in pods."""
        self.stored.value = (
            "<span class='ks-fact'><b>in the store:</b> "
            f"{options['replicas']} replicas, surge {options['surge']} % = "
            f"{stage.most - stage.wanted}, unavailable {options['unavailable']} % = "
            f"{stage.wanted - stage.least}: at most {stage.most} pods, at least {stage.least} "
            "ready</span>"
        )


class VersionControls:
    """What is rolled out.

    Args:
        acts: what each button does: ``good``, ``bad``, ``pause``, ``undo``, ``kill``.

    Attributes:
        box: the widgets.
    """

    def __init__(self, acts: Mapping[str, Callable[[], Any]]) -> None:
        self.good = _button("Roll out next version", "forward", "a new image that works")
        self.bad = _button("Roll out bad image", "bug", "an image that is in no registry")
        self.pause = _button("Pause rollout", "pause-circle", "kubectl rollout pause, or resume")
        self.undo = _button("Undo", "undo", "kubectl rollout undo: back to the version before")
        self.kill = _button("Kill a pod", "bolt", "delete the first pod")
        for key, act in acts.items():
            button: W.Button = getattr(self, key)
            button.on_click(lambda _button, act=act: act())
        self.status = W.HTML()
        row = W.Layout(display="flex", flex_flow="row wrap", grid_gap="4px")
        buttons = W.Box([self.good, self.bad, self.pause, self.undo, self.kill], layout=row)
        self.box = W.VBox([heading("Rollout", "what you do"), buttons, self.status])

    def render(self, status: str, paused: bool) -> None:
        """What `kubectl rollout status` says; the button names what it would do now."""
        self.pause.description = "Resume rollout" if paused else "Pause rollout"
        note = " <b>(paused)</b>" if paused else ""
        self.status.value = f"<span class='ks-fact'><b>now:</b> {status}{note}</span>"


class RolloutSummary:
    """Why, the ReplicaSets, and what was changed.

    Attributes:
        box: one below the other.
        details: the chart as a table, folded.
    """

    def __init__(self) -> None:
        self.why, self.sets, self.feed, self.table = W.HTML(), W.HTML(), W.HTML(), W.HTML()
        self.box = W.VBox(
            [self.why, self.sets, self.feed],
            layout=W.Layout(flex="3 1 330px", min_width="0", grid_gap="6px", padding="0 0 0 12px"),
        )
        self.details = W.Accordion(
            [self.table], titles=("The chart as a table",), selected_index=None
        )

    def render(self, cluster: Cluster, series: RolloutSeries) -> None:
        """Say how things stand."""
        latest = cluster.decisions.latest(f"deployment/{NAME}")
        self.why.value = tables.decision_html(latest, (), "the Deployment controller")
        rows = [
            (version.number, image_in(version.template), *_sizes(version.holder))
            for version in cluster.rollout(f"deployment/{NAME}").versions()
        ]
        columns = ("revision", "image", "desired", "ready")
        self.sets.value = tables.html_table(columns, rows[:-6:-1], "ReplicaSets, newest first")
        passes = [(round(each.time), each.why) for each in series.passes[: -FEED_ROWS - 1 : -1]]
        self.feed.value = tables.html_table(("t [s]", "pass"), passes, "What was changed")
        if self.details.selected_index is not None:
            shown = series.table()
            self.table.value = tables.html_table(shown.columns, shown.rows, "pods")


def image_in(template: Mapping[str, Any]) -> str:
    """The image of a template's first container."""
    return str(template["spec"]["containers"][0]["image"])


def options_of(deployment: Mapping[str, Any]) -> dict[str, int]:
    """Replicas, maxSurge and maxUnavailable in percent, as the sliders want them.

    Numbers of pods, which others may have written, become the nearest percentage.
    """
    replicas = int(deployment["spec"]["replicas"])
    rolling = deployment["spec"]["strategy"].get("rollingUpdate") or {}
    return {
        "replicas": replicas,
        "surge": _percent(rolling.get("maxSurge", 0), replicas),
        "unavailable": _percent(rolling.get("maxUnavailable", 0), replicas),
    }


def _percent(value: int | str, replicas: int) -> int:
    if isinstance(value, str):
        return int(value.removesuffix("%"))
    return round(value * 100 / max(1, replicas))


def _sizes(replicaset: Mapping[str, Any]) -> tuple[int, int]:
    status = replicaset.get("status") or {}
    return replicaset["spec"]["replicas"], status.get("readyReplicas", 0)


def _button(text: str, icon: str, about: str) -> W.Button:
    layout = W.Layout(width="auto", min_width="78px")
    return W.Button(description=text, icon=icon, tooltip=about, layout=layout)
