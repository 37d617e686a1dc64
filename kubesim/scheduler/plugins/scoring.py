"""The arithmetic of resource scores: whole numbers, cut as upstream cuts them.

>>> least_allocated(1000, 4000), most_allocated(1000, 4000), balanced([(1, 4), (1, 4)])
(75, 25, 100)

Source: pkg/scheduler/framework/plugins/noderesources, plugins/helper/shape_score.go.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

from kubesim.errors import BadRequest

BEST = 100
LEAST = "LeastAllocated"
STRATEGIES = (LEAST, "MostAllocated", "RequestedToCapacityRatio")
MAX_SHAPE_SCORE = 10  # in configurations; times ten inside
Shape = Sequence[tuple[int, int]]


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
