"""What `kubectl get` shows: the columns of each kind, and the cells of each object.

Pure: kinds and documents in, columns and rows out. Columns of priority 1 are shown by ``-o wide``.

>>> from kubesim.apiserver.registry import Kind
>>> secret = Kind("ConfigMap", "configmaps")
>>> [column["name"] for column in columns(secret)]
['Name', 'Data', 'Age']

Built-in kinds have their columns in four files of their own; custom ones bring
`additionalPrinterColumns`, each with a path into the document; all others show their name and when
they were made.

Source: pkg/printers/internalversion/printers.go, k8s.io/client-go/util/jsonpath (the part of it
that columns use), apiextensions-apiserver/pkg/registry/customresource/tableconvertor.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from kubesim.apiserver.printers.ages import Ages, steady_seconds
from kubesim.apiserver.printers.cells import Row, column
from kubesim.apiserver.printers.config import SMALL
from kubesim.apiserver.printers.network import TRAFFIC
from kubesim.apiserver.printers.pods import PODS
from kubesim.apiserver.printers.workloads import WORKLOADS
from kubesim.apiserver.registry import Kind
from kubesim.clock.base import Clock
from kubesim.objects.frozen import Document

Rows = list[list[Any]]
ROWS: dict[str, Row] = {**PODS, **WORKLOADS, **TRAFFIC, **SMALL}
NAME = column("Name", "name", format="name")
PLAIN: Row = ((NAME, column("Created At", "when it was made")), lambda d, ages: [_made(d)])
CUSTOM: Row = (
    (NAME, column("Age", "since it was made", type="date")),
    lambda d, ages: [ages.since(_made(d))],
)
_STEP = re.compile(r"\.?([\w\-\0]+)|\[['\"]([^'\"]+)['\"]\]|\[(\d+|\*)\]|\[\?\((.*?)\)\]")
_FILTER = re.compile(r"@\.([\w.\-]+)\s*==\s*['\"]?([^'\"]*)['\"]?")


def columns(kind: Kind) -> list[Document]:
    """The columns of a kind: name, type, format, description, priority."""
    if kind.columns:
        return [dict(NAME), *(_own_column(declared) for declared in kind.columns)]
    return [dict(item) for item in _row(kind)[0]]


def cells(kind: Kind, document: Document, clock: Clock, now: float) -> list[Any]:
    """The cells of one object, in the order of `columns`.

    Args:
        kind: of the document.
        document: the object.
        clock: reads the times in it.
        now: simulated second.
    """
    return _cells(kind, document, Ages(now, clock.seconds_at))


def lasting_cells(
    kind: Kind, document: Document, clock: Clock, now: float
) -> tuple[list[Any], float]:
    """(cells as from `cells`, the simulated second until which they stay as they are).

    Whatever a cell says about time, it was read from the document: the earliest moment at which an
    age of one of these times reads otherwise.
    """
    until = float("inf")

    def seconds_at(timestamp: str) -> float:
        nonlocal until
        seconds = clock.seconds_at(timestamp)
        until = min(until, now + steady_seconds(now - seconds))
        return seconds

    return _cells(kind, document, Ages(now, seconds_at)), until


def table_for(
    kind: Kind, objects: Iterable[Document], clock: Clock, now: float, *, wide: bool = True
) -> tuple[list[Document], Rows]:
    """The whole table of some objects: (columns, rows).

    Args:
        kind: of the objects.
        objects: documents.
        clock, now: as for `cells`.
        wide: with the columns of priority 1.
    """
    every = columns(kind)
    shown = [index for index, item in enumerate(every) if wide or not item["priority"]]
    rows = [cells(kind, document, clock, now) for document in objects]
    return [every[i] for i in shown], [[row[i] for i in shown] for row in rows]


def _row(kind: Kind) -> Row:
    if kind.custom:
        return CUSTOM
    return ROWS.get(kind.kind, PLAIN)


def _cells(kind: Kind, document: Document, ages: Ages) -> list[Any]:
    name = (document.get("metadata") or {}).get("name", "")
    if kind.columns:
        return [name, *(_own_cell(declared, document, ages) for declared in kind.columns)]
    shown = _row(kind)[1](document, ages)
    # An event's name is not what people look for: it comes last, and only with -o wide.
    return shown if kind.kind == "Event" and not kind.custom else [name, *shown]


def _made(document: Document) -> Any:
    return (document.get("metadata") or {}).get("creationTimestamp")


# -- columns of custom kinds -----------------------------------------------------------------------


def _own_column(declared: Document) -> Document:
    return {
        "name": str(declared.get("name", "")),
        "type": str(declared.get("type", "string")),
        "format": str(declared.get("format", "")),
        "description": str(declared.get("description") or "Custom resource definition column"),
        "priority": int(declared.get("priority") or 0),
    }


def _own_cell(declared: Document, document: Document, ages: Ages) -> Any:
    found = json_path(document, str(declared.get("jsonPath", "")))
    if not found:
        return None
    if declared.get("type") == "date":
        return ages.since(found[0])
    if declared.get("type") == "string":
        texts = [item if isinstance(item, str) else json.dumps(item) for item in found]
        return ",".join(texts)
    return found[0]


def json_path(document: Any, path: str) -> list[Any]:
    """What a JSON path finds: fields, indexes, ``[*]`` and ``[?(@.field=="value")]``.

    >>> pod = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    >>> json_path(pod, '.status.conditions[?(@.type=="Ready")].status')
    ['True']
    """
    found = [document]
    for name, quoted, index, condition in _STEP.findall(path.strip("{} $").replace(r"\.", "\0")):
        field = (name or quoted).replace("\0", ".")
        if field:
            found = [item[field] for item in found if isinstance(item, dict) and field in item]
        else:
            lists = [item for item in found if isinstance(item, list)]
            found = [part for item in lists for part in _picked(item, index, condition)]
    return [item for item in found if item is not None]


def _picked(items: list[Any], index: str, condition: str) -> list[Any]:
    if index == "*":
        return items
    if index:
        return items[int(index) : int(index) + 1]
    wanted = _FILTER.search(condition)
    if wanted is None:
        return []
    path, value = wanted.groups()
    return [item for item in items if value in map(str, json_path(item, f".{path}"))]
