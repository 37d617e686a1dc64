"""Server-side apply: a client says what it wants of an object, and owns just that.

The applied configuration is merged into the object; fields that the client applied before and names
no longer are removed unless somebody else owns them; fields that others own with another value are
a conflict, unless the client forces it.

Source: k8s.io/apiserver/pkg/endpoints/handlers/patch.go (applyPatcher),
k8s.io/apimachinery/pkg/util/managedfields.
"""

from __future__ import annotations

from typing import Unpack

from kubesim.apiserver.fieldmanager.managed import (
    APPLY,
    BEFORE,
    UPDATE,
    Entry,
    Writer,
    after_apply,
    conflict_error,
    documents_of,
    entries_of,
)
from kubesim.apiserver.fieldmanager.paths import Path
from kubesim.apiserver.fieldmanager.verbs import owned_values, typed_schema
from kubesim.apiserver.patch.merging import merge, without
from kubesim.apiserver.registry import Kind
from kubesim.apiserver.schema.strict import Asked, check_fields, check_options
from kubesim.apiserver.verbs.patch import ATTEMPTS, PatchVerb
from kubesim.apiserver.watching import view_of
from kubesim.errors import AlreadyExists, BadRequest, Cause, Conflict, Invalid, NotFound
from kubesim.objects.frozen import Document, thaw
from kubesim.objects.wellknown import META_GROUP


class ApplyVerb(PatchVerb):
    """apply."""

    def apply(
        self,
        document: Document,
        *,
        name: str = "",
        namespace: str | None = None,
        subresource: str = "",
        force: bool = False,
        dry_run: bool = False,
        **asked: Unpack[Asked],
    ) -> Document:
        """Apply a configuration; the object is created if it is not there.

        Args:
            document: what the client wants, and nothing else; it is not changed.
            name: of the object, if the document does not say.
            namespace: where, if the document does not say.
            subresource: "" or "status".
            force: take over fields that others own.
            dry_run: do everything but store it.
            asked: field_manager (it must be given), field_validation, warnings.

        Raises:
            Conflict: others own fields that would change; `causes` names each.
            Invalid: no manager, or rules of the kind are broken.
            BadRequest: names do not match, or the document carries managedFields.
            NotFound: there is no object whose status could be applied.
        """
        kind, wanted = self._check_apply(document, name, namespace, asked)
        if subresource not in ("", "status") or (subresource and not kind.status):
            raise NotFound("the server could not find the requested resource", kind=kind.plural)
        metadata = wanted["metadata"]
        writer = Writer(asked["field_manager"], APPLY, kind.api_version, subresource)
        key = kind.key(metadata.get("namespace", ""), metadata["name"])
        for attempt in range(1, ATTEMPTS + 1):
            kv = self.store.get(key)
            if kv is None and subresource:
                raise self.not_found(kind, metadata["name"], metadata.get("namespace"))
            try:
                if kv is None:
                    return self._apply_new(kind, wanted, writer, dry_run)
                uid, version = metadata.get("uid"), metadata.get("resourceVersion")
                self._check_preconditions(kind, kv, uid, version)
                new, books = self._merged(kind, view_of(kv), wanted, writer, force)
            except AlreadyExists:
                continue  # somebody made it meanwhile
            kept: Asked = {"field_manager": writer.manager, "applied": books}
            try:
                if subresource:
                    return self.update_status(new, dry_run=dry_run, **kept)
                return self.update(new, dry_run=dry_run, **kept)
            except Conflict:
                if attempt == ATTEMPTS:
                    raise
        raise self.conflict(kind, metadata["name"])

    def _check_apply(
        self, document: Document, name: str, namespace: str | None, asked: Asked
    ) -> tuple[Kind, Document]:
        check_options(asked, "Patch")
        if not asked.get("field_manager"):
            rule = "Required value: is required for apply patch"
            causes = [Cause("fieldManager", "FieldValueRequired", rule)]
            said = f'PatchOptions.meta.k8s.io "" is invalid: fieldManager: {rule}'
            raise Invalid(said, kind="PatchOptions", group=META_GROUP, causes=causes)
        kind, wanted = self._prepare(document)
        check_fields(kind, document, asked)
        metadata = wanted["metadata"]
        if metadata.get("managedFields") is not None:
            raise BadRequest("metadata.managedFields must be nil")
        said = metadata.setdefault("name", name)
        if not said:
            raise BadRequest("name must be provided", hint="give metadata.name")
        if name and said != name:
            raise BadRequest(
                f"the name of the object ({said}) does not match the name on the URL ({name})"
            )
        self._place(kind, metadata, namespace)
        return kind, wanted

    def _apply_new(self, kind: Kind, wanted: Document, writer: Writer, dry_run: bool) -> Document:
        """An object that was not there: the client owns what it named, not the defaults."""
        if wanted["metadata"].get("uid"):
            raise self.conflict(kind, wanted["metadata"]["name"])
        paths = frozenset(owned_values(kind, wanted))
        books = documents_of([Entry(writer, paths, self.clock.timestamp())])
        return self.create(wanted, dry_run=dry_run, field_manager=writer.manager, applied=books)

    def _merged(
        self, kind: Kind, old: Document, wanted: Document, writer: Writer, force: bool
    ) -> tuple[Document, list[Document]]:
        """The object with the configuration in it, and its books."""
        side, schema = writer.subresource, typed_schema(kind)
        live, named = (owned_values(kind, document, side) for document in (old, wanted))
        entries = entries_of(old) or self._before(kind, old)
        now = self.clock.timestamp()
        applied = after_apply(entries, live, named, writer, now, force=force)
        if applied.conflicts and not force:
            raise conflict_error(applied.conflicts)
        part = {"status": wanted.get("status") or {}} if side else _main_part(kind, wanted)
        merged = merge(without(thaw(old), applied.gone, schema), part, schema)
        merged["metadata"]["resourceVersion"] = old["metadata"]["resourceVersion"]
        return merged, documents_of(_existing(applied.entries, applied.gone))

    def _before(self, kind: Kind, old: Document) -> list[Entry]:
        """Nobody kept books: what is there belongs to somebody who came before."""
        writer = Writer(BEFORE, UPDATE, kind.api_version)
        return [Entry(writer, frozenset(owned_values(kind, old)), self.clock.timestamp())]


def _main_part(kind: Kind, wanted: Document) -> Document:
    """The configuration without what an apply to the object itself does not touch."""
    part = {k: v for k, v in wanted.items() if k not in ("apiVersion", "kind")}
    if kind.status:
        part.pop("status", None)
    hidden = ("uid", "resourceVersion", "creationTimestamp", "generation", "managedFields")
    part["metadata"] = {k: v for k, v in wanted["metadata"].items() if k not in hidden}
    return part


def _existing(entries: list[Entry], gone: frozenset[Path]) -> list[Entry]:
    return [Entry(e.writer, frozenset(e.paths - gone), e.time) for e in entries]
