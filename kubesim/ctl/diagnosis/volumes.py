"""PersistentVolumes whose claim is gone: nothing binds them again.

Source: pkg/controller/volume/persistentvolume/pv_controller.go (syncVolume, reclaimVolume).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubesim.client import RuleStep
from kubesim.ctl.diagnosis.facts import Diagnosis
from kubesim.objects import meta

if TYPE_CHECKING:
    from kubesim.objects.types import PersistentVolumeDict

RETAIN = "https://kubernetes.io/docs/concepts/storage/persistent-volumes/#retain"


def released_volume(volume: PersistentVolumeDict) -> Diagnosis | None:
    """Return that a volume is kept for the claim that it had; None unless it is Released."""
    policy = volume["spec"].get("persistentVolumeReclaimPolicy")
    if (volume.get("status") or {}).get("phase") != "Released" or policy != "Retain":
        return None
    reference = volume["spec"].get("claimRef") or {}
    claim = f"{reference.get('namespace')}/{reference.get('name')}"
    patch = """'[{"op":"remove","path":"/spec/claimRef"}]'"""
    return Diagnosis(
        f"Released: its claim {claim} is gone, and its files are kept, so no other claim gets it",
        (RuleStep("reclaim policy", {"policy": policy, "claimRef": claim}, "kept", RETAIN),),
        "spec.claimRef",
        "it was made available again, once nobody needs its files: "
        f"kubectl patch pv {meta.name_of(volume)} --type=json -p {patch}",
    )
