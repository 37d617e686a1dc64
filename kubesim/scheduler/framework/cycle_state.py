"""CycleState: what plug-ins remember between the extension points of one attempt.

A plug-in that needs to count something over all nodes does it once, in `pre_filter` or `pre_score`,
and keeps the result here under its own name. Preemption tries out what would be if pods were gone;
for that the state is cloned, and the plug-in's `remove_pod` and `add_pod` change the clone.

>>> state = CycleState(Snapshot([]))
>>> state["Mine"] = {"zone-a": 2}
>>> twin = state.clone()
>>> twin["Mine"]["zone-a"] = 7
>>> state["Mine"]
{'zone-a': 2}

Source: pkg/scheduler/framework/cycle_state.go.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from kubesim.scheduler.framework.snapshot import Snapshot


class CycleState(dict[str, Any]):
    """Values by key, for one attempt to place one pod.

    A value that has a method `clone` is cloned by it, other values are copied deeply.

    Args:
        snapshot: the nodes and pods that this attempt looks at.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        super().__init__()
        self.snapshot = snapshot
        self.skip_filter: set[str] = set()
        self.skip_score: set[str] = set()

    def clone(self) -> CycleState:
        """An independent copy; the snapshot is shared."""
        twin = CycleState(self.snapshot)
        for key, value in self.items():
            clone = getattr(value, "clone", None)
            twin[key] = clone() if callable(clone) else deepcopy(value)
        twin.skip_filter = set(self.skip_filter)
        twin.skip_score = set(self.skip_score)
        return twin
