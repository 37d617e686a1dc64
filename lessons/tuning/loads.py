"""Load profiles to tune an autoscaler with: requests per second over time, each with a name.

    lunch break   quiet, three waves with pauses between them, quiet again
    spike         a sudden burst of three minutes
    saw-tooth     up and down every four minutes
    ramp          a slow rise to eight times the load
    steps         one step up every five minutes
    steady        always the same rate

Kubernetes has no counterpart: load comes from users. The models are those of `kubesim.traffic`.
"""

from __future__ import annotations

from dataclasses import dataclass

from kubesim.errors import BadRequest
from kubesim.traffic import Constant, Ramp, Spike, TrafficModel


@dataclass(frozen=True)
class Corners:
    """A line from corner to corner; the last value continues.

    Attributes:
        points: (second, requests per second), in the order of time.
    """

    points: tuple[tuple[float, float], ...]

    def rate(self, now: float) -> float:
        """Return the requests per second.

        >>> Corners(((0, 10), (100, 30))).rate(50)
        20.0
        """
        before = self.points[0]
        for after in self.points[1:]:
            if now < after[0]:
                part = max(0.0, now - before[0]) / (after[0] - before[0])
                return before[1] + (after[1] - before[1]) * part
            before = after
        return float(before[1])


@dataclass(frozen=True)
class SawTooth:
    """A load that rises in a straight line, drops at once, and starts over.

    Attributes:
        low, high: requests per second.
        period_seconds: length of one tooth.
    """

    low: float
    high: float
    period_seconds: float

    def rate(self, now: float) -> float:
        """Return the requests per second.

        >>> SawTooth(10, 50, 100).rate(150)
        30.0
        """
        return self.low + (self.high - self.low) * (now % self.period_seconds) / self.period_seconds


@dataclass(frozen=True)
class LoadProfile:
    """A load, and the length of a run that shows it.

    Attributes:
        model: requests per second.
        seconds: length of a run.
    """

    model: TrafficModel
    seconds: float


LUNCH = Corners(
    (
        *((0, 40), (300, 40), (420, 170), (660, 170)),  # noon
        *((720, 70), (900, 70), (960, 190), (1200, 190)),  # one o'clock
        *((1260, 80), (1440, 80), (1500, 150), (1620, 150), (1740, 40)),  # coffee
    )
)
STEPS = Corners(((0, 20), (300, 20), (301, 60), (600, 60), (601, 100), (900, 100), (901, 140)))
LOADS = {
    "lunch break": LoadProfile(LUNCH, 2400.0),
    "spike": LoadProfile(Spike(base=30, peak=200, at_seconds=120, seconds=180), 900.0),
    "saw-tooth": LoadProfile(SawTooth(low=20, high=140, period_seconds=240), 1800.0),
    "ramp": LoadProfile(Ramp(start=20, end=160, begin_seconds=120, seconds=600), 1200.0),
    "steps": LoadProfile(STEPS, 1200.0),
    "steady": LoadProfile(Constant(60), 600.0),
}


def load_of(name: str) -> LoadProfile:
    """Return the load profile of that name.

    Raises:
        BadRequest: there is no such profile; the message lists the profiles.
    """
    if name not in LOADS:
        raise BadRequest(f"there is no load {name!r}", hint=f"choose one of: {', '.join(LOADS)}")
    return LOADS[name]
