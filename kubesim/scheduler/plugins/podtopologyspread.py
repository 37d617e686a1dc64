"""PodTopologySpread: spread pods evenly over zones, hosts or other topology domains.

Source: pkg/scheduler/framework/plugins/podtopologyspread/{plugin,filtering}.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from kubesim.objects import meta
from kubesim.scheduler.framework.cycle_state import CycleState
from kubesim.scheduler.framework.events import NODE_ADD, NODE_UPDATE, POD_ITSELF, ClusterEvent
from kubesim.scheduler.framework.nodeinfo import NodeInfo
from kubesim.scheduler.framework.snapshot import Snapshot
from kubesim.scheduler.framework.status import SKIP, SUCCESS, Status
from kubesim.scheduler.plugins.spread_counts import (
    HARD_WHEN,
    SOFT_WHEN,
    SYSTEM_DEFAULTS,
    Constraint,
    SoftCounts,
    SoftDomains,
    constraints_of,
    count_pods,
    count_soft,
    default_constraints,
    has_all_keys,
)

if TYPE_CHECKING:
    from kubesim.objects.types import NodeDict, PodDict, TopologySpreadConstraintDict

REASON = "node(s) didn't match pod topology spread constraints"
REASON_LABEL = f"{REASON} (missing required label)"


@dataclass(slots=True)
class HardCounts:
    """What PreFilter counted for the DoNotSchedule constraints.

    Attributes:
        constraints: the constraints.
        counts: per constraint, topology value -> pods.
    """

    constraints: list[Constraint]
    counts: list[dict[str, int]]

    def clone(self) -> HardCounts:
        """Return a copy with its own counts."""
        return HardCounts(self.constraints, [dict(counts) for counts in self.counts])

    def least(self, i: int) -> int:
        """Return the fewest pods of a domain; 0 if there are fewer domains than minDomains."""
        counts = self.counts[i]
        if len(counts) < self.constraints[i].min_domains:
            return 0
        return min(counts.values(), default=2**31 - 1)


class PodTopologySpread:
    """Filter by DoNotSchedule constraints, score by ScheduleAnyway constraints.

    Args:
        default_constraints: for pods without constraints.
        system_defaults: without `default_constraints`, use upstream's (host and zone, both
            ScheduleAnyway).
    """

    name = "PodTopologySpread"

    def __init__(
        self,
        default_constraints: Iterable[TopologySpreadConstraintDict] = (),
        system_defaults: bool = True,
    ) -> None:
        listed = list(default_constraints)
        self._system = system_defaults and not listed
        self._defaults: Sequence[TopologySpreadConstraintDict] = (
            SYSTEM_DEFAULTS if self._system else listed
        )

    def local(self, pod: PodDict, snapshot: Snapshot) -> bool:
        """Return True if no constraint applies to the pod (see fastpath)."""
        return not self._constraints(pod, snapshot, HARD_WHEN) and not self._constraints(
            pod, snapshot, SOFT_WHEN
        )

    def domains(self, pod: PodDict, snapshot: Snapshot) -> SoftDomains | None:
        """Return the groups of nodes that score alike (see fastpath); None: use all nodes."""
        if self._constraints(pod, snapshot, HARD_WHEN):
            return None
        constraints = self._constraints(pod, snapshot, SOFT_WHEN)
        if not constraints:
            return None
        own = bool((pod.get("spec") or {}).get("topologySpreadConstraints"))
        namespace = meta.namespace_of(pod)
        return SoftDomains(pod, namespace, constraints, own or not self._system)

    def _constraints(self, pod: PodDict, snapshot: Snapshot, when: str) -> list[Constraint]:
        if (pod.get("spec") or {}).get("topologySpreadConstraints"):
            return constraints_of(pod, when)
        return default_constraints(pod, snapshot.world, self._defaults, when)

    # -- filter -----------------------------------------------------------------------------------

    def pre_filter(self, pod: PodDict, state: CycleState) -> Status:
        """Count the pods of each topology domain."""
        constraints = self._constraints(pod, state.snapshot, HARD_WHEN)
        if not constraints:
            return SKIP
        counts: list[dict[str, int]] = [{} for _ in constraints]
        namespace = meta.namespace_of(pod)
        for node in state.snapshot:
            if not has_all_keys(node, constraints):
                continue
            for i, constraint in enumerate(constraints):
                if constraint.includes(pod, node):
                    value = node.labels[constraint.key]
                    count = count_pods(node, constraint.selector, namespace)
                    counts[i][value] = counts[i].get(value, 0) + count
        state[self.name] = HardCounts(constraints, counts)
        return SUCCESS

    def add_pod(self, pod: PodDict, other: PodDict, node: NodeInfo, state: CycleState) -> None:
        """Count one more pod on that node."""
        self._change(pod, other, node, state, 1)

    def remove_pod(self, pod: PodDict, other: PodDict, node: NodeInfo, state: CycleState) -> None:
        """Count one pod less; as upstream, also a terminating one that was not counted."""
        self._change(pod, other, node, state, -1)

    def _change(
        self, pod: PodDict, other: PodDict, node: NodeInfo, state: CycleState, by: int
    ) -> None:
        counted: HardCounts | None = state.get(self.name)
        if counted is None or meta.namespace_of(other) != meta.namespace_of(pod):
            return
        if not has_all_keys(node, counted.constraints):
            return
        labels = meta.labels_of(other)
        for i, constraint in enumerate(counted.constraints):
            if constraint.selector.matches(labels) and constraint.includes(pod, node):
                value = node.labels[constraint.key]
                counted.counts[i][value] = counted.counts[i].get(value, 0) + by

    def filter(self, pod: PodDict, node: NodeInfo, state: CycleState) -> Status:
        """Refuse a node if the pod would raise the skew of its domain above maxSkew."""
        counted: HardCounts = state[self.name]
        labels = meta.labels_of(pod)
        for i, constraint in enumerate(counted.constraints):
            value = node.labels.get(constraint.key)
            if value is None:
                return Status.unresolvable(REASON_LABEL)
            itself = 1 if constraint.selector.matches(labels) else 0
            skew = counted.counts[i].get(value, 0) + itself - counted.least(i)
            if skew > constraint.max_skew:
                return Status.unschedulable(REASON)
        return SUCCESS

    # -- score ------------------------------------------------------------------------------------

    def pre_score(self, pod: PodDict, nodes: list[NodeInfo], state: CycleState) -> Status:
        """Count pods for the ScheduleAnyway constraints; skip a pod without any."""
        constraints = self._constraints(pod, state.snapshot, SOFT_WHEN)
        if not constraints:
            return SKIP
        own = bool((pod.get("spec") or {}).get("topologySpreadConstraints"))
        state[f"{self.name}/score"] = count_soft(
            pod, constraints, nodes, state.snapshot, own or not self._system
        )
        return SUCCESS

    def score(self, pod: PodDict, node: NodeInfo, state: CycleState) -> int:
        """Return the raw score: the more pods in the node's domains, the higher."""
        counted: SoftCounts = state[f"{self.name}/score"]
        return counted.raw(node)

    def normalize(self, scores: dict[str, int], state: CycleState) -> dict[str, int]:
        """Scale to 0..100 and reverse; nodes that lack a topology key get 0."""
        counted: SoftCounts = state[f"{self.name}/score"]
        return counted.normalized(scores)

    # -- hints ------------------------------------------------------------------------------------

    def hint(self, pod: PodDict, event: ClusterEvent) -> bool:
        """Return whether a counted pod, or a node with the topology keys, changed."""
        if event.kind == POD_ITSELF:
            return event.labels_changed()
        constraints = constraints_of(pod, HARD_WHEN) or constraints_of(pod, SOFT_WHEN)
        if event.about_placed_pod:
            pods = [p for p in (event.old, event.new) if p is not None]
            if all(meta.namespace_of(p) != meta.namespace_of(pod) for p in pods):
                return False
            hits = [[c.selector.matches(meta.labels_of(p)) for c in constraints] for p in pods]
            return hits[0] != hits[1] if len(hits) == 2 else any(hits[0])
        if event.about_storage:
            return False
        if event.kind == NODE_UPDATE and not (
            event.labels_changed() or event.spec_changed("taints")
        ):
            return False
        if event.kind == NODE_ADD and not constraints:
            return True
        nodes = [
            NodeInfo(cast("NodeDict", node)) for node in (event.old, event.new) if node is not None
        ]
        return any(has_all_keys(node, constraints) for node in nodes)
