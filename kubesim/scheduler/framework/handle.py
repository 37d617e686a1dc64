"""Handle: what a plug-in may use in addition to its arguments; and the Nominator.

A plug-in with a method `attach(handle)` receives the handle when its scheduler is created.

Source: pkg/scheduler/framework/interface.go (Handle), pkg/scheduler/backend/queue/nominator.go.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from kubesim.analytics import Analytics
from kubesim.apiserver import KubeAPI
from kubesim.client import DecisionLog, EventRecorder
from kubesim.clock.base import Clock
from kubesim.objects import meta
from kubesim.scheduler.framework.cycle_state import CycleState
from kubesim.scheduler.framework.nodeinfo import NodeInfo
from kubesim.scheduler.framework.podinfo import priority_of
from kubesim.scheduler.framework.runtime import Framework
from kubesim.scheduler.framework.snapshot import Snapshot
from kubesim.scheduler.framework.status import Status

if TYPE_CHECKING:
    from random import Random

    from kubesim.objects.types import PodDict


class Nominator:
    """The pods that preemption is making room for, by node."""

    def __init__(self) -> None:
        self._node: dict[str, str] = {}
        self._pods: dict[str, dict[str, PodDict]] = {}

    def add(self, pod: PodDict, node: str) -> None:
        """Nominate a pod to a node; an earlier nomination ends."""
        key = meta.key_of(pod)
        self.remove(key)
        self._node[key] = node
        self._pods.setdefault(node, {})[key] = pod

    def remove(self, key: str) -> None:
        """End the nomination of a pod, if there is one."""
        node = self._node.pop(key, None)
        if node is not None:
            pods = self._pods[node]
            pods.pop(key, None)
            if not pods:
                del self._pods[node]

    def node_of(self, key: str) -> str:
        """Return the node that a pod is nominated to; "" without a nomination."""
        return self._node.get(key, "")

    def pods_for_node(self, node: str) -> list[PodDict]:
        """Return the pods that are nominated to a node."""
        return list(self._pods.get(node, {}).values())

    def __len__(self) -> int:
        return len(self._node)


def filter_with_nominated(
    framework: Framework, nominator: Nominator, pod: PodDict, node: NodeInfo, state: CycleState
) -> Status:
    """Filter one node, considering nominated pods of equal or higher priority.

    The filters must pass twice: with those pods, whose room is reserved for them, and without them,
    since the pod must not depend on a pod that is not there yet.

    Args:
        framework: runs the filters.
        nominator: knows the nominated pods.
        pod: the pod to schedule.
        node: the node to evaluate; it is not changed.
        state: of this attempt, after PreFilter; it is not changed.
    """
    if len(nominator):
        priority, key = priority_of(pod), meta.key_of(pod)
        others = [
            other
            for other in nominator.pods_for_node(node.name)
            if priority_of(other) >= priority and meta.key_of(other) != key
        ]
        if others:
            twin, twin_state = node.clone(), state.clone()
            for other in others:
                framework.add_pod(pod, other, twin, twin_state)
            status = framework.filter(pod, twin, twin_state)
            if not status.ok:
                return status
    return framework.filter(pod, node, state)


class Reject(Protocol):
    """Rejects a pod that waits in Permit."""

    def __call__(self, key: str, reason: str, plugin: str = "") -> bool:
        """Reject the pod; return False if it does not wait."""


@dataclass
class Handle:
    """What plug-ins with `attach(handle)` receive.

    Attributes:
        scheduler_name: name of the plug-in's scheduler.
        api: the API client.
        clock: simulated time; a plug-in uses `now`, `timestamp` and `seconds_at` only.
        recorder: writes Events.
        analytics: the log of actions.
        decisions: the log of decisions.
        framework: runs the filters of this profile.
        nominator: the pods that preemption is making room for.
        rng: the scheduler's random stream.
        snapshot: returns the nodes as they are now.
        allow: (pod key, plug-in) -> a Permit plug-in lets a waiting pod go on.
        reject: (pod key, reason, plug-in) -> a pod that waits in Permit is not bound after all.
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
    reject: Reject

    def attach_all(self) -> None:
        """Pass the handle to every plug-in of the profile that has a method `attach`."""
        for enabled in self.framework.profile:
            if isinstance(enabled.plugin, AttachedPlugin):
                enabled.plugin.attach(self)


@runtime_checkable
class AttachedPlugin(Protocol):
    """A plug-in that needs the handle."""

    def attach(self, handle: Handle, /) -> None:
        """Receive the handle, once, before the scheduler starts."""
