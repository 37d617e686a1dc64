"""Server-side apply: a client sends the fields that it wants, and owns exactly those.

The applied configuration is merged into the object. Fields that the client applied before and no
longer sends are removed unless another manager owns them; fields that others own with another value
are a conflict, unless the client forces the apply.

Source: k8s.io/apiserver/pkg/endpoints/handlers/patch.go (applyPatcher),
k8s.io/apimachinery/pkg/util/managedfields.
"""

from __future__ import annotations

from typing import Unpack

from kubesim.apiserver.core import Core, at_revision
from kubesim.apiserver.fieldmanager.managed import (
    APPLY,
    BEFORE,
    ManagedFieldsEntry,
    Writer,
    after_apply,
    conflict_error,
    documents_of,
    entries_of,
    owned_values,
    typed_schema,
    unmanaged_entry,
)
from kubesim.apiserver.fieldmanager.structuredmerge import FieldSet, merge, without
from kubesim.apiserver.options import PATCH_ATTEMPTS, WriteOptions
from kubesim.apiserver.registry import Kind
from kubesim.apiserver.schema.structural import full_shape_of
from kubesim.apiserver.verbs.create import ObjectCreator, WritePath, check_options
from kubesim.apiserver.verbs.write import ObjectWriter
from kubesim.errors import AlreadyExists, BadRequest, Cause, Conflict, Invalid, NotFound
from kubesim.objects.frozen import Document, thaw
from kubesim.objects.wellknown import META_GROUP

UNAPPLIED_METADATA = (
    "uid",
    "resourceVersion",
    "creationTimestamp",
    "generation",
    "managedFields",
)


class Applier:
    """Implements server-side apply.

    Args:
        core: of the server.
        path: the write path.
        creator: creates an object that does not exist.
        writer: writes the merged object.
    """

    def __init__(
        self, core: Core, path: WritePath, creator: ObjectCreator, writer: ObjectWriter
    ) -> None:
        self._core = core
        self._path = path
        self._creator = creator
        self._writer = writer

    def apply(
        self,
        document: Document,
        *,
        name: str = "",
        namespace: str | None = None,
        subresource: str = "",
        force: bool = False,
        dry_run: bool = False,
        **options: Unpack[WriteOptions],
    ) -> Document:
        """Apply a configuration; the object is created if it does not exist.

        Args:
            document: the fields that the client wants, and no others; it is not changed.
            name: of the object, if the document does not name it.
            namespace: if the document names none; None: ``default``.
            subresource: "" or "status".
            force: take over fields that others own.
            dry_run: check everything, and store nothing.
            options: field_manager (required), field_validation, warnings.

        Raises:
            Conflict: others own fields that would change; `causes` has each.
            Invalid: no manager is given, or rules of the kind are broken.
            BadRequest: names do not match, or the document has managedFields or fields that its
                kind does not have.
            NotFound: the status of an object that does not exist.
        """
        core = self._core
        kind, applied = self._check(document, name, namespace, options)
        if subresource not in ("", "status") or (subresource and not kind.status):
            raise NotFound("the server could not find the requested resource", kind=kind.plural)
        metadata = applied["metadata"]
        manager = Writer(options["field_manager"], APPLY, kind.api_version, subresource)
        key = kind.key(metadata.get("namespace", ""), metadata["name"])
        for attempt in range(1, PATCH_ATTEMPTS + 1):
            kv = core.store.get(key)
            if kv is None and subresource:
                raise core.not_found(kind, metadata["name"], metadata.get("namespace"))
            try:
                if kv is None:
                    created = self._create(kind, applied, manager, dry_run)
                    self._warn(kind, created, "CREATE", options)
                    return created
                uid, version = metadata.get("uid"), metadata.get("resourceVersion")
                core.check_preconditions(kind, kv, uid, version)
                old = kv.view or at_revision(kv.value, kv.mod_revision)
                new, managed = self._merge(kind, old, applied, manager, force)
            except AlreadyExists:
                continue  # another client has created it in the meantime
            try:
                if subresource:
                    return self._writer.replace_status(kind, new, dry_run, {}, managed)
                replaced = self._writer.replace(kind, new, dry_run, managed=managed)
                self._warn(kind, replaced, "UPDATE", options)
                return replaced
            except Conflict:
                if attempt == PATCH_ATTEMPTS:
                    raise
        raise core.conflict(kind, metadata["name"])

    def _warn(self, kind: Kind, applied: Document, operation: str, options: WriteOptions) -> None:
        """Add the warnings of the object that was applied."""
        if (kind.advises or self._path.advice.rules) and "warnings" in options:
            self._path.advice.add(kind, applied, operation, options["warnings"])

    def _check(
        self, document: Document, name: str, namespace: str | None, options: WriteOptions
    ) -> tuple[Kind, Document]:
        """Return the kind and a copy of the configuration, after the checks of the request."""
        check_options(options, "Patch")
        if not options.get("field_manager"):
            rule = "Required value: is required for apply patch"
            causes = [Cause("fieldManager", "FieldValueRequired", rule)]
            message = f'PatchOptions.meta.k8s.io "" is invalid: fieldManager: {rule}'
            raise Invalid(message, kind="PatchOptions", group=META_GROUP, causes=causes)
        kind, applied = self._path.prepare(document)
        self._path.check_fields(kind, document, options, "Patch")
        metadata = applied["metadata"]
        if (document.get("metadata") or {}).get("managedFields") is not None:
            raise BadRequest("metadata.managedFields must be nil")
        named = metadata.setdefault("name", name)
        if not named:
            raise BadRequest("name must be provided", hint="give metadata.name")
        if name and named != name:
            raise BadRequest(
                f"the name of the object ({named}) does not match the name on the URL ({name})"
            )
        self._path.set_namespace(kind, metadata, namespace)
        version = document.get("apiVersion", kind.api_version)
        sent = kind if version == kind.api_version else kind.in_version(str(version))
        shape = full_shape_of(sent)
        if shape is not None and not shape.has_no_unknown_fields(document):
            raise _untyped(sent, metadata, list(shape.unknown(document, "")))
        return kind, applied

    def _create(self, kind: Kind, applied: Document, manager: Writer, dry_run: bool) -> Document:
        """Create the object; the client owns the fields that it sent, and not the defaults."""
        if applied["metadata"].get("uid"):
            raise self._core.conflict(kind, applied["metadata"]["name"])
        paths = frozenset(owned_values(kind, applied))
        entry = ManagedFieldsEntry(manager, paths, self._core.clock.timestamp())
        return self._creator.insert(kind, thaw(applied), dry_run, managed=documents_of([entry]))

    def _merge(
        self, kind: Kind, old: Document, applied: Document, manager: Writer, force: bool
    ) -> tuple[Document, list[Document]]:
        """Return the object with the configuration merged into it, and its managedFields."""
        subresource, schema = manager.subresource, typed_schema(kind)
        live, named = (owned_values(kind, document, subresource) for document in (old, applied))
        now = self._core.clock.timestamp()
        entries = entries_of(old) or [unmanaged_entry(kind, old, BEFORE, now)]
        result = after_apply(entries, live, named, manager, now, force=force)
        if result.conflicts and not force:
            raise conflict_error(result.conflicts)
        status = {"status": applied.get("status") or {}}
        part = status if subresource else _without_server_fields(kind, applied)
        merged = merge(without(thaw(old), result.gone, schema), part, schema)
        merged["metadata"]["resourceVersion"] = old["metadata"]["resourceVersion"]
        return merged, documents_of(_without_paths(result.entries, result.gone))


def _untyped(kind: Kind, metadata: Document, paths: list[str]) -> BadRequest:
    """Return the error of a configuration with fields that cannot be owned.

    Upstream answers 500 here; a client's mistake is 400 in kubesim.
    Source: k8s.io/apimachinery/pkg/util/managedfields/internal/structuredmerge.go (Apply),
    sigs.k8s.io/structured-merge-diff/typed/helpers.go (ValidationErrors).
    """
    name = "/".join(str(part) for part in (metadata.get("namespace"), metadata["name"]) if part)
    details = [f".{path}: field not declared in schema" for path in paths]
    text = details[0] if len(details) == 1 else "\n  ".join(["errors:", *details])
    of = f"{name}; {kind.api_version}, Kind={kind.kind}"
    return BadRequest(f"failed to create typed patch object ({of}): {text}")


def _without_server_fields(kind: Kind, applied: Document) -> Document:
    """Return the part of a configuration that an apply to the object itself merges."""
    part = {k: v for k, v in applied.items() if k not in ("apiVersion", "kind")}
    if kind.status:
        part.pop("status", None)
    metadata = applied["metadata"]
    part["metadata"] = {k: v for k, v in metadata.items() if k not in UNAPPLIED_METADATA}
    return part


def _without_paths(
    entries: list[ManagedFieldsEntry], removed: FieldSet
) -> list[ManagedFieldsEntry]:
    return [ManagedFieldsEntry(e.writer, frozenset(e.paths - removed), e.time) for e in entries]
