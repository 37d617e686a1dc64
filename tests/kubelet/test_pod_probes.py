"""Probes on virtual time: slow starts, flapping readiness, kills, and the source of the answers."""

from __future__ import annotations

from typing import Any

import pytest
from kubelet_world import a_pod, condition, container, events, main, probe, status

from kubesim import Cluster


@pytest.fixture
def cluster() -> Any:
    """One node, no autoscaler."""
    with Cluster(nodes=1, seed=1, hpa=False) as made:
        yield made


def test_a_slow_pod_is_ready_late(cluster: Cluster) -> None:
    """Unhealthy at every failed attempt, ready at the first good one, and no endpoint before."""
    web = container(readinessProbe=probe(periodSeconds=5, initialDelaySeconds=2))
    cluster.api.create(a_pod("p", web, notes={"probe": {"ready_after_seconds": 20}}))
    cluster.sleep(20)
    assert status(cluster)["phase"] == "Running"
    assert condition(cluster, "Ready")["message"] == "containers with unready status: [main]"
    assert main(cluster)["started"] is True
    cluster.sleep(10)
    assert condition(cluster, "Ready")["status"] == "True"
    assert condition(cluster, "Ready")["lastTransitionTime"] == "2025-01-01T00:00:23Z"
    unhealthy = [e for e in events(cluster) if e[1] == "Unhealthy"]
    said = "Readiness probe failed: HTTP probe failed with statuscode: 503"
    assert unhealthy == [("Warning", "Unhealthy", said, 4)]


def test_readiness_comes_and_goes_without_a_restart(cluster: Cluster) -> None:
    """Three failures in a row make it unready, one success ready again."""
    web = container(readinessProbe=probe(periodSeconds=2))
    notes = {"probe": {"fail_readiness_at": 10, "fail_seconds": 12}}
    cluster.api.create(a_pod("p", web, notes=notes))
    watch = cluster.api.watch("Pod")
    cluster.sleep(60)
    seen: list[tuple[str, str]] = []
    for event in watch.poll():
        for entry in event.object["status"].get("conditions", ()):
            item = (entry["status"], entry["lastTransitionTime"][-3:-1])
            if entry["type"] == "Ready" and item not in seen:
                seen.append(item)
    assert seen == [("False", "00"), ("True", "01"), ("False", "15"), ("True", "23")]
    assert main(cluster)["restartCount"] == 0


def test_a_failing_liveness_probe_costs_the_container_its_life(cluster: Cluster) -> None:
    """Killed at the third failure, started at once, killed again, then with back-off."""
    web = container(livenessProbe=probe(periodSeconds=5))
    cluster.api.create(a_pod("p", web, notes={"probe": {"fail_liveness_at": 10}}))
    cluster.sleep(21.5)
    killing = [m for _, r, m, _ in events(cluster) if r == "Killing"]
    assert killing == ["Container main failed liveness probe, will be restarted"]
    assert main(cluster)["restartCount"] == 1
    cluster.sleep(21)
    assert main(cluster)["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert status(cluster)["phase"] == "Running"
    said = "Liveness probe failed: HTTP probe failed with statuscode: 500"
    assert ("Warning", "Unhealthy", said, 6) in events(cluster)


def test_a_liveness_kill_gives_the_probe_s_own_grace(cluster: Cluster) -> None:
    """A process that hangs is killed with 137 after it."""
    web = container(
        livenessProbe=probe(periodSeconds=1, failureThreshold=1, terminationGracePeriodSeconds=7)
    )
    notes = {"probe": {"fail_liveness_at": 10}, "stop-seconds": "never"}
    cluster.api.create(a_pod("p", web, notes=notes))
    cluster.sleep(17.5)
    assert "running" in main(cluster)["state"]
    cluster.sleep(1)
    assert main(cluster)["restartCount"] == 1
    assert main(cluster)["lastState"]["terminated"]["exitCode"] == 137


def test_a_startup_probe_holds_the_others_back(cluster: Cluster) -> None:
    """A slow starter survives a liveness probe that would have killed it."""
    web = container(
        startupProbe=probe(periodSeconds=5, failureThreshold=10),
        livenessProbe=probe(periodSeconds=1, failureThreshold=1),
        readinessProbe=probe(periodSeconds=1),
    )
    notes = {"probe": {"started_after_seconds": 33, "ready_after_seconds": 40}}
    cluster.api.create(a_pod("p", web, notes=notes))
    cluster.sleep(35.5)
    assert (main(cluster)["started"], main(cluster)["ready"]) == (False, False)
    cluster.sleep(1)
    assert (main(cluster)["started"], main(cluster)["ready"]) == (True, False)
    cluster.sleep(5)
    assert (main(cluster)["restartCount"], main(cluster)["ready"]) == (0, True)


def test_a_failing_startup_probe_kills(cluster: Cluster) -> None:
    """After failureThreshold periods."""
    web = container(startupProbe=probe(periodSeconds=2, failureThreshold=5))
    cluster.api.create(a_pod("p", web, notes={"probe": {"started_after_seconds": 1000}}))
    cluster.sleep(9.5)
    assert main(cluster)["restartCount"] == 1
    killing = [m for _, r, m, _ in events(cluster) if r == "Killing"]
    assert killing == ["Container main failed startup probe, will be restarted"]


def test_an_answer_that_is_too_late_is_a_failure(cluster: Cluster) -> None:
    """timeoutSeconds, with the words of the HTTP client."""
    web = container(readinessProbe=probe(periodSeconds=5, timeoutSeconds=2))
    cluster.api.create(a_pod("p", web, notes={"probe": {"response_seconds": 3}}))
    cluster.sleep(20)
    assert condition(cluster, "Ready")["status"] == "False"
    said = next(m for _, r, m, _ in events(cluster) if r == "Unhealthy")
    assert "context deadline exceeded" in said


class Answers:
    """A model of a learner's that answers probes itself."""

    def usage(self, now: float, load: float | None) -> tuple[int, int]:
        """Nothing much."""
        return 10, 1_000_000

    def probe(self, kind: str, now: float) -> bool:
        """Ready in every second half minute."""
        return kind != "readiness" or now % 60 >= 30


def test_a_model_of_one_s_own_answers_probes() -> None:
    """Its method `probe(kind, now)` wins over the annotation."""
    with Cluster(nodes=1, hpa=False, workloads={"mine": lambda _c: Answers()}) as cluster:
        web = container(readinessProbe=probe(periodSeconds=1, failureThreshold=1))
        cluster.api.create(a_pod("p", web, notes={"workload": {"model": "mine"}}))
        cluster.sleep(20)
        assert condition(cluster, "Ready")["status"] == "False"
        cluster.sleep(20)
        assert condition(cluster, "Ready")["status"] == "True"
        cluster.sleep(25)
        assert condition(cluster, "Ready")["status"] == "False"
