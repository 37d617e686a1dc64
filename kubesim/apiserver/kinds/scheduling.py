"""Group scheduling.k8s.io: PriorityClass. `admission.priority` applies it to pods.

Source: pkg/apis/scheduling/validation/validation.go, pkg/apis/scheduling/v1/helpers.go.
"""

from __future__ import annotations

from kubesim.apiserver.admission.priority import GROUP, PREEMPT, admit_priority_class
from kubesim.apiserver.kinds.rules import validate_immutable
from kubesim.apiserver.registry import Kind
from kubesim.apiserver.validation import FieldErrors, fill
from kubesim.objects import meta
from kubesim.objects.frozen import Document

HIGHEST_USER_PRIORITY = 1_000_000_000  # HighestUserDefinablePriority
LEAST_PRIORITY = -(2**31)
SYSTEM_PREFIX = "system-"
PREEMPTION_POLICIES = ("Never", PREEMPT)


def _system_class(name: str, value: int, description: str) -> Document:
    return {
        "kind": "PriorityClass",
        "apiVersion": f"{GROUP}/v1",
        "metadata": {"name": name},
        "value": value,
        "description": description,
        "preemptionPolicy": PREEMPT,
    }


SYSTEM_CLASSES = (
    _system_class(
        "system-cluster-critical",
        2_000_000_000,
        "Used for system critical pods that must run in the cluster, but can be moved to another "
        "node if necessary.",
    ),
    _system_class(
        "system-node-critical",
        2_000_001_000,
        "Used for system critical pods that must not be moved from their current node.",
    ),
)


def default_priority_class(priority: Document) -> None:
    """Default to preemption and the value 0."""
    fill(priority, "preemptionPolicy", PREEMPT)
    fill(priority, "value", 0)


def validate_priority_class(priority: Document, errors: FieldErrors) -> None:
    """Validate value, preemption policy and name; the prefix ``system-`` is reserved."""
    name, value = meta.name_of(priority), priority.get("value")
    if priority.get("globalDefault") not in (None, True, False):
        errors.invalid("globalDefault", priority["globalDefault"], "must be true or false")
    if not errors.whole_number("value", value, LEAST_PRIORITY, 2**31 - 1):
        return
    if name.startswith(SYSTEM_PREFIX):
        if reason := _unknown_system_class(name, value, bool(priority.get("globalDefault"))):
            errors.forbidden(
                "metadata.name",
                f"priority class names with '{SYSTEM_PREFIX}' prefix are reserved for system use "
                f"only. error: {reason}",
            )
    elif value is not None and value > HIGHEST_USER_PRIORITY:
        detail = f"maximum allowed value of a user defined priority is {HIGHEST_USER_PRIORITY}"
        errors.forbidden("value", detail)
    errors.one_of("preemptionPolicy", priority.get("preemptionPolicy"), PREEMPTION_POLICIES)


def _unknown_system_class(name: str, value: object, global_default: bool) -> str:
    """Return why this is not one of the system's classes; "" if it is."""
    for each in SYSTEM_CLASSES:
        if each["metadata"]["name"] == name:
            if value != each["value"]:
                return f"value of {name} PriorityClass must be {each['value']}"
            if global_default:
                return f"globalDefault of {name} PriorityClass must be false"
            return ""
    return f"{name} is not a known system priority class"


def validate_priority_class_update(new: Document, old: Document, errors: FieldErrors) -> None:
    """Forbid changes of value and preemption policy: pods carry the old ones.

    Args:
        new, old: the object after and before the update.
        errors: receives the violations.
    """
    if new.get("value") != old.get("value"):
        errors.forbidden("value", "may not be changed in an update.")
    before = old.get("preemptionPolicy")
    validate_immutable(new.get("preemptionPolicy"), before, "preemptionPolicy", errors)


KINDS = (
    Kind(
        "PriorityClass",
        "priorityclasses",
        group=GROUP,
        namespaced=False,
        short_names=("pc",),
        default=default_priority_class,
        admit=admit_priority_class,
        validate=validate_priority_class,
        validate_update=validate_priority_class_update,
        status=False,
    ),
)
