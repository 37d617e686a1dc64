"""NodePorts: two pods cannot have the same port of one host.

Source: pkg/scheduler/framework/plugins/nodeports/node_ports.go.
"""

from __future__ import annotations

from kubesim.objects.frozen import Document
from kubesim.scheduler.framework.cycle_state import CycleState
from kubesim.scheduler.framework.events import NODE_ADD, POD_DELETE, ClusterEvent
from kubesim.scheduler.framework.nodeinfo import NodeInfo
from kubesim.scheduler.framework.podinfo import host_ports, pod_info, ports_clash
from kubesim.scheduler.framework.status import SKIP, SUCCESS, Status

REASON = "node(s) didn't have free ports for the requested pod ports"


class NodePorts:
    """The host ports that the pod claims must be free."""

    name = "NodePorts"
    local = True

    def pre_filter(self, pod: Document, state: CycleState) -> Status:
        """A pod without host ports needs no check."""
        return SUCCESS if pod_info(pod).ports else SKIP

    def filter(self, pod: Document, node: NodeInfo) -> Status:
        """No claim clashes with one of the pods there."""
        mine = pod_info(pod).ports
        if mine and any(ports_clash(port, taken) for taken in node.ports() for port in mine):
            return Status.unschedulable(REASON)
        return SUCCESS

    def hint(self, pod: Document, event: ClusterEvent) -> bool:
        """A pod with a clashing port went, or a node came."""
        if event.kind == NODE_ADD:
            return True
        if event.kind != POD_DELETE or event.old is None:
            return False
        freed = host_ports(event.old)
        return any(ports_clash(mine, port) for mine in host_ports(pod) for port in freed)
