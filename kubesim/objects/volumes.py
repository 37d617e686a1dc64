"""Claims and volumes: classes, who is bound to whom, which volume matches a claim. Pure functions.

The controller that binds and the scheduler's VolumeBinding share these functions, so that they
agree.

>>> claim = {"metadata": {"name": "data", "namespace": "shop"}, "spec": {
...     "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}
>>> volumes = [{"metadata": {"name": name}, "status": {"phase": "Available"}, "spec": {
...     "accessModes": ["ReadWriteOnce"], "capacity": {"storage": size}}}
...     for name, size in (("large", "9Gi"), ("small", "512Mi"), ("fits", "2Gi"))]
>>> find_matching_volume(claim, volumes)["metadata"]["name"]
'fits'

Source: k8s.io/component-helpers/storage/volume (pv_helpers.go: FindMatchingVolume,
IsVolumeBoundToClaim, GetBindVolumeToClaim, CheckAccessModes), pkg/volume/util/util.go
(CheckNodeAffinity), k8s.io/component-helpers/storage/ephemeral.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from fractions import Fraction
from typing import TYPE_CHECKING

from kubesim.errors import BadRequest
from kubesim.objects import meta
from kubesim.objects.nodeaffinity import term_matches
from kubesim.objects.selectors import Selector, selector_from
from kubesim.quantity import parse_quantity

if TYPE_CHECKING:
    from kubesim.objects.types import (
        NodeDict,
        ObjectReferenceDict,
        PersistentVolumeClaimDict,
        PersistentVolumeDict,
        PodDict,
        StorageClassDict,
        VolumeDict,
    )

BIND_COMPLETED = "pv.kubernetes.io/bind-completed"
BOUND_BY_CONTROLLER = "pv.kubernetes.io/bound-by-controller"
PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"
SELECTED_NODE = "volume.kubernetes.io/selected-node"
STORAGE_PROVISIONER = "volume.kubernetes.io/storage-provisioner"
BETA_STORAGE_PROVISIONER = "volume.beta.kubernetes.io/storage-provisioner"
BETA_CLASS = "volume.beta.kubernetes.io/storage-class"
CLONED_FROM = "kubesim.dev/cloned-from"
DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
BETA_DEFAULT_CLASS = "storageclass.beta.kubernetes.io/is-default-class"
MOUNT_SECONDS = "kubesim.dev/mount-seconds"
NO_PROVISIONER = "kubernetes.io/no-provisioner"
CLAIM_FINALIZER = "kubernetes.io/pvc-protection"
VOLUME_FINALIZER = "kubernetes.io/pv-protection"
WAIT_FOR_FIRST_CONSUMER = "WaitForFirstConsumer"
READ_WRITE_ONCE_POD = "ReadWriteOncePod"
FILESYSTEM = "Filesystem"
ACCESS_MODES = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", READ_WRITE_ONCE_POD)
ABBREVIATIONS = {  # in the order in which they are shown
    "ReadWriteOnce": "RWO",
    "ReadOnlyMany": "ROX",
    "ReadWriteMany": "RWX",
    READ_WRITE_ONCE_POD: "RWOP",
}


# -- the claims of a pod ---------------------------------------------------------------------------


def claim_name_of(volume: VolumeDict, pod_name: str) -> str:
    """Return the name of the claim behind a volume of a pod; "" if it has none.

    An ephemeral volume has a claim of its own: the pod's name and the volume's.
    """
    if (source := volume.get("persistentVolumeClaim")) is not None:
        return str(source.get("claimName") or "")
    if volume.get("ephemeral") is not None:
        return f"{pod_name}-{volume.get('name')}"
    return ""


def claim_names(pod: PodDict) -> list[str]:
    """Return the names of a pod's claims, in the order of its volumes."""
    volumes = (pod.get("spec") or {}).get("volumes")
    if not volumes:
        return []
    name = meta.name_of(pod)
    return [claim for volume in volumes if (claim := claim_name_of(volume, name))]


# -- classes and sizes -----------------------------------------------------------------------------


def class_of_claim(claim: PersistentVolumeClaimDict) -> str:
    """Return the StorageClass of a claim; "" without one."""
    beta = meta.annotations_of(claim).get(BETA_CLASS)
    return beta if beta is not None else (claim.get("spec") or {}).get("storageClassName") or ""


def has_class(claim: PersistentVolumeClaimDict) -> bool:
    """Return whether a claim names a class, even the empty one, which means: none."""
    if BETA_CLASS in meta.annotations_of(claim):
        return True
    return (claim.get("spec") or {}).get("storageClassName") is not None


def class_of_volume(volume: PersistentVolumeDict) -> str:
    """Return the StorageClass of a volume; "" without one."""
    beta = meta.annotations_of(volume).get(BETA_CLASS)
    return beta if beta is not None else (volume.get("spec") or {}).get("storageClassName") or ""


def is_default_class(storage_class: StorageClassDict) -> bool:
    """Return whether claims without a class get this one.

    Source: pkg/volume/util/storageclass.go (IsDefaultAnnotation).
    """
    annotations = meta.annotations_of(storage_class)
    return "true" in (annotations.get(DEFAULT_CLASS), annotations.get(BETA_DEFAULT_CLASS))


def default_class(classes: Iterable[StorageClassDict]) -> StorageClassDict | None:
    """Return the newest default class, of equally old ones the first by name; None without one.

    Source: pkg/volume/util/storageclass.go (GetDefaultClass).
    """
    defaults = [each for each in classes if is_default_class(each)]
    defaults.sort(key=meta.name_of)
    created = [str(each["metadata"].get("creationTimestamp") or "") for each in defaults]
    return defaults[created.index(max(created))] if defaults else None


def delays_binding(storage_class: StorageClassDict | None) -> bool:
    """Return whether a claim of this class waits for its first pod."""
    mode = (storage_class or {}).get("volumeBindingMode")
    return mode == WAIT_FOR_FIRST_CONSUMER


def mount_seconds_of(storage_class: StorageClassDict) -> float:
    """Return how long attaching, or mounting, takes by the class; 0 if it does not say a number."""
    try:
        return max(0.0, float(meta.annotations_of(storage_class).get(MOUNT_SECONDS, 0)))
    except ValueError:
        return 0.0


def requested_size(claim: PersistentVolumeClaimDict) -> Fraction:
    """Return the bytes that a claim requests."""
    requests = ((claim.get("spec") or {}).get("resources") or {}).get("requests") or {}
    return parse_quantity(requests.get("storage", 0))


def size_of(volume: PersistentVolumeDict) -> Fraction:
    """Return the capacity of a volume in bytes."""
    capacity = (volume.get("spec") or {}).get("capacity") or {}
    return parse_quantity(capacity.get("storage", 0))


def modes_text(modes: Iterable[str]) -> str:
    """Return access modes as kubectl shows them.

    >>> modes_text(["ReadWriteMany", "ReadWriteOnce"])
    'RWO,RWX'
    """
    listed = list(modes)
    return ",".join(short for mode, short in ABBREVIATIONS.items() if mode in listed)


# -- who is bound to whom --------------------------------------------------------------------------


def is_fully_bound(claim: PersistentVolumeClaimDict) -> bool:
    """Return whether the controller has completed the binding of a claim."""
    has_volume = bool((claim.get("spec") or {}).get("volumeName"))
    return has_volume and BIND_COMPLETED in meta.annotations_of(claim)


def is_bound_to(volume: PersistentVolumeDict, claim: PersistentVolumeClaimDict) -> bool:
    """Return whether a volume's claimRef means this claim; a reference without uid suffices."""
    reference = (volume.get("spec") or {}).get("claimRef")
    if reference is None or reference.get("name") != meta.name_of(claim):
        return False
    if reference.get("namespace") != meta.namespace_of(claim):
        return False
    return (reference.get("uid") or meta.uid_of(claim)) == meta.uid_of(claim)


def bound_volume(
    volume: PersistentVolumeDict, claim: PersistentVolumeClaimDict
) -> PersistentVolumeDict:
    """Return a volume with its claimRef set to a claim; the volume itself if it is so already.

    Args:
        volume: the volume; it is not changed.
        claim: the claim.
    """
    reference = volume["spec"].get("claimRef")
    metadata = volume["metadata"]
    if not is_bound_to(volume, claim):
        annotations = {**(metadata.get("annotations") or {}), BOUND_BY_CONTROLLER: "yes"}
        metadata = {**metadata, "annotations": annotations}
    elif reference is not None and reference.get("uid") == meta.uid_of(claim):
        return volume
    new: ObjectReferenceDict = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "name": meta.name_of(claim),
        "namespace": meta.namespace_of(claim),
        "resourceVersion": str(claim["metadata"].get("resourceVersion") or ""),
        "uid": meta.uid_of(claim),
    }
    return {**volume, "metadata": metadata, "spec": {**volume["spec"], "claimRef": new}}


# -- matching --------------------------------------------------------------------------------------


def fits_node(volume: PersistentVolumeDict, labels: Mapping[str, str], node_name: str) -> bool:
    """Return whether a volume can be used on a node.

    Args:
        volume: with or without spec.nodeAffinity.
        labels, node_name: of the node.
    """
    affinity = (volume.get("spec") or {}).get("nodeAffinity")
    required = (affinity or {}).get("required")
    if not required:
        return True
    terms = required.get("nodeSelectorTerms") or ()
    return any(term_matches(term, labels, node_name) for term in terms)


def has_access_modes(volume: PersistentVolumeDict, claim: PersistentVolumeClaimDict) -> bool:
    """Return whether a volume offers every access mode that a claim asks for."""
    offered = (volume.get("spec") or {}).get("accessModes") or ()
    return set((claim.get("spec") or {}).get("accessModes") or ()) <= set(offered)


def same_mode(volume: PersistentVolumeDict, claim: PersistentVolumeClaimDict) -> bool:
    """Return whether both are file systems, or both are block devices."""
    offered = (volume.get("spec") or {}).get("volumeMode") or FILESYSTEM
    return offered == ((claim.get("spec") or {}).get("volumeMode") or FILESYSTEM)


def same_attributes(volume: PersistentVolumeDict, claim: PersistentVolumeClaimDict) -> bool:
    """Return whether both have the same VolumeAttributesClass."""
    offered = (volume.get("spec") or {}).get("volumeAttributesClassName") or ""
    return offered == ((claim.get("spec") or {}).get("volumeAttributesClassName") or "")


def mismatch(volume: PersistentVolumeDict, claim: PersistentVolumeClaimDict) -> str:
    """Return why a claim cannot have the volume that it names, in upstream's words; "" if it can.

    Source: pkg/controller/volume/persistentvolume/pv_controller.go (checkVolumeSatisfyClaim).
    """
    if meta.is_terminating(volume):
        return f'the volume is marked for deletion "{meta.name_of(volume)}"'
    if size_of(volume) < requested_size(claim):
        return "requested PV is too small"
    if class_of_volume(volume) != class_of_claim(claim):
        return "storageClassName does not match"
    if not same_mode(volume, claim):
        return "incompatible volumeMode"
    if not has_access_modes(volume, claim):
        return "incompatible accessMode"
    if not same_attributes(volume, claim):
        return "VolumeAttributesClassName does not match"
    return ""


def _selector(claim: PersistentVolumeClaimDict) -> Selector | None:
    """Return the selector of a claim; None: every volume. A malformed one selects nothing."""
    selector = (claim.get("spec") or {}).get("selector")
    if selector is None:
        return None
    try:
        return selector_from(selector)
    except BadRequest:
        return Selector(nothing=True)


def find_matching_volume(
    claim: PersistentVolumeClaimDict,
    volumes: Iterable[PersistentVolumeDict],
    *,
    node: NodeDict | None = None,
    excluded: Collection[str] = (),
    delayed: bool = False,
) -> PersistentVolumeDict | None:
    """Return the volume that a claim gets: the one that names it, else the smallest that fits.

    Args:
        claim: the claim.
        volumes: all volumes.
        node: where the pod would run; None: the controller asks, not the scheduler.
        excluded: names of volumes that are taken.
        delayed: the claim waits for its first pod: without a node only a volume that names the
            claim is returned.

    Returns:
        The volume; None if there is none, or if the one that names the claim is not on the node.
    """
    selector = _selector(claim)
    best: PersistentVolumeDict | None = None
    rank: tuple[int, Fraction] | None = None
    for volume in volumes:
        if meta.name_of(volume) in excluded or not _may_have(volume, claim):
            continue
        on_node = node is None or fits_node(volume, meta.labels_of(node), meta.name_of(node))
        if is_bound_to(volume, claim):
            return volume if on_node else None
        if not on_node or (node is None and delayed):
            continue
        if (volume.get("status") or {}).get("phase") != "Available":
            continue
        if selector is not None and not selector.matches(meta.labels_of(volume)):
            continue
        if class_of_volume(volume) != class_of_claim(claim) or not has_access_modes(volume, claim):
            continue
        # The controller prefers volumes with fewer access modes (its index is ordered by them).
        modes = len((volume.get("spec") or {}).get("accessModes") or ()) if node is None else 0
        if rank is None or (modes, size_of(volume)) < rank:
            best, rank = volume, (modes, size_of(volume))
    return best


def _may_have(volume: PersistentVolumeDict, claim: PersistentVolumeClaimDict) -> bool:
    """Return whether a volume is free for a claim, large enough, and of its mode."""
    if (volume.get("spec") or {}).get("claimRef") is not None and not is_bound_to(volume, claim):
        return False
    if size_of(volume) < requested_size(claim) or meta.is_terminating(volume):
        return False
    return same_mode(volume, claim) and same_attributes(volume, claim)


def topology_allows(storage_class: StorageClassDict, labels: Mapping[str, str]) -> bool:
    """Return whether a class may provision a volume for a node with these labels.

    Source: pkg/apis/core/v1/helper (MatchTopologySelectorTerms).
    """
    terms = storage_class.get("allowedTopologies") or ()
    if not terms:
        return True
    return any(
        bool(term.get("matchLabelExpressions"))
        and all(
            labels.get(str(item.get("key"))) in (item.get("values") or ())
            for item in term["matchLabelExpressions"]
        )
        for term in terms
    )
