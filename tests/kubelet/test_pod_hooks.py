"""postStart hooks (pkg/kubelet/kuberuntime/kuberuntime_container.go, startContainer)."""

from __future__ import annotations

from typing import Any

import pytest
from kubelet_world import a_pod, condition, container, events, main, probe, reasons, status

from kubesim import Cluster


@pytest.fixture
def cluster() -> Any:
    """One node, no autoscaler."""
    with Cluster(nodes=1, seed=1, hpa=False) as made:
        yield made


def hooked(hook: dict[str, Any], name: str = "main", **fields: Any) -> dict[str, Any]:
    """A container with a postStart hook."""
    return container(name, lifecycle={"postStart": hook}, **fields)


def script(text: str) -> dict[str, Any]:
    """A handler that runs a script."""
    return {"exec": {"command": ["sh", "-c", text]}}


def test_a_hook_shares_the_files_of_its_container(cluster: Cluster) -> None:
    """It runs in the container, after its start; the container is ready at once."""
    hook = script("echo from the hook > /tmp/greeting")
    loop = ["sh", "-c", "sleep 2; cat /tmp/greeting; sleep infinity"]
    cluster.api.create(a_pod("p", hooked(hook, command=loop)))
    cluster.sleep(5)
    assert main(cluster)["ready"] is True
    assert cluster.api.pod_logs("p") == ["from the hook"]
    assert reasons(cluster) == ["Scheduled", "Pulled", "Created", "Started"]


@pytest.mark.parametrize("hook", [script("sleep 7"), {"sleep": {"seconds": 7}}])
def test_until_the_hook_has_ended_the_container_waits(
    cluster: Cluster, hook: dict[str, Any]
) -> None:
    """The pod is Pending, the next container is not started, no probe runs."""
    first = hooked(hook, livenessProbe=probe(periodSeconds=1, failureThreshold=1))
    notes = {"probe.main": {"started_after_seconds": 6}}
    cluster.api.create(a_pod("p", first, container("other"), notes=notes))
    cluster.sleep(6)
    assert status(cluster)["phase"] == "Pending"
    assert main(cluster)["state"] == {"waiting": {"reason": "ContainerCreating"}}
    assert (main(cluster)["ready"], main(cluster)["started"]) == (False, False)
    assert condition(cluster, "Ready")["status"] == "False"
    assert [m for _, r, m, _ in events(cluster) if r == "Started"] == ["Started container main"]
    cluster.sleep(3)
    assert status(cluster)["phase"] == "Running"
    assert main(cluster)["state"] == {"running": {"startedAt": "2025-01-01T00:00:01Z"}}
    other = main(cluster, container="other")
    assert other["state"] == {"running": {"startedAt": "2025-01-01T00:00:08Z"}}
    assert condition(cluster, "Ready")["status"] == "True"
    assert "Unhealthy" not in reasons(cluster)


def test_a_sidecar_with_a_hook_holds_the_next_container(cluster: Cluster) -> None:
    """The sidecar's hook is part of its start."""
    proxy = hooked({"sleep": {"seconds": 4}}, "proxy", restartPolicy="Always")
    cluster.api.create(a_pod("p", container(), init=(proxy,)))
    cluster.sleep(4)
    assert "waiting" in main(cluster)["state"]
    cluster.sleep(2)
    assert main(cluster)["state"] == {"running": {"startedAt": "2025-01-01T00:00:05Z"}}


def test_a_request_succeeds(cluster: Cluster) -> None:
    """The simulated server of the container answers."""
    cluster.api.create(a_pod("p", hooked({"httpGet": {"path": "/", "port": 80}})))
    cluster.sleep(3)
    assert main(cluster)["ready"] is True


@pytest.mark.parametrize(("policy", "restarted"), [("Always", True), ("Never", False)])
def test_a_hook_that_fails(cluster: Cluster, policy: str, restarted: bool) -> None:
    """The container is killed; the restart policy decides, and its back-off grows."""
    broken = hooked(script("sleep 1; exit 3"), command=["sleep", "infinity"])
    cluster.api.create(a_pod("p", broken, restartPolicy=policy))
    cluster.sleep(100)
    found = [(t, m) for t, r, m, _ in events(cluster) if r in ("FailedPostStartHook", "Killing")]
    assert found == [("Warning", "PostStartHook failed"), ("Normal", "FailedPostStartHook")]
    assert (main(cluster)["restartCount"] >= 3) is restarted
    assert main(cluster)["ready"] is False
    if restarted:
        assert main(cluster)["state"]["waiting"]["reason"] == "CrashLoopBackOff"
        assert "BackOff" in reasons(cluster)
    else:
        assert status(cluster)["phase"] in ("Failed", "Succeeded")
        assert "its postStart hook failed" in f"{cluster.explain('pod/p')}"


def test_a_container_that_ends_or_is_deleted_during_its_hook(cluster: Cluster) -> None:
    """The hook of a container that is gone does nothing."""
    short = hooked({"sleep": {"seconds": 20}}, command=["sh", "-c", "sleep 2; exit 1"])
    cluster.api.create(a_pod("p", short, restartPolicy="Never"))
    cluster.sleep(5)
    assert main(cluster)["state"]["terminated"]["exitCode"] == 1
    cluster.sleep(30)
    assert "FailedPostStartHook" not in reasons(cluster)
    cluster.api.create(a_pod("q", hooked({"sleep": {"seconds": 20}})))
    cluster.sleep(5)
    cluster.api.delete("Pod", "q")
    cluster.sleep(5)
    assert cluster.api.peek("Pod", "q", "default") is None
