"""Claims and volumes: binding, provisioning, reclaiming, protection, expansion."""

from __future__ import annotations

from typing import Any

import pytest

from kubesim import Cluster
from kubesim.controllers.persistentvolume.plan import plan_claim, plan_volume, unbound
from kubesim.errors import Forbidden, Invalid
from kubesim.objects.volumes import find_matching_volume, modes_text

UID = "uid-of-the-claim"


def claim_of(name: str = "data", **spec: Any) -> dict[str, Any]:
    """A claim of 1Gi that one node may write."""
    annotations = spec.pop("annotations", {})
    spec = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}},
        **spec,
    }
    metadata = {"name": name, "namespace": "default", "uid": UID, "annotations": annotations}
    return {
        "kind": "PersistentVolumeClaim",
        "apiVersion": "v1",
        "metadata": metadata,
        "spec": spec,
        "status": {"phase": "Pending"},
    }


def volume_of(
    name: str, size: str = "1Gi", phase: str = "Available", **spec: Any
) -> dict[str, Any]:
    """A host path that one node may write."""
    labels = spec.pop("labels", {})
    annotations = spec.pop("annotations", {})
    spec = {
        "accessModes": ["ReadWriteOnce"],
        "capacity": {"storage": size},
        "hostPath": {"path": f"/mnt/{name}"},
        **spec,
    }
    metadata = {"name": name, "labels": labels, "annotations": annotations}
    return {
        "kind": "PersistentVolume",
        "apiVersion": "v1",
        "metadata": metadata,
        "spec": spec,
        "status": {"phase": phase},
    }


def reference(name: str = "data", uid: str | None = UID) -> dict[str, Any]:
    """A claimRef."""
    of_claim = {"kind": "PersistentVolumeClaim", "name": name, "namespace": "default"}
    return of_claim if uid is None else {**of_claim, "uid": uid}


NODE = {"metadata": {"name": "n1", "labels": {"zone": "a"}}}


def local(values: list[str]) -> dict[str, Any]:
    """Node affinity of a volume."""
    term = {"matchExpressions": [{"key": "zone", "operator": "In", "values": values}]}
    return {"required": {"nodeSelectorTerms": [term]}}


@pytest.mark.parametrize(
    ("claim", "volumes", "expected"),
    [
        (claim_of(), [volume_of("a", "5Gi"), volume_of("b", "2Gi"), volume_of("c", "512Mi")], "b"),
        (claim_of(), [volume_of("a", phase="Released")], None),
        (claim_of(), [volume_of("a", phase="Pending")], None),
        (claim_of(storageClassName="fast"), [volume_of("a")], None),
        (claim_of(storageClassName="fast"), [volume_of("a", storageClassName="fast")], "a"),
        (claim_of(), [volume_of("a", storageClassName="fast")], None),
        (claim_of(accessModes=["ReadWriteMany"]), [volume_of("a")], None),
        (
            claim_of(),
            [volume_of("a", accessModes=["ReadWriteOnce", "ReadWriteMany"]), volume_of("b", "2Gi")],
            "b",
        ),
        (claim_of(volumeMode="Block"), [volume_of("a")], None),
        (claim_of(volumeMode="Block"), [volume_of("a", volumeMode="Block")], "a"),
        (
            claim_of(selector={"matchLabels": {"disk": "ssd"}}),
            [volume_of("a"), volume_of("b", labels={"disk": "ssd"})],
            "b",
        ),
        (claim_of(), [volume_of("a", claimRef=reference("other", "x"))], None),
        (claim_of(), [volume_of("a"), volume_of("b", "9Gi", claimRef=reference(uid=None))], "b"),
        (claim_of(), [volume_of("a"), volume_of("b", "9Gi", claimRef=reference(uid="old"))], "a"),
        (claim_of(volumeAttributesClassName="gold"), [volume_of("a")], None),
    ],
)
def test_a_claim_gets_the_volume_that_names_it_or_the_smallest_that_fits(
    claim: dict[str, Any], volumes: list[dict[str, Any]], expected: str | None
) -> None:
    """Class, selector, size, access modes and volume mode have to match."""
    match = find_matching_volume(claim, volumes)
    assert (match and match["metadata"]["name"]) == expected


def test_on_a_node_only_its_volumes_match() -> None:
    """The scheduler asks for a node; a volume that names the claim, but is elsewhere, ends it."""
    volumes = [volume_of("a", nodeAffinity=local(["b"])), volume_of("b", nodeAffinity=local(["a"]))]
    match = find_matching_volume(claim_of(), volumes, node=NODE, delayed=True)
    assert match is not None and match["metadata"]["name"] == "b"
    assert find_matching_volume(claim_of(), volumes, node=NODE, excluded=["b"]) is None
    assert find_matching_volume(claim_of(), volumes, delayed=True) is None
    named = [volume_of("a", nodeAffinity=local(["b"]), claimRef=reference(uid=None)), volumes[1]]
    assert find_matching_volume(claim_of(), named, node=NODE) is None


CLASS = {"metadata": {"name": "fast"}, "provisioner": "ebs.csi.aws.com"}
DELAYED = {**CLASS, "volumeBindingMode": "WaitForFirstConsumer"}
BOUND = {"pv.kubernetes.io/bind-completed": "yes"}


@pytest.mark.parametrize(
    ("claim", "volumes", "storage_class", "action", "reason"),
    [
        (claim_of(), [], None, "pend", "FailedBinding"),
        (claim_of(storageClassName="fast"), [], None, "pend", "ProvisioningFailed"),
        (claim_of(storageClassName="fast"), [], CLASS, "provision", "ExternalProvisioning"),
        (claim_of(storageClassName="fast"), [], DELAYED, "wait", "WaitForFirstConsumer"),
        (
            claim_of(
                storageClassName="fast",
                annotations={"volume.kubernetes.io/selected-node": "n1"},
            ),
            [],
            DELAYED,
            "provision",
            "ExternalProvisioning",
        ),
        (claim_of(volumeName="a"), [], None, "pend", ""),
        (claim_of(volumeName="a"), [volume_of("a")], None, "bind", ""),
        (claim_of(volumeName="a"), [volume_of("a", "1Mi")], None, "pend", "VolumeMismatch"),
        (claim_of(volumeName="a"), [volume_of("a", claimRef=reference("x"))], None, "pend", ""),
        (claim_of(annotations=BOUND), [], None, "lose", "ClaimLost"),
        (claim_of(annotations=BOUND, volumeName="a"), [], None, "lose", "ClaimLost"),
        (
            claim_of(annotations=BOUND, volumeName="a"),
            [volume_of("a", claimRef=reference("x", "y"))],
            None,
            "lose",
            "ClaimMisbound",
        ),
        (
            claim_of(annotations=BOUND, volumeName="a"),
            [volume_of("a", claimRef=reference())],
            None,
            "bind",
            "",
        ),
    ],
)
def test_what_becomes_of_a_claim(
    claim: dict[str, Any],
    volumes: list[dict[str, Any]],
    storage_class: dict[str, Any] | None,
    action: str,
    reason: str,
) -> None:
    """One row for each branch of syncUnboundClaim and syncBoundClaim."""
    plan = plan_claim(claim, volumes, storage_class)
    assert (plan.action, plan.event[1] if plan.event else "") == (action, reason)


def test_a_claim_says_for_which_pods_it_waits() -> None:
    """The scheduler has pods of it already: they have to be scheduled first."""
    waiting = claim_of(storageClassName="fast")
    one, two = (plan_claim(waiting, [], DELAYED, pods) for pods in (["p"], ["p", "q"]))
    assert one.event is not None and two.event is not None
    assert one.event[1:] == ("WaitForPodScheduled", "waiting for pod p to be scheduled")
    assert two.event[2] == "waiting for pods p,q to be scheduled"


@pytest.mark.parametrize(
    ("spec", "phase", "action", "reason"),
    [
        ({}, "Released", "", ""),
        ({"persistentVolumeReclaimPolicy": "Recycle"}, "Released", "recycle", "VolumeRecycled"),
        ({"persistentVolumeReclaimPolicy": "Delete"}, "Failed", "", "VolumeFailedDelete"),
        (
            {"persistentVolumeReclaimPolicy": "Delete", "hostPath": {"path": "/tmp/a"}},
            "Released",
            "delete",
            "",
        ),
        (
            {"persistentVolumeReclaimPolicy": "Delete", "hostPath": None, "csi": {"driver": "d"}},
            "Released",
            "",
            "",
        ),
        (
            {
                "persistentVolumeReclaimPolicy": "Recycle",
                "hostPath": None,
                "local": {"path": "/x"},
            },
            "Failed",
            "",
            "VolumeFailedRecycle",
        ),
    ],
)
def test_what_becomes_of_a_released_volume(
    spec: dict[str, Any], phase: str, action: str, reason: str
) -> None:
    """The reclaim policy decides; the controller can delete host paths below /tmp alone."""
    plan = plan_volume(volume_of("a", claimRef=reference(), phase="Bound", **spec), None)
    assert (plan.phase, plan.action) == (phase, action)
    assert (plan.event[1] if plan.event else "") == reason


def test_what_becomes_of_other_volumes() -> None:
    """Free, waiting for a claim that a person has named, bound, and bound to a claim elsewhere."""
    assert plan_volume(volume_of("a"), None).phase == "Available"
    named = plan_volume(volume_of("a", claimRef=reference(uid=None)), claim_of())
    assert (named.phase, named.claim) == ("Available", True)
    bound = volume_of("a", claimRef=reference())
    assert plan_volume(bound, claim_of(volumeName="a")).phase == "Bound"
    assert plan_volume(bound, claim_of()).claim
    elsewhere = plan_volume(bound, claim_of(volumeName="b"))
    assert (elsewhere.phase, elsewhere.action) == ("", "unbind")
    block = plan_volume(bound, claim_of(volumeMode="Block"))
    assert block.event is not None and block.event[1] == "VolumeMismatch"


def test_unbinding_keeps_what_a_person_wrote() -> None:
    """The controller's reference goes; a reference by name stays without uid."""
    by_controller = {"pv.kubernetes.io/bound-by-controller": "yes"}
    ours = unbound(volume_of("a", claimRef=reference(), annotations=by_controller))
    assert "claimRef" not in ours["spec"] and "annotations" not in ours["metadata"]
    theirs = unbound(volume_of("a", claimRef=reference()))
    assert theirs["spec"]["claimRef"] == reference(uid=None)


def test_access_modes_are_abbreviated_in_kubectls_order() -> None:
    """As util.GetAccessModesAsString."""
    modes = ["ReadWriteOncePod", "ReadWriteMany", "ReadOnlyMany", "ReadWriteOnce"]
    assert modes_text(modes) == "RWO,ROX,RWX,RWOP"


# -- in a cluster ----------------------------------------------------------------------------------


def new_claim(name: str = "data", **spec: Any) -> dict[str, Any]:
    """A claim to create."""
    document = claim_of(name, **spec)
    return {**document, "metadata": {"name": name}}


def pod_with(claim: str, name: str = "web", **spec: Any) -> dict[str, Any]:
    """A pod that mounts a claim."""
    mounts = [{"name": "data", "mountPath": "/data"}]
    return {
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {
            "containers": [{"name": "main", "image": "web", "volumeMounts": mounts}],
            "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": claim}}],
            **spec,
        },
    }


def phases(cluster: Cluster, kind: str) -> dict[str, str]:
    """Phase of each object by its name."""
    listed = cluster.api.list(kind)["items"]
    return {item["metadata"]["name"]: item["status"]["phase"] for item in listed}


def reasons(cluster: Cluster, name: str) -> list[str]:
    """Reasons of the events about an object, in order."""
    events = cluster.api.list("Event")["items"]
    return [event["reason"] for event in events if event["involvedObject"]["name"] == name]


def test_the_default_class_provisions_at_once_and_deletes() -> None:
    """Claim -> volume -> bound; the claim's deletion deletes the volume."""
    with Cluster(nodes=1, hpa=False) as cluster:
        cluster.api.create(new_claim())
        cluster.sleep(1)
        claim = cluster.api.get("PersistentVolumeClaim", "data")
        name = f"pvc-{claim['metadata']['uid']}"
        volume = cluster.api.get("PersistentVolume", name)
        assert claim["spec"]["storageClassName"] == "standard"
        assert claim["spec"]["volumeName"] == name
        assert claim["status"] == {
            "phase": "Bound",
            "accessModes": ["ReadWriteOnce"],
            "capacity": {"storage": "1Gi"},
        }
        assert claim["metadata"]["annotations"] == {
            "pv.kubernetes.io/bind-completed": "yes",
            "pv.kubernetes.io/bound-by-controller": "yes",
            "volume.beta.kubernetes.io/storage-provisioner": "kubesim.dev/local",
            "volume.kubernetes.io/storage-provisioner": "kubesim.dev/local",
        }
        assert volume["metadata"]["annotations"] == {
            "pv.kubernetes.io/provisioned-by": "kubesim.dev/local"
        }
        assert volume["spec"]["persistentVolumeReclaimPolicy"] == "Delete"
        assert "nodeAffinity" not in volume["spec"]
        steps = ["ExternalProvisioning", "Provisioning", "ProvisioningSucceeded"]
        assert reasons(cluster, "data") == steps
        cluster.api.delete("PersistentVolumeClaim", "data")
        cluster.sleep(1)
        assert phases(cluster, "PersistentVolume") == {}


def test_a_retained_volume_is_not_bound_twice() -> None:
    """A volume by hand: bound to the claim, released, and available once its claimRef is gone."""
    with Cluster(nodes=1, hpa=False) as cluster:
        create = {**volume_of("disk"), "status": {}}
        cluster.api.create(create)
        cluster.sleep(1)
        assert phases(cluster, "PersistentVolume") == {"disk": "Available"}
        cluster.api.create(new_claim(storageClassName=""))
        cluster.sleep(1)
        volume = cluster.api.get("PersistentVolume", "disk")
        assert volume["status"]["phase"] == "Bound"
        assert volume["metadata"]["annotations"] == {"pv.kubernetes.io/bound-by-controller": "yes"}
        cluster.api.delete("PersistentVolumeClaim", "data")
        cluster.api.create(new_claim("second", storageClassName=""))
        cluster.sleep(20)
        assert phases(cluster, "PersistentVolume") == {"disk": "Released"}
        assert phases(cluster, "PersistentVolumeClaim") == {"second": "Pending"}
        cluster.api.patch("PersistentVolume", "disk", {"spec": {"claimRef": None}})
        cluster.sleep(1)
        assert phases(cluster, "PersistentVolumeClaim") == {"second": "Bound"}


def test_a_lost_volume_is_noticed() -> None:
    """The volume object is removed by force: the claim is Lost, and a pod with it is not placed."""
    with Cluster(nodes=1, hpa=False) as cluster:
        cluster.api.create({**volume_of("disk"), "status": {}})
        cluster.api.create(new_claim(storageClassName=""))
        cluster.sleep(1)
        cluster.api.delete("PersistentVolume", "disk")
        cluster.sleep(1)
        assert phases(cluster, "PersistentVolume") == {"disk": "Bound"}  # protected
        volume = cluster.api.get("PersistentVolume", "disk")
        volume["metadata"]["finalizers"] = []
        cluster.api.update(volume)
        cluster.sleep(1)
        assert phases(cluster, "PersistentVolumeClaim") == {"data": "Lost"}
        assert reasons(cluster, "data")[-1] == "ClaimLost"
        cluster.api.create(pod_with("data"))
        cluster.sleep(1)
        (condition,) = cluster.api.get("Pod", "web")["status"]["conditions"]
        text = 'persistentvolumeclaim "data" bound to non-existent persistentvolume "disk"'
        assert text in condition["message"]


def test_a_claim_in_use_is_protected() -> None:
    """It stays Terminating until its pod is gone, and explain names the pod."""
    with Cluster(nodes=1, hpa=False) as cluster:
        cluster.api.create(new_claim())
        cluster.api.create(pod_with("data"))
        cluster.sleep(5)
        cluster.api.delete("PersistentVolumeClaim", "data")
        cluster.sleep(5)
        claim = cluster.api.get("PersistentVolumeClaim", "data")
        assert claim["metadata"]["finalizers"] == ["kubernetes.io/pvc-protection"]
        latest = cluster.explain("pvc/data").latest
        assert latest.verdict == "not deleted yet: it is used by the pod web"
        cluster.api.delete("Pod", "web")
        cluster.sleep(40)
        assert phases(cluster, "PersistentVolumeClaim") == {}


def test_a_claim_grows_if_its_class_allows_it() -> None:
    """Volume and claim get the new size; other classes and unbound claims are refused."""
    with Cluster(nodes=1, hpa=False) as cluster:
        cluster.api.create(new_claim())
        cluster.sleep(1)
        larger = {"spec": {"resources": {"requests": {"storage": "3Gi"}}}}
        cluster.api.patch("PersistentVolumeClaim", "data", larger)
        cluster.sleep(1)
        claim = cluster.api.get("PersistentVolumeClaim", "data")
        assert claim["status"]["capacity"] == {"storage": "3Gi"}
        volume = cluster.api.get("PersistentVolume", claim["spec"]["volumeName"])
        assert volume["spec"]["capacity"] == {"storage": "3Gi"}
        steps = ["ExternalExpanding", "Resizing", "VolumeResizeSuccessful"]
        assert reasons(cluster, "data")[-3:] == steps
        smaller = {"spec": {"resources": {"requests": {"storage": "2Gi"}}}}
        with pytest.raises(Invalid, match=r"field can not be less than status\.capacity"):
            cluster.api.patch("PersistentVolumeClaim", "data", smaller)
        cluster.api.create({**volume_of("disk"), "status": {}})
        cluster.api.create(new_claim("fixed", storageClassName=""))
        with pytest.raises(Forbidden, match="Only bound persistent volume claims"):
            cluster.api.patch("PersistentVolumeClaim", "fixed", larger)
        cluster.sleep(1)
        with pytest.raises(Forbidden, match="only dynamically provisioned pvc can be resized"):
            cluster.api.patch("PersistentVolumeClaim", "fixed", larger)


def test_a_claim_without_a_class_gets_the_default_class_later() -> None:
    """It was created while there was no default; a new default class is given to it."""
    with Cluster(nodes=1, hpa=False) as cluster:
        cluster.api.delete("StorageClass", "standard")
        cluster.api.create(new_claim())
        cluster.api.create(new_claim("none", storageClassName=""))
        cluster.sleep(1)
        assert reasons(cluster, "data") == ["FailedBinding"]
        default = {"storageclass.kubernetes.io/is-default-class": "true"}
        cluster.api.create(
            {
                "kind": "StorageClass",
                "apiVersion": "storage.k8s.io/v1",
                "metadata": {"name": "late", "annotations": default},
                "provisioner": "kubesim.dev/local",
            }
        )
        cluster.sleep(1)
        assert phases(cluster, "PersistentVolumeClaim") == {"data": "Bound", "none": "Pending"}
        claim = cluster.api.get("PersistentVolumeClaim", "data")
        assert claim["spec"]["storageClassName"] == "late"


def test_a_provisioner_may_be_slow_fail_or_be_missing() -> None:
    """Annotations of the class say how long it takes and whether it fails; others wait."""
    with Cluster(nodes=1, hpa=False) as cluster:
        for name, provisioner, annotations in (
            ("slow", "disk.example.com", {"kubesim.dev/provision-seconds": "30"}),
            ("broken", "kubesim.dev/local", {"kubesim.dev/provision-error": "no space left"}),
            ("missing", "disk.example.com", {}),
        ):
            metadata = {"name": name, "annotations": annotations}
            cluster.api.create(
                {
                    "kind": "StorageClass",
                    "apiVersion": "storage.k8s.io/v1",
                    "metadata": metadata,
                    "provisioner": provisioner,
                }
            )
            cluster.api.create(new_claim(name, storageClassName=name))
        cluster.sleep(29)
        assert set(phases(cluster, "PersistentVolumeClaim").values()) == {"Pending"}
        cluster.sleep(2)
        bound = [k for k, v in phases(cluster, "PersistentVolumeClaim").items() if v == "Bound"]
        assert bound == ["slow"]
        events = cluster.api.list("Event")["items"]
        failed = [e["message"] for e in events if e["reason"] == "ProvisioningFailed"]
        assert failed == ['failed to provision volume with StorageClass "broken": no space left']
        assert reasons(cluster, "missing") == ["ExternalProvisioning"]


def test_an_ephemeral_volume_has_a_claim_that_goes_with_its_pod() -> None:
    """Named by pod and volume, owned by the pod; the pod runs once it is bound."""
    with Cluster(nodes=1, hpa=False) as cluster:
        template = {"metadata": {"labels": {"a": "b"}}, "spec": claim_of()["spec"]}
        pod = pod_with("")
        pod["spec"]["volumes"] = [{"name": "data", "ephemeral": {"volumeClaimTemplate": template}}]
        cluster.api.create(pod)
        cluster.sleep(10)
        claim = cluster.api.get("PersistentVolumeClaim", "web-data")
        assert claim["metadata"]["labels"] == {"a": "b"}
        (owner,) = claim["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["name"], owner["controller"]) == ("Pod", "web", True)
        assert phases(cluster, "Pod") == {"web": "Running"}
        cluster.api.delete("Pod", "web")
        cluster.sleep(45)
        assert phases(cluster, "PersistentVolumeClaim") == {}
        assert phases(cluster, "PersistentVolume") == {}


def test_a_class_may_say_how_long_mounting_takes() -> None:
    """The pod is ContainerCreating for that time; without the annotation nothing changes."""
    with Cluster(nodes=1, hpa=False) as cluster:
        slow = {"kubesim.dev/mount-seconds": "20"}
        cluster.api.patch("StorageClass", "standard", {"metadata": {"annotations": slow}})
        cluster.api.create(new_claim())
        cluster.sleep(1)
        cluster.api.create(pod_with("data"))
        cluster.sleep(19)
        assert phases(cluster, "Pod") == {"web": "Pending"}
        cluster.sleep(4)
        assert phases(cluster, "Pod") == {"web": "Running"}


def test_pods_that_name_their_node_wait_for_their_claims() -> None:
    """The kubelet reports FailedMount, and starts the pod once the claim is bound."""
    with Cluster(nodes=1, hpa=False) as cluster:
        cluster.api.create(pod_with("data", nodeName="node-1"))
        cluster.sleep(3)
        events = cluster.api.list("Event")["items"]
        message = next(e["message"] for e in events if e["reason"] == "FailedMount")
        assert message == (
            "Unable to attach or mount volumes: unmounted volumes=[data], unattached volumes=[], "
            "failed to process volumes=[data]: error processing PVC default/data: failed to fetch "
            'PVC from API server: persistentvolumeclaims "data" not found'
        )
        cluster.api.create(new_claim())
        cluster.sleep(10)
        assert phases(cluster, "Pod") == {"web": "Running"}
