"""The scheduler: gives each pod a node.

One pod at a time: filter the nodes, score those that are left, take the best (ties by lot),
*assume* the pod there so that the next pod sees the room taken, and post a Binding. A pod that fits
nowhere waits until something changes that might help.

Ours keeps: the loop, the queues, assumed pods, events and conditions in the real one's words,
several schedulers side by side by spec.schedulerName, and a decision record of each attempt: which
node was refused by whom and why, who scored what. It leaves out, so far: preemption, queueing hints
per plug-in (any change of nodes or pods moves all waiting pods), sampling of nodes in large
clusters.

Source: pkg/scheduler/schedule_one.go, eventhandlers.go, backend/cache/cache.go.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from kubesim.analytics import Analytics
from kubesim.apiserver import KubeAPI, ResourceEvent
from kubesim.client import DecisionLog, EventRecorder, Informer
from kubesim.clock.base import Clock, Streams
from kubesim.errors import Conflict, NotFound, StatusError
from kubesim.objects import meta
from kubesim.objects.conditions import get_condition, set_condition
from kubesim.objects.frozen import Document
from kubesim.objects.pods import is_finished, node_of
from kubesim.scheduler.framework import (
    Cycle,
    Framework,
    NodeInfo,
    PluginFailed,
    fit_message,
    make_profile,
)
from kubesim.scheduler.plugins import default_profile
from kubesim.scheduler.queue import SchedulingQueue
from kubesim.scheduler.records import attempt_record

FLUSH_SECONDS = 30.0  # how often pods are looked for that waited too long
RESYNC_SECONDS = 600.0
NOTE_LIMIT = 1024  # characters of an Event's text


class Scheduler:
    """One scheduler with one profile.

    Args:
        api, clock, streams, analytics, decisions: the cluster's tools.
        profile: plug-ins, or (plug-in, weight) pairs; None: the default ones. Plug-ins that are to
            join the default ones: ``[*default_profile(), MyPlugin()]``.
        scheduler_name: it places the pods that name it in spec.schedulerName.
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
        scheduler_name: str = "default-scheduler",
    ) -> None:
        self.name = scheduler_name
        self.api = api
        self.clock = clock
        self.analytics = analytics
        self.decisions = decisions
        self.framework = Framework(default_profile() if profile is None else make_profile(profile))
        self.worker = clock.worker(f"scheduler/{scheduler_name}")
        self.recorder = EventRecorder(api, scheduler_name)
        self.counts: Counter[str] = Counter()
        self._rng = streams(f"scheduler/{scheduler_name}")
        self._queue = SchedulingQueue()
        self._infos: dict[str, NodeInfo] = {}
        self._placed: dict[str, str] = {}  # key of a bound or assumed pod -> node
        self._scheduled = False
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
        return {**self.counts, **self._queue.counts()}

    # -- what the world looks like --------------------------------------------------------------

    def _node_event(self, event: ResourceEvent) -> None:
        name = meta.name_of(event.object)
        if event.type == "DELETED":
            self._infos.pop(name, None)
            return
        info = self._infos.get(name)
        if info is None:
            info = self._infos[name] = NodeInfo(event.object)
            for pod in self._pods.list():  # of a node that was made anew under its name
                if node_of(pod) == name and not is_finished(pod):
                    info.add(pod)
        if event.previous is None or _offer(event.previous) != _offer(event.object):
            info.set_node(event.object)
            self._move()
        else:
            info.node = event.object  # a heartbeat: nothing that could help a waiting pod

    def _pod_event(self, event: ResourceEvent) -> None:
        pod, key = event.object, meta.key_of(event.object)
        if event.type == "DELETED" or is_finished(pod):
            self._queue.remove(key)
            self._release(key)
        elif node_of(pod):
            self._queue.remove(key)
            self._count(pod, node_of(pod))
        elif pod["spec"].get("schedulerName") == self.name and not meta.is_terminating(pod):
            before = event.previous
            if before is None or before["spec"] != pod["spec"]:
                self._enqueue(pod)

    def _count(self, pod: Document, node: str) -> None:
        key = meta.key_of(pod)
        if self._placed.get(key) not in (None, node):
            self._release(key)
        self._placed[key] = node
        if node in self._infos:
            self._infos[node].add(pod)

    def _release(self, key: str) -> None:
        node = self._placed.pop(key, None)
        if node is not None:
            if node in self._infos:
                self._infos[node].remove(key)
            self._move()

    def _enqueue(self, pod: Document) -> None:
        gated = not self.framework.gate(pod).ok
        priority = int(pod["spec"].get("priority") or 0)
        self._queue.add(meta.key_of(pod), priority, self.clock.now(), gated=gated)
        self._wake()

    # -- when to try ----------------------------------------------------------------------------

    def _move(self) -> None:
        """Something changed that might help a pod that waits."""
        for moment in self._queue.move_all(self.clock.now()):
            self.worker.call_later(moment - self.clock.now(), self._flush)
        self._wake()

    def _flush(self) -> None:
        self._queue.flush(self.clock.now())
        self._wake()

    def _wake(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self.worker.call_soon(self._schedule_one)

    def _schedule_one(self) -> None:
        self._scheduled = False
        queued = self._queue.pop()
        if queued is None:
            return
        self._wake()
        pod = self._pods.get(queued.key)
        if pod is None or node_of(pod) or meta.is_terminating(pod):
            self._queue.remove(queued.key)
            return
        self._attempt(pod)

    # -- one attempt ----------------------------------------------------------------------------

    def _attempt(self, pod: Document) -> None:
        self.counts["attempts"] += 1
        cycle = Cycle()
        try:
            winner = self.find_node(pod, cycle)
            if winner is None:
                self._refused(pod, cycle, fit_message(cycle, len(self._infos)), error=False)
            else:
                self._bind(pod, winner, cycle)
        except PluginFailed as error:
            self.analytics.log(self.name, "PluginFailed", str(error), "error")
            self._refused(pod, cycle, str(error), error=True)

    def find_node(self, pod: Document, cycle: Cycle) -> str | None:
        """The best node for a pod, or None; `cycle` then holds what each plug-in said.

        Raises:
            PluginFailed: a plug-in raised or broke the rules.
        """
        for name, info in self._infos.items():
            cycle.statuses[name] = self.framework.filter(pod, info)
        feasible = [self._infos[name] for name in cycle.feasible]
        if not feasible:
            return None
        if len(feasible) == 1:
            return feasible[0].name  # nothing to compare
        self.framework.score(pod, feasible, cycle)
        best = max(cycle.totals.values())
        winners = [name for name, total in cycle.totals.items() if total == best]
        return winners[0] if len(winners) == 1 else self._rng.choice(winners)

    def _bind(self, pod: Document, node: str, cycle: Cycle) -> None:
        name, namespace = meta.name_of(pod), meta.namespace_of(pod)
        self._count(pod, node)  # assumed: the next pod sees the room taken
        try:
            self.api.bind(name, namespace, node)
        except (Conflict, NotFound):
            self._release(meta.key_of(pod))  # gone or bound by somebody else: the watch will say
            self._queue.remove(meta.key_of(pod))
            return
        self._queue.remove(meta.key_of(pod))
        self.counts["scheduled"] += 1
        said = f"Successfully assigned {namespace}/{name} to {node}"
        self.recorder.event(pod, "Normal", "Scheduled", said)
        self.decisions.record(
            attempt_record(self.clock.now(), self.name, pod, cycle, self.framework, node, said)
        )

    def _refused(self, pod: Document, cycle: Cycle, message: str, *, error: bool) -> None:
        key = meta.key_of(pod)
        self.counts["errors" if error else "unschedulable"] += 1
        queued = self._queue.refused(key, self.clock.now(), error=error)
        if queued is not None and error:
            self.worker.call_later(queued.backoff_until - self.clock.now(), self._flush)
        note = message if len(message) <= NOTE_LIMIT else message[: NOTE_LIMIT - 4] + " ..."
        self.recorder.event(pod, "Warning", "FailedScheduling", note)
        self.decisions.record(
            attempt_record(self.clock.now(), self.name, pod, cycle, self.framework, None, message)
        )
        self._write_condition(pod, "SchedulerError" if error else "Unschedulable", message)

    def _write_condition(self, pod: Document, reason: str, message: str) -> None:
        known = get_condition(pod, "PodScheduled") or {}
        if known.get("reason") == reason and known.get("message") == message:
            return
        status = pod.get("status") or {}
        conditions = set_condition(
            status.get("conditions") or (),
            "PodScheduled",
            "False",
            reason,
            message,
            now=self.clock.timestamp(),
        )
        try:
            self.api.update_status({**pod, "status": {**status, "conditions": conditions}})
        except StatusError as error:  # it changed meanwhile; the next attempt writes again
            said = f"condition of {meta.key_of(pod)}: {error}"
            self.analytics.log(self.name, "ConditionLost", said, "debug")


def _offer(node: Document) -> Any:
    """The parts of a node that decide whether a pod fits."""
    return node.get("spec"), (node.get("status") or {}).get("allocatable"), meta.labels_of(node)
