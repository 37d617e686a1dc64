"""PodDisruptionBudget arithmetic: how many pods may be evicted right now.

A budget protects a set of pods from *voluntary* disruption: `kubectl drain`, an eviction by the
API. It does not hold back deletions, scale-downs or rollouts; these only lower the number of
healthy pods that it counts.

>>> budget = Budget(max_unavailable="30%")
>>> desired_healthy(budget, expected=7)        # percentages round up, so 3 may be missing
4
>>> disruptions_allowed(healthy=7, desired=4, expected=7)
3

Whether one pod may be evicted is decided by the API server: `eviction_verdict`, which stands here
under its old name, too.

Source: pkg/controller/disruption/disruption.go, pkg/registry/core/pod/storage/eviction.go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from kubesim.apiserver.verbs.eviction import BudgetStatus, EvictionVerdict, eviction_verdict
from kubesim.objects.intstr import scaled_value

DELETION_TIMEOUT_SECONDS = 120.0  # an evicted pod is expected to be on its way out by then


@dataclass(frozen=True, slots=True)
class Budget:
    """The spec of a PodDisruptionBudget: exactly one of the two is set.

    Attributes:
        min_available: pods that must stay healthy, a number or a percentage.
        max_unavailable: pods that may be missing, a number or a percentage.
        always_allow_unhealthy: unhealthyPodEvictionPolicy is AlwaysAllow.
    """

    min_available: int | str | None = None
    max_unavailable: int | str | None = None
    always_allow_unhealthy: bool = False


def desired_healthy(budget: Budget, expected: int) -> int:
    """How many pods must be healthy.

    Args:
        budget: the spec.
        expected: for an integer minAvailable the pods that match; otherwise the sum of
            spec.replicas of the distinct controllers of those pods.
    """
    if budget.max_unavailable is not None:
        return max(0, expected - scaled_value(budget.max_unavailable, expected, round_up=True))
    return scaled_value(budget.min_available, expected, round_up=True)


def disruptions_allowed(*, healthy: int, desired: int, expected: int) -> int:
    """How many may be evicted now; 0 while no pod is expected."""
    return max(0, healthy - desired) if expected > 0 else 0


class BudgetPod(NamedTuple):
    """What counts of a pod that a budget's selector matches.

    Attributes:
        name: of the pod.
        ready: condition Ready is True.
        terminating: has a deletionTimestamp.
    """

    name: str
    ready: bool = True
    terminating: bool = False


class Disrupted(NamedTuple):
    """Pods that were evicted and are not on their way out yet.

    Attributes:
        kept: status.disruptedPods as it goes on: name -> RFC 3339 text.
        overdue: names of pods that nobody deleted in time; they count again.
        look_again: the second at which the first of `kept` is due; None: nothing to wait for.
    """

    kept: dict[str, str]
    overdue: tuple[str, ...] = ()
    look_again: float | None = None


def still_disrupted(
    pods: Sequence[BudgetPod],
    noted: Mapping[str, str],
    now: float,
    seconds_at: Callable[[str], float],
) -> Disrupted:
    """What becomes of status.disruptedPods: done with what is terminating, gone or overdue.

    Args:
        pods: those that the selector matches.
        noted: status.disruptedPods: name -> when it was evicted.
        now: in seconds; overdue is *strictly* after DELETION_TIMEOUT_SECONDS.
        seconds_at: seconds of an RFC 3339 text.
    """
    kept: dict[str, str] = {}
    overdue: list[str] = []
    due: list[float] = []
    for pod in pods:
        when = noted.get(pod.name)
        if when is None or pod.terminating:
            continue
        deadline = seconds_at(when) + DELETION_TIMEOUT_SECONDS
        if deadline < now:
            overdue.append(pod.name)
        else:
            kept[pod.name] = when
            due.append(deadline)
    return Disrupted(kept, tuple(overdue), min(due, default=None))


def healthy_pods(
    pods: Sequence[BudgetPod],
    disrupted: Mapping[str, str],
    now: float,
    seconds_at: Callable[[str], float],
) -> int:
    """Ready pods that are neither on their way out nor about to be.

    Args:
        pods: those that the selector matches.
        disrupted: as `still_disrupted` kept it.
        now: in seconds; at exactly the timeout a pod counts again.
        seconds_at: seconds of an RFC 3339 text.
    """

    def expected_to_go(pod: BudgetPod) -> bool:
        when = disrupted.get(pod.name)
        return when is not None and seconds_at(when) + DELETION_TIMEOUT_SECONDS > now

    return sum(pod.ready and not pod.terminating and not expected_to_go(pod) for pod in pods)


__all__ = [
    "Budget",
    "BudgetPod",
    "BudgetStatus",
    "Disrupted",
    "EvictionVerdict",
    "desired_healthy",
    "disruptions_allowed",
    "eviction_verdict",
    "healthy_pods",
    "still_disrupted",
]
