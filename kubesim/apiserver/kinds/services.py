"""Core group: Service.

The server allocates the cluster IP of a Service at random from the service range, as the real one
does; kubesim uses the random stream ``cluster-ips``, so that a run with the same seed gets the same
addresses.

Source: pkg/apis/core/v1/defaults.go (SetDefaults_Service), pkg/apis/core/validation/validation.go
(see kindrules), pkg/registry/core/service/{strategy.go,ipallocator}.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import AddressValueError, IPv4Address, IPv4Network

from kubesim.apiserver.kindrules.services import (
    HEADLESS,
    NODE_PORTS,
    WITH_NODE_PORTS,
    is_externally_accessible,
    needs_health_check,
    validate_service,
    validate_service_update,
)
from kubesim.apiserver.registry import Kind, ServerView
from kubesim.apiserver.validation import FieldErrors, fill
from kubesim.errors import Invalid
from kubesim.objects import meta
from kubesim.objects.frozen import Document, objects_in
from kubesim.objects.meta import valid_dns1123_label

SERVICE_RANGE = IPv4Network("10.96.0.0/12")  # kubeadm's --service-cluster-ip-range
RESERVED = 16  # first addresses, for manual allocation (10.96.0.1, 10.96.0.10)
API_SERVER = ("172.18.0.2", 6443)  # address and port, as in a cluster of kind
AFFINITY_SECONDS = 10_800
NAME_RULE = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an "
    "alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', "
    "regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"
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
    if spec["sessionAffinity"] == "None":
        spec.pop("sessionAffinityConfig", None)
    elif spec["sessionAffinity"] == "ClientIP":
        fill(spec, "sessionAffinityConfig", {})
        fill(spec["sessionAffinityConfig"], "clientIP", {})
        fill(spec["sessionAffinityConfig"]["clientIP"], "timeoutSeconds", AFFINITY_SECONDS)
    for port in objects_in(spec.get("ports")):
        fill(port, "protocol", "TCP")
        if port.get("targetPort") in (None, 0, "") and port.get("port") is not None:
            port["targetPort"] = port["port"]
    if spec["type"] != "ExternalName":
        fill(spec, "internalTrafficPolicy", "Cluster")
        _default_families(spec)
    if is_externally_accessible(spec):
        fill(spec, "externalTrafficPolicy", "Cluster")
    if spec["type"] == "LoadBalancer":
        fill(spec, "allocateLoadBalancerNodePorts", True)


def _default_families(spec: Document) -> None:
    """Set the address families: IPv4 alone, and both where endpoints are written by hand.

    Source: pkg/registry/core/service/storage/alloc.go (initIPFamilyFields: headless Services
    without a selector).
    """
    is_free = spec.get("clusterIP") == HEADLESS and not spec.get("selector")
    fill(spec, "ipFamilyPolicy", "RequireDualStack" if is_free else "SingleStack")
    fill(spec, "ipFamilies", ["IPv4"])
    families = spec["ipFamilies"]
    if is_free and spec["ipFamilyPolicy"] != "SingleStack" and families in (["IPv4"], ["IPv6"]):
        spec["ipFamilies"] = [*families, "IPv6" if families == ["IPv4"] else "IPv4"]


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
    _drop_dependent_fields(spec, before)
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
    if spec.get("type") in WITH_NODE_PORTS:
        _allocate_node_ports(api, service, before, others)


def _drop_dependent_fields(spec: Document, before: Document) -> None:
    """Drop the fields that only the old type had, if the client sends them back unchanged.

    So that ``kubectl patch service web -p '{"spec":{"type":"ClusterIP"}}'`` works.

    Args:
        spec: of the new Service; it is changed in place.
        before: of the stored Service; {} at creation.

    Source: pkg/registry/core/service/strategy.go (dropTypeDependentFields).
    """

    def drop(*fields: str) -> None:
        for field in fields:
            if field in before and spec.get(field) == before[field]:
                spec.pop(field, None)

    type_, old_type = spec.get("type"), before.get("type")
    if type_ == "ExternalName" != old_type:
        drop("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy")
    if old_type in WITH_NODE_PORTS and type_ not in WITH_NODE_PORTS:
        allocated = {_port_key(port): port.get("nodePort") for port in before.get("ports") or ()}
        for port in objects_in(spec.get("ports")):
            if port.get("nodePort") and port["nodePort"] == allocated.get(_port_key(port)):
                del port["nodePort"]
    if old_type == "LoadBalancer" != type_:
        drop("loadBalancerClass", "allocateLoadBalancerNodePorts")
    if is_externally_accessible(before) and not is_externally_accessible(spec):
        drop("externalTrafficPolicy")
    if needs_health_check(before) and not needs_health_check(spec):
        drop("healthCheckNodePort")


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
                f"the provided IP ({address}) is not in the valid range. The range of "
                f"valid IPs is {SERVICE_RANGE}"
            )
    except AddressValueError:
        return  # validation reports it
    if any(spec.get("clusterIP") == address for spec in others):
        reason = "provided IP is already allocated"
    if reason:
        detail = f"failed to allocate IP {address}: {reason}"
        _refuse(meta.name_of(service), "spec.clusterIPs", [address], detail)


def _refuse(name: str, path: str, value: object, detail: str) -> None:
    """Raise Invalid for one field."""
    errors = FieldErrors()
    errors.invalid(path, value, detail)
    message = f'Service "{name}" is invalid: {path}: {errors.causes[0].message}'
    raise Invalid(message, kind="Service", name=name, causes=errors.causes)


def _allocate_node_ports(
    api: ServerView, service: Document, before: Document, others: list[Document]
) -> None:
    """Set node ports: the allocated ones, the requested ones, and free ones for the other ports.

    At creation, ports of the same number share their node port (53/TCP and 53/UDP).

    Source: pkg/registry/core/service/storage/storage.go (patchAllocatedValues),
    alloc.go (initNodePorts, updateNodePorts, allocHealthCheckNodePort).
    """
    spec = service["spec"]
    _keep_node_ports(spec, before)
    own, in_use = _node_ports_of([before]), _node_ports_of(others)
    requested, rng = _node_ports_of([spec]), api.streams("node-ports")

    def free_port() -> int:
        while (candidate := rng.choice(NODE_PORTS)) in in_use | requested | own:
            continue
        in_use.add(candidate)
        return candidate

    allocates = spec["type"] == "NodePort" or spec.get("allocateLoadBalancerNodePorts") is not False
    shared: dict[object, object] = {}
    ports = list(objects_in(spec.get("ports")))
    for index, port in enumerate(ports):
        number, node_port = port.get("port"), port.get("nodePort")
        if not node_port and not before:
            same = (each.get("nodePort") for each in ports if each.get("port") == number)
            node_port = shared.get(number) or next(filter(None, same), None)
        if node_port and node_port not in own and node_port != shared.get(number):
            if node_port in in_use:
                path = f"spec.ports[{index}].nodePort"
                _refuse(
                    meta.name_of(service), path, node_port, "provided port is already allocated"
                )
            in_use.add(node_port)
        if node_port or allocates:
            port["nodePort"] = node_port or free_port()
            shared.setdefault(number, port["nodePort"])
    if needs_health_check(spec) and not spec.get("healthCheckNodePort"):
        spec["healthCheckNodePort"] = free_port()


def _keep_node_ports(spec: dict[str, object], before: Mapping[str, object]) -> None:
    """Fill the node ports that the client left out with those of the ports of the same names."""
    in_use = _node_ports_of([before]) & _node_ports_of([spec])
    old_ports = objects_in(before.get("ports"))
    by_name = {port.get("name") or "": port.get("nodePort") for port in old_ports}
    for port in objects_in(spec.get("ports")):
        node_port = by_name.get(port.get("name") or "")
        if not port.get("nodePort") and node_port and node_port not in in_use:
            port["nodePort"] = node_port
            in_use.add(node_port)
    if needs_health_check(spec):
        fill(spec, "healthCheckNodePort", before.get("healthCheckNodePort"))


def _node_ports_of(specs: Iterable[Mapping[str, object]]) -> set[object]:
    """Return all node ports of some Services."""
    ports = {port.get("nodePort") for spec in specs for port in objects_in(spec.get("ports"))}
    return (ports | {spec.get("healthCheckNodePort") for spec in specs}) - {None, 0}


def _port_key(port: Document) -> tuple[object, object]:
    return port.get("port"), port.get("protocol")


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
