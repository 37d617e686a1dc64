"""Tables: the values of each plot as text; pods and events as HTML.

Each plot has a table, for people who cannot see the plot. Kubernetes' counterpart of the pod table
is `kubectl get pods -o wide`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from html import escape

from kubesim import Table
from kubesim.analytics import LogRow
from kubesim.errors import BadRequest
from lessons.cockpit.series import WorkloadRow, WorkloadSeries
from lessons.ui.html import html_table, natural

WHICH = ("pods", "cpu", "traffic", "decisions")
NUMBERED_PODS = 24  # up to here each cell of the strip has its number
FULL_PERCENT = 150  # of the request, at which a cell is full
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


def pods_sorted(rows: Sequence[Sequence[object]]) -> list[Sequence[object]]:
    """Return the rows of the pod table by name: auto-pod-2 before auto-pod-10."""
    return sorted(rows, key=lambda row: natural(str(row[0])))


def pods_html(rows: Sequence[Sequence[object]]) -> str:
    """Return the pod table."""
    columns = ("pod", "status", "node", "CPU [m]", "MB", "restarts")
    return html_table(columns, rows, f"Pods ({len(rows)})")


def strip_html(rows: Sequence[Sequence[object]], request_milli: int) -> str:
    """Return one cell for each pod, filled by its CPU; with the number while there are few.

    Args:
        rows: of the pod table.
        request_milli: CPU request of a pod.
    """
    few = len(rows) <= NUMBERED_PODS
    cells = "".join(_cell(row, request_milli, few) for row in rows)
    note = "CPU now, % of request" if few else f"CPU now; full: {FULL_PERCENT} % of request"
    label = f"{len(rows)} pods, one cell for each; point at a cell to read its name and CPU"
    kind = "ks-strip" if few else "ks-strip ks-crowd"
    return f"<div class='{kind}' role='img' aria-label='{label}'><b>{note}</b>{cells}</div>"


def _cell(row: Sequence[object], request_milli: int, number: bool) -> str:
    name, status, node, cpu = row[:4]
    tip, text, full = f"{name}: {status} on {node}", "·", 0.0
    if isinstance(cpu, int | float):
        percent = 100 * cpu / max(1, request_milli)
        tip, text = f"{tip}, {cpu} m", f"{percent:.0f}"
        full = min(100.0, 100 * percent / FULL_PERCENT)
    label = text if number else ""
    return f"<i style='--full:{full:.0f}%' title='{escape(tip)}'>{label}</i>"


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
