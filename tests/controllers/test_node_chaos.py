"""Nodes under random actions: whatever happens, the cluster converges."""

from __future__ import annotations

from random import Random

import pytest
from node_cases import a_replicaset, ready_of, tainted_at, taints

from kubesim import Cluster
from kubesim.clock import VirtualClock
from kubesim.objects import meta
from kubesim.objects.pods import is_ready, node_of

NODES = 4
DEEDS = 25


def deed(cluster: Cluster, rng: Random) -> None:
    """Something that an administrator, or bad luck, does to a node."""
    node = cluster.node(f"node-{rng.randint(1, NODES)}")
    match rng.randrange(8):
        case 0 | 1:
            node.fail()
        case 2 | 3:
            node.recover()
        case 4:
            node.cordon()
        case 5:
            node.uncordon()
        case 6:
            node.drain(timeout_seconds=rng.choice([1, 20]), force=True)
        case 7:
            note = {"metadata": {"labels": {"topology.kubernetes.io/zone": rng.choice("ab")}}}
            cluster.api.patch("Node", node.name, note)
    cluster.sleep(rng.choice([0.0, 1.0, 7.0, 60.0, 130.0, 400.0]))


def never(cluster: Cluster) -> None:
    """What may never be seen, at whatever moment."""
    dark = all(ready_of(cluster, f"node-{n}") != "True" for n in range(1, NODES + 1))
    for number in range(1, NODES + 1):
        name = f"node-{number}"
        keys = [text for text in taints(cluster, name) if text.endswith("NoExecute")]
        assert len(keys) <= 1, "not-ready and unreachable exclude each other"
        if ready_of(cluster, name) == "True":
            wrong = [t for t in taints(cluster, name) if t.startswith("unreachable:NoSchedule")]
            assert wrong == [], "NoSchedule follows the condition at once"
        if dark and cluster.clock.now() % 5 > 0.1:
            assert not tainted_at(cluster, name), "in the dark nobody is evicted"


@pytest.mark.parametrize("shuffled", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_after_all_is_mended_everything_stands(seed: int, shuffled: bool) -> None:
    """All power back, all cordons off: nodes Ready and clean, and as many ready pods as wanted."""
    clock = VirtualClock(shuffle_seed=seed if shuffled else None)
    with Cluster(nodes=NODES, seed=seed, hpa=False, clock=clock) as cluster:
        rng = cluster.streams("test/deeds")
        cluster.api.create(a_replicaset(6))
        spec = {"maxUnavailable": 2, "selector": {"matchLabels": {"app": "web"}}}
        budget = {"kind": "PodDisruptionBudget", "metadata": {"name": "web"}, "spec": spec}
        cluster.api.create(budget)
        cluster.sleep(20)
        for _ in range(DEEDS):
            deed(cluster, rng)
            never(cluster)
        for number in range(1, NODES + 1):
            cluster.node(f"node-{number}").recover()
            cluster.node(f"node-{number}").uncordon()
        cluster.sleep(400)
        for number in range(1, NODES + 1):
            name = f"node-{number}"
            assert ready_of(cluster, name) == "True" and taints(cluster, name) == []
        pods = [p for p in cluster.api.list("Pod")["items"] if p["status"]["phase"] == "Running"]
        assert len(pods) == 6 and all(map(is_ready, pods))
        assert not any(map(meta.is_terminating, pods)) and all(map(node_of, pods))
        assert list(cluster.failures) == []


@pytest.mark.parametrize("seed", range(8))
def test_a_dead_node_whatever_the_order_of_an_instant(seed: int) -> None:
    """Lease renewal and check in the same second, in either order: at most one check later."""
    clock = VirtualClock(shuffle_seed=seed)
    with Cluster(nodes=3, seed=1, hpa=False, clock=clock) as cluster:
        cluster.api.create(a_replicaset(5))
        cluster.sleep(101)
        cluster.node("node-2").fail()
        cluster.sleep(53.9)
        assert ready_of(cluster, "node-2") == "True"
        cluster.sleep(120)
        assert tainted_at(cluster, "node-2") in ("2025-01-01T00:02:40Z", "2025-01-01T00:02:45Z")
        cluster.sleep(300)
        pods = [p for p in cluster.api.list("Pod")["items"] if not meta.is_terminating(p)]
        assert len(pods) == 5 and all(map(is_ready, pods))
        assert "node-2" not in set(map(node_of, pods))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("policy", ["Background", "Foreground", "Orphan"])
def test_deletions_whatever_the_order_of_an_instant(seed: int, policy: str) -> None:
    """Trees of owners in a namespace that is deleted at the same time: nothing is left."""
    clock = VirtualClock(shuffle_seed=seed)
    with Cluster(nodes=2, seed=1, hpa=False, clock=clock) as cluster:
        cluster.api.create({"kind": "Namespace", "metadata": {"name": "shop"}})
        for name in ("a", "b"):
            created = a_replicaset(3, name)
            created["metadata"]["namespace"] = "shop"
            cluster.api.create(created)
        cluster.sleep(10)
        cluster.api.delete("ReplicaSet", "a", "shop", propagation_policy=policy)
        cluster.sleep(seed % 3)
        cluster.api.delete("Namespace", "shop")
        assert cluster.wait_until(lambda: cluster.api.peek("Namespace", "shop") is None, 120)
        assert cluster.api.snapshot("Pod")[0] == [] and cluster.api.snapshot("ReplicaSet")[0] == []
        assert list(cluster.failures) == []


def test_actions_are_repeated_exactly() -> None:
    """Power cuts and drains are part of what a seed determines."""

    def run() -> str:
        with Cluster(nodes=NODES, seed=11, hpa=False, digest=True) as cluster:
            rng = cluster.streams("test/deeds")
            cluster.api.create(a_replicaset(6))
            for _ in range(12):
                deed(cluster, rng)
            return cluster.digest()

    assert run() == run()
