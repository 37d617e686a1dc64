"""The CronJob controller: creates a Job at each scheduled time.

`plan` decides when a Job starts; the controller creates and deletes Jobs and writes the status.

Ours keeps schedules and their time zones, the three concurrency policies, startingDeadlineSeconds,
suspension, missed starts, the active list, history limits and events.

Source: pkg/controller/cronjob/cronjob_controllerv2.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from kubesim.apiserver import ResourceEvent
from kubesim.client import Controller, RuleStep, Tools
from kubesim.controllers.cronjob.plan import (
    SOURCE,
    STILL_RUNNING,
    CronPlan,
    CronSpec,
    beyond_history_limit,
    plan,
)
from kubesim.controllers.job.facts import final_condition
from kubesim.errors import AlreadyExists, NotFound, StatusError
from kubesim.objects import meta
from kubesim.objects.cron import load_zone, parse_schedule
from kubesim.objects.frozen import thaw
from kubesim.objects.kindnames import CRON_JOB, JOB

if TYPE_CHECKING:
    from kubesim.objects.types import (
        CronJobDict,
        CronJobStatusDict,
        JobDict,
        JobTemplateSpecDict,
        ObjectMetaDict,
        ObjectReferenceDict,
    )

SCHEDULE_DELTA_SECONDS = 0.1  # nextScheduleDelta: added to the next scheduled time
SCHEDULED_AT = "batch.kubernetes.io/cronjob-scheduled-timestamp"


class CronJobController(Controller):
    """Reconciles CronJobs, one key at a time."""

    name = "cronjob-controller"

    def __init__(self, tools: Tools, **options: float) -> None:
        super().__init__(tools, **options)
        self._cronjobs = self.informer(CRON_JOB, self._cronjob_changed)
        self._jobs = self.informer(
            JOB, self._job_changed, on_demand=True, indexers={"owner": _owner_uid}
        )
        self._due: dict[str, float] = {}

    # -- watch events ---------------------------------------------------------------------------

    def _cronjob_changed(self, event: ResourceEvent[CronJobDict]) -> Iterable[str]:
        key = meta.key_of(event.object)
        if event.type == "DELETED":
            self._due.pop(key, None)
            self.forget_decisions(event.object)
            return
        self.demand()
        yield key

    def _job_changed(self, event: ResourceEvent[JobDict]) -> Iterable[str]:
        controller = meta.controller_of(event.object)
        if controller is not None and controller["kind"] == "CronJob":
            yield f"{meta.namespace_of(event.object)}/{controller['name']}"

    # -- reconcile ------------------------------------------------------------------------------

    def about(self, key: str) -> CronJobDict | None:
        """Return the CronJob itself."""
        return self._cronjobs.get(key)

    def reconcile(self, key: str) -> None:
        """Update the active list, start a Job that is due, delete old Jobs, write the status."""
        cronjob = self._cronjobs.get(key)
        if cronjob is None:
            return  # the garbage collector deletes its Jobs
        jobs = list(self._jobs.by_index("owner", meta.uid_of(cronjob)))
        status: CronJobStatusDict = thaw(cronjob.get("status") or {})
        status["active"] = self._still_active(cronjob, status, jobs)
        if not meta.is_terminating(cronjob):
            self._start_job_if_due(key, cronjob, status)
            self._delete_old_jobs(cronjob, jobs)
        if not status["active"]:
            del status["active"]
        if status != (cronjob.get("status") or {}):
            self.api.update_status({**cronjob, "status": status})

    def _still_active(
        self, cronjob: CronJobDict, status: CronJobStatusDict, jobs: Sequence[JobDict]
    ) -> list[ObjectReferenceDict]:
        """Return status.active without finished and deleted Jobs; record an Event for each."""
        by_uid = {meta.uid_of(job): job for job in jobs}
        active: list[ObjectReferenceDict] = []
        for reference in status.get("active") or ():
            job = by_uid.get(reference["uid"])
            if job is None:
                job = self.api.peek(JOB, reference["name"], meta.namespace_of(cronjob))
            if job is None or meta.uid_of(job) != reference["uid"]:
                message = f"Active job went missing: {reference['name']}"
                self.recorder.event(cronjob, "Normal", "MissingJob", message)
                continue
            final = final_condition(job)
            if final is None:
                active.append(reference)
                continue
            message = f"Saw completed job: {reference['name']}, condition: {final['type']}"
            self.recorder.event(cronjob, "Normal", "SawCompletedJob", message)
            if final["type"] == "Complete":
                completed = (job.get("status") or {}).get("completionTime", "")
                status["lastSuccessfulTime"] = max(status.get("lastSuccessfulTime", ""), completed)
        return active

    def _start_job_if_due(self, key: str, cronjob: CronJobDict, status: CronJobStatusDict) -> None:
        """Create the Job of a scheduled time that is due; update the status in place."""
        spec = cronjob["spec"]
        last = status.get("lastScheduleTime")
        now = self._datetime(self.clock.now())
        try:
            zone = load_zone(spec.get("timeZone", ""))
        except ValueError as error:  # the system's database of time zones has changed
            message = f'invalid timeZone: "{spec["timeZone"]}": {error}'
            self.recorder.event(cronjob, "Warning", "UnknownTimeZone", message)
            return
        decision = plan(
            CronSpec(
                parse_schedule(spec["schedule"], None if zone is UTC else zone),
                spec["concurrencyPolicy"],
                spec.get("startingDeadlineSeconds"),
                bool(spec.get("suspend")),
            ),
            created=self._datetime_of(cronjob["metadata"]["creationTimestamp"]),
            last=self._datetime_of(last) if last else None,
            now=now,
            active=len(status["active"]),
        )
        if decision.event is not None:
            self.recorder.event(cronjob, *decision.event)
        if decision.start is not None:
            if decision.replace:
                for reference in status["active"]:
                    self._delete(cronjob, reference["name"], reference["uid"])
                status["active"] = []
            job = self._create(cronjob, decision.start)
            if job is not None:
                status["active"].append(_reference(job))
            status["lastScheduleTime"] = f"{decision.start.isoformat(timespec='seconds')}Z"
        if decision.wait is not None:
            self._requeue_at(key, self.clock.now() + decision.wait + SCHEDULE_DELTA_SECONDS)
        self._record(cronjob, decision, len(status["active"]))

    def _datetime(self, seconds: float) -> datetime:
        """Return a simulated second as a naive datetime in UTC."""
        return self.clock.epoch.replace(microsecond=0, tzinfo=None) + timedelta(seconds=seconds)

    def _datetime_of(self, timestamp: str) -> datetime:
        return self._datetime(self.clock.seconds_at(timestamp))

    def _requeue_at(self, key: str, at: float) -> None:
        """Requeue a key at a given second, unless an earlier requeue is planned."""
        now = self.clock.now()
        planned = self._due.get(key)
        if planned is None or not now < planned <= at:
            self._due[key] = at
            self.queue.add_after(key, at - now)

    # -- jobs and decision records --------------------------------------------------------------

    def _create(self, cronjob: CronJobDict, scheduled: datetime) -> JobDict | None:
        """Create the Job of a scheduled time; return None if it exists and is finished."""
        job = job_from(cronjob, scheduled)
        name, namespace = job["metadata"]["name"], meta.namespace_of(cronjob)
        try:
            created = self.api.create(job)
        except AlreadyExists:
            existing = self.api.peek(JOB, name, namespace)
            if existing is None or not meta.is_owned_by(existing, cronjob):
                raise
            return None if final_condition(existing) is not None else existing
        except StatusError as error:
            message = f"Error creating job: {error.message}"
            self.recorder.event(cronjob, "Warning", "FailedCreate", message)
            raise
        self.counts["created"] += 1
        self.recorder.event(cronjob, "Normal", "SuccessfulCreate", f"Created job {name}")
        return created

    def _delete(self, cronjob: CronJobDict, name: str, uid: str) -> None:
        namespace = meta.namespace_of(cronjob)
        try:
            self.api.delete("Job", name, namespace, uid=uid, propagation_policy="Background")
        except NotFound:
            return
        self.counts["deleted"] += 1
        self.recorder.event(cronjob, "Normal", "SuccessfulDelete", f"Deleted job {name}")

    def _delete_old_jobs(self, cronjob: CronJobDict, jobs: Sequence[JobDict]) -> None:
        """Delete finished Jobs beyond the history limits."""
        finished = [(job, final_condition(job)) for job in jobs if not meta.is_terminating(job)]
        spec = cronjob["spec"]
        for type, limit in (
            ("Complete", spec.get("successfulJobsHistoryLimit")),
            ("Failed", spec.get("failedJobsHistoryLimit")),
        ):
            of_type = [
                job for job, final in finished if final is not None and final["type"] == type
            ]
            for job in beyond_history_limit(of_type, limit):
                self._delete(cronjob, meta.name_of(job), meta.uid_of(job))

    def _record(self, cronjob: CronJobDict, plan: CronPlan, active: int) -> None:
        spec = cronjob["spec"]
        inputs = {"schedule": spec["schedule"], "policy": spec["concurrencyPolicy"]}
        verdict = f"nothing to do: {plan.reason}"
        if plan.start is not None:
            verdict = f"start the Job of {plan.start.isoformat(timespec='minutes')}"
        change = f"the next start is due (in {plan.wait or 0:g} s), or the spec changes"
        if spec.get("suspend"):
            change = "spec.suspend were false"
        elif plan.reason == STILL_RUNNING:
            change = (
                "the Job that runs ended: the last missed start is then made up for, unless its "
                "startingDeadlineSeconds are over; or concurrencyPolicy were Allow or Replace"
            )
        elif plan.wait is None:
            change = "spec.schedule named a time that comes, or the spec changes otherwise"
        self.decide(
            cronjob,
            verdict,
            steps=(RuleStep("schedule", {**inputs, "active": active}, plan.reason, SOURCE),),
            binding=plan.reason,
            would_change_if=change,
            signature=plan.reason,
            acted=plan.start is not None,
        )


def job_from(cronjob: CronJobDict, scheduled: datetime) -> JobDict:
    """Return the Job of one scheduled time; its name contains the minute, so it is unique."""
    template: JobTemplateSpecDict = thaw(cronjob["spec"]["jobTemplate"])
    template_metadata = template.get("metadata") or {}
    minutes = int((scheduled - datetime(1970, 1, 1)).total_seconds()) // 60
    annotations = dict(template_metadata.get("annotations") or {})
    zone = load_zone(cronjob["spec"].get("timeZone", ""))
    local = scheduled.replace(tzinfo=UTC).astimezone(zone)
    annotations[SCHEDULED_AT] = local.isoformat(timespec="seconds").replace("+00:00", "Z")
    metadata: ObjectMetaDict = {
        "name": f"{meta.name_of(cronjob)}-{minutes}",
        "namespace": meta.namespace_of(cronjob),
        "annotations": annotations,
        "ownerReferences": [meta.owner_reference(cronjob)],
    }
    if template_metadata.get("labels"):
        metadata["labels"] = template_metadata["labels"]
    return {"kind": "Job", "apiVersion": "batch/v1", "metadata": metadata, "spec": template["spec"]}


def _reference(job: JobDict) -> ObjectReferenceDict:
    metadata = job["metadata"]
    return {
        "kind": "Job",
        "apiVersion": "batch/v1",
        "name": metadata["name"],
        "namespace": metadata["namespace"],
        "uid": metadata["uid"],
        "resourceVersion": metadata["resourceVersion"],
    }


def _owner_uid(job: JobDict) -> Iterable[str]:
    controller = meta.controller_of(job)
    return [controller["uid"]] if controller is not None else []
