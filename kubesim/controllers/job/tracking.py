"""Count a Job's finished pods exactly once, with finalizers: pure functions.

A finished pod may be deleted at any moment, and its result would be lost. Each pod of a Job
therefore carries a finalizer. Its uid is first written to status.uncountedTerminatedPods; then the
finalizer is removed; then the uid is replaced by a count. A controller that restarts at any point
sees from status and finalizers what is left to do.

>>> counts = TerminatedPodCounts(succeeded=2, noted_succeeded=("a", "b"))
>>> counts.settled({"b"})                    # the finalizer of "a" is gone: counted
TerminatedPodCounts(succeeded=3, failed=0, noted_succeeded=('b',), noted_failed=())

Source: pkg/controller/job/job_controller.go (trackJobStatusAndRemoveFinalizers, canRemoveFinalizer,
cleanUncountedPodsWithoutFinalizers).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from kubesim.controllers.job.facts import JobPod, JobSpec, JobState
from kubesim.controllers.job.plan import Finish, JobView
from kubesim.controllers.job.policies import match_failure
from kubesim.objects.meta import set_condition

if TYPE_CHECKING:
    from kubesim.objects.types import JobConditionDict

MAX_UNCOUNTED = 500  # uids in one write of uncountedTerminatedPods


class TerminatedPodCounts(NamedTuple):
    """Finished pods: those counted, and the uids in uncountedTerminatedPods."""

    succeeded: int = 0
    failed: int = 0
    noted_succeeded: tuple[str, ...] = ()
    noted_failed: tuple[str, ...] = ()

    def settled(self, tracked: Collection[str]) -> TerminatedPodCounts:
        """Return the counts after the uids without finalizer are counted.

        Args:
            tracked: uids of pods that still carry the finalizer.
        """
        succeeded = tuple(uid for uid in self.noted_succeeded if uid in tracked)
        failed = tuple(uid for uid in self.noted_failed if uid in tracked)
        return TerminatedPodCounts(
            self.succeeded + len(self.noted_succeeded) - len(succeeded),
            self.failed + len(self.noted_failed) - len(failed),
            succeeded,
            failed,
        )

    @property
    def open(self) -> bool:
        """Whether uids are left in uncountedTerminatedPods."""
        return bool(self.noted_succeeded or self.noted_failed)


class TrackedPods(NamedTuple):
    """The finished pods that one sync tracks.

    Attributes:
        counts: to be written before any finalizer is removed.
        completed: indexes that succeeded.
        release: pods whose finalizer is removed afterwards.
        held: uids of the pods that carry the finalizer now.
        full: there are more finished pods, for another sync.
    """

    counts: TerminatedPodCounts
    completed: frozenset[int]
    release: tuple[JobPod, ...]
    held: frozenset[str]
    full: bool = False


def track_finished_pods(
    spec: JobSpec,
    state: JobState,
    view: JobView,
    pods: Iterable[JobPod],
    finish: Finish | None,
    released: Collection[str] = (),
) -> TrackedPods:
    """Return the uids to write to uncountedTerminatedPods, and the pods whose finalizer goes.

    Args:
        spec, state, view: the Job's spec, status and counts.
        pods: the pods that it controls, as they were before this sync.
        finish: how the Job finishes; active pods of a failed Job count as failed. None: it runs.
        released: uids of pods whose finalizer was removed, which the cache does not show yet.
    """
    tracked = [pod for pod in pods if pod.tracked and pod.uid not in released]
    tracked_uids = frozenset(pod.uid for pod in tracked)
    known_counts = TerminatedPodCounts(
        state.succeeded, state.failed, state.uncounted_succeeded, state.uncounted_failed
    ).settled(tracked_uids)
    succeeded, failed = list(known_counts.noted_succeeded), list(known_counts.noted_failed)
    counted_uids = {*succeeded, *failed}
    completed, new_indexes = set(state.completed), 0
    release: list[JobPod] = []
    full = False
    for pod in sorted(tracked, key=lambda pod: -1 if pod.index is None else pod.index):
        if not _may_remove_finalizer(spec, view, pod, finish):
            continue
        release.append(pod)
        if pod.rank.phase == "Succeeded" and pod.uid not in failed:
            if not spec.indexed and pod.uid not in counted_uids:
                succeeded.append(pod.uid)
            elif spec.indexed and spec.valid(pod.index) and pod.index not in completed:
                completed.add(pod.index or 0)
                new_indexes += 1
        elif spec.failed(pod) or (finish is not None and not finish.success):
            counts = match_failure(spec.failure_rules, pod).counts
            if pod.uid not in counted_uids and spec.valid(pod.index) and counts:
                failed.append(pod.uid)
        full = new_indexes + len(succeeded) + len(failed) >= MAX_UNCOUNTED
        if full:
            break
    total = len(completed) if spec.indexed else known_counts.succeeded
    counts_now = TerminatedPodCounts(total, known_counts.failed, tuple(succeeded), tuple(failed))
    return TrackedPods(counts_now, frozenset(completed), tuple(release), tracked_uids, full)


def _may_remove_finalizer(spec: JobSpec, view: JobView, pod: JobPod, finish: Finish | None) -> bool:
    """Return whether a pod's finalizer may be removed in this sync."""
    if spec.deleting or finish is not None or pod.rank.phase == "Succeeded":
        return True
    if not spec.failed(pod):
        return False
    delayed = view.delayed.get(-1 if pod.index is None else pod.index)
    return delayed is None or delayed.uid != pod.uid


def job_condition(
    conditions: Sequence[JobConditionDict],
    type: str,
    status: str,
    reason: str,
    message: str,
    now: str,
) -> list[JobConditionDict]:
    """Return the conditions with one set; a False condition is set only if it is present.

    Args:
        conditions: the present conditions, which are not changed.
        type, status, reason, message: of the condition.
        now: RFC 3339 timestamp.
    """
    existing = next((item for item in conditions if item.get("type") == type), None)
    if existing is None and status == "False":
        return list(conditions)
    desired = (status, reason, message)
    if existing is not None and desired == tuple(
        existing.get(field, "") for field in ("status", "reason", "message")
    ):
        return list(conditions)
    result = set_condition(conditions, type, status, reason, message, now)
    return [
        {**item, "lastProbeTime": now, "lastTransitionTime": now} if item["type"] == type else item
        for item in result
    ]
