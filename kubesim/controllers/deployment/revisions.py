"""Revision history of a Deployment: names, revisions and clean-up of its ReplicaSets. Pure.

Each template of a Deployment is kept as a ReplicaSet whose revision is an annotation. A rollback
does not reuse the old revision: the old ReplicaSet gets the next number, and its previous number is
appended to the annotation `revision-history`.

>>> next_revision([{"metadata": {"annotations": {REVISION: "3"}}}, {"metadata": {}}])
4

Source: pkg/controller/deployment/util/deployment_util.go (SetNewReplicaSetAnnotations, MaxRevision,
EqualIgnoreHash, FindNewReplicaSet), pkg/controller/deployment/sync.go (cleanupDeployment).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from kubesim.controllers.shared.template_hash import pod_template_hash
from kubesim.objects import meta
from kubesim.objects.frozen import ReadOnlyDocument
from kubesim.objects.intstr import parse_int
from kubesim.objects.wellknown import LAST_APPLIED, POD_TEMPLATE_HASH_LABEL

if TYPE_CHECKING:
    from kubesim.objects.types import (
        DeploymentDict,
        ObjectMetaDict,
        OwnerReferenceDict,
        PodTemplateSpecDict,
        ReplicaSetDict,
        ReplicaSetSpecDict,
    )

PREFIX = "deployment.kubernetes.io/"
REVISION = f"{PREFIX}revision"
REVISION_HISTORY = f"{PREFIX}revision-history"
DESIRED = f"{PREFIX}desired-replicas"
MAX = f"{PREFIX}max-replicas"
ROLLBACK_TO = "deprecated.deployment.rollback.to"
MAX_HISTORY_CHARACTERS = 2000  # of the annotation revision-history
NOT_COPIED = (LAST_APPLIED, REVISION, REVISION_HISTORY, DESIRED, MAX, ROLLBACK_TO)
_EMPTY_VALUES: tuple[object, ...] = (None, "", [], {})


# -- names and templates ---------------------------------------------------------------------------


def without_hash(template: PodTemplateSpecDict) -> PodTemplateSpecDict:
    """Return a template without the label pod-template-hash."""
    metadata: ObjectMetaDict = {**(template.get("metadata") or {})}
    labels = {
        k: v
        for k, v in (metadata.pop("labels", None) or {}).items()
        if k != POD_TEMPLATE_HASH_LABEL
    }
    if labels:
        metadata["labels"] = labels
    return {**template, "metadata": metadata}


def equal_ignoring_hash(one: PodTemplateSpecDict, other: PodTemplateSpecDict) -> bool:
    """Return whether two templates are equal apart from the label pod-template-hash.

    Empty fields equal missing ones (apiequality.Semantic): clients written in Go send
    ``creationTimestamp: null``, and a rollback by kubectl must find its old ReplicaSet.
    """
    if one.get("spec") == other.get("spec") and without_hash(one) == without_hash(other):
        return True
    return _without_empty(without_hash(one)) == _without_empty(without_hash(other))


def _without_empty(value: object) -> object:
    """Return a JSON value without fields that are null, or empty strings, lists and objects."""
    if isinstance(value, Mapping):
        fields = {key: _without_empty(item) for key, item in value.items()}
        return {key: item for key, item in fields.items() if item not in _EMPTY_VALUES}
    if isinstance(value, list):
        return [_without_empty(item) for item in value]
    return value


def oldest_first(replicasets: Iterable[ReplicaSetDict]) -> list[ReplicaSetDict]:
    """Sort ReplicaSets by creation time, ties by name."""
    return sorted(
        replicasets, key=lambda rs: (rs["metadata"]["creationTimestamp"], meta.name_of(rs))
    )


def find_new(
    deployment: DeploymentDict, replicasets: Iterable[ReplicaSetDict]
) -> ReplicaSetDict | None:
    """Return the oldest ReplicaSet of the current template; its duplicates count as old."""
    template = deployment["spec"]["template"]
    for replicaset in oldest_first(replicasets):
        if equal_ignoring_hash(replicaset["spec"]["template"], template):
            return replicaset
    return None


# -- annotations -----------------------------------------------------------------------------------


def revision_of(document: ReadOnlyDocument) -> int | None:
    """Return the annotation revision; None if it is missing or malformed."""
    return _number(meta.annotations_of(document).get(REVISION))


def number_in(document: ReadOnlyDocument, annotation: str) -> int | None:
    """Return an annotation as a number; None if it is missing or malformed."""
    return _number(meta.annotations_of(document).get(annotation))


def _number(value: str | None) -> int | None:
    return parse_int(value) if value else None


def next_revision(old: Iterable[ReplicaSetDict]) -> int:
    """Return one more than the greatest revision of the old ReplicaSets."""
    return max((revision_of(replicaset) or 0 for replicaset in old), default=0) + 1


def previous_revision(replicasets: Iterable[ReplicaSetDict]) -> int:
    """Return the second greatest revision, to which a rollback goes by default, or 0.

    >>> previous_revision([{"metadata": {"annotations": {REVISION: n}}} for n in ("1", "4", "3")])
    3
    """
    numbers = sorted((revision_of(rs) or 0 for rs in replicasets), reverse=True)
    return numbers[1] if len(numbers) > 1 else 0


def rollback_target(deployment: DeploymentDict) -> int | None:
    """Return the revision in the legacy rollback annotation; 0: the previous one; None: none."""
    return number_in(deployment, ROLLBACK_TO)


def rolled_back(deployment: DeploymentDict, replicaset: ReplicaSetDict | None) -> DeploymentDict:
    """Return the Deployment without its rollback annotation, and with a ReplicaSet's template.

    Args:
        deployment: the document.
        replicaset: source of the template and annotations; None: the template stays.
    """
    annotations = {k: v for k, v in meta.annotations_of(deployment).items() if k != ROLLBACK_TO}
    spec = deployment["spec"]
    if replicaset is not None:
        spec = {**spec, "template": without_hash(replicaset["spec"]["template"])}
        retained = {k: v for k, v in annotations.items() if k in NOT_COPIED}
        copied = meta.annotations_of(replicaset).items()
        annotations = {**retained, **{k: v for k, v in copied if k not in NOT_COPIED}}
    return {
        **deployment,
        "metadata": {**deployment["metadata"], "annotations": annotations},
        "spec": spec,
    }


def new_replica_set(
    deployment: DeploymentDict,
    owner_reference: OwnerReferenceDict,
    *,
    size: int,
    surge: int,
    revision: int,
) -> ReplicaSetDict:
    """Return the ReplicaSet to create for the current template.

    Args:
        deployment: the document.
        owner_reference: the controllerRef to the Deployment.
        size: spec.replicas of the ReplicaSet.
        surge: resolved maxSurge; 0 for Recreate.
        revision: the revision number.
    """
    spec = deployment["spec"]
    collisions = (deployment.get("status") or {}).get("collisionCount")
    template_hash = pod_template_hash(spec["template"], collisions)
    metadata = spec["template"].get("metadata") or {}
    labels = {**(metadata.get("labels") or {}), POD_TEMPLATE_HASH_LABEL: template_hash}
    selector = spec["selector"]
    match = {**(selector.get("matchLabels") or {}), POD_TEMPLATE_HASH_LABEL: template_hash}
    annotations = annotations_for_new(deployment, {}, revision)
    replicaset_spec: ReplicaSetSpecDict = {
        "replicas": size,
        "selector": {**selector, "matchLabels": match},
        "template": {**spec["template"], "metadata": {**metadata, "labels": labels}},
    }
    if spec.get("minReadySeconds"):
        replicaset_spec["minReadySeconds"] = spec["minReadySeconds"]
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": name_of_new(deployment),
            "namespace": meta.namespace_of(deployment),
            "labels": labels,
            "annotations": {**annotations, **replicas_annotations(spec["replicas"], surge)},
            "ownerReferences": [owner_reference],
        },
        "spec": replicaset_spec,
    }


def name_of_new(deployment: DeploymentDict) -> str:
    """Return the name of the ReplicaSet to create for the current template."""
    collisions = (deployment.get("status") or {}).get("collisionCount")
    template_hash = pod_template_hash(deployment["spec"]["template"], collisions)
    return f"{meta.name_of(deployment)}-{template_hash}"


def replicas_annotations(replicas: int, surge: int) -> dict[str, str]:
    """Return the annotations that a ReplicaSet gets when it is scaled.

    Args:
        replicas: spec.replicas of the Deployment.
        surge: resolved maxSurge; 0 for Recreate.
    """
    return {DESIRED: str(replicas), MAX: str(replicas + surge)}


def annotations_for_new(
    deployment: DeploymentDict, present: Mapping[str, str], revision: int
) -> dict[str, str]:
    """Return the annotations of the new ReplicaSet: the Deployment's, and a raised revision.

    Args:
        deployment: the document.
        present: the ReplicaSet's present annotations.
        revision: one more than the revisions of all old ReplicaSets.
    """
    result = dict(present)
    for key, value in meta.annotations_of(deployment).items():
        if key not in NOT_COPIED:
            result[key] = value
    old_revision = present.get(REVISION)
    before = _number(old_revision)
    if old_revision and before is None:
        return result  # a malformed revision is kept
    if (before or 0) < revision:
        result[REVISION] = str(revision)
        if old_revision is not None:
            history = present.get(REVISION_HISTORY, "")
            result[REVISION_HISTORY] = _append_revision_history(history, old_revision)
    return result


def _append_revision_history(history: str, revision: str) -> str:
    """Append a revision to the list; drop the oldest ones when it gets too long."""
    numbers = [*(history.split(",") if history else ()), revision]
    while len(numbers) > 1 and len(",".join(numbers)) > MAX_HISTORY_CHARACTERS:
        numbers.pop(0)
    return ",".join(numbers)


# -- history ---------------------------------------------------------------------------------------


def beyond_history_limit(old: Sequence[ReplicaSetDict], limit: int | None) -> list[ReplicaSetDict]:
    """Return the old ReplicaSets to delete for the revision history limit.

    Candidates are the excess ones with the lowest revisions; a candidate that still has pods is
    kept, and none is deleted in its place.

    Args:
        old: all ReplicaSets but the new one.
        limit: spec.revisionHistoryLimit; None: keep everything.
    """
    if limit is None:
        return []
    alive = [replicaset for replicaset in old if not meta.is_terminating(replicaset)]
    ordered = sorted(oldest_first(alive), key=lambda rs: revision_of(rs) or 0)
    excess = ordered[: max(0, len(alive) - limit)]
    return [replicaset for replicaset in excess if _is_empty(replicaset)]


def _is_empty(replicaset: ReplicaSetDict) -> bool:
    status = replicaset.get("status") or {}
    return (
        not status.get("replicas")
        and not replicaset["spec"].get("replicas")
        and meta.generation_of(replicaset) <= status.get("observedGeneration", 0)
    )
