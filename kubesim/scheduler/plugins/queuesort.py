"""PrioritySort: the order of the active queue.

Source: pkg/scheduler/framework/plugins/queuesort/priority_sort.go.
"""

from __future__ import annotations

from typing import Any


class PrioritySort:
    """Higher priority first, then who waits longer."""

    name = "PrioritySort"

    def less(self, a: Any, b: Any) -> bool:
        """Whether queued pod a goes before b; both have `priority` and `since` (seconds)."""
        return bool((-a.priority, a.since) < (-b.priority, b.since))
