"""The rules of object metadata, the same for every kind.

Source: k8s.io/apimachinery/pkg/api/validation/objectmeta.go.
"""

from __future__ import annotations

from collections.abc import Callable

from kubesim.apiserver.fields import FieldErrors
from kubesim.objects import meta
from kubesim.objects.frozen import Document

MAX_ANNOTATIONS_BYTES = 256 * 1024  # TotalAnnotationSizeLimitB


def validate_metadata(
    valid_name: Callable[[object], bool], name_rule: str, metadata: Document, errors: FieldErrors
) -> None:
    """Report every broken rule of an object's metadata."""
    name = metadata.get("name")
    if not name:
        errors.required("metadata.name", "name or generateName is required")
    elif not valid_name(name):
        errors.invalid("metadata.name", name, name_rule)
    for field in ("labels", "annotations"):
        values = errors.mapping(f"metadata.{field}", metadata.get(field))
        if not all(isinstance(value, str) for value in values.values()):
            errors.invalid(f"metadata.{field}", values, "must be an object of texts")
        elif field == "annotations":
            size = sum(len(key) + len(value) for key, value in values.items())
            if size > MAX_ANNOTATIONS_BYTES:
                errors.too_long("metadata.annotations", MAX_ANNOTATIONS_BYTES)
        else:
            for key, value in values.items():
                if len(value) > meta.MAX_LABEL or not meta.valid_label_value(value):
                    errors.invalid("metadata.labels", value, meta.LABEL_VALUE_RULE)
                if not meta.valid_label_key(key):
                    errors.invalid("metadata.labels", key, meta.LABEL_KEY_RULE)
    finalizers = metadata.get("finalizers")
    if finalizers is not None and not isinstance(finalizers, list):
        errors.invalid("metadata.finalizers", finalizers, "must be a list of texts")
    owners = metadata.get("ownerReferences")
    for path, owner in errors.items("metadata.ownerReferences", owners):
        for field in ("apiVersion", "kind", "name", "uid"):
            if not owner.get(field):
                errors.required(f"{path}.{field}")
