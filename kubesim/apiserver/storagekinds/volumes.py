"""PersistentVolume: a piece of storage that claims are bound to.

Source: pkg/apis/core/v1/defaults.go, pkg/apis/core/validation/validation.go
(ValidatePersistentVolumeSpec, ValidatePersistentVolumeUpdate),
pkg/registry/core/persistentvolume/strategy.go.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable
from typing import cast

from kubesim.apiserver.admission.storage import admit_volume
from kubesim.apiserver.podvalidation.affinity import validate_node_selector
from kubesim.apiserver.podvalidation.formats import validate_no_backsteps
from kubesim.apiserver.podvalidation.volumes import HOST_PATH_TYPES
from kubesim.apiserver.registry import Kind
from kubesim.apiserver.storagekinds.claims import (
    CLAIM,
    VOLUME_MODES,
    validate_access_modes,
    validate_class_name,
)
from kubesim.apiserver.validation import FieldErrors, fill
from kubesim.objects.frozen import Document
from kubesim.quantity import parse_quantity

RECLAIM_POLICIES = ("Delete", "Recycle", "Retain")
NOT_TWO_SOURCES = "may not specify more than 1 volume type"
MOST_VOLUME_HANDLE = 63  # of the name of a CSI driver
# Source -> its required fields, in the order in which upstream looks at the sources.
SOURCES: dict[str, tuple[str, ...]] = {
    "hostPath": ("path",),
    "gcePersistentDisk": ("pdName",),
    "awsElasticBlockStore": ("volumeID",),
    "glusterfs": ("endpoints", "path"),
    "flocker": (),
    "nfs": ("server", "path"),
    "rbd": ("monitors", "image"),
    "quobyte": ("registry", "volume"),
    "cephfs": ("monitors",),
    "iscsi": ("targetPortal", "iqn"),
    "cinder": ("volumeID",),
    "fc": (),
    "flexVolume": ("driver",),
    "azureFile": ("secretName", "shareName"),
    "vsphereVolume": ("volumePath",),
    "photonPersistentDisk": ("pdID",),
    "portworxVolume": ("volumeID",),
    "azureDisk": ("diskName", "diskURI"),
    "scaleIO": ("gateway", "system", "volumeName"),
    "local": ("path",),
    "storageos": ("volumeName",),
    "csi": ("driver", "volumeHandle"),
}
# Names that upstream gives the sources in its paths.
SPELLED_IN_PATHS = {"gcePersistentDisk": "persistentDisk"}
SPELLED_IN_SECOND_SOURCES = {"cephfs": "cephFS"}


def default_volume(volume: Document) -> None:
    """Default to Retain, volume mode Filesystem, and the fields of a host path."""
    fill(volume, "spec", {})
    spec = volume["spec"]
    if not isinstance(spec, dict):
        return
    fill(spec, "persistentVolumeReclaimPolicy", "Retain")
    fill(spec, "volumeMode", "Filesystem")
    if isinstance(spec.get("hostPath"), dict) and spec["hostPath"].get("type") is None:
        spec["hostPath"]["type"] = ""
    if isinstance(spec.get("iscsi"), dict):
        fill(spec["iscsi"], "iscsiInterface", "default")
    if isinstance(spec.get("rbd"), dict):
        defaults = (("pool", "rbd"), ("user", "admin"), ("keyring", "/etc/ceph/keyring"))
        for field, value in defaults:
            fill(spec["rbd"], field, value)
    fill(volume, "status", {"phase": "Pending"})


def validate_volume(volume: Document, errors: FieldErrors) -> None:
    """Validate access modes, capacity, reclaim policy, node affinity, source and classes."""
    spec = errors.mapping("spec", volume.get("spec"))
    if not spec.get("accessModes"):
        errors.required("spec.accessModes")
    validate_access_modes(spec, errors)
    _validate_capacity(spec, errors)
    if policy := spec.get("persistentVolumeReclaimPolicy"):
        errors.one_of("spec.persistentVolumeReclaimPolicy", policy, RECLAIM_POLICIES)
    required = (spec.get("nodeAffinity") or {}).get("required")
    if spec.get("nodeAffinity") is not None:
        if required is None:
            detail = "must specify required node constraints"
            errors.required("spec.nodeAffinity.required", detail)
        else:
            validate_node_selector(required, "spec.nodeAffinity.required", errors)
    _validate_source(spec, errors)
    path = (spec.get("hostPath") or {}).get("path")
    if path and posixpath.normpath(path) == "/" and policy == "Recycle":
        detail = "may not be 'recycle' for a hostPath mount of '/'"
        errors.forbidden("spec.persistentVolumeReclaimPolicy", detail)
    validate_class_name(spec, "storageClassName", errors)
    if spec.get("volumeMode") is not None:
        errors.one_of("spec.volumeMode", spec["volumeMode"], VOLUME_MODES)
    _validate_attributes_class(spec, errors)


def _validate_capacity(spec: Document, errors: FieldErrors) -> None:
    capacity = errors.mapping("spec.capacity", spec.get("capacity"))
    if not capacity:
        errors.required("spec.capacity")
    if list(capacity) != ["storage"]:
        errors.not_supported("spec.capacity", capacity, ("storage",))
    for name, amount in capacity.items():
        errors.positive_quantity(f"spec.capacity[{name}]", amount, parse_quantity)


def _validate_source(spec: Document, errors: FieldErrors) -> None:
    """Validate the first source; there is no second one."""
    sources = [name for name in SOURCES if spec.get(name) is not None]
    for name in sources[1:]:
        spelled = SPELLED_IN_SECOND_SOURCES.get(name, name)
        errors.forbidden(f"spec.{spelled}", NOT_TWO_SOURCES)
    if not sources:
        errors.required("spec", "must specify a volume type")
        return
    name = sources[0]
    place = f"spec.{SPELLED_IN_PATHS.get(name, name)}"
    for field in SOURCES[name]:
        if not spec[name].get(field):
            errors.required(f"{place}.{field}")
    if rule := RULES.get(name):
        rule(spec[name], place, errors)
    if name == "local" and not (spec.get("nodeAffinity") or {}).get("required"):
        errors.required("spec.nodeAffinity", "Local volume requires node affinity")


def _host_path(source: Document, path: str, errors: FieldErrors) -> None:
    if source.get("path"):
        validate_no_backsteps(f"{path}.path", source["path"], errors)
        errors.one_of(f"{path}.type", source.get("type") or "", HOST_PATH_TYPES)


def _local(source: Document, path: str, errors: FieldErrors) -> None:
    if source.get("path"):
        validate_no_backsteps(f"{path}.path", source["path"], errors)


def _nfs(source: Document, path: str, errors: FieldErrors) -> None:
    if not (source.get("path") or "").startswith("/"):
        errors.invalid(f"{path}.path", source.get("path") or "", "must be an absolute path")


def _csi(source: Document, path: str, errors: FieldErrors) -> None:
    if len(source.get("driver") or "") > MOST_VOLUME_HANDLE:
        errors.too_long(f"{path}.driver", MOST_VOLUME_HANDLE)


RULES: dict[str, Callable[[Document, str, FieldErrors], None]] = {
    "hostPath": _host_path,
    "local": _local,
    "nfs": _nfs,
    "csi": _csi,
}


def _validate_attributes_class(spec: Document, errors: FieldErrors) -> None:
    name, path = spec.get("volumeAttributesClassName"), "spec.volumeAttributesClassName"
    if name is None:
        return
    if not name:
        errors.required(path, "an empty string is disallowed")
    validate_class_name(spec, "volumeAttributesClassName", errors)
    if spec.get("csi") is None:
        errors.required("spec.csi", "has to be specified when using volumeAttributesClassName")


def validate_volume_update(new: Document, old: Document, errors: FieldErrors) -> None:
    """Forbid changes of source, volume mode and node affinity.

    Args:
        new, old: the object after and before the update.
        errors: receives the violations.
    """
    after, before = new.get("spec") or {}, old.get("spec") or {}
    if _source_of(after, before) != _source_of(before, before):
        detail = "spec.persistentvolumesource is immutable after creation"
        errors.forbidden("spec.persistentvolumesource", detail)
    for field in ("volumeMode", "nodeAffinity"):
        # Upstream leaves `spec` out of these two paths. Node affinity may be set once.
        if after.get(field) != before.get(field) and before.get(field) is not None:
            errors.invalid(field, after.get(field), "field is immutable")
    attributes = "volumeAttributesClassName"
    if before.get(attributes) is not None and after.get(attributes) is None:
        detail = "update from non-nil value to nil is forbidden"
        errors.forbidden(f"spec.{attributes}", detail)


def _source_of(spec: Document, old: Document) -> Document:
    """Return the source of a volume; a CSI source may get the secret of its expansion later."""
    source = {name: spec[name] for name in SOURCES if spec.get(name) is not None}
    before = cast("Document", old.get("csi") or {})
    if "csi" in source and before.get("controllerExpandSecretRef") is None:
        kept = {k: v for k, v in source["csi"].items() if k != "controllerExpandSecretRef"}
        source["csi"] = kept
    return source


VOLUME = Kind(
    "PersistentVolume",
    "persistentvolumes",
    namespaced=False,
    short_names=("pv",),
    default=default_volume,
    admit=admit_volume,
    validate=validate_volume,
    validate_update=validate_volume_update,
    counts_generation=False,
)
KINDS = (CLAIM, VOLUME)
