"""managedFields: who wrote which fields, and what becomes of it at each write.

An entry says manager, operation (Apply or Update), version, subresource, when, and which fields. A
plain write takes over the fields that it changes. An apply owns what it names; it is refused if it
would change what others own, unless it is forced. Pure: documents in, entries out.

Source: k8s.io/apimachinery/pkg/util/managedfields, sigs.k8s.io/structured-merge-diff/merge.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from kubesim.apiserver.fieldmanager.paths import (
    SELF,
    FieldSet,
    Path,
    from_fields_v1,
    path_text,
    to_fields_v1,
)
from kubesim.errors import Cause, Conflict
from kubesim.objects.frozen import Document

APPLY, UPDATE = "Apply", "Update"
BEFORE = "before-first-apply"  # who owns what was there before anybody kept books


class Writer(NamedTuple):
    """Who writes, and how.

    Attributes:
        manager: the name that a client gives itself.
        operation: Apply or Update.
        api_version: of the document that was sent.
        subresource: "" for the object itself.
    """

    manager: str
    operation: str
    api_version: str
    subresource: str = ""


@dataclass(frozen=True)
class Entry:
    """One manager's fields.

    Attributes:
        writer: whose.
        paths: which.
        time: when they changed last, as RFC 3339; "" if it is not known.
    """

    writer: Writer
    paths: FieldSet = field(default_factory=frozenset)
    time: str = ""


def entries_of(document: Document) -> list[Entry]:
    """The entries in a document's metadata; what is none is left out."""
    listed = document.get("metadata", {}).get("managedFields")
    found = []
    for item in listed if isinstance(listed, list) else ():
        if isinstance(item, dict) and item.get("operation") in (APPLY, UPDATE):
            writer = Writer(
                str(item.get("manager", "")),
                str(item["operation"]),
                str(item.get("apiVersion", "")),
                str(item.get("subresource", "")),
            )
            time = str(item.get("time") or "")
            found.append(Entry(writer, from_fields_v1(item.get("fieldsV1")), time))
    return found


def documents_of(entries: Iterable[Entry]) -> list[Document]:
    """The entries as they stand in metadata; empty ones are dropped."""
    made = []
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
        made.append(document)
    return made


def is_reset(document: Document) -> bool:
    """Whether a client asks to forget all managers: a list of one empty entry."""
    listed = document.get("metadata", {}).get("managedFields")
    return isinstance(listed, list) and len(listed) == 1 and not listed[0]


# -- plain writes ----------------------------------------------------------------------------------


def after_update(
    entries: Sequence[Entry],
    before: dict[Path, Any],
    after: dict[Path, Any],
    writer: Writer,
    now: str,
) -> list[Entry]:
    """The entries after a plain write.

    Args:
        entries: before it.
        before, after: the leaves of the object before and after it, with their values.
        writer: who wrote.
        now: RFC 3339.
    """
    changed = {path for path, value in after.items() if before.get(path, _NONE) != value}
    gone = before.keys() - after.keys()
    if not changed and not gone:
        return list(entries)
    made, known = [], False
    for entry in entries:
        if _same_writer(entry.writer, writer):
            known = True
            paths = frozenset((entry.paths | changed) - gone)
            time = entry.time if paths == entry.paths and not changed else now
            made.append(Entry(writer, paths, time))
        else:
            left = entry.paths - changed - gone
            made.append(replace(entry, paths=left))
    if not known and changed:
        made.append(Entry(writer, frozenset(changed), now))
    return [entry for entry in made if entry.paths]


_NONE = object()


def _same_writer(one: Writer, other: Writer) -> bool:
    """An applier is the same in all versions; an updater in its own."""
    if one.operation == other.operation == APPLY:
        return (one.manager, one.subresource) == (other.manager, other.subresource)
    return one == other


# -- apply -----------------------------------------------------------------------------------------


class Applied(NamedTuple):
    """What an apply does to the books.

    Attributes:
        entries: afterwards.
        gone: paths that the applier owned, names no longer, and nobody else owns.
        conflicts: (who owns it, which path) that the apply would change.
    """

    entries: list[Entry]
    gone: FieldSet
    conflicts: list[tuple[Writer, Path]]


def after_apply(
    entries: Sequence[Entry],
    live: dict[Path, Any],
    wanted: dict[Path, Any],
    writer: Writer,
    now: str,
    *,
    force: bool,
) -> Applied:
    """The entries after an apply, and what is to be removed.

    Args:
        entries: before it.
        live: the leaves of the object as it is.
        wanted: the leaves of the applied configuration.
        writer: who applies.
        now: RFC 3339.
        force: take over what others own.
    """
    own = next((entry for entry in entries if _same_writer(entry.writer, writer)), Entry(writer))
    others = [entry for entry in entries if not _same_writer(entry.writer, writer)]
    changed = {
        path
        for path, value in wanted.items()
        if path[-1] != SELF and live.get(path, _NONE) != value
    }
    conflicts = [(entry.writer, path) for entry in others for path in sorted(entry.paths & changed)]
    if force:
        others = [replace(entry, paths=entry.paths - changed) for entry in others]
    dropped = own.paths - wanted.keys()
    kept = frozenset().union(*(entry.paths for entry in others))
    gone = frozenset(path for path in dropped if not _is_owned(path, kept))
    paths = frozenset(wanted)
    same = paths == own.paths and not changed and own.time
    mine = Entry(writer, paths, own.time if same else now)
    made = [*(replace(e, paths=frozenset(e.paths - gone)) for e in others if e.paths)]
    place = next((i for i, e in enumerate(entries) if _same_writer(e.writer, writer)), len(made))
    made.insert(min(place, len(made)), mine)
    return Applied([entry for entry in made if entry.paths], gone, conflicts)


def _is_owned(path: Path, kept: FieldSet) -> bool:
    """Whether somebody else owns a path, or, of a whole item, something in it."""
    if path[-1] != SELF:
        return path in kept
    item = path[:-1]
    return any(other[: len(item)] == item for other in kept)


def conflict_error(conflicts: Sequence[tuple[Writer, Path]]) -> Conflict:
    """The refusal of an apply, in upstream's words."""
    causes = [
        Cause(path_text(path), "FieldManagerConflict", f"conflict with {_said(writer)}")
        for writer, path in conflicts
    ]
    if len(causes) == 1:
        said = f"Apply failed with 1 conflict: {causes[0].message}: {causes[0].field}"
    else:
        by_writer: dict[str, list[str]] = {}
        for writer, path in conflicts:
            by_writer.setdefault(_said(writer), []).append(f"- {path_text(path)}")
        parts = [f"conflicts with {name}:\n" + "\n".join(by_writer[name]) for name in by_writer]
        said = f"Apply failed with {len(causes)} conflicts: " + "\n".join(parts)
    hint = "leave these fields out, agree on their values, or force the apply"
    return Conflict(said, hint=hint, causes=causes)


def _said(writer: Writer) -> str:
    text = f'"{writer.manager}"'
    if writer.subresource:
        text += f' with subresource "{writer.subresource}"'
    return f"{text} using {writer.api_version}" if writer.operation == UPDATE else text
