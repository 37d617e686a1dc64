"""NodeUnschedulable: cordoned nodes take no new pods.

Source: pkg/scheduler/framework/plugins/nodeunschedulable/node_unschedulable.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubesim.objects.wellknown import UNSCHEDULABLE
from kubesim.scheduler.framework.events import NODE_ADD, NODE_UPDATE, POD_ITSELF, ClusterEvent
from kubesim.scheduler.framework.nodeinfo import NodeInfo
from kubesim.scheduler.framework.status import SUCCESS, Status
from kubesim.scheduler.plugins.tainttoleration import untolerated_taint

if TYPE_CHECKING:
    from kubesim.objects.types import PodDict, TaintDict

UNSCHEDULABLE_TAINT: TaintDict = {"key": UNSCHEDULABLE, "effect": "NoSchedule"}


class NodeUnschedulable:
    """Filter: refuse cordoned nodes, unless the pod tolerates the unschedulable taint."""

    name = "NodeUnschedulable"
    local = True

    def filter(self, pod: PodDict, node: NodeInfo) -> Status:
        """Refuse a node with spec.unschedulable."""
        if not node.unschedulable:
            return SUCCESS
        if untolerated_taint(pod, [UNSCHEDULABLE_TAINT], ("NoSchedule",)) is None:
            return SUCCESS
        return Status.unresolvable("node(s) were unschedulable")

    def hint(self, pod: PodDict, event: ClusterEvent) -> bool:
        """Return whether a node is schedulable now, or the pod got another toleration."""
        if event.kind == POD_ITSELF:
            return event.spec_changed("tolerations")
        if event.kind not in (NODE_ADD, NODE_UPDATE) or not event.spec_changed("unschedulable"):
            return False
        return not ((event.new or {}).get("spec") or {}).get("unschedulable")
