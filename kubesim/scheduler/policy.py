"""A whole scheduler in one method: `choose(pod, nodes)`.

For learners who want to begin from nothing, beside the framework of plug-ins:

>>> class First:
...     name = "First"
...     def choose(self, pod, nodes):
...         return nodes[0].name

`Cluster(schedulers={"first": First()})` runs it for pods with ``schedulerName: first``. Nobody
filters for it: it may overcommit a node, and the kubelet will refuse the pod then.

No counterpart in Kubernetes, where a second scheduler is a program of its own.
"""

from __future__ import annotations

from typing import Any

from kubesim.objects.frozen import Document
from kubesim.scheduler.framework.cycle import Cycle
from kubesim.scheduler.framework.cycle_state import CycleState
from kubesim.scheduler.framework.nodeinfo import NodeInfo
from kubesim.scheduler.framework.status import SUCCESS, PluginFailed, Status


class PolicySearch:
    """Asks a policy where a pod goes.

    Args:
        policy: has a method `choose(pod, nodes)` that returns a NodeInfo, a node's name, or None.
    """

    def __init__(self, policy: Any) -> None:
        self._policy = policy
        self.name = str(getattr(policy, "name", type(policy).__name__))

    def find_node(self, pod: Document, state: CycleState, cycle: Cycle) -> str | None:
        """The name that the policy chose; None if it wants none of the nodes.

        Raises:
            PluginFailed: it raised, or named a node that does not exist.
        """
        try:
            answer = self._policy.choose(pod, list(state.snapshot.nodes))
        except Exception as error:
            said = f"running choose of {self.name!r}: {type(error).__name__}: {error}"
            raise PluginFailed(said) from error
        name = answer.name if isinstance(answer, NodeInfo) else answer
        if name is None:
            cycle.refused_by.add(self.name)
            refusal = Status.unschedulable(f"node(s) weren't chosen by {self.name}").by(self.name)
            cycle.statuses = dict.fromkeys((node.name for node in state.snapshot), refusal)
            return None
        if state.snapshot.get(name) is None:
            raise PluginFailed(f"{self.name!r} chose {name!r}, which is no node")
        cycle.statuses = {name: SUCCESS}
        cycle.note = f"{self.name} chose {name}"
        return str(name)
