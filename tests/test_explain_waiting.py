"""`explain` of objects that run and still wait: the true reason, and its way out tried."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from kubesim import Cluster

MAIN = {"name": "main", "image": "nginx"}
DATABASE = {"spec": {"ports": [{"port": 80}]}, "metadata": {"name": "db"}}


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with Cluster(2, hpa=False) as cluster:
        cluster.sleep(2)
        yield cluster


def create(cluster: Cluster, kind: str, name: str, api: str = "v1", **body: Any) -> None:
    cluster.api.create({"apiVersion": api, "kind": kind, "metadata": {"name": name}, **body})


def pod(cluster: Cluster, name: str = "p", *, main: Any = None, **spec: Any) -> None:
    create(cluster, "Pod", name, spec={"containers": [{**MAIN, **(main or {})}], **spec})


def workload(cluster: Cluster, kind: str, labels: dict[str, str], **spec: Any) -> None:
    template = {"metadata": {"labels": labels}, "spec": {"containers": [MAIN]}}
    body = {"selector": {"matchLabels": labels}, "template": template, **spec}
    create(cluster, kind, "web", "apps/v1", spec=body)


def new_image(cluster: Cluster, kind: str) -> None:
    document = cluster.api.get(kind, "web")
    document["spec"]["template"]["spec"]["containers"][0]["image"] = "nginx:2"
    cluster.api.update(document)


def way_out(cluster: Cluster, reference: str, verdict: str) -> str:
    """What would help, after a look at the verdict."""
    latest = cluster.explain(reference).latest
    assert verdict in latest.verdict
    return latest.would_change_if


def ready(cluster: Cluster, name: str = "p") -> bool:
    conditions = cluster.api.get("Pod", name)["status"]["conditions"]
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def images(cluster: Cluster) -> list[str]:
    return [each["spec"]["containers"][0]["image"] for each in cluster.api.list("Pod")["items"]]


# -- pods ------------------------------------------------------------------------------------------


def test_an_init_container_that_waits(cluster: Cluster) -> None:
    script = ["sh", "-c", "until nslookup db; do sleep 2; done"]
    pod(cluster, initContainers=[{"name": "wait", "image": "busybox", "command": script}])
    cluster.sleep(30)
    text = way_out(cluster, "pod/p", "init container wait, which has been running since t=3")
    assert text.startswith("wait ended with exit code 0; kubectl logs p -n default -c wait")
    cluster.api.create({"apiVersion": "v1", "kind": "Service", **DATABASE})
    cluster.sleep(5)
    assert ready(cluster)


def test_a_probe_that_has_not_been_tried(cluster: Cluster) -> None:
    """Its first attempt is late; a probe that failed is in the kubelet's records."""
    for name, delay in (("p", 600), ("q", 0)):
        probe = {"exec": {"command": ["true"]}, "initialDelaySeconds": delay}
        pod(cluster, name, main={"readinessProbe": probe})
    pod(cluster, "failing", main={"readinessProbe": {"exec": {"command": ["false"]}}})
    cluster.sleep(30)
    text = way_out(cluster, "pod/p", "the readiness probe of container main has not been tried yet")
    assert text.endswith("or initialDelaySeconds (600) were less")
    assert (ready(cluster), ready(cluster, "q")) == (False, True)
    assert cluster.explain("pod/failing").latest.component.startswith("kubelet/")


def test_a_readiness_gate(cluster: Cluster) -> None:
    pod(cluster, readinessGates=[{"conditionType": "example.com/gate"}])
    cluster.sleep(10)
    text = way_out(cluster, "pod/p", "not its readiness gates (example.com/gate)")
    assert "status.conditions" in text
    document = cluster.api.get("Pod", "p")
    document["status"]["conditions"].append({"type": "example.com/gate", "status": "True"})
    cluster.api.update_status(document)
    cluster.sleep(5)
    assert ready(cluster)


def test_a_claim_for_one_pod(cluster: Cluster) -> None:
    spec = {"accessModes": ["ReadWriteOncePod"], "resources": {"requests": {"storage": "1Gi"}}}
    create(cluster, "PersistentVolumeClaim", "data", spec=spec)
    volumes = [{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}]
    cluster.sleep(3)
    for name in ("p", "q"):
        pod(cluster, name, volumes=volumes)
        cluster.sleep(10)
    text = way_out(cluster, "pod/q", "ReadWriteOncePod access mode")
    assert "the pod that uses the claim data ends or is deleted" in text
    cluster.api.delete("Pod", "p")
    cluster.sleep(60)
    assert ready(cluster, "q")


# -- workloads -------------------------------------------------------------------------------------


def test_a_partition_keeps_an_older_revision(cluster: Cluster) -> None:
    strategy = {"rollingUpdate": {"partition": 2}}
    workload(cluster, "StatefulSet", {"app": "web"}, replicas=2, updateStrategy=strategy)
    cluster.sleep(30)
    assert "partition" not in cluster.explain("statefulset/web").latest.verdict
    new_image(cluster, "StatefulSet")
    cluster.sleep(30)
    assert set(images(cluster)) == {"nginx"}
    text = way_out(cluster, "statefulset/web", "web-0, web-1 keep an older revision")
    assert text.startswith("spec.updateStrategy.rollingUpdate.partition were 0")
    strategy = {"rollingUpdate": {"partition": 0}}
    cluster.api.patch("StatefulSet", "web", {"spec": {"updateStrategy": strategy}}, "default")
    cluster.sleep(60)
    assert set(images(cluster)) == {"nginx:2"}
    assert "older revision" not in cluster.explain("statefulset/web").latest.verdict


@pytest.mark.parametrize("kind", ["StatefulSet", "DaemonSet"])
def test_on_delete_keeps_an_older_revision(cluster: Cluster, kind: str) -> None:
    workload(cluster, kind, {"app": "web"}, updateStrategy={"type": "OnDelete"})
    cluster.sleep(10)
    new_image(cluster, kind)
    cluster.sleep(10)
    text = way_out(cluster, f"{kind}/web", "with OnDelete a pod is updated when it is deleted")
    assert text.startswith("these pods were deleted")
    for each in cluster.api.list("Pod")["items"]:
        cluster.api.delete("Pod", each["metadata"]["name"])
    cluster.sleep(60)
    assert set(images(cluster)) == {"nginx:2"}
    assert "older revision" not in cluster.explain(f"{kind}/web").latest.verdict


def test_a_cronjob_that_forbids_two_jobs(cluster: Cluster) -> None:
    main = {"name": "main", "image": "busybox", "command": ["sleep", "100"]}
    template = {"spec": {"restartPolicy": "Never", "containers": [main]}}
    spec = {"schedule": "* * * * *", "concurrencyPolicy": "Forbid"}
    job_template = {"spec": {"template": template}}
    create(cluster, "CronJob", "c", "batch/v1", spec={**spec, "jobTemplate": job_template})
    cluster.sleep(140)
    text = way_out(cluster, "cronjob/c", "the previous Job is not finished")
    assert text.startswith("the Job that runs ended: the last missed start is then made up for")
    cluster.sleep(40)  # it ended at t=162, and the start of t=120 is made up for
    assert len(cluster.api.list("Job")["items"]) == 2


def test_the_labels_of_controllers_are_no_selector(cluster: Cluster) -> None:
    """A hash changes with the next rollout, so it is not proposed."""
    workload(cluster, "Deployment", {"tier": "front"})
    spec = {"selector": {"app": "shop"}, "ports": [{"port": 80}]}
    create(cluster, "Service", "shop", spec=spec)
    cluster.sleep(10)
    text = way_out(cluster, "service/shop", "no pod in namespace default has the labels app=shop")
    assert "or its spec.selector were tier=front (as of web-" in text


def test_a_released_volume(cluster: Cluster) -> None:
    def claim(name: str) -> None:
        spec = {"storageClassName": "hand", "accessModes": ["ReadWriteOnce"]}
        amount = {"requests": {"storage": "1Gi"}}
        create(cluster, "PersistentVolumeClaim", name, spec={**spec, "resources": amount})
        cluster.sleep(5)

    spec = {"storageClassName": "hand", "accessModes": ["ReadWriteOnce"]}
    spec |= {"capacity": {"storage": "1Gi"}, "hostPath": {"path": "/data"}}
    create(cluster, "PersistentVolume", "pv", spec=spec)
    claim("one")
    cluster.api.delete("PersistentVolumeClaim", "one")
    cluster.sleep(5)
    claim("two")
    text = way_out(cluster, "pv/pv", "Released: its claim default/one is gone")
    patch = [{"op": "remove", "path": "/spec/claimRef"}]
    assert """-p '[{"op":"remove","path":"/spec/claimRef"}]'""" in text
    cluster.api.patch("PersistentVolume", "pv", patch, patch_type="json")
    cluster.sleep(20)
    assert cluster.api.get("PersistentVolumeClaim", "two")["status"]["phase"] == "Bound"


def test_an_autoscaler_without_requests(cluster: Cluster) -> None:
    workload(cluster, "Deployment", {"app": "web"})
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    metric = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}
    spec = {"maxReplicas": 3, "scaleTargetRef": target}
    spec["metrics"] = [{"type": "Resource", "resource": metric}]
    create(cluster, "HorizontalPodAutoscaler", "web", "autoscaling/v2", spec=spec)
    cluster.sleep(60)
    text = way_out(cluster, "hpa/web", "no valid metric")
    assert text == "each container that counts had resources.requests.cpu in its template"
    document = cluster.api.get("Deployment", "web")
    container = document["spec"]["template"]["spec"]["containers"][0]
    container["resources"] = {"requests": {"cpu": "100m"}}
    cluster.api.update(document)
    cluster.sleep(120)
    assert "no valid metric" not in cluster.explain("hpa/web").latest.verdict
