"""Traffic: requests per second over time, and how ready pods share them."""

from kubesim.traffic.balancer import Traffic
from kubesim.traffic.models import (
    Constant,
    Noisy,
    Ramp,
    Replay,
    Sine,
    Spike,
    Step,
    TrafficModel,
)

__all__ = [
    "Constant",
    "Noisy",
    "Ramp",
    "Replay",
    "Sine",
    "Spike",
    "Step",
    "Traffic",
    "TrafficModel",
]
