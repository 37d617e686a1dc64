"""The claims of a pod, as its kubelet sees them: whether they can be used, and how long that takes.

A pod whose claim does not exist, is not bound or is being deleted waits with FailedMount. The
scheduler sends such a pod to no node, but a pod that names its node is there at once.

Source: pkg/kubelet/volumemanager/populator/desired_state_of_world_populator.go (getPVCExtractPV).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from kubesim.kubelet.process.environment import Find
from kubesim.objects import meta
from kubesim.objects.attachments import CSI_DRIVER, needs_attaching, unique_name
from kubesim.objects.volumes import claim_name_of, claim_names, class_of_claim, mount_seconds_of

if TYPE_CHECKING:
    from kubesim.objects.types import (
        PersistentVolumeClaimDict,
        PersistentVolumeDict,
        PodDict,
        StorageClassDict,
    )

CLAIM, VOLUME = "PersistentVolumeClaim", "PersistentVolume"


def unusable_claims(pod: PodDict, find: Find) -> str:
    """Return which volumes cannot be mounted because of their claims, and why; "" if they can.

    Args:
        pod: the pod.
        find: looks up claims and volumes.
    """
    failed, reasons = [], []
    for volume in pod["spec"].get("volumes") or ():
        name = claim_name_of(volume, meta.name_of(pod))
        if name and (reason := _why_unusable(name, find)):
            failed.append(str(volume.get("name")))
            reasons.append(f"error processing PVC {meta.namespace_of(pod)}/{name}: {reason}")
    if not failed:
        return ""
    names = " ".join(sorted(failed))
    return (
        f"Unable to attach or mount volumes: unmounted volumes=[{names}], unattached volumes=[], "
        f"failed to process volumes=[{names}]: {'; '.join(reasons)}"
    )


def _why_unusable(name: str, find: Find) -> str:
    claim = find(CLAIM, name)
    if claim is None:
        return f'failed to fetch PVC from API server: persistentvolumeclaims "{name}" not found'
    if meta.is_terminating(claim):
        return "PVC is being deleted"
    if (claim.get("status") or {}).get("phase") != "Bound":
        return "PVC is not bound"
    volume_name = str(claim["spec"].get("volumeName") or "")
    if not volume_name:
        return "PVC has empty pvc.Spec.VolumeName"
    if find(VOLUME, volume_name) is None:
        missing = f'persistentvolumes "{volume_name}" not found'
        return f"failed to fetch PV {volume_name} from API server: {missing}"
    return ""


def mount_seconds(pod: PodDict, find: Find) -> float:
    """Return how long it takes to mount the volumes of a pod's claims.

    The longest that a StorageClass of the claims says by the annotation
    ``kubesim.dev/mount-seconds``; 0 without one, or if it is no number. A volume that is attached
    to the node has taken its time for that.

    Args:
        pod: the pod.
        find: looks up claims, volumes and classes.
    """
    longest = 0.0
    for name in claim_names(pod):
        volume = volume_of_claim(name, find)
        if volume is not None and is_attachable(volume, find):
            continue
        claim = cast("PersistentVolumeClaimDict | None", find(CLAIM, name))
        class_name = "" if claim is None else class_of_claim(claim)
        storage_class = find("StorageClass", class_name) if class_name else None
        if storage_class is not None:
            longest = max(longest, mount_seconds_of(cast("StorageClassDict", storage_class)))
    return longest


def is_attachable(volume: PersistentVolumeDict, find: Find) -> bool:
    """Return whether a volume has to be attached to the node before it is mounted.

    Args:
        volume: the volume.
        find: looks up its CSIDriver.
    """
    driver = (volume["spec"].get("csi") or {}).get("driver") or ""
    return needs_attaching(volume, find(CSI_DRIVER, driver) if driver else None)


def attachable_volumes(pod: PodDict, find: Find) -> dict[str, str]:
    """Return the volumes that must be attached to the node: name in the pod -> unique name.

    Args:
        pod: the pod.
        find: looks up claims, volumes and drivers.
    """
    names = {}
    for each in pod["spec"].get("volumes") or ():
        claim = claim_name_of(each, meta.name_of(pod))
        volume = volume_of_claim(claim, find) if claim else None
        if volume is not None and is_attachable(volume, find):
            names[str(each.get("name"))] = unique_name(volume)
    return names


def volume_of_claim(name: str, find: Find) -> PersistentVolumeDict | None:
    """Return the volume that a claim is bound to, or None.

    Args:
        name: of the claim.
        find: looks up claims and volumes.
    """
    claim = find(CLAIM, name)
    volume_name = "" if claim is None else (claim.get("spec") or {}).get("volumeName")
    if not volume_name:
        return None
    return cast("PersistentVolumeDict | None", find(VOLUME, volume_name))
