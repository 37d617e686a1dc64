"""Node selection: nodeSelector, terms of node affinity, and pinning to one node.

The scheduler, the DaemonSet controller and kubelets share these functions, so that they agree.

>>> node = {"metadata": {"name": "node-1", "labels": {"disk": "ssd"}}}
>>> wants_node({"nodeSelector": {"disk": "ssd"}}, node), wants_node(pinned({}, "node-2"), node)
(True, False)

Source: k8s.io/component-helpers/scheduling/corev1/nodeaffinity (newNodeSelectorTerm),
k8s.io/apimachinery/pkg/labels (NewRequirement),
pkg/controller/daemon/util/daemonset_util.go (ReplaceDaemonSetPodNodeNameNodeAffinity).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from kubesim.objects import meta
from kubesim.objects.intstr import parse_int
from kubesim.objects.selectors import Requirement

if TYPE_CHECKING:
    from kubesim.objects.types import (
        AffinityDict,
        NodeAffinityDict,
        NodeDict,
        NodeSelectorRequirementDict,
        NodeSelectorTermDict,
        PodSpecDict,
    )

REQUIRED: Final = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED: Final = "preferredDuringSchedulingIgnoredDuringExecution"
NAME_FIELD = "metadata.name"
LONG = 10_000  # characters of an expression; at most one longer one is kept
NO_AFFINITY = "node(s) didn't match Pod's node affinity/selector"
_NO_LABELS: Mapping[str, str] = {}
_NO_AFFINITY: AffinityDict = {}
_NO_NODE_AFFINITY: NodeAffinityDict = {}


def node_affinity(pod_spec: PodSpecDict) -> NodeAffinityDict:
    """Return affinity.nodeAffinity of a pod spec, or an empty one."""
    return (pod_spec.get("affinity") or _NO_AFFINITY).get("nodeAffinity") or _NO_NODE_AFFINITY


def required_terms(pod_spec: PodSpecDict) -> list[NodeSelectorTermDict] | None:
    """Return the terms of the required node affinity of a pod spec, or None."""
    rule = node_affinity(pod_spec).get(REQUIRED)
    return None if rule is None else list(rule.get("nodeSelectorTerms") or ())


def wants_node(pod_spec: PodSpecDict, node: NodeDict) -> bool:
    """Whether a pod spec's nodeSelector and required node affinity allow a node."""
    labels = meta.labels_of(node)
    selector = pod_spec.get("nodeSelector") or _NO_LABELS
    for key, value in selector.items():
        if key not in labels or labels[key] != value:
            return False
    terms = required_terms(pod_spec)
    return terms is None or selects(terms, node)


def selects(terms: Iterable[NodeSelectorTermDict] | None, node: NodeDict) -> bool:
    """Whether a term of a node selector matches the node; no terms match no node."""
    labels, name = meta.labels_of(node), meta.name_of(node)
    return any(term_matches(term, labels, name) for term in terms or ())


def term_matches(term: NodeSelectorTermDict, labels: Mapping[str, str], name: str) -> bool:
    """Whether one term matches a node: all its expressions and fields have to match.

    An empty term, or one with a malformed key, operator or value, matches no node.

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


def _expression(item: NodeSelectorRequirementDict, labels: Mapping[str, str]) -> bool:
    key, operator = item.get("key"), item.get("operator")
    values = tuple(item.get("values") or ())
    if not _is_valid(key, operator, values):
        return False
    return Requirement(str(key), str(operator), values).matches(labels)


@lru_cache(maxsize=4096)
def _is_valid(key: str | None, operator: str | None, values: tuple[str, ...]) -> bool:
    """Return whether an expression is well-formed, as labels.NewRequirement checks it.

    Args:
        key, operator, values: of the expression.
    """
    if len(str(key)) + sum(len(str(value)) for value in values) > LONG:
        _is_valid.cache_clear()
    if not isinstance(key, str) or not meta.valid_label_key(key):
        return False
    if not all(isinstance(value, str) and meta.valid_label_value(value) for value in values):
        return False
    if operator in ("In", "NotIn"):
        return bool(values)
    if operator in ("Exists", "DoesNotExist"):
        return not values
    return operator in ("Gt", "Lt") and len(values) == 1 and parse_int(values[0]) is not None


def _field(item: NodeSelectorRequirementDict, name: str) -> bool:
    """Whether a field expression matches; the only field is the name, with one value."""
    values = list(item.get("values") or ())
    if item.get("key") != NAME_FIELD or len(values) != 1:
        return False
    if item.get("operator") == "In":
        return bool(values[0] == name)
    return bool(item.get("operator") == "NotIn" and values[0] != name)


def pinned(affinity: AffinityDict | None, node_name: str) -> PodSpecDict:
    """Return an affinity that requires one node by name.

    It replaces the required terms, which the caller has checked before.

    Args:
        affinity: spec.affinity of the template; not changed.
        node_name: name of the node.

    Returns:
        A part of a pod spec: ``{"affinity": ...}``.
    """
    field: NodeSelectorRequirementDict = {
        "key": NAME_FIELD,
        "operator": "In",
        "values": [node_name],
    }
    rules = (affinity or _NO_AFFINITY).get("nodeAffinity") or _NO_NODE_AFFINITY
    narrowed: NodeAffinityDict = {
        **rules,
        REQUIRED: {"nodeSelectorTerms": [{"matchFields": [field]}]},
    }
    return {"affinity": {**(affinity or _NO_AFFINITY), "nodeAffinity": narrowed}}


def pinned_node(pod_spec: PodSpecDict) -> str:
    """Return the node to which a pod spec is pinned by name, or ""."""
    for term in required_terms(pod_spec) or ():
        for item in term.get("matchFields") or ():
            values = list(item.get("values") or ())
            pins = item.get("key") == NAME_FIELD and item.get("operator") == "In"
            if pins and len(values) == 1:
                return str(values[0])
    return ""
