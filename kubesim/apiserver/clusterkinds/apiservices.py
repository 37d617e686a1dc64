"""Group apiregistration.k8s.io: APIService.

An APIService is only kept: requests are never forwarded to an aggregated API server, and its
condition Available says so. Those that Kubernetes creates for its own groups are not listed.

Source: k8s.io/kube-aggregator/pkg/apis/apiregistration/{validation/validation.go,v1/defaults.go},
k8s.io/kube-aggregator/pkg/controllers/status (conditions), pkg/registry/apiservice/strategy.go.
"""

from __future__ import annotations

from kubesim.apiserver.kinds.services import NAME_RULE, valid_service_name
from kubesim.apiserver.podvalidation.formats import validate_dns_subdomain
from kubesim.apiserver.registry import Kind, ServerView
from kubesim.apiserver.validation import FieldErrors, fill
from kubesim.objects.frozen import Document
from kubesim.objects.meta import name_of

MAX_GROUP_PRIORITY, MAX_VERSION_PRIORITY = 20_000, 1_000
STATUSES = ("True", "False", "Unknown")
LOCAL = ("True", "Local", "Local APIServices are always available")
NOT_FORWARDED = "kubesim does not forward requests to aggregated API servers"


def default_api_service(service: Document) -> None:
    """Default to port 443 of the Service."""
    fill(service, "spec", {})
    target = service["spec"].get("service") if isinstance(service["spec"], dict) else None
    if isinstance(target, dict):
        fill(target, "port", 443)


def admit_api_service(api: ServerView, service: Document, old: Document | None) -> None:
    """Give a new APIService its condition.

    Args:
        api: what an admission hook may use of the server.
        service: the APIService; it is changed in place.
        old: the stored one; None at creation.
    """
    spec = service.get("spec")
    if old is not None or not isinstance(spec, dict):
        return
    target = spec.get("service")
    status, reason, message = LOCAL
    if isinstance(target, dict):
        namespace, name = str(target.get("namespace")), str(target.get("name"))
        status, reason, message = "False", "FailedDiscoveryCheck", NOT_FORWARDED
        if api.store.get(api.registry.find("Service").key(namespace, name)) is None:
            reason, message = "ServiceNotFound", f'service/{name} in "{namespace}" is not present'
    condition = {
        "type": "Available",
        "status": status,
        "lastTransitionTime": api.clock.timestamp(),
        "reason": reason,
        "message": message,
    }
    service["status"] = {"conditions": [condition]}


def valid_api_service_name(name: object) -> bool:
    """Return whether a name is a segment of a path; what it must be depends on the spec."""
    return isinstance(name, str) and name not in (".", "..") and not set(name) & set("/%")


def validate_api_service(service: Document, errors: FieldErrors) -> None:
    """Validate name, group, version, priorities and the Service of an APIService."""
    spec: Document = service.get("spec") or {}
    group, version = spec.get("group") or "", spec.get("version") or ""
    if name_of(service) != f"{version}.{group}":
        detail = f'must be `spec.version+"."+spec.group`: "{version}.{group}"'
        errors.invalid("metadata.name", name_of(service), detail)
    if not group and version != "v1":
        detail = "only v1 may have an empty group and it better be legacy kube"
        errors.required("spec.group", detail)
    if group:
        validate_dns_subdomain("spec.group", group, errors)
    if not valid_service_name(version):
        errors.invalid("spec.version", version, NAME_RULE)
    for field, most in (
        ("groupPriorityMinimum", MAX_GROUP_PRIORITY),
        ("versionPriority", MAX_VERSION_PRIORITY),
    ):
        value = spec.get(field) or 0
        if not 0 < value <= most:
            errors.invalid(f"spec.{field}", value, f"must be positive and less than {most}")
    _validate_client(spec, errors)


def _validate_client(spec: Document, errors: FieldErrors) -> None:
    target, bundle = spec.get("service"), spec.get("caBundle")
    insecure = bool(spec.get("insecureSkipTLSVerify"))
    if target is None:
        if bundle:
            detail = "local APIServices may not have a caBundle"
            errors.invalid("spec.caBundle", f"{len(bundle)} bytes", detail)
        if insecure:
            detail = "local APIServices may not have insecureSkipTLSVerify"
            errors.invalid("spec.insecureSkipTLSVerify", insecure, detail)
        return
    for field in ("namespace", "name"):
        if not target.get(field):
            errors.required(f"spec.service.{field}")
    if insecure and bundle:
        detail = "may not be true if caBundle is present"
        errors.invalid("spec.insecureSkipTLSVerify", insecure, detail)


def validate_api_service_status(service: Document, errors: FieldErrors) -> None:
    """Validate that each condition is True, False or Unknown."""
    conditions = (service.get("status") or {}).get("conditions")
    for path, condition in errors.items("status.conditions", conditions):
        errors.one_of(f"{path}.status", condition.get("status"), STATUSES)


KINDS = (
    Kind(
        "APIService",
        "apiservices",
        group="apiregistration.k8s.io",
        namespaced=False,
        categories=("api-extensions",),
        default=default_api_service,
        admit=admit_api_service,
        valid_name=valid_api_service_name,
        validate=validate_api_service,
        validate_status=validate_api_service_status,
        kept="requests are not forwarded to it",
        counts_generation=False,
    ),
)
