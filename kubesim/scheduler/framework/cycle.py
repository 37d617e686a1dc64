"""The record of one scheduling attempt: what each plug-in answered for each node.

Source: pkg/scheduler/framework/types.go (Diagnosis).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from kubesim.scheduler.framework.status import SUCCESS, Status


@dataclass
class Cycle:
    """The results of one attempt to schedule a pod; its explanation is made from them.

    Attributes:
        statuses: node -> result of the filters, for each node that was evaluated.
        absent: the status of the nodes that were not evaluated because PreFilter excluded them.
        pre_filter: message of PreFilter, if it refused the pod for all nodes.
        post_filter: message of PostFilter.
        raw: plug-in -> node -> score as the plug-in returned it.
        scores: plug-in -> node -> the same after normalization.
        totals: node -> sum of weight * score.
        ties: how many nodes share the highest total.
        refused_by: plug-ins that refused a node, or the pod.
        victims: keys of the pods that preemption chose to delete.
        note: how the search differed from a search of all nodes, if it did.
    """

    statuses: dict[str, Status] = field(default_factory=dict)
    absent: Status | None = None
    pre_filter: str = ""
    post_filter: str = ""
    raw: dict[str, dict[str, float]] = field(default_factory=dict)
    scores: dict[str, dict[str, int]] = field(default_factory=dict)
    totals: dict[str, int] = field(default_factory=dict)
    ties: int = 0
    refused_by: set[str] = field(default_factory=set)
    victims: list[str] = field(default_factory=list)
    note: str = ""

    @property
    def feasible(self) -> list[str]:
        """The nodes that passed every filter."""
        return [name for name, status in self.statuses.items() if status.ok]

    def status_of(self, node: str) -> Status:
        """Return the status of a node, evaluated or not."""
        return self.statuses.get(node) or self.absent or Status.unresolvable()

    # -- recording the search ---------------------------------------------------------------------

    def refuse_pod(self, status: Status) -> None:
        """Record that PreFilter refused the pod for all nodes."""
        self.pre_filter, self.absent = status.message, status
        self.refused_by.add(status.plugin)

    def exclude_other_nodes(self, status: Status) -> None:
        """Record the status of all nodes that are not evaluated."""
        self.absent = status

    def refuse_nodes(self, nodes: Iterable[str], status: Status) -> None:
        """Record that every node was refused for the same reason."""
        self.statuses = dict.fromkeys(nodes, status)
        self.refused_by.add(status.plugin)

    def choose(
        self, node: str, note: str, *, status: Status = SUCCESS, total: int | None = None
    ) -> None:
        """Record a node that was chosen without a table of all nodes.

        Args:
            node: its name.
            note: how it was found.
            status: result of its filters.
            total: its sum of weight * score; None: it was not scored.
        """
        self.statuses = {node: status}
        if total is not None:
            self.totals = {node: total}
        self.note = note

    def start_totals(self, nodes: Iterable[str]) -> dict[str, int]:
        """Return new totals, all 0, to which the caller adds the scores."""
        self.totals = dict.fromkeys(nodes, 0)
        return self.totals

    def tie(self, nodes: int) -> None:
        """Record how many nodes share the highest total."""
        self.ties = nodes

    def end_post_filter(self, status: Status) -> None:
        """Record the message of PostFilter, if it did not succeed."""
        self.post_filter = "" if status.ok else status.message

    def preempt(self, victims: Iterable[str]) -> None:
        """Record the keys of the pods that preemption chose to delete."""
        self.victims = list(victims)
