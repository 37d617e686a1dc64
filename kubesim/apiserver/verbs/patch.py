"""The verb that patches: read, apply, write back, and again if somebody was faster.

A resourceVersion or uid inside the patch is a precondition. A patch that changes nothing answers
with the object as it is.

Source: k8s.io/apiserver/pkg/endpoints/handlers/patch.go.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Unpack

from kubesim.apiserver.base import NOT_ALLOWED
from kubesim.apiserver.patch.patching import json_patch, merge_patch, strategic_patch
from kubesim.apiserver.registry import Kind
from kubesim.apiserver.schema.strict import SHOWN, Asked, check_options, check_patched
from kubesim.apiserver.verbs.subresources import Subresources
from kubesim.apiserver.verbs.versions import in_version
from kubesim.apiserver.verbs.write import WriteVerbs
from kubesim.apiserver.watching import view_of
from kubesim.errors import (
    BadRequest,
    Cause,
    Conflict,
    Invalid,
    MethodNotAllowed,
    NotFound,
    UnsupportedMediaType,
)
from kubesim.objects.frozen import Document
from kubesim.objects.wellknown import DEFAULT_NAMESPACE

ATTEMPTS = 5  # upstream: MaxRetryWhenPatchConflicts
PATCHES: dict[str, Callable[[Any, Any], Any]] = {
    "merge": merge_patch,
    "json": json_patch,
    "strategic": strategic_patch,
}
NO_STRATEGIC = (
    "the body of the request was in an unknown format - accepted media types include: "
    "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml"
)
SUBRESOURCES = ("", "status", "scale")


class PatchVerb(WriteVerbs, Subresources):
    """patch."""

    def patch(
        self,
        kind: str,
        name: str,
        patch: Any,
        namespace: str | None = None,
        *,
        patch_type: str = "merge",
        subresource: str = "",
        dry_run: bool = False,
        api_version: str = "",
        **asked: Unpack[Asked],
    ) -> Document:
        """Change parts of an object.

        Args:
            kind, name, namespace: which object.
            patch: an object ("merge", "strategic") or a list of operations ("json").
            patch_type: "merge" (RFC 7386), "json" (RFC 6902) or "strategic".
            subresource: "", "status" or "scale".
            dry_run: do everything but store it.
            api_version: of the object that is patched, and of the answer; "": the stored version.
            asked: field_manager, field_validation, warnings (see `Asked`).

        Raises:
            BadRequest: the patch is malformed.
            Conflict: the patch names a resourceVersion or uid that is not the current one.
            Invalid, NotFound: as for `update`.
        """
        found = self._check_patch(kind, patch, patch_type, subresource)
        check_options(asked, "Patch")
        key = found.key(namespace or DEFAULT_NAMESPACE, name)
        for attempt in range(1, ATTEMPTS + 1):
            kv = self.store.get(key)
            if kv is None:
                raise self.not_found(found, name, namespace)
            old = in_version(found, view_of(kv), api_version or found.api_version)
            if subresource == "scale":
                old = self.get_scale(kind, name, namespace)
            new = PATCHES[patch_type](old, patch)
            if patch_type == "strategic":
                _check_shapes(old, patch, patch)
            _check_identity(old, new)
            if subresource != "scale":
                check_patched(found, new, old, patch, asked)
            try:
                done = self._write_back(found, new, subresource, dry_run, asked)
                return (
                    done if subresource == "scale" else in_version(found, done, old["apiVersion"])
                )
            except Conflict:
                # What the patch itself demands stays unmet, however often it is tried.
                demanded = any(
                    new["metadata"].get(field) != old["metadata"].get(field)
                    for field in ("resourceVersion", "uid")
                )
                if demanded or attempt == ATTEMPTS:
                    raise
        raise self.conflict(found, name)

    def _check_patch(self, kind: str, patch: Any, patch_type: str, subresource: str) -> Kind:
        if patch_type not in PATCHES:
            raise BadRequest(f"no patch type {patch_type!r}; there are: {', '.join(PATCHES)}")
        if subresource not in SUBRESOURCES:
            raise NotFound("the server could not find the requested resource")
        if patch_type != "json" and not isinstance(patch, dict):
            raise BadRequest(f"a {patch_type} patch is an object, not {type(patch).__name__}")
        found = self.registry.find(kind)
        if found.custom and patch_type == "strategic":
            raise UnsupportedMediaType(NO_STRATEGIC)
        if found.read_only:
            raise MethodNotAllowed(NOT_ALLOWED)
        return found

    def _write_back(
        self, kind: Kind, new: Document, subresource: str, dry_run: bool, asked: Asked
    ) -> Document:
        manager = asked.get("field_manager", "")
        named: Asked = {"field_manager": manager} if manager else {}
        if subresource == "status":
            return self.update_status(new, dry_run=dry_run, **named)
        if subresource == "scale":
            metadata = new["metadata"]
            return self.update_scale(
                kind.kind,
                metadata["name"],
                metadata.get("namespace"),
                replicas=(new.get("spec") or {}).get("replicas", 0),
                resource_version=metadata.get("resourceVersion"),
                dry_run=dry_run,
                field_manager=manager,
            )
        return self.update(new, dry_run=dry_run, **named)


def _check_shapes(old: Any, part: Any, patch: Any) -> None:
    """Refuse a patch that puts a plain value where the object has an object."""
    for name, value in part.items():
        there = old.get(name)
        if not isinstance(there, dict) or value is None:
            continue
        if isinstance(value, dict):
            _check_shapes(there, value, patch)
            continue
        said = {str: "string", bool: "bool", list: "slice"}.get(type(value), "number")
        shown = json.dumps(json.dumps(patch, default=str)[:SHOWN])
        message = f"Invalid value: {shown}: cannot restore map from {said}"
        cause = Cause("patch", "FieldValueInvalid", message)
        raise Invalid(f' "" is invalid: patch: {message}', causes=[cause])


def _check_identity(old: Document, new: Any) -> None:
    """A patch changes an object, and does not make another one of it."""
    if not isinstance(new, dict) or not isinstance(new.get("metadata"), dict):
        raise BadRequest("the patch leaves no object behind")
    name, other = old["metadata"].get("name"), new["metadata"].get("name")
    if name != other:
        raise BadRequest(
            f"the name of the object ({other}) does not match the name on the URL ({name})"
        )
    if new["metadata"].get("namespace") != old["metadata"].get("namespace"):
        raise BadRequest(
            "the namespace of the provided object does not match the namespace sent on the request"
        )
    if new.get("kind") != old["kind"] or new.get("apiVersion") != old["apiVersion"]:
        raise BadRequest("a patch may not change kind or apiVersion")
