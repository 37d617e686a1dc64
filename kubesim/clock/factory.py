"""Make a clock by its name, for `Cluster(clock=...)`. No counterpart in Kubernetes."""

from __future__ import annotations

from kubesim.clock.base import Clock
from kubesim.clock.live import LiveClock
from kubesim.clock.virtual import VirtualClock
from kubesim.errors import BadRequest


def make_clock(clock: str | Clock, speed: float = 1.0, max_threads: int = 1_000) -> Clock:
    """Return a clock.

    Args:
        clock: "virtual", "live", or a clock, which is returned.
        speed: simulated seconds per wall second (live); the pace of Play (virtual).
        max_threads: on the live clock, workers above this number share one paced thread.

    Raises:
        BadRequest: there is no clock of that name.
    """
    if clock == "virtual":
        return VirtualClock(speed=speed)
    if clock == "live":
        return LiveClock(speed=speed, max_threads=max_threads)
    if isinstance(clock, str):
        raise BadRequest(f"there is no clock {clock!r}", hint='use "virtual" or "live"')
    return clock
