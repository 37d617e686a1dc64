"""Time, threads and randomness: no other package uses them directly.

`VirtualClock` runs all workers from one queue without a thread; `LiveClock` makes each worker a
named thread. Components are typed on the `Clock` and `Worker` protocols and run on both unchanged.
"""

from kubesim.clock.base import Callback, Clock, FailureHandler, Streams, Timer, Worker
from kubesim.clock.factory import make_clock
from kubesim.clock.live import LiveClock
from kubesim.clock.streams import NamedStreams, keyed_bytes, keyed_fraction
from kubesim.clock.virtual import VirtualClock

__all__ = [
    "Callback",
    "Clock",
    "FailureHandler",
    "LiveClock",
    "NamedStreams",
    "Streams",
    "Timer",
    "VirtualClock",
    "Worker",
    "keyed_bytes",
    "keyed_fraction",
    "make_clock",
]
