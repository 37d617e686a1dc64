"""What a Deployment says of itself: counters and conditions, as pure functions of documents.

Three conditions: Available (enough pods serve), Progressing (the rollout gets on, or did in time),
ReplicaFailure (a ReplicaSet cannot make or delete pods). Whoever waits for a rollout waits for
Progressing to become True with the reason NewReplicaSetAvailable, or False.

>>> condition("Available", "True", "MinimumReplicasAvailable", "", "2025-01-01T00:00:00Z")["type"]
'Available'

Source: pkg/controller/deployment/progress.go, sync.go (calculateStatus),
util/deployment_util.go (SetDeploymentCondition, DeploymentTimedOut).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kubesim.controllers.deployment.rolling import (
    RolloutStatus,
    has_timed_out,
    is_complete,
    is_progressing,
)
from kubesim.objects import meta
from kubesim.objects.conditions import get_condition
from kubesim.objects.frozen import Document
from kubesim.objects.wellknown import MAX_INT32

AVAILABLE, PROGRESSING, FAILURE = "Available", "Progressing", "ReplicaFailure"
TIMED_OUT = "ProgressDeadlineExceeded"
FINISHED = "NewReplicaSetAvailable"
PAUSED, RESUMED = "DeploymentPaused", "DeploymentResumed"
NO_DEADLINE = MAX_INT32  # progressDeadlineSeconds that stands for none
RECHECK_MARGIN_SECONDS = 1.0  # after the deadline: it is compared strictly
_MOMENT = 0.001


def deadline_of(deployment: Mapping[str, Any]) -> int | None:
    """spec.progressDeadlineSeconds; None if progress is not watched."""
    seconds = deployment["spec"].get("progressDeadlineSeconds")
    return None if seconds is None or seconds == NO_DEADLINE else int(seconds)


def condition(type: str, status: str, reason: str, message: str, now: str) -> Document:
    """A condition of a Deployment, which also says when it was last looked at."""
    return {
        "type": type,
        "status": status,
        "lastUpdateTime": now,
        "lastTransitionTime": now,
        "reason": reason,
        "message": message,
    }


def with_condition(conditions: Sequence[Document], new: Document) -> list[Document]:
    """The list with a condition set, at its end; equal status and reason change nothing.

    Equal status keeps lastTransitionTime.
    """
    for known in conditions:
        if known.get("type") == new["type"] and known.get("status") == new["status"]:
            if known.get("reason") == new["reason"]:
                return list(conditions)
            new = {**new, "lastTransitionTime": known.get("lastTransitionTime")}
    return [*without_condition(conditions, new["type"]), new]


def without_condition(conditions: Sequence[Document], type: str) -> list[Document]:
    """The list without the condition of a type."""
    return [known for known in conditions if known.get("type") != type]


def counters(
    deployment: Mapping[str, Any], new: Document | None, replicasets: Sequence[Document]
) -> dict[str, int]:
    """Sums over the ReplicaSets' status.

    Args:
        deployment: the document.
        new: its new ReplicaSet, if there is one.
        replicasets: all of its ReplicaSets, the new one included.
    """

    def total(field: str) -> int:
        return sum((rs.get("status") or {}).get(field, 0) for rs in replicasets)

    available = total("availableReplicas")
    wanted = sum(rs["spec"].get("replicas", 0) for rs in replicasets)
    return {
        "observedGeneration": meta.generation_of(deployment),
        "replicas": total("replicas"),
        "updatedReplicas": ((new or {}).get("status") or {}).get("replicas", 0),
        "readyReplicas": total("readyReplicas"),
        "availableReplicas": available,
        "unavailableReplicas": max(0, wanted - available),
    }


def basic_status(
    deployment: Mapping[str, Any],
    new: Document | None,
    replicasets: Sequence[Document],
    max_unavailable: int,
    now: str,
) -> Document:
    """Counters and the condition Available; Progressing stays as it is. What is zero is left out.

    Args:
        deployment, new, replicasets: as for `counters`.
        max_unavailable: resolved, 0 for Recreate.
        now: RFC 3339.
    """
    old = deployment.get("status") or {}
    counted = counters(deployment, new, replicasets)
    if counted["availableReplicas"] >= deployment["spec"]["replicas"] - max_unavailable:
        said = "Deployment has minimum availability."
        available = condition(AVAILABLE, "True", "MinimumReplicasAvailable", said, now)
    else:
        said = "Deployment does not have minimum availability."
        available = condition(AVAILABLE, "False", "MinimumReplicasUnavailable", said, now)
    status: Document = {name: count for name, count in counted.items() if count}
    if old.get("collisionCount") is not None:
        status["collisionCount"] = old["collisionCount"]
    status["conditions"] = with_condition(old.get("conditions") or (), available)
    return status


def rollout_status(
    deployment: Mapping[str, Any],
    new: Document | None,
    replicasets: Sequence[Document],
    max_unavailable: int,
    stamp: str,
    now: float,
    seconds_at: Callable[[str], float],
) -> Document:
    """The whole status after a pass of the rollout: also Progressing and ReplicaFailure.

    Args:
        deployment, new, replicasets, max_unavailable: as for `basic_status`.
        stamp: RFC 3339, whole seconds.
        now: the same moment in seconds, with their fraction.
        seconds_at: seconds of an RFC 3339 text.
    """
    status = basic_status(deployment, new, replicasets, max_unavailable, stamp)
    conditions = status["conditions"]
    deadline = deadline_of(deployment)
    known = get_condition(deployment, PROGRESSING)
    if deadline is None:
        conditions = without_condition(conditions, PROGRESSING)
    else:
        finished = known is not None and known.get("reason") == FINISHED
        if not finished or status.get("replicas", 0) != status.get("updatedReplicas", 0):
            who = f'ReplicaSet "{meta.name_of(new)}"' if new is not None else ""
            who = who or f'Deployment "{meta.name_of(deployment)}"'
            conditions = _estimate(
                deployment, status, conditions, who, deadline, stamp, now, seconds_at
            )
    failure = _replica_failure(new, replicasets)
    if failure is None:
        conditions = without_condition(conditions, FAILURE)
    else:
        conditions = with_condition(conditions, failure)
    status["conditions"] = conditions
    return status


def _estimate(
    deployment: Mapping[str, Any],
    status: Document,
    conditions: list[Document],
    who: str,
    deadline: int,
    stamp: str,
    now: float,
    seconds_at: Callable[[str], float],
) -> list[Document]:
    """Progressing, while a rollout is under way: complete, progressing or timed out."""
    known = get_condition(deployment, PROGRESSING)
    before, after = figures_of(deployment.get("status") or {}), figures_of(status)
    if is_complete(after, deployment["spec"]["replicas"]):
        said = f"{who} has successfully progressed."
        return with_condition(conditions, condition(PROGRESSING, "True", FINISHED, said, stamp))
    if is_progressing(before, after):
        said = f"{who} is progressing."
        new = condition(PROGRESSING, "True", "ReplicaSetUpdated", said, stamp)
        if known is not None and known.get("status") == "True":
            new["lastTransitionTime"] = known.get("lastTransitionTime")
        return [*without_condition(conditions, PROGRESSING), new]
    if known is None:
        return conditions
    since = seconds_at(known["lastUpdateTime"])
    if has_timed_out(str(known.get("reason")), since, deadline, now):
        said = f"{who} has timed out progressing."
        return with_condition(conditions, condition(PROGRESSING, "False", TIMED_OUT, said, stamp))
    return conditions


def _replica_failure(new: Document | None, replicasets: Sequence[Document]) -> Document | None:
    """The first failure, that of the new ReplicaSet before all others'."""
    for replicaset in ([new] if new is not None else []) + list(replicasets):
        found = get_condition(replicaset, FAILURE)
        if found is not None:
            return {**found, "lastUpdateTime": found.get("lastTransitionTime")}
    return None


def figures_of(status: Mapping[str, Any], generation: int | None = None) -> RolloutStatus:
    """A Deployment's status as the figures that decide.

    Args:
        status: the document's status.
        generation: metadata.generation, if it matters whether the controller has seen it.
    """
    return RolloutStatus(
        replicas=status.get("replicas", 0),
        updated=status.get("updatedReplicas", 0),
        ready=status.get("readyReplicas", 0),
        available=status.get("availableReplicas", 0),
        observed=generation is None or status.get("observedGeneration", 0) >= generation,
    )


def pause_condition(deployment: Mapping[str, Any], now: str) -> Document | None:
    """The condition that a pause or its end asks for; None if there is nothing to say.

    A rollout that timed out stays so, paused or not; resuming starts the deadline over.
    """
    if deadline_of(deployment) is None:
        return None
    known = get_condition(deployment, PROGRESSING) or {}
    if known.get("reason") == TIMED_OUT:
        return None
    paused, said_so = bool(deployment["spec"].get("paused")), known.get("reason") == PAUSED
    if paused and not said_so:
        return condition(PROGRESSING, "Unknown", PAUSED, "Deployment is paused", now)
    if not paused and said_so:
        return condition(PROGRESSING, "Unknown", RESUMED, "Deployment is resumed", now)
    return None


def recheck_after(
    deployment: Mapping[str, Any], now: float, seconds_at: Callable[[str], float]
) -> float | None:
    """In how many seconds to look at progress again, if nothing happens; None: no need.

    Args:
        deployment: the document with its newest status.
        now: in seconds.
        seconds_at: seconds of an RFC 3339 text.
    """
    deadline, known = deadline_of(deployment), get_condition(deployment, PROGRESSING)
    if deadline is None or known is None or known.get("reason") in (TIMED_OUT, FINISHED):
        return None
    figures = figures_of(deployment.get("status") or {})
    if is_complete(figures, deployment["spec"]["replicas"]):
        return None
    left = seconds_at(known["lastUpdateTime"]) + deadline - now
    # Upstream asks at once, again and again, below a second; ours at the first moment that counts.
    return max(left, 0.0) + _MOMENT if left < 1.0 else left + RECHECK_MARGIN_SECONDS
