"""The scheduler's panel: make pods, close nodes, change a weight, and see where pods go.

    transport     Run, Pause, Step, speed, the clock; Reset stands apart
    pods          what the next ones ask for, and how many
    nodes         cordon, taint; the weight of a plug-in beside the default ones
    chart         CPU and memory of each node, pods as segments
    below it      how a pod was placed, node by plug-in; for one that waits, what would help

    SchedulerPanel()                  pods are threads, five simulated seconds a second
    SchedulerPanel("virtual")         the same panel without a thread; Run paces it
    SchedulerPanel(plugin=Mine())     a plug-in of yours in the place of `Pack`

A weight is configuration: the scheduler is started anew with it, as kube-scheduler would be. Pods
that are placed stay where they are.

The nearest in the world of Kubernetes is the kube-scheduler-simulator.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import ipywidgets as W

from kubesim import Cluster, Table
from kubesim.objects import meta
from kubesim.scheduler import default_profile
from lessons import session
from lessons.pods import pod
from lessons.scheduler import still as nodefill_still
from lessons.scheduler.charts import FillChart
from lessons.scheduler.controls import NodeControls, PlacementSummary, PodControls
from lessons.scheduler.nodefill import Fill, look
from lessons.ui.base_panel import ROW, Panel

SPEED = 5.0  # simulated seconds per second
PODS = 6  # to begin with
FIRST = ("500m", "512Mi")  # what each of them asks for
TAINT = "dedicated=db:NoSchedule"
PREVIEW_SECONDS = 10.0


class Pack:
    """The fuller a node's CPU, the better: the opposite of what the default wants."""

    name = "Pack"

    def score(self, pod: Any, node: Any) -> int:
        """0 for an empty node, 100 for a full one."""
        full = 100 * node.requested.cpu_milli // max(1, node.allocatable.cpu_milli)
        return min(100, int(full))


@dataclass(frozen=True)
class Moment:
    """The simulated second of one look."""

    time: float


class NodesNow:
    """What the chart shows: the nodes now. There is no history.

    Args:
        cluster: which.

    Attributes:
        rows: the newest look.
        marked: name of the pod that is marked in the chart.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.rows: Sequence[Moment] = (Moment(0.0),)
        self.marked = ""

    def fill(self) -> Fill:
        """The nodes and their pods."""
        return look(self._cluster, "Nodes")

    def pull(self) -> bool:
        """Take note of the time."""
        now = self._cluster.clock.now()
        new = now != self.rows[-1].time
        self.rows = (Moment(now),)
        return new

    def run(self, seconds: float, sleep: Callable[[float], None], slice_seconds: float) -> None:
        """Let time pass."""
        sleep(seconds)
        self.pull()


class SchedulerPanel(Panel):
    """The panel.

    Args:
        clock: "live" (pods are threads, time runs by itself) or "virtual" (Run only paces it).
        plugin: a scheduler plug-in whose weight the slider sets; None: `Pack`.
        weight: of it, to begin with; 0: it does not run.
        speed: simulated seconds per second.
        pods: how many pods to begin with.
        seed: of the cluster.
        name: a panel of the same name is closed first, so a cell may be run again.
        running: begin to run at once.
        options: further ones for `kubesim.Cluster`.

    Attributes:
        cluster: what it shows; Reset makes another one.
        weight: of the plug-in.

    Raises:
        BadRequest: there is no such clock, or the plug-in is none.
    """

    def __init__(
        self,
        clock: str = "live",
        *,
        plugin: Any = None,
        weight: int = 0,
        speed: float = SPEED,
        pods: int = PODS,
        seed: int = session.LESSON_SEED,
        name: str = "scheduler",
        running: bool = True,
        **options: Any,
    ) -> None:
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
        """The default plug-ins, and the one of the slider unless its weight is 0."""
        own = [(self._plugin, self.weight)] if self.weight else []
        return [*default_profile(), *own]

    def boot(self) -> None:
        """A fresh cluster; its first pods come when its nodes are there."""
        self.series = NodesNow(self.cluster)
        self._made = 0
        self._newest = ""
        self._owed = self._pods

    def controls(self) -> list[Any]:
        """Pods and nodes, side by side."""
        self.charts = FillChart()
        self.summary = PlacementSummary(self._again)
        self.pods = PodControls(self.create, self.clear)
        nodes = [machine.node_name for machine in self.cluster.kubelets]
        acts = {"cordon": self.cordon, "taint": self.taint}
        self.nodes = NodeControls(nodes, acts, self._plugin_name, self.weight, self.set_weight)
        for card in (self.pods.box, self.nodes.box):
            card.layout = W.Layout(flex="1 1 400px", min_width="0")
            card.add_class("ks-card")
        layout = W.Layout(grid_gap="10px", margin="6px 0", **ROW)
        return [W.Box([self.pods.box, self.nodes.box], layout=layout)]

    def below(self) -> list[Any]:
        """The chart with the news beside it, then the pod's table."""
        return [W.Box([self.live, self.summary.feed], layout=W.Layout(**ROW)), self.summary.box]

    # -- what the controls do -------------------------------------------------------------------

    def create(self, count: int | None = None) -> None:
        """Create pods that ask for what the sliders say; None: as many as the slider says."""
        cpu, memory = f"{self.pods.cpu.value}m", f"{self.pods.memory.value}Mi"
        for _ in range(self.pods.count.value if count is None else count):
            self.attempt(lambda: self._make(self.cluster, cpu, memory))
        self._again()

    def clear(self) -> None:
        """Delete every pod."""
        for document in self.cluster.api.snapshot("Pod")[0]:
            if not meta.is_terminating(document):
                name = meta.name_of(document)
                self.attempt(lambda name=name: self.cluster.api.delete("Pod", name))
        self._again()

    def cordon(self, name: str) -> None:
        """Close a node, or open it."""
        node = self.cluster.node(name)
        self.attempt(node.cordon if node.schedulable else node.uncordon)
        self._again()

    def taint(self, name: str) -> None:
        """Put the taint ``dedicated=db:NoSchedule`` on a node, or take it off."""
        node = self.cluster.node(name)
        act = node.untaint if TAINT in node.taints() else node.taint
        self.attempt(lambda: act(TAINT))
        self._again()

    def set_weight(self, weight: int) -> None:
        """Start the scheduler anew with this weight of the plug-in; 0: without it."""
        self.weight = weight
        with self._lock:
            self.attempt(lambda: self.cluster.restart_scheduler(self.profile()))
        self._again()

    def _make(self, cluster: Cluster, cpu: str, memory: str) -> None:
        self._made += 1
        self._newest = f"p{self._made}"
        cluster.api.create(pod(self._newest, cpu, memory))

    def _again(self) -> None:
        """Paint, even if no time has passed."""
        self._shown = -1.0

    # -- what it says ---------------------------------------------------------------------------

    def poll(self) -> None:
        """Once all nodes are there, the first pods come."""
        nodes = len(self.cluster.kubelets)
        if self._owed and len(self.cluster.api.snapshot("Node")[0]) >= nodes:
            self._owed, owed = 0, self._owed
            for _ in range(owed):
                self.attempt(lambda: self._make(self.cluster, *FIRST))

    def render(self) -> None:
        """The chosen pod's table, who waits, what happened."""
        self.series.marked = self.summary.chosen or self._newest
        self.summary.render(self.cluster, self.series.fill(), self.series.marked)
        self.nodes.render(self._plugin_name, self.weight)

    def reset_view(self) -> None:
        """Another cluster: its log from the start."""
        self.summary.reset()

    def last_error(self) -> str:
        """What a component complained of just now; "" if nothing."""
        return self.summary.last_error(self.cluster.clock.now())

    def table(self) -> Table:
        """The chart as text: one row a node."""
        return self.series.fill().table()

    def svg(self) -> str:
        """A still picture, for pages where widgets cannot live.

        On the virtual clock: the nodes now. A live run differs each time, so it shows what the same
        cluster does with its first pods on the virtual clock.
        """
        if self.cluster.clock.virtual:
            return nodefill_still.svg([look(self.cluster, f"{self!r}: the nodes now")])
        mine = self.profile()  # plug-ins of its own: they know the cluster that they work for
        with Cluster(**{**self._options, "profile": mine}) as cluster:
            cluster.sleep(1.0)
            for number in range(self._pods):
                cluster.api.create(pod(f"p{number + 1}", *FIRST))
            cluster.sleep(PREVIEW_SECONDS)
            seen = look(cluster, f"{self!r}: its first pods (run the cell to see it live)")
        return nodefill_still.svg([seen])
