"""Event handlers: watch events of nodes and pods change the cache and the queue.

Source: pkg/scheduler/eventhandlers.go.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from kubesim.apiserver import ResourceEvent
from kubesim.clock.base import Clock
from kubesim.objects import meta
from kubesim.objects.pods import is_finished, node_of
from kubesim.objects.volumes import claim_names
from kubesim.scheduler.cache import NodeCache
from kubesim.scheduler.framework import events
from kubesim.scheduler.framework.events import ClusterEvent
from kubesim.scheduler.framework.handle import Nominator
from kubesim.scheduler.loop import SchedulingLoop
from kubesim.scheduler.queue import SchedulingQueue

if TYPE_CHECKING:
    from kubesim.objects.types import NodeDict, PodDict

_Parts: TypeAlias = tuple[object, ...]


class EventHandlers:
    """Handles the watch events of one scheduler.

    Args:
        scheduler_name: the scheduler handles pending pods with this spec.schedulerName.
        clock: simulated time.
        cache: the nodes and their pods.
        queue: the pending pods.
        nominator: the pods that preemption is making room for.
        loop: is woken, and requeues pods.
        is_gated: (pod, whether it is queued already) -> whether PreEnqueue holds it back.
        reject_waiting: (pod key, reason) -> reject a pod that waits in Permit; whether it waited.
        watch_volumes: called for each pending pod with claims: they have to be watched.
    """

    def __init__(
        self,
        scheduler_name: str,
        *,
        clock: Clock,
        cache: NodeCache,
        queue: SchedulingQueue,
        nominator: Nominator,
        loop: SchedulingLoop,
        is_gated: Callable[[PodDict, bool], bool],
        reject_waiting: Callable[[str, str], bool],
        watch_volumes: Callable[[], None],
    ) -> None:
        self._name = scheduler_name
        self._clock = clock
        self._cache = cache
        self._queue = queue
        self._nominator = nominator
        self._loop = loop
        self._is_gated = is_gated
        self._reject_waiting = reject_waiting
        self._watch_volumes = watch_volumes

    def node_event(self, event: ResourceEvent[NodeDict]) -> None:
        """Handle the addition, change or deletion of a node."""
        name, before = meta.name_of(event.object), event.previous
        if event.type == "DELETED":
            self._cache.remove_node(name)
            self._loop.move(ClusterEvent(events.NODE_DELETE, old=event.object))
        elif before is None or name not in self._cache.nodes:
            self._cache.set_node(event.object)
            self._loop.move(ClusterEvent(events.NODE_ADD, new=event.object))
        elif _capacity_of(before) != _capacity_of(event.object):
            self._cache.set_node(event.object)
            self._loop.move(ClusterEvent(events.NODE_UPDATE, before, event.object))
        else:
            self._cache.refresh_node(event.object)  # a heartbeat: it could help no pod

    def pod_event(self, event: ResourceEvent[PodDict]) -> None:
        """Handle the addition, change or deletion of a pod."""
        pod, key = event.object, meta.key_of(event.object)
        if event.type == "DELETED" or is_finished(pod):
            self._dequeue(key)
            if not self._reject_waiting(key, "removed"):
                self.release(key)
        elif node_of(pod):
            self._dequeue(key)
            self._count(pod, key, node_of(pod))
        elif pod["spec"].get("schedulerName") == self._name and not self._cache.is_assumed(key):
            self._pending(pod, event.previous)

    def release(self, key: str) -> None:
        """No longer count a pod on its node, and requeue the pods that this might help."""
        released = self._cache.release(key)
        if released is not None:
            document = self._cache.node_document(released[0])
            self._loop.move(ClusterEvent(events.POD_DELETE, released[1], None, document), but=key)

    def _dequeue(self, key: str) -> None:
        self._queue.remove(key)
        self._nominator.remove(key)

    def _count(self, pod: PodDict, key: str, node: str) -> None:
        before, is_new = self._cache.placed(key), self._cache.count(pod, node)
        document = self._cache.node_document(node)
        if is_new:
            self._loop.move(ClusterEvent(events.POD_ADD, None, pod, document))
        elif before is not None and _relevant_to_others(before) != _relevant_to_others(pod):
            self._loop.move(ClusterEvent(events.POD_UPDATE, before, pod, document))

    def _pending(self, pod: PodDict, before: PodDict | None) -> None:
        key, nominated = meta.key_of(pod), _nominated(pod)
        if claim_names(pod):
            self._watch_volumes()
        if before is None or _nominated(before) != nominated:
            if nominated:
                self._nominator.add(pod, nominated)
            else:
                self._nominator.remove(key)
        is_queued = self._queue.get(key) is not None
        gated = self._is_gated(pod, is_queued)
        if not is_queued:
            self._queue.add(pod, self._clock.now(), gated=gated)
        elif before is not None and _relevant_to_plugins(before) != _relevant_to_plugins(pod):
            event = ClusterEvent(events.POD_ITSELF, before, pod)
            self._queue.update(pod, self._clock.now(), event, gated=gated)
            self._loop.retry_after_backoff(self._queue.get(key))
        else:
            self._queue.add(pod, self._clock.now())  # only its status changed
        self._loop.wake()


def _capacity_of(node: NodeDict) -> _Parts:
    """Return the parts of a node that filters and scores read."""
    status = node.get("status") or {}
    return node.get("spec"), status.get("allocatable"), meta.labels_of(node), status.get("images")


def _relevant_to_others(pod: PodDict) -> _Parts:
    """Return the parts of an assigned pod that matter to other pods; its status does not."""
    return pod.get("spec"), meta.labels_of(pod), meta.is_terminating(pod)


def _relevant_to_plugins(pod: PodDict) -> _Parts:
    """Return the parts of a pending pod that plug-ins read."""
    metadata = pod.get("metadata") or {}
    return pod.get("spec"), metadata.get("labels"), metadata.get("annotations")


def _nominated(pod: PodDict) -> str:
    return str((pod.get("status") or {}).get("nominatedNodeName") or "")
