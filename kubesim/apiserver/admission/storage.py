"""Admission of claims and volumes: the default class, the protection finalizers, expansion.

Source: plugin/pkg/admission/storage/storageclass/setdefault/admission.go,
plugin/pkg/admission/storage/storageobjectinuseprotection/admission.go,
plugin/pkg/admission/storage/persistentvolume/resize/admission.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from kubesim.apiserver.registry import ServerView
from kubesim.errors import Forbidden
from kubesim.objects import meta
from kubesim.objects.frozen import Document
from kubesim.objects.volumes import (
    CLAIM_FINALIZER,
    VOLUME_FINALIZER,
    class_of_claim,
    default_class,
    has_class,
    requested_size,
)

if TYPE_CHECKING:
    from kubesim.objects.types import PersistentVolumeClaimDict, StorageClassDict

CLASSES = "/registry/storage.k8s.io/storageclasses/"
ONLY_BOUND = "Only bound persistent volume claims can be expanded"
NO_EXPANSION = (
    "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc "
    "must support resize"
)


def admit_claim(api: ServerView, claim: Document, old: Document | None) -> None:
    """Give a new claim the default class and its finalizer; refuse an expansion without support.

    Args:
        api: lists the classes.
        claim: the claim; it is changed in place.
        old: the stored claim; None at creation.

    Raises:
        Forbidden: the claim grows, but is not bound, or its class does not allow it.
    """
    if not isinstance(claim.get("spec"), dict):
        return
    typed = cast("PersistentVolumeClaimDict", claim)
    if old is None:
        _protect(claim, CLAIM_FINALIZER)
        if not has_class(typed):
            chosen = default_class(_classes(api))
            if chosen is not None:
                claim["spec"]["storageClassName"] = meta.name_of(chosen)
        return
    try:
        grows = requested_size(typed) > requested_size(cast("PersistentVolumeClaimDict", old))
    except (ValueError, TypeError, AttributeError):
        return  # validation refuses it
    if not grows:
        return
    if (old.get("status") or {}).get("phase") != "Bound":
        raise _refused(claim, ONLY_BOUND)
    name = class_of_claim(typed)
    classes = (each for each in _classes(api) if meta.name_of(each) == name)
    if not any(each.get("allowVolumeExpansion") for each in classes):
        raise _refused(claim, NO_EXPANSION)


def admit_volume(api: ServerView, volume: Document, old: Document | None) -> None:
    """Give a new volume its finalizer, and the time at which its phase began.

    Args:
        api: tells the time.
        volume: the volume; it is changed in place.
        old: the stored volume; None at creation.

    Source: pkg/registry/core/persistentvolume/strategy.go (PrepareForCreate).
    """
    if old is None:
        _protect(volume, VOLUME_FINALIZER)
        volume["status"] = {
            "phase": "Pending",
            "lastPhaseTransitionTime": api.clock.timestamp(),
        }


def _protect(document: Document, finalizer: str) -> None:
    finalizers = document["metadata"].get("finalizers") or []
    if isinstance(finalizers, list) and finalizer not in finalizers:
        document["metadata"]["finalizers"] = [*finalizers, finalizer]


def _classes(api: ServerView) -> list[StorageClassDict]:
    return [cast("StorageClassDict", kv.value) for kv in api.store.list(CLASSES).items]


def _refused(claim: Document, reason: str) -> Forbidden:
    name = meta.name_of(claim)
    message = f'persistentvolumeclaims "{name}" is forbidden: {reason}'
    return Forbidden(message, kind="persistentvolumeclaims", name=name)
