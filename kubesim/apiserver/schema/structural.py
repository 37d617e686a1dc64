"""Checking documents against the schemas of the built-in kinds: types, required and unknown fields.

A type is compiled when a value of it is first seen (`compiler`), so that a document that fits costs
little more than walking through it. Pure: a value in, what is wrong with it out.

Wrong types are reported in the words of Go's decoder, which names the innermost type and the path:

>>> spec = {"type": "object", "properties": {"replicas": {"type": "integer"}}}
>>> check = compile_type(spec, "Spec")
>>> check({"replicas": "three"}, "spec")[0].detail
'json: cannot unmarshal string into Go struct field Spec.spec.replicas of type int32'

As in the real server, the first wrong type is a BadRequest: the document cannot be decoded. So the
rules of the kinds see values of the right types alone.

Source: sigs.k8s.io/json (UnmarshalTypeError, UnmarshalStrict), k8s.io/apimachinery/pkg/runtime.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import NoReturn

from kubesim.apiserver.registry import Kind
from kubesim.apiserver.schema.compiler import BUILT_IN
from kubesim.apiserver.schema.data import Schema
from kubesim.apiserver.schema.faults import Fault
from kubesim.apiserver.schema.schemas import (
    OBJECT_META,
    component_name,
    resolve,
    structure,
    type_name_of,
)
from kubesim.apiserver.schema.shapes import Shape
from kubesim.apiserver.schema.times import TIME
from kubesim.apiserver.validation import FieldErrors
from kubesim.errors import BadRequest
from kubesim.objects.frozen import Document

UNEXPECTED_TYPE = (AttributeError, IndexError, KeyError, TypeError, ValueError)
"""What code that expects a decoded document may raise: the document is checked then, not before."""


def _is_text(value: object) -> bool:
    return type(value) is str


def _is_time(value: object) -> bool:
    return type(value) is str and TIME.fullmatch(value) is not None


def _is_list(value: object) -> bool:
    return type(value) is list


def _is_whole(value: object) -> bool:
    return type(value) is int


SET_BY_SERVERS: dict[str, Callable[[object], bool]] = {
    "uid": _is_text,
    "resourceVersion": _is_text,
    "selfLink": _is_text,
    "managedFields": _is_list,
    "creationTimestamp": _is_time,
    "deletionTimestamp": _is_time,
    "generation": _is_whole,
    "deletionGracePeriodSeconds": _is_whole,
}
"""Fields of the metadata that the server sets or takes out before types are checked, and whether a
value surely has the type."""

Check = Callable[[object, str], "list[Fault] | None"]
"""check(value, path) -> faults, or None."""


def undecodable_part(kind: Kind, document: object) -> Fault | None:
    """Return the first value of an object that cannot be decoded; None if all can be."""
    shape = shape_of(kind)
    faults = () if shape is None else shape.faults(document, "")
    return next((fault for fault in faults if fault.detail), None)


def undecodable_part_of_status(kind: Kind, status: object) -> Fault | None:
    """Return the first value of a status that cannot be decoded; None if all can be."""
    shape = status_shape_of(kind)
    faults = () if shape is None else shape.faults(status, "status")
    return next((fault for fault in faults if fault.detail), None)


def wrong_type(kind: Kind, document: object) -> str:
    """Return what the decoder says of the first wrong type in an object, or ""."""
    fault = undecodable_part(kind, document)
    return "" if fault is None else fault.detail


def refuse_wrong_types(kind: Kind, document: object) -> None:
    """Refuse an object that cannot be decoded.

    Raises:
        BadRequest: a value has another type than its field, or is a malformed quantity or base 64.

    Source: k8s.io/apiserver/pkg/endpoints/handlers/create.go (transformDecodeError).
    """
    if detail := wrong_type(kind, document):
        raise _undecodable(kind, detail)


def refuse_undecodable(kind: Kind, document: object, error: Exception) -> NoReturn:
    """Refuse an object that a rule stumbled over.

    Args:
        kind, document: the object.
        error: that the rule raised, one of `UNEXPECTED_TYPE`.

    Raises:
        BadRequest: a value has a wrong type, or a text half of a surrogate pair, which neither JSON
            nor YAML brings here.
        Exception: `error`, a fault of the rule.
    """
    refuse_wrong_types(kind, document)
    if isinstance(error, UnicodeEncodeError):
        detail = f"text that UTF-8 cannot encode: {error.object[:60]!a}"
        raise _undecodable(kind, detail) from error
    raise error


def refuse_wrong_metadata(kind: Kind, field: str, value: object) -> None:
    """Refuse an object that cannot be decoded because of one of `SET_BY_SERVERS`.

    Args:
        kind: of the object.
        field: of its metadata.
        value: what the client sent; null is accepted.

    Raises:
        BadRequest: as for `refuse_wrong_types`, which sees the server's values.
    """
    if value is not None:
        refuse_wrong_types(kind, {"metadata": {field: value}})


def refuse_wrong_types_in_status(kind: Kind, status: object) -> None:
    """Refuse a status that cannot be decoded.

    Raises:
        BadRequest: as for `refuse_wrong_types`.
    """
    if fault := undecodable_part_of_status(kind, status):
        raise _undecodable(kind, fault.detail)


def _undecodable(kind: Kind, detail: str) -> BadRequest:
    named = f'{kind.kind} in version "{kind.version}"'
    return BadRequest(f"{named} cannot be handled as a {kind.kind}: {detail}")


def check_document(kind: Kind, document: Document, errors: FieldErrors) -> None:
    """Add the missing fields that the kind's own rules did not find.

    Nothing is reported twice: a path that the kind's rules complained about, or a part of it, is
    left to them.

    Args:
        kind: the kind of the object; one without a schema has nothing to check.
        document: the object.
        errors: what the kind's rules found; faults are added to it.
    """
    shape = shape_of(kind)
    if shape is None or shape.fits(document):
        return
    reported = [cause.field for cause in errors.causes]
    for fault in shape.faults(document, ""):
        if any(_covers(field, fault.path) or _covers(fault.path, field) for field in reported):
            continue
        # A missing field of the metadata is a matter of the rules of metadata.
        if not fault.path.startswith("metadata."):
            fault.report(errors)


def unknown_fields(kind: Kind, document: Document) -> list[str]:
    """Return the paths of the fields that the kind does not have, in the document's order.

    >>> from kubesim.apiserver.registry import Kind
    >>> tab = Kind("Tab", "tabs", group="example.com", schema={"type": "object", "properties": {
    ...     "spec": {"type": "object", "properties": {"size": {"type": "integer"}}}}})
    >>> unknown_fields(tab, {"kind": "Tab", "spec": {"size": 1, "colour": "red"}})
    ['spec.colour']
    """
    shape = full_shape_of(kind)
    return [] if shape is None else list(shape.unknown(document, ""))


def compile_type(schema: Schema, owner: str) -> Check:
    """Return the check of one schema.

    Args:
        schema: as `schemas` returns them.
        owner: short name of the type whose field this is, for the message.
    """
    shape = BUILT_IN.compile(schema, owner)

    def check(value: object, path: str) -> list[Fault] | None:
        return None if shape.fits(value) else list(shape.faults(value, path))

    return check


def _covers(field: str, path: str) -> bool:
    return path == field or (path.startswith(field) and path[len(field)] in ".[")


# Shapes are kept by kind, for the speed of every write, and by type, since a kind in another
# version than the stored one is a new object for each request (`in_version`).


@lru_cache(maxsize=256)
def shape_of(kind: Kind) -> Shape | None:
    """Return the shape of the objects of a built-in kind; custom kinds have `custom`."""
    return _shape_named(component_name(kind), kind.kind) if kind.schema is None else None


@lru_cache(maxsize=256)
def status_shape_of(kind: Kind) -> Shape | None:
    """Return the shape of the status of a built-in kind."""
    return _status_shape_named(component_name(kind)) if kind.schema is None else None


@lru_cache(maxsize=256)
def full_shape_of(kind: Kind) -> Shape | None:
    """Return the shape that knows every field of an object."""
    if kind.schema is None:
        return _open_shape_named(component_name(kind), kind.kind)
    schema = kind.schema
    # The schema of a custom kind need not name what every object has.
    fields = {"apiVersion": {}, "kind": {}, **(schema.get("properties") or {})}
    fields["metadata"] = OBJECT_META
    return BUILT_IN.compile({**schema, "properties": fields}, kind.kind)


@lru_cache(maxsize=512)
def _shape_named(component: str, owner: str) -> Shape | None:
    schema = structure(component)
    if schema is None:
        return None
    # Any status is accepted: what writes one checks it by `status_shape_of`.
    properties = {k: {} if k == "status" else v for k, v in schema.get("properties", {}).items()}
    # Structures and lists of the object itself are never missing to the decoder: they are empty.
    required = schema.get("required", ())
    strings = [name for name in required if resolve(properties[name]).get("type") == "string"]
    return BUILT_IN.compile({**schema, "properties": properties, "required": strings}, owner)


@lru_cache(maxsize=512)
def _status_shape_named(component: str) -> Shape | None:
    part = ((structure(component) or {}).get("properties") or {}).get("status")
    return BUILT_IN.compile(part, type_name_of(part)) if part else None


@lru_cache(maxsize=512)
def _open_shape_named(component: str, owner: str) -> Shape | None:
    schema = structure(component)
    return BUILT_IN.compile(schema, owner) if schema is not None else None
