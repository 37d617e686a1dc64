"""`explain` of a pending claim names the Released volume that it would get, and how."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from kubesim import Cluster

MODE = "ReadWriteOnce"
STORAGE = "storage.k8s.io/v1"


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with Cluster(2, hpa=False) as cluster:
        cluster.sleep(2)
        yield cluster


def create(cluster: Cluster, kind: str, name: str, api: str = "v1", **body: Any) -> None:
    cluster.api.create({"apiVersion": api, "kind": kind, "metadata": {"name": name}, **body})
    cluster.sleep(20)


def volume(cluster: Cluster, name: str, size: str = "1Gi", **more: Any) -> None:
    spec = {"capacity": {"storage": size}, "accessModes": [MODE], "hostPath": {"path": "/d"}}
    spec |= {"persistentVolumeReclaimPolicy": "Retain", "storageClassName": "manual"}
    create(cluster, "PersistentVolume", name, spec={**spec, **more})


def claim(cluster: Cluster, name: str, size: str = "1Gi", **more: Any) -> None:
    spec: dict[str, Any] = {"accessModes": [MODE], "resources": {"requests": {"storage": size}}}
    spec["storageClassName"] = "manual"
    create(cluster, "PersistentVolumeClaim", name, spec={**spec, **more})


def released(cluster: Cluster, name: str, size: str = "1Gi") -> None:
    """A volume that a claim had."""
    volume(cluster, name, size)
    claim(cluster, f"old-{name}", size)
    cluster.api.delete("PersistentVolumeClaim", f"old-{name}")
    cluster.sleep(20)
    assert cluster.api.get("PersistentVolume", name)["status"]["phase"] == "Released"


def carry_out(cluster: Cluster, text: str) -> None:
    """Apply the patch that a way out names."""
    command = re.search(r"kubectl patch pv (\S+) --type=json -p '(.*?)'", text)
    assert command is not None
    name, patch = command.groups()
    cluster.api.patch("PersistentVolume", name, json.loads(patch), patch_type="json")
    cluster.sleep(60)


def bound_to(cluster: Cluster, name: str = "b") -> str | None:
    pvc = cluster.api.get("PersistentVolumeClaim", name)
    return pvc["spec"].get("volumeName") if pvc["status"]["phase"] == "Bound" else None


@pytest.mark.parametrize("more", [{}, {"volumeName": "large"}], ids=["any", "named"])
def test_the_released_volume_that_would_fit_is_named(
    cluster: Cluster, more: dict[str, Any]
) -> None:
    """The smallest one that fits, or the one that the claim names."""
    for name, size in (("small", "1Gi"), ("large", "9Gi"), ("middle", "5Gi")):
        released(cluster, name, size)
    claim(cluster, "b", "4Gi", **more)
    name = more.get("volumeName", "middle")
    latest = cluster.explain("pvc/b").latest
    assert latest.verdict == (
        f"not bound: the volume {name} would fit, but is Released: it is kept for the claim "
        f"default/old-{name}, which is gone"
    )
    assert latest.binding == f"spec.claimRef of the volume {name}"
    assert bound_to(cluster) is None
    carry_out(cluster, latest.would_change_if)
    assert bound_to(cluster) == name
    assert cluster.explain("pvc/b").latest.component == "persistentvolume-controller"


def test_a_claim_that_waits_for_its_pod_names_it_too(cluster: Cluster) -> None:
    """Nothing makes volumes for the class, so its pod waits for the Released one."""
    create(
        cluster,
        "StorageClass",
        "manual",
        STORAGE,
        provisioner="kubernetes.io/no-provisioner",
        volumeBindingMode="WaitForFirstConsumer",
    )
    volume(cluster, "v", claimRef={"namespace": "default", "name": "a"})
    claim(cluster, "a")
    cluster.api.delete("PersistentVolumeClaim", "a")
    claim(cluster, "b")
    volumes = [{"name": "v", "persistentVolumeClaim": {"claimName": "b"}}]
    containers = [{"name": "main", "image": "nginx"}]
    create(cluster, "Pod", "p", spec={"containers": containers, "volumes": volumes})
    latest = cluster.explain("pvc/b").latest
    assert latest.binding == "spec.claimRef of the volume v"
    carry_out(cluster, latest.would_change_if)
    cluster.sleep(300)
    assert bound_to(cluster) == "v"
    assert cluster.api.get("Pod", "p")["status"]["phase"] == "Running"


@pytest.mark.parametrize(
    "more",
    [
        {"resources": {"requests": {"storage": "2Gi"}}},
        {"accessModes": ["ReadWriteMany"]},
        {"storageClassName": "other"},
        {"selector": {"matchLabels": {"disk": "ssd"}}},
        {"volumeMode": "Block"},
        {"volumeName": "another"},
    ],
    ids=lambda more: next(iter(more)),
)
def test_a_released_volume_that_does_not_fit_is_not_named(
    cluster: Cluster, more: dict[str, Any]
) -> None:
    released(cluster, "v")
    claim(cluster, "b", **more)
    assert cluster.explain("pvc/b").latest.component == "persistentvolume-controller"


def test_a_provisioner_makes_a_volume_instead(cluster: Cluster) -> None:
    released(cluster, "v")
    create(cluster, "StorageClass", "manual", STORAGE, provisioner="example.com/nobody")
    claim(cluster, "b")
    assert cluster.explain("pvc/b").latest.component == "persistentvolume-controller"
