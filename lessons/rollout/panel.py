"""The rollout panel: change a Deployment, and see it move from one version to the next.

    transport     Run, Pause, Step, speed, the clock; Reset stands apart
    deployment    replicas, maxSurge, maxUnavailable: what you wish, and what the store says
    rollout       the next version, a bad image, pause, undo, a pod to kill
    chart         old and new pods, ready and not yet ready, between their two bounds
    beside it     why the controller goes no further, the ReplicaSets, what was changed

    RolloutPanel()             pods are threads, five simulated seconds a second
    RolloutPanel("virtual")    the same panel without a thread; Run paces it

No counterpart in Kubernetes; the nearest is `kubectl rollout status --watch` with a graph.
"""

from __future__ import annotations

from typing import Any

import ipywidgets as W

from kubesim import Cluster, Table
from lessons import session
from lessons.cockpit.controls import PATIENCE_SECONDS
from lessons.rollout import still as rollout_still
from lessons.rollout.charts import RolloutCharts
from lessons.rollout.controls import (
    DeploymentControls,
    RolloutSummary,
    VersionControls,
    image_in,
    options_of,
)
from lessons.rollout.deployments import BAD_IMAGE, NAME, image_of, set_image, set_replicas, web
from lessons.rollout.series import RolloutSeries
from lessons.ui.base_panel import ROW, Panel

SPEED = 5.0  # simulated seconds per second
WINDOW_SECONDS = 240.0  # of simulated time that the chart shows
REPLICAS = 10
DEADLINE_SECONDS = 60  # progressDeadlineSeconds; the real default, 600, is long to look at
DEPLOYMENT = f"deployment/{NAME}"
FIELDS = {"surge": "maxSurge", "unavailable": "maxUnavailable"}


class RolloutPanel(Panel):
    """The panel.

    Args:
        clock: "live" (pods are threads, time runs by itself) or "virtual" (Run only paces it).
        speed: simulated seconds per second.
        replicas: pods of the Deployment to begin with.
        surge, unavailable: maxSurge and maxUnavailable to begin with, in percent.
        seed: of the cluster.
        name: a panel of the same name is closed first, so a cell may be run again.
        running: begin to run at once.
        options: further ones for `kubesim.Cluster`.

    Attributes:
        cluster: what it shows; Reset makes another one.
        series: the figures behind the chart.

    Raises:
        BadRequest: there is no such clock.
        Invalid: the API server refuses such a Deployment.
    """

    def __init__(
        self,
        clock: str = "live",
        *,
        speed: float = SPEED,
        replicas: int = REPLICAS,
        surge: int = 25,
        unavailable: int = 25,
        seed: int = session.LESSON_SEED,
        name: str = "rollout",
        running: bool = True,
        **options: Any,
    ) -> None:
        bounds = {"surge": f"{surge}%", "unavailable": f"{unavailable}%"}
        self._manifest = web(replicas, deadline=DEADLINE_SECONDS, **bounds)
        settings = {"nodes": 3, "seed": seed, "hpa": False, **options}
        super().__init__(clock, speed=speed, name=name, running=running, options=settings)

    def boot(self) -> None:
        """A fresh cluster with the Deployment."""
        self.cluster.api.create(self._manifest)
        self.series = RolloutSeries(self.cluster, WINDOW_SECONDS)
        (self._document,), revision = self.cluster.api.snapshot("Deployment")
        self._watch = self.cluster.api.watch("Deployment", resource_version=revision)
        self._version = 1

    def controls(self) -> list[Any]:
        """Wishes and deeds, side by side."""
        self.charts = RolloutCharts()
        self.summary = RolloutSummary()
        self.deployment = DeploymentControls(options_of(self._document), self.set)
        acts = {
            "good": self.roll_out,
            "bad": lambda: self.roll_out(BAD_IMAGE),
            "pause": self.toggle_pause,
            "undo": self.undo,
            "kill": self.kill,
        }
        self.version = VersionControls(acts)
        for card in (self.deployment.box, self.version.box):
            card.layout = W.Layout(flex="1 1 380px", min_width="0")
            card.add_class("ks-card")
        layout = W.Layout(grid_gap="10px", margin="6px 0", **ROW)
        return [W.Box([self.deployment.box, self.version.box], layout=layout)]

    def below(self) -> list[Any]:
        """The chart with its words beside it, then the table."""
        picture = W.Box([self.live, self.summary.box], layout=W.Layout(**ROW))
        return [picture, self.summary.details]

    # -- what the controls do -------------------------------------------------------------------

    def set(self, **changes: int) -> None:
        """Write ``replicas``, ``surge`` or ``unavailable`` (percent); a refusal is shown."""
        for key, value in changes.items():
            if key == "replicas":
                self.attempt(lambda value=value: set_replicas(self.cluster, value))
            else:
                bound = {"rollingUpdate": {FIELDS[key]: f"{value}%"}}
                change = {"spec": {"strategy": bound}}
                self.attempt(
                    lambda change=change: self.cluster.api.patch("Deployment", NAME, change)
                )

    def roll_out(self, image: str = "") -> None:
        """Roll out an image; "": the next version."""
        if not image:
            self._version += 1
            image = image_of(self._version)
        self.attempt(lambda: set_image(self.cluster, image))

    def toggle_pause(self) -> None:
        """Pause the rollout, or resume it."""
        rollout = self.cluster.rollout(DEPLOYMENT)
        paused = self.cluster.api.get("Deployment", NAME)["spec"].get("paused", False)
        self.attempt(rollout.resume if paused else rollout.pause)

    def undo(self) -> None:
        """Back to the version before."""
        self.attempt(self.cluster.rollout(DEPLOYMENT).undo)

    def kill(self) -> None:
        """Delete a pod: the first by name that is not being stopped."""
        names = [
            pod["metadata"]["name"]
            for pod in self.cluster.api.list("Pod", "default")["items"]
            if "deletionTimestamp" not in pod["metadata"]
        ]
        if names:
            self.attempt(lambda: self.cluster.api.delete("Pod", min(names)))

    # -- what it says ---------------------------------------------------------------------------

    def poll(self) -> None:
        """The Deployment, as its watch says it."""
        for event in self._watch.poll():
            if event.type != "DELETED" and event.object["metadata"]["name"] == NAME:
                self._document = event.object

    def sync_controls(self, patience: float | None = None) -> None:
        """Sliders and buttons follow the store."""
        options = options_of(self._document)
        self.deployment.sync(options, PATIENCE_SECONDS if patience is None else patience)
        self.deployment.show_stored(options, self.series.rows[-1])
        status = self.cluster.rollout(DEPLOYMENT).status()
        self.version.render(status, bool(self._document["spec"].get("paused")))

    def render(self) -> None:
        """Decision, ReplicaSets and changes in words."""
        self.summary.render(self.cluster, self.series)

    def reset_view(self) -> None:
        """Another cluster: sliders as at the beginning."""
        self.sync_controls(patience=0.0)

    @property
    def image(self) -> str:
        """The image that the Deployment asks for."""
        return image_in(self._document["spec"]["template"])

    def table(self, which: str = "pods", last: int = 12) -> Table:
        """The chart as text: ``pods``, or ``passes`` for what was changed, and why."""
        return self.series.table(which, last)

    def svg(self) -> str:
        """A still picture, for pages where widgets cannot live.

        On the virtual clock: what happened so far. A live run differs each time, so it shows what
        the same cluster does on the virtual clock: a good image at 20 s, a bad one at 80 s.
        """
        if self.cluster.clock.virtual:
            return rollout_still.svg(self.series, f"{self!r}: what happened so far")
        with Cluster(**self._options) as cluster:
            cluster.api.create(self._manifest)
            series = RolloutSeries(cluster, WINDOW_SECONDS)
            for seconds, image in ((20, image_of(2)), (60, BAD_IMAGE), (70, "")):
                series.run(seconds, cluster.sleep, rollout_still.SLICE_SECONDS)
                if image:
                    set_image(cluster, image)
        title = f"{self!r}: a good image at 20 s, a bad one at 80 s (run the cell to fly it)"
        return rollout_still.svg(series, title)
