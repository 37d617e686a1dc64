"""The bootstrap policy: the roles and bindings that every cluster has from the start.

Source: plugin/pkg/auth/authorizer/rbac/bootstrappolicy; pkg/registry/rbac/rest/storage_rbac.go,
which writes them when the server starts. One role is metrics-server's.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from kubesim.apiserver.access.aggregation import aggregated_rules
from kubesim.apiserver.access.controllertables import (
    CONTROLLER_ROLES,
    NAMESPACE_BINDINGS,
    NAMESPACE_ROLES,
)
from kubesim.apiserver.access.policytables import (
    CLUSTER_BINDINGS,
    CLUSTER_ROLES,
    METRICS_READER,
    METRICS_RULE,
)
from kubesim.objects.frozen import Document, freeze
from kubesim.objects.wellknown import RBAC_GROUP

LABELS = {"kubernetes.io/bootstrapping": "rbac-defaults"}
ANNOTATIONS = {"rbac.authorization.kubernetes.io/autoupdate": "true"}
CONTROLLER_PREFIX = "system:controller:"
SYSTEM_NAMESPACE = "kube-system"
AGGREGATE_TO = "rbac.authorization.k8s.io/aggregate-to-"
# User-facing role -> the role that it is a part of.
USER_ROLES = {"view": "edit", "edit": "admin", "admin": ""}


class PolicyObject(NamedTuple):
    """An object of the bootstrap policy, without uid and time; frozen, shared by all clusters.

    Attributes:
        kind, namespace, name: its identity; "": no namespace.
        metadata: its labels and annotations.
        content: its other fields.
    """

    kind: str
    namespace: str
    name: str
    metadata: Document
    content: Document


@lru_cache(maxsize=1)
def bootstrap_policy() -> tuple[PolicyObject, ...]:
    """Return all roles and bindings, in the order of their creation."""
    roles = [_cluster_role(name, map(rule, rules)) for name, rules in CLUSTER_ROLES.items()]
    metrics_reader = _metrics_reader()
    for name, part_of in USER_ROLES.items():
        aggregation = {"clusterRoleSelectors": [{"matchLabels": {f"{AGGREGATE_TO}{name}": "true"}}]}
        document = {"metadata": {"name": name}, "aggregationRule": aggregation}
        selected = aggregated_rules(document, [*map(_document, (*roles, metrics_reader))])
        labels = {f"{AGGREGATE_TO}{part_of}": "true"} if part_of else {}
        roles.append(
            _object("ClusterRole", name, labels, aggregationRule=aggregation, rules=selected)
        )
    bindings = [_binding("ClusterRole", name, of) for name, of in CLUSTER_BINDINGS.items()]
    for name, rules in CONTROLLER_ROLES.items():
        full = f"{CONTROLLER_PREFIX}{name}"
        roles.append(_cluster_role(full, map(rule, rules)))
        bindings.append(_binding("ClusterRole", full, (("ServiceAccount", name),)))
    for (namespace, name), rules in NAMESPACE_ROLES.items():
        roles.append(_object("Role", name, {}, namespace, rules=[*map(rule, rules)]))
    for (namespace, name), (to, of) in NAMESPACE_BINDINGS.items():
        bindings.append(_binding("Role", name, of, namespace, to))
    return (*roles, *bindings, metrics_reader)


def rule(text: str) -> dict[str, object]:
    """Return a PolicyRule for a line of the tables, its lists sorted as upstream's are.

    >>> rule("list,get core pods,nodes")
    {'verbs': ['get', 'list'], 'apiGroups': [''], 'resources': ['nodes', 'pods']}
    >>> rule("get /version")
    {'verbs': ['get'], 'nonResourceURLs': ['/version']}
    """
    verbs, first, *further = (sorted(word.split(",")) for word in text.split())
    if not further:
        return {"verbs": verbs, "nonResourceURLs": first}
    groups = sorted("" if group == "core" else group for group in first)
    document: dict[str, object] = {"verbs": verbs, "apiGroups": groups, "resources": further[0]}
    return document if len(further) == 1 else {**document, "resourceNames": further[1]}


def _cluster_role(name: str, rules: Iterable[dict[str, object]]) -> PolicyObject:
    _, aggregate, part_of = name.partition("system:aggregate-to-")
    labels = {f"{AGGREGATE_TO}{part_of}": "true"} if aggregate else {}
    return _object("ClusterRole", name, labels, rules=list(rules))


def _metrics_reader() -> PolicyObject:
    """Return the role of metrics-server, with the labels of its manifest and not Kubernetes'."""
    parts = {f"{AGGREGATE_TO}{name}": "true" for name in USER_ROLES}
    metadata = {"labels": {"k8s-app": "metrics-server", **parts}}
    content = {"rules": [rule(METRICS_RULE)]}
    return PolicyObject("ClusterRole", "", METRICS_READER, freeze(metadata), freeze(content))


def _binding(
    kind: str, name: str, of: Iterable[tuple[str, str]], namespace: str = "", to: str = ""
) -> PolicyObject:
    """Return the binding of a role, of the same name unless `to` says which."""
    reference = {"apiGroup": RBAC_GROUP, "kind": kind, "name": to or name}
    subjects = [
        {"kind": each, "name": subject, "namespace": SYSTEM_NAMESPACE}
        if each == "ServiceAccount"
        else {"kind": each, "name": subject, "apiGroup": RBAC_GROUP}
        for each, subject in of
    ]
    content: dict[str, object] = {"roleRef": reference} | (
        {"subjects": subjects} if subjects else {}
    )
    return _object(f"{kind}Binding", name, {}, namespace, **content)


def _object(
    kind: str, name: str, labels: dict[str, str], namespace: str = "", **content: object
) -> PolicyObject:
    metadata = {"labels": {**LABELS, **labels}, "annotations": ANNOTATIONS}
    return PolicyObject(kind, namespace, name, freeze(metadata), freeze(content))


def _document(each: PolicyObject) -> dict[str, object]:
    return {"metadata": {"name": each.name, **each.metadata}, **each.content}
