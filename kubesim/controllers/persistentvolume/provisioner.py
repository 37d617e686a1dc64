"""A simulated external provisioner: makes, grows and deletes volumes.

It serves the classes of the provisioners in `PROVISIONERS`, and every class with the annotation
``kubesim.dev/provision-seconds``: so long it takes until a volume is there (0 s without it). A
class with the annotation ``kubesim.dev/provision-error`` fails with that text.

A volume of a class with WaitForFirstConsumer can be used only on the node that the scheduler has
chosen, or, with the class's parameter ``topologyKey``, on all nodes with the same value of that
label (for example ``topology.kubernetes.io/zone``). Another volume can be used on every node, or on
those of the class's first allowed topology.

A claim with another claim as its data source gets a copy of its volume (`datasource`); the
host-path provisioners ignore data sources, as the real ones do.

A volume of one node, and all those of the provisioners in `HOST_PATHS`, are host paths. The others
are disks of a CSI driver, which are attached to the nodes of their pods; of a class of another
provisioner the driver is that provisioner.

Source: sigs.k8s.io/sig-storage-lib-external-provisioner/controller/controller.go,
github.com/kubernetes-csi/external-resizer/pkg/controller,
pkg/controller/volume/expand/expand_controller.go.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from kubesim.apiserver import ResourceEvent
from kubesim.client import Controller, EventRecorder, Tools
from kubesim.controllers.persistentvolume.datasource import (
    POPULATED,
    UnusableSource,
    has_populator,
    source_of,
)
from kubesim.errors import AlreadyExists, NotFound
from kubesim.objects import meta
from kubesim.objects.attachments import ATTACHMENT, volume_of_attachment
from kubesim.objects.kindnames import (
    NODE,
    PERSISTENT_VOLUME,
    PERSISTENT_VOLUME_CLAIM,
    STORAGE_CLASS,
)
from kubesim.objects.volumes import (
    CLONED_FROM,
    PROVISIONED_BY,
    SELECTED_NODE,
    STORAGE_PROVISIONER,
    class_of_claim,
    delays_binding,
    is_fully_bound,
    requested_size,
)
from kubesim.objects.wellknown import HOSTNAME_LABEL
from kubesim.quantity import parse_quantity

if TYPE_CHECKING:
    from kubesim.objects.types import (
        PersistentVolumeClaimDict,
        PersistentVolumeClaimStatusDict,
        PersistentVolumeDict,
        StorageClassDict,
    )
    from kubesim.objects.types.affinity import NodeSelectorRequirementDict, NodeSelectorTermDict

HOST_PATHS = (
    "rancher.io/local-path",
    "k8s.io/minikube-hostpath",
    "docker.io/hostpath",
    "microk8s.io/hostpath",
)
OWN_PROVISIONER, OWN_DRIVER = "kubesim.dev/local", "disk.kubesim.dev"
PROVISIONERS = (OWN_PROVISIONER, *HOST_PATHS)
MOST_DRIVER_NAME = 63
PROVISION_SECONDS = "kubesim.dev/provision-seconds"
PROVISION_ERROR = "kubesim.dev/provision-error"
FOLDER = "/var/kubesim/volumes"
RETRY_SECONDS = 15.0
DELETE_RETRY_SECONDS = 2.0
PROVISIONING = 'External provisioner is provisioning volume for claim "{}"'
EXPANDING = "waiting for an external controller to expand this PVC"


def is_simulated(storage_class: StorageClassDict) -> bool:
    """Return whether the simulated provisioner serves a class."""
    if PROVISION_SECONDS in meta.annotations_of(storage_class):
        return True
    return storage_class.get("provisioner") in PROVISIONERS


def provision_seconds(storage_class: StorageClassDict) -> float:
    """Return how long a volume of a class takes; 0 if the annotation is no number."""
    try:
        return max(0.0, float(meta.annotations_of(storage_class).get(PROVISION_SECONDS, 0)))
    except ValueError:
        return 0.0


def driver_of(storage_class: StorageClassDict, topology: list[NodeSelectorRequirementDict]) -> str:
    """Return the CSI driver of a new volume; "": it is a host path.

    Args:
        storage_class: its class.
        topology: the labels that its nodes must have.
    """
    provisioner = str(storage_class.get("provisioner"))
    of_one_node = any(item["key"] == HOSTNAME_LABEL for item in topology)
    if of_one_node or provisioner in HOST_PATHS:
        return ""
    if provisioner == OWN_PROVISIONER:
        return OWN_DRIVER
    valid = meta.valid_dns1123_subdomain(provisioner) and len(provisioner) <= MOST_DRIVER_NAME
    return provisioner if valid else ""


def volume_for(
    claim: PersistentVolumeClaimDict,
    storage_class: StorageClassDict,
    topology: list[NodeSelectorRequirementDict],
) -> PersistentVolumeDict:
    """Return the volume that is made for a claim.

    Args:
        claim: the claim.
        storage_class: its class.
        topology: the labels that its nodes must have; []: it can be used everywhere.
    """
    spec = claim["spec"]
    name = f"pvc-{meta.uid_of(claim)}"
    key = f"{meta.namespace_of(claim)}_{meta.name_of(claim)}"
    size = ((spec.get("resources") or {}).get("requests") or {}).get("storage", "0")
    volume: PersistentVolumeDict = {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {
            "name": name,
            "annotations": {PROVISIONED_BY: str(storage_class.get("provisioner"))},
        },
        "spec": {
            "accessModes": list(spec.get("accessModes") or ()),
            "capacity": {"storage": size},
            "claimRef": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "name": meta.name_of(claim),
                "namespace": meta.namespace_of(claim),
                "resourceVersion": str(claim["metadata"].get("resourceVersion") or ""),
                "uid": meta.uid_of(claim),
            },
            "persistentVolumeReclaimPolicy": str(storage_class.get("reclaimPolicy") or "Delete"),
            "storageClassName": meta.name_of(storage_class),
            "volumeMode": spec.get("volumeMode") or "Filesystem",
        },
    }
    if driver := driver_of(storage_class, topology):
        volume["spec"]["csi"] = {"driver": driver, "volumeHandle": name}
    else:
        path = f"{FOLDER}/{name}_{key}"
        volume["spec"]["hostPath"] = {"path": path, "type": "DirectoryOrCreate"}
    if options := storage_class.get("mountOptions"):
        volume["spec"]["mountOptions"] = list(options)
    if topology:
        terms: list[NodeSelectorTermDict] = [{"matchExpressions": topology}]
        volume["spec"]["nodeAffinity"] = {"required": {"nodeSelectorTerms": terms}}
    return volume


class VolumeProvisioner(Controller):
    """Provisions, expands and deletes volumes; keys are those of claims, and ``/NAME`` of volumes.

    The events about a claim come from its provisioner, as upstream.
    """

    name = "volume-provisioner"

    def __init__(self, tools: Tools, **options: float) -> None:
        super().__init__(tools, **options)
        self._claims = self.informer(PERSISTENT_VOLUME_CLAIM, self._claim_changed)
        self._volumes = self.informer(PERSISTENT_VOLUME, self._volume_changed)
        self._recorders: dict[str, EventRecorder] = {}
        self._ready_at: dict[str, float] = {}  # uid of a claim -> when its volume is made

    def _claim_changed(self, event: ResourceEvent[PersistentVolumeClaimDict]) -> Iterable[str]:
        claim = event.object
        if event.type == "DELETED":
            self._ready_at.pop(meta.uid_of(claim), None)
        elif _awaits_volume(claim) or _grows(claim):
            yield meta.key_of(claim)

    def _volume_changed(self, event: ResourceEvent[PersistentVolumeDict]) -> Iterable[str]:
        if event.type != "DELETED" and _is_to_be_deleted(event.object):
            yield f"/{meta.name_of(event.object)}"

    def reconcile(self, key: str) -> None:
        """Make or grow the volume of a claim, or delete a released volume."""
        namespace, _, name = key.partition("/")
        if not namespace:
            self._delete(name)
            return
        claim = self.api.peek(PERSISTENT_VOLUME_CLAIM, name, namespace)
        if claim is None:
            return
        storage_class = self.api.peek(STORAGE_CLASS, class_of_claim(claim))
        if storage_class is None or not is_simulated(storage_class):
            return
        if _grows(claim):
            self._expand(claim, storage_class)
        elif _awaits_volume(claim) and not meta.is_terminating(claim):
            if not delays_binding(storage_class) or SELECTED_NODE in meta.annotations_of(claim):
                self._provision(claim, storage_class)

    # -- new volumes ----------------------------------------------------------------------------

    def _provision(self, claim: PersistentVolumeClaimDict, storage_class: StorageClassDict) -> None:
        recorder = self._recorder(storage_class)
        name, uid = f"pvc-{meta.uid_of(claim)}", meta.uid_of(claim)
        if self.api.peek(PERSISTENT_VOLUME, name) is not None:
            return  # the binder has not seen it yet
        if uid not in self._ready_at:
            message = (
                f'External provisioner is provisioning volume for claim "{meta.key_of(claim)}"'
            )
            recorder.event(claim, "Normal", "Provisioning", message)
            self._ready_at[uid] = self.clock.now() + provision_seconds(storage_class)
        if has_populator(claim):
            recorder.event(claim, "Normal", "Provisioning", POPULATED)
            return
        remaining = self._ready_at[uid] - self.clock.now()
        if remaining > 0:
            self.queue.add_after(meta.key_of(claim), remaining)
            return
        try:
            volume = self._new_volume(claim, storage_class)
        except UnusableSource as error:
            class_name = meta.name_of(storage_class)
            message = f'failed to provision volume with StorageClass "{class_name}": {error}'
            recorder.event(claim, "Warning", "ProvisioningFailed", message)
            del self._ready_at[uid]
            self.queue.add_after(meta.key_of(claim), RETRY_SECONDS)
            return
        try:
            self.api.create(volume)
        except AlreadyExists:
            return
        self._ready_at.pop(uid, None)
        self.counts["provisioned"] += 1
        message = f"Successfully provisioned volume {name}"
        recorder.event(claim, "Normal", "ProvisioningSucceeded", message)

    def _new_volume(
        self, claim: PersistentVolumeClaimDict, storage_class: StorageClassDict
    ) -> PersistentVolumeDict:
        """Return the volume of a claim; a clone names the volume that its data comes from.

        Raises:
            UnusableSource: its data source cannot be cloned, or the class fails on purpose.
        """
        source = None
        if storage_class.get("provisioner") not in HOST_PATHS:  # these ignore data sources
            source = source_of(claim, storage_class, self.api)
        if error := meta.annotations_of(storage_class).get(PROVISION_ERROR):
            raise UnusableSource(error)
        volume = volume_for(claim, storage_class, self._topology(claim, storage_class))
        if source is not None:
            volume["metadata"]["annotations"][CLONED_FROM] = meta.name_of(source)
        return volume

    def _topology(
        self, claim: PersistentVolumeClaimDict, storage_class: StorageClassDict
    ) -> list[NodeSelectorRequirementDict]:
        """Return the labels of the nodes on which a new volume can be used."""
        selected = meta.annotations_of(claim).get(SELECTED_NODE)
        if selected is not None:
            key = (storage_class.get("parameters") or {}).get("topologyKey") or HOSTNAME_LABEL
            node = self.api.peek(NODE, selected)
            value = (meta.labels_of(node) if node is not None else {}).get(key)
            if value is None and key == HOSTNAME_LABEL:
                value = selected
            return [{"key": key, "operator": "In", "values": [value]}] if value else []
        for term in storage_class.get("allowedTopologies") or ():
            return [
                {"key": item["key"], "operator": "In", "values": item["values"][:1]}
                for item in term.get("matchLabelExpressions") or ()
            ]
        return []

    def _recorder(self, storage_class: StorageClassDict) -> EventRecorder:
        return self._recorder_of(str(storage_class.get("provisioner")))

    def _recorder_of(self, component: str) -> EventRecorder:
        recorder = self._recorders.get(component)
        if recorder is None:
            recorder = self._recorders[component] = EventRecorder(self.api, component)
        return recorder

    # -- expansion and deletion -----------------------------------------------------------------

    def _expand(self, claim: PersistentVolumeClaimDict, storage_class: StorageClassDict) -> None:
        """Grow the volume of a claim, then tell the claim its size."""
        volume = self.api.peek(PERSISTENT_VOLUME, claim["spec"]["volumeName"])
        if volume is None or PROVISIONED_BY not in meta.annotations_of(volume):
            return  # somebody made it by hand: nothing can grow it
        size = claim["spec"]["resources"]["requests"]["storage"]
        capacity = (volume["spec"].get("capacity") or {}).get("storage", 0)
        recorder = self._recorder(storage_class)
        if parse_quantity(capacity) < parse_quantity(size):
            expander = self._recorder_of("volume_expand")
            expander.event(claim, "Normal", "ExternalExpanding", EXPANDING)
            message = f"External resizer is resizing volume {meta.name_of(volume)}"
            recorder.event(claim, "Normal", "Resizing", message)
            self.api.update({**volume, "spec": {**volume["spec"], "capacity": {"storage": size}}})
        status: PersistentVolumeClaimStatusDict = {
            **(claim.get("status") or {}),
            "capacity": {"storage": size},
            "allocatedResources": {"storage": size},
        }
        self.api.update_status({**claim, "status": status})
        recorder.event(claim, "Normal", "VolumeResizeSuccessful", "Resize volume succeeded")
        self.counts["expanded"] += 1

    def _delete(self, name: str) -> None:
        volume = self.api.peek(PERSISTENT_VOLUME, name)
        if volume is None or not _is_to_be_deleted(volume):
            return
        provisioner = meta.annotations_of(volume)[PROVISIONED_BY]
        if provisioner not in PROVISIONERS:
            class_name = volume["spec"].get("storageClassName") or ""
            storage_class = self.api.peek(STORAGE_CLASS, class_name) if class_name else None
            if storage_class is None or not is_simulated(storage_class):
                return
        if node := self._attached_to(name):
            message = f"persistentvolume {name} is still attached to node {node}"
            self._recorder_of(provisioner).event(volume, "Warning", "VolumeFailedDelete", message)
            self.queue.add_after(f"/{name}", DELETE_RETRY_SECONDS)
            return
        try:
            self.api.delete("PersistentVolume", name, uid=meta.uid_of(volume))
            self.counts["deleted"] += 1
        except NotFound:
            return

    def _attached_to(self, name: str) -> str:
        """Return the node that a volume is attached to; "": none."""
        for attachment in self.api.snapshot(ATTACHMENT)[0]:
            if volume_of_attachment(attachment) == name:
                return attachment["spec"]["nodeName"]
        return ""


def _awaits_volume(claim: PersistentVolumeClaimDict) -> bool:
    """Return whether the binder has named the provisioner of a claim, and no volume exists yet."""
    has_volume = bool((claim.get("spec") or {}).get("volumeName"))
    return STORAGE_PROVISIONER in meta.annotations_of(claim) and not has_volume


def _grows(claim: PersistentVolumeClaimDict) -> bool:
    """Return whether a bound claim requests more than its volume has."""
    if not is_fully_bound(claim):
        return False
    capacity = ((claim.get("status") or {}).get("capacity") or {}).get("storage")
    return capacity is not None and requested_size(claim) > parse_quantity(capacity)


def _is_to_be_deleted(volume: PersistentVolumeDict) -> bool:
    """Return whether a volume is released, and its reclaim policy is Delete."""
    spec, annotations = volume.get("spec") or {}, meta.annotations_of(volume)
    released = (volume.get("status") or {}).get("phase") == "Released"
    deletes = spec.get("persistentVolumeReclaimPolicy") == "Delete"
    return (
        released and deletes and PROVISIONED_BY in annotations and not meta.is_terminating(volume)
    )
