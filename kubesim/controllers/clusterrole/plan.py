"""What an aggregated ClusterRole should hold. Pure.

Source: pkg/controller/clusterroleaggregation/clusterroleaggregation_controller.go
(syncClusterRole).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from kubesim.apiserver.access.aggregation import aggregated_rules


def plan(
    role: Mapping[str, object], roles: Iterable[Mapping[str, object]]
) -> list[dict[str, object]] | None:
    """Return the new rules of an aggregated role; None if it has them already.

    Args:
        role: a ClusterRole with an aggregationRule.
        roles: all ClusterRoles.
    """
    rules = aggregated_rules(role, roles)
    return None if rules == (role.get("rules") or []) else rules
