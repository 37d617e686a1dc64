"""The Job controller: runs pods until enough of them have succeeded.

What to do is decided by `job_plan`, what ended pods count by `job_tally`; this file reads, acts and
writes the status, in the order that loses no outcome: note, remove the finalizer, count.

Ours keeps finalizers and uncounted pods, back-off, limits (in all, and by index), deadline, indexed
Jobs and work queues, suspension, podFailurePolicy, successPolicy, podReplacementPolicy, conditions
in the order of 1.34, syncs batched by a second, ttlSecondsAfterFinished, and the events. It leaves
out: metrics, and freeing pods of a Job that was deleted while no controller ran.

Source: pkg/controller/job/job_controller.go, pkg/controller/ttlafterfinished.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

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
    JobPlan,
    JobView,
    completed,
    due_indexes,
    look,
    manage,
    verdict,
)
from kubesim.controllers.job.pods import failure_counts, job_pod
from kubesim.controllers.job.status import (
    Outcome,
    decision_of,
    first_status,
    last_status,
    suspension,
)
from kubesim.controllers.job.tracking import tally
from kubesim.controllers.shared.podowner import PodOwner, slow_start
from kubesim.errors import NotFound
from kubesim.objects import meta
from kubesim.objects.frozen import Document

SYNC_BATCH_SECONDS = 1.0  # SyncJobBatchPeriod: news of pods are collected for so long
LEAST_WAIT_SECONDS = 0.001  # so that a fraction lost in a sum is no endless loop
ORPHAN = "orphan:"  # before the key of a pod whose Job is gone


class JobController(PodOwner):
    """Reconciles Jobs; its keys are theirs, and ``orphan:`` keys of pods that lost their Job.

    Args:
        watch_latency_seconds: how long news of pods take; more than 0 makes a stale cache visible.
    """

    name = "job-controller"
    kind = "Job"

    def __init__(self, tools: Tools, **options: float) -> None:
        super().__init__(tools, **options)
        self._records: dict[str, BackoffRecord] = {}  # in memory alone, as upstream
        self._released: dict[str, str] = {}  # uid of a pod without finalizer -> key of its Job
        self._batched: set[str] = set()
        self._due: dict[str, float] = {}

    # -- what wakes it --------------------------------------------------------------------------

    def _owner_changed(self, event: ResourceEvent) -> Iterable[str]:
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
            self._batch(key)  # a status, most likely our own
        else:
            yield key

    def _pod_changed(self, event: ResourceEvent) -> Iterable[str]:
        pod, uid = event.object, meta.uid_of(event.object)
        tracked = FINALIZER in (pod["metadata"].get("finalizers") or ())
        if event.type == "DELETED" or not tracked:
            self._released.pop(uid, None)
        for key in super()._pod_changed(event):
            self._batch(key)
        if tracked and event.type != "DELETED" and self._job_of(pod) is None:
            yield f"{ORPHAN}{meta.key_of(pod)}"

    def _batch(self, key: str) -> None:
        """Look at a Job a second from now; news that come until then are looked at together."""
        if key not in self._batched:
            self._batched.add(key)
            self.worker.call_later(SYNC_BATCH_SECONDS, lambda: self._batch_over(key))

    def _batch_over(self, key: str) -> None:
        self._batched.discard(key)
        self.queue.add(key)

    def _look_again(self, key: str, at: float) -> None:
        """Come back at a second, unless that is planned anyway."""
        now = self.clock.now()
        at = max(at, now + LEAST_WAIT_SECONDS)
        planned = self._due.get(key)
        if planned is None or not now < planned <= at:
            self._due[key] = at
            self.queue.add_after(key, at - now)

    def _job_of(self, pod: Document) -> Document | None:
        """The cached Job that controls a pod; None if it is not there (any more)."""
        controller = meta.controller_of(pod)
        if controller is None or controller["kind"] != self.kind:
            return None
        job = self.owners.get(f"{meta.namespace_of(pod)}/{controller['name']}")
        return job if job is not None and meta.uid_of(job) == controller["uid"] else None

    # -- one pass -------------------------------------------------------------------------------

    def reconcile(self, key: str) -> None:
        """Make or delete pods, count those that ended, and write the status."""
        if key.startswith(ORPHAN):
            self._free_orphan(key.removeprefix(ORPHAN))
            return
        job = self.owners.get(key)
        if job is None or (job["spec"].get("managedBy") or MANAGER) != MANAGER:
            return
        done = final_condition(job)
        if done is not None:
            self._records.pop(key, None)
            self._expire(key, job, done)
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
        view = look(spec, state, pods, self._released)
        succeeded, failed = (
            [pod.finished for pod in group] for group in (view.new_succeeded, view.new_failed)
        )
        record = self._records.get(key, BackoffRecord()).after(succeeded, failed)
        wait = record.remaining(now)
        outcome = self._act(key, job, spec, state, view, pods, wait, waiting)
        self._remember(key, job, spec, view, outcome)
        self._track(key, job, spec, state, pods, view, outcome, record)
        if spec.deadline is not None and state.start is not None and not spec.suspended:
            due = state.start + spec.deadline
            if due > now and outcome.finish is None:
                self._look_again(key, due)
        if outcome.failures:
            raise outcome.failures[0]

    def _act(
        self,
        key: str,
        job: Document,
        spec: JobSpec,
        state: JobState,
        view: JobView,
        pods: Sequence[JobPod],
        wait: float,
        waiting: int,
    ) -> Outcome:
        """Decide how the Job ends or goes on, and make or delete pods."""
        finish = verdict(spec, state, view, pods, self.clock.now())
        active = len(view.active)
        if finish is not None:
            gone, failures = self._delete(key, job, view.active, release=False)
            # With pods that could not be deleted, or are not seen yet, it is not over.
            finish = None if len(gone) < active or waiting else finish
            return _after(view, gone, Outcome(finish, JobPlan(), 0, 0, 0, False, failures))
        if waiting or spec.deleting:
            why = f"waiting for {waiting} watch events" if waiting else "it is being deleted"
            plan = JobPlan(reason=why)
            finish = completed(spec, view.succeeded, active)
            return Outcome(finish, plan, active, view.ready, view.terminating)
        plan = manage(spec, view, wait)
        outcome = Outcome(None, plan, active, view.ready, view.terminating, True)
        if plan.delete:
            gone, failures = self._delete(key, job, plan.delete, release=True)
            outcome = _after(view, gone, outcome._replace(failures=failures))
        elif plan.create:
            plan, made, failures = self._create(key, job, spec, view, plan)
            outcome = outcome._replace(plan=plan, active=active + made, failures=failures)
        if plan.wait:
            self._look_again(key, self.clock.now() + plan.wait)
        return outcome._replace(finish=completed(spec, view.succeeded, outcome.active))

    # -- pods -----------------------------------------------------------------------------------

    def _pods_of(self, job: Document) -> list[Document]:
        """The Job's pods; one that was just adopted gets the finalizer, or it would not count."""
        before = {meta.uid_of(pod) for pod in self.pods.by_index("owner", meta.uid_of(job))}
        found = []
        for pod in self.claimed(job):
            if meta.uid_of(pod) not in before and not meta.is_terminating(pod):
                kept = pod["metadata"].get("finalizers") or []
                patch = {"metadata": {"finalizers": [*kept, FINALIZER]}}
                pod = self.api.patch("Pod", meta.name_of(pod), patch, meta.namespace_of(pod))
            found.append(pod)
        return found

    def _create(
        self, key: str, job: Document, spec: JobSpec, view: JobView, plan: JobPlan
    ) -> tuple[JobPlan, int, list[Exception]]:
        """Make pods in slow start; returns the plan as it came out, and how many were made."""
        indexes: Sequence[int | None] = [None] * plan.create
        if spec.indexed:
            due = due_indexes(spec, view, plan.create, self.clock.now())
            indexes = due.now
            reason = "the back-off of each open index is not over" if due.wait else plan.reason
            plan = plan._replace(create=len(due.now), wait=due.wait, reason=reason)
        owner, made, rest = meta.owner_reference(job), [0], iter(indexes)

        def create() -> Exception | None:
            index = next(rest)
            failed = None if index is None else view.delayed.get(index)
            pod = job_pod(job, owner, index, failure_counts(spec, failed))
            error = self.create_pod(key, job, pod)
            made[0] += error is None
            return error

        failures = slow_start(len(indexes), create)
        return plan, made[0], failures

    def _delete(
        self, key: str, job: Document, pods: Iterable[JobPod], *, release: bool
    ) -> tuple[set[str], list[Exception]]:
        """Delete pods; with `release` they lose the finalizer first, and never count.

        Returns:
            The uids of those that go, and what went wrong.
        """
        failures: list[Exception] = []
        gone: set[str] = set()
        for pod in pods:
            error = self._release(key, pod) if release and pod.tracked else None
            error = error or self.delete_pod(key, job, pod.name, pod.uid)
            if error is not None:
                failures.append(error)
            else:
                gone.add(pod.uid)
        return gone, failures

    def _release(self, key: str, pod: JobPod) -> Exception | None:
        """Remove the finalizer of one pod; returns what went wrong, or None."""
        remove = {"uid": pod.uid, "$deleteFromPrimitiveList/finalizers": [FINALIZER]}
        patch = {"metadata": remove}
        try:
            self.api.patch("Pod", pod.name, patch, pod.namespace, patch_type="strategic")
        except NotFound:
            return None
        except Exception as error:  # noqa: BLE001 - raised by the caller, after the status
            self.counts["failed"] += 1
            return error
        self._released[pod.uid] = key
        return None

    def _free_orphan(self, key: str) -> None:
        """Nobody will count a pod whose Job is gone: let it go."""
        pod = self.pods.get(key)
        if pod is None or FINALIZER not in (pod["metadata"].get("finalizers") or ()):
            return
        if self._job_of(pod) is None:
            error = self._release("", pod_facts(pod, self.clock.seconds_at))
            if error is not None:
                raise error

    # -- counting and telling -------------------------------------------------------------------

    def _track(
        self,
        key: str,
        job: Document,
        spec: JobSpec,
        state: JobState,
        pods: Sequence[JobPod],
        view: JobView,
        outcome: Outcome,
        record: BackoffRecord,
    ) -> None:
        """Note ended pods, remove their finalizers, count them, and end the Job if it is over."""
        finish, now = outcome.finish, self.clock.timestamp()
        noted = tally(spec, state, view, pods, finish, self._released)
        old = job.get("status") or {}
        conditions, told = list(old.get("conditions") or ()), None
        if finish is None and outcome.managed:
            conditions, told = suspension(conditions, spec.suspended, now)
        status = first_status(old, spec, view, outcome, noted, conditions, now)
        if told is not None and told[0] == "Resumed":
            status["startTime"] = now  # the deadline starts over
        written = self._write(job, self.owners.get(key) or {}, status)
        self._records[key] = record
        if told is not None:
            self.recorder.event(job, "Normal", *told)
        errors = {pod.uid: self._release(key, pod) for pod in noted.release}
        freed = {uid for uid, error in errors.items() if error is None}
        counts = noted.counts.settled(noted.held - freed)
        over = finish if not (noted.full or counts.open or outcome.terminating) else None
        status = last_status(status, spec, counts, over, now)
        self._write(written, written, status)
        if over is not None and over.success:
            if spec.completions is not None and counts.succeeded > spec.completions:
                said = "Too many succeeded pods running after completion count reached"
                self.recorder.event(job, "Warning", "TooManySucceededPods", said)
            self.recorder.event(job, "Normal", "Completed", "Job completed")
        elif over is not None:
            self.recorder.event(job, "Warning", over.reason, over.message)
        for error in errors.values():
            if error is not None:
                raise error

    def _write(self, job: Document, stored: Document, status: Document) -> Document:
        """Write the status if it differs from what is stored; returns the newest document."""
        if status == (stored.get("status") or {}):
            return job
        return self.api.update_status({**job, "status": status})

    def _expire(self, key: str, job: Document, condition: Document) -> None:
        """Delete a finished Job when its time to live is over, its pods first."""
        seconds = job["spec"].get("ttlSecondsAfterFinished")
        if seconds is None or meta.is_terminating(job):
            return
        due = self.clock.seconds_at(condition["lastTransitionTime"]) + seconds
        if due > self.clock.now():
            self._look_again(key, due)
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

    def _remember(
        self, key: str, job: Document, spec: JobSpec, view: JobView, outcome: Outcome
    ) -> None:
        """A decision record, unless it would say what the last one said."""
        now, plan = self.clock.now(), outcome.plan
        decision = decision_of(job, spec, view, outcome, now=now, component=self.name)
        said = f"{decision.verdict}; {decision.binding}"
        if self._last_reason.get(key) != said or plan.create or plan.delete:
            self._last_reason[key] = said
            self.decisions.record(decision)


def _after(view: JobView, gone: set[str], outcome: Outcome) -> Outcome:
    """The outcome after active pods were deleted: they are on their way out."""
    left = [pod for pod in view.active if pod.uid not in gone]
    return outcome._replace(
        active=len(left),
        ready=sum(pod.rank.ready for pod in left),
        terminating=view.terminating + len(view.active) - len(left),
    )
