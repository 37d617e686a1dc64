"""Volume claims of a StatefulSet's pods, as pure functions: names, documents, volumes.

Each pod gets a claim of its own from each of `volumeClaimTemplates`, under a name that its next
incarnation finds again. Ours makes the claims as plain objects; nobody binds them, and no pod waits
for them. The retention policy Retain is kept; Delete is left out.

>>> statefulset = {"metadata": {"name": "db", "namespace": "shop"}, "spec": {
...     "selector": {"matchLabels": {"app": "db"}},
...     "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {}}]}}
>>> [claim["metadata"]["name"] for claim in claims_of(statefulset, 2)]
['data-db-2']

Source: pkg/controller/statefulset/stateful_set_utils.go (getPersistentVolumeClaims, updateStorage).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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
