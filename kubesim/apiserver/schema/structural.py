"""Checking documents against the schemas of the built-in kinds: types, required and unknown fields.

A schema is compiled once into nested functions, so that a document that fits costs little more than
walking through it. They are pure: a value in, what is wrong with it out.

Wrong types are reported in the words of Go's decoder, which names the innermost type and the path:

>>> spec = {"type": "object", "properties": {"replicas": {"type": "integer"}}}
>>> check = compile_type(spec, "Spec")
>>> check({"replicas": "three"}, "spec")[0].detail
'json: cannot unmarshal string into Go struct field Spec.spec.replicas of type int32'

The real server stops at the first wrong type with 400; ours collects them all with their paths as
422, as it does for every other rule (decision 3).

Source: sigs.k8s.io/json (UnmarshalTypeError, UnmarshalStrict), k8s.io/apimachinery/pkg/runtime.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from math import isfinite
from typing import Any, NamedTuple

from kubesim.apiserver.fields import FieldErrors
from kubesim.apiserver.registry import Kind
from kubesim.apiserver.schema.data import Schema
from kubesim.apiserver.schema.schemas import resolve, structure_of, type_name_of
from kubesim.objects.frozen import Document

OPEN = "x-kubernetes-preserve-unknown-fields"
LIMITS = {"int32": 2**31, "int64": 2**63}


class Fault(NamedTuple):
    """One thing that is wrong.

    Attributes:
        path: of the field.
        value: what stands there; None of a missing field.
        detail: in words; "" says that the field is missing.
    """

    path: str
    value: Any
    detail: str


Check = Callable[[Any, str], "list[Fault] | None"]
"""check(value, path) -> faults, or None."""


def check_document(kind: Kind, document: Document, errors: FieldErrors) -> None:
    """Add what the kind's own rules did not find: wrong types, and missing fields.

    Nothing is reported twice: a path that the kind's rules complained about, or a part of it, is
    left to them. The status is checked by `check_status`.
    """
    check = _checker(kind)
    faults = check(document, "") if check is not None else None
    if not faults:
        return
    told = [cause.field for cause in errors.causes]
    for fault in faults:
        if any(_covers(field, fault.path) or _covers(fault.path, field) for field in told):
            continue
        if fault.detail:
            errors.invalid(fault.path, fault.value, fault.detail)
        elif not fault.path.startswith("metadata."):  # metadata has rules of its own
            errors.required(fault.path)


def check_status(kind: Kind, status: Document, errors: FieldErrors) -> None:
    """Add the wrong types in a status; what is missing in it is its writer's business."""
    schema = structure_of(kind) if kind.schema is None else None
    check = _status_checker(kind.api_version, kind) if schema is not None else None
    for fault in (check(status, "status") if check is not None else None) or ():
        if fault.detail and not any(_covers(c.field, fault.path) for c in errors.causes):
            errors.invalid(fault.path, fault.value, fault.detail)


def _covers(field: str, path: str) -> bool:
    return path == field or (path.startswith(field) and path[len(field)] in ".[")


@lru_cache(maxsize=256)
def _checker(kind: Kind) -> Check | None:
    if kind.schema is not None:
        return None  # custom kinds have rules of their own (crdschema)
    schema = structure_of(kind)
    if schema is None:
        return None
    properties = {k: v for k, v in schema.get("properties", {}).items() if k != "status"}
    # Structures and lists of the object itself are never missing to the decoder: they are empty.
    texts = [
        f for f in schema.get("required", ()) if resolve(properties[f]).get("type") == "string"
    ]
    return compile_type({**schema, "properties": properties, "required": texts}, kind.kind)


@lru_cache(maxsize=256)
def _status_checker(_version: str, kind: Kind) -> Check | None:
    part = ((structure_of(kind) or {}).get("properties") or {}).get("status")
    return compile_type(part, type_name_of(part)) if part else None


# -- compiling -------------------------------------------------------------------------------------

_compiled: dict[str, Check] = {}  # by reference: a type is compiled once, and may hold itself


def compile_type(schema: Schema, owner: str) -> Check:
    """The check of one schema.

    Args:
        schema: as `schemas` makes them.
        owner: short name of the type whose field this is, for the message.
    """
    reference = schema.get("$ref")
    if reference is not None:
        # A quantity is a text to its user, a number will do; its own rules look at it.
        return _by_reference(str(reference), schema)
    if schema.get("x-kubernetes-int-or-string"):
        return _atom(owner, (int, str), "intstr.IntOrString")
    if schema.get("x-kubernetes-quantity"):
        return _atom(owner, (int, float, str), "resource.Quantity")
    match schema.get("type"):
        case "object":
            return _object(schema, owner)
        case "array":
            return _array(schema, owner)
        case "string":
            return _atom(owner, (str,), "string")
        case "boolean":
            return _atom(owner, (bool,), "bool")
        case "integer":
            return _integer(owner, str(schema.get("format", "int32")))
        case "number":
            return _atom(owner, (int, float), "float64")
    return lambda value, path: None


def _by_reference(reference: str, schema: Schema) -> Check:
    found = _compiled.get(reference)
    if found is not None:
        return found

    def later(value: Any, path: str) -> list[Fault] | None:
        return _compiled[reference](value, path)

    _compiled[reference] = later  # stands in while the type compiles its own fields
    _compiled[reference] = compile_type(resolve(schema), type_name_of(schema))
    return _compiled[reference]


def _object(schema: Schema, owner: str) -> Check:
    parts = schema.get("properties") or {}
    checks = {name: compile_type(part, owner) for name, part in parts.items()}
    required = list(schema.get("required", ()))
    # A missing number or boolean is its zero value; the kind's rules say whether that will do.
    required = [f for f in required if _zero_is_nothing(schema["properties"][f])]
    rest = schema.get("additionalProperties")
    of_rest = compile_type(rest, owner) if isinstance(rest, dict) else None
    texts = rest == {"type": "string"}
    plain = {name: atom for name, part in parts.items() if (atom := _plain(part)) is not None}
    go_type = "map[string]string" if of_rest is not None else f"v1.{owner}"

    def check(value: Any, path: str) -> list[Fault] | None:
        if not isinstance(value, dict):
            return None if value is None else [_wrong(value, path, owner, go_type)]
        found: list[Fault] | None = None
        for name, item in value.items():
            if type(item) is (str if texts else plain.get(name)):
                continue  # most fields are such: spare them the call
            test = checks.get(name, of_rest)
            if test is not None and item is not None:
                # Paths are put together only where something is wrong.
                if test(item, "") is not None:
                    step = f"{path}[{name}]" if of_rest is not None else _join(path, name)
                    found = [*(found or ()), *(test(item, step) or ())]
        for name in required:
            if value.get(name) is None:
                found = [*(found or ()), Fault(_join(path, name), None, "")]
        return found

    return check


def _plain(schema: Schema) -> type | None:
    """The one Python type of a field that needs no other look."""
    return {"string": str, "boolean": bool}.get(str(schema.get("type")))


def _zero_is_nothing(schema: Schema) -> bool:
    return resolve(schema).get("type") in ("string", "object", "array")


def _array(schema: Schema, owner: str) -> Check:
    item_schema = schema.get("items") or {}
    test = compile_type(item_schema, owner)
    inner = type_name_of(item_schema)
    go_type = f"[]v1.{inner}" if inner else f"[]{item_schema.get('type', 'string')}"
    texts = item_schema == {"type": "string"}

    def check(value: Any, path: str) -> list[Fault] | None:
        if not isinstance(value, list):
            return None if value is None else [_wrong(value, path, owner, go_type)]
        found: list[Fault] | None = None
        for index, item in enumerate(value):
            if texts and type(item) is str:
                continue
            if item is not None and test(item, "") is not None:
                found = [*(found or ()), *(test(item, f"{path}[{index}]") or ())]
        return found

    return check


def _atom(owner: str, accepted: tuple[type, ...], go_type: str) -> Check:
    fits = frozenset(accepted)

    def check(value: Any, path: str) -> list[Fault] | None:
        if type(value) in fits or value is None:
            return None
        return [_wrong(value, path, owner, go_type)]

    return check


def _integer(owner: str, width: str) -> Check:
    limit = LIMITS.get(width, 2**31)

    def check(value: Any, path: str) -> list[Fault] | None:
        if type(value) is int and -limit <= value < limit:
            return None
        whole = type(value) is float and isfinite(value) and value == int(value)
        if value is None or (whole and -limit <= value < limit):
            return None  # 3.0 is a whole number in JSON
        return [_wrong(value, path, owner, width)]

    return check


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _wrong(value: Any, path: str, owner: str, go_type: str) -> Fault:
    match value:
        case bool():
            said = "bool"
        case str():
            said = "string"
        case int() | float():
            said = f"number {value}" if go_type in LIMITS else "number"
        case list():
            said = "array"
        case _:
            said = "object"
    where = re.sub(r"\[\d+\]", "", path)
    into = f"Go struct field {owner}.{where}"
    return Fault(path, value, f"json: cannot unmarshal {said} into {into} of type {go_type}")


# -- unknown fields --------------------------------------------------------------------------------


def unknown_fields(kind: Kind, document: Document) -> list[str]:
    """Paths of the fields that the kind does not have, in the document's order.

    >>> from kubesim.apiserver.registry import Kind
    >>> tab = Kind("Tab", "tabs", group="example.com", schema={"type": "object", "properties": {
    ...     "spec": {"type": "object", "properties": {"size": {"type": "integer"}}}}})
    >>> unknown_fields(tab, {"kind": "Tab", "spec": {"size": 1, "colour": "red"}})
    ['spec.colour']
    """
    schema = structure_of(kind)
    if schema is None:
        return []
    top = {"apiVersion": {}, "kind": {}, **_METADATA, **(schema.get("properties") or {})}
    if kind.schema is not None:
        top |= _METADATA
    return list(_unknown({**schema, "properties": top}, document, ""))


_METADATA: dict[str, Schema] = {
    "metadata": {"$ref": "#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"}
}


def _unknown(schema: Schema, value: Any, path: str) -> Iterator[str]:
    schema = resolve(schema)
    if isinstance(value, list):
        items = schema.get("items")
        for index, item in enumerate(value if isinstance(items, dict) else ()):
            yield from _unknown(items or {}, item, f"{path}[{index}]")
    elif isinstance(value, dict) and schema.get("type") == "object":
        known, rest = schema.get("properties") or {}, schema.get("additionalProperties")
        for name, item in value.items():
            if name in known:
                yield from _unknown(known[name], item, _join(path, name))
            elif isinstance(rest, dict):
                yield from _unknown(rest, item, f"{path}[{name}]")
            elif not rest and not schema.get(OPEN):
                yield _join(path, name)
