"""The controls and the texts of the rollout panel.

On the left the desired settings: replicas, maxSurge, maxUnavailable; below them what the store has,
and what that means in pods. On the right what is rolled out: the next version, a bad image, pause,
undo, and a pod to delete. As in the cockpit, sliders write through the API server and follow it
when other clients write.

The nearest in Kubernetes are `kubectl edit deployment` and `kubectl rollout`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import ipywidgets as W

from kubesim import Cluster
from kubesim.objects import ReadOnlyDocument
from lessons.rollout.deployments import NAME
from lessons.rollout.series import RolloutSeries, Stage
from lessons.ui.html import decision_html, html_table
from lessons.ui.widgets import (
    PATIENCE_SECONDS,
    Details,
    NumberSlider,
    StoreWriter,
    fact,
    heading,
    icon_button,
    syncing,
)

REPLICAS = (1, 40)
PERCENT = (0, 100)
FEED_ROWS = 8


class DeploymentControls:
    """Replicas, maxSurge and maxUnavailable of the Deployment.

    Args:
        options: the settings that the store has, see `options_of`.
        write: called with one changed key; writes through the API server.

    Attributes:
        box: the widgets.
    """

    def __init__(self, options: Mapping[str, int], write: Callable[..., object]) -> None:
        self._writer = StoreWriter(write)
        self.replicas = NumberSlider("replicas", REPLICAS, options["replicas"], 1, "spec.replicas")
        self.surge = NumberSlider(
            "surge %", PERCENT, options["surge"], 5, "maxSurge: pods above replicas"
        )
        self.unavailable = NumberSlider(
            "unavail. %",
            PERCENT,
            options["unavailable"],
            5,
            "maxUnavailable: pods below replicas that need not be ready",
        )
        self._sliders = {
            "replicas": self.replicas,
            "surge": self.surge,
            "unavailable": self.unavailable,
        }
        for key, each in self._sliders.items():
            each.slider.observe(self._writer.observer(key), "value")
        self.stored = W.HTML()
        rows = [each.row for each in self._sliders.values()]
        self.box = W.VBox([heading("Deployment", "desired settings"), *rows, self.stored])

    def options(self) -> dict[str, int]:
        """Return the settings of the sliders."""
        return {key: each.value for key, each in self._sliders.items()}

    def sync(self, options: Mapping[str, int], patience: float = PATIENCE_SECONDS) -> None:
        """Set the sliders to what the store has, unless they were just touched.

        Args:
            options: the settings that the store has.
            patience: seconds for which a touched slider is left alone.
        """
        if self._writer.touched_within(patience) or self.options() == dict(options):
            return
        with syncing():
            for key, each in self._sliders.items():
                each.show(options[key])

    def show_stored(self, options: Mapping[str, int], stage: Stage) -> None:
        """Say what the store has, and what its percentages are in pods."""
        self.stored.value = fact(
            "in the store",
            f"{options['replicas']} replicas, surge {options['surge']} % = "
            f"{stage.max_pods - stage.desired}, unavailable {options['unavailable']} % = "
            f"{stage.desired - stage.min_ready}: at most {stage.max_pods} pods, at least "
            f"{stage.min_ready} ready",
        )


class VersionControls:
    """The buttons of the rollout.

    Args:
        actions: what each button does: ``good``, ``bad``, ``pause``, ``undo``, ``kill``.

    Attributes:
        box: the widgets.
    """

    def __init__(self, actions: Mapping[str, Callable[[], object]]) -> None:
        self.good = icon_button("Roll out next version", "forward", "a new image that works")
        self.bad = icon_button("Roll out bad image", "bug", "an image that is in no registry")
        self.pause = icon_button("Pause rollout", "pause-circle", "kubectl rollout pause or resume")
        self.undo = icon_button("Undo", "undo", "kubectl rollout undo: back to the last version")
        self.kill = icon_button("Kill a pod", "bolt", "delete the first pod")
        for key, action in actions.items():
            button: W.Button = getattr(self, key)
            button.on_click(lambda _button, action=action: action())
        self.status = W.HTML()
        row = W.Layout(display="flex", flex_flow="row wrap", grid_gap="4px")
        buttons = W.Box([self.good, self.bad, self.pause, self.undo, self.kill], layout=row)
        self.box = W.VBox([heading("Rollout", "actions"), buttons, self.status])

    def render(self, status: str, paused: bool) -> None:
        """Show the text of `kubectl rollout status`, and name what the pause button does now."""
        self.pause.description = "Resume rollout" if paused else "Pause rollout"
        note = " <b>(paused)</b>" if paused else ""
        self.status.value = fact("now", f"{status}{note}")


class RolloutSummary:
    """The latest decision with its reasons, the ReplicaSets, and the passes.

    Attributes:
        why, sets, feed: the newest decision, the ReplicaSets, the passes.
        details: the chart as a table, collapsed.

    Args:
        refresh: called when the table is opened or closed.
    """

    def __init__(self, refresh: Callable[[], object]) -> None:
        self.why, self.sets, self.feed, self.table = W.HTML(), W.HTML(), W.HTML(), W.HTML()
        self.details = Details({"The chart as a table": self.table}, refresh)

    def render(self, cluster: Cluster, series: RolloutSeries) -> None:
        """Update the texts."""
        latest = cluster.decisions.latest(f"deployment/{NAME}")
        self.why.value = decision_html(latest, (), "the Deployment controller")
        rows = [
            (version.number, image_in(version.template), *_sizes(version.holder))
            for version in cluster.rollout(f"deployment/{NAME}").versions()
        ]
        columns = ("revision", "image", "desired", "ready")
        self.sets.value = html_table(columns, rows[:-6:-1], "ReplicaSets, newest first")
        passes = [(round(each.time), each.why) for each in series.passes[: -FEED_ROWS - 1 : -1]]
        self.feed.value = html_table(("t [s]", "pass"), passes, "Passes that changed a size")
        if self.details.is_open(0):
            table = series.table()
            self.table.value = html_table(table.columns, table.rows, "pods")


def image_in(template: ReadOnlyDocument) -> str:
    """Return the image of a pod template's first container."""
    return str(template["spec"]["containers"][0]["image"])


def options_of(deployment: ReadOnlyDocument) -> dict[str, int]:
    """Return replicas, and maxSurge and maxUnavailable in percent, as the sliders need them.

    A number of pods, which another client may have written, becomes the nearest percentage.
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


def _sizes(replicaset: ReadOnlyDocument) -> tuple[int, int]:
    status = replicaset.get("status") or {}
    return replicaset["spec"]["replicas"], status.get("readyReplicas", 0)
