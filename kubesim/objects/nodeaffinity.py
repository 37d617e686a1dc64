"""Which nodes a pod asks for: nodeSelector, terms of node affinity, and pinning to one node.

The scheduler, DaemonSets and kubelets ask here, so that they agree.

>>> node = {"metadata": {"name": "node-1", "labels": {"disk": "ssd"}}}
>>> wants_node({"nodeSelector": {"disk": "ssd"}}, node), wants_node(pinned({}, "node-2"), node)
(True, False)

Source: k8s.io/component-helpers/scheduling/corev1/nodeaffinity,
pkg/controller/daemon/util/daemonset_util.go (ReplaceDaemonSetPodNodeNameNodeAffinity).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from kubesim.objects import meta
from kubesim.objects.frozen import Document, ReadOnlyDocument
from kubesim.objects.selectors import Requirement

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
NAME_FIELD = "metadata.name"
_NUMBER = re.compile(r"[+-]?[0-9]+", re.ASCII)
_EMPTY: ReadOnlyDocument = {}


def node_affinity(pod_spec: ReadOnlyDocument) -> ReadOnlyDocument:
    """A pod spec's affinity.nodeAffinity; empty if it has none."""
    return (pod_spec.get("affinity") or _EMPTY).get("nodeAffinity") or _EMPTY


def required_terms(pod_spec: ReadOnlyDocument) -> list[Document] | None:
    """The terms of a pod spec's required node affinity; None if it has none."""
    rule = node_affinity(pod_spec).get(REQUIRED)
    return None if rule is None else list(rule.get("nodeSelectorTerms") or ())


def wants_node(pod_spec: ReadOnlyDocument, node: ReadOnlyDocument) -> bool:
    """Whether a pod spec's nodeSelector and required node affinity allow a node."""
    labels = meta.labels_of(node)
    selector = pod_spec.get("nodeSelector") or _EMPTY
    for key, value in selector.items():
        if key not in labels or labels[key] != value:
            return False
    terms = required_terms(pod_spec)
    return terms is None or selects(terms, node)


def selects(terms: Iterable[ReadOnlyDocument] | None, node: ReadOnlyDocument) -> bool:
    """Whether any term of a node selector selects the node; no terms select nothing."""
    labels, name = meta.labels_of(node), meta.name_of(node)
    return any(term_matches(term, labels, name) for term in terms or ())


def term_matches(term: ReadOnlyDocument, labels: Mapping[str, str], name: str) -> bool:
    """Whether one term selects a node: all its expressions and fields must hold.

    An empty term selects nothing, and neither does one that makes no sense.

    Args:
        term: with matchExpressions and matchFields.
        labels: of the node.
        name: of the node.
    """
    expressions, fields = term.get("matchExpressions") or (), term.get("matchFields") or ()
    if not expressions and not fields:
        return False
    return all(_expression(item, labels) for item in expressions) and all(
        _field(item, name) for item in fields
    )


def _expression(item: ReadOnlyDocument, labels: Mapping[str, str]) -> bool:
    key, operator = item.get("key"), item.get("operator")
    values = tuple(item.get("values") or ())
    if not isinstance(key, str) or not key:
        return False
    if operator in ("In", "NotIn"):
        sensible = bool(values)
    elif operator in ("Exists", "DoesNotExist"):
        sensible = not values
    else:
        sensible = operator in ("Gt", "Lt") and (
            len(values) == 1 and _NUMBER.fullmatch(str(values[0])) is not None
        )
    return sensible and Requirement(key, str(operator), values).matches(labels)


def _field(item: ReadOnlyDocument, name: str) -> bool:
    """A node has one field to be selected by, its name, and a name is compared with one value."""
    values = list(item.get("values") or ())
    if item.get("key") != NAME_FIELD or len(values) != 1:
        return False
    if item.get("operator") == "In":
        return bool(values[0] == name)
    return bool(item.get("operator") == "NotIn" and values[0] != name)


def pinned(affinity: ReadOnlyDocument | None, node_name: str) -> Document:
    """A pod spec's affinity, narrowed to one node by its name.

    The required terms are replaced: who pins a pod has looked at them before.

    Args:
        affinity: spec.affinity of the template; it is not changed.
        node_name: of the node.

    Returns:
        A part of a pod spec: ``{"affinity": ...}``.
    """
    field = {"key": NAME_FIELD, "operator": "In", "values": [node_name]}
    rules = node_affinity({"affinity": affinity})
    narrowed = {**rules, REQUIRED: {"nodeSelectorTerms": [{"matchFields": [field]}]}}
    return {"affinity": {**(affinity or _EMPTY), "nodeAffinity": narrowed}}


def pinned_node(pod_spec: ReadOnlyDocument) -> str:
    """The one node that a pod spec is pinned to by name; "" if it is not."""
    for term in required_terms(pod_spec) or ():
        for item in term.get("matchFields") or ():
            values = list(item.get("values") or ())
            pins = item.get("key") == NAME_FIELD and item.get("operator") == "In"
            if pins and len(values) == 1:
                return str(values[0])
    return ""
