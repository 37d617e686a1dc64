"""Security contexts of pods and containers.

Source: pkg/apis/core/validation/validation.go (ValidateSecurityContext,
validatePodSpecSecurityContext, validateSysctls, validateSeccompProfileField,
ValidateAppArmorProfileField, validateHostUsers).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from kubesim.apiserver.podvalidation.formats import validate_local_path
from kubesim.apiserver.validation import FieldErrors

if TYPE_CHECKING:
    from kubesim.objects.types import ContainerDict, PodSpecDict
    from kubesim.objects.types.containers import AppArmorProfileDict, SeccompProfileDict
    from kubesim.objects.types.pods import PodSecurityContextDict

MOST_ID = 2**32 - 1
ID_RULE = f"must be between 0 and {MOST_ID}, inclusive"
PROFILES = ("Localhost", "RuntimeDefault", "Unconfined")
SYSCTL_FORMAT = r"^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$"
MAX_SYSCTL = 253
_SYSCTL = re.compile(SYSCTL_FORMAT.replace("$", r"\Z"), re.ASCII)
POLICIES = {
    "fsGroupChangePolicy": ("Always", "OnRootMismatch"),
    "supplementalGroupsPolicy": ("Merge", "Strict"),
    "seLinuxChangePolicy": ("Recursive",),  # MountOption needs SELinuxMount, which is off
}


def _validate_id(path: str, value: int | None, errors: FieldErrors) -> None:
    if value is not None and not 0 <= value <= MOST_ID:
        errors.invalid(path, value, ID_RULE)


def validate_container_security(
    container: ContainerDict, path: str, spec: PodSpecDict, errors: FieldErrors
) -> None:
    """Validate the security context of a container.

    Args:
        container: has a securityContext.
        path: its path.
        spec: of the pod.
        errors: collects the errors.
    """
    context, place = container["securityContext"], f"{path}.securityContext"
    _validate_id(f"{place}.runAsUser", context.get("runAsUser"), errors)
    _validate_id(f"{place}.runAsGroup", context.get("runAsGroup"), errors)
    mount = context.get("procMount")
    if mount is not None:
        errors.one_of(f"{place}.procMount", mount, ("Default", "Unmasked"))
        if mount == "Unmasked" and spec.get("hostUsers") is not False:
            rule = "`hostUsers` must be false to use `Unmasked`"
            errors.invalid(f"{place}.procMount", mount, rule)
    _validate_seccomp(context.get("seccompProfile"), f"{place}.seccompProfile", errors)
    if context.get("allowPrivilegeEscalation") is False:
        rule = "cannot set `allowPrivilegeEscalation` to false and"
        if context.get("privileged"):
            errors.invalid(place, context, f"{rule} `privileged` to true")
        if "CAP_SYS_ADMIN" in ((context.get("capabilities") or {}).get("add") or ()):
            errors.invalid(place, context, f"{rule} `capabilities.Add` CAP_SYS_ADMIN")
    _validate_app_armor(context.get("appArmorProfile"), f"{place}.appArmorProfile", errors)


def validate_pod_security(spec: PodSpecDict, path: str, errors: FieldErrors) -> None:
    """Validate the security context of a pod.

    Args:
        spec: has a securityContext.
        path: its path.
        errors: collects the errors.
    """
    context, place = spec["securityContext"], f"{path}.securityContext"
    _validate_id(f"{place}.fsGroup", context.get("fsGroup"), errors)
    _validate_id(f"{place}.runAsUser", context.get("runAsUser"), errors)
    _validate_id(f"{place}.runAsGroup", context.get("runAsGroup"), errors)
    for index, group in enumerate(context.get("supplementalGroups") or ()):
        _validate_id(f"{place}.supplementalGroups[{index}]", group, errors)
    _validate_sysctls(context, spec, f"{place}.sysctls", errors)
    for name, value in (
        ("fsGroupChangePolicy", context.get("fsGroupChangePolicy")),
        ("supplementalGroupsPolicy", context.get("supplementalGroupsPolicy")),
        ("seLinuxChangePolicy", context.get("seLinuxChangePolicy")),
    ):
        if value is not None:
            errors.one_of(f"{place}.{name}", value, POLICIES[name])
    _validate_seccomp(context.get("seccompProfile"), f"{place}.seccompProfile", errors)
    _validate_app_armor(context.get("appArmorProfile"), f"{place}.appArmorProfile", errors)


def _validate_sysctls(
    context: PodSecurityContextDict, spec: PodSpecDict, path: str, errors: FieldErrors
) -> None:
    names: set[str] = set()
    for index, sysctl in enumerate(context.get("sysctls") or ()):
        place, name = f"{path}[{index}].name", sysctl.get("name") or ""
        if not name:
            errors.required(place)
        elif len(name) > MAX_SYSCTL or not _SYSCTL.match(name):
            rule = f"must have at most {MAX_SYSCTL} characters and match regex {SYSCTL_FORMAT}"
            errors.invalid(place, name, rule)
        elif name in names:
            errors.duplicate(place, name)
        names.add(name)
        dotted = name.replace("/", ".")
        if spec.get("hostNetwork") and dotted.startswith("net."):
            errors.invalid(place, name, "may not be specified when 'hostNetwork' is true")
        elif spec.get("hostIPC") and dotted.startswith(("kernel.shm", "kernel.msg", "fs.mqueue.")):
            errors.invalid(place, name, "may not be specified when 'hostIPC' is true")


def _validate_seccomp(profile: SeccompProfileDict | None, path: str, errors: FieldErrors) -> None:
    if profile is None:
        return
    kind, local = profile.get("type"), profile.get("localhostProfile")
    if not kind:
        errors.required(f"{path}.type", "type is required when seccompProfile is set")
    else:
        errors.one_of(f"{path}.type", kind, PROFILES)
    place = f"{path}.localhostProfile"
    if kind != "Localhost":
        if local is not None:
            errors.invalid(place, profile, "can only be set when seccomp type is Localhost")
    elif local is None:
        errors.required(place, "must be set when seccomp type is Localhost")
    else:
        validate_local_path(place, local, errors)


def _validate_app_armor(
    profile: AppArmorProfileDict | None, path: str, errors: FieldErrors
) -> None:
    if profile is None:
        return
    kind, local = profile.get("type"), profile.get("localhostProfile")
    place = f"{path}.localhostProfile"
    if not kind:
        errors.required(f"{path}.type", "type is required when appArmorProfile is set")
    elif not errors.one_of(f"{path}.type", kind, PROFILES):
        return
    elif kind != "Localhost":
        if local is not None:
            errors.invalid(place, local, "can only be set when AppArmor type is Localhost")
    elif not local or not local.strip():
        errors.required(place, "must be set when AppArmor type is Localhost")
    elif local != local.strip():
        errors.invalid(place, local, "must not be padded with whitespace")


def validate_host_users(spec: PodSpecDict, path: str, errors: FieldErrors) -> None:
    """Validate that a pod with users of its own shares nothing else with the node.

    Args:
        spec: of a pod with hostUsers false.
        path: its path.
        errors: collects the errors.
    """
    rule = "when `pod.Spec.HostUsers` is false"
    for is_shared, spelled in (
        (spec.get("hostNetwork"), "hostNetwork"),
        (spec.get("hostPID"), "HostPID"),  # as upstream spells them
        (spec.get("hostIPC"), "HostIPC"),
    ):
        if is_shared:
            errors.forbidden(f"{path}.{spelled}", rule)


def validate_shared_processes(spec: PodSpecDict, path: str, errors: FieldErrors) -> None:
    """Validate that containers see each other's processes or the node's, and not both.

    Args:
        spec: of a pod with shareProcessNamespace.
        path: its path.
        errors: collects the errors.
    """
    if spec.get("hostPID"):
        rule = "ShareProcessNamespace and HostPID cannot both be enabled"
        errors.invalid(f"{path}.securityContext.shareProcessNamespace", True, rule)
