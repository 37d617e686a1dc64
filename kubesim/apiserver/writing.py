"""The verbs that write: create, update, update_status, patch.

Every write is default -> admit -> validate -> compare-and-set. A client that sends the
resourceVersion it read gets a Conflict if somebody wrote in between; one that sends none
overwrites. A write that changes nothing takes no revision and wakes nobody.

Source: k8s.io/apiserver/pkg/registry/generic/registry/store.go (Create, Update),
pkg/registry/rest/{create,update}.go, pkg/endpoints/handlers/patch.go.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kubesim.apiserver.base import DEFAULT_NAMESPACE, NOT_ALLOWED
from kubesim.apiserver.deleting import DeleteVerbs
from kubesim.apiserver.fields import FieldErrors
from kubesim.apiserver.metadata import validate_metadata, validate_metadata_update
from kubesim.apiserver.registry import Kind
from kubesim.apiserver.watching import at_revision, view_of
from kubesim.errors import (
    AlreadyExists,
    BadRequest,
    Cause,
    Forbidden,
    Invalid,
    MethodNotAllowed,
    NotFound,
    StatusError,
)
from kubesim.objects import meta
from kubesim.objects.frozen import Document, freeze, thaw

MAX_GENERATE_NAME = 58  # 63 with the suffix
GENERATE_ATTEMPTS = 8  # upstream: maxNameGenerationCreateAttempts
SHARED_LEASE_SECONDS = 60.0  # objects of one minute share a lease (upstream: 60 s)
SET_BY_THE_SERVER = (
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generation",
)


class WriteVerbs(DeleteVerbs):
    """create, update and update_status."""

    _leases: dict[str, tuple[float, int]]  # by kind: when it was granted, and its id

    def create(
        self, document: Document, *, namespace: str | None = None, dry_run: bool = False
    ) -> Document:
        """Make an object; returns it as it was stored.

        Args:
            document: with kind, metadata.name (or generateName) and spec; it is not changed.
            namespace: where, if the document does not say; ``default`` if neither does.
            dry_run: do everything but store it.

        Raises:
            Invalid: rules of the kind are broken; `causes` names each.
            AlreadyExists: the name is taken.
            NotFound: no such kind or namespace.
        """
        kind, new = self._prepare(document)
        metadata = new["metadata"]
        if metadata.pop("resourceVersion", None) not in (None, "", "0"):
            raise StatusError("resourceVersion should not be set on objects to be created")
        self._place(kind, metadata, namespace)
        for field in SET_BY_THE_SERVER:
            metadata.pop(field, None)
        if kind.status and not kind.status_at_creation:
            new.pop("status", None)  # a client says what it wants; what is, others write
        metadata["uid"] = meta.new_uid(self.streams(f"uids/{kind.plural}"))
        base = "" if metadata.get("name") else metadata.get("generateName")
        for attempt in range(1, GENERATE_ATTEMPTS + 1):
            if base and isinstance(base, str):
                suffix = meta.random_suffix(self.streams(f"names/{kind.plural}/{base}"))
                metadata["name"] = base[:MAX_GENERATE_NAME] + suffix
            kind.default(new)
            kind.admit(self, new, None)
            if kind.counts_generation and "spec" in new:
                metadata["generation"] = 1
            self._validate(kind, new)
            metadata["creationTimestamp"] = self.clock.timestamp()
            try:
                return self._insert(kind, new, dry_run)
            except AlreadyExists:
                if not base or attempt == GENERATE_ATTEMPTS:
                    raise
        raise self.already_exists(kind, str(base))

    def update(self, document: Document, *, dry_run: bool = False) -> Document:
        """Replace an object; its status stays as it is.

        With metadata.resourceVersion the write is a compare-and-set; without, it overwrites.

        Raises:
            Conflict: somebody wrote since that resourceVersion: read again, then retry.
            Invalid, NotFound: as for `create`; or a field changed that may not.
        """
        kind, new = self._prepare(document)
        self._place(kind, new["metadata"], None)
        expected = new["metadata"].pop("resourceVersion", None)
        uid = new["metadata"].get("uid")
        if kind.status:
            new.pop("status", None)

        def change(old: Document) -> Document:
            changed: Document = thaw(new)
            kind.default(changed)
            kind.admit(self, changed, old)
            if kind.status:
                changed.pop("status", None)
                if "status" in old:
                    changed["status"] = old["status"]
            _keep_what_the_server_set(changed, old)
            self._validate(kind, changed, old)
            return changed

        return self._write(kind, new["metadata"], expected, uid, change, dry_run)

    def update_status(self, document: Document, *, dry_run: bool = False) -> Document:
        """Replace an object's status; everything else in the document is ignored.

        Raises:
            Conflict: as for `update`.
            NotFound: no such object, or the kind has no status.
        """
        kind, metadata = self._kind_of(document), document.get("metadata") or {}
        if not kind.status:
            raise NotFound("the server could not find the requested resource", kind=kind.plural)
        status = freeze_or_refuse(document.get("status") or {})
        errors = FieldErrors()
        errors.mapping("status", status)
        if not errors.causes:
            kind.validate_status({"status": status}, errors)
        _raise_if_invalid(kind, str(metadata.get("name", "")), errors)
        place = {"name": metadata.get("name"), "namespace": metadata.get("namespace")}
        self._place(kind, place, None)
        version, uid = metadata.get("resourceVersion"), metadata.get("uid")
        return self._write(
            kind, place, version, uid, lambda old: {**old, "status": status}, dry_run
        )

    # -- inside ------------------------------------------------------------------------------------

    def _kind_of(self, document: Any) -> Kind:
        """The kind of a document that a client sent."""
        if not isinstance(document, dict) or not document.get("kind"):
            raise BadRequest("Object 'Kind' is missing", hint='write for example {"kind": "Pod"}')
        kind = self.registry.find(str(document["kind"]))
        if kind.read_only:
            raise MethodNotAllowed(NOT_ALLOWED)
        version = document.get("apiVersion", kind.api_version)
        if version != kind.api_version:
            said = f'no matches for kind "{kind.kind}" in version "{version}"'
            raise BadRequest(said, hint=f"use {kind.api_version}")
        metadata = document.get("metadata")
        if metadata is not None and not isinstance(metadata, dict):
            raise BadRequest("metadata must be an object")
        return kind

    def _prepare(self, document: Document) -> tuple[Kind, Document]:
        """The kind, and a copy of the document that is ours to change."""
        kind = self._kind_of(document)
        new: Document = thaw(document)
        new["kind"], new["apiVersion"] = kind.kind, kind.api_version
        if new.get("metadata") is None:
            new["metadata"] = {}
        return kind, new

    def _place(self, kind: Kind, metadata: Document, namespace: str | None) -> None:
        """Settle in which namespace the object is."""
        if not kind.namespaced:
            metadata.pop("namespace", None)
            return
        said = metadata.get("namespace")
        if said and namespace and said != namespace:
            raise BadRequest(
                "the namespace of the provided object does not match the namespace sent on the "
                "request"
            )
        metadata["namespace"] = said or namespace or DEFAULT_NAMESPACE

    def _insert(self, kind: Kind, new: Document, dry_run: bool) -> Document:
        """Store a new object, in a namespace that exists and is not on its way out."""
        metadata = new["metadata"]
        name, namespace = metadata["name"], metadata.get("namespace", "")
        key = kind.key(namespace, name)
        while True:
            compare = [(key, 0)]
            if kind.namespaced:
                compare.append(self._open_namespace(kind, name, namespace))
            if dry_run:
                if self.store.get(key) is not None:
                    raise self.already_exists(kind, name)
                return new
            frozen = freeze_or_refuse(new)
            done = self._commit(compare, [(key, frozen)], lease=self._lease(kind))
            if done.succeeded:
                self._created(kind, frozen)
                metadata["resourceVersion"] = str(done.revision)
                return new
            if done.current[0] is not None:
                raise self.already_exists(kind, name)
            # Somebody changed the namespace meanwhile: look at it again.

    def _open_namespace(self, kind: Kind, name: str, namespace: str) -> tuple[str, int]:
        """The namespace's key and revision, for a transaction in which it stays as it is."""
        found = self.store.get(f"/registry/namespaces/{namespace}")
        if found is None:
            raise self.not_found(self.registry.find("Namespace"), namespace)
        if "deletionTimestamp" in found.value["metadata"]:
            why = (
                f"unable to create new content in namespace {namespace} because it is being "
                "terminated"
            )
            raise Forbidden(
                f'{kind.resource} "{name}" is forbidden: {why}',
                kind=kind.plural,
                group=kind.group,
                name=name,
                causes=[Cause("metadata.namespace", "NamespaceTerminating", why)],
            )
        return found.key, found.mod_revision

    def _lease(self, kind: Kind) -> int:
        """The lease that objects of a kind vanish with; 0: they stay."""
        if not kind.ttl_seconds:
            return 0
        now = self.clock.now()
        granted, lease = self._leases.get(kind.kind, (0.0, 0))
        if not lease or now - granted >= SHARED_LEASE_SECONDS:
            self.store.expire(now)
            lease = self.store.grant(kind.ttl_seconds + SHARED_LEASE_SECONDS, now=now)
            self._leases[kind.kind] = (now, lease)
        return lease

    def _validate(self, kind: Kind, new: Document, old: Document | None = None) -> None:
        errors = FieldErrors()
        metadata = new["metadata"]
        validate_metadata(kind.valid_name, kind.name_rule, metadata, errors)
        kind.validate(new, errors)
        if old is not None and not errors.causes:
            # What may not change is compared only if everything has its right shape.
            validate_metadata_update(metadata, old["metadata"], errors)
            kind.validate_update(new, old, errors)
        _raise_if_invalid(kind, str(metadata.get("name", "")), errors)

    def _write(
        self,
        kind: Kind,
        place: Document,
        expected: Any,
        uid: str | None,
        change: Callable[[Document], Document],
        dry_run: bool,
    ) -> Document:
        """Compare-and-set `change` of what is stored; without a resourceVersion until it lands."""
        name, namespace = str(place.get("name") or ""), place.get("namespace", "")
        key = kind.key(namespace, name)
        while True:
            kv = self.store.get(key)
            if kv is None:
                raise self.not_found(kind, name, namespace)
            self._check_preconditions(kind, kv, uid, expected)
            old = kv.value
            changed = change(old)
            if changed == old:
                return thaw(view_of(kv))  # type: ignore[no-any-return]
            if dry_run:
                return thaw(at_revision(changed, kv.mod_revision))  # type: ignore[no-any-return]
            if self._is_over(kind, changed):
                if self._remove(kind, kv):
                    return thaw(changed)  # type: ignore[no-any-return]
                continue
            frozen = freeze_or_refuse(changed)
            lease = self._lease(kind) if kind.ttl_seconds else kv.lease
            put = [(key, frozen)]
            done = self._commit([(key, kv.mod_revision)], put, before=old, lease=lease)
            if done.succeeded:
                if kind.kind == "Namespace":
                    self._close_if_empty(name)
                return thaw(at_revision(frozen, done.revision))  # type: ignore[no-any-return]


def _keep_what_the_server_set(new: Document, old: Document) -> None:
    """uid, times and generation are not for clients to change; generation follows the spec."""
    metadata, before = new["metadata"], old["metadata"]
    for field in SET_BY_THE_SERVER:
        metadata.pop(field, None)
        if field in before:
            metadata[field] = before[field]
    if "generation" in before and new.get("spec") != old.get("spec"):
        metadata["generation"] = before["generation"] + 1


def _raise_if_invalid(kind: Kind, name: str, errors: FieldErrors) -> None:
    if errors.causes:
        listed = [f"{cause.field}: {cause.message}" for cause in errors.causes]
        said = listed[0] if len(listed) == 1 else f"[{', '.join(listed)}]"
        message = f'{kind.qualified_kind} "{name}" is invalid: {said}'
        causes = errors.causes
        raise Invalid(message, kind=kind.kind, group=kind.group, name=name, causes=causes)


def freeze_or_refuse(value: Any) -> Any:
    """The frozen value.

    Raises:
        BadRequest: it holds something that JSON has no word for.
    """
    try:
        return freeze(value)
    except (TypeError, ValueError) as error:
        raise BadRequest(f"this is no JSON document: {error}") from error
