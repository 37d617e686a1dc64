"""PersistentVolumeClaims of a StatefulSet's pods: names, documents, volumes, owner references.

Each pod gets a claim for each of `volumeClaimTemplates`, under a name that the pod's replacement
uses again; `controllers.persistentvolume` binds them. The retention policy works by owner
references: a claim that must be deleted with the StatefulSet, or with a pod beyond its size, gets
it as owner; the garbage collector does the rest.

>>> statefulset = {"metadata": {"name": "db", "namespace": "shop"}, "spec": {
...     "selector": {"matchLabels": {"app": "db"}},
...     "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {}}]}}
>>> [claim["metadata"]["name"] for claim in claims_of(statefulset, 2)]
['data-db-2']

Source: pkg/controller/statefulset/stateful_set_utils.go (getPersistentVolumeClaims, updateStorage,
updateClaimOwnerRefForSetAndPod, hasStaleOwnerRef).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubesim.apiserver import KubeAPI
from kubesim.errors import Conflict
from kubesim.objects import meta
from kubesim.objects.kindnames import PERSISTENT_VOLUME_CLAIM

if TYPE_CHECKING:
    from kubesim.objects.types import (
        ObjectMetaDict,
        OwnerReferenceDict,
        PersistentVolumeClaimDict,
        PodDict,
        StatefulSetDict,
        VolumeDict,
    )

KIND = "PersistentVolumeClaim"


def claims_of(statefulset: StatefulSetDict, ordinal: int) -> list[PersistentVolumeClaimDict]:
    """Return the claims of one pod, in the order of their templates.

    Args:
        statefulset: the document.
        ordinal: the pod's ordinal.
    """
    spec = statefulset["spec"]
    selected = (spec.get("selector") or {}).get("matchLabels") or {}
    claims: list[PersistentVolumeClaimDict] = []
    for template in spec.get("volumeClaimTemplates") or ():
        metadata: ObjectMetaDict = {
            **(template.get("metadata") or {}),
            "name": f"{meta.name_of(template)}-{meta.name_of(statefulset)}-{ordinal}",
            "namespace": meta.namespace_of(statefulset),
            "labels": {**meta.labels_of(template), **selected},
        }
        claims.append({"apiVersion": "v1", "kind": KIND, **template, "metadata": metadata})
    return claims


def volumes_of(
    statefulset: StatefulSetDict, ordinal: int, volumes: list[VolumeDict]
) -> list[VolumeDict]:
    """Return spec.volumes of one pod: its claims, then the template's volumes of other names.

    Args:
        statefulset: the document.
        ordinal: the pod's ordinal.
        volumes: the template's volumes.
    """
    templates = statefulset["spec"].get("volumeClaimTemplates") or ()
    names = [meta.name_of(template) for template in templates]
    claimed: list[VolumeDict] = [
        {"name": name, "persistentVolumeClaim": {"claimName": meta.name_of(claim)}}
        for name, claim in zip(names, claims_of(statefulset, ordinal), strict=True)
    ]
    return claimed + [volume for volume in volumes if volume.get("name") not in names]


def deletes(statefulset: StatefulSetDict) -> tuple[bool, bool]:
    """Return whether claims are deleted (with the StatefulSet, when their pod is scaled down).

    >>> deletes({"spec": {"persistentVolumeClaimRetentionPolicy": {"whenScaled": "Delete"}}})
    (False, True)
    """
    policy = statefulset["spec"].get("persistentVolumeClaimRetentionPolicy") or {}
    return policy.get("whenDeleted") == "Delete", policy.get("whenScaled") == "Delete"


def owners_wanted(
    claim: PersistentVolumeClaimDict,
    statefulset: StatefulSetDict,
    pod: PodDict,
    *,
    condemned: bool,
) -> list[OwnerReferenceDict]:
    """Return metadata.ownerReferences of a claim by the retention policy.

    Args:
        claim, statefulset, pod: the documents.
        condemned: the pod's ordinal is beyond spec.replicas.
    """
    with_set, with_pod = deletes(statefulset)
    ours = {meta.uid_of(statefulset), meta.uid_of(pod)}
    owners = [owner for owner in meta.owners_of(claim) if owner.get("uid") not in ours]
    if with_pod and condemned:
        owners.append(meta.owner_reference({"apiVersion": "v1", "kind": "Pod", **pod}))
    elif with_set:
        owners.append(meta.owner_reference(statefulset))
    return owners


def is_stale(claim: PersistentVolumeClaimDict, pod_name: str) -> bool:
    """Return whether a claim is being deleted with the previous pod of that name.

    Args:
        claim: the document.
        pod_name: name of the pod to create.
    """
    return meta.is_terminating(claim) or any(
        owner.get("kind") == "Pod" and owner.get("name") == pod_name
        for owner in meta.owners_of(claim)
    )


# -- through the API server ------------------------------------------------------------------------


def missing_claims(
    api: KubeAPI, statefulset: StatefulSetDict, pod: str, ordinal: int
) -> list[PersistentVolumeClaimDict]:
    """Return the claims to create before a pod.

    Args:
        api: the API server.
        statefulset: the document.
        pod: name of the pod to create.
        ordinal: its ordinal.

    Raises:
        Conflict: a claim of the previous pod of that name is not deleted yet.
    """
    missing = []
    for desired in claims_of(statefulset, ordinal):
        claim = api.peek(PERSISTENT_VOLUME_CLAIM, meta.name_of(desired), meta.namespace_of(desired))
        if claim is None:
            missing.append(desired)
        elif is_stale(claim, pod):
            message = f"claim {meta.name_of(desired)} is about to be deleted; {pod} waits for it"
            raise Conflict(message, kind="persistentvolumeclaims", name=meta.name_of(desired))
    return missing


def keep_claims(
    api: KubeAPI, statefulset: StatefulSetDict, pod: PodDict, ordinal: int, *, condemned: bool
) -> None:
    """Update the owner references of a pod's claims, before any pod is deleted.

    Args:
        api: the API server.
        statefulset, pod: the documents.
        ordinal: the pod's ordinal.
        condemned: the ordinal is beyond spec.replicas.
    """
    for desired in claims_of(statefulset, ordinal):
        claim = api.peek(PERSISTENT_VOLUME_CLAIM, meta.name_of(desired), meta.namespace_of(desired))
        if claim is None or meta.is_terminating(claim):
            continue
        owners = owners_wanted(claim, statefulset, pod, condemned=condemned)
        if owners != meta.owners_of(claim):
            metadata = {**claim["metadata"], "ownerReferences": owners}
            api.update({**claim, "metadata": metadata})
