"""Totals of nodes whose score has a part that all nodes of a group share, for `fastpath`.

For each group there is a tournament tree over the totals without that part. Which group is best
follows from the best total of each group and the group's score; ties are counted over all groups
with the highest sum, in the order in which nodes are evaluated.

No counterpart in Kubernetes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kubesim.scheduler.framework.nodeinfo import NodeInfo
from kubesim.scheduler.plugins.spread_counts import Counts, Group, SoftDomains
from kubesim.scheduler.totals_tree import INFEASIBLE, TotalsTree

MOST_GROUPS = 48  # with more of them the plain loop is as fast


class TooManyGroups(Exception):
    """The nodes form so many groups that trees do not help."""


class GroupedTotals:
    """The totals of all nodes for one class of pods.

    Args:
        domains: the constraints of the class.
        nodes: all nodes, in the order of the search.
        totals: their totals without the spread score; INFEASIBLE for those that are refused.

    Attributes:
        domains: the same.

    Raises:
        TooManyGroups: there are more than MOST_GROUPS.
    """

    def __init__(
        self, domains: SoftDomains, nodes: Sequence[NodeInfo], totals: Sequence[int]
    ) -> None:
        self.domains = domains
        self._size = len(nodes)
        self._trees: dict[Group, TotalsTree] = {}
        self._groups: list[Group] = []
        self._included = [domains.includes(node) for node in nodes]
        self._counts: list[Counts] = []
        self._pods: list[dict[str, int]] = [{} for _ in domains.constraints]
        by_group: dict[Group, list[int]] = {}
        for leaf, node in enumerate(nodes):
            counts = domains.counts_of(node, self._included[leaf])
            self._counts.append(counts)
            self._add(node, counts, 1)
            group = domains.group_of(node)
            self._groups.append(group)
            if group not in by_group and len(by_group) >= MOST_GROUPS:
                raise TooManyGroups
            by_group.setdefault(group, [INFEASIBLE] * self._size)[leaf] = totals[leaf]
        self._trees = {group: TotalsTree.of(values) for group, values in by_group.items()}

    def _add(self, node: NodeInfo, counts: Counts, sign: int) -> None:
        for i, count in enumerate(counts):
            if count:
                domain, pods = self.domains.domain_of(node, i), self._pods[i]
                pods[domain] = pods.get(domain, 0) + sign * count

    def set(self, leaf: int, node: NodeInfo, total: int) -> None:
        """Update a node whose pods changed.

        Args:
            leaf: its position.
            node: the node.
            total: its new total without the spread score.

        Raises:
            TooManyGroups: there are more than MOST_GROUPS now.
        """
        counts = self.domains.counts_of(node, self._included[leaf])
        if counts != self._counts[leaf]:
            self._add(node, self._counts[leaf], -1)
            self._add(node, counts, 1)
            self._counts[leaf] = counts
        group = self.domains.group_of(node)
        before = self._groups[leaf]
        if group != before:
            self._trees[before].set(leaf, INFEASIBLE)
            self._groups[leaf] = group
        tree = self._trees.get(group)
        if tree is None:
            tree = self._trees[group] = self._new_tree()
        tree.set(leaf, total)

    def _new_tree(self) -> TotalsTree:
        if len(self._trees) >= MOST_GROUPS:
            used = set(self._groups)
            self._trees = {group: tree for group, tree in self._trees.items() if group in used}
            if len(self._trees) >= MOST_GROUPS:
                raise TooManyGroups
        return TotalsTree.of([INFEASIBLE] * self._size)

    def candidates(self, parts: Sequence[int], weight: int) -> list[tuple[TotalsTree, int]]:
        """Return (tree, what to add to its totals) of each group with a feasible node.

        Args:
            parts: branches that cover the evaluated nodes.
            weight: of the spread score.
        """
        feasible = {}
        for group, tree in self._trees.items():
            count = sum(tree.feasible[branch] for branch in parts)
            if count:
                feasible[group] = count
        scores = self.domains.scores(feasible, self._pods)
        return [(self._trees[group], weight * scores[group]) for group in feasible]


def best_of(
    candidates: Iterable[tuple[TotalsTree, int]], parts: Sequence[int]
) -> tuple[int, int, list[tuple[TotalsTree, int]]]:
    """Return the highest total, how many nodes share it, and (tree, its own part) of these.

    Args:
        candidates: trees of equal width, and what to add to the totals of each.
        parts: branches that cover the evaluated nodes.
    """
    tops = [(tree, max(tree.best[b] for b in parts), bonus) for tree, bonus in candidates]
    best = max(top + bonus for _, top, bonus in tops if top != INFEASIBLE)
    winners = [(tree, top) for tree, top, bonus in tops if top >= 0 and top + bonus == best]
    return best, sum(_ties(winners, branch) for branch in parts), winners


def nth_of(winners: Sequence[tuple[TotalsTree, int]], parts: Iterable[int], n: int) -> int:
    """Return the n-th leaf with the best total, in the order in which nodes are evaluated.

    Args:
        winners: as `best_of` returned them.
        parts: branches that cover the evaluated nodes, in their order.
        n: counted from 0.
    """
    width = winners[0][0].width
    for branch in parts:
        ties = _ties(winners, branch)
        if n >= ties:
            n -= ties
            continue
        while branch < width:
            branch *= 2
            ties = _ties(winners, branch)
            if n >= ties:
                n -= ties
                branch += 1
        return branch - width
    raise IndexError(n)


def _ties(winners: Iterable[tuple[TotalsTree, int]], branch: int) -> int:
    return sum(tree.ties[branch] for tree, top in winners if tree.best[branch] == top)
