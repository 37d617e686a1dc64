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

Source: pkg/printers/internalversion/printers.go, k8s.io/client-go/util/jsonpath (the part of it
that columns use), apiextensions-apiserver/pkg/registry/customresource/tableconvertor.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import TypeAlias

from kubesim.apiserver.printers.ages import Ages, seconds_until_change
from kubesim.apiserver.printers.cells import AGE, NAME, Printer, column, part, printer_of
from kubesim.apiserver.printers.clusterkinds import CLUSTER_KINDS
from kubesim.apiserver.printers.config import CONFIG
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
_STEP = re.compile(r"\.?([\w\-\0]+)|\[['\"]([^'\"]+)['\"]\]|\[(\d+|\*)\]|\[\?\((.*?)\)\]")
_FILTER = re.compile(r"@\.([\w.\-]+)\s*==\s*['\"]?([^'\"]*)['\"]?")


def columns(kind: Kind) -> list[Document]:
    """Return the columns of a kind: name, type, format, description, priority."""
    if kind.columns:
        return [dict(NAME), *(_own_column(declared) for declared in kind.columns)]
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
        return [name, *(_own_cell(declared, document, ages) for declared in kind.columns)]
    shown = _printer(kind).cells(document, ages)
    return shown if kind.kind in NAMED and not kind.custom else [name, *shown]


# -- columns of custom kinds -----------------------------------------------------------------------


def _own_column(declared: Document) -> Document:
    return {
        "name": str(declared.get("name", "")),
        "type": str(declared.get("type", "string")),
        "format": str(declared.get("format", "")),
        "description": str(declared.get("description") or "Custom resource definition column"),
        "priority": int(declared.get("priority") or 0),
    }


def _own_cell(declared: Document, document: Document, ages: Ages) -> object:
    values = json_path(document, str(declared.get("jsonPath", "")))
    if not values:
        return None
    if declared.get("type") == "date":
        return ages.since(values[0])
    if declared.get("type") == "string":
        strings = [item if isinstance(item, str) else json.dumps(item) for item in values]
        return ",".join(strings)
    return values[0]


def json_path(document: object, path: str) -> list[object]:
    """Return the values at a JSON path: fields, indexes, ``[*]``, ``[?(@.field=="value")]``.

    >>> pod = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    >>> json_path(pod, '.status.conditions[?(@.type=="Ready")].status')
    ['True']
    """
    values = [document]
    for name, quoted, index, condition in _STEP.findall(path.strip("{} $").replace(r"\.", "\0")):
        field = (name or quoted).replace("\0", ".")
        if field:
            values = [item[field] for item in values if isinstance(item, dict) and field in item]
        else:
            lists = [item for item in values if isinstance(item, list)]
            values = [each for item in lists for each in _selected(item, index, condition)]
    return [item for item in values if item is not None]


def _selected(items: list[object], index: str, condition: str) -> list[object]:
    if index == "*":
        return items
    if index:
        return items[int(index) : int(index) + 1]
    match = _FILTER.search(condition)
    if match is None:
        return []
    path, value = match.groups()
    return [item for item in items if value in map(str, json_path(item, f".{path}"))]
