"""Where a container mounts the volumes of its pod.

Source: pkg/apis/core/validation/validation.go (ValidateVolumeMounts, ValidateVolumeDevices).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubesim.apiserver.podvalidation.formats import validate_local_path
from kubesim.apiserver.validation import FieldErrors

if TYPE_CHECKING:
    from kubesim.objects.types import ContainerDict, PodSpecDict, VolumeDict
    from kubesim.objects.types.containers import VolumeMountDict

PROPAGATION = ("Bidirectional", "HostToContainer", "None")
RECURSIVE = ("Disabled", "Enabled", "IfPossible")
BLOCK_ONLY = "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode"


def _volumes(spec: PodSpecDict) -> dict[str, VolumeDict]:
    return {volume.get("name") or "": volume for volume in spec.get("volumes") or ()}


def validate_mounts(
    container: ContainerDict, path: str, spec: PodSpecDict, errors: FieldErrors
) -> None:
    """Validate the mounts of a container: of a volume that is declared, at a path of its own.

    Args:
        container: has volumeMounts.
        path: its path.
        spec: of the pod.
        errors: collects the errors.
    """
    volumes, paths = _volumes(spec), set()
    devices = {
        device.get("name"): device.get("devicePath")
        for device in container.get("volumeDevices") or ()
    }
    place = f"{path}.volumeMounts"
    for index, mount in enumerate(container["volumeMounts"]):
        item, name, target = f"{place}[{index}]", mount.get("name") or "", mount.get("mountPath")
        if not name:
            errors.required(f"{item}.name")
        if name not in volumes:
            errors.not_found(f"{item}.name", name)
        if not target:
            errors.required(f"{item}.mountPath")
        if target in paths:
            errors.invalid(f"{item}.mountPath", target, "must be unique")
        paths.add(target)
        if name in devices:
            errors.invalid(f"{item}.name", name, "must not already exist in volumeDevices")
        if target in devices.values():
            rule = "must not already exist as a path in volumeDevices"
            errors.invalid(f"{item}.mountPath", target, rule)
        _validate_sub_path(mount, item, place, errors)
        if (volumes.get(name) or {}).get("image") is not None:
            for field, value in (
                ("subPath", mount.get("subPath")),
                ("subPathExpr", mount.get("subPathExpr")),
            ):
                if value:
                    rule = "not allowed in image volume sources"
                    errors.invalid(f"{item}.{field}", value, rule)
        _validate_modes(mount, container, place, errors)


def _validate_sub_path(mount: VolumeMountDict, item: str, path: str, errors: FieldErrors) -> None:
    """Validate the folder of a volume that is mounted; upstream names it without the index."""
    if sub := mount.get("subPath"):
        validate_local_path(f"{path}.subPath", sub, errors)
    if expression := mount.get("subPathExpr"):
        if sub:
            rule = "subPathExpr and subPath are mutually exclusive"
            errors.invalid(f"{item}.subPathExpr", expression, rule)
        validate_local_path(f"{path}.subPathExpr", expression, errors)


def _validate_modes(
    mount: VolumeMountDict, container: ContainerDict, path: str, errors: FieldErrors
) -> None:
    propagation = mount.get("mountPropagation")
    if propagation is not None:
        place = f"{path}.mountPropagation"
        is_privileged = (container.get("securityContext") or {}).get("privileged")
        if propagation == "Bidirectional" and not is_privileged:
            rule = "Bidirectional mount propagation is available only to privileged containers"
            errors.forbidden(place, rule)
        else:
            errors.one_of(place, propagation, PROPAGATION)
    recursive = mount.get("recursiveReadOnly")
    if recursive is None:
        return
    place = f"{path}.recursiveReadOnly"
    if recursive not in RECURSIVE:
        errors.not_supported(place, recursive, RECURSIVE)
    elif recursive != "Disabled":
        if not mount.get("readOnly"):
            errors.forbidden(place, "may only be specified when readOnly is true")
        if propagation not in (None, "None"):
            rule = "may only be specified when mountPropagation is None or not specified"
            errors.forbidden(place, rule)


def validate_devices(
    container: ContainerDict, path: str, spec: PodSpecDict, errors: FieldErrors
) -> None:
    """Validate the block devices of a container.

    Args:
        container: has volumeDevices.
        path: its path.
        spec: of the pod.
        errors: collects the errors.
    """
    volumes = _volumes(spec)
    mounts = {
        mount.get("name"): mount.get("mountPath") for mount in container.get("volumeMounts") or ()
    }
    names: set[str] = set()
    paths: set[str] = set()
    for index, device in enumerate(container["volumeDevices"]):
        item = f"{path}.volumeDevices[{index}]"
        name, target = device.get("name") or "", device.get("devicePath") or ""
        volume = volumes.get(name)
        if not name:
            errors.required(f"{item}.name")
        elif name in names:
            errors.invalid(f"{item}.name", name, "must be unique")
        if volume is None:
            errors.not_found(f"{item}.name", name)
        elif volume.get("persistentVolumeClaim") is None and volume.get("ephemeral") is None:
            errors.invalid(f"{item}.name", name, BLOCK_ONLY)
        if not target:
            errors.required(f"{item}.devicePath")
        elif target in paths:
            errors.invalid(f"{item}.devicePath", target, "must be unique")
        if ".." in target.split("/"):
            errors.invalid(f"{item}.devicePath", target, "can not contain backsteps ('..')")
        if name in mounts:
            errors.invalid(f"{item}.name", name, "must not already exist in volumeMounts")
        if target in mounts.values():
            rule = "must not already exist as a path in volumeMounts"
            errors.invalid(f"{item}.devicePath", target, rule)
        names.add(name)
        paths.add(target)
