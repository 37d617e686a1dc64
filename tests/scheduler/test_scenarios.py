"""Whole clusters: preemption, gates, hints, spreading, sampling, and what must never happen."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from sched_builders import HOST, ZONE, node, pod

from kubesim import Cluster
from kubesim.errors import Conflict, Invalid
from kubesim.objects.pods import pod_requests
from kubesim.scheduler import CycleState, Framework, NodeInfo, Snapshot, default_profile
from kubesim.scheduler.framework.handle import Nominator
from kubesim.scheduler.framework.snapshot import by_zone
from kubesim.scheduler.search import Search, nodes_to_find

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
DB = {"key": "dedicated", "value": "db", "effect": "NoSchedule"}
WEB = {"app": "web"}


def cluster_of(*nodes: Any, seed: int = 1, **options: Any) -> Cluster:
    """Return a cluster of node objects without kubelets: pods keep the state of their binding."""
    cluster = Cluster(nodes=0, seed=seed, hpa=False, **options)
    for item in nodes:
        cluster.api.create(item)
    cluster.sleep(1)
    return cluster


def classes(cluster: Cluster, **values: int) -> None:
    """Create priority classes."""
    for name, value in values.items():
        cluster.api.create(
            {
                "kind": "PriorityClass",
                "apiVersion": "scheduling.k8s.io/v1",
                "metadata": {"name": name},
                "value": value,
            }
        )


def place(cluster: Cluster, *pods: Any, seconds: float = 2.0) -> dict[str, str]:
    """Create pods, let time pass; return node by pod name."""
    for item in pods:
        cluster.api.create(item)
        cluster.sleep(0.01)
    cluster.sleep(seconds)
    items = cluster.api.list("Pod")["items"]
    return {p["metadata"]["name"]: p["spec"].get("nodeName", "") for p in items}


def message_of(cluster: Cluster, name: str) -> tuple[str, str]:
    """Return reason and message of the pod's condition."""
    conditions = cluster.api.get("Pod", name)["status"]["conditions"]
    result = next(c for c in conditions if c["type"] == "PodScheduled")
    return result.get("reason", ""), result.get("message", "")


def events(cluster: Cluster, reason: str) -> list[dict[str, Any]]:
    """Return the Events with a reason."""
    return [e for e in cluster.api.list("Event")["items"] if e["reason"] == reason]


# -- messages -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offered", "second"),
    [
        (
            "2",
            "2 No preemption victims found for incoming pod, "
            "3 Preemption is not helpful for scheduling.",
        ),
        ("900m", "5 Preemption is not helpful for scheduling."),
    ],
)
def test_worked_example_nine(offered: str, second: str) -> None:
    """Two nodes short of cpu, three tainted: the message to the letter."""
    small = [node(f"a{n}", cpu=offered) for n in range(2)]
    tainted = [node(f"t{n}", taints=[DB]) for n in range(3)]
    with cluster_of(*small, *tainted) as cluster:
        if offered == "2":
            place(cluster, *(pod(f"old-{n}", "1500m") for n in range(2)))
        place(cluster, pod("p", "1"))
        assert message_of(cluster, "p") == (
            "Unschedulable",
            "0/5 nodes are available: 2 Insufficient cpu, 3 node(s) had untolerated taint "
            f"{{dedicated: db}}. preemption: 0/5 nodes are available: {second}",
        )


def test_pinned_and_conflicting_names() -> None:
    """Nodes outside a narrowed set have one reason; a conflict refuses the pod outright."""

    def pinned(*names: str) -> dict[str, Any]:
        fields = [{"key": "metadata.name", "operator": "In", "values": [n]} for n in names]
        terms = {"nodeSelectorTerms": [{"matchFields": fields}]}
        return {"affinity": {"nodeAffinity": {REQUIRED: terms}}}

    with cluster_of(*(node(f"n{n}", cpu="1") for n in range(3))) as cluster:
        place(cluster, pod("p", "2", **pinned("n1")), pod("q", **pinned("n1", "n2")))
        other = "2 node(s) didn't satisfy plugin(s) [NodeAffinity]"
        tail = "preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling."
        assert message_of(cluster, "p")[1] == (
            f"0/3 nodes are available: 1 Insufficient cpu, {other}. {tail}"
        )
        assert message_of(cluster, "q")[1] == (
            f"0/3 nodes are available: pod affinity terms conflict. {tail}"
        )
        assert place(cluster, pod("r", "1", **pinned("n2")))["r"] == "n2"


def test_an_unchanged_condition_is_written_once() -> None:
    """A repeated attempt increases the Event's count; after five minutes a pod is retried."""
    with Cluster(nodes=1, seed=1, hpa=False) as cluster:
        place(cluster, pod("p", "99"))
        before = cluster.api.get("Pod", "p")["metadata"]["resourceVersion"]
        cluster.sleep(400)
        assert attempts(cluster) == 2
        assert cluster.api.get("Pod", "p")["metadata"]["resourceVersion"] == before
        (event,) = events(cluster, "FailedScheduling")
        assert event["count"] == 2
        one, two = cluster.explain("pod/p").decisions
        assert one.renderer is two.renderer is not None  # kept once
        assert one.data["table"] == two.data["table"] != []


def test_an_event_that_is_too_long_is_cut_and_the_condition_is_not() -> None:
    """1,024 characters."""
    nodes = [node(f"n{n}", taints=[{**DB, "value": f"{'v' * 50}{n}"}]) for n in range(20)]
    with cluster_of(*nodes) as cluster:
        place(cluster, pod("p"))
        (event,) = events(cluster, "FailedScheduling")
        assert len(event["message"]) == 1024
        assert event["message"].endswith(" ...")
        assert len(message_of(cluster, "p")[1]) > 1024
        assert (event["action"], event["reportingComponent"]) == ("Scheduling", "default-scheduler")


# -- preemption -----------------------------------------------------------------------------------


def test_preemption_from_end_to_end() -> None:
    """The pod is nominated at once and bound when the victim is deleted."""
    with Cluster(nodes=2, seed=1, hpa=False, node_cpu="2") as cluster:
        cluster.sleep(1)
        classes(cluster, high=1000)
        slow = [{"name": "c", "image": "x", "resources": {"requests": {"cpu": "1500m"}}}]
        place(cluster, *(pod(f"low-{n}", containers=slow) for n in range(2)), seconds=5)
        seen: list[tuple[Any, Any, Any]] = []
        watch = cluster.api.watch("Pod")
        place(cluster, pod("big", "1", priorityClassName="high"), seconds=60)
        for event in watch.poll():
            seen.append(_state(event.object))
        victim = next(name for name, _, marked in seen if marked and name.startswith("low"))
        names = [p["metadata"]["name"] for p in cluster.api.list("Pod")["items"]]
        assert victim not in names and "big" in names
        big = cluster.api.get("Pod", "big")
        first = events(cluster, "FailedScheduling")[0]
        assert first["message"] == "0/2 nodes are available: 2 Insufficient cpu."
        (noted,) = events(cluster, "Preempted")
        where = big["spec"]["nodeName"]
        assert noted["message"] == f"Preempted by pod {big['metadata']['uid']} on node {where}"
        assert noted["involvedObject"]["name"] == victim
        assert (noted["related"]["name"], noted["action"]) == ("big", "Preempting")
        assert noted["type"] == "Normal"
        assert "Preempted by pod" in str(cluster.explain(f"pod/{victim}").history())
        states = [s for s in seen if s[0] == "big"]
        assert ("", where) in [(on, nominated) for _, (on, nominated), _ in states]


def _state(document: Any) -> tuple[str, tuple[str, str], bool]:
    status = document.get("status") or {}
    on, nominated = document["spec"].get("nodeName", ""), status.get("nominatedNodeName", "")
    marked = any(
        (c["type"], c.get("reason"), c.get("message"))
        == (
            "DisruptionTarget",
            "PreemptionByScheduler",
            "default-scheduler: preempting to accommodate a higher priority pod",
        )
        for c in status.get("conditions") or ()
    )
    return document["metadata"]["name"], (on, nominated), marked


def test_the_room_is_held_against_lower_pods_while_victims_go() -> None:
    """While a finalizer keeps the victim, a pod of higher priority may take the node."""
    with cluster_of(node(cpu="1")) as cluster:
        classes(cluster, high=1000, higher=2000)
        held = pod("low", "1")
        held["metadata"]["finalizers"] = ["example.com/hold"]
        place(cluster, held, pod("high", "1", priorityClassName="high"))
        assert cluster.api.get("Pod", "high")["status"]["nominatedNodeName"] == "n1"
        place(cluster, pod("same", "100m", priorityClassName="high"))
        assert message_of(cluster, "same")[1].startswith("0/1 nodes are available: 1 Insufficient")
        assert cluster.scheduler.statistics()["nominated"] == 1
        cluster.api.patch("Pod", "low", {"metadata": {"finalizers": []}})
        if cluster.api.peek("Pod", "low", "default") is not None:
            cluster.api.delete("Pod", "low", grace_period_seconds=0)
        cluster.sleep(30)
        nodes = place(cluster)
        assert (nodes["high"], nodes["same"]) == ("n1", "")


def test_a_pod_that_never_preempts_says_so() -> None:
    """preemptionPolicy Never of its class."""
    with cluster_of(node(cpu="1")) as cluster:
        cluster.api.create(
            {
                "kind": "PriorityClass",
                "apiVersion": "scheduling.k8s.io/v1",
                "metadata": {"name": "polite"},
                "value": 5,
                "preemptionPolicy": "Never",
            }
        )
        place(cluster, pod("low", "1"), pod("p", "1", priorityClassName="polite"))
        assert message_of(cluster, "p")[1] == (
            "0/1 nodes are available: 1 Insufficient cpu. preemption: not eligible due to "
            "preemptionPolicy=Never."
        )


def test_affinity_spread_and_preemption_with_budgets() -> None:
    """Preemption prefers the node whose pods no budget protects."""
    nodes = [node(f"n{z}", cpu="2", zone=z) for z in "abc"]
    with cluster_of(*nodes) as cluster:
        classes(cluster, high=1000)
        spread = [
            {
                "maxSkew": 1,
                "topologyKey": ZONE,
                "whenUnsatisfiable": "DoNotSchedule",
                "labelSelector": {"matchLabels": WEB},
            }
        ]
        webs = [
            pod(f"web-{n}", "1500m", labels=WEB, topologySpreadConstraints=spread) for n in range(3)
        ]
        placed = place(cluster, *webs)
        assert sorted(placed.values()) == ["na", "nb", "nc"]
        protected = {k: v for k, v in placed.items() if v != "nb"}
        for name in protected:
            cluster.api.patch("Pod", name, {"metadata": {"labels": {"keep": "yes"}}})
        new = cluster.api.create(
            {
                "kind": "PodDisruptionBudget",
                "apiVersion": "policy/v1",
                "metadata": {"name": "keep"},
                "spec": {"minAvailable": 2, "selector": {"matchLabels": {"keep": "yes"}}},
            }
        )
        assert new["spec"]["minAvailable"] == 2
        cluster.sleep(1)
        nodes_now = place(cluster, pod("big", "1", priorityClassName="high"), seconds=40)
        assert (
            nodes_now["big"] == "nb"
            or cluster.api.get("Pod", "big")["status"]["nominatedNodeName"] == "nb"
        )
        deleted = {e["involvedObject"]["name"] for e in events(cluster, "Preempted")}
        assert deleted == {k for k, v in placed.items() if v == "nb"}


# -- gates and hints ------------------------------------------------------------------------------


def test_gates_hold_a_pod_until_the_last_one_is_removed() -> None:
    """Gated pods leave no Event; gates can be removed, but not added."""
    with cluster_of(node()) as cluster:
        gates = [{"name": "example.com/a"}, {"name": "example.com/b"}]
        place(cluster, pod("p", schedulingGates=gates))
        message = "Scheduling is blocked due to non-empty scheduling gates"
        assert message_of(cluster, "p") == ("SchedulingGated", message)
        assert events(cluster, "FailedScheduling") == []
        waits = "before its 2 scheduling gates (example.com/a, example.com/b) are removed"
        assert waits in cluster.explain("pod/p").latest.verdict
        more = {"spec": {"schedulingGates": [{"name": "example.com/c"}]}}
        with pytest.raises(Invalid, match="only deletion is allowed"):
            cluster.api.patch("Pod", "p", more)
        cluster.api.patch("Pod", "p", {"spec": {"schedulingGates": gates[:1]}})
        cluster.sleep(1)
        assert place(cluster)["p"] == ""
        cluster.api.patch("Pod", "p", {"spec": {"schedulingGates": []}})
        cluster.sleep(1)
        assert place(cluster)["p"] == "n1"


def attempts(cluster: Cluster) -> int:
    """Return the number of attempts."""
    return int(cluster.scheduler.statistics()["attempts"])


def test_only_what_could_help_wakes_a_pod() -> None:
    """A pod refused for a taint is retried after a removed taint, not after a deleted pod."""
    with cluster_of(node("n1", taints=[DB]), node("n2", cpu="1")) as cluster:
        place(cluster, pod("other", "1"), pod("p", nodeSelector={HOST: "n1"}))
        cluster.sleep(20)
        before = attempts(cluster)
        cluster.api.delete("Pod", "other", grace_period_seconds=0)
        cluster.api.patch("Node", "n2", {"metadata": {"labels": {"x": "y"}}})
        cluster.sleep(5)
        assert attempts(cluster) == before
        cluster.api.patch("Node", "n1", {"spec": {"taints": []}})
        cluster.sleep(5)
        assert place(cluster)["p"] == "n1"


def test_a_toleration_added_to_the_pod_wakes_it() -> None:
    """A change of the pod itself is an event."""
    with cluster_of(node(taints=[DB])) as cluster:
        place(cluster, pod("p"))
        result = cluster.api.get("Pod", "p")["spec"]["tolerations"]
        cluster.sleep(20)
        cluster.api.patch("Pod", "p", {"spec": {"tolerations": [*result, DB]}})
        cluster.sleep(1)
        assert place(cluster)["p"] == "n1"


def test_a_small_node_does_not_wake_a_big_pod() -> None:
    """Only a node that is large enough requeues the pod."""
    with cluster_of(node(cpu="1")) as cluster:
        place(cluster, pod("p", "2"))
        cluster.sleep(20)
        before = attempts(cluster)
        cluster.api.create(node("small", cpu="1"))
        cluster.sleep(5)
        assert attempts(cluster) == before
        cluster.api.create(node("large", cpu="2"))
        cluster.sleep(5)
        assert place(cluster)["p"] == "large"


def test_without_any_node_a_pod_is_tried_again_and_again() -> None:
    """A failed attempt has no plug-in to ask: 1, 2, 4, 8, 10 s."""
    with Cluster(nodes=0, seed=1, hpa=False) as cluster:
        place(cluster, pod("p"), seconds=14.5)
        assert attempts(cluster) == 4
        assert message_of(cluster, "p") == ("Unschedulable", "no nodes available to schedule pods")


# -- the search -----------------------------------------------------------------------------------


def test_how_many_nodes_are_looked_at() -> None:
    """The figures of the specification."""
    expected = {99: 99, 250: 120, 1000: 420, 5000: 500, 6000: 300}
    assert {n: nodes_to_find(n) for n in expected} == expected
    assert (nodes_to_find(1000, 10), nodes_to_find(1000, 1), nodes_to_find(500, 100)) == (
        100,
        100,
        500,
    )


def test_nodes_are_searched_by_zone_in_turn() -> None:
    """First of each zone, second of each; zones as they first appear."""
    names = ["a1", "a2", "a3", "b1", "c1", "c2"]
    infos = [NodeInfo(node(n, zone=n[0])) for n in names]
    assert [n.name for n in by_zone(infos)] == ["a1", "b1", "c1", "a2", "c2", "a3"]
    assert by_zone([]) == []


def test_the_search_goes_round() -> None:
    """The search continues after the last evaluated node, and wraps around."""
    from random import Random

    nodes = [node(f"n{n:03d}", taints=[DB] if n % 2 else []) for n in range(250)]
    search = Search(Framework(default_profile()), Nominator(), Random(1), 0)
    seen: list[tuple[int, str, str]] = []
    snapshot = Snapshot.of(nodes)
    for _ in range(3):
        from kubesim.scheduler import Cycle

        cycle = Cycle()
        assert search.find_node(pod("p", "1"), CycleState(snapshot), cycle) is not None
        looked = list(cycle.statuses)
        assert len(cycle.feasible) == 120
        seen.append((len(looked), looked[0], looked[-1]))
    assert seen == [(239, "n000", "n238"), (240, "n239", "n228"), (240, "n229", "n218")]


def test_a_pod_that_fits_one_node_is_not_scored() -> None:
    """PreScore and Score do not run."""
    with cluster_of(node("n1"), node("n2", taints=[DB])) as cluster:
        place(cluster, pod("p"))
        assert cluster.explain("pod/p").latest.binding == "n1 is the only feasible node"


# -- what must never happen -----------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(6))
def test_bound_pods_never_exceed_what_a_node_offers(seed: int) -> None:
    """No node is overcommitted, with priorities and preemption."""
    from random import Random

    rng = Random(seed)
    nodes = [node(f"n{n}", cpu=f"{rng.randint(1, 4)}", pods="5") for n in range(4)]
    with cluster_of(*nodes, seed=seed) as cluster:
        classes(cluster, high=1000, mid=10)
        for n in range(40):
            name = rng.choice(["", "high", "mid"])
            more = {"priorityClassName": name} if name else {}
            cluster.api.create(pod(f"p{n}", f"{rng.randint(1, 15) * 100}m", "64Mi", **more))
            if rng.random() < 0.3:
                living = cluster.api.list("Pod")["items"]
                deleted = rng.choice(living)["metadata"]["name"]
                cluster.api.delete("Pod", deleted, grace_period_seconds=0)
            cluster.sleep(rng.random() * 3)
            used: Counter[str] = Counter()
            pods: Counter[str] = Counter()
            for item in cluster.api.list("Pod")["items"]:
                if on := item["spec"].get("nodeName"):
                    used[on] += pod_requests(item).cpu_milli
                    pods[on] += 1
            for item in nodes:
                offered = NodeInfo(item).allocatable.cpu_milli
                assert used[item["metadata"]["name"]] <= offered
                assert pods[item["metadata"]["name"]] <= 5


def test_garbage_in_a_node_s_status_does_not_stop_the_scheduler() -> None:
    """An image without a size is ignored."""
    strange = node("strange")
    strange["status"]["images"] = [{"names": ["x:1"], "sizeBytes": "big"}, {"names": ["y"]}]
    with cluster_of(strange) as cluster:
        assert place(cluster, pod("good"))["good"] == "strange"
        assert list(cluster.failures) == []


def test_a_pod_that_is_being_deleted_is_skipped() -> None:
    """A terminating pod is not scheduled, and an Event says why."""
    with cluster_of(node(unschedulable=True)) as cluster:
        held = pod("p")
        held["metadata"]["finalizers"] = ["example.com/hold"]
        place(cluster, held)
        cluster.api.delete("Pod", "p")
        cluster.api.patch("Node", "n1", {"spec": {"unschedulable": False}})
        cluster.sleep(5)
        assert cluster.api.get("Pod", "p")["spec"].get("nodeName", "") == ""
        notes = [e["message"] for e in events(cluster, "FailedScheduling")]
        assert "skip schedule deleting pod: default/p" in notes


@pytest.mark.parametrize("seed", range(4))
def test_conflicts_and_shuffled_ties_lose_no_pod(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With 10 % Conflicts the important pods run in the end."""
    from random import Random

    from kubesim.clock import VirtualClock

    rng = Random(seed)
    clock = VirtualClock(shuffle_seed=seed)
    with Cluster(nodes=2, seed=seed, hpa=False, node_cpu="2", clock=clock) as cluster:
        cluster.sleep(1)
        classes(cluster, high=1000)
        commit = cluster.api.core.commit

        def flaky(*arguments: Any, **options: Any) -> Any:
            if clock.current_worker() and rng.random() < 0.1:
                raise Conflict("injected")
            return commit(*arguments, **options)

        monkeypatch.setattr(cluster.api.core, "commit", flaky)
        for n in range(4):
            cluster.api.create(pod(f"low-{n}", "900m"))
        cluster.sleep(20)
        for n in range(2):
            cluster.api.create(pod(f"high-{n}", "1500m", priorityClassName="high"))
        cluster.sleep(200)
        placed = {
            p["metadata"]["name"]: p["spec"].get("nodeName", "")
            for p in cluster.api.list("Pod")["items"]
        }
        assert {placed["high-0"], placed["high-1"]} == {"node-1", "node-2"}
        assert not [name for name, on in placed.items() if on and name.startswith("low")]
        assert cluster.scheduler.statistics()["nominated"] == 0
        for info in cluster.scheduler.cache.nodes.values():
            assert info.requested.cpu_milli == 1500
