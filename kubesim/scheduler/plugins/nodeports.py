"""NodePorts: two pods cannot use the same port of one host.

Source: pkg/scheduler/framework/plugins/nodeports/node_ports.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from kubesim.scheduler.framework.cycle_state import CycleState
from kubesim.scheduler.framework.events import NODE_ADD, POD_DELETE, ClusterEvent
from kubesim.scheduler.framework.nodeinfo import NodeInfo
from kubesim.scheduler.framework.podinfo import host_ports, pod_info, ports_clash
from kubesim.scheduler.framework.status import SKIP, SUCCESS, Status

if TYPE_CHECKING:
    from kubesim.objects.types import PodDict

REASON = "node(s) didn't have free ports for the requested pod ports"


class NodePorts:
    """Filter: the host ports that the pod requests must be free."""

    name = "NodePorts"
    local = True

    def pre_filter(self, pod: PodDict, state: CycleState) -> Status:
        """Skip a pod without host ports."""
        return SUCCESS if pod_info(pod).ports else SKIP

    def filter(self, pod: PodDict, node: NodeInfo) -> Status:
        """Refuse a node on which another pod uses one of the ports."""
        desired = pod_info(pod).ports
        if desired and any(ports_clash(port, used) for used in node.ports() for port in desired):
            return Status.unschedulable(REASON)
        return SUCCESS

    def hint(self, pod: PodDict, event: ClusterEvent) -> bool:
        """Return whether a node was added, or a pod with one of the ports was deleted."""
        if event.kind == NODE_ADD:
            return True
        if event.kind != POD_DELETE or event.old is None:
            return False
        freed = host_ports(cast("PodDict", event.old))
        return any(ports_clash(desired, port) for desired in host_ports(pod) for port in freed)
