"""What would have to be different so that a waiting pod fits: the smallest changes, each tried out.

For each node, what refuses the pod there is mended one by one on copies - ask for less, tolerate a
taint, label the node, one pod fewer - and after each step *the filters themselves* are asked again.
Only what made them say yes is told.

No counterpart in Kubernetes, whose message says what is wrong, and not what would be right.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from kubesim.objects.frozen import Document, thaw
from kubesim.scheduler.explain.remedies import MENDERS, Attempt
from kubesim.scheduler.framework.cycle_state import CycleState
from kubesim.scheduler.framework.runtime import Framework
from kubesim.scheduler.framework.snapshot import Snapshot
from kubesim.scheduler.framework.status import PluginFailed, Status

MAX_STEPS = 4  # a proposal with more parts than that is none
MAX_NODES = 100  # nodes that are tried
MAX_PROPOSALS = 5


@dataclass(frozen=True, slots=True)
class Proposal:
    """A set of changes after which the pod fits; the filters were asked.

    Attributes:
        node: where it would fit then; "" if it is not about a node.
        steps: what to change, in words.
        changes: the same as data: each with ``kind`` and what it is about.
        weight: how much is changed; less is better.
        alike: on how many other nodes the same change helps.
    """

    node: str
    steps: tuple[str, ...]
    changes: tuple[dict[str, Any], ...] = field(default=())
    weight: float = 0.0
    alike: int = 0

    def __str__(self) -> str:
        steps = " and ".join(self.steps)
        if not self.node:
            return steps
        others = f", likewise on {self.alike} other nodes" if self.alike > 1 else ""
        others = ", likewise on one other node" if self.alike == 1 else others
        return f"{steps}: then it fits on {self.node}{others}"

    @property
    def shape(self) -> tuple[Any, ...]:
        """What is changed, but for where and for whom."""
        return tuple(
            tuple((k, str(v)) for k, v in change.items() if k not in ("node", "pod"))
            for change in self.changes
        )

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON data."""
        return {
            "node": self.node,
            "steps": list(self.steps),
            "changes": list(self.changes),
            "alike": self.alike,
        }


def smallest_changes(
    pod: Document, snapshot: Snapshot, framework: Framework, limit: int = MAX_PROPOSALS
) -> list[Proposal]:
    """What would let a pod fit, the smallest change first; [] if it fits, or nothing was found.

    Args:
        pod: the pod that waits.
        snapshot: the nodes as they are; it is not changed.
        framework: the filters of the scheduler that is to place it.
        limit: how many proposals at most.
    """
    names = [node.name for node in snapshot.nodes[:MAX_NODES]]
    if any(status_on(pod, snapshot, framework, name).ok for name in names):
        return []
    found: dict[tuple[Any, ...], dict[str, Proposal]] = {}
    for name in names:
        for prefer in ("request", "pods"):
            proposal = _mend(pod, snapshot, framework, name, prefer)
            if proposal is not None:
                found.setdefault(proposal.shape, {})[name] = proposal

    def rank(proposal: Proposal) -> tuple[Any, ...]:
        return (len(proposal.steps), proposal.weight, proposal.node, proposal.steps)

    best = [
        replace(min(group.values(), key=rank), alike=len(group) - 1) for group in found.values()
    ]
    return sorted(best, key=rank)[:limit]


def status_on(pod: Document, snapshot: Snapshot, framework: Framework, name: str) -> Status:
    """What the filters say of one node, with everything that they count beforehand."""
    state = CycleState(snapshot)
    status = framework.pre_filter(pod, state)
    if not status.ok:
        return status
    if status.nodes is not None and name not in status.nodes:
        return Status.unresolvable("pinned to other nodes").by(status.plugin)
    return framework.filter(pod, snapshot[name], state)


def _mend(
    pod: Document, snapshot: Snapshot, framework: Framework, name: str, prefer: str
) -> Proposal | None:
    """Mend what refuses the pod on one node, until it passes; None if that is out of reach."""
    attempt = Attempt(thaw(pod), snapshot, name, prefer)
    for _ in range(MAX_STEPS + 1):
        try:
            status = status_on(attempt.pod, attempt.snapshot, framework, name)
        except PluginFailed:  # it cannot be asked about a pod that does not exist
            return None
        if status.ok:
            steps, changes = tuple(attempt.steps), tuple(attempt.changes)
            return Proposal(name, steps, changes, attempt.weight) if steps else None
        mender: Callable[[Attempt, Status], bool] | None = MENDERS.get(status.plugin)
        if len(attempt.steps) >= MAX_STEPS or mender is None or not mender(attempt, status):
            return None
    return None


def in_words(proposals: Sequence[Proposal]) -> str:
    """The proposals as lines of text."""
    return "\n".join(f"  - {proposal}" for proposal in proposals)
