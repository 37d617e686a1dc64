"""The scheduler: assigns each pod to a node.

One pod at a time: filter the nodes, score the feasible ones, choose the best (ties at random),
*assume* the pod there so that the next pod sees its resources as taken, and post a Binding. A pod
that fits nowhere may preempt others, and waits until an event that might help.

Ours keeps: all extension points, the default plug-ins with their formulas and messages, the queue
with its hints and back-offs, sampling of nodes in large clusters, assumed pods, preemption, events
and conditions, several schedulers side by side by spec.schedulerName; and a decision record of each
attempt. It leaves out: device claims, extenders. Everything runs on one worker, so binding takes
no simulated time unless a Permit plug-in waits, or VolumeBinding for a volume.

Source: pkg/scheduler/schedule_one.go, eventhandlers.go, scheduler.go.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from kubesim.analytics import Analytics
from kubesim.apiserver import KubeAPI, ResourceEvent
from kubesim.client import DecisionLog, EventRecorder, Informer
from kubesim.clock.base import Clock, Streams
from kubesim.errors import Conflict, NotFound
from kubesim.objects import meta
from kubesim.objects.kindnames import NODE, POD, D, KindName
from kubesim.objects.pods import node_of
from kubesim.objects.wellknown import DEFAULT_SCHEDULER, RESYNC_SECONDS
from kubesim.scheduler.binding import BindingCycle, Placement
from kubesim.scheduler.cache import ApiLister, NodeCache
from kubesim.scheduler.eventhandlers import EventHandlers
from kubesim.scheduler.explain.reporting import SCHEDULER_ERROR, AttemptReporter
from kubesim.scheduler.fastpath import FastSearch
from kubesim.scheduler.framework.calls import call
from kubesim.scheduler.framework.cycle import Cycle
from kubesim.scheduler.framework.cycle_state import CycleState
from kubesim.scheduler.framework.events import ClusterEvent
from kubesim.scheduler.framework.handle import Handle, Nominator
from kubesim.scheduler.framework.messages import NO_NODES, fit_message
from kubesim.scheduler.framework.profile import Profile
from kubesim.scheduler.framework.runtime import Framework
from kubesim.scheduler.framework.status import PluginFailed, Status
from kubesim.scheduler.loop import SchedulingLoop
from kubesim.scheduler.policy import PlacementPolicy, PolicySearch
from kubesim.scheduler.queue import QueuedPod, SchedulingQueue
from kubesim.scheduler.registry import ProfileSource, read_profile
from kubesim.scheduler.search import Search, post_filter
from kubesim.scheduler.volumes.informers import VolumeInformers

if TYPE_CHECKING:
    from random import Random

    from kubesim.objects.types import PodDict


class Scheduler:
    """One scheduler with one profile.

    Args:
        api: the API server.
        clock: simulated time; it makes the worker.
        streams: random streams by name.
        analytics: the log of actions.
        decisions: the log of decisions.
        profile: plug-ins, (plug-in, weight) pairs, a `Profile`, one plug-in, a mapping in the form
            of a KubeSchedulerConfiguration (see `configured_profile`), or an object with a method
            `choose(pod, nodes)` (see `policy`); None: the default plug-ins. To add plug-ins to the
            default ones: ``[*default_profile(), MyPlugin()]``.
        scheduler_name: the scheduler schedules the pods with this spec.schedulerName.
        percentage_of_nodes_to_score: percentageOfNodesToScore; 0: adaptive, a smaller part of more
            nodes.
        pop_from_backoff: try pods before their back-off ends while no other pod is active.

    Raises:
        BadRequest: something in the profile is not a plug-in; the message says what is expected.
    """

    def __init__(
        self,
        api: KubeAPI,
        *,
        clock: Clock,
        streams: Streams,
        analytics: Analytics,
        decisions: DecisionLog,
        profile: ProfileSource | PlacementPolicy = None,
        scheduler_name: str = DEFAULT_SCHEDULER,
        percentage_of_nodes_to_score: int = 0,
        pop_from_backoff: bool = True,
    ) -> None:
        self.name = scheduler_name
        self.api = api
        self.clock = clock
        policy = profile if isinstance(profile, PlacementPolicy) else None
        plugins = Profile() if isinstance(profile, PlacementPolicy) else read_profile(profile)
        self.framework = Framework(plugins)
        self.worker = clock.worker(f"scheduler/{scheduler_name}")
        self.recorder = EventRecorder(api, scheduler_name)
        self.counts: Counter[str] = Counter()
        self.cache = NodeCache(ApiLister(api))
        self.nominator = Nominator()
        rng = streams(f"scheduler/{scheduler_name}")
        self.search: FastSearch | PolicySearch
        if policy is None:
            own = plugins.percentage
            percentage = percentage_of_nodes_to_score if own is None else own
            plain = Search(self.framework, self.nominator, rng, percentage)
            self.search = FastSearch(plain, self.cache)
        else:
            self.search = PolicySearch(policy)
        self.queue = SchedulingQueue(
            self._hint,
            self._queue_order(),
            pop_from_backoff=pop_from_backoff,
            backoff=(plugins.initial_backoff, plugins.max_backoff),
        )
        self.binding = BindingCycle(
            self.framework, self.worker, self._bound, self._not_bound, self._complain, self._waits
        )
        self.handle = self._make_handle(analytics, decisions, rng)
        self.handle.attach_all()
        self.binding.attach(self.handle)
        self.report = AttemptReporter(self.handle)
        self._analytics = analytics
        self._loop = SchedulingLoop(self.worker, clock, self.queue, self._schedule)
        self._volumes = VolumeInformers(api, self.worker, self._loop.move, self.binding.recheck)
        self._handlers = self._make_handlers()
        self._nodes = self._informer(NODE, self._handlers.node_event)
        self._pods = self._informer(POD, self._handlers.pod_event)

    def _make_handle(self, analytics: Analytics, decisions: DecisionLog, rng: Random) -> Handle:
        return Handle(
            scheduler_name=self.name,
            api=self.api,
            clock=self.clock,
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

    def _make_handlers(self) -> EventHandlers:
        return EventHandlers(
            self.name,
            clock=self.clock,
            cache=self.cache,
            queue=self.queue,
            nominator=self.nominator,
            loop=self._loop,
            is_gated=self._is_gated,
            reject_waiting=self.binding.reject,
            watch_volumes=self._volumes.start,
        )

    def _informer(
        self, kind: KindName[D], on_event: Callable[[ResourceEvent[D]], None]
    ) -> Informer[D]:
        return Informer(
            self.api, self.worker, kind, on_event=on_event, resync_seconds=RESYNC_SECONDS
        )

    def start(self) -> None:
        """Start watching nodes and pods."""
        self._nodes.start()
        self._pods.start()
        self._loop.start()

    def stop(self) -> None:
        """Stop watching and scheduling."""
        self._nodes.stop()
        self._pods.stop()
        self._volumes.stop()
        self.worker.stop()

    def statistics(self) -> dict[str, int]:
        """Return counters: attempts, results, and pods in each pool of the queue."""
        nominated, permit = len(self.nominator), len(self.binding.waiting)
        return {**self.counts, **self.queue.counts(), "nominated": nominated, "permit": permit}

    # -- plug-ins that decide on the queue --------------------------------------------------------

    def _is_gated(self, pod: PodDict, is_queued: bool) -> bool:
        """Return whether PreEnqueue holds the pod back; that leaves a record, but no Event."""
        try:
            status = self.framework.gate(pod)
        except PluginFailed as error:
            self._complain(error)
            return False
        if not status.ok and not is_queued:
            self.report.gated(pod, status)
        return not status.ok

    def _complain(self, error: Exception) -> None:
        self._analytics.log(self.name, "PluginFailed", str(error), "error")

    def _queue_order(self) -> Callable[[QueuedPod, QueuedPod], bool] | None:
        """Return the order of the profile's QueueSort; None: the queue's own, which is the same."""
        sort = self.framework.sort
        return None if sort is None or sort.name == "PrioritySort" else self._less

    def _less(self, one: QueuedPod, other: QueuedPod) -> bool:
        """Compare by the profile's QueueSort plug-in; if it fails, by the default order."""
        sort = self.framework.sort
        try:
            return sort is not None and bool(call(sort, "less", one, other))
        except PluginFailed as error:
            self._complain(error)
            return (-one.priority, one.since) < (-other.priority, other.since)

    def _hint(self, pod: PodDict, plugins: Iterable[str], event: ClusterEvent) -> bool:
        """Return whether an event could help; a plug-in whose hint fails counts as saying yes."""
        for name in plugins:
            try:
                if self.framework.could_help(name, pod, event):
                    return True
            except PluginFailed as error:
                self._complain(error)
                return True
        return False

    # -- one attempt ---------------------------------------------------------------------------

    def _schedule(self, queued: QueuedPod) -> None:
        pod = queued.pod
        if meta.is_terminating(pod):
            self.queue.remove(queued.key)
            note = f"skip schedule deleting pod: {queued.key}"
            self.recorder.event(pod, "Warning", "FailedScheduling", note, action="Scheduling")
            return
        self.counts["attempts"] += 1
        state, cycle = CycleState(self.cache.snapshot()), Cycle()
        if len(state.snapshot) == 0:
            self._refuse(pod, cycle, NO_NODES, None, plugins=())
            return
        try:
            winner = self.search.find_node(pod, state, cycle)
            if winner is None:
                status = post_filter(self.framework, pod, cycle, state)
                cycle.end_post_filter(status)
                message = fit_message(cycle, len(state.snapshot))
                self._refuse(pod, cycle, message, status.nominated, plugins=cycle.refused_by)
                return
        except PluginFailed as error:
            self._fail(pod, cycle, error)
            return
        self.cache.assume(pod, winner)
        self.nominator.remove(meta.key_of(pod))
        self.binding.begin(Placement(pod, winner, state, cycle))

    def _bound(self, placement: Placement) -> None:
        self.queue.remove(placement.key)
        self.counts["scheduled"] += 1
        self.report.bound(placement.pod, placement.node, placement.cycle, self.framework)

    def _waits(self, placement: Placement, status: Status) -> None:
        self.report.waiting(placement.pod, placement.node, status)

    def _not_bound(
        self, placement: Placement, refusal: Status | None, error: Exception | None
    ) -> None:
        """Release and requeue a pod whose binding cycle failed after Reserve."""
        pod, key = placement.pod, placement.key
        self._handlers.release(key)
        if error is not None and isinstance(error.__cause__, (Conflict, NotFound)):
            fresh = self.api.peek(POD, meta.name_of(pod), meta.namespace_of(pod))
            if fresh is None or node_of(fresh) or meta.is_terminating(fresh):
                self.queue.remove(key)  # deleted, or bound by another client: a watch event follows
                return
        if self.queue.get(key) is None:
            return
        if refusal is None:
            self._fail(pod, placement.cycle, error or PluginFailed("the binding failed"))
            return
        cycle = Cycle({placement.node: refusal}, refused_by={refusal.plugin} - {""})
        self._refuse(pod, cycle, fit_message(cycle, 1), "", plugins=cycle.refused_by)

    def _refuse(
        self,
        pod: PodDict,
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
        self._loop.retry_after_backoff(
            self.queue.refused(meta.key_of(pod), self.clock.now(), plugins)
        )
        self.report.failed(pod, cycle, self.framework, message, "Unschedulable", nominated)

    def _fail(self, pod: PodDict, cycle: Cycle, error: Exception) -> None:
        self.counts["errors"] += 1
        self._complain(error)
        self.nominator.remove(meta.key_of(pod))
        self._loop.retry_after_backoff(self.queue.refused(meta.key_of(pod), self.clock.now()))
        self.report.failed(pod, cycle, self.framework, str(error), SCHEDULER_ERROR, "")
