"""NodeName: a pod that names its node runs there or nowhere.

Source: pkg/scheduler/framework/plugins/nodename/node_name.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubesim.scheduler.framework.events import NODE_ADD, ClusterEvent
from kubesim.scheduler.framework.nodeinfo import NodeInfo
from kubesim.scheduler.framework.status import SUCCESS, Status

if TYPE_CHECKING:
    from kubesim.objects.types import PodDict


class NodeName:
    """Filter: refuse every node but the one in the pod's spec.nodeName."""

    name = "NodeName"
    local = True

    def filter(self, pod: PodDict, node: NodeInfo) -> Status:
        """Compare spec.nodeName of the pod with the node's name."""
        desired = (pod.get("spec") or {}).get("nodeName")
        if not desired or desired == node.name:
            return SUCCESS
        return Status.unresolvable("node(s) didn't match the requested node name")

    def hint(self, pod: PodDict, event: ClusterEvent) -> bool:
        """Return whether a node was added."""
        return event.kind == NODE_ADD
