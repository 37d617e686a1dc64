"""Paths that name a field of a schema: of rules, and of fields that clients may select by.

>>> schema = {"properties": {"spec": {"properties": {"size": {"type": "integer"}}}}}
>>> field_at(schema, ".spec.size")
({'type': 'integer'}, ('spec', 'size'))
>>> field_at(schema, ".spec.colour")
Traceback (most recent call last):
    ...
kubesim.apiserver.kindrules.fieldpaths.FieldPathError: does not refer to a valid field

Source: k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel/validation.go (ValidFieldPath),
pkg/apis/apiextensions/validation/validation.go (ValidateCustomResourceSelectableFields).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from kubesim.apiserver.validation import FieldErrors
from kubesim.objects.frozen import Document

MAX_SELECTABLE_FIELDS = 8
SELECTABLE_TYPES = ("string", "boolean", "integer")
SCALAR = (
    "must point to a field of type string, boolean or integer. Enum string fields and strings with "
    "formats are allowed."
)
_TOKEN = re.compile(r"'(?:[^'\\]|\\.)*'|[.\[\]]|[^.\[\]]+", re.DOTALL)
END = "unexpected end of JSON path"
NO_FIELD = "does not refer to a valid field"


class FieldPathError(ValueError):
    """A path that is malformed, or that names no field of the schema."""


def field_at(
    schema: Document, path: str, *, brackets: bool = True
) -> tuple[Document, tuple[str, ...]]:
    """Return the schema at a path, and the names on the way.

    Args:
        schema: the schema where the path begins.
        path: names after dots; quoted ones in brackets.
        brackets: whether brackets are allowed.

    Raises:
        FieldPathError: there is no such field.
    """
    tokens = iter(_TOKEN.findall(path))
    names: list[str] = []
    for token in tokens:
        if token == ".":
            name = _next(tokens)
        elif token == "[":
            if not brackets:
                raise FieldPathError("array notation is not allowed")
            name = _next(tokens)
            if len(name) < 2 or name[0] != "'" or name[-1] != "'":
                raise FieldPathError(f"expected single quoted string but got {name}")
            name = re.sub(r"\\(.)", r"\1", name[1:-1])
        else:
            raise FieldPathError(f"expected [ or . but got: {token}")
        schema = _inside(schema, name)
        names.append(name)
        if token == "[" and (closing := _next(tokens)) != "]":
            raise FieldPathError(f"expected ] but got {closing}")
    return schema, tuple(names)


def _next(tokens: Iterator[str]) -> str:
    token = next(tokens, None)
    if token is None:
        raise FieldPathError(END)
    return token


def _inside(schema: Document, name: str) -> Document:
    properties, further = schema.get("properties"), schema.get("additionalProperties")
    part = properties.get(name) if properties else further
    if not isinstance(part, dict):
        raise FieldPathError(NO_FIELD)
    return part


def validate_selectable_fields(
    version: Document, schema: Document, path: str, errors: FieldErrors
) -> None:
    """Validate the fields by which clients may select the objects of a version.

    Args:
        version: an item of spec.versions.
        schema: its well-formed schema.
        path: of the version in the definition.
        errors: collects the errors.
    """
    selectable: set[tuple[str, ...]] = set()
    place = f"{path}.selectableFields"
    for item, field in errors.items(place, version.get("selectableFields")):
        json_path = field.get("jsonPath") or ""
        if not json_path:
            errors.required(f"{item}.jsonPath")
            continue
        try:
            part, names = field_at(schema, json_path, brackets=False)
        except FieldPathError as error:
            errors.invalid(f"{item}.jsonPath", json_path, f"is an invalid path: {error}")
            continue
        if names[:1] == ("metadata",):
            rule = "must not point to fields in metadata"
            errors.invalid(f"{item}.jsonPath", json_path, rule)
        if part.get("type") not in SELECTABLE_TYPES:
            errors.invalid(f"{item}.jsonPath", json_path, SCALAR)
        if names in selectable:
            errors.duplicate(f"{item}.jsonPath", json_path)
        selectable.add(names)
    if len(selectable) > MAX_SELECTABLE_FIELDS:
        errors.too_many(place, len(selectable), MAX_SELECTABLE_FIELDS)
