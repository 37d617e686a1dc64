"""Status of a Deployment: counters and conditions, as pure functions of documents.

There are three conditions: Available (enough pods are available), Progressing (the rollout makes
progress, or is complete) and ReplicaFailure (a ReplicaSet cannot create or delete pods). A client
that waits for a rollout waits for Progressing to become True with the reason
NewReplicaSetAvailable, or False.

>>> condition("Available", "True", "MinimumReplicasAvailable", "", "2025-01-01T00:00:00Z")["type"]
'Available'

Source: pkg/controller/deployment/progress.go, sync.go (calculateStatus),
util/deployment_util.go (SetDeploymentCondition, DeploymentTimedOut).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, cast

from kubesim.controllers.deployment.rolling import (
    RolloutStatus,
    has_timed_out,
    is_complete,
    is_progressing,
)
from kubesim.objects import meta
from kubesim.objects.meta import find_condition, get_condition
from kubesim.objects.wellknown import MAX_INT32

if TYPE_CHECKING:
    from kubesim.objects.types import (
        DeploymentConditionDict,
        DeploymentDict,
        DeploymentStatusDict,
        ReplicaSetDict,
    )

AVAILABLE, PROGRESSING, FAILURE = "Available", "Progressing", "ReplicaFailure"
TIMED_OUT = "ProgressDeadlineExceeded"
FINISHED = "NewReplicaSetAvailable"
PAUSED, RESUMED = "DeploymentPaused", "DeploymentResumed"
NO_DEADLINE = MAX_INT32  # progressDeadlineSeconds that means no deadline
RECHECK_MARGIN_SECONDS = 1.0  # after the deadline: it is compared strictly
_RECHECK_EPSILON_SECONDS = 0.001


def deadline_of(deployment: DeploymentDict) -> int | None:
    """Return spec.progressDeadlineSeconds; None if there is no deadline."""
    seconds = deployment["spec"].get("progressDeadlineSeconds")
    return None if seconds is None or seconds == NO_DEADLINE else int(seconds)


def condition(
    type: str, status: str, reason: str, message: str, now: str
) -> DeploymentConditionDict:
    """Return a condition of a Deployment.

    Args:
        type, status, reason, message: of the condition.
        now: RFC 3339 timestamp, for lastUpdateTime and lastTransitionTime.
    """
    return {
        "type": type,
        "status": status,
        "lastUpdateTime": now,
        "lastTransitionTime": now,
        "reason": reason,
        "message": message,
    }


def progressing_of(deployment: DeploymentDict) -> DeploymentConditionDict | None:
    """Return the condition Progressing of a Deployment, or None."""
    return find_condition((deployment.get("status") or {}).get("conditions") or (), PROGRESSING)


def with_condition(
    conditions: Sequence[DeploymentConditionDict], new: DeploymentConditionDict
) -> list[DeploymentConditionDict]:
    """Return the conditions with one set, at the end.

    Equal status and reason change nothing; equal status keeps lastTransitionTime.
    """
    for existing in conditions:
        if existing.get("type") == new["type"] and existing.get("status") == new["status"]:
            if existing.get("reason") == new["reason"]:
                return list(conditions)
            new = {**new, "lastTransitionTime": cast(str, existing.get("lastTransitionTime"))}
    return [*without_condition(conditions, new["type"]), new]


def without_condition(
    conditions: Sequence[DeploymentConditionDict], type: str
) -> list[DeploymentConditionDict]:
    """Return the conditions without the one of a type."""
    return [condition for condition in conditions if condition.get("type") != type]


def counters(
    deployment: DeploymentDict, new: ReplicaSetDict | None, replicasets: Sequence[ReplicaSetDict]
) -> dict[str, int]:
    """Return the counters of a Deployment: sums over the status of its ReplicaSets.

    Args:
        deployment: the document.
        new: its new ReplicaSet, if it exists.
        replicasets: all of its ReplicaSets, the new one included.
    """

    statuses = [rs.get("status") or {} for rs in replicasets]
    available = sum(status.get("availableReplicas", 0) for status in statuses)
    desired = sum(rs["spec"].get("replicas", 0) for rs in replicasets)
    return {
        "observedGeneration": meta.generation_of(deployment),
        "replicas": sum(status.get("replicas", 0) for status in statuses),
        "updatedReplicas": ((new or {}).get("status") or {}).get("replicas", 0),
        "readyReplicas": sum(status.get("readyReplicas", 0) for status in statuses),
        "availableReplicas": available,
        "unavailableReplicas": max(0, desired - available),
    }


def basic_status(
    deployment: DeploymentDict,
    new: ReplicaSetDict | None,
    replicasets: Sequence[ReplicaSetDict],
    max_unavailable: int,
    now: str,
) -> DeploymentStatusDict:
    """Return the status with counters and the condition Available; zero counters are omitted.

    Progressing and ReplicaFailure stay as they are.

    Args:
        deployment, new, replicasets: as for `counters`.
        max_unavailable: resolved maxUnavailable; 0 for Recreate.
        now: RFC 3339 timestamp.
    """
    old = deployment.get("status") or {}
    counts = counters(deployment, new, replicasets)
    if counts["availableReplicas"] >= deployment["spec"]["replicas"] - max_unavailable:
        message = "Deployment has minimum availability."
        available = condition(AVAILABLE, "True", "MinimumReplicasAvailable", message, now)
    else:
        message = "Deployment does not have minimum availability."
        available = condition(AVAILABLE, "False", "MinimumReplicasUnavailable", message, now)
    shown = {name: count for name, count in counts.items() if count}
    status = cast("DeploymentStatusDict", shown)
    if old.get("collisionCount") is not None:
        status["collisionCount"] = old["collisionCount"]
    status["conditions"] = with_condition(old.get("conditions") or (), available)
    return status


def rollout_status(
    deployment: DeploymentDict,
    new: ReplicaSetDict | None,
    replicasets: Sequence[ReplicaSetDict],
    max_unavailable: int,
    stamp: str,
    now: float,
    seconds_at: Callable[[str], float],
) -> DeploymentStatusDict:
    """Return the whole status after a sync of the rollout, with Progressing and ReplicaFailure.

    Args:
        deployment, new, replicasets, max_unavailable: as for `basic_status`.
        stamp: RFC 3339 timestamp (whole seconds).
        now: the same time in seconds, with fractions.
        seconds_at: converts an RFC 3339 timestamp to seconds.
    """
    status = basic_status(deployment, new, replicasets, max_unavailable, stamp)
    conditions = status["conditions"]
    deadline = deadline_of(deployment)
    progressing = progressing_of(deployment)
    if deadline is None:
        conditions = without_condition(conditions, PROGRESSING)
    else:
        finished = progressing is not None and progressing.get("reason") == FINISHED
        if not finished or status.get("replicas", 0) != status.get("updatedReplicas", 0):
            subject = f'ReplicaSet "{meta.name_of(new)}"' if new is not None else ""
            subject = subject or f'Deployment "{meta.name_of(deployment)}"'
            conditions = _update_progressing(
                deployment, status, conditions, subject, deadline, stamp, now, seconds_at
            )
    failure = _replica_failure(new, replicasets)
    if failure is None:
        conditions = without_condition(conditions, FAILURE)
    else:
        conditions = with_condition(conditions, failure)
    status["conditions"] = conditions
    return status


def _update_progressing(
    deployment: DeploymentDict,
    status: DeploymentStatusDict,
    conditions: list[DeploymentConditionDict],
    subject: str,
    deadline: int,
    stamp: str,
    now: float,
    seconds_at: Callable[[str], float],
) -> list[DeploymentConditionDict]:
    """Set Progressing while a rollout is under way: complete, progressing or timed out."""
    progressing = progressing_of(deployment)
    before, after = figures_of(deployment.get("status") or {}), figures_of(status)
    if is_complete(after, deployment["spec"]["replicas"]):
        message = f"{subject} has successfully progressed."
        return with_condition(conditions, condition(PROGRESSING, "True", FINISHED, message, stamp))
    if is_progressing(before, after):
        message = f"{subject} is progressing."
        new = condition(PROGRESSING, "True", "ReplicaSetUpdated", message, stamp)
        if progressing is not None and progressing.get("status") == "True":
            new["lastTransitionTime"] = cast(str, progressing.get("lastTransitionTime"))
        return [*without_condition(conditions, PROGRESSING), new]
    if progressing is None:
        return conditions
    since = seconds_at(progressing["lastUpdateTime"])
    if has_timed_out(str(progressing.get("reason")), since, deadline, now):
        message = f"{subject} has timed out progressing."
        new = condition(PROGRESSING, "False", TIMED_OUT, message, stamp)
        return with_condition(conditions, new)
    return conditions


def _replica_failure(
    new: ReplicaSetDict | None, replicasets: Sequence[ReplicaSetDict]
) -> DeploymentConditionDict | None:
    """Return the first ReplicaFailure condition; the new ReplicaSet comes first."""
    for replicaset in ([new] if new is not None else []) + list(replicasets):
        failure = get_condition(replicaset, FAILURE)
        if failure is not None:
            updated = cast(str, failure.get("lastTransitionTime"))
            return cast("DeploymentConditionDict", {**failure, "lastUpdateTime": updated})
    return None


def figures_of(status: DeploymentStatusDict, generation: int | None = None) -> RolloutStatus:
    """Return the counters of a Deployment's status.

    Args:
        status: the document's status.
        generation: metadata.generation to compare with observedGeneration; None: ignore it.
    """
    return RolloutStatus(
        replicas=status.get("replicas", 0),
        updated=status.get("updatedReplicas", 0),
        ready=status.get("readyReplicas", 0),
        available=status.get("availableReplicas", 0),
        observed=generation is None or status.get("observedGeneration", 0) >= generation,
    )


def pause_condition(deployment: DeploymentDict, now: str) -> DeploymentConditionDict | None:
    """Return the condition Progressing after a pause or resume; None if it does not change.

    A rollout that timed out stays so, paused or not; resuming resets the deadline.
    """
    if deadline_of(deployment) is None:
        return None
    progressing = progressing_of(deployment) or {}
    if progressing.get("reason") == TIMED_OUT:
        return None
    paused, was_paused = bool(deployment["spec"].get("paused")), progressing.get("reason") == PAUSED
    if paused and not was_paused:
        return condition(PROGRESSING, "Unknown", PAUSED, "Deployment is paused", now)
    if not paused and was_paused:
        return condition(PROGRESSING, "Unknown", RESUMED, "Deployment is resumed", now)
    return None


def recheck_after(
    deployment: DeploymentDict, now: float, seconds_at: Callable[[str], float]
) -> float | None:
    """Return the seconds after which progress must be checked again; None: never.

    Args:
        deployment: the document with its newest status.
        now: in seconds.
        seconds_at: converts an RFC 3339 timestamp to seconds.
    """
    deadline, condition = deadline_of(deployment), progressing_of(deployment)
    if deadline is None or condition is None or condition.get("reason") in (TIMED_OUT, FINISHED):
        return None
    figures = figures_of(deployment.get("status") or {})
    if is_complete(figures, deployment["spec"]["replicas"]):
        return None
    remaining = seconds_at(condition["lastUpdateTime"]) + deadline - now
    # Below a second upstream requeues at once, repeatedly; ours once, just after the deadline.
    if remaining < 1.0:
        return max(remaining, 0.0) + _RECHECK_EPSILON_SECONDS
    return remaining + RECHECK_MARGIN_SECONDS
