"""The road of every write: settle the kind, place the object, validate, compare-and-set.

The verbs stand in `writing`; this is what they have in common.

Source: k8s.io/apiserver/pkg/registry/generic/registry/store.go (Create, Update),
pkg/registry/rest/{create,update}.go.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kubesim.apiserver.base import NOT_ALLOWED
from kubesim.apiserver.fieldmanager.verbs import Bookkeeping
from kubesim.apiserver.fields import FieldErrors
from kubesim.apiserver.metadata import validate_metadata, validate_metadata_update
from kubesim.apiserver.registry import Kind
from kubesim.apiserver.schema.structural import check_document
from kubesim.apiserver.verbs.delete import DeleteVerbs
from kubesim.apiserver.verbs.versions import to_stored
from kubesim.apiserver.watching import at_revision, view_of
from kubesim.errors import BadRequest, Cause, Forbidden, Invalid, MethodNotAllowed, NotFound
from kubesim.objects.frozen import Document, freeze, thaw
from kubesim.objects.wellknown import DEFAULT_NAMESPACE

SHARED_LEASE_SECONDS = 60.0  # objects of one minute share a lease (upstream: 60 s)


class WritePath(DeleteVerbs, Bookkeeping):
    """What create, update and update_status share."""

    _leases: dict[str, tuple[float, int]]  # by kind: when it was granted, and its id

    def kind_of(self, document: Any) -> Kind:
        """The kind of a document that a client sent.

        Raises:
            BadRequest: it names none, or none of that version.
            NotFound: there is no such kind.
            MethodNotAllowed: nobody writes objects of that kind.
        """
        if not isinstance(document, dict) or not document.get("kind"):
            raise BadRequest("Object 'Kind' is missing", hint='write for example {"kind": "Pod"}')
        kind = self.registry.find(str(document["kind"]))
        if kind.read_only:
            raise MethodNotAllowed(NOT_ALLOWED)
        if self.registry.is_retired(kind):
            said = f'no matches for kind "{kind.kind}" in version "{kind.api_version}"'
            raise NotFound(said, hint="its CustomResourceDefinition was deleted")
        version = document.get("apiVersion", kind.api_version)
        if version != kind.api_version and kind.version_of(str(version)) is None:
            said = f'no matches for kind "{kind.kind}" in version "{version}"'
            raise BadRequest(said, hint=f"use {kind.api_version}")
        metadata = document.get("metadata")
        if metadata is not None and not isinstance(metadata, dict):
            raise BadRequest("metadata must be an object")
        return kind

    def _prepare(self, document: Document) -> tuple[Kind, Document]:
        """The kind, and a copy of the document that is ours to change."""
        kind = self.kind_of(document)
        new: Document = thaw(document)
        said = new.get("apiVersion") or kind.api_version
        if said != kind.api_version:
            new = to_stored(kind, new)
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
        check_document(kind, new, errors)
        raise_if_invalid(kind, str(metadata.get("name", "")), errors)

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
                return thaw(view_of(kv))
            if dry_run:
                return thaw(at_revision(changed, kv.mod_revision))
            if self._is_over(kind, changed):
                if self._remove(kind, kv):
                    return thaw(changed)
                continue
            frozen = freeze_or_refuse(changed)
            lease = self._lease(kind) if kind.ttl_seconds else kv.lease
            put = [(key, frozen)]
            done = self._commit([(key, kv.mod_revision)], put, before=old, lease=lease)
            if done.succeeded:
                return thaw(at_revision(frozen, done.revision))


def raise_if_invalid(kind: Kind, name: str, errors: FieldErrors) -> None:
    """End a write that broke rules.

    Raises:
        Invalid: there are errors; its causes name each.
    """
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
