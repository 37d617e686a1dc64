"""Versions of a StatefulSet: ControllerRevisions, as pure functions of documents.

Each template that the set ever had is kept as a ControllerRevision; pods carry its name as a label.
Going back to an old template uses its revision again, with the next number.

>>> next_number([{"revision": 1}, {"revision": 4}]), next_number([])
(5, 1)

Source: pkg/controller/history/controller_history.go, pkg/controller/statefulset/
stateful_set_control.go (getStatefulSetRevisions, truncateHistory), stateful_set_utils.go.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from kubesim.clock import keyed_bytes
from kubesim.objects import meta
from kubesim.objects.frozen import Document, thaw

HASH_LABEL = "controller.kubernetes.io/hash"  # of revisions
REPLACE = {
    "$patch": "replace"
}  # as a strategic merge patch, the template takes the old one's place


def template_hash(template: Mapping[str, Any]) -> str:
    """A stable text for a template's content.

    Upstream hashes a Go memory dump, which nobody outside Go can repeat; any stable hash will do.
    """
    text = json.dumps(template, sort_keys=True, separators=(",", ":"))
    number = int.from_bytes(keyed_bytes(text, 4), "big")
    return "".join(meta.SUFFIX_ALPHABET[ord(digit) % 27] for digit in str(number))


def template_revision(set_name: str, template: Mapping[str, Any]) -> str:
    """The name of a template's revision.

    Args:
        set_name: of the StatefulSet.
        template: its spec.template.
    """
    return f"{set_name}-{template_hash(template)}"


def number_of(revision: Mapping[str, Any]) -> int:
    """The revision's number; 0 if it has none."""
    return int(revision.get("revision") or 0)


def next_number(known: Iterable[Mapping[str, Any]]) -> int:
    """One more than the greatest among the set's revisions."""
    return max(map(number_of, known), default=0) + 1


def revision_document(statefulset: Mapping[str, Any], number: int) -> Document:
    """The ControllerRevision of the set's present template; annotations of the set are copied.

    Args:
        statefulset: the document.
        number: its number.
    """
    template = statefulset["spec"]["template"]
    labels = {**meta.labels_of(template), HASH_LABEL: template_hash(template)}
    metadata: Document = {
        "name": template_revision(meta.name_of(statefulset), template),
        "namespace": meta.namespace_of(statefulset),
        "labels": labels,
        "ownerReferences": [meta.owner_reference(statefulset)],
    }
    if notes := meta.annotations_of(statefulset):
        metadata["annotations"] = dict(notes)
    return {
        "kind": "ControllerRevision",
        "metadata": metadata,
        "revision": number,
        "data": {"spec": {"template": {**template, **REPLACE}}},
    }


def template_of(revision: Mapping[str, Any]) -> Document:
    """The template that a revision keeps, free to be changed."""
    kept: Document = thaw(revision["data"]["spec"]["template"])
    kept.pop("$patch", None)
    return kept


def to_trim(
    known: Sequence[Mapping[str, Any]], live: Collection[str], limit: int
) -> list[Mapping[str, Any]]:
    """Revisions beyond the history limit, the lowest numbers first.

    Args:
        known: the set's revisions.
        live: names of those in use: current, update, and of every pod; they never count.
        limit: spec.revisionHistoryLimit.

    >>> known = [{"metadata": {"name": n}, "revision": r} for r, n in enumerate("abcd")]
    >>> [meta.name_of(revision) for revision in to_trim(known, {"a"}, 1)]
    ['b', 'c']
    """
    unused = [revision for revision in known if meta.name_of(revision) not in live]
    unused.sort(key=lambda revision: (number_of(revision), meta.name_of(revision)))
    return unused[: max(0, len(unused) - limit)]
