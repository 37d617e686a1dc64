"""What the outside hears of an attempt: Events, the pod's condition, and a decision record.

Source: pkg/scheduler/schedule_one.go (handleSchedulingFailure, updatePod).
"""

from __future__ import annotations

from dataclasses import replace

from kubesim.client import Decision, RuleStep, retry_on_conflict
from kubesim.errors import NotFound, StatusError
from kubesim.objects import meta
from kubesim.objects.conditions import get_condition, set_condition
from kubesim.objects.frozen import Document
from kubesim.objects.pods import node_of
from kubesim.scheduler.explain.records import SOURCE, attempt_record
from kubesim.scheduler.framework.cycle import Cycle
from kubesim.scheduler.framework.handle import Handle
from kubesim.scheduler.framework.messages import event_note
from kubesim.scheduler.framework.runtime import Framework
from kubesim.scheduler.framework.status import Status


class Reporter:
    """Tells of attempts.

    Args:
        handle: the scheduler's tools.
    """

    def __init__(self, handle: Handle) -> None:
        self._handle = handle

    def bound(self, pod: Document, node: str, cycle: Cycle, framework: Framework) -> None:
        """The pod has a node; its condition was set by the API server with the binding."""
        said = f"Successfully assigned {meta.namespace_of(pod)}/{meta.name_of(pod)} to {node}"
        self._handle.recorder.event(pod, "Normal", "Scheduled", said, action="Binding")
        self._record(pod, cycle, framework, node, said)

    def gated(self, pod: Document, status: Status) -> None:
        """The pod is not to be tried yet: no Event, no write, only a record."""
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

    def failed(
        self,
        pod: Document,
        cycle: Cycle,
        framework: Framework,
        message: str,
        reason: str,
        nominated: str | None,
    ) -> None:
        """No node, or an error.

        Args:
            pod, cycle, framework: of the attempt.
            message: for the Event (cut if too long) and the condition (whole).
            reason: "Unschedulable" or "SchedulerError".
            nominated: node for status.nominatedNodeName; "" clears it, None keeps it.
        """
        note = event_note(message)
        recorder = self._handle.recorder
        recorder.event(pod, "Warning", "FailedScheduling", note, action="Scheduling")
        self._record(pod, cycle, framework, None, message)
        self._write(pod, reason, message, nominated)

    def _record(
        self, pod: Document, cycle: Cycle, framework: Framework, node: str | None, said: str
    ) -> None:
        handle = self._handle
        new = attempt_record(
            handle.clock.now(), handle.scheduler_name, pod, cycle, framework, node, said
        )
        last = handle.decisions.latest(new.object)
        if last is not None and last.data.get("table") == new.data["table"]:
            # The same again, as with a pod that waits for long: one table serves both records.
            new = replace(new, data={**new.data, "table": last.data["table"]})
        handle.decisions.record(new)

    def _write(self, pod: Document, reason: str, message: str, nominated: str | None) -> None:
        """The condition and the nomination, if they are not there already."""
        handle = self._handle

        def attempt() -> None:
            fresh = handle.api.peek("Pod", meta.name_of(pod), meta.namespace_of(pod))
            if fresh is None or node_of(fresh) or meta.uid_of(fresh) != meta.uid_of(pod):
                return
            status = fresh.get("status") or {}
            known = get_condition(fresh, "PodScheduled") or {}
            was = status.get("nominatedNodeName") or ""
            wanted = was if nominated is None else nominated
            same = known.get("status") == "False" and known.get("reason") == reason
            if same and known.get("message") == message and was == wanted:
                return
            conditions = set_condition(
                status.get("conditions") or (),
                "PodScheduled",
                "False",
                reason,
                message,
                now=handle.clock.timestamp(),
            )
            new = {**status, "conditions": conditions}
            new.pop("nominatedNodeName", None)
            if wanted:
                new["nominatedNodeName"] = wanted
            handle.api.update_status({**fresh, "status": new})

        try:
            retry_on_conflict(attempt)
        except NotFound:
            handle.analytics.log(
                handle.scheduler_name, "PodGone", f"{meta.key_of(pod)} is gone", "debug"
            )
        except StatusError as error:  # the next attempt writes again
            said = f"condition of {meta.key_of(pod)}: {error}"
            handle.analytics.log(handle.scheduler_name, "ConditionLost", said, "warn")
