"""Deletion on virtual time: hooks, graces, kills, sidecars, last words."""

from __future__ import annotations

from typing import Any

import pytest
from kubelet_world import a_pod, condition, container, events, main, probe

from kubesim import Cluster


@pytest.fixture
def cluster() -> Any:
    """One node, no autoscaler."""
    with Cluster(nodes=1, seed=1, hpa=False) as made:
        yield made


def gone(cluster: Cluster) -> bool:
    return cluster.api.peek("Pod", "p", "default") is None


@pytest.mark.parametrize(
    ("notes", "hook", "grace", "seconds", "code"),
    [
        ({}, None, None, 0, 0),
        ({"stop-seconds": "5"}, None, None, 5, 0),
        ({"stop-seconds": "5", "stop-exit-code": "143"}, None, None, 5, 143),
        ({"stop-seconds": "never"}, None, None, 30, 137),
        ({"stop-seconds": "never"}, None, 4, 4, 137),
        ({"stop-seconds": "3"}, {"sleep": {"seconds": 10}}, None, 13, 0),
        ({"stop-seconds": "never"}, {"sleep": {"seconds": 25}}, 10, 12, 137),
    ],
)
def test_how_long_a_deletion_takes(
    cluster: Cluster,
    notes: dict[str, str],
    hook: dict[str, Any] | None,
    grace: int | None,
    seconds: int,
    code: int,
) -> None:
    """The hook, the process, the grace; the last state is shown before the object goes."""
    web = container(**({"lifecycle": {"preStop": hook}} if hook else {}))
    cluster.api.create(a_pod("p", web, notes=notes))
    cluster.sleep(10)
    watch = cluster.api.watch("Pod")
    cluster.api.delete("Pod", "p", grace_period_seconds=grace)
    cluster.sleep(max(0, seconds - 0.5))
    assert gone(cluster) is (seconds == 0)
    cluster.sleep(1)
    assert gone(cluster)
    last = watch.poll()[-1]
    ended = last.object["status"]["containerStatuses"][0]["state"]["terminated"]
    assert (last.type, ended["exitCode"]) == ("DELETED", code)
    assert last.object["status"]["phase"] == ("Succeeded" if code == 0 else "Failed")


def test_a_second_deletion_may_only_shorten(cluster: Cluster) -> None:
    """From 30 to 10 seconds, counted from the first one."""
    cluster.api.create(a_pod("p", notes={"stop-seconds": "never"}))
    cluster.sleep(10)
    cluster.api.delete("Pod", "p")
    cluster.sleep(4)
    cluster.api.delete("Pod", "p", grace_period_seconds=20)
    cluster.api.delete("Pod", "p", grace_period_seconds=10)
    cluster.sleep(5.5)
    assert not gone(cluster)
    cluster.sleep(1)
    assert gone(cluster)


def test_sidecars_stop_after_the_main_containers_in_reverse(cluster: Cluster) -> None:
    """All inside one grace."""
    inits = tuple(container(name, restartPolicy="Always") for name in ("first", "second"))
    notes = {"stop-seconds": "2", "stop-seconds.first": "2", "stop-seconds.second": "3"}
    cluster.api.create(a_pod("p", container("web"), init=inits, notes=notes))
    cluster.sleep(10)
    cluster.api.delete("Pod", "p")
    cluster.sleep(1)
    for seconds, expected in (
        (0, ["web"]),
        (2, ["web", "second"]),
        (3, ["web", "second", "first"]),
    ):
        cluster.sleep(seconds)
        killing = [m.split()[-1] for _, r, m, _ in events(cluster) if r == "Killing"]
        assert killing == expected
    cluster.sleep(1.5)
    assert gone(cluster)


def test_readiness_goes_on_while_a_pod_stops_and_liveness_does_not(cluster: Cluster) -> None:
    """A draining pod may report that it is not ready; it is not killed for that."""
    web = container(readinessProbe=probe(periodSeconds=1), livenessProbe=probe(periodSeconds=1))
    notes = {
        "probe": {"fail_readiness_at": 10, "fail_liveness_at": 10},
        "stop-seconds": "20",
    }
    cluster.api.create(a_pod("p", web, notes=notes))
    cluster.sleep(8)
    cluster.api.delete("Pod", "p")
    cluster.sleep(10)
    assert condition(cluster, "Ready")["status"] == "False"
    assert [m for _, r, m, _ in events(cluster) if r == "Killing"] == ["Stopping container main"]


def test_a_last_word_is_kept(cluster: Cluster) -> None:
    """terminationMessage, in the state of the container."""
    notes = {"run-seconds": "2", "exit-code": "4", "termination-message": "disk is on fire"}
    cluster.api.create(a_pod("p", notes=notes, restartPolicy="Never"))
    cluster.sleep(5)
    assert main(cluster)["state"]["terminated"]["message"] == "disk is on fire"
    assert main(cluster)["state"]["terminated"]["reason"] == "Error"


def test_a_pod_that_waits_is_deleted_at_once(cluster: Cluster) -> None:
    """For an image, for a back-off: nothing runs, nothing has to stop."""
    cluster.api.create(a_pod("p", container(image="missing:1")))
    cluster.api.create(a_pod("q", notes={"run-seconds": "0", "exit-code": "1"}))
    cluster.sleep(30)
    for name in ("p", "q"):
        cluster.api.delete("Pod", name)
    cluster.sleep(0.5)
    assert cluster.api.list_pods() == []
    cluster.sleep(100)
    assert [w for w in cluster.clock.workers() if w.startswith("pod/")] == []


@pytest.mark.parametrize("node", ["node-1", "node-2"])
def test_a_pod_starts_while_the_worker_of_its_predecessor_still_stops(node: str) -> None:
    """Forced deletion frees the name at once, so that both pods exist at one instant."""
    with Cluster(nodes=2, seed=1, hpa=False) as cluster:
        cluster.api.create(a_pod("p", nodeName="node-1"))
        cluster.sleep(10)
        first = cluster.api.get("Pod", "p")["metadata"]["uid"]
        cluster.api.delete("Pod", "p", grace_period_seconds=0)
        cluster.api.create(a_pod("p", nodeName=node))
        cluster.sleep(10)
        pod = cluster.api.get("Pod", "p")
        assert pod["metadata"]["uid"] != first
        assert pod["status"]["phase"] == "Running"
        assert sum(k.statistics()["running"] for k in cluster.kubelets) == 1
        workers = [name for name in cluster.clock.workers() if name.startswith("pod/")]
        assert workers == [f"pod/default/p/{pod['metadata']['uid']}"]
        assert cluster.api.sample("default", "p") is not None
        cluster.api.delete("Pod", "p")
        cluster.sleep(40)
        assert gone(cluster)
        assert not [name for name in cluster.clock.workers() if name.startswith("pod/")]
