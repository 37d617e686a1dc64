"""Limits, deadlines, gates; why a pod was restarted or refused; the same seed, the same life."""

from __future__ import annotations

from typing import Any

import pytest
from kubelet_world import a_pod, condition, container, main, probe, reasons, status

from kubesim import Cluster
from kubesim.kubelet import ImagePulls, KubeletConfig


@pytest.fixture
def cluster() -> Any:
    """One node, no autoscaler."""
    with Cluster(nodes=1, seed=1, hpa=False) as made:
        yield made


def test_a_leak_meets_its_limit(cluster: Cluster) -> None:
    """OOMKilled with 137, a new process with fresh memory, CrashLoopBackOff, no event of it."""
    web = container(resources={"limits": {"memory": "100M", "cpu": "40m"}})
    notes = {"workload": {"model": "leak", "start_mb": 50, "mb_per_second": 5}}
    cluster.api.create(a_pod("p", web, notes=notes))
    cluster.sleep(11.5)
    assert cluster.api.sample("default", "p")[2] == (("main", 40, 95_000_000),)  # type: ignore[index]
    cluster.sleep(3)
    ended = main(cluster)["lastState"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (137, "OOMKilled")
    assert main(cluster)["restartCount"] == 1
    assert cluster.api.sample("default", "p")[2][0][2] < 60_000_000  # type: ignore[index]
    cluster.sleep(12)
    assert main(cluster)["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert "OOMKilled" not in " ".join(reasons(cluster))
    assert "OOMKilled" in cluster.explain("pod/p").latest.verdict
    assert cluster.explain("pod/p").latest.binding == "memory limit"


def test_only_the_container_above_its_limit_is_killed(cluster: Cluster) -> None:
    """Each container has its own model and its own limit."""
    limited = {"resources": {"limits": {"memory": "80M"}}}
    notes = {"workload.b": {"model": "leak", "mb_per_second": 10}}
    cluster.api.create(
        a_pod("p", container("a", **limited), container("b", **limited), notes=notes)
    )
    cluster.sleep(7.5)
    assert main(cluster, container="a")["restartCount"] == 0
    assert main(cluster, container="b")["restartCount"] == 1
    sample = {c[0]: c[2] for c in cluster.api.sample("default", "p")[2]}  # type: ignore[index]
    assert sample["a"] <= 80_000_000


def test_the_built_in_model_stays_below_a_limit(cluster: Cluster) -> None:
    """50 to 100 MB at random are cut to the limit, not killed."""
    web = container(resources={"limits": {"memory": "64M"}})
    cluster.api.create(a_pod("p", web))
    cluster.sleep(120)
    assert main(cluster)["restartCount"] == 0
    assert cluster.api.sample("default", "p")[2][0][2] <= 64_000_000  # type: ignore[index]


def test_a_pod_that_is_active_too_long(cluster: Cluster) -> None:
    """activeDeadlineSeconds: Failed, whatever its policy."""
    cluster.api.create(a_pod("p", activeDeadlineSeconds=20))
    cluster.sleep(19)
    assert status(cluster)["phase"] == "Running"
    cluster.sleep(2)
    found = status(cluster)
    assert (found["phase"], found["reason"]) == ("Failed", "DeadlineExceeded")
    assert found["message"] == "Pod was active on the node longer than the specified deadline"
    assert cluster.explain("pod/p").latest.binding == "DeadlineExceeded"
    assert "pod/default/p" not in cluster.clock.workers()


def test_readiness_gates_wait_for_somebody_else(cluster: Cluster) -> None:
    """Ready follows as soon as the condition is True."""
    cluster.api.create(a_pod("p", readinessGates=[{"conditionType": "lb/attached"}]))
    cluster.sleep(5)
    assert condition(cluster, "ContainersReady")["status"] == "True"
    assert condition(cluster, "Ready")["reason"] == "ReadinessGatesNotReady"
    pod = cluster.api.get("Pod", "p")
    pod["status"]["conditions"].append({"type": "lb/attached", "status": "True"})
    cluster.api.update_status(pod)
    cluster.sleep(1)
    assert condition(cluster, "Ready")["status"] == "True"


def test_why_a_pod_was_restarted_and_is_not_ready(cluster: Cluster) -> None:
    """Both leave records with their figures."""
    cluster.api.create(a_pod("crash", notes={"run-seconds": "5", "exit-code": "9"}))
    web = container(readinessProbe=probe(periodSeconds=5))
    cluster.api.create(a_pod("slow", web, notes={"probe": {"ready_after_seconds": 100}}))
    cluster.sleep(13)
    crash, slow = (cluster.explain(f"pod/{name}").latest for name in ("crash", "slow"))
    assert crash.data == {"restarts": 1, "delay_seconds": 10.0, "exit_code": 9}
    assert crash.binding == "back-off"
    assert slow.verdict == "container main is not ready"
    assert slow.binding == "readiness probe"


def test_why_a_node_refused_a_pod(cluster: Cluster) -> None:
    """With what it asked for, what is taken, and what the node offers."""
    big = container(resources={"requests": {"cpu": "5"}})
    cluster.api.create(a_pod("big", big, nodeName="node-1"))
    cluster.sleep(1)
    record = cluster.explain("pod/big").latest
    assert record.verdict == "refused: OutOfcpu"
    figures = record.steps[0].inputs
    assert (figures["cpu_milli"], figures["allocatable_cpu_milli"]) == (5000, 4000)


def test_the_same_seed_is_the_same_life() -> None:
    """Init containers, sidecars, flaky probes, pulls and leaks: one digest."""

    def digest(seed: int) -> str:
        config = KubeletConfig(image_pull=ImagePulls())
        with Cluster(nodes=2, seed=seed, hpa=False, digest=True, kubelet=config) as cluster:
            proxy = container("proxy", restartPolicy="Always")
            web = container(
                "web",
                image="web:1",
                livenessProbe=probe(periodSeconds=2),
                resources={"limits": {"memory": "150M"}},
            )
            notes = {
                "probe": {"flaky": 0.3},
                "workload.web": {"model": "leak", "mb_per_second": 0.5},
            }
            cluster.api.create(a_pod("p", web, init=(container("prepare"), proxy), notes=notes))
            cluster.sleep(900)
            return cluster.digest()

    assert digest(4) == digest(4)
    assert digest(4) != digest(5)


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({"nodeSelector": {"disk": "ssd"}}, "NodeAffinity"),
        ({"nodeSelector": {"kubernetes.io/os": "linux"}}, "TaintToleration"),
        ({"tolerations": [{"key": "gpu", "operator": "Exists"}]}, None),
    ],
)
def test_who_is_bound_by_hand_is_asked_again(
    cluster: Cluster, spec: dict[str, Any], reason: str | None
) -> None:
    """Selectors and NoExecute taints are the kubelet's business, too; NoSchedule is not."""
    cluster.sleep(1)
    node = cluster.api.get("Node", "node-1")
    node["spec"]["taints"] = [{"key": "busy", "effect": "NoSchedule"}]
    if reason != "NodeAffinity":
        node["spec"]["taints"].append({"key": "gpu", "effect": "NoExecute"})
    cluster.api.update(node)
    watch = cluster.api.watch("Pod")
    cluster.api.create(a_pod("p", nodeName="node-1", **spec))
    cluster.sleep(2)
    last = watch.poll()[-1].object["status"]
    assert (last.get("reason"), last["phase"]) == (reason, "Failed" if reason else "Running")
    if reason:
        assert last["message"].startswith(f"Pod was rejected: Predicate {reason} failed: node(s) ")
