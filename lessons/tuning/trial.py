"""The result of a trial: requests offered and served, latency, pods, and every decision of the HPA.

A *sync* is one pass of the autoscaler, every 15 s: observe, decide, write. The nearest in
Kubernetes are the graphs of a load test next to `kubectl describe hpa`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import ceil, inf

from kubesim import Table
from kubesim.client.decisions import Decision
from kubesim.errors import BadRequest
from kubesim.experiment.scores import count_flaps, pod_seconds
from kubesim.objects import ReadOnlyDocument
from kubesim.quantity import count_of
from kubesim.simple.autopod import NAME as HPA
from kubesim.traffic import Flow
from lessons.tuning.chart import CHART
from lessons.ui.charts import svg_chart
from lessons.ui.charts.chart import NAN, ChartData, Columns, top

POINTS = 240  # of a line in a chart
COLUMNS = ("t", "offered", "served", "p95", "ready")
WHICH = ("load", "syncs", "decisions", "shadows", "scores")


@dataclass(frozen=True)
class Trial:
    """A run of one load with one autoscaler.

    Attributes:
        title: the settings in a few words.
        seconds: length of the run.
        begin: pods at the beginning.
        bounds: minReplicas and maxReplicas.
        flows: the traffic, second by second.
        syncs: the decision of each sync of the autoscaler, oldest first.
        shadows: the decisions of the shadow policies, by name.
        stored: spec of the HPA, as the store has it.
    """

    title: str
    seconds: float
    begin: int
    bounds: tuple[int, int]
    flows: tuple[Flow, ...] = field(repr=False)
    syncs: tuple[Decision, ...] = field(repr=False)
    shadows: Mapping[str, tuple[Decision, ...]] = field(repr=False)
    stored: ReadOnlyDocument = field(repr=False)

    # -- scores ---------------------------------------------------------------------------------

    @property
    def sizes(self) -> list[tuple[float, int]]:
        """(second, desired pods) at the beginning and after each scaling."""
        return [(0.0, self.begin), *((d.time, int(d.data["to"])) for d in self.decisions)]

    @property
    def decisions(self) -> list[Decision]:
        """The syncs that changed the number of pods."""
        return [sync for sync in self.syncs if sync.data.get("written")]

    @property
    def unmet_percent(self) -> float:
        """Requests without an answer, in percent of all requests."""
        offered = sum(flow.offered for flow in self.flows)
        return 100.0 * sum(flow.unmet for flow in self.flows) / offered if offered else 0.0

    @property
    def turns(self) -> int:
        """How often scaling up was followed by scaling down, or vice versa."""
        return count_flaps(self.sizes, inf)

    @property
    def pod_minutes(self) -> float:
        """The cost: the number of pods, summed over all minutes."""
        return pod_seconds(self.sizes, self.seconds) / 60

    @property
    def most_pods(self) -> int:
        """The largest size."""
        return max(size for _, size in self.sizes)

    @property
    def worst_p95(self) -> float:
        """The p95 latency of the slowest second, in seconds; 0 if nothing was served."""
        return max((flow.p95 or 0.0 for flow in self.flows), default=0.0)

    def scores(self) -> dict[str, float]:
        """Return the figures that compare two trials."""
        return {
            "unmet [%]": round(self.unmet_percent, 2),
            "worst p95 [s]": round(self.worst_p95, 1),
            "pod minutes": round(self.pod_minutes),
            "most pods": self.most_pods,
            "scalings": len(self.decisions),
            "turns": self.turns,
        }

    # -- moments --------------------------------------------------------------------------------

    def at(self, second: float) -> Decision:
        """Return the autoscaler's last decision up to a second; printed, it shows the reasons.

        Raises:
            BadRequest: the autoscaler had not decided anything by then.
        """
        syncs = [sync for sync in self.syncs if sync.time <= second]
        if not syncs:
            raise BadRequest(f"the autoscaler had not decided anything by {second:g} s")
        return syncs[-1]

    def when(self, test: Callable[[Flow], bool], after: float = 0.0) -> float | None:
        """Return the first second of the traffic for which a test holds, or None.

        Args:
            test: called with a second: it has `offered`, `served`, `queued`, `unmet`, `ready`,
                `p95`.
            after: earlier seconds are skipped.
        """
        return next((f.time for f in self.flows if f.time >= after and test(f)), None)

    # -- as columns and tables ------------------------------------------------------------------

    def columns(self) -> dict[str, list[float]]:
        """Return the lines of a chart, at most 240 points each.

        A point holds the mean of the offered requests, the mean of those that were answered or
        still wait (`served`), the worst p95 latency, and the last number of ready pods.
        """
        width = max(1, ceil(len(self.flows) / POINTS))
        rows = [self._bucket(self.flows[n : n + width]) for n in range(0, len(self.flows), width)]
        return {key: [row[place] for row in rows] for place, key in enumerate(COLUMNS)}

    @staticmethod
    def _bucket(flows: tuple[Flow, ...]) -> tuple[float, ...]:
        latencies = [flow.p95 for flow in flows if flow.p95 is not None]
        return (
            flows[0].time,
            sum(flow.offered for flow in flows) / len(flows),
            max(0.0, sum(flow.offered - flow.unmet for flow in flows) / len(flows)),
            max(latencies) if latencies else NAN,
            float(flows[-1].ready),
        )

    def steps(self) -> dict[str, list[float]]:
        """Return columns: desired pods over time, and the recommendation of each sync.

        ``t`` and ``desired`` belong together, and so do ``sync_t`` and ``pods``.
        """
        sizes = [*self.sizes, (self.seconds, self.sizes[-1][1])]
        syncs = [(d.time, d.data["proposal"]) for d in self.syncs if d.data.get("proposal")]
        return {
            "t": [time for time, _ in sizes],
            "desired": [float(size) for _, size in sizes],
            "sync_t": [time for time, _ in syncs],
            "pods": [float(pods) for _, pods in syncs],
        }

    def table(self, which: str = "load", last: int = 12, every: float = 60.0) -> Table:
        """Return the run as text.

        Args:
            which: ``load``, ``syncs``, ``decisions``, ``shadows`` or ``scores``.
            last: at most this many rows, the newest.
            every: seconds between two rows of ``load``.

        Raises:
            BadRequest: there is no such table; the message lists the tables.
        """
        if which not in WHICH:
            raise BadRequest(f"no table {which!r}; there are: {', '.join(WHICH)}")
        if which == "scores":
            return Table(("score", "value"), list(self.scores().items()), self.title)
        if which == "load":
            return self._load_table(last, every)
        if which == "shadows":
            return self._shadow_table(last)
        decisions = self.syncs if which == "syncs" else self.decisions
        rows = [
            (_whole(d.time), d.data["from"], d.data.get("proposal"), d.data["to"], d.binding)
            for d in decisions[-last:]
        ]
        return Table(("time [s]", "from", "proposal", "to", "bound by"), rows, which)

    def _load_table(self, last: int, every: float) -> Table:
        rows = [
            (
                flow.time,
                round(flow.offered),
                round(flow.served),
                round(flow.queued),
                round(flow.unmet),
                None if flow.p95 is None else round(flow.p95, 2),
                flow.ready,
            )
            for flow in self.flows
            if flow.time % every == 0
        ]
        columns = ("time [s]", "offered", "served", "waiting", "unmet", "p95 [s]", "ready pods")
        return Table(columns, rows[-last:], "requests each second")

    def _shadow_table(self, last: int) -> Table:
        """Return the syncs at which a shadow policy decided differently."""
        names = list(self.shadows)
        sizes = {name: {d.time: d.data["to"] for d in self.shadows[name]} for name in names}
        rows = [
            (
                _whole(d.time),
                d.data["from"],
                d.data["to"],
                *(sizes[name].get(d.time) for name in names),
            )
            for d in self.syncs
        ]
        rows = [row for row in rows if any(other not in (None, row[2]) for other in row[3:])]
        title = f"{len(rows)} of {len(self.syncs)} syncs differ"
        return Table(("time [s]", "pods", "real", *names), rows[-last:], title)

    # -- texts and pictures ---------------------------------------------------------------------

    def __str__(self) -> str:
        return (
            f"{self.title}: {self.unmet_percent:.1f} % unmet, slowest p95 {self.worst_p95:.1f} s, "
            f"{self.pod_minutes:.0f} pod minutes, at most {count_of(self.most_pods, 'pod')}, "
            f"{count_of(len(self.decisions), 'scaling')}, {count_of(self.turns, 'turn')}"
        )

    __repr__ = __str__

    def chart_data(self, other: Trial | None = None) -> ChartData:
        """Return what the chart shows; another trial as thin lines behind this one."""
        columns, sizes = self.columns(), self.steps()
        reference = other.columns() if other is not None else {key: [] for key in COLUMNS}
        reference_sizes = other.steps() if other is not None else {"t": [], "desired": []}
        tallest = max([3.0, *sizes["desired"], *columns["ready"], *reference_sizes["desired"]])
        most = max(tallest, min(max(sizes["pods"], default=0.0), self.bounds[1] * 1.3))
        return ChartData(
            sources={
                "trial": columns,
                "reference": reference,
                "sizes": sizes,
                "reference-sizes": reference_sizes,
                "recommendations": {
                    "t": sizes["sync_t"],
                    "pods": [min(pods, most) for pods in sizes["pods"]],
                },
                "trial-ups": self._marks(growing=True),
                "trial-downs": self._marks(growing=False),
            },
            start=0.0,
            end=self.seconds if columns["t"] else -1.0,
            tops={
                "load": top(columns["offered"], least=10),
                "latency": top([*columns["p95"], *reference["p95"]], least=1),
                "trial-pods": top([most], least=1),
            },
        )

    def _marks(self, *, growing: bool) -> Columns:
        """Return the decisions that grew (or shrank) the workload, as columns."""
        marked = [d for d in self.decisions if (d.data["to"] > d.data["from"]) == growing]
        return {
            "t": [d.time for d in marked],
            "after": [d.data["to"] for d in marked],
            "why": [f"{d.verdict}; bound by: {d.binding}" for d in marked],
        }

    def svg(self, other: Trial | None = None) -> str:
        """Return the picture; another trial as thin lines behind this one."""
        title = self.title if other is None else f"{self.title} (grey: {other.title})"
        moves = "; ".join(f"at {time:g} s {size} pods" for time, size in self.sizes)
        description = f"{self}. Sizes: {moves}."
        return svg_chart.draw(CHART, self.chart_data(other), title, description)

    def _repr_svg_(self) -> str:
        return self.svg()


def _whole(second: float) -> float:
    """Return a whole second as an int."""
    return int(second) if second == int(second) else second


def beside(**trials: Trial) -> Table:
    """Return the scores of trials side by side, one column for each."""
    names = list(trials)
    figures = [trial.scores() for trial in trials.values()]
    rows = [(key, *(each[key] for each in figures)) for key in figures[0]]
    return Table(("score", *names), rows, "side by side")


__all__ = ["HPA", "Trial", "beside"]
