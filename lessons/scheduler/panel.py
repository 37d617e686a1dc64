"""The scheduler panel: create pods, close nodes, change a weight, and see where pods go.

    transport     Run, Pause, Step, speed, the clock; Reset stands apart
    pods          what the next pods request, and how many of them
    nodes         cordon, taint; the weight of a plug-in that runs with the default ones
    chart         CPU and memory of each node, pods as segments
    below it      how a pod was placed, node by plug-in; for a waiting pod, what would let it fit

    SchedulerPanel()                  pods are threads, five simulated seconds a second
    SchedulerPanel("virtual")         the same panel without threads for pods; Run advances the time
    SchedulerPanel(plugin=Mine())     your own plug-in in place of `Pack`

A weight is configuration, so a new weight restarts the scheduler, as it would restart
kube-scheduler. Pods that already have a node stay there.

The nearest in the world of Kubernetes is the kube-scheduler-simulator.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ipywidgets as W
from bokeh.models import LayoutDOM

from kubesim import Cluster, Table
from kubesim.arguments import Check, check_arguments, whole_number
from kubesim.objects import meta
from kubesim.objects.kindnames import NODE, POD
from kubesim.scheduler import NodeInfo, default_profile
from lessons import clusters
from lessons.pods import pod
from lessons.scheduler import still
from lessons.scheduler.chart import FillChart
from lessons.scheduler.controls import NodeControls, PlacementSummary, PodControls
from lessons.scheduler.nodes import Fill, read_nodes
from lessons.ui.base_panel import Panel
from lessons.ui.series import SeriesSource
from lessons.ui.widgets import dashboard

ARGUMENTS: Mapping[str, Check] = {"weight": whole_number(0), "pods": whole_number(0)}
SPEED = 5.0  # simulated seconds per second
PODS = 6  # at the beginning
FIRST = ("500m", "512Mi")  # what each of them requests
TAINT = "dedicated=db:NoSchedule"
PREVIEW_SECONDS = 10.0


class Pack:
    """A plug-in that prefers the node whose CPU is fullest: the opposite of the default."""

    name = "Pack"

    def score(self, pod: object, node: NodeInfo) -> int:
        """Return 0 for an empty node, 100 for a full one."""
        full = 100 * node.requested.cpu_milli // max(1, node.allocatable.cpu_milli)
        return min(100, int(full))


@dataclass(frozen=True)
class Moment:
    """The simulated second of one update."""

    time: float


class NodesNow:
    """What the chart shows: the nodes now, without history.

    Args:
        cluster: the cluster to read.

    Attributes:
        rows: the newest update.
        marked: name of the pod that the chart outlines; "" for none.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.rows: Sequence[Moment] = (Moment(0.0),)
        self.marked = ""

    def fill(self) -> Fill:
        """Return the nodes and the requests of their pods."""
        return read_nodes(self._cluster, "Nodes")

    def pull(self) -> bool:
        """Note the time; return whether any has passed."""
        now = self._cluster.clock.now()
        new = now != self.rows[-1].time
        self.rows = (Moment(now),)
        return new


class SchedulerPanel(Panel):
    """The panel.

    Args:
        clock: "live" (pods are threads, time passes by itself) or "virtual" (Run advances it).
        plugin: a scheduler plug-in whose weight the slider sets; None: `Pack`.
        weight: its weight at the beginning; 0: the plug-in does not run.
        speed: simulated seconds per second.
        pods: number of pods at the beginning.
        seed: seed of the cluster.
        name: an open panel of the same name is closed first, so a cell can run again.
        running: start running at once.
        options: further options of `kubesim.Cluster`.

    Attributes:
        cluster: the cluster that the panel shows; Reset replaces it.
        weight: the weight of the plug-in.

    Raises:
        BadRequest: the clock is neither "live" nor "virtual", or the plug-in is not one.
    """

    def __init__(
        self,
        clock: str = "live",
        *,
        plugin: Any = None,
        weight: int = 0,
        speed: float = SPEED,
        pods: int = PODS,
        seed: int = clusters.LESSON_SEED,
        name: str = "scheduler",
        running: bool = True,
        **options: Any,
    ) -> None:
        check_arguments(ARGUMENTS, {"weight": weight, "pods": pods})
        self._plugin = plugin if plugin is not None else Pack()
        self._plugin_name = str(getattr(self._plugin, "name", type(self._plugin).__name__))
        self.weight = weight
        self._pods = pods
        settings = {"nodes": 3, "seed": seed, "hpa": False, **options}
        super().__init__(clock, speed=speed, name=name, running=running, options=settings)

    def _fresh(self, clock: str, speed: float) -> None:
        self._options["profile"] = self.profile()
        super()._fresh(clock, speed)

    def profile(self) -> list[Any]:
        """Return the default plug-ins, and the slider's plug-in unless its weight is 0."""
        own = [(self._plugin, self.weight)] if self.weight else []
        return [*default_profile(), *own]

    def boot(self) -> SeriesSource:
        """Prepare the first pods of a new cluster; `poll` creates them once the nodes exist."""
        self.series = NodesNow(self.cluster)
        self._made = 0
        self._newest = ""
        self._owed = self._pods
        return self.series

    def controls(self) -> LayoutDOM:
        """Build the chart and the cards; return the figure."""
        self.charts = FillChart()
        self.summary = PlacementSummary(self.render_again)
        self.pods = PodControls(self.create, self.clear)
        nodes = [kubelet.node_name for kubelet in self.cluster.kubelets]
        actions = {"cordon": self.cordon, "taint": self.taint}
        self.nodes = NodeControls(nodes, actions, self._plugin_name, self.weight, self.set_weight)
        return self.charts.layout

    def below(self) -> list[W.Widget]:
        """Return the cards next to the chart, the texts, and the chosen pod's table."""
        cards, texts = (self.pods.box, self.nodes.box), self.summary
        body = dashboard(cards, (self.live, texts.waiting), (texts.happened,))
        body.add_class("ks-low")  # the cards are taller than the chart
        return [body, texts.box]

    # -- the actions of the controls ------------------------------------------------------------

    def create(self, count: int | None = None) -> None:
        """Create pods with the requests of the sliders; None: as many as the slider says."""
        cpu, memory = f"{self.pods.cpu.value}m", f"{self.pods.memory.value}Mi"
        for _ in range(self.pods.count.value if count is None else count):
            self.attempt(lambda: self._make(self.cluster, cpu, memory))
        self.render_again()

    def clear(self) -> None:
        """Delete every pod."""
        for document in self.cluster.api.snapshot(POD)[0]:
            if not meta.is_terminating(document):
                name = meta.name_of(document)
                self.attempt(lambda name=name: self.cluster.api.delete("Pod", name))  # type: ignore[misc]
        self.render_again()

    def cordon(self, name: str) -> None:
        """Cordon a node, or uncordon it."""
        node = self.cluster.node(name)
        self.attempt(node.cordon if node.schedulable else node.uncordon)
        self.render_again()

    def taint(self, name: str) -> None:
        """Add the taint ``dedicated=db:NoSchedule`` to a node, or remove it."""
        node = self.cluster.node(name)
        change = node.untaint if TAINT in node.taints() else node.taint
        self.attempt(lambda: change(TAINT))
        self.render_again()

    def set_weight(self, weight: int) -> None:
        """Restart the scheduler with this weight of the plug-in; 0: without the plug-in."""
        self.weight = weight
        with self._lock:
            self.attempt(lambda: self.cluster.restart_scheduler(self.profile()))
        self.render_again()

    def _make(self, cluster: Cluster, cpu: str, memory: str) -> None:
        self._made += 1
        self._newest = f"p{self._made}"
        cluster.api.create(pod(self._newest, cpu, memory))

    # -- texts and pictures ---------------------------------------------------------------------

    def poll(self) -> None:
        """Create the first pods once all nodes exist."""
        nodes = len(self.cluster.kubelets)
        if self._owed and len(self.cluster.api.snapshot(NODE)[0]) >= nodes:
            count, self._owed = self._owed, 0
            for _ in range(count):
                self.attempt(lambda: self._make(self.cluster, *FIRST))

    def draw(self) -> None:
        """Redraw the chart."""
        self.charts.scale(self.transport.scale)
        self.charts.draw(self.series.fill(), self.series.marked)

    def render(self) -> None:
        """Update the texts: the chosen pod, the waiting pods, the decisions."""
        self.series.marked = self.summary.chosen or self._newest
        self.summary.render(self.cluster, self.series.fill(), self.series.marked)
        self.nodes.render(self._plugin_name, self.weight)

    def reset_view(self) -> None:
        """Read the log of a new cluster from its start."""
        self.summary.reset()

    def last_error(self) -> str:
        """Return an error that a component logged just now; "" if there is none."""
        return self.summary.last_error(self.cluster.clock.now())

    def table(self) -> Table:
        """Return the chart as text: one row for each node."""
        return self.series.fill().table()

    def svg(self) -> str:
        """Return a still picture, for pages that cannot show widgets.

        On the virtual clock it shows the nodes now. A live run differs each time, so the picture
        shows where the same cluster puts its first pods on the virtual clock.
        """
        if self.cluster.clock.virtual:
            return still.svg([read_nodes(self.cluster, f"{self!r}: the nodes now")])
        profile = self.profile()  # plug-ins keep their cluster, so this one needs its own
        with Cluster(**{**self._options, "profile": profile}) as cluster:
            cluster.sleep(1.0)
            for number in range(self._pods):
                cluster.api.create(pod(f"p{number + 1}", *FIRST))
            cluster.sleep(PREVIEW_SECONDS)
            fill = read_nodes(cluster, f"{self!r}: its first pods (run the cell to see it live)")
        return still.svg([fill])
