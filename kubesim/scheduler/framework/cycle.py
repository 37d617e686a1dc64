"""The record of one scheduling attempt: what each plug-in answered for each node.

Source: pkg/scheduler/framework/types.go (Diagnosis).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from kubesim.scheduler.framework.status import Status


@dataclass
class Cycle:
    """What one attempt to place a pod found out; the material of its explanation.

    Attributes:
        statuses: what the filters said of each node that was looked at.
        absent: what is said of the nodes that were not looked at, since PreFilter ruled them out.
        pre_filter: PreFilter's words, if it refused the pod for all nodes.
        post_filter: PostFilter's words.
        raw: plug-in -> node -> score as the plug-in gave it.
        scores: plug-in -> node -> the same after normalization.
        totals: node -> sum of weight * score.
        ties: how many nodes shared the highest total.
        refused_by: plug-ins that refused some node, or the pod.
        victims: keys of the pods that make room, if preemption found a way.
        note: how the search went, if it was not the plain one.
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
        """What was said of a node, looked at or not."""
        return self.statuses.get(node) or self.absent or Status.unresolvable()
