"""The write path shared by all verbs: kind, namespace, validation, compare-and-set.

Every write is default -> admit -> validate -> compare-and-set. `write` has the verbs themselves.

Source: k8s.io/apiserver/pkg/registry/generic/registry/store.go (Create, Update),
pkg/registry/rest/{create,update}.go.
"""

from __future__ import annotations

from collections.abc import Callable

from kubesim.apiserver.core import NOT_ALLOWED, Core
from kubesim.apiserver.fields import FieldErrors
from kubesim.apiserver.metadata import validate_metadata, validate_metadata_update
from kubesim.apiserver.registry import Kind
from kubesim.apiserver.schema.structural import check_document
from kubesim.apiserver.verbs.versions import to_stored
from kubesim.apiserver.watching import at_revision, view_of
from kubesim.errors import BadRequest, Cause, Forbidden, Invalid, MethodNotAllowed, NotFound
from kubesim.objects.frozen import Document, freeze, thaw
from kubesim.objects.wellknown import DEFAULT_NAMESPACE
from kubesim.store import KeyValue

SHARED_LEASE_SECONDS = 60.0  # objects of one minute share a lease (upstream: 60 s)
NAMESPACES = "/registry/namespaces/"

Change = Callable[[Document], Document]
"""change(stored object) -> the object that replaces it."""


class WritePath:
    """What create, update, update_status and apply share.

    Args:
        core: of the server.
    """

    def __init__(self, core: Core) -> None:
        self._core = core
        self._leases: dict[str, tuple[float, int]] = {}  # by kind: (granted at, lease id)

    # -- the object that a client sent -----------------------------------------------------------

    def kind_of(self, document: object) -> Kind:
        """Return the kind of a document that a client sent.

        Raises:
            BadRequest: the document names no kind, or a version that is not served.
            NotFound: there is no such kind.
            MethodNotAllowed: clients may not write objects of that kind.
        """
        if not isinstance(document, dict) or not document.get("kind"):
            raise BadRequest("Object 'Kind' is missing", hint='write for example {"kind": "Pod"}')
        registry = self._core.registry
        name = str(document["kind"])
        kind = registry.by_kind.get(name) or registry.find(name)
        if kind.read_only:
            raise MethodNotAllowed(NOT_ALLOWED)
        if kind.custom and registry.is_retired(kind):
            message = f'no matches for kind "{kind.kind}" in version "{kind.api_version}"'
            raise NotFound(message, hint="its CustomResourceDefinition was deleted")
        version = document.get("apiVersion", kind.api_version)
        if version != kind.api_version and kind.version_of(str(version)) is None:
            message = f'no matches for kind "{kind.kind}" in version "{version}"'
            raise BadRequest(message, hint=f"use {kind.api_version}")
        metadata = document.get("metadata")
        if metadata is not None and not isinstance(metadata, dict):
            raise BadRequest("metadata must be an object")
        return kind

    def prepare(self, document: Document) -> tuple[Kind, Document]:
        """Return the kind of a document, and a copy of it in the stored version."""
        kind = self.kind_of(document)
        new: Document = thaw(document)
        version = new.get("apiVersion") or kind.api_version
        if version != kind.api_version:
            new = to_stored(kind, new)
        new["kind"], new["apiVersion"] = kind.kind, kind.api_version
        if new.get("metadata") is None:
            new["metadata"] = {}
        return kind, new

    def set_namespace(self, kind: Kind, metadata: Document, namespace: str | None) -> None:
        """Set metadata.namespace, in place.

        Args:
            kind: of the object.
            metadata: of the object.
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
            kind: of the object.
            new: the object, with its defaults.
            old: the object that it replaces; None: it is created.

        Raises:
            Invalid: rules are broken; `causes` has each.
        """
        errors = FieldErrors()
        metadata = new["metadata"]
        validate_metadata(kind.valid_name, kind.name_rule, metadata, errors)
        kind.validate(new, errors)
        if old is not None and not errors.causes:
            # Immutable fields are compared only if every field has its right type.
            if "deletionTimestamp" in old["metadata"]:
                validate_metadata_update(metadata, old["metadata"], errors)
            kind.validate_update(new, old, errors)
        check_document(kind, new, errors)
        if errors.causes:
            raise_if_invalid(kind, str(metadata.get("name", "")), errors)

    # -- the store -------------------------------------------------------------------------------

    def insert(self, kind: Kind, new: Document, dry_run: bool) -> Document:
        """Store a new object in an existing namespace that is not being deleted.

        Args:
            kind: of the object.
            new: the object; it is changed in place: it gets its resourceVersion.
            dry_run: check everything, and store nothing.

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
            lease = self._lease(kind) if kind.ttl_seconds else 0
            result = core.commit(compare, [(key, frozen)], lease=lease)
            if result.succeeded:
                core.log_created(kind, frozen)
                metadata["resourceVersion"] = str(result.revision)
                return new
            if result.current[0] is not None:
                raise core.already_exists(kind, name)
            # The namespace was changed meanwhile: check it again.

    def _open_namespace(self, kind: Kind, name: str, namespace: str) -> tuple[str, int]:
        """Return (key, revision) of the namespace, for a transaction that needs it unchanged."""
        kv = self._core.store.get(f"{NAMESPACES}{namespace}")
        if kv is None:
            raise self._core.not_found(self._core.registry.find("Namespace"), namespace)
        if "deletionTimestamp" in kv.value["metadata"]:
            reason = (
                f"unable to create new content in namespace {namespace} because it is being "
                "terminated"
            )
            raise Forbidden(
                f'{kind.resource} "{name}" is forbidden: {reason}',
                kind=kind.plural,
                group=kind.group,
                name=name,
                causes=[Cause("metadata.namespace", "NamespaceTerminating", reason)],
            )
        return kv.key, kv.mod_revision

    def _lease(self, kind: Kind) -> int:
        """Return the lease with which objects of a kind expire."""
        store, now = self._core.store, self._core.clock.now()
        granted, lease = self._leases.get(kind.kind, (0.0, 0))
        if not lease or now - granted >= SHARED_LEASE_SECONDS:
            store.expire(now)
            lease = store.grant(kind.ttl_seconds + SHARED_LEASE_SECONDS, now=now)
            self._leases[kind.kind] = (now, lease)
        return lease

    def stored(self, kind: Kind, identity: Document) -> KeyValue:
        """Return the stored object.

        Args:
            kind: of the object.
            identity: its name and namespace, or its metadata.

        Raises:
            NotFound: there is none.
        """
        name, namespace = str(identity.get("name") or ""), identity.get("namespace", "")
        kv = self._core.store.get(kind.key(namespace, name))
        if kv is None:
            raise self._core.not_found(kind, name, namespace)
        return kv

    def replace(
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
            kv = self.stored(kind, identity)
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
            lease = self._lease(kind) if kind.ttl_seconds else kv.lease
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
    if kind.kind != "Namespace":
        return []
    return list((document.get("spec") or {}).get("finalizers") or ())


def raise_if_invalid(kind: Kind, name: str, errors: FieldErrors) -> None:
    """Refuse a write that broke rules.

    Args:
        kind: of the object.
        name: of the object.
        errors: the broken rules.

    Raises:
        Invalid: there are errors; `causes` has each.
    """
    if errors.causes:
        listed = [f"{cause.field}: {cause.message}" for cause in errors.causes]
        details = listed[0] if len(listed) == 1 else f"[{', '.join(listed)}]"
        message = f'{kind.qualified_kind} "{name}" is invalid: {details}'
        causes = errors.causes
        raise Invalid(message, kind=kind.kind, group=kind.group, name=name, causes=causes)


def freeze_or_refuse(value: Document) -> Document:
    """Return the frozen document.

    Raises:
        BadRequest: it holds a value that JSON cannot express.
    """
    try:
        frozen: Document = freeze(value)
    except (TypeError, ValueError) as error:
        raise BadRequest(f"this is no JSON document: {error}") from error
    return frozen
