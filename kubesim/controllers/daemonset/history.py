"""Versions of a DaemonSet: its templates kept as ControllerRevisions, as pure functions.

Each template that a DaemonSet ever had stands in a ControllerRevision, whose number grows with each
change; going back gives the old one a new number. Revisions beyond the limit are deleted, oldest
first, but never one from which a pod is alive.

>>> revisions = [{"metadata": {"name": n}, "revision": r} for n, r in (("a", 1), ("b", 2))]
>>> [revision["metadata"]["name"] for revision in superfluous(revisions, 1, live=set())]
['a']

Source: pkg/controller/daemon/update.go (constructHistory, cleanupHistory, dedupCurHistories).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from kubesim.controllers.deployment.revisions import pod_template_hash
from kubesim.objects import meta
from kubesim.objects.frozen import Document
from kubesim.objects.wellknown import REVISION_HASH_LABEL


def hash_of(daemonset: Mapping[str, Any]) -> str:
    """The text that tells the present template from others, after any collision."""
    collisions = (daemonset.get("status") or {}).get("collisionCount")
    return pod_template_hash(daemonset["spec"]["template"], collisions)


def patch_of(daemonset: Mapping[str, Any]) -> Document:
    """What a revision keeps: a patch that brings its template back."""
    return {"spec": {"template": {**daemonset["spec"]["template"], "$patch": "replace"}}}


def matching(daemonset: Mapping[str, Any], revisions: Iterable[Document]) -> Document | None:
    """The revision of the present template; of several the newest."""
    patch = patch_of(daemonset)
    same = [revision for revision in revisions if revision.get("data") == patch]
    return max(
        same, key=lambda revision: (revision["revision"], meta.name_of(revision)), default=None
    )


def next_number(revisions: Iterable[Mapping[str, Any]]) -> int:
    """One more than the greatest number."""
    return max((int(revision["revision"]) for revision in revisions), default=0) + 1


def new_revision(daemonset: Mapping[str, Any], owner_reference: Document, number: int) -> Document:
    """The ControllerRevision of the present template.

    Args:
        daemonset: the document.
        owner_reference: a reference to it, as its controller.
        number: one more than that of all others.
    """
    text = hash_of(daemonset)
    given = daemonset["spec"]["template"].get("metadata") or {}
    metadata: Document = {
        "name": f"{meta.name_of(daemonset)}-{text}",
        "namespace": meta.namespace_of(daemonset),
        "labels": {**(given.get("labels") or {}), REVISION_HASH_LABEL: text},
        "ownerReferences": [owner_reference],
    }
    if notes := meta.annotations_of(daemonset):
        metadata["annotations"] = dict(notes)
    return {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": metadata,
        "data": patch_of(daemonset),
        "revision": number,
    }


def superfluous(old: Sequence[Document], limit: int, *, live: AbstractSet[str]) -> list[Document]:
    """Old revisions that go: beyond the limit, the oldest first, none with pods.

    Args:
        old: all but the current one.
        limit: spec.revisionHistoryLimit.
        live: hashes that pods carry.
    """
    excess = len(old) - limit
    if excess <= 0:
        return []
    ordered = sorted(old, key=lambda revision: (revision["revision"], meta.name_of(revision)))
    unused = [r for r in ordered if meta.labels_of(r).get(REVISION_HASH_LABEL, "") not in live]
    return unused[:excess]
