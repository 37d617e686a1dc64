"""Ratio arithmetic: integers that truncate, doubles that do not round, a tolerance on both sides.

kube-controller-manager adds int64 milli units, divides them as integers, and takes ratios and
ceilings of doubles. The result depends on it, so the same is done here:

>>> utilization_percent(1657, 3000)      # 55.23 % becomes 55 %: within the tolerance of a target 50
55
>>> from math import ceil
>>> ceil(124 / 60 * 15)                  # exactly 31, and in doubles a little more
32
>>> Tolerance().holds(55 / 50), Tolerance().holds(56 / 50)
(True, False)

`PodsTarget` does the whole calculation for a metric of pods, from the sums of the samples on.

Source: pkg/controller/podautoscaler/metrics/utilization.go, replica_calculator.go (Tolerances).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil

from kubesim.autoscaler.constants import MAX_REPLICAS, MAX_TOTAL


@dataclass(frozen=True, slots=True)
class Tolerance:
    """The range of ratios that cause no change: from 1 - down to 1 + up, both included.

    Up to Kubernetes 1.32 the test was abs(1 - ratio) <= 0.1, which acted at exactly 1.1.
    """

    up: float = 0.1
    down: float = 0.1

    def holds(self, ratio: float) -> bool:
        """Whether the ratio is too close to 1 to act on."""
        return (1.0 - self.down) <= ratio <= (1.0 + self.up)

    def __str__(self) -> str:
        return f"{1.0 - self.down:g}..{1.0 + self.up:g}"


def truncated(dividend: int, divisor: int) -> int:
    """Divide integers as Go does: towards zero, also for negative values of custom metrics.

    >>> truncated(7, 2), truncated(-7, 2)
    (3, -3)
    """
    quotient = abs(dividend) // abs(divisor)
    return quotient if (dividend < 0) == (divisor < 0) else -quotient


def utilization_percent(used_milli: int, asked_milli: int) -> int:
    """Return whole percent of the request: a quotient of sums, not a mean of percentages.

    Args:
        used_milli: sum of the samples.
        asked_milli: sum of the requests.

    Raises:
        ValueError: the sum of the requests is 0.
    """
    if asked_milli == 0:
        raise ValueError("no metrics returned matched known pods")
    return truncated(used_milli * 100, asked_milli)


def ratio_of(measured: int, target: int) -> float:
    """Return measured / target as doubles, both converted first."""
    return float(measured) / float(target)


def ceiling(value: float) -> int:
    """Round a double up to a number of pods, at most the maximum of an int32."""
    return MAX_REPLICAS if value >= MAX_REPLICAS else ceil(value)


def added_up(series: Iterable[int]) -> int:
    """Return the sum of an external metric's series, at most the maximum of an int64.

    >>> added_up([2**62, 2**62, 5]) == 2**63 - 1
    True
    """
    return min(sum(series), MAX_TOTAL)


def quantity_text(milli: int) -> str:
    """Render milli units as a decimal quantity in its shortest form, as resource.Quantity does.

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


# -- metrics of pods -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SampleSums:
    """The samples of a metric added up, so that the rest is arithmetic on a few integers.

    Attributes:
        used: sum of the samples that count, in milli.
        base: divisor of `used`: the requests of the same pods, or their number.
        sampled: number of pods in `used`.
        entries: number of samples, including those of pods that are not selected.
        ready, missing, unready: number of pods in each group.
        missing_base, unready_base: what these pods would add to `base`.
        missing_use: assumed usage of the missing pods when scaling down, in milli.
    """

    used: int
    base: int
    sampled: int
    entries: int
    ready: int
    missing: int = 0
    unready: int = 0
    missing_base: int = 0
    unready_base: int = 0
    missing_use: int = 0


@dataclass(frozen=True, slots=True)
class RatioResult:
    """The proposal that follows from a ratio.

    Attributes:
        replicas: the proposal.
        first, second: ratios of the two readings; second is None if one reading was enough.
        second_measured: percent or average of the second reading.
        count: number of pods that were multiplied.
        held: the rule that kept the current number, or "".
    """

    replicas: int
    first: float
    second: float | None
    second_measured: int
    count: int
    held: str


@dataclass(frozen=True, slots=True)
class PodsTarget:
    """One metric of pods against its target, for the real measurement and for others.

    It is a `types.ProposalCurve`.

    Attributes:
        tally: the sums of the samples.
        target: percent, or milli for each pod.
        by_request: the target is in percent of the request.
        current: spec.replicas of the target.
        tolerance: as configured.
    """

    tally: SampleSums
    target: int
    by_request: bool
    current: int
    tolerance: Tolerance

    def measure(self, used: int, base: int) -> int:
        """Return whole percent of the requests, or whole milli for each pod."""
        return utilization_percent(used, base) if self.by_request else truncated(used, base)

    @property
    def measured(self) -> int:
        """Percent or average of the first reading, which the status reports."""
        return self.measure(self.tally.used, self.tally.base)

    @property
    def level(self) -> int:
        """The measurement at which the ratio is 1: the target."""
        return self.target

    def decide(self, used: int) -> RatioResult:
        """Return the proposal if the samples that count added up to `used`, in milli."""
        tally = self.tally
        first = ratio_of(self.measure(used, tally.base), self.target)
        if not tally.missing and not (first > 1.0 and tally.unready):
            held = "tolerance" if self.tolerance.holds(first) else ""
            replicas = self.current if held else ceiling(first * tally.ready)
            return RatioResult(replicas, first, None, 0, tally.ready, held)
        base, count = tally.base, tally.entries
        if first < 1.0:
            used, base = used + tally.missing_use, base + tally.missing_base
            count += tally.missing
        elif first > 1.0:
            base += tally.missing_base + tally.unready_base
            count += tally.missing + tally.unready
        measured = self.measure(used, base)
        second = ratio_of(measured, self.target)
        desired = ceiling(second * count)
        held = self._damped(first, second, desired)
        return RatioResult(self.current if held else desired, first, second, measured, count, held)

    def _damped(self, first: float, second: float, wanted: int) -> str:
        """Return the rule that keeps the current number after the second reading, or ""."""
        if self.tolerance.holds(second):
            return "tolerance"
        if (first < 1.0 < second) or (second < 1.0 < first):
            return "with estimates for missing and unready pods, the direction reverses"
        if (second < 1.0 and wanted > self.current) or (second > 1.0 and wanted < self.current):
            return "the number would move against the ratio"
        return ""

    def _used_at(self, measured: int, rising: bool) -> int:
        """Return the least usage with that measurement; the largest one if it is to fall."""
        scale = 100 if self.by_request else 1
        base = self.tally.base
        if rising:
            return -(-measured * base // scale)
        return -(-(measured + 1) * base // scale) - 1

    def attained(self, measured: int, *, rising: bool) -> int:
        """See `types.ProposalCurve`."""
        return self.measure(self._used_at(measured, rising), self.tally.base)

    def at(self, measured: int, *, rising: bool) -> int:
        """See `types.ProposalCurve`."""
        return self.decide(self._used_at(measured, rising)).replicas
