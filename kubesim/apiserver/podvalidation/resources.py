"""Names and amounts of resources: extended resources, huge pages, claims; a pod's own resources.

`kinds.pods` checks CPU and memory itself: this file is entered for other resources.

Source: pkg/apis/core/validation/validation.go (validateResourceRequirements, validateResourceName,
ValidateResourceQuantityValue, validatePodResources), pkg/apis/core/helper/helpers.go.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from math import ceil
from typing import TYPE_CHECKING

from kubesim.apiserver.podvalidation.formats import NOT_NEGATIVE, validate_dns_label
from kubesim.apiserver.validation import FieldErrors, label_key_error
from kubesim.objects.frozen import ReadOnlyDocument
from kubesim.quantity import Amount, parse_quantity

if TYPE_CHECKING:
    from kubesim.objects.types import PodSpecDict
    from kubesim.objects.types.containers import ResourceClaimDict, ResourceRequirementsDict

HUGE_PAGES = "hugepages-"
CONTAINER_RESOURCES = ("cpu", "memory", "ephemeral-storage")
COUNTS = (
    "pods",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
    "services.nodeports",
    "services.loadbalancers",
)
QUOTA_RESOURCES = frozenset(
    (
        *CONTAINER_RESOURCES,
        *(f"{side}.{name}" for side in ("requests", "limits") for name in CONTAINER_RESOURCES),
        "requests.storage",
        *COUNTS,
    )
)
STANDARD_RESOURCES = QUOTA_RESOURCES | {"storage"}
NOT_STANDARD = "must be a standard resource type or fully qualified"
Amounts = Mapping[str, Amount]
NameRule = Callable[[str, str, FieldErrors], None]


# -- names -----------------------------------------------------------------------------------------


def is_native(name: str) -> bool:
    """Return whether a resource is one of Kubernetes' own: no domain, or kubernetes.io."""
    return "/" not in name or "kubernetes.io/" in name


def is_extended(name: str) -> bool:
    """Return whether a resource is an extended one, such as nvidia.com/gpu."""
    if is_native(name) or name.startswith("requests."):
        return False
    return not label_key_error(f"requests.{name}")


def allows_overcommit(name: str) -> bool:
    """Return whether a request may be below its limit."""
    return is_native(name) and not name.startswith(HUGE_PAGES)


def validate_resource_name(path: str, name: str, errors: FieldErrors) -> None:
    """Validate the name of a resource: a standard one, or one with a domain.

    Args:
        path: path of the amount.
        name: of the resource.
        errors: collects the errors.
    """
    if message := label_key_error(name):
        errors.invalid(path, name, message)
    elif "/" not in name and name not in STANDARD_RESOURCES:
        if not name.startswith((HUGE_PAGES, f"requests.{HUGE_PAGES}")):
            errors.invalid(path, name, NOT_STANDARD)


def validate_container_resource_name(path: str, name: str, errors: FieldErrors) -> None:
    """Validate the name of a resource of a container.

    Args:
        path: path of the amount.
        name: of the resource.
        errors: collects the errors.
    """
    validate_resource_name(path, name, errors)
    if "/" not in name:
        if name not in CONTAINER_RESOURCES and not name.startswith(HUGE_PAGES):
            errors.invalid(path, name, "must be a standard resource for containers")
    elif not is_native(name) and not is_extended(name):
        errors.invalid(path, name, "doesn't follow extended resource name standard")


def validate_quota_resource_name(path: str, name: str, errors: FieldErrors) -> None:
    """Validate the name of a resource in a ResourceQuota.

    Args:
        path: path of the amount.
        name: of the resource.
        errors: collects the errors.
    """
    validate_resource_name(path, name, errors)
    if "/" not in name and name not in QUOTA_RESOURCES:
        if not name.startswith((HUGE_PAGES, f"requests.{HUGE_PAGES}")):
            errors.invalid(path, name, "must be a standard resource for quota")


def _validate_pod_resource_name(path: str, name: str, errors: FieldErrors) -> None:
    before = len(errors.causes)
    validate_resource_name(path, name, errors)
    if len(errors.causes) == before and not name.startswith(HUGE_PAGES):
        errors.one_of(path, name, ("cpu", "memory"))


# -- amounts ---------------------------------------------------------------------------------------


def validate_amount(path: str, name: str, value: Amount, errors: FieldErrors) -> None:
    """Validate the amount of a resource: not negative, and whole where it counts things.

    Args:
        path: path of the amount.
        name: of the resource.
        value: the amount.
        errors: collects the errors.
    """
    amount = parse_quantity(value)
    if amount < 0:
        errors.invalid(path, value, NOT_NEGATIVE)
    if (name in COUNTS or is_extended(name)) and ceil(amount * 1000) % 1000:
        errors.invalid(path, value, "must be an integer")


def _validate_amounts(
    amounts: Amounts, path: str, validate_name: NameRule, errors: FieldErrors
) -> Iterator[str]:
    """Validate each amount, and yield the names."""
    for name, value in amounts.items():
        place = f"{path}[{name}]"
        validate_name(place, name, errors)
        validate_amount(place, name, value, errors)
        if name.startswith(HUGE_PAGES) and not _is_divisible(name, value):
            rule = f"{value} is not positive integer multiple of {name}"
            errors.invalid(place, value, rule)
        yield name


def _is_divisible(name: str, value: Amount) -> bool:
    try:
        size = parse_quantity(name.removeprefix(HUGE_PAGES))
    except ValueError:
        return False
    return size > 0 and size.denominator == 1 and parse_quantity(value) % size == 0


def validate_requirements(
    resources: ResourceRequirementsDict,
    path: str,
    claims: Collection[str],
    errors: FieldErrors,
    validate_name: NameRule = validate_container_resource_name,
) -> None:
    """Validate requests and limits of any resources, and the claims that they use.

    Args:
        resources: requests, limits and claims.
        path: its path.
        claims: names of the pod's resource claims.
        errors: collects the errors.
        validate_name: the rule of the resources' names.
    """
    limits, requests = _of(resources, "limits"), _of(resources, "requests")
    names = list(_validate_amounts(limits, f"{path}.limits", validate_name, errors))
    for name in _validate_amounts(requests, f"{path}.requests", validate_name, errors):
        names.append(name)
        _compare(name, requests[name], limits.get(name), path, errors)
    if any(name.startswith(HUGE_PAGES) for name in names):
        if "cpu" not in names and "memory" not in names:
            errors.forbidden(path, "HugePages require cpu or memory")
    _validate_claims(resources.get("claims") or (), f"{path}.claims", claims, errors)


def _compare(
    name: str, request: Amount, limit: Amount | None, path: str, errors: FieldErrors
) -> None:
    """Compare a request with its limit."""
    if limit is None:
        if not allows_overcommit(name):
            detail = "Limit must be set for non overcommitable resources"
            errors.required(f"{path}.limits", detail)
        return
    amount, most = parse_quantity(request), parse_quantity(limit)
    if amount != most and not allows_overcommit(name):
        rule = f"must be equal to {name} limit of {limit}"
        errors.invalid(f"{path}.requests", request, rule)
    elif amount > most:
        rule = f"must be less than or equal to {name} limit of {limit}"
        errors.invalid(f"{path}.requests", request, rule)


def _validate_claims(
    claims: Collection[ResourceClaimDict], path: str, names: Collection[str], errors: FieldErrors
) -> None:
    uses: set[str] = set()
    for index, claim in enumerate(claims):
        place, name, request = f"{path}[{index}]", claim.get("name"), claim.get("request")
        if not name:
            errors.required(place)
            continue
        if request:
            validate_dns_label(f"{place}.request", request, errors)
        key = f"{name}/{request}" if request else name
        repeated = key in uses or name in uses
        if repeated or (not request and any(use.startswith(f"{name}/") for use in uses)):
            errors.duplicate(place, key)
        uses.add(key)
        if name not in names:
            listed = f": {', '.join(sorted(names))}" if names else " which is empty"
            detail = f"must be one of the names in pod.spec.resourceClaims{listed}"
            errors.not_found(place, name, detail)


# -- pods ------------------------------------------------------------------------------------------


def claim_names(spec: PodSpecDict) -> list[str]:
    """Return the names of a pod's resource claims."""
    return [claim["name"] for claim in spec.get("resourceClaims") or () if claim.get("name")]


def validate_overhead(spec: PodSpecDict, path: str, errors: FieldErrors) -> None:
    """Validate a pod's overhead; upstream reads it as limits, as the paths show.

    Args:
        spec: has an overhead.
        path: its path.
        errors: collects the errors.
    """
    validate_requirements({"limits": spec["overhead"]}, f"{path}.overhead", (), errors)


def validate_pod_resources(spec: PodSpecDict, path: str, errors: FieldErrors) -> None:
    """Validate a pod's own resources: no less than its containers request together.

    Args:
        spec: has resources.
        path: its path.
        errors: collects the errors.
    """
    resources, place = spec["resources"], f"{path}.resources"
    if resources.get("claims") is not None:
        rule = "claims cannot be set for Resources at pod-level"
        errors.forbidden(f"{place}.claims", rule)
    names, rule_of_names = claim_names(spec), _validate_pod_resource_name
    validate_requirements(resources, place, names, errors, rule_of_names)
    for name, request in _of(resources, "requests").items():
        total = sum(
            parse_quantity(amount)
            for container in spec.get("containers") or ()
            if (amount := _of(container.get("resources"), "requests").get(name)) is not None
        )
        if total > parse_quantity(request):
            shown = int(total) if total.denominator == 1 else f"{ceil(total * 1000)}m"
            rule = f"must be greater than or equal to aggregate container requests of {shown}"
            errors.invalid(f"{place}.requests[{name}]", request, rule)
    most = _of(resources, "limits")
    for index, container in enumerate(spec.get("containers") or ()):
        for name, limit in _of(container.get("resources"), "limits").items():
            if name in most and parse_quantity(limit) > parse_quantity(most[name]):
                field = f"{place}.containers[{index}][{name}].limits"
                rule = f"must be less than or equal to pod limits of {most[name]}"
                errors.invalid(field, limit, rule)


def _of(resources: ResourceRequirementsDict | None, side: str) -> Amounts:
    """Return the requests or limits that have a value."""
    sides: ReadOnlyDocument = resources or {}
    return {name: value for name, value in (sides.get(side) or {}).items() if value is not None}


def validate_pod_claims(spec: PodSpecDict, path: str, errors: FieldErrors) -> None:
    """Validate a pod's resource claims: a name each, and one object or template.

    Args:
        spec: has resourceClaims.
        path: its path.
        errors: collects the errors.
    """
    names: set[str] = set()
    for index, claim in enumerate(spec["resourceClaims"]):
        place, name = f"{path}.resourceClaims[{index}]", claim.get("name")
        if not name:
            errors.required(f"{place}.name")
        elif name in names:
            errors.duplicate(f"{place}.name", name)
        else:
            validate_dns_label(f"{place}.name", name, errors)
            names.add(name)
        sources = [
            claim.get("resourceClaimName") is not None,
            claim.get("resourceClaimTemplateName") is not None,
        ]
        if all(sources):
            rule = (
                "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified"
            )
            errors.invalid(place, claim, rule)
        elif not any(sources):
            rule = "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`"
            errors.invalid(place, claim, rule)
