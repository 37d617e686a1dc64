"""The columns that every kind has: its name and its age."""

from __future__ import annotations

from typing import Any

from kubesim.apiserver.registry import Kind
from kubesim.clock.base import Clock
from kubesim.objects.frozen import Document


def columns(_kind: Kind) -> list[Document]:
    """What a table's columns are called."""
    shared: dict[str, Any] = {"type": "string", "description": "", "priority": 0}
    return [
        {"name": "Name", "format": "name", **shared},
        {"name": "Created At", "format": "", **shared},
    ]


def cells(_kind: Kind, document: Document, _clock: Clock, _now: float) -> list[Any]:
    """One row."""
    metadata = document["metadata"]
    return [metadata.get("name"), metadata.get("creationTimestamp")]
