"""Admission of a pod to a node: the kubelet checks again what the scheduler has checked.

The scheduler decides on its cache; two schedulers, a pod bound by hand or a node that came back
smaller can still bind a pod to a node without room. The kubelet then refuses it: the pod is Failed,
its object stays, and its controller creates another one.

Source: pkg/kubelet/lifecycle/predicate.go (generalFilter, InsufficientResourceError),
pkg/kubelet/eviction/eviction_manager.go (Admit).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from kubesim.objects.nodeaffinity import NO_AFFINITY, wants_node
from kubesim.objects.pods import (
    BEST_EFFORT,
    CRITICAL_PRIORITY,
    NOTHING,
    PodResources,
    pod_requests,
    qos_class,
)
from kubesim.objects.taints import taints_of, tolerates
from kubesim.objects.wellknown import MEMORY_PRESSURE, NO_EXECUTE, NO_SCHEDULE

if TYPE_CHECKING:
    from kubesim.objects.types import NodeDict, PodDict, TaintDict

NOT_TOLERATED = "node(s) had taints that the pod didn't tolerate"


def admission(
    pod: PodDict,
    running: Mapping[str, PodResources],
    allocatable: PodResources,
    max_pods: int,
    *,
    memory_pressure: bool = False,
    node: NodeDict | None = None,
) -> tuple[str, str] | None:
    """Return why a node refuses a pod, as (reason, message); None if it admits the pod.

    Args:
        pod: the pod that was bound to the node.
        running: requests of the node's pods, by key.
        allocatable, max_pods: what the node offers.
        memory_pressure: the node is short of memory: a BestEffort pod is refused unless it
            tolerates that or is critical.
        node: the newest Node, for its labels and taints; None: these are not checked.
    """
    if memory_pressure and not _admitted_under_pressure(pod):
        return "Evicted", "The node had condition: [MemoryPressure]. "
    if len(running) + 1 > max_pods:
        counts = f"requested: 1, used: {len(running)}, capacity: {max_pods}"
        return "OutOfpods", f"Node didn't have enough resource: pods, {counts}"
    request = pod_requests(pod)
    used = sum(running.values(), NOTHING)
    for resource, requested, in_use, offered in (
        ("cpu", request.cpu_milli, used.cpu_milli, allocatable.cpu_milli),
        ("memory", request.memory_bytes, used.memory_bytes, allocatable.memory_bytes),
    ):
        if requested > 0 and requested + in_use > offered:
            counts = f"requested: {requested}, used: {in_use}, capacity: {offered}"
            return f"OutOf{resource}", f"Node didn't have enough resource: {resource}, {counts}"
    return None if node is None else _misplaced(pod, node)


def _misplaced(pod: PodDict, node: NodeDict) -> tuple[str, str] | None:
    """Check the scheduler's rules that a kubelet applies again, since a pod may be bound by hand.

    NoSchedule taints are not among them: they concern the scheduler only.
    """
    if not wants_node(pod["spec"], node):
        return "NodeAffinity", f"Predicate NodeAffinity failed: {NO_AFFINITY}"
    tolerations = pod["spec"].get("tolerations") or ()
    for taint in taints_of(node, NO_EXECUTE):
        if not any(tolerates(toleration, taint) for toleration in tolerations):
            return "TaintToleration", f"Predicate TaintToleration failed: {NOT_TOLERATED}"
    return None


def _admitted_under_pressure(pod: PodDict) -> bool:
    if int(pod["spec"].get("priority") or 0) >= CRITICAL_PRIORITY:
        return True
    if qos_class(pod) != BEST_EFFORT:
        return True
    taint: TaintDict = {"key": MEMORY_PRESSURE, "effect": NO_SCHEDULE}
    return any(tolerates(toleration, taint) for toleration in pod["spec"].get("tolerations") or ())
