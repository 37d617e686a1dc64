"""What a Job needs next: pure functions of its spec, its status so far, and its pods.

`look` counts, `verdict` says whether the Job is over, `manage` which pods to make or delete, and
`due_indexes` which numbers the new pods of an indexed Job get.

>>> pod = JobPod("p", RankedPod("1"))
>>> view = look(JobSpec(parallelism=3, completions=5), JobState(), [pod])
>>> manage(JobSpec(parallelism=3, completions=5), view, wait=0.0).create
2
>>> verdict(JobSpec(backoff_limit=0), JobState(failed=1), look(JobSpec(), JobState(failed=1), []),
...         [], now=0.0).reason
'BackoffLimitExceeded'

Source: pkg/controller/job/job_controller.go (syncJob, manageJob, pastActiveDeadline,
pastBackoffLimitOnFailure), indexed_job_utils.go.
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

SOURCE = "https://kubernetes.io/docs/concepts/workloads/controllers/job/"


@dataclass(frozen=True, slots=True)
class JobView:
    """A Job's pods, counted.

    Attributes:
        active: pods that work.
        ready: how many of them are ready.
        terminating: pods on their way out that have not ended.
        new_succeeded, new_failed: pods that ended and are not noted in the status yet.
        succeeded, failed: with those; of an indexed Job `succeeded` counts indexes.
        completed, failed_indexes: of an indexed Job, with those.
        delayed: by index, the failed pod that is kept until its successor is made.
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


class Finish(NamedTuple):
    """How a Job ends.

    Attributes:
        success: it has reached its goal.
        reason, message: of the conditions.
        told: the interim condition stands in the status already.
    """

    success: bool
    reason: str
    message: str
    told: bool = False


class JobPlan(NamedTuple):
    """Which pods to make or to delete; never both in one pass.

    Attributes:
        create: how many pods.
        delete: pods that go; they are not counted as failed.
        wanted: how many pods should be active.
        wait: seconds until the back-off is over; 0: none runs.
        reason: in words.
    """

    create: int = 0
    delete: tuple[JobPod, ...] = ()
    wanted: int = 0
    wait: float = 0.0
    reason: str = ""


# -- counting --------------------------------------------------------------------------------------


def look(
    spec: JobSpec, state: JobState, pods: Sequence[JobPod], released: Collection[str] = ()
) -> JobView:
    """Count a Job's pods.

    Args:
        spec, state: of the Job.
        pods: those that it owns.
        released: uids of pods whose finalizer was removed, which the cache does not show yet.
    """
    fresh = [pod for pod in pods if pod.tracked and pod.uid not in released]
    new_succeeded = tuple(
        pod
        for pod in fresh
        if pod.rank.phase == "Succeeded"
        and pod.uid not in (*state.uncounted_succeeded, *state.uncounted_failed)
        and spec.valid(pod.index)
    )
    noted = set(state.uncounted_failed)
    new_failed = tuple(
        pod for pod in fresh if spec.failed(pod) and pod.uid not in noted and spec.valid(pod.index)
    )
    active = tuple(pod for pod in pods if pod.active)
    counted = sum(match_failure(spec.failure_rules, pod).counts for pod in new_failed)
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
        failed=state.failed + counted + len(state.uncounted_failed),
        completed=completed,
        failed_indexes=failed_indexes,
        delayed=_delayed(spec, fresh, active, completed | failed_indexes),
    )


def gives_up(spec: JobSpec, pod: JobPod) -> bool:
    """Whether a failed pod is the last try of its index."""
    match = match_failure(spec.failure_rules, pod)
    if match.action == "FailIndex":
        return True
    return match.counts and pod.index_failures >= (spec.per_index or 0)


def _delayed(
    spec: JobSpec, fresh: Iterable[JobPod], active: Iterable[JobPod], over: frozenset[int]
) -> dict[int, JobPod]:
    """The failed pod of each open index: it holds the count of failures until it is replaced."""
    if spec.per_index is None:
        return {}
    running = {pod.index for pod in active}
    found: dict[int, JobPod] = {}
    for pod in fresh:
        index = pod.index
        if index is None or not spec.failed(pod) or not spec.valid(index):
            continue
        if index in over or index in running:
            continue
        known = found.get(index)
        if known is None or (known.attempts, known.finished) <= (pod.attempts, pod.finished):
            found[index] = pod
    return found


# -- the end ---------------------------------------------------------------------------------------


def verdict(
    spec: JobSpec, state: JobState, view: JobView, pods: Iterable[JobPod], now: float
) -> Finish | None:
    """Whether the Job is over, apart from having all its completions; None: it goes on.

    Args:
        spec, state, view: of the Job.
        pods: those that it owns.
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
        said = "Job was active longer than specified deadline"
        return Finish(False, "DeadlineExceeded", said)
    return _verdict_of_indexes(spec, view)


def past_deadline(spec: JobSpec, start: float | None, now: float) -> bool:
    """The Job was active for its deadline, or longer; a suspended one is not active."""
    if spec.deadline is None or start is None or spec.suspended:
        return False
    return now - start >= spec.deadline


def _verdict_of_indexes(spec: JobSpec, view: JobView) -> Finish | None:
    if not spec.indexed:
        return None
    lost, done = len(view.failed_indexes), len(view.completed)
    if spec.per_index is not None:
        if spec.max_failed_indexes is not None and lost > spec.max_failed_indexes:
            said = "Job has exceeded the specified maximal number of failed indexes"
            return Finish(False, "MaxFailedIndexesExceeded", said)
        if lost and lost + done >= (spec.completions or 0):
            return Finish(False, "FailedIndexes", "Job has failed indexes")
    message = match_success(spec.success_rules, spec.completions or 0, view.completed)
    return Finish(True, "SuccessPolicy", message) if message else None


def completed(spec: JobSpec, succeeded: int, active: int) -> Finish | None:
    """The end that every Job hopes for: all completions, and nobody works any more.

    Args:
        spec: of the Job.
        succeeded: pods or indexes that succeeded.
        active: pods that work, after this pass.
    """
    enough = succeeded > 0 if spec.completions is None else succeeded >= spec.completions
    if not enough or active:
        return None
    return Finish(True, "CompletionsReached", "Reached expected number of succeeded pods")


# -- pods ------------------------------------------------------------------------------------------


def manage(spec: JobSpec, view: JobView, wait: float) -> JobPlan:
    """How many pods to make, or which to delete.

    Args:
        spec, view: of the Job.
        wait: seconds that the back-off still runs; of a Job with limits by index it does not count.
    """
    active = len(view.active)
    if spec.suspended:
        going = for_removal(spec, view.active, active)
        return JobPlan(0, tuple(going), 0, 0.0, "it is suspended")
    wanted = wanted_active(
        parallelism=spec.parallelism,
        completions=spec.completions,
        succeeded=view.succeeded,
        active=active,
    )
    leaving = view.terminating if spec.only_failed else 0
    going = for_removal(spec, view.active, max(0, active + leaving - wanted))[:MAX_PODS_A_SYNC]
    if going:
        return JobPlan(0, tuple(going), wanted, 0.0, f"{active} pods, {wanted} wanted")
    missing = min(wanted - leaving - active, MAX_PODS_A_SYNC)
    if missing <= 0:
        waits = f", {leaving} on their way out" if leaving else ""
        return JobPlan(0, (), wanted, 0.0, f"{active} of {wanted} pods work{waits}")
    if wait > 0 and spec.per_index is None:
        return JobPlan(0, (), wanted, wait, "the back-off is not over")
    return JobPlan(missing, (), wanted, 0.0, f"{active} of {wanted} pods work")


class DueIndexes(NamedTuple):
    """Numbers for new pods: those that are due, and how long the first of the others waits."""

    now: tuple[int, ...] = ()
    wait: float = 0.0


def due_indexes(spec: JobSpec, view: JobView, count: int, now: float) -> DueIndexes:
    """The lowest open indexes; with limits by index, those whose own back-off is over.

    Args:
        spec, view: of the Job.
        count: how many at most.
        now: in seconds.
    """
    open_ones = missing_indexes(
        completions=spec.completions or 0,
        succeeded=set(view.completed),
        active={pod.index for pod in view.active if pod.index is not None},
        failed=set(view.failed_indexes),
        limit=count,
    )
    if spec.per_index is None:
        return DueIndexes(tuple(open_ones))
    waits = {index: _index_wait(view.delayed.get(index), now) for index in open_ones}
    due = tuple(index for index in open_ones if waits[index] == 0)
    return DueIndexes(due, 0.0 if due else min(waits.values(), default=0.0))


def _index_wait(failed: JobPod | None, now: float) -> float:
    if failed is None:
        return 0.0
    return BackoffRecord(failed.attempts + 1, failed.finished).remaining(now)


def for_removal(spec: JobSpec, active: Sequence[JobPod], at_least: int) -> list[JobPod]:
    """The active pods that go: first those whose index is wrong or doubled, then by rank.

    Args:
        spec: of the Job.
        active: pods that work.
        at_least: how many have to go.
    """
    going: list[JobPod] = []
    left = list(active)
    if spec.indexed:
        left = []
        by_index: dict[int | None, list[JobPod]] = {}
        for pod in sorted(active, key=lambda pod: -1 if pod.index is None else pod.index):
            by_index.setdefault(pod.index if spec.valid(pod.index) else None, []).append(pod)
        going += by_index.pop(None, [])
        for same in by_index.values():
            ranked = by_rank(same)
            going += ranked[:-1]
            left.append(ranked[-1])
    if len(going) < at_least:
        going += by_rank(left)[: at_least - len(going)]
    return going


def by_rank(pods: Iterable[JobPod]) -> list[JobPod]:
    """In the order in which pods of a Job are deleted: the first goes first.

    An older rule than that of ReplicaSets: no deletion cost, no crowded nodes, and times are
    compared to the second, not by classes of age.
    """

    def compare(a: JobPod, b: JobPod) -> int:
        return _compare(a.rank, b.rank)

    return sorted(pods, key=cmp_to_key(compare))


def _compare(a: RankedPod, b: RankedPod) -> int:
    for left, right in (
        (bool(a.node), bool(b.node)),
        (PHASE_RANK.get(a.phase, 0), PHASE_RANK.get(b.phase, 0)),
        (a.ready, b.ready),
    ):
        if left != right:
            return -1 if left < right else 1
    if a.ready and a.ready_since != b.ready_since:
        return _newer_first(a.ready_since, b.ready_since)
    if a.restarts != b.restarts:
        return -1 if a.restarts > b.restarts else 1
    return _newer_first(a.created, b.created) if a.created != b.created else 0


def _newer_first(a: float | None, b: float | None) -> int:
    if a is None or b is None:
        return -1 if a is None else 1
    return -1 if a > b else 1
