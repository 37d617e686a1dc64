"""The verbs that write: create, update, update_status, finalize.

A client that sends the resourceVersion that it read gets a Conflict if the object was changed in
between; a client that sends none overwrites. A write that changes nothing takes no revision and
wakes no watch.

Source: k8s.io/apiserver/pkg/registry/generic/registry/store.go (Create, Update),
pkg/registry/rest/{create,update}.go, pkg/registry/core/namespace/storage (FinalizeREST).
"""

from __future__ import annotations

from typing import Unpack

from kubesim.apiserver.admission import limits, quotas
from kubesim.apiserver.core import Core, streams_unchanged
from kubesim.apiserver.fieldmanager.manager import FieldManager
from kubesim.apiserver.fields import FieldErrors
from kubesim.apiserver.options import WriteOptions, check_options
from kubesim.apiserver.registry import Kind
from kubesim.apiserver.schema.strict import check_fields
from kubesim.apiserver.schema.structural import check_status
from kubesim.apiserver.verbs.writepath import WritePath, freeze_or_refuse, raise_if_invalid
from kubesim.apiserver.watching import view_of
from kubesim.errors import AlreadyExists, BadRequest, NotFound
from kubesim.objects import meta
from kubesim.objects.frozen import Document, thaw

MAX_GENERATE_NAME = 58  # 63 with the suffix
GENERATE_ATTEMPTS = 8  # upstream: maxNameGenerationCreateAttempts
SET_BY_THE_SERVER = (
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generation",
)


class ObjectWriter:
    """create, update, update_status, and finalize of namespaces.

    Args:
        core: of the server.
        path: the write path.
        fields: keeps managedFields.
    """

    def __init__(self, core: Core, path: WritePath, fields: FieldManager) -> None:
        self._core = core
        self._path = path
        self._fields = fields

    # -- create ----------------------------------------------------------------------------------

    def create(
        self,
        document: Document,
        *,
        namespace: str | None = None,
        dry_run: bool = False,
        **options: Unpack[WriteOptions],
    ) -> Document:
        """Create an object; return it as it was stored.

        Args:
            document: with kind, metadata.name (or generateName) and spec; it is not changed.
            namespace: if the document names none; None: ``default``.
            dry_run: check everything, and store nothing.
            options: field_manager, field_validation, warnings (see `WriteOptions`).

        Raises:
            Invalid: rules of the kind are broken; `causes` has each.
            AlreadyExists: the name is taken.
            NotFound: there is no such kind or namespace.
        """
        kind, new = self._path.prepare(document)
        if options:
            check_options(options, "Create")
            if "field_validation" in options:
                check_fields(kind, document, options)
        self._path.set_namespace(kind, new["metadata"], namespace)
        return self.insert(kind, new, dry_run, options.get("field_manager", ""))

    def complete(self, document: Document) -> Document:
        """Return a new object as it would be stored, for the server's own objects.

        Unlike a dry run, this draws the object's uid.

        Raises:
            Invalid, AlreadyExists: as for `create`.
        """
        kind, new = self._path.prepare(document)
        self._path.set_namespace(kind, new["metadata"], None)
        return self._insert(kind, new, True, "", None)

    def insert(
        self,
        kind: Kind,
        new: Document,
        dry_run: bool,
        manager: str = "",
        managed: list[Document] | None = None,
    ) -> Document:
        """Default, admit, validate and store a new object.

        Args:
            kind: of the object.
            new: a copy of the client's document, in the stored version; it is changed in place.
            dry_run: check everything, and store nothing.
            manager: the client's name for managedFields; "": they are not kept.
            managed: its managedFields, if it is applied.

        Raises:
            BadRequest: it has a resourceVersion.
            Invalid, AlreadyExists, NotFound: as for `create`.
        """
        if new["metadata"].pop("resourceVersion", None) not in (None, "", "0"):
            # Upstream answers 500 here; a client's mistake is 400 in kubesim.
            raise BadRequest("resourceVersion should not be set on objects to be created")
        if dry_run:
            with streams_unchanged():
                return self._insert(kind, new, True, manager, managed)
        return self._insert(kind, new, False, manager, managed)

    def _insert(
        self,
        kind: Kind,
        new: Document,
        dry_run: bool,
        manager: str,
        managed: list[Document] | None,
    ) -> Document:
        core, metadata = self._core, new["metadata"]
        for field in SET_BY_THE_SERVER:
            metadata.pop(field, None)
        if kind.status and not kind.status_at_creation:
            new.pop("status", None)  # a client sets the desired state; components write the status
        metadata["uid"] = meta.new_uid(core.uid_stream(kind))
        base = "" if metadata.get("name") else metadata.get("generateName")
        for attempt in range(1, GENERATE_ATTEMPTS + 1):
            if base and isinstance(base, str):
                suffix = meta.random_suffix(core.streams(f"names/{kind.plural}/{base}"))
                metadata["name"] = base[:MAX_GENERATE_NAME] + suffix
            self._admit(kind, new)
            metadata["creationTimestamp"] = core.clock.timestamp()
            if managed is not None:
                metadata["managedFields"] = managed
            elif manager:
                self._fields.created(kind, new, manager)
            try:
                return self._path.insert(kind, new, dry_run)
            except AlreadyExists:
                if not base or attempt == GENERATE_ATTEMPTS:
                    raise
        raise core.already_exists(kind, str(base))

    def _admit(self, kind: Kind, new: Document) -> None:
        """Set the defaults of a new object, and check every rule."""
        core, store = self._core, self._core.store
        kind.default(new)
        kind.admit(core, new, None)
        namespace = new["metadata"].get("namespace", "")
        if kind.kind in limits.LIMITED_KINDS:
            ranges = store.list(f"{limits.PREFIX}{namespace}/").items
            if ranges:
                limits.admit_limits(kind, new, ranges)
        if kind.counts_generation and "spec" in new:
            new["metadata"]["generation"] = 1
        self._path.validate(kind, new)
        quotas_there = store.list(f"{quotas.PREFIX}{namespace}/").items
        if quotas_there:
            quotas.admit_quota(core, kind, new, quotas_there)

    # -- update ----------------------------------------------------------------------------------

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
            check_options(options, "Update")
            if "field_validation" in options:
                check_fields(kind, document, options)
        return self.replace(kind, new, dry_run, options.get("field_manager", ""))

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

        def change(old: Document) -> Document:
            changed: Document = thaw(new)
            kind.default(changed)
            kind.admit(self._core, changed, old)
            if kind.status:
                changed.pop("status", None)
                if "status" in old:
                    changed["status"] = old["status"]
            _keep_server_fields(changed, old)
            if managed is not None:
                self._fields.applied(old, changed, managed)
            elif "managedFields" in old["metadata"] or "managedFields" in changed["metadata"]:
                self._fields.updated(kind, old, changed, manager)
            self._path.validate(kind, changed, old)
            return changed

        return self._path.replace(kind, metadata, version, uid, change, dry_run)

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
        kind = self._path.kind_of(document)
        if not kind.status:
            raise NotFound("the server could not find the requested resource", kind=kind.plural)
        if options:
            check_options(options, "Update")
            if "field_validation" in options:
                check_fields(kind, document, options)
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
        identity: Document = {
            "name": metadata.get("name"),
            "namespace": metadata.get("namespace"),
        }
        self._path.set_namespace(kind, identity, None)
        version, uid = metadata.get("resourceVersion"), metadata.get("uid")
        raw = document.get("status") or {}
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
            if managed is not None:
                changed["metadata"] = dict(old["metadata"])
                self._fields.applied(old, changed, managed)
            elif options and "managedFields" in old["metadata"]:
                changed["metadata"] = dict(old["metadata"])
                manager = options.get("field_manager", "")
                self._fields.updated(kind, old, changed, manager, "status")
            return changed

        return self._path.replace(kind, identity, version, uid, change, dry_run)

    @staticmethod
    def _checked_status(kind: Kind, name: str, raw: Document) -> Document:
        """Return a status, frozen, after its validation."""
        status = freeze_or_refuse(raw)
        errors = FieldErrors()
        errors.mapping("status", status)
        if not errors.causes:
            kind.validate_status({"status": status}, errors)
            check_status(kind, status, errors)
        if errors.causes:
            raise_if_invalid(kind, name, errors)
        return status

    # -- namespaces ------------------------------------------------------------------------------

    def finalize(self, document: Document, *, dry_run: bool = False) -> Document:
        """Replace a namespace's own finalizers (spec.finalizers) and nothing else of it.

        A namespace that is being deleted is removed once these and metadata.finalizers are empty.

        Args:
            document: the namespace with the finalizers that are left.
            dry_run: check everything, and store nothing.

        Raises:
            Conflict: the namespace has changed since the document's resourceVersion.
            NotFound: there is no such namespace.
        """
        metadata = document.get("metadata") or {}
        finalizers = list((document.get("spec") or {}).get("finalizers") or ())

        def change(old: Document) -> Document:
            return {**old, "spec": {**(old.get("spec") or {}), "finalizers": finalizers}}

        return self._path.replace(
            self._core.registry.find("Namespace"),
            {"name": metadata.get("name")},
            metadata.get("resourceVersion"),
            metadata.get("uid"),
            change,
            dry_run,
        )


def _keep_server_fields(new: Document, old: Document) -> None:
    """Keep uid, times and generation, which clients cannot change; generation counts the spec."""
    metadata, before = new["metadata"], old["metadata"]
    for field in SET_BY_THE_SERVER:
        metadata.pop(field, None)
        if field in before:
            metadata[field] = before[field]
    if "generation" in before and new.get("spec") != old.get("spec"):
        metadata["generation"] = before["generation"] + 1
