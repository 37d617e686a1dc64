"""Versions of a Deployment: names, revisions and history of its ReplicaSets, as pure functions.

Every template that a Deployment ever had is kept as a ReplicaSet; the number of its version is an
annotation. Going back does not bring an old number back: the old ReplicaSet is used again and gets
the next number, and notes the one that it had in its `revision-history`.

>>> pod_template_hash({"spec": {"containers": []}}) == pod_template_hash({"spec": {}})
False
>>> next_revision([{"metadata": {"annotations": {REVISION: "3"}}}, {"metadata": {}}])
4

Source: pkg/controller/deployment/util/deployment_util.go (SetNewReplicaSetAnnotations, MaxRevision,
EqualIgnoreHash, FindNewReplicaSet), pkg/controller/deployment/sync.go (cleanupDeployment).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kubesim.objects import meta
from kubesim.objects.frozen import Document
from kubesim.objects.wellknown import LAST_APPLIED, POD_TEMPLATE_HASH_LABEL

PREFIX = "deployment.kubernetes.io/"
REVISION = f"{PREFIX}revision"
REVISION_HISTORY = f"{PREFIX}revision-history"
DESIRED = f"{PREFIX}desired-replicas"
MAX = f"{PREFIX}max-replicas"
ROLLBACK_TO = "deprecated.deployment.rollback.to"
MAX_HISTORY_CHARACTERS = 2000  # of the annotation revision-history
NOT_COPIED = (LAST_APPLIED, REVISION, REVISION_HISTORY, DESIRED, MAX, ROLLBACK_TO)
_EMPTY: Mapping[str, Any] = {}
_NOTHING_SAID: tuple[Any, ...] = (None, "", [], {})


# -- names and templates ---------------------------------------------------------------------------


def fnv1a_32(data: bytes) -> int:
    """The 32-bit FNV-1a hash of some bytes.

    >>> hex(fnv1a_32(b"a"))
    '0xe40c292c'
    """
    value = 0x811C9DC5
    for byte in data:
        value = (value ^ byte) * 0x01000193 & 0xFFFFFFFF
    return value


def encode_hash(number: int) -> str:
    """A number in the ten symbols that hashes are written in.

    >>> encode_hash(1234567890)
    '56789bcdf4'
    """
    return "".join(meta.SUFFIX_ALPHABET[ord(digit) % 27] for digit in str(number))


def pod_template_hash(template: Mapping[str, Any], collisions: int | None = None) -> str:
    """The text that tells a template's pods from others'.

    Upstream hashes a dump of Go's memory, which nobody outside Go can repeat; ours hashes the
    template as canonical JSON.

    Args:
        template: spec.template of the Deployment.
        collisions: status.collisionCount, which gives another text after a collision.
    """
    data = json.dumps(template, sort_keys=True, separators=(",", ":")).encode()
    if collisions is not None:
        data += collisions.to_bytes(8, "little")
    return encode_hash(fnv1a_32(data))


def without_hash(template: Mapping[str, Any]) -> Document:
    """A template without the label that its ReplicaSet got."""
    metadata = dict(template.get("metadata") or _EMPTY)
    labels = {
        k: v
        for k, v in (metadata.pop("labels", None) or {}).items()
        if k != POD_TEMPLATE_HASH_LABEL
    }
    if labels:
        metadata["labels"] = labels
    return {**template, "metadata": metadata}


def equal_ignoring_hash(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Two templates make the same pods: all is equal but the hash label.

    A field that says nothing is as good as none (apiequality.Semantic): clients written in Go send
    ``creationTimestamp: null`` along, and a rollback by kubectl has to find its old ReplicaSet.
    """
    if one.get("spec") == other.get("spec") and without_hash(one) == without_hash(other):
        return True
    return bool(_said(without_hash(one)) == _said(without_hash(other)))


def _said(value: Any) -> Any:
    """A document without what says nothing: null, empty texts, lists and objects."""
    if isinstance(value, Mapping):
        kept = {key: _said(item) for key, item in value.items()}
        return {key: item for key, item in kept.items() if item not in _NOTHING_SAID}
    if isinstance(value, list):
        return [_said(item) for item in value]
    return value


def oldest_first(replicasets: Iterable[Document]) -> list[Document]:
    """By time of creation, then by name."""
    return sorted(
        replicasets, key=lambda rs: (rs["metadata"]["creationTimestamp"], meta.name_of(rs))
    )


def find_new(deployment: Mapping[str, Any], replicasets: Iterable[Document]) -> Document | None:
    """The oldest ReplicaSet of the Deployment's present template; any twin of it counts as old."""
    template = deployment["spec"]["template"]
    for replicaset in oldest_first(replicasets):
        if equal_ignoring_hash(replicaset["spec"]["template"], template):
            return replicaset
    return None


# -- annotations -----------------------------------------------------------------------------------


def revision_of(document: Mapping[str, Any]) -> int | None:
    """The annotation of that name; None if it is missing or no number."""
    return _number(meta.annotations_of(document).get(REVISION))


def number_in(document: Mapping[str, Any], annotation: str) -> int | None:
    """An annotation as a number; None if it is missing or no number."""
    return _number(meta.annotations_of(document).get(annotation))


def _number(text: str | None) -> int | None:
    if not text or not text.isascii() or not text.removeprefix("-").isdigit():
        return None
    return int(text)


def next_revision(old: Iterable[Mapping[str, Any]]) -> int:
    """One more than the greatest among the old ReplicaSets."""
    return max((revision_of(replicaset) or 0 for replicaset in old), default=0) + 1


def previous_revision(replicasets: Iterable[Mapping[str, Any]]) -> int:
    """The second greatest revision, which is what "the last one" means; 0 if there is none.

    >>> previous_revision([{"metadata": {"annotations": {REVISION: n}}} for n in ("1", "4", "3")])
    3
    """
    known = sorted((revision_of(rs) or 0 for rs in replicasets), reverse=True)
    return known[1] if len(known) > 1 else 0


def rollback_target(deployment: Mapping[str, Any]) -> int | None:
    """The revision that the legacy rollback annotation asks for; 0: the last one; None: nothing."""
    return number_in(deployment, ROLLBACK_TO)


def rolled_back(deployment: Mapping[str, Any], replicaset: Mapping[str, Any] | None) -> Document:
    """The Deployment without its rollback annotation, and with the template of a ReplicaSet.

    Args:
        deployment: the document.
        replicaset: whose template and annotations it gets; None: the template stays.
    """
    notes = {k: v for k, v in meta.annotations_of(deployment).items() if k != ROLLBACK_TO}
    spec = deployment["spec"]
    if replicaset is not None:
        spec = {**spec, "template": without_hash(replicaset["spec"]["template"])}
        kept = {k: v for k, v in notes.items() if k in NOT_COPIED}
        theirs = meta.annotations_of(replicaset).items()
        notes = {**kept, **{k: v for k, v in theirs if k not in NOT_COPIED}}
    return {
        **deployment,
        "metadata": {**deployment["metadata"], "annotations": notes},
        "spec": spec,
    }


def new_replica_set(
    deployment: Mapping[str, Any],
    owner_reference: Document,
    *,
    size: int,
    surge: int,
    revision: int,
) -> Document:
    """The ReplicaSet of the Deployment's present template.

    Args:
        deployment: the document.
        owner_reference: a reference to it, as its controller.
        size: spec.replicas of the ReplicaSet.
        surge: resolved; 0 for Recreate.
        revision: one more than that of all old ones.
    """
    spec = deployment["spec"]
    collisions = (deployment.get("status") or {}).get("collisionCount")
    text = pod_template_hash(spec["template"], collisions)
    metadata = spec["template"].get("metadata") or {}
    labels = {**(metadata.get("labels") or {}), POD_TEMPLATE_HASH_LABEL: text}
    selector = spec["selector"]
    match = {**(selector.get("matchLabels") or {}), POD_TEMPLATE_HASH_LABEL: text}
    notes = annotations_for_new(deployment, {}, revision)
    made: Document = {
        "replicas": size,
        "selector": {**selector, "matchLabels": match},
        "template": {**spec["template"], "metadata": {**metadata, "labels": labels}},
    }
    if spec.get("minReadySeconds"):
        made["minReadySeconds"] = spec["minReadySeconds"]
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": name_of_new(deployment),
            "namespace": meta.namespace_of(deployment),
            "labels": labels,
            "annotations": {**notes, **replicas_annotations(spec["replicas"], surge)},
            "ownerReferences": [owner_reference],
        },
        "spec": made,
    }


def name_of_new(deployment: Mapping[str, Any]) -> str:
    """What the ReplicaSet of the present template is called, if it is made now."""
    collisions = (deployment.get("status") or {}).get("collisionCount")
    text = pod_template_hash(deployment["spec"]["template"], collisions)
    return f"{meta.name_of(deployment)}-{text}"


def replicas_annotations(replicas: int, surge: int) -> dict[str, str]:
    """What every ReplicaSet notes about the Deployment's size when it is scaled.

    Args:
        replicas: spec.replicas of the Deployment.
        surge: resolved; 0 for Recreate.
    """
    return {DESIRED: str(replicas), MAX: str(replicas + surge)}


def annotations_for_new(
    deployment: Mapping[str, Any], present: Mapping[str, str], revision: int
) -> dict[str, str]:
    """Annotations of the new ReplicaSet: the Deployment's are copied, its revision only rises.

    Args:
        deployment: the document.
        present: annotations that the ReplicaSet has.
        revision: one more than that of all old ones.
    """
    result = dict(present)
    for key, value in meta.annotations_of(deployment).items():
        if key not in NOT_COPIED:
            result[key] = value
    had = present.get(REVISION)
    before = _number(had)
    if had and before is None:
        return result  # somebody wrote what is no number: left alone
    if (before or 0) < revision:
        result[REVISION] = str(revision)
        if had is not None:
            result[REVISION_HISTORY] = _history_with(present.get(REVISION_HISTORY, ""), had)
    return result


def _history_with(history: str, revision: str) -> str:
    """The list with one more at its end; the oldest are dropped when it gets too long."""
    numbers = [*(history.split(",") if history else ()), revision]
    while len(numbers) > 1 and len(",".join(numbers)) > MAX_HISTORY_CHARACTERS:
        numbers.pop(0)
    return ",".join(numbers)


# -- history ---------------------------------------------------------------------------------------


def to_clean_up(old: Sequence[Document], limit: int | None) -> list[Document]:
    """The old ReplicaSets that the history limit does away with.

    Only the first ones in the order of revisions are looked at, as many as there are too many; one
    of them that still has pods is passed over, and none goes in its place.

    Args:
        old: all but the new one.
        limit: spec.revisionHistoryLimit; None keeps everything.
    """
    if limit is None:
        return []
    alive = [replicaset for replicaset in old if not meta.is_terminating(replicaset)]
    ordered = sorted(oldest_first(alive), key=lambda rs: revision_of(rs) or 0)
    excess = ordered[: max(0, len(alive) - limit)]
    return [replicaset for replicaset in excess if _is_empty(replicaset)]


def _is_empty(replicaset: Mapping[str, Any]) -> bool:
    status = replicaset.get("status") or {}
    return (
        not status.get("replicas")
        and not replicaset["spec"].get("replicas")
        and meta.generation_of(replicaset) <= status.get("observedGeneration", 0)
    )
