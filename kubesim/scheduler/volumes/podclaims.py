"""The claims of a pod, as the plug-ins for volumes read them; their queueing hint.

Source: pkg/scheduler/framework/plugins/volumebinding/volume_binding.go (podHasPVCs,
isSchedulableAfterPersistentVolumeClaimChange), binder.go (GetPodVolumeClaims).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kubesim.objects import meta
from kubesim.objects.volumes import (
    claim_name_of,
    claim_names,
    class_of_claim,
    delays_binding,
    is_fully_bound,
)
from kubesim.scheduler.framework.events import ClusterEvent
from kubesim.scheduler.framework.snapshot import ObjectLister

if TYPE_CHECKING:
    from kubesim.objects.types import PersistentVolumeClaimDict, PodDict


class UnusableClaim(Exception):
    """A claim of a pod does not exist, or cannot be used; the text is upstream's."""


@dataclass
class PodClaims:
    """The claims of a pod by their state.

    Attributes:
        bound: those that have their volume.
        delayed: those that wait for the pod's node.
        immediate: those that the controller has to bind first.
    """

    bound: list[PersistentVolumeClaimDict] = field(default_factory=list)
    delayed: list[PersistentVolumeClaimDict] = field(default_factory=list)
    immediate: list[PersistentVolumeClaimDict] = field(default_factory=list)


def read_claims(pod: PodDict, world: ObjectLister) -> list[PersistentVolumeClaimDict]:
    """Return the claims of a pod, each once for each of its volumes.

    Args:
        pod: the pod.
        world: reads the claims.

    Raises:
        UnusableClaim: one of them does not exist, is lost or being deleted, or is another pod's.
    """
    claims = []
    namespace = meta.namespace_of(pod)
    for volume in (pod.get("spec") or {}).get("volumes") or ():
        name = claim_name_of(volume, meta.name_of(pod))
        if not name:
            continue
        claim, ephemeral = world.claim(name, namespace), volume.get("ephemeral") is not None
        if claim is None and ephemeral:
            raise UnusableClaim(
                "waiting for ephemeral volume controller to create the persistentvolumeclaim "
                f'"{name}"'
            )
        if claim is None:
            raise UnusableClaim(f'persistentvolumeclaim "{name}" not found')
        if (claim.get("status") or {}).get("phase") == "Lost":
            volume_name = claim["spec"].get("volumeName") or ""
            raise UnusableClaim(
                f'persistentvolumeclaim "{name}" bound to non-existent persistentvolume '
                f'"{volume_name}"'
            )
        if meta.is_terminating(claim):
            raise UnusableClaim(f'persistentvolumeclaim "{name}" is being deleted')
        if ephemeral and not meta.is_owned_by(claim, pod):
            raise UnusableClaim(
                f"PVC {meta.key_of(claim)} was not created for pod {meta.key_of(pod)} (pod is not "
                "owner)"
            )
        claims.append(claim)
    return claims


def sorted_claims(pod: PodDict, world: ObjectLister) -> PodClaims:
    """Return the claims of a pod by their state.

    Args:
        pod: the pod.
        world: reads claims and classes.

    Raises:
        UnusableClaim: as for `read_claims`.
    """
    claims = PodClaims()
    for claim in read_claims(pod, world):
        if is_fully_bound(claim):
            claims.bound.append(claim)
            continue
        named = bool(claim["spec"].get("volumeName"))
        name = class_of_claim(claim)
        storage_class = world.storage_class(name) if name and not named else None
        (claims.delayed if delays_binding(storage_class) else claims.immediate).append(claim)
    return claims


def concerns_claim(pod: PodDict, event: ClusterEvent) -> bool:
    """Return whether an event is about one of the pod's claims."""
    claim = event.new
    if claim is None or meta.namespace_of(claim) != meta.namespace_of(pod):
        return False
    return meta.name_of(claim) in claim_names(pod)
