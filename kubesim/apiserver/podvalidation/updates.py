"""What may change of a pod: images, the deadline, added tolerations, removed scheduling gates.

Source: pkg/apis/core/validation/validation.go (ValidatePodUpdate).
"""

from __future__ import annotations

from kubesim.apiserver.validation import FieldErrors
from kubesim.objects.frozen import Document, objects_in
from kubesim.objects.pods import CONTAINER_LISTS

POD_IS_FIXED = (
    "pod updates may not change fields other than `spec.containers[*].image`,"
    "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only "
    "additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set "
    "to 1 if it was previously negative)"
)


def validate_spec_update(new: Document, old: Document, errors: FieldErrors) -> None:
    """Forbid changes of a pod's spec, except of images, the deadline and added tolerations.

    Args:
        new, old: the object after and before the update.
        errors: receives the violations.
    """
    before, after = old.get("spec") or {}, new.get("spec") or {}
    if not isinstance(after, dict) or _fixed_part(before) != _fixed_part(after):
        errors.forbidden("spec", POD_IS_FIXED)
        return
    gates = [gate.get("name") for gate in before.get("schedulingGates") or ()]
    for gate in objects_in(after.get("schedulingGates")):
        if gate.get("name") not in gates:
            rule = "only deletion is allowed, but found new scheduling gate"
            errors.forbidden("spec.schedulingGates", f"{rule} '{gate.get('name')}'")
    tolerations = _without_seconds(after)
    if any(toleration not in tolerations for toleration in _without_seconds(before)):
        errors.forbidden(
            "spec.tolerations",
            "existing toleration can not be modified except its tolerationSeconds",
        )
    deadline, previous = after.get("activeDeadlineSeconds"), before.get("activeDeadlineSeconds")
    if previous is not None and (deadline is None or deadline > previous):
        rule = "must be less than or equal to previous value"
        errors.invalid("spec.activeDeadlineSeconds", deadline, rule)


def _without_seconds(spec: Document) -> list[Document]:
    """Return the tolerations without tolerationSeconds."""
    tolerations = spec.get("tolerations") or []
    return [{k: v for k, v in item.items() if k != "tolerationSeconds"} for item in tolerations]


def _fixed_part(spec: Document) -> Document:
    """Return a pod spec without the fields that may change."""
    may_change = ("activeDeadlineSeconds", "tolerations", "schedulingGates")
    fixed = {k: v for k, v in spec.items() if k not in may_change}
    for field in CONTAINER_LISTS:
        if isinstance(spec.get(field), list):
            fixed[field] = [
                {k: v for k, v in item.items() if k != "image"} if isinstance(item, dict) else item
                for item in spec[field]
            ]
    return fixed
