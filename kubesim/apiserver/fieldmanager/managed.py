"""managedFields: which manager owns which fields, and how each write changes that.

An entry holds the manager, the operation (Apply or Update), version, subresource, time, and the set
of fields. An update takes over the fields that it changes. An apply owns the fields that it names;
it is refused if it would change fields that others own, unless it is forced. Pure: documents in,
entries out.

Source: k8s.io/apimachinery/pkg/util/managedfields, sigs.k8s.io/structured-merge-diff/merge.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import NamedTuple

from kubesim.apiserver.fieldmanager.structuredmerge import (
    PRESENT,
    SELF,
    FieldSet,
    FieldValues,
    Path,
    from_fields_v1,
    path_text,
    to_fields_v1,
    values,
)
from kubesim.apiserver.registry import Kind
from kubesim.apiserver.schema.data import Schema, present
from kubesim.apiserver.schema.schemas import OBJECT_META, component_name, structure_of
from kubesim.errors import Cause, Conflict
from kubesim.objects.frozen import Document

APPLY, UPDATE = "Apply", "Update"
UNTRACKED = ("managedFields", "generation", "resourceVersion")
BEFORE = "before-first-apply"  # owns the fields of an object whose ownership was not tracked


class Writer(NamedTuple):
    """A manager and its way of writing.

    Attributes:
        manager: the client's name.
        operation: Apply or Update.
        api_version: of the document that was sent.
        subresource: "" for the object itself.
    """

    manager: str
    operation: str
    api_version: str
    subresource: str = ""


@dataclass(frozen=True)
class ManagedFieldsEntry:
    """The fields that one manager owns.

    Attributes:
        writer: the manager.
        paths: its fields.
        time: of the last change of them, as RFC 3339; "" if it is not known.
    """

    writer: Writer
    paths: FieldSet = field(default_factory=frozenset)
    time: str = ""


def entries_of(document: Document) -> list[ManagedFieldsEntry]:
    """Parse the managedFields of a document; malformed entries are left out."""
    listed = document.get("metadata", {}).get("managedFields")
    entries = []
    for item in listed if isinstance(listed, list) else ():
        if isinstance(item, dict) and item.get("operation") in (APPLY, UPDATE):
            writer = Writer(
                str(item.get("manager", "")),
                str(item["operation"]),
                str(item.get("apiVersion", "")),
                str(item.get("subresource", "")),
            )
            time = str(item.get("time") or "")
            entries.append(ManagedFieldsEntry(writer, from_fields_v1(item.get("fieldsV1")), time))
    return entries


def documents_of(entries: Iterable[ManagedFieldsEntry]) -> list[Document]:
    """Serialize entries as managedFields; empty ones are dropped."""
    documents = []
    for entry in entries:
        if not entry.paths:
            continue
        writer = entry.writer
        document: Document = {
            "manager": writer.manager,
            "operation": writer.operation,
            "apiVersion": writer.api_version,
        }
        if entry.time:
            document["time"] = entry.time
        document |= {"fieldsType": "FieldsV1", "fieldsV1": to_fields_v1(entry.paths)}
        if writer.subresource:
            document["subresource"] = writer.subresource
        documents.append(document)
    return documents


def is_reset(document: Document) -> bool:
    """Return whether a client asks to remove all managers: a list of one empty entry."""
    listed = document.get("metadata", {}).get("managedFields")
    return isinstance(listed, list) and len(listed) == 1 and not listed[0]


# -- update ----------------------------------------------------------------------------------------


def after_update(
    entries: Sequence[ManagedFieldsEntry],
    before: FieldValues,
    after: FieldValues,
    writer: Writer,
    now: str,
) -> list[ManagedFieldsEntry]:
    """Return the entries after an update.

    Args:
        entries: before the update.
        before, after: the leaves of the object before and after it, with their values.
        writer: the manager that writes.
        now: the present time, RFC 3339.
    """
    changed = {path for path, value in after.items() if before.get(path, _NONE) != value}
    removed = before.keys() - after.keys()
    if not changed and not removed:
        return list(entries)
    result, has_entry = [], False
    for entry in entries:
        if _same_writer(entry.writer, writer):
            has_entry = True
            paths = frozenset((entry.paths | changed) - removed)
            time = entry.time if paths == entry.paths and not changed else now
            result.append(ManagedFieldsEntry(writer, paths, time))
        else:
            remaining = entry.paths - changed - removed
            result.append(replace(entry, paths=remaining))
    if not has_entry and changed:
        result.append(ManagedFieldsEntry(writer, frozenset(changed), now))
    return [entry for entry in result if entry.paths]


_NONE = object()


def _same_writer(one: Writer, other: Writer) -> bool:
    """Compare two writers: an applier is the same in all versions, an updater in its own."""
    if one.operation == other.operation == APPLY:
        return (one.manager, one.subresource) == (other.manager, other.subresource)
    return one == other


# -- apply -----------------------------------------------------------------------------------------


class Applied(NamedTuple):
    """The result of an apply.

    Attributes:
        entries: after the apply.
        gone: paths that the applier owned, no longer names, and no other manager owns.
        conflicts: (owner, path) of each field of another manager that the apply would change.
    """

    entries: list[ManagedFieldsEntry]
    gone: FieldSet
    conflicts: list[tuple[Writer, Path]]


def after_apply(
    entries: Sequence[ManagedFieldsEntry],
    live: FieldValues,
    wanted: FieldValues,
    writer: Writer,
    now: str,
    *,
    force: bool,
) -> Applied:
    """Return the entries after an apply, and the fields to remove.

    Args:
        entries: before the apply.
        live: the leaves of the stored object, with their values.
        wanted: the leaves of the applied configuration, with their values.
        writer: the manager that applies.
        now: the present time, RFC 3339.
        force: take over fields that others own.
    """
    own = next(
        (entry for entry in entries if _same_writer(entry.writer, writer)),
        ManagedFieldsEntry(writer),
    )
    others = [entry for entry in entries if not _same_writer(entry.writer, writer)]
    changed = {
        path
        for path, value in wanted.items()
        if (path[-1] != SELF or value is not None) and live.get(path, _NONE) != value
    }
    conflicts = [(entry.writer, path) for entry in others for path in sorted(entry.paths & changed)]
    if force:
        others = [replace(entry, paths=entry.paths - changed) for entry in others]
    dropped = own.paths - wanted.keys()
    owned_by_others = frozenset().union(*(entry.paths for entry in others))
    removed = frozenset(path for path in dropped if not _is_owned(path, owned_by_others))
    paths = frozenset(wanted)
    same = paths == own.paths and not changed and own.time
    own_entry = ManagedFieldsEntry(writer, paths, own.time if same else now)
    result = [*(replace(e, paths=frozenset(e.paths - removed)) for e in others if e.paths)]
    place = next((i for i, e in enumerate(entries) if _same_writer(e.writer, writer)), len(result))
    result.insert(min(place, len(result)), own_entry)
    return Applied([entry for entry in result if entry.paths], removed, conflicts)


def _is_owned(path: Path, owned: FieldSet) -> bool:
    """Return whether a path, or anything inside it, is owned."""
    whole = path[:-1] if path[-1] == SELF else path
    return any(other[: len(whole)] == whole for other in owned)


def conflict_error(conflicts: Sequence[tuple[Writer, Path]]) -> Conflict:
    """Return the error for an apply with conflicts, with upstream's message."""
    causes = [
        Cause(path_text(path), "FieldManagerConflict", f"conflict with {_describe(writer)}")
        for writer, path in conflicts
    ]
    if len(causes) == 1:
        message = f"Apply failed with 1 conflict: {causes[0].message}: {causes[0].field}"
    else:
        by_writer: dict[str, list[str]] = {}
        for writer, path in conflicts:
            by_writer.setdefault(_describe(writer), []).append(f"- {path_text(path)}")
        parts = [f"conflicts with {name}:\n" + "\n".join(by_writer[name]) for name in by_writer]
        message = f"Apply failed with {len(causes)} conflicts: " + "\n".join(parts)
    hint = "leave these fields out, agree on their values, or force the apply"
    return Conflict(message, hint=hint, causes=causes)


def _describe(writer: Writer) -> str:
    described = f'"{writer.manager}"'
    if writer.subresource:
        described += f' with subresource "{writer.subresource}"'
    return f"{described} using {writer.api_version}" if writer.operation == UPDATE else described


# -- the fields of an object ---------------------------------------------------------------------


@lru_cache(maxsize=256)
def typed_schema(kind: Kind) -> Schema:
    """Return the schema that says which lists are keyed; {} if the kind has none."""
    schema = structure_of(kind)
    if schema is None:
        return {}
    properties = {**(schema.get("properties") or {}), "metadata": OBJECT_META}
    fields = () if kind.custom else present().get(component_name(kind), ())
    return {**schema, "properties": properties, PRESENT: fields}


def owned_values(
    kind: Kind, document: Document, subresource: str = "", *, structures: bool = False
) -> FieldValues:
    """Return the leaves of a document that a write can own, with their values.

    Args:
        kind: of the document.
        document: the object.
        subresource: "": the object without its status; "status": the status alone.
        structures: add the maps, lists and structures: an update owns those that it creates; an
            apply owns leaves alone.
    """
    schema = typed_schema(kind)
    if subresource == "status":
        part = {"status": document.get("status") or {}}
        own = values(part, schema, structures=structures)
        return {p: v for p, v in own.items() if p[0] == "f:status" and len(p) > 1}
    hidden = {"status"} if kind.status else set()
    main = {name: value for name, value in document.items() if name not in hidden}
    own = values(main, schema, structures=structures)
    if hidden and structures:
        own = {path: value for path, value in own.items() if path[0] != "f:status"}
    return own


def after_creation(kind: Kind, document: Document, writer: Writer, now: str) -> ManagedFieldsEntry:
    """Return the entry of the manager that creates an object by an update.

    Args:
        kind: kind of the object.
        document: the object.
        writer: the manager.
        now: RFC 3339 string.
    """
    empty, new = (owned_values(kind, each, structures=True) for each in ({}, document))
    paths = frozenset(path for path, value in new.items() if empty.get(path, _NONE) != value)
    return ManagedFieldsEntry(writer, paths, now)


def unmanaged_entry(kind: Kind, document: Document, manager: str, now: str) -> ManagedFieldsEntry:
    """Return the entry that owns every field of an object whose ownership was not tracked.

    Args:
        kind: kind of the object.
        document: the object.
        manager: name of the manager that owns the fields.
        now: RFC 3339 string.
    """
    writer = Writer(manager, UPDATE, kind.api_version)
    return after_creation(kind, document, writer, now)


def keep_times(old: Document, new: Document) -> None:
    """Keep the times of managedFields if an apply changed nothing, defaults included.

    Args:
        old: the stored object.
        new: the object that replaces it, with the managedFields that the apply leaves; its metadata
            is changed in place.
    """
    if _is_same_but_for_times(old, new):
        new["metadata"].pop("managedFields", None)
        if "managedFields" in old["metadata"]:
            new["metadata"]["managedFields"] = old["metadata"]["managedFields"]


def _is_same_but_for_times(old: Document, new: Document) -> bool:
    """Return whether nothing but the times of managedFields differs."""

    def without_times(document: Document) -> list[Document]:
        listed = document["metadata"].get("managedFields") or ()
        return [{k: v for k, v in entry.items() if k != "time"} for entry in listed]

    same_status = old.get("status") == new.get("status")
    return same_status and not is_changed(old, new) and without_times(old) == without_times(new)


def is_changed(old: Document, new: Document) -> bool:
    """Return whether anything but the status and managedFields differs."""
    one, other = (
        {k: v for k, v in d.items() if k not in ("status", "metadata")} for d in (old, new)
    )
    if one != other:
        return True
    a, b = ({k: v for k, v in d["metadata"].items() if k not in UNTRACKED} for d in (old, new))
    return a != b
