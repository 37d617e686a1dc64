"""The rollout panel: change a Deployment, and watch it move from one version to the next.

    transport     Run, Pause, Step, speed, the clock; Reset stands apart
    deployment    replicas, maxSurge, maxUnavailable: desired settings, and what the store has
    rollout       the next version, a bad image, pause, undo, a pod to delete
    chart         old and new pods, ready and not ready, between the two bounds
    texts         the controller's latest decision with its reasons, the ReplicaSets, the passes

    RolloutPanel()             pods are threads, five simulated seconds a second
    RolloutPanel("virtual")    the same panel without threads for pods; Run advances the time

Kubernetes has no counterpart; the nearest is `kubectl rollout status --watch` with a graph.
"""

from __future__ import annotations

from typing import Any

import ipywidgets as W
from bokeh.models import LayoutDOM

from kubesim import Cluster, Table
from lessons import clusters
from lessons.rollout import still
from lessons.rollout.chart import CHART, chart_data
from lessons.rollout.controls import (
    DeploymentControls,
    RolloutSummary,
    VersionControls,
    image_in,
    options_of,
)
from lessons.rollout.deployments import BAD_IMAGE, NAME, image_of, set_image, set_replicas, web
from lessons.rollout.series import RolloutSeries
from lessons.ui.base_panel import Panel
from lessons.ui.charts.bokeh_chart import BokehChart
from lessons.ui.series import SeriesSource, run_in_slices
from lessons.ui.widgets import PATIENCE_SECONDS, dashboard

SPEED = 5.0  # simulated seconds per second
WINDOW_SECONDS = 240.0  # simulated seconds that the chart shows
REPLICAS = 10
DEADLINE_SECONDS = 60  # progressDeadlineSeconds; Kubernetes' default is 600
DEPLOYMENT = f"deployment/{NAME}"
FIELDS = {"surge": "maxSurge", "unavailable": "maxUnavailable"}


class RolloutPanel(Panel):
    """The panel.

    Args:
        clock: "live" (pods are threads, time passes by itself) or "virtual" (Run advances it).
        speed: simulated seconds per second.
        replicas: pods of the Deployment at the beginning.
        surge, unavailable: maxSurge and maxUnavailable at the beginning, in percent.
        seed: seed of the cluster.
        name: an open panel of the same name is closed first, so a cell can run again.
        running: start running at once.
        options: further options of `kubesim.Cluster`.

    Attributes:
        cluster: the cluster that the panel shows; Reset replaces it.
        series: the values behind the chart.

    Raises:
        BadRequest: the clock is neither "live" nor "virtual".
        Invalid: the API server refuses the Deployment.
    """

    def __init__(
        self,
        clock: str = "live",
        *,
        speed: float = SPEED,
        replicas: int = REPLICAS,
        surge: int = 25,
        unavailable: int = 25,
        seed: int = clusters.LESSON_SEED,
        name: str = "rollout",
        running: bool = True,
        **options: Any,
    ) -> None:
        self._manifest = web(
            replicas, surge=f"{surge}%", unavailable=f"{unavailable}%", deadline=DEADLINE_SECONDS
        )
        settings = {"nodes": 3, "seed": seed, "hpa": False, **options}
        super().__init__(clock, speed=speed, name=name, running=running, options=settings)

    def boot(self) -> SeriesSource:
        """Create the Deployment in a new cluster, and watch it."""
        self.cluster.api.create(self._manifest)
        self.series = RolloutSeries(self.cluster, WINDOW_SECONDS)
        (self._document,), revision = self.cluster.api.snapshot("Deployment")
        self._watch = self.cluster.api.watch("Deployment", resource_version=revision)
        self._version = 1
        return self.series

    def controls(self) -> LayoutDOM:
        """Build the chart and the cards; return the figure."""
        self.charts = BokehChart(CHART)
        self.summary = RolloutSummary(self.render_again)
        self.deployment = DeploymentControls(options_of(self._document), self.set)
        actions = {
            "good": self.roll_out,
            "bad": lambda: self.roll_out(BAD_IMAGE),
            "pause": self.toggle_pause,
            "undo": self.undo,
            "kill": self.kill,
        }
        self.version = VersionControls(actions)
        return self.charts.layout

    def below(self) -> list[W.Widget]:
        """Return the cards next to the chart, the texts, and the table."""
        self.live.add_class("ks-fill")
        cards, texts = (self.version.box, self.deployment.box), self.summary
        body = dashboard(cards, (self.live, texts.sets), (texts.why, texts.feed))
        return [body, texts.details]

    # -- the actions of the controls ------------------------------------------------------------

    def set(self, **changes: int) -> None:
        """Write ``replicas``, ``surge`` or ``unavailable`` (percent); a refusal is shown."""
        for key, value in changes.items():
            self.attempt(lambda key=key, value=value: self._write(key, value))  # type: ignore[misc]

    def _write(self, key: str, value: int) -> None:
        if key == "replicas":
            set_replicas(self.cluster, value)
        else:
            change = {"spec": {"strategy": {"rollingUpdate": {FIELDS[key]: f"{value}%"}}}}
            self.cluster.api.patch("Deployment", NAME, change)

    def roll_out(self, image: str = "") -> None:
        """Roll out an image; "" means the next version."""
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
        """Roll back to the previous version."""
        self.attempt(self.cluster.rollout(DEPLOYMENT).undo)

    def kill(self) -> None:
        """Delete a pod: the first one by name that is not terminating."""
        names = [
            pod["metadata"]["name"]
            for pod in self.cluster.api.list("Pod", "default")["items"]
            if "deletionTimestamp" not in pod["metadata"]
        ]
        if names:
            self.attempt(lambda: self.cluster.api.delete("Pod", min(names)))

    # -- texts and pictures ---------------------------------------------------------------------

    def poll(self) -> None:
        """Read the Deployment from its watch."""
        for event in self._watch.poll():
            if event.type != "DELETED" and event.object["metadata"]["name"] == NAME:
                self._document = event.object

    def draw(self) -> None:
        """Redraw the chart."""
        self.charts.themed.scale(self.transport.scale)
        self.charts.draw(chart_data(self.series))

    def sync_controls(self, patience: float | None = None) -> None:
        """Set sliders and buttons to what the store has."""
        options = options_of(self._document)
        self.deployment.sync(options, PATIENCE_SECONDS if patience is None else patience)
        self.deployment.show_stored(options, self.series.rows[-1])
        status = self.cluster.rollout(DEPLOYMENT).status()
        self.version.render(status, bool(self._document["spec"].get("paused")))

    def render(self) -> None:
        """Update the texts: decision, ReplicaSets, passes."""
        self.summary.render(self.cluster, self.series)

    def reset_view(self) -> None:
        """Reset the sliders for a new cluster."""
        self.sync_controls(patience=0.0)

    @property
    def image(self) -> str:
        """The image of the Deployment's template."""
        return image_in(self._document["spec"]["template"])

    def table(self, which: str = "pods", last: int = 12) -> Table:
        """Return the chart as text: ``pods``, or ``passes`` for the changes and their reasons."""
        return self.series.table(which, last)

    def svg(self) -> str:
        """Return a still picture, for pages that cannot show widgets.

        On the virtual clock it shows what happened so far. A live run differs each time, so the
        picture shows the same cluster on the virtual clock: a good image at 20 s, a bad one at
        80 s.
        """
        if self.cluster.clock.virtual:
            return still.svg(self.series, f"{self!r}: what happened so far")
        with Cluster(**self._options) as cluster:
            cluster.api.create(self._manifest)
            series = RolloutSeries(cluster, WINDOW_SECONDS)
            for seconds, image in ((20, image_of(2)), (60, BAD_IMAGE), (70, "")):
                run_in_slices(series, seconds, cluster.sleep, still.SLICE_SECONDS)
                if image:
                    set_image(cluster, image)
        title = f"{self!r}: a good image at 20 s, a bad one at 80 s (run the cell to start it)"
        return still.svg(series, title)
