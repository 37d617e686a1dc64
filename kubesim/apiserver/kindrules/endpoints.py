"""The rules of Endpoints and EndpointSlices: addresses that can be reached, and unique port names.

Source: pkg/apis/core/validation/validation.go (validateEndpointSubsets),
pkg/apis/discovery/validation/validation.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address

from kubesim.apiserver.kindrules.addresses import validate_non_special_ip
from kubesim.apiserver.podvalidation.formats import (
    IP_RULE,
    PORT_RULE,
    valid_ip,
    validate_dns_label,
    validate_dns_subdomain,
    validate_label_name,
)
from kubesim.apiserver.validation import FieldErrors, validate_labels
from kubesim.objects.frozen import Document
from kubesim.objects.wellknown import PORT_PROTOCOLS

MAX_ENDPOINTS = 1000
MAX_ADDRESSES = 100
MAX_TOPOLOGY_LABELS = 16
MAX_HINTS = 8
ADDRESS_TYPES = ("FQDN", "IPv4", "IPv6")
VERSIONS = {"IPv4": 4, "IPv6": 6}
HINTS = ("forZones", "forNodes")


def validate_endpoints(endpoints: Document, errors: FieldErrors) -> None:
    """Validate the subsets of Endpoints."""
    for path, subset in errors.items("subsets", endpoints.get("subsets")):
        ready = errors.items(f"{path}.addresses", subset.get("addresses"))
        unready = errors.items(f"{path}.notReadyAddresses", subset.get("notReadyAddresses"))
        if not ready and not unready:
            errors.required(path, "must specify `addresses` or `notReadyAddresses`")
        for item, address in [*ready, *unready]:
            _validate_address(item, address, errors)
        ports = errors.items(f"{path}.ports", subset.get("ports"))
        for item, port in ports:
            _validate_endpoint_port(item, port, len(ports) > 1, errors)


def _validate_address(path: str, address: Mapping[str, object], errors: FieldErrors) -> None:
    value = str(address.get("ip") or "")
    if not valid_ip(value):
        errors.invalid(f"{path}.ip", value, IP_RULE)
        return
    hostname, node = str(address.get("hostname") or ""), address.get("nodeName")
    if hostname:
        validate_dns_label(f"{path}.hostname", hostname, errors)
    if node is not None:
        validate_dns_subdomain(f"{path}.nodeName", str(node), errors)
    validate_non_special_ip(f"{path}.ip", value, errors)


def _validate_endpoint_port(
    path: str, port: Mapping[str, object], needs_name: bool, errors: FieldErrors
) -> None:
    name, number = str(port.get("name") or ""), port.get("port", 0)
    if needs_name and not name:
        errors.required(f"{path}.name")
    elif name:
        validate_dns_label(f"{path}.name", name, errors)
    if isinstance(number, bool) or not isinstance(number, int) or not 0 < number < 65536:
        errors.invalid(f"{path}.port", number, PORT_RULE)
    errors.one_of(f"{path}.protocol", port.get("protocol"), PORT_PROTOCOLS)
    if port.get("appProtocol") is not None:
        validate_label_name(f"{path}.appProtocol", str(port["appProtocol"]), errors)


# -- EndpointSlices --------------------------------------------------------------------------------


def validate_slice(endpoints: Document, errors: FieldErrors) -> None:
    """Validate address type, addresses, and ports of an EndpointSlice."""
    type_ = endpoints.get("addressType")
    if not type_:
        errors.required("addressType")
    else:
        errors.one_of("addressType", type_, ADDRESS_TYPES)
    listed = errors.items("endpoints", endpoints.get("endpoints"))
    if len(listed) > MAX_ENDPOINTS:
        errors.too_many("endpoints", len(listed), MAX_ENDPOINTS)
    for path, endpoint in listed:
        _validate_endpoint(path, endpoint, str(type_), errors)
    names: set[str] = set()
    for path, port in errors.items("ports", endpoints.get("ports")):
        name = str(port.get("name") or "")
        if name:
            validate_dns_label(f"{path}.name", name, errors)
        if name in names:
            errors.duplicate(f"{path}.name", name)
        names.add(name)
        errors.one_of(f"{path}.protocol", port.get("protocol"), PORT_PROTOCOLS)
        if port.get("appProtocol") is not None:
            validate_label_name(f"{path}.appProtocol", str(port["appProtocol"]), errors)


def _validate_endpoint(path: str, endpoint: Document, type_: str, errors: FieldErrors) -> None:
    addresses: list[str] = endpoint.get("addresses") or []
    if not addresses:
        errors.required(f"{path}.addresses", "must contain at least 1 address")
    elif len(addresses) > MAX_ADDRESSES:
        errors.too_many(f"{path}.addresses", len(addresses), MAX_ADDRESSES)
    for index, address in enumerate(addresses):
        place = f"{path}.addresses[{index}]"
        if version := VERSIONS.get(type_):
            if not valid_ip(address) or ip_address(address).version != version:
                errors.invalid(place, address, f"must be a valid {type_} address")
            validate_non_special_ip(place, address, errors)
        elif type_ == "FQDN":
            validate_dns_subdomain(place, address, errors)
    if endpoint.get("nodeName") is not None:
        validate_dns_subdomain(f"{path}.nodeName", endpoint["nodeName"], errors)
    topology = endpoint.get("deprecatedTopology") or {}
    if len(topology) > MAX_TOPOLOGY_LABELS:
        errors.too_many(f"{path}.deprecatedTopology", len(topology), MAX_TOPOLOGY_LABELS)
    validate_labels(topology, f"{path}.deprecatedTopology", errors)
    if endpoint.get("hostname") is not None:
        validate_dns_label(f"{path}.hostname", endpoint["hostname"], errors)
    for field in HINTS:
        _validate_hints((endpoint.get("hints") or {}).get(field), f"{path}.hints.{field}", errors)


def _validate_hints(hints: object, path: str, errors: FieldErrors) -> None:
    listed = errors.items(path, hints)
    if len(listed) > MAX_HINTS:
        errors.too_many(path, len(listed), MAX_HINTS)
        return
    names: set[str] = set()
    for place, hint in listed:
        name = str(hint.get("name") or "")
        if name in names:
            errors.duplicate(f"{place}.name", name)
        names.add(name)
