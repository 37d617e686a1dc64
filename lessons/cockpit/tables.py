"""Tables: the values of each plot as text; pods and events as HTML.

Each plot has a table, for people who cannot see the plot. Kubernetes' counterpart of the pod table
is `kubectl get pods -o wide`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from kubesim import Table
from kubesim.analytics import LogRow
from kubesim.errors import BadRequest
from lessons.cockpit.series import WorkloadRow, WorkloadSeries
from lessons.ui.html import html_table

WHICH = ("pods", "cpu", "traffic", "decisions")
LEVEL_WORDS = {"info": "", "warn": "warning: ", "error": "error: "}


def of(series: WorkloadSeries, which: str = "pods", last: int = 12) -> Table:
    """Return the rows of one plot, oldest first.

    Args:
        series: the values.
        which: ``pods``, ``cpu``, ``traffic`` or ``decisions``.
        last: at most this many rows, the newest.

    Raises:
        BadRequest: there is no such table; the message lists the tables.
    """
    if which not in WHICH:
        raise BadRequest(f"no table {which!r}; there are: {', '.join(WHICH)}")
    if which == "decisions":
        marks = series.marks[-last:]
        rows = [(mark.time, mark.before, mark.after, mark.why) for mark in marks]
        return Table(("time [s]", "from", "to", "why"), rows, "decisions that changed something")
    columns, cells = _COLUMNS[which]
    return Table(columns, [cells(row) for row in list(series.rows)[-last:]], which)


def _pods(row: WorkloadRow) -> tuple[object, ...]:
    return (round(row.time, 1), row.desired, row.ready, row.minimum, row.maximum)


def _cpu(row: WorkloadRow) -> tuple[object, ...]:
    average = None if row.average_milli is None else round(row.average_milli)
    return (round(row.time, 1), average, round(row.target_milli))


def _traffic(row: WorkloadRow) -> tuple[object, ...]:
    values = (row.offered, row.served, row.offered - row.served)
    return (round(row.time, 1), *(round(value, 1) for value in values))


_COLUMNS: dict[str, tuple[tuple[str, ...], Callable[[WorkloadRow], tuple[object, ...]]]] = {
    "pods": (("time [s]", "desired", "ready", "min", "max"), _pods),
    "cpu": (("time [s]", "average CPU [m]", "target [m]"), _cpu),
    "traffic": (("time [s]", "offered [1/s]", "served [1/s]", "not served [1/s]"), _traffic),
}


# -- HTML for the cockpit -----------------------------------------------------------------------


def pods_html(rows: Sequence[Sequence[object]], limit: int) -> str:
    """Return the first `limit` rows of the pod table, which is sorted by name."""
    shown = rows[:limit]
    more = len(rows) - len(shown)
    caption = f"Pods ({len(rows)})" + (f", the first {limit}" if more else "")
    return html_table(("pod", "status", "node", "CPU [m]", "MB", "restarts"), shown, caption)


def feed_html(rows: Iterable[LogRow]) -> str:
    """Return the newest events first; warnings and errors are marked in words."""
    cells = [
        (round(row.time), f"{LEVEL_WORDS.get(row.level, '')}{_short(row)}")
        for row in reversed(list(rows))
    ]
    return html_table(("t [s]", "event"), cells, "Events")


def _short(row: LogRow) -> str:
    """Return a log row without its tag and uids, for a narrow column."""
    message = row.message
    if message.startswith("ID=") and ", Name=" in message:
        message = f"{row.action} {message.partition(', Name=')[2]}"
    return f"{row.component}: {message}"
