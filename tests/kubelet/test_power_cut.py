"""Power cuts and signs of life: what stays, what comes back, and how little an idle node writes."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from kubelet_world import a_pod, container, events, main

from kubesim import Cluster
from kubesim.kubelet import ImagePulls, Kubelet, KubeletConfig
from kubesim.kubelet.nodestatus import HEALTHY, report_is_due, reported_conditions

PRESSED = ("MemoryPressure", "True", "KubeletHasInsufficientMemory", "")


@pytest.fixture
def cluster() -> Any:
    """One node, no autoscaler."""
    with Cluster(nodes=1, seed=1, hpa=False, job_seconds=3_600) as made:
        yield made


def pod(name: str, policy: str = "Always", **annotations: str) -> dict[str, Any]:
    """A pod with one container."""
    return {
        "kind": "Pod",
        "metadata": {"name": name, "annotations": annotations},
        "spec": {"restartPolicy": policy, "containers": [{"name": "main", "image": "x"}]},
    }


def status_of(cluster: Cluster, name: str) -> dict[str, Any]:
    return cluster.api.get("Pod", name)["status"]


def the_kubelet(cluster: Cluster) -> Kubelet:
    return cluster.kubelets[0]


@pytest.mark.parametrize(
    ("facts", "seconds", "due"),
    [
        (HEALTHY, 0.0, False),
        (HEALTHY, 299.9, False),
        (HEALTHY, 300.0, True),
        ((PRESSED, *HEALTHY[1:]), 0.0, True),
    ],
)
def test_when_a_node_reports(facts: Any, seconds: float, due: bool) -> None:
    """At once when a condition differs; else when five minutes have passed."""
    reported = reported_conditions([], HEALTHY, "2025-01-01T00:00:00Z")
    assert report_is_due(reported, facts, seconds) is due


def test_a_report_moves_the_transition_only_of_what_changed() -> None:
    """Heartbeats are new everywhere; the conditions of others keep their place."""
    other = {"type": "NetworkUnavailable", "status": "False"}
    old = [other, *reported_conditions([], HEALTHY, "t0")]
    new = {c["type"]: c for c in reported_conditions(old, (PRESSED, *HEALTHY[1:]), "t1")}
    assert new["NetworkUnavailable"] == other
    assert new["MemoryPressure"]["lastTransitionTime"] == "t1"
    assert new["Ready"]["lastTransitionTime"] == "t0"
    assert {c["lastHeartbeatTime"] for t, c in new.items() if t != other["type"]} == {"t1"}


def test_an_idle_node_reports_each_five_minutes(cluster: Cluster) -> None:
    """Nothing but the lease in between."""
    watch = cluster.api.watch("Node")
    cluster.sleep(1)
    watch.poll()
    cluster.sleep(3000)
    assert len(watch.poll()) == 10
    ready = cluster.api.get("Node", "node-1")["status"]["conditions"][-1]
    assert ready["lastHeartbeatTime"] == "2025-01-01T00:50:00Z"
    assert ready["lastTransitionTime"] == "2025-01-01T00:00:00Z"


def test_a_kubelet_takes_back_what_others_say_of_it(cluster: Cluster) -> None:
    """A Ready=Unknown written by a controller lasts until the kubelet's next heartbeat."""
    cluster.sleep(15)
    node = cluster.api.get("Node", "node-1")
    node["status"]["conditions"][-1]["status"] = "Unknown"
    cluster.api.update_status(node)
    cluster.sleep(10)
    assert cluster.api.get("Node", "node-1")["status"]["conditions"][-1]["status"] == "True"


def test_a_deleted_node_is_not_registered_again(cluster: Cluster) -> None:
    """A kubelet registers when it starts, and never else; a restart brings the node back."""
    cluster.sleep(15)
    cluster.api.delete("Node", "node-1")
    cluster.sleep(400)
    assert cluster.api.peek("Node", "node-1") is None
    the_kubelet(cluster).fail()
    the_kubelet(cluster).recover()
    cluster.sleep(1)
    assert cluster.api.peek("Node", "node-1") is not None


def test_a_power_cut_leaves_every_object_and_moves_nothing(cluster: Cluster) -> None:
    """No lease, no report, no sample, no log; phase and readiness stand as they were."""
    cluster.api.create(pod("p"))
    cluster.sleep(15)
    before = status_of(cluster, "p")
    the_kubelet(cluster).fail()
    assert cluster.api.sample("default", "p") is None
    revision = cluster.store.revision
    cluster.sleep(20)
    watch = cluster.api.watch("Pod", resource_version=revision)
    assert watch.poll() == []
    assert status_of(cluster, "p") == before
    assert cluster.api.pod_logs("p") == []
    lease = cluster.api.get("Lease", "node-1", "kube-node-lease")
    assert lease["spec"]["renewTime"] == "2025-01-01T00:00:10.000000Z"
    assert not [name for name in cluster.clock.workers() if name.startswith(("pod/", "kubelet/"))]


def test_a_deleted_pod_hangs_until_the_power_is_back(cluster: Cluster) -> None:
    """Terminating while the node is dark, removed as soon as its kubelet lists its pods."""
    cluster.api.create(pod("p"))
    cluster.sleep(15)
    the_kubelet(cluster).fail()
    cluster.api.delete("Pod", "p")
    cluster.sleep(1000)
    assert "deletionTimestamp" in cluster.api.get("Pod", "p")["metadata"]
    the_kubelet(cluster).recover()
    cluster.sleep(1)
    assert cluster.api.peek("Pod", "p", "default") is None


@pytest.mark.parametrize(
    ("policy", "phase", "restarts"),
    [("Always", "Running", 1), ("OnFailure", "Running", 1), ("Never", "Failed", 0)],
)
def test_what_ran_is_started_again_by_its_policy(
    cluster: Cluster, policy: str, phase: str, restarts: int
) -> None:
    """Its containers ended with 255, reason Unknown; after that they start without back-off."""
    cluster.api.create(pod("p", policy))
    cluster.sleep(15)
    the_kubelet(cluster).fail()
    cluster.sleep(30)
    the_kubelet(cluster).recover()
    cluster.sleep(5)
    status = status_of(cluster, "p")
    state = status["containerStatuses"][0]
    assert (status["phase"], state["restartCount"]) == (phase, restarts)
    ended = state["lastState"] if restarts else state["state"]
    assert (ended["terminated"]["exitCode"], ended["terminated"]["reason"]) == (255, "Unknown")
    assert (cluster.api.sample("default", "p") is not None) is (phase == "Running")
    reasons = {e["reason"] for e in cluster.api.list("Event")["items"]}
    assert ("SandboxChanged" in reasons) is (phase == "Running")


def test_a_pod_that_was_forgotten_meanwhile_stays_gone(cluster: Cluster) -> None:
    """A pod that is force-deleted and created again during the outage starts for the first time."""
    cluster.api.create(pod("gone"))
    cluster.api.create(pod("again"))
    cluster.sleep(15)
    the_kubelet(cluster).fail()
    for name in ("gone", "again"):
        cluster.api.delete("Pod", name, grace_period_seconds=0)
    cluster.api.create({**pod("again"), "spec": {**pod("again")["spec"], "nodeName": "node-1"}})
    cluster.sleep(5)
    the_kubelet(cluster).recover()
    cluster.sleep(5)
    assert status_of(cluster, "again")["containerStatuses"][0]["restartCount"] == 0
    assert cluster.api.pod_logs("again").count("[tick] Pod is running...") <= 4
    assert "Pod default/gone is gone" in [line for _, line in the_kubelet(cluster).logs("", "")]


def test_failing_twice_and_recovering_twice_is_once(cluster: Cluster) -> None:
    """Both may be repeated."""
    cluster.api.create(pod("p"))
    cluster.sleep(5)
    kubelet = the_kubelet(cluster)
    kubelet.recover()
    for _ in range(2):
        kubelet.fail()
    for _ in range(2):
        kubelet.recover()
    cluster.sleep(5)
    assert status_of(cluster, "p")["containerStatuses"][0]["restartCount"] == 1
    assert cluster.clock.workers().count("pod/default/p") == 1


def test_a_run_with_a_power_cut_repeats() -> None:
    """Same seed, same digest of the whole history."""

    def digest() -> str:
        with Cluster(nodes=2, seed=5, digest=True) as cluster:
            cluster.sleep(30)
            cluster.kubelets[0].fail()
            cluster.sleep(100)
            cluster.kubelets[0].recover()
            cluster.sleep(400)
            return cluster.digest()

    assert digest() == digest()


@pytest.mark.live
def test_a_power_cut_on_threads() -> None:
    """The pods' threads end at once, and the returning node has new ones."""
    with Cluster(nodes=1, seed=1, hpa=False, clock="live", speed=50) as cluster:
        for number in range(20):
            cluster.api.create(pod(f"p{number}"))

        def running() -> int:
            return sum(thread.name.startswith("pod/") for thread in threading.enumerate())

        assert cluster.wait_until(lambda: running() == 20, 3_000)
        cluster.wait_until(
            lambda: all(record["status"] == "Running" for record in cluster.api.list_pods()), 3_000
        )
        the_kubelet(cluster).fail()
        assert running() == 0
        the_kubelet(cluster).recover()
        assert cluster.wait_until(lambda: running() == 20, 3_000)
        assert not cluster.failures


def test_a_returning_node_starts_a_pod_over_in_a_new_sandbox(cluster: Cluster) -> None:
    """Init containers run again, sidecars too; each has one restart more."""
    made = a_pod(
        "p",
        container("web"),
        init=(container("prepare"), container("proxy", restartPolicy="Always")),
        notes={"run-seconds.prepare": "5"},
    )
    cluster.api.create(made)
    cluster.sleep(15)
    the_kubelet(cluster).fail()
    cluster.sleep(10)
    the_kubelet(cluster).recover()
    cluster.sleep(3)
    assert "running" in main(cluster, container="prepare")["state"]
    assert "waiting" in main(cluster, container="web")["state"]
    assert status_of(cluster, "p")["phase"] == "Pending"
    cluster.sleep(5)
    assert status_of(cluster, "p")["phase"] == "Running"
    restarts = {name: main(cluster, container=name)["restartCount"] for name in
                ("prepare", "proxy", "web")}  # fmt: skip
    assert restarts == {"prepare": 1, "proxy": 1, "web": 1}


def test_what_had_ended_before_the_power_cut_stays_ended(cluster: Cluster) -> None:
    """A finished pod keeps its state and its log; a container that had done its work, too."""
    cluster.api.create(a_pod("done", notes={"run-seconds": "3"}, restartPolicy="Never"))
    half = a_pod(
        "half", container("a"), container("b"),
        notes={"run-seconds.a": "3"}, restartPolicy="OnFailure",
    )  # fmt: skip
    cluster.api.create(half)
    cluster.sleep(15)
    before = status_of(cluster, "done")
    the_kubelet(cluster).fail()
    cluster.sleep(10)
    the_kubelet(cluster).recover()
    cluster.sleep(5)
    assert status_of(cluster, "done") == before
    assert cluster.api.pod_logs("done")[-1] == "[exit] Pod exited with code 0"
    assert main(cluster, "half", "a")["restartCount"] == 0
    assert main(cluster, "half", "b")["restartCount"] == 1
    for name in ("done", "half"):
        cluster.api.delete("Pod", name)
    cluster.sleep(1)
    assert cluster.api.list_pods() == []


def test_a_crash_loop_forgets_its_back_off_in_a_power_cut(cluster: Cluster) -> None:
    """It lives in the kubelet's memory: the returned node starts the container at once."""
    cluster.api.create(a_pod("p", notes={"run-seconds": "0", "exit-code": "1"}))
    cluster.sleep(100)
    assert main(cluster)["restartCount"] == 4
    the_kubelet(cluster).fail()
    the_kubelet(cluster).recover()
    cluster.sleep(2)
    assert main(cluster)["restartCount"] >= 5


def test_a_returning_node_says_so(cluster: Cluster) -> None:
    """The events are Rebooted with the boot id, and NodeReady if the node was not ready before."""
    cluster.sleep(5)
    assert not {e[1] for e in events(cluster, "node-1")} & {"Rebooted", "NodeReady"}
    the_kubelet(cluster).fail()
    node = cluster.api.get("Node", "node-1")
    node["status"]["conditions"][-1]["status"] = "Unknown"
    cluster.api.update_status(node)
    cluster.sleep(5)
    the_kubelet(cluster).recover()
    cluster.sleep(1)
    boot = cluster.api.get("Node", "node-1")["status"]["nodeInfo"]["bootID"]
    assert boot != node["status"]["nodeInfo"]["bootID"]
    said = [e[:3] for e in events(cluster, "node-1") if e[1] in ("Rebooted", "NodeReady")]
    assert said == [
        ("Warning", "Rebooted", f"Node node-1 has been rebooted, boot id: {boot}"),
        ("Normal", "NodeReady", "Node node-1 status is now: NodeReady"),
    ]


def test_a_pull_that_was_under_way_is_lost(cluster: Cluster) -> None:
    """It starts again on the returned node."""
    config = KubeletConfig(image_pull=ImagePulls(mb_per_second=1, sizes={"big:1": 100_000_000}))
    with Cluster(nodes=1, seed=1, hpa=False, kubelet=config) as slow:
        slow.api.create(a_pod("p", container(image="big:1")))
        slow.sleep(50)
        the_kubelet(slow).fail()
        slow.sleep(10)
        the_kubelet(slow).recover()
        slow.sleep(60)
        assert status_of(slow, "p")["phase"] == "Pending"
        slow.sleep(45)
        assert status_of(slow, "p")["phase"] == "Running"
