"""The controls and the words of the scheduler's panel.

Left, the pods that you make and what each asks for; in the middle the nodes, to close or to taint;
right the weight of a plug-in. Below the chart: how one pod was placed, node by plug-in, and for one
that waits, what would help.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from html import escape
from typing import Any

import ipywidgets as W

from kubesim import Cluster, Table
from kubesim.analytics import LogRow
from kubesim.client import Decision
from kubesim.errors import NotFound
from lessons.cockpit import tables
from lessons.cockpit.controls import NumberSlider, heading, syncing
from lessons.scheduler.nodefill import Fill, natural

CPU = (0, 4000)  # millicores
MEMORY = (0, 8192)  # MiB
COUNT = (1, 20)
WEIGHT = (0, 10)
NEWEST = "(the newest)"
FEED_ROWS = 9
ERROR_SECONDS = 30.0
Act = Callable[[], Any]


class PodControls:
    """What the next pods ask for.

    Args:
        create, clear: what the buttons do.

    Attributes:
        box: the widgets.
    """

    def __init__(self, create: Act, clear: Act) -> None:
        self.cpu = NumberSlider("CPU [m]", CPU, 500, 100, "requests.cpu in millicores")
        self.memory = NumberSlider("mem. [Mi]", MEMORY, 512, 128, "requests.memory in MiB")
        self.count = NumberSlider("how many", COUNT, 3, 1, "pods at once")
        self.create = _button("Create pods", "plus", "so many pods that ask for so much")
        self.clear = _button("Delete all pods", "trash", "delete every pod")
        self.create.on_click(lambda _button: create())
        self.clear.on_click(lambda _button: clear())
        rows = [each.row for each in (self.cpu, self.memory, self.count)]
        buttons = W.HBox([self.create, self.clear])
        self.box = W.VBox([heading("Pods", "what the next ones ask for"), *rows, buttons])


class NodeControls:
    """Doors: cordon and taint one node; and the weight of a plug-in of your own.

    Args:
        nodes: names.
        acts: ``cordon`` and ``taint``, each called with a node's name.
        plugin: name of the plug-in.
        weigh: called with its weight; 0: it does not run.

    Attributes:
        box: the widgets.
    """

    def __init__(
        self,
        nodes: list[str],
        acts: Mapping[str, Callable[[str], Any]],
        plugin: str,
        weight: int,
        weigh: Callable[[int], Any],
    ) -> None:
        self.node = W.Dropdown(
            options=nodes,
            description="node",
            style={"description_width": "34px"},
            layout=W.Layout(width="136px"),
        )
        self.cordon = _button("Cordon / open", "lock", "kubectl cordon, or uncordon")
        self.taint = _button("Taint / clean", "ban", "kubectl taint dedicated=db:NoSchedule, or no")
        self.cordon.on_click(lambda _button: acts["cordon"](self.node.value))
        self.taint.on_click(lambda _button: acts["taint"](self.node.value))
        self.weight = NumberSlider("weight", WEIGHT, weight, 1, f"weight of {plugin}; 0: off")
        self.weight.slider.observe(lambda change: _unless(change, weigh), "value")
        self.running = W.HTML()
        doors = W.Box(
            [self.node, self.cordon, self.taint],
            layout=W.Layout(display="flex", flex_flow="row wrap"),
        )
        title = heading(f"Plug-in {escape(plugin)}", "beside the default ones; 0: not at all")
        self.box = W.VBox(
            [heading("Nodes", "open or closed"), doors, title, self.weight.row, self.running]
        )

    def render(self, plugin: str, weight: int) -> None:
        """Which profile runs."""
        self._quietly(weight)
        own = f" + {escape(plugin)} × {weight}" if weight else ""
        self.running.value = (
            f"<span class='ks-fact'><b>the scheduler runs with:</b> default plug-ins{own}</span>"
        )

    def _quietly(self, weight: int) -> None:
        syncing.on = True
        try:
            self.weight.show(weight)
        finally:
            syncing.on = False


class PlacementSummary:
    """How a pod was placed, who waits, what happened.

    Attributes:
        feed: beside the chart.
        box: below the chart.
    """

    def __init__(self, choose: Act) -> None:
        self.pod = W.Dropdown(
            options=[NEWEST],
            description="how was it placed:",
            style={"description_width": "auto"},
            layout=W.Layout(width="300px"),
        )
        self.pod.observe(lambda _change: choose(), "value")
        self.why, self.waiting, self.happened, self.nodes = (W.HTML() for _ in range(4))
        self.feed = W.VBox(
            [self.waiting, self.happened],
            layout=W.Layout(flex="3 1 330px", min_width="0", padding="0 0 0 12px"),
        )
        table = W.Accordion([self.nodes], titles=("The chart as a table",), selected_index=None)
        self.box = W.VBox([self.pod, self.why, table])
        self.reset()

    def reset(self) -> None:
        """There is another cluster: begin its log from the start."""
        self._cursor = 0  # in the log, and below it in the decisions
        self._seen = 0
        self._decisions: deque[Decision] = deque(maxlen=FEED_ROWS)
        self.happened.value = ""
        self._last_error: LogRow | None = None

    @property
    def chosen(self) -> str:
        """Name of the chosen pod; "" for the newest."""
        return "" if self.pod.value == NEWEST else str(self.pod.value)

    def last_error(self, now: float) -> str:
        """What a component complained of just now; "" if nothing."""
        row = self._last_error
        if row is None or now - row.time >= ERROR_SECONDS:
            return ""
        return f"t={row.time:.0f} s, {row}"

    def render(self, cluster: Cluster, fill: Fill, pod: str) -> None:
        """Say how things stand; `pod` is the one that is explained."""
        names = [part.name for row in fill.rows for part in row.pods]
        options = (NEWEST, *sorted({*names, *fill.waiting}, key=natural))
        if options != tuple(self.pod.options):
            kept = self.pod.value if self.pod.value in options else NEWEST
            self.pod.options = options
            self.pod.value = kept
        self.why.value = why_html(cluster, pod)
        self.waiting.value = waiting_html(cluster, fill)
        shown = fill.table()
        self.nodes.value = tables.html_table(shown.columns, shown.rows, "Nodes")
        self._take_decisions(cluster)
        page = cluster.analytics.since(self._cursor, level="error")
        self._cursor = page.cursor
        self._last_error = page.rows[-1] if page.rows else self._last_error

    def _take_decisions(self, cluster: Cluster) -> None:
        """What the schedulers decided last, newest first."""
        fresh, self._seen = cluster.decisions.since(self._seen)
        self._decisions.extend(decision for decision in fresh if "table" in decision.data)
        rows = [
            (round(each.time), each.object.removeprefix("pod/"), each.binding)
            for each in reversed(self._decisions)
        ]
        if rows:
            columns = ("t [s]", "pod", "decided by")
            self.happened.value = tables.html_table(columns, rows, "What the scheduler decided")


def why_html(cluster: Cluster, pod: str) -> str:
    """The table node by plug-in of one pod; and the changes that would let it fit."""
    try:
        found = cluster.explain(f"pod/{pod}") if pod else None
    except NotFound:
        found = None
    if found is None:
        return "<div class='ks-why'><p>No scheduler has looked at such a pod yet.</p></div>"
    table, verdict = found.table(), escape(found.latest.verdict)
    out = f"<div class='ks-why'><p class='ks-verdict'><b>{escape(pod)}</b>: {verdict}</p>"
    if table is not None:
        note = "node by plug-in: weighted (raw → normalized); * the highest total"
        columns, rows = turned(table)
        out += f"<div class='ks-wide'>{tables.html_table(columns, rows, note)}</div>"
    if found.proposals:
        items = "".join(f"<li>{escape(str(proposal))}</li>" for proposal in found.proposals)
        out += f"<p><b>It would fit, if you</b></p><ul>{items}</ul>"
    return f"{out}</div>"


def turned(table: Table) -> tuple[list[str], list[list[Any]]]:
    """The table with a column for each node, which a page has room for: columns and rows."""
    columns = ["", *map(str, table.column("node"))]
    return columns, [[name, *table.column(name)] for name in table.columns[1:]]


def waiting_html(cluster: Cluster, fill: Fill) -> str:
    """How many pods wait, and what the scheduler said of the first."""
    if not fill.waiting:
        return "<div class='ks-why'><b>Nobody waits</b></div>"
    first = fill.waiting[0]
    try:
        said = cluster.explain(f"pod/{first}").latest.verdict
    except NotFound:
        said = "nobody has looked yet"
    shown = " ".join(fill.waiting[:8]) + (" ..." if len(fill.waiting) > 8 else "")
    return (
        f"<div class='ks-why'><b>{len(fill.waiting)} without a node:</b> {escape(shown)}"
        f"<p>{escape(first)}: {escape(said)}</p></div>"
    )


def _unless(change: Any, act: Callable[[int], Any]) -> None:
    if not syncing.on:
        act(int(change["new"]))


def _button(label: str, icon: str, about: str) -> Any:
    layout = W.Layout(width="auto", min_width="78px")
    return W.Button(description=label, icon=icon, tooltip=about, layout=layout)
