"""IP addresses and address ranges, and which of them cannot be reached from other machines.

Source: k8s.io/apimachinery/pkg/util/validation/ip.go, pkg/apis/core/validation/validation.go
(ValidateNonSpecialIP).
"""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from kubesim.apiserver.podvalidation.formats import valid_ip
from kubesim.apiserver.validation import FieldErrors

CIDR_RULE = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"


LINK_LOCAL_MULTICAST = {4: ip_network("224.0.0.0/24"), 6: ip_network("ff02::/16")}


def validate_non_special_ip(path: str, value: str, errors: FieldErrors) -> None:
    """Validate that other machines can reach a well-formed address (ValidateNonSpecialIP).

    Args:
        path: path of the field.
        value: its value; a malformed one is left to other rules.
        errors: collects the errors.
    """
    if not valid_ip(value):
        return
    address = ip_address(value)
    for is_special, rule in (
        (address.is_unspecified, f"may not be unspecified ({value})"),
        (address.is_loopback, "may not be in the loopback range (127.0.0.0/8, ::1/128)"),
        (address.is_link_local, "may not be in the link-local range (169.254.0.0/16, fe80::/10)"),
        (
            address in LINK_LOCAL_MULTICAST[address.version],
            "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)",
        ),
    ):
        if is_special:
            errors.invalid(path, value, rule)


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
