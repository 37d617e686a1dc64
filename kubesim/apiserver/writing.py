"""The verbs that write: create, update, update_status, patch, delete.

Every write is default -> validate -> compare-and-set. A client that sends the resourceVersion it
read gets a Conflict if somebody wrote in between; one that sends none overwrites.

Deletion is graceful: a bound, running pod is only marked (deletionTimestamp), its kubelet stops it
and then deletes it for good. An object with finalizers stays, marked, until the last one is gone.

Source: k8s.io/apiserver/pkg/registry/generic/registry/store.go (Create, Update, Delete),
pkg/registry/rest/{create,update,delete}.go, pkg/registry/core/pod/strategy.go.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kubesim.apiserver.base import Base
from kubesim.apiserver.fields import FieldErrors
from kubesim.apiserver.metadata import validate_metadata
from kubesim.apiserver.patching import json_patch, merge_patch, strategic_patch
from kubesim.apiserver.registry import Kind
from kubesim.apiserver.watching import view_of
from kubesim.errors import BadRequest, Conflict, Forbidden, Invalid, MethodNotAllowed, NotFound
from kubesim.objects import meta
from kubesim.objects.frozen import Document, thaw
from kubesim.objects.pods import is_finished, node_of
from kubesim.store import KeyValue

MAX_GENERATE_NAME = 58  # 63 with the suffix
PATCH_ATTEMPTS = 5
OWNED_METADATA = ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds")
PATCHES: dict[str, Callable[[Any, Any], Any]] = {
    "merge": merge_patch,
    "json": json_patch,
    "strategic": strategic_patch,
}


class WriteVerbs(Base):
    """create, update, patch and delete."""

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
        if metadata.pop("resourceVersion", None):
            raise BadRequest("resourceVersion should not be set on objects to be created")
        self._place(kind, metadata, namespace)
        generated = str(metadata.get("generateName") or "")
        if not metadata.get("name") and generated:
            suffix = meta.random_suffix(self.streams(f"names/{kind.plural}/{generated}"))
            metadata["name"] = generated[:MAX_GENERATE_NAME] + suffix
        if kind.status and kind.kind != "Node":
            new.pop("status", None)  # a client says what it wants; what is, others write
        kind.default(new)
        if "spec" in new:
            metadata["generation"] = 1
        self._validate(kind, new)
        metadata["uid"] = meta.new_uid(self.streams(f"uids/{kind.plural}"))
        metadata["creationTimestamp"] = self.clock.timestamp()
        for field in ("deletionTimestamp", "deletionGracePeriodSeconds"):
            metadata.pop(field, None)
        name, place = metadata["name"], metadata.get("namespace", "")
        self._check_namespace(kind, place)
        key = kind.key(place, name)
        if dry_run:
            if self.store.get(key) is not None:
                raise self.already_exists(kind, name)
            return new
        lease = 0
        if kind.ttl_seconds:
            lease = self.store.grant(kind.ttl_seconds, now=self.clock.now())
        if not self.store.txn([(key, 0)], [(key, new)], lease=lease).succeeded:
            raise self.already_exists(kind, name)
        self._created(kind, new)
        return self._read_back(kind, key, name)

    def update(self, document: Document, *, dry_run: bool = False) -> Document:
        """Replace an object; its status stays as it is.

        With metadata.resourceVersion the write is a compare-and-set; without, it overwrites.

        Raises:
            Conflict: somebody wrote since that resourceVersion: read again, then retry.
            Invalid, NotFound: as for `create`; or a field changed that may not.
        """
        kind, new = self._prepare(document)
        self._place(kind, new["metadata"], None)

        def change(old: Document) -> Document:
            changed: Document = dict(new)
            metadata = changed["metadata"] = dict(new["metadata"])
            if kind.status:
                changed.pop("status", None)
                if "status" in old:
                    changed["status"] = old["status"]
            for field in OWNED_METADATA:
                metadata.pop(field, None)
                if field in old["metadata"]:
                    metadata[field] = old["metadata"][field]
            changed = thaw(changed)  # defaulting may go deeper than the copies above
            kind.default(changed)
            self._raise_generation(changed, old)
            self._validate(kind, changed, old)
            return changed

        return self._write(kind, new, change, dry_run)

    def update_status(self, document: Document) -> Document:
        """Replace an object's status; everything else in the document is ignored.

        Raises:
            Conflict: as for `update`.
            MethodNotAllowed: the kind has no status.
        """
        kind, new = self._prepare(document)
        if not kind.status:
            raise MethodNotAllowed(f"{kind.resource} have no status")
        self._place(kind, new["metadata"], None)
        status = new.get("status") or {}
        return self._write(kind, new, lambda old: {**old, "status": status}, False)

    def patch(
        self,
        kind: str,
        name: str,
        patch: Any,
        namespace: str | None = None,
        *,
        patch_type: str = "merge",
        subresource: str = "",
    ) -> Document:
        """Change parts of an object.

        Args:
            kind, name, namespace: which object.
            patch: an object ("merge", "strategic") or a list of operations ("json").
            patch_type: "merge" (RFC 7386), "json" (RFC 6902) or "strategic".
            subresource: "" or "status".

        Raises:
            BadRequest: the patch is malformed.
            Conflict: the patch names a resourceVersion that is not the current one.
            Invalid, NotFound: as for `update`.
        """
        if patch_type not in PATCHES:
            raise BadRequest(f"no patch type {patch_type!r}; there are: {', '.join(PATCHES)}")
        if subresource not in ("", "status"):
            raise NotFound(f"no subresource {subresource!r} to patch")
        if patch_type != "json" and not isinstance(patch, dict):
            raise BadRequest(f"a {patch_type} patch is an object, not {type(patch).__name__}")
        found = self.registry.find(kind)
        key = found.key(namespace or "default", name)
        for attempt in range(PATCH_ATTEMPTS):
            kv = self.store.get(key)
            if kv is None:
                raise self.not_found(found, name)
            old = view_of(kv)
            new = PATCHES[patch_type](old, patch)
            self._check_identity(found, old, new)
            try:
                return self.update_status(new) if subresource else self.update(new)
            except Conflict:
                # The patch itself named a version, or there were too many writers.
                named = new["metadata"].get("resourceVersion") != str(kv.mod_revision)
                if named or attempt == PATCH_ATTEMPTS - 1:
                    raise
        raise self.conflict(found, name)

    def delete(
        self,
        kind: str,
        name: str,
        namespace: str | None = None,
        *,
        grace_period_seconds: int | None = None,
        uid: str | None = None,
        resource_version: str | int | None = None,
    ) -> Document:
        """Delete an object, gracefully where that means something; returns its last state.

        Args:
            kind, name, namespace: which object.
            grace_period_seconds: for pods: how long it may take to stop; 0: at once, and the
                object goes without asking its kubelet. None: what the pod says (30 s).
            uid, resource_version: only if the object still has these.

        Raises:
            NotFound: no such object.
            Conflict: a precondition does not hold.
            Forbidden: the namespaces that must stay.
        """
        found = self.registry.find(kind)
        if found.kind == "Namespace" and name in ("default", "kube-system"):
            raise Forbidden(f'namespaces "{name}" is forbidden: this namespace may not be deleted')
        key = found.key(namespace or "default", name)
        while True:
            kv = self.store.get(key)
            if kv is None:
                raise self.not_found(found, name)
            old = view_of(kv)
            self._check_preconditions(found, old, uid, resource_version)
            marked = self._mark(found, old, grace_period_seconds)
            if marked is None:
                done = self.store.txn([(key, kv.mod_revision)], deletes=[key])
                if done.succeeded:
                    self._deleted(found, old)
                    return thaw(old)  # type: ignore[no-any-return]
            elif marked is old:
                return thaw(old)  # type: ignore[no-any-return]
            elif self.store.txn([(key, kv.mod_revision)], [(key, marked)]).succeeded:
                return self._read_back(found, key, name)

    # -- inside ---------------------------------------------------------------------------------

    def _prepare(self, document: Document) -> tuple[Kind, Document]:
        """The kind, and a copy of the document that is ours to change."""
        if not isinstance(document, dict) or not document.get("kind"):
            raise BadRequest("Object 'Kind' is missing", hint='write for example {"kind": "Pod"}')
        kind = self.registry.find(str(document["kind"]))
        if kind.read_only:
            raise MethodNotAllowed(f"{kind.resource} are written by the kubelets alone")
        version = document.get("apiVersion", kind.api_version)
        if version != kind.api_version:
            raise BadRequest(
                f'no matches for kind "{kind.kind}" in version "{version}"',
                hint=f"use {kind.api_version}",
            )
        metadata = document.get("metadata")
        if metadata is not None and not isinstance(metadata, dict):
            raise BadRequest("metadata must be an object")
        new: Document = thaw(document)
        new["kind"], new["apiVersion"] = kind.kind, kind.api_version
        new.setdefault("metadata", {})
        return kind, new

    def _place(self, kind: Kind, metadata: Document, namespace: str | None) -> None:
        if not kind.namespaced:
            metadata.pop("namespace", None)
            return
        said = metadata.get("namespace")
        if said and namespace and said != namespace:
            raise BadRequest(
                "the namespace of the provided object does not match the namespace sent on the "
                "request"
            )
        metadata["namespace"] = said or namespace or "default"

    def _check_namespace(self, kind: Kind, namespace: str) -> None:
        if not kind.namespaced:
            return
        found = self.store.get(self.registry.find("Namespace").key("", namespace))
        if found is None:
            raise NotFound(f'namespaces "{namespace}" not found', kind="namespaces", name=namespace)
        if "deletionTimestamp" in found.value["metadata"]:
            raise Forbidden(
                f"unable to create new content in namespace {namespace} because it is being "
                "terminated"
            )

    def _validate(self, kind: Kind, new: Document, old: Document | None = None) -> None:
        errors = FieldErrors()
        validate_metadata(kind.valid_name, kind.name_rule, new["metadata"], errors)
        kind.validate(new, errors)
        if old is not None:
            kind.validate_update(new, old, errors)
        if errors.causes:
            name = str(new["metadata"].get("name", ""))
            listed = [f"{cause.field}: {cause.message}" for cause in errors.causes]
            said = listed[0] if len(listed) == 1 else f"[{', '.join(listed)}]"
            message = f'{kind.kind}{f".{kind.group}" if kind.group else ""} "{name}" is invalid'
            raise Invalid(f"{message}: {said}", kind=kind.kind, name=name, causes=errors.causes)

    def _write(
        self,
        kind: Kind,
        new: Document,
        change: Callable[[Document], Document],
        dry_run: bool,
    ) -> Document:
        """Compare-and-set `change` of what is stored; without a resourceVersion until it lands."""
        metadata = new["metadata"]
        name = str(metadata.get("name", ""))
        key = kind.key(metadata.get("namespace", ""), name)
        expected = str(metadata.pop("resourceVersion", "") or "")
        uid = metadata.get("uid")
        while True:
            kv = self.store.get(key)
            if kv is None:
                raise self.not_found(kind, name)
            old = kv.value
            if expected and expected != str(kv.mod_revision):
                raise self.conflict(kind, name)
            self._check_preconditions(kind, old, uid, None)
            changed = change(old)
            if dry_run:
                return thaw(changed)  # type: ignore[no-any-return]
            if changed == old:
                return thaw(view_of(kv))  # type: ignore[no-any-return] # no change, no revision
            if self._is_finalized(changed):
                done = self.store.txn([(key, kv.mod_revision)], deletes=[key])
                if done.succeeded:
                    self._deleted(kind, changed)
                    return thaw(changed)  # type: ignore[no-any-return]
            elif self.store.txn(
                [(key, kv.mod_revision)], [(key, changed)], lease=kv.lease
            ).succeeded:
                return self._read_back(kind, key, name)

    @staticmethod
    def _is_finalized(document: Document) -> bool:
        """A marked object whose last finalizer is gone; pods wait for their kubelet besides."""
        metadata = document["metadata"]
        if "deletionTimestamp" not in metadata or metadata.get("finalizers"):
            return False
        return bool(metadata.get("deletionGracePeriodSeconds", 0) == 0)

    @staticmethod
    def _raise_generation(new: Document, old: Document) -> None:
        generation = old["metadata"].get("generation")
        if generation is not None:
            new["metadata"]["generation"] = generation + (new.get("spec") != old.get("spec"))

    def _check_preconditions(
        self, kind: Kind, old: Document, uid: str | None, resource_version: str | int | None
    ) -> None:
        name = meta.name_of(old)
        if uid and uid != meta.uid_of(old):
            raise Conflict(
                f'Operation cannot be fulfilled on {kind.resource} "{name}": Precondition failed: '
                f"UID in precondition: {uid}, UID in object meta: {meta.uid_of(old)}",
                kind=kind.plural,
                name=name,
            )
        if resource_version and str(resource_version) != old["metadata"].get("resourceVersion"):
            raise self.conflict(kind, name)

    def _check_identity(self, kind: Kind, old: Document, new: Any) -> None:
        if not isinstance(new, dict) or not isinstance(new.get("metadata"), dict):
            raise BadRequest("the patch leaves no object behind")
        for field in ("name", "namespace"):
            if new["metadata"].get(field) != old["metadata"].get(field):
                raise BadRequest(f"a patch may not change metadata.{field}")
        if new.get("kind") != kind.kind or new.get("apiVersion") != kind.api_version:
            raise BadRequest("a patch may not change kind or apiVersion")

    def _mark(self, kind: Kind, old: Document, grace_seconds: int | None) -> Document | None:
        """The object marked for deletion; itself if nothing is to change; None: delete it now."""
        metadata = old["metadata"]
        grace = self._grace(kind, old, grace_seconds)
        finalizers = metadata.get("finalizers")
        if grace == 0 and not finalizers:
            return None
        before = metadata.get("deletionGracePeriodSeconds")
        if "deletionTimestamp" in metadata and (before is None or grace >= before):
            return old  # a second deletion may only shorten the time
        marked = thaw(old)
        marked["metadata"].pop("resourceVersion", None)
        marked["metadata"]["deletionTimestamp"] = self.clock.timestamp(self.clock.now() + grace)
        marked["metadata"]["deletionGracePeriodSeconds"] = grace
        return marked  # type: ignore[no-any-return]

    @staticmethod
    def _grace(kind: Kind, old: Document, grace_seconds: int | None) -> int:
        """Seconds to stop in: 0 for all but pods, and for pods that are not bound or finished."""
        if kind.kind != "Pod" or not node_of(old) or is_finished(old):
            return 0
        if grace_seconds is None:
            return int(old["spec"].get("terminationGracePeriodSeconds", 30))
        return 1 if grace_seconds < 0 else grace_seconds

    def _read_back(self, kind: Kind, key: str, name: str) -> Document:
        kv: KeyValue | None = self.store.get(key)
        if kv is None:  # somebody deleted it in the meantime
            raise self.not_found(kind, name)
        return thaw(view_of(kv))  # type: ignore[no-any-return]

    def _created(self, kind: Kind, document: Document) -> None:
        """Hook: an object was created."""

    def _deleted(self, kind: Kind, document: Document) -> None:
        """Hook: an object is gone for good."""
