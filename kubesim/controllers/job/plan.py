"""What a Job does next: pure functions of its spec, its status and its pods.

`count_pods` counts the pods, `verdict` decides whether the Job is finished, `manage` which pods to
create or delete, and `due_indexes` which completion indexes the new pods of an Indexed Job get.

>>> pod = JobPod("p", RankedPod("1"))
>>> view = count_pods(JobSpec(parallelism=3, completions=5), JobState(), [pod])
>>> manage(JobSpec(parallelism=3, completions=5), view, wait=0.0).create
2
>>> view = count_pods(JobSpec(), JobState(failed=1), [])
>>> verdict(JobSpec(backoff_limit=0), JobState(failed=1), view, [], now=0.0).reason
'BackoffLimitExceeded'

Source: pkg/controller/job/job_controller.go (syncJob, manageJob, pastActiveDeadline,
pastBackoffLimitOnFailure), indexed_job_utils.go (firstPendingIndexes).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cmp_to_key
from typing import NamedTuple

from kubesim.controllers.job.backoff import (
    MAX_PODS_A_SYNC,
    BackoffRecord,
    backoff_limit_exceeded,
    missing_indexes,
    wanted_active,
)
from kubesim.controllers.job.facts import JobPod, JobSpec, JobState
from kubesim.controllers.job.policies import match_failure, match_success
from kubesim.controllers.shared.ranking import PHASE_RANK, RankedPod
from kubesim.quantity import count_of

SOURCE = "https://kubernetes.io/docs/concepts/workloads/controllers/job/"


@dataclass(frozen=True, slots=True)
class JobView:
    """The counts of a Job's pods.

    Attributes:
        active: pods that are neither finished nor terminating.
        ready: number of ready pods among them.
        terminating: number of terminating pods that have not finished.
        new_succeeded, new_failed: finished pods that are not in the status yet.
        succeeded, failed: counts that include these; for an Indexed Job `succeeded` counts indexes.
        completed, failed_indexes: indexes of an Indexed Job, including these.
        delayed: by index, the failed pod that is kept until its replacement is created.
        held_indexes: indexes of terminating pods, which hold them under the policy Failed.
    """

    active: tuple[JobPod, ...] = ()
    ready: int = 0
    terminating: int = 0
    new_succeeded: tuple[JobPod, ...] = ()
    new_failed: tuple[JobPod, ...] = ()
    succeeded: int = 0
    failed: int = 0
    completed: frozenset[int] = frozenset()
    failed_indexes: frozenset[int] = frozenset()
    delayed: Mapping[int, JobPod] = field(default_factory=dict)
    held_indexes: frozenset[int] = frozenset()


class Finish(NamedTuple):
    """How a Job finishes.

    Attributes:
        success: the Job completed.
        reason, message: of the conditions.
        told: the interim condition (FailureTarget, SuccessCriteriaMet) is in the status already.
    """

    success: bool
    reason: str
    message: str
    told: bool = False


class JobPlan(NamedTuple):
    """Which pods to create or to delete; never both in one sync.

    Attributes:
        create: number of pods to create.
        delete: pods to delete; they are not counted as failed.
        wanted: number of pods that should be active.
        wait: seconds until the back-off is over, or 0.
        reason: why, as a sentence fragment.
    """

    create: int = 0
    delete: tuple[JobPod, ...] = ()
    wanted: int = 0
    wait: float = 0.0
    reason: str = ""


# -- counting --------------------------------------------------------------------------------------


def count_pods(
    spec: JobSpec, state: JobState, pods: Sequence[JobPod], released: Collection[str] = ()
) -> JobView:
    """Count a Job's pods.

    Args:
        spec, state: the Job's spec and status.
        pods: the pods that it controls.
        released: uids of pods whose finalizer was removed, which the cache does not show yet.
    """
    uncounted = [pod for pod in pods if pod.tracked and pod.uid not in released]
    new_succeeded = tuple(
        pod
        for pod in uncounted
        if pod.rank.phase == "Succeeded"
        and pod.uid not in (*state.uncounted_succeeded, *state.uncounted_failed)
        and spec.valid(pod.index)
    )
    known_failed = set(state.uncounted_failed)
    new_failed = tuple(
        pod
        for pod in uncounted
        if spec.failed(pod) and pod.uid not in known_failed and spec.valid(pod.index)
    )
    active = tuple(pod for pod in pods if pod.active)
    failed = sum(match_failure(spec.failure_rules, pod).counts for pod in new_failed)
    succeeded = state.succeeded + len(new_succeeded) + len(state.uncounted_succeeded)
    completed, failed_indexes = state.completed, state.failed_indexes
    if spec.indexed:
        completed |= {pod.index for pod in new_succeeded if pod.index is not None}
        succeeded = len(completed)
    if spec.per_index is not None:
        failed_indexes |= {
            pod.index for pod in new_failed if pod.index is not None and gives_up(spec, pod)
        }
        failed_indexes -= completed
    return JobView(
        active=active,
        ready=sum(pod.rank.ready for pod in active),
        terminating=sum(pod.leaving for pod in pods),
        new_succeeded=new_succeeded,
        new_failed=new_failed,
        succeeded=succeeded,
        failed=state.failed + failed + len(state.uncounted_failed),
        completed=completed,
        failed_indexes=failed_indexes,
        delayed=_delayed_pods(spec, uncounted, active, completed | failed_indexes),
        held_indexes=_held_indexes(spec, pods),
    )


def _held_indexes(spec: JobSpec, pods: Iterable[JobPod]) -> frozenset[int]:
    """Return the indexes of terminating pods, if these are replaced only once they have failed."""
    if not spec.only_failed:
        return frozenset()
    return frozenset(pod.index for pod in pods if pod.leaving and pod.index is not None)


def gives_up(spec: JobSpec, pod: JobPod) -> bool:
    """Return whether a failed pod was the last attempt of its index."""
    match = match_failure(spec.failure_rules, pod)
    if match.action == "FailIndex":
        return True
    return match.counts and pod.index_failures >= (spec.per_index or 0)


def _delayed_pods(
    spec: JobSpec, uncounted: Iterable[JobPod], active: Iterable[JobPod], finished: frozenset[int]
) -> dict[int, JobPod]:
    """Return the failed pod of each unfinished index: it carries the index's failure count."""
    if spec.per_index is None:
        return {}
    running = {pod.index for pod in active}
    delayed: dict[int, JobPod] = {}
    for pod in uncounted:
        index = pod.index
        if index is None or not spec.failed(pod) or not spec.valid(index):
            continue
        if index in finished or index in running:
            continue
        other = delayed.get(index)
        if other is None or (other.attempts, other.finished) <= (pod.attempts, pod.finished):
            delayed[index] = pod
    return delayed


# -- finishing -------------------------------------------------------------------------------------


def verdict(
    spec: JobSpec, state: JobState, view: JobView, pods: Iterable[JobPod], now: float
) -> Finish | None:
    """Decide whether the Job is finished for another reason than all completions; None: it is not.

    Args:
        spec, state, view: the Job's spec, status and counts.
        pods: the pods that it controls.
        now: in seconds.
    """
    if state.success is not None:
        return Finish(True, *state.success, told=True)
    if state.target is not None:
        return Finish(False, *state.target, told=True)
    pods = list(pods)
    for pod in pods:
        if spec.failure_rules is not None and spec.failed(pod):
            message = match_failure(spec.failure_rules, pod).message
            if message:
                return Finish(False, "PodFailurePolicy", message)
    restarts = sum(pod.all_restarts for pod in pods if pod.rank.phase in ("Pending", "Running"))
    if backoff_limit_exceeded(
        failed=view.failed,
        limit=spec.backoff_limit,
        restarts_of_active=restarts,
        on_failure=spec.on_failure,
    ):
        return Finish(False, "BackoffLimitExceeded", "Job has reached the specified backoff limit")
    if past_deadline(spec, state.start, now):
        message = "Job was active longer than specified deadline"
        return Finish(False, "DeadlineExceeded", message)
    return _verdict_of_indexes(spec, view)


def past_deadline(spec: JobSpec, start: float | None, now: float) -> bool:
    """Return whether the Job was active for its activeDeadlineSeconds or longer.

    Args:
        spec: the Job's spec; a suspended Job is not active.
        start: second at which it became active; None: it is not.
        now: in seconds.
    """
    if spec.deadline is None or start is None or spec.suspended:
        return False
    return now - start >= spec.deadline


def _verdict_of_indexes(spec: JobSpec, view: JobView) -> Finish | None:
    if not spec.indexed:
        return None
    failed, done = len(view.failed_indexes), len(view.completed)
    if spec.per_index is not None:
        if spec.max_failed_indexes is not None and failed > spec.max_failed_indexes:
            message = "Job has exceeded the specified maximal number of failed indexes"
            return Finish(False, "MaxFailedIndexesExceeded", message)
        if failed and failed + done >= (spec.completions or 0):
            return Finish(False, "FailedIndexes", "Job has failed indexes")
    message = match_success(spec.success_rules, spec.completions or 0, view.completed)
    return Finish(True, "SuccessPolicy", message) if message else None


def completed(spec: JobSpec, succeeded: int, active: int) -> Finish | None:
    """Return the successful finish once all completions are reached and no pod is active.

    Args:
        spec: the Job's spec.
        succeeded: number of pods or indexes that succeeded.
        active: number of active pods after this sync.
    """
    enough = succeeded > 0 if spec.completions is None else succeeded >= spec.completions
    if not enough or active:
        return None
    return Finish(True, "CompletionsReached", "Reached expected number of succeeded pods")


# -- pods ------------------------------------------------------------------------------------------


def manage(spec: JobSpec, view: JobView, wait: float) -> JobPlan:
    """Decide how many pods to create, or which to delete.

    Under the podReplacementPolicy Failed, terminating pods hold back creations, never deletions.

    Args:
        spec, view: the Job's spec and counts.
        wait: seconds until the back-off is over; ignored with backoffLimitPerIndex.
    """
    active = len(view.active)
    if spec.suspended:
        surplus = for_removal(spec, view.active, active)
        return JobPlan(0, tuple(surplus), 0, 0.0, "it is suspended")
    desired = wanted_active(
        parallelism=spec.parallelism,
        completions=spec.completions,
        succeeded=view.succeeded,
        active=active,
    )
    terminating = view.terminating if spec.only_failed else 0
    surplus = for_removal(spec, view.active, max(0, active - desired))
    if surplus:
        to_delete = tuple(surplus[:MAX_PODS_A_SYNC])
        return JobPlan(0, to_delete, desired, 0.0, f"{count_of(active, 'pod')}, {desired} desired")
    missing = min(desired - terminating - active, MAX_PODS_A_SYNC)
    if missing <= 0:
        suffix = f", {terminating} terminating" if terminating else ""
        return JobPlan(
            0, (), desired, 0.0, f"{active} of {count_of(desired, 'pod')} active{suffix}"
        )
    if wait > 0 and spec.per_index is None:
        return JobPlan(0, (), desired, wait, "the back-off is not over")
    return JobPlan(missing, (), desired, 0.0, f"{active} of {count_of(desired, 'pod')} active")


class DueIndexes(NamedTuple):
    """Completion indexes for new pods, and the shortest back-off in seconds if none is due."""

    now: tuple[int, ...] = ()
    wait: float = 0.0


def due_indexes(spec: JobSpec, view: JobView, count: int, now: float) -> DueIndexes:
    """Return the lowest unfinished indexes; with backoffLimitPerIndex, those past their back-off.

    Under the podReplacementPolicy Failed, a terminating pod keeps its index.

    Args:
        spec, view: the Job's spec and counts.
        count: maximum number of indexes.
        now: in seconds.
    """
    unfinished = missing_indexes(
        completions=spec.completions or 0,
        succeeded=set(view.completed),
        active={pod.index for pod in view.active if pod.index is not None} | view.held_indexes,
        failed=set(view.failed_indexes),
        limit=count,
    )
    if spec.per_index is None:
        return DueIndexes(tuple(unfinished))
    waits = {index: _index_wait(view.delayed.get(index), now) for index in unfinished}
    due = tuple(index for index in unfinished if waits[index] == 0)
    return DueIndexes(due, 0.0 if due else min(waits.values(), default=0.0))


def _index_wait(failed: JobPod | None, now: float) -> float:
    if failed is None:
        return 0.0
    return BackoffRecord(failed.attempts + 1, failed.finished).remaining(now)


def for_removal(spec: JobSpec, active: Sequence[JobPod], at_least: int) -> list[JobPod]:
    """Return the active pods to delete: invalid or duplicate indexes first, then by rank.

    Args:
        spec: the Job's spec.
        active: the active pods.
        at_least: how many must be deleted.
    """
    surplus: list[JobPod] = []
    remaining = list(active)
    if spec.indexed:
        remaining = []
        by_index: dict[int | None, list[JobPod]] = {}
        for pod in sorted(active, key=lambda pod: -1 if pod.index is None else pod.index):
            by_index.setdefault(pod.index if spec.valid(pod.index) else None, []).append(pod)
        surplus += by_index.pop(None, [])
        for same in by_index.values():
            ranked = by_rank(same)
            surplus += ranked[:-1]
            remaining.append(ranked[-1])
    if len(surplus) < at_least:
        surplus += by_rank(remaining)[: at_least - len(surplus)]
    return surplus


def by_rank(pods: Iterable[JobPod]) -> list[JobPod]:
    """Sort pods of a Job in the order in which they are deleted.

    The rule is older than that of ReplicaSets: it ignores deletion cost and related pods, and
    compares times to the second instead of by age class.
    """

    def compare(a: JobPod, b: JobPod) -> int:
        return _compare(a.rank, b.rank)

    return sorted(pods, key=cmp_to_key(compare))


def _compare(a: RankedPod, b: RankedPod) -> int:
    for remaining, right in (
        (bool(a.node), bool(b.node)),
        (PHASE_RANK.get(a.phase, 0), PHASE_RANK.get(b.phase, 0)),
        (a.ready, b.ready),
    ):
        if remaining != right:
            return -1 if remaining < right else 1
    if a.ready and a.ready_since != b.ready_since:
        return _newer_first(a.ready_since, b.ready_since)
    if a.restarts != b.restarts:
        return -1 if a.restarts > b.restarts else 1
    return _newer_first(a.created, b.created) if a.created != b.created else 0


def _newer_first(a: float | None, b: float | None) -> int:
    if a is None or b is None:
        return -1 if a is None else 1
    return -1 if a > b else 1
