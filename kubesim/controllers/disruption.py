"""PodDisruptionBudget arithmetic: how many pods may be evicted right now.

A budget protects a set of pods from *voluntary* disruption: `kubectl drain`, an eviction by the
API. It does not hold back deletions, scale-downs or rollouts; these only lower the number of
healthy pods that it counts.

>>> budget = Budget(max_unavailable="30%")
>>> desired_healthy(budget, expected=7)        # percentages round up, so 3 may be missing
4
>>> disruptions_allowed(healthy=7, desired=4, expected=7)
3

Source: pkg/controller/disruption/disruption.go, pkg/registry/core/pod/storage/eviction.go.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from kubesim.controllers.rollout import scaled_value


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


class EvictionVerdict(Enum):
    """What the eviction subresource answers."""

    DELETE = "delete the pod, the budget is not touched"
    CONSUME = "delete the pod and take one from the budget"
    RETRY = "429: the budget's status is not up to date yet"
    REFUSE = "429: it would violate the budget"
    AMBIGUOUS = "500: more than one budget matches"


@dataclass(frozen=True, slots=True)
class BudgetStatus:
    """What the disruption controller wrote last.

    Attributes:
        allowed: status.disruptionsAllowed.
        healthy: status.currentHealthy.
        desired: status.desiredHealthy.
        observed: the newest generation was seen.
        always_allow_unhealthy: of the spec.
    """

    allowed: int
    healthy: int
    desired: int
    observed: bool = True
    always_allow_unhealthy: bool = False


def eviction_verdict(
    budgets: list[BudgetStatus], *, phase: str, terminating: bool, ready: bool
) -> EvictionVerdict:
    """Whether one pod may be evicted.

    Args:
        budgets: statuses of the budgets that match the pod.
        phase: of the pod; a pod that is not running needs no permission.
        terminating: the pod has a deletionTimestamp.
        ready: condition Ready is True.
    """
    if phase in ("Pending", "Succeeded", "Failed") or terminating or not budgets:
        return EvictionVerdict.DELETE
    if len(budgets) > 1:
        return EvictionVerdict.AMBIGUOUS
    budget = budgets[0]
    enough = budget.healthy >= budget.desired > 0
    if not ready and (budget.always_allow_unhealthy or enough):
        return EvictionVerdict.DELETE
    if not budget.observed:
        return EvictionVerdict.RETRY
    return EvictionVerdict.CONSUME if budget.allowed > 0 else EvictionVerdict.REFUSE
