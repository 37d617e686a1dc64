"""The volumes of a pod: a name each, and exactly one source.

Source: pkg/apis/core/validation/validation.go (ValidateVolumes, validateVolumeSource and the rules
of the sources).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from kubesim.apiserver.podvalidation.environment import validate_field_ref, validate_resource_ref
from kubesim.apiserver.podvalidation.formats import (
    validate_dns_label,
    validate_file_name,
    validate_local_path,
    validate_no_backsteps,
)
from kubesim.apiserver.validation import FieldErrors
from kubesim.objects.frozen import ReadOnlyDocument
from kubesim.quantity import parse_quantity

if TYPE_CHECKING:
    from kubesim.objects.types import (
        ConfigMapVolumeSourceDict,
        PodSpecDict,
        SecretVolumeSourceDict,
        VolumeDict,
    )
    from kubesim.objects.types.projections import (
        DownwardAPIVolumeFileDict,
        DownwardAPIVolumeSourceDict,
        KeyToPathDict,
        ProjectedVolumeSourceDict,
        ServiceAccountTokenProjectionDict,
        VolumeProjectionDict,
    )
    from kubesim.objects.types.volumes import (
        EmptyDirVolumeSourceDict,
        HostPathVolumeSourceDict,
        ImageVolumeSourceDict,
        NFSVolumeSourceDict,
    )

MODE_RULE = "must be a number between 0 and 0777 (octal), both inclusive"
HOST_PATH_TYPES = (
    "",
    "BlockDevice",
    "CharDevice",
    "Directory",
    "DirectoryOrCreate",
    "File",
    "FileOrCreate",
    "Socket",
)
PULL_POLICIES = ("Always", "IfNotPresent", "Never")
VOLUME_FIELDS = (
    "metadata.annotations",
    "metadata.labels",
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
)
# Source -> its required texts, in the order in which upstream looks at the sources.
SOURCES: dict[str, tuple[str, ...]] = {
    "emptyDir": (),
    "hostPath": ("path",),
    "gitRepo": ("repository",),
    "gcePersistentDisk": ("pdName",),
    "awsElasticBlockStore": ("volumeID",),
    "secret": ("secretName",),
    "nfs": ("server", "path"),
    "iscsi": ("targetPortal", "iqn"),
    "glusterfs": ("endpoints", "path"),
    "flocker": (),
    "persistentVolumeClaim": ("claimName",),
    "rbd": ("monitors", "image"),
    "cinder": ("volumeID",),
    "cephfs": ("monitors",),
    "quobyte": ("registry", "volume"),
    "downwardAPI": (),
    "fc": (),
    "flexVolume": ("driver",),
    "configMap": ("name",),
    "azureFile": ("secretName", "shareName"),
    "vsphereVolume": ("volumePath",),
    "photonPersistentDisk": ("pdID",),
    "portworxVolume": ("volumeID",),
    "azureDisk": ("diskName", "diskURI"),
    "storageos": ("volumeName",),
    "projected": (),
    "scaleIO": ("gateway", "system", "volumeName"),
    "csi": ("driver",),
    "ephemeral": ("volumeClaimTemplate",),
    "image": ("reference",),
}
# Names that upstream gives the sources in its paths: a typing error, and two older names.
SPELLED_IN_PATHS = {"gcePersistentDisk": "persistentDisk"}
SPELLED_IN_SECOND_SOURCES = {"downwardAPI": "downwarAPI", "cephfs": "cephFS"}


def validate_volumes(spec: PodSpecDict, path: str, errors: FieldErrors) -> None:
    """Validate the volumes of a pod.

    Args:
        spec: has volumes.
        path: its path.
        errors: collects the errors.
    """
    names: set[str] = set()
    for index, volume in enumerate(spec["volumes"]):
        place, name = f"{path}.volumes[{index}]", volume.get("name") or ""
        _validate_sources(volume, place, errors)
        if not name:
            errors.required(f"{place}.name")
        else:
            validate_dns_label(f"{place}.name", name, errors)
        if name in names:
            errors.duplicate(f"{place}.name", name)
        elif name:
            names.add(name)


def _validate_sources(volume: VolumeDict, path: str, errors: FieldErrors) -> None:
    """Validate the first source of a volume; it has no second one. None: an emptyDir by default."""
    fields: ReadOnlyDocument = volume
    sources = [name for name in SOURCES if fields.get(name) is not None]
    for name in sources[1:]:
        spelled = SPELLED_IN_SECOND_SOURCES.get(name, name)
        errors.forbidden(f"{path}.{spelled}", "may not specify more than 1 volume type")
    if not sources:
        return
    name = sources[0]
    source = fields[name]
    place = f"{path}.{SPELLED_IN_PATHS.get(name, name)}"
    for field in SOURCES[name]:
        if not source.get(field):
            errors.required(f"{place}.{field}")
    if rule := RULES.get(name):
        rule(source, place, errors)


# -- sources ---------------------------------------------------------------------------------------


def _empty_dir(source: EmptyDirVolumeSourceDict, path: str, errors: FieldErrors) -> None:
    limit = source.get("sizeLimit")
    if limit is not None and parse_quantity(limit) < 0:
        rule = "SizeLimit field must be a valid resource quantity"
        errors.forbidden(f"{path}.sizeLimit", rule)


def _host_path(source: HostPathVolumeSourceDict, path: str, errors: FieldErrors) -> None:
    if not source.get("path"):
        return
    validate_no_backsteps(f"{path}.path", source["path"], errors)
    errors.one_of(f"{path}.type", source.get("type") or "", HOST_PATH_TYPES)


def _nfs(source: NFSVolumeSourceDict, path: str, errors: FieldErrors) -> None:
    if not (source.get("path") or "").startswith("/"):
        errors.invalid(f"{path}.path", source.get("path") or "", "must be an absolute path")


def _git_repo(source: dict[str, str], path: str, errors: FieldErrors) -> None:
    validate_local_path(f"{path}.directory", source.get("directory") or "", errors)


def _config_map(
    source: ConfigMapVolumeSourceDict | SecretVolumeSourceDict, path: str, errors: FieldErrors
) -> None:
    _validate_mode(f"{path}.defaultMode", source.get("defaultMode"), errors)
    _validate_items(source.get("items") or (), path, errors)


def _image(source: ImageVolumeSourceDict, path: str, errors: FieldErrors) -> None:
    if policy := source.get("pullPolicy"):
        errors.one_of(f"{path}.pullPolicy", policy, PULL_POLICIES)


def _downward(source: DownwardAPIVolumeSourceDict, path: str, errors: FieldErrors) -> None:
    _validate_mode(f"{path}.defaultMode", source.get("defaultMode"), errors)
    for file in source.get("items") or ():
        _validate_downward_file(file, path, errors)


def _projected(source: ProjectedVolumeSourceDict, path: str, errors: FieldErrors) -> None:
    _validate_mode(f"{path}.defaultMode", source.get("defaultMode"), errors)
    paths: set[str] = set()
    for index, projection in enumerate(source.get("sources") or ()):
        place = f"{path}.sources[{index}]"
        _validate_projection(projection, place, path, errors)
        for owner, target in _targets(projection):
            if target in paths:
                errors.invalid(path, owner or target, "conflicting duplicate paths")
            paths.add(target)
        if sum(value is not None for value in projection.values()) > 1:
            errors.forbidden(place, "may not specify more than 1 volume type per source")


def _validate_projection(
    projection: VolumeProjectionDict, place: str, path: str, errors: FieldErrors
) -> None:
    """Validate one source of a projected volume.

    Args:
        projection: the source.
        place: its path.
        path: of the projected volume, which upstream uses for the path of a token.
        errors: collects the errors.
    """
    for name, source in (
        ("secret", projection.get("secret")),
        ("configMap", projection.get("configMap")),
    ):
        if source is not None:
            if not source.get("name"):
                errors.required(f"{place}.{name}.name")
            _validate_items(source.get("items") or (), f"{place}.{name}", errors)
    if (downward := projection.get("downwardAPI")) is not None:
        for file in downward.get("items") or ():
            _validate_downward_file(file, f"{place}.downwardAPI", errors)
    if (token := projection.get("serviceAccountToken")) is not None:
        _validate_token(token, place, path, errors)


def _validate_token(
    token: ServiceAccountTokenProjectionDict, place: str, path: str, errors: FieldErrors
) -> None:
    seconds = token.get("expirationSeconds")
    field = f"{place}.serviceAccountToken.expirationSeconds"
    if seconds is not None and seconds < 10 * 60:
        errors.invalid(field, seconds, "may not specify a duration less than 10 minutes")
    if seconds is not None and seconds > 1 << 32:
        errors.invalid(field, seconds, "may not specify a duration larger than 2^32 seconds")
    if target := token.get("path"):
        validate_file_name(f"{path}.path", target, errors)
    else:
        errors.required(f"{path}.path")


def _targets(projection: VolumeProjectionDict) -> Iterable[tuple[str, str]]:
    """Yield (name of the object, path) of each file that a source makes."""
    for source in (projection.get("secret"), projection.get("configMap")):
        for item in (source or {}).get("items") or ():
            if item.get("path"):
                yield (source or {}).get("name") or "", item["path"]
    for file in (projection.get("downwardAPI") or {}).get("items") or ():
        if file.get("path"):
            yield "", file["path"]


# -- files -----------------------------------------------------------------------------------------


def _validate_mode(path: str, mode: int | None, errors: FieldErrors) -> None:
    if mode is not None and not 0 <= mode <= 0o777:
        errors.invalid(path, mode, MODE_RULE)


def _validate_items(items: Iterable[KeyToPathDict], path: str, errors: FieldErrors) -> None:
    for index, item in enumerate(items):
        place = f"{path}.items[{index}]"
        if not item.get("key"):
            errors.required(f"{place}.key")
        if not item.get("path"):
            errors.required(f"{place}.path")
        validate_file_name(f"{place}.path", item.get("path") or "", errors)
        _validate_mode(f"{place}.mode", item.get("mode"), errors)


def _validate_downward_file(
    file: DownwardAPIVolumeFileDict, path: str, errors: FieldErrors
) -> None:
    if not file.get("path"):
        errors.required(f"{path}.path")
    validate_file_name(f"{path}.path", file.get("path") or "", errors)
    field, resource = file.get("fieldRef"), file.get("resourceFieldRef")
    if field is not None:
        validate_field_ref(field, f"{path}.fieldRef", VOLUME_FIELDS, errors)
        if resource is not None:
            rule = "fieldRef and resourceFieldRef can not be specified simultaneously"
            errors.invalid(path, "resource", rule)
    elif resource is not None:
        validate_resource_ref(resource, f"{path}.resourceFieldRef", errors, in_volume=True)
    else:
        errors.required(path, "one of fieldRef and resourceFieldRef is required")
    _validate_mode(f"{path}.mode", file.get("mode"), errors)


def _ephemeral(source: Any, path: str, errors: FieldErrors) -> None:
    """Validate the claim that is made for the pod (ValidatePersistentVolumeClaimTemplate)."""
    template = source.get("volumeClaimTemplate")
    if template is None:
        return
    place, spec = f"{path}.volumeClaimTemplate.spec", template.get("spec") or {}
    if not spec.get("accessModes"):
        errors.required(f"{place}.accessModes", "at least 1 access mode is required")
    storage = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    if storage is None:
        errors.required(f"{place}.resources[storage]")
    else:
        errors.positive_quantity(f"{place}.resources[storage]", storage, parse_quantity)


RULES: dict[str, Callable[[Any, str, FieldErrors], None]] = {
    "emptyDir": _empty_dir,
    "hostPath": _host_path,
    "gitRepo": _git_repo,
    "nfs": _nfs,
    "secret": _config_map,
    "configMap": _config_map,
    "downwardAPI": _downward,
    "projected": _projected,
    "image": _image,
    "ephemeral": _ephemeral,
}
