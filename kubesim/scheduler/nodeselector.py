"""Node selectors: the terms of node affinity, read and matched.

Source: k8s.io/component-helpers/scheduling/corev1/nodeaffinity.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from kubesim.objects import meta
from kubesim.objects.frozen import Document
from kubesim.objects.selectors import Requirement

NAME_FIELD = "metadata.name"
_NUMBER = re.compile(r"[+-]?[0-9]+", re.ASCII)


def term_matches(term: Mapping[str, Any], labels: Mapping[str, str], name: str) -> bool:
    """Whether one term selects a node: all its expressions and fields must hold.

    An empty term selects nothing, a malformed one neither.

    Args:
        term: with matchExpressions and matchFields.
        labels, name: of the node.
    """
    expressions, fields = term.get("matchExpressions") or (), term.get("matchFields") or ()
    if not expressions and not fields:
        return False
    return all(_expression(item, labels) for item in expressions) and all(
        _field(item, name) for item in fields
    )


def selects(terms: Iterable[Mapping[str, Any]] | None, node: Document) -> bool:
    """Whether any term of a node selector selects the node; no terms select nothing."""
    labels, name = meta.labels_of(node), meta.name_of(node)
    return any(term_matches(term, labels, name) for term in terms or ())


def required_terms(pod: Document) -> list[Document] | None:
    """The required terms of a pod's node affinity; None if it has no such rule."""
    affinity = ((pod.get("spec") or {}).get("affinity") or {}).get("nodeAffinity") or {}
    rule = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    return None if rule is None else list(rule.get("nodeSelectorTerms") or ())


def pod_selects(pod: Document, node: Document) -> bool:
    """All pairs of spec.nodeSelector are the node's, and a required term, if any, selects it."""
    labels = meta.labels_of(node)
    wanted = (pod.get("spec") or {}).get("nodeSelector") or {}
    if any(key not in labels or labels[key] != value for key, value in wanted.items()):
        return False
    terms = required_terms(pod)
    return terms is None or selects(terms, node)


def _expression(item: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    operator = item.get("operator")
    values: tuple[str, ...] = tuple(item.get("values") or ())
    key = item.get("key")
    if not isinstance(key, str) or not key:
        return False
    if operator in ("In", "NotIn"):
        if not values:
            return False
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            return False
    elif operator in ("Gt", "Lt"):
        if len(values) != 1 or not _NUMBER.fullmatch(str(values[0])):
            return False
    else:
        return False
    return Requirement(key, str(operator), values).matches(labels)


def _field(item: Mapping[str, Any], name: str) -> bool:
    values = list(item.get("values") or ())
    if item.get("key") != NAME_FIELD or len(values) != 1:
        return False
    if item.get("operator") == "In":
        return bool(values[0] == name)
    return bool(item.get("operator") == "NotIn" and values[0] != name)
