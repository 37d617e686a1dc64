"""Answers in the form that a client asked for: the object, its metadata alone, or a table.

What the columns of a kind are is the API server's (`kubesim.apiserver.printers.table`); here they
are wrapped for the wire.

Source: k8s.io/apiserver/pkg/endpoints/handlers/response.go (transformResponseObject, asTable).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kubesim.apiserver.printers import table as printing
from kubesim.clock.base import Clock
from kubesim.errors import BadRequest
from kubesim.objects.frozen import Document
from kubesim.objects.wellknown import META_GROUP
from kubesim.rest.http.wire import Request
from kubesim.rest.kube.requestinfo import Target
from kubesim.rest.serializer.negotiation import Form

INCLUDES = ("", "Metadata", "Object", "None")


class Transformer:
    """Makes answers of one form.

    Args:
        form: which.
        target: of which kind, in which version.
        clock: for ages.
        include: of each object, a table's row carries its "Metadata", the whole "Object" or "None".
    """

    def __init__(
        self,
        form: Form,
        target: Target,
        clock: Clock,
        include: str = "Metadata",
    ) -> None:
        self.form = form
        self._target = target
        self._kind = target.kind.in_version(target.api_version)
        self._clock = clock
        self._include = include or "Metadata"

    @property
    def key(self) -> tuple[str, ...]:
        """Equal keys, equal shapes: what was made for one client will do for the other."""
        kind = self._kind
        return (*self.form, self._include, self._target.api_version, kind.plural)

    @property
    def stored(self) -> bool:
        """The objects come from the store, and are not made on reading."""
        # A kind that users define brings its own columns, and may change them under way.
        return self._kind.compute is None and not self._kind.custom

    def one(self, document: Document) -> Document:
        """A single object."""
        document = self._target.outward(document)
        if not self.form.kind:
            return document
        if self.form.kind == "Table":
            version = document["metadata"].get("resourceVersion", "")
            return self.table([document], {"resourceVersion": version})
        return partial(document, self.form.version)

    def frame(self, kind: str, metadata: Mapping[str, Any]) -> Document:
        """A list without its items: what stands before them.

        Args:
            kind: of the list.
            metadata: of the list.
        """
        if self.form.kind == "Table":
            table = self.table([], metadata)
            del table["rows"]
            return table
        version = self._target.api_version
        if self.form.kind:
            kind, version = "PartialObjectMetadataList", f"{META_GROUP}/{self.form.version}"
        return {"kind": kind, "apiVersion": version, "metadata": dict(metadata)}

    def item(self, document: Document) -> Document:
        """An object inside a list."""
        if self.form.kind:
            return partial(document, self.form.version)
        return self._target.outward(document)

    def cells(self, document: Document) -> tuple[list[Any], float]:
        """(cells of a row, until which simulated second their ages read the same)."""
        shown = self._target.outward(document)
        return printing.lasting_cells(self._kind, shown, self._clock, self._clock.now())

    def shown(self, document: Document) -> Document | None:
        """What a row carries of its object."""
        return self._shown(self._target.outward(document))

    def table(
        self, objects: Sequence[Document], metadata: Mapping[str, Any], *, head: bool = True
    ) -> Document:
        """A table.

        Args:
            objects: one row for each.
            metadata: of the list.
            head: say which columns there are; a watch says it once.
        """
        now = self._clock.now()
        rows = [
            {
                "cells": printing.cells(self._kind, document, self._clock, now),
                "object": self._shown(document),
            }
            for document in objects
        ]
        return {
            "kind": "Table",
            "apiVersion": f"{META_GROUP}/{self.form.version}",
            "metadata": dict(metadata),
            "columnDefinitions": printing.columns(self._kind) if head else None,
            "rows": rows,
        }

    def _shown(self, document: Document) -> Document | None:
        if self._include == "None":
            return None
        return document if self._include == "Object" else partial(document, self.form.version)


def partial(document: Document, version: str) -> Document:
    """An object's metadata and nothing else."""
    return {
        "kind": "PartialObjectMetadata",
        "apiVersion": f"{META_GROUP}/{version}",
        "metadata": document["metadata"],
    }


def include_of(request: Request) -> str:
    """What rows shall carry.

    Raises:
        BadRequest: a word that means nothing.
    """
    said = request.parameter("includeObject")
    if said not in INCLUDES:
        raise BadRequest(f"includeObject: Invalid value: {said[:40]!r}: Metadata, Object or None")
    return said
