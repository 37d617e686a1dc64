"""What may change of a pod: images, the deadline, added tolerations, removed scheduling gates.

Source: pkg/apis/core/validation/validation.go (ValidatePodUpdate).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubesim.apiserver.validation import FieldErrors
from kubesim.objects.frozen import Document, objects_in
from kubesim.objects.pods import CONTAINER_LISTS

if TYPE_CHECKING:
    from kubesim.objects.types.affinity import NodeSelectorTermDict

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
ONLY_ADDITIONS = "only additions are allowed (no mutations or deletions)"
POD_IS_FIXED = (
    "pod updates may not change fields other than `spec.containers[*].image`,"
    "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only "
    "additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set "
    "to 1 if it was previously negative)"
)


def validate_spec_update(new: Document, old: Document, errors: FieldErrors) -> None:
    """Forbid changes of a pod's spec, except of images, the deadline and added tolerations.

    The scheduler may still be told more about a pod that waits for a scheduling gate.

    Args:
        new, old: the object after and before the update.
        errors: receives the violations.
    """
    before, after = old.get("spec") or {}, new.get("spec") or {}
    for field in ("containers", "initContainers"):
        if len(before.get(field) or ()) != len(after.get(field) or ()):
            rule = "pod updates may not add or remove containers"
            errors.forbidden(f"spec.{field}", rule)
            return
    deadline, previous = after.get("activeDeadlineSeconds"), before.get("activeDeadlineSeconds")
    if previous is not None and (deadline is None or deadline > previous):
        rule = "must be less than or equal to previous value"
        if deadline is None:
            rule = "must not update from a positive integer to nil value"
        errors.invalid("spec.activeDeadlineSeconds", deadline, rule)
        return
    _validate_placement_update(after, before, errors)
    gated = bool(before.get("schedulingGates"))
    if _fixed_part(before, gated) != _fixed_part(after, gated):
        errors.forbidden("spec", POD_IS_FIXED)


def _validate_placement_update(after: Document, before: Document, errors: FieldErrors) -> None:
    """Validate changes of tolerations, gates, and of the wishes of a pod that has gates."""
    tolerations = _without_seconds(after)
    if any(toleration not in tolerations for toleration in _without_seconds(before)):
        errors.forbidden(
            "spec.tolerations",
            "existing toleration can not be modified except its tolerationSeconds",
        )
    gates = [gate.get("name") for gate in before.get("schedulingGates") or ()]
    for gate in objects_in(after.get("schedulingGates")):
        if gate.get("name") not in gates:
            rule = "only deletion is allowed, but found new scheduling gate"
            errors.forbidden("spec.schedulingGates", f"{rule} '{gate.get('name')}'")
    if not gates:
        return
    labels, previous = after.get("nodeSelector") or {}, before.get("nodeSelector") or {}
    if not previous.items() <= labels.items():
        errors.invalid("spec.nodeSelector", labels, ONLY_ADDITIONS)
    _validate_terms_update(_node_terms(after), _node_terms(before), errors)


def _node_terms(spec: Document) -> list[NodeSelectorTermDict]:
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    terms: list[NodeSelectorTermDict] = (affinity.get(REQUIRED) or {}).get(
        "nodeSelectorTerms"
    ) or []
    return terms


def _validate_terms_update(
    after: list[NodeSelectorTermDict], before: list[NodeSelectorTermDict], errors: FieldErrors
) -> None:
    """Validate that terms of node affinity are only narrowed (validateNodeAffinityMutation)."""
    path = f"spec.affinity.nodeAffinity.{REQUIRED}.nodeSelectorTerms"
    if before and len(after) != len(before):
        rule = "no additions/deletions to non-empty NodeSelectorTerms list are allowed"
        errors.invalid(path, after, rule)
        return
    for index, (term, previous) in enumerate(zip(after, before, strict=False)):
        if not _has_only_additions(term, previous):
            errors.invalid(f"{path}[{index}]", term, ONLY_ADDITIONS)


def _has_only_additions(term: NodeSelectorTermDict, previous: NodeSelectorTermDict) -> bool:
    labels, earlier_labels = term.get("matchExpressions") or [], previous.get("matchExpressions")
    fields, earlier_fields = term.get("matchFields") or [], previous.get("matchFields")
    if not earlier_labels and not earlier_fields:
        return not labels and not fields
    return all(
        items[: len(earlier or ())] == (earlier or [])
        for items, earlier in ((labels, earlier_labels), (fields, earlier_fields))
    )


def _without_seconds(spec: Document) -> list[Document]:
    """Return the tolerations without tolerationSeconds."""
    tolerations = spec.get("tolerations") or []
    return [{k: v for k, v in item.items() if k != "tolerationSeconds"} for item in tolerations]


def _fixed_part(spec: Document, gated: bool) -> Document:
    """Return a pod spec without the fields that may change."""
    may_change = ["activeDeadlineSeconds", "tolerations", "schedulingGates"]
    if gated:
        may_change += ["nodeSelector", "affinity"]
    fixed = {k: v for k, v in spec.items() if k not in may_change}
    if gated:
        affinity = spec.get("affinity") or {}
        fixed["affinity"] = {k: v for k, v in affinity.items() if k != "nodeAffinity"}
    for field in CONTAINER_LISTS:
        if isinstance(spec.get(field), list):
            fixed[field] = [{k: v for k, v in item.items() if k != "image"} for item in spec[field]]
    return fixed
