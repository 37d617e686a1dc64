"""DefaultPreemption: when no node has room, less important pods may have to go.

The decision is in `preemption.py`; this plug-in carries it out: the victims get a condition and are
deleted, and the pod is *nominated* to the node. It is not placed now: it waits until they are gone.

Source: pkg/scheduler/framework/preemption/preemption.go, executor (prepareCandidate).
"""

from __future__ import annotations

from typing import Any

from kubesim.client import Decision, RuleStep, retry_on_conflict
from kubesim.errors import NotFound, StatusError
from kubesim.objects import meta
from kubesim.objects.conditions import set_condition
from kubesim.objects.frozen import Document
from kubesim.objects.wellknown import DISRUPTION_TARGET
from kubesim.scheduler.framework.cycle import Cycle
from kubesim.scheduler.framework.cycle_state import CycleState
from kubesim.scheduler.framework.messages import fit_message
from kubesim.scheduler.framework.podinfo import priority_of
from kubesim.scheduler.framework.preemption import (
    BY_SCHEDULER,
    NOT_HELPFUL,
    Candidate,
    enough_candidates,
    find_candidates,
    pick_node,
    why_not_eligible,
)
from kubesim.scheduler.framework.status import Code, Status

MIN_CANDIDATES_PERCENT = 10  # minCandidateNodesPercentage
MIN_CANDIDATES = 100  # minCandidateNodesAbsolute
SOURCE = "https://kubernetes.io/docs/concepts/scheduling-eviction/pod-priority-preemption/"


class DefaultPreemption:
    """PostFilter: make room on the node where that does least harm.

    Args:
        min_percent, min_nodes: how many nodes are tried out, see `enough_candidates`.
    """

    name = "DefaultPreemption"

    def __init__(
        self, min_percent: int = MIN_CANDIDATES_PERCENT, min_nodes: int = MIN_CANDIDATES
    ) -> None:
        self._percent, self._least = min_percent, min_nodes
        self._handle: Any = None
        self._busy: set[str] = set()

    def attach(self, handle: Any) -> None:
        """Take what it needs from the scheduler's handle."""
        self._handle = handle

    def pre_enqueue(self, pod: Document) -> Status:
        """A pod whose victims are just being deleted is not tried before that is done."""
        if meta.uid_of(pod) in self._busy:
            return Status.unschedulable("waiting for the preemption for this pod to be finished")
        return Status()

    def post_filter(self, pod: Document, cycle: Cycle, state: CycleState) -> Status:
        """Success with the nominated node, or why preemption does not help."""
        handle = self._handle
        if handle is None:
            return Status.unschedulable()
        fresh = handle.api.peek("Pod", meta.name_of(pod), meta.namespace_of(pod))
        if fresh is None:
            return Status.unschedulable()
        snapshot = state.snapshot
        nominated = str((fresh.get("status") or {}).get("nominatedNodeName") or "")
        hopeless = bool(nominated) and cycle.status_of(nominated).code is Code.UNRESOLVABLE
        why = why_not_eligible(fresh, snapshot.get(nominated) if nominated else None, hopeless)
        if why:
            return Status.unschedulable(f"preemption: {why}")
        nodes = [n for n in snapshot if cycle.status_of(n.name).code is Code.UNSCHEDULABLE]
        candidates: list[Candidate] = []
        refused: dict[str, Status] = {}
        if nodes:
            offset = handle.rng.randrange(len(nodes))
            wanted = enough_candidates(len(nodes), self._percent, self._least)
            candidates, refused = find_candidates(
                handle.framework,
                handle.nominator,
                fresh,
                nodes,
                state,
                self._started,
                offset=offset,
                wanted=wanted,
            )
        if not candidates:
            in_vain = Cycle(refused, Status.unresolvable(NOT_HELPFUL))
            said = f"preemption: {fit_message(in_vain, len(snapshot))}"
            return Status(Code.UNSCHEDULABLE, (said,), nominated="")
        best = pick_node(candidates, self._started)
        cycle.victims = [meta.key_of(victim) for victim in best.victims]
        self._carry_out(fresh, best)
        return Status(nominated=best.node)

    def _started(self, pod: Document) -> float:
        started = (pod.get("status") or {}).get("startTime")
        clock = self._handle.clock
        return float(clock.seconds_at(started) if started else clock.now())

    # -- acting -----------------------------------------------------------------------------------

    def _carry_out(self, pod: Document, chosen: Candidate) -> None:
        handle, uid = self._handle, meta.uid_of(pod)
        self._busy.add(uid)
        try:
            for victim in chosen.victims:
                key = meta.key_of(victim)
                if not handle.reject(key, "preempted"):
                    self._delete(victim)
                said = f"Preempted by pod {uid} on node {chosen.node}"
                handle.recorder.event(
                    victim, "Normal", "Preempted", said, action="Preempting", related=pod
                )
                handle.decisions.record(self._record(pod, victim, chosen, said))
            for other in handle.nominator.on(chosen.node):
                if priority_of(other) < priority_of(pod):
                    handle.nominator.remove(meta.key_of(other))
                    self._write_status(other, lambda status: _without_nomination(status))
        finally:
            self._busy.discard(uid)

    def _delete(self, victim: Document) -> None:
        """Say why it goes, then let it go in its own grace period."""
        handle = self._handle
        said = f"{handle.scheduler_name}: preempting to accommodate a higher priority pod"

        def mark(status: Document) -> Document:
            conditions = set_condition(
                status.get("conditions") or (),
                DISRUPTION_TARGET,
                "True",
                BY_SCHEDULER,
                said,
                now=handle.clock.timestamp(),
            )
            return {**status, "conditions": conditions}

        self._write_status(victim, mark)
        name, namespace = meta.name_of(victim), meta.namespace_of(victim)
        try:
            retry_on_conflict(lambda: handle.api.delete("Pod", name, namespace))
        except NotFound:
            said = f"{meta.key_of(victim)} was gone before it could be preempted"
            handle.analytics.log(handle.scheduler_name, "VictimGone", said, "debug")

    def _write_status(self, pod: Document, change: Any) -> None:
        handle = self._handle

        def attempt() -> None:
            fresh = handle.api.peek("Pod", meta.name_of(pod), meta.namespace_of(pod))
            if fresh is not None:
                handle.api.update_status({**fresh, "status": change(fresh.get("status") or {})})

        try:
            retry_on_conflict(attempt)
        except StatusError as error:
            said = f"status of {meta.key_of(pod)}: {error}"
            handle.analytics.log(handle.scheduler_name, "StatusLost", said, "warn")

    def _record(self, pod: Document, victim: Document, chosen: Candidate, said: str) -> Decision:
        mine, theirs = priority_of(pod), priority_of(victim)
        return Decision(
            time=self._handle.clock.now(),
            revision=meta.resource_version_of(victim),
            component=self._handle.scheduler_name,
            object=meta.reference("pod", meta.key_of(victim)),
            verdict=said,
            steps=(
                RuleStep(
                    "preemption",
                    {"priority": theirs, "preemptor_priority": mine},
                    f"{meta.key_of(pod)} does not fit on {chosen.node} while this pod is there",
                    SOURCE,
                ),
                RuleStep(
                    "victims",
                    {"violations": chosen.violations},
                    ", ".join(meta.key_of(v) for v in chosen.victims),
                    SOURCE,
                ),
            ),
            binding=f"priority {theirs} is lower than {mine}",
            would_change_if=f"its priority were {mine} or more",
            data={"preemptor": meta.key_of(pod), "node": chosen.node},
        )


def _without_nomination(status: Document) -> Document:
    return {key: value for key, value in status.items() if key != "nominatedNodeName"}
