"""A rollout as columns over simulated time: old and new pods, ready and not ready.

As in `lessons.cockpit.series`, the chart reads the cluster from time to time, and the cluster does
not depend on it. Each pass of the Deployment controller that changed a size is kept, with its
reason from the decision records.

The nearest in Kubernetes is `kubectl rollout status --watch` next to `kubectl get rs`.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field

from kubesim import Cluster, Table
from kubesim.controllers.deployment import revisions
from kubesim.controllers.deployment.rolling import max_unavailable_of, resolve_fenceposts
from kubesim.objects import meta
from kubesim.objects.kindnames import DEPLOYMENT, POD, REPLICA_SET
from kubesim.objects.pods import is_active, is_ready
from lessons.rollout.deployments import NAME
from lessons.ui.charts.chart import Columns

WINDOW_SECONDS = 600.0  # simulated seconds that a chart shows
MAX_ROWS = 600
LAYERS = ("old_ready", "new_ready", "new_waiting", "old_waiting")  # from the bottom to the top
LINES = ("ready", "desired", "min_ready", "max_pods")


@dataclass(frozen=True)
class Pass:
    """A pass of the Deployment controller that changed sizes.

    Attributes:
        time: simulated second.
        what: the change, for example ``scale web-old 10 -> 8``.
        bound: the limit that stopped it from going further.
    """

    time: float
    what: str
    bound: str

    @property
    def why(self) -> str:
        """Both in one line."""
        return f"{self.what} (bound by: {self.bound})"


@dataclass(frozen=True)
class Stage:
    """The progress of a rollout at one moment.

    Attributes:
        time: simulated second.
        old_ready, old_waiting: pods of earlier templates that are ready, and that are not.
        new_ready, new_waiting: pods of the current template that are ready, and that are not.
        desired: spec.replicas.
        min_ready: number of pods that must stay available.
        max_pods: number of pods that may exist.
    """

    time: float
    old_ready: int = 0
    old_waiting: int = 0
    new_ready: int = 0
    new_waiting: int = 0
    desired: int = 0
    min_ready: int = 0
    max_pods: int = 0

    @property
    def ready(self) -> int:
        """Ready pods, old and new."""
        return self.old_ready + self.new_ready

    @property
    def pods(self) -> int:
        """All pods that are not terminating."""
        return self.ready + self.old_waiting + self.new_waiting

    @property
    def level(self) -> tuple[int, ...]:
        """The values whose changes a step chart must show."""
        return tuple(getattr(self, key) for key in (*LAYERS, "desired", "min_ready", "max_pods"))


@dataclass
class RolloutSeries:
    """Columns of one Deployment's pods, kept for a window of simulated time.

    Attributes:
        cluster: the cluster to read.
        window: simulated seconds that are kept.
        rows: the stages, oldest first.
        passes: the passes of the Deployment controller that changed a size, oldest first.
    """

    cluster: Cluster
    window: float = WINDOW_SECONDS
    rows: deque[Stage] = field(default_factory=lambda: deque(maxlen=MAX_ROWS))
    passes: list[Pass] = field(default_factory=list)
    _decisions: int = 0
    _sizes: dict[str, int] = field(default_factory=dict)

    def pull(self) -> bool:
        """Read what is new; return False if no simulated time has passed."""
        now = self.cluster.clock.now()
        if self.rows and self.rows[-1].time == now:
            return False
        self._pull_passes()
        rows, stage = self.rows, stage_of(self.cluster)
        if len(rows) >= 2 and rows[-1].level == rows[-2].level == stage.level:
            rows.pop()
        rows.append(stage)
        while rows[0].time < now - self.window and len(rows) > 1 and rows[1].time <= now:
            rows.popleft()
        self.passes = [each for each in self.passes if each.time >= now - self.window]
        return True

    def _pull_passes(self) -> None:
        log, about = self.cluster.decisions, f"deployment/{NAME}"
        decisions, self._decisions = log.since(self._decisions, about)
        for decision in decisions:
            sizes = dict(decision.data.get("sizes") or {})
            if sizes != self._sizes and decision.verdict.startswith(("create", "scale")):
                self.passes.append(Pass(decision.time, decision.verdict, decision.binding))
            self._sizes = sizes or self._sizes

    # -- as columns and tables ------------------------------------------------------------------

    def columns(self) -> dict[str, list[float]]:
        """Return the rows as columns; each layer with the heights of its two edges."""
        rows = list(self.rows)
        columns: dict[str, list[float]] = {"t": [row.time for row in rows]}
        floor = [0.0] * len(rows)
        for layer in LAYERS:
            columns[f"{layer}_from"] = floor
            floor = [low + getattr(row, layer) for low, row in zip(floor, rows, strict=True)]
            columns[layer] = floor
        for line in LINES:
            columns[line] = [getattr(row, line) for row in rows]
        return columns

    def mark_columns(self) -> Columns:
        """Return the passes as columns; those of one second share a marker."""
        at: dict[int, list[str]] = {}
        for each in self.passes:
            at.setdefault(round(each.time), []).append(each.why)
        return {
            "t": list(at),
            "y": [self._pods_at(time) for time in at],
            "why": ["; then ".join(whys) for whys in at.values()],
        }

    def _pods_at(self, time: float) -> int:
        """Return the number of pods in the first row at or after a moment."""
        return next((row.pods for row in self.rows if row.time >= time), 0)

    def table(self, which: str = "pods", last: int = 12) -> Table:
        """Return the chart as text: ``pods``, or ``passes`` for the changes and their reasons."""
        if which == "passes":
            shown = [(each.time, each.what, each.bound) for each in self.passes[-last:]]
            return Table(("time [s]", "pass", "bound by"), shown)
        columns = ("time [s]", "old ready", "old not", "new ready", "new not yet", "ready")
        rows = [
            (r.time, r.old_ready, r.old_waiting, r.new_ready, r.new_waiting, r.ready)
            for r in list(self.rows)[-last:]
        ]
        return Table(columns, rows)


def stage_of(cluster: Cluster) -> Stage:
    """Return the progress of the Deployment `web` now; an empty stage if it does not exist."""
    now, deployment = cluster.clock.now(), cluster.api.peek(DEPLOYMENT, NAME)
    if deployment is None:
        return Stage(now)
    sets = [
        replicaset
        for replicaset in cluster.api.snapshot(REPLICA_SET, "default")[0]
        if meta.is_owned_by(replicaset, deployment)
    ]
    new = revisions.find_new(deployment, sets)
    new_uid = meta.uid_of(new) if new is not None else ""
    uids = {meta.uid_of(replicaset) for replicaset in sets}
    counts: Counter[str] = Counter()
    for pod in cluster.api.snapshot(POD, "default")[0]:
        owner = meta.controller_of(pod)
        if owner is not None and owner["uid"] in uids and is_active(pod):
            version = "new" if owner["uid"] == new_uid else "old"
            counts[f"{version}_{'ready' if is_ready(pod) else 'waiting'}"] += 1
    replicas = deployment["spec"]["replicas"]
    rolling = deployment["spec"]["strategy"].get("rollingUpdate") or {}
    fence = resolve_fenceposts(
        max_surge=rolling.get("maxSurge"),
        max_unavailable=rolling.get("maxUnavailable"),
        replicas=replicas,
    )
    return Stage(
        time=now,
        desired=replicas,
        min_ready=replicas - max_unavailable_of(fence.unavailable, replicas),
        max_pods=replicas + fence.surge,
        **counts,
    )
