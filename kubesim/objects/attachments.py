"""Volumes that are attached to nodes: which ones need it, their names, and who may share them.

>>> disk = {"metadata": {"name": "disk"}, "spec": {"accessModes": ["ReadWriteOnce"],
...     "csi": {"driver": "disk.example.com", "volumeHandle": "vol-1"}}}
>>> unique_name(disk), may_be_on_several_nodes(disk)
('kubernetes.io/csi/disk.example.com^vol-1', False)

Source: pkg/volume/csi/csi_attacher.go (getAttachmentName), pkg/volume/csi/csi_plugin.go
(CanAttach), pkg/volume/util/attach_limit.go, pkg/volume/util/util.go (IsMultiAttachAllowed,
IsPodTerminated, GetUniqueVolumeNameFromSpec).
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, TypedDict, cast

from kubesim.objects import meta
from kubesim.objects.frozen import ReadOnlyDocument
from kubesim.objects.kindnames import KindName
from kubesim.objects.pods import is_finished
from kubesim.objects.taints import taints_of

if TYPE_CHECKING:
    from kubesim.objects.types import NodeDict, ObjectMetaDict, PersistentVolumeDict, PodDict


class AttachmentSourceDict(TypedDict, total=False):
    """The volume of a VolumeAttachment."""

    persistentVolumeName: str


class AttachmentSpecDict(TypedDict, total=False):
    """Which volume is attached to which node, by which driver."""

    attacher: str
    nodeName: str
    source: AttachmentSourceDict


class AttachmentStatusDict(TypedDict, total=False):
    """Whether a volume is attached."""

    attached: bool


class VolumeAttachmentDict(TypedDict, total=False):
    """The intent to attach a volume to a node, and whether it is attached."""

    apiVersion: str
    kind: str
    metadata: ObjectMetaDict
    spec: AttachmentSpecDict
    status: AttachmentStatusDict


ATTACHMENT = cast("KindName[VolumeAttachmentDict]", "VolumeAttachment")
CSI_DRIVER = "CSIDriver"
OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"
SHARED_MODES = {"ReadWriteMany", "ReadOnlyMany"}


def unique_name(volume: PersistentVolumeDict) -> str:
    """Return the name of a CSI volume in a node's status; "" for every other volume."""
    csi = volume["spec"].get("csi")
    if csi is None:
        return ""
    return f"kubernetes.io/csi/{csi.get('driver')}^{csi.get('volumeHandle')}"


def needs_attaching(volume: PersistentVolumeDict, driver: ReadOnlyDocument | None) -> bool:
    """Return whether a volume has to be attached to a node before it is mounted.

    Args:
        volume: the volume.
        driver: the CSIDriver of its name, if there is one.
    """
    if volume["spec"].get("csi") is None:
        return False
    return driver is None or (driver.get("spec") or {}).get("attachRequired") is not False


def attachment_name(volume: PersistentVolumeDict, node: str) -> str:
    """Return the name of the VolumeAttachment of a volume and a node."""
    csi = volume["spec"].get("csi") or {}
    text = f"{csi.get('volumeHandle')}{csi.get('driver')}{node}"
    return f"csi-{sha256(text.encode()).hexdigest()}"


def is_attached(attachment: VolumeAttachmentDict) -> bool:
    """Return whether a volume has been attached."""
    return bool((attachment.get("status") or {}).get("attached"))


def volume_of_attachment(attachment: VolumeAttachmentDict) -> str:
    """Return the name of the volume of an attachment; "" for one that is defined in a pod."""
    return attachment["spec"]["source"].get("persistentVolumeName") or ""


def may_be_on_several_nodes(volume: PersistentVolumeDict) -> bool:
    """Return whether a volume may be attached to several nodes at once, by its access modes."""
    modes = volume["spec"].get("accessModes") or ()
    return not modes or not SHARED_MODES.isdisjoint(modes)


def has_terminated(pod: PodDict) -> bool:
    """Return whether a pod needs its volumes no more: it has ended, or is deleted and stopped."""
    if is_finished(pod):
        return True
    if not meta.is_terminating(pod):
        return False
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    states = [status.get("state") or {} for status in statuses]
    return all(state.get("terminated") or state.get("waiting") for state in states)


def is_healthy(node: NodeDict | None) -> bool:
    """Return whether a node exists and is ready."""
    conditions = ((node or {}).get("status") or {}).get("conditions") or ()
    return any(c.get("type") == "Ready" and c.get("status") == "True" for c in conditions)


def is_out_of_service(node: NodeDict | None) -> bool:
    """Return whether somebody has tainted a node as out of service."""
    if node is None:
        return False
    return any(taint.get("key") == OUT_OF_SERVICE for taint in taints_of(node, "NoExecute"))
