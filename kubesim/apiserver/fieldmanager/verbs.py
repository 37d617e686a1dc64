"""Keeping managedFields at plain writes: for whom, and for whom not.

Books are kept of objects that a client made under a name (every client over HTTP has one), or
applied. The simulator's own components give no name: what they make carries no managedFields, and
costs nothing. When they change the spec or metadata of an object whose books are kept, the fields
move to the component that wrote; their status writes are left out of the books.

Source: k8s.io/apimachinery/pkg/util/managedfields/internal (fieldmanager.go, skipnonapplied.go).
"""

from __future__ import annotations

from typing import Any

from kubesim.apiserver.base import Base
from kubesim.apiserver.fieldmanager.managed import (
    UPDATE,
    Entry,
    Writer,
    after_update,
    documents_of,
    entries_of,
    is_reset,
)
from kubesim.apiserver.fieldmanager.paths import Path, values
from kubesim.apiserver.registry import Kind
from kubesim.apiserver.schema.data import Schema
from kubesim.apiserver.schema.schemas import OBJECT_META, structure_of
from kubesim.apiserver.schema.strict import Asked
from kubesim.objects.frozen import Document


def typed_schema(kind: Kind) -> Schema:
    """The schema that says which lists are keyed; {} if the kind has none."""
    schema = structure_of(kind)
    if schema is None:
        return {}
    return {**schema, "properties": {**(schema.get("properties") or {}), "metadata": OBJECT_META}}


def owned_values(kind: Kind, document: Document, subresource: str = "") -> dict[Path, Any]:
    """The leaves of a document that a write to the object, or to its status, is about."""
    if subresource == "status":
        part = {"status": document.get("status") or {}}
        return {p: v for p, v in values(part, typed_schema(kind)).items() if p != ("f:status",)}
    hidden = {"status"} if kind.status else set()
    main = {name: value for name, value in document.items() if name not in hidden}
    return values(main, typed_schema(kind))


class Bookkeeping(Base):
    """What the writing verbs ask."""

    def _book(
        self,
        kind: Kind,
        old: Document | None,
        new: Document,
        asked: Asked,
        subresource: str = "",
    ) -> None:
        """Set the new object's managedFields; its metadata must be ours to change."""
        metadata = new["metadata"]
        if "applied" in asked:
            metadata["managedFields"] = asked["applied"]
            if old is not None and _same_but_for_times(old, new):
                metadata["managedFields"] = old["metadata"]["managedFields"]
            return
        manager = asked.get("field_manager", "")
        if old is None:
            if manager:
                writer = Writer(manager, UPDATE, kind.api_version)
                made = after_update([], {}, owned_values(kind, new), writer, self._time())
                metadata["managedFields"] = documents_of(made)
            return
        before = old["metadata"].get("managedFields")
        said = metadata.get("managedFields")
        if is_reset(new):
            metadata.pop("managedFields")
        elif before or said:
            kept = said or before
            metadata["managedFields"] = kept
            if not manager and not _is_changed(old, new):
                return
            if not manager:
                manager = self.audit.actor()
            writer = Writer(manager, UPDATE, kind.api_version, subresource)
            entries = self._after(kind, entries_of(new), old, new, writer)
            if entries is not None:
                metadata["managedFields"] = documents_of(entries)

    def _after(
        self, kind: Kind, entries: list[Entry], old: Document, new: Document, writer: Writer
    ) -> list[Entry] | None:
        """The entries after a write; None if it changed nothing that anybody owns."""
        before, after = (owned_values(kind, d, writer.subresource) for d in (old, new))
        if before == after:
            return None
        return after_update(entries, before, after, writer, self._time())

    def _time(self) -> str:
        return self.clock.timestamp()


def _same_but_for_times(old: Document, new: Document) -> bool:
    """Whether an apply, defaults and all, changed nothing: then no time moves, either."""

    def timeless(document: Document) -> list[Document]:
        listed = document["metadata"].get("managedFields") or ()
        return [{k: v for k, v in entry.items() if k != "time"} for entry in listed]

    same_status = old.get("status") == new.get("status")
    return same_status and not _is_changed(old, new) and timeless(old) == timeless(new)


def _is_changed(old: Document, new: Document) -> bool:
    """Whether anything but the status and the books differs."""
    one, other = (
        {k: v for k, v in d.items() if k not in ("status", "metadata")} for d in (old, new)
    )
    if one != other:
        return True
    hidden = ("managedFields", "generation", "resourceVersion")
    a, b = ({k: v for k, v in d["metadata"].items() if k not in hidden} for d in (old, new))
    return a != b
