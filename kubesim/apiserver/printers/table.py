"""Tables of `kubectl get`: the columns of each kind, and the cells of each object.

Pure functions from kinds and documents to columns and rows. Columns of priority 1 are shown with
``-o wide`` only.

>>> from kubesim.apiserver.registry import Kind
>>> secret = Kind("ConfigMap", "configmaps")
>>> [column["name"] for column in columns(secret)]
['Name', 'Data', 'Age']

The printers of built-in kinds are in five files next to this one. Custom kinds declare
`additionalPrinterColumns`, each with a path into the document. All other kinds show name and time
of creation.

Source: pkg/printers/internalversion/printers.go,
apiextensions-apiserver/pkg/registry/customresource/tableconvertor.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import takewhile
from math import isfinite
from typing import TypeAlias

from kubesim.apiserver.printers.ages import UNKNOWN, Ages, seconds_until_change
from kubesim.apiserver.printers.cells import AGE, NAME, Printer, column, part, printer_of
from kubesim.apiserver.printers.clusterkinds import CLUSTER_KINDS
from kubesim.apiserver.printers.config import CONFIG
from kubesim.apiserver.printers.jsonpath import PathError, find_values, is_path
from kubesim.apiserver.printers.network import NETWORK
from kubesim.apiserver.printers.pods import PODS
from kubesim.apiserver.printers.storage import STORAGE
from kubesim.apiserver.printers.workloads import WORKLOADS
from kubesim.apiserver.registry import Kind
from kubesim.clock.base import Clock
from kubesim.objects.frozen import Document

Rows: TypeAlias = list[list[object]]
PRINTERS: dict[str, Printer] = {
    **PODS,
    **WORKLOADS,
    **NETWORK,
    **CONFIG,
    **CLUSTER_KINDS,
    **STORAGE,
}
# Printers with a cell for the name: it is the last column of Events, and says more of classes.
NAMED = ("Event", "StorageClass")
PLAIN = Printer(
    (NAME, column("Created At", "time of creation")),
    lambda document, ages: [part(document, "metadata", "creationTimestamp")],
)
CUSTOM = printer_of(AGE._replace(column={**AGE.column, "type": "date"}))


def columns(kind: Kind) -> list[Document]:
    """Return the columns of a kind: name, type, format, description, priority."""
    if kind.columns:
        return [dict(NAME), *map(_own_column, _own_columns(kind))]
    return [dict(item) for item in _printer(kind).columns]


def cells(kind: Kind, document: Document, clock: Clock, now: float) -> list[object]:
    """Return the cells of one object, in the order of `columns`.

    Args:
        kind: kind of the object.
        document: the object.
        clock: parses the times in it.
        now: simulated second.
    """
    return _cells(kind, document, Ages(now, clock.seconds_at))


def lasting_cells(
    kind: Kind, document: Document, clock: Clock, now: float
) -> tuple[list[object], float]:
    """Return the cells of one object, and until when they stay the same.

    Cells depend on time only by the times in the document; the cells change at the earliest moment
    at which one of their ages reads differently.

    Args:
        kind: kind of the object.
        document: the object.
        clock: parses the times in it.
        now: simulated second.

    Returns:
        (cells as from `cells`, simulated second).
    """
    until = float("inf")

    def seconds_at(timestamp: str) -> float:
        nonlocal until
        seconds = clock.seconds_at(timestamp)
        until = min(until, now + seconds_until_change(now - seconds))
        return seconds

    return _cells(kind, document, Ages(now, seconds_at)), until


def table_for(
    kind: Kind, objects: Iterable[Document], clock: Clock, now: float, *, wide: bool = True
) -> tuple[list[Document], Rows]:
    """Return the table of some objects.

    Args:
        kind: kind of the objects.
        objects: the objects.
        clock: parses the times in them.
        now: simulated second.
        wide: include the columns of priority 1.

    Returns:
        (columns, rows).
    """
    every = columns(kind)
    shown = [index for index, item in enumerate(every) if wide or not item["priority"]]
    rows = [cells(kind, document, clock, now) for document in objects]
    return [every[i] for i in shown], [[row[i] for i in shown] for row in rows]


def _printer(kind: Kind) -> Printer:
    if kind.custom:
        return CUSTOM
    return PRINTERS.get(kind.kind, PLAIN)


def _cells(kind: Kind, document: Document, ages: Ages) -> list[object]:
    name = (document.get("metadata") or {}).get("name", "")
    if kind.columns:
        return [name, *(_own_cell(each, document, ages) for each in _own_columns(kind))]
    shown = _printer(kind).cells(document, ages)
    return shown if kind.kind in NAMED and not kind.custom else [name, *shown]


# -- columns of custom kinds -----------------------------------------------------------------------


def _own_columns(kind: Kind) -> list[Document]:
    """Return the declared columns of a kind up to the first whose path cannot be parsed.

    The path of a definition is only checked to begin with a dot; with a malformed one, the real
    server logs "falling back to default printing" and shows the columns before it.
    """
    return list(takewhile(lambda each: is_path(str(each.get("jsonPath", ""))), kind.columns))


def _own_column(declared: Document) -> Document:
    path = declared.get("jsonPath", "")
    about = f"Custom resource definition column (in JSONPath format): {path}"
    return {
        "name": str(declared.get("name", "")),
        "type": str(declared.get("type", "string")),
        "format": str(declared.get("format") or ""),
        "description": str(declared.get("description") or about),
        "priority": int(declared.get("priority") or 0),
    }


def _own_cell(declared: Document, document: Document, ages: Ages) -> object:
    """Return the cell of a declared column: the first value at its path, if the type is right."""
    try:
        values = find_values(document, str(declared.get("jsonPath", "")))
    except PathError:
        return None
    if not values:
        return None
    value, type_ = values[0], declared.get("type")
    match value:
        case None:
            return "<no value>" if type_ == "string" else None
        case _ if type_ == "string":
            return _text_of(value)
        case str() if type_ == "date":
            return _age_of(value, ages)
        case bool():
            return value if type_ == "boolean" else None
        case int() | float() if type_ == "integer" and isfinite(value):
            return int(value)
        case int() | float() if type_ == "number":
            return value
    return None


def _age_of(timestamp: str, ages: Ages) -> str:
    if timestamp in ("", "null"):
        return UNKNOWN
    return "<invalid>" if ages.seconds(timestamp) is None else ages.since(timestamp)


def _text_of(value: object) -> str:
    """Return a value as a column of type string shows it: lists and objects in JSON."""
    if isinstance(value, str):
        return value
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
