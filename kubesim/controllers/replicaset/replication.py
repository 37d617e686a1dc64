"""The ReplicationController controller: ReplicaSets' rules for the older kind.

Upstream it is a layer that converts ReplicationControllers to ReplicaSets and back around the same
code; here the two kinds differ in their selector alone, so nothing is converted.

Source: pkg/controller/replication/replication_controller.go, conversion.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from kubesim.controllers.replicaset.controller import ReplicaSetController
from kubesim.objects.selectors import Selector, selector_from

if TYPE_CHECKING:
    from kubesim.objects.types import ReplicaSetDict


class ReplicationManager(ReplicaSetController):
    """Reconciles ReplicationControllers, one key at a time."""

    name = "replication-controller"
    kind = "ReplicationController"
    pods_on_demand = True

    def selector(self, owner: ReplicaSetDict) -> Selector:
        """Return the selector, a map of labels."""
        labels = cast("dict[str, str]", owner["spec"].get("selector") or {})
        return selector_from({"matchLabels": dict(labels)})
