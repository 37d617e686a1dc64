"""Validation that several of these kinds share: host names, path segments.

Source: k8s.io/apimachinery/pkg/util/validation/validation.go,
k8s.io/apimachinery/pkg/api/validation/path/name.go.
"""

from __future__ import annotations

from kubesim.apiserver.podvalidation.formats import validate_dns_subdomain
from kubesim.apiserver.validation import FieldErrors
from kubesim.objects.meta import valid_dns1123_subdomain

WILDCARD_RULE = (
    "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which "
    "must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric "
    "character (e.g. '*.example.com', regex used for validation is "
    "'\\*\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)


def validate_host(path: str, value: str, errors: FieldErrors) -> None:
    """Validate a host name, which may begin with ``*.``.

    Args:
        path: path of the field.
        value: its value.
        errors: collects the errors.
    """
    if "*" not in value:
        validate_dns_subdomain(path, value, errors)
    elif not (value.startswith("*.") and valid_dns1123_subdomain(value[2:])):
        errors.invalid(path, value, WILDCARD_RULE)


def validate_path_segment(path: str, value: str, errors: FieldErrors) -> None:
    """Validate a string that becomes one segment of a URL's path.

    Args:
        path: path of the field.
        value: its value.
        errors: collects the errors.
    """
    if value in (".", ".."):
        errors.invalid(path, value, f"may not be '{value}'")
        return
    for character in "/%":
        if character in value:
            errors.invalid(path, value, f"may not contain '{character}'")
