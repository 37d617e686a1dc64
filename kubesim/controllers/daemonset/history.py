"""Revision history of a DaemonSet: its templates as ControllerRevisions, as pure functions.

Each template is stored in a ControllerRevision with an increasing number; a rollback gives the old
ControllerRevision the next number. Revisions beyond revisionHistoryLimit are deleted, oldest first,
but never one that a pod was created from.

>>> revisions = [{"metadata": {"name": n}, "revision": r} for n, r in (("a", 1), ("b", 2))]
>>> [revision["metadata"]["name"] for revision in beyond_history_limit(revisions, 1, live=set())]
['a']

Source: pkg/controller/daemon/update.go (constructHistory, cleanupHistory, dedupCurHistories).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING

from kubesim.controllers.shared.template_hash import pod_template_hash
from kubesim.objects import meta
from kubesim.objects.wellknown import REVISION_HASH_LABEL

if TYPE_CHECKING:
    from kubesim.objects.types import (
        ControllerRevisionDict,
        DaemonSetDict,
        ObjectMetaDict,
        OwnerReferenceDict,
    )


def hash_of(daemonset: DaemonSetDict) -> str:
    """Return the hash of the current template, which also depends on the collision count."""
    collisions = (daemonset.get("status") or {}).get("collisionCount")
    return pod_template_hash(daemonset["spec"]["template"], collisions)


def patch_of(daemonset: DaemonSetDict) -> dict[str, object]:
    """Return the data of a ControllerRevision: a patch that restores the template."""
    return {"spec": {"template": {**daemonset["spec"]["template"], "$patch": "replace"}}}


def matching(
    daemonset: DaemonSetDict, revisions: Iterable[ControllerRevisionDict]
) -> ControllerRevisionDict | None:
    """Return the revision of the current template; of several, the newest."""
    patch = patch_of(daemonset)
    same = [revision for revision in revisions if revision.get("data") == patch]
    return max(
        same, key=lambda revision: (revision["revision"], meta.name_of(revision)), default=None
    )


def next_number(revisions: Iterable[ControllerRevisionDict]) -> int:
    """Return one more than the greatest revision number."""
    return max((int(revision["revision"]) for revision in revisions), default=0) + 1


def new_revision(
    daemonset: DaemonSetDict, owner_reference: OwnerReferenceDict, number: int
) -> ControllerRevisionDict:
    """Return the ControllerRevision to create for the current template.

    Args:
        daemonset: the document.
        owner_reference: the controllerRef to the DaemonSet.
        number: the revision number.
    """
    template_hash = hash_of(daemonset)
    template_metadata = daemonset["spec"]["template"].get("metadata") or {}
    metadata: ObjectMetaDict = {
        "name": f"{meta.name_of(daemonset)}-{template_hash}",
        "namespace": meta.namespace_of(daemonset),
        "labels": {**(template_metadata.get("labels") or {}), REVISION_HASH_LABEL: template_hash},
        "ownerReferences": [owner_reference],
    }
    if annotations := meta.annotations_of(daemonset):
        metadata["annotations"] = dict(annotations)
    return {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": metadata,
        "data": patch_of(daemonset),
        "revision": number,
    }


def beyond_history_limit(
    old: Sequence[ControllerRevisionDict], limit: int, *, live: AbstractSet[str]
) -> list[ControllerRevisionDict]:
    """Return the old revisions to delete: beyond the limit, oldest first, none that pods use.

    Args:
        old: all revisions but the current one.
        limit: spec.revisionHistoryLimit.
        live: revision hashes of the DaemonSet's pods.
    """
    excess = len(old) - limit
    if excess <= 0:
        return []
    ordered = sorted(old, key=lambda revision: (revision["revision"], meta.name_of(revision)))
    unused = [r for r in ordered if meta.labels_of(r).get(REVISION_HASH_LABEL, "") not in live]
    return unused[:excess]
