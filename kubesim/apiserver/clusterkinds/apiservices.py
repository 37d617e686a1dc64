"""Group apiregistration.k8s.io: APIService.

An APIService is only kept: requests are never forwarded to an aggregated API server, and its
condition Available says so. The groups of Kubernetes, and those of custom kinds, have APIServices
that the server registers itself (`kubesim.apiserver.upkeep`).

Source: k8s.io/kube-aggregator/pkg/apis/apiregistration/{validation/validation.go,v1/defaults.go},
k8s.io/kube-aggregator/pkg/controllers/{status (conditions),autoregister},
pkg/registry/apiservice/strategy.go, pkg/controlplane/apiserver/aggregator.go and
cmd/kube-apiserver/app/aggregator.go (priorities), pkg/controlplane/controller/crdregistration.
"""

from __future__ import annotations

from functools import lru_cache

from kubesim.apiserver.kinds.services import NAME_RULE, valid_service_name
from kubesim.apiserver.podvalidation.formats import validate_dns_subdomain
from kubesim.apiserver.registry import Kind, ServerView
from kubesim.apiserver.validation import FieldErrors, fill
from kubesim.objects.frozen import Document, FrozenDict, freeze
from kubesim.objects.meta import labels_of, name_of

GROUP = "apiregistration.k8s.io"
MAX_GROUP_PRIORITY, MAX_VERSION_PRIORITY = 20_000, 1_000
STATUSES = ("True", "False", "Unknown")
LOCAL = ("True", "Local", "Local APIServices are always available")
MANAGED = "kube-aggregator.kubernetes.io/automanaged"
ON_START, ALWAYS = "onstart", "true"
# (group, version) -> (priority of the group, of the version) of what Kubernetes serves by itself.
PRIORITIES = {
    ("", "v1"): (18_000, 1),
    ("apps", "v1"): (17_800, 15),
    ("events.k8s.io", "v1"): (17_750, 15),
    ("authentication.k8s.io", "v1"): (17_700, 15),
    ("authorization.k8s.io", "v1"): (17_600, 15),
    ("autoscaling", "v1"): (17_500, 15),
    ("autoscaling", "v2"): (17_500, 30),
    ("batch", "v1"): (17_400, 15),
    ("certificates.k8s.io", "v1"): (17_300, 15),
    ("networking.k8s.io", "v1"): (17_200, 15),
    ("policy", "v1"): (17_100, 15),
    ("rbac.authorization.k8s.io", "v1"): (17_000, 15),
    ("storage.k8s.io", "v1"): (16_800, 15),
    ("apiextensions.k8s.io", "v1"): (16_700, 15),
    ("admissionregistration.k8s.io", "v1"): (16_700, 15),
    ("scheduling.k8s.io", "v1"): (16_600, 15),
    ("coordination.k8s.io", "v1"): (16_500, 15),
    ("node.k8s.io", "v1"): (16_300, 15),
    ("discovery.k8s.io", "v1"): (16_200, 15),
    ("resource.k8s.io", "v1"): (16_200, 20),
    ("flowcontrol.apiserver.k8s.io", "v1"): (16_100, 21),
    ("metrics.k8s.io", "v1beta1"): (100, 100),  # upstream: metrics-server's
}
CUSTOM_PRIORITY = (1_000, 100)
NOT_FORWARDED = "kubesim does not forward requests to aggregated API servers"


@lru_cache(maxsize=1)
def built_in_services() -> dict[str, Document]:
    """Return metadata and spec of the APIServices of Kubernetes' groups, by name; frozen."""
    rows = [_registered(*each, priority, ON_START) for each, priority in PRIORITIES.items()]
    return {name_of(row): row for row in rows}


def _registered(group: str, version: str, priority: tuple[int, int], managed: str) -> Document:
    spec = {"version": version, "groupPriorityMinimum": priority[0], "versionPriority": priority[1]}
    document: Document = freeze(
        {
            "metadata": {"name": f"{version}.{group}", "labels": {MANAGED: managed}},
            "spec": {"group": group, **spec} if group else spec,
        }
    )
    return document


def local_service(name: str, uid: str, now: str) -> FrozenDict:
    """Return the APIService of a group that the server serves itself, as it is stored.

    Args:
        name: of a group of Kubernetes, or of a custom kind.
        uid: of the new object.
        now: the time of its creation.
    """
    document = built_in_services().get(name)
    if document is None:
        version, _, group = name.partition(".")
        document = _registered(group, version, CUSTOM_PRIORITY, ALWAYS)
    metadata = {**document["metadata"], "uid": uid, "creationTimestamp": now}
    whole: Document = {"kind": "APIService", "apiVersion": f"{GROUP}/v1", "spec": document["spec"]}
    status = freeze({"conditions": [condition(*LOCAL, now)]})
    return FrozenDict({**whole, "metadata": FrozenDict(metadata), "status": status})


def is_of_custom_kind(service: Document) -> bool:
    """Return whether the server registered an APIService for a custom kind."""
    return labels_of(service).get(MANAGED) == ALWAYS


def services_of(definition: Document | None) -> set[str]:
    """Return the names of the APIServices of a custom kind's served versions."""
    if definition is None:
        return set()
    spec = definition["spec"]
    return {f"{each['name']}.{spec['group']}" for each in spec["versions"] if each.get("served")}


def condition(status: str, reason: str, message: str, now: str) -> Document:
    """Return the condition Available.

    Args:
        status, reason, message: of the condition.
        now: the timestamp.
    """
    return {
        "type": "Available",
        "status": status,
        "lastTransitionTime": now,
        "reason": reason,
        "message": message,
    }


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
    now = api.clock.timestamp()
    service["status"] = {"conditions": [condition(status, reason, message, now)]}


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
        group=GROUP,
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
