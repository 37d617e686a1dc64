"""Volumes are attached to the nodes of their pods: order, Multi-Attach, detaching by force."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from kubesim import Cluster
from kubesim.controllers.attachdetach.plan import (
    Attached,
    Plan,
    multi_attach_error,
    plan_attachments,
)
from kubesim.objects.attachments import attachment_name, may_be_on_several_nodes

Document = dict[str, Any]
EXCLUSIVE = "Volume is already exclusively attached to one node and can't be attached to another"


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """Two nodes, no autoscaler, a claim that one node may have."""
    with Cluster(nodes=2, hpa=False) as made:
        made.api.create(claim())
        made.sleep(1)
        yield made


def claim(*modes: str, **spec: Any) -> Document:
    """A claim of 1Gi; ReadWriteOnce without modes."""
    resources = {"requests": {"storage": "1Gi"}}
    fields = {"accessModes": list(modes) or ["ReadWriteOnce"], "resources": resources, **spec}
    return {"kind": "PersistentVolumeClaim", "metadata": {"name": "data"}, "spec": fields}


def user(name: str, node: str, **spec: Any) -> Document:
    """A pod on a node that uses the claim."""
    return {
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {
            "nodeName": node,
            "containers": [{"name": "main", "image": "x"}],
            "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}],
            **spec,
        },
    }


def events(cluster: Cluster, name: str) -> list[tuple[str, str]]:
    """(reason, message) of the Events about a pod's volumes, in the order of time."""
    found = [e for e in cluster.api.list("Event")["items"] if e["involvedObject"]["name"] == name]
    found.sort(key=lambda e: (e["firstTimestamp"], int(e["metadata"]["resourceVersion"])))
    return [(e["reason"], e["message"]) for e in found if "Attach" in e["reason"]]


def phase(cluster: Cluster, name: str) -> str:
    """The phase of a pod."""
    return str(cluster.api.get("Pod", name)["status"]["phase"])


def volume(cluster: Cluster) -> Document:
    """The only PersistentVolume."""
    (only,) = cluster.api.list("PersistentVolume")["items"]
    return dict(only)


def attached_to(cluster: Cluster) -> list[str]:
    """The nodes that the volume is attached to."""
    return sorted(a["spec"]["nodeName"] for a in cluster.api.list("VolumeAttachment")["items"])


# -- the plan --------------------------------------------------------------------------------------

HOLDER = Attached(desired=False, attached=True, in_use=True)
WAITS = Attached(desired=True)


@pytest.mark.parametrize(
    ("nodes", "plan"),
    [
        ({"a": WAITS}, Plan(attach=("a",))),
        ({"a": WAITS, "b": WAITS}, Plan(attach=("a",), refused=("b",))),
        ({"a": HOLDER, "b": WAITS}, Plan(refused=("b",))),
        ({"a": replace(HOLDER, in_use=False), "b": WAITS}, Plan(detach=("a",))),
        ({"a": replace(HOLDER, leaving=True), "b": WAITS}, Plan()),
        ({"a": replace(HOLDER, leaving=True, desired=True)}, Plan()),
        ({"a": replace(HOLDER, desired=True), "b": WAITS}, Plan(refused=("b",))),
        ({"a": replace(HOLDER, healthy=False, since=0.0)}, Plan(again_after=260.0)),
        ({"a": replace(HOLDER, healthy=False, since=-260.0)}, Plan(detach=("a",))),
        ({"a": replace(HOLDER, healthy=True, since=-999.0)}, Plan()),
        ({"a": replace(HOLDER, out_of_service=True)}, Plan(detach=("a",))),
    ],
)
def test_where_a_volume_goes(nodes: dict[str, Attached], plan: Plan) -> None:
    """One node at a time; never from a node that uses it, but after 6 minutes of silence."""
    assert plan_attachments(nodes, shared=False, now=100.0) == plan


def test_a_shared_volume_goes_everywhere() -> None:
    """By its access modes; without any the attacher would have to say."""
    nodes = {"a": HOLDER, "b": WAITS, "c": WAITS}
    assert plan_attachments(nodes, shared=True, now=0.0).attach == ("b", "c")
    for modes, shared in (
        (["ReadWriteOnce"], False),
        (["ReadWriteOncePod"], False),
        (["ReadWriteOnce", "ReadOnlyMany"], True),
        ([], True),
    ):
        assert may_be_on_several_nodes({"spec": {"accessModes": modes}}) is shared


@pytest.mark.parametrize(
    ("pods", "reason"),
    [
        ([], EXCLUSIVE),
        ([("shop", "a"), ("shop", "b")], "Volume is already used by pod(s) a, b"),
        (
            [("shop", "a"), ("x", "b")],
            "Volume is already used by pod(s) a and 1 pod(s) in different namespaces",
        ),
        ([("x", "b")], "Volume is already used by 1 pod(s) in different namespaces"),
    ],
)
def test_the_message(pods: list[tuple[str, str]], reason: str) -> None:
    """Nobody learns the names of pods in other namespaces."""
    message = f'Multi-Attach error for volume "disk" {reason}'
    assert multi_attach_error("disk", "shop", pods) == message


# -- attaching -------------------------------------------------------------------------------------


def test_a_volume_is_attached_before_the_pod_starts(cluster: Cluster) -> None:
    """The attachment, the node's status, the Event; the class says how long it takes."""
    slow = {"metadata": {"annotations": {"kubesim.dev/mount-seconds": "20"}}}
    cluster.api.patch("StorageClass", "standard", slow)
    cluster.api.create(user("a", "node-1"))
    cluster.sleep(19)
    name = volume(cluster)["metadata"]["name"]
    assert phase(cluster, "a") == "Pending"
    assert f"its volume {name} is being attached to node-1" in str(cluster.explain("pod/a"))
    cluster.sleep(5)
    assert phase(cluster, "a") == "Running"
    assert events(cluster, "a") == [
        ("SuccessfulAttachVolume", f'AttachVolume.Attach succeeded for volume "{name}" ')
    ]
    (attachment,) = cluster.api.list("VolumeAttachment")["items"]
    assert attachment["metadata"]["name"] == attachment_name(volume(cluster), "node-1")
    assert attachment["spec"] == {
        "attacher": "disk.kubesim.dev",
        "nodeName": "node-1",
        "source": {"persistentVolumeName": name},
    }
    assert attachment["status"] == {"attached": True}
    status = cluster.api.get("Node", "node-1")["status"]
    unique = f"kubernetes.io/csi/disk.kubesim.dev^{name}"
    assert status["volumesInUse"] == [unique]
    assert status["volumesAttached"] == [{"name": unique, "devicePath": ""}]
    cluster.api.create(user("b", "node-1"))  # it is there already
    cluster.sleep(3)
    assert phase(cluster, "b") == "Running"


def test_multi_attach(cluster: Cluster) -> None:
    """A second node waits until the pod has ended and the node has unmounted; it says for whom."""
    cluster.api.create(user("a", "node-1"))
    cluster.sleep(3)
    cluster.api.create(user("b", "node-2"))
    cluster.sleep(3)
    name = volume(cluster)["metadata"]["name"]
    error = f'Multi-Attach error for volume "{name}" Volume is already used by pod(s) a'
    assert events(cluster, "b") == [("FailedAttachVolume", error)]
    latest = cluster.explain("pod/b").latest
    assert latest.verdict == (
        f"waits for its volume {name} (Multi-Attach error): the pod a on node-1 uses the volume "
        f"{name}"
    )
    assert "kubectl delete pod a -n default" in latest.would_change_if
    cluster.sleep(125)
    waited = [e["message"] for e in cluster.api.list("Event")["items"] if "Mount" in e["reason"]]
    assert waited == [
        "Unable to attach or mount volumes: unmounted volumes=[data], unattached volumes=[data], "
        "failed to process volumes=[]: context deadline exceeded"
    ]
    cluster.api.delete("Pod", "a")  # the way out
    cluster.sleep(45)
    assert phase(cluster, "b") == "Running"
    assert attached_to(cluster) == ["node-2"]
    assert events(cluster, "b")[-1][0] == "SuccessfulAttachVolume"
    assert "volumesAttached" not in cluster.api.get("Node", "node-1")["status"]


def test_a_shared_claim_is_attached_to_two_nodes() -> None:
    """ReadWriteMany."""
    with Cluster(nodes=2, hpa=False) as cluster:
        cluster.api.create(claim("ReadWriteMany"))
        cluster.sleep(1)
        for node in ("node-1", "node-2"):
            cluster.api.create(user(node, node))
        cluster.sleep(5)
        assert attached_to(cluster) == ["node-1", "node-2"]
        assert phase(cluster, "node-1") == phase(cluster, "node-2") == "Running"


def test_a_finished_pod_gives_its_volume_back(cluster: Cluster) -> None:
    """And the volume of a deleted claim is deleted once it is detached."""
    notes = {"kubesim.dev/run-seconds": "3"}
    pod = user("a", "node-1", restartPolicy="Never")
    cluster.api.create({**pod, "metadata": {"name": "a", "annotations": notes}})
    cluster.sleep(3)
    assert attached_to(cluster) == ["node-1"]
    cluster.sleep(20)
    assert phase(cluster, "a") == "Succeeded"
    assert attached_to(cluster) == []
    cluster.api.create(user("b", "node-2"))
    cluster.sleep(3)
    assert phase(cluster, "b") == "Running"
    cluster.api.delete("PersistentVolumeClaim", "data")
    for name in ("a", "b"):
        cluster.api.delete("Pod", name)
    cluster.sleep(60)
    assert cluster.api.list("PersistentVolume")["items"] == []
    assert attached_to(cluster) == []


def lose_the_node(cluster: Cluster) -> None:
    """Pod a has the disk on node-1, which fails; pod b waits for it on node-2."""
    cluster.api.create(user("a", "node-1"))
    cluster.sleep(3)
    cluster.node("node-1").fail()
    cluster.sleep(60)
    cluster.api.create(user("b", "node-2"))
    cluster.sleep(2)


def test_a_dead_node_keeps_its_volume_for_six_minutes(cluster: Cluster) -> None:
    """From the moment at which its pod is gone; explain says what to do instead."""
    lose_the_node(cluster)
    assert "kubectl delete pod a -n default --force" in str(cluster.explain("pod/b"))
    cluster.api.delete("Pod", "a", grace_period_seconds=0)
    cluster.api.create(user("c", "node-2"))
    cluster.sleep(3)
    name = volume(cluster)["metadata"]["name"]
    error = f'Multi-Attach error for volume "{name}" {EXCLUSIVE}'
    assert events(cluster, "c") == [("FailedAttachVolume", error)]
    cluster.sleep(350)
    assert phase(cluster, "b") == "Pending"
    assert attached_to(cluster) == ["node-1"]
    cluster.sleep(15)
    assert phase(cluster, "b") == "Running"
    assert attached_to(cluster) == ["node-2"]


def test_a_node_out_of_service_loses_its_volume_at_once(cluster: Cluster) -> None:
    """The way out that explain names."""
    lose_the_node(cluster)
    way_out = "kubectl taint nodes node-1 node.kubernetes.io/out-of-service=nodeshutdown:NoExecute"
    assert way_out in cluster.explain("pod/b").latest.would_change_if
    node = cluster.api.get("Node", "node-1")
    key = "node.kubernetes.io/out-of-service"
    taint = {"key": key, "value": "nodeshutdown", "effect": "NoExecute"}
    taints = [*(node["spec"].get("taints") or ()), taint]
    cluster.api.update({**node, "spec": {**node["spec"], "taints": taints}})
    cluster.sleep(45)  # pod garbage collection deletes the pod
    assert phase(cluster, "b") == "Running"
    assert attached_to(cluster) == ["node-2"]


def test_drivers_that_do_not_attach(cluster: Cluster) -> None:
    """CSIDriver with attachRequired: false; and volumes that are no CSI volumes."""
    driver = {"kind": "CSIDriver", "metadata": {"name": "files.example.com"}}
    cluster.api.create({**driver, "spec": {"attachRequired": False}})
    csi = {"driver": "files.example.com", "volumeHandle": "share"}
    cluster.api.delete("PersistentVolumeClaim", "data")
    cluster.sleep(3)
    for name, source in (("one", {"csi": csi}), ("two", {"hostPath": {"path": "/srv"}})):
        cluster.api.create(
            {
                "kind": "PersistentVolume",
                "metadata": {"name": name},
                "spec": {
                    "accessModes": ["ReadWriteOnce"],
                    "capacity": {"storage": "1Gi"},
                    "claimRef": {"namespace": "default", "name": "data"},
                    **source,
                },
            }
        )
        cluster.api.create(claim(storageClassName="", volumeName=name))
        cluster.api.create(user("a", "node-1"))
        cluster.sleep(5)
        assert phase(cluster, "a") == "Running"
        assert attached_to(cluster) == []
        cluster.api.delete("Pod", "a")
        cluster.api.delete("PersistentVolumeClaim", "data")
        cluster.sleep(40)


def test_a_power_cut_does_not_detach(cluster: Cluster) -> None:
    """The node comes back, and its pod runs on."""
    cluster.api.create(user("a", "node-1"))
    cluster.sleep(3)
    cluster.node("node-1").fail()
    cluster.sleep(100)
    cluster.node("node-1").recover()
    cluster.sleep(10)
    assert phase(cluster, "a") == "Running"
    assert attached_to(cluster) == ["node-1"]
    assert len(events(cluster, "a")) == 1


def test_a_volume_that_is_deleted_by_hand_is_detached(cluster: Cluster) -> None:
    """Nothing is left of it, also in the node's status."""
    cluster.api.create(user("a", "node-1"))
    cluster.sleep(3)
    name = volume(cluster)["metadata"]["name"]
    retain = {"spec": {"persistentVolumeReclaimPolicy": "Retain"}}
    cluster.api.patch("PersistentVolume", name, retain)
    cluster.api.delete("Pod", "a", grace_period_seconds=0)
    cluster.api.delete("PersistentVolumeClaim", "data")
    cluster.sleep(0.5)
    cluster.api.delete("PersistentVolume", name)
    cluster.sleep(0.5)
    assert cluster.api.list("PersistentVolume")["items"] == []
    cluster.sleep(30)
    assert attached_to(cluster) == []
    assert "volumesAttached" not in cluster.api.get("Node", "node-1")["status"]
