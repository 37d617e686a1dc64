"""The rules of object metadata, the same for every kind.

Source: k8s.io/apimachinery/pkg/api/validation/objectmeta.go.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from kubesim.apiserver.fields import MUST_BE_STRING, FieldErrors
from kubesim.objects import meta
from kubesim.objects.frozen import Document

MAX_ANNOTATIONS_BYTES = 256 * 1024  # TotalAnnotationSizeLimitB
SUBDOMAIN_RULE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or "
    "'.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used "
    "for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
LABEL_RULE = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and "
    "must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used "
    "for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)


def validate_metadata(
    valid_name: Callable[[object], bool], name_rule: str, metadata: Document, errors: FieldErrors
) -> None:
    """Report every broken rule of an object's metadata."""
    _validate_name(valid_name, name_rule, metadata, errors)
    if metadata.get("labels") is not None:
        validate_labels(metadata["labels"], "metadata.labels", errors)
    if metadata.get("annotations") is not None:
        _validate_annotations(metadata["annotations"], errors)
    if metadata.get("finalizers") is not None:
        _validate_finalizers(metadata["finalizers"], errors)
    if metadata.get("ownerReferences") is not None:
        _validate_owners(metadata["ownerReferences"], errors)


def validate_metadata_update(metadata: Document, old: Document, errors: FieldErrors) -> None:
    """Refuse new finalizers of an object that is being deleted.

    Args:
        metadata: of the new object.
        old: of the stored object.
        errors: gets the broken rules.
    """
    if "deletionTimestamp" not in old:
        return
    known = old.get("finalizers") or []
    added = [name for name in metadata.get("finalizers") or [] if name not in known]
    if added:
        errors.forbidden(
            "metadata.finalizers",
            "no new finalizers can be added if the object is being deleted, found new finalizers "
            f"{added}",
        )


def _validate_name(
    valid_name: Callable[[object], bool], rule: str, metadata: Document, errors: FieldErrors
) -> None:
    base = metadata.get("generateName")
    if base is not None and not isinstance(base, str):
        errors.invalid("metadata.generateName", base, "must be a string")
    elif base and not valid_name(base.rstrip("-") or "-"):
        # The suffix follows, so that a '-' at the end does no harm.
        errors.invalid("metadata.generateName", base, rule)
    name = metadata.get("name")
    if not name:
        errors.required("metadata.name", "name or generateName is required")
    elif not valid_name(name):
        if isinstance(name, str) and len(name) > meta.MAX_NAME:
            errors.invalid("metadata.name", name, _at_most(meta.MAX_NAME))
        else:
            errors.invalid("metadata.name", name, rule)


def validate_labels(labels: Any, path: str, errors: FieldErrors) -> None:
    """Labels of an object or of a template: qualified names, and short texts."""
    for key, value in errors.mapping(path, labels).items():
        if complaint := _key_complaint(key):
            errors.invalid(path, key, complaint)
        if not isinstance(value, str):
            errors.invalid(f"{path}[{key}]", value, MUST_BE_STRING)
        elif complaint := _value_complaint(value):
            errors.invalid(path, value, complaint)


# The same few labels come by again and again: every pod of a workload brings them.
@lru_cache(maxsize=4096)
def _key_complaint(key: str) -> str:
    prefix, slash, name = key.rpartition("/")
    if slash and not prefix:
        return "prefix part must be non-empty"
    if slash and not meta.valid_dns1123_subdomain(prefix):
        return f"prefix part {SUBDOMAIN_RULE}"
    if not name:
        return "name part must be non-empty"
    if len(name) > meta.MAX_LABEL:
        return f"name part {_at_most(meta.MAX_LABEL)}"
    return "" if meta.valid_label_key(key) else meta.LABEL_KEY_RULE


@lru_cache(maxsize=4096)
def _value_complaint(value: str) -> str:
    if len(value) > meta.MAX_LABEL:
        return _at_most(meta.MAX_LABEL)
    return "" if meta.valid_label_value(value) else meta.LABEL_VALUE_RULE


def _at_most(length: int) -> str:
    return f"must be no more than {length} bytes"


def _validate_annotations(annotations: Any, errors: FieldErrors) -> None:
    size = 0
    for key, value in errors.mapping("metadata.annotations", annotations).items():
        if complaint := _key_complaint(key.lower()):
            errors.invalid("metadata.annotations", key, complaint)
        if not isinstance(value, str):
            path = f"metadata.annotations[{key}]"
            errors.invalid(path, value, MUST_BE_STRING)
        else:
            size += len(key.encode()) + len(value.encode())
    if size > MAX_ANNOTATIONS_BYTES:
        errors.too_long("metadata.annotations", MAX_ANNOTATIONS_BYTES)


def _validate_finalizers(finalizers: Any, errors: FieldErrors) -> None:
    if not isinstance(finalizers, list):
        errors.invalid("metadata.finalizers", finalizers, "must be a list of strings")
        return
    for name in finalizers:
        complaint = _key_complaint(name) if isinstance(name, str) else "must be a string"
        if complaint:
            errors.invalid("metadata.finalizers", name, complaint)


def _validate_owners(owners: Any, errors: FieldErrors) -> None:
    path = "metadata.ownerReferences"
    controllers = []
    for _, owner in errors.items(path, owners):
        for field in ("apiVersion", "kind", "name", "uid"):
            if not owner.get(field):
                errors.invalid(f"{path}.{field}", owner.get(field) or "", "must not be empty")
        if owner.get("controller") is True:
            controllers.append(str(owner.get("name")))
    if len(controllers) > 1:
        errors.invalid(
            path,
            owners,
            'Only one reference can have Controller set to true. Found "true" in references for '
            + " and ".join(controllers),
        )
