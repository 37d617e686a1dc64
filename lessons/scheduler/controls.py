"""The controls and the texts of the scheduler panel.

On the left the requests of the next pods; on the right the nodes, to cordon or taint, and the
weight of a plug-in. Below the chart: how one pod was placed, node by plug-in, and for a waiting pod
what would let it fit.

The nearest in Kubernetes are `kubectl cordon`, `kubectl taint` and a KubeSchedulerConfiguration.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from html import escape

import ipywidgets as W

from kubesim import Cluster, Table
from kubesim.analytics import LogRow
from kubesim.client import Decision
from kubesim.errors import NotFound
from lessons.scheduler.nodes import Fill
from lessons.ui.html import html_table, natural
from lessons.ui.widgets import (
    Change,
    Details,
    NumberSlider,
    fact,
    heading,
    icon_button,
    is_syncing,
    syncing,
)

CPU = (0, 4000)  # millicores
MEMORY = (0, 8192)  # MiB
COUNT = (1, 20)
WEIGHT = (0, 10)
NEWEST = "(the newest)"
FEED_ROWS = 9
ERROR_SECONDS = 30.0


class PodControls:
    """The requests of the next pods.

    Args:
        create, clear: the actions of the buttons.

    Attributes:
        box: the widgets.
    """

    def __init__(self, create: Callable[[], object], clear: Callable[[], object]) -> None:
        self.cpu = NumberSlider("CPU [m]", CPU, 500, 100, "requests.cpu in millicores")
        self.memory = NumberSlider("mem. [Mi]", MEMORY, 512, 128, "requests.memory in MiB")
        self.count = NumberSlider("how many", COUNT, 3, 1, "pods to create at once")
        self.create = icon_button("Create pods", "plus", "create pods with these requests")
        self.clear = icon_button("Delete all pods", "trash", "delete every pod")
        self.create.on_click(lambda _button: create())
        self.clear.on_click(lambda _button: clear())
        rows = [each.row for each in (self.cpu, self.memory, self.count)]
        wrapping = W.Layout(display="flex", flex_flow="row wrap")
        buttons = W.Box([self.create, self.clear], layout=wrapping)
        self.box = W.VBox([heading("Pods", "requests of the next pods"), *rows, buttons])


class NodeControls:
    """Cordon and taint of one node, and the weight of a plug-in.

    Args:
        nodes: names of the nodes.
        actions: ``cordon`` and ``taint``, each called with a node's name.
        plugin: name of the plug-in.
        weight: its weight at the beginning.
        set_weight: called with a new weight; 0: the plug-in does not run.

    Attributes:
        box: the widgets.
    """

    def __init__(
        self,
        nodes: list[str],
        actions: Mapping[str, Callable[[str], object]],
        plugin: str,
        weight: int,
        set_weight: Callable[[int], object],
    ) -> None:
        self.node = W.Dropdown(
            options=nodes,
            description="node",
            style={"description_width": "auto"},
            layout=W.Layout(width="auto", flex="1 1 130px"),
        )
        self.cordon = icon_button("Cordon / open", "lock", "kubectl cordon or uncordon")
        self.taint = icon_button(
            "Taint / clean", "ban", "kubectl taint dedicated=db:NoSchedule: add or remove"
        )
        self.cordon.on_click(lambda _button: actions["cordon"](self.node.value))
        self.taint.on_click(lambda _button: actions["taint"](self.node.value))
        self._set_weight = set_weight
        self.weight = NumberSlider("weight", WEIGHT, weight, 1, f"weight of {plugin}; 0: off")
        self.weight.slider.observe(self._weight_changed, "value")
        self.running = W.HTML()
        buttons = W.Box(
            [self.node, self.cordon, self.taint],
            layout=W.Layout(display="flex", flex_flow="row wrap"),
        )
        title = heading(f"Plug-in {escape(plugin)}", "runs with the default ones; 0: off")
        self.box = W.VBox(
            [heading("Nodes", "open or closed"), buttons, title, self.weight.row, self.running]
        )

    def _weight_changed(self, change: Change) -> None:
        if not is_syncing():
            self._set_weight(int(change["new"]))

    def render(self, plugin: str, weight: int) -> None:
        """Show which profile runs."""
        with syncing():
            self.weight.show(weight)
        own = f" + {escape(plugin)} × {weight}" if weight else ""
        self.running.value = fact("the scheduler runs with", f"default plug-ins{own}")


class PlacementSummary:
    """How a pod was placed, which pods wait, and what the scheduler decided.

    Args:
        choose: called when another pod is chosen.

    Attributes:
        waiting, happened: the waiting pods; the decisions.
        box: the chosen pod's table, and the chart as a table.
    """

    def __init__(self, choose: Callable[[], object]) -> None:
        self.pod = W.Dropdown(
            options=[NEWEST],
            description="how was it placed:",
            style={"description_width": "auto"},
            layout=W.Layout(width="300px"),
        )
        self.pod.observe(lambda _change: choose(), "value")
        self.why, self.waiting, self.happened, self.nodes = (W.HTML() for _ in range(4))
        self.details = Details({"The chart as a table": self.nodes}, choose)
        self.box = W.VBox([self.pod, self.why, self.details])
        self.reset()

    def reset(self) -> None:
        """Read the log and the decisions of a new cluster from their start."""
        self._log_cursor = self._decision_cursor = 0
        self._decisions: deque[Decision] = deque(maxlen=FEED_ROWS)
        self.happened.value = ""
        self._last_error: LogRow | None = None

    @property
    def chosen(self) -> str:
        """Name of the chosen pod; "" for the newest."""
        return "" if self.pod.value == NEWEST else str(self.pod.value)

    def last_error(self, now: float) -> str:
        """Return an error that a component logged just now; "" if there is none."""
        row = self._last_error
        if row is None or now - row.time >= ERROR_SECONDS:
            return ""
        return f"t={row.time:.0f} s, {row}"

    def render(self, cluster: Cluster, fill: Fill, pod: str) -> None:
        """Update the texts.

        Args:
            cluster: the cluster to read.
            fill: its nodes.
            pod: name of the pod to explain.
        """
        names = [part.name for row in fill.rows for part in row.pods]
        options = (NEWEST, *sorted({*names, *fill.waiting}, key=natural))
        if options != tuple(self.pod.options):
            kept = self.pod.value if self.pod.value in options else NEWEST
            self.pod.options = options
            self.pod.value = kept
        self.why.value = why_html(cluster, pod)
        self.waiting.value = waiting_html(cluster, fill) + closed_html(fill)
        table = fill.table()
        self.nodes.value = html_table(table.columns, table.rows, "Nodes")
        self._read_decisions(cluster)
        page = cluster.analytics.since(self._log_cursor, level="error")
        self._log_cursor = page.cursor
        self._last_error = page.rows[-1] if page.rows else self._last_error

    def _read_decisions(self, cluster: Cluster) -> None:
        """Show the latest decisions of the schedulers, newest first."""
        fresh, self._decision_cursor = cluster.decisions.since(self._decision_cursor)
        self._decisions.extend(decision for decision in fresh if "table" in decision.data)
        rows = [
            (round(each.time), each.object.removeprefix("pod/"), each.binding)
            for each in reversed(self._decisions)
        ]
        if rows:
            columns = ("t [s]", "pod", "decided by")
            self.happened.value = html_table(columns, rows, "Decisions of the scheduler")


def why_html(cluster: Cluster, pod: str) -> str:
    """Return the table node by plug-in of one pod, and the changes that would let it fit."""
    try:
        explanation = cluster.explain(f"pod/{pod}") if pod else None
    except NotFound:
        explanation = None
    if explanation is None:
        return "<div class='ks-why'><p>No scheduler has tried to place this pod yet.</p></div>"
    table, verdict = explanation.table(), escape(explanation.latest.verdict)
    out = f"<div class='ks-why'><p class='ks-verdict'><b>{escape(pod)}</b>: {verdict}</p>"
    if table is not None:
        note = "node by plug-in: weighted (raw → normalized); * the highest total"
        columns, rows = transposed(table)
        out += f"<div class='ks-wide'>{html_table(columns, rows, note)}</div>"
    if explanation.proposals:
        items = "".join(f"<li>{escape(str(each))}</li>" for each in explanation.proposals)
        out += f"<p><b>It would fit, if you</b></p><ul>{items}</ul>"
    return f"{out}</div>"


def transposed(table: Table) -> tuple[list[str], list[list[object]]]:
    """Return columns and rows of a table with one column for each node, which fits a page."""
    columns = ["", *map(str, table.column("node"))]
    return columns, [[name, *table.column(name)] for name in table.columns[1:]]


def closed_html(fill: Fill) -> str:
    """Return what keeps pods away from which node; "" if all nodes are open."""
    notes = [
        f"<b>{escape(row.name)}</b>: {escape(', '.join(row.notes))}"
        for row in fill.rows
        if row.notes
    ]
    return f"<div class='ks-why'>{'; '.join(notes)}</div>" if notes else ""


def waiting_html(cluster: Cluster, fill: Fill) -> str:
    """Return how many pods wait, and the scheduler's message about the first."""
    if not fill.waiting:
        return "<div class='ks-why'><b>No pod is waiting</b></div>"
    first = fill.waiting[0]
    try:
        message = cluster.explain(f"pod/{first}").latest.verdict
    except NotFound:
        message = "no scheduler has tried to place it yet"
    names = " ".join(fill.waiting[:8]) + (" ..." if len(fill.waiting) > 8 else "")
    return (
        f"<div class='ks-why'><b>{len(fill.waiting)} without a node:</b> {escape(names)}"
        f"<p>{escape(first)}: {escape(message)}</p></div>"
    )
