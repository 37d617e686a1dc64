"""The table node x plug-in of one scheduling attempt, for people.

No counterpart in Kubernetes, where the reasons are counted and the scores are lost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kubesim.table import Table


def attempt_table(rows: Sequence[Mapping[str, Any]], title: str = "") -> Table:
    """One row a node: the plug-in that refused it and why, or each plug-in's weighted score.

    A cell reads ``weighted (raw -> normalized)``, or just the weighted score where normalizing and
    weighing change nothing. The best total is marked; several marks are a tie, drawn by lot.

    Args:
        rows: `data["table"]` of a decision record.
        title: above the table.
    """
    plugins = list(dict.fromkeys(p for row in rows for p in row.get("scores") or ()))
    refused = any(not row["feasible"] for row in rows)
    columns = ["node", *(["refused by", "because"] if refused else []), *plugins]
    columns += ["total"] if plugins else []
    table = []
    for row in rows:
        cells: list[Any] = [row["node"]]
        if refused:
            cells += [row.get("plugin", ""), ", ".join(row.get("reasons", ()))]
        cells += [_cell((row.get("scores") or {}).get(plugin)) for plugin in plugins]
        if plugins:
            total = row.get("total")
            cells.append("" if total is None else f"{total} *" if row.get("best") else str(total))
        table.append(cells)
    return Table(columns, table, title)


def _cell(score: Mapping[str, Any] | None) -> str:
    if score is None:
        return ""
    raw, normalized, weighted = score["raw"], score["normalized"], score["weighted"]
    if raw == normalized == weighted:
        return str(weighted)
    shown = f"{raw:.6g}" if isinstance(raw, float) else str(raw)
    return f"{weighted} ({shown} -> {normalized})"
