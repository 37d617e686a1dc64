"""Preemption, the decision: who would have to go so that a pod fits, and on which node.

Pure: it tries things out on copies of nodes and of plug-in states.

Source: pkg/scheduler/framework/preemption/preemption.go,
pkg/scheduler/framework/plugins/defaultpreemption/default_preemption.go, pkg/scheduler/util.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kubesim.objects import meta
from kubesim.objects.conditions import get_condition
from kubesim.objects.frozen import Document
from kubesim.objects.wellknown import DISRUPTION_TARGET
from kubesim.scheduler.framework.cycle_state import CycleState
from kubesim.scheduler.framework.handle import Nominator, filter_with_nominated
from kubesim.scheduler.framework.nodeinfo import NodeInfo
from kubesim.scheduler.framework.podinfo import priority_of, selector_or_nothing
from kubesim.scheduler.framework.runtime import Framework
from kubesim.scheduler.framework.status import Status

NO_VICTIMS = "No preemption victims found for incoming pod"
NOT_HELPFUL = "Preemption is not helpful for scheduling"
NEVER = "not eligible due to preemptionPolicy=Never."
TERMINATING = "not eligible due to a terminating pod on the nominated node."
BY_SCHEDULER = "PreemptionByScheduler"
Started = Callable[[Document], float]
"""started(pod) -> second at which it started to run; of a pod that has not, now."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A node and the pods that would have to go.

    Attributes:
        node: its name.
        victims: most important first; at least one.
        violations: how many of them a disruption budget protects.
    """

    node: str
    victims: tuple[Document, ...]
    violations: int = 0


def why_not_eligible(pod: Document, node: NodeInfo | None, unresolvable: bool) -> str:
    """Why a pod may not preempt now; "" if it may.

    Args:
        pod: the preemptor.
        node: the node that it is nominated to already, if that exists.
        unresolvable: the filters said of that node that nothing would help.
    """
    if (pod.get("spec") or {}).get("preemptionPolicy") == "Never":
        return NEVER
    if node is None or unresolvable:
        return ""
    for other in node.pods.values():
        if priority_of(other) < priority_of(pod) and going_by_preemption(other):
            return TERMINATING
    return ""


def going_by_preemption(pod: Document) -> bool:
    """It is being deleted because a scheduler made room."""
    condition = get_condition(pod, DISRUPTION_TARGET) or {}
    return (
        meta.is_terminating(pod)
        and condition.get("status") == "True"
        and condition.get("reason") == BY_SCHEDULER
    )


def importance(pod: Document, started: Started) -> tuple[int, float]:
    """Sorting key: higher priority first, then who runs for longer."""
    return (-priority_of(pod), started(pod))


def split_by_budgets(
    pods: Sequence[Document], budgets: Sequence[Document]
) -> tuple[list[Document], list[Document]]:
    """(pods whose loss would violate a budget, the others), each in the given order.

    Args:
        pods: most important first.
        budgets: PodDisruptionBudgets; status.disruptionsAllowed is counted down.
    """
    allowed = [int((b.get("status") or {}).get("disruptionsAllowed") or 0) for b in budgets]
    violating: list[Document] = []
    others: list[Document] = []
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
                continue  # the API server knows of its going and has counted it
            allowed[i] -= 1
            violates = violates or allowed[i] < 0
        (violating if violates else others).append(pod)
    return violating, others


def select_victims(
    framework: Framework,
    nominator: Nominator,
    pod: Document,
    node: NodeInfo,
    state: CycleState,
    budgets: Sequence[Document],
    started: Started,
) -> Candidate | Status:
    """Who would have to go from one node; or why that would not help.

    All pods of lower priority are taken away; if the pod fits then, they are put back one by one,
    those under a budget first, the most important first, as long as the pod still fits.

    Args:
        framework, nominator: run the filters.
        pod: the preemptor.
        node, state: copies, which are changed.
        budgets: PodDisruptionBudgets.
        started: see `Started`.
    """
    mine = priority_of(pod)
    lower = [other for other in node.pods.values() if priority_of(other) < mine]
    if not lower:
        return Status.unresolvable(NO_VICTIMS)
    for other in lower:
        framework.remove_pod(pod, other, node, state)
    status = filter_with_nominated(framework, nominator, pod, node, state)
    if not status.ok:
        return status
    lower.sort(key=lambda other: importance(other, started))
    violating, others = split_by_budgets(lower, budgets)
    victims: list[Document] = []

    def stays(other: Document) -> bool:
        framework.add_pod(pod, other, node, state)
        if filter_with_nominated(framework, nominator, pod, node, state).ok:
            return True
        framework.remove_pod(pod, other, node, state)
        victims.append(other)
        return False

    violations = sum(not stays(other) for other in violating)
    for other in others:
        stays(other)
    victims.sort(key=lambda other: importance(other, started))
    if not victims:
        return Status.error(f'expected at least one victim pod on node "{node.name}"')
    return Candidate(node.name, tuple(victims), violations)


def find_candidates(
    framework: Framework,
    nominator: Nominator,
    pod: Document,
    nodes: Sequence[NodeInfo],
    state: CycleState,
    started: Started,
    *,
    offset: int,
    wanted: int,
) -> tuple[list[Candidate], dict[str, Status]]:
    """Dry runs until enough nodes are found, one of them without harm to a budget.

    Args:
        framework, nominator, pod, state, started: as for `select_victims`.
        nodes: those on which removing pods could help.
        offset: where to begin.
        wanted: how many candidates are enough.

    Returns:
        The candidates, those that harm no budget first; and why the other nodes are none.
    """
    clean: list[Candidate] = []
    harmful: list[Candidate] = []
    refused: dict[str, Status] = {}
    budgets, mine = state.snapshot.world.budgets(), priority_of(pod)
    for turn in range(len(nodes)):
        node = nodes[(offset + turn) % len(nodes)]
        if all(priority_of(other) >= mine for other in node.pods.values()):
            refused[node.name] = Status.unresolvable(NO_VICTIMS)  # without copying anything
            continue
        found = select_victims(
            framework, nominator, pod, node.clone(), state.clone(), budgets, started
        )
        if isinstance(found, Status):
            refused[node.name] = found
            continue
        (harmful if found.violations else clean).append(found)
        if clean and len(clean) + len(harmful) >= wanted:
            break
    return clean + harmful, refused


def pick_node(candidates: Sequence[Candidate], started: Started) -> Candidate:
    """The node where preemption does least harm.

    Fewest budgets violated; lowest top priority; smallest sum of priorities; fewest victims; the
    most important victims that started last; then the first.
    """

    def harm(candidate: Candidate) -> tuple[int, int, int, int, float]:
        priorities = [priority_of(pod) for pod in candidate.victims]
        top = max(priorities)
        begun = min(started(pod) for pod in candidate.victims if priority_of(pod) == top)
        # Shifted, so that more victims never make a smaller sum, even with negative priorities.
        total = sum(priority + 2**31 for priority in priorities)
        return (candidate.violations, top, total, len(priorities), -begun)

    return min(candidates, key=harm)


def enough_candidates(nodes: int, percent: int, least: int) -> int:
    """How many candidates are looked for: a part of the nodes, at least so many, at most all.

    >>> [enough_candidates(nodes, 10, 100) for nodes in (5000, 300, 7)]
    [500, 100, 7]
    """
    return min(nodes, max(nodes * percent // 100, least))
