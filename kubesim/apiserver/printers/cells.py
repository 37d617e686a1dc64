"""Building blocks of printers: columns, cells, values at paths of a document, short strings.

A printer is a list of columns with one cell each. A cell is mostly a path into the document:

>>> printer = printer_of(at(column("Status", "phase of the namespace"), "status.phase"), AGE)
>>> [column["name"] for column in printer.columns]
['Name', 'Status', 'Age']
>>> printer.cells({"status": {"phase": "Active"}}, Ages(0.0, float))
['Active', '<unknown>']

Source: pkg/printers/internalversion/printers.go; metav1.TableColumnDefinition.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple, TypeAlias, cast

from kubesim.apiserver.printers.ages import Ages
from kubesim.errors import BadRequest
from kubesim.objects.frozen import Document, ReadOnlyDocument
from kubesim.objects.selectors import selector_from

if TYPE_CHECKING:
    from kubesim.objects.types import LabelSelectorDict

NONE = "<none>"
UNSET = "<unset>"
CellValue: TypeAlias = Callable[[Document, Ages], object]
"""From a document (and the ages of the times in it) to the value of one cell."""


class Printer(NamedTuple):
    """How the objects of a kind are printed.

    Attributes:
        columns: metav1.TableColumnDefinitions.
        cells: the cells of one object, without its name; for Events with it.
    """

    columns: tuple[Document, ...]
    cells: Callable[[Document, Ages], list[object]]


class Cell(NamedTuple):
    """One column with the function that computes its cells."""

    column: Document
    value: CellValue


# -- columns ---------------------------------------------------------------------------------------


def column(
    name: str, about: str, type: str = "string", format: str = "", priority: int = 0
) -> Document:
    """Return one column, as metav1.TableColumnDefinition.

    Args:
        name: title of the column.
        about: its description.
        type: OpenAPI type of the cells.
        format: OpenAPI format of the cells; ``name`` marks the object's name.
        priority: 0: always shown; 1: shown with ``-o wide``.
    """
    return {
        "name": name,
        "type": type,
        "format": format,
        "description": about,
        "priority": priority,
    }


def wide(name: str, about: str, type: str = "string") -> Document:
    """Return a column that is shown with ``-o wide`` only.

    Args:
        name: title of the column.
        about: its description.
        type: OpenAPI type of the cells.
    """
    return column(name, about, type, priority=1)


def number(name: str, about: str) -> Document:
    """Return a column of integers."""
    return column(name, about, "integer")


# -- cells -----------------------------------------------------------------------------------------


def at(column: Document, path: str, default: object = "") -> Cell:
    """Return a cell with the value at a path.

    Args:
        column: the column.
        path: field names joined by dots.
        default: the value if the field is missing or empty.
    """
    read = _reader(path)
    return Cell(column, lambda document, ages: read(document) or default)


def integer_at(column: Document, path: str) -> Cell:
    """Return a cell with the integer at a path, or 0."""
    read = _reader(path)

    def value(document: Document, ages: Ages) -> int:
        number = read(document)
        return int(number) if isinstance(number, int) else 0

    return Cell(column, value)


def length_at(column: Document, path: str) -> Cell:
    """Return a cell with the number of objects in the list at a path."""
    fields = tuple(path.split("."))
    return Cell(column, lambda document, ages: len(objects(document, *fields)))


def selector_at(column: Document, path: str) -> Cell:
    """Return a cell with the label selector at a path."""
    read = _reader(path)
    return Cell(column, lambda document, ages: selector_text(read(document)))


def labels_at(column: Document, path: str) -> Cell:
    """Return a cell with the labels at a path."""
    read = _reader(path)
    return Cell(column, lambda document, ages: labels_text(read(document)))


def printer_of(*cells: Cell) -> Printer:
    """Return a printer with the name and these cells."""
    values = [cell.value for cell in cells]
    return Printer(
        (NAME, *(cell.column for cell in cells)),
        lambda document, ages: [value(document, ages) for value in values],
    )


# -- values of a document --------------------------------------------------------------------------


def _reader(path: str) -> Callable[[Document], object]:
    """Return a function that reads the value at a path; most paths have two fields."""
    fields = tuple(path.split("."))
    if len(fields) != 2:
        return lambda document: part(document, *fields)
    first, second = fields

    def read(document: Document) -> object:
        holder = document.get(first)
        return holder.get(second) if isinstance(holder, dict) else None

    return read


def part(document: object, *path: str) -> object:
    """Return the value at a path; None if a part of the path is missing."""
    for name in path:
        document = document.get(name) if isinstance(document, dict) else None
    return document


def mapping(document: object, *path: str) -> Document:
    """Return the mapping at a path, or {}."""
    value = part(document, *path)
    return value if isinstance(value, dict) else {}


def objects(document: object, *path: str) -> list[Document]:
    """Return the mappings in the list at a path, or []."""
    value = part(document, *path)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def texts(document: object, *path: str) -> list[str]:
    """Return the items of the list at a path as strings, or []."""
    value = part(document, *path)
    return [str(item) for item in value] if isinstance(value, list) else []


def count(document: object, *path: str) -> int:
    """Return the integer at a path, or 0."""
    value = part(document, *path)
    return int(value) if isinstance(value, int) else 0


def age(document: Document, ages: Ages) -> str:
    """Return how long ago an object was created."""
    return ages.since(part(document, "metadata", "creationTimestamp"))


def labels_text(labels: object) -> str:
    """Return labels as ``a=1,b=2``, or ``<none>``."""
    if not isinstance(labels, dict) or not labels:
        return NONE
    return ",".join(f"{key}={labels[key]}" for key in sorted(labels, key=str))


def selector_text(selector: object) -> str:
    """Return a label selector as kubectl shows it."""
    if selector is not None and not isinstance(selector, dict):
        return NONE
    try:
        return str(selector_from(cast("LabelSelectorDict | None", selector))) or NONE
    except (BadRequest, AttributeError, KeyError, TypeError):
        return NONE  # a malformed selector selects no pod


def container_names(containers: Iterable[ReadOnlyDocument]) -> str:
    """Return the names of containers, joined by commas."""
    return ",".join(str(container.get("name")) for container in containers)


def container_images(containers: Iterable[ReadOnlyDocument]) -> str:
    """Return the images of containers, joined by commas."""
    return ",".join(str(container.get("image")) for container in containers)


def is_true(status: Document, type_: str) -> bool:
    """Return whether the condition of that type is True."""
    return any(
        condition.get("type") == type_ and condition.get("status") == "True"
        for condition in objects(status, "conditions")
    )


NAME = column("Name", "name of the object", format="name")
AGE = Cell(column("Age", "time since the object was created"), age)
