"""Ratio arithmetic: integers that truncate, doubles that do not round, a tolerance on both sides.

kube-controller-manager adds up int64 milli units, divides them as integers, and takes ratios and
ceilings of doubles. The result depends on it, so the same is done here:

>>> utilization_percent(1657, 3000)      # 55.23 % becomes 55 %: within the tolerance of a target 50
55
>>> from math import ceil
>>> ceil(124 / 60 * 15)                  # exactly 31, and in doubles a little more
32
>>> Tolerance().holds(55 / 50), Tolerance().holds(56 / 50)
(True, False)

Source: pkg/controller/podautoscaler/metrics/utilization.go, replica_calculator.go (Tolerances).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil

from kubesim.autoscaler.constants import MAX_REPLICAS, MAX_TOTAL


@dataclass(frozen=True, slots=True)
class Tolerance:
    """Ratios from 1 - down to 1 + up, both included, do nothing.

    Up to Kubernetes 1.32 the test was abs(1 - ratio) <= 0.1, which acted at exactly 1.1.
    """

    up: float = 0.1
    down: float = 0.1

    def holds(self, ratio: float) -> bool:
        """True if the ratio is too close to 1 to act on."""
        return (1.0 - self.down) <= ratio <= (1.0 + self.up)

    def __str__(self) -> str:
        return f"{1.0 - self.down:g}..{1.0 + self.up:g}"


def truncated(dividend: int, divisor: int) -> int:
    """Integer division as in Go: towards zero, also for negative values of custom metrics.

    >>> truncated(7, 2), truncated(-7, 2)
    (3, -3)
    """
    quotient = abs(dividend) // abs(divisor)
    return quotient if (dividend < 0) == (divisor < 0) else -quotient


def utilization_percent(used_milli: int, asked_milli: int) -> int:
    """Whole percent of the request: a quotient of sums, not a mean of the pods' percentages.

    Raises:
        ValueError: nothing is requested at all.
    """
    if asked_milli == 0:
        raise ValueError("no metrics returned matched known pods")
    return truncated(used_milli * 100, asked_milli)


def ratio_of(measured: int, target: int) -> float:
    """measured / target as doubles, both converted first."""
    return float(measured) / float(target)


def ceiling(value: float) -> int:
    """The number of pods that a double stands for: rounded up, at most an int32's maximum."""
    return MAX_REPLICAS if value >= MAX_REPLICAS else ceil(value)


def added_up(series: Iterable[int]) -> int:
    """The sum of an external metric's series; it stops at the 64-bit maximum.

    >>> added_up([2**62, 2**62, 5]) == 2**63 - 1
    True
    """
    return min(sum(series), MAX_TOTAL)


def quantity_text(milli: int) -> str:
    """Milli units as a decimal quantity, in its shortest form, as resource.Quantity prints it.

    >>> quantity_text(150_000), quantity_text(4_500), quantity_text(2_000_000_000), quantity_text(0)
    ('150', '4500m', '2M', '0')
    """
    if milli == 0:
        return "0"
    for suffix in ("m", "", "k", "M", "G", "T", "P"):
        if milli % 1000:
            return f"{milli}{suffix}"
        milli //= 1000
    return f"{milli}E"
