"""What makes the schema of a custom kind structural, and which parts of OpenAPI it may not use.

Source: k8s.io/apiextensions-apiserver/pkg/apiserver/schema/validation.go,
pkg/apis/apiextensions/validation/validation.go (ValidateCustomResourceDefinitionOpenAPISchema),
pkg/apiserver/schema/defaulting/validation.go.
"""

from __future__ import annotations

from kubesim.apiserver.schema.custom import check_shape, compile_schema, fill_defaults
from kubesim.apiserver.validation import FieldErrors
from kubesim.objects.frozen import Document, objects_in, thaw

QUADRATIC = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
ONLY_NAMES = (
    "must not specify anything other than name and generateName, but metadata is implicitly "
    "specified"
)
LIST_TYPES = ("atomic", "set", "map")
MAP_TYPES = ("atomic", "granular")
JUNCTORS = ("allOf", "anyOf", "oneOf")
UNSUPPORTED = ("$ref", "id", "definitions", "dependencies", "patternProperties", "additionalItems")
# What a part of a junctor may not say: it belongs outside.
GENERIC = {
    "type": "must be empty to be structural",
    "title": "must be empty to be structural",
    "description": "must be empty to be structural",
    "default": "must be undefined to be structural",
    "additionalProperties": "must be undefined to be structural",
    "nullable": "must be false to be structural",
}


def check_structure(schema: Document, path: str, errors: FieldErrors) -> None:
    """Validate that the well-formed schema of an object is structural.

    Args:
        schema: of a version.
        path: its path in the definition.
        errors: collects the errors.
    """
    metadata = (schema.get("properties") or {}).get("metadata")
    if isinstance(metadata, dict) and metadata.keys() - {"type", "description", "properties"}:
        errors.forbidden(f"{path}.properties[metadata]", ONLY_NAMES)
    elif isinstance(metadata, dict):
        if (metadata.get("properties") or {}).keys() - {"name", "generateName"}:
            errors.forbidden(f"{path}.properties[metadata]", ONLY_NAMES)
    _check(schema, path, errors)


def _check(schema: Document, path: str, errors: FieldErrors) -> None:
    for field in UNSUPPORTED:
        if schema.get(field):
            errors.forbidden(f"{path}.{field}", f"{field} is not supported")
    if schema.get("uniqueItems"):
        errors.forbidden(f"{path}.uniqueItems", QUADRATIC)
    items, further = schema.get("items"), schema.get("additionalProperties")
    if further is False:
        rule = "additionalProperties cannot be set to false"
        errors.forbidden(f"{path}.additionalProperties", rule)
    elif further is not None and schema.get("properties"):
        rule = "additionalProperties and properties are mutual exclusive"
        errors.forbidden(f"{path}.additionalProperties", rule)
    if schema.get("type") == "array" and items is None:
        errors.required(f"{path}.items", "must be specified")
    _check_list_type(schema, path, errors)
    if "default" in schema:
        _check_default(schema, path, errors)
    if not schema.get("x-kubernetes-int-or-string"):  # its own anyOf is allowed to name types
        for field in JUNCTORS:
            for index, part in enumerate(objects_in(schema.get(field))):
                _check_junctor(part, f"{path}.{field}[{index}]", errors)
        if isinstance(schema.get("not"), dict):
            _check_junctor(schema["not"], f"{path}.not", errors)
    for name, part in (schema.get("properties") or {}).items():
        if isinstance(part, dict):
            _check(part, f"{path}.properties[{name}]", errors)
    for field, inner in (("items", items), ("additionalProperties", further)):
        if isinstance(inner, dict):
            _check(inner, f"{path}.{field}", errors)


def _check_list_type(schema: Document, path: str, errors: FieldErrors) -> None:
    kind, keys = schema.get("x-kubernetes-list-type"), schema.get("x-kubernetes-list-map-keys")
    if kind is not None:
        if schema.get("type") != "array":
            rule = "must be array if x-kubernetes-list-type is specified"
            errors.invalid(f"{path}.type", schema.get("type") or "", rule)
        errors.one_of(f"{path}.x-kubernetes-list-type", kind, LIST_TYPES)
    if kind == "map":
        if not keys:
            rule = "must not be empty if x-kubernetes-list-type is map"
            errors.required(f"{path}.x-kubernetes-list-map-keys", rule)
        item = schema.get("items")
        if isinstance(item, dict) and item.get("type") != "object":
            rule = "must be object if parent array's x-kubernetes-list-type is map"
            errors.invalid(f"{path}.items.type", item.get("type") or "", rule)
    elif keys:
        rule = "must be map if x-kubernetes-list-map-keys is non-empty"
        if kind is None:
            errors.required(f"{path}.x-kubernetes-list-type", rule)
        else:
            errors.invalid(f"{path}.x-kubernetes-list-type", kind, rule)
    map_type = schema.get("x-kubernetes-map-type")
    if map_type is not None:
        errors.one_of(f"{path}.x-kubernetes-map-type", map_type, MAP_TYPES)


def _check_default(schema: Document, path: str, errors: FieldErrors) -> None:
    """Validate a default, with the defaults inside of it, against its own schema."""
    value = thaw(schema["default"])
    if value is None:
        return
    fill_defaults(schema, value)
    check_shape(compile_schema(schema), value, f"{path}.default", errors)


def _check_junctor(part: Document, path: str, errors: FieldErrors) -> None:
    for field, rule in GENERIC.items():
        if part.get(field):
            errors.forbidden(f"{path}.{field}", rule)
    for name, inner in (part.get("properties") or {}).items():
        if isinstance(inner, dict):
            _check_junctor(inner, f"{path}.properties[{name}]", errors)
    if isinstance(part.get("items"), dict):
        _check_junctor(part["items"], f"{path}.items", errors)
    if isinstance(part.get("not"), dict):
        _check_junctor(part["not"], f"{path}.not", errors)
    for field in JUNCTORS:
        for index, inner in enumerate(objects_in(part.get(field))):
            _check_junctor(inner, f"{path}.{field}[{index}]", errors)
