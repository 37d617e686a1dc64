"""Aggregation: a ClusterRole whose rules are those of all roles with certain labels. Pure.

Source: pkg/controller/clusterroleaggregation/clusterroleaggregation_controller.go.
"""

from __future__ import annotations

from collections.abc import Iterable

from kubesim.objects.frozen import Document, ReadOnlyDocument
from kubesim.objects.meta import labels_of, name_of
from kubesim.objects.selectors import selector_from


def aggregated_rules(role: ReadOnlyDocument, roles: Iterable[ReadOnlyDocument]) -> list[Document]:
    """Return the rules that a role aggregates: those of the selected roles, by name, each once.

    Args:
        role: a ClusterRole with an aggregationRule.
        roles: all ClusterRoles.

    >>> role = {"metadata": {"name": "all"},
    ...         "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"to": "all"}}]}}
    >>> rule = {"verbs": ["get"], "nonResourceURLs": ["/logs"]}
    >>> part = {"metadata": {"name": "part", "labels": {"to": "all"}}, "rules": [rule, rule]}
    >>> aggregated_rules(role, [role, part])
    [{'verbs': ['get'], 'nonResourceURLs': ['/logs']}]
    """
    by_name = sorted(roles, key=name_of)
    rules: list[Document] = []
    for document in (role.get("aggregationRule") or {}).get("clusterRoleSelectors") or ():
        selector = selector_from(document)
        for other in by_name:
            if name_of(other) != name_of(role) and selector.matches(labels_of(other)):
                for rule in other.get("rules") or ():
                    if rule not in rules:
                        rules.append(rule)
    return rules
