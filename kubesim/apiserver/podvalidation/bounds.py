"""The rules of LimitRanges and ResourceQuotas, which bound the pods of a namespace.

Source: pkg/apis/core/validation/validation.go (ValidateLimitRange, validateResourceQuotaScopes,
validateScopedResourceSelectorRequirement, ValidateResourceQuotaUpdate),
pkg/apis/core/helper/helpers.go (IsResourceQuotaScopeValidForResource).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from math import ceil

from kubesim.apiserver.podvalidation.resources import (
    QUOTA_RESOURCES,
    allows_overcommit,
    validate_container_resource_name,
    validate_resource_name,
)
from kubesim.apiserver.validation import FieldErrors
from kubesim.objects.frozen import Document, objects_in
from kubesim.quantity import Amount, canonical_quantity, parse_quantity

BOUNDS = ("max", "min", "default", "defaultRequest", "maxLimitRequestRatio")
FOR_CONTAINERS = ("Container", "Pod")
NOT_FOR_PODS = "may not be specified when `type` is 'Pod'"
MAX_MILLI_VALUE = (2**63 - 1) // 1000
POD_SCOPES = (  # of pods, and of what they request
    "Terminating",
    "NotTerminating",
    "NotBestEffort",
    "PriorityClass",
    "CrossNamespacePodAffinity",
)
ONLY_EXISTS = (*POD_SCOPES[:3], "BestEffort", "CrossNamespacePodAffinity")
QUOTA_SCOPES = (*POD_SCOPES, "BestEffort", "VolumeAttributesClass")
CONFLICTS = (("BestEffort", "NotBestEffort"), ("NotTerminating", "Terminating"))
COMPUTE = frozenset(
    f"{side}{name}" for side in ("", "requests.", "limits.") for name in ("cpu", "memory")
)
EXISTS_RULE = (
    "must be 'Exist' when scope is any of ResourceQuotaScopeTerminating, "
    "ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, "
    "ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity"
)


# -- LimitRange ------------------------------------------------------------------------------------


def validate_limit_item(path: str, item: Mapping[str, object], errors: FieldErrors) -> None:
    """Validate the bounds and defaults of one type: names, and that they agree.

    Args:
        path: of the item.
        item: an entry of spec.limits.
        errors: collects the errors.
    """
    kind = item.get("type")
    sides: dict[str, Mapping[str, Amount]] = {}
    for side in BOUNDS:
        sides[side] = errors.mapping(f"{path}.{side}", item.get(side))
        if kind == "Pod" and side.startswith("default"):
            if sides[side]:
                errors.forbidden(f"{path}.{side}", NOT_FOR_PODS)
            sides[side] = {}
            continue
        for name in sides[side]:
            rule = validate_resource_name
            if kind in FOR_CONTAINERS:
                rule = validate_container_resource_name
            rule(f"{path}.{side}[{name}]", name, errors)
    if kind == "PersistentVolumeClaim" and "storage" not in {*sides["min"], *sides["max"]}:
        detail = "either minimum or maximum storage value is required, but neither was provided"
        errors.required(f"{path}.limits", detail)
    for name in sorted({name for amounts in sides.values() for name in amounts}):
        try:
            parsed = {
                side: parse_quantity(amounts[name])
                for side, amounts in sides.items()
                if name in amounts
            }
        except ValueError as error:
            errors.invalid(f"{path}.max[{name}]", name, str(error))
            continue
        texts = {side: canonical_quantity(sides[side][name]) for side in parsed}
        _compare(path, name, parsed, texts, errors)
        _validate_ratio(f"{path}.maxLimitRequestRatio[{name}]", parsed, texts, errors)


def _compare(
    path: str,
    name: str,
    parsed: Mapping[str, Fraction],
    texts: Mapping[str, Amount],
    errors: FieldErrors,
) -> None:
    """Validate the order of a resource's bounds: min, request, limit, max.

    Args:
        path: of the item.
        name: of the resource.
        parsed, texts: the amounts by side.
        errors: collects the errors.
    """
    for low, high, shown, what in (
        ("min", "max", ("min", "min"), "min value {} is greater than max value {}"),
        (
            "min",
            "defaultRequest",
            ("defaultRequest", "defaultRequest"),
            "min value {} is greater than default request value {}",
        ),
        (
            "defaultRequest",
            "max",
            ("defaultRequest", "defaultRequest"),
            "default request value {} is greater than max value {}",
        ),
        (
            "defaultRequest",
            "default",
            ("defaultRequest", "defaultRequest"),
            "default request value {} is greater than default limit value {}",
        ),
        ("min", "default", ("default", "min"), "min value {} is greater than default value {}"),
        ("default", "max", ("default", "max"), "default value {} is greater than max value {}"),
    ):
        if low in parsed and high in parsed and parsed[low] > parsed[high]:
            field, value = shown
            rule = what.format(texts[low], texts[high])
            errors.invalid(f"{path}.{field}[{name}]", texts[value], rule)
    both = "default" in parsed and "defaultRequest" in parsed
    if both and not allows_overcommit(name) and parsed["default"] != parsed["defaultRequest"]:
        rule = f"default value {texts['default']} must equal to defaultRequest value "
        rule += f"{texts['defaultRequest']} in {name}"
        errors.invalid(f"{path}.defaultRequest[{name}]", texts["defaultRequest"], rule)


def _validate_ratio(
    path: str, parsed: Mapping[str, Fraction], texts: Mapping[str, Amount], errors: FieldErrors
) -> None:
    """Validate a ratio of limit to request: at least 1, at most max / min.

    Args:
        path: of the ratio.
        parsed, texts: the amounts by side.
        errors: collects the errors.
    """
    side = "maxLimitRequestRatio"
    if side not in parsed:
        return
    ratio, text = parsed[side], texts[side]
    if ratio < 1:
        errors.invalid(path, text, f"ratio {text} is less than 1")
    if "min" in parsed and "max" in parsed and parsed["min"] > 0:
        values = [ratio, parsed["min"], parsed["max"]]
        if all(ceil(value) < MAX_MILLI_VALUE for value in values):
            values = [value * 1000 for value in values]
        given, low, high = (float(ceil(value)) for value in values)
        scale = 1000 if values[0] != ratio else 1
        if given / scale > high / low:
            errors.invalid(path, text, f"ratio {text} is greater than max/min = {high / low:f}")


# -- ResourceQuota ---------------------------------------------------------------------------------


def validate_quota_scopes(spec: Document, errors: FieldErrors) -> None:
    """Validate the scopes and the scope selector of a ResourceQuota's spec."""
    hard = sorted(errors.mapping("spec.hard", spec.get("hard")))
    scopes = spec.get("scopes") or []
    for scope in scopes:
        if scope not in QUOTA_SCOPES:
            errors.invalid("spec.scopes", scopes, "unsupported scope")
        _validate_reach(scope, hard, ("spec.scopes", scopes), errors)
    _validate_conflicts(scopes, ("spec.scopes", scopes), errors)
    selector = spec.get("scopeSelector")
    if not isinstance(selector, dict):
        return
    path = "spec.scopeSelector.matchExpressions"
    requirements = list(objects_in(selector.get("matchExpressions")))
    for requirement in requirements:
        scope = requirement.get("scopeName")
        if scope not in QUOTA_SCOPES:
            errors.invalid(f"{path}.scopeName", scope, "unsupported scope")
        _validate_reach(scope, hard, (path, selector), errors)
        _validate_operator(requirement, path, errors)
    _validate_conflicts([each.get("scopeName") for each in requirements], (path, scopes), errors)


def _validate_reach(
    scope: object, hard: Iterable[str], shown: tuple[str, object], errors: FieldErrors
) -> None:
    """Validate that a scope may limit each resource of a quota.

    Args:
        scope: its name.
        hard: names of the resources.
        shown: path and value of the message.
        errors: collects the errors.
    """
    for name in hard:
        if name in QUOTA_RESOURCES and not applies_to(scope, name):
            errors.invalid(*shown, "unsupported scope applied to resource")


def applies_to(scope: object, resource: str) -> bool:
    """Return whether a scope may limit a resource: most scopes choose among pods."""
    if scope in POD_SCOPES:
        return resource == "pods" or resource in COMPUTE
    if scope == "BestEffort":
        return resource == "pods"
    return scope != "VolumeAttributesClass" or resource == "persistentvolumeclaims"


def _validate_operator(requirement: Mapping[str, object], path: str, errors: FieldErrors) -> None:
    operator, values = requirement.get("operator"), requirement.get("values")
    if requirement.get("scopeName") in ONLY_EXISTS and operator != "Exists":
        errors.invalid(f"{path}.operator", operator, EXISTS_RULE)
    if operator in ("In", "NotIn"):
        if not values:
            rule = (
                "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"
            )
            errors.required(f"{path}.values", rule)
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            rule = (
                "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector"
            )
            errors.invalid(f"{path}.values", values, rule)
    else:
        errors.invalid(f"{path}.operator", operator, "not a valid selector operator")


def _validate_conflicts(
    scopes: Iterable[object], shown: tuple[str, object], errors: FieldErrors
) -> None:
    for pair in CONFLICTS:
        if set(pair) <= set(scopes):
            errors.invalid(*shown, "conflicting scopes")
