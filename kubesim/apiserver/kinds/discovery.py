"""Group discovery.k8s.io: EndpointSlice.

Source: pkg/apis/discovery/v1/defaults.go, pkg/apis/discovery/validation/validation.go.
"""

from __future__ import annotations

from kubesim.apiserver.kinds.rules import validate_immutable
from kubesim.apiserver.podvalidation.formats import IP_RULE, valid_ip
from kubesim.apiserver.registry import Kind
from kubesim.apiserver.validation import FieldErrors, fill
from kubesim.objects.frozen import Document, objects_in
from kubesim.objects.wellknown import PORT_PROTOCOLS

MAX_ENDPOINTS = 1000
MAX_ADDRESSES = 100
ADDRESS_TYPES = ("FQDN", "IPv4", "IPv6")


def default_slice(endpoints: Document) -> None:
    """Set empty endpoints; default ports to TCP with an empty name."""
    fill(endpoints, "endpoints", [])
    for port in objects_in(endpoints.get("ports")):
        fill(port, "name", "")
        fill(port, "protocol", "TCP")


def validate_slice(endpoints: Document, errors: FieldErrors) -> None:
    """Validate address type, addresses, and ports with unique names."""
    type_ = endpoints.get("addressType")
    if not type_:
        errors.required("addressType")
    else:
        errors.one_of("addressType", type_, ADDRESS_TYPES)
    listed = errors.items("endpoints", endpoints.get("endpoints"))
    if len(listed) > MAX_ENDPOINTS:
        errors.too_many("endpoints", len(listed), MAX_ENDPOINTS)
    for path, endpoint in listed:
        addresses = endpoint.get("addresses")
        if not isinstance(addresses, list) or not addresses:
            errors.required(f"{path}.addresses", "must contain at least 1 address")
            continue
        if len(addresses) > MAX_ADDRESSES:
            errors.too_many(f"{path}.addresses", len(addresses), MAX_ADDRESSES)
        for index, address in enumerate(addresses):
            if type_ in ("IPv4", "IPv6") and not valid_ip(address):
                errors.invalid(f"{path}.addresses[{index}]", address, IP_RULE)
    names: set[str] = set()
    for path, port in errors.items("ports", endpoints.get("ports")):
        if port.get("name") in names:
            errors.duplicate(f"{path}.name", port.get("name"))
        names.add(str(port.get("name")))
        errors.one_of(f"{path}.protocol", port.get("protocol"), PORT_PROTOCOLS)


def validate_slice_update(new: Document, old: Document, errors: FieldErrors) -> None:
    """Forbid changes of the address type.

    Args:
        new, old: the object after and before the update.
        errors: receives the violations.
    """
    validate_immutable(new.get("addressType"), old.get("addressType"), "addressType", errors)


KINDS = (
    Kind(
        "EndpointSlice",
        "endpointslices",
        group="discovery.k8s.io",
        default=default_slice,
        validate=validate_slice,
        validate_update=validate_slice_update,
        status=False,
    ),
)
