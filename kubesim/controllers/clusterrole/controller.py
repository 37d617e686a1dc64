"""The aggregation controller: fills the rules of ClusterRoles that have an aggregationRule.

Whoever installs a custom kind gives a small ClusterRole the label
``rbac.authorization.k8s.io/aggregate-to-edit: "true"``, and `edit` and `admin` get its rules.

Source: pkg/controller/clusterroleaggregation/clusterroleaggregation_controller.go.
"""

from __future__ import annotations

from collections.abc import Iterable

from kubesim.apiserver import ResourceEvent
from kubesim.client import Controller, Tools
from kubesim.controllers.clusterrole.plan import plan
from kubesim.objects import meta


class ClusterRoleAggregationController(Controller):
    """Keeps the rules of aggregated ClusterRoles up to date."""

    name = "clusterrole-aggregation-controller"

    def __init__(self, tools: Tools, **options: float) -> None:
        super().__init__(tools, **options)
        self._roles = self.informer("ClusterRole", self._role_changed)

    def _role_changed(self, _event: ResourceEvent[dict[str, object]]) -> Iterable[str]:
        """Look at every aggregated role again, whichever role changed."""
        return [meta.name_of(role) for role in self._roles.list() if role.get("aggregationRule")]

    def reconcile(self, key: str) -> None:
        """Write the rules of a role if they changed."""
        role = self._roles.get(key)
        if role is None or not role.get("aggregationRule"):
            return
        rules = plan(role, self._roles.list())
        if rules is None:
            return
        updated = self.api.update({**role, "rules": rules})
        self.counts["updated"] += 1
        self.decide(
            updated,
            f"write {len(rules)} rules of other roles into {key}",
            binding="its aggregationRule",
            would_change_if="a role with one of these labels changed",
        )
