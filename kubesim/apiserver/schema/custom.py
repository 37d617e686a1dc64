"""The rules of custom objects: an OpenAPI v3 schema, its defaults and its constraints.

Pure: a schema and a value in, defaults or errors out. `x-kubernetes-validations` (rules in CEL) are
kept and not evaluated; fields that the schema does not know are kept, too (decision 3), where the
real server prunes them.

>>> from kubesim.apiserver.fields import FieldErrors
>>> errors = FieldErrors()
>>> check({"type": "object", "properties": {"size": {"type": "integer", "minimum": 1}}},
...       {"size": 0}, "spec", errors)
>>> errors.causes[0].field, errors.causes[0].message
('spec.size', 'Invalid value: 0: spec.size in body should be greater than or equal to 1')

Source: k8s.io/kube-openapi/pkg/validation (errors/schema.go has the words),
apiextensions-apiserver/pkg/apiserver/{validation,schema/defaulting}.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from kubesim.apiserver.fields import FieldErrors
from kubesim.objects.frozen import Document, thaw

Schema = Document
INT_OR_STRING = "x-kubernetes-int-or-string"


# -- defaults --------------------------------------------------------------------------------------


def fill_defaults(schema: Schema, value: Any) -> None:
    """Give what is missing its default, at any depth; changes the value in place."""
    if isinstance(value, dict):
        properties = schema.get("properties") or {}
        for name, part in properties.items():
            missing = name not in value or (value[name] is None and not part.get("nullable"))
            if missing and "default" in part:
                value[name] = thaw(part["default"])
            if name in value:
                fill_defaults(part, value[name])
        rest = schema.get("additionalProperties")
        if isinstance(rest, dict):
            for name, item in value.items():
                if name not in properties:
                    fill_defaults(rest, item)
    elif isinstance(value, list) and isinstance(schema.get("items"), dict):
        for item in value:
            fill_defaults(schema["items"], item)


# -- the schema itself -----------------------------------------------------------------------------

TYPES = ("array", "boolean", "integer", "number", "object", "string")


def check_schema(schema: Any, path: str, errors: FieldErrors) -> None:
    """Report what keeps a schema from being one: its types, its patterns, its parts."""
    if not isinstance(schema, dict):
        errors.mapping(path, schema)
        return
    if schema.get("type") is not None and schema["type"] not in TYPES:
        errors.not_supported(f"{path}.type", schema["type"], TYPES)
    if not schema.get("type") and not any(str(key).startswith("x-kubernetes-") for key in schema):
        errors.required(f"{path}.type", "must not be empty for specified object fields")
    if schema.get("pattern") is not None:
        try:
            re.compile(schema["pattern"])
        except (re.error, TypeError) as error:
            errors.invalid(f"{path}.pattern", schema["pattern"], f"must be a regex: {error}")
    for name, part in errors.mapping(f"{path}.properties", schema.get("properties")).items():
        check_schema(part, f"{path}.properties[{name}]", errors)
    for field in ("items", "additionalProperties"):
        if schema.get(field) is not None and not isinstance(schema[field], bool):
            check_schema(schema[field], f"{path}.{field}", errors)
    for field, wanted in (("required", list), ("enum", list)):
        if schema.get(field) is not None and not isinstance(schema[field], wanted):
            errors.invalid(f"{path}.{field}", schema[field], "must be a list")
    for field in ("minimum", "maximum", "multipleOf", "minLength", "maxLength", "minItems"):
        if isinstance(schema.get(field), (str, list, dict)):
            errors.invalid(f"{path}.{field}", schema[field], "must be a number")
    for field in ("allOf", "anyOf", "oneOf"):
        errors.items(f"{path}.{field}", schema.get(field))


# -- rules -----------------------------------------------------------------------------------------


def check(schema: Schema, value: Any, path: str, errors: FieldErrors) -> None:
    """Report every rule of the schema that the value breaks."""
    if value is None and (schema.get("nullable") or not path):
        return
    if not _fits(schema, value):
        said = _type_name(value)
        wanted = "integer,string" if schema.get(INT_OR_STRING) else schema.get("type")
        detail = f'{path} in body must be of type {wanted}: "{said}"'
        errors.invalid(path, said, detail)
        return
    if "enum" in schema and value not in schema["enum"]:
        errors.not_supported(path, value, map(_text, schema["enum"]))
    if isinstance(value, str):
        _check_text(schema, value, path, errors)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        _check_number(schema, value, path, errors)
    elif isinstance(value, list):
        _check_list(schema, value, path, errors)
    elif isinstance(value, dict):
        _check_object(schema, value, path, errors)
    _check_combinations(schema, value, path, errors)


def _fits(schema: Schema, value: Any) -> bool:
    if schema.get(INT_OR_STRING):
        return type(value) in (int, str)
    match schema.get("type"):
        case "object":
            return isinstance(value, dict)
        case "array":
            return isinstance(value, list)
        case "string":
            return isinstance(value, str)
        case "boolean":
            return isinstance(value, bool)
        case "integer":
            whole = type(value) is float and value.is_integer()
            return type(value) is int or whole
        case "number":
            return type(value) in (int, float)
    return True


def _type_name(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case str():
            return "string"
        case int():
            return "integer"
        case float():
            return "number"
        case list():
            return "array"
    return "object"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _check_text(schema: Schema, value: str, path: str, errors: FieldErrors) -> None:
    least, most, pattern = (schema.get(key) for key in ("minLength", "maxLength", "pattern"))
    if least is not None and len(value) < least:
        errors.invalid(path, value, f"{path} in body should be at least {least} chars long")
    if most is not None and len(value) > most:
        errors.too_long(path, most)
    if pattern is not None and not re.search(pattern, value):
        errors.invalid(path, value, f"{path} in body should match '{pattern}'")


def _check_number(schema: Schema, value: float, path: str, errors: FieldErrors) -> None:
    least, most, step = (schema.get(key) for key in ("minimum", "maximum", "multipleOf"))
    if least is not None:
        beyond = schema.get("exclusiveMinimum")
        if value < least or (beyond and value == least):
            words = "greater than" if beyond else "greater than or equal to"
            errors.invalid(path, value, f"{path} in body should be {words} {least}")
    if most is not None:
        beyond = schema.get("exclusiveMaximum")
        if value > most or (beyond and value == most):
            words = "less than" if beyond else "less than or equal to"
            errors.invalid(path, value, f"{path} in body should be {words} {most}")
    if step and (value / step) % 1:
        errors.invalid(path, value, f"{path} in body should be a multiple of {step}")


def _check_list(schema: Schema, value: list[Any], path: str, errors: FieldErrors) -> None:
    least, most = schema.get("minItems"), schema.get("maxItems")
    if least is not None and len(value) < least:
        words = f"{path} in body should have at least {least} items"
        errors.invalid(path, len(value), words)
    if most is not None and len(value) > most:
        errors.too_many(path, len(value), most)
    items = schema.get("items")
    if isinstance(items, dict):
        for index, item in enumerate(value):
            check(items, item, f"{path}[{index}]", errors)
    keys = schema.get("x-kubernetes-list-map-keys") or ()
    seen: list[Any] = []
    for index, item in enumerate(value):
        if schema.get("x-kubernetes-list-type") == "map" and isinstance(item, dict):
            identity: Any = {key: item.get(key) for key in keys}
        elif schema.get("x-kubernetes-list-type") == "set":
            identity = item
        else:
            continue
        if identity in seen:
            errors.duplicate(f"{path}[{index}]", identity)
        seen.append(identity)


def _check_object(schema: Schema, value: Document, path: str, errors: FieldErrors) -> None:
    for name in schema.get("required") or ():
        if name not in value:
            errors.required(_join(path, name))
    least, most = schema.get("minProperties"), schema.get("maxProperties")
    if least is not None and len(value) < least:
        words = f"{path} in body should have at least {least} properties"
        errors.invalid(path, len(value), words)
    if most is not None and len(value) > most:
        errors.too_many(path, len(value), most)
    properties = schema.get("properties") or {}
    rest = schema.get("additionalProperties")
    for name, item in value.items():
        if name in properties:
            if item is None and not properties[name].get("nullable"):
                continue  # null is as good as absent, as for built-in kinds
            check(properties[name], item, _join(path, name), errors)
        elif isinstance(rest, dict):
            check(rest, item, f"{path}[{name}]" if path else name, errors)


def _check_combinations(schema: Schema, value: Any, path: str, errors: FieldErrors) -> None:
    for part in schema.get("allOf") or ():
        check(part, value, path, errors)

    def count(parts: list[Schema]) -> int:
        return sum(_is_valid(part, value, path) for part in parts)

    rules: list[tuple[str, Callable[[int], bool], str]] = [
        ("anyOf", lambda n: n > 0, "must validate at least one schema (anyOf)"),
        ("oneOf", lambda n: n == 1, "must validate one and only one schema (oneOf)"),
    ]
    for name, holds, words in rules:
        if schema.get(name) and not holds(count(schema[name])):
            errors.invalid(path, _type_name(value), f'"{path}" {words}')
    if schema.get("not") and _is_valid(schema["not"], value, path):
        errors.invalid(path, _type_name(value), f'"{path}" must not validate the schema (not)')


def _is_valid(schema: Schema, value: Any, path: str) -> bool:
    errors = FieldErrors()
    check(schema, value, path or " ", errors)
    return not errors.causes


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
