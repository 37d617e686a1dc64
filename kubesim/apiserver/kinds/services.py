"""Core group: Service.

The server allocates the cluster IP of a Service at random from the service range, as the real one
does; kubesim uses the random stream ``cluster-ips``, so that a run with the same seed gets the same
addresses.

Source: pkg/apis/core/v1/defaults.go (SetDefaults_Service), pkg/apis/core/validation/validation.go
(ValidateService), pkg/registry/core/service/{strategy.go,ipallocator}.
"""

from __future__ import annotations

from ipaddress import AddressValueError, IPv4Address, IPv4Network

from kubesim.apiserver.kinds.rules import IMMUTABLE
from kubesim.apiserver.podvalidation.formats import IP_RULE, PORT_RULE, valid_ip
from kubesim.apiserver.registry import Kind, ServerView
from kubesim.apiserver.validation import LABEL_RULE, FieldErrors, fill, validate_labels
from kubesim.errors import Cause, Invalid
from kubesim.objects import meta
from kubesim.objects.frozen import Document, objects_in
from kubesim.objects.meta import valid_dns1123_label, valid_dns1123_subdomain
from kubesim.objects.wellknown import PORT_PROTOCOLS

SERVICE_RANGE = IPv4Network("10.96.0.0/12")  # kubeadm's --service-cluster-ip-range
RESERVED = 16  # first addresses, for manual allocation (10.96.0.1, 10.96.0.10)
NODE_PORTS = range(30_000, 32_768)  # --service-node-port-range
API_SERVER = ("172.18.0.2", 6443)  # address and port, as in a cluster of kind
AFFINITY_SECONDS = 10_800
TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
HEADLESS = "None"
POLICIES = ("Cluster", "Local")
NAME_RULE = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an "
    "alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', "
    "regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"
)
PORT_NAME_RULE = (
    "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-), at most 15 of them, "
    "with at least one letter"
)


def valid_service_name(name: object) -> bool:
    """Return whether a name is a DNS label that starts with a letter (RFC 1035)."""
    return valid_dns1123_label(name) and str(name)[0].isalpha()


# -- Service ---------------------------------------------------------------------------------------


def default_service(service: Document) -> None:
    """Set the defaults: ClusterIP, no session affinity, TCP, targetPort equal to port."""
    fill(service, "spec", {})
    spec = service["spec"]
    if not isinstance(spec, dict):
        return
    fill(spec, "type", "ClusterIP")
    fill(spec, "sessionAffinity", "None")
    if spec["sessionAffinity"] == "ClientIP":
        fill(spec, "sessionAffinityConfig", {"clientIP": {"timeoutSeconds": AFFINITY_SECONDS}})
    for port in objects_in(spec.get("ports")):
        fill(port, "protocol", "TCP")
        if port.get("targetPort") in (None, 0, "") and port.get("port") is not None:
            port["targetPort"] = port["port"]
    if spec["type"] != "ExternalName":
        fill(spec, "internalTrafficPolicy", "Cluster")
        fill(spec, "ipFamilies", ["IPv4"])
        fill(spec, "ipFamilyPolicy", "SingleStack")
    if spec["type"] in ("NodePort", "LoadBalancer"):
        fill(spec, "externalTrafficPolicy", "Cluster")
    if spec["type"] == "LoadBalancer":
        fill(spec, "allocateLoadBalancerNodePorts", True)


def admit_service(api: ServerView, service: Document, old: Document | None) -> None:
    """Allocate the cluster IP and node ports of a Service; an update keeps the allocated ones.

    Args:
        api: what an admission hook may use of the server.
        service: the Service; it is changed in place.
        old: the stored Service; None at creation.
    """
    spec = service.get("spec")
    if not isinstance(spec, dict):
        return
    before = (old or {}).get("spec") or {}
    if spec.get("type") == "ExternalName":
        return
    if before.get("type") not in (None, "ExternalName"):
        fill(spec, "clusterIP", before.get("clusterIP"))
        if spec.get("clusterIPs") == before.get("clusterIPs"):
            spec["clusterIPs"] = None  # filled from clusterIP below
    others = _others(api, service)
    if not spec.get("clusterIP"):
        listed = spec.get("clusterIPs")
        first = listed[0] if isinstance(listed, list) and listed else None
        spec["clusterIP"] = first or _free_address(api, others)
    elif spec["clusterIP"] not in (HEADLESS, before.get("clusterIP")):
        _check_free(service, str(spec["clusterIP"]), others)
    fill(spec, "clusterIPs", [spec["clusterIP"]])
    if spec.get("type") in ("NodePort", "LoadBalancer"):
        _allocate_node_ports(api, spec, before, others)


def _others(api: ServerView, service: Document) -> list[Document]:
    """Return the specs of the other Services."""
    prefix, uid = api.registry.find("Service").prefix, meta.uid_of(service)
    stored = (kv.value for kv in api.store.list(prefix).items)
    return [other["spec"] for other in stored if meta.uid_of(other) != uid]


def _free_address(api: ServerView, others: list[Document]) -> str:
    in_use = {spec.get("clusterIP") for spec in others}
    rng = api.streams("cluster-ips")
    while True:
        index = rng.randrange(RESERVED, SERVICE_RANGE.num_addresses - 1)
        address = str(SERVICE_RANGE[index])
        if address not in in_use:
            return address


def _check_free(service: Document, address: str, others: list[Document]) -> None:
    """Refuse a requested address outside of the range, or one that another Service has.

    Raises:
        Invalid: the address cannot be allocated.
    """
    reason = ""
    try:
        if IPv4Address(address) not in SERVICE_RANGE:
            reason = (
                "failed to allocate IP "
                f"{address}: the provided IP ({address}) is not in the valid range. The range of "
                f"valid IPs is {SERVICE_RANGE}"
            )
    except AddressValueError:
        return  # validation reports it
    if any(spec.get("clusterIP") == address for spec in others):
        reason = f"failed to allocate IP {address}: provided IP is already allocated"
    if reason:
        rule = f"Invalid value: {_listed([address])}: {reason}"
        cause = Cause("spec.clusterIPs", "FieldValueInvalid", rule)
        name = meta.name_of(service)
        message = f'Service "{name}" is invalid: spec.clusterIPs: {rule}'
        raise Invalid(message, kind="Service", name=name, causes=[cause])


def _listed(values: list[str]) -> str:
    return "[" + ",".join(f'"{value}"' for value in values) + "]"


def _allocate_node_ports(
    api: ServerView, spec: Document, before: Document, others: list[Document]
) -> None:
    """Set node ports: the allocated ones, the requested ones, and free ones for the other ports."""
    allocated = {_port_key(port): port.get("nodePort") for port in before.get("ports") or ()}
    in_use = {port.get("nodePort") for spec in others for port in spec.get("ports") or ()}
    ports = list(objects_in(spec.get("ports")))
    in_use |= {port.get("nodePort") for port in ports}
    rng = api.streams("node-ports")
    for port in ports:
        fill(port, "nodePort", allocated.get(_port_key(port)))
        while not port["nodePort"]:
            candidate = rng.choice(NODE_PORTS)
            port["nodePort"] = None if candidate in in_use else candidate
            in_use.add(candidate)


def _port_key(port: Document) -> tuple[object, object]:
    return port.get("port"), port.get("protocol")


def validate_service(service: Document, errors: FieldErrors) -> None:
    """Validate type, ports, addresses and selector."""
    spec = errors.mapping("spec", service.get("spec"))
    type_ = spec.get("type")
    errors.one_of("spec.type", type_, TYPES)
    errors.one_of("spec.sessionAffinity", spec.get("sessionAffinity"), ("ClientIP", "None"))
    if spec.get("selector") is not None:
        validate_labels(spec["selector"], "spec.selector", errors)
    headless = spec.get("clusterIP") == HEADLESS
    ports = errors.items("spec.ports", spec.get("ports"))
    if not ports and not headless and type_ != "ExternalName":
        errors.required("spec.ports")
    _validate_ports(ports, type_, errors)
    _validate_address(spec, type_, errors)
    for field in ("internalTrafficPolicy", "externalTrafficPolicy"):
        if spec.get(field) is not None:
            errors.one_of(f"spec.{field}", spec[field], POLICIES)
    if type_ == "ExternalName":
        name = spec.get("externalName")
        if not name:
            errors.required("spec.externalName")
        elif not valid_dns1123_subdomain(name.removesuffix(".") if isinstance(name, str) else name):
            errors.invalid("spec.externalName", name, "a lowercase RFC 1123 subdomain is needed")


def _validate_ports(ports: list[tuple[str, Document]], type_: object, errors: FieldErrors) -> None:
    names: set[str] = set()
    port_keys: list[tuple[object, object]] = []
    for path, port in ports:
        name = port.get("name")
        if not name and len(ports) > 1:
            errors.required(f"{path}.name")
        elif name and not valid_dns1123_label(name):
            errors.invalid(f"{path}.name", name, LABEL_RULE)
        elif name and name in names:
            errors.duplicate(f"{path}.name", name)
        names.add(str(name))
        errors.one_of(f"{path}.protocol", port.get("protocol"), PORT_PROTOCOLS)
        _validate_port(f"{path}.port", port.get("port", 0), errors)
        target = port.get("targetPort")
        if isinstance(target, str):
            if not valid_port_name(target):
                errors.invalid(f"{path}.targetPort", target, PORT_NAME_RULE)
        else:
            _validate_port(f"{path}.targetPort", target, errors)
        node_port = port.get("nodePort")
        if node_port and type_ in ("ClusterIP", "ExternalName"):
            detail = f"may not be used when `type` is '{type_}'"
            errors.forbidden(f"{path}.nodePort", detail)
        elif node_port and node_port not in NODE_PORTS:
            detail = "provided port is not in the valid range. The range of valid ports is "
            errors.invalid(f"{path}.nodePort", node_port, f"{detail}30000-32767")
        if _port_key(port) in port_keys:
            errors.duplicate(path, {"protocol": port.get("protocol"), "port": port.get("port")})
        port_keys.append(_port_key(port))


def valid_port_name(name: str) -> bool:
    """Return whether a name is a valid port name: at most 15 characters, at least one letter."""
    return (
        valid_dns1123_label(name)
        and len(name) <= 15
        and "--" not in name
        and any(letter.isalpha() for letter in name)
    )


def _validate_port(path: str, port: object, errors: FieldErrors) -> None:
    if isinstance(port, bool) or not isinstance(port, int) or not 0 < port < 65536:
        errors.invalid(path, port, PORT_RULE)


def _validate_address(spec: Document, type_: object, errors: FieldErrors) -> None:
    address, listed = spec.get("clusterIP"), spec.get("clusterIPs")
    if type_ == "ExternalName":
        if address:
            rule = "may not be set when `type` is 'ExternalName'"
            errors.forbidden("spec.clusterIPs", rule)
        return
    if address == HEADLESS and type_ in ("NodePort", "LoadBalancer"):
        rule = "may not be set to 'None' for LoadBalancer services"
        if type_ == "NodePort":
            rule = "may not be set to 'None' for NodePort services"
        errors.invalid("spec.clusterIPs[0]", address, rule)
    if listed is not None and (not isinstance(listed, list) or listed[:1] != [address]):
        rule = "first value must match `clusterIP`"
        errors.invalid("spec.clusterIPs", listed, rule)
    elif address and address != HEADLESS and not valid_ip(address):
        errors.invalid("spec.clusterIPs[0]", address, IP_RULE)


def validate_service_update(new: Document, old: Document, errors: FieldErrors) -> None:
    """Forbid changes of the cluster IP, except from or to the type ExternalName.

    Args:
        new, old: the object after and before the update.
        errors: receives the violations.
    """
    after, before = new.get("spec") or {}, old.get("spec") or {}
    is_allocated = "ExternalName" not in (after.get("type"), before.get("type"))
    if is_allocated and before.get("clusterIP") and after.get("clusterIP") != before["clusterIP"]:
        shown = [after.get("clusterIP")]
        errors.invalid("spec.clusterIPs[0]", shown, IMMUTABLE)


def kubernetes_service() -> list[Document]:
    """Return the Service `kubernetes` of the API server, its Endpoints and its EndpointSlice.

    Source: pkg/controlplane/controller/kubernetesservice/controller.go,
    pkg/controlplane/reconcilers (instancecount.go, endpointsadapter.go).
    """
    named = {"name": "kubernetes", "namespace": "default"}
    port = {"name": "https", "port": API_SERVER[1], "protocol": "TCP"}
    slice_labels = {"kubernetes.io/service-name": "kubernetes"}
    return [
        {
            "kind": "Service",
            "metadata": {**named, "labels": {"component": "apiserver", "provider": "kubernetes"}},
            "spec": {
                "type": "ClusterIP",
                "clusterIP": str(SERVICE_RANGE[1]),
                "ports": [{**port, "port": 443, "targetPort": API_SERVER[1]}],
            },
        },
        {
            "kind": "Endpoints",
            "metadata": {**named, "labels": {"endpointslice.kubernetes.io/skip-mirror": "true"}},
            "subsets": [{"addresses": [{"ip": API_SERVER[0]}], "ports": [port]}],
        },
        {
            "kind": "EndpointSlice",
            "apiVersion": "discovery.k8s.io/v1",
            "metadata": {**named, "labels": slice_labels},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [API_SERVER[0]], "conditions": {"ready": True}}],
            "ports": [port],
        },
    ]


KINDS = (
    Kind(
        "Service",
        "services",
        short_names=("svc",),
        categories=("all",),
        default=default_service,
        admit=admit_service,
        validate=validate_service,
        validate_update=validate_service_update,
        zero_status={"loadBalancer": {}},
        valid_name=valid_service_name,
        name_rule=NAME_RULE,
        counts_generation=False,
        selectable_fields=("spec.clusterIP", "spec.type"),
    ),
)
