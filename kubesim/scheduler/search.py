"""The scheduling cycle: from a pod to the name of a node.

Source: pkg/scheduler/schedule_one.go (schedulePod, findNodesThatFitPod, prioritizeNodes,
selectHost).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kubesim.scheduler.framework.calls import PluginMethod
from kubesim.scheduler.framework.cycle import Cycle
from kubesim.scheduler.framework.cycle_state import CycleState
from kubesim.scheduler.framework.handle import Nominator, filter_with_nominated
from kubesim.scheduler.framework.nodeinfo import NodeInfo
from kubesim.scheduler.framework.runtime import Framework, as_status
from kubesim.scheduler.framework.status import Code, Status

if TYPE_CHECKING:
    from random import Random

    from kubesim.objects.types import PodDict

ALWAYS_SEARCHED = 100  # minFeasibleNodesToFind: a smaller cluster is searched as a whole
LEAST_PERCENT = 5  # minFeasibleNodesPercentageToFind
ADAPTIVE_PERCENT = 50  # of a small cluster; one less for each 125 nodes
NODES_PER_PERCENT = 125


def nodes_to_find(nodes: int, percentage: int = 0) -> int:
    """Return how many feasible nodes are enough.

    Args:
        nodes: number of nodes in the cluster.
        percentage: percentageOfNodesToScore; 0: adaptive, a smaller part of more nodes.

    >>> [nodes_to_find(nodes) for nodes in (99, 250, 1000, 5000, 6000)]
    [99, 120, 420, 500, 300]
    """
    if nodes < ALWAYS_SEARCHED:
        return nodes
    percent = percentage
    if percent == 0:
        percent = max(LEAST_PERCENT, ADAPTIVE_PERCENT - nodes // NODES_PER_PERCENT)
    return nodes if percent >= 100 else max(ALWAYS_SEARCHED, nodes * percent // 100)


class Search:
    """Filters and scores nodes for one scheduler.

    Args:
        framework: the plug-ins.
        nominator: the pods that preemption is making room for.
        rng: breaks ties.
        percentage: percentageOfNodesToScore; 0: adaptive.

    Attributes:
        start: index of the node with which the next search starts.
    """

    def __init__(
        self, framework: Framework, nominator: Nominator, rng: Random, percentage: int = 0
    ) -> None:
        self.framework = framework
        self.nominator = nominator
        self.rng = rng
        self.percentage = percentage
        self.start = 0

    def find_node(self, pod: PodDict, state: CycleState, cycle: Cycle) -> str | None:
        """Return the name of the best node for a pod, or None.

        Args:
            pod: the pod to schedule.
            state: of this attempt.
            cycle: receives the answers of the plug-ins.

        Raises:
            PluginFailed: a plug-in raised or broke the rules.
        """
        snapshot = state.snapshot
        status = self.framework.pre_filter(pod, state, cycle)
        if status.rejected:
            cycle.refuse_pod(status)
            return None
        feasible = self._nominated(pod, state, status, cycle)
        if not feasible:
            nodes: Sequence[NodeInfo] = snapshot.nodes
            if status.nodes is not None:
                nodes = [node for node in nodes if node.name in status.nodes]
                reason = f"node(s) didn't satisfy plugin(s) [{status.plugin}]"
                cycle.exclude_other_nodes(Status.unresolvable(reason).by(status.plugin))
            feasible = self._filter(pod, nodes, state, cycle)
        if not feasible:
            cycle.refused_by.update(s.plugin for s in cycle.statuses.values() if not s.ok)
            if cycle.absent is not None and len(cycle.statuses) < len(snapshot):
                cycle.refused_by.update(cycle.absent.plugin.split())
            return None
        if len(feasible) == 1:
            return feasible[0].name  # no need to score
        self.framework.score(pod, feasible, cycle, state)
        best = max(cycle.totals.values())
        winners = [name for name, total in cycle.totals.items() if total == best]
        cycle.tie(len(winners))
        return winners[0] if len(winners) == 1 else self.rng.choice(winners)

    def _nominated(
        self, pod: PodDict, state: CycleState, status: Status, cycle: Cycle
    ) -> list[NodeInfo]:
        """Return [the node that the pod is nominated to] if it is feasible: it needs no scoring."""
        name = (pod.get("status") or {}).get("nominatedNodeName")
        node = state.snapshot.get(name) if name else None
        if node is None or (status.nodes is not None and node.name not in status.nodes):
            return []
        result = filter_with_nominated(self.framework, self.nominator, pod, node, state)
        if not result.ok:
            return []
        note = f"{node.name} was nominated: it is taken without evaluating the others"
        cycle.choose(node.name, note, status=result)
        return [node]

    def _filter(
        self, pod: PodDict, nodes: Sequence[NodeInfo], state: CycleState, cycle: Cycle
    ) -> list[NodeInfo]:
        total = len(nodes)
        if total == 0:
            return []
        enough = nodes_to_find(total, self.percentage) if self.framework.scores else 1
        start, feasible, evaluated = self.start % total, [], 0
        none_nominated = len(self.nominator) == 0
        run = self.framework.filter
        for turn in range(total):
            node = nodes[(start + turn) % total]
            evaluated += 1
            if none_nominated:
                status = run(pod, node, state)
            else:
                status = filter_with_nominated(self.framework, self.nominator, pod, node, state)
            cycle.statuses[node.name] = status
            if status.ok:
                feasible.append(node)
                if len(feasible) >= enough:
                    break
        self.advance(start + evaluated, total)
        return feasible

    def advance(self, position: int, total: int) -> None:
        """Let the next search start with the node at that position, modulo the number of nodes."""
        self.start = position % total


def post_filter(framework: Framework, pod: PodDict, cycle: Cycle, state: CycleState) -> Status:
    """Run PostFilter until a plug-in makes room for the pod.

    Success ends the chain, and so does an unresolvable refusal; other reasons are collected.

    Args:
        framework: the plug-ins.
        pod: the pod that fits on no node.
        cycle: the answers of the filters.
        state: of this attempt.

    Returns:
        The status; `nominated` is the node, "" to clear an older nomination, or None.

    Raises:
        PluginFailed: one of them raised.
    """
    reasons: list[str] = []
    nominated: str | None = None
    for enabled in framework.post_filters:
        answer = PluginMethod(enabled, "post_filter", 3)(pod, cycle, state)
        status = as_status(enabled, "post_filter", answer)
        if status.ok:
            return status.by(enabled.name)
        if status.nominated is not None:
            nominated = status.nominated
        if status.code is Code.UNRESOLVABLE:
            return Status(status.code, status.reasons, enabled.name, nominated=nominated)
        reasons += status.reasons
    return Status(Code.UNSCHEDULABLE, tuple(reasons), nominated=nominated)
