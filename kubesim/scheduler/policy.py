"""A whole scheduler in one method: `choose(pod, nodes)`.

A simpler way to write a scheduler than the framework of plug-ins:

>>> class First:
...     name = "First"
...     def choose(self, pod, nodes):
...         return nodes[0].name

`Cluster(schedulers={"first": First()})` runs it for pods with ``schedulerName: first``. No filter
runs before it: it may overcommit a node, and the kubelet will reject the pod then.

No counterpart in Kubernetes, where a second scheduler is its own program.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from kubesim.scheduler.framework.cycle import Cycle
from kubesim.scheduler.framework.cycle_state import CycleState
from kubesim.scheduler.framework.nodeinfo import NodeInfo
from kubesim.scheduler.framework.status import PluginFailed, Status
from kubesim.usercode import USER_ERRORS, error_text

if TYPE_CHECKING:
    from kubesim.objects.types import PodDict


@runtime_checkable
class PlacementPolicy(Protocol):
    """A scheduler in one method; `name` defaults to the class's name."""

    def choose(self, pod: PodDict, nodes: list[NodeInfo], /) -> NodeInfo | str | None:
        """Return a node or its name; None: no node is good enough."""


class PolicySearch:
    """Finds nodes by asking a policy.

    Args:
        policy: has a method `choose(pod, nodes)`.
    """

    def __init__(self, policy: PlacementPolicy) -> None:
        self._policy = policy
        self.name = str(getattr(policy, "name", type(policy).__name__))

    def find_node(self, pod: PodDict, state: CycleState, cycle: Cycle) -> str | None:
        """Return the name of the node that the policy chose, or None.

        Args:
            pod: the pod to schedule.
            state: of this attempt.
            cycle: receives the result.

        Raises:
            PluginFailed: the policy raised, or chose a node that does not exist.
        """
        try:
            answer = self._policy.choose(pod, list(state.snapshot.nodes))
        except USER_ERRORS as error:
            message = f"running choose of {self.name!r}: {error_text(error)}"
            raise PluginFailed(message) from error
        name = answer.name if isinstance(answer, NodeInfo) else answer
        if name is None:
            refusal = Status.unschedulable(f"node(s) weren't chosen by {self.name}").by(self.name)
            cycle.refuse_nodes((node.name for node in state.snapshot), refusal)
            return None
        if not isinstance(name, str) or state.snapshot.get(name) is None:
            raise PluginFailed(f"{self.name!r} chose {name!r}, which is not a node")
        cycle.choose(name, f"{self.name} chose {name}")
        return name
