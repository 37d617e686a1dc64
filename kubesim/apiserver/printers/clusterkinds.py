"""Printers of the kinds that a cluster's administrator sets up.

Source: pkg/printers/internalversion/printers.go.
"""

from __future__ import annotations

from kubesim.apiserver.printers.ages import Ages, human_duration
from kubesim.apiserver.printers.cells import (
    AGE,
    NONE,
    UNSET,
    Cell,
    CellValue,
    Printer,
    at,
    column,
    container_images,
    container_names,
    labels_text,
    length_at,
    number,
    objects,
    part,
    printer_of,
    selector_at,
    selector_text,
    texts,
)
from kubesim.objects.frozen import Document

QUEUING = "spec.limited.limitResponse.queuing"
CONTAINERS = ("template", "spec", "containers")
MOST_HOSTS = 3  # of an Ingress that are shown
ZERO = "0"  # of a column of text that holds numbers


def _hosts(ingress: Document, ages: Ages) -> str:
    rules = objects(ingress, "spec", "rules")
    hosts: list[str] = []
    for rule in rules:
        if len(hosts) == MOST_HOSTS:
            return f"{','.join(hosts)} + {len(rules) - MOST_HOSTS} more..."
        if rule.get("host"):
            hosts.append(str(rule["host"]))
    return ",".join(hosts) or "*"


def _balancer_addresses(ingress: Document, ages: Ages) -> str:
    points = objects(ingress, "status", "loadBalancer", "ingress")
    return ",".join(str(point.get("ip") or point.get("hostname") or "") for point in points)


def _ingress_ports(ingress: Document, ages: Ages) -> str:
    return "80, 443" if objects(ingress, "spec", "tls") else "80"


def _class_parameters(ingress_class: Document, ages: Ages) -> str:
    parameters = part(ingress_class, "spec", "parameters")
    if not isinstance(parameters, dict):
        return NONE
    group = parameters.get("apiGroup")
    kind = parameters.get("kind", "")
    return f"{kind}{'' if group is None else f'.{group}'}/{parameters.get('name', '')}"


def _parent(address: Document, ages: Ages) -> str:
    parent = part(address, "spec", "parentRef")
    if not isinstance(parent, dict):
        return NONE
    resource, group = str(parent.get("resource", "")), parent.get("group")
    kind = f"{resource}.{group}" if group else resource
    names = (kind.lower(), parent.get("namespace"), parent.get("name"))
    return "/".join(str(name) for name in names if name)


def _param_kind(policy: Document, ages: Ages) -> str:
    kind = part(policy, "spec", "paramKind")
    if not isinstance(kind, dict):
        return UNSET
    return f"{kind.get('apiVersion', '')}/{kind.get('kind', '')}"


def _param_reference(binding: Document, ages: Ages) -> str:
    reference = part(binding, "spec", "paramRef")
    if not isinstance(reference, dict):
        return UNSET
    if reference.get("name"):
        return f"{reference.get('namespace') or '*'}/{reference['name']}"
    selector = reference.get("selector")
    return UNSET if selector is None else selector_text(selector)


def _api_service(service: Document, ages: Ages) -> str:
    target = part(service, "spec", "service")
    if not isinstance(target, dict):
        return "Local"
    return f"{target.get('namespace')}/{target.get('name')}"


def _is_available(service: Document, ages: Ages) -> str:
    for condition in objects(service, "status", "conditions"):
        if condition.get("type") == "Available":
            status = str(condition.get("status"))
            return status if status == "True" else f"{status} ({condition.get('reason')})"
    return "Unknown"


def _requested_duration(request: Document, ages: Ages) -> str:
    seconds = part(request, "spec", "expirationSeconds")
    return NONE if not isinstance(seconds, int) else human_duration(float(seconds))


def _request_state(request: Document, ages: Ages) -> str:
    types = {str(each.get("type")) for each in objects(request, "status", "conditions")}
    state = "Denied" if "Denied" in types else "Approved" if "Approved" in types else "Pending"
    failed = ",Failed" if "Failed" in types else ""
    return f"{state}{failed}{',Issued' if part(request, 'status', 'certificate') else ''}"


def _is_dangling(schema: Document, ages: Ages) -> str:
    for condition in objects(schema, "status", "conditions"):
        if condition.get("type") == "Dangling":
            return str(condition.get("status"))
    return "?"


def _claim_state(claim: Document, ages: Ages) -> str:
    deleted = ["deleted"] if part(claim, "metadata", "deletionTimestamp") else []
    if not part(claim, "status", "allocation"):
        return ",".join(deleted or ["pending"])
    reserved = ["reserved"] if part(claim, "status", "reservedFor") else []
    return ",".join([*deleted, "allocated", *reserved])


def _health(status: Document, ages: Ages) -> str:
    for condition in objects(status, "conditions"):
        if condition.get("type") == "Healthy":
            return "Healthy" if condition.get("status") == "True" else "Unhealthy"
    return "Unknown"


def _of_condition(field: str) -> CellValue:
    def value(status: Document, ages: Ages) -> str:
        conditions = objects(status, "conditions")
        healthy = (each for each in conditions if each.get("type") == "Healthy")
        return str(next(healthy, {}).get(field) or "")

    return value


def _template_labels(template: Document, ages: Ages) -> str:
    return labels_text(part(template, "template", "metadata", "labels"))


def _policy(title: str, field: str) -> Printer:
    return printer_of(
        length_at(number(title, f"number of {title.lower()}"), f"spec.{field}"),
        Cell(column("ParamKind", "kind of the parameters"), _param_kind),
        AGE,
    )


WEBHOOKS = printer_of(length_at(number("Webhooks", "number of webhooks"), "webhooks"), AGE)
BINDING = printer_of(
    at(column("PolicyName", "the policy"), "spec.policyName"),
    Cell(column("ParamRef", "the parameters"), _param_reference),
    AGE,
)
CLUSTER_KINDS: dict[str, Printer] = {
    "Ingress": printer_of(
        at(column("Class", "the IngressClass"), "spec.ingressClassName", NONE),
        Cell(column("Hosts", "hosts of the rules"), _hosts),
        Cell(column("Address", "addresses of the load balancer"), _balancer_addresses),
        Cell(column("Ports", "ports that are served"), _ingress_ports),
        AGE,
    ),
    "IngressClass": printer_of(
        at(column("Controller", "the controller of its Ingresses"), "spec.controller"),
        Cell(column("Parameters", "the object with further settings"), _class_parameters),
        AGE,
    ),
    "NetworkPolicy": printer_of(
        selector_at(column("Pod-Selector", "the pods that it is about"), "spec.podSelector"), AGE
    ),
    "IPAddress": printer_of(Cell(column("ParentRef", "the object that has the address"), _parent)),
    "ServiceCIDR": printer_of(
        Cell(
            column("CIDRs", "ranges of addresses"),
            lambda ranges, ages: ",".join(texts(ranges, "spec", "cidrs")),
        ),
        AGE,
    ),
    "MutatingWebhookConfiguration": WEBHOOKS,
    "ValidatingWebhookConfiguration": WEBHOOKS,
    "ValidatingAdmissionPolicy": _policy("Validations", "validations"),
    "ValidatingAdmissionPolicyBinding": BINDING,
    "MutatingAdmissionPolicy": _policy("Mutations", "mutations"),
    "MutatingAdmissionPolicyBinding": BINDING,
    "APIService": printer_of(
        Cell(column("Service", "the Service that serves it"), _api_service),
        Cell(column("Available", "whether it is available"), _is_available),
        AGE,
    ),
    "CertificateSigningRequest": printer_of(
        AGE,
        at(column("SignerName", "the requested signer"), "spec.signerName", NONE),
        at(column("Requestor", "who asked"), "spec.username"),
        Cell(column("RequestedDuration", "requested life of the certificate"), _requested_duration),
        Cell(column("Condition", "the decision, and what came of it"), _request_state),
    ),
    "FlowSchema": printer_of(
        at(column("PriorityLevel", "the level"), "spec.priorityLevelConfiguration.name"),
        at(column("MatchingPrecedence", "order of matching"), "spec.matchingPrecedence", ZERO),
        at(
            column("DistinguisherMethod", "how flows are told apart"),
            "spec.distinguisherMethod.type",
            NONE,
        ),
        AGE,
        Cell(column("MissingPL", "whether the level is missing"), _is_dangling),
    ),
    "PriorityLevelConfiguration": printer_of(
        at(column("Type", "Exempt or Limited"), "spec.type"),
        at(
            column("NominalConcurrencyShares", "share of the server"),
            "spec.limited.nominalConcurrencyShares",
            NONE,
        ),
        at(column("Queues", "number of queues"), f"{QUEUING}.queues", NONE),
        at(column("HandSize", "queues of one flow"), f"{QUEUING}.handSize", NONE),
        at(column("QueueLengthLimit", "length of a queue"), f"{QUEUING}.queueLengthLimit", NONE),
        AGE,
    ),
    "ResourceClaim": printer_of(Cell(column("State", "state of the claim"), _claim_state), AGE),
    "ResourceClaimTemplate": printer_of(AGE),
    "DeviceClass": printer_of(AGE),
    "ResourceSlice": printer_of(
        at(column("Node", "the node that has the devices"), "spec.nodeName"),
        at(column("Driver", "the driver"), "spec.driver"),
        at(column("Pool", "the pool"), "spec.pool.name"),
        AGE,
    ),
    "RuntimeClass": printer_of(at(column("Handler", "the handler of the node"), "handler"), AGE),
    "PodTemplate": printer_of(
        Cell(
            column("Containers", "names of the containers"),
            lambda template, ages: container_names(objects(template, *CONTAINERS)),
        ),
        Cell(
            column("Images", "images of the containers"),
            lambda template, ages: container_images(objects(template, *CONTAINERS)),
        ),
        Cell(column("Pod Labels", "labels of the pods"), _template_labels),
    ),
    "ComponentStatus": printer_of(
        Cell(column("Status", "Healthy or not"), _health),
        Cell(column("Message", "message of the condition"), _of_condition("message")),
        Cell(column("Error", "error of the condition"), _of_condition("error")),
    ),
}
