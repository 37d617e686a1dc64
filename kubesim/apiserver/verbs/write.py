"""The verbs that replace an object: update, update_status, finalize.

A client that sends the resourceVersion that it read gets a Conflict if the object was changed in
between; a client that sends none overwrites. A write that changes nothing takes no revision and
wakes no watch.

Source: k8s.io/apiserver/pkg/registry/generic/registry/store.go (Update),
pkg/registry/rest/update.go, pkg/registry/core/namespace/storage (FinalizeREST).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Unpack

from kubesim.apiserver.core import Core, at_revision, freeze_or_refuse, raise_if_invalid, view_of
from kubesim.apiserver.fieldmanager.managed import keep_times
from kubesim.apiserver.fieldmanager.manager import FieldManager
from kubesim.apiserver.options import WriteOptions
from kubesim.apiserver.registry import Kind
from kubesim.apiserver.schema.canonical import make_canonical
from kubesim.apiserver.schema.structural import (
    UNEXPECTED_TYPE,
    refuse_undecodable,
    refuse_wrong_types_in_status,
    status_shape_of,
)
from kubesim.apiserver.validation import FieldErrors
from kubesim.apiserver.verbs.create import SET_BY_THE_SERVER, WritePath
from kubesim.errors import NotFound
from kubesim.objects.frozen import Document, ReadOnlyDocument, thaw
from kubesim.objects.wellknown import DEFAULT_NAMESPACE
from kubesim.store import KeyValue

# Kinds whose status has quantities that anybody may write. What controllers write into the status
# of other kinds, without options, is canonical already.
CANONICAL_STATUS = frozenset({"Node", "PersistentVolumeClaim", "ResourceQuota"})
Change = Callable[[Document], Document]
"""change(stored object) -> the object that replaces it."""


class ObjectWriter:
    """Implements the verb update, also of a status, and finalize of namespaces.

    Args:
        core: of the server.
        path: the write path.
        fields: keeps managedFields.
    """

    def __init__(self, core: Core, path: WritePath, fields: FieldManager) -> None:
        self._core = core
        self._path = path
        self._fields = fields

    def update(
        self, document: Document, *, dry_run: bool = False, **options: Unpack[WriteOptions]
    ) -> Document:
        """Replace an object; its status stays as it is.

        With metadata.resourceVersion the write is a compare-and-set; without, it overwrites.

        Args:
            document: the whole object; it is not changed.
            dry_run: check everything, and store nothing.
            options: as for `create`.

        Raises:
            Conflict: the object has changed since that resourceVersion: read again, then retry.
            Invalid, NotFound: as for `create`; or an immutable field changed.
        """
        kind, new = self._path.prepare(document)
        if options:
            self._path.check_fields(kind, document, options, "Update")
        updated = self.replace(kind, new, dry_run, options.get("field_manager", ""))
        if (kind.advises or self._path.advice.rules) and "warnings" in options:
            self._path.advice.add(kind, updated, "UPDATE", options["warnings"])
        return updated

    def replace(
        self,
        kind: Kind,
        new: Document,
        dry_run: bool,
        manager: str = "",
        managed: list[Document] | None = None,
    ) -> Document:
        """Default, admit, validate and store an object that replaces the stored one.

        Args:
            kind: of the object.
            new: a copy of the client's document, in the stored version; it is changed in place.
            dry_run: check everything, and store nothing.
            manager: the client's name for managedFields; "": a component of the simulator.
            managed: its managedFields, if it is applied.

        Raises:
            Conflict, Invalid, NotFound: as for `update`.
        """
        metadata = new["metadata"]
        self._path.set_namespace(kind, metadata, None)
        version, uid = metadata.pop("resourceVersion", None), metadata.get("uid")
        if kind.status:
            new.pop("status", None)
        if managed is None:  # a configuration that is applied has none
            self._path.drop_unknown(kind, new)

        def change(old: Document) -> Document:
            changed: Document = thaw(new)
            if kind.status:
                changed["status"] = {}  # no defaults for it: it stays as it is
            try:
                if kind.default is not None:
                    kind.default(changed)
                if kind.admit is not None:
                    kind.admit(self._core, changed, old)
            except UNEXPECTED_TYPE as error:
                refuse_undecodable(kind, changed, error)
            if kind.status:
                changed.pop("status", None)
                if "status" in old:
                    changed["status"] = old["status"]
            _keep_server_fields(changed, old, kind.counted_field)
            if managed is not None:
                changed["metadata"]["managedFields"] = managed
                keep_times(old, changed)
            elif "managedFields" in old["metadata"] or "managedFields" in changed["metadata"]:
                self._fields.updated(kind, old, changed, manager)
            self._path.validate(kind, changed, old)
            return changed

        return self._swap(kind, metadata, version, uid, change, dry_run)

    # -- status ----------------------------------------------------------------------------------

    def update_status(
        self, document: Document, *, dry_run: bool = False, **options: Unpack[WriteOptions]
    ) -> Document:
        """Replace an object's status; everything else in the document is ignored.

        Args:
            document: with kind, metadata and status; it is not changed.
            dry_run: check everything, and store nothing.
            options: as for `create`.

        Raises:
            Conflict: as for `update`.
            NotFound: there is no such object, or the kind has no status.
        """
        kind = self._core.kind_of(document)
        if not kind.status:
            raise NotFound("the server could not find the requested resource", kind=kind.plural)
        if options:
            self._path.check_fields(kind, document, options, "Update")
        return self.replace_status(kind, document, dry_run, options)

    def replace_status(
        self,
        kind: Kind,
        document: Document,
        dry_run: bool,
        options: WriteOptions,
        managed: list[Document] | None = None,
    ) -> Document:
        """Validate and store a status.

        Args:
            kind: of the object.
            document: with metadata and status.
            dry_run: check everything, and store nothing.
            options: field_manager; {}: the write is not tracked in managedFields.
            managed: the object's managedFields, if the status is applied.

        Raises:
            Conflict, NotFound: as for `update_status`.
        """
        metadata = document.get("metadata") or {}
        identity: Document = {"name": metadata.get("name")}
        if kind.namespaced:
            identity["namespace"] = metadata.get("namespace") or DEFAULT_NAMESPACE
        version, uid = metadata.get("resourceVersion"), metadata.get("uid")
        raw = document.get("status") or {}
        if kind.zero_status and isinstance(raw, dict):
            raw = {**raw, **{k: v for k, v in kind.zero_status.items() if raw.get(k) is None}}
        if (options or kind.kind in CANONICAL_STATUS) and isinstance(raw, dict):
            copy = {"status": thaw(raw)}
            make_canonical(kind, copy)
            raw = copy["status"]
        if managed is None:
            kv = self._core.store.get(
                kind.key(identity.get("namespace", ""), str(identity["name"] or ""))
            )
            if kv is not None and kv.value.get("status") == raw:
                # It was validated when it was stored, and there is nothing to write.
                self._core.check_preconditions(kind, kv, uid, version)
                return thaw(kv.view or view_of(kv))
        status = self._checked_status(kind, str(metadata.get("name", "")), raw)

        def change(old: Document) -> Document:
            changed = {**old, "status": status}
            if kind.validate_status_update is not None:
                errors = FieldErrors()
                kind.validate_status_update(changed, old, errors)
                if errors.causes:
                    raise_if_invalid(kind, str(metadata.get("name", "")), errors)
            if managed is not None:
                changed["metadata"] = dict(old["metadata"])
                changed["metadata"]["managedFields"] = managed
                keep_times(old, changed)
            elif options and "managedFields" in old["metadata"]:
                changed["metadata"] = dict(old["metadata"])
                manager = options.get("field_manager", "")
                self._fields.updated(kind, old, changed, manager, "status")
            return changed

        return self._swap(kind, identity, version, uid, change, dry_run)

    def _checked_status(self, kind: Kind, name: str, raw: Document) -> Document:
        """Return a status, frozen, after its validation."""
        status, shape = freeze_or_refuse(raw), status_shape_of(kind)
        fits = shape is not None and shape.fits(status)
        if fits and kind.validate_status is None:
            return status
        if not fits:
            pruned: Document = {"metadata": {"name": name}, "status": thaw(status)}
            self._path.drop_unknown(kind, pruned)
            status = freeze_or_refuse(pruned.get("status") or {})
            refuse_wrong_types_in_status(kind, status)
        errors = FieldErrors()
        errors.mapping("status", status)
        if not errors.causes and kind.validate_status is not None:
            kind.validate_status({"status": status}, errors)
        if errors.causes:
            raise_if_invalid(kind, name, errors)
        return status

    # -- namespaces ------------------------------------------------------------------------------

    def finalize(self, document: ReadOnlyDocument, *, dry_run: bool = False) -> Document:
        """Replace a namespace's own finalizers (spec.finalizers) and nothing else of it.

        A namespace that is being deleted is removed once these and metadata.finalizers are empty.

        Args:
            document: the namespace with the finalizers that are left.
            dry_run: check everything, and store nothing.

        Raises:
            BadRequest: the finalizers are no list of strings.
            Conflict: the namespace has changed since the document's resourceVersion.
            NotFound: there is no such namespace.
        """
        metadata, kind = document.get("metadata") or {}, self._core.registry.find("Namespace")

        def change(old: Document) -> Document:
            sent = thaw({**old, "spec": document.get("spec") or {}})
            self._path.validate(kind, sent, old)
            finalizers = list(sent["spec"].get("finalizers") or ())
            spec = {k: v for k, v in (old.get("spec") or {}).items() if k != "finalizers"}
            if finalizers:
                spec["finalizers"] = finalizers
            return {**old, "spec": spec}

        return self._swap(
            kind,
            {"name": metadata.get("name")},
            metadata.get("resourceVersion"),
            metadata.get("uid"),
            change,
            dry_run,
        )

    # -- the store -------------------------------------------------------------------------------

    def _stored(self, kind: Kind, identity: Document) -> KeyValue:
        """Return the stored object.

        Args:
            kind: of the object.
            identity: its name and namespace, or its metadata.

        Raises:
            NotFound: no such object.
        """
        name, namespace = str(identity.get("name") or ""), identity.get("namespace", "")
        kv = self._core.store.get(kind.key(namespace, name))
        if kv is None:
            raise self._core.not_found(kind, name, namespace)
        return kv

    def _swap(
        self,
        kind: Kind,
        identity: Document,
        resource_version: str | int | None,
        uid: str | None,
        change: Change,
        dry_run: bool,
    ) -> Document:
        """Replace a stored object by compare-and-set, and repeat if another write came between.

        A change that leaves the object as it is takes no revision.

        Args:
            kind: of the object.
            identity: its name and namespace, or its metadata.
            resource_version, uid: the state that the client expects; see
                `Core.check_preconditions`.
            change: makes the new object of the stored one.
            dry_run: check everything, and store nothing.

        Returns:
            A copy of the object as it was stored.

        Raises:
            NotFound: there is no such object.
            Conflict: the object is not in the expected state.
        """
        core = self._core
        while True:
            kv = self._stored(kind, identity)
            core.check_preconditions(kind, kv, uid, resource_version)
            old = kv.value
            new = change(old)
            if new == old:
                return thaw(view_of(kv))
            if dry_run:
                return thaw(at_revision(new, kv.mod_revision))
            if "deletionTimestamp" in new["metadata"] and is_released(kind, new):
                if core.remove(kind, kv):
                    return thaw(new)
                continue
            frozen = freeze_or_refuse(new)
            lease = core.lease_for(kind) if kind.ttl_seconds else kv.lease
            put = [(kv.key, frozen)]
            done = core.commit([(kv.key, kv.mod_revision)], put, before=old, lease=lease)
            if done.succeeded:
                return thaw(at_revision(frozen, done.revision))


def is_released(kind: Kind, document: Document) -> bool:
    """Return whether an object that is being deleted can be removed.

    That is so if no finalizer is left and no kubelet is still stopping it.
    """
    metadata = document["metadata"]
    if metadata.get("finalizers") or namespace_finalizers(kind, document):
        return False
    return not metadata.get("deletionGracePeriodSeconds")


def namespace_finalizers(kind: Kind, document: Document) -> list[str]:
    """Return spec.finalizers of a namespace; other kinds have none."""
    if kind.qualified_kind != "Namespace":
        return []
    return list((document.get("spec") or {}).get("finalizers") or ())


UNCOUNTED = frozenset(("apiVersion", "kind", "metadata"))


def _keep_server_fields(new: Document, old: Document, counted: str) -> None:
    """Keep uid, times and generation, which clients cannot change; one field's changes count."""
    metadata, before = new["metadata"], old["metadata"]
    for field in SET_BY_THE_SERVER:
        metadata.pop(field, None)
        if field in before:
            metadata[field] = before[field]
    parts = (counted,) if counted else (new.keys() | old.keys()) - UNCOUNTED
    if "generation" in before and any(new.get(part) != old.get(part) for part in parts):
        metadata["generation"] = before["generation"] + 1
