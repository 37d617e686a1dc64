"""`explain` of a pod names the container beside the main one that holds it up, and a way out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from kubesim import Cluster
from kubesim.client import Decision

RUNS = {"image": "busybox", "command": ["sleep", "100000"]}
MAIN = {"name": "main", **RUNS}
SIDE = {"name": "side", **RUNS}


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with Cluster(2, hpa=False) as cluster:
        cluster.sleep(2)
        yield cluster


def script(text: str) -> dict[str, Any]:
    return {"command": ["sh", "-c", text]}


def exec_probe(*command: str) -> dict[str, Any]:
    return {"readinessProbe": {"exec": {"command": list(command)}, "periodSeconds": 5}}


def start(cluster: Cluster, *containers: Any, name: str = "x", **spec: Any) -> None:
    document = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}}
    cluster.api.create({**document, "spec": {"containers": list(containers), **spec}})
    cluster.sleep(60)


def latest(cluster: Cluster) -> Decision:
    return cluster.explain("pod/x").latest


def ready(cluster: Cluster, name: str = "x") -> bool:
    conditions = cluster.api.get("Pod", name)["status"]["conditions"]
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def phase(cluster: Cluster, name: str) -> str:
    return str(cluster.api.get("Pod", name)["status"]["phase"])


def test_a_readiness_probe_that_fails_is_told_with_what_it_said(cluster: Cluster) -> None:
    start(cluster, MAIN, {**SIDE, **exec_probe("cat", "/tmp/ready")})
    asked = latest(cluster)
    assert asked.verdict == "container side is not ready"
    assert asked.would_change_if.startswith("its readiness probe succeeded; the last attempt said:")
    assert "No such file" in asked.would_change_if
    start(cluster, MAIN, {**SIDE, **exec_probe("cat", "/etc/hostname")}, name="y")
    assert (ready(cluster), ready(cluster, "y")) == (False, True)


def test_a_later_record_of_the_main_container_does_not_hide_a_crash(cluster: Cluster) -> None:
    """The newest record says that main is ready; the pod is not, because of its sidecar."""
    slow = {"exec": {"command": ["true"]}, "initialDelaySeconds": 50}
    start(cluster, {**MAIN, "readinessProbe": slow}, {**SIDE, **script("exit 3")})
    asked = latest(cluster)
    assert cluster.explain("pod/x").decisions[-2].verdict == "container main is ready"
    assert asked.verdict.startswith("not ready: container side (exit code 3, Error) starts again")
    assert asked.would_change_if.startswith("its program ran on; kubectl logs -c side")
    start(cluster, {**MAIN, "readinessProbe": slow}, SIDE, name="y")
    assert (ready(cluster), ready(cluster, "y")) == (False, True)


def test_a_restart_of_the_main_container_does_not_hide_a_probe(cluster: Cluster) -> None:
    """The newest record is about main, which runs again; the sidecar's probe is not tried yet."""
    late = {"exec": {"command": ["true"]}, "initialDelaySeconds": 70}
    start(cluster, {**MAIN, **script("sleep 20; exit 1")}, {**SIDE, "readinessProbe": late})
    records = cluster.explain("pod/x").decisions
    assert any(each.verdict.startswith("container main (exit code 1") for each in records)
    asked = latest(cluster)
    assert "the readiness probe of container side has not been tried yet" in asked.verdict
    assert asked.would_change_if.endswith("or initialDelaySeconds (70) were less")
    start(cluster, MAIN, {**SIDE, "readinessProbe": {**late, "initialDelaySeconds": 1}}, name="y")
    assert ready(cluster, "y")


@pytest.mark.parametrize(
    ("policy", "code"), [("Never", 0), ("Never", 3), ("OnFailure", 0)], ids=str
)
def test_a_sidecar_that_runs_on_keeps_the_pod(cluster: Cluster, policy: str, code: int) -> None:
    """Main is over for good; as a real sidecar the other would be stopped."""
    main = {**MAIN, **script(f"sleep 2; exit {code}")}
    start(cluster, main, SIDE, restartPolicy=policy)
    asked = latest(cluster)
    verdict = f"main has ended with exit code {code}, but container side still runs"
    assert (asked.verdict, asked.binding) == (verdict, "container side of x")
    assert "listed under initContainers with restartPolicy: Always" in asked.would_change_if
    sidecar = {**SIDE, "restartPolicy": "Always"}
    start(cluster, main, initContainers=[sidecar], name="y", restartPolicy=policy)
    cluster.sleep(40)
    expected = "Failed" if code else "Succeeded"
    assert (phase(cluster, "x"), phase(cluster, "y")) == ("Running", expected)


def test_a_failed_main_container_keeps_a_job_from_its_end(cluster: Cluster) -> None:
    spec = {"containers": [{**MAIN, **script("exit 3")}, SIDE], "restartPolicy": "Never"}
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j"}}
    cluster.api.create({**job, "spec": {"backoffLimit": 0, "template": {"spec": spec}}})
    cluster.sleep(60)
    asked = cluster.explain("job/j").latest
    assert asked.verdict.endswith(
        ": main has ended with exit code 3, but container side still runs"
    )
    assert not cluster.api.get("Job", "j")["status"].get("failed")


@pytest.mark.parametrize(("policy", "code"), [("Never", 3), ("OnFailure", 0)], ids=str)
def test_a_sidecar_that_has_ended_for_good_is_named(
    cluster: Cluster, policy: str, code: int
) -> None:
    """The main container runs, and the pod is never ready."""
    start(cluster, MAIN, {**SIDE, **script(f"exit {code}")}, restartPolicy=policy)
    asked = latest(cluster)
    assert asked.verdict == (
        f"not ready: container side has ended with exit code {code}, and restartPolicy {policy} "
        "does not start it again, while main runs on"
    )
    assert asked.binding == "container side"
    assert asked.would_change_if.startswith("the program of side ran on")
    assert asked.would_change_if.endswith("; that takes a new pod")
    start(cluster, MAIN, SIDE, name="y", restartPolicy=policy)
    assert (ready(cluster), ready(cluster, "y")) == (False, True)
    if not code:
        assert "or side were listed in initContainers" in asked.would_change_if
        first = {**SIDE, **script("exit 0")}
        start(cluster, MAIN, initContainers=[first], name="z", restartPolicy=policy)
        assert ready(cluster, "z")


def test_the_main_container_is_the_one_that_the_annotation_names(cluster: Cluster) -> None:
    annotations = {"kubectl.kubernetes.io/default-container": "main"}
    metadata = {"name": "x", "annotations": annotations}
    document = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata}
    containers = [SIDE, {**MAIN, **script("exit 0")}]
    cluster.api.create({**document, "spec": {"containers": containers, "restartPolicy": "Never"}})
    cluster.sleep(20)
    assert latest(cluster).verdict.endswith("but container side still runs")
