"""Node affinity and pod affinity.

Source: pkg/apis/core/validation/validation.go (validateAffinity, ValidateNodeSelector,
ValidateNodeSelectorRequirement, validatePodAffinityTerm).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from kubesim.apiserver.podvalidation.formats import (
    validate_dns_label,
    validate_dns_subdomain,
    validate_label_name,
)
from kubesim.apiserver.podvalidation.selectors import (
    NO_VALUES,
    VALUES_REQUIRED,
    validate_affinity_keys,
    validate_selector,
)
from kubesim.apiserver.validation import FieldErrors, label_value_error

if TYPE_CHECKING:
    from kubesim.objects.types import (
        NodeAffinityDict,
        NodeSelectorRequirementDict,
        NodeSelectorTermDict,
        PodAffinityDict,
        PodAffinityTermDict,
        PodAntiAffinityDict,
        PodSpecDict,
    )
    from kubesim.objects.types.affinity import NodeSelectorDict

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
WEIGHT_RULE = "must be in the range 1-100"
NOT_AN_OPERATOR = "not a valid selector operator"


def validate_affinity(spec: PodSpecDict, path: str, errors: FieldErrors) -> None:
    """Validate where a pod wants to be, and beside which pods.

    Args:
        spec: has an affinity.
        path: its path.
        errors: collects the errors.
    """
    affinity, place = spec["affinity"], f"{path}.affinity"
    if (nodes := affinity.get("nodeAffinity")) is not None:
        _validate_node_affinity(nodes, f"{place}.nodeAffinity", errors)
    if (pods := affinity.get("podAffinity")) is not None:
        _validate_pod_affinity(pods, f"{place}.podAffinity", errors)
    if (others := affinity.get("podAntiAffinity")) is not None:
        _validate_pod_affinity(others, f"{place}.podAntiAffinity", errors)


# -- nodes -----------------------------------------------------------------------------------------


def _validate_node_affinity(affinity: NodeAffinityDict, path: str, errors: FieldErrors) -> None:
    if (required := affinity.get("requiredDuringSchedulingIgnoredDuringExecution")) is not None:
        validate_node_selector(required, f"{path}.{REQUIRED}", errors)
    preferred = affinity.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
    for index, term in enumerate(preferred):
        place = f"{path}.{PREFERRED}[{index}]"
        weight = term.get("weight") or 0
        if not 0 < weight <= 100:
            errors.invalid(f"{place}.weight", weight, WEIGHT_RULE)
        # Values are not looked at: with one node a term that matches nothing does no harm.
        if preference := term.get("preference"):
            _validate_term(preference, f"{place}.preference", errors, with_values=False)


def validate_node_selector(selector: NodeSelectorDict, path: str, errors: FieldErrors) -> None:
    """Validate a NodeSelector: one term at least.

    Args:
        selector: the NodeSelector.
        path: its path.
        errors: collects the errors.
    """
    terms = selector.get("nodeSelectorTerms")
    if not terms:
        detail = "must have at least one node selector term"
        errors.required(f"{path}.nodeSelectorTerms", detail)
    for index, term in enumerate(terms or ()):
        place = f"{path}.nodeSelectorTerms[{index}]"
        _validate_term(term, place, errors, with_values=True)


def _validate_term(
    term: NodeSelectorTermDict, path: str, errors: FieldErrors, *, with_values: bool
) -> None:
    for index, requirement in enumerate(term.get("matchExpressions") or ()):
        place = f"{path}.matchExpressions[{index}]"
        _validate_requirement(requirement, place, errors, with_values=with_values)
    for index, requirement in enumerate(term.get("matchFields") or ()):
        _validate_field_requirement(requirement, f"{path}.matchFields[{index}]", errors)


def _validate_requirement(
    requirement: NodeSelectorRequirementDict, path: str, errors: FieldErrors, *, with_values: bool
) -> None:
    operator, values = requirement.get("operator"), requirement.get("values") or []
    match operator:
        case "In" | "NotIn":
            if not values:
                errors.required(f"{path}.values", VALUES_REQUIRED)
        case "Exists" | "DoesNotExist":
            if values:
                errors.forbidden(f"{path}.values", NO_VALUES)
        case "Gt" | "Lt":
            if len(values) != 1:
                detail = "must be specified single value when `operator` is 'Lt' or 'Gt'"
                errors.required(f"{path}.values", detail)
        case _:
            errors.invalid(f"{path}.operator", operator or "", NOT_AN_OPERATOR)
    validate_label_name(f"{path}.key", requirement.get("key") or "", errors)
    for index, value in enumerate(values if with_values else ()):
        if message := label_value_error(value):
            errors.invalid(f"{path}.values[{index}]", value, message)


def _validate_field_requirement(
    requirement: NodeSelectorRequirementDict, path: str, errors: FieldErrors
) -> None:
    operator, values = requirement.get("operator"), requirement.get("values") or []
    if operator not in ("In", "NotIn"):
        errors.invalid(f"{path}.operator", operator or "", NOT_AN_OPERATOR)
    elif len(values) != 1:
        detail = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"
        errors.required(f"{path}.values", detail)
    key = requirement.get("key") or ""
    if key != "metadata.name":
        errors.invalid(f"{path}.key", key, "not a valid field selector key")
        return
    for index, value in enumerate(values):
        validate_dns_subdomain(f"{path}.values[{index}]", value, errors)


# -- pods ------------------------------------------------------------------------------------------


def _validate_pod_affinity(
    affinity: PodAffinityDict | PodAntiAffinityDict, path: str, errors: FieldErrors
) -> None:
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or ()
    preferred = affinity.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
    for index, term in enumerate(required):
        _validate_pod_term(term, f"{path}.{REQUIRED}[{index}]", errors)
    for index, weighted in enumerate(preferred):
        place = f"{path}.{PREFERRED}[{index}]"
        weight = weighted.get("weight") or 0
        if not 0 < weight <= 100:
            errors.invalid(f"{place}.weight", weight, WEIGHT_RULE)
        if (inner := weighted.get("podAffinityTerm")) is not None:
            _validate_pod_term(inner, f"{place}.podAffinityTerm", errors)


def _validate_pod_term(term: PodAffinityTermDict, path: str, errors: FieldErrors) -> None:
    selector = term.get("labelSelector")
    for field, value in (
        ("labelSelector", selector),
        ("namespaceSelector", term.get("namespaceSelector")),
    ):
        if value is not None:
            validate_selector(value, f"{path}.{field}", errors)
    _validate_namespaces(term.get("namespaces") or (), f"{path}.namespace", errors)
    match, mismatch = term.get("matchLabelKeys") or (), term.get("mismatchLabelKeys") or ()
    validate_affinity_keys(match, mismatch, selector, path, errors)
    topology = term.get("topologyKey") or ""
    if not topology:
        errors.required(f"{path}.topologyKey", "can not be empty")
    validate_label_name(f"{path}.topologyKey", topology, errors)


def _validate_namespaces(names: Iterable[str], path: str, errors: FieldErrors) -> None:
    for name in names:
        validate_dns_label(path, name, errors)
