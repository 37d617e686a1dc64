"""Answers in the form that a client asked for: the object, its metadata alone, or a table.

What the columns of a kind are is the API server's (`kubesim.apiserver.printing`); here they are
wrapped for the wire.

Source: k8s.io/apiserver/pkg/endpoints/handlers/response.go (transformResponseObject, asTable).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kubesim.apiserver import printing
from kubesim.clock.base import Clock
from kubesim.errors import BadRequest
from kubesim.objects.frozen import Document
from kubesim.rest.kube.negotiate import Form
from kubesim.rest.kube.paths import Target
from kubesim.rest.wire import Request

META = "meta.k8s.io"
INCLUDES = ("", "Metadata", "Object", "None")


class Shaper:
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
        return (*self.form, self._include, self._target.api_version)

    def one(self, document: Document) -> Document:
        """A single object."""
        document = self._target.outward(document)
        if not self.form.kind:
            return document
        if self.form.kind == "Table":
            version = document["metadata"].get("resourceVersion", "")
            return self.table([document], {"resourceVersion": version})
        return partial(document, self.form.version)

    def many(self, listed: Document) -> Document:
        """A list."""
        if self.form.kind == "Table":
            return self.table(list(map(self._target.outward, listed["items"])), listed["metadata"])
        if self.form.kind:
            items = [partial(item, self.form.version) for item in listed["items"]]
            return {
                "kind": "PartialObjectMetadataList",
                "apiVersion": f"{META}/{self.form.version}",
                "metadata": listed["metadata"],
                "items": items,
            }
        items = list(map(self._target.outward, listed["items"]))
        return {**listed, "apiVersion": self._target.api_version, "items": items}

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
            "apiVersion": f"{META}/{self.form.version}",
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
        "apiVersion": f"{META}/{version}",
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
