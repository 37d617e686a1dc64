"""The node lifecycle controller: notices that a node is dead, and says so in conditions and taints.

Every 5 s it looks at each node. One that gave no sign of life for more than 50 s becomes Unknown,
and its pods not ready: Services stop sending to them at once. One look later the node is queued for
a NoExecute taint, which zones and rates may hold back; only that taint makes pods go, and only
after their tolerationSeconds (tainteviction.py). NoSchedule taints follow the conditions at once.

Ours keeps: lease and heartbeat, grace periods, conditions, taints, zones with their rates, full
disruption, events, the retry of pods that could not be marked. It leaves out: the labels that it
copies from old keys to new ones, metrics. It evicts when a rate allows it instead of asking each
100 ms, and it writes nothing while all nodes are well. Ours adds: a look that comes much too late
(live clock: the computer was busy, or asleep) blames no node for what nobody could have heard.

Source: pkg/controller/nodelifecycle/node_lifecycle_controller.go,
pkg/controller/util/node/controller_utils.go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from kubesim.apiserver import ResourceEvent
from kubesim.client import Controller, Tools
from kubesim.clock.base import Timer
from kubesim.controllers.node import health
from kubesim.controllers.node.decisions import NodeRecords
from kubesim.controllers.node.writes import mark_not_ready, swap_taints, write_unknown
from kubesim.controllers.node.zones import (
    EVICTION_RATE,
    EvictionQueue,
    ZoneState,
    counts_for_disruption,
    eviction_rate,
    turn,
    zone_of,
    zone_state,
)
from kubesim.errors import StatusError
from kubesim.objects import meta
from kubesim.objects.frozen import Document
from kubesim.objects.pods import is_ready, node_of
from kubesim.objects.taints import same_taint, taints_of
from kubesim.objects.wellknown import LEASE_NAMESPACE, NO_EXECUTE

LOOK, EVICT = "look", "evict"  # keys beside ``taints/NODE`` and ``pod/NAMESPACE/NAME``
BOTH = [{"key": key, "effect": NO_EXECUTE} for key in health.NO_EXECUTE_KEYS.values()]


class NodeLifecycleController(Controller):
    """Judges nodes by their signs of life.

    Args:
        monitor_seconds: how often it looks.
        grace_seconds: how long a node may be silent.
        startup_grace_seconds: how long one that never reported may be.
        rates: of evictions: `rate`, `secondary_rate`, `large_zone` (see `eviction_rate`).
    """

    name = "node-controller"

    def __init__(
        self,
        tools: Tools,
        *,
        monitor_seconds: float = health.MONITOR_SECONDS,
        grace_seconds: float = health.GRACE_SECONDS,
        startup_grace_seconds: float = health.STARTUP_GRACE_SECONDS,
        rates: dict[str, Any] | None = None,
        **options: float,
    ) -> None:
        super().__init__(tools, **options)
        self._period = monitor_seconds
        self._grace, self._startup_grace = grace_seconds, startup_grace_seconds
        self._rates = rates or {}
        self._nodes = self.informer("Node", self._node_changed)
        self._pods = self.informer("Pod", self._pod_changed, indexers={"node": _node_name})
        self._health: dict[str, health.Health] = {}
        self._known: dict[str, Document] = {}
        self._retry: set[str] = set()  # nodes whose pods could not all be marked
        self._last_look = 0.0
        self._zones: dict[str, ZoneState] = {}
        self._queues: dict[str, EvictionQueue] = {}
        self._evict_timer: Timer | None = None
        self._records = NodeRecords(self.decisions, self.clock, self.name)

    def start(self) -> None:
        """Begin to watch, and to look."""
        super().start()
        self.worker.call_soon(lambda: self.queue.add(LOOK))
        self.worker.every(self._period, lambda: self.queue.add(LOOK))

    # -- what wakes it --------------------------------------------------------------------------

    def _node_changed(self, event: ResourceEvent) -> Iterable[str]:
        if event.type != "DELETED" and any(_wrong_taints(event.object)):
            yield f"taints/{meta.name_of(event.object)}"

    def _pod_changed(self, event: ResourceEvent) -> Iterable[str]:
        """A pod that comes to a node that is not Ready is not ready either."""
        pod = event.object
        name = node_of(pod)
        if event.type == "DELETED" or not name:
            return
        if event.previous is None or node_of(event.previous) != name:
            node = self._nodes.get(name)
            if node is not None and _is_down(node):
                yield f"pod/{meta.key_of(pod)}"

    def reconcile(self, key: str) -> None:
        """One look at all nodes, one round of evictions, or one object that changed."""
        what, _, place = key.partition("/")
        if what == LOOK:
            self._look()
        elif what == EVICT:
            self._evict()
        elif what == "taints":
            self._taint_by_conditions(place)
        else:
            pod = self._pods.get(place)
            node = self._nodes.get(node_of(pod)) if pod is not None else None
            if pod is not None and node is not None and _is_down(node):
                self._mark(pod)

    # -- a look ---------------------------------------------------------------------------------

    def _look(self) -> None:
        """Judge every node, then every zone."""
        nodes, _ = self.api.snapshot("Node")
        self._forgive_if_late()
        self._meet(nodes)
        zones: dict[str, list[bool]] = {}
        for node in nodes:
            name = meta.name_of(node)
            observed = health.ready_status(node)
            try:
                current = self._judge(name, node)
            except StatusError as error:  # it is left out of this look, and of its zone
                self._not_written(f"the status of {name}", error)
                continue
            if counts_for_disruption(node):
                zones.setdefault(zone_of(node), []).append(current == "True")
            if current is None:
                continue  # it has not reported yet, and may still take its time
            before = observed[0] if observed is not None else "Unknown"
            self._consider_eviction(name, node, before)
            fell = before == "True" and current != "True"
            if fell:
                self.counts["fell"] += 1
                said = f"Node {name} status is now: NodeNotReady"
                self.recorder.event(node, "Normal", "NodeNotReady", said)
            if fell or (name in self._retry and before != "True"):
                self._mark_pods_of(name)
            else:
                self._retry.discard(name)
        self._judge_zones(zones, nodes)
        self._schedule_evictions()

    def _forgive_if_late(self) -> None:
        """After a look that comes much too late, every node has its whole grace period again.

        Whoever held this controller up held the kubelets up, too. Cannot happen on virtual time.
        """
        now, before = self.clock.now(), self._last_look
        self._last_look = now
        if now - before > self._period + self._grace / 2:
            self._restart_probes()
            said = f"{now - before:g} s since the last look: every node is given a new grace period"
            self.analytics.log(self.name, "LateLook", said, "warn")

    def _restart_probes(self) -> None:
        now = self.clock.now()
        for name, seen in self._health.items():
            self._health[name] = health.Health(now, seen.heartbeat, seen.renewed)

    def _meet(self, nodes: Sequence[Document]) -> None:
        """Tell of nodes that are new, and of those that are gone."""
        present = {meta.name_of(node): node for node in nodes}
        for name, node in present.items():
            if zone_of(node) not in self._queues:
                rate = self._rates.get("rate", EVICTION_RATE)
                self._queues[zone_of(node)] = EvictionQueue(self.clock.now(), rate)
            if name not in self._known:
                said = f"Node {name} event: Registered Node {name} in Controller"
                self.recorder.event(node, "Normal", "RegisteredNode", said)
                self._well_again(node)
        for name in [name for name in self._known if name not in present]:
            said = f"Node {name} event: Removing Node {name} from Controller"
            self.recorder.event(self._known[name], "Normal", "RemovingNode", said)
            self._health.pop(name, None)
            self._retry.discard(name)
            for queue in self._queues.values():
                queue.remove(name)
        self._known = present

    def _judge(self, name: str, node: Document) -> str | None:
        """The Ready status of a node after this look, written if it changed; None: no report.

        Raises:
            StatusError: it could not be written.
        """
        observed, now = health.ready_status(node), self.clock.now()
        lease = self.api.peek("Lease", name, LEASE_NAMESPACE)
        created = node["metadata"]["creationTimestamp"]
        seen = self._health[name] = health.observe(
            self._health.get(name),
            created=self.clock.seconds_at(created),
            heartbeat=observed[1] if observed is not None else None,
            renewed=(lease.get("spec") or {}).get("renewTime") if lease is not None else None,
            now=now,
        )
        silent = health.is_silent(
            seen,
            has_ready=observed is not None,
            now=now,
            grace_seconds=self._grace,
            startup_grace_seconds=self._startup_grace,
        )
        status = observed[0] if observed is not None else None
        if not silent or status == "Unknown":
            return status
        if not write_unknown(self.api, node):
            return status  # it reported just now: the next look sees it
        grace = self._grace if observed is not None else self._startup_grace
        self._records.silent(node, seen.probe, grace, self._period)
        self.counts["unknown"] += 1
        return "Unknown"

    def _try(self, what: str, write: Callable[[], bool]) -> bool:
        """Whether a write for one node changed something; a failure does not end the look."""
        try:
            return write()
        except StatusError as error:
            self._not_written(what, error)
            return False

    def _not_written(self, what: str, error: StatusError) -> None:
        self.counts["failed"] += 1
        said = f"{what} was not written: {error.message}"
        self.analytics.log(self.name, "WriteFailed", said, "warn")

    # -- the node's pods ------------------------------------------------------------------------

    def _mark_pods_of(self, name: str) -> None:
        """Every pod there is not ready any more; what fails is tried again at the next look."""
        self._retry.discard(name)
        for pod in self._pods.by_index("node", name):
            try:
                self._mark(pod)
            except StatusError as error:
                self._retry.add(name)
                self._not_written(f"the status of pod {meta.key_of(pod)}", error)

    def _mark(self, pod: Document) -> None:
        if is_ready(pod) and mark_not_ready(self.api, pod):
            self.recorder.event(pod, "Warning", "NodeNotReady", "Node is not ready")
            self.counts["pods_marked"] += 1

    # -- taints ---------------------------------------------------------------------------------

    def _taint_by_conditions(self, name: str) -> None:
        """NoSchedule taints follow conditions and spec.unschedulable."""
        node = self.api.peek("Node", name)
        if node is not None:
            add, remove = _wrong_taints(node)
            swap_taints(self.api, name, add, remove)

    def _consider_eviction(self, name: str, node: Document, ready: str) -> None:
        """Queue a node for its NoExecute taint, exchange the taint it has, or clear it.

        Decided on the condition as it was *before* this look: so one look after it turned.
        """
        wanted = health.eviction_taint(ready)
        if wanted is None:
            self._well_again(node)
            return
        taint, opposite = wanted
        if any(same_taint(opposite, known) for known in taints_of(node)):
            self._try(
                f"a taint of {name}", partial(swap_taints, self.api, name, [taint], [opposite])
            )
            return
        queue = self._queues[zone_of(node)]
        if queue.add(name, self.clock.now()):
            state = self._zones.get(zone_of(node), ZoneState.INITIAL)
            self._records.queued(node, taint, state, queue.rate, len(queue))

    def _well_again(self, node: Document) -> None:
        """Ready, or given the benefit of the doubt: no NoExecute taint, and none to come."""
        name = meta.name_of(node)
        waited = 0
        for queue in self._queues.values():
            waited += queue.remove(name)
        marked = taints_of(node, NO_EXECUTE)
        tainted = bool(marked) and any(same_taint(t, known) for t in BOTH for known in marked)
        if tainted:
            self._try(f"a taint of {name}", partial(swap_taints, self.api, name, [], BOTH))
        if tainted or waited:
            self._records.cleared(node, ready=not _is_down(node))

    # -- evictions ------------------------------------------------------------------------------

    def _judge_zones(self, zones: dict[str, list[bool]], nodes: Sequence[Document]) -> None:
        now = self.clock.now()
        states = {
            zone: zone_state(ready=sum(ready), not_ready=len(ready) - sum(ready))
            for zone, ready in zones.items()
        }
        before = [self._zones.get(zone, ZoneState.INITIAL) for zone in states]
        step = turn(before, states.values())
        for zone in states if step != "stay" else ():
            rate = 0.0
            if step != "stop":
                rate = eviction_rate(states[zone], len(zones[zone]), **self._rates)
            if step == "resume" or self._zones.get(zone) is not states[zone]:
                self._queues[zone].set_rate(rate, now)
        if step == "stop":
            for queue in self._queues.values():
                queue.set_rate(0.0, now)
            for node in nodes:
                self._well_again(node)
        elif step == "resume":
            self._restart_probes()
        if step != "stay" and states != self._zones:
            self._records.zones(self._zones, states, zones, step)
        self._zones = states

    def _schedule_evictions(self) -> None:
        """Come back when the next node of some zone may be evicted."""
        if self._evict_timer is not None:
            self._evict_timer.cancel()
            self._evict_timer = None
        now = self.clock.now()
        waits = [wait for queue in self._queues.values() if (wait := queue.wait(now)) is not None]
        if waits:
            self._evict_timer = self.worker.call_later(min(waits), lambda: self.queue.add(EVICT))

    def _evict(self) -> None:
        """Taint the nodes whose turn it is."""
        for queue in self._queues.values():
            while (name := queue.take(self.clock.now())) is not None:
                node = self.api.peek("Node", name)
                ready = health.ready_status(node) if node is not None else None
                wanted = health.eviction_taint(ready[0]) if ready is not None else None
                if node is not None and wanted is not None:
                    swap_taints(self.api, name, [wanted[0]], [wanted[1]])
                    self.counts["tainted"] += 1
                    self._records.tainted(node, wanted[0], queue.rate)
                queue.serve(name)
        self._schedule_evictions()


def _node_name(pod: Document) -> Iterable[str]:
    return [node_of(pod)]


def _is_down(node: Document) -> bool:
    """It has a Ready condition, and that is not True."""
    ready = health.ready_status(node)
    return ready is not None and ready[0] != "True"


def _wrong_taints(node: Document) -> tuple[list[Document], list[Document]]:
    """(NoSchedule taints that are missing, those that are too many)."""
    conditions = (node.get("status") or {}).get("conditions") or ()
    cordoned = bool((node.get("spec") or {}).get("unschedulable"))
    return health.taint_changes(taints_of(node), health.scheduling_taints(conditions, cordoned))
