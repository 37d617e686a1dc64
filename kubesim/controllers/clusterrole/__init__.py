"""The aggregation controller: ClusterRoles that are made of others."""

from kubesim.controllers.clusterrole.controller import ClusterRoleAggregationController

__all__ = ["ClusterRoleAggregationController"]
