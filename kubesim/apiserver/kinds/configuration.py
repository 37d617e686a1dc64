"""The core group's smaller kinds: Secret, ServiceAccount, quotas, limits, Endpoints, volume claims.

Quotas and limits are enforced where objects are created (`quotas`, `limits`). No ServiceAccount or
Endpoints object is made by itself: pods need no token, and Services use EndpointSlices.

Source: pkg/apis/core/v1/defaults.go, pkg/apis/core/validation/validation.go,
pkg/registry/core/secret/strategy.go.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from typing import Any

from kubesim.apiserver.admission.limits import default_limits
from kubesim.apiserver.fields import FieldErrors, fill
from kubesim.apiserver.kinds.rules import (
    IMMUTABLE,
    IP_RULE,
    MAX_DATA_BYTES,
    valid_ip,
    validate_config_key,
)
from kubesim.apiserver.registry import Kind
from kubesim.objects.frozen import Document
from kubesim.quantity import parse_quantity

SECRET_NEEDS = {  # type of secret -> keys that its data must have
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
}
ACCESS_MODES = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
LIMIT_TYPES = ("Container", "PersistentVolumeClaim", "Pod")


# -- Secret ----------------------------------------------------------------------------------------


def default_secret(secret: Document) -> None:
    """Opaque, and `stringData` joins `data` in base 64: it is written and never read."""
    fill(secret, "type", "Opaque")
    texts = secret.get("stringData")
    if isinstance(texts, dict) and all(isinstance(text, str) for text in texts.values()):
        del secret["stringData"]
        fill(secret, "data", {})
        if isinstance(secret["data"], dict):
            encoded = {key: b64encode(text.encode()).decode() for key, text in texts.items()}
            secret["data"].update(encoded)


def validate_secret(secret: Document, errors: FieldErrors) -> None:
    """Keys are file names, values base 64, and each type has the keys that it needs."""
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
    for key in SECRET_NEEDS.get(str(secret.get("type")), ()):
        if key not in data:
            errors.required(f"data[{key}]")
    if secret.get("type") == "kubernetes.io/dockerconfigjson" and not errors.causes:
        try:
            json.loads(b64decode(data[".dockerconfigjson"]))
        except ValueError:
            errors.invalid("data[.dockerconfigjson]", "<secret contents redacted>", "no JSON")


def validate_secret_update(new: Document, old: Document, errors: FieldErrors) -> None:
    """The type stays, and an immutable secret stays whole."""
    if new.get("type") != old.get("type"):
        errors.invalid("type", new.get("type"), IMMUTABLE)
    if old.get("immutable") is True:
        for field in ("data", "immutable"):
            if new.get(field) != old.get(field):
                errors.forbidden(field, "field is immutable when `immutable` is set")


# -- quotas and limits -----------------------------------------------------------------------------


def _amounts(path: str, amounts: Any, errors: FieldErrors) -> None:
    for name, value in errors.mapping(path, amounts).items():
        errors.quantity(f"{path}[{name}]", value, parse_quantity)


def validate_quota(quota: Document, errors: FieldErrors) -> None:
    """What is limited is a quantity."""
    spec = errors.mapping("spec", quota.get("spec"))
    _amounts("spec.hard", spec.get("hard"), errors)


def validate_limits(limits: Document, errors: FieldErrors) -> None:
    """Each type once, its limits quantities."""
    spec = errors.mapping("spec", limits.get("spec"))
    seen: set[str] = set()
    for path, item in errors.items("spec.limits", spec.get("limits")):
        kind = str(item.get("type") or "")
        if kind not in LIMIT_TYPES and "/" not in kind:
            errors.invalid(f"{path}.type", kind, "must be a standard limit type or fully qualified")
        if kind in seen:
            errors.duplicate(f"{path}.type", kind)
        seen.add(kind)
        for field in ("max", "min", "default", "defaultRequest", "maxLimitRequestRatio"):
            _amounts(f"{path}.{field}", item.get(field), errors)


# -- claims and endpoints --------------------------------------------------------------------------


def default_claim(claim: Document) -> None:
    """A file system, waiting for a volume."""
    fill(claim, "spec", {})
    if isinstance(claim["spec"], dict):
        fill(claim["spec"], "volumeMode", "Filesystem")
    fill(claim, "status", {"phase": "Pending"})


def validate_claim(claim: Document, errors: FieldErrors) -> None:
    """Access modes, and how much storage."""
    spec = errors.mapping("spec", claim.get("spec"))
    modes = spec.get("accessModes")
    if not modes:
        errors.required("spec.accessModes", "at least 1 access mode is required")
    for mode in modes if isinstance(modes, list) else ():
        if mode not in ACCESS_MODES:
            errors.not_supported("spec.accessModes", mode, ACCESS_MODES)
    resources = errors.mapping("spec.resources", spec.get("resources"))
    asked = errors.mapping("spec.resources.requests", resources.get("requests")).get("storage")
    if asked is None:
        errors.required("spec.resources[storage]")
    else:
        errors.positive_quantity("spec.resources[storage]", asked, parse_quantity)


def validate_claim_update(new: Document, old: Document, errors: FieldErrors) -> None:
    """Of a claim only the size may change (and grow)."""
    kept = ("resources", "volumeName", "volumeAttributesClassName")
    before, after = (
        {k: v for k, v in (claim.get("spec") or {}).items() if k not in kept}
        for claim in (old, new)
    )
    if before != after:
        errors.forbidden(
            "spec",
            "spec is immutable after creation except resources.requests and "
            "volumeAttributesClassName for bound claims",
        )


def validate_endpoints(endpoints: Document, errors: FieldErrors) -> None:
    """Addresses are IP addresses."""
    for path, subset in errors.items("subsets", endpoints.get("subsets")):
        for item, address in errors.items(f"{path}.addresses", subset.get("addresses")):
            if not valid_ip(address.get("ip")):
                errors.invalid(f"{item}.ip", address.get("ip"), IP_RULE)


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
        "PersistentVolumeClaim",
        "persistentvolumeclaims",
        short_names=("pvc",),
        default=default_claim,
        validate=validate_claim,
        validate_update=validate_claim_update,
        counts_generation=False,
    ),
    Kind(
        "Endpoints",
        "endpoints",
        short_names=("ep",),
        validate=validate_endpoints,
        status=False,
        counts_generation=False,
    ),
)
