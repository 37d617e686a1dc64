"""Topology spread: constraints read, pods counted, scores put together.

Source: pkg/scheduler/framework/plugins/podtopologyspread/{common,scoring}.go,
plugins/helper/spread.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import floor, log
from typing import Any

from kubesim.objects import meta
from kubesim.objects.frozen import Document
from kubesim.objects.nodeaffinity import wants_node
from kubesim.objects.pods import spec_of
from kubesim.objects.selectors import Requirement, Selector
from kubesim.objects.wellknown import HOSTNAME_LABEL, ZONE_LABEL
from kubesim.scheduler.framework.nodeinfo import NodeInfo
from kubesim.scheduler.framework.podinfo import selector_or_nothing
from kubesim.scheduler.framework.snapshot import World
from kubesim.scheduler.plugins.tainttoleration import HARD, untolerated_taint

HARD_WHEN, SOFT_WHEN = "DoNotSchedule", "ScheduleAnyway"
WORKLOADS = ("ReplicaSet", "StatefulSet", "ReplicationController")
KEPT_COUNTS = 64  # selectors for which a node remembers how many of its pods they pick
# What pods get that say nothing themselves: buildDefaultConstraints, systemDefaultConstraints.
SYSTEM_DEFAULTS: Sequence[Mapping[str, Any]] = (
    {"topologyKey": HOSTNAME_LABEL, "whenUnsatisfiable": SOFT_WHEN, "maxSkew": 3},
    {"topologyKey": ZONE_LABEL, "whenUnsatisfiable": SOFT_WHEN, "maxSkew": 5},
)


@dataclass(frozen=True, slots=True)
class Constraint:
    """One topologySpreadConstraint, read.

    Attributes:
        key: nodes with the same value of this label are one place.
        max_skew: how much fuller than the emptiest place a place may be.
        selector: of the pods that are counted.
        min_domains: with fewer places the emptiest one counts as empty.
        honor_affinity: only nodes that the pod's node affinity selects are counted.
        honor_taints: only nodes whose taints the pod tolerates are counted.
    """

    key: str
    max_skew: int
    selector: Selector
    min_domains: int = 1
    honor_affinity: bool = True
    honor_taints: bool = False

    def includes(self, pod: Document, node: NodeInfo) -> bool:
        """The inclusion policies let this node take part."""
        if self.honor_affinity and not wants_node(spec_of(pod), node.node):
            return False
        return not (self.honor_taints and untolerated_taint(pod, node.taints, HARD) is not None)


def constraints_of(pod: Document, when: str) -> list[Constraint]:
    """The pod's own constraints of one kind: HARD_WHEN or SOFT_WHEN."""
    listed = (pod.get("spec") or {}).get("topologySpreadConstraints") or ()
    return [
        _constraint(item, _selector(item, pod))
        for item in listed
        if (item.get("whenUnsatisfiable") or HARD_WHEN) == when
    ]


def default_constraints(
    pod: Document, world: World, defaults: Iterable[Mapping[str, Any]], when: str
) -> list[Constraint]:
    """Those of the configuration, for a pod that belongs to a Service or a workload."""
    wanted = [item for item in defaults if item["whenUnsatisfiable"] == when]
    if not wanted:
        return []
    selector = owners_selector(pod, world)
    return [] if selector.empty else [_constraint(item, selector) for item in wanted]


def owners_selector(pod: Document, world: World) -> Selector:
    """What picks the pod's siblings: its Services' selectors and its workload's, merged."""
    namespace, labels = meta.namespace_of(pod), meta.labels_of(pod)
    pairs: dict[str, str] = {}
    for service in world.services(namespace) if labels else ():
        wanted = (service.get("spec") or {}).get("selector") or {}
        if wanted and all(labels.get(key) == value for key, value in wanted.items()):
            pairs |= wanted
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


def _constraint(item: Mapping[str, Any], selector: Selector) -> Constraint:
    return Constraint(
        key=str(item.get("topologyKey") or ""),
        max_skew=int(item.get("maxSkew") or 1),
        selector=selector,
        min_domains=int(item.get("minDomains") or 1),
        honor_affinity=(item.get("nodeAffinityPolicy") or "Honor") == "Honor",
        honor_taints=(item.get("nodeTaintsPolicy") or "Ignore") == "Honor",
    )


def _selector(item: Mapping[str, Any], pod: Document) -> Selector:
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
    """The node has a value for each constraint's key."""
    return all(constraint.key in node.labels for constraint in constraints)


def count_pods(node: NodeInfo, selector: Selector, namespace: str) -> int:
    """Pods on the node that are selected, live in the namespace and are not being deleted.

    A selector that is empty, or none, counts nobody. A node is counted anew only after its pods
    have changed: between two pods of a rollout that is one node of all.
    """
    if selector.empty or selector.nothing:
        return 0
    kept = node.counted.get((namespace, selector))
    if kept is not None and kept[0] == node.version:
        return kept[1]
    count = sum(
        meta.namespace_of(pod) == namespace
        and not meta.is_terminating(pod)
        and selector.matches(meta.labels_of(pod))
        for pod in node.pods.values()
    )
    if len(node.counted) >= KEPT_COUNTS:
        node.counted.clear()
    node.counted[namespace, selector] = (node.version, count)
    return count


@dataclass(slots=True)
class SoftCounts:
    """What PreScore counted for the score of each candidate.

    Attributes:
        constraints: the soft ones.
        counts: per constraint, pods by value of its key; empty for the hostname.
        weights: per constraint, ln(number of places + 2).
        ignored: candidates that lack a key.
        namespace: of the pod.
    """

    constraints: list[Constraint]
    counts: list[dict[str, int]]
    weights: list[float]
    ignored: set[str]
    namespace: str

    def raw(self, node: NodeInfo) -> int:
        """How crowded the node's places are: less is better."""
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
        """The emptiest gets most; nodes that lack a key get 0."""
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
    pod: Document,
    constraints: list[Constraint],
    candidates: Sequence[NodeInfo],
    nodes: Iterable[NodeInfo],
    need_all_keys: bool,
) -> SoftCounts:
    """Count for the soft constraints: places among the candidates, pods on all nodes."""
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
