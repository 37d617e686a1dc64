"""What becomes of a claim and of a volume: pure functions.

>>> claim = {"metadata": {"name": "data", "namespace": "shop", "uid": "1"}, "spec": {
...     "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}
>>> plan_claim(claim, [], None).event
('Normal', 'FailedBinding', 'no persistent volumes available for this claim and no storage class ...

Source: pkg/controller/volume/persistentvolume/pv_controller.go (syncUnboundClaim, syncBoundClaim,
syncVolume, reclaimVolume, findProvisionablePlugin, findDeletablePlugin).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from kubesim.objects import meta
from kubesim.objects.frozen import ReadOnlyDocument
from kubesim.objects.kindnames import D
from kubesim.objects.volumes import (
    BIND_COMPLETED,
    BOUND_BY_CONTROLLER,
    PROVISIONED_BY,
    SELECTED_NODE,
    class_of_claim,
    delays_binding,
    find_matching_volume,
    is_bound_to,
    mismatch,
    same_mode,
)

if TYPE_CHECKING:
    from kubesim.objects.types import (
        PersistentVolumeClaimDict,
        PersistentVolumeDict,
        StorageClassDict,
    )

IN_TREE = "kubernetes.io/"
NO_CLASS = "no persistent volumes available for this claim and no storage class is set"
EXTERNAL = (
    "Waiting for a volume to be created either by the external provisioner '{}' or manually by the "
    "system administrator. If volume creation is delayed, please verify that the provisioner is "
    "running and correctly registered."
)
FIRST_CONSUMER = "waiting for first consumer to be created before binding"
NO_REFERENCE = "Bound claim has lost reference to PersistentVolume. Data on the volume is lost!"
NO_VOLUME = "Bound claim has lost its PersistentVolume. Data on the volume is lost!"
TWO_CLAIMS = "Two claims are bound to the same volume, this one is bound incorrectly"
NO_DELETER = (
    'error getting deleter volume plugin for volume "{}": no deletable volume plugin matched'
)
ONLY_TMP = "host_path deleter only supports /tmp/.+ but received provided {}"
# In-tree sources that the controller can delete, or clean and use again.
RECYCLABLE = ("hostPath", "nfs")

BIND, LOSE, PEND, PROVISION, WAIT = "bind", "lose", "pend", "provision", "wait"
AVAILABLE, BOUND, RELEASED, FAILED = "Available", "Bound", "Released", "Failed"
DELETE, RECYCLE, UNBIND, NOTHING = "delete", "recycle", "unbind", ""


@dataclass(frozen=True)
class ClaimPlan:
    """What to do about a claim.

    Attributes:
        action: bind it to `volume`; lose: its volume is gone; pend: nothing fits; provision: a
            provisioner makes a volume; wait: for its first pod.
        volume: to bind.
        event: (type, reason, message); None: nothing is said.
    """

    action: str
    volume: PersistentVolumeDict | None = None
    event: tuple[str, str, str] | None = None


@dataclass(frozen=True)
class VolumePlan:
    """What to do about a volume.

    Attributes:
        phase: its phase; "": it stays as it is.
        action: delete it, recycle it, unbind it from a claim that has another; "": nothing.
        claim: whether its claim has to be looked at.
        event: (type, reason, message) about the volume; None: nothing is said.
    """

    phase: str = ""
    action: str = NOTHING
    claim: bool = False
    event: tuple[str, str, str] | None = None


def plan_claim(
    claim: PersistentVolumeClaimDict,
    volumes: Sequence[PersistentVolumeDict],
    storage_class: StorageClassDict | None,
    pods: Collection[str] = (),
) -> ClaimPlan:
    """Decide what becomes of a claim.

    Args:
        claim: the claim.
        volumes: all volumes; for a bound claim its own is enough.
        storage_class: the class that the claim names; None: it does not exist, or none is named.
        pods: names of the claim's pods that are not scheduled yet.
    """
    named = (claim.get("spec") or {}).get("volumeName") or ""
    volume = next((each for each in volumes if meta.name_of(each) == named), None)
    if BIND_COMPLETED in meta.annotations_of(claim):
        return _plan_bound(claim, named, volume)
    if named:
        return _plan_named(claim, volume)
    delayed = delays_binding(storage_class) and SELECTED_NODE not in meta.annotations_of(claim)
    match = find_matching_volume(claim, volumes, delayed=delayed)
    if match is not None:
        return ClaimPlan(BIND, match)
    if delayed:
        return ClaimPlan(WAIT, event=_waiting(pods))
    if class_of_claim(claim):
        return _plan_provisioning(claim, storage_class)
    return ClaimPlan(PEND, event=("Normal", "FailedBinding", NO_CLASS))


def _plan_bound(
    claim: PersistentVolumeClaimDict, named: str, volume: PersistentVolumeDict | None
) -> ClaimPlan:
    """Decide about a claim whose binding was completed once."""
    if not named:
        return ClaimPlan(LOSE, event=("Warning", "ClaimLost", NO_REFERENCE))
    if volume is None:
        return ClaimPlan(LOSE, event=("Warning", "ClaimLost", NO_VOLUME))
    reference = volume["spec"].get("claimRef")
    if reference is None or reference.get("uid") == meta.uid_of(claim):
        return ClaimPlan(BIND, volume)
    return ClaimPlan(LOSE, event=("Warning", "ClaimMisbound", TWO_CLAIMS))


def _plan_named(claim: PersistentVolumeClaimDict, volume: PersistentVolumeDict | None) -> ClaimPlan:
    """Decide about a claim that names its volume."""
    if volume is None:
        return ClaimPlan(PEND)  # it is bound when the volume is created
    if is_bound_to(volume, claim):
        return ClaimPlan(BIND, volume)
    if volume["spec"].get("claimRef") is not None:
        return ClaimPlan(PEND)  # until the other claim gives it back
    if reason := mismatch(volume, claim):
        message = f'Cannot bind to requested volume "{meta.name_of(volume)}": {reason}'
        return ClaimPlan(PEND, event=("Warning", "VolumeMismatch", message))
    return ClaimPlan(BIND, volume)


def _waiting(pods: Collection[str]) -> tuple[str, str, str]:
    if not pods:
        return "Normal", "WaitForFirstConsumer", FIRST_CONSUMER
    noun = "pod" if len(pods) == 1 else "pods"
    return "Normal", "WaitForPodScheduled", f"waiting for {noun} {','.join(pods)} to be scheduled"


def _plan_provisioning(
    claim: PersistentVolumeClaimDict, storage_class: StorageClassDict | None
) -> ClaimPlan:
    if storage_class is None:
        message = f'storageclass.storage.k8s.io "{class_of_claim(claim)}" not found'
        return ClaimPlan(PEND, event=("Warning", "ProvisioningFailed", message))
    provisioner = str(storage_class.get("provisioner"))
    if provisioner.startswith(IN_TREE):
        message = f"no volume plugin matched name: {provisioner}"
        return ClaimPlan(PEND, event=("Warning", "ProvisioningFailed", message))
    return ClaimPlan(
        PROVISION, event=("Normal", "ExternalProvisioning", EXTERNAL.format(provisioner))
    )


# -- volumes ---------------------------------------------------------------------------------------


def plan_volume(
    volume: PersistentVolumeDict, claim: PersistentVolumeClaimDict | None
) -> VolumePlan:
    """Decide what becomes of a volume.

    Args:
        volume: the volume.
        claim: the claim of its claimRef; None: there is none, or only another of that name.
    """
    reference = volume["spec"].get("claimRef")
    if reference is None or not reference.get("uid"):
        # A reference without uid was written by a person: the volume waits for that claim.
        return VolumePlan(AVAILABLE, claim=reference is not None)
    if claim is None or meta.uid_of(claim) != reference["uid"]:
        phase = (volume.get("status") or {}).get("phase")
        kept = phase if phase in (RELEASED, FAILED) else RELEASED
        return _plan_reclaim(volume, str(kept))
    named = (claim.get("spec") or {}).get("volumeName") or ""
    if not named:
        if not same_mode(volume, claim):
            name = meta.name_of(claim)
            message = (
                f'Cannot bind PersistentVolume to requested PersistentVolumeClaim "{name}" due to '
                "incompatible volumeMode."
            )
            return VolumePlan(event=("Warning", "VolumeMismatch", message))
        return VolumePlan(claim=True)
    if named == meta.name_of(volume):
        return VolumePlan(BOUND)
    policy = volume["spec"].get("persistentVolumeReclaimPolicy")
    if PROVISIONED_BY in meta.annotations_of(volume) and policy == "Delete":
        return _plan_reclaim(volume, RELEASED)  # the claim got another one
    return VolumePlan(action=UNBIND)


def _plan_reclaim(volume: PersistentVolumeDict, phase: str) -> VolumePlan:
    """Decide about a released volume: keep, delete or recycle it."""
    policy = volume["spec"].get("persistentVolumeReclaimPolicy") or "Retain"
    if policy == "Delete":
        return _plan_deletion(volume, phase)
    if policy == "Recycle":
        spec: ReadOnlyDocument = volume["spec"]
        if any(spec.get(source) for source in RECYCLABLE):
            return VolumePlan(phase, RECYCLE, event=("Normal", "VolumeRecycled", "Volume recycled"))
        message = "No recycler plugin found for the volume!"
        return VolumePlan(FAILED, event=("Warning", "VolumeFailedRecycle", message))
    return VolumePlan(phase)


def _plan_deletion(volume: PersistentVolumeDict, phase: str) -> VolumePlan:
    """Decide about a released volume with policy Delete.

    What a provisioner has made, and what belongs to a CSI driver, is deleted by these; of the other
    volumes the controller can delete host paths below /tmp alone.
    """
    if meta.is_terminating(volume):
        return VolumePlan(phase)
    if meta.annotations_of(volume).get(PROVISIONED_BY) or volume["spec"].get("csi"):
        return VolumePlan(phase)
    path = (volume["spec"].get("hostPath") or {}).get("path")
    if path is None:
        message = NO_DELETER.format(meta.name_of(volume))
    elif not str(path).startswith("/tmp/"):
        message = ONLY_TMP.format(path)
    else:
        return VolumePlan(phase, DELETE)
    return VolumePlan(FAILED, event=("Warning", "VolumeFailedDelete", message))


def unbound(volume: PersistentVolumeDict) -> PersistentVolumeDict:
    """Return a volume without its binding: a reference that a person wrote stays without uid."""
    spec, metadata = volume["spec"], volume["metadata"]
    annotations = dict(meta.annotations_of(volume))
    by_controller = annotations.pop(BOUND_BY_CONTROLLER, None) is not None
    reference = spec.get("claimRef")
    spec = without(spec, "claimRef")
    if reference is not None and not by_controller:
        spec = {**spec, "claimRef": without(reference, "uid", "resourceVersion")}
    metadata = without(metadata, "annotations")
    if annotations:
        metadata = {**metadata, "annotations": annotations}
    return {**volume, "metadata": metadata, "spec": spec}


def without(document: D, *fields: str) -> D:
    """Return a document without some fields."""
    return cast("D", {name: v for name, v in document.items() if name not in fields})
