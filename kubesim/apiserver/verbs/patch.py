"""The verb that patches: read, apply the patch, write back; repeat if another write came between.

A resourceVersion or uid inside the patch is a precondition. A patch that changes nothing returns
the object as it is.

Source: k8s.io/apiserver/pkg/endpoints/handlers/patch.go (the words of its refusals: `converter`).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple, Unpack

from kubesim.apiserver.core import NOT_ALLOWED, Core, view_of
from kubesim.apiserver.options import IGNORE, PATCH_ATTEMPTS, WriteOptions
from kubesim.apiserver.patch.converter import fault_detail, refuse_malformed, shown_patch
from kubesim.apiserver.patch.jsonpatch import json_patch
from kubesim.apiserver.patch.merge import merge_patch
from kubesim.apiserver.patch.strategic import strategic_patch
from kubesim.apiserver.registry import Kind
from kubesim.apiserver.schema.faults import Fault
from kubesim.apiserver.schema.strict import check_patched
from kubesim.apiserver.schema.structural import undecodable_part, undecodable_part_of_status
from kubesim.apiserver.verbs.approval import Approvals
from kubesim.apiserver.verbs.create import check_options
from kubesim.apiserver.verbs.scale import ScaleSubresource
from kubesim.apiserver.verbs.versions import in_version
from kubesim.apiserver.verbs.write import ObjectWriter
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

PATCHES: dict[str, Callable[[Any, Any], Any]] = {
    "merge": merge_patch,
    "json": json_patch,
    "strategic": strategic_patch,
}
NO_STRATEGIC = (
    "the body of the request was in an unknown format - accepted media types include: "
    "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml"
)
SUBRESOURCES = ("", "status", "scale", "approval")


class Patcher:
    """Implements the verb patch.

    Args:
        core: of the server.
        writer: writes the patched object.
        scale: reads and writes the scale subresource.
        approvals: writes the approval of certificate signing requests.
    """

    def __init__(
        self, core: Core, writer: ObjectWriter, scale: ScaleSubresource, approvals: Approvals
    ) -> None:
        self._approvals = approvals
        self._core = core
        self._writer = writer
        self._scale = scale

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
        **options: Unpack[WriteOptions],
    ) -> Document:
        """Change parts of an object.

        Args:
            kind: any name of the kind.
            name: of the object.
            patch: an object ("merge", "strategic") or a list of operations ("json").
            namespace: None: ``default``.
            patch_type: "merge" (RFC 7386), "json" (RFC 6902) or "strategic".
            subresource: "", "status", "scale" or "approval".
            dry_run: check everything, and store nothing.
            api_version: of the object that is patched and returned; "": the stored version.
            options: field_manager, field_validation, warnings (see `WriteOptions`).

        Raises:
            BadRequest: the patch is malformed.
            Conflict: the patch names a resourceVersion or uid that is not the current one.
            Invalid, NotFound: as for `update`.
        """
        core, resource = self._core, self._checked_kind(kind, patch_type, subresource)
        check_options(options, "Patch")
        key = resource.key(namespace or DEFAULT_NAMESPACE, name)
        for attempt in range(1, PATCH_ATTEMPTS + 1):
            kv = core.store.get(key)
            if kv is None:
                raise core.not_found(resource, name, namespace)
            lenient = options.get("field_validation", IGNORE) == IGNORE
            refuse_malformed(patch_type, patch, lenient=lenient)
            patch = patch or ([] if patch_type == "json" else {})  # null is an empty patch
            old = in_version(resource, view_of(kv), api_version or resource.api_version)
            if subresource == "scale":
                old = self._scale.get_scale(kind, name, namespace)
            new = PATCHES[patch_type](old, patch)
            sent = _Sent(patch_type, patch, new)
            if patch_type == "strategic" and _replaces_object(old, patch):
                _refuse_undecodable(resource, new, sent)
            _refuse_undecodable_metadata(resource, new, sent)
            _check_identity(old, new)
            _check_preconditions(resource, new, sent)
            if subresource == "scale":
                _check_scale(new.get("spec"), sent)
            else:
                check_patched(resource, new, old, sent.shown, options)
            try:
                result = self._write_back(resource, new, subresource, dry_run, options)
            except Conflict:
                # A precondition inside the patch fails again however often it is tried.
                demanded = any(
                    new["metadata"].get(field) != old["metadata"].get(field)
                    for field in ("resourceVersion", "uid")
                )
                if demanded or attempt == PATCH_ATTEMPTS:
                    raise
            except BadRequest:
                _refuse_undecodable(resource, new, sent)
                raise
            else:
                if subresource == "scale":
                    return result
                return in_version(resource, result, old["apiVersion"])
        raise core.conflict(resource, name)

    def _checked_kind(self, kind: str, patch_type: str, subresource: str) -> Kind:
        """Return the kind; refuse requests that no object of it can answer."""
        if patch_type not in PATCHES:
            raise BadRequest(f"no patch type {patch_type!r}; there are: {', '.join(PATCHES)}")
        if subresource not in SUBRESOURCES:
            raise NotFound("the server could not find the requested resource")
        resource = self._core.registry.find(kind)
        if resource.custom and patch_type == "strategic":
            raise UnsupportedMediaType(NO_STRATEGIC)
        if resource.read_only:
            raise MethodNotAllowed(NOT_ALLOWED)
        return resource

    def _write_back(
        self, kind: Kind, new: Document, subresource: str, dry_run: bool, given: WriteOptions
    ) -> Document:
        manager = given.get("field_manager", "")
        options: WriteOptions = {"field_manager": manager} if manager else {}
        if subresource == "approval":
            return self._approvals.update_approval(new, dry_run=dry_run, **options)
        if subresource == "status":
            return self._writer.update_status(new, dry_run=dry_run, **options)
        if subresource == "scale":
            metadata = new["metadata"]
            return self._scale.update_scale(
                kind.qualified_kind,
                metadata["name"],
                metadata.get("namespace"),
                replicas=(new.get("spec") or {}).get("replicas", 0),
                resource_version=metadata.get("resourceVersion"),
                dry_run=dry_run,
                field_manager=manager,
            )
        if "warnings" in given:
            options["warnings"] = given["warnings"]
        return self._writer.update(new, dry_run=dry_run, **options)


class _Sent(NamedTuple):
    """A patch that a client sent.

    Attributes:
        type: merge, json or strategic.
        patch: the patch.
        new: the object after it.
    """

    type: str
    patch: object
    new: object

    def shown(self) -> str:
        """Return what a message shows of it."""
        return shown_patch(self.type, self.patch, self.new)

    def refused(self, detail: str) -> Invalid:
        """Return the error that its result cannot be decoded."""
        message = f"Invalid value: {json.dumps(self.shown(), ensure_ascii=False)}: {detail}"
        cause = Cause("patch", "FieldValueInvalid", message)
        return Invalid(f' "" is invalid: patch: {message}', causes=[cause])

    def refused_for(self, fault: Fault) -> Invalid:
        """Return the error that a value of its result cannot be decoded."""
        return self.refused(fault_detail(fault, strategic=self.type == "strategic"))


def _replaces_object(old: object, part: object) -> bool:
    """Return whether a patch replaces an object by a plain value or a list."""
    if not isinstance(old, dict) or part is None:
        return False
    if not isinstance(part, dict):
        return True
    return any(_replaces_object(old.get(name), value) for name, value in part.items())


def _refuse_undecodable(kind: Kind, new: Document, sent: _Sent) -> None:
    """Refuse a patch that gives a field a value of another type.

    Source: k8s.io/apiserver/pkg/endpoints/handlers/patch.go (applyPatchToCurrentObject,
    applyPatchToObject): 422, where a whole object that cannot be decoded is 400.
    """
    status = new.get("status")
    if fault := undecodable_part(kind, new) or undecodable_part_of_status(kind, status):
        raise sent.refused_for(fault)


def _refuse_undecodable_metadata(kind: Kind, new: object, sent: _Sent) -> None:
    """Refuse a patch that gives a field of the metadata a value of another type.

    Before everything else, since the server sets some fields itself, and compares others: what
    cannot be decoded is neither a wrong name (400) nor a conflict (409).

    Args:
        kind: of the object.
        new: the object after the patch.
        sent: what the client sent, for the message.
    """
    if isinstance(sent.patch, dict) and "metadata" not in sent.patch:
        return
    metadata = new.get("metadata") if isinstance(new, dict) else None
    if isinstance(metadata, dict) and (fault := undecodable_part(kind, {"metadata": metadata})):
        raise sent.refused_for(fault)


def _check_scale(spec: object, sent: _Sent) -> None:
    """Refuse a patch of a scale whose spec is not an object."""
    if spec is not None and not isinstance(spec, dict):
        detail = _unmarshal_error(spec, "Scale.spec", "v1.ScaleSpec")
        raise sent.refused_for(Fault("spec", spec, detail, go_type="v1.ScaleSpec"))


def _unmarshal_error(value: object, field: str, go_type: str) -> str:
    """Return how Go says that a value cannot become a field."""
    json_types = {dict: "object", list: "array", str: "string", bool: "bool"}
    named = json_types.get(type(value), "number")
    return f"json: cannot unmarshal {named} into Go struct field {field} of type {go_type}"


def _check_preconditions(kind: Kind, new: Document, sent: _Sent) -> None:
    """Refuse a patch that makes of a precondition what is not a string: it cannot be decoded.

    Args:
        kind: of the object.
        new: the object after the patch.
        sent: what the client sent, for the message.
    """
    for field in ("resourceVersion", "uid"):
        value = new["metadata"].get(field)
        if value is not None and not isinstance(value, str):
            detail = _unmarshal_error(value, f"ObjectMeta.metadata.{field}", "string")
            fault = Fault(f"metadata.{field}", value, detail, go_type="string")
            raise sent.refused_for(undecodable_part(kind, new) or fault)


def _check_identity(old: Document, new: object) -> None:
    """Refuse a patch that makes another object of an object."""
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
