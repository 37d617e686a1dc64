"""Small plug-ins: gates, order of the queue, cordons, node names, claims' words, and the binder.

Source: pkg/scheduler/framework/plugins/{schedulinggates,queuesort,nodeunschedulable,nodename,
dynamicresources,defaultbinder}.
"""

from __future__ import annotations

from typing import Any

from kubesim.objects import meta
from kubesim.objects.frozen import Document
from kubesim.scheduler.framework.events import NODE_ADD, NODE_UPDATE, POD_ITSELF, ClusterEvent
from kubesim.scheduler.framework.nodeinfo import NodeInfo
from kubesim.scheduler.framework.status import SUCCESS, Status
from kubesim.scheduler.plugins.taints import untolerated_taint

UNSCHEDULABLE_TAINT = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}


class SchedulingGates:
    """A pod with gates waits outside the queue until the last one is removed."""

    name = "SchedulingGates"

    def pre_enqueue(self, pod: Document) -> Status:
        """Success without gates."""
        gates = (pod.get("spec") or {}).get("schedulingGates")
        if not gates:
            return SUCCESS
        names = " ".join(str(gate.get("name", "")) for gate in gates)
        return Status.unresolvable(f"waiting for scheduling gates: [{names}]")

    def hint(self, pod: Document, event: ClusterEvent) -> bool:
        """The last gate is gone."""
        return event.kind == POD_ITSELF and not (pod.get("spec") or {}).get("schedulingGates")


class PrioritySort:
    """Higher priority first, then who waits longer."""

    name = "PrioritySort"

    def less(self, a: Any, b: Any) -> bool:
        """Whether queued pod a goes before b; both have `priority` and `since` (seconds)."""
        return bool((-a.priority, a.since) < (-b.priority, b.since))


class NodeUnschedulable:
    """A cordoned node takes no pod that does not tolerate it."""

    name = "NodeUnschedulable"
    local = True

    def filter(self, pod: Document, node: NodeInfo) -> Status:
        """spec.unschedulable of the node."""
        if not node.unschedulable:
            return SUCCESS
        if untolerated_taint(pod, [UNSCHEDULABLE_TAINT], ("NoSchedule",)) is None:
            return SUCCESS
        return Status.unresolvable("node(s) were unschedulable")

    def hint(self, pod: Document, event: ClusterEvent) -> bool:
        """A node that is not cordoned (any more), or a new toleration."""
        if event.kind == POD_ITSELF:
            return event.spec_changed("tolerations")
        if event.kind not in (NODE_ADD, NODE_UPDATE) or not event.spec_changed("unschedulable"):
            return False
        return not ((event.new or {}).get("spec") or {}).get("unschedulable")


class NodeName:
    """A pod that names its node goes there or nowhere."""

    name = "NodeName"
    local = True

    def filter(self, pod: Document, node: NodeInfo) -> Status:
        """spec.nodeName of the pod."""
        wanted = (pod.get("spec") or {}).get("nodeName")
        if not wanted or wanted == node.name:
            return SUCCESS
        return Status.unresolvable("node(s) didn't match the requested node name")

    def hint(self, pod: Document, event: ClusterEvent) -> bool:
        """The node appeared."""
        return event.kind == NODE_ADD


class DynamicResources:
    """No device claims here, but the words of a cluster that has them on (1.34's default).

    Not in the default profile. In the list of the point postFilter it comes before preemption:
    ``{"plugins": {"postFilter": {"enabled": [{"name": "DynamicResources"}]}}}``.
    """

    name = "DynamicResources"

    def post_filter(self, pod: Document, cycle: Any) -> Status:
        """There is never a claim that could be given back."""
        return Status.unschedulable("no new claims to deallocate")


class DefaultBinder:
    """Posts a Binding; the API server writes spec.nodeName."""

    name = "DefaultBinder"

    def __init__(self) -> None:
        self._api: Any = None

    def attach(self, handle: Any) -> None:
        """Take the API client from the scheduler's handle."""
        self._api = handle.api

    def bind(self, pod: Document, node: str) -> Status:
        """Bind the pod to the node.

        Raises:
            Conflict: it has a node already, or is being deleted.
            NotFound: it is gone.
        """
        self._api.bind(meta.name_of(pod), meta.namespace_of(pod), node)
        return SUCCESS
