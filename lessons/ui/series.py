"""Values over simulated time: what a panel and a still picture read from a cluster.

A chart *pulls*: from time to time one thread reads what is new. The simulation never waits for a
chart and does not depend on one. The nearest in Kubernetes is a scrape by Prometheus.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Generic, Protocol, TypeVar

from kubesim import Cluster, arguments
from kubesim.arguments import Check, check_arguments

RUN: Mapping[str, Check] = {
    "cluster": arguments.instance_of(Cluster, "a Cluster"),
    "seconds": arguments.number(unit="seconds"),
    "title": arguments.instance_of(str, "a string"),
    "slice_seconds": arguments.number(above=True, unit="seconds"),
}


class Timed(Protocol):
    """A row of a series."""

    @property
    def time(self) -> float:
        """The simulated second that the row describes."""


class SeriesSource(Protocol):
    """The values that the charts show."""

    @property
    def rows(self) -> Sequence[Timed]:
        """The states over time, oldest first."""

    def pull(self) -> bool:
        """Read what is new; return whether there was anything."""


def run_in_slices(
    series: SeriesSource,
    seconds: float,
    sleep: Callable[[float], None],
    slice_seconds: float,
) -> None:
    """Let time pass in slices and pull after each, so that no change is missed.

    Args:
        series: the values to pull.
        seconds: simulated time.
        sleep: lets that much simulated time pass.
        slice_seconds: simulated time between two pulls, about.
    """
    slices = max(1, round(seconds / slice_seconds))
    for _ in range(slices):
        sleep(seconds / slices)
        series.pull()


def check_run(**given: object) -> None:
    """Raise an error for the first argument of a recorded run that makes no sense.

    Raises:
        BadRequest: says what was expected.
    """
    check_arguments(RUN, given)


S = TypeVar("S", bound=SeriesSource)


class RecordedRun(ABC, Generic[S]):
    """A run that is over; as the last value of a cell it shows its picture.

    Args:
        series: the values of the run.
        title: heading of the picture.
    """

    def __init__(self, series: S, title: str) -> None:
        self.series = series
        self.title = title

    @abstractmethod
    def svg(self) -> str:
        """Return the picture."""

    def _repr_svg_(self) -> str:
        return self.svg()
