"""What the node controller leaves behind for ``explain("node/NAME")``: why, since when, what next.

No counterpart in Kubernetes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubesim.client import Decision, DecisionLog, RuleStep
from kubesim.clock.base import Clock
from kubesim.controllers.node.zones import ZoneState
from kubesim.objects import meta
from kubesim.objects.frozen import Document

LEASES = "https://kubernetes.io/docs/concepts/architecture/nodes/#node-heartbeats"
RATES = "https://kubernetes.io/docs/concepts/architecture/nodes/#rate-limits-on-eviction"
TAINTS = "https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/"
EVICTIONS = f"{TAINTS}#taint-based-evictions"


class NodeRecords:
    """Writes decision records about nodes.

    Args:
        decisions: where they are kept.
        clock: what time it is.
        component: who decides.
    """

    def __init__(self, decisions: DecisionLog, clock: Clock, component: str) -> None:
        self._decisions = decisions
        self._clock = clock
        self._component = component

    def silent(self, node: Document, probe: float, grace: float, period: float) -> None:
        """A node became Unknown."""
        name, now = meta.name_of(node), self._clock.now()
        figures = {"last_seen_s": probe, "silent_s": now - probe, "grace_s": grace}
        said = f"{now - probe:g} s are more than the grace period of {grace:g} s"
        then = {"looks_every_s": period, "next_look_s": now + period}
        self._record(
            node,
            f"{name} is NotReady: no sign of life since t={probe:g}",
            (
                RuleStep("signs of life", figures, said, LEASES),
                RuleStep("pods", {}, "its pods are not ready from now on", LEASES),
                RuleStep("eviction", then, "NoExecute is considered at the next look", EVICTIONS),
            ),
            said,
            "its kubelet renewed the Lease, or reported a status",
            {"ready": "Unknown"},
        )

    def queued(
        self, node: Document, taint: Document, state: ZoneState, rate: float, waiting: int
    ) -> None:
        """A node waits for its NoExecute taint."""
        figures = {"zone_state": state.value, "nodes_per_s": rate, "waiting": waiting}
        said = f"one node in {1 / rate:g} s" if rate > 0 else "no evictions in this zone"
        self._record(
            node,
            f"{meta.name_of(node)} waits for the taint {taint['key']}:NoExecute",
            (RuleStep("rate of evictions", figures, said, RATES),),
            said,
            "the node became Ready before its turn",
            {"zone": state.value, "rate": rate},
        )

    def tainted(self, node: Document, taint: Document, rate: float) -> None:
        """A node got its NoExecute taint: its pods are going to leave."""
        name = meta.name_of(node)
        said = f"taint {taint['key']}:NoExecute"
        self._record(
            node,
            f"evict the pods of {name}: {said}",
            (
                RuleStep("rate of evictions", {"nodes_per_s": rate}, "it is its turn", RATES),
                RuleStep("tolerations", {}, "each pod stays for its tolerationSeconds", EVICTIONS),
            ),
            said,
            "the node became Ready: the taint goes, and evictions that are due later with it",
            {"taint": taint["key"]},
        )

    def cleared(self, node: Document, *, ready: bool) -> None:
        """A node lost its NoExecute taint, or its place in the queue for it."""
        name = meta.name_of(node)
        if ready:
            why, would = "it is Ready again", "it fell silent again"
        else:
            why = "no node of any zone is Ready: the control plane takes itself for cut off"
            would = "one node became Ready: evictions then begin anew, after a new grace period"
        self._record(
            node,
            f"do not evict the pods of {name}: {why}",
            (RuleStep("NoExecute taints", {}, "taken off; nothing is queued", EVICTIONS),),
            why,
            would,
            {"ready": ready},
        )

    def zones(
        self,
        before: Mapping[str, ZoneState],
        after: Mapping[str, ZoneState],
        nodes: Mapping[str, list[bool]],
        turn: str,
    ) -> None:
        """States of zones changed; kept under ``zone/NAME`` (``zone/default`` without labels)."""
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
        node: Document,
        verdict: str,
        steps: tuple[RuleStep, ...],
        binding: str,
        would_change_if: str,
        data: Mapping[str, Any],
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
