"""The node lifecycle controller: detects unresponsive nodes by their leases and heartbeats.

Every 5 s it checks each node. The conditions of a node without a heartbeat for more than 50 s
become Unknown, and its pods not ready, so that Services stop sending requests to them at once. At
the next check the node is queued for a NoExecute taint, which zone states and eviction rates may
delay; only that taint evicts pods, after their tolerationSeconds (`tainteviction`). NoSchedule
taints follow the conditions immediately.

Ours keeps: lease and heartbeat, grace periods, conditions, taints, zones with their rates, full
disruption, events, the retry of pods that could not be marked. It leaves out the reconciliation of
labels, and metrics. It uses a timer for the next eviction instead of polling every 100 ms, and
writes nothing while all nodes are healthy. Ours adds: after a check that is much too late (live
clock: the computer was busy or asleep) every node gets a new grace period.

Source: pkg/controller/nodelifecycle/node_lifecycle_controller.go,
pkg/controller/util/node/controller_utils.go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from kubesim.apiserver import ResourceEvent
from kubesim.client import Controller, Tools
from kubesim.clock.base import Timer
from kubesim.controllers.node import health
from kubesim.controllers.node.decisions import NodeDecisions
from kubesim.controllers.node.writes import mark_not_ready, swap_taints, write_unknown
from kubesim.controllers.node.zones import (
    EVICTION_RATE,
    EvictionQueue,
    EvictionRates,
    ZoneState,
    counts_for_disruption,
    eviction_rate,
    turn,
    zone_of,
    zone_state,
)
from kubesim.errors import StatusError
from kubesim.objects import meta
from kubesim.objects.kindnames import LEASE, NODE, POD
from kubesim.objects.pods import is_ready, node_of
from kubesim.objects.taints import same_taint, taints_of
from kubesim.objects.wellknown import LEASE_NAMESPACE, NO_EXECUTE

if TYPE_CHECKING:
    from kubesim.objects.types import NodeDict, PodDict, TaintDict

MONITOR, EVICT = "monitor", "evict"  # keys next to ``taints/NODE`` and ``pod/NAMESPACE/NAME``
BOTH_TAINTS: list[TaintDict] = [
    {"key": key, "effect": NO_EXECUTE} for key in health.NO_EXECUTE_KEYS.values()
]


class NodeLifecycleController(Controller):
    """Monitors node health; sets conditions and taints.

    Args:
        monitor_seconds: node-monitor-period, in seconds.
        grace_seconds: node-monitor-grace-period, in seconds.
        startup_grace_seconds: grace period of nodes that never reported, in seconds.
        rates: arguments of `eviction_rate`: `rate`, `secondary_rate`, `large_zone`.
        options: of the base class.
    """

    name = "node-controller"

    def __init__(
        self,
        tools: Tools,
        *,
        monitor_seconds: float = health.MONITOR_SECONDS,
        grace_seconds: float = health.GRACE_SECONDS,
        startup_grace_seconds: float = health.STARTUP_GRACE_SECONDS,
        rates: EvictionRates | None = None,
        **options: float,
    ) -> None:
        super().__init__(tools, **options)
        self._period = monitor_seconds
        self._grace, self._startup_grace = grace_seconds, startup_grace_seconds
        self._rates: EvictionRates = rates or {}
        self._nodes = self.informer(NODE, self._node_changed)
        self._pods = self.informer(POD, self._pod_changed, indexers={"node": _node_name})
        self._health: dict[str, health.Health] = {}
        self._known: dict[str, NodeDict] = {}
        self._retry: set[str] = set()  # nodes with pods that could not be marked
        self._last_check = 0.0
        self._zones: dict[str, ZoneState] = {}
        self._queues: dict[str, EvictionQueue] = {}
        self._evict_timer: Timer | None = None
        self._node_decisions = NodeDecisions(self.decisions, self.clock, self.name)

    def start(self) -> None:
        """Start the informers and the periodic check."""
        super().start()
        self.worker.call_soon(lambda: self.queue.add(MONITOR))
        self.worker.every(self._period, lambda: self.queue.add(MONITOR))

    # -- watch events ---------------------------------------------------------------------------

    def _node_changed(self, event: ResourceEvent[NodeDict]) -> Iterable[str]:
        if event.type != "DELETED" and any(_wrong_taints(event.object)):
            yield f"taints/{meta.name_of(event.object)}"

    def _pod_changed(self, event: ResourceEvent[PodDict]) -> Iterable[str]:
        """Queue a pod that was bound to a node that is not Ready."""
        pod = event.object
        name = node_of(pod)
        if event.type == "DELETED" or not name:
            return
        if event.previous is None or node_of(event.previous) != name:
            node = self._nodes.get(name)
            if node is not None and _is_not_ready(node):
                yield f"pod/{meta.key_of(pod)}"

    def reconcile(self, key: str) -> None:
        """Check all nodes, evict, update a node's taints, or mark a pod: by the key's prefix."""
        what, _, name = key.partition("/")
        if what == MONITOR:
            self._monitor_node_health()
        elif what == EVICT:
            self._evict_nodes()
        elif what == "taints":
            self._taint_by_conditions(name)
        else:
            pod = self._pods.get(name)
            node = self._nodes.get(node_of(pod)) if pod is not None else None
            if pod is not None and node is not None and _is_not_ready(node):
                self._mark_not_ready(pod)

    # -- health ---------------------------------------------------------------------------------

    def _monitor_node_health(self) -> None:
        """Check every node, then update the zone states and schedule evictions."""
        nodes, _ = self.api.snapshot(NODE)
        self._reset_grace_after_stall()
        self._register_new_nodes(nodes)
        zones: dict[str, list[bool]] = {}
        for node in nodes:
            name = meta.name_of(node)
            observed = health.ready_status(node)
            try:
                current = self._update_node_health(name, node)
            except StatusError as error:  # this check, and its zone, ignore the node
                self._log_failed_write(f"the status of {name}", error)
                continue
            if counts_for_disruption(node):
                zones.setdefault(zone_of(node), []).append(current == "True")
            if current is None:
                continue  # it never reported, and is within its start-up grace period
            before = observed[0] if observed is not None else "Unknown"
            self._queue_eviction(name, node, before)
            became_not_ready = before == "True" and current != "True"
            if became_not_ready:
                self.counts["fell"] += 1
                message = f"Node {name} status is now: NodeNotReady"
                self.recorder.event(node, "Normal", "NodeNotReady", message)
            if became_not_ready or (name in self._retry and before != "True"):
                self._mark_pods_not_ready(name)
            else:
                self._retry.discard(name)
        self._update_zone_states(zones, nodes)
        self._schedule_evictions()

    def _reset_grace_after_stall(self) -> None:
        """Give every node a new grace period after a check that is much too late.

        What stalled this controller stalled the kubelets, too. This cannot happen on the virtual
        clock.
        """
        now, before = self.clock.now(), self._last_check
        self._last_check = now
        if now - before > self._period + self._grace / 2:
            self._restart_probes()
            message = f"{now - before:g} s since the last check: every node gets a new grace period"
            self.analytics.log(self.name, "LateCheck", message, "warn")

    def _restart_probes(self) -> None:
        now = self.clock.now()
        for name, node_health in self._health.items():
            self._health[name] = health.Health(now, node_health.heartbeat, node_health.renewed)

    def _register_new_nodes(self, nodes: Sequence[NodeDict]) -> None:
        """Record Events about new and removed nodes; create their zones' eviction queues."""
        present = {meta.name_of(node): node for node in nodes}
        for name, node in present.items():
            if zone_of(node) not in self._queues:
                rate = self._rates.get("rate", EVICTION_RATE)
                self._queues[zone_of(node)] = EvictionQueue(self.clock.now(), rate)
            if name not in self._known:
                message = f"Node {name} event: Registered Node {name} in Controller"
                self.recorder.event(node, "Normal", "RegisteredNode", message)
                self._mark_reachable(node)
        for name in [name for name in self._known if name not in present]:
            message = f"Node {name} event: Removing Node {name} from Controller"
            self.recorder.event(self._known[name], "Normal", "RemovingNode", message)
            self._health.pop(name, None)
            self._retry.discard(name)
            for queue in self._queues.values():
                queue.remove(name)
        self._known = present

    def _update_node_health(self, name: str, node: NodeDict) -> str | None:
        """Check the lease and heartbeat of a node; write Unknown conditions after the grace period.

        Returns:
            The status of its Ready condition; None: it never reported.

        Raises:
            StatusError: the status could not be written.
        """
        observed, now = health.ready_status(node), self.clock.now()
        created = node["metadata"]["creationTimestamp"]
        node_health = self._health[name] = health.observe(
            self._health.get(name),
            created=self.clock.seconds_at(created),
            heartbeat=observed[1] if observed is not None else None,
            renewed=self._lease_renew_time(name),
            now=now,
        )
        silent = health.is_silent(
            node_health,
            has_ready=observed is not None,
            now=now,
            grace_seconds=self._grace,
            startup_grace_seconds=self._startup_grace,
        )
        status = observed[0] if observed is not None else None
        if not silent or status == "Unknown":
            return status
        if not write_unknown(self.api, node):
            return status  # it has reported since: the next check sees it
        grace = self._grace if observed is not None else self._startup_grace
        self._node_decisions.record_not_ready(node, node_health.probe, grace, self._period)
        self.counts["unknown"] += 1
        return "Unknown"

    def _lease_renew_time(self, name: str) -> str | None:
        """Return renewTime of a node's Lease; None if it has none."""
        lease = self.api.peek(LEASE, name, LEASE_NAMESPACE)
        return (lease.get("spec") or {}).get("renewTime") if lease is not None else None

    def _try(self, what: str, write: Callable[[], bool]) -> bool:
        """Execute a write for one node; log an error instead of raising it.

        Args:
            what: what is written, for the log.
            write: executes it; returns whether something changed.
        """
        try:
            return write()
        except StatusError as error:
            self._log_failed_write(what, error)
            return False

    def _log_failed_write(self, what: str, error: StatusError) -> None:
        self.counts["failed"] += 1
        message = f"{what} was not written: {error.message}"
        self.analytics.log(self.name, "WriteFailed", message, "warn")

    # -- pods -----------------------------------------------------------------------------------

    def _mark_pods_not_ready(self, name: str) -> None:
        """Set Ready=False on the pods of a node; failed writes are retried at the next check."""
        self._retry.discard(name)
        for pod in self._pods.by_index("node", name):
            try:
                self._mark_not_ready(pod)
            except StatusError as error:
                self._retry.add(name)
                self._log_failed_write(f"the status of pod {meta.key_of(pod)}", error)

    def _mark_not_ready(self, pod: PodDict) -> None:
        if is_ready(pod) and mark_not_ready(self.api, pod):
            self.recorder.event(pod, "Warning", "NodeNotReady", "Node is not ready")
            self.counts["pods_marked"] += 1

    # -- taints ---------------------------------------------------------------------------------

    def _taint_by_conditions(self, name: str) -> None:
        """Update the NoSchedule taints by conditions and spec.unschedulable."""
        node = self.api.peek(NODE, name)
        if node is not None:
            add, remove = _wrong_taints(node)
            swap_taints(self.api, name, add, remove)

    def _queue_eviction(self, name: str, node: NodeDict, ready: str) -> None:
        """Queue a node for its NoExecute taint, swap the taint it has, or remove it.

        `ready` is the condition *before* this check, so a node is queued one check after it became
        not Ready.
        """
        desired = health.eviction_taint(ready)
        if desired is None:
            self._mark_reachable(node)
            return
        taint, opposite = desired
        if any(same_taint(opposite, present) for present in taints_of(node)):
            self._try(
                f"a taint of {name}", partial(swap_taints, self.api, name, [taint], [opposite])
            )
            return
        queue = self._queues[zone_of(node)]
        if queue.add(name, self.clock.now()):
            state = self._zones.get(zone_of(node), ZoneState.INITIAL)
            self._node_decisions.record_queued(node, taint, state, queue.rate, len(queue))

    def _mark_reachable(self, node: NodeDict) -> None:
        """Remove a node's NoExecute taints, and its place in the eviction queue."""
        name = meta.name_of(node)
        queued = 0
        for queue in self._queues.values():
            queued += queue.remove(name)
        taints = taints_of(node, NO_EXECUTE)
        tainted = bool(taints) and any(
            same_taint(t, present) for t in BOTH_TAINTS for present in taints
        )
        if tainted:
            self._try(f"a taint of {name}", partial(swap_taints, self.api, name, [], BOTH_TAINTS))
        if tainted or queued:
            self._node_decisions.record_cleared(node, ready=not _is_not_ready(node))

    # -- evictions ------------------------------------------------------------------------------

    def _update_zone_states(self, zones: dict[str, list[bool]], nodes: Sequence[NodeDict]) -> None:
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
                self._mark_reachable(node)
        elif step == "resume":
            self._restart_probes()
        if step != "stay" and states != self._zones:
            self._node_decisions.record_zones(self._zones, states, zones, step)
        self._zones = states

    def _schedule_evictions(self) -> None:
        """Set a timer for the next node of any zone that may be evicted."""
        if self._evict_timer is not None:
            self._evict_timer.cancel()
            self._evict_timer = None
        now = self.clock.now()
        waits = [wait for queue in self._queues.values() if (wait := queue.wait(now)) is not None]
        if waits:
            self._evict_timer = self.worker.call_later(min(waits), lambda: self.queue.add(EVICT))

    def _evict_nodes(self) -> None:
        """Taint the nodes that the eviction rates allow."""
        for queue in self._queues.values():
            while (name := queue.take(self.clock.now())) is not None:
                node = self.api.peek(NODE, name)
                ready = health.ready_status(node) if node is not None else None
                desired = health.eviction_taint(ready[0]) if ready is not None else None
                if node is not None and desired is not None:
                    swap_taints(self.api, name, [desired[0]], [desired[1]])
                    self.counts["tainted"] += 1
                    self._node_decisions.record_tainted(node, desired[0], queue.rate)
                queue.serve(name)
        self._schedule_evictions()


def _node_name(pod: PodDict) -> Iterable[str]:
    return [node_of(pod)]


def _is_not_ready(node: NodeDict) -> bool:
    """Return whether a node has a Ready condition that is not True."""
    ready = health.ready_status(node)
    return ready is not None and ready[0] != "True"


def _wrong_taints(node: NodeDict) -> tuple[list[TaintDict], list[TaintDict]]:
    """Return (missing NoSchedule taints, superfluous NoSchedule taints)."""
    conditions = (node.get("status") or {}).get("conditions") or ()
    cordoned = bool((node.get("spec") or {}).get("unschedulable"))
    return health.taint_changes(taints_of(node), health.scheduling_taints(conditions, cordoned))
