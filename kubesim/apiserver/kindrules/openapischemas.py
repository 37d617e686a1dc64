"""Which parts of OpenAPI the schema of a custom kind may use: lists, maps, defaults, CEL rules.

The expressions of rules are kept and not compiled.

Source: k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation/validation.go
(ValidateCustomResourceDefinitionOpenAPISchema).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from kubesim.apiserver.kindrules.fieldpaths import FieldPathError, field_at
from kubesim.apiserver.schema.custom import TYPES
from kubesim.apiserver.validation import FieldErrors
from kubesim.objects.frozen import Document, objects_in

QUADRATIC = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
NULL_TYPE = "type cannot be set to null, use nullable as an alternative"
LIST_TYPE, MAP_TYPE = "x-kubernetes-list-type", "x-kubernetes-map-type"
KEYS, RULES = "x-kubernetes-list-map-keys", "x-kubernetes-validations"
EMBEDDED, OPEN = "x-kubernetes-embedded-resource", "x-kubernetes-preserve-unknown-fields"
LIST_TYPES = ("atomic", "set", "map")
MAP_TYPES = ("atomic", "granular")
META_FIELDS = ("metadata", "kind", "apiVersion")
UNSUPPORTED = (
    "id",
    "additionalItems",
    "patternProperties",
    "definitions",
    "dependencies",
    "$ref",
)
REASONS = (
    "FieldValueDuplicate",
    "FieldValueForbidden",
    "FieldValueInvalid",
    "FieldValueRequired",
)
ATOMIC_IN_SET = "must be atomic as item of a list with x-kubernetes-list-type=set"
NOT_ALLOWED = "must not be set"


class SchemaPlace(NamedTuple):
    """Where in an object a schema stands.

    Attributes:
        no_defaults: why it may have no default; "": it may.
        in_metadata: it is part of kind, apiVersion or metadata.
    """

    no_defaults: str = ""
    in_metadata: bool = False


def check_openapi(schema: Document, path: str, errors: FieldErrors) -> None:
    """Validate the well-formed schema of an object against what Kubernetes takes of OpenAPI.

    Args:
        schema: of a version.
        path: its path in the definition.
        errors: collects the errors.
    """
    if schema.get("nullable"):
        errors.forbidden(f"{path}.nullable", "nullable cannot be true at the root")
    _check(schema, path, SchemaPlace(), errors, is_root=True)


def _check(
    schema: Document, path: str, context: SchemaPlace, errors: FieldErrors, *, is_root: bool = False
) -> None:
    """Validate one place, then the places inside of it."""
    _check_place(schema, path, context, errors)
    _check_further(schema, path, context, errors)
    for name, part in (schema.get("properties") or {}).items():
        if not isinstance(part, dict):
            continue
        inner = context
        if (is_root or schema.get(EMBEDDED)) and name in META_FIELDS:
            reason = f"in top-level {name}" if is_root else context.no_defaults
            inner = SchemaPlace(reason, in_metadata=True)
        _check(part, f"{path}.properties[{name}]", inner, errors)
    if isinstance(schema.get("not"), dict):
        _check(schema["not"], f"{path}.not", context, errors)
    for field in ("allOf", "oneOf", "anyOf"):
        for index, part in enumerate(objects_in(schema.get(field))):
            _check(part, f"{path}.{field}[{index}]", context, errors)
    if isinstance(schema.get("items"), dict):
        _check(schema["items"], f"{path}.items", context, errors)
    if schema.get(OPEN) is False:
        errors.invalid(f"{path}.{OPEN}", False, "must be true or undefined")
    _check_map(schema, path, errors)
    _check_list(schema, path, errors)
    for place, rule in errors.items(f"{path}.{RULES}", schema.get(RULES)):
        _check_rule(schema, rule, place, errors)


def _check_place(schema: Document, path: str, context: SchemaPlace, errors: FieldErrors) -> None:
    kind = schema.get("type")
    if kind and kind not in TYPES:
        errors.not_supported(f"{path}.type", kind, TYPES)
    if schema.get("default") is not None and context.no_defaults:
        errors.forbidden(f"{path}.default", f"{NOT_ALLOWED} {context.no_defaults}")
    for field in UNSUPPORTED:
        if schema.get(field):
            errors.forbidden(f"{path}.{field}", f"{field} is not supported")
    if kind == "null":
        errors.forbidden(f"{path}.type", NULL_TYPE)
    if isinstance(schema.get("items"), list):
        rule = "items must be a schema object and not an array"
        errors.forbidden(f"{path}.items", rule)
    if context.in_metadata and schema.get(EMBEDDED):
        errors.forbidden(f"{path}.{EMBEDDED}", "must not be used inside of resource meta")
    if schema.get("uniqueItems"):
        errors.forbidden(f"{path}.uniqueItems", QUADRATIC)


def _check_further(schema: Document, path: str, context: SchemaPlace, errors: FieldErrors) -> None:
    further, place = schema.get("additionalProperties"), f"{path}.additionalProperties"
    if further is None:
        return
    if schema.get("properties") and further is not True:
        rule = "additionalProperties and properties are mutual exclusive"
        errors.forbidden(place, rule)
    if isinstance(further, dict):
        if context.in_metadata:
            reason = "inside additionalProperties applying to object metadata"
            context = SchemaPlace(reason, in_metadata=True)
        _check(further, place, context, errors)


def _check_map(schema: Document, path: str, errors: FieldErrors) -> None:
    map_type = schema.get(MAP_TYPE)
    if map_type is None:
        return
    _require_type(schema, "object", MAP_TYPE, path, errors)
    if map_type not in MAP_TYPES:
        errors.not_supported(f"{path}.{MAP_TYPE}", map_type, MAP_TYPES)


def _require_type(
    schema: Document, kind: str, extension: str, path: str, errors: FieldErrors
) -> None:
    rule = f"must be {kind} if {extension} is specified"
    if not schema.get("type"):
        errors.required(f"{path}.type", rule)
    elif schema["type"] != kind:
        errors.invalid(f"{path}.type", schema["type"], rule)


# -- lists -----------------------------------------------------------------------------------------


def _check_list(schema: Document, path: str, errors: FieldErrors) -> None:
    kind, keys, items = schema.get(LIST_TYPE), schema.get(KEYS) or [], schema.get("items")
    if kind is not None:
        _require_type(schema, "array", LIST_TYPE, path, errors)
        if kind not in LIST_TYPES:
            errors.not_supported(f"{path}.{LIST_TYPE}", kind, LIST_TYPES)
    if keys and kind != "map":
        rule = f"must be map if {KEYS} is non-empty"
        if kind is None:
            errors.required(f"{path}.{LIST_TYPE}", rule)
        else:
            errors.invalid(f"{path}.{LIST_TYPE}", kind, rule)
    if kind == "map":
        if not keys:
            errors.required(f"{path}.{KEYS}", f"must not be empty if {LIST_TYPE} is map")
        if items is None:
            errors.required(f"{path}.items", f"must have a schema if {LIST_TYPE} is map")
    if kind not in ("map", "set") or not isinstance(items, dict):
        return
    if kind == "set" and schema.get("type") == "array":
        _check_set_items(items, f"{path}.items", errors)
    elif kind == "map":
        _check_keys(schema, items, path, errors)
    if items.get("nullable"):
        rule = f"cannot be nullable when {LIST_TYPE} is {kind}"
        errors.forbidden(f"{path}.items.nullable", rule)


def _check_set_items(items: Document, path: str, errors: FieldErrors) -> None:
    """Validate that the items of a set are compared as a whole."""
    if items.get("type") == "array" and items.get(LIST_TYPE) not in (None, "atomic"):
        errors.invalid(f"{path}.{LIST_TYPE}", items[LIST_TYPE], ATOMIC_IN_SET)
    if items.get("type") == "object" and items.get(MAP_TYPE) != "atomic":
        # Upstream shows the list type of the items here, not their map type.
        errors.invalid(f"{path}.{MAP_TYPE}", items.get(LIST_TYPE), ATOMIC_IN_SET)


def _check_keys(schema: Document, items: Document, path: str, errors: FieldErrors) -> None:
    """Validate the items of a list of type map, and the keys by which they are told apart."""
    keys: list[object] = schema.get(KEYS) or []
    if items.get("type") != "object":
        rule = f"must be object if parent array's {LIST_TYPE} is map"
        errors.invalid(f"{path}.items.type", items.get("type") or "", rule)
    properties, required = items.get("properties") or {}, items.get("required") or ()
    for index, key in enumerate(keys):
        part, place = properties.get(key), f"{path}.items.properties[{key}]"
        if items.get("type") == "object":
            if part is None:
                rule = "entries must all be names of item properties"
                errors.invalid(f"{path}.{KEYS}", keys, rule)
            elif part.get("type") in ("array", "object"):
                rule = f"must be a scalar type if parent array's {LIST_TYPE} is map"
                errors.invalid(f"{place}.type", items["type"], rule)
            if key in keys[:index]:
                errors.invalid(f"{path}.{KEYS}", keys, "must not contain duplicate entries")
        if part is not None and key not in required and part.get("default") is None:
            rule = (
                f"this property is in {KEYS}, so it must have a default or be a required property"
            )
            errors.required(f"{place}.default", rule)
        if part is not None and part.get("nullable"):
            rule = f"this property is in {KEYS}, so it cannot be nullable"
            errors.forbidden(f"{place}.nullable", rule)


# -- rules in CEL ----------------------------------------------------------------------------------


def places_with_rules(schema: Document, path: str) -> Iterator[str]:
    """Yield the path of each place of a schema that has rules in CEL."""
    if schema.get(RULES):
        yield f"{path}.{RULES}"
    for name, part in (schema.get("properties") or {}).items():
        yield from places_with_rules(part, f"{path}.properties[{name}]")
    for field in ("items", "additionalProperties"):
        if isinstance(schema.get(field), dict):
            yield from places_with_rules(schema[field], f"{path}.{field}")


def warn_of_rules(definition: Document, is_new: bool) -> list[str]:
    """Return the warning that the rules of a new definition are not evaluated, if it has any.

    Args:
        definition: as it was stored.
        is_new: whether the write created it.
    """
    if not is_new:
        return []
    places = [
        place
        for index, version in enumerate(objects_in(definition["spec"]["versions"]))
        for place in places_with_rules(
            version["schema"]["openAPIV3Schema"],
            f"spec.versions[{index}].schema.openAPIV3Schema",
        )
    ]
    if not places:
        return []
    more = f" and {len(places) - 1} more" if len(places) > 1 else ""
    return [f"kubesim keeps the rules in CEL but does not evaluate them: {places[0]}{more}"]


def _has_newlines(text: str) -> bool:
    return re.search(r"[\n\r]", text) is not None


def _check_rule(schema: Document, rule: Document, path: str, errors: FieldErrors) -> None:
    """Validate what a rule says beside its expression."""
    expression, message = rule.get("rule") or "", rule.get("message") or ""
    if not expression.strip():
        errors.required(f"{path}.rule", "rule is not specified")
    elif message and not message.strip():
        errors.invalid(f"{path}.message", message, "message must be non-empty if specified")
    elif _has_newlines(message.strip()):
        errors.invalid(f"{path}.message", message, "message must not contain line breaks")
    elif _has_newlines(expression.strip()) and not message.strip():
        detail = "message must be specified if rule contains line breaks"
        errors.required(f"{path}.message", detail)
    computed = rule.get("messageExpression") or ""
    if computed and not computed.strip():
        detail = "messageExpression must be non-empty if specified"
        errors.required(f"{path}.messageExpression", detail)
    if rule.get("reason") is not None and rule["reason"] not in REASONS:
        errors.not_supported(f"{path}.reason", rule["reason"], REASONS)
    field, place = rule.get("fieldPath") or "", f"{path}.fieldPath"
    if field and not field.strip():
        errors.invalid(place, field, "fieldPath must be non-empty if specified")
    if _has_newlines(field):
        errors.invalid(place, field, "fieldPath must not contain line breaks")
    if field:
        try:
            field_at(schema, field)
        except FieldPathError:
            errors.invalid(place, field, "fieldPath must be a valid path")
