"""The cockpit: one panel to run, change and watch a cluster with an autoscaled workload.

    transport     Run, Pause, Step, speed, the clock; Reset stands apart
    traffic       requests per second, and presets
    autoscaler    target, min, max, interval: desired settings, and what the store has
    charts        CPU of each pod against the target; number of pods; requests served and not
    strip         one cell for each pod, with its CPU now
    texts         the autoscaler's latest decision with its reasons, the events
    tables        the pods, and the charts as tables, collapsed

Sliders write through the API server, and everything shown is read back from it, so you see desired
and stored settings apart. `lessons.ui.base_panel` runs the clock and the update thread.

    Cockpit()                       pods are threads, twenty simulated seconds a second
    Cockpit("virtual", speed=50)    the same panel without threads for pods; Run advances the time
    Cockpit(policy=Mine())          further options are those of `kubesim.Cluster`

Kubernetes has no counterpart; the nearest is a Grafana dashboard next to `kubectl edit hpa`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import ipywidgets as W
from bokeh.models import LayoutDOM

from kubesim import Cluster, Table
from kubesim.simple import hpaconfig
from kubesim.simple.autopod import NAME
from kubesim.traffic import Constant
from lessons import clusters
from lessons.cockpit import still, tables
from lessons.cockpit.chart import CHART, chart_data
from lessons.cockpit.controls import HpaControls, TrafficControls, preset_model
from lessons.cockpit.series import WorkloadSeries
from lessons.cockpit.summary import CockpitSummary
from lessons.ui.base_panel import Panel
from lessons.ui.charts.bokeh_chart import BokehChart
from lessons.ui.series import SeriesSource
from lessons.ui.widgets import PATIENCE_SECONDS, dashboard

if TYPE_CHECKING:
    from kubesim.objects.types import HorizontalPodAutoscalerDict

SPEED = 20.0  # simulated seconds per second
TRAFFIC = 30.0  # requests per second at the beginning
PREVIEW_SECONDS = 300.0


class Cockpit(Panel):
    """The panel.

    Args:
        clock: "live" (pods are threads, time passes by itself) or "virtual" (Run advances it).
        speed: simulated seconds per second.
        traffic: requests per second at the beginning; None: pods use CPU at random.
        seed: seed of the cluster.
        name: an open cockpit of the same name is closed first, so a cell can run again.
        running: start running at once.
        options: further options of `kubesim.Cluster`.

    Attributes:
        cluster: the cluster that the panel shows; Reset replaces it.
        series: the values behind the charts.

    Raises:
        BadRequest: the clock is neither "live" nor "virtual".
        NotFound: the options leave the autoscaler out.
    """

    def __init__(
        self,
        clock: str = "live",
        *,
        speed: float = SPEED,
        traffic: float | None = TRAFFIC,
        seed: int = clusters.LESSON_SEED,
        name: str = "main",
        running: bool = True,
        **options: Any,
    ) -> None:
        self._traffic = traffic
        settings = {"nodes": 3, "seed": seed, **options}
        super().__init__(clock, speed=speed, name=name, running=running, options=settings)

    def boot(self) -> SeriesSource:
        """Watch the HPA of a new cluster, and start the initial traffic."""
        self.series = WorkloadSeries(self.cluster)
        self._hpa_watch = self.cluster.api.watch(hpaconfig.KIND, resource_version="0")
        self._config = self.cluster.hpa_config()  # raises where there is no autoscaler
        if self._traffic is not None:
            self.cluster.set_traffic(self._traffic)
        return self.series

    def controls(self) -> LayoutDOM:
        """Build the charts and the cards; return the three figures."""
        self.charts = BokehChart(CHART)
        self.hpa = HpaControls(self.cluster.hpa_config(), self.set_hpa)
        self.traffic = TrafficControls(self._traffic, self._route)
        self.summary = CockpitSummary(self.render_again)
        return self.charts.layout

    def below(self) -> list[W.Widget]:
        """Return the cards next to the charts, the texts, and the tables."""
        self.live.add_class("ks-fill")
        cards, summary = (self.traffic.box, self.hpa.box), self.summary
        texts = (summary.why, summary.feed)
        return [dashboard(cards, (self.live, summary.strip), texts), summary.details]

    # -- the actions of the controls ------------------------------------------------------------

    def set_hpa(self, **changes: object) -> None:
        """Write the autoscaler's configuration; a refusal is shown and changes nothing."""
        self.attempt(lambda: self.cluster.set_hpa_config(**changes))

    def set_traffic(self, rate: float | None) -> None:
        """Set the requests per second to the workload; None: none, pods use CPU at random."""
        self.traffic.show(rate)
        self._route("off" if rate is None else float(rate))

    def set_preset(self, preset: str) -> None:
        """Choose a traffic preset: ``off``, ``steady``, ``spike``, ``waves`` or ``ramp``."""
        self.traffic.preset.value = preset

    def _route(self, choice: float | str) -> None:
        """Send traffic at a rate, or by a preset of that name."""
        if isinstance(choice, str):
            model = preset_model(choice, self.cluster.clock.now())
        else:
            model = Constant(choice)
        self.attempt(lambda: self.cluster.set_traffic(model))

    # -- texts and pictures ---------------------------------------------------------------------

    def poll(self) -> None:
        """Read the autoscaler's configuration from its watch."""
        for event in self._hpa_watch.poll():
            if event.type != "DELETED" and event.object["metadata"]["name"] == NAME:
                self._config = hpaconfig.config_of(
                    cast("HorizontalPodAutoscalerDict", event.object)
                )

    def draw(self) -> None:
        """Redraw the charts."""
        self.charts.themed.scale(self.transport.scale)
        self.charts.draw(chart_data(self.series))

    def sync_controls(self, patience: float | None = None) -> None:
        """Set the sliders to what the store has."""
        self.hpa.sync(self._config, PATIENCE_SECONDS if patience is None else patience)

    def render(self) -> None:
        """Update the texts: traffic, decision, pods, events."""
        row = self.series.rows[-1]
        routed = NAME in self.cluster.traffic.routes()
        self.traffic.show_traffic(routed, row.offered, row.served)
        self.summary.render(self.cluster, self.series)

    def reset_view(self) -> None:
        """Read the log of a new cluster from its start, and reset the sliders."""
        self.summary.reset()
        self.sync_controls(patience=0.0)
        self.traffic.show(self._traffic)

    def last_error(self) -> str:
        """Return an error that a component logged within the last minute; "" if there is none."""
        return self.summary.last_error(self.cluster.clock.now())

    def table(self, which: str = "pods", last: int = 12) -> Table:
        """Return the rows of one plot: ``cpu``, ``pods``, ``traffic`` or ``decisions``."""
        return tables.of(self.series, which, last)

    def svg(self) -> str:
        """Return a still picture, for pages that cannot show widgets.

        On the virtual clock it shows what happened so far. A live run differs each time, so the
        picture shows the first five minutes of the same cluster on the virtual clock.
        """
        if self.cluster.clock.virtual:
            return still.svg(self.series, f"{self!r}: what happened so far")
        with Cluster(**self._options) as cluster:
            if self._traffic is not None:
                cluster.set_traffic(self._traffic)
            run = still.record(cluster, PREVIEW_SECONDS)
        return still.svg(run.series, f"{self!r}: the first five minutes (run the cell to start it)")
