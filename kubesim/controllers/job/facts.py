"""What the Job controller looks at: a Job's spec, its status so far, and its pods, as plain data.

Source: pkg/controller/job/job_controller.go, indexed_job_utils.go, backoff_utils.go
(getFinishedTime).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kubesim.controllers.job.backoff import parse_indexes
from kubesim.controllers.shared.ranking import RankedPod, rank_of
from kubesim.objects import meta
from kubesim.objects.conditions import get_condition
from kubesim.objects.frozen import Document
from kubesim.objects.pods import FINISHED, restart_count

FINALIZER = "batch.kubernetes.io/job-tracking"
INDEX = "batch.kubernetes.io/job-completion-index"
INDEX_FAILURES = "batch.kubernetes.io/job-index-failure-count"
INDEX_IGNORED = "batch.kubernetes.io/job-index-ignored-failure-count"
MANAGER = "kubernetes.io/job-controller"


@dataclass(frozen=True, slots=True)
class JobPod:
    """One pod of a Job.

    Attributes:
        name, namespace: of the pod.
        rank: uid, node, phase, readiness and age, as the deletion ranking looks at them.
        terminating: has a deletionTimestamp.
        tracked: still carries the Job's finalizer, so it was not counted for good.
        index: completion index; None if it has none.
        finished: second at which it ended, as well as one can tell.
        all_restarts: of all containers together, init containers included.
        index_failures: earlier failures of its index; `index_ignored`: those that did not count.
        exits: name and exit code of each container that has terminated, main ones first.
        conditions: type and status of each condition.
    """

    name: str
    rank: RankedPod
    namespace: str = "default"
    terminating: bool = False
    tracked: bool = True
    index: int | None = None
    finished: float = 0.0
    all_restarts: int = 0
    index_failures: int = 0
    index_ignored: int = 0
    exits: tuple[tuple[str, int], ...] = ()
    conditions: tuple[tuple[str, str], ...] = ()

    @property
    def uid(self) -> str:
        """metadata.uid."""
        return self.rank.uid

    @property
    def active(self) -> bool:
        """It works: neither ended nor on its way out."""
        return not self.terminating and self.rank.phase not in FINISHED

    @property
    def leaving(self) -> bool:
        """It is on its way out and has not ended yet."""
        return self.terminating and self.rank.phase not in FINISHED

    @property
    def attempts(self) -> int:
        """Failures of its index before it, whether they counted or not."""
        return self.index_failures + self.index_ignored


@dataclass(frozen=True, slots=True)
class JobSpec:
    """What a Job wants.

    Attributes:
        parallelism: pods at once.
        completions: successes wanted; None: a work queue, which is done when one pod succeeded.
        indexed: each completion has a number.
        backoff_limit: failures that are forgiven.
        per_index: failures that are forgiven to each index; None: they share backoff_limit.
        max_failed_indexes: more of them end the Job; None: no limit.
        deadline: seconds that it may be active; None: no limit.
        suspended: no pods, for now.
        only_failed: a pod is replaced when it has ended, not when it begins to go.
        on_failure: restartPolicy OnFailure: containers are started again in their pod.
        deleting: the Job has a deletionTimestamp.
        failure_rules: of podFailurePolicy; None: there is none.
        success_rules: of successPolicy.
    """

    parallelism: int = 1
    completions: int | None = 1
    indexed: bool = False
    backoff_limit: int = 6
    per_index: int | None = None
    max_failed_indexes: int | None = None
    deadline: float | None = None
    suspended: bool = False
    only_failed: bool = False
    on_failure: bool = False
    deleting: bool = False
    failure_rules: Sequence[Mapping[str, Any]] | None = None
    success_rules: Sequence[Mapping[str, Any]] = ()

    def failed(self, pod: JobPod) -> bool:
        """Phase Failed; or on its way out before it succeeded, unless only ended pods count."""
        if pod.rank.phase == "Failed":
            return True
        return not self.only_failed and pod.terminating and pod.rank.phase != "Succeeded"

    def valid(self, index: int | None) -> bool:
        """An index of this Job; pods of a Job without indexes are all valid."""
        if not self.indexed:
            return True
        return index is not None and index < (self.completions or 0)


@dataclass(frozen=True, slots=True)
class JobState:
    """status of a Job so far.

    Attributes:
        succeeded, failed: counted for good.
        uncounted_succeeded, uncounted_failed: uids that are noted, but not counted yet.
        completed, failed_indexes: of an indexed Job.
        start: second at which it became active; None: not yet, or not since it was suspended.
        target: (reason, message) of FailureTarget; None: it has not failed.
        success: (reason, message) of SuccessCriteriaMet; None: it has not succeeded.
    """

    succeeded: int = 0
    failed: int = 0
    uncounted_succeeded: tuple[str, ...] = ()
    uncounted_failed: tuple[str, ...] = ()
    completed: frozenset[int] = frozenset()
    failed_indexes: frozenset[int] = frozenset()
    start: float | None = None
    target: tuple[str, str] | None = None
    success: tuple[str, str] | None = None


# -- reading documents -----------------------------------------------------------------------------


def spec_of(job: Document) -> JobSpec:
    """The spec of a Job's document."""
    spec = job["spec"]
    policy = spec.get("podFailurePolicy")
    deadline = spec.get("activeDeadlineSeconds")
    return JobSpec(
        parallelism=spec["parallelism"],
        completions=spec.get("completions"),
        indexed=spec.get("completionMode") == "Indexed",
        backoff_limit=spec["backoffLimit"],
        per_index=spec.get("backoffLimitPerIndex"),
        max_failed_indexes=spec.get("maxFailedIndexes"),
        deadline=None if deadline is None else float(deadline),
        suspended=bool(spec.get("suspend")),
        only_failed=policy is not None or spec.get("podReplacementPolicy") == "Failed",
        on_failure=spec["template"]["spec"].get("restartPolicy") == "OnFailure",
        deleting=meta.is_terminating(job),
        failure_rules=None if policy is None else policy.get("rules") or (),
        success_rules=(spec.get("successPolicy") or {}).get("rules") or (),
    )


def state_of(job: Document, seconds_at: Callable[[str], float]) -> JobState:
    """The status of a Job's document."""
    status = job.get("status") or {}
    uncounted = status.get("uncountedTerminatedPods") or {}
    completions = job["spec"].get("completions") or 0
    start = status.get("startTime")
    if _true(job, "Suspended") is not None:
        start = None  # the deadline starts over when it is resumed
    return JobState(
        succeeded=status.get("succeeded") or 0,
        failed=status.get("failed") or 0,
        uncounted_succeeded=tuple(uncounted.get("succeeded") or ()),
        uncounted_failed=tuple(uncounted.get("failed") or ()),
        completed=parse_indexes(status.get("completedIndexes") or "", completions),
        failed_indexes=parse_indexes(status.get("failedIndexes") or "", completions),
        start=seconds_at(start) if start else None,
        target=_true(job, "FailureTarget"),
        success=_true(job, "SuccessCriteriaMet"),
    )


def _true(job: Document, type: str) -> tuple[str, str] | None:
    condition = get_condition(job, type)
    if condition is None or condition.get("status") != "True":
        return None
    return condition.get("reason", ""), condition.get("message", "")


def final_condition(job: Document) -> Document | None:
    """Complete or Failed, if one of them is True: nothing changes any more."""
    for type in ("Complete", "Failed"):
        if _true(job, type) is not None:
            return get_condition(job, type)
    return None


def pod_facts(pod: Document, seconds_at: Callable[[str], float]) -> JobPod:
    """What counts of a pod's document."""
    metadata, status = pod["metadata"], pod.get("status") or {}
    notes = meta.annotations_of(pod)
    statuses = status.get("containerStatuses") or ()
    init = status.get("initContainerStatuses") or ()
    return JobPod(
        name=metadata["name"],
        namespace=meta.namespace_of(pod),
        rank=rank_of(pod, seconds_at),
        terminating=meta.is_terminating(pod),
        tracked=FINALIZER in (metadata.get("finalizers") or ()),
        index=_whole(notes.get(INDEX)),
        finished=finished_at(pod, seconds_at),
        all_restarts=restart_count(pod) + sum(item.get("restartCount") or 0 for item in init),
        index_failures=_whole(notes.get(INDEX_FAILURES)) or 0,
        index_ignored=_whole(notes.get(INDEX_IGNORED)) or 0,
        exits=tuple(_exits([*statuses, *init])),
        conditions=tuple((c["type"], c["status"]) for c in status.get("conditions") or ()),
    )


def _exits(statuses: Iterable[Document]) -> Iterable[tuple[str, int]]:
    for item in statuses:
        ended = (item.get("state") or {}).get("terminated")
        if ended is not None:
            yield item.get("name", ""), ended.get("exitCode") or 0


def finished_at(pod: Document, seconds_at: Callable[[str], float]) -> float:
    """When a pod ended: its last container; else when it ceased to be ready, or was deleted."""
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    ended = [(item.get("state") or {}).get("terminated") or {} for item in statuses]
    times = [seconds_at(item["finishedAt"]) for item in ended if item.get("finishedAt")]
    if times:
        return max(times)
    ready = get_condition(pod, "Ready") or {}
    if ready.get("status") == "False" and ready.get("lastTransitionTime"):
        return seconds_at(ready["lastTransitionTime"])
    metadata = pod["metadata"]
    if metadata.get("deletionTimestamp"):
        grace = metadata.get("deletionGracePeriodSeconds") or 0
        return seconds_at(metadata["deletionTimestamp"]) - grace
    return seconds_at(metadata["creationTimestamp"])


def _whole(text: str | None) -> int | None:
    """A whole number of 0 or more in an annotation; None if it is none."""
    return int(text) if text is not None and text.isascii() and text.isdigit() else None
