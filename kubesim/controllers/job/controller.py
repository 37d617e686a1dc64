"""The Job controller: runs pods until enough of them have succeeded.

`plan` decides what to do, `tracking` how finished pods are counted; the controller reads objects,
executes the plan and writes the status in the order that loses no result: list finished pods in
the status, remove their finalizers, count them.

Ours keeps finalizers and uncountedTerminatedPods, back-off, backoffLimit (also per index),
activeDeadlineSeconds, Indexed Jobs and work queues, suspension, podFailurePolicy, successPolicy,
podReplacementPolicy, conditions in the order of 1.34, syncs batched by a second,
ttlSecondsAfterFinished, and the events. It leaves out metrics, and removing the finalizers of pods
whose Job was deleted while no controller ran.

Source: pkg/controller/job/job_controller.go, pkg/controller/ttlafterfinished.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, cast

from kubesim.apiserver import ResourceEvent
from kubesim.client import Tools
from kubesim.controllers.job.backoff import BackoffRecord
from kubesim.controllers.job.facts import (
    FINALIZER,
    MANAGER,
    JobPod,
    JobSpec,
    JobState,
    final_condition,
    pod_facts,
    spec_of,
    state_of,
)
from kubesim.controllers.job.plan import (
    Finish,
    JobPlan,
    JobView,
    completed,
    count_pods,
    due_indexes,
    manage,
    verdict,
)
from kubesim.controllers.job.pods import failure_counts, job_pod
from kubesim.controllers.job.status import (
    SyncResult,
    decision_of,
    status_after_release,
    status_before_release,
    suspension,
)
from kubesim.controllers.job.tracking import track_finished_pods
from kubesim.controllers.shared.podowner import PodOwner, slow_start
from kubesim.errors import NotFound
from kubesim.objects import meta
from kubesim.quantity import count_of

if TYPE_CHECKING:
    from kubesim.objects.types import JobConditionDict, JobDict, JobStatusDict, PodDict

SYNC_BATCH_SECONDS = 1.0  # SyncJobBatchPeriod: pod events are collected this long
MIN_WAIT_SECONDS = 0.001  # a rounding error must not cause an endless loop
ORPHAN = "orphan:"  # prefix of the key of a pod whose Job was deleted


class JobController(PodOwner["JobDict"]):
    """Reconciles Jobs by key, and pods whose Job was deleted by ``orphan:`` key.

    Args:
        tools: of the cluster.
        options: ``watch_latency_seconds``, the delay of the watch events of pods; more than 0
            lets tests and lessons observe a stale cache.
    """

    name = "job-controller"
    kind = "Job"

    def __init__(self, tools: Tools, **options: float) -> None:
        super().__init__(tools, **options)
        self._records: dict[str, BackoffRecord] = {}  # in memory only, as upstream
        self._released: dict[str, str] = {}  # uid of a pod without finalizer -> key of its Job
        self._batched: set[str] = set()
        self._due: dict[str, float] = {}

    # -- watch events ---------------------------------------------------------------------------

    def _owner_changed(self, event: ResourceEvent[JobDict]) -> Iterable[str]:
        job, before, key = event.object, event.previous, meta.key_of(event.object)
        yield from super()._owner_changed(event) if event.type == "DELETED" else ()
        if event.type == "DELETED":
            self._records.pop(key, None)
            self._due.pop(key, None)
            for pod in self.pods.by_index("owner", meta.uid_of(job)):
                yield f"{ORPHAN}{meta.key_of(pod)}"
            return
        self.demand()
        if before is not None and meta.generation_of(before) == meta.generation_of(job):
            self._batch(key)  # a status update, most likely our own
        else:
            yield key

    def _pod_changed(self, event: ResourceEvent[PodDict]) -> Iterable[str]:
        pod, uid = event.object, meta.uid_of(event.object)
        tracked = FINALIZER in (pod["metadata"].get("finalizers") or ())
        if event.type == "DELETED" or not tracked:
            self._released.pop(uid, None)
        for key in super()._pod_changed(event):
            self._batch(key)
        if tracked and event.type != "DELETED" and self._job_of(pod) is None:
            yield f"{ORPHAN}{meta.key_of(pod)}"

    def _batch(self, key: str) -> None:
        """Queue a Job in a second, so that events that arrive until then share one sync."""
        if key not in self._batched:
            self._batched.add(key)
            self.worker.call_later(SYNC_BATCH_SECONDS, lambda: self._batch_over(key))

    def _batch_over(self, key: str) -> None:
        self._batched.discard(key)
        self.queue.add(key)

    def _requeue_at(self, key: str, at: float) -> None:
        """Requeue a key at a given second, unless an earlier requeue is planned."""
        now = self.clock.now()
        at = max(at, now + MIN_WAIT_SECONDS)
        planned = self._due.get(key)
        if planned is None or not now < planned <= at:
            self._due[key] = at
            self.queue.add_after(key, at - now)

    def _job_of(self, pod: PodDict) -> JobDict | None:
        """Return the cached Job that controls a pod; None if it does not exist (any more)."""
        controller = meta.controller_of(pod)
        if controller is None or controller["kind"] != self.kind:
            return None
        job = self.owners.get(f"{meta.namespace_of(pod)}/{controller['name']}")
        return job if job is not None and meta.uid_of(job) == controller["uid"] else None

    # -- reconcile ------------------------------------------------------------------------------

    def reconcile(self, key: str) -> None:
        """Create or delete pods, count the finished ones, and write the status."""
        if key.startswith(ORPHAN):
            self._remove_orphan_finalizer(key.removeprefix(ORPHAN))
            return
        job = self.owners.get(key)
        if job is None or (job["spec"].get("managedBy") or MANAGER) != MANAGER:
            return
        final = final_condition(job)
        if final is not None:
            self._records.pop(key, None)
            self._delete_after_ttl(key, job, final)
            return
        waiting = self.unsatisfied_expectations(key)
        documents = {meta.uid_of(pod): pod for pod in self._pods_of(job)}
        seconds_at, now = self.clock.seconds_at, self.clock.now()
        pods = [pod_facts(pod, seconds_at) for pod in documents.values()]
        spec, state = spec_of(job), state_of(job, seconds_at)
        if state.start is None and not spec.suspended:
            start = self.clock.timestamp()
            job = {**job, "status": {**(job.get("status") or {}), "startTime": start}}
            state = state_of(job, seconds_at)
        view = count_pods(spec, state, pods, self._released)
        succeeded, failed = (
            [pod.finished for pod in group] for group in (view.new_succeeded, view.new_failed)
        )
        record = self._records.get(key, BackoffRecord()).after(succeeded, failed)
        wait = record.remaining(now)
        result = self._manage_job(key, job, spec, state, view, pods, wait, waiting)
        self._record(job, spec, view, result)
        self._track(key, job, spec, state, pods, view, result, record)
        if spec.deadline is not None and state.start is not None and not spec.suspended:
            due = state.start + spec.deadline
            if due > now and result.finish is None:
                self._requeue_at(key, due)
        if result.failures:
            raise result.failures[0]

    def _manage_job(
        self,
        key: str,
        job: JobDict,
        spec: JobSpec,
        state: JobState,
        view: JobView,
        pods: Sequence[JobPod],
        wait: float,
        waiting: int,
    ) -> SyncResult:
        """Decide whether the Job is finished, and create or delete pods."""
        finish = verdict(spec, state, view, pods, self.clock.now())
        active = len(view.active)
        if finish is not None:
            deleted, failures = self._delete(key, job, view.active, release=False)
            # While pods could not be deleted, or events are outstanding, it is not finished.
            finish = None if len(deleted) < active or waiting else finish
            result = SyncResult(finish, JobPlan(), 0, 0, 0, False, failures)
            return _after_deletions(view, deleted, result)
        if waiting or spec.deleting:
            reason = "it is being deleted"
            if waiting:
                reason = f"waiting for {count_of(waiting, 'watch event')}"
            plan = JobPlan(reason=reason)
            finish = completed(spec, view.succeeded, active)
            return SyncResult(finish, plan, active, view.ready, view.terminating)
        plan = manage(spec, view, wait)
        result = SyncResult(None, plan, active, view.ready, view.terminating, True)
        if plan.delete:
            deleted, failures = self._delete(key, job, plan.delete, release=True)
            result = _after_deletions(view, deleted, result._replace(failures=failures))
        elif plan.create:
            plan, created, failures = self._create(key, job, spec, view, plan)
            result = result._replace(plan=plan, active=active + created, failures=failures)
        if plan.wait:
            self._requeue_at(key, self.clock.now() + plan.wait)
        return result._replace(finish=completed(spec, view.succeeded, result.active))

    # -- pods -----------------------------------------------------------------------------------

    def _pods_of(self, job: JobDict) -> list[PodDict]:
        """Adopt and release pods; return the Job's pods. Adopted ones get the finalizer."""
        before = {meta.uid_of(pod) for pod in self.pods.by_index("owner", meta.uid_of(job))}
        pods: list[PodDict] = []
        for pod in self.claimed(job):
            if meta.uid_of(pod) not in before and not meta.is_terminating(pod):
                finalizers = pod["metadata"].get("finalizers") or []
                patch = {"metadata": {"finalizers": [*finalizers, FINALIZER]}}
                patched = self.api.patch("Pod", meta.name_of(pod), patch, meta.namespace_of(pod))
                pod = cast("PodDict", patched)
            pods.append(pod)
        return pods

    def _create(
        self, key: str, job: JobDict, spec: JobSpec, view: JobView, plan: JobPlan
    ) -> tuple[JobPlan, int, list[Exception]]:
        """Create pods with slow start; return the executed plan, the number created, the errors."""
        indexes: Sequence[int | None] = [None] * plan.create
        if spec.indexed:
            due = due_indexes(spec, view, plan.create, self.clock.now())
            indexes = due.now
            reason = (
                "the back-off of each unfinished index is not over" if due.wait else plan.reason
            )
            plan = plan._replace(create=len(due.now), wait=due.wait, reason=reason)
        owner, created, remaining = meta.owner_reference(job), [0], iter(indexes)

        def create() -> Exception | None:
            index = next(remaining)
            failed = None if index is None else view.delayed.get(index)
            pod = job_pod(job, owner, index, failure_counts(spec, failed))
            error = self.create_pod(key, job, pod)
            created[0] += error is None
            return error

        failures = slow_start(len(indexes), create)
        return plan, created[0], failures

    def _delete(
        self, key: str, job: JobDict, pods: Iterable[JobPod], *, release: bool
    ) -> tuple[set[str], list[Exception]]:
        """Delete pods; with `release` their finalizer is removed first, so they never count.

        Returns:
            The uids of the deleted pods, and the errors.
        """
        failures: list[Exception] = []
        deleted: set[str] = set()
        for pod in pods:
            error = self._remove_finalizer(key, pod) if release and pod.tracked else None
            error = error or self.delete_pod(key, job, pod.name, pod.uid)
            if error is not None:
                failures.append(error)
            else:
                deleted.add(pod.uid)
        return deleted, failures

    def _remove_finalizer(self, key: str, pod: JobPod) -> Exception | None:
        """Remove the finalizer of one pod; return the error, or None."""
        remove = {"uid": pod.uid, "$deleteFromPrimitiveList/finalizers": [FINALIZER]}
        patch = {"metadata": remove}
        try:
            self.api.patch("Pod", pod.name, patch, pod.namespace, patch_type="strategic")
        except NotFound:
            return None
        except Exception as error:  # noqa: BLE001 - raised by the caller after the status write
            self.counts["failed"] += 1
            return error
        self._released[pod.uid] = key
        return None

    def _remove_orphan_finalizer(self, key: str) -> None:
        """Remove the finalizer of a pod whose Job was deleted."""
        pod = self.pods.get(key)
        if pod is None or FINALIZER not in (pod["metadata"].get("finalizers") or ()):
            return
        if self._job_of(pod) is None:
            error = self._remove_finalizer("", pod_facts(pod, self.clock.seconds_at))
            if error is not None:
                raise error

    # -- status and decision records ------------------------------------------------------------

    def _track(
        self,
        key: str,
        job: JobDict,
        spec: JobSpec,
        state: JobState,
        pods: Sequence[JobPod],
        view: JobView,
        result: SyncResult,
        record: BackoffRecord,
    ) -> None:
        """Write finished pods to the status, remove their finalizers, count and finish."""
        finish, now = result.finish, self.clock.timestamp()
        tracked = track_finished_pods(spec, state, view, pods, finish, self._released)
        old = job.get("status") or {}
        conditions, event = list(old.get("conditions") or ()), None
        if finish is None and result.managed:
            conditions, event = suspension(conditions, spec.suspended, now)
        status = status_before_release(old, spec, view, result, tracked, conditions, now)
        if event is not None and event[0] == "Resumed":
            status["startTime"] = now  # the deadline is reset
        written = self._write(job, self.owners.get(key) or {}, status)
        self._records[key] = record
        if event is not None:
            self.recorder.event(job, "Normal", *event)
        errors = {pod.uid: self._remove_finalizer(key, pod) for pod in tracked.release}
        released = {uid for uid, error in errors.items() if error is None}
        counts = tracked.counts.settled(tracked.held - released)
        if tracked.full or counts.open or result.terminating:
            finish = None
        status = status_after_release(status, spec, counts, finish, now)
        self._write(written, written, status)
        if finish is not None:
            self._report_finished(job, spec, finish, counts.succeeded)
        for error in errors.values():
            if error is not None:
                raise error

    def _report_finished(self, job: JobDict, spec: JobSpec, finish: Finish, count: int) -> None:
        """Record the Events of a finished Job, of whose pods `count` succeeded."""
        if not finish.success:
            self.recorder.event(job, "Warning", finish.reason, finish.message)
            return
        if spec.completions is not None and count > spec.completions:
            message = "Too many succeeded pods running after completion count reached"
            self.recorder.event(job, "Warning", "TooManySucceededPods", message)
        self.recorder.event(job, "Normal", "Completed", "Job completed")

    def _write(self, job: JobDict, stored: JobDict, status: JobStatusDict) -> JobDict:
        """Write the status if it differs from the stored one; return the newest document."""
        if status == (stored.get("status") or {}):
            return job
        changed: JobDict = {**job, "status": status}
        return self.api.update_status(changed)

    def _delete_after_ttl(self, key: str, job: JobDict, condition: JobConditionDict) -> None:
        """Delete a finished Job, its pods first, once ttlSecondsAfterFinished has passed."""
        seconds = job["spec"].get("ttlSecondsAfterFinished")
        if seconds is None or meta.is_terminating(job):
            return
        due = self.clock.seconds_at(condition["lastTransitionTime"]) + seconds
        if due > self.clock.now():
            self._requeue_at(key, due)
            return
        name, namespace = meta.name_of(job), meta.namespace_of(job)
        version = meta.resource_version_of(job)
        self.api.delete(
            "Job",
            name,
            namespace,
            uid=meta.uid_of(job),
            resource_version=version,
            propagation_policy="Foreground",
        )
        self.counts["expired"] += 1

    def _record(self, job: JobDict, spec: JobSpec, view: JobView, result: SyncResult) -> None:
        decision = decision_of(job, spec, view, result, now=self.clock.now(), component=self.name)
        signature = f"{decision.verdict}; {decision.binding}"
        acted = bool(result.plan.create or result.plan.delete)
        self.decisions.record_if_new(decision, signature, always=acted)


def _after_deletions(view: JobView, deleted: set[str], result: SyncResult) -> SyncResult:
    """Return the result after active pods were deleted: they are terminating now."""
    remaining = [pod for pod in view.active if pod.uid not in deleted]
    return result._replace(
        active=len(remaining),
        ready=sum(pod.rank.ready for pod in remaining),
        terminating=view.terminating + len(view.active) - len(remaining),
    )
