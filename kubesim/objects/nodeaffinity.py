"""Which nodes a pod asks for: nodeSelector, required node affinity, and pinning to one node.

>>> node = {"metadata": {"name": "node-1", "labels": {"disk": "ssd"}}}
>>> wants_node({"nodeSelector": {"disk": "ssd"}}, node), wants_node(pinned({}, "node-2"), node)
(True, False)

Source: k8s.io/component-helpers/scheduling/corev1/nodeaffinity,
pkg/controller/daemon/util/daemonset_util.go (ReplaceDaemonSetPodNodeNameNodeAffinity).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubesim.objects import meta
from kubesim.objects.frozen import Document
from kubesim.objects.selectors import Requirement

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
NAME_FIELD = "metadata.name"
_TAKES = {"In": "some", "NotIn": "some", "Exists": "none", "DoesNotExist": "none"}
_EMPTY: Mapping[str, Any] = {}


def required_terms(pod_spec: Mapping[str, Any]) -> list[Document] | None:
    """The terms of a pod spec's required node affinity; None if it has none."""
    affinity = (pod_spec.get("affinity") or _EMPTY).get("nodeAffinity") or _EMPTY
    rule = affinity.get(REQUIRED)
    return None if rule is None else list(rule.get("nodeSelectorTerms") or ())


def wants_node(pod_spec: Mapping[str, Any], node: Mapping[str, Any]) -> bool:
    """Whether a pod spec's nodeSelector and required node affinity allow a node."""
    labels = meta.labels_of(node)
    selector = pod_spec.get("nodeSelector") or _EMPTY
    if any(labels.get(key) != value for key, value in selector.items()):
        return False
    terms = required_terms(pod_spec)
    return terms is None or any(_term(term, labels, meta.name_of(node)) for term in terms)


def _term(term: Mapping[str, Any], labels: Mapping[str, str], name: str) -> bool:
    """All of a term must hold; an empty one, or one that makes no sense, holds for no node."""
    expressions, fields = term.get("matchExpressions") or (), term.get("matchFields") or ()
    if not expressions and not fields:
        return False
    return all(_expression(item, labels) for item in expressions) and all(
        item.get("key") == NAME_FIELD and _expression(item, {NAME_FIELD: name}) for item in fields
    )


def _expression(item: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    key, operator = item.get("key"), item.get("operator")
    values = tuple(str(value) for value in item.get("values") or ())
    if not isinstance(key, str) or not isinstance(operator, str):
        return False
    if operator in ("Gt", "Lt"):
        number = values[0].removeprefix("-") if len(values) == 1 else ""
        if not (number.isascii() and number.isdigit()):
            return False
    elif operator not in _TAKES or bool(values) != (_TAKES[operator] == "some"):
        return False
    return Requirement(key, operator, values).matches(labels)


def pinned(affinity: Mapping[str, Any] | None, node_name: str) -> Document:
    """A pod spec's affinity, narrowed to one node by its name.

    The required terms are replaced: who pins a pod has looked at them before.

    Args:
        affinity: spec.affinity of the template; it is not changed.
        node_name: of the node.

    Returns:
        A part of a pod spec: ``{"affinity": ...}``.
    """
    field = {"key": NAME_FIELD, "operator": "In", "values": [node_name]}
    rules = (affinity or _EMPTY).get("nodeAffinity") or _EMPTY
    narrowed = {**rules, REQUIRED: {"nodeSelectorTerms": [{"matchFields": [field]}]}}
    return {"affinity": {**(affinity or _EMPTY), "nodeAffinity": narrowed}}


def pinned_node(pod_spec: Mapping[str, Any]) -> str:
    """The one node that a pod spec is pinned to by name; "" if it is not."""
    for term in required_terms(pod_spec) or ():
        for item in term.get("matchFields") or ():
            values = list(item.get("values") or ())
            pins = item.get("key") == NAME_FIELD and item.get("operator") == "In"
            if pins and len(values) == 1:
                return str(values[0])
    return ""
