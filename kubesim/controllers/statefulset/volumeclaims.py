"""Volume claims of a StatefulSet's pods: names, documents, volumes, and to whom they belong.

Each pod gets a claim of its own from each of `volumeClaimTemplates`, under a name that its next
incarnation finds again. Ours makes the claims as plain objects; nobody binds them, and no pod waits
for them to be bound. The retention policy works by owners: a claim that is to go with the set, or
with a pod that is beyond its size, belongs to it, and the garbage collector does the rest.

>>> statefulset = {"metadata": {"name": "db", "namespace": "shop"}, "spec": {
...     "selector": {"matchLabels": {"app": "db"}},
...     "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {}}]}}
>>> [claim["metadata"]["name"] for claim in claims_of(statefulset, 2)]
['data-db-2']

Source: pkg/controller/statefulset/stateful_set_utils.go (getPersistentVolumeClaims, updateStorage,
updateClaimOwnerRefForSetAndPod, hasStaleOwnerRef).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubesim.apiserver import KubeAPI
from kubesim.errors import Conflict
from kubesim.objects import meta
from kubesim.objects.frozen import Document

KIND = "PersistentVolumeClaim"


def claims_of(statefulset: Mapping[str, Any], ordinal: int) -> list[Document]:
    """The claims of one pod, in the order of their templates.

    Args:
        statefulset: the document.
        ordinal: the pod's number.
    """
    spec = statefulset["spec"]
    selected = (spec.get("selector") or {}).get("matchLabels") or {}
    found = []
    for template in spec.get("volumeClaimTemplates") or ():
        metadata = {
            **meta.metadata_of(template),
            "name": f"{meta.name_of(template)}-{meta.name_of(statefulset)}-{ordinal}",
            "namespace": meta.namespace_of(statefulset),
            "labels": {**meta.labels_of(template), **selected},
        }
        found.append({"apiVersion": "v1", "kind": KIND, **template, "metadata": metadata})
    return found


def volumes_of(
    statefulset: Mapping[str, Any], ordinal: int, volumes: list[Document]
) -> list[Document]:
    """spec.volumes of one pod: its claims, then the template's volumes of other names.

    Args:
        statefulset: the document.
        ordinal: the pod's number.
        volumes: those of the template.
    """
    templates = statefulset["spec"].get("volumeClaimTemplates") or ()
    names = [meta.name_of(template) for template in templates]
    claimed = [
        {"name": name, "persistentVolumeClaim": {"claimName": meta.name_of(claim)}}
        for name, claim in zip(names, claims_of(statefulset, ordinal), strict=True)
    ]
    return claimed + [volume for volume in volumes if volume.get("name") not in names]


def deletes(statefulset: Mapping[str, Any]) -> tuple[bool, bool]:
    """Whether claims go (when the set is deleted, when their pod is scaled away); Retain: no.

    >>> deletes({"spec": {"persistentVolumeClaimRetentionPolicy": {"whenScaled": "Delete"}}})
    (False, True)
    """
    policy = statefulset["spec"].get("persistentVolumeClaimRetentionPolicy") or {}
    return policy.get("whenDeleted") == "Delete", policy.get("whenScaled") == "Delete"


def owners_wanted(
    claim: Mapping[str, Any],
    statefulset: Mapping[str, Any],
    pod: Mapping[str, Any],
    *,
    condemned: bool,
) -> list[Document]:
    """metadata.ownerReferences of a claim as the retention policy wants them.

    Args:
        claim, statefulset, pod: the documents.
        condemned: the pod's ordinal is beyond the set's size.
    """
    with_set, with_pod = deletes(statefulset)
    ours = {meta.uid_of(statefulset), meta.uid_of(pod)}
    owners = [owner for owner in meta.owners_of(claim) if owner.get("uid") not in ours]
    if with_pod and condemned:
        owners.append(meta.owner_reference({"apiVersion": "v1", "kind": "Pod", **pod}))
    elif with_set:
        owners.append(meta.owner_reference(statefulset))
    return owners


def is_stale(claim: Mapping[str, Any], pod_name: str) -> bool:
    """It is on its way out with the pod's last life: the next one waits until it has gone.

    Args:
        claim: the document.
        pod_name: of the pod that is about to be made, which does not exist.
    """
    return meta.is_terminating(claim) or any(
        owner.get("kind") == "Pod" and owner.get("name") == pod_name
        for owner in meta.owners_of(claim)
    )


# -- through the API server ------------------------------------------------------------------------


def missing_claims(api: KubeAPI, statefulset: Document, pod: str, ordinal: int) -> list[Document]:
    """The claims that have to be made before a pod.

    Args:
        api: the API server.
        statefulset: the document.
        pod: name of the pod that is about to be made.
        ordinal: its number.

    Raises:
        Conflict: one of its last life has not gone yet.
    """
    missing = []
    for wanted in claims_of(statefulset, ordinal):
        known = api.peek(KIND, meta.name_of(wanted), meta.namespace_of(wanted))
        if known is None:
            missing.append(wanted)
        elif is_stale(known, pod):
            said = f"claim {meta.name_of(wanted)} is about to go; {pod} waits for a new one"
            raise Conflict(said, kind="persistentvolumeclaims", name=meta.name_of(wanted))
    return missing


def keep_claims(
    api: KubeAPI, statefulset: Document, pod: Document, ordinal: int, *, condemned: bool
) -> None:
    """Let a pod's claims belong to whom they are to go with; before any pod goes.

    Args:
        api: the API server.
        statefulset, pod: the documents.
        ordinal: the pod's number.
        condemned: that number is beyond the set's size.
    """
    for wanted in claims_of(statefulset, ordinal):
        claim = api.peek(KIND, meta.name_of(wanted), meta.namespace_of(wanted))
        if claim is None or meta.is_terminating(claim):
            continue
        owners = owners_wanted(claim, statefulset, pod, condemned=condemned)
        if owners != meta.owners_of(claim):
            metadata = {**claim["metadata"], "ownerReferences": owners}
            api.update({**claim, "metadata": metadata})
