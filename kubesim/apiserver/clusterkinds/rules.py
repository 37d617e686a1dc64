"""Validation that several of these kinds share: host names, path segments, address ranges.

Source: k8s.io/apimachinery/pkg/util/validation/{validation,ip}.go,
k8s.io/apimachinery/pkg/api/validation/path/name.go.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Network, IPv6Network, ip_network

from kubesim.apiserver.podvalidation.formats import validate_dns_subdomain
from kubesim.apiserver.validation import FieldErrors
from kubesim.objects.meta import valid_dns1123_subdomain

WILDCARD_RULE = (
    "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which "
    "must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric "
    "character (e.g. '*.example.com', regex used for validation is "
    "'\\*\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
CIDR_RULE = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
PATH_RULE = "Invalid path (regex used for validation is '[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+')"
PREFIXED_RULE = 'must be a domain-prefixed path (such as "acme.io/foo")'
_HTTP_PATH = re.compile(r"[A-Za-z0-9/\-._~%!$&'()*+,;=:]+", re.ASCII)


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


def validate_prefixed_path(path: str, value: str, errors: FieldErrors) -> None:
    """Validate a path below a domain, such as ``acme.io/foo`` (IsDomainPrefixedPath).

    Args:
        path: path of the field.
        value: its value.
        errors: collects the errors.
    """
    if not value:
        errors.required(path)
        return
    host, _, rest = value.partition("/")
    if not host or not rest:
        errors.invalid(path, value, PREFIXED_RULE)
        return
    validate_dns_subdomain(path, host, errors)
    if not _HTTP_PATH.fullmatch(rest):
        errors.invalid(path, rest, PATH_RULE)


def parse_cidr(value: str) -> IPv4Network | IPv6Network | None:
    """Return the network of an address range; None if it is malformed.

    Bits behind the prefix are ignored, as are leading zeros in the parts of an IPv4 address.

    >>> parse_cidr("10.0.0.5/24"), parse_cidr("10.0.0.0")
    (IPv4Network('10.0.0.0/24'), None)
    """
    address, slash, length = value.partition("/")
    if not slash or not (length.isascii() and length.isdigit()):
        return None
    if ":" not in address:
        address = ".".join(part.lstrip("0") or "0" for part in address.split(".") if part)
        if value.split("/")[0].count(".") != address.count("."):
            return None
    try:
        return ip_network(f"{address}/{length}", strict=False)
    except ValueError:
        return None


def validate_cidr(path: str, value: str, errors: FieldErrors) -> IPv4Network | IPv6Network | None:
    """Validate an address range, and return it; None if it is malformed.

    Args:
        path: path of the field.
        value: its value.
        errors: collects the errors.

    Source: IsValidCIDRForLegacyField.
    """
    network = parse_cidr(value)
    if network is None:
        errors.invalid(path, value, CIDR_RULE)
    return network
