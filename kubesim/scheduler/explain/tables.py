"""The table of node by plug-in of one scheduling attempt.

No counterpart in Kubernetes, where the reasons are counted and the scores are lost.
"""

from __future__ import annotations

from collections.abc import Sequence

from kubesim.objects.frozen import ReadOnlyDocument
from kubesim.table import Table


def attempt_table(rows: Sequence[ReadOnlyDocument], title: str = "") -> Table:
    """Return a table with one row per node: which plug-in refused it and why, or all scores.

    A cell reads ``weighted (raw -> normalized)``, or just the weighted score where normalization
    and weight change nothing. The highest total is marked; several marks are a tie, which is broken
    at random.

    Args:
        rows: `data["table"]` of a decision record.
        title: title of the table.
    """
    plugins = list(dict.fromkeys(p for row in rows for p in row.get("scores") or ()))
    refused = any(not row["feasible"] for row in rows)
    columns = ["node", *(["refused by", "because"] if refused else []), *plugins]
    columns += ["total"] if plugins else []
    table = []
    for row in rows:
        cells: list[object] = [row["node"]]
        if refused:
            cells += [row.get("plugin", ""), ", ".join(row.get("reasons", ()))]
        cells += [_cell((row.get("scores") or {}).get(plugin)) for plugin in plugins]
        if plugins:
            total = row.get("total")
            cells.append("" if total is None else f"{total} *" if row.get("best") else str(total))
        table.append(cells)
    return Table(columns, table, title)


def _cell(score: ReadOnlyDocument | None) -> str:
    if score is None:
        return ""
    raw, normalized, weighted = score["raw"], score["normalized"], score["weighted"]
    if raw == normalized == weighted:
        return str(weighted)
    shown = f"{raw:.6g}" if isinstance(raw, float) else str(raw)
    return f"{weighted} ({shown} -> {normalized})"
