"""Decision records of the node lifecycle controller, for ``explain("node/NAME")``.

No counterpart in Kubernetes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from kubesim.client import Decision, DecisionLog, RuleStep
from kubesim.clock.base import Clock
from kubesim.controllers.node.zones import ZoneState
from kubesim.objects import meta

if TYPE_CHECKING:
    from kubesim.objects.types import NodeDict, TaintDict

LEASES = "https://kubernetes.io/docs/concepts/architecture/nodes/#node-heartbeats"
RATES = "https://kubernetes.io/docs/concepts/architecture/nodes/#rate-limits-on-eviction"
TAINTS = "https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/"
EVICTIONS = f"{TAINTS}#taint-based-evictions"


class NodeDecisions:
    """Writes decision records about nodes.

    Args:
        decisions: the decision log.
        clock: for the time of the records.
        component: name of the controller.
    """

    def __init__(self, decisions: DecisionLog, clock: Clock, component: str) -> None:
        self._decisions = decisions
        self._clock = clock
        self._component = component

    def record_not_ready(self, node: NodeDict, probe: float, grace: float, period: float) -> None:
        """Record that the conditions of a node became Unknown.

        Args:
            node: the document.
            probe: second of its last observed heartbeat.
            grace: grace period, in seconds.
            period: node-monitor-period, in seconds.
        """
        name, now = meta.name_of(node), self._clock.now()
        figures = {"last_seen_s": probe, "silent_s": now - probe, "grace_s": grace}
        binding = f"{now - probe:g} s are more than the grace period of {grace:g} s"
        next_check = {"monitor_period_s": period, "next_check_s": now + period}
        self._record(
            node,
            f"{name} is NotReady: no heartbeat since t={probe:g}",
            (
                RuleStep("lease and heartbeat", figures, binding, LEASES),
                RuleStep("pods", {}, "its pods are not ready from now on", LEASES),
                RuleStep(
                    "eviction", next_check, "queued for NoExecute at the next check", EVICTIONS
                ),
            ),
            binding,
            "its kubelet renewed the Lease, or reported a status",
            {"ready": "Unknown"},
        )

    def record_queued(
        self, node: NodeDict, taint: TaintDict, state: ZoneState, rate: float, waiting: int
    ) -> None:
        """Record that a node is queued for its NoExecute taint.

        Args:
            node: the document.
            taint: the NoExecute taint.
            state: state of its zone.
            rate: eviction rate of the zone, in nodes per second.
            waiting: number of nodes in the queue.
        """
        figures = {"zone_state": state.value, "nodes_per_s": rate, "waiting": waiting}
        binding = f"one node in {1 / rate:g} s" if rate > 0 else "no evictions in this zone"
        self._record(
            node,
            f"{meta.name_of(node)} waits for the taint {taint['key']}:NoExecute",
            (RuleStep("eviction rate", figures, binding, RATES),),
            binding,
            "the node became Ready before it was tainted",
            {"zone": state.value, "rate": rate},
        )

    def record_tainted(self, node: NodeDict, taint: TaintDict, rate: float) -> None:
        """Record that a node got its NoExecute taint, which evicts its pods.

        Args:
            node: the document.
            taint: the NoExecute taint.
            rate: eviction rate of its zone, in nodes per second.
        """
        name = meta.name_of(node)
        binding = f"taint {taint['key']}:NoExecute"
        self._record(
            node,
            f"evict the pods of {name}: {binding}",
            (
                RuleStep("eviction rate", {"nodes_per_s": rate}, "next in the queue", RATES),
                RuleStep("tolerations", {}, "each pod stays for its tolerationSeconds", EVICTIONS),
            ),
            binding,
            "the node became Ready: the taint is removed, and later evictions are cancelled",
            {"taint": taint["key"]},
        )

    def record_cleared(self, node: NodeDict, *, ready: bool) -> None:
        """Record that a node lost its NoExecute taint, or its place in the queue for it."""
        name = meta.name_of(node)
        if ready:
            reason, change = "it is Ready again", "its heartbeats stopped again"
        else:
            reason = "no node of any zone is Ready: the control plane assumes that it is cut off"
            change = "one node became Ready: evictions then restart after a new grace period"
        self._record(
            node,
            f"do not evict the pods of {name}: {reason}",
            (RuleStep("NoExecute taints", {}, "removed; the node is not queued", EVICTIONS),),
            reason,
            change,
            {"ready": ready},
        )

    def record_zones(
        self,
        before: Mapping[str, ZoneState],
        after: Mapping[str, ZoneState],
        nodes: Mapping[str, list[bool]],
        turn: str,
    ) -> None:
        """Record changes of zone states under ``zone/NAME`` (``zone/default`` without labels).

        Args:
            before, after: zone states.
            nodes: for each zone, whether each of its nodes is Ready.
            turn: what the change means for evictions, see `zones.turn`.
        """
        for zone, state in after.items():
            old = before.get(zone, ZoneState.INITIAL)
            if old is state or (old is ZoneState.INITIAL and state is ZoneState.NORMAL):
                continue
            ready = nodes[zone]
            figures = {"ready": sum(ready), "not_ready": len(ready) - sum(ready), "turn": turn}
            name = zone.replace("/", "-").strip("-") or "default"
            self._decisions.record(
                Decision(
                    time=self._clock.now(),
                    revision=0,
                    component=self._component,
                    object=f"zone/{name}",
                    verdict=f"zone {name}: {old.value} -> {state.value}",
                    steps=(RuleStep("nodes that are Ready", figures, state.value, RATES),),
                    binding=state.value,
                    would_change_if="more or fewer of its nodes were Ready",
                    data={"state": state.value},
                )
            )

    def _record(
        self,
        node: NodeDict,
        verdict: str,
        steps: tuple[RuleStep, ...],
        binding: str,
        would_change_if: str,
        data: Mapping[str, object],
    ) -> None:
        self._decisions.record(
            Decision(
                time=self._clock.now(),
                revision=meta.resource_version_of(node),
                component=self._component,
                object=f"node/{meta.name_of(node)}",
                verdict=verdict,
                steps=steps,
                binding=binding,
                would_change_if=would_change_if,
                data=data,
            )
        )
