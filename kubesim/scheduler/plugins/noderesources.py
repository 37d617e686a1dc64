"""NodeResourcesFit and NodeResourcesBalancedAllocation: free resources, and how nodes are filled.

>>> least_allocated(1000, 4000), most_allocated(1000, 4000), balanced([(1, 4), (1, 4)])
(75, 25, 100)

Source: pkg/scheduler/framework/plugins/noderesources/{fit,resource_allocation,least_allocated,
most_allocated,requested_to_capacity_ratio,balanced_allocation}.go, plugins/helper/shape_score.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import sqrt
from typing import TYPE_CHECKING, cast

from kubesim.errors import BadRequest
from kubesim.objects.frozen import ReadOnlyDocument
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

if TYPE_CHECKING:
    from kubesim.objects.types import NodeDict, PodDict

BEST = 100
LEAST = "LeastAllocated"
STRATEGIES = (LEAST, "MostAllocated", "RequestedToCapacityRatio")
MAX_SHAPE_SCORE = 10  # in configurations; times ten inside
Shape = Sequence[tuple[int, int]]
CPU_AND_MEMORY: Mapping[str, int] = {"cpu": 1, "memory": 1}
_FIRST = ("cpu", "memory", "ephemeral-storage")


class NodeResourcesFit:
    """Filter: the requested resources must be free. Score: by the scoring strategy.

    Args:
        strategy: "LeastAllocated" (spread), "MostAllocated" (pack), "RequestedToCapacityRatio".
        resources: resource name -> weight in the score.
        shape: for the last strategy, pairs of utilization (0 to 100) and score (0 to 10).
        ignored_resources: names of extended resources that the filter ignores.
        ignored_groups: the same by the part of the name before the ``/``.

    Raises:
        BadRequest: an unknown strategy, or an invalid shape.
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
            raise BadRequest(
                f"there is no strategy {strategy!r}",
                hint=f"the strategies are: {', '.join(STRATEGIES)}",
            )
        self.strategy = strategy
        self.resources = dict(resources)
        self._shape = make_shape(shape) if strategy == STRATEGIES[2] else ()
        self._ignored = frozenset(ignored_resources)
        self._ignored_groups = frozenset(ignored_groups)

    def filter(self, pod: PodDict, node: NodeInfo) -> Status:
        """Collect all shortages; a request above the node's whole allocatable is unresolvable."""
        reasons = []
        if len(node.pods) + 1 > node.max_pods:
            reasons.append("Too many pods")
        too_large = False
        request = pod_info(pod).request
        allocatable, requested = node.allocatable, node.requested
        for resource in self._to_check(request):
            desired, capacity = request[resource], allocatable[resource]
            if desired > capacity - requested[resource]:
                reasons.append(f"Insufficient {resource}")
                too_large = too_large or desired > capacity
        if not reasons:
            return SUCCESS
        return Status.unresolvable(*reasons) if too_large else Status.unschedulable(*reasons)

    def score(self, pod: PodDict, node: NodeInfo) -> int:
        """Return the weighted mean of the strategy's scores of the resources."""
        info = pod_info(pod)
        parts = []
        for resource, weight in self.resources.items():
            capacity = node.allocatable[resource]
            if resource in CPU_AND_MEMORY:
                total = node.scoring[resource] + info.scoring[resource]
            else:
                desired = info.request[resource]
                if is_counted(resource) and not desired:
                    continue
                total = node.requested[resource] + desired
            if capacity > 0:
                parts.append((total, capacity, weight))
        return mean_score(self.strategy, parts, self._shape)

    def hint(self, pod: PodDict, event: ClusterEvent) -> bool:
        """Return whether resources were freed, or a node that can hold the pod came or grew."""
        if event.kind == POD_ITSELF:
            before = cast("PodDict | None", event.old)
            return before is None or request_of(before) != request_of(pod)
        if event.kind == POD_DELETE:
            return True
        if event.kind == POD_UPDATE and event.old is not None and event.new is not None:
            was = request_of(cast("PodDict", event.old), placed=True)
            now = request_of(cast("PodDict", event.new), placed=True)
            return any(now[resource] < amount for resource, amount in was.items())
        if event.kind not in (NODE_ADD, NODE_UPDATE) or event.new is None:
            return False
        node, old_node = cast("NodeDict", event.new), cast("NodeDict | None", event.old)
        new = offered_by(node)
        request = request_of(pod)
        if any(request[r] > new[r] for r in self._to_check(request)):
            return False
        if old_node is None:
            return True
        old, more_pods = offered_by(old_node), _max_pods(node) > _max_pods(old_node)
        return more_pods or any(new[resource] > old[resource] for resource in new)

    def _to_check(self, request: Mapping[str, int]) -> list[str]:
        """Return the requested resources in upstream's order, without ignored ones."""
        first = [resource for resource in _FIRST if request.get(resource)]
        if len(request) <= len(first):
            return first
        more = sorted(r for r, amount in request.items() if amount and r not in _FIRST)
        return first + [r for r in more if not self._is_ignored(r)]

    def _is_ignored(self, resource: str) -> bool:
        if not is_extended(resource):
            return False
        return resource in self._ignored or resource.partition("/")[0] in self._ignored_groups


class NodeResourcesBalancedAllocation:
    """Score: prefer nodes whose resources would be used to a similar degree.

    Args:
        resources: names of the resources; upstream ignores their weights.
    """

    name = "NodeResourcesBalancedAllocation"
    local = True

    def __init__(self, resources: Iterable[str] = ("cpu", "memory")) -> None:
        self.resources = tuple(resources)

    def pre_score(self, pod: PodDict, nodes: list[NodeInfo]) -> Status:
        """Skip a pod that requests none of the resources."""
        request = pod_info(pod).request
        return SUCCESS if any(request[resource] for resource in self.resources) else SKIP

    def score(self, pod: PodDict, node: NodeInfo) -> int:
        """Return 100 minus the deviation of the used fractions; without default requests."""
        request = pod_info(pod).request
        pairs = []
        for resource in self.resources:
            capacity, desired = node.allocatable[resource], request[resource]
            if capacity > 0 and (desired or not is_counted(resource)):
                pairs.append((node.requested[resource] + desired, capacity))
        return balanced(pairs)


def _max_pods(node: NodeDict) -> int:
    allocatable: ReadOnlyDocument = (node.get("status") or {}).get("allocatable") or {}
    return int(allocatable.get("pods", 0))


# -- arithmetic: integers, truncated where upstream truncates -------------------------------------


def least_allocated(requested: int, allocatable: int) -> int:
    """Return 100 for an empty node, 0 for a full one.

    >>> least_allocated(5000, 4000)
    0
    """
    if requested > allocatable:
        return 0
    return (allocatable - requested) * BEST // allocatable


def most_allocated(requested: int, allocatable: int) -> int:
    """Return 0 for an empty node, 100 for a full or overcommitted one."""
    return min(requested, allocatable) * BEST // allocatable


def requested_to_capacity(requested: int, allocatable: int, shape: Shape) -> int:
    """Return the shape's score of the utilization.

    Args:
        requested: with the pod.
        allocatable: more than 0.
        shape: points of (utilization 0..100, score 0..100).
    """
    used = BEST if requested > allocatable else requested * BEST // allocatable
    return shape_score(shape, used)


def shape_score(shape: Shape, utilization: int) -> int:
    """Interpolate linearly between points of (utilization, score), constant outside; truncate.

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
    """Convert the points of a configuration (scores 0 to 10) to scores 0 to 100.

    Raises:
        BadRequest: no points, utilizations that do not increase, or values out of bounds.
    """
    if not points:
        example = "for example [(0, 0), (100, 10)]"
        raise BadRequest("RequestedToCapacityRatio needs a shape", hint=example)
    last = -1
    for utilization, score in points:
        if not last < utilization <= BEST or not 0 <= score <= MAX_SHAPE_SCORE:
            raise BadRequest(
                f"({utilization}, {score}) is not a valid point of a shape",
                hint="utilizations increase within 0..100, scores are within 0..10",
            )
        last = utilization
    return tuple((x, y * BEST // MAX_SHAPE_SCORE) for x, y in points)


def mean_score(strategy: str, parts: Sequence[tuple[int, int, int]], shape: Shape = ()) -> int:
    """Return the weighted mean of the resources' scores.

    Args:
        strategy: one of STRATEGIES.
        parts: (requested with the pod, allocatable > 0, weight) of each resource that counts.
        shape: for RequestedToCapacityRatio; there a resource with score 0 is left out of the mean,
            and the mean is rounded to the nearest integer.
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
    """Return 100 minus the deviation of the used fractions in percent.

    Args:
        pairs: (requested with the pod, allocatable > 0) of each resource.

    >>> balanced([(1, 2), (1, 8)])
    81
    """
    fractions = [min(requested / allocatable, 1.0) for requested, allocatable in pairs]
    deviation = 0.0
    if len(fractions) == 2:
        deviation = abs((fractions[0] - fractions[1]) / 2)
    elif len(fractions) > 2:
        # Added one by one: Python's sum() is more exact than upstream's loop.
        total = squares = 0.0
        for fraction in fractions:
            total += fraction
        mean = total / len(fractions)
        for fraction in fractions:
            squares += (fraction - mean) * (fraction - mean)
        deviation = sqrt(squares / len(fractions))
    return int((1 - deviation) * BEST)
