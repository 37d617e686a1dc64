"""What would let a pending pod fit: the smallest changes, each verified with the real filters.

For each node, the causes of the refusal are fixed one by one on copies - request less, tolerate a
taint, label the node, remove a pod - and after each step *the filters themselves* run again. Only
changes after which the filters accept the pod are proposed.

No counterpart in Kubernetes, whose message says what is wrong, but not what would help.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeAlias

from kubesim.objects.frozen import Document, thaw
from kubesim.objects.wellknown import HOSTNAME_LABEL
from kubesim.scheduler.explain.remedies import REMEDIES, TrialChange
from kubesim.scheduler.framework.cycle_state import CycleState
from kubesim.scheduler.framework.nodeinfo import NodeInfo
from kubesim.scheduler.framework.podinfo import pod_info
from kubesim.scheduler.framework.runtime import Framework
from kubesim.scheduler.framework.snapshot import Snapshot
from kubesim.scheduler.framework.status import PluginFailed, Status

if TYPE_CHECKING:
    from kubesim.objects.types import PodDict

MAX_STEPS = 4  # a proposal has at most that many changes
MAX_NODES = 100  # nodes to try
Shape: TypeAlias = tuple[tuple[tuple[str, str], ...], ...]
"""A proposal's changes without the node and the pods that they concern."""
MAX_PROPOSALS = 5
NEW_NODE_WEIGHT = 1.5  # more than one pod or label less, and less than a rule
CONDITION_TAINTS = "node.kubernetes.io/"  # a new node has none of the old one's troubles


@dataclass(frozen=True, slots=True)
class ChangeProposal:
    """A set of changes after which the pod fits, verified with the filters.

    Attributes:
        node: the node on which the pod would fit; "" if the changes concern no node.
        steps: the changes as sentences.
        changes: the same as data: each with ``kind`` and what it concerns.
        weight: how large the changes are; less is better.
        alike: on how many other nodes the same changes help.
    """

    node: str
    steps: tuple[str, ...]
    changes: tuple[Document, ...] = field(default=())
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
    def shape(self) -> Shape:
        """The changes without the node and the pods that they concern."""
        return tuple(
            tuple((k, str(v)) for k, v in change.items() if k not in ("node", "pod"))
            for change in self.changes
        )

    def to_dict(self) -> Document:
        """Return the proposal as JSON data."""
        return {
            "node": self.node,
            "steps": list(self.steps),
            "changes": list(self.changes),
            "alike": self.alike,
        }


def smallest_changes(
    pod: PodDict, snapshot: Snapshot, framework: Framework, limit: int = MAX_PROPOSALS
) -> list[ChangeProposal]:
    """Propose what would let a pending pod fit.

    Args:
        pod: the pending pod.
        snapshot: the nodes as they are; it is not changed.
        framework: the filters of the pod's scheduler.
        limit: number of proposals at most.

    Returns:
        The smallest changes first; [] if the pod fits already, or if nothing was found.
    """
    names = [node.name for node in snapshot.nodes[:MAX_NODES]]
    refusals = [status_on(pod, snapshot, framework, name) for name in names]
    if any(status.ok for status in refusals):
        return []
    proposals: dict[Shape, dict[str, ChangeProposal]] = {}
    for name in names:
        for prefer in ("request", "pods"):
            proposal = _propose(pod, snapshot, framework, name, prefer)
            if proposal is not None:
                proposals.setdefault(proposal.shape, {})[name] = proposal

    def rank(proposal: ChangeProposal) -> tuple[int, float, str, tuple[str, ...]]:
        return (len(proposal.steps), proposal.weight, proposal.node, proposal.steps)

    best = [
        replace(min(group.values(), key=rank), alike=len(group) - 1)
        for shape, group in proposals.items()
        if not any(_is_part(other, shape) for other in proposals)
    ]
    if any("anti-affinity" in status.message for status in refusals):
        best += _with_new_node(pod, snapshot, framework)
    return sorted(best, key=rank)[:limit]


def _is_part(shape: Shape, whole: Shape) -> bool:
    """Whether a proposal needs some of the changes of another one, and no further ones."""
    return Counter(shape) < Counter(whole)


def _with_new_node(pod: PodDict, snapshot: Snapshot, framework: Framework) -> list[ChangeProposal]:
    """Propose a further node without pods; [] if none like the present ones would do.

    Its name is new. Where that is not enough, so are its labels that the anti-affinity counts by.

    Args:
        pod: the pod.
        snapshot: the cluster.
        framework: the filters.
    """
    terms = [
        term for node in snapshot for key in node.affine for term in node.infos[key].anti_affinity
    ]
    terms += pod_info(pod).anti_affinity
    keys = sorted({term.topology_key for term in terms} - {HOSTNAME_LABEL})
    for new_keys in ((), *((key,) for key in keys), tuple(keys)):
        for node in snapshot.nodes[:MAX_NODES]:
            if not set(new_keys) <= set(node.labels):
                continue
            new = _empty_node(node, new_keys)
            larger = Snapshot([*snapshot.nodes, new], snapshot.world)
            try:
                status = status_on(pod, larger, framework, new.name)
            except PluginFailed:
                continue
            if status.ok:
                step = f"add a node like {node.name}"
                step += f" with a new value of {' and '.join(new_keys)}" if new_keys else ""
                change = {"kind": "node", "like": node.name, "labels": list(new_keys)}
                return [ChangeProposal("", (step,), (change,), NEW_NODE_WEIGHT)]
    return []


def _empty_node(node: NodeInfo, keys: Iterable[str]) -> NodeInfo:
    """Return a new node like another one: healthy, without pods.

    Args:
        node: the other one.
        keys: labels of which it has a new value.
    """
    name = f"{node.name}.new"
    spec = node.node.get("spec") or {}
    kept = [t for t in node.taints if not str(t.get("key")).startswith(CONDITION_TAINTS)]
    return NodeInfo(
        {
            **node.node,
            "metadata": {
                **node.node["metadata"],
                "name": name,
                "labels": {**node.labels, **dict.fromkeys((HOSTNAME_LABEL, *keys), name)},
            },
            "spec": {**spec, "unschedulable": False, "taints": kept},
        }
    )


def status_on(pod: PodDict, snapshot: Snapshot, framework: Framework, name: str) -> Status:
    """Run PreFilter and Filter for one node.

    Args:
        pod: the pod.
        snapshot: the cluster.
        framework: the filters.
        name: name of the node.
    """
    state = CycleState(snapshot)
    status = framework.pre_filter(pod, state)
    if not status.ok:
        return status
    if status.nodes is not None and name not in status.nodes:
        return Status.unresolvable("pinned to other nodes").by(status.plugin)
    return framework.filter(pod, snapshot[name], state)


def _propose(
    pod: PodDict, snapshot: Snapshot, framework: Framework, name: str, prefer: str
) -> ChangeProposal | None:
    """Apply remedies for one node until the pod passes; None if that takes too many changes."""
    trial = TrialChange(thaw(pod), snapshot, name, prefer)
    for _ in range(MAX_STEPS + 1):
        try:
            status = status_on(trial.pod, trial.snapshot, framework, name)
        except PluginFailed:  # a plug-in cannot evaluate a pod that does not exist
            return None
        if status.ok:
            steps, changes = tuple(trial.steps), tuple(trial.changes)
            return ChangeProposal(name, steps, changes, trial.weight) if steps else None
        fix = REMEDIES.get(status.plugin)
        if len(trial.steps) >= MAX_STEPS or fix is None or not fix(trial, status):
            return None
    return None


def in_words(proposals: Sequence[ChangeProposal]) -> str:
    """Return the proposals as lines."""
    return "\n".join(f"  - {proposal}" for proposal in proposals)
