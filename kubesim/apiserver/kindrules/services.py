"""The rules of a Service: type, ports, addresses, affinity and traffic policies.

Source: pkg/apis/core/validation/validation.go (ValidateService, ValidateServiceUpdate),
pkg/registry/core/service/storage/alloc.go (initIPFamilyFields), pkg/api/service/util.go.
"""

from __future__ import annotations

from kubesim.apiserver.kindrules.addresses import validate_cidr, validate_non_special_ip
from kubesim.apiserver.podvalidation.formats import (
    IP_RULE,
    PORT_RULE,
    valid_ip,
    validate_dns_label,
    validate_dns_subdomain,
    validate_ip,
    validate_label_name,
    validate_port,
)
from kubesim.apiserver.validation import FieldErrors, validate_labels
from kubesim.objects.frozen import Document
from kubesim.objects.wellknown import PORT_PROTOCOLS

NODE_PORTS = range(30_000, 32_768)  # --service-node-port-range
TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
HEADLESS = "None"
POLICIES = ("Cluster", "Local")
FAMILIES = ("IPv4", "IPv6")
FAMILY_POLICIES = ("PreferDualStack", "RequireDualStack", "SingleStack")
DISTRIBUTIONS = ("PreferClose", "PreferSameNode", "PreferSameZone")
MAX_AFFINITY_SECONDS = 86_400
ONLY_LOAD_BALANCERS = "may only be used when `type` is 'LoadBalancer'"
NOT_FOR_EXTERNAL_NAMES = "may not be set for ExternalName services"
SET_ONCE = "may not change once set"
WITH_NODE_PORTS = ("LoadBalancer", "NodePort")


def is_externally_accessible(spec: Document) -> bool:
    """Return whether clients outside of the cluster can reach it (ExternallyAccessible)."""
    type_ = spec.get("type")
    return type_ in WITH_NODE_PORTS or (type_ == "ClusterIP" and bool(spec.get("externalIPs")))


def needs_health_check(spec: Document) -> bool:
    """Return whether a load balancer asks nodes for their endpoints (NeedsHealthCheck)."""
    return spec.get("type") == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"


def validate_service(service: Document, errors: FieldErrors) -> None:
    """Validate a Service with its defaults."""
    spec: Document = service.get("spec") or {}
    type_ = spec.get("type")
    headless = spec.get("clusterIP") == HEADLESS
    ports = errors.items("spec.ports", spec.get("ports"))
    if not ports and not headless and type_ != "ExternalName":
        errors.required("spec.ports")
    if type_ == "ExternalName":
        _validate_external_name(spec, errors)
    elif headless and type_ in WITH_NODE_PORTS:
        rule = f"may not be set to 'None' for {type_} services"
        errors.invalid("spec.clusterIPs[0]", HEADLESS, rule)
    _validate_ports(ports, type_, errors)
    if spec.get("selector") is not None:
        validate_labels(spec["selector"], "spec.selector", errors)
    _validate_affinity(spec, errors)
    if type_ != "ExternalName":
        _validate_addresses(spec, errors)
    for index, address in enumerate(spec.get("externalIPs") or ()):
        path = f"spec.externalIPs[{index}]"
        validate_ip(path, address, errors)
        validate_non_special_ip(path, address, errors)
    errors.one_of("spec.type", type_, TYPES)
    _validate_load_balancer(spec, errors)
    _validate_traffic(spec, errors)


def _validate_external_name(spec: Document, errors: FieldErrors) -> None:
    """Validate a Service that is only an alias: it has no addresses."""
    if spec.get("clusterIP") or spec.get("clusterIPs"):
        errors.forbidden("spec.clusterIPs", NOT_FOR_EXTERNAL_NAMES)
    for field in ("ipFamilies", "ipFamilyPolicy"):
        if spec.get(field):
            errors.forbidden(f"spec.{field}", NOT_FOR_EXTERNAL_NAMES)
    name = str(spec.get("externalName") or "").removesuffix(".")
    if name:
        validate_dns_subdomain("spec.externalName", name, errors)
    else:
        errors.required("spec.externalName")


# -- ports -----------------------------------------------------------------------------------------


def _validate_ports(ports: list[tuple[str, Document]], type_: object, errors: FieldErrors) -> None:
    names: set[str] = set()
    node_ports: set[tuple[object, object]] = set()
    port_keys: set[tuple[object, object]] = set()
    for path, port in ports:
        _validate_port(path, port, len(ports) > 1, names, errors)
        protocol, number, node_port = (port.get(f) for f in ("protocol", "port", "nodePort"))
        if node_port and type_ == "ClusterIP":
            errors.forbidden(f"{path}.nodePort", "may not be used when `type` is 'ClusterIP'")
        elif node_port and node_port not in NODE_PORTS:
            rule = "provided port is not in the valid range. The range of valid ports is "
            errors.invalid(f"{path}.nodePort", node_port, f"{rule}30000-32767")
        if node_port and (protocol, node_port) in node_ports:
            errors.duplicate(f"{path}.nodePort", node_port)
        if (protocol, number) in port_keys:
            errors.duplicate(path, {"protocol": protocol, "port": number})
        node_ports.add((protocol, node_port))
        port_keys.add((protocol, number))


def _validate_port(
    path: str, port: Document, needs_name: bool, names: set[str], errors: FieldErrors
) -> None:
    name = str(port.get("name") or "")
    if name:
        validate_dns_label(f"{path}.name", name, errors)
        if name in names:
            errors.duplicate(f"{path}.name", name)
        names.add(name)
    elif needs_name:
        errors.required(f"{path}.name")
    number, target = port.get("port") or 0, port.get("targetPort")
    if not 0 < number < 65_536:
        errors.invalid(f"{path}.port", number, PORT_RULE)
    errors.one_of(f"{path}.protocol", port.get("protocol"), PORT_PROTOCOLS)
    validate_port(f"{path}.targetPort", 0 if target is None else target, errors)
    if port.get("appProtocol") is not None:
        validate_label_name(f"{path}.appProtocol", port["appProtocol"], errors)


# -- session affinity ------------------------------------------------------------------------------


def _validate_affinity(spec: Document, errors: FieldErrors) -> None:
    affinity = spec.get("sessionAffinity")
    errors.one_of("spec.sessionAffinity", affinity, ("ClientIP", "None"))
    config: Document | None = spec.get("sessionAffinityConfig")
    if affinity == "None" and config is not None:
        rule = "must not be set when session affinity is None"
        errors.forbidden("spec.sessionAffinityConfig", rule)
    if affinity == "ClientIP":
        seconds = ((config or {}).get("clientIP") or {}).get("timeoutSeconds") or 0
        if not 0 < seconds <= MAX_AFFINITY_SECONDS:
            path = "spec.sessionAffinityConfig.clientIP.timeoutSeconds"
            rule = f"must be greater than 0 and less than {MAX_AFFINITY_SECONDS}"
            errors.invalid(path, seconds, rule)


# -- cluster addresses -----------------------------------------------------------------------------


def _validate_addresses(spec: Document, errors: FieldErrors) -> None:
    """Validate clusterIPs and the address families, of which this cluster has IPv4 alone."""
    address, listed = spec.get("clusterIP"), spec.get("clusterIPs") or []
    if address and listed[:1] != [address]:
        errors.invalid("spec.clusterIPs", listed, "first value must match `clusterIP`")
    elif listed and not address:
        rule = "must be empty when `clusterIP` is not specified"
        errors.invalid("spec.clusterIPs", listed, rule)
    _validate_families(spec, errors)
    for index, item in enumerate(listed):
        if index == 0 and item == HEADLESS:
            if len(listed) > 1:
                rule = "'None' must be the first and only value"
                errors.invalid("spec.clusterIPs", listed, rule)
        elif not valid_ip(item):
            errors.invalid(f"spec.clusterIPs[{index}]", item, IP_RULE)
    if len(listed) > 2:
        errors.invalid("spec.clusterIPs", listed, "may only hold up to 2 values")


def _validate_families(spec: Document, errors: FieldErrors) -> None:
    families: list[str] = spec.get("ipFamilies") or []
    for index, family in enumerate(families):
        path = f"spec.ipFamilies[{index}]"
        is_known = errors.one_of(path, family, FAMILIES)
        if family in families[:index]:
            errors.duplicate(path, family)
        elif is_known and family != "IPv4" and spec.get("clusterIP") != HEADLESS:
            errors.invalid(path, family, "not configured on this cluster")
    policy = spec.get("ipFamilyPolicy")
    if policy is not None and errors.one_of("spec.ipFamilyPolicy", policy, FAMILY_POLICIES):
        is_free = spec.get("clusterIP") == HEADLESS and not spec.get("selector")
        if policy == "RequireDualStack" and not is_free:
            rule = "this cluster is not configured for dual-stack services"
            errors.invalid("spec.ipFamilyPolicy", policy, rule)


# -- load balancers and traffic --------------------------------------------------------------------


def _validate_load_balancer(spec: Document, errors: FieldErrors) -> None:
    is_balancer = spec.get("type") == "LoadBalancer"
    ranges = spec.get("loadBalancerSourceRanges") or ()
    if ranges and not is_balancer:
        errors.forbidden("spec.LoadBalancerSourceRanges", ONLY_LOAD_BALANCERS)
    for index, item in enumerate(ranges):
        validate_cidr(f"spec.LoadBalancerSourceRanges[{index}]", item.strip(), errors)
    for field in ("allocateLoadBalancerNodePorts", "loadBalancerClass"):
        if spec.get(field) is not None and not is_balancer:
            errors.forbidden(f"spec.{field}", ONLY_LOAD_BALANCERS)
    if is_balancer and spec.get("loadBalancerClass") is not None:
        validate_label_name("spec.loadBalancerClass", spec["loadBalancerClass"], errors)


def _validate_traffic(spec: Document, errors: FieldErrors) -> None:
    external, health = spec.get("externalTrafficPolicy"), spec.get("healthCheckNodePort")
    if is_externally_accessible(spec):
        errors.one_of("spec.externalTrafficPolicy", external, POLICIES)
    elif external:
        rule = "may only be set for externally-accessible services"
        errors.invalid("spec.externalTrafficPolicy", external, rule)
    if health and not needs_health_check(spec):
        rule = (
            "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
        )
        errors.invalid("spec.healthCheckNodePort", health, rule)
    elif health and health not in NODE_PORTS:
        rule = "provided port is not in the valid range. The range of valid ports is 30000-32767"
        errors.invalid("spec.healthCheckNodePort", health, rule)
    internal, distribution = spec.get("internalTrafficPolicy"), spec.get("trafficDistribution")
    if internal is not None:
        errors.one_of("spec.internalTrafficPolicy", internal, POLICIES)
    if distribution is not None:
        errors.one_of("spec.trafficDistribution", distribution, DISTRIBUTIONS)


# -- updates ---------------------------------------------------------------------------------------


def validate_service_update(new: Document, old: Document, errors: FieldErrors) -> None:
    """Forbid changes of the cluster IP, the load balancer's class and its health check port.

    Args:
        new, old: the object after and before the update.
        errors: receives the violations.
    """
    after, before = new.get("spec") or {}, old.get("spec") or {}
    is_allocated = "ExternalName" not in (after.get("type"), before.get("type"))
    if is_allocated and before.get("clusterIP") and after.get("clusterIP") != before["clusterIP"]:
        errors.invalid("spec.clusterIPs[0]", after.get("clusterIPs"), SET_ONCE)
    if after.get("type") == before.get("type") == "LoadBalancer":
        chosen = after.get("loadBalancerClass")
        if chosen != before.get("loadBalancerClass"):
            errors.invalid("spec.loadBalancerClass", chosen, SET_ONCE)
    if needs_health_check(before) and needs_health_check(after):
        if after.get("healthCheckNodePort") != before.get("healthCheckNodePort"):
            errors.forbidden("spec.healthCheckNodePort", "field is immutable")
