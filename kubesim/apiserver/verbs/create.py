"""The verb create, and what all writing verbs share: options, namespace, validation.

Every write is default -> admit -> validate -> compare-and-set. `write` has the other verbs.

Source: k8s.io/apiserver/pkg/registry/generic/registry/store.go (Create, Update),
pkg/registry/rest/{create,update}.go.
"""

from __future__ import annotations

from typing import Unpack

from kubesim.apiserver.admission import limits, quotas
from kubesim.apiserver.core import Core, freeze_or_refuse, raise_if_invalid, streams_unchanged
from kubesim.apiserver.fieldmanager.manager import FieldManager
from kubesim.apiserver.kindrules.finalizers import validate_finalizers
from kubesim.apiserver.options import (
    DIRECTIVES,
    IGNORE,
    MAX_MANAGER,
    WriteOptions,
    is_valid,
    refuse_options,
)
from kubesim.apiserver.registry import Kind
from kubesim.apiserver.schema import strict
from kubesim.apiserver.schema.canonical import make_canonical
from kubesim.apiserver.schema.pruning import prune
from kubesim.apiserver.schema.structural import (
    SET_BY_SERVERS,
    UNEXPECTED_TYPE,
    check_document,
    full_shape_of,
    refuse_undecodable,
    refuse_wrong_metadata,
    refuse_wrong_types,
    shape_of,
)
from kubesim.apiserver.validation import (
    FieldErrors,
    validate_metadata,
    validate_metadata_update,
    validate_name,
)
from kubesim.apiserver.verbs.advice import Advice
from kubesim.apiserver.verbs.versions import to_stored
from kubesim.errors import AlreadyExists, BadRequest, Cause, Forbidden
from kubesim.objects import meta
from kubesim.objects.frozen import Document, thaw
from kubesim.objects.wellknown import DEFAULT_NAMESPACE

NAMESPACES = "/registry/namespaces/"
MAX_GENERATE_NAME = 58  # 63 with the suffix
GENERATE_ATTEMPTS = 8  # upstream: maxNameGenerationCreateAttempts
SET_BY_THE_SERVER = (
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generation",
)


class WritePath:
    """The write path shared by create, update, update_status and apply.

    Args:
        core: of the server.
        advice: the warnings of writes.
    """

    def __init__(self, core: Core, advice: Advice) -> None:
        self._core = core
        self.advice = advice

    # -- the object that a client sent -----------------------------------------------------------

    def prepare(self, document: Document) -> tuple[Kind, Document]:
        """Return the kind of a document, and a copy of it in the stored version."""
        kind = self._core.kind_of(document)
        new: Document = thaw(document)
        version = new.get("apiVersion") or kind.api_version
        if kind.schema is not None:  # by the version that was sent, before its defaults
            self.drop_unknown(kind.in_version(str(version)), new)
        if version != kind.api_version:
            new = to_stored(kind, new)
        new["kind"], new["apiVersion"] = kind.kind, kind.api_version
        if new.get("metadata") is None:
            new["metadata"] = {}
        for name, surely_fits in SET_BY_SERVERS.items():
            if name in new["metadata"] and not surely_fits(new["metadata"][name]):
                refuse_wrong_metadata(kind, name, new["metadata"][name])
        if not kind.ttl_seconds:  # Events have no quantities, and are written most often
            make_canonical(kind, new)
        return kind, new

    def check_fields(
        self, kind: Kind, document: Document, options: WriteOptions, verb: str
    ) -> None:
        """Check the options of a write, and, as they say, whether the kind has all fields sent.

        Args:
            kind, document: as the client sent it.
            options: of the write; warnings are added to them.
            verb: Create, Update or Patch, for the message.

        Raises:
            Invalid: invalid options.
            BadRequest: unknown or duplicate fields, and the client asked for strict decoding.
        """
        check_options(options, verb)
        if options.get("field_validation", IGNORE) != IGNORE:
            stored = document.get("apiVersion", kind.api_version) == kind.api_version
            shape = full_shape_of(kind) if stored and not options.get("duplicates") else None
            if shape is None or not shape.has_no_unknown_fields(document):
                strict.check_fields(kind, document, options)

    def drop_unknown(self, kind: Kind, new: Document) -> None:
        """Drop the fields that a kind does not have, in place."""
        shape = full_shape_of(kind)
        if shape is not None and not shape.has_no_unknown_fields(new):
            prune(kind, shape, new, self._core.analytics)

    def set_namespace(self, kind: Kind, metadata: Document, namespace: str | None) -> None:
        """Set metadata.namespace, in place.

        Args:
            kind, metadata: of the object.
            namespace: of the request; None: ``default`` unless the metadata names one.

        Raises:
            BadRequest: request and object name different namespaces.
        """
        if not kind.namespaced:
            metadata.pop("namespace", None)
            return
        named = metadata.get("namespace")
        if named and namespace and named != namespace:
            raise BadRequest(
                "the namespace of the provided object does not match the namespace sent on the "
                "request"
            )
        metadata["namespace"] = named or namespace or DEFAULT_NAMESPACE

    def validate(self, kind: Kind, new: Document, old: Document | None = None) -> None:
        """Check every rule of a kind.

        Args:
            kind, new: the object, with its defaults.
            old: the object that it replaces; None: it is created.

        Raises:
            BadRequest: a value has another type than its field.
            Invalid: rules are broken; `causes` has each.
        """
        fits = (shape := shape_of(kind)) is None or shape.fits(new)
        if not fits:
            self.drop_unknown(kind, new)
            refuse_wrong_types(kind, new)
        errors = FieldErrors()
        metadata = new["metadata"]
        before: Document = {} if old is None else old["metadata"]
        if old is None or metadata.get("generateName") != before.get("generateName"):
            validate_name(kind.valid_name, kind.name_rule, metadata, errors)
        try:
            validate_metadata(metadata, errors)
            if metadata.get("finalizers") and not kind.custom:
                validate_finalizers(kind.group, metadata["finalizers"], errors)
            if kind.validate is not None:
                kind.validate(new, errors)
        except UnicodeEncodeError as error:
            refuse_undecodable(kind, new, error)
        if old is not None and (fits or not errors.causes):  # rules of changes trust the types
            if "deletionTimestamp" in before:
                validate_metadata_update(metadata, before, errors)
            if kind.validate_update is not None:
                kind.validate_update(new, old, errors)
        elif old is None and kind.validate_new is not None:
            kind.validate_new(new, errors)
        if not fits:
            check_document(kind, new, errors)
        if errors.causes:
            raise_if_invalid(kind, str(metadata.get("name", "")), errors)


class ObjectCreator:
    """Implements the verb create.

    Args:
        core: of the server.
        path: the write path.
        fields: keeps managedFields.
    """

    def __init__(self, core: Core, path: WritePath, fields: FieldManager) -> None:
        self._core = core
        self._path = path
        self._fields = fields

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
            self._path.check_fields(kind, document, options, "Create")
        self._path.set_namespace(kind, new["metadata"], namespace)
        created = self.insert(kind, new, dry_run, options.get("field_manager", ""))
        if (kind.advises or self._path.advice.rules) and "warnings" in options:
            self._path.advice.add(kind, created, "CREATE", options["warnings"])
        return created

    def complete(self, document: Document) -> Document:
        """Return a new object of the server's own as it would be stored."""
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
            kind, new: a copy of the client's document, as it is stored; it is changed in place.
            dry_run: check everything, and store nothing.
            manager: the client's name for managedFields; "": they are not kept.
            managed: its managedFields, if it is applied.

        Raises:
            BadRequest, Invalid, AlreadyExists, NotFound: as for `create`; or it has a revision.
        """
        if _is_revision(new["metadata"].pop("resourceVersion", None)):
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
            if kind.zero_status:
                new["status"] = thaw(kind.zero_status)
        elif "status" in new:
            self._path.drop_unknown(kind, new)
        metadata["uid"] = core.new_uid(kind)
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
                return self._store(kind, new, dry_run)
            except AlreadyExists:
                if not base or attempt == GENERATE_ATTEMPTS:
                    raise
        raise core.already_exists(kind, str(base))

    def _admit(self, kind: Kind, new: Document) -> None:
        """Set the defaults of a new object, and check every rule."""
        core, store = self._core, self._core.store
        try:
            if kind.default is not None:
                kind.default(new)
            if kind.admit is not None:
                kind.admit(core, new, None)
        except UNEXPECTED_TYPE as error:
            refuse_undecodable(kind, new, error)
        namespace = new["metadata"].get("namespace", "")
        if kind.qualified_kind in limits.LIMITED_KINDS:
            ranges = store.list(f"{limits.PREFIX}{namespace}/").items
            if ranges:
                refuse_wrong_types(kind, new)
                limits.admit_limits(kind, new, ranges)
        if kind.counts_generation and (not kind.counted_field or kind.counted_field in new):
            new["metadata"]["generation"] = 1
        self._path.validate(kind, new)
        if kind.complete is not None:
            kind.complete(core, new)
        quotas_there = store.list(f"{quotas.PREFIX}{namespace}/").items
        if quotas_there:
            quotas.admit_quota(core, kind, new, quotas_there)

    def _store(self, kind: Kind, new: Document, dry_run: bool) -> Document:
        """Store a new object, which gets its resourceVersion, in an existing namespace.

        Raises:
            AlreadyExists: the name is taken.
            NotFound, Forbidden: the namespace does not exist, or is being deleted.
        """
        core, metadata = self._core, new["metadata"]
        name, namespace = metadata["name"], metadata.get("namespace", "")
        key = kind.key(namespace, name)
        while True:
            compare = [(key, 0)]
            if kind.namespaced:
                compare.append(self._open_namespace(kind, name, namespace))
            if dry_run:
                if core.store.get(key) is not None:
                    raise core.already_exists(kind, name)
                return new
            frozen = freeze_or_refuse(new)
            lease = core.lease_for(kind) if kind.ttl_seconds else 0
            result = core.commit(compare, [(key, frozen)], lease=lease)
            if result.succeeded:
                core.log_created(kind, frozen)
                metadata["resourceVersion"] = str(result.revision)
                return new
            if result.current[0] is not None:
                raise core.already_exists(kind, name)
            # The namespace was changed in the meantime: check it again.

    def _open_namespace(self, kind: Kind, name: str, namespace: str) -> tuple[str, int]:
        """Return (key, revision) of the namespace, for a transaction that needs it unchanged."""
        kv = self._core.store.get(f"{NAMESPACES}{namespace}")
        if kv is None:
            raise self._core.not_found(self._core.registry.find("Namespace"), namespace)
        if "deletionTimestamp" in kv.value["metadata"]:
            ending = "because it is being terminated"
            reason = f"unable to create new content in namespace {namespace} {ending}"
            raise Forbidden(
                f'{kind.resource} "{name}" is forbidden: {reason}',
                kind=kind.plural,
                group=kind.group,
                name=name,
                causes=[Cause("metadata.namespace", "NamespaceTerminating", reason)],
            )
        return kv.key, kv.mod_revision


def check_options(asked: WriteOptions, verb: str) -> None:
    """Refuse invalid options of a write.

    Args:
        asked, verb: the options, and Create, Update or Patch, for the message.

    Raises:
        Invalid: an unknown directive, or a manager's name that is too long.
    """
    directive, manager = asked.get("field_validation") or IGNORE, asked.get("field_manager") or ""
    if is_valid(directive, manager):
        return
    errors = FieldErrors()
    if directive not in DIRECTIVES:
        errors.not_supported("fieldValidation", directive, ("", *DIRECTIVES))
    if len(manager) > MAX_MANAGER:
        errors.too_long("fieldManager", MAX_MANAGER)
    elif not manager.isprintable():
        errors.invalid("fieldManager", manager, "should only contain printable characters")
    refuse_options(f"{verb}Options", errors)


def _is_revision(version: object) -> bool:
    """Return whether a resourceVersion of a new object stands for a revision; "a" does not.

    Source: k8s.io/apiserver/pkg/storage/etcd3/store.go (Create), storage/api_object_versioner.go.
    """
    if not isinstance(version, str):
        return version is not None
    return version.isascii() and version.isdigit() and int(version) != 0
