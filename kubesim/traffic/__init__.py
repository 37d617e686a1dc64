"""Traffic: requests per second over time, how ready pods share them, and which are lost.

Reading order: models, queueing, endpoints, series, route, balancer; csvfile for recorded traffic.
"""

from kubesim.traffic.balancer import Traffic
from kubesim.traffic.csvfile import from_csv
from kubesim.traffic.models import (
    Constant,
    Diurnal,
    Noisy,
    Poisson,
    Ramp,
    Replay,
    Sine,
    Spike,
    Step,
    TrafficModel,
)
from kubesim.traffic.queueing import Flow, Queue
from kubesim.traffic.series import SeriesPage, Totals

__all__ = [
    "Constant",
    "Diurnal",
    "Flow",
    "Noisy",
    "Poisson",
    "Queue",
    "Ramp",
    "Replay",
    "SeriesPage",
    "Sine",
    "Spike",
    "Step",
    "Totals",
    "Traffic",
    "TrafficModel",
    "from_csv",
]
