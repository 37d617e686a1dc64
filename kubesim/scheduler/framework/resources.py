"""What a pod requests of each resource, and what it counts for when nodes are scored.

The two are easily confused. The *request* decides whether a pod fits. The *scoring* request is used
when nodes are scored: a container without a CPU request counts for 100m there, one without a memory
request for 200 Mi; otherwise a node full of pods without requests would look empty.

>>> pod = {"spec": {"containers": [{"resources": {"requests": {"cpu": "1"}}},
...                                {"resources": {"requests": {"memory": "1Gi"}}}]}}
>>> request_of(pod)
{'cpu': 1000, 'memory': 1073741824}
>>> scoring_of(pod)
{'cpu': 1100, 'memory': 1283457024}

Source: k8s.io/component-helpers/resource/helpers.go (PodRequests), pkg/scheduler/framework/types.go
(CalculateResource, Resource.Add), pkg/scheduler/util/pod_resources.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from functools import lru_cache
from math import ceil
from typing import TYPE_CHECKING

from kubesim.objects.pods import is_sidecar
from kubesim.quantity import parse_quantity

if TYPE_CHECKING:
    from kubesim.objects.types import ContainerDict, ContainerStatusDict, NodeDict, PodDict

DEFAULT_MILLI_CPU = 100  # DefaultMilliCPURequest
DEFAULT_MEMORY = 200 * 1024 * 1024  # DefaultMemoryRequest, bytes; called 200 MB, is 200 MiB
DEFAULTS: Mapping[str, int] = {"cpu": DEFAULT_MILLI_CPU, "memory": DEFAULT_MEMORY}
_NO_DEFAULTS: Mapping[str, int] = {}


class Resources(dict[str, int]):
    """Amounts by resource: cpu in millicores, all else in whole units (bytes, pieces).

    A resource without an entry is 0.
    """

    __slots__ = ()

    def __missing__(self, resource: str) -> int:
        return 0

    @property
    def cpu_milli(self) -> int:
        """CPU in millicores."""
        return self["cpu"]

    @property
    def memory_bytes(self) -> int:
        """Memory in bytes."""
        return self["memory"]

    def take(self, other: Mapping[str, int]) -> None:
        """Add amounts in place."""
        for resource, amount in other.items():
            self[resource] += amount

    def give_back(self, other: Mapping[str, int]) -> None:
        """Subtract amounts in place."""
        for resource, amount in other.items():
            self[resource] -= amount


def is_extended(resource: str) -> bool:
    """Return whether this is an extended resource: a ``/`` in its name, not of kubernetes.io.

    >>> is_extended("example.com/gpu"), is_extended("hugepages-2Mi"), is_extended("cpu")
    (True, False, False)
    """
    return "/" in resource and "kubernetes.io/" not in resource


def is_counted(resource: str) -> bool:
    """Return whether this is a scalar resource: not cpu, memory or ephemeral-storage."""
    return "/" in resource or resource.startswith(("hugepages-", "attachable-volumes-"))


def is_known(resource: str) -> bool:
    """Return whether the scheduler counts this resource."""
    return resource in ("cpu", "memory", "ephemeral-storage") or is_counted(resource)


def offered_by(node: NodeDict) -> Resources:
    """Return status.allocatable of a node; capacity is never read.

    Raises:
        ValueError: an amount is not a quantity.
    """
    allocatable = (node.get("status") or {}).get("allocatable") or {}
    amounts = Resources()
    for resource, amount in allocatable.items():
        if is_known(resource):
            amounts[resource] = ceil(_exact(amount, _unit(resource)))
    return amounts


def request_of(
    pod: PodDict,
    *,
    defaults: Mapping[str, int] = _NO_DEFAULTS,
    pod_level: bool = True,
    placed: bool = False,
) -> Resources:
    """Return the resources that a pod requests.

    That is the larger of two amounts: the sum of the containers and sidecars, and the peak of the
    init phase, in which each init container runs together with the sidecars started before it.
    Pod-level requests replace it for the resources that they name; overhead is added. Sums are
    exact; only the result is rounded, up.

    Args:
        pod: the Pod document.
        defaults: per container, for a resource that it does not name.
        pod_level: whether spec.resources.requests replaces the sum for the resources it names.
        placed: whether the pod is assigned to a node; then, during an in-place resize, the largest
            of spec, allocated and actual resources counts.

    Returns:
        cpu in millicores, all else in whole units (bytes, pieces).
    """
    spec = pod.get("spec") or {}
    main, init = spec.get("containers") or (), spec.get("initContainers") or ()
    statuses = _resized(pod) if placed else {}
    whole: Mapping[str, str | float] = {}
    if pod_level:
        whole = (spec.get("resources") or {}).get("requests") or {}
    overhead = spec.get("overhead") or {}
    amounts = [(item, _amounts(item, statuses)) for item in (*main, *init)]
    names: dict[str, None] = dict.fromkeys(defaults)
    for holder in (*(resources for _, resources in amounts), whole, overhead):
        names.update(dict.fromkeys(holder))
    request = Resources()
    for resource in names:
        if not is_known(resource):
            continue
        named = [resources.get(resource, defaults.get(resource, 0)) for _, resources in amounts]
        total = _together(named[: len(main)], list(zip(init, named[len(main) :], strict=True)))
        if resource in whole and _can_be_pod_level(resource):
            total = _exact(whole[resource], _unit(resource))
        if resource in overhead:
            total += _exact(overhead[resource], _unit(resource))
        request[resource] = ceil(total)
    return request


def scoring_of(pod: PodDict, *, placed: bool = False) -> Resources:
    """Return the CPU and memory that a pod counts for when nodes are scored.

    Args:
        pod: the Pod document.
        placed: whether the pod is assigned to a node. Release 1.34 ignores the pod-level requests
            of the incoming pod and considers those of an assigned pod; there defaults apply only
            to a resource that is named nowhere.
    """
    defaults: Mapping[str, int] = DEFAULTS
    if placed and ((pod.get("spec") or {}).get("resources") or {}).get("requests"):
        named = request_of(pod, placed=True)
        defaults = {name: amount for name, amount in DEFAULTS.items() if name not in named}
    request = request_of(pod, defaults=defaults, pod_level=placed, placed=placed)
    return Resources({"cpu": request["cpu"], "memory": request["memory"]})


def _together(
    main: Iterable[int | Fraction], init: Iterable[tuple[ContainerDict, int | Fraction]]
) -> int | Fraction:
    sidecars: int | Fraction = 0
    peak: int | Fraction = 0
    for container, amount in init:
        if is_sidecar(container):
            sidecars += amount
            peak = max(peak, sidecars)
        else:
            peak = max(peak, amount + sidecars)
    return max(sum(main, start=sidecars), peak)


def _amounts(
    container: ContainerDict, statuses: Mapping[str, ContainerStatusDict]
) -> dict[str, int | Fraction]:
    named = (container.get("resources") or {}).get("requests") or {}
    amounts = {name: _exact(amount, _unit(name)) for name, amount in named.items()}
    status = statuses.get(str(container.get("name")))
    if status is not None:
        actual = (status.get("resources") or {}).get("requests") or {}
        for resources in (status.get("allocatedResources") or {}, actual):
            for name, amount in resources.items():
                amounts[name] = max(amounts.get(name, 0), _exact(amount, _unit(name)))
    return amounts


def _resized(pod: PodDict) -> dict[str, ContainerStatusDict]:
    """Return container name -> status, for each container with allocated resources."""
    status = pod.get("status") or {}
    listed = (
        *(status.get("containerStatuses") or ()),
        *(status.get("initContainerStatuses") or ()),
    )
    return {str(item.get("name")): item for item in listed if item.get("allocatedResources")}


def _can_be_pod_level(resource: str) -> bool:
    return resource in ("cpu", "memory") or resource.startswith("hugepages-")


def _unit(resource: str) -> int:
    return 1000 if resource == "cpu" else 1


@lru_cache(maxsize=4096)  # thousands of pods share a handful of strings
def _exact(amount: str | int | float, unit: int) -> int | Fraction:
    """Return a quantity in units of 1/unit, not rounded: an int unless it has a fraction."""
    value = parse_quantity(amount) * unit
    return value.numerator if value.denominator == 1 else value
