"""Preemption, the decision: which pods to delete so that a pod fits, and on which node.

Pure functions; they work on copies of nodes and of plug-in states.

Source: pkg/scheduler/framework/preemption/preemption.go,
pkg/scheduler/framework/plugins/defaultpreemption/default_preemption.go, pkg/scheduler/util.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from kubesim.objects import meta
from kubesim.objects.meta import get_condition
from kubesim.objects.wellknown import DISRUPTION_TARGET
from kubesim.scheduler.framework.cycle_state import CycleState
from kubesim.scheduler.framework.handle import Nominator, filter_with_nominated
from kubesim.scheduler.framework.nodeinfo import NodeInfo
from kubesim.scheduler.framework.podinfo import priority_of, selector_or_nothing
from kubesim.scheduler.framework.runtime import Framework
from kubesim.scheduler.framework.status import Status

if TYPE_CHECKING:
    from kubesim.objects.types import PodDict, PodDisruptionBudgetDict

NO_VICTIMS = "No preemption victims found for incoming pod"
NOT_HELPFUL = "Preemption is not helpful for scheduling"
NEVER = "not eligible due to preemptionPolicy=Never."
TERMINATING = "not eligible due to a terminating pod on the nominated node."
BY_SCHEDULER = "PreemptionByScheduler"
Started: TypeAlias = Callable[["PodDict"], float]
"""started(pod) -> simulated second at which the pod started; the current one if it has not."""


@dataclass(frozen=True, slots=True)
class PreemptionCandidate:
    """A node, and the pods that must be deleted to make room there.

    Attributes:
        node: name of the node.
        victims: the pods, most important first; at least one.
        violations: how many of them a PodDisruptionBudget protects.
    """

    node: str
    victims: tuple[PodDict, ...]
    violations: int = 0


def why_not_eligible(pod: PodDict, node: NodeInfo | None, unresolvable: bool) -> str:
    """Return why a pod may not preempt others now; "" if it may.

    Args:
        pod: the preemptor.
        node: the node that the pod is nominated to already; None without one.
        unresolvable: whether the filters refused that node as unresolvable.
    """
    if (pod.get("spec") or {}).get("preemptionPolicy") == "Never":
        return NEVER
    if node is None or unresolvable:
        return ""
    for other in node.pods.values():
        if priority_of(other) < priority_of(pod) and is_terminating_victim(other):
            return TERMINATING
    return ""


def is_terminating_victim(pod: PodDict) -> bool:
    """Return whether a pod is being deleted because a scheduler preempted it."""
    condition = get_condition(pod, DISRUPTION_TARGET) or {}
    return (
        meta.is_terminating(pod)
        and condition.get("status") == "True"
        and condition.get("reason") == BY_SCHEDULER
    )


def importance(pod: PodDict, started: Started) -> tuple[int, float]:
    """Return the sorting key for victims: higher priority first, then earlier start."""
    return (-priority_of(pod), started(pod))


def split_by_budgets(
    pods: Sequence[PodDict], budgets: Sequence[PodDisruptionBudgetDict]
) -> tuple[list[PodDict], list[PodDict]]:
    """Split pods by whether their deletion would violate a PodDisruptionBudget.

    Args:
        pods: most important first.
        budgets: PodDisruptionBudgets; each deletion uses up one of status.disruptionsAllowed.

    Returns:
        (pods that violate a budget, the other pods), each in the given order.
    """
    allowed = [int((b.get("status") or {}).get("disruptionsAllowed") or 0) for b in budgets]
    violating: list[PodDict] = []
    others: list[PodDict] = []
    for pod in pods:
        violates = False
        labels = meta.labels_of(pod)
        for i, budget in enumerate(budgets if labels else ()):
            if meta.namespace_of(budget) != meta.namespace_of(pod):
                continue
            selector = selector_or_nothing((budget.get("spec") or {}).get("selector"))
            if selector.empty or not selector.matches(labels):
                continue
            if meta.name_of(pod) in ((budget.get("status") or {}).get("disruptedPods") or {}):
                continue  # its deletion was counted by the API server already
            allowed[i] -= 1
            violates = violates or allowed[i] < 0
        (violating if violates else others).append(pod)
    return violating, others


def select_victims(
    framework: Framework,
    nominator: Nominator,
    pod: PodDict,
    node: NodeInfo,
    state: CycleState,
    budgets: Sequence[PodDisruptionBudgetDict],
    started: Started,
) -> PreemptionCandidate | Status:
    """Select the pods to delete from one node so that a pod fits.

    All pods of lower priority are removed. If the pod fits then, they are put back one by one, pods
    protected by a budget first and more important ones first, as long as the pod still fits.

    Args:
        framework: runs the filters.
        nominator: knows the nominated pods.
        pod: the preemptor.
        node: a copy of the node; it is changed.
        state: a copy of the attempt's state; it is changed.
        budgets: PodDisruptionBudgets.
        started: see `Started`.

    Returns:
        The candidate; or a status that says why preemption does not help on this node.
    """
    priority = priority_of(pod)
    lower = [other for other in node.pods.values() if priority_of(other) < priority]
    if not lower:
        return Status.unresolvable(NO_VICTIMS)
    for other in lower:
        framework.remove_pod(pod, other, node, state)
    status = filter_with_nominated(framework, nominator, pod, node, state)
    if not status.ok:
        return status
    lower.sort(key=lambda other: importance(other, started))
    violating, others = split_by_budgets(lower, budgets)
    victims: list[PodDict] = []

    def reprieve(other: PodDict) -> bool:
        framework.add_pod(pod, other, node, state)
        if filter_with_nominated(framework, nominator, pod, node, state).ok:
            return True
        framework.remove_pod(pod, other, node, state)
        victims.append(other)
        return False

    violations = sum(not reprieve(other) for other in violating)
    for other in others:
        reprieve(other)
    victims.sort(key=lambda other: importance(other, started))
    if not victims:
        return Status.error(f'expected at least one victim pod on node "{node.name}"')
    return PreemptionCandidate(node.name, tuple(victims), violations)


def find_candidates(
    framework: Framework,
    nominator: Nominator,
    pod: PodDict,
    nodes: Sequence[NodeInfo],
    state: CycleState,
    started: Started,
    *,
    offset: int,
    wanted: int,
) -> tuple[list[PreemptionCandidate], dict[str, Status]]:
    """Dry-run preemption on nodes until enough candidates are found.

    The search ends when there are `wanted` candidates and one of them violates no budget.

    Args:
        framework, nominator, pod, started: as for `select_victims`.
        nodes: the nodes on which removing pods could help.
        state: of this attempt; it is not changed.
        offset: index of the first node.
        wanted: how many candidates are enough.

    Returns:
        The candidates, those that violate no budget first; and node -> why it is no candidate.
    """
    non_violating: list[PreemptionCandidate] = []
    violating: list[PreemptionCandidate] = []
    refused: dict[str, Status] = {}
    budgets, priority = state.snapshot.world.budgets(), priority_of(pod)
    for turn in range(len(nodes)):
        node = nodes[(offset + turn) % len(nodes)]
        if all(priority_of(other) >= priority for other in node.pods.values()):
            refused[node.name] = Status.unresolvable(NO_VICTIMS)  # no copy needed
            continue
        result = select_victims(
            framework, nominator, pod, node.clone(), state.clone(), budgets, started
        )
        if isinstance(result, Status):
            refused[node.name] = result
            continue
        (violating if result.violations else non_violating).append(result)
        if non_violating and len(non_violating) + len(violating) >= wanted:
            break
    return non_violating + violating, refused


def pick_node(candidates: Sequence[PreemptionCandidate], started: Started) -> PreemptionCandidate:
    """Return the candidate where preemption does the least harm.

    The criteria in order: fewest violated budgets; lowest priority of the most important victim;
    smallest sum of priorities; fewest victims; latest start of the most important victims; then the
    first candidate.

    Args:
        candidates: at least one.
        started: see `Started`.
    """

    def eviction_cost(candidate: PreemptionCandidate) -> tuple[int, int, int, int, float]:
        priorities = [priority_of(pod) for pod in candidate.victims]
        top = max(priorities)
        earliest = min(started(pod) for pod in candidate.victims if priority_of(pod) == top)
        # Shifted, so that more victims never have a smaller sum, even with negative priorities.
        total = sum(priority + 2**31 for priority in priorities)
        return (candidate.violations, top, total, len(priorities), -earliest)

    return min(candidates, key=eviction_cost)


def enough_candidates(nodes: int, percent: int, least: int) -> int:
    """Return how many candidates to look for.

    Args:
        nodes: number of nodes on which removing pods could help.
        percent: part of the nodes, in percent.
        least: at least that many; never more than `nodes`.

    >>> [enough_candidates(nodes, 10, 100) for nodes in (5000, 300, 7)]
    [500, 100, 7]
    """
    return min(nodes, max(nodes * percent // 100, least))
