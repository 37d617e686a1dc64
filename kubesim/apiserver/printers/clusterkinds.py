"""Printers of the kinds that a cluster's administrator sets up.

Source: pkg/printers/internalversion/printers.go.
"""

from __future__ import annotations

from kubesim.apiserver.printers.ages import Ages
from kubesim.apiserver.printers.cells import (
    AGE,
    NONE,
    UNSET,
    Cell,
    Printer,
    at,
    column,
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

MOST_HOSTS = 3  # of an Ingress that are shown


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
}
