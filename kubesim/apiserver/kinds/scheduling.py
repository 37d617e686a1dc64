"""The group scheduling.k8s.io: PriorityClass, and the priority that pods get by it.

Source: pkg/apis/scheduling/validation/validation.go, pkg/apis/scheduling/v1/helpers.go,
plugin/pkg/admission/priority/admission.go.
"""

from __future__ import annotations

from typing import Any

from kubesim.apiserver.fields import FieldErrors, fill
from kubesim.apiserver.kinds.rules import validate_immutable
from kubesim.apiserver.registry import Kind, ServerView
from kubesim.errors import Forbidden
from kubesim.objects import meta
from kubesim.objects.frozen import Document

HIGHEST_USER_PRIORITY = 1_000_000_000  # HighestUserDefinablePriority
LEAST_PRIORITY = -(2**31)
SYSTEM_PREFIX = "system-"
PREEMPT = "PreemptLowerPriority"
PREEMPTION_POLICIES = ("Never", PREEMPT)


def _system_class(name: str, value: int, description: str) -> Document:
    return {
        "kind": "PriorityClass",
        "apiVersion": "scheduling.k8s.io/v1",
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
    """It preempts, unless it says that it never does."""
    fill(priority, "preemptionPolicy", PREEMPT)
    fill(priority, "value", 0)


def validate_priority_class(priority: Document, errors: FieldErrors) -> None:
    """Values up to a billion; names with ``system-`` are taken."""
    name, value = meta.name_of(priority), priority.get("value")
    if priority.get("globalDefault") not in (None, True, False):
        errors.invalid("globalDefault", priority["globalDefault"], "must be true or false")
    if not errors.whole_number("value", value, LEAST_PRIORITY, 2**31 - 1):
        return
    if name.startswith(SYSTEM_PREFIX):
        if complaint := _unknown_system_class(name, value, bool(priority.get("globalDefault"))):
            errors.forbidden(
                "metadata.name",
                f"priority class names with '{SYSTEM_PREFIX}' prefix are reserved for system use "
                f"only. error: {complaint}",
            )
    elif value is not None and value > HIGHEST_USER_PRIORITY:
        detail = f"maximum allowed value of a user defined priority is {HIGHEST_USER_PRIORITY}"
        errors.forbidden("value", detail)
    if priority.get("preemptionPolicy") not in PREEMPTION_POLICIES:
        policy = priority.get("preemptionPolicy")
        errors.not_supported("preemptionPolicy", policy, PREEMPTION_POLICIES)


def _unknown_system_class(name: str, value: Any, global_default: bool) -> str:
    for known in SYSTEM_CLASSES:
        if known["metadata"]["name"] == name:
            if value != known["value"]:
                return f"value of {name} PriorityClass must be {known['value']}"
            if global_default:
                return f"globalDefault of {name} PriorityClass must be false"
            return ""
    return f"{name} is not a known system priority class"


def validate_priority_class_update(new: Document, old: Document, errors: FieldErrors) -> None:
    """Pods carry the value that it had: it stays."""
    if new.get("value") != old.get("value"):
        errors.forbidden("value", "may not be changed in an update.")
    before = old.get("preemptionPolicy")
    validate_immutable(new.get("preemptionPolicy"), before, "preemptionPolicy", errors)


def admit_priority_class(api: ServerView, priority: Document, old: Document | None) -> None:
    """Only one class is the default of the cluster."""
    if priority.get("globalDefault") is not True:
        return
    name = meta.name_of(priority)
    for other in _classes(api):
        if other.get("globalDefault") and meta.name_of(other) != name:
            why = (
                f"PriorityClass {meta.name_of(other)} is already marked as default. Only one "
                "default can exist"
            )
            said = f'priorityclasses.scheduling.k8s.io "{name}" is forbidden: {why}'
            raise Forbidden(said, kind="priorityclasses", group="scheduling.k8s.io", name=name)


def admit_pod(api: ServerView, pod: Document, old: Document | None) -> None:
    """Turn spec.priorityClassName into the number that scheduler and kubelet work with."""
    spec = pod.get("spec")
    if not isinstance(spec, dict):
        return
    if old is not None:
        for field in ("priorityClassName", "priority", "preemptionPolicy"):
            fill(spec, field, (old.get("spec") or {}).get(field))
            if spec[field] is None:
                del spec[field]
        return
    name, classes = spec.get("priorityClassName"), _classes(api)
    if name:
        chosen = next((known for known in classes if meta.name_of(known) == name), None)
        if chosen is None:
            raise _refused(pod, f"no PriorityClass with name {name} was found")
    else:
        chosen = next((known for known in classes if known.get("globalDefault")), None)
        if chosen is not None:
            spec["priorityClassName"] = meta.name_of(chosen)
    priority = chosen["value"] if chosen else 0
    policy = chosen["preemptionPolicy"] if chosen else PREEMPT
    if spec.get("priority") not in (None, priority):
        raise _refused(
            pod,
            f"the integer value of priority ({spec['priority']}) must not be provided in pod spec; "
            f"priority admission controller computed {priority} from the given PriorityClass name",
        )
    if spec.get("preemptionPolicy") not in (None, policy):
        raise _refused(
            pod,
            f"the string value of PreemptionPolicy ({spec['preemptionPolicy']}) must not be "
            f"provided in pod spec; priority admission controller computed {policy} from the given "
            "PriorityClass name",
        )
    spec["priority"], spec["preemptionPolicy"] = priority, policy


def _refused(pod: Document, why: str) -> Forbidden:
    name = meta.name_of(pod)
    return Forbidden(f'pods "{name}" is forbidden: {why}', kind="pods", name=name)


def _classes(api: ServerView) -> list[Document]:
    prefix = api.registry.find("PriorityClass").prefix
    return [kv.value for kv in api.store.list(prefix).items]


KINDS = (
    Kind(
        "PriorityClass",
        "priorityclasses",
        group="scheduling.k8s.io",
        namespaced=False,
        short_names=("pc",),
        default=default_priority_class,
        admit=admit_priority_class,
        validate=validate_priority_class,
        validate_update=validate_priority_class_update,
        status=False,
    ),
)
