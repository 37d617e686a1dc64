"""NodeAffinity: nodeSelector and node affinity, required and preferred.

Source: pkg/scheduler/framework/plugins/nodeaffinity/node_affinity.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from kubesim.objects.nodeaffinity import (
    NAME_FIELD,
    NO_AFFINITY,
    PREFERRED,
    REQUIRED,
    node_affinity,
    required_terms,
    selects,
    term_matches,
    wants_node,
)
from kubesim.objects.pods import spec_of
from kubesim.scheduler.framework.cycle_state import CycleState
from kubesim.scheduler.framework.events import NODE_ADD, NODE_UPDATE, POD_ITSELF, ClusterEvent
from kubesim.scheduler.framework.nodeinfo import NodeInfo
from kubesim.scheduler.framework.snapshot import Snapshot
from kubesim.scheduler.framework.status import SKIP, SUCCESS, Status

if TYPE_CHECKING:
    from kubesim.objects.types import (
        NodeAffinityDict,
        NodeDict,
        NodeSelectorTermDict,
        PodDict,
        PreferredSchedulingTermDict,
    )

REASON_ENFORCED = "node(s) didn't match scheduler-enforced node affinity"
REASON_CONFLICT = "pod affinity terms conflict"


class NodeAffinity:
    """Filter and score nodes by the pod's nodeSelector and node affinity.

    Args:
        added_affinity: a nodeAffinity that applies to every pod in addition to the pod's own.
    """

    name = "NodeAffinity"

    def __init__(self, added_affinity: NodeAffinityDict | None = None) -> None:
        added = added_affinity or {}
        rule = added.get(REQUIRED)
        self._added = None if rule is None else list(rule.get("nodeSelectorTerms") or ())
        self._added_preferences = list(added.get(PREFERRED) or ())
        self.reads_names = bool(added)  # its terms may select nodes by their names

    def local(self, pod: PodDict, snapshot: Snapshot) -> bool:
        """Return True without preferences and without pinned node names (see fastpath)."""
        return not self._listed(pod) and _pinned_names(required_terms(spec_of(pod)) or []) is None

    def pre_filter(self, pod: PodDict, state: CycleState) -> Status:
        """Limit the attempt to the named nodes if every required term names some."""
        terms = required_terms(spec_of(pod))
        selector = spec_of(pod).get("nodeSelector")
        if terms is None and self._added is None and not selector:
            return SKIP
        names = _pinned_names(terms or [])
        if names is None:
            return SUCCESS
        return Status.only(names) if names else Status.unresolvable(REASON_CONFLICT)

    def filter(self, pod: PodDict, node: NodeInfo) -> Status:
        """Check the configured rule first, then nodeSelector and the required terms."""
        if self._added is not None and not selects(self._added, node.node):
            return Status.unresolvable(REASON_ENFORCED)
        return SUCCESS if wants_node(spec_of(pod), node.node) else Status.unresolvable(NO_AFFINITY)

    def pre_score(self, pod: PodDict, nodes: list[NodeInfo]) -> Status:
        """Skip a pod that lists no preferred term; empty terms score 0."""
        return SUCCESS if self._listed(pod) else SKIP

    def score(self, pod: PodDict, node: NodeInfo) -> int:
        """Return the sum of the weights of the preferred terms that match the node."""
        return sum(
            int(term["weight"])
            for term in self._preferences(pod)
            if term_matches(term.get("preference") or {}, node.labels, node.name)
        )

    def normalize(self, scores: dict[str, int]) -> dict[str, int]:
        """Give 100 to the best node; 0 to all if no term matches."""
        most = max(scores.values(), default=0)
        return {name: 100 * score // most if most else 0 for name, score in scores.items()}

    def hint(self, pod: PodDict, event: ClusterEvent) -> bool:
        """Return whether a node matches now and did not before, or the pod's rules changed."""
        if event.kind == POD_ITSELF:
            return event.spec_changed("nodeSelector", "affinity")
        if event.kind not in (NODE_ADD, NODE_UPDATE) or event.new is None:
            return False
        node, before = cast("NodeDict", event.new), cast("NodeDict | None", event.old)
        return self._matches(pod, node) and not (before is not None and self._matches(pod, before))

    def _matches(self, pod: PodDict, node: NodeDict) -> bool:
        return (self._added is None or selects(self._added, node)) and wants_node(
            spec_of(pod), node
        )

    def _listed(self, pod: PodDict) -> list[PreferredSchedulingTermDict]:
        """Return the preferred terms of the configuration and of the pod."""
        own = node_affinity(spec_of(pod)).get(PREFERRED)
        return [*self._added_preferences, *own] if own else self._added_preferences

    def _preferences(self, pod: PodDict) -> list[PreferredSchedulingTermDict]:
        """Return the preferred terms that can score."""
        return [
            term
            for term in self._listed(pod)
            if term.get("weight")
            and (
                (term.get("preference") or {}).get("matchExpressions")
                or (term.get("preference") or {}).get("matchFields")
            )
        ]


def _pinned_names(terms: list[NodeSelectorTermDict]) -> frozenset[str] | None:
    """Return the node names that the terms allow; None unless every term names some."""
    union: frozenset[str] = frozenset()
    for term in terms:
        names: frozenset[str] | None = None
        for item in term.get("matchFields") or ():
            if item.get("key") == NAME_FIELD and item.get("operator") == "In":
                values = frozenset(item.get("values") or ())
                names = values if names is None else names & values
        if names is None:
            return None  # this term allows every node, and terms are ORed
        union |= names
    return union if terms else None
