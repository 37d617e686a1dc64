"""Quality of service: which pods survive when a node runs out of memory.

The class follows from requests and limits and does not change in a pod's life. It determines the
order in which the kernel kills containers (oom_score_adj).

>>> burstable = {"spec": {"containers": [{"resources": {"requests": {"cpu": "100m"}}}]}}
>>> qos_class(burstable), qos_class({"spec": {"containers": [{}]}})
('Burstable', 'BestEffort')

Source: pkg/apis/core/v1/helper/qos/qos.go (ComputePodQOS), pkg/kubelet/qos/policy.go
(GetContainerOOMScoreAdjust).
"""

from __future__ import annotations

from collections.abc import Iterator

from kubesim.objects.frozen import Document, ReadOnlyDocument
from kubesim.objects.pods import containers_of
from kubesim.quantity import parse_memory, parse_quantity

GUARANTEED, BURSTABLE, BEST_EFFORT = "Guaranteed", "Burstable", "BestEffort"
RESOURCES = ("cpu", "memory")  # the others do not matter
GUARANTEED_SCORE, BEST_EFFORT_SCORE = -997, 1000
CRITICAL_PRIORITY = 2_000_000_000  # SystemCriticalPriority: the lowest of the classes system-...
NODE_CRITICAL_CLASS = "system-node-critical"


def all_containers(pod: ReadOnlyDocument) -> Iterator[ReadOnlyDocument]:
    """Yield init containers, sidecars and main containers."""
    yield from (pod.get("spec") or {}).get("initContainers") or ()
    yield from containers_of(pod)


def qos_class(pod: ReadOnlyDocument) -> str:
    """Return a pod's class: Guaranteed, Burstable or BestEffort.

    Only cpu and memory of all containers count; a quantity of zero counts as missing. Guaranteed:
    each container has both limits, and the sums of requests and limits are equal.

    Args:
        pod: with defaults (a limit without a request is also the request).

    Raises:
        ValueError: a quantity that cannot be parsed.
    """
    sums: dict[str, Document] = {"requests": {}, "limits": {}}
    all_limited = True
    for container in all_containers(pod):
        resources = container.get("resources") or {}
        positive: dict[str, set[str]] = {}
        for side, total in sums.items():
            positive[side] = set()
            for name in RESOURCES:
                amount = (resources.get(side) or {}).get(name)
                value = parse_quantity(amount) if amount is not None else 0
                if value > 0:
                    positive[side].add(name)
                    total[name] = total.get(name, 0) + value
        all_limited = all_limited and len(positive["limits"]) == len(RESOURCES)
    if not sums["requests"] and not sums["limits"]:
        return BEST_EFFORT
    if all_limited and sums["requests"] == sums["limits"]:
        return GUARANTEED
    return BURSTABLE


def oom_score_adj(pod: ReadOnlyDocument, container: ReadOnlyDocument, capacity_bytes: int) -> int:
    """Return the oom_score_adj of a container: -997 (killed last) to 1000 (killed first).

    Args:
        pod: the pod.
        container: one of its containers.
        capacity_bytes: memory of the node.

    >>> pod = {"spec": {"containers": [{"resources": {"requests": {"memory": "4Gi"}}}]}}
    >>> oom_score_adj(pod, pod["spec"]["containers"][0], 8 << 30)
    500
    """
    spec = pod.get("spec") or {}
    if spec.get("priorityClassName") == NODE_CRITICAL_CLASS:
        return GUARANTEED_SCORE
    if int(spec.get("priority") or 0) >= CRITICAL_PRIORITY + 1000:
        return GUARANTEED_SCORE
    quality = qos_class(pod)
    if quality == GUARANTEED:
        return GUARANTEED_SCORE
    if quality == BEST_EFFORT:
        return BEST_EFFORT_SCORE
    amount = ((container.get("resources") or {}).get("requests") or {}).get("memory")
    request = 0 if amount is None else parse_memory(amount)
    score = 1000 - 1000 * request // capacity_bytes
    least = 1000 + GUARANTEED_SCORE
    return min(max(score, least), BEST_EFFORT_SCORE - 1)
