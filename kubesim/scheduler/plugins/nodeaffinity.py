"""NodeAffinity: nodeSelector and node affinity, required and preferred.

Source: pkg/scheduler/framework/plugins/nodeaffinity/node_affinity.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubesim.objects.frozen import Document
from kubesim.objects.nodeaffinity import (
    NAME_FIELD,
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

REASON = "node(s) didn't match Pod's node affinity/selector"
REASON_ENFORCED = "node(s) didn't match scheduler-enforced node affinity"
REASON_CONFLICT = "pod affinity terms conflict"


class NodeAffinity:
    """The pod says by label or name which nodes it may, and which it would like to, run on.

    Args:
        added_affinity: a nodeAffinity that holds for every pod besides its own.
    """

    name = "NodeAffinity"

    def __init__(self, added_affinity: Mapping[str, Any] | None = None) -> None:
        added = added_affinity or {}
        rule = added.get(REQUIRED)
        self._added = None if rule is None else list(rule.get("nodeSelectorTerms") or ())
        self._added_wishes = list(added.get(PREFERRED) or ())

    def local(self, pod: Document, snapshot: Snapshot) -> bool:
        """Without wishes, and unless PreFilter narrows the nodes (see fastpath)."""
        return not self._wishes(pod) and _pinned(required_terms(spec_of(pod)) or []) is None

    def pre_filter(self, pod: Document, state: CycleState) -> Status:
        """If every term pins the node's name, only these nodes need to be looked at."""
        terms = required_terms(spec_of(pod))
        selector = spec_of(pod).get("nodeSelector")
        if terms is None and self._added is None and not selector:
            return SKIP
        names = _pinned(terms or [])
        if names is None:
            return SUCCESS
        return Status.only(names) if names else Status.unresolvable(REASON_CONFLICT)

    def filter(self, pod: Document, node: NodeInfo) -> Status:
        """The configuration's rule first, then nodeSelector and the required terms."""
        if self._added is not None and not selects(self._added, node.node):
            return Status.unresolvable(REASON_ENFORCED)
        return SUCCESS if wants_node(spec_of(pod), node.node) else Status.unresolvable(REASON)

    def pre_score(self, pod: Document, nodes: list[NodeInfo]) -> Status:
        """A pod without wishes scores nothing."""
        return SUCCESS if self._wishes(pod) else SKIP

    def score(self, pod: Document, node: NodeInfo) -> int:
        """Sum of the weights of the wishes that the node fulfils."""
        return sum(
            int(wish["weight"])
            for wish in self._wishes(pod)
            if term_matches(wish.get("preference") or {}, node.labels, node.name)
        )

    def normalize(self, scores: dict[str, int]) -> dict[str, int]:
        """The best node gets 100; all 0 if nobody fulfils anything."""
        most = max(scores.values(), default=0)
        return {name: 100 * score // most if most else 0 for name, score in scores.items()}

    def hint(self, pod: Document, event: ClusterEvent) -> bool:
        """A node that matches and did not before, or a change of the pod's own rules."""
        if event.kind == POD_ITSELF:
            return event.spec_changed("nodeSelector", "affinity")
        if event.kind not in (NODE_ADD, NODE_UPDATE) or event.new is None:
            return False
        return self._matches(pod, event.new) and not (
            event.old is not None and self._matches(pod, event.old)
        )

    def _matches(self, pod: Document, node: Document) -> bool:
        return (self._added is None or selects(self._added, node)) and wants_node(
            spec_of(pod), node
        )

    def _wishes(self, pod: Document) -> list[Document]:
        own = node_affinity(spec_of(pod)).get(PREFERRED) or ()
        return [
            wish
            for wish in (*self._added_wishes, *own)
            if wish.get("weight")
            and (
                (wish.get("preference") or {}).get("matchExpressions")
                or (wish.get("preference") or {}).get("matchFields")
            )
        ]


def _pinned(terms: list[Document]) -> frozenset[str] | None:
    """The node names that the terms allow, if each of them pins some; else None."""
    union: frozenset[str] = frozenset()
    for term in terms:
        names: frozenset[str] | None = None
        for item in term.get("matchFields") or ():
            if item.get("key") == NAME_FIELD and item.get("operator") == "In":
                these = frozenset(item.get("values") or ())
                names = these if names is None else names & these
        if names is None:
            return None  # this term alone leaves all nodes open, and terms are ORed
        union |= names
    return union if terms else None
