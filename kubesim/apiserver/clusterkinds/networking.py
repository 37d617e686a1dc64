"""Group networking.k8s.io: NetworkPolicy, IPAddress and ServiceCIDR.

All are only kept: a NetworkPolicy blocks no traffic, and Services get their addresses from one
fixed range.

Source: pkg/apis/networking/validation/validation.go, pkg/apis/networking/v1/defaults.go,
pkg/registry/networking/{networkpolicy,ipaddress,servicecidr}/strategy.go.
"""

from __future__ import annotations

from ipaddress import ip_address, ip_network

from kubesim.apiserver.clusterkinds.rules import validate_path_segment
from kubesim.apiserver.kindrules.addresses import validate_cidr
from kubesim.apiserver.kinds.rules import validate_immutable
from kubesim.apiserver.podvalidation.formats import (
    IP_RULE,
    valid_ip,
    validate_dns_subdomain,
    validate_port,
)
from kubesim.apiserver.podvalidation.selectors import validate_selector
from kubesim.apiserver.registry import Kind
from kubesim.apiserver.validation import FieldErrors, fill
from kubesim.objects.frozen import Document, objects_in

GROUP = "networking.k8s.io"
PROTOCOLS = ("TCP", "UDP", "SCTP")
POLICY_TYPES = ("Ingress", "Egress")


# -- NetworkPolicy ---------------------------------------------------------------------------------


def default_policy(policy: Document) -> None:
    """Default to ports of TCP, and to the types that the rules imply."""
    fill(policy, "spec", {})
    spec = policy["spec"]
    if not isinstance(spec, dict):
        return
    fill(spec, "podSelector", {})
    for direction in ("ingress", "egress"):
        for rule in objects_in(spec.get(direction)):
            for port in objects_in(rule.get("ports")):
                fill(port, "protocol", "TCP")
    if not spec.get("policyTypes"):
        spec["policyTypes"] = ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]


def validate_policy(policy: Document, errors: FieldErrors) -> None:
    """Validate selector, peers, ports and types of a NetworkPolicy."""
    spec: Document = policy.get("spec") or {}
    validate_selector(spec.get("podSelector"), "spec.podSelector", errors)
    for direction, peers in (("ingress", "from"), ("egress", "to")):
        for path, rule in errors.items(f"spec.{direction}", spec.get(direction)):
            for item, port in errors.items(f"{path}.ports", rule.get("ports")):
                _validate_policy_port(port, item, errors)
            for item, peer in errors.items(f"{path}.{peers}", rule.get(peers)):
                _validate_peer(peer, item, errors)
    types = spec.get("policyTypes") or ()
    if len(types) > len(POLICY_TYPES):
        errors.invalid("spec.policyTypes", types, "may not specify more than two policyTypes")
        return
    for index, each in enumerate(types):
        errors.one_of(f"spec.policyTypes[{index}]", each, POLICY_TYPES)


def _validate_policy_port(port: Document, path: str, errors: FieldErrors) -> None:
    number, end = port.get("port"), port.get("endPort")
    if port.get("protocol") is not None:
        errors.one_of(f"{path}.protocol", port["protocol"], PROTOCOLS)
    if number is None:
        if end is not None:
            detail = "may not be specified when `port` is not specified"
            errors.invalid(f"{path}.endPort", end, detail)
        return
    if end is not None and isinstance(number, str):
        detail = "may not be specified when `port` is non-numeric"
        errors.invalid(f"{path}.endPort", end, detail)
    validate_port(f"{path}.port", number, errors)
    if end is not None and isinstance(number, int):
        if end < number:
            detail = "must be greater than or equal to `port`"
            errors.invalid(f"{path}.endPort", number, detail)
        validate_port(f"{path}.endPort", end, errors)


def _validate_peer(peer: Document, path: str, errors: FieldErrors) -> None:
    names = ("podSelector", "namespaceSelector")
    selectors = [name for name in names if peer.get(name) is not None]
    block = peer.get("ipBlock")
    for name in selectors:
        validate_selector(peer[name], f"{path}.{name}", errors)
    if block is not None:
        _validate_block(block, f"{path}.ipBlock", errors)
    if block is None and not selectors:
        errors.required(path, "must specify a peer")
    elif block is not None and selectors:
        errors.forbidden(path, "may not specify both ipBlock and another peer")


def _validate_block(block: Document, path: str, errors: FieldErrors) -> None:
    if not block.get("cidr"):
        errors.required(f"{path}.cidr")
        return
    network = validate_cidr(f"{path}.cidr", block["cidr"], errors)
    if network is None:
        return
    for index, each in enumerate(block.get("except") or ()):
        excluded = validate_cidr(f"{path}.except[{index}]", each or "", errors)
        if excluded is None:
            continue
        inside = excluded.version == network.version and excluded.network_address in network
        if not inside or network.prefixlen >= excluded.prefixlen:
            errors.invalid(f"{path}.except[{index}]", each, "must be a strict subset of `cidr`")


# -- IPAddress and ServiceCIDR ---------------------------------------------------------------------


def valid_address_name(name: object) -> bool:
    """Return whether a name is an IP address in its canonical form."""
    return isinstance(name, str) and valid_ip(name) and str(ip_address(name)) == name


def validate_address(address: Document, errors: FieldErrors) -> None:
    """Validate the object that an IPAddress belongs to."""
    parent, path = (address.get("spec") or {}).get("parentRef"), "spec.parentRef"
    if parent is None:
        errors.required(path)
        return
    if parent.get("group"):
        validate_dns_subdomain(f"{path}.group", parent["group"], errors)
    for field in ("resource", "name", "namespace"):
        if parent.get(field):
            validate_path_segment(f"{path}.{field}", parent[field], errors)
        elif field != "namespace":
            errors.required(f"{path}.{field}")


def validate_address_update(new: Document, old: Document, errors: FieldErrors) -> None:
    """Forbid changes of the object that an IPAddress belongs to.

    Args:
        new, old: the object after and before the update.
        errors: receives the violations.
    """
    after, before = new.get("spec") or {}, old.get("spec") or {}
    validate_immutable(after.get("parentRef"), before.get("parentRef"), "spec.parentRef", errors)


def validate_range(service_range: Document, errors: FieldErrors) -> None:
    """Validate the address ranges of a ServiceCIDR: one, or one of each family."""
    spec: Document = service_range.get("spec") or {}
    ranges: list[str] = spec.get("cidrs") or []
    path = "spec.cidrs"
    if not ranges:
        errors.required(path, "at least one CIDR required")
    elif len(ranges) > 2:
        errors.invalid(path, spec, "may only hold up to 2 values")
    elif len(ranges) == 2 and len({":" in each for each in ranges}) == 1:
        detail = (
            "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and "
            "2001:db8::/64"
        )
        errors.invalid(path, spec, detail)
    else:
        for index, each in enumerate(ranges):
            _validate_canonical_range(f"{path}[{index}]", each, errors)


def _validate_canonical_range(path: str, value: str, errors: FieldErrors) -> None:
    try:
        network = ip_network(value, strict=False)
    except ValueError:
        network = None
    if network is None or "/" not in value:
        errors.invalid(path, value, f"netip.ParsePrefix(\"{value}\"): no '/'")
        return
    address = value.partition("/")[0]
    if ip_address(address) != network.network_address:
        detail = "wrong CIDR format, IP doesn't match network IP address"
        errors.invalid(path, value, detail)
    if f"{ip_address(address)}/{network.prefixlen}" != value:
        errors.invalid(path, value, "CIDR not in RFC 5952 canonical format")


def validate_range_update(new: Document, old: Document, errors: FieldErrors) -> None:
    """Forbid changes of the address ranges.

    Args:
        new, old: the object after and before the update.
        errors: receives the violations.
    """
    after, before = new.get("spec") or {}, old.get("spec") or {}
    validate_immutable(after.get("cidrs"), before.get("cidrs"), "spec.cidrs", errors)


KINDS = (
    Kind(
        "NetworkPolicy",
        "networkpolicies",
        group=GROUP,
        short_names=("netpol",),
        default=default_policy,
        validate=validate_policy,
        kept="it blocks no traffic",
        status=False,
    ),
    Kind(
        "IPAddress",
        "ipaddresses",
        group=GROUP,
        namespaced=False,
        short_names=("ip",),
        valid_name=valid_address_name,
        name_rule=IP_RULE,
        validate=validate_address,
        validate_update=validate_address_update,
        kept="Services get their addresses without it",
        status=False,
        counts_generation=False,
    ),
    Kind(
        "ServiceCIDR",
        "servicecidrs",
        group=GROUP,
        namespaced=False,
        validate=validate_range,
        validate_update=validate_range_update,
        kept="Services get their addresses from one fixed range",
        counts_generation=False,
    ),
)
