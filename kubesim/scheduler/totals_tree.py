"""TotalsTree: a tournament tree over the total scores of all nodes, for `fastpath`.

No counterpart in Kubernetes.
"""

from __future__ import annotations

from dataclasses import dataclass, field

INFEASIBLE = -1  # in place of a total


@dataclass
class TotalsTree:
    """Feasible nodes and best totals over ranges of nodes.

    Branch 1 is the root; the children of branch b are 2b and 2b + 1; leaves begin at `width`.

    Attributes:
        width: leaves, a power of two.
        feasible: per branch, the number of feasible nodes.
        best: per branch, the highest total; INFEASIBLE without a feasible node.
        ties: per branch, how many nodes share the highest total.
    """

    width: int
    feasible: list[int] = field(default_factory=list)
    best: list[int] = field(default_factory=list)
    ties: list[int] = field(default_factory=list)

    @classmethod
    def of(cls, totals: list[int]) -> TotalsTree:
        """Build a tree over the totals of all nodes, INFEASIBLE for those that are refused."""
        width = 1
        while width < len(totals):
            width *= 2
        padded = totals + [INFEASIBLE] * (width - len(totals))
        tree = cls(width)
        tree.best = [INFEASIBLE] * width + padded
        tree.feasible = [0] * width + [int(total >= 0) for total in padded]
        tree.ties = list(tree.feasible)
        for branch in range(width - 1, 0, -1):
            tree._join(branch)
        return tree

    def _join(self, branch: int) -> bool:
        """Compute a branch from its children; return whether it changed."""
        left, right = 2 * branch, 2 * branch + 1
        feasible = self.feasible[left] + self.feasible[right]
        top, ties = self.best[left], self.ties[left]
        if self.best[right] > top:
            top, ties = self.best[right], self.ties[right]
        elif self.best[right] == top:
            ties += self.ties[right]
        new = (feasible, top, ties)
        if new == (self.feasible[branch], self.best[branch], self.ties[branch]):
            return False
        self.feasible[branch], self.best[branch], self.ties[branch] = new
        return True

    def set(self, leaf: int, total: int) -> None:
        """Set the total of a node."""
        branch = self.width + leaf
        if self.best[branch] == total:
            return
        self.best[branch] = total
        self.feasible[branch] = self.ties[branch] = int(total >= 0)
        branch //= 2
        while branch and self._join(branch):  # usually a better node close by hides the change
            branch //= 2

    def feasible_before(self, leaf: int) -> int:
        """Return the number of feasible nodes among the leaves 0 to leaf - 1."""
        branch, count = self.width + leaf, 0
        if leaf >= self.width:
            return self.feasible[1]
        while branch > 1:
            if branch & 1:
                count += self.feasible[branch - 1]
            branch //= 2
        return count

    def nth_feasible(self, n: int) -> int:
        """Return the leaf of the n-th feasible node, counted from 0."""
        branch = 1
        while branch < self.width:
            branch *= 2
            if n >= self.feasible[branch]:
                n -= self.feasible[branch]
                branch += 1
        return branch - self.width

    def branches(self, start: int, end: int) -> list[int]:
        """Return the fewest branches that cover the leaves start to end - 1, from left to right."""
        left, right = self.width + start, self.width + end
        first: list[int] = []
        last: list[int] = []
        while left < right:
            if left & 1:
                first.append(left)
                left += 1
            if right & 1:
                right -= 1
                last.append(right)
            left //= 2
            right //= 2
        return first + last[::-1]

    def nth_best(self, branch: int, total: int, n: int) -> int:
        """Return the leaf of the n-th node under a branch that has its best total.

        Args:
            branch: the branch.
            total: its best total.
            n: counted from 0.
        """
        while branch < self.width:
            branch *= 2
            here = self.ties[branch] if self.best[branch] == total else 0
            if n >= here:
                n -= here
                branch += 1
        return branch - self.width
