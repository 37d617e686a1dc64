"""The claims of a pod, as its kubelet sees them: whether they can be used, and how long that takes.

A pod whose claim does not exist, is not bound or is being deleted waits with FailedMount. The
scheduler sends such a pod to no node, but a pod that names its node is there at once.

Source: pkg/kubelet/volumemanager/populator/desired_state_of_world_populator.go (getPVCExtractPV).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from kubesim.kubelet.process.environment import Find
from kubesim.objects import meta
from kubesim.objects.volumes import claim_name_of, claim_names, class_of_claim

if TYPE_CHECKING:
    from kubesim.objects.types import PersistentVolumeClaimDict, PersistentVolumeDict, PodDict

MOUNT_SECONDS = "kubesim.dev/mount-seconds"
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
    """Return how long the volumes of a pod's claims take to attach and to mount.

    The longest that a StorageClass of the claims says by the annotation
    ``kubesim.dev/mount-seconds``; 0 without one, or if it is no number.

    Args:
        pod: the pod.
        find: looks up claims and classes.
    """
    longest = 0.0
    for name in claim_names(pod):
        claim = cast("PersistentVolumeClaimDict | None", find(CLAIM, name))
        class_name = "" if claim is None else class_of_claim(claim)
        storage_class = find("StorageClass", class_name) if class_name else None
        if storage_class is not None:
            try:
                seconds = float(meta.annotations_of(storage_class).get(MOUNT_SECONDS, 0))
            except ValueError:
                continue
            longest = max(longest, seconds)
    return longest


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
