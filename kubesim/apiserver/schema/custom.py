"""Custom kinds: their OpenAPI v3 schema, its defaults and its rules.

Pure: a schema and a value in, defaults or errors out. `x-kubernetes-validations` (rules in CEL) are
kept and not evaluated. Fields that the schema does not have are pruned before (`pruning`).

>>> from kubesim.apiserver.validation import FieldErrors
>>> errors = FieldErrors()
>>> check({"type": "object", "properties": {"size": {"type": "integer", "minimum": 1}}},
...       {"size": 0}, "spec", errors)
>>> errors.causes[0].field, errors.causes[0].message
('spec.size', 'Invalid value: 0: spec.size in body should be greater than or equal to 1')

Source: k8s.io/kube-openapi/pkg/validation (errors/schema.go has the messages),
apiextensions-apiserver/pkg/apiserver/{validation,schema/defaulting} (algorithm.go, prune.go).
"""

from __future__ import annotations

from kubesim.apiserver.schema.compiler import CUSTOM
from kubesim.apiserver.schema.data import Schema
from kubesim.apiserver.schema.re2 import compile_pattern
from kubesim.apiserver.schema.re2_parser import PatternError
from kubesim.apiserver.schema.shapes import Shape
from kubesim.apiserver.validation import FieldErrors
from kubesim.objects.frozen import thaw

# -- defaults --------------------------------------------------------------------------------------


def fill_defaults(schema: Schema, value: object) -> None:
    """Set each missing field to its default, at any depth; the value is changed in place.

    A null counts as missing where null is not allowed; without a default, the field is removed.
    """
    if isinstance(value, dict):
        properties = schema.get("properties") or {}
        for name, part in properties.items():
            missing = name not in value or (value[name] is None and not part.get("nullable"))
            if missing and "default" in part:
                value[name] = thaw(part["default"])
            elif missing:
                value.pop(name, None)
            if name in value:
                fill_defaults(part, value[name])
        rest = schema.get("additionalProperties")
        if isinstance(rest, dict):
            for name, item in list(value.items()):
                if item is None and not rest.get("nullable"):
                    del value[name]
                elif name not in properties:
                    fill_defaults(rest, item)
    elif isinstance(value, list) and isinstance(schema.get("items"), dict):
        for item in value:
            fill_defaults(schema["items"], item)


# -- the schema itself -----------------------------------------------------------------------------

TYPES = ("array", "boolean", "integer", "number", "object", "string")


def check_schema(schema: object, path: str, errors: FieldErrors) -> None:
    """Validate that a schema is one: that each of its parts has the right type.

    Args:
        schema: the schema in a definition.
        path: of the schema in the definition.
        errors: receives the violations.
    """
    if not isinstance(schema, dict):
        errors.mapping(path, schema)
        return
    for field in ("type", "pattern", "format"):
        if schema.get(field) is not None and not isinstance(schema[field], str):
            errors.invalid(f"{path}.{field}", schema[field], "must be a string")
    for name, part in errors.mapping(f"{path}.properties", schema.get("properties")).items():
        check_schema(part, f"{path}.properties[{name}]", errors)
    for field, others in (("items", list), ("additionalProperties", bool), ("not", bool)):
        if schema.get(field) is not None and not isinstance(schema[field], others):
            check_schema(schema[field], f"{path}.{field}", errors)
    for field, type_ in (("required", list), ("enum", list)):
        if schema.get(field) is not None and not isinstance(schema[field], type_):
            errors.invalid(f"{path}.{field}", schema[field], "must be a list")
    for field in ("minimum", "maximum", "multipleOf", "minLength", "maxLength", "minItems"):
        if isinstance(schema.get(field), (str, list, dict)):
            errors.invalid(f"{path}.{field}", schema[field], "must be a number")
    for field in ("allOf", "anyOf", "oneOf"):
        for place, part in errors.items(f"{path}.{field}", schema.get(field)):
            check_schema(part, place, errors)


def check_pattern(pattern: object, path: str, errors: FieldErrors) -> None:
    """Validate a regular expression of Go; "" and None are none.

    Args:
        pattern: of a schema.
        path: its path.
        errors: receives the violation.

    Source: k8s.io/apiextensions-apiserver/pkg/apiserver/schema/validation.go.
    """
    if not isinstance(pattern, str):
        return
    try:
        compile_pattern(pattern)
    except PatternError as error:
        message = f"must be a valid regular expression, but isn't: {error}"
        errors.invalid(path, pattern, message)


# -- values ----------------------------------------------------------------------------------------


def check(schema: Schema, value: object, path: str, errors: FieldErrors) -> None:
    """Add every rule of the schema that a value breaks.

    To check many values, compile the schema once (`compile_schema`).

    Args:
        schema: of a custom kind, or a part of one.
        value: an object, or the part of it.
        path: of the value in its object; "" is the object itself.
        errors: receives the violations.
    """
    check_shape(compile_schema(schema), value, path, errors)


def compile_schema(schema: Schema) -> Shape:
    """Return the compiled schema of a custom kind."""
    return CUSTOM.compile(schema, "")


def check_shape(shape: Shape, value: object, path: str, errors: FieldErrors) -> None:
    """Add every rule of a compiled schema that a value breaks.

    Args:
        shape: from `compile_schema`.
        value, path, errors: as for `check`.
    """
    if (value is None and not path) or shape.fits(value):
        return
    for fault in shape.faults(value, path):
        fault.report(errors)
