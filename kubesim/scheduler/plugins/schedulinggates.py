"""SchedulingGates: a pod with spec.schedulingGates is not tried.

Source: pkg/scheduler/framework/plugins/schedulinggates/scheduling_gates.go.
"""

from __future__ import annotations

from kubesim.objects.frozen import Document
from kubesim.scheduler.framework.events import POD_ITSELF, ClusterEvent
from kubesim.scheduler.framework.status import SUCCESS, Status


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
