"""CycleState: what plug-ins store between the extension points of one attempt.

A plug-in that counts something over all nodes does so once, in `pre_filter` or `pre_score`, and
stores the result here under its own name. Preemption tries out what would happen if pods were
removed: it clones the state, and the plug-in's `remove_pod` and `add_pod` change the clone.

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


class CycleState(dict[str, Any]):  # Any: each plug-in stores its own type
    """Values by key, for one attempt to schedule one pod.

    `clone` copies a value with the value's own method `clone` if it has one, and deeply otherwise.

    Args:
        snapshot: the nodes and pods of this attempt.

    Attributes:
        skip_filter, skip_score: plug-ins that returned SKIP from PreFilter and PreScore.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        super().__init__()
        self.snapshot = snapshot
        self.skip_filter: set[str] = set()
        self.skip_score: set[str] = set()

    def clone(self) -> CycleState:
        """Return an independent copy; the snapshot is shared."""
        twin = CycleState(self.snapshot)
        for key, value in self.items():
            clone = getattr(value, "clone", None)
            twin[key] = clone() if callable(clone) else deepcopy(value)
        twin.skip_filter = set(self.skip_filter)
        twin.skip_score = set(self.skip_score)
        return twin
