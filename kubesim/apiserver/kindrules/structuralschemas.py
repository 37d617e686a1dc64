"""What makes the schema of a custom kind structural: types at each place, rules beside them.

Source: k8s.io/apiextensions-apiserver/pkg/apiserver/schema/{validation,complete}.go,
pkg/apiserver/schema/defaulting/validation.go.
"""

from __future__ import annotations

from kubesim.apiserver.schema.compiler import BUILT_IN
from kubesim.apiserver.schema.custom import (
    check_pattern,
    check_shape,
    compile_schema,
    fill_defaults,
)
from kubesim.apiserver.validation import FieldErrors
from kubesim.objects.frozen import Document, objects_in, thaw

ONLY_NAMES = (
    "must not specify anything other than name and generateName, but metadata is implicitly "
    "specified"
)
EMBEDDED, OPEN = "x-kubernetes-embedded-resource", "x-kubernetes-preserve-unknown-fields"
INT_OR_STRING = "x-kubernetes-int-or-string"
JUNCTORS = ("allOf", "anyOf", "oneOf")
INT_OR_STRING_PARTS = [{"type": "integer"}, {"type": "string"}]
ROOT, ITEM, FIELD = "at the root", "for specified array items", "for specified object fields"
# What a part of a junctor may not say: it belongs outside.
GENERIC = {
    "type": "must be empty to be structural",
    "additionalProperties": "must be undefined to be structural",
    "default": "must be undefined to be structural",
    "title": "must be empty to be structural",
    "description": "must be empty to be structural",
    "nullable": "must be false to be structural",
    "externalDocs": "must be undefined to be structural",
    OPEN: "must be false to be structural",
    EMBEDDED: "must be false to be structural",
    INT_OR_STRING: "must be false to be structural",
    "x-kubernetes-list-map-keys": "must be empty to be structural",
    "x-kubernetes-list-type": "must be undefined to be structural",
    "x-kubernetes-map-type": "must be undefined to be structural",
    "x-kubernetes-validations": "must be empty to be structural",
}


def check_structure(schema: Document, path: str, errors: FieldErrors) -> None:
    """Validate that the well-formed schema of an object is structural.

    Args:
        schema: of a version.
        path: its path in the definition.
        errors: collects the errors.
    """
    before = len(errors.causes)
    _check(schema, path, ROOT, errors)
    for part, place in _junctor_parts(schema, path):
        _check_complete(part, schema, path, place, errors)
    if len(errors.causes) == before:
        _check_defaults(schema, path, errors)


def _check(schema: Document, path: str, level: str, errors: FieldErrors) -> None:
    """Validate one place (validateStructuralInvariants), then the places inside of it."""
    items, further = schema.get("items"), schema.get("additionalProperties")
    if schema.get("type") == "array" and items is None:
        errors.required(f"{path}.items", "must be specified")
    if further is not None and level == ROOT:
        errors.forbidden(f"{path}.additionalProperties", "must not be used at the root")
    if schema.get(INT_OR_STRING):
        for field in (OPEN, EMBEDDED):
            if schema.get(field):
                rule = "must be false if x-kubernetes-int-or-string is true"
                errors.invalid(f"{path}.{field}", True, rule)
    _check_values(schema, path, errors)
    _check_type(schema, path, level, errors)
    _check_metadata(schema, path, level, errors)
    for name, part in (schema.get("properties") or {}).items():
        if isinstance(part, dict):
            _check(part, f"{path}.properties[{name}]", FIELD, errors)
    for field, inner, below in (("items", items, ITEM), ("additionalProperties", further, FIELD)):
        if isinstance(inner, dict):
            _check(inner, f"{path}.{field}", below, errors)


def _check_type(schema: Document, path: str, level: str, errors: FieldErrors) -> None:
    kind, embedded = schema.get("type") or "", schema.get(EMBEDDED)
    if embedded and kind != "object":
        rule = f"must be object if {EMBEDDED} is true"
        if kind:
            errors.invalid(f"{path}.type", kind, rule)
        else:
            errors.required(f"{path}.type", rule)
    elif not kind and not schema.get(INT_OR_STRING) and not schema.get(OPEN):
        errors.required(f"{path}.type", f"must not be empty {level}")
    if embedded and schema.get("additionalProperties") is not None:
        rule = f"must not be used if {EMBEDDED} is set"
        errors.forbidden(f"{path}.additionalProperties", rule)
    if level == ROOT and kind and kind != "object":
        errors.invalid(f"{path}.type", kind, "must be object at the root")
    if embedded and not schema.get(OPEN) and not schema.get("properties"):
        rule = f"must not be empty if {EMBEDDED} is true without {OPEN}"
        errors.required(f"{path}.properties", rule)


def _check_metadata(schema: Document, path: str, level: str, errors: FieldErrors) -> None:
    """Validate the properties of the object itself: kind, apiVersion, metadata."""
    if level != ROOT and not schema.get(EMBEDDED):
        return
    properties = schema.get("properties") or {}
    for name, kind in (("kind", "string"), ("apiVersion", "string"), ("metadata", "object")):
        part, place = properties.get(name), f"{path}.properties[{name}]"
        if isinstance(part, dict) and part.get("type") != kind:
            errors.invalid(f"{place}.type", part.get("type") or "", f"must be {kind}")
    metadata = properties.get("metadata")
    if level == ROOT and isinstance(metadata, dict):
        names = (metadata.get("properties") or {}).keys()
        others = {key for key, value in metadata.items() if value} - {"type", "default"}
        if not (others <= {"properties"} and names <= {"name", "generateName"}):
            errors.forbidden(f"{path}.properties[metadata]", ONLY_NAMES)


# -- rules beside the types ------------------------------------------------------------------------


def _check_values(schema: Document, path: str, errors: FieldErrors) -> None:
    """Validate the junctors and the pattern of a place (validateValueValidation)."""
    check_pattern(schema.get("pattern"), f"{path}.pattern", errors)
    first = next(objects_in(schema.get("allOf")), None)
    pairs = first is not None and _is_int_or_string(first.get("anyOf"))
    for part, place in _junctor_parts(schema, path):
        if place.startswith(f"{path}.anyOf[") and _is_int_or_string(schema.get("anyOf")):
            continue
        _check_nested(part, place, pairs and part is first, errors)


def _is_int_or_string(parts: object) -> bool:
    return parts == INT_OR_STRING_PARTS


def _junctor_parts(schema: Document, path: str) -> list[tuple[Document, str]]:
    """Return each part of allOf, anyOf, oneOf and not, with its path."""
    parts = [
        (part, f"{path}.{field}[{index}]")
        for field in JUNCTORS
        for index, part in enumerate(objects_in(schema.get(field)))
    ]
    if isinstance(schema.get("not"), dict):
        parts.append((schema["not"], f"{path}.not"))
    return parts


def _check_nested(part: Document, path: str, skip_any_of: bool, errors: FieldErrors) -> None:
    """Validate a part of a junctor (validateNestedValueValidation)."""
    for field, rule in GENERIC.items():
        value = part.get(field)
        if value or (field == "additionalProperties" and value is not None):
            errors.forbidden(f"{path}.{field}", rule)
    if not skip_any_of:
        _check_values(part, path, errors)
    properties = part.get("properties") or {}
    if "metadata" in properties:
        rule = "must not be specified in a nested context"
        errors.forbidden(f"{path}.properties[metadata]", rule)
    for name, inner in properties.items():
        if isinstance(inner, dict):
            _check_nested(inner, f"{path}.properties[{name}]", False, errors)
    if isinstance(part.get("items"), dict):
        _check_nested(part["items"], f"{path}.items", False, errors)


def _check_complete(
    part: Document, schema: Document | None, place: str, path: str, errors: FieldErrors
) -> None:
    """Validate that what a part of the root's junctors speaks of is specified outside, too.

    Args:
        part: of a junctor.
        schema: of the same value outside of the junctor; None: there is none.
        place, path: of the schema and of the part in the definition.
        errors: collects the errors.
    """
    if schema is None:
        errors.required(place, f"because it is defined in {path}")
        return
    for inner, below in _junctor_parts(part, path):
        _check_complete(inner, schema, place, below, errors)
    if isinstance(part.get("items"), dict):
        items = schema.get("items")
        outside = items if isinstance(items, dict) else None
        _check_complete(part["items"], outside, f"{place}.items", f"{path}.items", errors)
    properties = schema.get("properties") or {}
    for name, inner in (part.get("properties") or {}).items():
        if isinstance(inner, dict):
            step = f"properties[{name}]"
            _check_complete(
                inner, properties.get(name), f"{place}.{step}", f"{path}.{step}", errors
            )


# -- defaults --------------------------------------------------------------------------------------


def _check_defaults(schema: Document, path: str, errors: FieldErrors) -> None:
    """Validate each default against its own schema, with the defaults inside of it."""
    if schema.get("default") is not None:
        value, place = thaw(schema["default"]), f"{path}.default"
        if not BUILT_IN.compile(schema, "").has_no_unknown_fields(value):
            errors.invalid(place, value, "must not have unknown fields")
        fill_defaults(schema, value)
        check_shape(compile_schema(schema), value, place, errors)
    for name, part in (schema.get("properties") or {}).items():
        if isinstance(part, dict):
            _check_defaults(part, f"{path}.properties[{name}]", errors)
    if isinstance(schema.get("items"), dict):
        _check_defaults(schema["items"], f"{path}.items", errors)
