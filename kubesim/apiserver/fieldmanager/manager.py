"""Update metadata.managedFields at every write: which objects are tracked, and which are not.

Field ownership is tracked for objects that a client created under a name (every client over HTTP
has one), or applied. The simulator's own components give no name: the objects that they create
carry no managedFields, and cost nothing. When a component changes the spec or metadata of an object
that is tracked, the changed fields move to that component; its status writes are not tracked.

Source: k8s.io/apimachinery/pkg/util/managedfields/internal (fieldmanager.go, skipnonapplied.go).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from kubesim.apiserver.fieldmanager.managed import (
    UPDATE,
    ManagedFieldsEntry,
    Writer,
    after_update,
    documents_of,
    entries_of,
    is_reset,
)
from kubesim.apiserver.fieldmanager.structuredmerge import FieldValues, values
from kubesim.apiserver.registry import Kind
from kubesim.apiserver.schema.data import Schema
from kubesim.apiserver.schema.schemas import OBJECT_META, structure_of
from kubesim.objects.frozen import Document

UNTRACKED = ("managedFields", "generation", "resourceVersion")


@lru_cache(maxsize=256)
def typed_schema(kind: Kind) -> Schema:
    """Return the schema that says which lists are keyed; {} if the kind has none."""
    schema = structure_of(kind)
    if schema is None:
        return {}
    return {**schema, "properties": {**(schema.get("properties") or {}), "metadata": OBJECT_META}}


def owned_values(kind: Kind, document: Document, subresource: str = "") -> FieldValues:
    """Return the leaves of a document that a write can own, with their values.

    Args:
        kind: of the document.
        document: the object.
        subresource: "": the object without its status; "status": the status alone.
    """
    if subresource == "status":
        part = {"status": document.get("status") or {}}
        return {p: v for p, v in values(part, typed_schema(kind)).items() if p != ("f:status",)}
    hidden = {"status"} if kind.status else set()
    main = {name: value for name, value in document.items() if name not in hidden}
    return values(main, typed_schema(kind))


class FieldManager:
    """Sets managedFields of objects that are written.

    Args:
        timestamp: returns the present time as RFC 3339.
        actor: returns the name of the component that writes.
    """

    def __init__(self, timestamp: Callable[[], str], actor: Callable[[], str]) -> None:
        self._timestamp = timestamp
        self._actor = actor

    def created(self, kind: Kind, new: Document, manager: str) -> None:
        """Set the managedFields of a new object.

        Args:
            kind: of the object.
            new: the object; its metadata is changed in place.
            manager: the client's name.
        """
        writer = Writer(manager, UPDATE, kind.api_version)
        entries = after_update([], {}, owned_values(kind, new), writer, self._timestamp())
        new["metadata"]["managedFields"] = documents_of(entries)

    def updated(
        self, kind: Kind, old: Document, new: Document, manager: str, subresource: str = ""
    ) -> None:
        """Set the managedFields of a changed object.

        Args:
            kind: of the object.
            old: the stored object.
            new: the object that replaces it; its metadata is changed in place.
            manager: the client's name; "": a component of the simulator.
            subresource: "" for the object itself; or "status", "scale".
        """
        before = old["metadata"].get("managedFields")
        metadata = new["metadata"]
        sent = metadata.get("managedFields")
        if not before and not sent:
            return
        if is_reset(new):
            metadata.pop("managedFields")
            return
        metadata["managedFields"] = sent or before
        if not manager:
            if not _is_changed(old, new):
                return
            manager = self._actor()
        writer = Writer(manager, UPDATE, kind.api_version, subresource)
        was, now = (owned_values(kind, d, subresource) for d in (old, new))
        if was != now:
            entries = after_update(entries_of(new), was, now, writer, self._timestamp())
            metadata["managedFields"] = documents_of(entries)

    def applied(self, old: Document, new: Document, managed: list[Document]) -> None:
        """Set the managedFields of an object after a server-side apply.

        The times stay as they were if the apply changed nothing, defaults included.

        Args:
            old: the stored object.
            new: the object that replaces it; its metadata is changed in place.
            managed: the managedFields that the apply leaves.
        """
        new["metadata"]["managedFields"] = managed
        if _is_same_but_for_times(old, new):
            new["metadata"]["managedFields"] = old["metadata"]["managedFields"]


def unmanaged_entry(kind: Kind, document: Document, manager: str, now: str) -> ManagedFieldsEntry:
    """Return the entry that owns every field of an object whose ownership was not tracked."""
    writer = Writer(manager, UPDATE, kind.api_version)
    return ManagedFieldsEntry(writer, frozenset(owned_values(kind, document)), now)


def _is_same_but_for_times(old: Document, new: Document) -> bool:
    """Return whether nothing but the times of managedFields differs."""

    def without_times(document: Document) -> list[Document]:
        listed = document["metadata"].get("managedFields") or ()
        return [{k: v for k, v in entry.items() if k != "time"} for entry in listed]

    same_status = old.get("status") == new.get("status")
    return same_status and not _is_changed(old, new) and without_times(old) == without_times(new)


def _is_changed(old: Document, new: Document) -> bool:
    """Return whether anything but the status and managedFields differs."""
    one, other = (
        {k: v for k, v in d.items() if k not in ("status", "metadata")} for d in (old, new)
    )
    if one != other:
        return True
    a, b = ({k: v for k, v in d["metadata"].items() if k not in UNTRACKED} for d in (old, new))
    return a != b
