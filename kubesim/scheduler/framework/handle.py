"""What a plug-in may reach besides its arguments: the Handle, and the nominated pods.

A plug-in with a method `attach(handle)` is given the handle when the scheduler starts.

Source: pkg/scheduler/framework/interface.go (Handle), pkg/scheduler/backend/queue/nominator.go.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kubesim.analytics import Analytics
from kubesim.apiserver import KubeAPI
from kubesim.client import DecisionLog, EventRecorder
from kubesim.clock.base import Clock
from kubesim.objects import meta
from kubesim.objects.frozen import Document
from kubesim.scheduler.framework.cycle_state import CycleState
from kubesim.scheduler.framework.nodeinfo import NodeInfo
from kubesim.scheduler.framework.podinfo import priority_of
from kubesim.scheduler.framework.runtime import Framework
from kubesim.scheduler.framework.snapshot import Snapshot
from kubesim.scheduler.framework.status import Status

if TYPE_CHECKING:
    from random import Random


class Nominator:
    """Pods that wait for room which preemption is making for them, by node."""

    def __init__(self) -> None:
        self._node: dict[str, str] = {}
        self._pods: dict[str, dict[str, Document]] = {}

    def add(self, pod: Document, node: str) -> None:
        """The pod is nominated to that node now, and to no other."""
        key = meta.key_of(pod)
        self.remove(key)
        self._node[key] = node
        self._pods.setdefault(node, {})[key] = pod

    def remove(self, key: str) -> None:
        """The pod is nominated no longer."""
        node = self._node.pop(key, None)
        if node is not None:
            pods = self._pods[node]
            pods.pop(key, None)
            if not pods:
                del self._pods[node]

    def node_of(self, key: str) -> str:
        """The node that a pod is nominated to; "" if none."""
        return self._node.get(key, "")

    def on(self, node: str) -> list[Document]:
        """The pods nominated to a node."""
        return list(self._pods.get(node, {}).values())

    def __len__(self) -> int:
        return len(self._node)


def filter_with_nominated(
    framework: Framework, nominator: Nominator, pod: Document, node: NodeInfo, state: CycleState
) -> Status:
    """The filters on one node, as if nominated pods of equal or higher priority were there, too.

    They have to pass twice: with those pods, whose room is not the pod's to take, and without,
    since the pod may rely on none that has not come yet.
    """
    if len(nominator):
        mine, key = priority_of(pod), meta.key_of(pod)
        others = [
            other
            for other in nominator.on(node.name)
            if priority_of(other) >= mine and meta.key_of(other) != key
        ]
        if others:
            twin, twin_state = node.clone(), state.clone()
            for other in others:
                framework.add_pod(pod, other, twin, twin_state)
            status = framework.filter(pod, twin, twin_state)
            if not status.ok:
                return status
    return framework.filter(pod, node, state)


@dataclass
class Handle:
    """What plug-ins with `attach(handle)` are given.

    Attributes:
        scheduler_name: whose plug-in it is.
        api: the API client.
        clock: simulated time; nothing but `now`, `timestamp` and `seconds_at` is a plug-in's.
        recorder: writes Events.
        analytics: the log.
        decisions: where records of decisions go.
        framework: runs the filters of this profile.
        nominator: pods that wait for room being made.
        rng: the scheduler's stream of randomness.
        snapshot: the nodes as they are now.
        allow: (key, plug-in) -> a Permit plug-in gives its word for a pod that waits for it.
        reject: (key, reason, plug-in) -> a pod that waits in Permit is not to be bound after all.
    """

    scheduler_name: str
    api: KubeAPI
    clock: Clock
    recorder: EventRecorder
    analytics: Analytics
    decisions: DecisionLog
    framework: Framework
    nominator: Nominator
    rng: Random
    snapshot: Callable[[], Snapshot]
    allow: Callable[[str, str], bool]
    reject: Callable[..., bool]

    def attach_all(self) -> None:
        """Give the handle to every plug-in that wants it."""
        for enabled in self.framework.profile:
            attach: Any = getattr(enabled.plugin, "attach", None)
            if callable(attach):
                attach(self)
