"""The scheduling cycle: from a pod to the name of a node.

Source: pkg/scheduler/schedule_one.go (schedulePod, findNodesThatFitPod, prioritizeNodes,
selectHost).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kubesim.objects.frozen import Document
from kubesim.scheduler.framework.calls import call_with_state
from kubesim.scheduler.framework.cycle import Cycle
from kubesim.scheduler.framework.cycle_state import CycleState
from kubesim.scheduler.framework.handle import Nominator, filter_with_nominated
from kubesim.scheduler.framework.nodeinfo import NodeInfo
from kubesim.scheduler.framework.runtime import Framework, as_status
from kubesim.scheduler.framework.status import Code, Status

if TYPE_CHECKING:
    from random import Random

ALWAYS_SEARCHED = 100  # minFeasibleNodesToFind: a cluster so small is searched as a whole
LEAST_PERCENT = 5  # minFeasibleNodesPercentageToFind
ADAPTIVE_PERCENT = 50  # of a small cluster; one less for each 125 nodes
NODES_PER_PERCENT = 125


def nodes_to_find(nodes: int, percentage: int = 0) -> int:
    """How many feasible nodes are enough.

    Args:
        nodes: how many there are.
        percentage: percentageOfNodesToScore; 0: the more nodes, the smaller a part of them.

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
        nominator: pods that wait for room being made.
        rng: for ties.
        percentage: percentageOfNodesToScore.
    """

    def __init__(
        self, framework: Framework, nominator: Nominator, rng: Random, percentage: int = 0
    ) -> None:
        self.framework = framework
        self.nominator = nominator
        self.rng = rng
        self.percentage = percentage
        self.start = 0  # where the next search begins

    def find_node(self, pod: Document, state: CycleState, cycle: Cycle) -> str | None:
        """The best node for a pod, or None; `cycle` then holds what each plug-in said.

        Raises:
            PluginFailed: a plug-in raised or broke the rules.
        """
        snapshot = state.snapshot
        status = self.framework.pre_filter(pod, state, cycle)
        if status.rejected:
            cycle.pre_filter = status.message
            cycle.absent = status
            cycle.refused_by.add(status.plugin)
            return None
        feasible = self._nominated(pod, state, status, cycle)
        if not feasible:
            nodes: Sequence[NodeInfo] = snapshot.nodes
            if status.nodes is not None:
                nodes = [node for node in nodes if node.name in status.nodes]
                reason = f"node(s) didn't satisfy plugin(s) [{status.plugin}]"
                cycle.absent = Status.unresolvable(reason).by(status.plugin)
            feasible = self._filter(pod, nodes, state, cycle)
        if not feasible:
            cycle.refused_by.update(s.plugin for s in cycle.statuses.values() if not s.ok)
            if cycle.absent is not None and len(cycle.statuses) < len(snapshot):
                cycle.refused_by.update(cycle.absent.plugin.split())
            return None
        if len(feasible) == 1:
            return feasible[0].name  # nothing to compare
        self.framework.score(pod, feasible, cycle, state)
        best = max(cycle.totals.values())
        winners = [name for name, total in cycle.totals.items() if total == best]
        cycle.ties = len(winners)
        return winners[0] if len(winners) == 1 else self.rng.choice(winners)

    def _nominated(
        self, pod: Document, state: CycleState, status: Status, cycle: Cycle
    ) -> list[NodeInfo]:
        """The node that preemption made room on comes first; if it is good, it is taken."""
        name = (pod.get("status") or {}).get("nominatedNodeName")
        node = state.snapshot.get(name) if name else None
        if node is None or (status.nodes is not None and node.name not in status.nodes):
            return []
        found = filter_with_nominated(self.framework, self.nominator, pod, node, state)
        if not found.ok:
            return []
        cycle.statuses[node.name] = found
        cycle.note = f"{node.name} was nominated: it is taken without a look at the others"
        return [node]

    def _filter(
        self, pod: Document, nodes: Sequence[NodeInfo], state: CycleState, cycle: Cycle
    ) -> list[NodeInfo]:
        total = len(nodes)
        if total == 0:
            return []
        enough = nodes_to_find(total, self.percentage) if self.framework.scores else 1
        start, feasible, looked_at = self.start % total, [], 0
        alone = len(self.nominator) == 0
        run = self.framework.filter
        for turn in range(total):
            node = nodes[(start + turn) % total]
            looked_at += 1
            if alone:
                status = run(pod, node, state)
            else:
                status = filter_with_nominated(self.framework, self.nominator, pod, node, state)
            cycle.statuses[node.name] = status
            if status.ok:
                feasible.append(node)
                if len(feasible) >= enough:
                    break
        self.start = (start + looked_at) % total
        return feasible


def post_filter(framework: Framework, pod: Document, cycle: Cycle, state: CycleState) -> Status:
    """Ask the PostFilter plug-ins whether room can be made.

    A success with a node ends the chain, an unresolvable answer too; other reasons pile up.

    Returns:
        The status; `nominated` is the node, "" to clear an older nomination, or None.

    Raises:
        PluginFailed: one of them raised.
    """
    reasons: list[str] = []
    nominated: str | None = None
    for enabled in framework.post_filters:
        answer = call_with_state(enabled, "post_filter", 3, pod, cycle, state)
        status = as_status(enabled, "post_filter", answer)
        if status.ok:
            return status.by(enabled.name)
        if status.nominated is not None:
            nominated = status.nominated
        if status.code is Code.UNRESOLVABLE:
            return Status(status.code, status.reasons, enabled.name, nominated=nominated)
        reasons += status.reasons
    return Status(Code.UNSCHEDULABLE, tuple(reasons), nominated=nominated)
