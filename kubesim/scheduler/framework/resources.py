"""What a pod asks for, of every resource, and what it counts for when nodes are compared.

Two figures that are easily mixed up. The *request* decides whether a pod fits. The *scoring*
request is used when nodes are compared: there each container that names no CPU counts for 100m, one
that names no memory for 200 Mi, or a node full of pods without requests would look empty.

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
from typing import Any

from kubesim.objects.frozen import Document
from kubesim.objects.pods import is_sidecar
from kubesim.quantity import parse_quantity

DEFAULT_MILLI_CPU = 100  # DefaultMilliCPURequest
DEFAULT_MEMORY = 200 * 1024 * 1024  # DefaultMemoryRequest, bytes; called 200 MB, is 200 MiB
DEFAULTS: Mapping[str, int] = {"cpu": DEFAULT_MILLI_CPU, "memory": DEFAULT_MEMORY}
_NO_DEFAULTS: Mapping[str, int] = {}


class Resources(dict[str, int]):
    """Amounts by resource: cpu in millicores, all else in whole units (bytes, pieces).

    A resource that is not named is 0.
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
    """A resource of the user's own: a ``/`` in its name, and not Kubernetes' own.

    >>> is_extended("example.com/gpu"), is_extended("hugepages-2Mi"), is_extended("cpu")
    (True, False, False)
    """
    return "/" in resource and "kubernetes.io/" not in resource


def is_counted(resource: str) -> bool:
    """Counted besides cpu, memory and ephemeral-storage (a "scalar" resource)."""
    return "/" in resource or resource.startswith(("hugepages-", "attachable-volumes-"))


def is_known(resource: str) -> bool:
    """The scheduler keeps count of it."""
    return resource in ("cpu", "memory", "ephemeral-storage") or is_counted(resource)


def offered_by(node: Document) -> Resources:
    """status.allocatable of a node; capacity is never read.

    Raises:
        ValueError: an amount that is no quantity.
    """
    offered = (node.get("status") or {}).get("allocatable") or {}
    found = Resources()
    for resource, amount in offered.items():
        if is_known(resource):
            found[resource] = ceil(_exact(amount, _unit(resource)))
    return found


def request_of(
    pod: Document,
    *,
    defaults: Mapping[str, int] = _NO_DEFAULTS,
    pod_level: bool = True,
    placed: bool = False,
) -> Resources:
    """What is set aside for a pod.

    The larger of what runs together (containers and sidecars) and the peak of the init phase, in
    which each init container runs beside the sidecars started before it; then what the pod as a
    whole names instead; plus overhead. Sums are exact, only the last figure is rounded, up.

    Args:
        pod: the document.
        defaults: per container, for a resource that it does not name.
        pod_level: spec.resources.requests replaces the sum for what it names.
        placed: it runs: of an in-place resize the largest of spec, allocated and actual counts.
    """
    spec = pod.get("spec") or {}
    main, init = spec.get("containers") or (), spec.get("initContainers") or ()
    statuses = _resized(pod) if placed else {}
    whole = (spec.get("resources") or {}).get("requests") or {} if pod_level else {}
    overhead = spec.get("overhead") or {}
    amounts = [(item, _amounts(item, statuses)) for item in (*main, *init)]
    names: dict[str, None] = dict.fromkeys(defaults)
    for holder in (*(held for _, held in amounts), whole, overhead):
        names.update(dict.fromkeys(holder))
    found = Resources()
    for resource in names:
        if not is_known(resource):
            continue
        named = [held.get(resource, defaults.get(resource, 0)) for _, held in amounts]
        total = _together(named[: len(main)], list(zip(init, named[len(main) :], strict=True)))
        if resource in whole and _can_be_pod_level(resource):
            total = _exact(whole[resource], _unit(resource))
        if resource in overhead:
            total += _exact(overhead[resource], _unit(resource))
        found[resource] = ceil(total)
    return found


def scoring_of(pod: Document, *, placed: bool = False) -> Resources:
    """CPU and memory that a pod counts for when nodes are compared.

    Args:
        pod: the document.
        placed: it is on a node. The incoming pod's pod-level requests are overlooked by 1.34, a
            placed pod's are seen; then only what is named nowhere is filled in.
    """
    defaults: Mapping[str, int] = DEFAULTS
    if placed and ((pod.get("spec") or {}).get("resources") or {}).get("requests"):
        named = request_of(pod, placed=True)
        defaults = {name: amount for name, amount in DEFAULTS.items() if name not in named}
    found = request_of(pod, defaults=defaults, pod_level=placed, placed=placed)
    return Resources({"cpu": found["cpu"], "memory": found["memory"]})


def _together(
    main: Iterable[int | Fraction], init: Iterable[tuple[Mapping[str, Any], int | Fraction]]
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
    container: Mapping[str, Any], statuses: Mapping[str, Mapping[str, Any]]
) -> dict[str, int | Fraction]:
    named = (container.get("resources") or {}).get("requests") or {}
    found = {name: _exact(amount, _unit(name)) for name, amount in named.items()}
    status = statuses.get(str(container.get("name")))
    if status is not None:
        actual = (status.get("resources") or {}).get("requests") or {}
        for held in (status.get("allocatedResources") or {}, actual):
            for name, amount in held.items():
                found[name] = max(found.get(name, 0), _exact(amount, _unit(name)))
    return found


def _resized(pod: Document) -> dict[str, Mapping[str, Any]]:
    """The status of each container that says what it was given."""
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


@lru_cache(maxsize=4096)  # thousands of pods share a handful of texts
def _exact(amount: str | int | float, unit: int) -> int | Fraction:
    """A quantity in units of 1/unit, without rounding: an int unless it has a fraction."""
    value = parse_quantity(amount) * unit
    return value.numerator if value.denominator == 1 else value
