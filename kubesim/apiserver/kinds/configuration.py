"""Smaller kinds of the core group: Secret, ServiceAccount, quotas, limits, Endpoints.

`admission` enforces quotas and limits when objects are created. No component creates
ServiceAccounts: pods need no token. Endpoints are deprecated: EndpointSlices have replaced them.

Source: pkg/apis/core/v1/defaults.go, pkg/apis/core/validation/validation.go,
pkg/registry/core/secret/strategy.go.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_address

from kubesim.apiserver.kinds.rules import (
    IMMUTABLE,
    MAX_DATA_BYTES,
    validate_immutable,
    validate_immutable_data,
)
from kubesim.apiserver.podvalidation.bounds import validate_limit_item, validate_quota_scopes
from kubesim.apiserver.podvalidation.formats import (
    IP_RULE,
    PORT_RULE,
    valid_ip,
    validate_config_key,
)
from kubesim.apiserver.podvalidation.resources import (
    validate_amount,
    validate_quota_resource_name,
)
from kubesim.apiserver.registry import Kind
from kubesim.apiserver.validation import LABEL_RULE, FieldErrors, fill
from kubesim.objects.frozen import Document, objects_in
from kubesim.objects.meta import valid_dns1123_label
from kubesim.objects.wellknown import ACCOUNT_NAME, PORT_PROTOCOLS, TOKEN_SECRET

LINK_LOCAL_MULTICAST: dict[int, IPv4Network | IPv6Network] = {
    4: IPv4Network("224.0.0.0/24"),
    6: IPv6Network("ff02::/16"),
}
REQUIRED_KEYS = {  # type of secret -> keys that its data must have
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
}
LIMIT_TYPES = ("Container", "PersistentVolumeClaim", "Pod")


# -- Secret ----------------------------------------------------------------------------------------


def default_secret(secret: Document) -> None:
    """Default to type Opaque, and move `stringData` to `data`, encoded in base 64."""
    fill(secret, "type", "Opaque")
    strings = secret.get("stringData")
    if isinstance(strings, dict) and all(isinstance(text, str) for text in strings.values()):
        del secret["stringData"]
        fill(secret, "data", {})
        if isinstance(secret["data"], dict):
            encoded = {key: b64encode(text.encode()).decode() for key, text in strings.items()}
            secret["data"].update(encoded)


def validate_secret(secret: Document, errors: FieldErrors) -> None:
    """Validate keys, base 64 values, size, and the keys that the type requires."""
    data = errors.mapping("data", secret.get("data"))
    size = 0
    for key, value in data.items():
        validate_config_key(f"data[{key}]", str(key), errors)
        try:
            size += len(b64decode(value, validate=True))
        except (TypeError, ValueError):
            errors.invalid(f"data[{key}]", value, "illegal base64 data")
    if size > MAX_DATA_BYTES:
        errors.too_long("data", MAX_DATA_BYTES)
    if secret.get("type") == TOKEN_SECRET:
        if not (secret["metadata"].get("annotations") or {}).get(ACCOUNT_NAME):
            errors.required(f"metadata.annotations[{ACCOUNT_NAME}]")
    for key in REQUIRED_KEYS.get(str(secret.get("type")), ()):
        if key not in data:
            errors.required(f"data[{key}]")
    if secret.get("type") == "kubernetes.io/dockerconfigjson" and not errors.causes:
        try:
            json.loads(b64decode(data[".dockerconfigjson"]))
        except ValueError:
            errors.invalid("data[.dockerconfigjson]", "<secret contents redacted>", "no JSON")


def validate_secret_update(new: Document, old: Document, errors: FieldErrors) -> None:
    """Forbid changes of the type, and all changes of an immutable Secret.

    Args:
        new, old: the object after and before the update.
        errors: receives the violations.
    """
    validate_immutable(new.get("type"), old.get("type"), "type", errors)
    validate_immutable_data(new, old, ("data", "immutable"), errors)


# -- quotas and limits -----------------------------------------------------------------------------


def validate_quota(quota: Document, errors: FieldErrors) -> None:
    """Validate the names and amounts of a ResourceQuota's limits, and its scopes."""
    spec = errors.mapping("spec", quota.get("spec"))
    for name, value in (spec.get("hard") or {}).items():
        validate_quota_resource_name(f"spec.hard[{name}]", name, errors)
        validate_amount(f"spec.hard[{name}]", name, value or 0, errors)
    validate_quota_scopes(spec, errors)


def validate_quota_update(new: Document, old: Document, errors: FieldErrors) -> None:
    """Forbid changes of a ResourceQuota's scopes.

    Args:
        new, old: the object after and before the update.
        errors: receives the violations.
    """
    after, before = ((quota.get("spec") or {}).get("scopes") or [] for quota in (new, old))
    if sorted(map(str, after)) != sorted(map(str, before)):
        errors.invalid("spec.scopes", after, IMMUTABLE)


def default_limits(limits: Document) -> None:
    """Derive missing defaults for containers from maxima and minima."""
    spec = limits.get("spec")
    for item in objects_in(spec.get("limits") if isinstance(spec, dict) else None):
        if item.get("type") != "Container":
            continue
        if not all(isinstance(item.get(side) or {}, dict) for side in ("max", "min", "default")):
            continue  # validation refuses it
        default = {**(item.get("max") or {}), **(item.get("default") or {})}
        declared = item.get("defaultRequest")
        request = {**(item.get("min") or {}), **default}
        if isinstance(declared, dict):
            request |= declared
        if default:
            item["default"] = default
        if request:
            item["defaultRequest"] = request


def validate_limits(limits: Document, errors: FieldErrors) -> None:
    """Validate a LimitRange: each type once, with names and amounts that agree."""
    spec = errors.mapping("spec", limits.get("spec"))
    types: set[str] = set()
    for path, item in errors.items("spec.limits", spec.get("limits")):
        kind = str(item.get("type") or "")
        if kind not in LIMIT_TYPES and "/" not in kind:
            errors.invalid(f"{path}.type", kind, "must be a standard limit type or fully qualified")
        if kind in types:
            errors.duplicate(f"{path}.type", kind)
        types.add(kind)
        validate_limit_item(path, item, errors)


# -- Endpoints -------------------------------------------------------------------------------------


def default_endpoints(endpoints: Document) -> None:
    """Set the protocol of ports: TCP (SetDefaults_Endpoints)."""
    for subset in objects_in(endpoints.get("subsets")):
        for port in objects_in(subset.get("ports")):
            fill(port, "protocol", "TCP")


def validate_endpoints(endpoints: Document, errors: FieldErrors) -> None:
    """Validate subsets: there are addresses, they may be reached, and ports have unique names.

    Source: pkg/apis/core/validation/validation.go (validateEndpointSubsets).
    """
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
    if not valid_ip(address.get("ip")):
        errors.invalid(f"{path}.ip", address.get("ip"), IP_RULE)
        return
    ip = ip_address(str(address["ip"]))
    hostname = address.get("hostname")
    if hostname and not valid_dns1123_label(hostname):
        errors.invalid(f"{path}.hostname", hostname, LABEL_RULE)
    for forbidden, rule in (
        (ip.is_unspecified, "may not be unspecified (0.0.0.0 or ::)"),
        (ip.is_loopback, "may not be in the loopback range (127.0.0.0/8, ::1/128)"),
        (ip.is_link_local, "may not be in the link-local range (169.254.0.0/16, fe80::/10)"),
        (
            ip in LINK_LOCAL_MULTICAST[ip.version],
            "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)",
        ),
    ):
        if forbidden:
            errors.invalid(f"{path}.ip", address["ip"], rule)


def _validate_endpoint_port(
    path: str, port: Mapping[str, object], needs_name: bool, errors: FieldErrors
) -> None:
    name, number = port.get("name"), port.get("port", 0)
    if needs_name and not name:
        errors.required(f"{path}.name")
    elif name and not valid_dns1123_label(name):
        errors.invalid(f"{path}.name", name, LABEL_RULE)
    if isinstance(number, bool) or not isinstance(number, int) or not 0 < number < 65536:
        errors.invalid(f"{path}.port", number, PORT_RULE)
    errors.one_of(f"{path}.protocol", port.get("protocol"), PORT_PROTOCOLS)


KINDS = (
    Kind(
        "Secret",
        "secrets",
        default=default_secret,
        validate=validate_secret,
        validate_update=validate_secret_update,
        status=False,
        selectable_fields=("type",),
    ),
    Kind("ServiceAccount", "serviceaccounts", short_names=("sa",), status=False),
    Kind(
        "ResourceQuota",
        "resourcequotas",
        short_names=("quota",),
        validate=validate_quota,
        validate_update=validate_quota_update,
        counts_generation=False,
    ),
    Kind(
        "LimitRange",
        "limitranges",
        short_names=("limits",),
        default=default_limits,
        validate=validate_limits,
        status=False,
        counts_generation=False,
    ),
    Kind(
        "Endpoints",
        "endpoints",
        short_names=("ep",),
        default=default_endpoints,
        validate=validate_endpoints,
        deprecation="v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice",
        status=False,
        counts_generation=False,
    ),
)
