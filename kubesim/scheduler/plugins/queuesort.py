"""PrioritySort: the order of the active queue.

Source: pkg/scheduler/framework/plugins/queuesort/priority_sort.go.
"""

from __future__ import annotations

from kubesim.scheduler.framework.interface import QueuedPodInfo


class PrioritySort:
    """QueueSort: higher priority first, then the pod that has waited longer."""

    name = "PrioritySort"

    def less(self, a: QueuedPodInfo, b: QueuedPodInfo) -> bool:
        """Return whether queued pod a is tried before b."""
        return (-a.priority, a.since) < (-b.priority, b.since)
