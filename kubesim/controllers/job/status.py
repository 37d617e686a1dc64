"""What the Job controller writes down: the two steps of a status, and why it did what it did.

Pure functions. The first step of a status notes pods by uid and says that the Job is ending; the
second, after the finalizers are gone, counts them and says that it has ended.

Source: pkg/controller/job/job_controller.go (trackJobStatusAndRemoveFinalizers, enactJobFinished).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from kubesim.client import Decision, RuleStep
from kubesim.controllers.job.backoff import format_indexes
from kubesim.controllers.job.facts import JobSpec
from kubesim.controllers.job.plan import SOURCE, Finish, JobPlan, JobView
from kubesim.controllers.job.tracking import Counts, Tally, job_condition
from kubesim.controllers.shared.podowner import error_message
from kubesim.objects import meta
from kubesim.objects.frozen import Document


class Outcome(NamedTuple):
    """What a pass did to pods.

    Attributes:
        finish: how the Job ends; None: it goes on.
        plan: what was planned.
        active, ready, terminating: pods, after what was done.
        managed: pods were looked after, so suspension may be told.
        failures: what went wrong.
    """

    finish: Finish | None
    plan: JobPlan
    active: int
    ready: int
    terminating: int
    managed: bool = False
    failures: Sequence[Exception] = ()


def suspension(
    conditions: Sequence[Document], suspended: bool, now: str
) -> tuple[list[Document], tuple[str, str] | None]:
    """The condition Suspended as it should be, and what to tell: (reason, message) of an event.

    Args:
        conditions: of the status so far.
        suspended: spec.suspend.
        now: RFC 3339 text.
    """
    word = "Suspended" if suspended else "Resumed"
    said = (f"Job{word}", f"Job {word.lower()}")
    new = job_condition(conditions, "Suspended", "True" if suspended else "False", *said, now)
    return new, None if new == list(conditions) else (word, said[1])


def first_status(
    old: Document,
    spec: JobSpec,
    view: JobView,
    outcome: Outcome,
    noted: Tally,
    conditions: Sequence[Document],
    now: str,
) -> Document:
    """The status before finalizers are removed.

    Args:
        old: the status so far, with startTime.
        spec, view: of the Job.
        outcome: of this pass.
        noted: the pods that ended.
        conditions: with Suspended as it should be.
        now: RFC 3339 text.
    """
    status = {
        **old,
        **_counters(spec, noted.counts),
        "active": outcome.active,
        "ready": outcome.ready,
        "terminating": outcome.terminating,
    }
    if spec.indexed:
        status["completedIndexes"] = format_indexes(noted.completed)
    if spec.per_index is not None:
        status["failedIndexes"] = format_indexes(view.failed_indexes)
    finish = outcome.finish
    if finish is not None and not finish.told:
        type = "SuccessCriteriaMet" if finish.success else "FailureTarget"
        said = finish.reason, finish.message
        conditions = job_condition(conditions, type, "True", *said, now)
    status["conditions"] = list(conditions)
    return _tidy(status)


def last_status(
    status: Document, spec: JobSpec, counts: Counts, over: Finish | None, now: str
) -> Document:
    """The status after finalizers were removed.

    Args:
        status: as it was written before.
        spec: of the Job.
        counts: with the pods that lost their finalizer.
        over: how the Job has ended, if nothing is left to wait for.
        now: RFC 3339 text.
    """
    new = {**status, **_counters(spec, counts)}
    if over is not None:
        type = "Complete" if over.success else "Failed"
        old = status.get("conditions") or ()
        new["conditions"] = job_condition(old, type, "True", over.reason, over.message, now)
        if over.success:
            new["completionTime"] = now
    return _tidy(new)


def _counters(spec: JobSpec, counts: Counts) -> Document:
    notes = {"succeeded": list(counts.noted_succeeded), "failed": list(counts.noted_failed)}
    return {
        "succeeded": counts.succeeded,
        "failed": counts.failed,
        "uncountedTerminatedPods": {field: uids for field, uids in notes.items() if uids},
    }


def _tidy(status: Document) -> Document:
    """Without what the API leaves out when it is empty."""
    optional = ("active", "succeeded", "failed", "completedIndexes", "conditions")
    return {field: value for field, value in status.items() if value or field not in optional}


def decision_of(
    job: Document,
    spec: JobSpec,
    view: JobView,
    outcome: Outcome,
    *,
    now: float,
    component: str,
) -> Decision:
    """Why a pass did what it did.

    Args:
        job: the document.
        spec, view, outcome: of the Job and of this pass.
        now: in seconds.
        component: who decided.
    """
    plan, finish = outcome.plan, outcome.finish
    inputs: dict[str, Any] = {
        "active": len(view.active),
        "wanted": plan.wanted,
        "succeeded": view.succeeded,
        "completions": spec.completions,
        "failed": view.failed,
        "backoff_limit": spec.backoff_limit,
    }
    steps = [RuleStep("count", inputs, f"{len(view.new_failed)} pods have just failed", SOURCE)]
    change = "a pod ends, or parallelism, suspend or a limit changes"
    if finish is not None:
        verdict = f"{'complete' if finish.success else 'fail'}: {finish.message}"
        binding = finish.reason
        change = "nothing: a Job that has ended stays so"
        steps.append(RuleStep("end", {}, f"{finish.reason}: {finish.message}", SOURCE))
    else:
        verdict, binding = f"nothing to do: {plan.reason}", plan.reason
        if plan.create:
            verdict = f"create {plan.create} pods"
        elif plan.delete:
            verdict = f"delete {', '.join(pod.name for pod in plan.delete)}"
        if plan.wait:
            change = "the back-off is over, or a pod succeeds"
            steps.append(RuleStep("back-off", {"wait_seconds": plan.wait}, plan.reason, SOURCE))
    if outcome.failures:
        binding = error_message(outcome.failures[0])
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
