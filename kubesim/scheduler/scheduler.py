"""The scheduler: gives each pod a node.

One pod at a time: filter the nodes, score those that are left, take the best (ties by lot),
*assume* the pod there so that the next pod sees the room taken, and post a Binding. A pod that fits
nowhere may make room (preemption), and waits until something changes that might help.

Ours keeps: all extension points, the default plug-ins with their formulas and words, the queue with
its hints and back-offs, sampling of nodes in large clusters, assumed pods, preemption, events and
conditions, several schedulers side by side by spec.schedulerName; and a decision record of each
attempt. It leaves out: volumes, device claims, extenders. Everything runs on one lane, so binding
takes no time of its own unless a Permit plug-in waits.

Source: pkg/scheduler/schedule_one.go, eventhandlers.go, scheduler.go.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from math import ceil
from typing import Any

from kubesim.analytics import Analytics
from kubesim.apiserver import KubeAPI, ResourceEvent
from kubesim.client import DecisionLog, EventRecorder, Informer
from kubesim.clock.base import Clock, Streams
from kubesim.errors import Conflict, NotFound
from kubesim.objects import meta
from kubesim.objects.frozen import Document
from kubesim.objects.pods import is_finished, node_of
from kubesim.objects.wellknown import DEFAULT_SCHEDULER, RESYNC_SECONDS
from kubesim.scheduler.binding import BindingCycle, Placement
from kubesim.scheduler.cache import ApiWorld, NodeCache
from kubesim.scheduler.explain.reporting import Reporter
from kubesim.scheduler.fastpath import FastSearch
from kubesim.scheduler.framework import events as happened
from kubesim.scheduler.framework.calls import call
from kubesim.scheduler.framework.cycle import Cycle
from kubesim.scheduler.framework.cycle_state import CycleState
from kubesim.scheduler.framework.events import ClusterEvent
from kubesim.scheduler.framework.handle import Handle, Nominator
from kubesim.scheduler.framework.messages import NO_NODES, fit_message
from kubesim.scheduler.framework.runtime import Framework
from kubesim.scheduler.framework.status import PluginFailed, Status
from kubesim.scheduler.policy import PolicySearch
from kubesim.scheduler.queue import QueuedPod, SchedulingQueue
from kubesim.scheduler.registry import read_profile
from kubesim.scheduler.search import Search, post_filter

FLUSH_SECONDS = 30.0  # how often pods are looked for that waited too long
TIMER_SLACK_SECONDS = 0.01  # a live timer that is early by less is taken for punctual


class Scheduler:
    """One scheduler with one profile.

    Args:
        api, clock, streams, analytics, decisions: the cluster's tools.
        profile: plug-ins, (plug-in, weight) pairs, a `Profile`, one plug-in, a mapping in the form
            of a KubeSchedulerConfiguration (see `configured_profile`), or an object with a method
            `choose(pod, nodes)` (see `policy`); None: the default plug-ins. Plug-ins that are to
            join the default ones: ``[*default_profile(), MyPlugin()]``.
        scheduler_name: it places the pods that name it in spec.schedulerName.
        percentage_of_nodes_to_score: 0: the more nodes, the smaller a part is looked at.
        pop_from_backoff: try pods before their back-off ends while nothing else is to do.
    """

    def __init__(
        self,
        api: KubeAPI,
        *,
        clock: Clock,
        streams: Streams,
        analytics: Analytics,
        decisions: DecisionLog,
        profile: Any = None,
        scheduler_name: str = DEFAULT_SCHEDULER,
        percentage_of_nodes_to_score: int = 0,
        pop_from_backoff: bool = True,
    ) -> None:
        self.name = scheduler_name
        self.api = api
        self.clock = clock
        policy = profile if callable(getattr(profile, "choose", None)) else None
        self.framework = Framework([] if policy is not None else read_profile(profile))
        self.worker = clock.worker(f"scheduler/{scheduler_name}")
        self.recorder = EventRecorder(api, scheduler_name)
        self.counts: Counter[str] = Counter()
        self.cache = NodeCache(ApiWorld(api))
        self.nominator = Nominator()
        rng = streams(f"scheduler/{scheduler_name}")
        own = self.framework.profile.percentage
        percentage = percentage_of_nodes_to_score if own is None else own
        plain = Search(self.framework, self.nominator, rng, percentage)
        self.search: FastSearch | PolicySearch = (
            FastSearch(plain, self.cache) if policy is None else PolicySearch(policy)
        )
        sort = self.framework.sort
        own_order = sort is not None and sort.name != "PrioritySort"
        self.queue = SchedulingQueue(
            self._hint,
            self._less if own_order else None,
            pop_from_backoff=pop_from_backoff,
        )
        self.binding = BindingCycle(
            self.framework, self.worker, self._bound, self._not_bound, self._complain
        )
        self.handle = Handle(
            scheduler_name=scheduler_name,
            api=api,
            clock=clock,
            recorder=self.recorder,
            analytics=analytics,
            decisions=decisions,
            framework=self.framework,
            nominator=self.nominator,
            rng=rng,
            snapshot=self.cache.snapshot,
            allow=self.binding.allow,
            reject=self.binding.reject,
        )
        self.handle.attach_all()
        self.binding.attach(self.handle)
        self.report = Reporter(self.handle)
        self._analytics = analytics
        self._awake = False
        self._flushes: set[float] = set()
        self._nodes = self._informer("Node", self._node_event)
        self._pods = self._informer("Pod", self._pod_event)

    def _informer(self, kind: str, on_event: Callable[[ResourceEvent], None]) -> Informer:
        return Informer(
            self.api, self.worker, kind, on_event=on_event, resync_seconds=RESYNC_SECONDS
        )

    def start(self) -> None:
        """Begin to watch nodes and pods."""
        self._nodes.start()
        self._pods.start()
        self.worker.every(FLUSH_SECONDS, self._flush)

    def stop(self) -> None:
        """Stop watching and placing."""
        self._nodes.stop()
        self._pods.stop()
        self.worker.stop()

    def statistics(self) -> dict[str, Any]:
        """Counts for tests and tables."""
        nominated, permit = len(self.nominator), len(self.binding.waiting)
        return {**self.counts, **self.queue.counts(), "nominated": nominated, "permit": permit}

    # -- what the world looks like -------------------------------------------------------------

    def _node_event(self, event: ResourceEvent) -> None:
        name, before = meta.name_of(event.object), event.previous
        if event.type == "DELETED":
            self.cache.remove_node(name)
            self._move(ClusterEvent(happened.NODE_DELETE, old=event.object))
        elif before is None or name not in self.cache.nodes:
            self.cache.set_node(event.object)
            self._move(ClusterEvent(happened.NODE_ADD, new=event.object))
        elif _offer(before) != _offer(event.object):
            self.cache.set_node(event.object)
            self._move(ClusterEvent(happened.NODE_UPDATE, before, event.object))
        else:
            self.cache.refresh_node(event.object)  # a heartbeat: nothing that could help anybody

    def _pod_event(self, event: ResourceEvent) -> None:
        pod, key = event.object, meta.key_of(event.object)
        if event.type == "DELETED" or is_finished(pod):
            self._forget_waiting(key)
            if not self.binding.reject(key, "removed"):
                self._release(key)
        elif node_of(pod):
            self._forget_waiting(key)
            self._count(pod, key, node_of(pod))
        elif pod["spec"].get("schedulerName") == self.name and not self.cache.is_assumed(key):
            self._pending(pod, event.previous)

    def _forget_waiting(self, key: str) -> None:
        self.queue.remove(key)
        self.nominator.remove(key)

    def _count(self, pod: Document, key: str, node: str) -> None:
        before, news = self.cache.placed(key), self.cache.count(pod, node)
        where = self.cache.node_document(node)
        if news:
            self._move(ClusterEvent(happened.POD_ADD, None, pod, where))
        elif before is not None and _matters(before) != _matters(pod):
            self._move(ClusterEvent(happened.POD_UPDATE, before, pod, where))

    def _release(self, key: str) -> None:
        released = self.cache.release(key)
        if released is not None:
            where = self.cache.node_document(released[0])
            self._move(ClusterEvent(happened.POD_DELETE, released[1], None, where), but=key)

    def _pending(self, pod: Document, before: Document | None) -> None:
        nominated = _nominated(pod)
        if before is None or _nominated(before) != nominated:
            if nominated:
                self.nominator.add(pod, nominated)
            else:
                self.nominator.remove(meta.key_of(pod))
        known = self.queue.get(meta.key_of(pod)) is not None
        gated = self._is_gated(pod, known)
        if not known:
            self.queue.add(pod, self.clock.now(), gated=gated)
        elif before is not None and _asks(before) != _asks(pod):
            event = ClusterEvent(happened.POD_ITSELF, before, pod)
            self.queue.update(pod, self.clock.now(), event, gated=gated)
            self._schedule_flush(self.queue.get(meta.key_of(pod)))
        else:
            self.queue.add(pod, self.clock.now())  # a newer state of it, nothing else
        self._wake()

    def _is_gated(self, pod: Document, known: bool) -> bool:
        """A PreEnqueue plug-in keeps it out of the queue; silently, but for a record."""
        try:
            status = self.framework.gate(pod)
        except PluginFailed as error:
            self._complain(error)
            return False
        if not status.ok and not known:
            self.report.gated(pod, status)
        return not status.ok

    def _complain(self, error: Exception) -> None:
        self._analytics.log(self.name, "PluginFailed", str(error), "error")

    def _less(self, one: QueuedPod, other: QueuedPod) -> bool:
        """The order of the profile's QueueSort; if that fails, the usual one."""
        sort = self.framework.sort
        try:
            return sort is not None and bool(call(sort, "less", one, other))
        except PluginFailed as error:
            self._complain(error)
            return (-one.priority, one.since) < (-other.priority, other.since)

    # -- when to try ---------------------------------------------------------------------------

    def _hint(self, pod: Document, plugins: Iterable[str], event: ClusterEvent) -> bool:
        """Ask the plug-ins that refused the pod; who has no hint, or fails, says yes."""
        for name in plugins:
            enabled = next((e for e in self.framework.profile if e.name == name), None)
            if enabled is None or not hasattr(enabled.plugin, "hint"):
                return True
            try:
                if call(enabled, "hint", pod, event):
                    return True
            except PluginFailed as error:
                self._complain(error)
                return True
        return False

    def _move(self, event: ClusterEvent, but: str = "") -> None:
        """Something changed that might help a pod that waits."""
        for queued in self.queue.move(event, self.clock.now(), but):
            self._schedule_flush(queued)
        self._wake()

    def _schedule_flush(self, queued: QueuedPod | None) -> None:
        """Look again when its back-off ends: upstream looks each second, on the second."""
        if queued is None or queued.pool != "backoff":
            return
        due = max(queued.backoff_until, float(ceil(self.clock.now())))
        if due not in self._flushes:
            self._flushes.add(due)
            self.worker.call_later(due - self.clock.now(), self._flush)

    def _flush(self) -> None:
        now = self.clock.now()
        self._flushes = {due for due in self._flushes if due > now + TIMER_SLACK_SECONDS}
        self.queue.flush(now, TIMER_SLACK_SECONDS)
        self._wake()

    def _wake(self) -> None:
        if not self._awake:
            self._awake = True
            self.worker.call_soon(self._schedule_one)

    def _schedule_one(self) -> None:
        self._awake = False
        queued = self.queue.pop(self.clock.now())
        if queued is None:
            return
        self._wake()
        pod = queued.pod
        if meta.is_terminating(pod):
            self.queue.remove(queued.key)
            said = f"skip schedule deleting pod: {queued.key}"
            self.recorder.event(pod, "Warning", "FailedScheduling", said, action="Scheduling")
            return
        self._attempt(pod)

    # -- one attempt ---------------------------------------------------------------------------

    def _attempt(self, pod: Document) -> None:
        self.counts["attempts"] += 1
        state, cycle = CycleState(self.cache.snapshot()), Cycle()
        if len(state.snapshot) == 0:
            self._refused(pod, cycle, NO_NODES, None, plugins=())
            return
        try:
            winner = self.search.find_node(pod, state, cycle)
            if winner is None:
                status = post_filter(self.framework, pod, cycle, state)
                cycle.post_filter = "" if status.ok else status.message
                message = fit_message(cycle, len(state.snapshot))
                self._refused(pod, cycle, message, status.nominated, plugins=cycle.refused_by)
                return
        except PluginFailed as error:
            self._broke(pod, cycle, error)
            return
        self.cache.assume(pod, winner)
        self.nominator.remove(meta.key_of(pod))
        self.binding.begin(Placement(pod, winner, state, cycle))

    def _bound(self, placement: Placement) -> None:
        self.queue.remove(placement.key)
        self.counts["scheduled"] += 1
        self.report.bound(placement.pod, placement.node, placement.cycle, self.framework)

    def _not_bound(
        self, placement: Placement, refusal: Status | None, error: Exception | None
    ) -> None:
        """After Reserve something went wrong: the room is given back, the pod tried again."""
        pod, key = placement.pod, placement.key
        self._release(key)
        if error is not None and isinstance(error.__cause__, (Conflict, NotFound)):
            fresh = self.api.peek("Pod", meta.name_of(pod), meta.namespace_of(pod))
            if fresh is None or node_of(fresh) or meta.is_terminating(fresh):
                self.queue.remove(key)  # gone, or bound by somebody else: the watch will say
                return
        if self.queue.get(key) is None:
            return
        if refusal is None:
            self._broke(pod, placement.cycle, error or PluginFailed("the binding failed"))
            return
        cycle = Cycle({placement.node: refusal}, refused_by={refusal.plugin} - {""})
        self._refused(pod, cycle, fit_message(cycle, 1), "", plugins=cycle.refused_by)

    def _refused(
        self,
        pod: Document,
        cycle: Cycle,
        message: str,
        nominated: str | None,
        *,
        plugins: Iterable[str],
    ) -> None:
        self.counts["refused"] += 1
        if nominated:
            self.nominator.add(pod, nominated)
            self.counts["preemptions"] += 1
        elif nominated == "":
            self.nominator.remove(meta.key_of(pod))
        self._schedule_flush(self.queue.refused(meta.key_of(pod), self.clock.now(), plugins))
        self.report.failed(pod, cycle, self.framework, message, "Unschedulable", nominated)

    def _broke(self, pod: Document, cycle: Cycle, error: Exception) -> None:
        self.counts["errors"] += 1
        self._complain(error)
        self.nominator.remove(meta.key_of(pod))
        self._schedule_flush(self.queue.refused(meta.key_of(pod), self.clock.now()))
        self.report.failed(pod, cycle, self.framework, str(error), "SchedulerError", "")


def _offer(node: Document) -> Any:
    """The parts of a node that decide whether a pod fits, and how well."""
    status = node.get("status") or {}
    return node.get("spec"), status.get("allocatable"), meta.labels_of(node), status.get("images")


def _matters(pod: Document) -> Any:
    """The parts of a placed pod that matter to others; its state is no news."""
    return pod.get("spec"), meta.labels_of(pod), meta.is_terminating(pod)


def _asks(pod: Document) -> Any:
    """The parts of a waiting pod that plug-ins read."""
    metadata = pod.get("metadata") or {}
    return pod.get("spec"), metadata.get("labels"), metadata.get("annotations")


def _nominated(pod: Document) -> str:
    return str((pod.get("status") or {}).get("nominatedNodeName") or "")
