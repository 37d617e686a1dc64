"""Ages and durations as kubectl shows them.

>>> [human_duration(s) for s in (95, 245, 4500, 18720, 108000, 273600, 1036800)]
['95s', '4m5s', '75m', '5h12m', '30h', '3d4h', '12d']

Source: k8s.io/apimachinery/pkg/util/duration (HumanDuration), pkg/printers/internalversion
(translateTimestampSince).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

UNKNOWN = "<unknown>"
MINUTE, HOUR, DAY = 60, 3600, 86400
YEAR = 365 * DAY


def human_duration(seconds: float) -> str:
    """Return a duration in one or two units; the longer it is, the coarser the unit."""
    whole = int(seconds)
    if whole < -1:
        return "<invalid>"
    if whole < 2 * MINUTE:
        return f"{max(whole, 0)}s"
    if whole < 10 * MINUTE:
        return _two(whole, MINUTE, "m", 1, "s")
    if whole < 3 * HOUR:
        return f"{whole // MINUTE}m"
    if whole < 8 * HOUR:
        return _two(whole, HOUR, "h", MINUTE, "m")
    if whole < 48 * HOUR:
        return f"{whole // HOUR}h"
    if whole < 8 * DAY:
        return _two(whole, DAY, "d", HOUR, "h")
    if whole < 2 * YEAR:
        return f"{whole // DAY}d"
    if whole < 8 * YEAR:
        return _two(whole, YEAR, "y", DAY, "d")
    return f"{whole // YEAR}y"


def seconds_until_change(seconds: float) -> float:
    """Return for how many seconds an age reads the same at least: until its smallest unit is full.

    >>> [seconds_until_change(s) for s in (95.25, 630.0, 36000.0, 800000.0)]
    [0.75, 30.0, 3600.0, 64000.0]

    Args:
        seconds: the age; a negative one may change at any moment.
    """
    if seconds < 0:
        return 0.0
    if seconds < 10 * MINUTE:
        unit = 1
    elif seconds < 8 * HOUR:
        unit = MINUTE
    else:
        unit = HOUR if seconds < 8 * DAY else DAY
    return unit - seconds % unit


def _two(seconds: int, large: int, large_name: str, small: int, small_name: str) -> str:
    rest = seconds % large // small
    return f"{seconds // large}{large_name}" + (f"{rest}{small_name}" if rest else "")


class Ages(NamedTuple):
    """Converts the times in documents to ages.

    Attributes:
        now: simulated second.
        seconds_at: returns the simulated second of an RFC 3339 string (`Clock.seconds_at`).
    """

    now: float
    seconds_at: Callable[[str], float]

    def since(self, timestamp: object) -> str:
        """Return how long ago a time was; ``<unknown>`` if it is missing or malformed."""
        seconds = self.seconds(timestamp)
        return UNKNOWN if seconds is None else human_duration(self.now - seconds)

    def seconds(self, timestamp: object) -> float | None:
        """Return the simulated second of a time; None if it is missing or malformed."""
        if not timestamp or not isinstance(timestamp, str):
            return None
        try:
            return self.seconds_at(timestamp)
        except ValueError:
            return None
