"""DefaultPreemption: when no node is feasible, delete pods of lower priority to make room.

`framework.preemption` makes the decision; this plug-in carries it out: the victims get a condition
and are deleted, and the pod is *nominated* to the node. It is not bound yet: it waits until the
victims are gone.

Source: pkg/scheduler/framework/plugins/defaultpreemption/default_preemption.go,
pkg/scheduler/framework/preemption/executor.go (prepareCandidate).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from kubesim.client import Decision, RuleStep, retry_on_conflict
from kubesim.errors import NotFound, StatusError
from kubesim.objects import meta
from kubesim.objects.kindnames import POD
from kubesim.objects.meta import set_condition
from kubesim.objects.wellknown import DISRUPTION_TARGET
from kubesim.scheduler.framework.cycle import Cycle
from kubesim.scheduler.framework.cycle_state import CycleState
from kubesim.scheduler.framework.handle import Handle
from kubesim.scheduler.framework.messages import fit_message
from kubesim.scheduler.framework.podinfo import priority_of
from kubesim.scheduler.framework.preemption import (
    BY_SCHEDULER,
    NOT_HELPFUL,
    PreemptionCandidate,
    enough_candidates,
    find_candidates,
    pick_node,
    why_not_eligible,
)
from kubesim.scheduler.framework.status import Code, Status

if TYPE_CHECKING:
    from kubesim.objects.types import PodDict, PodStatusDict

MIN_CANDIDATES_PERCENT = 10  # minCandidateNodesPercentage
MIN_CANDIDATES = 100  # minCandidateNodesAbsolute
SOURCE = "https://kubernetes.io/docs/concepts/scheduling-eviction/pod-priority-preemption/"


class DefaultPreemption:
    """PostFilter: make room on the node where preemption does the least harm.

    Args:
        min_percent: part of the nodes to dry-run, in percent; see `enough_candidates`.
        min_nodes: number of nodes to dry-run at least.
    """

    name = "DefaultPreemption"

    def __init__(
        self, min_percent: int = MIN_CANDIDATES_PERCENT, min_nodes: int = MIN_CANDIDATES
    ) -> None:
        self._percent, self._least = min_percent, min_nodes
        self._handle: Handle | None = None
        self._preempting: set[str] = set()  # uids of pods whose victims are being deleted

    def attach(self, handle: Handle) -> None:
        """Receive the scheduler's handle."""
        self._handle = handle

    def pre_enqueue(self, pod: PodDict) -> Status:
        """Hold back a pod while its victims are being deleted."""
        if meta.uid_of(pod) in self._preempting:
            return Status.unschedulable("waiting for the preemption for this pod to be finished")
        return Status()

    def post_filter(self, pod: PodDict, cycle: Cycle, state: CycleState) -> Status:
        """Return success with the nominated node, or why preemption does not help.

        Args:
            pod: the pod that does not fit.
            cycle: its scheduling cycle, with the status of each node.
            state: its cycle state.
        """
        handle = self._handle
        if handle is None:
            return Status.unschedulable()
        fresh = handle.api.peek(POD, meta.name_of(pod), meta.namespace_of(pod))
        if fresh is None:
            return Status.unschedulable()
        snapshot = state.snapshot
        nominated = str((fresh.get("status") or {}).get("nominatedNodeName") or "")
        unresolvable = bool(nominated) and cycle.status_of(nominated).code is Code.UNRESOLVABLE
        reason = why_not_eligible(
            fresh, snapshot.get(nominated) if nominated else None, unresolvable
        )
        if reason:
            return Status.unschedulable(f"preemption: {reason}")
        action = _Preemption(handle)
        nodes = [n for n in snapshot if cycle.status_of(n.name).code is Code.UNSCHEDULABLE]
        candidates: list[PreemptionCandidate] = []
        refused: dict[str, Status] = {}
        if nodes:
            offset = handle.rng.randrange(len(nodes))
            desired = enough_candidates(len(nodes), self._percent, self._least)
            candidates, refused = find_candidates(
                handle.framework,
                handle.nominator,
                fresh,
                nodes,
                state,
                action.started,
                offset=offset,
                wanted=desired,
            )
        if not candidates:
            dry_run = Cycle(refused, Status.unresolvable(NOT_HELPFUL))
            message = f"preemption: {fit_message(dry_run, len(snapshot))}"
            return Status(Code.UNSCHEDULABLE, (message,), nominated="")
        best = pick_node(candidates, action.started)
        cycle.preempt(meta.key_of(victim) for victim in best.victims)
        uid = meta.uid_of(fresh)
        self._preempting.add(uid)
        try:
            action.run(fresh, best)
        finally:
            self._preempting.discard(uid)
        return Status(nominated=best.node)


class _Preemption:
    """Carries out a preemption: conditions, deletions, Events, records.

    Args:
        handle: the scheduler's handle.
    """

    def __init__(self, handle: Handle) -> None:
        self._handle = handle

    def started(self, pod: PodDict) -> float:
        """Return the simulated second at which a pod started; the current one if it has not."""
        start_time = (pod.get("status") or {}).get("startTime")
        clock = self._handle.clock
        return float(clock.seconds_at(start_time) if start_time else clock.now())

    def run(self, pod: PodDict, chosen: PreemptionCandidate) -> None:
        """Delete the victims, and end nominations of lower priority to the same node.

        Args:
            pod: the preemptor.
            chosen: the node and the victims.
        """
        handle = self._handle
        for victim in chosen.victims:
            if not handle.reject(meta.key_of(victim), "preempted"):
                self._delete(victim)
            message = f"Preempted by pod {meta.uid_of(pod)} on node {chosen.node}"
            handle.recorder.event(
                victim, "Normal", "Preempted", message, action="Preempting", related=pod
            )
            handle.decisions.record(self._record(pod, victim, chosen, message))
        for other in handle.nominator.pods_for_node(chosen.node):
            if priority_of(other) < priority_of(pod):
                handle.nominator.remove(meta.key_of(other))
                self._write_status(other, _without_nomination)

    def _delete(self, victim: PodDict) -> None:
        """Set the victim's DisruptionTarget condition, then delete it with its grace period."""
        handle = self._handle
        message = f"{handle.scheduler_name}: preempting to accommodate a higher priority pod"

        def add_condition(status: PodStatusDict) -> PodStatusDict:
            conditions = set_condition(
                status.get("conditions") or (),
                DISRUPTION_TARGET,
                "True",
                BY_SCHEDULER,
                message,
                now=handle.clock.timestamp(),
            )
            return {**status, "conditions": conditions}

        self._write_status(victim, add_condition)
        name, namespace = meta.name_of(victim), meta.namespace_of(victim)
        try:
            retry_on_conflict(lambda: handle.api.delete("Pod", name, namespace))
        except NotFound:
            note = f"{meta.key_of(victim)} was deleted before it could be preempted"
            handle.analytics.log(handle.scheduler_name, "VictimGone", note, "debug")

    def _write_status(self, pod: PodDict, change: Callable[[PodStatusDict], PodStatusDict]) -> None:
        handle = self._handle

        def write() -> None:
            fresh = handle.api.peek(POD, meta.name_of(pod), meta.namespace_of(pod))
            if fresh is not None:
                handle.api.update_status({**fresh, "status": change(fresh.get("status") or {})})

        try:
            retry_on_conflict(write)
        except StatusError as error:
            note = f"status of {meta.key_of(pod)}: {error}"
            handle.analytics.log(handle.scheduler_name, "StatusLost", note, "warn")

    def _record(
        self, pod: PodDict, victim: PodDict, chosen: PreemptionCandidate, message: str
    ) -> Decision:
        priority, victim_priority = priority_of(pod), priority_of(victim)
        return Decision(
            time=self._handle.clock.now(),
            revision=meta.resource_version_of(victim),
            component=self._handle.scheduler_name,
            object=meta.reference("pod", meta.key_of(victim)),
            verdict=message,
            steps=(
                RuleStep(
                    "preemption",
                    {"priority": victim_priority, "preemptor_priority": priority},
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
            binding=f"priority {victim_priority} is lower than {priority}",
            would_change_if=f"its priority were {priority} or more",
            data={"preemptor": meta.key_of(pod), "node": chosen.node},
        )


def _without_nomination(status: PodStatusDict) -> PodStatusDict:
    kept = {key: value for key, value in status.items() if key != "nominatedNodeName"}
    return cast("PodStatusDict", kept)
