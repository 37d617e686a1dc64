"""PersistentVolumes whose claim is gone, which nothing binds again, and claims that could have one.

Source: pkg/controller/volume/persistentvolume/pv_controller.go (syncVolume, reclaimVolume,
syncUnboundClaim), index.go (findMatchingVolume).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubesim.client import RuleStep
from kubesim.controllers.persistentvolume.plan import IN_TREE, without
from kubesim.ctl.diagnosis.facts import Diagnosis, Facts
from kubesim.objects import meta
from kubesim.objects.kindnames import PERSISTENT_VOLUME, STORAGE_CLASS
from kubesim.objects.volumes import class_of_claim, find_matching_volume, mismatch

if TYPE_CHECKING:
    from kubesim.objects.types import PersistentVolumeClaimDict, PersistentVolumeDict

RETAIN = "https://kubernetes.io/docs/concepts/storage/persistent-volumes/#retain"


def released_volume(volume: PersistentVolumeDict) -> Diagnosis | None:
    """Return that a volume is kept for the claim that it had; None unless it is Released."""
    if not _is_kept(volume):
        return None
    claim = _former_claim(volume)
    return Diagnosis(
        f"Released: its claim {claim} is gone, and its files are kept, so no other claim gets it",
        (RuleStep("reclaim policy", {"policy": "Retain", "claimRef": claim}, "kept", RETAIN),),
        "spec.claimRef",
        f"it was made available again, {_patch(volume)}",
    )


def claim_of_released(facts: Facts, claim: PersistentVolumeClaimDict) -> Diagnosis | None:
    """Return the Released volume that a pending claim would get but for its claimRef; None: none.

    Not for a claim whose class has a provisioner: that makes a volume.
    """
    if (claim.get("status") or {}).get("phase") != "Pending":
        return None
    volumes = facts.api.snapshot(PERSISTENT_VOLUME)[0]
    named = (claim.get("spec") or {}).get("volumeName")
    freed = [_freed(each) for each in volumes if _is_kept(each)]
    if named:
        fits = [each for each in freed if meta.name_of(each) == named and not mismatch(each, claim)]
        volume = fits[0] if fits else None
    elif _has_provisioner(facts, claim) or find_matching_volume(claim, volumes):
        return None
    else:
        volume = find_matching_volume(claim, freed)
    if volume is None:
        return None
    name = meta.name_of(volume)
    former = next(_former_claim(each) for each in volumes if meta.name_of(each) == name)
    step = RuleStep("volume", {"volume": name, "claimRef": former}, "fits, but is Released", RETAIN)
    return Diagnosis(
        f"not bound: the volume {name} would fit, but is Released: it is kept for the claim "
        f"{former}, which is gone",
        (step,),
        f"spec.claimRef of the volume {name}",
        f"{name} was made available again, {_patch(volume)}; or another volume that fits were "
        "created",
    )


def _is_kept(volume: PersistentVolumeDict) -> bool:
    policy = volume["spec"].get("persistentVolumeReclaimPolicy")
    return (volume.get("status") or {}).get("phase") == "Released" and policy == "Retain"


def _freed(volume: PersistentVolumeDict) -> PersistentVolumeDict:
    """Return a volume as it would be without its claimRef."""
    status = volume.get("status") or {}
    spec = without(volume["spec"], "claimRef")
    return {**volume, "spec": spec, "status": {**status, "phase": "Available"}}


def _former_claim(volume: PersistentVolumeDict) -> str:
    reference = volume["spec"].get("claimRef") or {}
    return f"{reference.get('namespace')}/{reference.get('name')}"


def _patch(volume: PersistentVolumeDict) -> str:
    patch = """'[{"op":"remove","path":"/spec/claimRef"}]'"""
    command = f"kubectl patch pv {meta.name_of(volume)} --type=json -p {patch}"
    return f"once nobody needs its files: {command}"


def _has_provisioner(facts: Facts, claim: PersistentVolumeClaimDict) -> bool:
    """Whether the class of a claim names a provisioner; the in-tree ones make no volumes."""
    name = class_of_claim(claim)
    storage_class = facts.api.peek(STORAGE_CLASS, name) if name else None
    return storage_class is not None and not storage_class["provisioner"].startswith(IN_TREE)
