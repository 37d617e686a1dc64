"""Reports the result of an attempt: Events, the pod's condition, and a decision record.

Source: pkg/scheduler/schedule_one.go (handleSchedulingFailure, updatePod).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubesim.client import Decision, RuleStep, retry_on_conflict
from kubesim.errors import NotFound, StatusError
from kubesim.objects import meta
from kubesim.objects.kindnames import POD
from kubesim.objects.meta import get_condition, set_condition
from kubesim.objects.pods import node_of
from kubesim.scheduler.explain.figures import figures_of
from kubesim.scheduler.explain.records import SOURCE, AttemptRecord
from kubesim.scheduler.framework.cycle import Cycle
from kubesim.scheduler.framework.handle import Handle
from kubesim.scheduler.framework.messages import event_note
from kubesim.scheduler.framework.runtime import Framework
from kubesim.scheduler.framework.status import Status

if TYPE_CHECKING:
    from kubesim.objects.types import PodDict

SCHEDULER_ERROR = "SchedulerError"  # PodReasonSchedulerError: a plug-in failed


class AttemptReporter:
    """Reports the results of attempts.

    Args:
        handle: the scheduler's handle.
    """

    def __init__(self, handle: Handle) -> None:
        self._handle = handle

    def bound(self, pod: PodDict, node: str, cycle: Cycle, framework: Framework) -> None:
        """Report a bound pod; the API server set its condition together with the binding.

        Args:
            pod: the Pod document.
            node: name of the node.
            cycle: results of the attempt.
            framework: knows the weights.
        """
        message = f"Successfully assigned {meta.namespace_of(pod)}/{meta.name_of(pod)} to {node}"
        self._handle.recorder.event(pod, "Normal", "Scheduled", message, action="Binding")
        self._record(pod, cycle, framework, node, message)

    def gated(self, pod: PodDict, status: Status) -> None:
        """Record that PreEnqueue holds a pod back; upstream writes no Event and no condition.

        Args:
            pod: the Pod document.
            status: the refusal.
        """
        handle = self._handle
        handle.decisions.record(
            Decision(
                time=handle.clock.now(),
                revision=meta.resource_version_of(pod),
                component=handle.scheduler_name,
                object=meta.reference("pod", meta.key_of(pod)),
                verdict=status.message or "not to be tried yet",
                steps=(RuleStep("PreEnqueue", {}, f"refused by {status.plugin}", SOURCE),),
                binding=status.plugin,
                would_change_if="the pod were changed so that this plug-in lets it in",
            )
        )

    def waiting(self, pod: PodDict, node: str, status: Status) -> None:
        """Record that a pod has its node, and what has to be done before it is bound to it.

        Args:
            pod: the Pod document.
            node: name of the node.
            status: of the PreBind plug-in that waits.
        """
        handle = self._handle
        waits = f"{status.plugin} waits for at most {status.timeout_seconds:g} s"
        handle.decisions.record(
            Decision(
                time=handle.clock.now(),
                revision=meta.resource_version_of(pod),
                component=handle.scheduler_name,
                object=meta.reference("pod", meta.key_of(pod)),
                verdict=f"{node} is chosen; the pod is bound to it once {status.help}",
                steps=(RuleStep("PreBind", {"node": node}, waits, SOURCE),),
                binding=status.plugin,
                would_change_if=status.help,
            )
        )

    def failed(
        self,
        pod: PodDict,
        cycle: Cycle,
        framework: Framework,
        message: str,
        reason: str,
        nominated: str | None,
    ) -> None:
        """Report that no node was feasible, or that an error occurred.

        Args:
            pod: the Pod document.
            cycle: results of the attempt.
            framework: knows the weights.
            message: for the Event (cut if too long) and the condition (complete).
            reason: "Unschedulable" or "SchedulerError".
            nominated: node for status.nominatedNodeName; "" clears it, None keeps it.
        """
        note = event_note(message)
        recorder = self._handle.recorder
        recorder.event(pod, "Warning", "FailedScheduling", note, action="Scheduling")
        error = message if reason == SCHEDULER_ERROR else ""
        self._record(pod, cycle, framework, None, message, error)
        self._write(pod, reason, message, nominated)

    def _record(
        self,
        pod: PodDict,
        cycle: Cycle,
        framework: Framework,
        node: str | None,
        message: str,
        error: str = "",
    ) -> None:
        handle, about = self._handle, meta.reference("pod", meta.key_of(pod))
        figures = figures_of(pod, cycle, framework, node, error)
        last = handle.decisions.latest(about)
        render = last.renderer if last is not None else None
        if not isinstance(render, AttemptRecord) or render.figures != figures:
            render = AttemptRecord(figures)  # otherwise both records share their figures
        handle.decisions.record(
            Decision.on_demand(
                render,
                time=handle.clock.now(),
                revision=meta.resource_version_of(pod),
                component=handle.scheduler_name,
                object=about,
                verdict=message,
            )
        )

    def _write(self, pod: PodDict, reason: str, message: str, nominated: str | None) -> None:
        """Write the condition and the nomination, unless they are up to date."""
        handle = self._handle

        def write() -> None:
            fresh = handle.api.peek(POD, meta.name_of(pod), meta.namespace_of(pod))
            if fresh is None or node_of(fresh) or meta.uid_of(fresh) != meta.uid_of(pod):
                return
            status = fresh.get("status") or {}
            existing = get_condition(fresh, "PodScheduled") or {}
            current = status.get("nominatedNodeName") or ""
            desired = current if nominated is None else nominated
            same = existing.get("status") == "False" and existing.get("reason") == reason
            if same and existing.get("message") == message and current == desired:
                return
            conditions = set_condition(
                status.get("conditions") or (),
                "PodScheduled",
                "False",
                reason,
                message,
                now=handle.clock.timestamp(),
                generation=fresh["metadata"].get("generation"),
            )
            new = {**status, "conditions": conditions}
            new.pop("nominatedNodeName", None)
            if desired:
                new["nominatedNodeName"] = desired
            handle.api.update_status({**fresh, "status": new})

        try:
            retry_on_conflict(write)
        except NotFound:
            handle.analytics.log(
                handle.scheduler_name, "PodGone", f"{meta.key_of(pod)} was deleted", "debug"
            )
        except StatusError as error:  # the next attempt writes again
            note = f"condition of {meta.key_of(pod)}: {error}"
            handle.analytics.log(handle.scheduler_name, "ConditionLost", note, "warn")
