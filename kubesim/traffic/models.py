"""Traffic models: how many requests per second arrive, over time.

A model is a class with one method, ``rate(now) -> requests per second``. It is a pure function of
the simulated second: it may be called for any second, in any order.

>>> Step(before=10, after=50, at_seconds=60).rate(59), Step(10, 50, 60).rate(60)
(10.0, 50.0)
>>> Ramp(start=0, end=100, begin_seconds=0, seconds=200).rate(50)
25.0

No counterpart in Kubernetes, where clients cause the load.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, fields
from math import cos, exp, isfinite, pi, sin, sqrt
from statistics import NormalDist
from typing import Protocol

from kubesim.arguments import (
    check_arguments,
    finite_number,
    having,
    number,
    real_number,
    whole_number,
)
from kubesim.clock.streams import BLOCK_SECONDS, keyed_bytes, keyed_fraction
from kubesim.errors import BadRequest

DAY_SECONDS = 86_400.0
PEAK_SECONDS = 14 * 3600.0  # 14:00
WEEKEND = (5, 6)  # days of the week, the first being 0
FEW = 64.0  # requests per second up to which a Poisson number is drawn exactly
DRAW_BYTES = 6
NORMAL = NormalDist()
FIELDS = {
    "model": having("rate", "a traffic model"),
    "relative": finite_number,
    "seed": whole_number(),
}


class TrafficModel(Protocol):
    """Requests per second over time; your own model needs this one method."""

    def rate(self, now: float) -> float:
        """Return the requests per second at a simulated second; 0 or more."""


def _check_fields(model: object) -> None:
    """Raise BadRequest for a field that is not a number; times (`_seconds`) may be infinite."""
    for field in fields(model):  # type: ignore[arg-type]  # it is a dataclass
        name = field.name
        default = real_number if name.endswith("seconds") else finite_number
        check_arguments({name: FIELDS.get(name, default)}, {name: getattr(model, name)})


@dataclass(frozen=True)
class Constant:
    """The same rate at all times."""

    requests_per_second: float

    def __post_init__(self) -> None:
        _check_fields(self)

    def rate(self, now: float) -> float:
        """Return the requests per second."""
        return max(0.0, float(self.requests_per_second))


def traffic_model(rate: float | TrafficModel) -> TrafficModel:
    """Return a traffic model; a number is a constant rate.

    Args:
        rate: requests per second, or a model.

    Raises:
        BadRequest: neither a number of 0 or more nor an object with a method rate(now).
    """
    if callable(getattr(rate, "rate", None)) and not isinstance(rate, type):
        return rate  # type: ignore[return-value]  # it has the one method of a model
    if number(0)(rate) is None:
        return Constant(float(rate))  # type: ignore[arg-type]  # it is a number, as just checked
    raise BadRequest(
        f"the rate must be a number of requests per second (0 or more) or a traffic model, "
        f"not {rate!r}",
        hint="a traffic model has a method rate(now); see kubesim.traffic",
    )


@dataclass(frozen=True)
class Step:
    """One rate before a simulated second, another one from then on."""

    before: float
    after: float
    at_seconds: float

    def __post_init__(self) -> None:
        _check_fields(self)

    def rate(self, now: float) -> float:
        """Return the requests per second."""
        return float(self.before if now < self.at_seconds else self.after)


@dataclass(frozen=True)
class Ramp:
    """From one rate to another in a straight line."""

    start: float
    end: float
    begin_seconds: float
    seconds: float

    def __post_init__(self) -> None:
        _check_fields(self)

    def rate(self, now: float) -> float:
        """Return the requests per second."""
        if self.seconds <= 0:
            return float(self.end if now >= self.begin_seconds else self.start)
        part = min(1.0, max(0.0, (now - self.begin_seconds) / self.seconds))
        return self.start + (self.end - self.start) * part


@dataclass(frozen=True)
class Spike:
    """A base rate with one burst."""

    base: float
    peak: float
    at_seconds: float
    seconds: float

    def __post_init__(self) -> None:
        _check_fields(self)

    def rate(self, now: float) -> float:
        """Return the requests per second."""
        inside = self.at_seconds <= now < self.at_seconds + self.seconds
        return float(self.peak if inside else self.base)


@dataclass(frozen=True)
class Sine:
    """A sine around a base rate; never below 0. A period of a day is a diurnal load."""

    base: float
    amplitude: float
    period_seconds: float = DAY_SECONDS
    phase_seconds: float = 0.0

    def __post_init__(self) -> None:
        _check_fields(self)

    def rate(self, now: float) -> float:
        """Return the requests per second."""
        turn = 2 * pi * (now - self.phase_seconds) / self.period_seconds
        return max(0.0, self.base + self.amplitude * sin(turn))


@dataclass(frozen=True)
class Diurnal:
    """The load of a day: low at night, one peak, and quieter weekends.

    Attributes:
        low, high: requests per second at night and at the peak.
        peak_seconds: second of the day of the peak; by default 14:00.
        sharpness: 1 is a cosine; 2 and more make the peak narrower and the night longer.
        weekend: share of a weekday's load on days 5 and 6 of each week; second 0 is a Monday.
    """

    low: float
    high: float
    peak_seconds: float = PEAK_SECONDS
    sharpness: float = 1.0
    weekend: float = 1.0

    def __post_init__(self) -> None:
        _check_fields(self)

    def rate(self, now: float) -> float:
        """Return the requests per second."""
        turn = 2 * pi * (now - self.peak_seconds) / DAY_SECONDS
        height: float = ((1 + cos(turn)) / 2) ** self.sharpness
        level = self.low + (self.high - self.low) * height
        if self.weekend != 1.0 and int(now // DAY_SECONDS) % 7 in WEEKEND:
            level *= self.weekend
        return max(0.0, level)


class Poisson:
    """Whole requests at random: the number in each second is Poisson distributed.

    It is a pure function of seed and second, whatever the order of the calls. Up to 64 requests a
    second the number is drawn exactly, by inversion; above, from the normal distribution with a
    correction for skewness, which is off by less than one request.

    Args:
        model: the mean rate over time, or a constant.
        seed: of the random numbers.
    """

    __slots__ = ("_block", "_draws", "model", "seed")

    def __init__(self, model: TrafficModel | float, seed: int = 0) -> None:
        check_arguments(FIELDS, {"seed": seed})
        self.model = traffic_model(model)
        self.seed = seed
        self._block = -1
        self._draws = b""

    def rate(self, now: float) -> float:
        """Return the requests in the second that contains `now`."""
        second = int(now)
        mean = self.model.rate(float(second))
        return float(poisson_number(mean, self._fraction(second))) if mean > 0 else 0.0

    def _fraction(self, second: int) -> float:
        block, offset = divmod(second, BLOCK_SECONDS)
        if block != self._block:  # in blocks: one hash for 64 seconds
            key = f"poisson/{self.seed}/{block}"
            self._block, self._draws = block, keyed_bytes(key, DRAW_BYTES * BLOCK_SECONDS)
        start = offset * DRAW_BYTES
        draw = int.from_bytes(self._draws[start : start + DRAW_BYTES], "big")
        return (draw + 0.5) / (1 << 8 * DRAW_BYTES)

    def __repr__(self) -> str:
        return f"Poisson({self.model!r}, seed={self.seed})"


def poisson_number(mean: float, fraction: float) -> int:
    """Return the number at a fraction of the cumulative Poisson distribution.

    Args:
        mean: of the distribution.
        fraction: between 0 and 1.

    >>> [poisson_number(2.0, fraction) for fraction in (0.1, 0.5, 0.9, 0.99)]
    [0, 2, 4, 6]
    """
    if mean > FEW:
        z = NORMAL.inv_cdf(fraction)
        return max(0, round(mean + z * sqrt(mean) + (z * z - 1) / 6))
    number, chance = 0, exp(-mean)
    reached = chance
    while fraction > reached and chance > 0:
        number += 1
        chance *= mean / number
        reached += chance
    return number


@dataclass(frozen=True)
class Noisy:
    """Another model with relative noise that changes each second, by a seed."""

    model: TrafficModel
    relative: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        _check_fields(self)

    def rate(self, now: float) -> float:
        """Return the requests per second."""
        draw = keyed_fraction(f"traffic/{self.seed}/{int(now)}")
        return max(0.0, self.model.rate(now) * (1 + self.relative * (2 * draw - 1)))


class Replay:
    """Recorded rates; `kubesim.traffic.from_csv` reads them from a file.

    Args:
        points: (second, requests per second) pairs; each rate holds until the next pair.

    Raises:
        BadRequest: no pair, an entry that is no pair of numbers, or seconds that do not rise.
    """

    def __init__(self, points: Iterable[tuple[float, float]]) -> None:
        try:
            self._points = [(float(second), float(rate)) for second, rate in points]
        except (TypeError, ValueError) as error:
            raise BadRequest(f"a replay needs (second, rate) pairs of numbers: {error}") from error
        if not all(isfinite(value) for point in self._points for value in point):
            raise BadRequest("the numbers of a replay must be finite")
        self._seconds = [second for second, _ in self._points]
        if not self._points:
            raise BadRequest("a replay needs at least one (second, rate) pair")
        if any(a >= b for a, b in zip(self._seconds, self._seconds[1:], strict=False)):
            raise BadRequest("the seconds of a replay must rise")

    def rate(self, now: float) -> float:
        """Return the requests per second; 0 before the first pair."""
        index = bisect_right(self._seconds, now) - 1
        return max(0.0, self._points[index][1]) if index >= 0 else 0.0
