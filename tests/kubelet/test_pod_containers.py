"""Containers of one pod on virtual time: init containers, sidecars, fates and logs of their own."""

from __future__ import annotations

from typing import Any

import pytest
from kubelet_world import a_pod, condition, container, events, main, reasons, status

from kubesim import Cluster
from kubesim.errors import BadRequest


@pytest.fixture
def cluster() -> Any:
    """One node, no autoscaler."""
    with Cluster(nodes=1, seed=1, hpa=False, job_seconds=3_600) as made:
        yield made


def test_init_containers_run_one_after_the_other(cluster: Cluster) -> None:
    """The second when the first has ended well, the main ones after both."""
    notes = {"run-seconds.one": "5", "run-seconds.two": "10"}
    cluster.api.create(
        a_pod("p", container("web"), init=(container("one"), container("two")), notes=notes)
    )
    cluster.sleep(3)
    assert status(cluster)["phase"] == "Pending"
    assert "running" in main(cluster, container="one")["state"]
    assert main(cluster, container="two")["state"]["waiting"]["reason"] == "PodInitializing"
    assert main(cluster, container="web")["state"]["waiting"]["reason"] == "PodInitializing"
    assert condition(cluster, "Initialized")["message"] == (
        "containers with incomplete status: [one two]"
    )
    cluster.sleep(5)
    assert main(cluster, container="one")["state"]["terminated"]["reason"] == "Completed"
    assert main(cluster, container="one")["ready"] is True
    assert "running" in main(cluster, container="two")["state"]
    cluster.sleep(10)
    assert status(cluster)["phase"] == "Running"
    assert condition(cluster, "Initialized")["status"] == "True"
    started = [m for _, r, m, _ in events(cluster) if r == "Started"]
    assert started == ["Started container one", "Started container two", "Started container web"]


@pytest.mark.parametrize(
    ("policy", "phase", "restarts"), [("Always", "Pending", 2), ("Never", "Failed", 0)]
)
def test_an_init_container_that_fails(
    cluster: Cluster, policy: str, phase: str, restarts: int
) -> None:
    """It is tried again with back-off, or the pod is Failed; the main one never starts."""
    notes = {"exit-code.prepare": "3"}
    pod = a_pod("p", init=(container("prepare"),), notes=notes, restartPolicy=policy)
    cluster.api.create(pod)
    cluster.sleep(15.5)
    assert status(cluster)["phase"] == phase
    assert main(cluster, container="prepare")["restartCount"] == restarts
    assert main(cluster)["restartCount"] == 0
    assert "waiting" in main(cluster)["state"]
    assert cluster.api.sample("default", "p") is None


def test_a_sidecar_starts_before_and_stops_after_the_main_container(cluster: Cluster) -> None:
    """A Job's pod with a proxy: it serves while there is work, and does not keep the pod alive."""
    notes = {"run-seconds": "20", "stop-seconds.proxy": "3"}
    proxy = container("proxy", restartPolicy="Always")
    cluster.api.create(
        a_pod("p", container("job"), init=(proxy,), notes=notes, restartPolicy="Never")
    )
    cluster.sleep(5)
    assert status(cluster)["phase"] == "Running"
    assert [c[0] for c in cluster.api.sample("default", "p")[2]] == ["proxy", "job"]  # type: ignore[index]
    cluster.sleep(17)
    assert "terminated" in main(cluster, container="job")["state"]
    assert "running" in main(cluster, container="proxy")["state"]
    assert (status(cluster)["phase"], condition(cluster, "Ready")["reason"]) == (
        "Running",
        "ContainersNotReady",
    )
    cluster.sleep(3)
    assert status(cluster)["phase"] == "Succeeded"
    assert "terminated" in main(cluster, container="proxy")["state"]
    killing = [m for _, r, m, _ in events(cluster) if r == "Killing"]
    assert killing == ["Stopping container proxy"]


def test_a_sidecar_that_has_to_be_killed_spoils_no_success(cluster: Cluster) -> None:
    """A sidecar that exits with 137 does not make the pod fail."""
    notes = {"run-seconds": "5", "stop-seconds.proxy": "never"}
    proxy = container("proxy", restartPolicy="Always")
    spec = {"restartPolicy": "Never", "terminationGracePeriodSeconds": 4}
    cluster.api.create(a_pod("p", container("job"), init=(proxy,), notes=notes, **spec))
    cluster.sleep(15)
    assert main(cluster, container="proxy")["state"]["terminated"]["exitCode"] == 137
    assert status(cluster)["phase"] == "Succeeded"
    assert cluster.analytics.since(action="PodSucceeded").rows
    assert not cluster.analytics.since(action="PodFailed").rows


def test_a_sidecar_with_a_startup_probe_holds_the_main_container_back(cluster: Cluster) -> None:
    """Started is what counts, not running."""
    proxy = container(
        "proxy",
        restartPolicy="Always",
        startupProbe={"httpGet": {"port": 80}, "periodSeconds": 1, "failureThreshold": 60},
    )
    notes = {"probe.proxy": {"started_after_seconds": 12}}
    cluster.api.create(a_pod("p", init=(proxy,), notes=notes))
    cluster.sleep(12)
    assert "waiting" in main(cluster)["state"]
    assert status(cluster)["phase"] == "Pending"
    cluster.sleep(2)
    assert "running" in main(cluster)["state"]
    assert main(cluster, container="proxy")["started"] is True


def test_a_sidecar_that_crashes_is_started_again_under_every_policy(cluster: Cluster) -> None:
    """Also in a pod that never restarts its main containers."""
    notes = {"run-seconds.proxy": "4", "exit-code.proxy": "1"}
    proxy = container("proxy", restartPolicy="Always")
    cluster.api.create(a_pod("p", init=(proxy,), notes=notes, restartPolicy="Never"))
    cluster.sleep(7)
    assert main(cluster, container="proxy")["restartCount"] == 1
    assert status(cluster)["phase"] == "Running"


def test_containers_have_fates_of_their_own(cluster: Cluster) -> None:
    """One crashes, the other runs on; readiness, logs and samples follow each."""
    notes = {"run-seconds.b": "3", "exit-code.b": "7"}
    cluster.api.create(a_pod("p", container("a"), container("b"), notes=notes))
    cluster.sleep(9)
    assert main(cluster, container="a")["restartCount"] == 0
    assert main(cluster, container="b")["restartCount"] == 1
    assert main(cluster, container="b")["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert status(cluster)["phase"] == "Running"
    assert condition(cluster, "Ready")["message"] == "containers with unready status: [b]"
    assert [c[0] for c in cluster.api.sample("default", "p")[2]] == ["a"]  # type: ignore[index]
    assert "exited with code 7" in cluster.api.pod_logs("p", container="b")[-1]
    assert not any("exited" in line for line in cluster.api.pod_logs("p", container="a"))


def test_the_log_of_the_run_before(cluster: Cluster) -> None:
    """`--previous` shows why it crashed; without an earlier run it is refused."""
    cluster.api.create(a_pod(notes={"run-seconds": "3", "exit-code": "2"}))
    cluster.sleep(3)
    with pytest.raises(BadRequest, match='previous terminated container "main"'):
        cluster.api.pod_logs("p", previous=True)
    cluster.sleep(2)
    assert cluster.api.pod_logs("p", previous=True)[-1] == "[exit] Pod exited with code 2"
    assert "[exit] Pod exited with code 2" not in cluster.api.pod_logs("p")


def test_the_log_of_the_run_before_while_it_waits(cluster: Cluster) -> None:
    """In the back-off both are the last run's log, as with kubectl."""
    cluster.api.create(a_pod(notes={"run-seconds": "3", "exit-code": "2"}))
    cluster.sleep(9)
    assert main(cluster)["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert cluster.api.pod_logs("p", previous=True) == cluster.api.pod_logs("p")


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["does-not-exist"], 'exec: "does-not-exist": executable file not found in $PATH'),
        (["/bin/missing", "-v"], "stat /bin/missing: no such file or directory"),
    ],
)
def test_a_command_that_is_not_in_the_image(
    cluster: Cluster, command: list[str], said: str
) -> None:
    """Created, never Started: StartError with 128, then CrashLoopBackOff."""
    cluster.api.create(a_pod("p", container(command=command)))
    cluster.sleep(5)
    assert main(cluster)["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    ended = main(cluster)["lastState"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (128, "StartError")
    assert said in ended["message"]
    assert ("Warning", "Failed", f"Error: {ended['message']}", 2) in events(cluster)
    assert "Started" not in reasons(cluster)
    assert main(cluster)["restartCount"] == 1


def test_addresses(cluster: Cluster) -> None:
    """A pod's status has its own address and its node's."""
    cluster.api.create(a_pod())
    cluster.sleep(3)
    node = cluster.api.get("Node", "node-1")["status"]["addresses"][0]["address"]
    found = status(cluster)
    assert (found["hostIP"], found["hostIPs"]) == (node, [{"ip": node}])
    assert found["podIPs"] == [{"ip": found["podIP"]}]


def test_identities_of_containers(cluster: Cluster) -> None:
    """Each run has an id, an image has one digest."""
    cluster.api.create(a_pod(notes={"run-seconds": "3", "exit-code": "2"}))
    cluster.sleep(2)
    first = main(cluster)
    cluster.sleep(3)
    second = main(cluster)
    assert second["restartCount"] == 1
    assert first["containerID"].startswith("kubesim://")
    assert second["containerID"] != first["containerID"]
    assert second["lastState"]["terminated"]["containerID"] == first["containerID"]
    assert first["imageID"] == second["imageID"]
    assert first["imageID"].startswith("x@sha256:")
