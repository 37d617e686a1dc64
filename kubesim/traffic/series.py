"""The time series of one route, second by second, as charts read it.

No counterpart in Kubernetes; in a real cluster the ingress or service mesh exports such metrics.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import islice

from kubesim.table import Table
from kubesim.traffic.queueing import Flow

KEPT_SECONDS = 7_200  # seconds kept for each route
COLUMNS = (
    "time [s]",
    "offered [1/s]",
    "ready",
    "served [1/s]",
    "queued",
    "timed out",
    "lost",
    "p50 [ms]",
    "p95 [ms]",
    "p99 [ms]",
)


@dataclass(frozen=True, slots=True)
class SeriesPage:
    """Seconds since a cursor.

    Attributes:
        rows: the seconds, oldest first.
        cursor: argument of the next `since`.
        lost: seconds after the old cursor that were dropped before they were read.
    """

    rows: list[Flow]
    cursor: int
    lost: int = 0

    def table(self) -> Table:
        """Return the seconds as a table, latency in milliseconds."""
        rows = [
            (
                flow.time,
                round(flow.offered, 1),
                flow.ready,
                round(flow.served, 1),
                round(flow.queued, 1),
                round(flow.timed_out, 1),
                round(flow.lost, 1),
                *(_milliseconds(latency) for latency in (flow.p50, flow.p95, flow.p99)),
            )
            for flow in self.rows
        ]
        return Table(COLUMNS, rows, "requests")


def _milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1000)


@dataclass(frozen=True, slots=True)
class Totals:
    """Requests of one route since its traffic began.

    Attributes:
        offered: requests that arrived, without retries.
        served: requests that were answered.
        timed_out: requests whose clients gave up.
        lost: requests that found the queue full, or no pod.
        retried: requests that were sent again.
        unmet: requests without an answer; a request that is retried is not one of them.
    """

    offered: float = 0.0
    served: float = 0.0
    timed_out: float = 0.0
    lost: float = 0.0
    retried: float = 0.0
    unmet: float = 0.0

    def plus(self, flow: Flow) -> Totals:
        """Return the totals including another second."""
        return Totals(
            self.offered + flow.offered,
            self.served + flow.served,
            self.timed_out + flow.timed_out,
            self.lost + flow.lost,
            self.retried + flow.retried,
            self.unmet + flow.unmet,
        )


class Series:
    """The newest seconds of a route. One worker writes it; any thread may read it."""

    def __init__(self, kept: int = KEPT_SECONDS) -> None:
        self._rows: deque[tuple[int, Flow]] = deque(maxlen=kept)
        self._serial = 0
        self.totals = Totals()

    def append(self, flow: Flow) -> None:
        """Add a second; if the ring is full, drop the oldest one."""
        self._serial += 1
        self._rows.append((self._serial, flow))
        self.totals = self.totals.plus(flow)

    @property
    def last(self) -> Flow | None:
        """The newest second, or None."""
        return self._rows[-1][1] if self._rows else None

    def since(self, cursor: int = 0) -> SeriesPage:
        """Return the seconds after a cursor; 0: all kept seconds."""
        while True:
            try:
                newest = self._serial
                desired = min(max(0, newest - cursor), len(self._rows))
                newest_first = list(islice(reversed(self._rows), desired))
                break
            except RuntimeError:  # the worker appended during the copy
                continue
        rows = [flow for serial, flow in reversed(newest_first) if serial > cursor]
        end = newest_first[0][0] if newest_first else max(cursor, 0)
        return SeriesPage(rows, end, max(0, end - cursor - len(rows)))
