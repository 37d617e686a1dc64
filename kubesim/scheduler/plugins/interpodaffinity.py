"""InterPodAffinity: run pods in the same topology domain as other pods, or in another one.

Source: pkg/scheduler/framework/plugins/interpodaffinity/{plugin,filtering,scoring}.go.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from kubesim.objects import meta
from kubesim.scheduler.framework.cycle_state import CycleState
from kubesim.scheduler.framework.events import POD_ITSELF, ClusterEvent
from kubesim.scheduler.framework.nodeinfo import NodeInfo
from kubesim.scheduler.framework.podinfo import AffinityTerm, PodInfo, pod_info
from kubesim.scheduler.framework.snapshot import Snapshot
from kubesim.scheduler.framework.status import SKIP, SUCCESS, Status

if TYPE_CHECKING:
    from kubesim.objects.types import PodDict

HARD_POD_AFFINITY_WEIGHT = 1
REASON_AFFINITY = "node(s) didn't match pod affinity rules"
REASON_ANTI = "node(s) didn't match pod anti-affinity rules"
REASON_EXISTING = "node(s) didn't satisfy existing pods anti-affinity rules"
Domain = tuple[str, str]  # topology key and its value
Labels = Mapping[str, str]


@dataclass(slots=True)
class AffinityCounts:
    """Matching pods by topology domain, as PreFilter counted them; domains without pods are absent.

    Attributes:
        affinity: pods that match all affinity terms of the incoming pod at once.
        anti_affinity: pods that match an anti-affinity term of the incoming pod.
        existing_anti_affinity: pods with an anti-affinity term that the incoming pod matches.
    """

    affinity: Counter[Domain] = field(default_factory=Counter)
    anti_affinity: Counter[Domain] = field(default_factory=Counter)
    existing_anti_affinity: Counter[Domain] = field(default_factory=Counter)

    def clone(self) -> AffinityCounts:
        """Return an independent copy."""
        return AffinityCounts(
            self.affinity.copy(), self.anti_affinity.copy(), self.existing_anti_affinity.copy()
        )


class InterPodAffinity:
    """Filter by required terms, score by preferred ones.

    Args:
        hard_weight: what an existing pod's required affinity to the incoming pod adds to the score.
        ignore_preferred_of_existing: a pod without preferred terms is not scored by
            those of existing pods (ignorePreferredTermsOfExistingPods).
    """

    name = "InterPodAffinity"

    def __init__(
        self,
        hard_weight: int = HARD_POD_AFFINITY_WEIGHT,
        ignore_preferred_of_existing: bool = False,
    ) -> None:
        self._hard_weight = hard_weight
        self._ignore = ignore_preferred_of_existing

    def local(self, pod: PodDict, snapshot: Snapshot) -> bool:
        """Return True while neither the pod nor any existing pod has terms (see fastpath)."""
        return not pod_info(pod).has_affinity and not snapshot.any_affine()

    # -- filter -----------------------------------------------------------------------------------

    def pre_filter(self, pod: PodDict, state: CycleState) -> Status:
        """Count the matching pods of each topology domain."""
        info, world = pod_info(pod), state.snapshot.world
        if not info.affinity and not info.anti_affinity and not state.snapshot.any_affine():
            return SKIP
        counts = AffinityCounts()
        own_labels = world.namespace_labels(meta.namespace_of(pod))
        for node in state.snapshot:
            for key in node.affine:
                _count_existing(
                    counts.existing_anti_affinity, pod, own_labels, node.infos[key], node.labels, 1
                )
            if info.affinity or info.anti_affinity:
                for other in node.pods.values():
                    labels = world.namespace_labels(meta.namespace_of(other))
                    _count_own(counts, info, other, labels, node.labels, 1)
        if not info.affinity and not info.anti_affinity and not counts.existing_anti_affinity:
            return SKIP
        state[self.name] = counts
        return SUCCESS

    def add_pod(self, pod: PodDict, other: PodDict, node: NodeInfo, state: CycleState) -> None:
        """Count one more pod on that node."""
        self._change(pod, other, node, state, 1)

    def remove_pod(self, pod: PodDict, other: PodDict, node: NodeInfo, state: CycleState) -> None:
        """Count one pod less on that node."""
        self._change(pod, other, node, state, -1)

    def _change(
        self, pod: PodDict, other: PodDict, node: NodeInfo, state: CycleState, by: int
    ) -> None:
        counts: AffinityCounts | None = state.get(self.name)
        if counts is None:
            return
        world = state.snapshot.world
        own_labels = world.namespace_labels(meta.namespace_of(pod))
        _count_existing(
            counts.existing_anti_affinity,
            pod,
            own_labels,
            pod_info(other, placed=True),
            node.labels,
            by,
        )
        labels = world.namespace_labels(meta.namespace_of(other))
        _count_own(counts, pod_info(pod), other, labels, node.labels, by)

    def filter(self, pod: PodDict, node: NodeInfo, state: CycleState) -> Status:
        """Check the pod's affinity, its anti-affinity, and the anti-affinity of existing pods."""
        counts: AffinityCounts = state[self.name]
        info = pod_info(pod)
        if not self._satisfies_affinity(pod, info, node, counts, state):
            return Status.unresolvable(REASON_AFFINITY)
        for term in info.anti_affinity if counts.anti_affinity else ():
            value = node.labels.get(term.topology_key)
            if value is not None and counts.anti_affinity[term.topology_key, value] > 0:
                return Status.unschedulable(REASON_ANTI)
        if counts.existing_anti_affinity and any(
            counts.existing_anti_affinity[domain] > 0 for domain in node.labels.items()
        ):
            return Status.unschedulable(REASON_EXISTING)
        return SUCCESS

    def _satisfies_affinity(
        self,
        pod: PodDict,
        info: PodInfo,
        node: NodeInfo,
        counts: AffinityCounts,
        state: CycleState,
    ) -> bool:
        satisfied = True
        for term in info.affinity:
            value = node.labels.get(term.topology_key)
            if value is None:
                return False
            if counts.affinity[term.topology_key, value] <= 0:
                satisfied = False
        if satisfied:
            return True
        # Otherwise the first pod of a group with affinity to itself would wait forever.
        labels = state.snapshot.world.namespace_labels(meta.namespace_of(pod))
        return not counts.affinity and _matches_all(info.affinity, pod, labels)

    # -- score ------------------------------------------------------------------------------------

    def pre_score(self, pod: PodDict, nodes: Sequence[NodeInfo], state: CycleState) -> Status:
        """Sum up, for each topology domain, the weights of the matching preferred terms."""
        info, world = pod_info(pod), state.snapshot.world
        preferences = bool(info.preferred_affinity or info.preferred_anti_affinity)
        if not preferences and (self._ignore or not state.snapshot.any_affine()):
            return SKIP
        scores: dict[Domain, int] = {}
        own_labels = world.namespace_labels(meta.namespace_of(pod))
        for node in state.snapshot:
            for key, other in (node.pods if preferences else node.affine).items():
                labels = world.namespace_labels(meta.namespace_of(other)) if preferences else {}
                _add(scores, info.preferred_affinity, other, labels, node, 1)
                _add(scores, info.preferred_anti_affinity, other, labels, node, -1)
                existing = node.infos[key]
                if self._hard_weight > 0:
                    _add(scores, existing.affinity, pod, own_labels, node, 1, self._hard_weight)
                _add(scores, existing.preferred_affinity, pod, own_labels, node, 1)
                _add(scores, existing.preferred_anti_affinity, pod, own_labels, node, -1)
        if not scores:
            return SKIP
        state[f"{self.name}/score"] = scores
        return SUCCESS

    def score(self, pod: PodDict, node: NodeInfo, state: CycleState) -> int:
        """Return the sum over the topology domains that the node belongs to."""
        scores: dict[Domain, int] = state[f"{self.name}/score"]
        return sum(scores.get(domain, 0) for domain in node.labels.items())

    def normalize(self, scores: dict[str, int]) -> dict[str, int]:
        """Give 0 to the lowest and 100 to the highest score; 0 to all if they are equal."""
        most, least = max(scores.values(), default=0), min(scores.values(), default=0)
        if most == least:
            return dict.fromkeys(scores, 0)
        span = most - least
        return {name: int(100.0 * ((score - least) / span)) for name, score in scores.items()}

    # -- hints ------------------------------------------------------------------------------------

    def hint(self, pod: PodDict, event: ClusterEvent) -> bool:
        """Return whether a change of pods or nodes may satisfy a required term."""
        info = pod_info(pod)
        if event.kind == POD_ITSELF:
            return event.labels_changed()
        if event.about_placed_pod:
            pods = [p for p in (event.old, event.new) if p is not None]
            if event.old is not None and event.new is not None and not event.labels_changed():
                return False
            return any(_concerns(info, pod, cast("PodDict", other)) for other in pods)
        if event.about_storage or not event.labels_changed() or event.new is None:
            return False
        labels = meta.labels_of(event.new)
        terms = (*info.affinity, *info.anti_affinity)
        return not terms or any(term.topology_key in labels for term in terms)


def _concerns(info: PodInfo, pod: PodDict, other: PodDict) -> bool:
    """Return whether a required term of one of the two pods may select the other one.

    Namespaces selected by label are assumed to match: a hint may err in that direction only.
    """

    def may_select(term: AffinityTerm, target: PodDict) -> bool:
        inside = meta.namespace_of(target) in term.namespaces or not term.namespace_selector.nothing
        return inside and term.selector.matches(meta.labels_of(target))

    own = any(may_select(term, other) for term in (*info.affinity, *info.anti_affinity))
    return own or any(may_select(t, pod) for t in pod_info(other, placed=True).anti_affinity)


def _matches_all(terms: Sequence[AffinityTerm], pod: PodDict, labels: Labels) -> bool:
    return bool(terms) and all(term.matches(pod, labels) for term in terms)


def _count(counter: Counter[Domain], term: AffinityTerm, node_labels: Labels, by: int) -> None:
    value = node_labels.get(term.topology_key)
    if value is not None:
        domain = (term.topology_key, value)
        counter[domain] += by
        if counter[domain] == 0:
            del counter[domain]


def _count_existing(
    counter: Counter[Domain],
    pod: PodDict,
    labels: Labels,
    existing: PodInfo,
    node: Labels,
    by: int,
) -> None:
    for term in existing.anti_affinity:
        if term.matches(pod, labels):
            _count(counter, term, node, by)


def _count_own(
    counts: AffinityCounts, info: PodInfo, other: PodDict, labels: Labels, node: Labels, by: int
) -> None:
    if _matches_all(info.affinity, other, labels):
        for term in info.affinity:
            _count(counts.affinity, term, node, by)
    for term in info.anti_affinity:
        if term.matches(other, labels):
            _count(counts.anti_affinity, term, node, by)


def _add(
    scores: dict[Domain, int],
    terms: Sequence[AffinityTerm],
    target: PodDict,
    labels: Labels,
    node: NodeInfo,
    sign: int,
    weight: int = 0,
) -> None:
    for term in terms:
        value = node.labels.get(term.topology_key)
        if value is not None and term.matches(target, labels):
            domain = (term.topology_key, value)
            scores[domain] = scores.get(domain, 0) + sign * (weight or term.weight)
