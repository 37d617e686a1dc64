"""PodDisruptionBudget arithmetic: how many disruptions are allowed.

A budget protects pods from *voluntary* disruptions: `kubectl drain` and the eviction API. It does
not prevent deletions, scale-downs or rollouts; these only lower the number of healthy pods.

>>> budget = Budget(max_unavailable="30%")
>>> desired_healthy(budget, expected=7)        # percentages round up, so 3 may be missing
4
>>> disruptions_allowed(healthy=7, desired=4, expected=7)
3

The API server decides whether one pod may be evicted: `eviction_verdict`, which is exported here,
too.

Source: pkg/controller/disruption/disruption.go, pkg/registry/core/pod/storage/eviction.go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from kubesim.apiserver.verbs.eviction import BudgetStatus, EvictionVerdict, eviction_verdict
from kubesim.objects.intstr import scaled_value
from kubesim.quantity import count_of

DELETION_TIMEOUT_SECONDS = 120.0  # an evicted pod is expected to be terminating by then


@dataclass(frozen=True, slots=True)
class Budget:
    """The spec of a PodDisruptionBudget: exactly one of the two is set.

    Attributes:
        min_available: pods that must stay healthy: a number or a percentage.
        max_unavailable: pods that may be unavailable: a number or a percentage.
        always_allow_unhealthy: unhealthyPodEvictionPolicy is AlwaysAllow.
    """

    min_available: int | str | None = None
    max_unavailable: int | str | None = None
    always_allow_unhealthy: bool = False


def desired_healthy(budget: Budget, expected: int) -> int:
    """Return how many pods must be healthy.

    Args:
        budget: the budget's spec.
        expected: for an integer minAvailable the number of matching pods; otherwise the sum of
            spec.replicas of the distinct controllers of those pods.
    """
    if budget.max_unavailable is not None:
        return max(0, expected - scaled_value(budget.max_unavailable, expected, round_up=True))
    return scaled_value(budget.min_available, expected, round_up=True)


def disruptions_allowed(*, healthy: int, desired: int, expected: int) -> int:
    """Return how many disruptions are allowed; 0 while no pod is expected.

    Args:
        healthy: number of healthy pods.
        desired: number of pods that must be healthy.
        expected: number of expected pods.
    """
    return max(0, healthy - desired) if expected > 0 else 0


def way_out_of_budget(budget: Budget, healthy: int, desired: int, expected: int) -> str:
    """Return what would make a budget allow an eviction that it does not allow.

    Args:
        budget: its spec.
        healthy, desired, expected: numbers of pods, as in its status.

    >>> way_out_of_budget(Budget(max_unavailable=0), healthy=3, desired=3, expected=3)
    'spec.maxUnavailable were 1 or more: as it is, no number of healthy pods helps'
    >>> way_out_of_budget(Budget(min_available=2), healthy=2, desired=2, expected=3)
    '3 pods are healthy (2 are)'
    """
    if not expected:
        return way_out_of_unmanaged(healthy) if healthy else "its selector matched a healthy pod"
    if desired < expected:
        verb = "is" if healthy == 1 else "are"
        return f"{count_of(desired + 1, 'pod is', 'pods are')} healthy ({healthy} {verb})"
    if not healthy:
        return "its pods become healthy (none is), and its rule allows one of them to go"
    hopeless = ": as it is, no number of healthy pods helps"
    if budget.min_available is None:
        return f"spec.maxUnavailable were {expected - healthy + 1} or more{hopeless}"
    change = f"spec.minAvailable were {healthy - 1} or less"
    if isinstance(budget.min_available, str):
        return change + hopeless
    return f"{change}, or the workload had {desired + 1} healthy pods or more"


def way_out_of_unmanaged(healthy: int) -> str:
    """Return what would help a budget whose number of expected pods cannot be told.

    Percentages and maxUnavailable need the replicas of a controller; a number of pods does not.
    """
    number = f"{healthy - 1} or less" if healthy > 1 else "0"
    return (
        f"spec.minAvailable were a number of pods ({number}) in place of the rule, or a "
        "controller with a scale subresource owned the pods"
    )


class BudgetPod(NamedTuple):
    """One pod that a budget's selector matches.

    Attributes:
        name: of the pod.
        ready: condition Ready is True.
        terminating: has a deletionTimestamp.
    """

    name: str
    ready: bool = True
    terminating: bool = False


class Disrupted(NamedTuple):
    """Pods that were evicted and are not terminating yet.

    Attributes:
        kept: the new status.disruptedPods: name -> RFC 3339 timestamp.
        overdue: names of pods that were not deleted in time; they count again.
        look_again: the second at which the first of `kept` is overdue; None: none.
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
    """Remove terminating, deleted and overdue pods from status.disruptedPods.

    Args:
        pods: the pods that the selector matches.
        noted: status.disruptedPods: name -> time of the eviction.
        now: in seconds; a pod is overdue *strictly* after DELETION_TIMEOUT_SECONDS.
        seconds_at: converts an RFC 3339 timestamp to seconds.
    """
    retained: dict[str, str] = {}
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
            retained[pod.name] = when
            due.append(deadline)
    return Disrupted(retained, tuple(overdue), min(due, default=None))


def healthy_pods(
    pods: Sequence[BudgetPod],
    disrupted: Mapping[str, str],
    now: float,
    seconds_at: Callable[[str], float],
) -> int:
    """Count the ready pods that are neither terminating nor evicted.

    Args:
        pods: the pods that the selector matches.
        disrupted: evicted pods, `Disrupted.kept`.
        now: in seconds; at exactly the timeout a pod counts again.
        seconds_at: converts an RFC 3339 timestamp to seconds.
    """

    def is_evicted(pod: BudgetPod) -> bool:
        when = disrupted.get(pod.name)
        return when is not None and seconds_at(when) + DELETION_TIMEOUT_SECONDS > now

    return sum(pod.ready and not pod.terminating and not is_evicted(pod) for pod in pods)


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
