"""The status and the decision record of a Job: pure functions.

A sync writes the status twice. Before finalizers are removed, it lists finished pods by uid and
sets the interim condition; afterwards it counts them and sets the final condition.

Source: pkg/controller/job/job_controller.go (trackJobStatusAndRemoveFinalizers, enactJobFinished).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, cast

from kubesim.client import Decision, RuleStep
from kubesim.controllers.job.backoff import format_indexes
from kubesim.controllers.job.facts import JobSpec
from kubesim.controllers.job.plan import SOURCE, Finish, JobPlan, JobView
from kubesim.controllers.job.tracking import TerminatedPodCounts, TrackedPods, job_condition
from kubesim.controllers.shared.podowner import error_message
from kubesim.controllers.shared.refusals import way_out_of
from kubesim.objects import meta
from kubesim.quantity import count_of

if TYPE_CHECKING:
    from kubesim.objects.types import (
        JobConditionDict,
        JobDict,
        JobStatusDict,
        UncountedTerminatedPodsDict,
    )


class SyncResult(NamedTuple):
    """What a sync did to the pods.

    Attributes:
        finish: how the Job finishes; None: it does not.
        plan: the plan that was executed.
        active, ready, terminating: numbers of pods after the sync.
        managed: pods were managed, so the condition Suspended may be updated.
        failures: the errors.
    """

    finish: Finish | None
    plan: JobPlan
    active: int
    ready: int
    terminating: int
    managed: bool = False
    failures: Sequence[Exception] = ()


def suspension(
    conditions: Sequence[JobConditionDict], suspended: bool, now: str
) -> tuple[list[JobConditionDict], tuple[str, str] | None]:
    """Return the conditions with Suspended set, and (reason, message) of an Event, or None.

    Args:
        conditions: the present conditions.
        suspended: spec.suspend.
        now: RFC 3339 timestamp.
    """
    state = "Suspended" if suspended else "Resumed"
    reason, message = f"Job{state}", f"Job {state.lower()}"
    status = "True" if suspended else "False"
    new = job_condition(conditions, "Suspended", status, reason, message, now)
    return new, None if new == list(conditions) else (state, message)


def status_before_release(
    old: JobStatusDict,
    spec: JobSpec,
    view: JobView,
    result: SyncResult,
    tracked: TrackedPods,
    conditions: Sequence[JobConditionDict],
    now: str,
) -> JobStatusDict:
    """Return the status to write before finalizers are removed.

    Args:
        old: the present status, with startTime.
        spec, view: the Job's spec and counts.
        result: what this sync did.
        tracked: the finished pods.
        conditions: the conditions, with Suspended updated.
        now: RFC 3339 timestamp.
    """
    status: JobStatusDict = {
        **old,
        **_counters(spec, tracked.counts),
        "active": result.active,
        "ready": result.ready,
        "terminating": result.terminating,
    }
    if spec.indexed:
        status["completedIndexes"] = format_indexes(tracked.completed)
    if spec.per_index is not None:
        status["failedIndexes"] = format_indexes(view.failed_indexes)
    finish = result.finish
    if finish is not None and not finish.told:
        type = "SuccessCriteriaMet" if finish.success else "FailureTarget"
        conditions = job_condition(conditions, type, "True", finish.reason, finish.message, now)
    status["conditions"] = list(conditions)
    return _without_empty_fields(status)


def status_after_release(
    status: JobStatusDict,
    spec: JobSpec,
    counts: TerminatedPodCounts,
    finish: Finish | None,
    now: str,
) -> JobStatusDict:
    """Return the status to write after finalizers were removed.

    Args:
        status: the status that was written before.
        spec: the Job's spec.
        counts: the counts, including pods whose finalizer was removed.
        finish: how the Job finished, if nothing is left to wait for.
        now: RFC 3339 timestamp.
    """
    new: JobStatusDict = {**status, **_counters(spec, counts)}
    if finish is not None:
        type = "Complete" if finish.success else "Failed"
        old = status.get("conditions") or ()
        new["conditions"] = job_condition(old, type, "True", finish.reason, finish.message, now)
        if finish.success:
            new["completionTime"] = now
    return _without_empty_fields(new)


def _counters(spec: JobSpec, counts: TerminatedPodCounts) -> JobStatusDict:
    uncounted: UncountedTerminatedPodsDict = {}
    if counts.noted_succeeded:
        uncounted["succeeded"] = list(counts.noted_succeeded)
    if counts.noted_failed:
        uncounted["failed"] = list(counts.noted_failed)
    return {
        "succeeded": counts.succeeded,
        "failed": counts.failed,
        "uncountedTerminatedPods": uncounted,
    }


def _without_empty_fields(status: JobStatusDict) -> JobStatusDict:
    """Return the status without the optional fields that are empty."""
    optional = ("active", "succeeded", "failed", "completedIndexes", "conditions")
    kept = {field: value for field, value in status.items() if value or field not in optional}
    return cast("JobStatusDict", kept)


def decision_of(
    job: JobDict,
    spec: JobSpec,
    view: JobView,
    result: SyncResult,
    *,
    now: float,
    component: str,
) -> Decision:
    """Return the decision record of a sync.

    Args:
        job: the document.
        spec, view, result: the Job's spec and counts, and what this sync did.
        now: in seconds.
        component: name of the controller.
    """
    plan, finish = result.plan, result.finish
    inputs: dict[str, object] = {
        "active": len(view.active),
        "wanted": plan.wanted,
        "succeeded": view.succeeded,
        "completions": spec.completions,
        "failed": view.failed,
        "backoff_limit": spec.backoff_limit,
    }
    steps = [
        RuleStep(
            "count",
            inputs,
            f"{count_of(len(view.new_failed), 'pod has', 'pods have')} just failed",
            SOURCE,
        )
    ]
    change = "a pod ends, or parallelism, suspend or a limit changes"
    if finish is not None:
        verdict = f"{'complete' if finish.success else 'fail'}: {finish.message}"
        binding = finish.reason
        change = "nothing: a finished Job does not change any more"
        steps.append(RuleStep("end", {}, f"{finish.reason}: {finish.message}", SOURCE))
    else:
        verdict, binding = f"nothing to do: {plan.reason}", plan.reason
        if plan.create:
            verdict = f"create {count_of(plan.create, 'pod')}"
        elif plan.delete:
            verdict = f"delete {', '.join(pod.name for pod in plan.delete)}"
        if spec.suspended:
            change = "spec.suspend were false"
        elif plan.wait:
            change = "the back-off is over, or a pod succeeds"
            steps.append(RuleStep("back-off", {"wait_seconds": plan.wait}, plan.reason, SOURCE))
    if result.failures:
        binding = error_message(result.failures[0])
        change = way_out_of(binding)
        steps.append(RuleStep("slow start", {}, f"stopped: {binding}", SOURCE))
    return Decision(
        time=now,
        revision=meta.resource_version_of(job),
        component=component,
        object=meta.reference("job", meta.key_of(job)),
        verdict=verdict,
        steps=tuple(steps),
        binding=binding,
        would_change_if=change,
        data={"create": plan.create, "delete": [pod.name for pod in plan.delete]},
    )
