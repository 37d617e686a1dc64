"""Revision history of a StatefulSet: ControllerRevisions, as pure functions of documents.

Each template is kept as a ControllerRevision, whose name is a label of the pods. A rollback reuses
the ControllerRevision of the old template, with the next number.

>>> next_number([{"revision": 1}, {"revision": 4}]), next_number([])
(5, 1)

Source: pkg/controller/history/controller_history.go, pkg/controller/statefulset/
stateful_set_control.go (getStatefulSetRevisions, truncateHistory), stateful_set_utils.go.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, cast

from kubesim.clock import keyed_bytes
from kubesim.objects import meta
from kubesim.objects.frozen import ReadOnlyDocument, thaw

if TYPE_CHECKING:
    from kubesim.objects.types import (
        ControllerRevisionDict,
        ObjectMetaDict,
        PodTemplateSpecDict,
        StatefulSetDict,
    )

HASH_LABEL = "controller.kubernetes.io/hash"  # of revisions
REPLACE = {"$patch": "replace"}  # a strategic merge patch then replaces the whole template


def template_hash(template: PodTemplateSpecDict) -> str:
    """Return a stable hash of a template.

    Upstream hashes a dump of Go's memory, which is not reproducible outside Go.
    """
    canonical = json.dumps(template, sort_keys=True, separators=(",", ":"))
    number = int.from_bytes(keyed_bytes(canonical, 4), "big")
    return "".join(meta.SUFFIX_ALPHABET[ord(digit) % 27] for digit in str(number))


def template_revision(set_name: str, template: PodTemplateSpecDict) -> str:
    """Return the name of a template's revision.

    Args:
        set_name: name of the StatefulSet.
        template: its spec.template.
    """
    return f"{set_name}-{template_hash(template)}"


def number_of(revision: ControllerRevisionDict) -> int:
    """Return a revision's number; 0 if it has none."""
    return int(revision.get("revision") or 0)


def next_number(existing: Iterable[ControllerRevisionDict]) -> int:
    """Return one more than the greatest revision number."""
    return max(map(number_of, existing), default=0) + 1


def revision_document(statefulset: StatefulSetDict, number: int) -> ControllerRevisionDict:
    """Return the ControllerRevision to create for the current template.

    Args:
        statefulset: the document; its annotations are copied.
        number: the revision number.
    """
    template = statefulset["spec"]["template"]
    labels = {**meta.labels_of(template), HASH_LABEL: template_hash(template)}
    metadata: ObjectMetaDict = {
        "name": template_revision(meta.name_of(statefulset), template),
        "namespace": meta.namespace_of(statefulset),
        "labels": labels,
        "ownerReferences": [meta.owner_reference(statefulset)],
    }
    if annotations := meta.annotations_of(statefulset):
        metadata["annotations"] = dict(annotations)
    return {
        "kind": "ControllerRevision",
        "metadata": metadata,
        "revision": number,
        "data": {"spec": {"template": {**template, **REPLACE}}},
    }


def template_of(revision: ControllerRevisionDict) -> PodTemplateSpecDict:
    """Return a modifiable copy of the template that a revision stores."""
    data: ReadOnlyDocument = revision["data"]
    template = thaw(data["spec"]["template"])
    template.pop("$patch", None)
    return cast("PodTemplateSpecDict", template)


def beyond_history_limit(
    existing: Sequence[ControllerRevisionDict], live: Collection[str], limit: int
) -> list[ControllerRevisionDict]:
    """Return the revisions to delete for the revision history limit, lowest numbers first.

    Args:
        existing: the StatefulSet's revisions.
        live: names of revisions in use (current, update, and of every pod); they never count.
        limit: spec.revisionHistoryLimit.

    >>> known = [{"metadata": {"name": n}, "revision": r} for r, n in enumerate("abcd")]
    >>> [meta.name_of(revision) for revision in beyond_history_limit(known, {"a"}, 1)]
    ['b', 'c']
    """
    unused = [revision for revision in existing if meta.name_of(revision) not in live]
    unused.sort(key=lambda revision: (number_of(revision), meta.name_of(revision)))
    return unused[: max(0, len(unused) - limit)]
