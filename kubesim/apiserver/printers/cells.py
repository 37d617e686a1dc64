"""What the cells of `kubectl get` are made with: columns, paths into documents, short texts.

Source: pkg/printers/internalversion/printers.go; metav1.TableColumnDefinition.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from kubesim.apiserver.printers.ages import Ages
from kubesim.errors import BadRequest
from kubesim.objects.frozen import Document
from kubesim.objects.selectors import selector_from

NONE = "<none>"
UNSET = "<unset>"
Row = tuple[tuple[Document, ...], Callable[[Document, Ages], list[Any]]]
"""(columns, cells after the name)."""


def column(
    name: str, about: str, type: str = "string", format: str = "", priority: int = 0
) -> Document:
    """One column, as metav1.TableColumnDefinition."""
    return {
        "name": name,
        "type": type,
        "format": format,
        "description": about,
        "priority": priority,
    }


def wide(name: str, about: str, type: str = "string") -> Document:
    """A column that only ``-o wide`` shows."""
    return column(name, about, type, priority=1)


def number(name: str, about: str) -> Document:
    """A column of whole numbers."""
    return column(name, about, "integer")


NAME = column("Name", "the object's name", format="name")
AGE = column("Age", "since the object was made")
CONTAINERS = wide("Containers", "names of the template's containers")
IMAGES = wide("Images", "what these containers run")
SELECTOR = wide("Selector", "which pods belong to it")


def part(document: Any, *path: str) -> Any:
    """What stands at a path; None if a part of it is missing."""
    for name in path:
        document = document.get(name) if isinstance(document, dict) else None
    return document


def mapping(document: Any, *path: str) -> Document:
    """The object at a path; {} if there is none."""
    found = part(document, *path)
    return found if isinstance(found, dict) else {}


def objects(document: Any, *path: str) -> list[Document]:
    """The objects in the list at a path; [] if there is none."""
    found = part(document, *path)
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def texts(document: Any, *path: str) -> list[str]:
    """The items of the list at a path as texts; [] if there is none."""
    found = part(document, *path)
    return [str(item) for item in found] if isinstance(found, list) else []


def count(document: Any, *path: str) -> int:
    """The number at a path; 0 if there is none."""
    found = part(document, *path)
    return int(found) if isinstance(found, int) else 0


def age(document: Document, ages: Ages) -> str:
    """Since when the object exists."""
    return ages.since(part(document, "metadata", "creationTimestamp"))


def labels_text(labels: Any) -> str:
    """``a=1,b=2``, or ``<none>``."""
    if not isinstance(labels, dict) or not labels:
        return NONE
    return ",".join(f"{key}={labels[key]}" for key in sorted(labels, key=str))


def selector_text(selector: Any) -> str:
    """A label selector as kubectl shows it."""
    try:
        return str(selector_from(selector)) or NONE
    except (BadRequest, AttributeError, KeyError, TypeError):
        return NONE  # nothing that could select a pod


def containers_of(document: Document) -> list[Any]:
    """Names and images of a template's containers."""
    listed = objects(document, "spec", "template", "spec", "containers")
    return [_joined(item.get("name") for item in listed), _joined(i.get("image") for i in listed)]


def _joined(values: Iterable[Any]) -> str:
    return ",".join(str(value) for value in values)


def is_true(status: Document, type_: str) -> bool:
    """Whether a condition of that type is True."""
    return any(
        condition.get("type") == type_ and condition.get("status") == "True"
        for condition in objects(status, "conditions")
    )
