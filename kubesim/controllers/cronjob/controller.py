"""The CronJob controller: makes a Job whenever the schedule says so.

When, is decided by `cronjob_plan`; this file reads, makes and deletes Jobs, and tells.

Ours keeps schedules in UTC, the three concurrency policies, startingDeadlineSeconds, suspension,
missed starts, the active list, history limits and events. It leaves out: other time zones, and the
gate for a Job that the controller forgot.

Source: pkg/controller/cronjob/cronjob_controllerv2.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from kubesim.apiserver import ResourceEvent
from kubesim.client import Controller, Decision, RuleStep, Tools
from kubesim.controllers.cronjob.plan import SOURCE, CronPlan, CronSpec, plan, superfluous
from kubesim.controllers.job.facts import final_condition
from kubesim.errors import AlreadyExists, NotFound, StatusError
from kubesim.objects import meta
from kubesim.objects.cron import parse_schedule
from kubesim.objects.frozen import Document, thaw

SCHEDULE_DELTA_SECONDS = 0.1  # nextScheduleDelta: so much after the time that is due
SCHEDULED_AT = "batch.kubernetes.io/cronjob-scheduled-timestamp"


class CronJobController(Controller):
    """Reconciles CronJobs, one key at a time."""

    name = "cronjob-controller"

    def __init__(self, tools: Tools, **options: float) -> None:
        super().__init__(tools, **options)
        self._cronjobs = self.informer("CronJob", self._cronjob_changed)
        self._jobs = self.informer(
            "Job", self._job_changed, on_demand=True, indexers={"owner": _owner_uid}
        )
        self._due: dict[str, float] = {}
        self._last: dict[str, str] = {}

    # -- what wakes it --------------------------------------------------------------------------

    def _cronjob_changed(self, event: ResourceEvent) -> Iterable[str]:
        key = meta.key_of(event.object)
        if event.type == "DELETED":
            self._due.pop(key, None)
            self._last.pop(key, None)
            return
        self.demand()
        yield key

    def _job_changed(self, event: ResourceEvent) -> Iterable[str]:
        controller = meta.controller_of(event.object)
        if controller is not None and controller["kind"] == "CronJob":
            yield f"{meta.namespace_of(event.object)}/{controller['name']}"

    # -- one pass -------------------------------------------------------------------------------

    def about(self, key: str) -> Document | None:
        """The CronJob itself."""
        return self._cronjobs.get(key)

    def reconcile(self, key: str) -> None:
        """Take finished runs off the list, begin one that is due, tidy up, write the status."""
        cronjob = self._cronjobs.get(key)
        if cronjob is None:
            return  # the garbage collector sees to its Jobs
        jobs = list(self._jobs.by_index("owner", meta.uid_of(cronjob)))
        status: Document = thaw(cronjob.get("status") or {})
        status["active"] = self._still_active(cronjob, status, jobs)
        if not meta.is_terminating(cronjob):
            self._start(key, cronjob, status, jobs)
            self._tidy(cronjob, jobs)
        if not status["active"]:
            del status["active"]
        if status != (cronjob.get("status") or {}):
            self.api.update_status({**cronjob, "status": status})

    def _still_active(
        self, cronjob: Document, status: Document, jobs: Sequence[Document]
    ) -> list[Document]:
        """status.active without the runs that are over or gone, each told."""
        by_uid = {meta.uid_of(job): job for job in jobs}
        left: list[Document] = []
        for reference in status.get("active") or ():
            job = by_uid.get(reference["uid"])
            if job is None:
                job = self.api.peek("Job", reference["name"], meta.namespace_of(cronjob))
            if job is None or meta.uid_of(job) != reference["uid"]:
                said = f"Active job went missing: {reference['name']}"
                self.recorder.event(cronjob, "Normal", "MissingJob", said)
                continue
            done = final_condition(job)
            if done is None:
                left.append(reference)
                continue
            said = f"Saw completed job: {reference['name']}, condition: {done['type']}"
            self.recorder.event(cronjob, "Normal", "SawCompletedJob", said)
            if done["type"] == "Complete":
                ended = (job.get("status") or {}).get("completionTime", "")
                status["lastSuccessfulTime"] = max(status.get("lastSuccessfulTime", ""), ended)
        return left

    def _start(
        self, key: str, cronjob: Document, status: Document, jobs: Sequence[Document]
    ) -> None:
        spec = cronjob["spec"]
        last = status.get("lastScheduleTime")
        now = self._at(self.clock.now())
        decided = plan(
            CronSpec(
                parse_schedule(spec["schedule"]),
                spec["concurrencyPolicy"],
                spec.get("startingDeadlineSeconds"),
                bool(spec.get("suspend")),
            ),
            created=self._moment(cronjob["metadata"]["creationTimestamp"]),
            last=self._moment(last) if last else None,
            now=now,
            active=len(status["active"]),
        )
        if decided.event is not None:
            self.recorder.event(cronjob, *decided.event)
        if decided.start is not None:
            if decided.replace:
                for reference in status["active"]:
                    self._delete(cronjob, reference["name"], reference["uid"])
                status["active"] = []
            made = self._create(cronjob, decided.start)
            if made is not None:
                status["active"].append(_reference(made))
            status["lastScheduleTime"] = f"{decided.start.isoformat(timespec='seconds')}Z"
        if decided.wait is not None:
            self._look_again(key, self.clock.now() + decided.wait + SCHEDULE_DELTA_SECONDS)
        self._remember(key, cronjob, decided, len(status["active"]))

    def _at(self, seconds: float) -> datetime:
        """A simulated second as a date without zone, in UTC."""
        return self.clock.epoch.replace(microsecond=0, tzinfo=None) + timedelta(seconds=seconds)

    def _moment(self, timestamp: str) -> datetime:
        return self._at(self.clock.seconds_at(timestamp))

    def _look_again(self, key: str, at: float) -> None:
        now = self.clock.now()
        planned = self._due.get(key)
        if planned is None or not now < planned <= at:
            self._due[key] = at
            self.queue.add_after(key, at - now)

    # -- acting and telling ---------------------------------------------------------------------

    def _create(self, cronjob: Document, scheduled: datetime) -> Document | None:
        """Make the Job of a scheduled time; None: it is there already, and over."""
        job = job_from(cronjob, scheduled)
        name, namespace = job["metadata"]["name"], meta.namespace_of(cronjob)
        try:
            made = self.api.create(job)
        except AlreadyExists:
            known = self.api.peek("Job", name, namespace)
            if known is None or not meta.is_owned_by(known, cronjob):
                raise
            return None if final_condition(known) is not None else known
        except StatusError as error:
            said = f"Error creating job: {error.message}"
            self.recorder.event(cronjob, "Warning", "FailedCreate", said)
            raise
        self.counts["created"] += 1
        self.recorder.event(cronjob, "Normal", "SuccessfulCreate", f"Created job {name}")
        return made

    def _delete(self, cronjob: Document, name: str, uid: str) -> None:
        namespace = meta.namespace_of(cronjob)
        try:
            self.api.delete("Job", name, namespace, uid=uid, propagation_policy="Background")
        except NotFound:
            return
        self.counts["deleted"] += 1
        self.recorder.event(cronjob, "Normal", "SuccessfulDelete", f"Deleted job {name}")

    def _tidy(self, cronjob: Document, jobs: Sequence[Document]) -> None:
        """Delete finished Jobs beyond the limits of the history."""
        ended = [(job, final_condition(job)) for job in jobs if not meta.is_terminating(job)]
        for type, field in (
            ("Complete", "successfulJobsHistoryLimit"),
            ("Failed", "failedJobsHistoryLimit"),
        ):
            same = [job for job, done in ended if done is not None and done["type"] == type]
            for job in superfluous(same, cronjob["spec"].get(field)):
                self._delete(cronjob, meta.name_of(job), meta.uid_of(job))

    def _remember(self, key: str, cronjob: Document, decided: CronPlan, active: int) -> None:
        """A decision record, unless it would say what the last one said."""
        if decided.start is None and self._last.get(key) == decided.reason:
            return
        self._last[key] = decided.reason
        spec = cronjob["spec"]
        inputs = {"schedule": spec["schedule"], "policy": spec["concurrencyPolicy"]}
        verdict = f"nothing to do: {decided.reason}"
        if decided.start is not None:
            verdict = f"begin the run of {decided.start.isoformat(timespec='minutes')}"
        wait = "never" if decided.wait is None else f"in {decided.wait:g} s"
        self.decisions.record(
            Decision(
                time=self.clock.now(),
                revision=meta.resource_version_of(cronjob),
                component=self.name,
                object=meta.reference("cronjob", key),
                verdict=verdict,
                steps=(RuleStep("schedule", {**inputs, "active": active}, decided.reason, SOURCE),),
                binding=decided.reason,
                would_change_if=f"the next start is due ({wait}), or the spec changes",
            )
        )


def job_from(cronjob: Document, scheduled: datetime) -> Document:
    """The Job of one scheduled time; its name holds the minute, so there is never a second one."""
    template: Document = thaw(cronjob["spec"]["jobTemplate"])
    given = template.get("metadata") or {}
    minutes = int((scheduled - datetime(1970, 1, 1)).total_seconds()) // 60
    annotations = dict(given.get("annotations") or {})
    annotations[SCHEDULED_AT] = f"{scheduled.isoformat(timespec='seconds')}Z"
    metadata: Document = {
        "name": f"{meta.name_of(cronjob)}-{minutes}",
        "namespace": meta.namespace_of(cronjob),
        "annotations": annotations,
        "ownerReferences": [meta.owner_reference(cronjob)],
    }
    if given.get("labels"):
        metadata["labels"] = given["labels"]
    return {"kind": "Job", "apiVersion": "batch/v1", "metadata": metadata, "spec": template["spec"]}


def _reference(job: Document) -> Document:
    metadata = job["metadata"]
    kept = {field: metadata[field] for field in ("name", "namespace", "uid", "resourceVersion")}
    return {"kind": "Job", "apiVersion": "batch/v1", **kept}


def _owner_uid(job: Document) -> Iterable[str]:
    controller = meta.controller_of(job)
    return [controller["uid"]] if controller is not None else []
