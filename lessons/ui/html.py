"""HTML of the panels: tables, decisions, errors.

Every value is escaped: a pod's name is harmless, a message can contain anything. Kubernetes has no
counterpart.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape

from kubesim.client.decisions import Decision
from kubesim.table import numeric_columns

FEW_COLUMNS = 3  # a table of so many is only as wide as its texts


def html_table(columns: Sequence[str], rows: Iterable[Sequence[object]], caption: str) -> str:
    """Return a table; columns of numbers are aligned to the right.

    It is as wide as its box, unless it has few columns.

    Args:
        columns: headings.
        rows: cells; None is empty.
        caption: title of the table.
    """
    kept = [list(row) for row in rows]
    numeric = numeric_columns(kept, len(columns))
    head = "".join(
        f"<th scope='col'{_alignment(right)}>{escape(column)}</th>"
        for column, right in zip(columns, numeric, strict=True)
    )
    body = "".join(
        "<tr>"
        + "".join(
            f"<td{_alignment(right)}>{escape('' if value is None else str(value))}</td>"
            for value, right in zip(row, numeric, strict=True)
        )
        + "</tr>"
        for row in kept
    )
    few = " ks-few" if len(columns) <= FEW_COLUMNS else ""
    return (
        f"<table class='ks-table{few}'><caption>{styled(caption)}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )


def decision_html(
    latest: Decision | None, changes: Sequence[str], component: str = "the autoscaler"
) -> str:
    """Return a component's newest decision, rule by rule, and the last scalings.

    Args:
        latest: the decision; None: there is none yet.
        changes: the last scalings, newest first.
        component: name of the component, with its article.
    """
    if latest is None:
        name = component[:1].upper() + component[1:]
        return f"<div class='ks-why'><b>Why</b><p>{name} has not decided anything yet.</p></div>"
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
        f"<div class='ks-why'><b>Why: {component}'s decision at {latest.time:.0f} s</b>"
        f"<p class='ks-verdict'>{escape(latest.verdict)}</p><ol>{steps}</ol>{notes}{scalings}</div>"
    )


def styled(text: str) -> str:
    """Return a text with its names in backticks set as code.

    >>> styled("the pod `web` & more")
    'the pod <code>web</code> &amp; more'
    """
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def error_html(message: str) -> str:
    """Return the error strip of a panel; "" without a message."""
    if not message:
        return ""
    return f"<div role='alert' class='ks-error'><b>Error:</b> {escape(message)}</div>"


def natural(name: str) -> list[tuple[str, int]]:
    """Return a sort key that compares numbers in names as numbers.

    >>> sorted(["web-10", "web-9", "db"], key=natural)
    ['db', 'web-9', 'web-10']
    """
    return [(text, int(n) if n else -1) for text, n in re.findall(r"([^0-9]*)([0-9]*)", name)]


def _alignment(right: bool) -> str:
    return " class='ks-n'" if right else ""
