"""Smaller kinds of the core group: Secret, ServiceAccount, quotas, limits, Endpoints.

`admission` enforces quotas and limits when objects are created. No component creates
ServiceAccounts: pods need no token. Endpoints are deprecated: EndpointSlices have replaced them.

Source: pkg/apis/core/v1/defaults.go, pkg/apis/core/validation/validation.go,
pkg/registry/core/secret/strategy.go.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode

from kubesim.apiserver.kindrules.endpoints import validate_endpoints
from kubesim.apiserver.kinds.rules import (
    IMMUTABLE,
    MAX_DATA_BYTES,
    validate_immutable,
    validate_immutable_data,
)
from kubesim.apiserver.podvalidation.bounds import validate_limit_item, validate_quota_scopes
from kubesim.apiserver.podvalidation.formats import (
    validate_config_key,
)
from kubesim.apiserver.podvalidation.resources import (
    validate_amount,
    validate_quota_resource_name,
)
from kubesim.apiserver.registry import Kind
from kubesim.apiserver.validation import FieldErrors, fill
from kubesim.objects.frozen import Document, objects_in
from kubesim.objects.wellknown import ACCOUNT_NAME, TOKEN_SECRET

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
