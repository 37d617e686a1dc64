"""InterPodAffinity: pods that want to be near each other, or far apart.

Source: pkg/scheduler/framework/plugins/interpodaffinity/{plugin,filtering,scoring}.go.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from kubesim.objects import meta
from kubesim.objects.frozen import Document
from kubesim.scheduler.framework.cycle_state import CycleState
from kubesim.scheduler.framework.events import POD_ITSELF, ClusterEvent
from kubesim.scheduler.framework.nodeinfo import NodeInfo
from kubesim.scheduler.framework.podinfo import AffinityTerm, PodInfo, pod_info
from kubesim.scheduler.framework.snapshot import Snapshot
from kubesim.scheduler.framework.status import SKIP, SUCCESS, Status

HARD_POD_AFFINITY_WEIGHT = 1
REASON_AFFINITY = "node(s) didn't match pod affinity rules"
REASON_ANTI = "node(s) didn't match pod anti-affinity rules"
REASON_EXISTING = "node(s) didn't satisfy existing pods anti-affinity rules"
Place = tuple[str, str]  # topology key and the value of it
Labels = Mapping[str, str]


@dataclass(slots=True)
class Counts:
    """Pods by place, as PreFilter found them; only places with pods are listed.

    Attributes:
        near: those that match all affinity terms of the pod at once.
        far: those that match an anti-affinity term of the pod.
        shy: those with an anti-affinity term that the pod matches.
    """

    near: Counter[Place] = field(default_factory=Counter)
    far: Counter[Place] = field(default_factory=Counter)
    shy: Counter[Place] = field(default_factory=Counter)

    def clone(self) -> Counts:
        """An independent copy."""
        return Counts(self.near.copy(), self.far.copy(), self.shy.copy())


class InterPodAffinity:
    """Required terms refuse nodes, preferred ones score them.

    Args:
        hard_weight: what a placed pod's required affinity to the pod adds to the score.
        ignore_wishes_of_placed: a pod without wishes of its own is not scored by those of others.
    """

    name = "InterPodAffinity"

    def __init__(
        self, hard_weight: int = HARD_POD_AFFINITY_WEIGHT, ignore_wishes_of_placed: bool = False
    ) -> None:
        self._hard_weight = hard_weight
        self._ignore = ignore_wishes_of_placed

    def local(self, pod: Document, snapshot: Snapshot) -> bool:
        """While neither the pod nor any placed one has terms (see fastpath)."""
        return not pod_info(pod).has_affinity and not snapshot.any_affine()

    # -- filter -----------------------------------------------------------------------------------

    def pre_filter(self, pod: Document, state: CycleState) -> Status:
        """Count who matches whom, in each place."""
        info, world = pod_info(pod), state.snapshot.world
        if not info.affinity and not info.anti_affinity and not state.snapshot.any_affine():
            return SKIP
        counts = Counts()
        own_labels = world.namespace_labels(meta.namespace_of(pod))
        for node in state.snapshot:
            for key in node.affine:
                _count_shy(counts.shy, pod, own_labels, node.infos[key], node.labels, 1)
            if info.affinity or info.anti_affinity:
                for other in node.pods.values():
                    labels = world.namespace_labels(meta.namespace_of(other))
                    _count_own(counts, info, other, labels, node.labels, 1)
        if not info.affinity and not info.anti_affinity and not counts.shy:
            return SKIP
        state[self.name] = counts
        return SUCCESS

    def add_pod(self, pod: Document, other: Document, node: NodeInfo, state: CycleState) -> None:
        """One pod more on that node."""
        self._change(pod, other, node, state, 1)

    def remove_pod(self, pod: Document, other: Document, node: NodeInfo, state: CycleState) -> None:
        """One pod less on that node."""
        self._change(pod, other, node, state, -1)

    def _change(
        self, pod: Document, other: Document, node: NodeInfo, state: CycleState, by: int
    ) -> None:
        counts: Counts | None = state.get(self.name)
        if counts is None:
            return
        world = state.snapshot.world
        own_labels = world.namespace_labels(meta.namespace_of(pod))
        _count_shy(counts.shy, pod, own_labels, pod_info(other, placed=True), node.labels, by)
        labels = world.namespace_labels(meta.namespace_of(other))
        _count_own(counts, pod_info(pod), other, labels, node.labels, by)

    def filter(self, pod: Document, node: NodeInfo, state: CycleState) -> Status:
        """Own affinity, own anti-affinity, anti-affinity of the pods that are there."""
        counts: Counts = state[self.name]
        info = pod_info(pod)
        if not self._near(pod, info, node, counts, state):
            return Status.unresolvable(REASON_AFFINITY)
        for term in info.anti_affinity if counts.far else ():
            value = node.labels.get(term.topology_key)
            if value is not None and counts.far[term.topology_key, value] > 0:
                return Status.unschedulable(REASON_ANTI)
        if counts.shy and any(counts.shy[place] > 0 for place in node.labels.items()):
            return Status.unschedulable(REASON_EXISTING)
        return SUCCESS

    def _near(
        self, pod: Document, info: PodInfo, node: NodeInfo, counts: Counts, state: CycleState
    ) -> bool:
        found = True
        for term in info.affinity:
            value = node.labels.get(term.topology_key)
            if value is None:
                return False
            if counts.near[term.topology_key, value] <= 0:
                found = False
        if found:
            return True
        # The first pod of a group that wants to be near itself would wait for ever.
        labels = state.snapshot.world.namespace_labels(meta.namespace_of(pod))
        return not counts.near and _matches_all(info.affinity, pod, labels)

    # -- score ------------------------------------------------------------------------------------

    def pre_score(self, pod: Document, nodes: Sequence[NodeInfo], state: CycleState) -> Status:
        """Add up, for each place, what is for and against it."""
        info, world = pod_info(pod), state.snapshot.world
        wishes = bool(info.likes or info.dislikes)
        if not wishes and (self._ignore or not state.snapshot.any_affine()):
            return SKIP
        places: dict[Place, int] = {}
        own_labels = world.namespace_labels(meta.namespace_of(pod))
        for node in state.snapshot:
            for key, other in (node.pods if wishes else node.affine).items():
                labels = world.namespace_labels(meta.namespace_of(other)) if wishes else {}
                _add(places, info.likes, other, labels, node, 1)
                _add(places, info.dislikes, other, labels, node, -1)
                theirs = node.infos[key]
                if self._hard_weight > 0:
                    _add(places, theirs.affinity, pod, own_labels, node, 1, self._hard_weight)
                _add(places, theirs.likes, pod, own_labels, node, 1)
                _add(places, theirs.dislikes, pod, own_labels, node, -1)
        if not places:
            return SKIP
        state[f"{self.name}/score"] = places
        return SUCCESS

    def score(self, pod: Document, node: NodeInfo, state: CycleState) -> int:
        """Sum over the places that the node belongs to."""
        places: dict[Place, int] = state[f"{self.name}/score"]
        return sum(places.get(place, 0) for place in node.labels.items())

    def normalize(self, scores: dict[str, int]) -> dict[str, int]:
        """The least gets 0, the most 100; all 0 if they are equal."""
        most, least = max(scores.values(), default=0), min(scores.values(), default=0)
        if most == least:
            return dict.fromkeys(scores, 0)
        span = most - least
        return {name: int(100.0 * ((score - least) / span)) for name, score in scores.items()}

    # -- hints ------------------------------------------------------------------------------------

    def hint(self, pod: Document, event: ClusterEvent) -> bool:
        """Something came, went or was relabelled that the terms speak of."""
        info = pod_info(pod)
        if event.kind == POD_ITSELF:
            return event.labels_changed()
        if event.about_placed_pod:
            parties = [p for p in (event.old, event.new) if p is not None]
            if event.old is not None and event.new is not None and not event.labels_changed():
                return False
            return any(_concerns(info, pod, party) for party in parties)
        if not event.labels_changed() or event.new is None:
            return False
        labels = meta.labels_of(event.new)
        terms = (*info.affinity, *info.anti_affinity)
        return not terms or any(term.topology_key in labels for term in terms)


def _concerns(info: PodInfo, pod: Document, other: Document) -> bool:
    """Whether one of the two has a required term that may mean the other.

    Namespaces picked by label are taken to match: a hint may be wrong in that direction only.
    """

    def means(term: AffinityTerm, target: Document) -> bool:
        inside = meta.namespace_of(target) in term.namespaces or not term.namespace_selector.nothing
        return inside and term.selector.matches(meta.labels_of(target))

    mine = any(means(term, other) for term in (*info.affinity, *info.anti_affinity))
    return mine or any(means(t, pod) for t in pod_info(other, placed=True).anti_affinity)


def _matches_all(terms: Sequence[AffinityTerm], pod: Document, labels: Labels) -> bool:
    return bool(terms) and all(term.matches(pod, labels) for term in terms)


def _count(counter: Counter[Place], term: AffinityTerm, node_labels: Labels, by: int) -> None:
    value = node_labels.get(term.topology_key)
    if value is not None:
        place = (term.topology_key, value)
        counter[place] += by
        if counter[place] == 0:
            del counter[place]


def _count_shy(
    shy: Counter[Place], pod: Document, labels: Labels, theirs: PodInfo, node: Labels, by: int
) -> None:
    for term in theirs.anti_affinity:
        if term.matches(pod, labels):
            _count(shy, term, node, by)


def _count_own(
    counts: Counts, info: PodInfo, other: Document, labels: Labels, node: Labels, by: int
) -> None:
    if _matches_all(info.affinity, other, labels):
        for term in info.affinity:
            _count(counts.near, term, node, by)
    for term in info.anti_affinity:
        if term.matches(other, labels):
            _count(counts.far, term, node, by)


def _add(
    places: dict[Place, int],
    terms: Sequence[AffinityTerm],
    target: Document,
    labels: Labels,
    node: NodeInfo,
    sign: int,
    weight: int = 0,
) -> None:
    for term in terms:
        value = node.labels.get(term.topology_key)
        if value is not None and term.matches(target, labels):
            place = (term.topology_key, value)
            places[place] = places.get(place, 0) + sign * (weight or term.weight)
