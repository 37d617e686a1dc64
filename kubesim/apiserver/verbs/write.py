"""The verbs that write: create, update, update_status, finalize.

Every write is default -> admit -> validate -> compare-and-set. A client that sends the
resourceVersion it read gets a Conflict if somebody wrote in between; one that sends none
overwrites. A write that changes nothing takes no revision and wakes nobody.

Source: k8s.io/apiserver/pkg/registry/generic/registry/store.go (Create, Update),
pkg/registry/rest/{create,update}.go, pkg/registry/core/namespace/storage (FinalizeREST).
"""

from __future__ import annotations

from typing import Unpack

from kubesim.apiserver.admission.limits import admit_limits
from kubesim.apiserver.admission.quotas import admit_quota
from kubesim.apiserver.base import drawing_copies
from kubesim.apiserver.fields import FieldErrors
from kubesim.apiserver.schema.strict import Asked, check_fields, check_options
from kubesim.apiserver.schema.structural import check_status
from kubesim.apiserver.verbs.writepath import WritePath, freeze_or_refuse, raise_if_invalid
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


class WriteVerbs(WritePath):
    """create, update, update_status, and finalize of namespaces."""

    def create(
        self,
        document: Document,
        *,
        namespace: str | None = None,
        dry_run: bool = False,
        **asked: Unpack[Asked],
    ) -> Document:
        """Make an object; returns it as it was stored.

        Args:
            document: with kind, metadata.name (or generateName) and spec; it is not changed.
            namespace: where, if the document does not say; ``default`` if neither does.
            dry_run: do everything but store it.
            asked: field_manager, field_validation, warnings (see `Asked`).

        Raises:
            Invalid: rules of the kind are broken; `causes` names each.
            AlreadyExists: the name is taken.
            NotFound: no such kind or namespace.
        """
        with drawing_copies(dry_run):
            return self._create(document, namespace, dry_run, asked)

    def _create(
        self, document: Document, namespace: str | None, dry_run: bool, asked: Asked
    ) -> Document:
        kind, new = self._prepare(document)
        if asked:
            check_options(asked, "Create")
            check_fields(kind, document, asked)
        metadata = new["metadata"]
        if metadata.pop("resourceVersion", None) not in (None, "", "0"):
            # Upstream answers 500 here; a mistake of the client is 400 in this house.
            raise BadRequest("resourceVersion should not be set on objects to be created")
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
            admit_limits(self, kind, new)
            if kind.counts_generation and "spec" in new:
                metadata["generation"] = 1
            self._validate(kind, new)
            admit_quota(self, kind, new)
            metadata["creationTimestamp"] = self.clock.timestamp()
            self._book(kind, None, new, asked)
            try:
                return self._insert(kind, new, dry_run)
            except AlreadyExists:
                if not base or attempt == GENERATE_ATTEMPTS:
                    raise
        raise self.already_exists(kind, str(base))

    def update(
        self, document: Document, *, dry_run: bool = False, **asked: Unpack[Asked]
    ) -> Document:
        """Replace an object; its status stays as it is.

        With metadata.resourceVersion the write is a compare-and-set; without, it overwrites.

        Raises:
            Conflict: somebody wrote since that resourceVersion: read again, then retry.
            Invalid, NotFound: as for `create`; or a field changed that may not.
        """
        kind, new = self._prepare(document)
        if asked:
            check_options(asked, "Update")
            check_fields(kind, document, asked)
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
            self._book(kind, old, changed, asked)
            self._validate(kind, changed, old)
            return changed

        return self._write(kind, new["metadata"], expected, uid, change, dry_run)

    def update_status(
        self, document: Document, *, dry_run: bool = False, **asked: Unpack[Asked]
    ) -> Document:
        """Replace an object's status; everything else in the document is ignored.

        Raises:
            Conflict: as for `update`.
            NotFound: no such object, or the kind has no status.
        """
        kind, metadata = self.kind_of(document), document.get("metadata") or {}
        if not kind.status:
            raise NotFound("the server could not find the requested resource", kind=kind.plural)
        if asked:
            check_options(asked, "Update")
            check_fields(kind, document, asked)
        status = freeze_or_refuse(document.get("status") or {})
        errors = FieldErrors()
        errors.mapping("status", status)
        if not errors.causes:
            kind.validate_status({"status": status}, errors)
            check_status(kind, status, errors)
        raise_if_invalid(kind, str(metadata.get("name", "")), errors)
        place = {"name": metadata.get("name"), "namespace": metadata.get("namespace")}
        self._place(kind, place, None)
        version, uid = metadata.get("resourceVersion"), metadata.get("uid")

        def change(old: Document) -> Document:
            changed = {**old, "status": status}
            if asked:
                changed["metadata"] = dict(old["metadata"])
                self._book(kind, old, changed, asked, "status")
            return changed

        return self._write(kind, place, version, uid, change, dry_run)

    # -- namespaces --------------------------------------------------------------------------------

    def finalize(self, document: Document, *, dry_run: bool = False) -> Document:
        """Write a namespace's own finalizers (spec.finalizers) and nothing else of it.

        Once they and metadata.finalizers are empty, a namespace that was deleted is gone.

        Args:
            document: the namespace with the finalizers that are left.
            dry_run: say what would be, and change nothing.

        Raises:
            Conflict: somebody wrote since the document's resourceVersion.
            NotFound: no such namespace.
        """
        metadata = document.get("metadata") or {}
        finalizers = list((document.get("spec") or {}).get("finalizers") or ())

        def change(old: Document) -> Document:
            return {**old, "spec": {**(old.get("spec") or {}), "finalizers": finalizers}}

        return self._write(
            self.registry.find("Namespace"),
            {"name": metadata.get("name")},
            metadata.get("resourceVersion"),
            metadata.get("uid"),
            change,
            dry_run,
        )


def _keep_what_the_server_set(new: Document, old: Document) -> None:
    """uid, times and generation are not for clients to change; generation follows the spec."""
    metadata, before = new["metadata"], old["metadata"]
    for field in SET_BY_THE_SERVER:
        metadata.pop(field, None)
        if field in before:
            metadata[field] = before[field]
    if "generation" in before and new.get("spec") != old.get("spec"):
        metadata["generation"] = before["generation"] + 1
