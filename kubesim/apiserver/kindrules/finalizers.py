"""The finalizers that objects of built-in kinds may have: three standard ones, or with a domain.

Source: pkg/apis/core/validation/validation.go (ValidateObjectMeta, validateKubeFinalizerName),
pkg/apis/core/helper/helpers.go (IsStandardFinalizerName).
"""

from __future__ import annotations

from kubesim.apiserver.validation import FieldErrors, label_key_error

STANDARD = ("kubernetes", "orphan", "foregroundDeletion")
# Their validation uses apimachinery's rules alone, as that of custom kinds.
WITHOUT_RULE = (
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "apiregistration.k8s.io",
    "coordination.k8s.io",
)


def validate_finalizers(group: str, finalizers: list[str], errors: FieldErrors) -> None:
    """Refuse a finalizer without a domain, which no component of Kubernetes would remove.

    Args:
        group: of a built-in kind.
        finalizers: metadata.finalizers.
        errors: collects the errors.
    """
    if group in WITHOUT_RULE:
        return
    for index, name in enumerate(finalizers):
        validate_finalizer(f"metadata.finalizers[{index}]", name, errors)


def validate_finalizer(path: str, name: str, errors: FieldErrors) -> None:
    """Validate one finalizer of an object or of a namespace's content.

    Args:
        path: path of the field.
        name: its value.
        errors: collects the errors.
    """
    if "/" not in name and name not in STANDARD and not label_key_error(name):
        rule = "name is neither a standard finalizer name nor is it fully qualified"
        errors.invalid(path, name, rule)
