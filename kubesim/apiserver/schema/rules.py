"""The rules of custom kinds beyond types: bounds, lengths, patterns, enums, sets, combinations.

`rules_of` turns a schema into functions, once; each yields the faults of a value. Pure.

Source: k8s.io/kube-openapi/pkg/validation (errors/schema.go has the messages).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

from kubesim.apiserver.schema.data import Schema
from kubesim.apiserver.schema.faults import Fault, join
from kubesim.apiserver.schema.re2 import compile_pattern
from kubesim.apiserver.schema.shapes import Shape
from kubesim.apiserver.stringformats import is_well_formed

Compile = Callable[[Schema], Shape]
Rule = Callable[[object, str], Iterator[Fault]]
"""rule(value, path): what is wrong with a value of the right type."""
Rules = tuple[Rule, ...]


class Ruled(Shape):
    """A place with rules beyond its type.

    Args:
        shape: the type.
        before, after: the rules that report before the parts of the value, and after them.
    """

    __slots__ = ("_after", "_before", "_shape")

    def __init__(self, shape: Shape, before: tuple[Rule, ...], after: tuple[Rule, ...]) -> None:
        super().__init__(shape.messages, shape.expected, shape.nullable)
        self._shape = shape
        self._before = before
        self._after = after

    def accepts(self, value: object) -> bool:
        """Return whether the value is of the type."""
        return self._shape.accepts(value)

    def fits(self, value: object) -> bool:
        """Return whether the value is of the type, its parts fit and it breaks no rule."""
        if value is None and self.nullable:
            return True
        if not self._shape.fits(value):
            return False
        return not any(
            True for rules in (self._before, self._after) for rule in rules for _ in rule(value, "")
        )

    def inner_faults(self, value: object, path: str) -> Iterator[Fault]:
        """Yield the broken rules and the faults of the parts."""
        for rule in self._before:
            yield from rule(value, path)
        yield from self._shape.inner_faults(value, path)
        for rule in self._after:
            yield from rule(value, path)

    def has_no_unknown_fields(self, value: object) -> bool:
        """Return whether the type has every field of the value."""
        return self._shape.has_no_unknown_fields(value)

    def unknown(self, value: object, path: str) -> Iterator[str]:
        """Yield the unknown fields of the value."""
        yield from self._shape.unknown(value, path)


def rules_of(schema: Schema, compile_part: Compile) -> tuple[Rules, Rules]:
    """Return the rules that report before the parts of a value, and those that report after them.

    Args:
        schema: of a custom kind, or a part of one.
        compile_part: compiles the schemas inside ``allOf``, ``anyOf``, ``oneOf`` and ``not``.
    """
    before = [
        make(schema)
        for keys, make in (
            (("enum",), _enum),
            (("minLength", "maxLength", "pattern"), _string),
            (("format",), _format),
            (("minimum", "maximum", "multipleOf"), _number),
            (("minItems", "maxItems"), _array),
            (("x-kubernetes-embedded-resource",), _embedded),
            (("required", "minProperties", "maxProperties"), _object),
        )
        if any(schema.get(key) is not None for key in keys)
    ]
    after = [_no_duplicates(schema)] if schema.get(LIST_TYPE) in ("map", "set") else []
    after += [_all_of(list(map(compile_part, schema["allOf"])))] if schema.get("allOf") else []
    for name, holds, message in COUNTED:
        if schema.get(name):
            after.append(_counted(list(map(compile_part, schema[name])), holds, message))
    if schema.get("not"):
        after.append(_not(compile_part(schema["not"])))
    return tuple(before), tuple(after)


LIST_TYPE = "x-kubernetes-list-type"
COUNTED: list[tuple[str, Callable[[int], bool], str]] = [
    ("anyOf", lambda n: n > 0, "must validate at least one schema (anyOf)"),
    ("oneOf", lambda n: n == 1, "must validate one and only one schema (oneOf). {}"),
]
NO_PATH = "<nil>"
"""Where a broken combination is reported: its message has the path, its cause has none."""


def _compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), sort_keys=True)


def _enum(schema: Schema) -> Rule:
    values: list[object] = schema["enum"]
    allowed = tuple(value if isinstance(value, str) else _compact(value) for value in values)

    def rule(value: object, path: str) -> Iterator[Fault]:
        if value not in values:
            yield Fault(path, value, reason="not_supported", allowed=allowed)

    return rule


def _string(schema: Schema) -> Rule:
    least, most, pattern = (schema.get(key) for key in ("minLength", "maxLength", "pattern"))
    matches = compile_pattern(pattern).search if pattern is not None else None

    def rule(value: object, path: str) -> Iterator[Fault]:
        if not isinstance(value, str):
            return
        if most is not None and len(value) > most:  # the first broken rule alone is reported
            yield Fault(path, value, reason="too_long", limit=most)
        elif least is not None and len(value) < least:
            yield Fault(path, value, f"{path} in body should be at least {least} chars long")
        elif matches is not None and not matches(value):
            yield Fault(path, value, f"{path} in body should match '{pattern}'")

    return rule


def _format(schema: Schema) -> Rule:
    name, is_string = str(schema["format"]), schema.get("type") in (None, "", "string")

    def rule(value: object, path: str) -> Iterator[Fault]:
        if is_string and isinstance(value, str) and not is_well_formed(name, value):
            detail = f"{path} in body must be of type {name}: {json.dumps(value)}"
            yield Fault(path, value, detail, reason="type_invalid")

    return rule


def _number(schema: Schema) -> Rule:
    least, most, divisor = (schema.get(key) for key in ("minimum", "maximum", "multipleOf"))
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")

    def rule(value: object, path: str) -> Iterator[Fault]:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return
        if least is not None and (value < least or (above and value == least)):
            words = "greater than" if above else "greater than or equal to"
            yield Fault(path, value, f"{path} in body should be {words} {least}")
        if most is not None and (value > most or (below and value == most)):
            words = "less than" if below else "less than or equal to"
            yield Fault(path, value, f"{path} in body should be {words} {most}")
        if divisor and (value / divisor) % 1:
            yield Fault(path, value, f"{path} in body should be a multiple of {divisor}")

    return rule


def _array(schema: Schema) -> Rule:
    least, most = schema.get("minItems"), schema.get("maxItems")

    def rule(value: object, path: str) -> Iterator[Fault]:
        if not isinstance(value, list):
            return
        if least is not None and len(value) < least:
            words = f"{path} in body should have at least {least} items"
            yield Fault(path, len(value), words)
        if most is not None and len(value) > most:
            yield Fault(path, len(value), reason="too_many", limit=most)

    return rule


def _object(schema: Schema) -> Rule:
    required = tuple(schema.get("required") or ())
    least, most = schema.get("minProperties"), schema.get("maxProperties")

    def rule(value: object, path: str) -> Iterator[Fault]:
        if not isinstance(value, dict):
            return
        for name in required:
            if name not in value:
                yield Fault(join(path, name), None, reason="required")
        if least is not None and len(value) < least:
            words = f"{path} in body should have at least {least} properties"
            yield Fault(path, len(value), words)
        if most is not None and len(value) > most:
            yield Fault(path, len(value), reason="too_many", limit=most)

    return rule


def _embedded(schema: Schema) -> Rule:
    """Return the rule that an embedded object says of which kind it is.

    Source: k8s.io/apiextensions-apiserver/pkg/apiserver/schema/objectmeta/validation.go.
    """

    def rule(value: object, path: str) -> Iterator[Fault]:
        if not isinstance(value, dict):
            return
        for field in ("apiVersion", "kind"):
            text, place = value.get(field), join(path, field)
            if field not in value:
                yield Fault(place, None, "must not be empty", reason="required")
            elif not isinstance(text, str):
                yield Fault(place, text, "must be a string")
            elif not text:
                yield Fault(place, text, "must not be empty")
            elif field == "apiVersion" and text.count("/") > 1:
                yield Fault(place, text, f"unexpected GroupVersion string: {text}")

    return rule


def _no_duplicates(schema: Schema) -> Rule:
    keys = tuple(schema.get("x-kubernetes-list-map-keys") or ())
    is_map = schema[LIST_TYPE] == "map"

    def rule(value: object, path: str) -> Iterator[Fault]:
        identities = set()
        for index, item in enumerate(value if isinstance(value, list) else ()):
            if is_map and not isinstance(item, dict):
                continue
            identity = {key: item.get(key) for key in keys} if is_map else item
            key = json.dumps(identity, sort_keys=True)
            if key in identities:
                yield Fault(f"{path}[{index}]", identity, reason="duplicate")
            identities.add(key)

    return rule


# -- combinations ----------------------------------------------------------------------------------


def _all_of(parts: list[Shape]) -> Rule:
    def rule(value: object, path: str) -> Iterator[Fault]:
        faults = [list(part.faults(value, path)) for part in parts]
        for of_part in faults:
            yield from of_part
        if any(faults):
            none = ". None validated" if all(faults) else ""
            yield Fault(NO_PATH, "", f'"{path}" must validate all the schemas (allOf){none}')

    return rule


def _counted(parts: list[Shape], holds: Callable[[int], bool], message: str) -> Rule:
    def rule(value: object, path: str) -> Iterator[Fault]:
        count = sum(part.fits(value) for part in parts)
        if holds(count):
            return
        number = f"Found {count} valid alternatives" if count else "Found none valid"
        yield Fault(NO_PATH, "", f'"{path}" {message.format(number)}')
        if not count:  # upstream: the faults of the schema of which most was checked
            yield from parts[0].faults(value, path)

    return rule


def _not(part: Shape) -> Rule:
    def rule(value: object, path: str) -> Iterator[Fault]:
        if part.fits(value):
            yield Fault(NO_PATH, "", f'"{path}" must not validate the schema (not)')

    return rule
