"""Tables: what the charts show, as text; and what happens in the cluster, as HTML.

A chart is no use to somebody who cannot see it, so each has its table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from html import escape
from typing import Any

from kubesim import Table
from kubesim.analytics import LogRow
from kubesim.client.decisions import Decision
from kubesim.errors import BadRequest
from lessons.cockpit.series import Row, Series

WHICH = ("pods", "cpu", "traffic", "decisions")
LEVEL_WORDS = {"info": "", "warn": "warning: ", "error": "error: "}


def of(series: Series, which: str = "pods", last: int = 12) -> Table:
    """The rows behind one chart, oldest first.

    Args:
        series: the figures.
        which: ``pods``, ``cpu``, ``traffic`` or ``decisions``.
        last: at most so many rows, the newest.

    Raises:
        BadRequest: no such table; the message lists those that exist.
    """
    if which not in WHICH:
        raise BadRequest(f"no table {which!r}; there are: {', '.join(WHICH)}")
    if which == "decisions":
        marks = series.marks[-last:]
        rows = [(mark.time, mark.before, mark.after, mark.why) for mark in marks]
        return Table(("time [s]", "from", "to", "why"), rows, "decisions that changed something")
    columns, cells = _COLUMNS[which]
    return Table(columns, [cells(row) for row in list(series.rows)[-last:]], which)


def _pods(row: Row) -> tuple[Any, ...]:
    return (round(row.time, 1), row.desired, row.ready, row.minimum, row.maximum)


def _cpu(row: Row) -> tuple[Any, ...]:
    average = None if row.average_milli is None else round(row.average_milli)
    return (round(row.time, 1), average, round(row.target_milli))


def _traffic(row: Row) -> tuple[Any, ...]:
    values = (row.offered, row.served, row.offered - row.served)
    return (round(row.time, 1), *(round(value, 1) for value in values))


_COLUMNS: dict[str, tuple[tuple[str, ...], Callable[[Row], tuple[Any, ...]]]] = {
    "pods": (("time [s]", "desired", "ready", "min", "max"), _pods),
    "cpu": (("time [s]", "average CPU [m]", "target [m]"), _cpu),
    "traffic": (("time [s]", "offered [1/s]", "served [1/s]", "not served [1/s]"), _traffic),
}


# -- as HTML, for the cockpit -------------------------------------------------------------------


def html_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], caption: str) -> str:
    """A plain HTML table with a caption; every value is escaped, numbers stand to the right."""
    kept = [list(row) for row in rows]
    numeric = [
        bool(kept) and all(isinstance(row[i], (int, float)) for row in kept)
        for i in range(len(columns))
    ]
    head = "".join(
        f"<th scope='col'{_aligned(right)}>{escape(column)}</th>"
        for column, right in zip(columns, numeric, strict=True)
    )
    body = "".join(
        "<tr>"
        + "".join(
            f"<td{_aligned(right)}>{escape(_text(value))}</td>"
            for value, right in zip(row, numeric, strict=True)
        )
        + "</tr>"
        for row in kept
    )
    return (
        f"<table class='ks-table'><caption>{escape(caption)}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )


def pods_html(rows: Sequence[Sequence[Any]], limit: int) -> str:
    """The pod table: name, status, node, CPU, memory, restarts."""
    shown = rows[:limit]
    more = len(rows) - len(shown)
    caption = f"Pods ({len(rows)})" + (f", the first {limit}" if more else "")
    return html_table(("pod", "status", "node", "CPU [m]", "MB", "restarts"), shown, caption)


def feed_html(rows: Iterable[LogRow]) -> str:
    """What just happened, newest first; a level that matters is said in words."""
    cells = [
        (round(row.time), f"{LEVEL_WORDS.get(row.level, '')}{_short(row)}")
        for row in reversed(list(rows))
    ]
    return html_table(("t [s]", "event"), cells, "What happened")


def decision_html(
    latest: Decision | None, changes: Sequence[str], who: str = "the autoscaler"
) -> str:
    """Why: somebody's newest decision, rule by rule, and the last scalings."""
    if latest is None:
        return f"<div class='ks-why'><b>Why</b><p>{_upper(who)} has not looked yet.</p></div>"
    steps = "".join(
        f"<li><b>{escape(step.rule)}</b>: {escape(step.result)}</li>" for step in latest.steps
    )
    notes = "".join(
        f"<p><b>{label}</b> {escape(text)}</p>"
        for label, text in (
            ("Bound by:", latest.binding),
            ("Would change if:", latest.would_change_if),
        )
        if text
    )
    past = "".join(f"<li>{escape(change)}</li>" for change in changes)
    scalings = f"<p><b>Last scalings</b></p><ul>{past}</ul>" if past else ""
    return (
        f"<div class='ks-why'><b>Why: {who}'s decision at {latest.time:.0f} s</b>"
        f"<p class='ks-verdict'>{escape(latest.verdict)}</p><ol>{steps}</ol>{notes}{scalings}</div>"
    )


def _short(row: LogRow) -> str:
    """A log row without what nobody reads in a narrow column: its tag, and uids."""
    message = row.message
    if message.startswith("ID=") and ", Name=" in message:
        message = f"{row.action} {message.partition(', Name=')[2]}"
    return f"{row.component}: {message}"


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def _aligned(right: bool) -> str:
    return " class='ks-n'" if right else ""


def _text(value: Any) -> str:
    return "" if value is None else str(value)
