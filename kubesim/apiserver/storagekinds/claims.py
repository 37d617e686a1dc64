"""PersistentVolumeClaim: a request for a volume.

`admission.storage` gives it the default class and its finalizer, `controllers.persistentvolume`
binds it.

Source: pkg/apis/core/v1/defaults.go, pkg/apis/core/validation/validation.go
(ValidatePersistentVolumeClaimSpec, ValidatePersistentVolumeClaimUpdate),
pkg/registry/core/persistentvolumeclaim/strategy.go.
"""

from __future__ import annotations

from fractions import Fraction

from kubesim.apiserver.admission.storage import admit_claim
from kubesim.apiserver.podvalidation.selectors import validate_selector
from kubesim.apiserver.registry import Kind
from kubesim.apiserver.validation import SUBDOMAIN_RULE, FieldErrors, fill
from kubesim.objects.frozen import Document
from kubesim.objects.meta import annotations_of, valid_dns1123_subdomain
from kubesim.objects.volumes import ACCESS_MODES, BETA_CLASS, READ_WRITE_ONCE_POD
from kubesim.quantity import parse_quantity

VOLUME_MODES = ("Block", "Filesystem")
IMMUTABLE_SPEC = (
    "spec is immutable after creation except resources.requests and volumeAttributesClassName for "
    "bound claims"
)


def default_claim(claim: Document) -> None:
    """Default to volume mode Filesystem and phase Pending; keep dataSource and dataSourceRef equal.

    A dataSource of another kind than a claim or a snapshot is dropped, and so is a dataSourceRef
    to another namespace (feature gate CrossNamespaceVolumeDataSource, off). Then one of the two is
    copied to the other.

    Source: pkg/api/persistentvolumeclaim/util.go (DropDisabledFields,
    EnforceDataSourceBackwardsCompatibility, NormalizeDataSources).
    """
    fill(claim, "spec", {})
    spec = claim["spec"]
    if isinstance(spec, dict):
        fill(spec, "volumeMode", "Filesystem")
        source, reference = spec.get("dataSource"), spec.get("dataSourceRef")
        if isinstance(reference, dict) and reference.get("namespace"):
            del spec["dataSourceRef"]
            reference = None
        if isinstance(source, dict) and not _is_cloneable(source):
            del spec["dataSource"]
            source = None
        if isinstance(source, dict) and reference is None:
            spec["dataSourceRef"] = dict(source)
        elif isinstance(reference, dict) and source is None:
            spec["dataSource"] = dict(reference)
    fill(claim, "status", {"phase": "Pending"})


def _is_cloneable(source: Document) -> bool:
    """Return whether a data source is a claim or a snapshot."""
    kind = source.get("apiGroup") or "", source.get("kind")
    return kind in (("", "PersistentVolumeClaim"), ("snapshot.storage.k8s.io", "VolumeSnapshot"))


def validate_access_modes(spec: Document, errors: FieldErrors) -> None:
    """Validate spec.accessModes of a claim or a volume."""
    modes = spec.get("accessModes") or ()
    for mode in modes:
        errors.one_of("spec.accessModes", mode, ACCESS_MODES)
    others = [mode for mode in modes if mode in ACCESS_MODES and mode != READ_WRITE_ONCE_POD]
    if others and READ_WRITE_ONCE_POD in modes:
        detail = "may not use ReadWriteOncePod with other access modes"
        errors.forbidden("spec.accessModes", detail)


def validate_class_name(spec: Document, field: str, errors: FieldErrors) -> None:
    """Validate an optional field of spec that names a class.

    Args:
        spec: the object that has the field.
        field: its name.
        errors: collects the errors.
    """
    name = spec.get(field)
    if name and not valid_dns1123_subdomain(name):
        errors.invalid(f"spec.{field}", name, SUBDOMAIN_RULE)


def validate_claim(claim: Document, errors: FieldErrors) -> None:
    """Validate access modes, selector, the requested storage, classes, mode and data sources."""
    spec = errors.mapping("spec", claim.get("spec"))
    if not spec.get("accessModes"):
        errors.required("spec.accessModes", "at least 1 access mode is required")
    if spec.get("selector") is not None:
        validate_selector(spec["selector"], "spec.selector", errors)
    validate_access_modes(spec, errors)
    resources = errors.mapping("spec.resources", spec.get("resources"))
    storage = errors.mapping("spec.resources.requests", resources.get("requests")).get("storage")
    path = "spec.resources[storage]"
    if storage is None:
        errors.required(path)
    else:
        errors.positive_quantity(path, storage, parse_quantity)
    validate_class_name(spec, "storageClassName", errors)
    if spec.get("volumeMode") is not None:
        errors.one_of("spec.volumeMode", spec["volumeMode"], VOLUME_MODES)
    for field in ("dataSource", "dataSourceRef"):
        if isinstance(spec.get(field), dict):
            _validate_source(spec[field], f"spec.{field}", errors)
    _validate_both_sources(spec, errors)
    validate_class_name(spec, "volumeAttributesClassName", errors)


def _validate_source(source: Document, path: str, errors: FieldErrors) -> None:
    for field in ("name", "kind"):
        if not source.get(field):
            errors.required(f"{path}.{field}")
    group = source.get("apiGroup") or ""
    if not group and source.get("kind") != "PersistentVolumeClaim":
        detail = "must be 'PersistentVolumeClaim' when referencing the default apiGroup"
        errors.invalid(path, source.get("kind") or "", detail)
    if group and not valid_dns1123_subdomain(group):
        errors.invalid(f"{path}.apiGroup", group, SUBDOMAIN_RULE)


def _validate_both_sources(spec: Document, errors: FieldErrors) -> None:
    source, reference = spec.get("dataSource"), spec.get("dataSourceRef")
    if not isinstance(source, dict) or not isinstance(reference, dict):
        return
    if any(source.get(field) != reference.get(field) for field in ("apiGroup", "kind", "name")):
        errors.invalid("spec", "spec.dataSource", "must match dataSourceRef")


def validate_claim_update(new: Document, old: Document, errors: FieldErrors) -> None:
    """Forbid changes of a claim, except of a bound claim's size and of what was not set yet.

    Args:
        new, old: the object after and before the update.
        errors: receives the violations.
    """
    after, before = dict(new.get("spec") or {}), dict(old.get("spec") or {})
    is_bound = (old.get("status") or {}).get("phase") == "Bound"
    _validate_class_change(new, old, after, before, errors)
    if not before.get("volumeName"):
        before["volumeName"] = after.get("volumeName")
    if is_bound:
        after["resources"] = _with_size_of(after, before)
    for spec in (after, before):
        spec.pop("volumeAttributesClassName", None)
    if _without_empty(after) != _without_empty(before):
        errors.forbidden("spec", IMMUTABLE_SPEC)
    _validate_size(new, old, errors)
    _validate_attributes_change(new.get("spec") or {}, old.get("spec") or {}, errors)


def _validate_class_change(
    new: Document, old: Document, after: Document, before: Document, errors: FieldErrors
) -> None:
    """Allow the class to be set once; the annotation of old releases never changes.

    Args:
        new, old: the claim after and before the update.
        after, before: copies of their specs; the class is made equal where its change is allowed.
        errors: receives the violations.
    """
    annotation = annotations_of(old).get(BETA_CLASS)
    name = after.get("storageClassName")
    if name is not None and before.get("storageClassName") is None and annotation in (None, name):
        before["storageClassName"] = name
    if annotations_of(new).get(BETA_CLASS) != annotation:
        if not (annotation is not None and name == annotation):
            path = f"metadata.annotations[{BETA_CLASS}]"
            errors.invalid(path, annotations_of(new).get(BETA_CLASS) or "", "field is immutable")


def _with_size_of(after: Document, before: Document) -> Document:
    resources = dict(after.get("resources") or {})
    requests = dict(resources.get("requests") or {})
    requests["storage"] = ((before.get("resources") or {}).get("requests") or {}).get("storage")
    return {**resources, "requests": requests}


def _without_empty(spec: Document) -> Document:
    return {name: value for name, value in spec.items() if value not in (None, "", {}, [])}


def _size(amounts: Document | None) -> Fraction:
    return parse_quantity((amounts or {}).get("storage", 0))


def _validate_size(new: Document, old: Document, errors: FieldErrors) -> None:
    """Allow a smaller request down to more than the volume's size, to end a failed expansion."""
    after = _size(((new.get("spec") or {}).get("resources") or {}).get("requests"))
    before = _size(((old.get("spec") or {}).get("resources") or {}).get("requests"))
    if after < before and after <= _size((old.get("status") or {}).get("capacity")):
        path = "spec.resources.requests.storage"
        errors.forbidden(path, "field can not be less than status.capacity")


def _validate_attributes_change(after: Document, before: Document, errors: FieldErrors) -> None:
    path = "spec.volumeAttributesClassName"
    old, new = before.get("volumeAttributesClassName"), after.get("volumeAttributesClassName")
    if old is None or old == new:
        return
    if new is None:
        errors.forbidden(path, "update from non-nil value to nil is forbidden")
    elif not new:
        errors.forbidden(path, "update from non-nil value to an empty string is forbidden")


CLAIM = Kind(
    "PersistentVolumeClaim",
    "persistentvolumeclaims",
    short_names=("pvc",),
    default=default_claim,
    admit=admit_claim,
    validate=validate_claim,
    validate_update=validate_claim_update,
    counts_generation=False,
)
