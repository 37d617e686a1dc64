"""Quality of service: what becomes of a pod when its node runs out of memory.

The class follows from requests and limits alone and never changes in a pod's life. It decides in
which order the kernel kills (oom_score_adj) and, by what is above the request, whom the kubelet
evicts.

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
RESOURCES = ("cpu", "memory")  # others do not count
GUARANTEED_SCORE, BEST_EFFORT_SCORE = -997, 1000
CRITICAL_PRIORITY = 2_000_000_000  # SystemCriticalPriority: of the classes system-...
NODE_CRITICAL_CLASS = "system-node-critical"


def all_containers(pod: ReadOnlyDocument) -> Iterator[ReadOnlyDocument]:
    """Init containers, sidecars and main containers."""
    yield from (pod.get("spec") or {}).get("initContainers") or ()
    yield from containers_of(pod)


def qos_class(pod: ReadOnlyDocument) -> str:
    """Guaranteed, Burstable or BestEffort.

    Only cpu and memory count, of all containers; zero quantities count as missing. Guaranteed: each
    container has both limits, and the sums of requests and limits are equal.

    Args:
        pod: with its defaults (a limit without a request is a request of the same size).

    Raises:
        ValueError: a quantity that is none.
    """
    sums: dict[str, Document] = {"requests": {}, "limits": {}}
    all_limited = True
    for container in all_containers(pod):
        resources = container.get("resources") or {}
        found: dict[str, set[str]] = {}
        for side, total in sums.items():
            found[side] = set()
            for name in RESOURCES:
                amount = (resources.get(side) or {}).get(name)
                value = parse_quantity(amount) if amount is not None else 0
                if value > 0:
                    found[side].add(name)
                    total[name] = total.get(name, 0) + value
        all_limited = all_limited and len(found["limits"]) == len(RESOURCES)
    if not sums["requests"] and not sums["limits"]:
        return BEST_EFFORT
    if all_limited and sums["requests"] == sums["limits"]:
        return GUARANTEED
    return BURSTABLE


def oom_score_adj(pod: ReadOnlyDocument, container: ReadOnlyDocument, capacity_bytes: int) -> int:
    """How readily the kernel kills a container when memory is short: -997 (last) to 1000 (first).

    Args:
        pod: the container's pod.
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
