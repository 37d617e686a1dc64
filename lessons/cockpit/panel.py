"""The cockpit: one panel to run, change and watch a cluster.

    transport     Run, Pause, Step, speed, the clock; Reset stands apart
    autoscaler    target, min, max, interval: what you wish, and what the store says
    traffic       requests per second, and presets
    charts        CPU of each pod against the target; number of pods; requests served and not
    beside them   why the autoscaler decided as it did, the pods, what happened

Sliders write through the API server; everything shown is read back from it, so wish and reality are
seen apart. How time runs, and the thread that looks and paints, are in `flight`.

    Cockpit()                       pods are threads, twenty simulated seconds a second
    Cockpit("virtual", speed=50)    the same panel without a thread; Run paces it
    Cockpit(policy=Mine())          further options are those of `kubesim.Cluster`

No counterpart in Kubernetes; the nearest is a Grafana dashboard beside `kubectl edit hpa`.
"""

from __future__ import annotations

from typing import Any

import ipywidgets as W

from kubesim import Cluster, Table
from kubesim.simple import hpaconfig
from kubesim.simple.autopod import NAME
from kubesim.traffic import Constant
from lessons import session
from lessons.cockpit import still, tables
from lessons.cockpit.charts import WorkloadCharts
from lessons.cockpit.controls import PATIENCE_SECONDS, HpaControls, TrafficControls, preset_model
from lessons.cockpit.series import Series
from lessons.cockpit.summary import CockpitSummary
from lessons.ui.base_panel import ROW, Panel

SPEED = 20.0  # simulated seconds per second
TRAFFIC = 30.0  # requests per second to begin with
PREVIEW_SECONDS = 300.0


class Cockpit(Panel):
    """The panel.

    Args:
        clock: "live" (pods are threads, time runs by itself) or "virtual" (Run only paces it).
        speed: simulated seconds per second.
        traffic: requests per second to begin with; None: pods use CPU at random.
        seed: of the cluster.
        name: a cockpit of the same name is closed first, so a cell may be run again.
        running: begin to run at once.
        options: further ones for `kubesim.Cluster`.

    Attributes:
        cluster: what it shows; Reset makes another one.
        series: the figures behind the charts.

    Raises:
        BadRequest: there is no such clock.
        NotFound: the options leave the autoscaler out.
    """

    def __init__(
        self,
        clock: str = "live",
        *,
        speed: float = SPEED,
        traffic: float | None = TRAFFIC,
        seed: int = session.LESSON_SEED,
        name: str = "main",
        running: bool = True,
        **options: Any,
    ) -> None:
        self._traffic = traffic
        settings = {"nodes": 3, "seed": seed, **options}
        super().__init__(clock, speed=speed, name=name, running=running, options=settings)

    def boot(self) -> None:
        """A fresh cluster, with the traffic of the beginning."""
        self.series = Series(self.cluster)
        self._hpa_watch = self.cluster.api.watch(hpaconfig.KIND, resource_version="0")
        self._config = self.cluster.hpa_config()  # without an autoscaler there is nothing to fly
        if self._traffic is not None:
            self.cluster.set_traffic(self._traffic)

    def controls(self) -> list[Any]:
        """Autoscaler and traffic, side by side."""
        self.charts = WorkloadCharts()
        self.hpa = HpaControls(self.cluster.hpa_config(), self.set_hpa)
        self.traffic = TrafficControls(self._traffic, self._route)
        self.summary = CockpitSummary()
        self.hpa.box.layout = W.Layout(flex="3 1 480px", min_width="0")
        self.traffic.box.layout = W.Layout(flex="2 1 320px", min_width="0")
        for card in (self.hpa.box, self.traffic.box):
            card.add_class("ks-card")
        layout = W.Layout(grid_gap="10px", margin="6px 0", **ROW)
        return [W.Box([self.hpa.box, self.traffic.box], layout=layout)]

    def below(self) -> list[Any]:
        """Charts with their words beside them, then the tables."""
        picture = W.Box([self.live, self.summary.box], layout=W.Layout(**ROW))
        return [picture, self.summary.details]

    # -- what the controls do -------------------------------------------------------------------

    def set_hpa(self, **changes: Any) -> None:
        """Write the autoscaler's configuration; a refusal is shown, and nothing is changed."""
        self.attempt(lambda: self.cluster.set_hpa_config(**changes))

    def set_traffic(self, rate: float | None) -> None:
        """Requests per second to the workload; None: none, pods use CPU at random."""
        self.traffic.show(rate)
        self._route("off" if rate is None else float(rate))

    def set_preset(self, preset: str) -> None:
        """One of the traffic presets: ``off``, ``steady``, ``spike``, ``waves``, ``ramp``."""
        self.traffic.preset.value = preset

    def _route(self, wish: float | str) -> None:
        """What the traffic controls ask for: a rate, or a preset by its name."""
        if isinstance(wish, str):
            model = preset_model(wish, self.cluster.clock.now())
        else:
            model = Constant(wish)
        self.attempt(lambda: self.cluster.set_traffic(model))

    # -- what it says ---------------------------------------------------------------------------

    def poll(self) -> None:
        """The autoscaler's configuration, as its watch says it."""
        for event in self._hpa_watch.poll():
            if event.type != "DELETED" and event.object["metadata"]["name"] == NAME:
                self._config = hpaconfig.config_of(event.object)

    def sync_controls(self, patience: float | None = None) -> None:
        """Sliders follow the store."""
        self.hpa.sync(self._config, PATIENCE_SECONDS if patience is None else patience)

    def render(self) -> None:
        """Traffic, decision, pods and events in words."""
        row = self.series.rows[-1]
        routed = NAME in self.cluster.traffic.routes()
        self.traffic.show_traffic(routed, row.offered, row.served)
        self.summary.render(self.cluster, self.series)

    def reset_view(self) -> None:
        """Another cluster: its log from the start, sliders as at the beginning."""
        self.summary.reset()
        self.sync_controls(patience=0.0)
        self.traffic.show(self._traffic)

    def last_error(self) -> str:
        """What a component complained of within the last minute; "" if nothing."""
        return self.summary.last_error(self.cluster.clock.now())

    def table(self, which: str = "pods", last: int = 12) -> Table:
        """The rows behind one chart as text: ``cpu``, ``pods``, ``traffic`` or ``decisions``."""
        return tables.of(self.series, which, last)

    def svg(self) -> str:
        """A still picture, for pages where widgets cannot live.

        On the virtual clock: what happened so far. A live run differs each time, so it shows what
        the same cluster does in its first five minutes on the virtual clock.
        """
        if self.cluster.clock.virtual:
            return still.svg(self.series, f"{self!r}: what happened so far")
        with Cluster(**self._options) as cluster:
            if self._traffic is not None:
                cluster.set_traffic(self._traffic)
            run = still.record(cluster, PREVIEW_SECONDS)
        return still.svg(run.series, f"{self!r}: the first five minutes (run the cell to fly it)")
