"""What a Deployment says of itself: counters, conditions, deadlines, and what its pods wait for."""

from __future__ import annotations

from typing import Any

import pytest

from kubesim.controllers.deployment import progress as status
from kubesim.controllers.deployment.rolling import (
    RolloutStatus,
    has_timed_out,
    is_complete,
    is_progressing,
)
from kubesim.controllers.shared.podstatus import reasons_of, why_not_ready


def replicaset(name: str, size: int) -> dict[str, Any]:
    """A ReplicaSet that its controller has seen."""
    return {
        "metadata": {"name": name, "generation": 1},
        "spec": {"replicas": size, "template": {"spec": {}}},
        "status": {"replicas": size, "observedGeneration": 1},
    }


@pytest.mark.parametrize(
    ("before", "after", "better"),
    [
        (RolloutStatus(10, 3, 10, 10), RolloutStatus(10, 4, 10, 10), True),
        (RolloutStatus(13, 3, 10, 10), RolloutStatus(12, 3, 10, 10), True),
        (RolloutStatus(13, 3, 10, 10), RolloutStatus(13, 3, 11, 10), True),
        (RolloutStatus(13, 3, 10, 10), RolloutStatus(13, 3, 10, 11), True),
        (RolloutStatus(13, 3, 10, 10), RolloutStatus(13, 3, 10, 10), False),
        (RolloutStatus(13, 3, 10, 10), RolloutStatus(13, 3, 9, 9), False),
    ],
)
def test_progress(before: RolloutStatus, after: RolloutStatus, better: bool) -> None:
    """More updated, ready or available pods, or fewer old ones."""
    assert is_progressing(before, after) is better


def test_deadlines_are_strict() -> None:
    """Equality is in time; a finished rollout never times out, a timed-out one stays so."""
    assert not has_timed_out("ReplicaSetUpdated", 100.0, 600, 700.0)
    assert has_timed_out("ReplicaSetUpdated", 100.0, 600, 700.001)
    assert not has_timed_out("NewReplicaSetAvailable", 0.0, 1, 9999.0)
    assert has_timed_out("ProgressDeadlineExceeded", 9999.0, 600, 0.0)
    assert is_complete(RolloutStatus(3, 3, 3, 3), 3)
    assert not is_complete(RolloutStatus(3, 3, 3, 3, observed=False), 3)
    assert not is_complete(RolloutStatus(4, 3, 3, 3), 3)


def seconds(text: str) -> float:
    """Seconds of a text that is a number."""
    return float(text)


def deployment(**options: Any) -> dict[str, Any]:
    """A Deployment of three with its Progressing condition."""
    progress = options.pop("progress", None)
    conditions = [] if progress is None else [{"type": "Progressing", **progress}]
    counted = options.pop("counted", {})
    spec = {"replicas": 3, "progressDeadlineSeconds": 600, "template": {"spec": {}}, **options}
    return {
        "metadata": {"name": "web", "generation": 1},
        "spec": spec,
        "status": {**counted, "conditions": conditions},
    }


def full(name: str, pods: int, available: int | None = None) -> dict[str, Any]:
    """A ReplicaSet with its counters."""
    created = replicaset(name, size=pods)
    created["status"] |= {
        "readyReplicas": pods if available is None else available,
        "availableReplicas": pods if available is None else available,
    }
    return created


def progress_after(
    document: dict[str, Any], new: dict[str, Any], *others: dict[str, Any], now: float = 1000.0
) -> dict[str, Any] | None:
    """The condition Progressing after a pass."""
    result = status.rollout_status(document, new, [new, *others], 0, "1000", now, seconds)
    return next((c for c in result["conditions"] if c["type"] == "Progressing"), None)


def known(reason: str, value: str = "True", at: str = "100") -> dict[str, str]:
    """A stored condition."""
    return {"status": value, "reason": reason, "lastUpdateTime": at, "lastTransitionTime": at}


@pytest.mark.parametrize(
    ("progress", "counted", "new", "reason", "updated", "moved"),
    [
        # Complete.
        (known("ReplicaSetUpdated"), {}, full("r", 3), "NewReplicaSetAvailable", "1000", "100"),
        # Progressing always refreshes lastUpdateTime and keeps lastTransitionTime.
        (known("ReplicaSetUpdated"), {}, full("r", 3, 1), "ReplicaSetUpdated", "1000", "100"),
        # Not progressing and too late.
        (
            known("ReplicaSetUpdated"),
            {"replicas": 3, "updatedReplicas": 3, "readyReplicas": 1, "availableReplicas": 1},
            full("r", 3, 1),
            "ProgressDeadlineExceeded",
            "1000",
            "1000",
        ),
        # Not progressing, in time.
        (
            known("ReplicaSetUpdated", at="400"),
            {"replicas": 3, "updatedReplicas": 3, "readyReplicas": 1, "availableReplicas": 1},
            full("r", 3, 1),
            "ReplicaSetUpdated",
            "400",
            "400",
        ),
        # Timed out, then a pod becomes available: True again.
        (
            known("ProgressDeadlineExceeded", "False"),
            {"replicas": 3, "updatedReplicas": 3},
            full("r", 3, 1),
            "ReplicaSetUpdated",
            "1000",
            "1000",
        ),
        # A finished rollout that loses pods is not estimated any more.
        (
            known("NewReplicaSetAvailable"),
            {},
            full("r", 3, 0),
            "NewReplicaSetAvailable",
            "100",
            "100",
        ),
    ],
)
def test_the_condition_progressing(
    progress: Any, counted: Any, new: Any, reason: str, updated: str, moved: str
) -> None:
    """Complete, else progressing, else timed out; times as upstream keeps them."""
    result = progress_after(deployment(progress=progress, counted=counted), new)
    assert result is not None
    assert result["reason"] == reason
    assert (result["lastUpdateTime"], result["lastTransitionTime"]) == (updated, moved)


def test_messages_of_progress() -> None:
    """To the letter."""
    message = progress_after(deployment(), full("r", 3))
    assert message is not None
    assert message["message"] == 'ReplicaSet "r" has successfully progressed.'
    message = progress_after(deployment(), full("r", 3, 1))
    assert message is not None
    assert message["message"] == 'ReplicaSet "r" is progressing.'
    stuck = {"replicas": 3, "updatedReplicas": 3}
    late = deployment(progress=known("ReplicaSetUpdated"), counted=stuck)
    message = progress_after(late, full("r", 3, 0))
    assert message is not None
    assert message["message"] == 'ReplicaSet "r" has timed out progressing.'


def test_without_a_deadline_there_is_no_condition() -> None:
    """None and the greatest int32 both mean: never."""
    for deadline in (None, status.NO_DEADLINE):
        document = deployment(progress=known("X"), progressDeadlineSeconds=deadline)
        assert progress_after(document, full("r", 3)) is None
        assert status.pause_condition(document, "t") is None


def test_availability_and_counters() -> None:
    """Available while replicas - maxUnavailable are; zero counters are left out."""
    enough = status.basic_status(deployment(), full("r", 3, 2), [full("r", 3, 2)], 1, "t")
    assert enough["conditions"][-1] == {
        "type": "Available",
        "status": "True",
        "lastUpdateTime": "t",
        "lastTransitionTime": "t",
        "reason": "MinimumReplicasAvailable",
        "message": "Deployment has minimum availability.",
    }
    counters = {k: v for k, v in enough.items() if k != "conditions"}
    assert counters == {
        "observedGeneration": 1,
        "replicas": 3,
        "updatedReplicas": 3,
        "readyReplicas": 2,
        "availableReplicas": 2,
        "unavailableReplicas": 1,
    }
    few = status.basic_status(deployment(), None, [full("r", 3, 1)], 1, "t")
    assert few["conditions"][-1]["reason"] == "MinimumReplicasUnavailable"
    assert "updatedReplicas" not in few


def test_replica_failure_is_copied_and_taken_back() -> None:
    """From the new ReplicaSet, else from any; removed with theirs."""
    ill, well = full("old", 3), full("new", 3)
    failure = {
        "type": "ReplicaFailure",
        "status": "True",
        "reason": "FailedCreate",
        "message": "no",
    }
    ill["status"]["conditions"] = [failure]
    result = status.rollout_status(deployment(), well, [ill, well], 0, "5", 5.0, seconds)
    assert [c["reason"] for c in result["conditions"] if c["type"] == "ReplicaFailure"] == [
        "FailedCreate"
    ]
    again = status.rollout_status(
        {**deployment(), "status": result}, well, [full("old", 3), well], 0, "6", 6.0, seconds
    )
    assert all(c["type"] != "ReplicaFailure" for c in again["conditions"])


@pytest.mark.parametrize(
    ("paused", "progress", "reason"),
    [
        (True, known("ReplicaSetUpdated"), "DeploymentPaused"),
        (True, known("DeploymentPaused", "Unknown"), None),
        (True, known("ProgressDeadlineExceeded", "False"), None),
        (False, known("DeploymentPaused", "Unknown"), "DeploymentResumed"),
        (False, known("ReplicaSetUpdated"), None),
        (False, None, None),
    ],
)
def test_pausing_is_reported_once(paused: bool, progress: Any, reason: str | None) -> None:
    """And not at all by a rollout that timed out."""
    result = status.pause_condition(deployment(paused=paused, progress=progress), "t")
    assert (result and result["reason"]) == reason
    if result is not None:
        word = "paused" if paused else "resumed"
        assert (result["status"], result["message"]) == ("Unknown", f"Deployment is {word}")


def test_a_condition_of_equal_status_and_reason_changes_nothing() -> None:
    """Not even its message or its times; another reason keeps the time of the transition."""
    first = status.condition("A", "True", "R", "m", "1")
    assert status.with_condition([first], status.condition("A", "True", "R", "n", "2")) == [first]
    other = status.with_condition([first], status.condition("A", "True", "S", "n", "2"))[0]
    assert (other["lastUpdateTime"], other["lastTransitionTime"]) == ("2", "1")


@pytest.mark.parametrize(
    ("now", "after"),
    [(100.0, 601.0), (699.0, 2.0), (699.5, 0.501), (700.0, 0.001), (900.0, 0.001)],
)
def test_when_progress_is_checked_again(now: float, after: float) -> None:
    """A second after the deadline, or as soon as it counts when less than a second is left."""
    document = deployment(progress=known("ReplicaSetUpdated"))
    assert status.recheck_after(document, now, seconds) == pytest.approx(after)
    for reason in ("ProgressDeadlineExceeded", "NewReplicaSetAvailable"):
        assert status.recheck_after(deployment(progress=known(reason)), now, seconds) is None


@pytest.mark.parametrize(
    ("pod", "word"),
    [
        ({}, "Pending"),
        ({"metadata": {"deletionTimestamp": "t"}}, "Terminating"),
        ({"status": {"reason": "Evicted", "phase": "Failed"}}, "Evicted"),
        ({"spec": {"nodeName": "n"}, "status": {"phase": "Failed"}}, "Failed"),
        ({"spec": {"nodeName": "n"}, "status": {"phase": "Running"}}, "not ready"),
        (
            {"status": {"conditions": [{"type": "Ready", "status": "True"}], "phase": "Running"}},
            "Ready",
        ),
        (
            {
                "spec": {"nodeName": "n"},
                "status": {
                    "phase": "Running",
                    "containerStatuses": [{"state": {"waiting": {"reason": "CrashLoopBackOff"}}}],
                },
            },
            "CrashLoopBackOff",
        ),
    ],
)
def test_what_a_pod_waits_for(pod: dict[str, Any], word: str) -> None:
    """One word, as kubectl shows it."""
    assert why_not_ready(pod) == word
    assert reasons_of([pod, pod]) == {word: 2}
