"""Topology spread: parse constraints, count pods, compute scores.

Source: pkg/scheduler/framework/plugins/podtopologyspread/{common,scoring}.go,
plugins/helper/spread.go.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import floor, log
from typing import TYPE_CHECKING, TypeAlias

from kubesim.objects import meta
from kubesim.objects.nodeaffinity import wants_node
from kubesim.objects.pods import spec_of
from kubesim.objects.selectors import Requirement, Selector
from kubesim.objects.wellknown import HOSTNAME_LABEL, ZONE_LABEL
from kubesim.scheduler.framework.nodeinfo import NodeInfo
from kubesim.scheduler.framework.podinfo import selector_or_nothing
from kubesim.scheduler.framework.snapshot import ObjectLister
from kubesim.scheduler.plugins.tainttoleration import HARD, untolerated_taint

if TYPE_CHECKING:
    from kubesim.objects.types import PodDict, TopologySpreadConstraintDict

HARD_WHEN, SOFT_WHEN = "DoNotSchedule", "ScheduleAnyway"
WORKLOADS = ("ReplicaSet", "StatefulSet", "ReplicationController")
CACHED_COUNTS = 64  # selectors per node whose count of pods is cached
# For pods without constraints: buildDefaultConstraints, systemDefaultConstraints.
SYSTEM_DEFAULTS: Sequence[TopologySpreadConstraintDict] = (
    {"topologyKey": HOSTNAME_LABEL, "whenUnsatisfiable": SOFT_WHEN, "maxSkew": 3},
    {"topologyKey": ZONE_LABEL, "whenUnsatisfiable": SOFT_WHEN, "maxSkew": 5},
)


@dataclass(frozen=True, slots=True)
class Constraint:
    """One parsed topologySpreadConstraint.

    Attributes:
        key: topologyKey: nodes with the same value of this label form one domain.
        max_skew: how many more pods a domain may have than the one with the fewest.
        selector: selects the pods to count.
        min_domains: with fewer domains than that, the fewest pods of a domain count as 0.
        honor_affinity: count only nodes that match the pod's nodeSelector and node affinity.
        honor_taints: count only nodes whose taints the pod tolerates.
    """

    key: str
    max_skew: int
    selector: Selector
    min_domains: int = 1
    honor_affinity: bool = True
    honor_taints: bool = False

    def includes(self, pod: PodDict, node: NodeInfo) -> bool:
        """Return whether the node inclusion policies include this node."""
        if self.honor_affinity and not wants_node(spec_of(pod), node.node):
            return False
        return not (self.honor_taints and untolerated_taint(pod, node.taints, HARD) is not None)


def constraints_of(pod: PodDict, when: str) -> list[Constraint]:
    """Parse the pod's own constraints whose whenUnsatisfiable is `when`."""
    listed = (pod.get("spec") or {}).get("topologySpreadConstraints") or ()
    return [
        _constraint(item, _selector(item, pod))
        for item in listed
        if (item.get("whenUnsatisfiable") or HARD_WHEN) == when
    ]


def default_constraints(
    pod: PodDict, world: ObjectLister, defaults: Iterable[TopologySpreadConstraintDict], when: str
) -> list[Constraint]:
    """Parse the default constraints, for a pod that belongs to a Service or a workload.

    Args:
        pod: the Pod document.
        world: reads Services and workloads.
        defaults: constraints without selectors.
        when: HARD_WHEN or SOFT_WHEN.
    """
    desired = [item for item in defaults if item["whenUnsatisfiable"] == when]
    if not desired:
        return []
    selector = owners_selector(pod, world)
    return [] if selector.empty else [_constraint(item, selector) for item in desired]


def owners_selector(pod: PodDict, world: ObjectLister) -> Selector:
    """Merge the selectors of the Services and of the workload that the pod belongs to."""
    namespace, labels = meta.namespace_of(pod), meta.labels_of(pod)
    pairs: dict[str, str] = {}
    for service in world.services(namespace) if labels else ():
        desired = (service.get("spec") or {}).get("selector") or {}
        if desired and all(labels.get(key) == value for key, value in desired.items()):
            pairs |= desired
    more: tuple[Requirement, ...] = ()
    owner = meta.controller_of(pod)
    if owner is not None and owner.get("kind") in WORKLOADS:
        workload = world.workload(owner["kind"], owner["name"], namespace)
        selector = ((workload or {}).get("spec") or {}).get("selector")
        if owner["kind"] == "ReplicationController":
            pairs |= selector or {}
        else:
            more = selector_or_nothing(selector).requirements
    own = (Requirement(key, "In", (value,)) for key, value in sorted(pairs.items()))
    return Selector((*own, *more))


def _constraint(item: TopologySpreadConstraintDict, selector: Selector) -> Constraint:
    return Constraint(
        key=str(item.get("topologyKey") or ""),
        max_skew=int(item.get("maxSkew") or 1),
        selector=selector,
        min_domains=int(item.get("minDomains") or 1),
        honor_affinity=(item.get("nodeAffinityPolicy") or "Honor") == "Honor",
        honor_taints=(item.get("nodeTaintsPolicy") or "Ignore") == "Honor",
    )


def _selector(item: TopologySpreadConstraintDict, pod: PodDict) -> Selector:
    selector, labels = selector_or_nothing(item.get("labelSelector")), meta.labels_of(pod)
    more = [
        Requirement(key, "In", (labels[key],))
        for key in item.get("matchLabelKeys") or ()
        if key in labels
    ]
    if selector.nothing or not more:
        return selector
    return Selector((*selector.requirements, *more))


def has_all_keys(node: NodeInfo, constraints: Sequence[Constraint]) -> bool:
    """Return whether the node has the label of every constraint's topologyKey."""
    return all(constraint.key in node.labels for constraint in constraints)


def count_pods(node: NodeInfo, selector: Selector, namespace: str) -> int:
    """Count the selected pods of a namespace on a node, without terminating ones.

    An empty or missing selector counts no pod. The count is cached until the node's pods change;
    between two pods of a rollout that is a single node.

    Args:
        node: the node.
        selector: selects the pods.
        namespace: the namespace of the pods.
    """
    if selector.empty or selector.nothing:
        return 0
    cached = node.counted.get((namespace, selector))
    if cached is not None and cached[0] == node.version:
        return cached[1]
    count = sum(
        meta.namespace_of(pod) == namespace
        and not meta.is_terminating(pod)
        and selector.matches(meta.labels_of(pod))
        for pod in node.pods.values()
    )
    if len(node.counted) >= CACHED_COUNTS:
        node.counted.clear()
    node.counted[namespace, selector] = (node.version, count)
    return count


@dataclass(slots=True)
class SoftCounts:
    """What PreScore counted for the ScheduleAnyway constraints.

    Attributes:
        constraints: the constraints.
        counts: per constraint, topology value -> pods; empty for the hostname.
        weights: per constraint, ln(number of domains + 2).
        ignored: names of candidates that lack a topology key.
        namespace: the pod's namespace.
    """

    constraints: list[Constraint]
    counts: list[dict[str, int]]
    weights: list[float]
    ignored: set[str]
    namespace: str

    def raw(self, node: NodeInfo) -> int:
        """Return the raw score of a node: the fewer pods in its domains, the lower."""
        if node.name in self.ignored:
            return 0
        score = 0.0
        for i, constraint in enumerate(self.constraints):
            value = node.labels.get(constraint.key)
            if value is None:
                continue
            if constraint.key == HOSTNAME_LABEL:
                count = count_pods(node, constraint.selector, self.namespace)
            else:
                count = self.counts[i].get(value, 0)
            score += count * self.weights[i] + (constraint.max_skew - 1)
        return floor(score + 0.5)

    def normalized(self, raw: Mapping[str, int]) -> dict[str, int]:
        """Scale raw scores to 0..100 and reverse them; nodes that lack a topology key get 0."""
        counted = [score for name, score in raw.items() if name not in self.ignored]
        most, least = max(counted, default=0), min(counted, default=0)
        scores = {}
        for name, score in raw.items():
            if name in self.ignored:
                scores[name] = 0
            else:
                scores[name] = 100 * (most + least - score) // most if most else 100
        return scores


def count_soft(
    pod: PodDict,
    constraints: list[Constraint],
    candidates: Sequence[NodeInfo],
    nodes: Iterable[NodeInfo],
    need_all_keys: bool,
) -> SoftCounts:
    """Count domains among the candidates, and pods on all nodes.

    Args:
        pod: the pod to schedule.
        constraints: its ScheduleAnyway constraints.
        candidates: the feasible nodes.
        nodes: all nodes.
        need_all_keys: whether nodes that lack a topology key are ignored.
    """
    counts: list[dict[str, int]] = [{} for _ in constraints]
    ignored: set[str] = set()
    for node in candidates:
        if need_all_keys and not has_all_keys(node, constraints):
            ignored.add(node.name)
            continue
        for i, constraint in enumerate(constraints):
            if constraint.key != HOSTNAME_LABEL:
                counts[i].setdefault(node.labels.get(constraint.key, ""), 0)
    weights = [
        log((len(candidates) - len(ignored) if c.key == HOSTNAME_LABEL else len(counts[i])) + 2)
        for i, c in enumerate(constraints)
    ]
    namespace = meta.namespace_of(pod)
    for node in nodes if any(counts) else ():
        if not node.pods or (need_all_keys and not has_all_keys(node, constraints)):
            continue
        for i, constraint in enumerate(constraints):
            value = node.labels.get(constraint.key, "")
            if value in counts[i] and constraint.includes(pod, node):
                counts[i][value] += count_pods(node, constraint.selector, namespace)
    return SoftCounts(constraints, counts, weights, ignored, namespace)


# -- groups of nodes for the fast search ----------------------------------------------------------
#
# The score of ScheduleAnyway constraints depends on all candidates: on the numbers of their
# domains, and on the highest and the lowest raw score among them. But two nodes with the same
# values of the topology keys, and as many selected pods on each, always have the same score. So
# nodes form a few *groups*, whose scores follow from how many candidates each group has.

Group: TypeAlias = "tuple[Hashable, ...]"
IGNORED: Group = ()  # nodes that lack a topology key; other groups have a value per constraint

Counts: TypeAlias = tuple[int, ...]
"""For each constraint the selected pods on a node that count for its domain."""


@dataclass(frozen=True, slots=True)
class SoftDomains:
    """The ScheduleAnyway constraints of a class of pods.

    Attributes:
        pod: one of the class.
        namespace: of the pods.
        constraints: the constraints.
        need_all_keys: whether nodes that lack a topology key are ignored.
    """

    pod: PodDict
    namespace: str
    constraints: Sequence[Constraint]
    need_all_keys: bool

    def same_as(self, other: SoftDomains) -> bool:
        """Return whether another pod of the class has the same constraints."""
        return self.constraints == other.constraints

    def includes(self, node: NodeInfo) -> tuple[bool, ...]:
        """Return for each constraint whether a node's pods count; fixed while the node is."""
        if self.need_all_keys and not has_all_keys(node, self.constraints):
            return (False,) * len(self.constraints)
        return tuple(
            each.key != HOSTNAME_LABEL and each.includes(self.pod, node)
            for each in self.constraints
        )

    def counts_of(self, node: NodeInfo, included: Sequence[bool]) -> Counts:
        """Return a node's contribution to the pods of its domains.

        Args:
            node: the node.
            included: as `includes` returned it.
        """
        return tuple(
            count_pods(node, each.selector, self.namespace) if counts else 0
            for each, counts in zip(self.constraints, included, strict=True)
        )

    def group_of(self, node: NodeInfo) -> Group:
        """Return the group of a node: all nodes of a group have the same score."""
        if self.need_all_keys and not has_all_keys(node, self.constraints):
            return IGNORED
        labels = node.labels
        return tuple(
            count_pods(node, each.selector, self.namespace)
            if each.key == HOSTNAME_LABEL and HOSTNAME_LABEL in labels
            else labels.get(each.key)
            for each in self.constraints
        )

    def domain_of(self, node: NodeInfo, constraint: int) -> str:
        """Return the domain of a node for the constraint with that number."""
        return node.labels.get(self.constraints[constraint].key, "")

    def scores(
        self, candidates: Mapping[Group, int], pods: Sequence[Mapping[str, int]]
    ) -> dict[Group, int]:
        """Return the normalized score of each group.

        Args:
            candidates: number of feasible nodes of each group that has some.
            pods: for each constraint, domain -> selected pods on all of its nodes.
        """
        groups = [group for group in candidates if group != IGNORED]
        hosts = sum(candidates[group] for group in groups)
        weights = [
            log((hosts if each.key == HOSTNAME_LABEL else _domains(groups, i)) + 2)
            for i, each in enumerate(self.constraints)
        ]
        raw = {group: self._raw(group, weights, pods) for group in groups}
        most, least = max(raw.values(), default=0), min(raw.values(), default=0)
        scores = dict.fromkeys(candidates, 0)
        for group, score in raw.items():
            scores[group] = 100 * (most + least - score) // most if most else 100
        return scores

    def _raw(
        self, group: Group, weights: Sequence[float], pods: Sequence[Mapping[str, int]]
    ) -> int:
        """Return what `SoftCounts.raw` returns for a node of the group: same sums, same order."""
        score = 0.0
        for i, constraint in enumerate(self.constraints):
            value = group[i]
            if value is None:
                continue
            if isinstance(value, int):
                count = value
            else:
                count = pods[i].get(str(value), 0)
            score += count * weights[i] + (constraint.max_skew - 1)
        return floor(score + 0.5)


def _domains(groups: Collection[Group], constraint: int) -> int:
    """Return the number of domains; nodes without the label form the domain "" together."""
    return len({"" if group[constraint] is None else group[constraint] for group in groups})
