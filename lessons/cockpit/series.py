"""A cluster's workload as columns over simulated time: the values behind the charts.

A chart *pulls*: from time to time one thread reads what is new since its cursors. The simulation
never waits for a chart and does not depend on one.

The nearest in Kubernetes is a Prometheus that scrapes metrics-server and kube-state-metrics: it,
too, sees the workload only when it scrapes.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass, field

from kubesim import Cluster
from kubesim.errors import NotFound
from kubesim.kubelet.usage.workload import COST_MILLI_PER_RPS, DEFAULT_CAPACITY_MILLI, IDLE_MILLI
from kubesim.objects import Document, ReadOnlyDocument, meta
from kubesim.objects.kindnames import POD, STATEFUL_SET
from kubesim.objects.pods import (
    container_limits,
    containers_of,
    is_active,
    is_ready,
    phase_of,
    pod_requests,
)
from kubesim.simple.autopod import NAME
from lessons.ui.charts.chart import NAN, Columns

WINDOW_SECONDS = 600.0  # simulated seconds that a chart shows
MAX_ROWS = 600
RESOLUTION = 500  # rows in a window, unless something changes in between
MAX_PODS = 24  # lines in the CPU chart; the average counts all
MAX_POINTS = 4_000  # of all lines together
GAP_SECONDS = 3.0  # the line of a pod without samples for longer than this has a gap
SAMPLES_PER_PULL = 20_000


@dataclass(frozen=True)
class Mark:
    """A decision that changed the number of pods.

    Attributes:
        time: simulated second.
        before, after: number of pods.
        average_milli: CPU of a pod on average that the autoscaler saw; None if unknown.
        why: verdict and binding rule.
    """

    time: float
    before: int
    after: int
    average_milli: float | None
    why: str


@dataclass(frozen=True)
class WorkloadRow:
    """The state of the workload at one moment.

    Attributes:
        time: simulated second.
        desired: replicas of the workload.
        ready: ready pods.
        minimum, maximum: the autoscaler's bounds.
        target_milli: the autoscaler's target, in millicores of a pod.
        average_milli: CPU of a running pod on average; None if no pod runs.
        offered, served: requests per second that arrive, and that the ready pods can serve.
    """

    time: float
    desired: int
    ready: int
    minimum: int
    maximum: int
    target_milli: float
    average_milli: float | None
    offered: float
    served: float

    @property
    def level(self) -> tuple[float, ...]:
        """The values whose changes a step chart must show."""
        return (self.desired, self.ready, self.minimum, self.maximum, self.target_milli)


@dataclass
class WorkloadSeries:
    """Columns of one cluster's workload, kept for a window of simulated time.

    Attributes:
        cluster: the cluster to read.
        window: simulated seconds that are kept.
        rows: the state over time, oldest first.
        cpu: pod -> ([seconds], [millicores]).
        marks: the autoscaler's decisions that changed something.
        config: the autoscaler's configuration as the store has it.
        request_milli: CPU request of a pod.
    """

    cluster: Cluster
    window: float = WINDOW_SECONDS
    rows: deque[WorkloadRow] = field(default_factory=lambda: deque(maxlen=MAX_ROWS))
    cpu: OrderedDict[str, tuple[list[float], list[float]]] = field(default_factory=OrderedDict)
    marks: list[Mark] = field(default_factory=list)
    config: Document = field(default_factory=dict)
    request_milli: int = 0
    _samples: int = 0
    _decisions: int = 0

    def pull(self) -> bool:
        """Read what is new; return False if no simulated time has passed."""
        now = self.cluster.clock.now()
        if self.rows and self.rows[-1].time == now:
            return False
        self._pull_samples()
        self._pull_decisions()
        self._keep(self._row(now))
        self._drop(now - self.window)
        return True

    # -- reading --------------------------------------------------------------------------------

    def _pull_samples(self) -> None:
        prefix = f"/default/{NAME}-"
        samples, _lost = self.cluster.store.samples_since(self._samples, SAMPLES_PER_PULL)
        for revision, key, sample in samples:
            self._samples = revision
            if prefix in key:
                times, values = self.cpu.setdefault(key.rpartition("/")[2], ([], []))
                if times and sample[0] - times[-1] > GAP_SECONDS:
                    times.append(sample[0])
                    values.append(NAN)
                times.append(sample[0])
                values.append(sum(container[1] for container in sample[2]))

    def _pull_decisions(self) -> None:
        decisions, self._decisions = self.cluster.decisions.since(self._decisions, f"hpa/{NAME}")
        for decision in decisions:
            before, after = decision.data.get("from"), decision.data.get("to")
            if before is not None and after is not None and before != after:
                why = f"{decision.verdict}; bound by: {decision.binding}"
                average = decision.data.get("average_milli")
                self.marks.append(Mark(decision.time, before, after, average, why))

    def _row(self, now: float) -> WorkloadRow:
        pods = [
            pod
            for pod in self.cluster.api.snapshot(POD, "default")[0]
            if meta.labels_of(pod).get("app") == NAME
        ]
        try:
            self.config = self.cluster.hpa_config()
        except NotFound:
            self.config = {}
        workload = self.cluster.api.peek(STATEFUL_SET, NAME)
        self.request_milli, capacity = _per_pod(workload)
        usage = []
        for pod in pods:
            sample = self.cluster.api.sample("default", meta.name_of(pod))
            if sample is not None and phase_of(pod) == "Running":
                usage.append(sum(container[1] for container in sample[2]))
        ready = sum(is_ready(pod) and is_active(pod) for pod in pods)
        offered = self.cluster.traffic.offered(NAME)
        return WorkloadRow(
            time=now,
            desired=workload["spec"]["replicas"] if workload is not None else 0,
            ready=ready,
            minimum=self.config.get("min_pods", 0),
            maximum=self.config.get("max_pods", 0),
            target_milli=(self.config.get("target_cpu") or 0) / 100 * self.request_milli,
            average_milli=sum(usage) / len(usage) if usage else None,
            offered=offered,
            served=min(offered, ready * capacity),
        )

    def _keep(self, row: WorkloadRow) -> None:
        """Append the row, or replace the last one if that one holds nothing new."""
        rows = self.rows
        if len(rows) >= 2 and rows[-1].level == rows[-2].level == row.level:
            if row.time - rows[-2].time < self.window / RESOLUTION:
                rows.pop()
        rows.append(row)

    def _drop(self, before: float) -> None:
        while self.rows and self.rows[0].time < before:
            self.rows.popleft()
        self.marks = [mark for mark in self.marks if mark.time >= before]
        for pod in list(self.cpu):
            times, values = self.cpu[pod]
            keep = next((i for i, time in enumerate(times) if time >= before), len(times))
            del times[:keep], values[:keep]
            if not times:
                del self.cpu[pod]

    # -- as columns -----------------------------------------------------------------------------

    def columns(self) -> dict[str, list[float]]:
        """Return the rows as columns."""
        rows = list(self.rows)
        return {
            "t": [row.time for row in rows],
            "desired": [row.desired for row in rows],
            "ready": [row.ready for row in rows],
            "minimum": [row.minimum for row in rows],
            "maximum": [row.maximum for row in rows],
            "target": [row.target_milli for row in rows],
            "average": [NAN if row.average_milli is None else row.average_milli for row in rows],
            "offered": [row.offered for row in rows],
            "served": [row.served for row in rows],
        }

    def pod_lines(self) -> dict[str, list[object]]:
        """Return the CPU of each pod as lines; of many points only every n-th second is kept."""
        names = list(self.cpu)[-MAX_PODS:]
        points = sum(len(self.cpu[name][0]) for name in names)
        every = max(1, -(-points // MAX_POINTS))
        lines: dict[str, list[object]] = {"xs": [], "ys": [], "pod": []}
        for name in names:
            times, values = self.cpu[name]
            # Select by the second and not by the index, so that the points stay as time passes.
            kept = [
                i
                for i, time in enumerate(times)
                if every == 1 or int(time) % every == 0 or values[i] != values[i]
            ]
            lines["xs"].append([times[i] for i in kept])
            lines["ys"].append([values[i] for i in kept])
            lines["pod"].append(name)
        return lines

    def cpu_peaks(self) -> list[float]:
        """Return the largest value of each pod's line."""
        return [
            max((value for value in values if value == value), default=0.0)
            for _times, values in self.cpu.values()
        ]

    def mark_columns(self, growing: bool) -> Columns:
        """Return the decisions that grew (or shrank) the workload."""
        marks = [mark for mark in self.marks if (mark.after > mark.before) == growing]
        return {
            "t": [mark.time for mark in marks],
            "after": [mark.after for mark in marks],
            "seen": [NAN if mark.average_milli is None else mark.average_milli for mark in marks],
            "why": [mark.why for mark in marks],
        }


def _per_pod(workload: ReadOnlyDocument | None) -> tuple[int, float]:
    """Return a pod's CPU request in millicores, and the requests per second it can serve."""
    if workload is None:
        return 0, 0.0
    template = workload["spec"]["template"]
    limit = container_limits(containers_of(template)[0])[0] or DEFAULT_CAPACITY_MILLI
    return pod_requests(template).cpu_milli, max(0.0, (limit - IDLE_MILLI) / COST_MILLI_PER_RPS)
