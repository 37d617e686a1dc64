"""Group networking.k8s.io: Ingress and IngressClass.

No traffic passes through an Ingress, which is only kept. A new Ingress gets the default
IngressClass, as by the admission plug-in DefaultIngressClass.

Source: pkg/apis/networking/validation/validation.go, pkg/apis/networking/v1/defaults.go,
pkg/registry/networking/{ingress,ingressclass}/strategy.go,
plugin/pkg/admission/network/defaultingressclass/admission.go.
"""

from __future__ import annotations

from kubesim.apiserver.clusterkinds.rules import (
    validate_host,
    validate_path_segment,
)
from kubesim.apiserver.kinds.rules import validate_immutable
from kubesim.apiserver.kinds.services import NAME_RULE as SERVICE_NAME_RULE
from kubesim.apiserver.kinds.services import valid_service_name
from kubesim.apiserver.podvalidation.formats import (
    valid_ip,
    validate_dns_label,
    validate_dns_subdomain,
    validate_ip,
    validate_port,
    validate_prefixed_path,
)
from kubesim.apiserver.registry import Kind, ServerView
from kubesim.apiserver.validation import FieldErrors, fill
from kubesim.objects.frozen import Document
from kubesim.objects.meta import annotations_of, name_of

GROUP = "networking.k8s.io"
CLASS_ANNOTATION = "kubernetes.io/ingress.class"
ANNOTATION_WARNING = (
    f"annotation \"{CLASS_ANNOTATION}\" is deprecated, please use 'spec.ingressClassName' instead"
)
DEFAULT_CLASS = "ingressclass.kubernetes.io/is-default-class"
PATH_TYPES = ("Exact", "ImplementationSpecific", "Prefix")
SCOPES = ("Cluster", "Namespace")
MAX_CONTROLLER = 250
INVALID_SEQUENCES = ("//", "/./", "/../", "%2f", "%2F")
INVALID_SUFFIXES = ("/..", "/.")


# -- Ingress ---------------------------------------------------------------------------------------


def admit_ingress(api: ServerView, ingress: Document, old: Document | None) -> None:
    """Give a new Ingress that names no class the default one.

    Args:
        api: what an admission hook may use of the server.
        ingress: the Ingress; it is changed in place.
        old: the stored Ingress; None at creation.
    """
    fill(ingress, "spec", {})
    spec = ingress["spec"]
    if old is not None or not isinstance(spec, dict) or spec.get("ingressClassName") is not None:
        return
    if CLASS_ANNOTATION in annotations_of(ingress):
        return
    classes = [kv.value for kv in api.store.list(api.registry.find("IngressClass").prefix).items]
    defaults = [each for each in classes if annotations_of(each).get(DEFAULT_CLASS) == "true"]
    defaults.sort(key=name_of)
    if defaults:  # the newest one; of several of one second, the first by name
        newest = max(defaults, key=lambda each: str(each["metadata"]["creationTimestamp"]))
        spec["ingressClassName"] = name_of(newest)


def validate_ingress(ingress: Document, errors: FieldErrors) -> None:
    """Validate rules, backends, hosts and TLS of an Ingress."""
    spec: Document = ingress.get("spec") or {}
    rules, backend = errors.items("spec.rules", spec.get("rules")), spec.get("defaultBackend")
    if not rules and backend is None:
        detail = "either `defaultBackend` or `rules` must be specified"
        errors.invalid("spec", spec.get("rules"), detail)
    if backend is not None:
        _validate_backend(backend, "spec.defaultBackend", errors)
    for path, rule in rules:
        _validate_rule(rule, path, errors)
    for path, tls in errors.items("spec.tls", spec.get("tls")):
        for index, host in enumerate(tls.get("hosts") or ()):
            validate_host(f"{path}.hosts[{index}]", host or "", errors)
        if tls.get("secretName"):
            validate_dns_subdomain(f"{path}.secretName", tls["secretName"], errors)
    if spec.get("ingressClassName") is not None:
        validate_dns_subdomain("spec.ingressClassName", spec["ingressClassName"], errors)


def validate_new_ingress(ingress: Document, errors: FieldErrors) -> None:
    """Validate that the old annotation and the field name the same class."""
    declared = annotations_of(ingress).get(CLASS_ANNOTATION)
    name = (ingress.get("spec") or {}).get("ingressClassName")
    if declared is not None and name not in (None, declared):
        detail = "must match `ingressClassName` when both are specified"
        errors.invalid(f"annotations.{CLASS_ANNOTATION}", declared, detail)


def warn_of_ingress(ingress: Document, created: bool) -> list[str]:
    """Warn, at creation, of the old annotation."""
    is_old = created and CLASS_ANNOTATION in annotations_of(ingress)
    return [ANNOTATION_WARNING] if is_old else []


def _validate_rule(rule: Document, path: str, errors: FieldErrors) -> None:
    host = rule.get("host") or ""
    if valid_ip(host):
        errors.invalid(f"{path}.host", host, "must be a DNS name, not an IP address")
    if host:
        validate_host(f"{path}.host", host, errors)
    http = rule.get("http")
    if http is None:
        return
    paths = errors.items(f"{path}.http.paths", http.get("paths"))
    if not paths:
        errors.required(f"{path}.http.paths")
    for item, each in paths:
        _validate_http_path(each, item, errors)


def _validate_http_path(path: Document, where: str, errors: FieldErrors) -> None:
    kind, value = path.get("pathType"), path.get("path") or ""
    if kind is None:
        errors.required(f"{where}.pathType", "pathType must be specified")
        return
    if kind not in PATH_TYPES:
        errors.not_supported(f"{where}.pathType", kind, PATH_TYPES)
    elif (value or kind != "ImplementationSpecific") and not value.startswith("/"):
        errors.invalid(f"{where}.path", value, "must be an absolute path")
    if kind in ("Exact", "Prefix"):
        for sequence in INVALID_SEQUENCES:
            if sequence in value:
                errors.invalid(f"{where}.path", value, f"must not contain '{sequence}'")
        for suffix in INVALID_SUFFIXES:
            if value.endswith(suffix):
                errors.invalid(f"{where}.path", value, f"cannot end with '{suffix}'")
    _validate_backend(path.get("backend") or {}, f"{where}.backend", errors)


def _validate_backend(backend: Document, path: str, errors: FieldErrors) -> None:
    service, resource = backend.get("service"), backend.get("resource")
    if service is not None and resource is not None:
        errors.invalid(path, "", "cannot set both resource and service backends")
    elif resource is not None:
        _validate_reference(resource, f"{path}.resource", errors)
    elif service is None:
        errors.invalid(path, "", "resource or service backend is required")
    else:
        _validate_service(service, path, errors)


def _validate_service(service: Document, path: str, errors: FieldErrors) -> None:
    name = service.get("name") or ""
    if not name:
        errors.required(f"{path}.service.name")
    elif not valid_service_name(name):
        errors.invalid(f"{path}.service.name", name, SERVICE_NAME_RULE)
    port = service.get("port") or {}
    if port.get("name") and port.get("number"):
        errors.invalid(path, "", "cannot set both port name & port number")
    elif port.get("name"):
        validate_port(f"{path}.service.port.name", str(port["name"]), errors)
    elif port.get("number"):
        validate_port(f"{path}.service.port.number", port["number"], errors)
    else:
        errors.required(path, "port name or number is required")


def _validate_reference(target: Document, path: str, errors: FieldErrors) -> None:
    """Validate a reference to an object: apiGroup, kind and name."""
    if target.get("apiGroup") is not None:
        validate_dns_subdomain(f"{path}.apiGroup", target["apiGroup"], errors)
    for field in ("kind", "name"):
        if not target.get(field):
            errors.required(f"{path}.{field}", f"{field} is required")
        else:
            validate_path_segment(f"{path}.{field}", target[field], errors)


def validate_ingress_status(ingress: Document, errors: FieldErrors) -> None:
    """Validate the addresses of an Ingress's load balancer."""
    balancer = (ingress.get("status") or {}).get("loadBalancer") or {}
    for path, point in errors.items("status.loadBalancer.ingress", balancer.get("ingress")):
        if point.get("ip"):
            validate_ip(f"{path}.ip", point["ip"], errors)
        if host := point.get("hostname"):
            validate_dns_subdomain(f"{path}.hostname", host, errors)
            if valid_ip(host):
                detail = "must be a DNS name, not an IP address"
                errors.invalid(f"{path}.hostname", host, detail)


# -- IngressClass ----------------------------------------------------------------------------------


def default_class(ingress_class: Document) -> None:
    """Default to parameters of the whole cluster."""
    fill(ingress_class, "spec", {})
    spec = ingress_class["spec"]
    parameters = spec.get("parameters") if isinstance(spec, dict) else None
    if isinstance(parameters, dict):
        fill(parameters, "scope", "Cluster")


def validate_class(ingress_class: Document, errors: FieldErrors) -> None:
    """Validate the controller of an IngressClass, and its parameters."""
    spec: Document = ingress_class.get("spec") or {}
    controller = spec.get("controller") or ""
    if len(controller.encode()) > MAX_CONTROLLER:
        errors.too_long("spec.controller", MAX_CONTROLLER)
    validate_prefixed_path("spec.controller", controller, errors)
    parameters, path = spec.get("parameters"), "spec.parameters"
    if parameters is None:
        return
    _validate_reference(parameters, path, errors)
    scope, namespace = parameters.get("scope"), parameters.get("namespace")
    if scope not in SCOPES:
        errors.not_supported(f"{path}.scope", scope, SCOPES)
    elif scope == "Cluster" and namespace is not None:
        errors.forbidden(f"{path}.namespace", "`parameters.scope` is set to 'Cluster'")
    elif scope == "Namespace" and namespace is None:
        errors.required(f"{path}.namespace", "`parameters.scope` is set to 'Namespace'")
    elif scope == "Namespace":
        validate_dns_label(f"{path}.namespace", namespace, errors)


def validate_class_update(new: Document, old: Document, errors: FieldErrors) -> None:
    """Forbid changes of the controller.

    Args:
        new, old: the object after and before the update.
        errors: receives the violations.
    """
    after, before = new.get("spec") or {}, old.get("spec") or {}
    validate_immutable(after.get("controller"), before.get("controller"), "spec.controller", errors)


KINDS = (
    Kind(
        "Ingress",
        "ingresses",
        group=GROUP,
        short_names=("ing",),
        admit=admit_ingress,
        validate=validate_ingress,
        validate_new=validate_new_ingress,
        kept="no traffic passes through it",
        warn=warn_of_ingress,
        validate_status=validate_ingress_status,
        zero_status={"loadBalancer": {}},
    ),
    Kind(
        "IngressClass",
        "ingressclasses",
        group=GROUP,
        namespaced=False,
        default=default_class,
        validate=validate_class,
        validate_update=validate_class_update,
        partly="it can be the default of new Ingresses, but no controller serves them",
        status=False,
    ),
)
