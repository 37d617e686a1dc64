"""The fast path decides as the plain loop does, tie for tie."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from sched_builders import node, pod

from kubesim import Cluster
from kubesim.objects.frozen import freeze, thaw
from kubesim.scheduler import Cycle, CycleState, Framework, NodeInfo, default_profile
from kubesim.scheduler.cache import NodeCache
from kubesim.scheduler.fastpath import FastSearch, is_local
from kubesim.scheduler.framework.handle import Nominator
from kubesim.scheduler.framework.podinfo import class_of
from kubesim.scheduler.framework.snapshot import DocumentLister, Snapshot
from kubesim.scheduler.framework.status import PluginFailed
from kubesim.scheduler.search import Search
from kubesim.scheduler.totals_tree import TotalsTree

DB = {"key": "dedicated", "value": "db", "effect": "NoSchedule"}


class Side:
    """One of the two searches, with a cache of its own."""

    def __init__(self, fast: bool, seed: int, percentage: int, profile: Any = None) -> None:
        self.cache = NodeCache(DocumentLister())
        self.framework = Framework(default_profile() if profile is None else profile)
        self.plain = Search(self.framework, Nominator(), Random(seed), percentage)
        self.search: Any = FastSearch(self.plain, self.cache) if fast else self.plain

    def place(self, incoming: Any) -> tuple[str | None, int]:
        """Return the node, on which the pod is assumed, and the start of the next search."""
        cycle = Cycle()
        winner = self.search.find_node(incoming, CycleState(self.cache.snapshot()), cycle)
        if winner is not None:
            self.cache.assume(incoming, winner)
        return winner, self.plain.start


def a_node(rng: Random, n: int) -> Any:
    """Return a node of one of a few sizes; some have taints or images."""
    return freeze(
        node(
            f"n{n}",
            cpu=str(rng.choice((1, 2, 4))),
            memory=f"{rng.choice((2, 4, 8))}Gi",
            pods=str(rng.choice((3, 110))),
            zone=rng.choice("abc"),
            labels={"disk": rng.choice(("ssd", "hdd"))},
            images={"x:1": 300_000_000} if rng.random() < 0.3 else {},
            taints=[DB] if rng.random() < 0.1 else [],
            unschedulable=rng.random() < 0.05,
        )
    )


def a_pod(rng: Random, name: str, shy: bool) -> Any:
    """Return a pod of one of a few classes; the fast path cannot handle some of them."""
    more: dict[str, Any] = {}
    kind = rng.randrange(12)
    if kind == 0:
        more["nodeSelector"] = {"disk": "ssd"}
    elif kind == 1:
        more["tolerations"] = [{"operator": "Exists"}]
    elif kind == 2 and shy:
        term = {
            "topologyKey": "kubernetes.io/hostname",
            "labelSelector": {"matchLabels": {"app": "shy"}},
        }
        rule = {"requiredDuringSchedulingIgnoredDuringExecution": [term]}
        more = {"affinity": {"podAntiAffinity": rule}, "labels": {"app": "shy"}}
    cpu = rng.choice(("100m", "250m", "500m", "3500m"))
    return freeze(pod(name, cpu, rng.choice(("128Mi", "1Gi")), **more))


SETS = [
    {
        "kind": "ReplicaSet",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"selector": {"matchLabels": {"app": name}}},
    }
    for name in ("web", "api")
]
WEB_SERVICE = {
    "kind": "Service",
    "metadata": {"name": "web", "namespace": "default"},
    "spec": {"selector": {"app": "web"}},
}
DISK, RACK = "disk", "rack"


def an_owned_pod(rng: Random, name: str) -> Any:
    """Return a pod of a ReplicaSet or a Service, or with constraints of its own."""
    app = rng.choice(("web", "web", "api"))
    labels = {"app": app, "tier": rng.choice("xy")} if rng.random() < 0.3 else {"app": app}
    more: dict[str, Any] = {"labels": labels}
    kind = rng.randrange(10)
    if kind < 3:
        keys = rng.sample(("kubernetes.io/hostname", "topology.kubernetes.io/zone", DISK, RACK), 2)
        more["topologySpreadConstraints"] = [
            {
                "topologyKey": key,
                "maxSkew": rng.choice((1, 1, 2)),
                "whenUnsatisfiable": "DoNotSchedule" if rng.random() < 0.1 else "ScheduleAnyway",
                "labelSelector": {"matchLabels": {"app": app}},
                "nodeTaintsPolicy": rng.choice(("Honor", "Ignore")),
            }
            for key in keys
        ]
    elif kind == 3:
        more["nodeSelector"] = {DISK: "ssd"}
    new = pod(name, rng.choice(("100m", "250m")), rng.choice(("128Mi", "1Gi")), **more)
    if kind != 4:
        new["metadata"]["ownerReferences"] = [
            {"kind": "ReplicaSet", "name": app, "uid": app, "controller": True, "apiVersion": "v1"}
        ]
    return freeze(new)


@pytest.mark.parametrize(
    ("seed", "nodes", "percentage"),
    [(1, 130, 0), (2, 260, 0), (3, 150, 100), (4, 120, 5), (5, 400, 0), (6, 100, 0), (7, 180, 40)],
)
def test_owned_pods_are_spread_alike(seed: int, nodes: int, percentage: int) -> None:
    """Default and own constraints, missing labels, terminating pods, Services that come and go."""
    rng = Random(seed)
    sides = [Side(fast, seed, percentage) for fast in (False, True)]
    for n in range(nodes):
        new: Any = thaw(a_node(rng, n))
        if rng.random() < 0.05:
            new["metadata"]["labels"].pop("topology.kubernetes.io/zone")
        if rng.random() < 0.05:
            new["metadata"]["labels"].pop("kubernetes.io/hostname", None)
        if rng.random() < 0.8:
            new["metadata"]["labels"][RACK] = rng.choice(("r1", "r2", ""))
        for side in sides:
            side.cache.set_node(freeze(new))
    placed: dict[str, tuple[Any, str]] = {}
    for turn in range(260):
        objects = [*SETS, WEB_SERVICE] if turn % 80 > 40 else SETS
        for side in sides:
            side.cache._lister._objects = objects  # type: ignore[attr-defined]
        incoming = an_owned_pod(rng, f"p{turn}")
        plain, fast = (side.place(incoming) for side in sides)
        assert fast == plain, f"pod {turn}"
        if plain[0] is not None:
            placed[f"default/p{turn}"] = incoming, plain[0]
        if placed and rng.random() < 0.2:
            key = rng.choice(sorted(placed))
            old, where = placed.pop(key)
            if rng.random() < 0.5:
                terminating: Any = thaw(old)
                terminating["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
                for side in sides:
                    side.cache.count(freeze(terminating), where)
            else:
                for side in sides:
                    side.cache.release(key)
        if rng.random() < 0.01:
            changed = a_node(rng, rng.randrange(nodes))
            for side in sides:
                side.cache.set_node(changed)
    assert sides[1].search.used > 60


def test_equal_nodes_are_evaluated_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those with other pods or sizes by themselves; names are asked for where they count."""
    evaluated: list[str] = []
    real = Framework.total_of_one

    def total_of_one(self: Framework, pod: Any, node: NodeInfo, state: CycleState) -> int:
        evaluated.append(node.name)
        return real(self, pod, node, state)

    monkeypatch.setattr(Framework, "total_of_one", total_of_one)
    side = Side(fast=True, seed=1, percentage=100)
    for n in range(150):
        side.cache.set_node(freeze(node(f"n{n}", cpu="4" if n % 2 else "8", zone="ab"[n % 2])))
    for n in range(2):
        side.place(freeze(pod(f"p{n}", "100m", "1Mi")))
    assert len(evaluated) == 3, "two sizes, and the node with the first pod"
    evaluated.clear()
    side.place(freeze(pod("p2", "100m", "1Mi")))
    assert evaluated == []
    terms = [
        {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [name]}]}
        for name in ("n7", "n8")
    ]
    rule = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
    for n in range(3):
        picky = freeze(pod(f"q{n}", "100m", "1Mi", affinity={"nodeAffinity": rule}))
        assert side.place(picky)[0] in ("n7", "n8")


def test_nodes_in_too_many_groups_are_left_to_the_plain_loop() -> None:
    """A key with a value for each node makes a group of each node; the decisions stay the same."""
    sides = [Side(fast, 1, 0) for fast in (False, True)]
    for n in range(120):
        new = freeze(node(f"n{n}", labels={RACK: f"r{n}"}))
        for side in sides:
            side.cache.set_node(new)
    own = {
        "topologyKey": RACK,
        "maxSkew": 1,
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": {"app": "web"}},
    }
    for n in range(20):
        spread = {"labels": {"app": "web"}, "topologySpreadConstraints": [own]}
        incoming = freeze(pod(f"p{n}", "100m", "1Mi", **spread))
        plain, fast = (side.place(incoming) for side in sides)
        assert plain == fast
    assert sides[1].search.used == 0


@pytest.mark.parametrize(
    ("seed", "nodes", "percentage"),
    [
        (1, 130, 0),
        (2, 250, 0),
        (3, 400, 0),
        (4, 150, 100),
        (5, 120, 5),
        (6, 99, 0),
        (7, 300, 40),
    ],
)
def test_both_ways_decide_alike(seed: int, nodes: int, percentage: int) -> None:
    """Both find the same node, ties and next start while pods and nodes are added and removed."""
    rng = Random(seed)
    sides = [Side(fast, seed, percentage) for fast in (False, True)]
    for n in range(nodes):
        new = a_node(rng, n)
        for side in sides:
            side.cache.set_node(new)
    placed: list[str] = []
    for turn in range(240):
        incoming = a_pod(rng, f"p{turn}", shy=turn > 200)
        plain, fast = (side.place(incoming) for side in sides)
        assert fast == plain, f"pod {turn}"
        if plain[0] is not None:
            placed.append(f"default/p{turn}")
        if placed and rng.random() < 0.2:
            deleted = placed.pop(rng.randrange(len(placed)))
            for side in sides:
                side.cache.release(deleted)
        if rng.random() < 0.01:
            changed = a_node(rng, rng.randrange(nodes))
            for side in sides:
                side.cache.set_node(changed)
        if rng.random() < 0.005:
            for side in sides:
                side.cache.remove_node(f"n{nodes - 1}")
    used = sides[1].search.used
    assert used > 60 if nodes >= 100 else used == 0


def test_a_learner_s_plug_in_may_join() -> None:
    """With `local = True` the fast path is used, without it the plain loop."""

    class Even:
        """A score by the node's name."""

        name = "Even"

        def score(self, pod: Any, node: NodeInfo) -> int:
            """Return the last digit."""
            return 100 if int(node.name[-1]) % 2 == 0 else 0

    class LocalEven(Even):
        """The same, declared as local."""

        local = True

    results = []
    for plugin, fast in ((Even(), True), (LocalEven(), True), (LocalEven(), False)):
        side = Side(fast, 1, 0, [*default_profile(), (plugin, 5)])
        for n in range(150):
            side.cache.set_node(freeze(node(f"n{n}")))
        results.append([side.place(freeze(pod(f"p{n}", "100m")))[0] for n in range(50)])
        if fast:
            assert (side.search.used > 0) is isinstance(plugin, LocalEven)
    assert results[0] == results[1] == results[2]


def test_a_failing_plug_in_fails_as_in_the_plain_loop() -> None:
    """A failure on a node outside of the sample is no failure of the attempt."""

    class Fragile:
        """Raises on one node."""

        name = "Fragile"
        local = True

        def score(self, pod: Any, node: NodeInfo) -> int:
            """Return success, or raise."""
            if node.name == "n149":
                raise RuntimeError("oops")
            return 0

    for percentage, fails in ((100, True), (0, False)):
        for fast in (True, False):
            side = Side(fast, 1, percentage, [Fragile()])
            for n in range(150):
                side.cache.set_node(freeze(node(f"n{n}")))
            incoming = [freeze(pod(f"p{n}", "1", name)) for n, name in enumerate(("1Mi", "1Mi"))]
            if fails:
                for item in incoming:
                    with pytest.raises(PluginFailed, match="Fragile"):
                        side.place(item)
            else:
                assert side.place(incoming[0])[1] == 100


def test_classes() -> None:
    """Pods that differ in the name only have the same class; specs and labels matter."""
    one, two = pod("a", "1"), pod("b", "1", hostname="b")
    assert class_of(one) == class_of(two)
    assert class_of(one) != class_of(pod("a", "2"))
    assert class_of(one) != class_of(pod("a", "1", labels={"x": "y"}))


def test_what_is_local() -> None:
    """Plain pods are local; preferences, constraints, soft taints and affinity terms are not."""
    framework = Framework(default_profile())
    plain, quiet = pod("p", "1"), Snapshot.of([node()])
    assert is_local(framework, plain, quiet)
    soft = {"key": "k", "effect": "PreferNoSchedule"}
    assert not is_local(framework, plain, Snapshot.of([node(taints=[soft])]))
    term = {"topologyKey": "zone", "labelSelector": {}}
    rule = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    shy = pod("shy", on="n1", affinity=rule)
    assert not is_local(framework, plain, Snapshot.of([node()], [shy]))
    assert not is_local(framework, shy, quiet)
    service = {
        "kind": "Service",
        "metadata": {"name": "s", "namespace": "default"},
        "spec": {"selector": {"app": "web"}},
    }
    sibling = pod("p", labels={"app": "web"})
    assert is_local(framework, sibling, quiet)
    assert not is_local(framework, sibling, Snapshot.of([node()], [], [service]))


@pytest.mark.parametrize("seed", range(5))
def test_trees_against_lists(seed: int) -> None:
    """Compare counts, best totals and ties over ranges after random changes."""
    rng = Random(seed)
    totals = [rng.choice((-1, 5, 7, 9)) for _ in range(rng.randint(1, 70))]
    tree = TotalsTree.of(list(totals))
    for _ in range(200):
        leaf = rng.randrange(len(totals))
        totals[leaf] = rng.choice((-1, 5, 7, 9))
        tree.set(leaf, totals[leaf])
        feasible = [i for i, total in enumerate(totals) if total >= 0]
        assert tree.feasible[1] == len(feasible)
        assert tree.feasible_before(leaf) == sum(i < leaf for i in feasible)
        if feasible:
            n = rng.randrange(len(feasible))
            assert tree.nth_feasible(n) == feasible[n]
        end = rng.randint(leaf, len(totals))
        parts = tree.branches(leaf, end)
        best = max((tree.best[b] for b in parts), default=-1)
        assert best == max(totals[leaf:end], default=-1)
        if best >= 0:
            ties = sum(tree.ties[b] for b in parts if tree.best[b] == best)
            assert ties == totals[leaf:end].count(best)


def test_a_large_cluster_uses_it_and_says_so() -> None:
    """The decision record describes the search."""
    with Cluster(nodes=0, seed=1, hpa=False) as cluster:
        for n in range(120):
            ready = node(f"n{n}")
            ready["status"]["conditions"] = [{"type": "Ready", "status": "True"}]
            cluster.api.create(ready)  # without the condition it would be tainted at first
        for n in range(5):
            cluster.api.create(pod(f"p{n}", "1"))
        cluster.sleep(1)
        assert cluster.scheduler.search.used == 4  # type: ignore[union-attr]
        record = cluster.explain("pod/p4").latest
        assert "100 of 120 nodes evaluated, 100 feasible" in str(record)
        assert cluster.explain("pod/p0").latest.data["table"][0]["scores"]
