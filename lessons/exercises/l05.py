"""Exercises of lesson 5: the scheduler."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from kubesim import Cluster, StatusError
from kubesim.objects import Document
from kubesim.objects.kindnames import POD
from kubesim.scheduler import NodeInfo, default_profile
from kubesim.scheduler.framework.interface import POINTS
from kubesim.scheduler.policy import PlacementPolicy
from lessons.check import Question, Task
from lessons.feedback.answers import a_class, a_dict, a_score, with_errors
from lessons.pods import asks, place, pod, where
from lessons.scheduler.nodes import read_nodes

if TYPE_CHECKING:
    from kubesim.objects.types import PodDict

Score = Callable[["PodDict", NodeInfo], float]
SIZES = {"large": "8", "medium": "4", "small": "2"}  # cores


class _Own:
    """The answer as a plug-in: a function, a plug-in, or the class of one."""

    name = "Own"

    def __init__(self, answer: object) -> None:
        plugin = answer() if isinstance(answer, type) else answer
        self._function = cast(Score, getattr(plugin, "score", plugin))

    def score(self, pod: PodDict, node: NodeInfo) -> float:
        """Return what the answer returns; the framework checks it."""
        return self._function(pod, node)


def _cluster(score: Score, **sizes: str) -> Cluster:
    """Return nodes of these sizes [cores] with the default filters and only the given score."""
    without_score = frozenset(POINTS) - {"preScore", "score"}
    filters = [replace(each, points=without_score) for each in default_profile()]
    cluster = Cluster(nodes=0, seed=7, hpa=False, profile=[*filters, _Own(score)])
    for name, cores in sizes.items():
        cluster.add_node(name, cpu=cores, memory="32Gi")
    cluster.sleep(1)
    return cluster


def _placement_problem(cluster: Cluster, placed: Mapping[str, str]) -> str | None:
    """Return the scheduler's message about the first pod that should have a node, but has none."""
    waiting = [name for name, node in placed.items() if not node]
    return cluster.explain(f"pod/{waiting[0]}").latest.verdict if waiting else None


def _counts(nodes: Mapping[str, str]) -> str:
    counts = Counter(nodes.values())
    return ", ".join(f"{node} {counts[node]}" for node in sorted(counts))


def _no_node_fits(score: Score) -> str | None:
    """Check the third cluster of both: a pod without room waits, whatever the score is."""
    with _cluster(score, left="2", right="2") as cluster:
        placed = place(cluster, pod("one", "1500m"), pod("two", "1500m"), pod("late", "1"))
        if placed["late"]:
            return f"no node has room for `late`, but it is on {placed['late']}"
        if not placed["one"] or not placed["two"]:
            return "two nodes, two pods of 1500m: each should have one"
    return None


def _check_pack(score: Score) -> str | None:
    with _cluster(score, **{"node-1": "4", "node-2": "4", "node-3": "4"}) as cluster:
        placed = place(cluster, *(pod(f"p{n}", "500m") for n in range(6)))
        if problem := _placement_problem(cluster, placed):
            return problem
        if len(set(placed.values())) != 1:
            return f"three equal nodes, six small pods: one node is enough ({_counts(placed)})"
    with _cluster(score, **SIZES) as cluster:
        place(cluster, *(pod(f"tiny-{n}", "10m", nodeName="large") for n in range(3)))
        place(cluster, pod("old", "2", nodeName="medium"))
        placed = place(cluster, *(pod(f"p{n}", "500m") for n in range(3)))
        if problem := _placement_problem(cluster, placed):
            return problem
        if set(placed.values()) != {"medium"}:
            return (
                "large has three pods of 10m, medium has one of 2 cores: medium is fuller "
                f"({_counts(placed)}); compare the millicores with what the node offers"
            )
    return _no_node_fits(score)


def _check_spread(score: Score) -> str | None:
    with _cluster(score, **{"node-1": "4", "node-2": "4", "node-3": "4"}) as cluster:
        placed = place(cluster, *(pod(f"p{n}", "500m") for n in range(6)))
        if problem := _placement_problem(cluster, placed):
            return problem
        if sorted(Counter(placed.values()).values()) != [2, 2, 2]:
            return f"three equal nodes, six pods: two on each would be even ({_counts(placed)})"
    with _cluster(score, **SIZES) as cluster:
        placed = place(cluster, *(pod(f"p{n}", "1") for n in range(7)))
        if problem := _placement_problem(cluster, placed):
            return problem
        if Counter(placed.values()) != {"large": 4, "medium": 2, "small": 1}:
            full = {row.name: round(100 * row.share("cpu")) for row in read_nodes(cluster).rows}
            return (
                "nodes of 8, 4 and 2 cores, seven pods of 1 core: half of each would be even; "
                f"yours are {full['large']} %, {full['medium']} % and {full['small']} % full"
            )
    return _no_node_fits(score)


def _packs(pod: Document, node: NodeInfo) -> float:
    return float(100 * node.requested.cpu_milli / node.allocatable.cpu_milli)


def _spreads(pod: Document, node: NodeInfo) -> float:
    return 100 - _packs(pod, node)


def _millicores(pod: Document, node: NodeInfo) -> int:
    return int(node.requested.cpu_milli)


def _counts_pods(pod: Document, node: NodeInfo) -> int:
    return 10 * len(node.pods)


def _fewest_pods(pod: Document, node: NodeInfo) -> int:
    return 100 - 10 * len(node.pods)


# -- a pod that waits -----------------------------------------------------------------------------


def stuck() -> Cluster:
    """Return a cluster in which the pod `report` waits; it needs 3 cores and a fast disk."""
    cluster = Cluster(nodes=0, seed=7, hpa=False)
    cluster.add_node("node-1", cpu="4", labels={"disk": "ssd"})
    cluster.add_node("node-2", cpu="4", labels={"disk": "ssd"})
    cluster.add_node("node-3", cpu="8")
    cluster.sleep(1)
    place(cluster, pod("shop", "2", "1Gi", nodeName="node-1"))
    cluster.node("node-2").taint("dedicated=reports:NoSchedule")
    place(cluster, pod("report", "3", "1Gi", nodeSelector={"disk": "ssd"}))
    return cluster


def _check_change(change: Document) -> str | None:
    if len(change) != 1:
        return 'answer with a dict of one field of the spec: {"field": value}'
    with stuck() as cluster:
        spec = cluster.api.get(POD, "report")["spec"]
        if list(change) == ["tolerations"]:
            change = {"tolerations": [*spec.get("tolerations", []), *change["tolerations"]]}
        try:
            cluster.api.patch("Pod", "report", {"spec": change}, patch_type="strategic")
        except StatusError as error:
            first = str(error.message).splitlines()[0][:160]
            return f"the API server does not allow that change to an existing pod: {first}"
        cluster.sleep(15)
        if not where(cluster, "report"):
            message = cluster.explain("pod/report").latest.verdict
            return f"it still waits: {message.partition(' preemption')[0]}"
        added = cluster.api.get(POD, "report")["spec"]["tolerations"]
        if any(not toleration.get("key") for toleration in added):
            return "it runs, but now it tolerates every taint, even that of a failed node; name the key"
    return None


_TOLERATION = {"key": "dedicated", "operator": "Equal", "value": "reports", "effect": "NoSchedule"}


# -- a whole scheduler ----------------------------------------------------------------------------

WORKLOADS = (  # CPU, memory
    ("1", "3Gi"),
    ("2", "1Gi"),
    ("1", "3Gi"),
    ("500m", "2Gi"),
    ("1500m", "512Mi"),
    ("500m", "3Gi"),
    ("1", "1Gi"),
    ("500m", "2Gi"),
)


def _scheduled(choose: PlacementPolicy | None, name: str) -> Cluster:
    """Return four nodes of 4 cores and 8 GiB with all pods, and a giant one without room."""
    own = {"own": choose} if choose is not None else None
    cluster = Cluster(nodes=4, seed=7, hpa=False, schedulers=own)
    cluster.sleep(1)
    pods = [
        pod(f"p{n}", cpu, memory, schedulerName=name) for n, (cpu, memory) in enumerate(WORKLOADS)
    ]
    place(cluster, *pods, pod("giant", "5", "1Gi", schedulerName=name))
    return cluster


def nodes_of_the_default() -> int:
    """Return the number of nodes that the default scheduler uses for the pods."""
    with _scheduled(None, "default-scheduler") as cluster:
        return sum(bool(row.pods) for row in read_nodes(cluster).rows)


def _check_scheduler(policy: type) -> str | None:
    with _scheduled(policy(), "own") as cluster:
        errors = cluster.analytics.since(level="error", component="own").rows
        if errors:
            return errors[0].message
        if where(cluster, "giant"):
            return "`giant` requests 5 cores, and no node has them: return None for it"
        for number in range(len(WORKLOADS)):
            status = cluster.api.get(POD, f"p{number}")["status"]
            if status["phase"] == "Failed":
                node = where(cluster, f"p{number}")
                return f"{node} was overloaded: its kubelet rejected p{number} ({status['reason']})"
            if not where(cluster, f"p{number}"):
                return f"p{number} has no node, although there was room"
        used = sum(bool(row.pods) for row in read_nodes(cluster).rows)
    if used >= (best := nodes_of_the_default()):
        return f"no node is overloaded, but it uses {used} nodes; the default scheduler uses {best}"
    return None


class Packer:
    """The solution: of the nodes with room, choose the fullest one."""

    name = "Packer"

    def choose(self, pod: Document, nodes: list[NodeInfo]) -> NodeInfo | None:
        """Return a node, or None."""
        cpu, memory = asks(pod)
        fitting = [
            node
            for node in nodes
            if node.requested.cpu_milli + cpu <= node.allocatable.cpu_milli
            and node.requested.memory_bytes + memory <= node.allocatable.memory_bytes
        ]
        return max(fitting, key=lambda node: node.requested.cpu_milli, default=None)


class _LooksAtCpuAlone:
    name = "LooksAtCpuAlone"

    def choose(self, pod: Document, nodes: list[NodeInfo]) -> NodeInfo | None:
        cpu, _memory = asks(pod)
        for node in nodes:
            if node.requested.cpu_milli + cpu <= node.allocatable.cpu_milli:
                return node
        return None


class _Spreader(Packer):
    def choose(self, pod: Document, nodes: list[NodeInfo]) -> NodeInfo | None:
        emptiest = sorted(nodes, key=lambda node: node.requested.cpu_milli)
        return super().choose(pod, emptiest[:1])


q1 = Task(
    "5.1",
    "a score that packs",
    with_errors(_check_pack, "score"),
    (
        "node.requested.cpu_milli is requested already, node.allocatable.cpu_milli is available.",
        "A fuller node gets more points: 0 for an empty node, 100 for a full one.",
        "return 100 * node.requested.cpu_milli / node.allocatable.cpu_milli",
    ),
    """def score(pod, node):
    return 100 * node.requested.cpu_milli / node.allocatable.cpu_milli""",
    _packs,
    (_millicores, _counts_pods),
    a_score("pod", "node"),
)

q2 = Task(
    "5.2",
    "a score that spreads",
    with_errors(_check_spread, "score"),
    (
        "The same numbers, but the opposite order.",
        "A node of 8 cores should get twice as much as one of 4: compare shares, not pods.",
        "100 minus what you returned in 5.1",
    ),
    """def score(pod, node):
    return 100 - 100 * node.requested.cpu_milli / node.allocatable.cpu_milli""",
    _spreads,
    (_packs, _fewest_pods),
    a_score("pod", "node"),
)

q3 = Task(
    "5.3",
    "the smallest change",
    _check_change,
    (
        "The pod needs its 3 cores and its disk. What keeps it away from node-2?",
        "The taint of node-2 is dedicated=reports:NoSchedule; spec.tolerations is a list.",
        'A toleration: {"key": ..., "operator": "Equal", "value": ..., "effect": ...}',
    ),
    '{"tolerations": [{"key": "dedicated", "operator": "Equal", "value": "reports",\n'
    '                  "effect": "NoSchedule"}]}',
    {"tolerations": [_TOLERATION]},
    (
        {"containers": [{"name": "main", "resources": {"requests": {"cpu": "2"}}}]},
        {"tolerations": [{"operator": "Exists"}]},
        {"tolerations": [{**_TOLERATION, "effect": "NoExecute"}]},
    ),
    a_dict('{"field": value}'),
)

bonus = Task(
    "5.4",
    "a scheduler that packs (bonus)",
    with_errors(_check_scheduler, "choose"),
    (
        "First select the nodes with room for both CPU and memory; asks(pod) returns how much.",
        "If there is none, return None. Otherwise return the one with the largest requested.cpu_milli.",
        "max(fitting, key=lambda node: node.requested.cpu_milli, default=None)",
    ),
    """class Packer:
    def choose(self, pod, nodes):
        from lessons.pods import asks
        cpu, memory = asks(pod)
        fitting = [
            node for node in nodes
            if node.requested.cpu_milli + cpu <= node.allocatable.cpu_milli
            and node.requested.memory_bytes + memory <= node.allocatable.memory_bytes
        ]
        return max(fitting, key=lambda node: node.requested.cpu_milli, default=None)""",
    Packer,
    (_LooksAtCpuAlone, _Spreader),
    a_class("Packer", "choose", "pod", "nodes"),
)

questions = (
    Question(
        "A node uses 5 % of its CPU, but its pods request all of it. A new pod requests 1 core. Does it fit?",
        {
            "a": ("it fits: the CPU is idle", False, "the scheduler does not consider actual use"),
            "b": (
                "it does not fit",
                True,
                "requests count, not use; requests that are too high leave the node idle",
            ),
            "c": ("it depends on the limits", False, "limits do not matter for this decision"),
        },
    ),
    Question(
        "Two nodes have the same highest total. Which one gets the pod?",
        {
            "a": (
                "the first by name",
                False,
                "then the first node would fill up before all others",
            ),
            "b": ("the one with fewer pods", False, "only the total counts"),
            "c": (
                "one of them, chosen at random",
                True,
                "with equal chances; here the cluster's seed makes the run repeatable",
            ),
        },
    ),
    Question(
        "A pod of high priority fits on no node. Preemption finds a victim. What happens next?",
        {
            "a": (
                "the victim is deleted, and the pod waits until it has ended",
                True,
                "in the meantime status.nominatedNodeName reserves the room for it",
            ),
            "b": (
                "the pod takes the victim's place at once",
                False,
                "the victim has its grace period; until it has ended, it occupies its room",
            ),
            "c": (
                "the victim moves to another node",
                False,
                "pods never move: the victim is deleted",
            ),
        },
    ),
)
