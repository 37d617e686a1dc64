"""Topology spread for the fast search: scores of groups of nodes instead of single nodes.

The score of ScheduleAnyway constraints depends on all candidates: on the numbers of their domains,
and on the highest and the lowest raw score among them. But two nodes with the same values of the
topology keys, and as many selected pods on each, always have the same score. So nodes form a few
*groups*, and the scores of the groups follow from how many candidates each group has.

Source: pkg/scheduler/framework/plugins/podtopologyspread/scoring.go, whose results these are.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from math import floor, log
from typing import TYPE_CHECKING, TypeAlias

from kubesim.objects.wellknown import HOSTNAME_LABEL
from kubesim.scheduler.framework.nodeinfo import NodeInfo
from kubesim.scheduler.plugins.spread_counts import Constraint, count_pods, has_all_keys

if TYPE_CHECKING:
    from kubesim.objects.types import PodDict

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
