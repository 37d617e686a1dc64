"""Counting a Job's ended pods exactly once: pure functions.

A pod that ended might be deleted by anybody, at any moment, and its outcome with it. So each pod of
a Job carries a finalizer that keeps it. Then, in this order: its uid is noted in
status.uncountedTerminatedPods; it loses the finalizer; it moves from the note to the count. Whoever
takes over at any point knows from status and finalizers what is left to do.

>>> counts = Counts(succeeded=2, noted_succeeded=("a", "b"))
>>> counts.settled({"b"})                    # "a" has lost its finalizer: counted for good
Counts(succeeded=3, failed=0, noted_succeeded=('b',), noted_failed=())

Source: pkg/controller/job/job_controller.go (trackJobStatusAndRemoveFinalizers, canRemoveFinalizer,
cleanUncountedPodsWithoutFinalizers).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from kubesim.controllers.job.facts import JobPod, JobSpec, JobState
from kubesim.controllers.job.plan import Finish, JobView
from kubesim.controllers.job.policies import match_failure
from kubesim.objects.conditions import set_condition
from kubesim.objects.frozen import Document

MAX_UNCOUNTED = 500  # pods noted in one write of the status


class Counts(NamedTuple):
    """Ended pods: counted for good, and noted by uid."""

    succeeded: int = 0
    failed: int = 0
    noted_succeeded: tuple[str, ...] = ()
    noted_failed: tuple[str, ...] = ()

    def settled(self, held: Collection[str]) -> Counts:
        """Who is noted and has no finalizer any more is counted.

        Args:
            held: uids of pods that still carry it.
        """
        succeeded = tuple(uid for uid in self.noted_succeeded if uid in held)
        failed = tuple(uid for uid in self.noted_failed if uid in held)
        return Counts(
            self.succeeded + len(self.noted_succeeded) - len(succeeded),
            self.failed + len(self.noted_failed) - len(failed),
            succeeded,
            failed,
        )

    @property
    def open(self) -> bool:
        """Somebody is noted and not counted yet."""
        return bool(self.noted_succeeded or self.noted_failed)


class Tally(NamedTuple):
    """What one pass notes.

    Attributes:
        counts: to be written before any finalizer is removed.
        completed: indexes that succeeded.
        release: pods that lose their finalizer then.
        held: uids of the pods that carry it now.
        full: there are more; another pass has to come.
    """

    counts: Counts
    completed: frozenset[int]
    release: tuple[JobPod, ...]
    held: frozenset[str]
    full: bool = False


def tally(
    spec: JobSpec,
    state: JobState,
    view: JobView,
    pods: Iterable[JobPod],
    finish: Finish | None,
    released: Collection[str] = (),
) -> Tally:
    """Note the pods that ended, and say which lose their finalizer.

    Args:
        spec, state, view: of the Job.
        pods: those that it owns, as they were before this pass.
        finish: the Job is over; then pods that still work count as failed, unless it succeeded.
        released: uids of pods whose finalizer was removed, which the cache does not show yet.
    """
    tracked = [pod for pod in pods if pod.tracked and pod.uid not in released]
    held = frozenset(pod.uid for pod in tracked)
    noted = Counts(
        state.succeeded, state.failed, state.uncounted_succeeded, state.uncounted_failed
    ).settled(held)
    succeeded, failed = list(noted.noted_succeeded), list(noted.noted_failed)
    known = {*succeeded, *failed}
    completed, fresh = set(state.completed), 0
    release: list[JobPod] = []
    full = False
    for pod in sorted(tracked, key=lambda pod: -1 if pod.index is None else pod.index):
        if not _may_go(spec, view, pod, finish):
            continue
        release.append(pod)
        if pod.rank.phase == "Succeeded" and pod.uid not in failed:
            if not spec.indexed and pod.uid not in known:
                succeeded.append(pod.uid)
            elif spec.indexed and spec.valid(pod.index) and pod.index not in completed:
                completed.add(pod.index or 0)
                fresh += 1
        elif spec.failed(pod) or (finish is not None and not finish.success):
            counts = match_failure(spec.failure_rules, pod).counts
            if pod.uid not in known and spec.valid(pod.index) and counts:
                failed.append(pod.uid)
        full = fresh + len(succeeded) + len(failed) >= MAX_UNCOUNTED
        if full:
            break
    total = len(completed) if spec.indexed else noted.succeeded
    counts_now = Counts(total, noted.failed, tuple(succeeded), tuple(failed))
    return Tally(counts_now, frozenset(completed), tuple(release), held, full)


def _may_go(spec: JobSpec, view: JobView, pod: JobPod, finish: Finish | None) -> bool:
    """Whether a pod may lose its finalizer now."""
    if spec.deleting or finish is not None or pod.rank.phase == "Succeeded":
        return True
    if not spec.failed(pod):
        return False
    delayed = view.delayed.get(-1 if pod.index is None else pod.index)
    return delayed is None or delayed.uid != pod.uid


def job_condition(
    conditions: Sequence[Document], type: str, status: str, reason: str, message: str, now: str
) -> list[Document]:
    """status.conditions with one set; a False one is only set where it was there before.

    Args:
        conditions: those of the status so far; they are not changed.
        type, status, reason, message: of the condition.
        now: RFC 3339 text.
    """
    known = next((item for item in conditions if item.get("type") == type), None)
    if known is None and status == "False":
        return list(conditions)
    said = (status, reason, message)
    if known is not None and said == tuple(
        known.get(field, "") for field in ("status", "reason", "message")
    ):
        return list(conditions)
    made = set_condition(conditions, type, status, reason, message, now)
    fresh = {"lastProbeTime": now, "lastTransitionTime": now}
    return [{**item, **fresh} if item["type"] == type else item for item in made]
