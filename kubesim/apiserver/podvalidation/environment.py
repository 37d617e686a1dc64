"""The environment of a container: variables, their sources, and whole ConfigMaps and Secrets.

Source: pkg/apis/core/validation/validation.go (ValidateEnv, ValidateEnvFrom,
validateObjectFieldSelector, validateContainerResourceFieldSelector), pkg/apis/core/pods/helpers.go
(ConvertDownwardAPIFieldLabel).
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import TYPE_CHECKING

from kubesim.apiserver.podvalidation.formats import (
    validate_config_key,
    validate_dns_subdomain,
    validate_env_name,
    validate_label_name,
)
from kubesim.apiserver.validation import FieldErrors
from kubesim.quantity import parse_quantity

if TYPE_CHECKING:
    from kubesim.objects.types import ContainerDict, EnvVarDict, PodSpecDict
    from kubesim.objects.types.projections import ObjectFieldSelectorDict, ResourceFieldSelectorDict

ENV_FIELDS = (
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
)
CONVERTIBLE_FIELDS = (
    *ENV_FIELDS,
    "metadata.annotations",
    "metadata.labels",
    "spec.restartPolicy",
    "spec.schedulerName",
    "status.phase",
)
RESOURCES = (
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
)
HUGE_PAGES = ("requests.hugepages-", "limits.hugepages-")
BYTE_DIVISORS = ("1", *(f"1{unit}" for unit in "kMGTPE"), *(f"1{unit}i" for unit in "KMGTPE"))
_DIVISORS = {"cpu": ("1m", "1"), **dict.fromkeys(("memory", "ephemeral-storage"), BYTE_DIVISORS)}
_LOCAL = {"ephemeral-storage": "local ephemeral storage"}
_SUBSCRIPT = re.compile(r"(metadata\.(?:annotations|labels))\['(.*)'\]")
ONE_SOURCE = (
    "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`"
)
MORE_THAN_ONE = "may not have more than one field specified at a time"


def validate_env(
    container: ContainerDict, path: str, _spec: PodSpecDict, errors: FieldErrors
) -> None:
    """Validate the variables of a container.

    Args:
        container: has env.
        path: its path.
        errors: collects the errors.
    """
    for index, variable in enumerate(container["env"]):
        place = f"{path}.env[{index}]"
        if name := (variable or {}).get("name"):
            validate_env_name(f"{place}.name", name, errors)
        else:
            errors.required(f"{place}.name")
        if variable and variable.get("valueFrom") is not None:
            _validate_source(variable, f"{place}.valueFrom", errors)


def _validate_source(variable: EnvVarDict, path: str, errors: FieldErrors) -> None:
    source, count = variable["valueFrom"], 0
    if (field := source.get("fieldRef")) is not None:
        count += 1
        validate_field_ref(field, f"{path}.fieldRef", ENV_FIELDS, errors)
    if (resource := source.get("resourceFieldRef")) is not None:
        count += 1
        validate_resource_ref(resource, f"{path}.resourceFieldRef", errors)
    for name, selector in (
        ("configMapKeyRef", source.get("configMapKeyRef")),
        ("secretKeyRef", source.get("secretKeyRef")),
    ):
        if selector is None:
            continue
        count += 1
        validate_dns_subdomain(f"{path}.{name}.name", selector.get("name") or "", errors)
        if key := selector.get("key"):
            validate_config_key(f"{path}.{name}.key", key, errors)
        else:
            errors.required(f"{path}.{name}.key")
    if count == 0:
        errors.invalid(path, "", ONE_SOURCE)
    elif variable.get("value"):
        errors.invalid(path, "", "may not be specified when `value` is not empty")
    elif count > 1:
        errors.invalid(path, "", MORE_THAN_ONE)


def validate_env_from(
    container: ContainerDict, path: str, _spec: PodSpecDict, errors: FieldErrors
) -> None:
    """Validate the ConfigMaps and Secrets whose keys are variables of a container.

    Args:
        container: has envFrom.
        path: its path.
        errors: collects the errors.
    """
    place = f"{path}.envFrom"
    for index, source in enumerate(container["envFrom"]):
        if prefix := source.get("prefix"):
            validate_env_name(f"{place}[{index}].prefix", prefix, errors)
        references = [
            (name, reference)
            for name, reference in (
                ("configMapRef", source.get("configMapRef")),
                ("secretRef", source.get("secretRef")),
            )
            if reference is not None
        ]
        for name, reference in references:
            if value := reference.get("name"):
                validate_dns_subdomain(f"{place}[{index}].{name}.name", value, errors)
            else:
                errors.required(f"{place}[{index}].{name}.name")
        if not references:
            errors.invalid(place, "", "must specify one of: `configMapRef` or `secretRef`")
        elif len(references) > 1:
            errors.invalid(place, "", MORE_THAN_ONE)


def validate_field_ref(
    selector: ObjectFieldSelectorDict, path: str, supported: Collection[str], errors: FieldErrors
) -> None:
    """Validate a reference to a field of the pod itself.

    Args:
        selector: the reference.
        path: its path.
        supported: the fields that may be referred to.
        errors: collects the errors.
    """
    field, version = selector.get("fieldPath"), selector.get("apiVersion") or "v1"
    if not field:
        errors.required(f"{path}.fieldPath")
    elif version != "v1":
        message = f"unsupported pod version: {version}"
        errors.invalid(f"{path}.fieldPath", field, f"error converting fieldPath: {message}")
    elif subscript := _SUBSCRIPT.fullmatch(field):
        key = subscript[2].lower() if subscript[1] == "metadata.annotations" else subscript[2]
        validate_label_name(path, key, errors)
    elif field not in CONVERTIBLE_FIELDS:
        message = f"field label not supported: {field}"
        errors.invalid(f"{path}.fieldPath", field, f"error converting fieldPath: {message}")
    elif field not in supported:
        errors.not_supported(f"{path}.fieldPath", field, supported)


def validate_resource_ref(
    selector: ResourceFieldSelectorDict,
    path: str,
    errors: FieldErrors,
    *,
    in_volume: bool = False,
) -> None:
    """Validate a reference to a request or limit of a container.

    Args:
        selector: the reference.
        path: its path.
        errors: collects the errors.
        in_volume: it is part of a volume, so that it has to name the container.
    """
    resource = selector.get("resource") or ""
    if in_volume and not selector.get("containerName"):
        errors.required(f"{path}.containerName")
    elif not resource:
        errors.required(f"{path}.resource")
    elif resource not in RESOURCES and not resource.startswith(HUGE_PAGES):
        errors.not_supported(f"{path}.resource", resource, RESOURCES)
    divisor = selector.get("divisor")
    if divisor is None or parse_quantity(divisor) == 0:
        return
    name = resource.partition(".")[2]
    supported = BYTE_DIVISORS if resource.startswith(HUGE_PAGES) else _DIVISORS.get(name)
    values = [parse_quantity(text) for text in supported or ()]
    if supported is not None and parse_quantity(divisor) not in values:
        listed = " and ".join(supported) if name == "cpu" else ", ".join(supported)
        named = "hugepages" if resource.startswith(HUGE_PAGES) else _LOCAL.get(name, name)
        rule = f"only divisor's values {listed} are supported with the {named} resource"
        errors.invalid(f"{path}.divisor", resource, rule)
