"""A faster way to the same decision, for pods whose plug-ins look at one node at a time.

The plain loop runs every plug-in on every node, for every pod. But most pods are alike, and placing
one changes a single node. If each plug-in of the profile declares that, for this pod in this
cluster, its results depend on the node and on the pod's *class* only, then the total score of a
node can be cached from pod to pod, and only the nodes that changed are evaluated again.

A change of a node itself (labels, taints, size, images) clears the cache: the first pod of a class
after that goes through the plain loop, the second one builds the tree.

A plug-in declares this with `local = True`, or with a method `local(pod, snapshot) -> bool`, and
promises: `filter` and `score` depend on the node at hand and on what pods of one class have in
common (namespace, labels, owner and spec without the hostname); `normalize`, if it has one, gives a
node the same score whatever the other nodes' scores are.

The default topology spreading is not local: the score of a node depends on the pods of all nodes.
But nodes form a few groups that score alike (`PodTopologySpread.domains`); the score of the group
is added when a pod is placed (`grouped_totals`).

For each class there is a tournament tree over the nodes, in the order in which they are searched.
Every branch holds how many nodes below it are feasible, the best total, and how many nodes share
it. The sample of nodes that the plain loop would evaluate (from the round-robin start up to the
last feasible node that is needed) is a range of leaves; its best total, the ties and the winner are
found in a few steps. Ties are broken with the same random stream and the same bounds, so the
decision is the same. A test compares the two on thousands of pods.

No counterpart in Kubernetes up to 1.34; 1.35 caches the results of a class of pods in a similar way
("opportunistic batching").
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from kubesim.scheduler.cache import NodeCache
from kubesim.scheduler.contents import MOST_TOTALS, NodeContents, ignores_names, reads_contents
from kubesim.scheduler.framework.cycle import Cycle
from kubesim.scheduler.framework.cycle_state import CycleState
from kubesim.scheduler.framework.nodeinfo import NodeInfo
from kubesim.scheduler.framework.podinfo import class_of
from kubesim.scheduler.framework.runtime import Framework
from kubesim.scheduler.framework.snapshot import Snapshot
from kubesim.scheduler.framework.status import PluginFailed
from kubesim.scheduler.grouped_totals import GroupedTotals, TooManyGroups, best_of, nth_of
from kubesim.scheduler.plugins.podtopologyspread import PodTopologySpread
from kubesim.scheduler.plugins.spread_counts import SoftDomains
from kubesim.scheduler.search import Search, nodes_to_find
from kubesim.scheduler.totals_tree import INFEASIBLE, TotalsTree

if TYPE_CHECKING:
    from kubesim.objects.types import PodDict

FEASIBLE = 0  # in place of a total that nobody asks for
LEAST_NODES = 100  # below this, the plain loop is fast and its explanations are complete
CLASSES = 32  # trees in the cache
SEEN = 1_000  # classes remembered after their first pod; the second pod builds the tree


Local: TypeAlias = Callable[["PodDict", Snapshot], bool]


def local_checks(framework: Framework, without: object = None) -> list[Local] | None:
    """Return the `local` methods to call for each pod; None if a plug-in is never local.

    Args:
        framework: the plug-ins.
        without: a plug-in that is left out.
    """
    checks: list[Local] = []
    for enabled in {id(e.plugin): e for e in (*framework.profile, *framework.scores)}.values():
        if enabled.plugin is without or not (enabled.joins("filter") or enabled.joins("score")):
            continue
        local = getattr(enabled.plugin, "local", False)
        if callable(local):
            checks.append(local)
        elif local is not True:
            return None
    return checks


def is_local(framework: Framework, pod: PodDict, snapshot: Snapshot) -> bool:
    """Return whether every plug-in that filters or scores is local for this pod.

    Args:
        framework: the plug-ins.
        pod: the pod to schedule.
        snapshot: the cluster.
    """
    checks = local_checks(framework)
    return checks is not None and all(local(pod, snapshot) for local in checks)


@dataclass
class _CachedClass:
    """The tree of a class of pods.

    Attributes:
        tree: the totals of all nodes; with `groups` FEASIBLE in their place.
        groups: the totals without the spread score, by groups of nodes; None: no topology
            spreading applies.
        position: the position in the cache's log up to which the trees are current.
    """

    tree: TotalsTree
    groups: GroupedTotals | None = None
    position: int = 0


class _SpreadScore(NamedTuple):
    """PodTopologySpread in a profile."""

    plugin: PodTopologySpread
    name: str
    weight: int


class FastSearch:
    """Finds nodes by trees where all plug-ins are local, and by the plain loop otherwise.

    Args:
        search: the plain loop; its start and its random stream are shared.
        cache: tells which nodes changed.
        least_nodes: smaller clusters are left to the plain loop.

    Attributes:
        used: how many nodes were found by a tree.
    """

    def __init__(self, search: Search, cache: NodeCache, least_nodes: int = LEAST_NODES) -> None:
        self._plain = search
        self._cache = cache
        self._least = least_nodes
        self._spread = spread = _spread_score(search.framework)
        self._checks = local_checks(search.framework, spread.plugin if spread else None)
        self._contents = NodeContents() if reads_contents(search.framework) else None
        self._totals: dict[str, dict[Hashable, int]] = {}  # class -> contents of a node -> total
        self._scattered: set[str] = set()  # classes for which nodes form too many groups
        self._classes: OrderedDict[str, _CachedClass] = OrderedDict()
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._leaves: dict[str, int] = {}
        self._epoch = -1
        self.used = 0

    def find_node(self, pod: PodDict, state: CycleState, cycle: Cycle) -> str | None:
        """Do the same as `Search.find_node`, with the same result and the same effects.

        Args:
            pod: the pod to schedule.
            state: of this attempt.
            cycle: receives the result; not a table of all nodes.

        Raises:
            PluginFailed: a plug-in raised or broke the rules.
        """
        try:
            cached = self._current(pod, state)
        except PluginFailed:
            cached = None  # the plain loop may not even reach the node on which a plug-in failed
        if cached is None or cached.tree.feasible[1] == 0:
            return self._plain.find_node(pod, state, cycle)
        tree, nodes, search = cached.tree, state.snapshot.nodes, self._plain
        total = len(nodes)
        enough = nodes_to_find(total, search.percentage) if search.framework.scores else 1
        start = search.start % total
        evaluated = _evaluated(tree, start, total, enough)
        search.advance(start + evaluated, total)
        parts = tree.branches(start, min(start + evaluated, total))
        parts += tree.branches(0, max(0, start + evaluated - total))
        feasible = sum(tree.feasible[branch] for branch in parts)
        candidates = [(tree, 0)]
        if cached.groups is not None and self._spread is not None and feasible > 1:
            candidates = cached.groups.candidates(parts, self._spread.weight)
        best, ties, winners = best_of(candidates, parts)
        draw = search.rng.choice(range(ties)) if ties > 1 else 0
        winner = nodes[nth_of(winners, parts, draw)]
        self.used += 1
        note = (
            f"{evaluated} of {total} nodes evaluated, {feasible} feasible, by the cached totals of "
            "this class of pods: no table of all nodes is made"
        )
        if feasible > 1:
            cycle.choose(winner.name, note, total=best)
            cycle.tie(ties)
        else:
            cycle.choose(winner.name, note)
        return winner.name

    # -- trees ------------------------------------------------------------------------------------

    def _current(self, pod: PodDict, state: CycleState) -> _CachedClass | None:
        """Return the up-to-date trees of the pod's class; None if the plain loop is needed."""
        search, snapshot = self._plain, state.snapshot
        if len(snapshot) < self._least or len(search.nominator):
            return None
        if (pod.get("status") or {}).get("nominatedNodeName"):
            return None
        if self._checks is None or not all(local(pod, snapshot) for local in self._checks):
            return None
        domains: SoftDomains | None = None
        if self._spread is not None and not self._spread.plugin.local(pod, snapshot):
            domains = self._spread.plugin.domains(pod, snapshot)
            if domains is None:
                return None
        if self._epoch != self._cache.epoch:  # nodes changed themselves: clear the cache
            self._classes.clear()
            self._seen.clear()
            self._scattered.clear()
            self._totals.clear()
            if self._contents is not None:
                self._contents.clear()
            self._leaves = {node.name: i for i, node in enumerate(snapshot.nodes)}
            self._epoch = self._cache.epoch
        name = class_of(pod)
        if name in self._scattered:
            return None
        cached = self._classes.get(name)
        if cached is None:
            if name not in self._seen:
                self._seen[name] = None
                while len(self._seen) > SEEN:
                    self._seen.popitem(last=False)
                return None
        else:
            self._classes.move_to_end(name)
        evaluate = self._evaluator(pod, state)
        if evaluate is None:
            return None
        if self._contents is not None and ignores_names(pod):
            evaluate = self._remembered(name, evaluate, self._contents)
        try:
            return self._update(name, cached, snapshot, evaluate, domains)
        except TooManyGroups:
            self._classes.pop(name, None)
            self._scattered.add(name)
            return None

    def _update(
        self,
        name: str,
        cached: _CachedClass | None,
        snapshot: Snapshot,
        evaluate: Callable[[NodeInfo], int],
        domains: SoftDomains | None,
    ) -> _CachedClass:
        """Evaluate the nodes that changed since the last pod of the class; at first all nodes."""
        position = self._cache.position()
        changed = None if cached is None else self._cache.changed_since(cached.position)
        if cached is None or changed is None or not _same(cached.groups, domains):
            self._classes.pop(name, None)
            cached = _build(snapshot.nodes, evaluate, domains)
            self._classes[name] = cached
            while len(self._classes) > CLASSES:
                self._classes.popitem(last=False)
        else:
            for node_name in changed:
                leaf, node = self._leaves[node_name], snapshot[node_name]
                total = evaluate(node)
                if cached.groups is None:
                    cached.tree.set(leaf, total)
                else:
                    cached.tree.set(leaf, min(total, FEASIBLE))
                    cached.groups.set(leaf, node, total)
        cached.position = position
        return cached

    def _remembered(
        self, name: str, evaluate: Callable[[NodeInfo], int], contents: NodeContents
    ) -> Callable[[NodeInfo], int]:
        """Return the same function; nodes with equal contents are evaluated once.

        Args:
            name: of the class of pods.
            evaluate: returns the total of a node.
            contents: of the nodes.
        """
        totals = self._totals.setdefault(name, {})
        if len(totals) > MOST_TOTALS or len(self._totals) > CLASSES:
            self._totals.clear()
            totals = self._totals[name] = {}

        def remembered(node: NodeInfo) -> int:
            content = contents.of(node)
            total = totals.get(content)
            if total is None:
                total = totals[content] = evaluate(node)
            return total

        return remembered

    def _evaluator(self, pod: PodDict, state: CycleState) -> Callable[[NodeInfo], int] | None:
        """Return a function from a node to its total or INFEASIBLE.

        Return None if PreFilter limits the nodes or refuses the pod.
        """
        framework = self._plain.framework
        status = framework.pre_filter(pod, state)
        if not status.ok or status.nodes is not None:
            return None

        def evaluate(node: NodeInfo) -> int:
            if not framework.filter(pod, node, state).ok:
                return INFEASIBLE
            return framework.total_of_one(pod, node, state)

        framework.pre_score(pod, (), state)
        if self._spread is not None:
            state.skip_score.add(self._spread.name)  # the groups add it
        return evaluate


def _evaluated(tree: TotalsTree, start: int, total: int, enough: int) -> int:
    """Return how many nodes the plain loop would evaluate, from `start` on."""
    if tree.feasible[1] < enough:
        return total
    before = tree.feasible_before(start)
    behind = tree.feasible[1] - before
    if enough <= behind:
        return tree.nth_feasible(before + enough - 1) - start + 1
    return total - start + tree.nth_feasible(enough - behind - 1) + 1


def _spread_score(framework: Framework) -> _SpreadScore | None:
    """Return the plug-in whose scores are those of groups of nodes; None: there is none."""
    for enabled in framework.scores:
        plugin = enabled.plugin
        if isinstance(plugin, PodTopologySpread) and enabled.joins("score"):
            return _SpreadScore(plugin, enabled.name, enabled.weight or 1)
    return None


def _same(groups: GroupedTotals | None, domains: SoftDomains | None) -> bool:
    if groups is None or domains is None:
        return groups is None and domains is None
    return groups.domains.same_as(domains)


def _build(
    nodes: Sequence[NodeInfo], evaluate: Callable[[NodeInfo], int], domains: SoftDomains | None
) -> _CachedClass:
    totals = [evaluate(node) for node in nodes]
    if domains is None:
        return _CachedClass(TotalsTree.of(totals))
    groups = GroupedTotals(domains, nodes, totals)
    return _CachedClass(TotalsTree.of([min(total, FEASIBLE) for total in totals]), groups)
