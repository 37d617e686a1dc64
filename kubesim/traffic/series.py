"""What a chart reads: the seconds of one service since a cursor.

No counterpart in Kubernetes; a real cluster's ingress or service mesh exports such figures.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import islice

from kubesim.table import Table
from kubesim.traffic.queueing import Flow

KEPT_SECONDS = 7_200  # of each service
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
        cursor: what to ask for next.
        lost: how many seconds after the old cursor were dropped before they were read.
    """

    rows: list[Flow]
    cursor: int
    lost: int = 0

    def table(self) -> Table:
        """The seconds as a table, latency in milliseconds."""
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
    """Requests of one service since its traffic began; those sent again count as `retried` and not
    as offered, and an attempt that is followed by another one is not unmet."""

    offered: float = 0.0
    served: float = 0.0
    timed_out: float = 0.0
    lost: float = 0.0
    retried: float = 0.0
    unmet: float = 0.0

    def plus(self, flow: Flow) -> Totals:
        """With one second more."""
        return Totals(
            self.offered + flow.offered,
            self.served + flow.served,
            self.timed_out + flow.timed_out,
            self.lost + flow.lost,
            self.retried + flow.retried,
            self.unmet + flow.unmet,
        )


class Series:
    """A bounded ring of seconds, read by cursor. Written on one worker, read from any thread."""

    def __init__(self, kept: int = KEPT_SECONDS) -> None:
        self._rows: deque[tuple[int, Flow]] = deque(maxlen=kept)
        self._serial = 0
        self.totals = Totals()

    def append(self, flow: Flow) -> None:
        """One second more; the oldest goes when the ring is full."""
        self._serial += 1
        self._rows.append((self._serial, flow))
        self.totals = self.totals.plus(flow)

    @property
    def last(self) -> Flow | None:
        """The newest second."""
        return self._rows[-1][1] if self._rows else None

    def since(self, cursor: int = 0) -> SeriesPage:
        """The seconds after a cursor; 0: all that are kept."""
        while True:
            try:
                newest = self._serial
                wanted = min(max(0, newest - cursor), len(self._rows))
                found = list(islice(reversed(self._rows), wanted))
                break
            except RuntimeError:  # appended to while it was copied: try again
                continue
        rows = [flow for serial, flow in reversed(found) if serial > cursor]
        end = found[0][0] if found else max(cursor, 0)
        return SeriesPage(rows, end, max(0, end - cursor - len(rows)))
