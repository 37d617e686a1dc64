"""Reading pods: phase, readiness, containers, requests and limits, quality of service.

The QoS class follows from requests and limits and stays the same for a pod's life. It sets the
order in which the kernel kills containers (oom_score_adj).

>>> burstable = {"spec": {"containers": [{"resources": {"requests": {"cpu": "100m"}}}]}}
>>> qos_class(burstable), qos_class({"spec": {"containers": [{}]}})
('Burstable', 'BestEffort')

Source: pkg/api/v1/pod/util.go; k8s.io/component-helpers/resource (PodRequests);
pkg/apis/core/v1/helper/qos/qos.go (ComputePodQOS), pkg/kubelet/qos/policy.go
(GetContainerOOMScoreAdjust).
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache
from math import ceil
from typing import TYPE_CHECKING, NamedTuple

from kubesim.objects.frozen import ReadOnlyDocument
from kubesim.objects.meta import is_condition_true, is_terminating
from kubesim.quantity import parse_cpu_milli, parse_memory, parse_quantity

if TYPE_CHECKING:
    from kubesim.objects.types import ContainerDict, PodDict, PodSpecDict

FINISHED = ("Succeeded", "Failed")
GUARANTEED, BURSTABLE, BEST_EFFORT = "Guaranteed", "Burstable", "BestEffort"
CONTAINER_LISTS = ("containers", "initContainers")  # fields of a pod spec
RESOURCES = ("cpu", "memory")  # the others do not matter
GUARANTEED_SCORE, BEST_EFFORT_SCORE = -997, 1000
CRITICAL_PRIORITY = 2_000_000_000  # SystemCriticalPriority: the lowest of the classes system-...
NODE_CRITICAL_CLASS = "system-node-critical"


class PodResources(NamedTuple):
    """CPU in millicores and memory in bytes."""

    cpu_milli: int
    memory_bytes: int

    def __add__(self, other: object) -> PodResources:
        if not isinstance(other, PodResources):
            return NotImplemented
        return PodResources(
            self.cpu_milli + other.cpu_milli, self.memory_bytes + other.memory_bytes
        )

    def at_least(self, other: PodResources) -> PodResources:
        """Return the maximum of the two for each resource."""
        return PodResources(
            max(self.cpu_milli, other.cpu_milli), max(self.memory_bytes, other.memory_bytes)
        )


NOTHING = PodResources(0, 0)


def spec_of(pod: PodDict) -> PodSpecDict:
    """Return the pod's spec, or an empty one."""
    return pod.get("spec") or {}


def phase_of(pod: PodDict) -> str:
    """Return status.phase; Pending if it is not set."""
    return str((pod.get("status") or {}).get("phase") or "Pending")


def is_finished(pod: PodDict) -> bool:
    """Whether the phase is Succeeded or Failed: the pod will not run again."""
    return phase_of(pod) in FINISHED


def is_active(pod: PodDict) -> bool:
    """Whether the pod is neither finished nor being deleted, so that it counts as a replica."""
    return not is_finished(pod) and not is_terminating(pod)


def is_ready(pod: PodDict) -> bool:
    """Whether the condition Ready is True."""
    return is_condition_true(pod, "Ready")


def node_of(pod: PodDict) -> str:
    """Return spec.nodeName; "" until the pod is bound."""
    return str((pod.get("spec") or {}).get("nodeName") or "")


def restart_count(pod: PodDict) -> int:
    """Return the restarts of all containers."""
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    return sum(int(status.get("restartCount") or 0) for status in statuses)


def containers_of(pod: PodDict) -> list[ContainerDict]:
    """Return spec.containers."""
    return (pod.get("spec") or {}).get("containers") or []


def is_sidecar(container: ContainerDict) -> bool:
    """Whether an init container is a sidecar, which runs next to the main containers."""
    return container.get("restartPolicy") == "Always"


def container_requests(container: ContainerDict, default: PodResources = NOTHING) -> PodResources:
    """Return the requests of one container.

    Args:
        container: the container's spec.
        default: for a resource that is not in the requests; a request of zero stays zero.
    """
    amounts = (container.get("resources") or {}).get("requests") or {}
    cpu, memory = amounts.get("cpu"), amounts.get("memory")
    return PodResources(
        default.cpu_milli if cpu is None else ceil(_exact(cpu, 1000)),
        default.memory_bytes if memory is None else ceil(_exact(memory, 1)),
    )


def container_limits(container: ContainerDict) -> tuple[int | None, int | None]:
    """Return the limits of a container: CPU in millicores, memory in bytes; None: no limit."""
    amounts = (container.get("resources") or {}).get("limits") or {}
    cpu, memory = amounts.get("cpu"), amounts.get("memory")
    return (
        None if cpu is None else parse_cpu_milli(cpu),
        None if memory is None else parse_memory(memory),
    )


def pod_requests(pod: PodDict, default: PodResources = NOTHING) -> PodResources:
    """Return what the scheduler reserves for a pod.

    That is the larger of the sum of main containers and sidecars, and the peak of the init phase,
    in which each init container runs next to the sidecars started before it; plus the overhead.

    Args:
        pod: the pod.
        default: per container, for a resource that is not in its requests (used for scoring).

    >>> pod_requests({"spec": {"containers": [
    ...     {"resources": {"requests": {"cpu": "200m", "memory": "128Mi"}}}]}})
    PodResources(cpu_milli=200, memory_bytes=134217728)
    """
    spec = pod.get("spec") or {}
    return PodResources(
        _effective(spec, "cpu", 1000, default.cpu_milli),
        _effective(spec, "memory", 1, default.memory_bytes),
    )


def reserved_milli(pod: PodDict, resource: str) -> int | None:
    """Return what the scheduler reserves of one resource, in thousandths; None: nothing names it.

    Source: staging/src/k8s.io/component-helpers/resource/helpers.go (PodRequests).

    >>> reserved_milli({"spec": {"resources": {"requests": {"cpu": "2"}},
    ...                          "overhead": {"cpu": "250m"}, "containers": [{}]}}, "cpu")
    2250
    """
    spec = pod.get("spec") or {}
    named = any(
        resource in ((item.get("resources") or {}).get("requests") or {})
        for item in (*(spec.get("containers") or ()), *(spec.get("initContainers") or ()))
    )
    level = (spec.get("resources") or {}).get("requests") or {}
    if not named and resource not in level and resource not in (spec.get("overhead") or {}):
        return None
    return _effective(spec, resource, 1000, 0)


def _effective(spec: PodSpecDict, resource: str, unit: int, default: int) -> int:
    """Return a pod's request of one resource; sums are exact, and the result is rounded up."""

    def request_of(holder: ContainerDict) -> int | Fraction:
        amount = ((holder.get("resources") or {}).get("requests") or {}).get(resource)
        return default if amount is None else _exact(amount, unit)

    running: int | Fraction = sum(map(request_of, spec.get("containers") or ()))
    sidecars: int | Fraction = 0
    peak: int | Fraction = 0
    for container in spec.get("initContainers") or ():
        if is_sidecar(container):
            sidecars += request_of(container)
            peak = max(peak, sidecars)
        else:
            peak = max(peak, request_of(container) + sidecars)
    total = max(running + sidecars, peak)
    pod_level = ((spec.get("resources") or {}).get("requests") or {}).get(resource)
    if pod_level is not None:
        total = _exact(pod_level, unit)
    overhead = (spec.get("overhead") or {}).get(resource)
    return ceil(total if overhead is None else total + _exact(overhead, unit))


@lru_cache(maxsize=4096, typed=True)  # thousands of pods share a handful of strings
def _exact(amount: str | int | float, unit: int) -> int | Fraction:
    """Return a quantity in units of 1/unit, without rounding: an int unless it has a fraction."""
    value = parse_quantity(amount) * unit
    return value.numerator if value.denominator == 1 else value


# -- quality of service ---------------------------------------------------------------------------


def all_containers(pod: PodDict) -> Iterator[ContainerDict]:
    """Yield init containers, sidecars and main containers."""
    yield from (pod.get("spec") or {}).get("initContainers") or ()
    yield from containers_of(pod)


def qos_class(pod: PodDict) -> str:
    """Return a pod's class: Guaranteed, Burstable or BestEffort.

    Only cpu and memory of all containers count; a quantity of zero counts as missing. Guaranteed:
    each container has both limits, and the sums of requests and limits are equal. Resources of the
    pod as a whole, if it has any, count in place of those of its containers.

    Args:
        pod: with defaults (a limit without a request is also the request).

    Raises:
        ValueError: a quantity that cannot be parsed.

    Source: pkg/apis/core/v1/helper/qos/qos.go (ComputePodQOS).
    """
    sums: dict[str, dict[str, int | Fraction]] = {"requests": {}, "limits": {}}
    all_limited = True
    level = (pod.get("spec") or {}).get("resources") or {}
    whole = [level] if level.get("requests") or level.get("limits") else None
    for holder in whole or [item.get("resources") or {} for item in all_containers(pod)]:
        resources: ReadOnlyDocument = holder
        positive: dict[str, set[str]] = {}
        for side, total in sums.items():
            positive[side] = set()
            for name in RESOURCES:
                amount = (resources.get(side) or {}).get(name)
                value = _exact(amount, 1) if amount is not None else 0
                if value > 0:
                    positive[side].add(name)
                    total[name] = total.get(name, 0) + value
        all_limited = all_limited and len(positive["limits"]) == len(RESOURCES)
    if not sums["requests"] and not sums["limits"]:
        return BEST_EFFORT
    if all_limited and sums["requests"] == sums["limits"]:
        return GUARANTEED
    return BURSTABLE


def oom_score_adj(pod: PodDict, container: ContainerDict, capacity_bytes: int) -> int:
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
