"""The scheduler's plug-ins for volumes, by themselves and in a cluster."""

from __future__ import annotations

from typing import Any

import pytest

from kubesim import Cluster
from kubesim.scheduler.framework.cycle_state import CycleState
from kubesim.scheduler.framework.runtime import Framework
from kubesim.scheduler.framework.snapshot import Snapshot
from kubesim.scheduler.framework.status import Code, Status
from kubesim.scheduler.volumes.nodevolumelimits import NodeVolumeLimits
from kubesim.scheduler.volumes.volumebinding import VolumeBinding
from kubesim.scheduler.volumes.volumerestrictions import VolumeRestrictions
from kubesim.scheduler.volumes.volumezone import VolumeZone

BOUND = {"pv.kubernetes.io/bind-completed": "yes"}


def node(name: str, **labels: str) -> dict[str, Any]:
    """A node with labels."""
    allocatable = {"cpu": "4", "memory": "8Gi", "pods": "10"}
    labels = {"kubernetes.io/hostname": name, **labels}
    return {"metadata": {"name": name, "labels": labels}, "status": {"allocatable": allocatable}}


def pod(*claims: str, name: str = "p", on: str = "", **spec: Any) -> dict[str, Any]:
    """A pod with claims; `on` is its node."""
    volumes = [{"name": c, "persistentVolumeClaim": {"claimName": c}} for c in claims]
    spec = {"volumes": [*volumes, *spec.pop("volumes", ())], **spec}
    if on:
        spec["nodeName"] = on
    metadata = {"name": name, "namespace": "default", "uid": name}
    return {"kind": "Pod", "metadata": metadata, "spec": spec}


def claim(name: str, **spec: Any) -> dict[str, Any]:
    """A claim; with a volumeName it is bound."""
    annotations = BOUND if spec.get("volumeName") else {}
    phase = "Bound" if annotations else "Pending"
    spec = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}},
        **spec,
    }
    metadata = {"name": name, "namespace": "default", "uid": name, "annotations": annotations}
    return {
        "kind": "PersistentVolumeClaim",
        "metadata": metadata,
        "spec": spec,
        "status": {"phase": phase},
    }


def volume(name: str, on: str = "", **spec: Any) -> dict[str, Any]:
    """An available volume; `on` is the node of a local one."""
    labels = spec.pop("labels", {})
    if on:
        expression = {"key": "kubernetes.io/hostname", "operator": "In", "values": [on]}
        terms = [{"matchExpressions": [expression]}]
        spec["nodeAffinity"] = {"required": {"nodeSelectorTerms": terms}}
    spec = {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, **spec}
    metadata = {"name": name, "labels": labels}
    status = {"phase": "Available"}
    return {"kind": "PersistentVolume", "metadata": metadata, "spec": spec, "status": status}


def storage_class(name: str, provisioner: str, delayed: bool = True, **more: Any) -> dict[str, Any]:
    """A StorageClass."""
    mode = "WaitForFirstConsumer" if delayed else "Immediate"
    document = {"kind": "StorageClass", "metadata": {"name": name}, "provisioner": provisioner}
    return {**document, "volumeBindingMode": mode, **more}


NODES = [node("n1", **{"topology.kubernetes.io/zone": "a"}), node("n2")]
LOCAL = storage_class("local", "kubernetes.io/no-provisioner")
DISK = storage_class("disk", "disk.example.com")


def answers(
    plugin: Any, pending: dict[str, Any], objects: list[Any], pods: list[Any] | None = None
) -> Status | dict[str, tuple[str, ...]]:
    """The refusal of the pod, or the reasons of each node."""
    snapshot = Snapshot.of(NODES, pods or [], objects)
    framework, state = Framework([plugin]), CycleState(snapshot)
    status = framework.pre_filter(pending, state)
    if not status.ok:
        return status
    return {each.name: framework.filter(pending, each, state).reasons for each in snapshot}


@pytest.mark.parametrize(
    ("objects", "reason"),
    [
        ([], 'persistentvolumeclaim "c" not found'),
        ([claim("c")], "pod has unbound immediate PersistentVolumeClaims"),
        (
            [claim("c", storageClassName="disk"), storage_class("disk", "x", delayed=False)],
            "pod has unbound immediate PersistentVolumeClaims",
        ),
        (
            [{**claim("c", volumeName="v"), "status": {"phase": "Lost"}}],
            'persistentvolumeclaim "c" bound to non-existent persistentvolume "v"',
        ),
    ],
)
def test_claims_that_refuse_the_pod_everywhere(objects: list[Any], reason: str) -> None:
    """PreFilter ends the attempt, with upstream's texts; no preemption follows."""
    refusal = answers(VolumeBinding(), pod("c"), objects)
    assert isinstance(refusal, Status)
    assert (refusal.code, refusal.reasons) == (Code.UNRESOLVABLE, (reason,))


def test_an_ephemeral_volume_waits_for_its_controller() -> None:
    """Its claim has the names of pod and volume, and must be owned by the pod."""
    pending = pod(volumes=[{"name": "scratch", "ephemeral": {"volumeClaimTemplate": {}}}])
    refusal = answers(VolumeBinding(), pending, [])
    text = 'waiting for ephemeral volume controller to create the persistentvolumeclaim "p-scratch"'
    assert isinstance(refusal, Status) and refusal.message == text
    refusal = answers(VolumeBinding(), pending, [claim("p-scratch", volumeName="v")])
    text = "PVC default/p-scratch was not created for pod default/p (pod is not owner)"
    assert isinstance(refusal, Status) and refusal.message == text


BIND = ("node(s) didn't find available persistent volumes to bind",)
AFFINITY = ("node(s) had volume node affinity conflict",)


@pytest.mark.parametrize(
    ("objects", "n1", "n2"),
    [
        ([claim("c", volumeName="v"), volume("v", on="n1")], (), AFFINITY),
        ([claim("c", volumeName="v"), volume("v")], (), ()),
        (
            [claim("c", volumeName="v")],
            ("node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)",),
            ("node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)",),
        ),
        ([claim("c", storageClassName="local"), LOCAL], BIND, BIND),
        (
            [
                claim("c", storageClassName="local"),
                LOCAL,
                volume("v", on="n2", storageClassName="local"),
            ],
            BIND,
            (),
        ),
        ([claim("c", storageClassName="disk"), DISK], (), ()),
        (
            [
                claim("c", storageClassName="disk"),
                {
                    **DISK,
                    "allowedTopologies": [
                        {
                            "matchLabelExpressions": [
                                {"key": "topology.kubernetes.io/zone", "values": ["a"]}
                            ]
                        }
                    ],
                },
            ],
            (),
            BIND,
        ),
    ],
)
def test_nodes_are_filtered_by_their_volumes(
    objects: list[Any], n1: tuple[str, ...], n2: tuple[str, ...]
) -> None:
    """Bound volumes hold a pod where they are; unbound claims need a volume or a provisioner."""
    assert answers(VolumeBinding(), pod("c"), objects) == {"n1": n1, "n2": n2}


def test_two_claims_do_not_get_one_volume() -> None:
    """The second claim finds nothing."""
    objects = [
        claim("c", storageClassName="local"),
        claim("d", storageClassName="local"),
        LOCAL,
        volume("v", storageClassName="local"),
    ]
    assert answers(VolumeBinding(), pod("c", "d"), objects) == {"n1": BIND, "n2": BIND}
    objects.append(volume("w", storageClassName="local"))
    assert answers(VolumeBinding(), pod("c", "d"), objects) == {"n1": (), "n2": ()}


@pytest.mark.parametrize(
    "plugin", [VolumeBinding(), VolumeZone(), VolumeRestrictions(), NodeVolumeLimits()]
)
def test_pods_without_claims_skip_the_filters(plugin: Any) -> None:
    """They cost nothing, and the fast path stays open for them."""
    state = CycleState(Snapshot.of(NODES))
    Framework([plugin]).pre_filter(pod(), state)
    assert state.skip_filter == {plugin.name}
    assert plugin.local(pod(), state.snapshot)
    assert not plugin.local(pod("c"), state.snapshot)


def test_a_volume_with_a_zone_keeps_its_pod_there() -> None:
    """A node without zone labels passes, as upstream."""
    objects = [
        claim("c", volumeName="v"),
        volume("v", labels={"topology.kubernetes.io/zone": "b__c"}),
    ]
    zone = ("node(s) had no available volume zone",)
    assert answers(VolumeZone(), pod("c"), objects) == {"n1": zone, "n2": ()}
    objects[1]["metadata"]["labels"] = {"topology.kubernetes.io/zone": "a__b"}
    assert answers(VolumeZone(), pod("c"), objects) == {"n1": (), "n2": ()}


ONE_POD = (
    "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode",
)


def test_one_pod_alone_has_a_claim_with_read_write_once_pod() -> None:
    """The second pod is refused everywhere, and preempting the first would help."""
    objects = [claim("c", volumeName="v", accessModes=["ReadWriteOncePod"])]
    user = pod("c", name="first", on="n1")
    plugin = VolumeRestrictions()
    assert answers(plugin, pod("c"), objects, [user]) == {"n1": ONE_POD, "n2": ONE_POD}
    snapshot = Snapshot.of(NODES, [user], objects)
    framework, state = Framework([plugin]), CycleState(snapshot)
    framework.pre_filter(pod("c"), state)
    clone = snapshot["n1"].clone()
    framework.remove_pod(pod("c"), user, clone, state)
    assert framework.filter(pod("c"), clone, state).ok
    framework.add_pod(pod("c"), user, clone, state)
    assert framework.filter(pod("c"), clone, state).code is Code.UNSCHEDULABLE


@pytest.mark.parametrize(
    ("one", "other", "conflict"),
    [
        ({"gcePersistentDisk": {"pdName": "d"}}, {"gcePersistentDisk": {"pdName": "d"}}, True),
        (
            {"gcePersistentDisk": {"pdName": "d", "readOnly": True}},
            {"gcePersistentDisk": {"pdName": "d", "readOnly": True}},
            False,
        ),
        (
            {"awsElasticBlockStore": {"volumeID": "d", "readOnly": True}},
            {"awsElasticBlockStore": {"volumeID": "d", "readOnly": True}},
            True,
        ),
        ({"iscsi": {"iqn": "a"}}, {"iscsi": {"iqn": "b"}}, False),
        (
            {"rbd": {"monitors": ["m", "n"], "pool": "p", "image": "i"}},
            {"rbd": {"monitors": ["n"], "pool": "p", "image": "i"}},
            True,
        ),
    ],
)
def test_one_node_mounts_a_disk_once(
    one: dict[str, Any], other: dict[str, Any], conflict: bool
) -> None:
    """The pod is refused on the node that has the disk, unless both only read."""
    user = pod(name="first", on="n1", volumes=[{"name": "d", **other}])
    pending = pod(volumes=[{"name": "d", **one}])
    reason = ("node(s) had no available disk",) if conflict else ()
    assert answers(VolumeRestrictions(), pending, [], [user]) == {"n1": reason, "n2": ()}


def test_a_node_takes_as_many_volumes_of_a_driver_as_its_csinode_says() -> None:
    """Volumes that are on the node already count once; a node without a CSINode has no limit."""
    drivers = [{"name": "disk.example.com", "nodeID": "1", "allocatable": {"count": 1}}]
    objects = [
        {"kind": "CSINode", "metadata": {"name": "n1"}, "spec": {"drivers": drivers}},
        DISK,
        claim("c", volumeName="v"),
        volume("v", csi={"driver": "disk.example.com", "volumeHandle": "h"}),
        claim("d", storageClassName="disk"),
    ]
    user = pod("c", name="first", on="n1")
    full = ("node(s) exceed max volume count",)
    assert answers(NodeVolumeLimits(), pod("d"), objects, [user]) == {"n1": full, "n2": ()}
    assert answers(NodeVolumeLimits(), pod("c"), objects, [user]) == {"n1": (), "n2": ()}


# -- in a cluster ----------------------------------------------------------------------------------

WAITING = {
    "kind": "StorageClass",
    "apiVersion": "storage.k8s.io/v1",
    "metadata": {"name": "wait"},
    "provisioner": "kubesim.dev/local",
    "volumeBindingMode": "WaitForFirstConsumer",
}


def new_pod(*claims: str, name: str = "web", **spec: Any) -> dict[str, Any]:
    """A pod to create."""
    document = pod(*claims, **spec)
    document["spec"]["containers"] = [{"name": "main", "image": "web"}]
    return {**document, "metadata": {"name": name}}


def new_claim(name: str, **spec: Any) -> dict[str, Any]:
    """A claim to create."""
    return {"apiVersion": "v1", **claim(name, **spec), "metadata": {"name": name}}


def test_a_pod_waits_for_its_claim_and_explain_names_it() -> None:
    """Missing, then unbound, then bound: the watch events let the pod be tried again."""
    with Cluster(nodes=3, hpa=False) as cluster:
        cluster.api.create(new_pod("data"))
        cluster.sleep(1)
        (condition,) = cluster.api.get("Pod", "web")["status"]["conditions"]
        assert condition["message"] == (
            '0/3 nodes are available: persistentvolumeclaim "data" not found. preemption: 0/3 '
            "nodes are available: 3 Preemption is not helpful for scheduling."
        )
        cluster.api.create(new_claim("data", storageClassName=""))
        cluster.sleep(5)
        latest = cluster.explain("pod/web").latest
        assert "pod has unbound immediate PersistentVolumeClaims" in latest.verdict
        assert latest.would_change_if == (
            'the claim default/data is bound: explain("pvc/default/data") says what it waits for'
        )
        assert "FailedBinding" in str(cluster.explain("pvc/default/data"))
        disk = {"apiVersion": "v1", **volume("disk"), "status": {}}
        disk["spec"]["hostPath"] = {"path": "/mnt/disk"}
        cluster.api.create(disk)
        cluster.sleep(15)
        assert cluster.api.get("Pod", "web")["status"]["phase"] == "Running"


def test_a_claim_that_waits_for_its_pod_gets_a_volume_on_the_pods_node() -> None:
    """The scheduler chooses the node; the volume is made there, and holds the next pod there."""
    with Cluster(nodes=3, hpa=False) as cluster:
        slow = {"name": "wait", "annotations": {"kubesim.dev/provision-seconds": "20"}}
        cluster.api.create({**WAITING, "metadata": slow})
        cluster.api.create(new_claim("data", storageClassName="wait"))
        cluster.sleep(1)
        events = cluster.api.list("Event")["items"]
        waits = [e["message"] for e in events if e["reason"] == "WaitForFirstConsumer"]
        assert waits == ["waiting for first consumer to be created before binding"]
        cluster.api.create(new_pod("data"))
        cluster.sleep(5)
        selected = cluster.api.get("PersistentVolumeClaim", "data")["metadata"]["annotations"]
        chosen = selected["volume.kubernetes.io/selected-node"]
        verdict = cluster.explain("pod/web").latest.verdict
        text = "is chosen; the pod is bound to it once the claim default/data is bound"
        assert verdict == f"{chosen} {text}"
        assert "nodeName" not in cluster.api.get("Pod", "web")["spec"]
        cluster.sleep(20)
        placed = cluster.api.get("Pod", "web")
        assert (placed["spec"]["nodeName"], placed["status"]["phase"]) == (chosen, "Running")
        (disk,) = cluster.api.list("PersistentVolume")["items"]
        (term,) = disk["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"]
        expression = {"key": "kubernetes.io/hostname", "operator": "In", "values": [chosen]}
        assert term == {"matchExpressions": [expression]}
        cluster.node(chosen).cordon()
        cluster.api.create(new_pod("data", name="second"))
        cluster.sleep(5)
        (condition,) = cluster.api.get("Pod", "second")["status"]["conditions"]
        head = (
            "0/3 nodes are available: 1 node(s) were unschedulable, 2 node(s) had volume node "
            "affinity conflict."
        )
        assert condition["message"].startswith(head)
        change = cluster.explain("pod/second").latest.would_change_if
        assert f"the volume {disk['metadata']['name']} of the claim default/data" in change


def test_a_pod_gives_up_a_volume_that_does_not_come() -> None:
    """After bindTimeoutSeconds the attempt fails; a deleted pod no longer waits."""
    profile = {"pluginConfig": [{"name": "VolumeBinding", "args": {"bindTimeoutSeconds": 30}}]}
    with Cluster(nodes=1, hpa=False, profile=profile) as cluster:
        cluster.api.create({**WAITING, "provisioner": "disk.example.com"})
        cluster.api.create(new_claim("data", storageClassName="wait"))
        cluster.api.create(new_pod("data"))
        cluster.sleep(29)
        assert cluster.scheduler.statistics()["permit"] == 1
        cluster.sleep(2)
        (condition,) = cluster.api.get("Pod", "web")["status"]["conditions"]
        text = 'running PreBind plugin "VolumeBinding": binding volumes: context deadline exceeded'
        assert (condition["reason"], condition["message"]) == ("SchedulerError", text)
        cluster.sleep(5)
        cluster.api.delete("Pod", "web")
        cluster.sleep(1)
        assert cluster.scheduler.statistics()["permit"] == 0


def test_local_volumes_are_shared_out_by_the_scheduler() -> None:
    """Two pods, two local volumes: each pod goes to the node of the volume that it gets."""
    with Cluster(nodes=3, hpa=False) as cluster:
        cluster.api.create({**WAITING, "provisioner": "kubernetes.io/no-provisioner"})
        for name, place in (("disk-1", "node-1"), ("disk-2", "node-2")):
            disk = {"apiVersion": "v1", **volume(name, on=place, storageClassName="wait")}
            disk["spec"]["local"] = {"path": "/mnt/disk"}
            disk["status"] = {}
            cluster.api.create(disk)
        for name in ("a", "b", "c"):
            cluster.api.create(new_claim(name, storageClassName="wait"))
            cluster.api.create(new_pod(name, name=name))
        cluster.sleep(20)
        nodes = {}
        for name in ("a", "b", "c"):
            placed = cluster.api.get("Pod", name)["spec"].get("nodeName")
            disk_name = cluster.api.get("PersistentVolumeClaim", name)["spec"].get("volumeName")
            nodes[disk_name] = placed
        assert nodes == {"disk-1": "node-1", "disk-2": "node-2", None: None}
        pods = cluster.api.list("Pod")["items"]
        (pending,) = [each for each in pods if "nodeName" not in each["spec"]]
        (condition,) = pending["status"]["conditions"]
        assert "3 node(s) didn't find available persistent volumes to bind" in condition["message"]
