"""Claims that are made from another claim, from a snapshot, or from what nobody here serves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from kubesim import Cluster

Document = dict[str, Any]
SOURCE = {"kind": "PersistentVolumeClaim", "name": "data"}
SNAPSHOT = {"apiGroup": "snapshot.storage.k8s.io", "kind": "VolumeSnapshot", "name": "snap"}


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """One node, no autoscaler, a bound claim of 2Gi."""
    with Cluster(nodes=1, hpa=False) as made:
        made.api.create(claim("data"))
        made.sleep(2)
        yield made


def claim(name: str, size: str = "2Gi", **spec: Any) -> Document:
    """A claim."""
    fields = {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": size}}}
    return {
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name},
        "spec": {**fields, **spec},
    }


def user(claim_name: str) -> Document:
    """A pod that mounts a claim."""
    source = {"persistentVolumeClaim": {"claimName": claim_name}}
    mount = {"name": "data", "mountPath": "/data"}
    main = {"name": "main", "image": "busybox", "command": ["sleep", "999"]}
    return {
        "kind": "Pod",
        "metadata": {"name": claim_name},
        "spec": {
            "containers": [{**main, "volumeMounts": [mount]}],
            "volumes": [{"name": "data", **source}],
        },
    }


def phase(cluster: Cluster, name: str) -> str:
    """The phase of a claim."""
    return str(cluster.api.get("PersistentVolumeClaim", name)["status"]["phase"])


def messages(cluster: Cluster, name: str, reason: str) -> list[str]:
    """The messages of the Events of one reason about a claim."""
    return [
        e["message"]
        for e in cluster.api.list("Event")["items"]
        if e["involvedObject"]["name"] == name and e["reason"] == reason
    ]


def test_a_clone_has_the_files_of_its_source(cluster: Cluster) -> None:
    """As they were when it was made; from then on each has its own."""
    cluster.api.create(user("data"))
    cluster.sleep(5)
    cluster.api.exec("data", ["sh", "-c", "mkdir /data/empty; echo one > /data/f"])
    cluster.api.create(claim("copy", "3Gi", dataSource=SOURCE))
    cluster.sleep(2)
    assert phase(cluster, "copy") == "Bound"
    cluster.api.exec("data", ["sh", "-c", "echo two > /data/f"])
    cluster.api.create(user("copy"))
    cluster.sleep(5)
    shown = cluster.api.exec("copy", ["sh", "-c", "ls /data; cat /data/f"]).stdout
    assert shown == "empty\nf\none\n"
    cluster.api.exec("copy", ["sh", "-c", "echo three > /data/f"])
    assert cluster.api.exec("data", ["cat", "/data/f"]).stdout == "two\n"


FAILED = 'failed to provision volume with StorageClass "{}": error getting handle for DataSource '


@pytest.mark.parametrize(
    ("new", "reason"),
    [
        (
            claim("new", dataSource={**SOURCE, "name": "none"}),
            "Type PersistentVolumeClaim by Name none: error getting PVC none (namespace "
            '"default") from api server: persistentvolumeclaim "none" not found',
        ),
        (
            claim("new", "1Gi", dataSource=SOURCE),
            "Type PersistentVolumeClaim by Name data: error, new PVC request must be greater than "
            "or equal in size to the specified PVC data source, requested 1073741824 but source is "
            "2147483648",
        ),
        (
            claim("new", dataSource=SOURCE, volumeMode="Block"),
            "Type PersistentVolumeClaim by Name data: the source PVC and destination PVCs must "
            "have the same volume mode for cloning.  Source is Filesystem, but new PVC requested "
            "Block",
        ),
        (
            claim("new", dataSource=SOURCE, storageClassName="other"),
            "Type PersistentVolumeClaim by Name data: claim in dataSource not bound or invalid",
        ),
        (
            claim("new", dataSource=SNAPSHOT),
            "Type VolumeSnapshot by Name snap: error getting snapshot snap from api server: the "
            "server could not find the requested resource (get "
            "volumesnapshots.snapshot.storage.k8s.io snap)",
        ),
    ],
    ids=["missing", "too-small", "mode", "driver", "snapshot"],
)
def test_a_source_that_cannot_be_cloned(cluster: Cluster, new: Document, reason: str) -> None:
    """The claim stays Pending, and says why."""
    other: Document = {
        "kind": "StorageClass",
        "metadata": {"name": "other", "annotations": {"kubesim.dev/provision-seconds": "0"}},
        "provisioner": "disk.example.com",
    }
    cluster.api.create(other)
    cluster.api.create(new)
    cluster.sleep(3)
    name = new["spec"].get("storageClassName") or "standard"
    assert phase(cluster, "new") == "Pending"
    assert messages(cluster, "new", "ProvisioningFailed") == [FAILED.format(name) + reason]


def test_a_clone_waits_for_its_source(cluster: Cluster) -> None:
    """Tried again each 15 s."""
    cluster.api.create(claim("copy", dataSource={**SOURCE, "name": "later"}))
    cluster.sleep(3)
    assert phase(cluster, "copy") == "Pending"
    cluster.api.create(claim("later"))
    cluster.sleep(16)
    assert phase(cluster, "copy") == "Bound"


def test_snapshots_and_populators(cluster: Cluster) -> None:
    """A snapshot that nobody has taken is not bound; another kind waits for its populator."""
    group, schema = SNAPSHOT["apiGroup"], {"type": "object"}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"kind": "VolumeSnapshot", "plural": "volumesnapshots"}
    approval = "https://github.com/kubernetes-csi/external-snapshotter/pull/814"
    annotations = {"api-approved.kubernetes.io": approval}
    cluster.api.create(
        {
            "kind": "CustomResourceDefinition",
            "metadata": {"name": f"volumesnapshots.{group}", "annotations": annotations},
            "spec": {"group": group, "scope": "Namespaced", "names": names, "versions": [version]},
        }
    )
    cluster.sleep(1)
    missing = {**SNAPSHOT, "name": "none"}
    hello = {"apiGroup": "hello.example.com", "kind": "Hello", "name": "x"}
    snapshot = {"apiVersion": f"{group}/v1", "kind": "VolumeSnapshot", "metadata": {"name": "snap"}}
    cluster.api.create(snapshot)
    cluster.api.create(claim("a", dataSource=SNAPSHOT))
    cluster.api.create(claim("b", dataSource=missing))
    cluster.api.create(claim("c", dataSourceRef=hello))
    cluster.sleep(3)
    assert [phase(cluster, name) for name in "abc"] == ["Pending"] * 3
    assert messages(cluster, "a", "ProvisioningFailed") == [
        FAILED.format("standard") + "Type VolumeSnapshot by Name snap: snapshot snap not bound"
    ]
    assert messages(cluster, "b", "ProvisioningFailed") == [
        FAILED.format("standard") + "Type VolumeSnapshot by Name none: error getting snapshot none "
        'from api server: volumesnapshots.snapshot.storage.k8s.io "none" not found'
    ]
    assert messages(cluster, "c", "Provisioning")[-1] == (
        "Assuming an external populator will provision the volume"
    )
