"""A pod's DNS, hosts file and names.

Source: pkg/apis/core/validation/validation.go (validatePodDNSConfig, ValidateHostAliases,
validateOS, validateLinux, validateWindows, validateReadinessGates).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from kubesim.apiserver.podvalidation.formats import (
    at_most,
    validate_dns_label,
    validate_dns_subdomain,
    validate_ip,
    validate_label_name,
)
from kubesim.apiserver.validation import FieldErrors
from kubesim.objects.frozen import ReadOnlyDocument
from kubesim.objects.meta import MAX_NAME
from kubesim.objects.pods import CONTAINER_LISTS

if TYPE_CHECKING:
    from kubesim.objects.types import PodSpecDict
    from kubesim.objects.types.pods import PodDNSConfigDict

MAX_NAMESERVERS, MAX_SEARCHES, MAX_SEARCH_LIST = 3, 32, 2048
_SEARCH = "_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
SEARCH_RULE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' "
    "or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex "
    f"used for validation is '{_SEARCH}(\\.{_SEARCH})*')"
)
_SEARCH_PATH = re.compile(rf"{_SEARCH}(\.{_SEARCH})*", re.ASCII)


def validate_dns_config(spec: PodSpecDict, path: str, errors: FieldErrors) -> None:
    """Validate the servers, search paths and options of a pod's DNS.

    Args:
        spec: of the pod, with a dnsConfig or with dnsPolicy None.
        path: its path.
        errors: collects the errors.
    """
    config, place = spec.get("dnsConfig"), f"{path}.dnsConfig"
    if spec.get("dnsPolicy") == "None":
        if config is None:
            errors.required(place, "must provide `dnsConfig` when `dnsPolicy` is None")
            return
        if not config.get("nameservers"):
            detail = "must provide at least one DNS nameserver when `dnsPolicy` is None"
            errors.required(f"{place}.nameservers", detail)
            return
    if config is not None:
        _validate_servers(config, place, errors)
        _validate_searches(config.get("searches") or [], f"{place}.searches", errors)
        for index, option in enumerate(config.get("options") or ()):
            if not option.get("name"):
                errors.required(f"{place}.options[{index}]", "must not be empty")


def _validate_servers(config: PodDNSConfigDict, path: str, errors: FieldErrors) -> None:
    servers, place = config.get("nameservers") or [], f"{path}.nameservers"
    if len(servers) > MAX_NAMESERVERS:
        errors.invalid(place, servers, f"must not have more than {MAX_NAMESERVERS} nameservers")
    for index, server in enumerate(servers):
        validate_ip(f"{place}[{index}]", server, errors)


def _validate_searches(searches: list[str], path: str, errors: FieldErrors) -> None:
    if len(searches) > MAX_SEARCHES:
        errors.invalid(path, searches, f"must not have more than {MAX_SEARCHES} search paths")
    if len(" ".join(searches)) > MAX_SEARCH_LIST:
        rule = (
            f"must not have more than {MAX_SEARCH_LIST} characters (including spaces) in the "
            "search list"
        )
        errors.invalid(path, searches, rule)
    for index, search in enumerate(searches):
        name = search if search == "." else search.removesuffix(".")
        if len(name) > MAX_NAME:
            errors.invalid(f"{path}[{index}]", name, at_most(MAX_NAME))
        elif name != "." and not _SEARCH_PATH.fullmatch(name):
            errors.invalid(f"{path}[{index}]", name, SEARCH_RULE)


def validate_host_aliases(spec: PodSpecDict, path: str, errors: FieldErrors) -> None:
    """Validate the lines that a pod adds to its hosts file.

    Args:
        spec: has hostAliases.
        path: its path.
        errors: collects the errors.
    """
    for index, alias in enumerate(spec["hostAliases"]):
        place = f"{path}.hostAliases[{index}]"
        validate_ip(f"{place}.ip", alias.get("ip") or "", errors)
        for position, name in enumerate(alias.get("hostnames") or ()):
            validate_dns_subdomain(f"{place}.hostnames[{position}]", name, errors)


def validate_names(spec: PodSpecDict, path: str, errors: FieldErrors) -> None:
    """Validate hostname and subdomain of a pod.

    Args:
        spec: has one of them.
        path: its path.
        errors: collects the errors.
    """
    for field, value in (("hostname", spec.get("hostname")), ("subdomain", spec.get("subdomain"))):
        if value:
            validate_dns_label(f"{path}.{field}", value, errors)


def validate_readiness_gates(spec: PodSpecDict, path: str, errors: FieldErrors) -> None:
    """Validate the types of the further conditions of readiness.

    Args:
        spec: has readinessGates.
        path: its path.
        errors: collects the errors.
    """
    for index, gate in enumerate(spec["readinessGates"]):
        place = f"{path}.readinessGates[{index}].conditionType"
        validate_label_name(place, gate.get("conditionType") or "", errors)


def validate_os(spec: PodSpecDict, path: str, errors: FieldErrors) -> None:
    """Validate the operating system of a pod, and that it sets nothing of the other one.

    Args:
        spec: has an os.
        path: its path.
        errors: collects the errors.
    """
    if name := spec["os"].get("name"):
        if errors.one_of(f"{path}.os", name, ("linux", "windows")):
            _refuse_fields_of_other_systems(spec, path, name, errors)
    else:
        errors.required(f"{path}.os.name", "cannot be empty")


# Source: validateLinux, validateWindows.
FOR_LINUX = ("hostUsers", "hostPID", "hostIPC", "shareProcessNamespace")
POD_CONTEXT_FOR_LINUX = (
    "appArmorProfile",
    "seLinuxOptions",
    "seccompProfile",
    "fsGroup",
    "fsGroupChangePolicy",
    "sysctls",
    "runAsUser",
    "runAsGroup",
    "supplementalGroups",
    "supplementalGroupsPolicy",
)
CONTEXT_FOR_LINUX = (
    "appArmorProfile",
    "seLinuxOptions",
    "seccompProfile",
    "capabilities",
    "readOnlyRootFilesystem",
    "privileged",
    "allowPrivilegeEscalation",
    "procMount",
    "runAsUser",
    "runAsGroup",
)


def _refuse_fields_of_other_systems(
    spec: PodSpecDict, path: str, system: str, errors: FieldErrors
) -> None:
    rule = "cannot be set for a windows pod"
    of_pod: tuple[str, ...]
    of_container: tuple[str, ...]
    of_pod, of_container = POD_CONTEXT_FOR_LINUX, CONTEXT_FOR_LINUX
    if system == "linux":
        rule = "windows options cannot be set for a linux pod"
        of_pod = of_container = ("windowsOptions",)

    def refuse(holder: ReadOnlyDocument, place: str, fields: tuple[str, ...]) -> None:
        for field in fields:
            if holder.get(field) not in (None, [], ""):
                errors.forbidden(f"{place}.{field}", rule)

    fields: ReadOnlyDocument = spec
    refuse(fields.get("securityContext") or {}, f"{path}.securityContext", of_pod)
    if system == "windows":
        refuse(fields, path, FOR_LINUX)
    for name in CONTAINER_LISTS:
        for index, container in enumerate(fields.get(name) or ()):
            place = f"{path}.{name}[{index}].securityContext"
            refuse(container.get("securityContext") or {}, place, of_container)
