"""SchedulingGates: a pod with spec.schedulingGates is not tried.

Source: pkg/scheduler/framework/plugins/schedulinggates/scheduling_gates.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubesim.scheduler.framework.events import POD_ITSELF, ClusterEvent
from kubesim.scheduler.framework.status import SUCCESS, Status

if TYPE_CHECKING:
    from kubesim.objects.types import PodDict


class SchedulingGates:
    """PreEnqueue: a pod waits outside the active queue until its last gate is removed."""

    name = "SchedulingGates"

    def pre_enqueue(self, pod: PodDict) -> Status:
        """Refuse a pod that has gates."""
        gates = (pod.get("spec") or {}).get("schedulingGates")
        if not gates:
            return SUCCESS
        names = " ".join(str(gate.get("name", "")) for gate in gates)
        return Status.unresolvable(f"waiting for scheduling gates: [{names}]")

    def hint(self, pod: PodDict, event: ClusterEvent) -> bool:
        """Return whether the pod's last gate was removed."""
        return event.kind == POD_ITSELF and not (pod.get("spec") or {}).get("schedulingGates")
