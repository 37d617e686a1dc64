"""NodeResourcesFit and NodeResourcesBalancedAllocation: is there room, and where best?

Source: pkg/scheduler/framework/plugins/noderesources/{fit,resource_allocation,least_allocated,
most_allocated,requested_to_capacity_ratio,balanced_allocation}.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import sqrt
from typing import Any

from kubesim.errors import BadRequest
from kubesim.objects.frozen import Document
from kubesim.scheduler.framework.events import (
    NODE_ADD,
    NODE_UPDATE,
    POD_DELETE,
    POD_ITSELF,
    POD_UPDATE,
    ClusterEvent,
)
from kubesim.scheduler.framework.nodeinfo import NodeInfo
from kubesim.scheduler.framework.podinfo import pod_info
from kubesim.scheduler.framework.resources import is_counted, is_extended, offered_by, request_of
from kubesim.scheduler.framework.status import SKIP, SUCCESS, Status

BEST = 100
LEAST = "LeastAllocated"
STRATEGIES = (LEAST, "MostAllocated", "RequestedToCapacityRatio")
MAX_SHAPE_SCORE = 10  # in configurations; times ten inside
Shape = Sequence[tuple[int, int]]
CPU_AND_MEMORY: Mapping[str, int] = {"cpu": 1, "memory": 1}
_FIRST = ("cpu", "memory", "ephemeral-storage")


class NodeResourcesFit:
    """What the pod asks for must be free; the strategy says which of the fitting nodes is liked.

    Args:
        strategy: "LeastAllocated" (spread), "MostAllocated" (pack), "RequestedToCapacityRatio".
        resources: what is compared, with weights.
        shape: for the last strategy, pairs of utilization (0 to 100) and score (0 to 10).
        ignored_resources, ignored_groups: extended resources that the filter does not look at, by
            name and by what stands before the ``/``.

    Raises:
        BadRequest: no such strategy, or a shape that is none.
    """

    name = "NodeResourcesFit"
    local = True

    def __init__(
        self,
        strategy: str = LEAST,
        resources: Mapping[str, int] = CPU_AND_MEMORY,
        shape: Sequence[tuple[int, int]] = (),
        ignored_resources: Iterable[str] = (),
        ignored_groups: Iterable[str] = (),
    ) -> None:
        if strategy not in STRATEGIES:
            raise BadRequest(f"there is no strategy {strategy!r}", hint=", ".join(STRATEGIES))
        self.strategy = strategy
        self.resources = dict(resources)
        self._shape = make_shape(shape) if strategy == STRATEGIES[2] else ()
        self._ignored = frozenset(ignored_resources)
        self._ignored_groups = frozenset(ignored_groups)

    def filter(self, pod: Document, node: NodeInfo) -> Status:
        """Every shortage is named; asking for more than the whole node can never be resolved."""
        reasons = []
        if len(node.pods) + 1 > node.max_pods:
            reasons.append("Too many pods")
        too_large = False
        request = pod_info(pod).request
        allocatable, requested = node.allocatable, node.requested
        for resource in self._wanted(request):
            asked, offered = request[resource], allocatable[resource]
            if asked > offered - requested[resource]:
                reasons.append(f"Insufficient {resource}")
                too_large = too_large or asked > offered
        if not reasons:
            return SUCCESS
        return Status.unresolvable(*reasons) if too_large else Status.unschedulable(*reasons)

    def score(self, pod: Document, node: NodeInfo) -> int:
        """The weighted mean over the resources of what the strategy says of each."""
        info = pod_info(pod)
        parts = []
        for resource, weight in self.resources.items():
            offered = node.allocatable[resource]
            if resource in CPU_AND_MEMORY:
                total = node.scoring[resource] + info.scoring[resource]
            else:
                asked = info.request[resource]
                if is_counted(resource) and not asked:
                    continue
                total = node.requested[resource] + asked
            if offered > 0:
                parts.append((total, offered, weight))
        return mean_score(self.strategy, parts, self._shape)

    def hint(self, pod: Document, event: ClusterEvent) -> bool:
        """Room was made, or a node came or grew that could hold the pod when empty."""
        if event.kind == POD_ITSELF:
            return event.old is None or request_of(event.old) != request_of(pod)
        if event.kind == POD_DELETE:
            return True
        if event.kind == POD_UPDATE and event.old is not None and event.new is not None:
            before, after = request_of(event.old, placed=True), request_of(event.new, placed=True)
            return any(after[resource] < amount for resource, amount in before.items())
        if event.kind not in (NODE_ADD, NODE_UPDATE) or event.new is None:
            return False
        now = offered_by(event.new)
        request = request_of(pod)
        if any(request[r] > now[r] for r in self._wanted(request)):
            return False
        if event.old is None:
            return True
        before, grown = offered_by(event.old), _pods_of(event.new) > _pods_of(event.old)
        return grown or any(now[resource] > before[resource] for resource in now)

    def _wanted(self, request: Mapping[str, int]) -> list[str]:
        """The resources to check: those asked for, in upstream's order."""
        wanted = [resource for resource in _FIRST if request.get(resource)]
        if len(request) <= len(wanted):
            return wanted
        more = sorted(r for r, amount in request.items() if amount and r not in _FIRST)
        return wanted + [r for r in more if not self._is_ignored(r)]

    def _is_ignored(self, resource: str) -> bool:
        if not is_extended(resource):
            return False
        return resource in self._ignored or resource.partition("/")[0] in self._ignored_groups


class NodeResourcesBalancedAllocation:
    """A node is liked if the pod leaves its resources used to a similar part.

    Args:
        resources: what is compared; weights have no meaning here.
    """

    name = "NodeResourcesBalancedAllocation"
    local = True

    def __init__(self, resources: Iterable[str] = ("cpu", "memory")) -> None:
        self.resources = tuple(resources)

    def pre_score(self, pod: Document, nodes: list[NodeInfo]) -> Status:
        """A pod that asks for nothing balances nothing."""
        request = pod_info(pod).request
        return SUCCESS if any(request[resource] for resource in self.resources) else SKIP

    def score(self, pod: Document, node: NodeInfo) -> int:
        """100 minus the deviation of the used parts, in percent; real requests only."""
        request = pod_info(pod).request
        pairs = []
        for resource in self.resources:
            offered, asked = node.allocatable[resource], request[resource]
            if offered > 0 and (asked or not is_counted(resource)):
                pairs.append((node.requested[resource] + asked, offered))
        return balanced(pairs)


def _pods_of(node: Document) -> int:
    offered: Mapping[str, Any] = (node.get("status") or {}).get("allocatable") or {}
    return int(offered.get("pods", 0))


# -- arithmetic: whole numbers, cut as upstream cuts them ---------------------------------------


def least_allocated(requested: int, allocatable: int) -> int:
    """100 for an empty node, 0 for a full one.

    >>> least_allocated(5000, 4000)
    0
    """
    if requested > allocatable:
        return 0
    return (allocatable - requested) * BEST // allocatable


def most_allocated(requested: int, allocatable: int) -> int:
    """0 for an empty node, 100 for a full one or a fuller."""
    return min(requested, allocatable) * BEST // allocatable


def requested_to_capacity(requested: int, allocatable: int, shape: Shape) -> int:
    """What the shape says of the utilization."""
    used = BEST if requested > allocatable else requested * BEST // allocatable
    return shape_score(shape, used)


def shape_score(shape: Shape, utilization: int) -> int:
    """A broken line through points of (utilization, score), flat outside; cut towards zero.

    >>> shape_score([(0, 0), (40, 100), (100, 30)], 66)
    70
    """
    for i, (x, y) in enumerate(shape):
        if utilization <= x:
            if i == 0:
                return y
            x0, y0 = shape[i - 1]
            rise = (y - y0) * (utilization - x0)
            return y0 + (abs(rise) // (x - x0)) * (1 if rise >= 0 else -1)
    return shape[-1][1]


def make_shape(points: Shape) -> Shape:
    """Points of a configuration (scores 0 to 10) as they are used inside (0 to 100).

    Raises:
        BadRequest: no points, utilizations that do not rise, or figures out of bounds.
    """
    if not points:
        example = "for example [(0, 0), (100, 10)]"
        raise BadRequest("RequestedToCapacityRatio needs a shape", hint=example)
    last = -1
    for utilization, score in points:
        if not last < utilization <= BEST or not 0 <= score <= MAX_SHAPE_SCORE:
            raise BadRequest(
                f"({utilization}, {score}) does not fit into the shape",
                hint="utilizations rise within 0..100, scores are 0..10",
            )
        last = utilization
    return tuple((x, y * BEST // MAX_SHAPE_SCORE) for x, y in points)


def mean_score(strategy: str, parts: Sequence[tuple[int, int, int]], shape: Shape = ()) -> int:
    """The weighted mean over resources.

    Args:
        strategy: one of STRATEGIES.
        parts: (requested with the pod, allocatable > 0, weight) of each resource that counts.
        shape: of the third strategy; there a resource with score 0 leaves the mean with its weight,
            and the mean is rounded to the nearest whole number.
    """
    total = weights = 0
    if strategy == STRATEGIES[2]:
        for requested, allocatable, weight in parts:
            score = requested_to_capacity(requested, allocatable, shape)
            if score > 0:
                total, weights = total + score * weight, weights + weight
        return (2 * total + weights) // (2 * weights) if weights else 0
    rate = least_allocated if strategy == LEAST else most_allocated
    for requested, allocatable, weight in parts:
        total += rate(requested, allocatable) * weight
        weights += weight
    return total // weights if weights else 0


def balanced(pairs: Sequence[tuple[int, int]]) -> int:
    """100 minus the deviation of the used parts in percent.

    Args:
        pairs: (requested with the pod, allocatable > 0) of each resource.

    >>> balanced([(1, 2), (1, 8)])
    81
    """
    parts = [min(requested / allocatable, 1.0) for requested, allocatable in pairs]
    deviation = 0.0
    if len(parts) == 2:
        deviation = abs((parts[0] - parts[1]) / 2)
    elif len(parts) > 2:
        # Added one by one: Python's own sum is more exact than the original's loop.
        total = squares = 0.0
        for part in parts:
            total += part
        mean = total / len(parts)
        for part in parts:
            squares += (part - mean) * (part - mean)
        deviation = sqrt(squares / len(parts))
    return int((1 - deviation) * BEST)
