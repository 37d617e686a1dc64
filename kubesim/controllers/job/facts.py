"""The facts that the Job controller uses: a Job's spec, status and pods, as plain data.

Source: pkg/controller/job/job_controller.go, indexed_job_utils.go, backoff_utils.go
(getFinishedTime).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kubesim.controllers.job.backoff import parse_indexes
from kubesim.controllers.shared.ranking import RankedPod, rank_of
from kubesim.objects import meta
from kubesim.objects.intstr import parse_int
from kubesim.objects.meta import find_condition, get_condition
from kubesim.objects.pods import FINISHED, restart_count

if TYPE_CHECKING:
    from kubesim.objects.types import (
        ContainerStatusDict,
        JobConditionDict,
        JobDict,
        PodDict,
        PodFailurePolicyRuleDict,
        SuccessPolicyRuleDict,
    )

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
        rank: uid, node, phase, readiness and age: the facts for the deletion ranking.
        terminating: has a deletionTimestamp.
        tracked: carries the Job's finalizer, so it was not counted yet.
        index: completion index; None if it has none.
        finished: second at which it finished, see `finished_at`.
        all_restarts: sum of the restart counts of all containers, init containers included.
        index_failures, index_ignored: earlier failures of its index that counted or were ignored.
        exits: name and exit code of each terminated container, init containers last.
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
        """Whether it is neither finished nor terminating."""
        return not self.terminating and self.rank.phase not in FINISHED

    @property
    def leaving(self) -> bool:
        """Whether it is terminating and has not finished."""
        return self.terminating and self.rank.phase not in FINISHED

    @property
    def attempts(self) -> int:
        """Number of earlier failures of its index, counted or ignored."""
        return self.index_failures + self.index_ignored


@dataclass(frozen=True, slots=True)
class JobSpec:
    """The spec of a Job.

    Attributes:
        parallelism: pods that may be active at once.
        completions: successful pods wanted; None: a work queue, complete when one pod succeeded.
        indexed: completionMode is Indexed.
        backoff_limit: failed pods that are tolerated.
        per_index: backoffLimitPerIndex; None: backoff_limit applies to the whole Job.
        max_failed_indexes: failed indexes that are tolerated; None: no limit.
        deadline: activeDeadlineSeconds; None: no limit.
        suspended: spec.suspend.
        only_failed: podReplacementPolicy is Failed: a pod is replaced once it has finished.
        on_failure: restartPolicy is OnFailure: containers restart within their pod.
        deleting: the Job has a deletionTimestamp.
        failure_rules: rules of podFailurePolicy; None: there is no policy.
        success_rules: rules of successPolicy.
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
    failure_rules: Sequence[PodFailurePolicyRuleDict] | None = None
    success_rules: Sequence[SuccessPolicyRuleDict] = ()

    def failed(self, pod: JobPod) -> bool:
        """Return whether a pod failed, or is terminating and `only_failed` is not set."""
        if pod.rank.phase == "Failed":
            return True
        return not self.only_failed and pod.terminating and pod.rank.phase != "Succeeded"

    def valid(self, index: int | None) -> bool:
        """Return whether a completion index belongs to this Job; True if it is not Indexed."""
        if not self.indexed:
            return True
        return index is not None and index < (self.completions or 0)


@dataclass(frozen=True, slots=True)
class JobState:
    """The status of a Job.

    Attributes:
        succeeded, failed: counted pods.
        uncounted_succeeded, uncounted_failed: uids in uncountedTerminatedPods.
        completed, failed_indexes: indexes of an Indexed Job.
        start: second at which it became active; None: it has not, or is suspended.
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


# -- from documents --------------------------------------------------------------------------------


def spec_of(job: JobDict) -> JobSpec:
    """Return the spec of a Job's document."""
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


def state_of(job: JobDict, seconds_at: Callable[[str], float]) -> JobState:
    """Return the status of a Job's document."""
    status = job.get("status") or {}
    uncounted = status.get("uncountedTerminatedPods") or {}
    completions = job["spec"].get("completions") or 0
    start = status.get("startTime")
    if _true(job, "Suspended") is not None:
        start = None  # the deadline is reset on resume
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


def _true(job: JobDict, type: str) -> tuple[str, str] | None:
    condition = get_condition(job, type)
    if condition is None or condition.get("status") != "True":
        return None
    return condition.get("reason", ""), condition.get("message", "")


def final_condition(job: JobDict) -> JobConditionDict | None:
    """Return the condition Complete or Failed that is True; None: the Job is not finished."""
    for type in ("Complete", "Failed"):
        if _true(job, type) is not None:
            return find_condition(job["status"]["conditions"], type)
    return None


def pod_facts(pod: PodDict, seconds_at: Callable[[str], float]) -> JobPod:
    """Return the facts of a pod's document."""
    metadata, status = pod["metadata"], pod.get("status") or {}
    annotations = meta.annotations_of(pod)
    statuses = status.get("containerStatuses") or ()
    init = status.get("initContainerStatuses") or ()
    return JobPod(
        name=metadata["name"],
        namespace=meta.namespace_of(pod),
        rank=rank_of(pod, seconds_at),
        terminating=meta.is_terminating(pod),
        tracked=FINALIZER in (metadata.get("finalizers") or ()),
        index=_non_negative(annotations.get(INDEX)),
        finished=finished_at(pod, seconds_at),
        all_restarts=restart_count(pod) + sum(item.get("restartCount") or 0 for item in init),
        index_failures=_non_negative(annotations.get(INDEX_FAILURES)) or 0,
        index_ignored=_non_negative(annotations.get(INDEX_IGNORED)) or 0,
        exits=tuple(_exits([*statuses, *init])),
        conditions=tuple((c["type"], c["status"]) for c in status.get("conditions") or ()),
    )


def _exits(statuses: Iterable[ContainerStatusDict]) -> Iterable[tuple[str, int]]:
    for item in statuses:
        terminated = (item.get("state") or {}).get("terminated")
        if terminated is not None:
            yield item.get("name", ""), terminated.get("exitCode") or 0


def finished_at(pod: PodDict, seconds_at: Callable[[str], float]) -> float:
    """Return the second at which a pod finished.

    That is when its last container terminated; else when Ready became False, when it was deleted,
    or when it was created.
    """
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    terminated = [(item.get("state") or {}).get("terminated") or {} for item in statuses]
    times = [seconds_at(item["finishedAt"]) for item in terminated if item.get("finishedAt")]
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


def _non_negative(value: str | None) -> int | None:
    """Parse a non-negative number in an annotation; None if it is missing or malformed."""
    number = None if value is None else parse_int(value)
    return None if number is None or number < 0 else number
