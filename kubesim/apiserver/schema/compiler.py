"""From schemas to shapes: one compiler for built-in and for custom kinds.

A compiler keeps the shape of each type that it has compiled. It may be used by many threads: a
shape that two of them make at once is the same but for its identity, and one of them stays.

Source: k8s.io/apimachinery/pkg/runtime (decoding), k8s.io/kube-openapi/pkg/validation/validate.
"""

from __future__ import annotations

from collections.abc import Callable
from re import Pattern

from kubesim.apiserver.schema import rules, times
from kubesim.apiserver.schema.data import Schema
from kubesim.apiserver.schema.faults import (
    BASE64,
    DECODER,
    OPENAPI,
    QUANTITY_TYPE,
    WIDTHS,
    Expected,
    Messages,
    base64_error,
    quantity_error,
)
from kubesim.apiserver.schema.faults import QUANTITY as WELL_FORMED_QUANTITY
from kubesim.apiserver.schema.schemas import resolve, type_name_of
from kubesim.apiserver.schema.shapes import (
    AnyType,
    ArrayShape,
    Atom,
    Fields,
    ObjectShape,
    Parsed,
    Shape,
    Whole,
)

INT_OR_STRING = "x-kubernetes-int-or-string"
QUANTITY = "x-kubernetes-quantity"
TIMES = (".meta.v1.Time", ".meta.v1.MicroTime")
TIME_RULES = ((times.TIME, times.time_error), (times.MICRO_TIME, times.micro_time_error))


class Compiler:
    """Compiles schemas, with one set of messages.

    Args:
        messages: how faults are worded.
        with_rules: whether lengths, patterns, enums and their like are checked; those of built-in
            kinds stand in the code of the kinds.
    """

    def __init__(self, messages: Messages, *, with_rules: bool) -> None:
        self._messages = messages
        self._with_rules = with_rules
        self._types: dict[str, Shape] = {}  # by reference

    def compile(self, schema: Schema, owner: str) -> Shape:
        """Return the shape of a schema.

        Args:
            schema: an OpenAPI schema, its parts inline or by reference.
            owner: short name of the type whose field this is, for the messages.
        """
        reference = schema.get("$ref")
        if reference is not None and not self._with_rules:
            if reference.endswith(TIMES):  # decodes itself: the message names the struct around it
                expected = Expected(owner, "string", is_time=True)
                nullable = self._nullable(resolve(schema))
                rule = TIME_RULES[reference.endswith(TIMES[1])]
                return Parsed(self._messages, expected, nullable, *rule, numbers=False)
            return self._referenced(str(reference), schema)
        shape = self._typed(schema, owner)
        if self._with_rules:
            before, after = rules.rules_of(schema, lambda part: self.compile(part, owner))
            if before or after:
                return rules.Ruled(shape, before, after)
        return shape

    def _referenced(self, reference: str, schema: Schema) -> Shape:
        cached = self._types.get(reference)
        if cached is None:
            shape = self.compile(resolve(schema), type_name_of(schema))
            cached = self._types.setdefault(reference, shape)
        return cached

    def _typed(self, schema: Schema, owner: str) -> Shape:
        kind = schema.get("type")
        if schema.get(INT_OR_STRING):
            return self._atom(schema, owner, "intstr.IntOrString", int, str)
        if schema.get(QUANTITY):
            pattern, parse_error = WELL_FORMED_QUANTITY, quantity_error
            return self._parsed(schema, owner, QUANTITY_TYPE, pattern, parse_error, True)
        match kind:
            case "object":
                return self._object(schema, owner)
            case "array":
                return self._array(schema, owner)
            case "string" if schema.get("format") == "byte" and not self._with_rules:
                return self._parsed(schema, owner, "[]uint8", BASE64, base64_error, False)
            case "string":
                return self._atom(schema, owner, "string", str)
            case "boolean":
                return self._atom(schema, owner, "bool", bool)
            case "number":
                return self._atom(schema, owner, "float64", int, float)
            case "integer":
                return self._whole(schema, owner)
        parts: list[Shape] = []
        if "properties" in schema or "additionalProperties" in schema:
            parts.append(self._object(schema, owner))
        if isinstance(schema.get("items"), dict):
            parts.append(self._array(schema, owner))
        expected = self._expected(schema, owner, "")
        return AnyType(self._messages, expected, self._nullable(schema), tuple(parts))

    def _nullable(self, schema: Schema) -> bool:
        return self._messages.null_is_absent or bool(schema.get("nullable"))

    def _expected(self, schema: Schema, owner: str, go_type: str) -> Expected:
        if self._messages is DECODER:
            return Expected(owner, go_type)
        return Expected(
            owner, "integer,string" if schema.get(INT_OR_STRING) else str(schema.get("type"))
        )

    def _atom(self, schema: Schema, owner: str, go_type: str, *types: type) -> Shape:
        expected = self._expected(schema, owner, go_type)
        return Atom(self._messages, expected, self._nullable(schema), types)

    def _parsed(
        self,
        schema: Schema,
        owner: str,
        go_type: str,
        pattern: Pattern[str],
        parse_error: Callable[[str], str],
        numbers: bool,
    ) -> Shape:
        expected, nullable = self._expected(schema, owner, go_type), self._nullable(schema)
        return Parsed(self._messages, expected, nullable, pattern, parse_error, numbers)

    def _whole(self, schema: Schema, owner: str) -> Shape:
        width = str(schema.get("format", "int32"))
        limit = WIDTHS.get("int64" if self._with_rules else width, WIDTHS["int32"])
        expected = self._expected(schema, owner, width)
        return Whole(self._messages, expected, self._nullable(schema), limit)

    def _array(self, schema: Schema, owner: str) -> Shape:
        items = schema.get("items")
        items = items if isinstance(items, dict) else {}
        inner = type_name_of(items)
        go_type = f"[]v1.{inner}" if inner else f"[]{items.get('type', 'string')}"
        expected = self._expected(schema, owner, go_type)
        shape = self.compile(items, owner)
        return ArrayShape(self._messages, expected, self._nullable(schema), shape)

    def _object(self, schema: Schema, owner: str) -> Shape:
        is_map = isinstance(schema.get("additionalProperties"), dict)
        expected = self._expected(schema, owner, "map[string]string" if is_map else f"v1.{owner}")

        def compile_fields() -> Fields:
            return self._fields(schema, owner)

        nullable = self._nullable(schema)
        return ObjectShape(self._messages, expected, nullable, schema, compile_fields)

    def _fields(self, schema: Schema, owner: str) -> Fields:
        parts = schema.get("properties") or {}
        if schema.get("x-kubernetes-embedded-resource"):
            parts = {**parts, "apiVersion": {}, "kind": {}, "metadata": parts.get("metadata") or {}}
        shapes = {name: self.compile(part, owner) for name, part in parts.items()}
        plain = {name: shape.plain for name, shape in shapes.items() if shape.plain is not None}
        values = schema.get("additionalProperties")
        additional = self.compile(values, owner) if isinstance(values, dict) else None
        required: tuple[str, ...] = ()
        if not self._with_rules:
            # A missing number or boolean is its zero value; the kind's rules say whether that does.
            names = (name for name in schema.get("required") or () if name in parts)
            required = tuple(name for name in names if _has_no_zero(parts[name]))
        return Fields(shapes, plain, required, additional, additional.plain if additional else None)


def _has_no_zero(schema: Schema) -> bool:
    return resolve(schema).get("type") in ("string", "object", "array")


BUILT_IN = Compiler(DECODER, with_rules=False)
CUSTOM = Compiler(OPENAPI, with_rules=True)
