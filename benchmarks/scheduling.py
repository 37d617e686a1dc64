"""Pods placed per CPU second: the fast path, the plain loop, and a plug-in-style Python loop.

The peer is what one writes first in Python: a few filter and score functions over node objects, all
nodes for every pod. It knows two resources, one taint check and one label check, counts no reasons
and keeps no state; ours run the whole default profile. Rows with "all nodes" look at every node
(percentageOfNodesToScore 100), rows with "sampled" as many as kube-scheduler's default; the fast
path decides exactly as the plain loop of its row does. Pods of Deployments are spread over zones
and hosts, as by default; their rows count from the first pod on, the building of trees included.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from random import Random
from typing import Any, Protocol, TypeVar

from benchmarks.measure import BenchmarkRow, row, take_turns
from kubesim.objects import Document, freeze, thaw
from kubesim.scheduler import Cycle, CycleState, Framework, default_profile
from kubesim.scheduler.cache import NodeCache
from kubesim.scheduler.fastpath import FastSearch
from kubesim.scheduler.framework.handle import Nominator
from kubesim.scheduler.framework.snapshot import DocumentLister
from kubesim.scheduler.search import Search

CLASSES = [(100 * a, 128 * b) for a in (1, 2, 5) for b in (1, 2, 4)]  # millicores, Mi
LEAST_SECONDS = 0.3  # a figure comes from at least so much CPU time
MOST_PODS = 2_000

PeerPod = tuple[int, int, dict[str, str]]  # CPU, memory, node selector
PodT = TypeVar("PodT")


def nodes_of(count: int) -> list[Document]:
    """Nodes of three sizes."""
    return [
        {
            "kind": "Node",
            "metadata": {
                "name": f"n{n}",
                "labels": {
                    "kubernetes.io/hostname": f"n{n}",
                    "topology.kubernetes.io/zone": "abc"[n % 3],
                },
            },
            "spec": {},
            "status": {
                "allocatable": {
                    "cpu": str((4, 8, 16)[n % 3]),
                    "memory": f"{(8, 16, 32)[n % 3]}Gi",
                    "pods": "110",
                }
            },
        }
        for n in range(count)
    ]


def pods_of(count: int) -> list[Any]:
    """Pods of nine classes, in random order."""
    rng = Random(1)
    pods = []
    for n in range(count):
        cpu, memory = rng.choice(CLASSES)
        requests = {"cpu": f"{cpu}m", "memory": f"{memory}Mi"}
        container = {"name": "c", "image": "x", "resources": {"requests": requests}}
        metadata = {"name": f"p{n}", "namespace": "default"}
        pods.append(freeze({"metadata": metadata, "spec": {"containers": [container]}}))
    return pods


def owned_pods_of(count: int) -> list[Any]:
    """Pods of nine ReplicaSets, in random order."""
    pods = []
    for pod in pods_of(count):
        new: Any = thaw(pod)
        requests = new["spec"]["containers"][0]["resources"]["requests"]
        name = f"web-{requests['cpu']}-{requests['memory']}".lower()
        new["metadata"]["labels"] = {"app": name}
        new["metadata"]["ownerReferences"] = [
            {
                "apiVersion": "apps/v1",
                "kind": "ReplicaSet",
                "name": name,
                "uid": name,
                "controller": True,
            }
        ]
        pods.append(freeze(new))
    return pods


def replicasets_of(pods: list[Any]) -> list[Document]:
    """The owners of these pods."""
    names = {pod["metadata"]["labels"]["app"] for pod in pods if "labels" in pod["metadata"]}
    return [
        {
            "kind": "ReplicaSet",
            "metadata": {"name": name, "namespace": "default"},
            "spec": {"selector": {"matchLabels": {"app": name}}},
        }
        for name in sorted(names)
    ]


def ours(nodes: int, percentage: int, fast: bool, owners: list[Document]) -> Callable[[Any], None]:
    """A function that places a pod with kubesim."""
    cache = NodeCache(DocumentLister(owners))
    for node in nodes_of(nodes):
        cache.set_node(freeze(node))
    search = Search(Framework(default_profile()), Nominator(), Random(1), percentage)
    finder: Any = FastSearch(search, cache) if fast else search

    def place(pod: Any) -> None:
        winner = finder.find_node(pod, CycleState(cache.snapshot()), Cycle())
        cache.assume(pod, winner)

    return place


class PeerNode:
    """What the peer knows of a node."""

    __slots__ = ("cpu", "labels", "memory", "name", "pods", "taints", "used_cpu", "used_memory")

    def __init__(self, n: int) -> None:
        self.name, self.labels, self.taints = f"n{n}", {"host": f"n{n}"}, ()
        self.cpu, self.memory = (4000, 8000, 16000)[n % 3], (8192, 16384, 32768)[n % 3]
        self.used_cpu = self.used_memory = self.pods = 0


class PeerFilter(Protocol):
    """A peer's plug-in that rules nodes out."""

    def filter(self, pod: PeerPod, node: PeerNode) -> bool: ...


class PeerScore(Protocol):
    """A peer's plug-in that ranks nodes."""

    def score(self, pod: PeerPod, node: PeerNode) -> int: ...


class Fits:
    """Room, and the emptier the better."""

    def filter(self, pod: PeerPod, node: PeerNode) -> bool:
        return (
            pod[0] <= node.cpu - node.used_cpu
            and pod[1] <= node.memory - node.used_memory
            and node.pods < 110
        )

    def score(self, pod: PeerPod, node: PeerNode) -> int:
        cpu = (node.cpu - node.used_cpu - pod[0]) * 100 // node.cpu
        memory = (node.memory - node.used_memory - pod[1]) * 100 // node.memory
        return (cpu + memory) // 2


class Balanced:
    """CPU and memory used alike."""

    def score(self, pod: PeerPod, node: PeerNode) -> int:
        cpu = (node.used_cpu + pod[0]) / node.cpu
        memory = (node.used_memory + pod[1]) / node.memory
        return int((1 - abs(cpu - memory) / 2) * 100)


class Tolerates:
    """No taints."""

    def filter(self, pod: PeerPod, node: PeerNode) -> bool:
        return not node.taints


class Selects:
    """Labels."""

    def filter(self, pod: PeerPod, node: PeerNode) -> bool:
        return all(node.labels.get(key) == value for key, value in pod[2].items())


def peer(nodes: int) -> Callable[[PeerPod], None]:
    """A function that places a pod with the peer's loop."""
    peer_nodes = [PeerNode(n) for n in range(nodes)]
    filters: list[PeerFilter] = [Tolerates(), Selects(), Fits()]
    scores: list[tuple[PeerScore, int]] = [(Fits(), 1), (Balanced(), 1)]
    rng = Random(1)

    def place(pod: PeerPod) -> None:
        feasible = [n for n in peer_nodes if all(f.filter(pod, n) for f in filters)]
        totals = [sum(s.score(pod, n) * weight for s, weight in scores) for n in feasible]
        best = max(totals)
        winner = rng.choice([n for n, t in zip(feasible, totals, strict=True) if t == best])
        winner.used_cpu += pod[0]
        winner.used_memory += pod[1]
        winner.pods += 1

    return place


def per_second(place: Callable[[PodT], None], pods: list[PodT], warm: int) -> float:
    """Pods per CPU second; the first `warm` ones are not counted."""
    for pod in pods[:warm]:
        place(pod)
    start, done = time.process_time(), 0
    for pod in pods[warm:]:
        place(pod)
        done += 1
        if time.process_time() - start >= LEAST_SECONDS:
            break
    return done / (time.process_time() - start)


def ours_per_second(
    nodes: int, percentage: int, fast: bool, pods: list[Document], warm: int
) -> float:
    """Measure kubesim with new nodes."""
    return per_second(ours(nodes, percentage, fast, replicasets_of(pods)), pods, warm)


def whole_run(nodes: int, pods: list[Document]) -> float:
    """All pods with the fast path, the building of trees for nine classes included."""
    place = ours(nodes, 0, True, replicasets_of(pods))
    start = time.process_time()
    for pod in pods:
        place(pod)
    return len(pods) / (time.process_time() - start)


def peer_per_second(nodes: int, pods: list[PeerPod]) -> float:
    """Measure the peer with new nodes."""
    return per_second(peer(nodes), pods, 0)


def run(quick: bool) -> list[BenchmarkRow]:
    """Rows for the driver."""
    rounds = 1 if quick else 3
    rows = []
    pods, owned = pods_of(MOST_PODS), owned_pods_of(MOST_PODS)
    rng = Random(1)
    simple: list[PeerPod] = [(*rng.choice(CLASSES), {}) for _ in range(MOST_PODS)]
    warm = 40  # every class was seen twice: the trees are built
    for nodes in (100, 1_000, 5_000):
        results = take_turns(
            rounds,
            fast=partial(ours_per_second, nodes, 100, True, pods, warm),
            plain=partial(ours_per_second, nodes, 100, False, pods, 0),
            peer=partial(peer_per_second, nodes, simple),
            sampled_fast=partial(ours_per_second, nodes, 0, True, pods, warm),
            sampled_plain=partial(ours_per_second, nodes, 0, False, pods, 0),
            owned_fast=partial(whole_run, nodes, owned),
            owned_plain=partial(ours_per_second, nodes, 0, False, owned, 0),
        )
        unit, fast = "pods / CPU s", results["fast"]
        what = f"{nodes:,} nodes"
        rows.append(row(f"{what}, all: fast path", unit, fast, results["peer"], "plug-in loop"))
        rows.append(row(f"{what}, all: fast path", unit, fast, results["plain"], "plain loop"))
        rows.append(
            row(
                f"{what}, sampled: fast path",
                unit,
                results["sampled_fast"],
                results["sampled_plain"],
                "plain loop",
            )
        )
        what = f"{what}, sampled, pods of Deployments"
        owned_fast = results["owned_fast"]
        rows.append(row(what, unit, owned_fast, results["owned_plain"], "plain loop"))
        rows.append(row(what, unit, owned_fast, results["peer"], "plug-in loop"))
    return rows
