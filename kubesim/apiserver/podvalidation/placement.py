"""Tolerations, node selectors, topology spread, scheduling gates.

Source: pkg/apis/core/validation/validation.go (ValidateTolerations,
validateTopologySpreadConstraints, validateSchedulingGates).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubesim.apiserver.podvalidation.formats import NOT_POSITIVE, validate_label_name
from kubesim.apiserver.podvalidation.selectors import validate_selector, validate_spread_keys
from kubesim.apiserver.validation import FieldErrors, label_value_error, validate_labels
from kubesim.objects.wellknown import TAINT_EFFECTS

if TYPE_CHECKING:
    from kubesim.objects.types import PodSpecDict, TolerationDict, TopologySpreadConstraintDict

ACTIONS = ("DoNotSchedule", "ScheduleAnyway")
NODE_POLICIES = ("Honor", "Ignore")


def validate_node_labels(spec: PodSpecDict, path: str, errors: FieldErrors) -> None:
    """Validate the labels that a node must have.

    Args:
        spec: has a nodeSelector.
        path: its path.
        errors: collects the errors.
    """
    validate_labels(spec["nodeSelector"], f"{path}.nodeSelector", errors)


def validate_tolerations(spec: PodSpecDict, path: str, errors: FieldErrors) -> None:
    """Validate the tolerations of a pod.

    Args:
        spec: has tolerations.
        path: its path.
        errors: collects the errors.
    """
    for index, toleration in enumerate(spec["tolerations"]):
        _validate_toleration(toleration or {}, f"{path}.tolerations[{index}]", errors)


def _validate_toleration(toleration: TolerationDict, path: str, errors: FieldErrors) -> None:
    key, operator = toleration.get("key"), toleration.get("operator") or ""
    value, effect = toleration.get("value") or "", toleration.get("effect") or ""
    if key:
        validate_label_name(f"{path}.key", key, errors)
    elif operator != "Exists":
        rule = (
            'operator must be Exists when `key` is empty, which means "match all values and all '
            'keys"'
        )
        errors.invalid(f"{path}.operator", operator, rule)
    if toleration.get("tolerationSeconds") is not None and effect != "NoExecute":
        rule = "effect must be 'NoExecute' when `tolerationSeconds` is set"
        errors.invalid(f"{path}.effect", effect, rule)
    if operator in ("", "Equal"):
        if message := label_value_error(value):
            errors.invalid(f"{path}.operator", value, message)
    elif operator == "Exists":
        if value:
            rule = "value must be empty when `operator` is 'Exists'"
            errors.invalid(f"{path}.operator", value, rule)
    else:
        errors.not_supported(f"{path}.operator", operator, ("Equal", "Exists"))
    if effect:
        errors.one_of(f"{path}.effect", effect, TAINT_EFFECTS)


def validate_gates(spec: PodSpecDict, path: str, errors: FieldErrors) -> None:
    """Validate the scheduling gates of a pod, each of which it has once.

    Args:
        spec: has schedulingGates.
        path: its path.
        errors: collects the errors.
    """
    names: set[str] = set()
    for index, gate in enumerate(spec["schedulingGates"]):
        place, name = f"{path}.schedulingGates[{index}]", (gate or {}).get("name") or ""
        validate_label_name(place, name, errors)
        if name in names:
            errors.duplicate(place, name)
        names.add(name)


def validate_spread(spec: PodSpecDict, path: str, errors: FieldErrors) -> None:
    """Validate the topology spread constraints of a pod.

    Args:
        spec: has topologySpreadConstraints.
        path: its path.
        errors: collects the errors.
    """
    constraints = spec["topologySpreadConstraints"]
    pairs = [(each.get("topologyKey"), each.get("whenUnsatisfiable")) for each in constraints]
    for index, constraint in enumerate(constraints):
        place = f"{path}.topologySpreadConstraints[{index}]"
        _validate_constraint(constraint, place, errors)
        if pairs[index] in pairs[index + 1 :]:
            key, action = pairs[index]
            field = f"{place}.{{topologyKey, whenUnsatisfiable}}"
            errors.duplicate(field, f"{{{key or ''}, {action or ''}}}")


def _validate_constraint(
    constraint: TopologySpreadConstraintDict, path: str, errors: FieldErrors
) -> None:
    skew, domains = constraint.get("maxSkew") or 0, constraint.get("minDomains")
    action = constraint.get("whenUnsatisfiable") or ""
    if skew <= 0:
        errors.invalid(f"{path}.maxSkew", skew, NOT_POSITIVE)
    if not constraint.get("topologyKey"):
        errors.required(f"{path}.topologyKey", "can not be empty")
    errors.one_of(f"{path}.whenUnsatisfiable", action, ACTIONS)
    if domains is not None:
        if domains <= 0:
            errors.invalid(f"{path}.minDomains", domains, NOT_POSITIVE)
        if action != "DoNotSchedule":
            rule = f"can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {action}"
            errors.invalid(f"{path}.minDomains", domains, rule)
    for field, policy in (
        ("nodeAffinityPolicy", constraint.get("nodeAffinityPolicy")),
        ("nodeTaintsPolicy", constraint.get("nodeTaintsPolicy")),
    ):
        if policy is not None:
            errors.one_of(f"{path}.{field}", policy, NODE_POLICIES)
    selector, keys = constraint.get("labelSelector"), constraint.get("matchLabelKeys") or ()
    validate_spread_keys(keys, selector, f"{path}.matchLabelKeys", errors)
    if selector is not None:
        validate_selector(selector, f"{path}.labelSelector", errors)
