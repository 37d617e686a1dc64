"""Traffic models: how many requests per second arrive, over time.

A model is a class with one method, ``rate(now) -> requests per second``; it is a pure function of
the simulated second, so that any moment can be asked for, again and again.

>>> Step(before=10, after=50, at_seconds=60).rate(59), Step(10, 50, 60).rate(60)
(10.0, 50.0)
>>> Ramp(start=0, end=100, begin_seconds=0, seconds=200).rate(50)
25.0

No counterpart in Kubernetes: traffic is what users do.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from math import pi, sin
from typing import Protocol

from kubesim.clock import keyed_fraction
from kubesim.errors import BadRequest

DAY_SECONDS = 86_400.0


class TrafficModel(Protocol):
    """What a model has to offer."""

    def rate(self, now: float) -> float:
        """Requests per second at a simulated second; 0 or more."""


@dataclass(frozen=True)
class Constant:
    """Always the same."""

    requests_per_second: float

    def rate(self, now: float) -> float:
        """Requests per second."""
        return max(0.0, float(self.requests_per_second))


@dataclass(frozen=True)
class Step:
    """One level before a moment, another from then on."""

    before: float
    after: float
    at_seconds: float

    def rate(self, now: float) -> float:
        """Requests per second."""
        return float(self.before if now < self.at_seconds else self.after)


@dataclass(frozen=True)
class Ramp:
    """From one level to another in a straight line."""

    start: float
    end: float
    begin_seconds: float
    seconds: float

    def rate(self, now: float) -> float:
        """Requests per second."""
        if self.seconds <= 0:
            return float(self.end if now >= self.begin_seconds else self.start)
        part = min(1.0, max(0.0, (now - self.begin_seconds) / self.seconds))
        return self.start + (self.end - self.start) * part


@dataclass(frozen=True)
class Spike:
    """A base level with one burst."""

    base: float
    peak: float
    at_seconds: float
    seconds: float

    def rate(self, now: float) -> float:
        """Requests per second."""
        inside = self.at_seconds <= now < self.at_seconds + self.seconds
        return float(self.peak if inside else self.base)


@dataclass(frozen=True)
class Sine:
    """Up and down around a base; never below 0. A period of a day is a diurnal load."""

    base: float
    amplitude: float
    period_seconds: float = DAY_SECONDS
    phase_seconds: float = 0.0

    def rate(self, now: float) -> float:
        """Requests per second."""
        turn = 2 * pi * (now - self.phase_seconds) / self.period_seconds
        return max(0.0, self.base + self.amplitude * sin(turn))


@dataclass(frozen=True)
class Noisy:
    """Another model with relative noise, new each second, a pure function of seed and second."""

    model: TrafficModel
    relative: float = 0.1
    seed: int = 0

    def rate(self, now: float) -> float:
        """Requests per second."""
        draw = keyed_fraction(f"traffic/{self.seed}/{int(now)}")
        return max(0.0, self.model.rate(now) * (1 + self.relative * (2 * draw - 1)))


class Replay:
    """Recorded rates: (second, requests per second) pairs; each holds until the next.

    Raises:
        BadRequest: no pair at all, or seconds that do not rise.
    """

    def __init__(self, points: Iterable[tuple[float, float]]) -> None:
        self._points = [(float(second), float(rate)) for second, rate in points]
        self._seconds = [second for second, _ in self._points]
        if not self._points:
            raise BadRequest("a replay needs at least one (second, rate) pair")
        if any(a >= b for a, b in zip(self._seconds, self._seconds[1:], strict=False)):
            raise BadRequest("the seconds of a replay must rise")

    def rate(self, now: float) -> float:
        """Requests per second; before the first pair 0."""
        index = bisect_right(self._seconds, now) - 1
        return max(0.0, self._points[index][1]) if index >= 0 else 0.0
