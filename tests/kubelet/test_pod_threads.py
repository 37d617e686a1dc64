"""Pods with several containers and probes on real threads: they stop at once, and lose nothing."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from kubelet_world import a_pod, container

from kubesim import Cluster


def pods_with_everything(count: int) -> list[dict[str, Any]]:
    """An init container, a sidecar, two main containers, three probes, a slow stop."""
    quick = {"httpGet": {"port": 80}, "periodSeconds": 1}
    web = container("web", readinessProbe=quick, livenessProbe=quick, startupProbe=quick)
    proxy = container("proxy", restartPolicy="Always", startupProbe=quick)
    notes = {
        "probe.web": {"started_after_seconds": 2, "ready_after_seconds": 3, "flaky": 0.1},
        "stop-seconds": "3",
        "stop-seconds.proxy": "never",
        "run-seconds.log": "7",
        "exit-code.log": "1",
    }
    return [
        a_pod(
            f"p{number}",
            web,
            container("log"),
            init=(container("prepare"), proxy),
            notes=notes,
            terminationGracePeriodSeconds=10,
        )
        for number in range(count)
    ]


def pod_threads() -> int:
    return sum(thread.name.startswith("pod/") for thread in threading.enumerate())


@pytest.mark.live
def test_threads_of_pods_end_with_their_pods() -> None:
    """Forty pods are deleted while they start, probe, crash and stop: no thread, no failure."""
    with Cluster(nodes=2, seed=1, hpa=False, clock="live", speed=50) as cluster:
        for made in pods_with_everything(40):
            cluster.api.create(made)
        assert cluster.wait_until(
            lambda: sum(p["status"] == "Running" for p in cluster.api.list_pods()) > 20, 3_000
        )
        for record in cluster.api.list_pods():
            cluster.api.delete("Pod", record["name"])
        assert cluster.wait_until(lambda: cluster.api.list_pods() == [], 3_000)
        assert cluster.wait_until(lambda: pod_threads() == 0, 3_000)
        assert not cluster.failures


@pytest.mark.live
def test_closing_a_cluster_does_not_wait_for_any_grace() -> None:
    """Pods that ignore SIGTERM, in the middle of their stop, end with their cluster."""
    with Cluster(nodes=1, seed=1, hpa=False, clock="live", speed=10) as cluster:
        for number in range(20):
            cluster.api.create(a_pod(f"p{number}", notes={"stop-seconds": "never"}))
        assert cluster.wait_until(
            lambda: [p["status"] for p in cluster.api.list_pods()] == ["Running"] * 20, 3_000
        )
        assert pod_threads() == 20
        for number in range(20):
            cluster.api.delete("Pod", f"p{number}", grace_period_seconds=3600)
        cluster.sleep(5)
        assert len(cluster.api.list_pods()) == 20
    assert pod_threads() == 0


@pytest.mark.parametrize("shuffle", [1, 2, 3])
def test_the_order_of_workers_in_an_instant_does_not_matter(shuffle: int) -> None:
    """Run with shuffled ties, every pod ends where it ends in order."""
    from kubesim.clock import VirtualClock

    def ends(clock: Any) -> dict[str, tuple[str, tuple[int, ...]]]:
        with Cluster(nodes=2, seed=1, hpa=False, clock=clock) as cluster:
            for made in pods_with_everything(6):
                cluster.api.create(made)
            cluster.sleep(120)
            found = {}
            for pod in cluster.api.list("Pod")["items"]:
                status = pod["status"]
                restarts = [entry["restartCount"] for entry in status["containerStatuses"]]
                found[pod["metadata"]["name"]] = (status["phase"], restarts[1])
            assert not cluster.failures
            return found

    assert ends(VirtualClock(shuffle_seed=shuffle)) == ends("virtual")
