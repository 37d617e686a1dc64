"""Compiled schemas: one object for each field of a type, which checks the values of the field.

`Shape.fits` answers quickly and keeps no paths, since nearly every value fits; `Shape.faults` finds
out what is wrong where one does not. `Shape.has_no_unknown_fields` and `Shape.unknown` do the same
for fields that a type does not have.

A shape of an object compiles the shapes of its fields at its first use. Until then they do not
exist, so a type may hold itself (JSONSchemaProps) and a server compiles only what its clients send.
Many threads may use a shape for the first time at once: each makes the same fields, complete, and
publishes them with one assignment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import isfinite
from re import Pattern
from typing import NamedTuple

from kubesim.apiserver.schema.data import Schema
from kubesim.apiserver.schema.faults import Expected, Fault, Messages, join, step

OPEN = "x-kubernetes-preserve-unknown-fields"


class Shape:
    """Accepts any value.

    Args:
        messages: how faults are worded.
        expected: the expected type, as named in messages.
        nullable: whether null is allowed.
    """

    __slots__ = ("expected", "messages", "nullable")
    plain: type | None = None
    """The one Python type whose values all fit."""

    def __init__(self, messages: Messages, expected: Expected, nullable: bool) -> None:
        self.messages = messages
        self.expected = expected
        self.nullable = nullable

    def accepts(self, value: object) -> bool:
        """Return whether a value is of the type, whatever it holds."""
        return True

    def fits(self, value: object) -> bool:
        """Return whether a value has no faults."""
        return True

    def faults(self, value: object, path: str) -> Iterator[Fault]:
        """Yield everything that is wrong with a value, in its order."""
        if value is None and self.nullable:
            return
        if self.accepts(value):
            yield from self.inner_faults(value, path)
        else:
            yield self.messages.wrong_type(self.expected, value, path)

    def inner_faults(self, value: object, path: str) -> Iterator[Fault]:
        """Yield what is wrong inside a value of the type."""
        yield from ()

    def has_no_unknown_fields(self, value: object) -> bool:
        """Return whether the type has every field of a value, at any depth."""
        return True

    def unknown(self, value: object, path: str) -> Iterator[str]:
        """Yield the paths of the fields that the type does not have."""
        yield from ()


class Atom(Shape):
    """Accepts a plain value of certain Python types.

    Args:
        types: the Python types of the value.
    """

    __slots__ = ("plain", "types")

    def __init__(
        self, messages: Messages, expected: Expected, nullable: bool, types: tuple[type, ...]
    ) -> None:
        super().__init__(messages, expected, nullable)
        self.types = frozenset(types)
        self.plain = types[0] if len(types) == 1 else None

    def accepts(self, value: object) -> bool:
        """Return whether the value is of one of the types."""
        return type(value) in self.types

    def fits(self, value: object) -> bool:
        """Return whether the value is of one of the types, or null where null is allowed."""
        return type(value) in self.types or (value is None and self.nullable)


class Whole(Shape):
    """A place for a whole number; 3.0 is one in JSON.

    Args:
        limit: numbers from -limit on, below limit, are taken; None: all.
    """

    __slots__ = ("limit",)

    def __init__(
        self, messages: Messages, expected: Expected, nullable: bool, limit: int | None
    ) -> None:
        super().__init__(messages, expected, nullable)
        self.limit = limit

    def accepts(self, value: object) -> bool:
        """Return whether the value is a whole number within the limits."""
        if type(value) is float and isfinite(value) and value.is_integer():
            value = int(value)
        return type(value) is int and (self.limit is None or -self.limit <= value < self.limit)

    def fits(self, value: object) -> bool:
        """Return whether the value is a whole number within the limits, or null where allowed."""
        return self.accepts(value) or (value is None and self.nullable)


class Parsed(Shape):
    """A place for text that the decoder parses, so that malformed text cannot be decoded.

    Args:
        pattern: of well-formed text.
        parse_error: returns what is wrong with a text that does not match the pattern, or "".
        numbers: whether numbers are accepted, too, as quantities may be.
    """

    __slots__ = ("numbers", "parse_error", "pattern")

    def __init__(
        self,
        messages: Messages,
        expected: Expected,
        nullable: bool,
        pattern: Pattern[str],
        parse_error: Callable[[str], str],
        numbers: bool,
    ) -> None:
        super().__init__(messages, expected, nullable)
        self.pattern = pattern
        self.parse_error = parse_error
        self.numbers = numbers

    def accepts(self, value: object) -> bool:
        """Return whether the value is text, or a number where numbers are accepted."""
        return type(value) is str or (self.numbers and type(value) in (int, float))

    def fits(self, value: object) -> bool:
        """Return whether the value is well-formed text, an accepted number, or null."""
        if type(value) is float:
            value = str(value)  # not each float is a quantity: 1e+100
        elif type(value) is not str:
            return self.accepts(value) or (value is None and self.nullable)
        return self.pattern.fullmatch(value) is not None or not self.parse_error(value)

    def inner_faults(self, value: object, path: str) -> Iterator[Fault]:
        """Yield what the parser says of malformed text, or of a number that is none of its own."""
        if type(value) in (str, float) and (error := self.parse_error(str(value))):
            yield Fault(path, value, error)


class Fields(NamedTuple):
    """The compiled parts of an object.

    Attributes:
        shapes: of the fields by name.
        plain: name -> the Python type whose values need no check; most fields have one.
        required: names of the fields that must be there.
        additional: of the entries of a map; None: other fields are unknown to the type.
        additional_plain: the Python type whose values need no check in a map.
    """

    shapes: dict[str, Shape]
    plain: dict[str, type]
    required: tuple[str, ...]
    additional: Shape | None
    additional_plain: type | None


class ObjectShape(Shape):
    """Accepts an object: a type with fields, or a map.

    Args:
        schema: of the object.
        compile_fields: makes its parts, at first use.
    """

    __slots__ = ("_compile", "_fields", "_is_closed", "is_open")

    def __init__(
        self,
        messages: Messages,
        expected: Expected,
        nullable: bool,
        schema: Schema,
        compile_fields: Callable[[], Fields],
    ) -> None:
        super().__init__(messages, expected, nullable)
        additional = schema.get("additionalProperties")
        self.is_open = bool(schema.get(OPEN)) or (
            bool(additional) and not isinstance(additional, dict)
        )
        # A custom kind may hold more than its schema names where rules are combined (anyOf, not).
        self._is_closed = messages.null_is_absent and not self.is_open
        self._compile = compile_fields
        self._fields: Fields | None = None

    @property
    def fields(self) -> Fields:
        """The parts, compiled at first use."""
        fields = self._fields
        if fields is None:
            fields = self._fields = self._compile()
        return fields

    def accepts(self, value: object) -> bool:
        """Return whether the value is an object."""
        return isinstance(value, dict)

    def fits(self, value: object) -> bool:
        """Return whether the value is an object whose fields all fit.

        A field that the type does not have fits no built-in type: `pruning` removes it.
        """
        if not isinstance(value, dict):
            return value is None and self.nullable
        shapes, plain, required, additional, additional_plain = self._fields or self.fields
        for name, item in value.items():
            if type(item) is plain.get(name, additional_plain):
                continue  # most fields are plain: skip the call
            shape = shapes.get(name)
            if shape is not None:
                if item is not None and not shape.fits(item):
                    return False
            elif additional is not None:
                if not additional.fits(item):
                    return False
            elif self._is_closed:
                return False
        return not required or all(value.get(name) is not None for name in required)

    def inner_faults(self, value: object, path: str) -> Iterator[Fault]:
        """Yield the faults of each field, then the missing fields."""
        if not isinstance(value, dict):
            return
        fields = self.fields
        for name, item in value.items():
            shape = fields.shapes.get(name)
            if shape is not None:
                if item is not None:  # null is as good as absent
                    yield from shape.faults(item, join(path, name))
            elif fields.additional is not None:
                yield from fields.additional.faults(item, step(path, name))
        for name in fields.required:
            if value.get(name) is None:
                yield Fault(join(path, name), None, reason="required")

    def has_no_unknown_fields(self, value: object) -> bool:
        """Return whether the type has every field of an object, at any depth."""
        if not isinstance(value, dict):
            return True
        shapes, _, _, additional, _ = self._fields or self.fields
        for name, item in value.items():
            shape = shapes.get(name, additional)
            if shape is None:
                if not self.is_open:
                    return False
            elif isinstance(item, (dict, list)) and not shape.has_no_unknown_fields(item):
                return False
        return True

    def unknown(self, value: object, path: str) -> Iterator[str]:
        """Yield the fields that the type does not have, at any depth."""
        if not isinstance(value, dict):
            return
        fields = self.fields
        for name, item in value.items():
            shape = fields.shapes.get(name)
            if shape is not None:
                yield from shape.unknown(item, join(path, name))
            elif fields.additional is not None:
                yield from fields.additional.unknown(item, f"{path}[{name}]")
            elif not self.is_open:
                yield join(path, name)


class ArrayShape(Shape):
    """A place for a list.

    Args:
        items: of each item.
    """

    __slots__ = ("items",)

    def __init__(
        self, messages: Messages, expected: Expected, nullable: bool, items: Shape
    ) -> None:
        super().__init__(messages, expected, nullable)
        self.items = items

    def accepts(self, value: object) -> bool:
        """Return whether the value is a list."""
        return isinstance(value, list)

    def fits(self, value: object) -> bool:
        """Return whether the value is a list whose items all fit."""
        if not isinstance(value, list):
            return value is None and self.nullable
        items = self.items
        plain = items.plain
        if self.messages.null_is_absent and None in value:
            return False  # upstream takes an empty item, which hardly any rule accepts
        return all(type(item) is plain or items.fits(item) for item in value)

    def inner_faults(self, value: object, path: str) -> Iterator[Fault]:
        """Yield the faults of each item."""
        if isinstance(value, list):
            for index, item in enumerate(value):
                if item is None and self.messages.null_is_absent:
                    yield self.messages.wrong_type(self.items.expected, item, f"{path}[{index}]")
                else:
                    yield from self.items.faults(item, f"{path}[{index}]")

    def has_no_unknown_fields(self, value: object) -> bool:
        """Return whether the type of the items has every field of each."""
        return not isinstance(value, list) or all(map(self.items.has_no_unknown_fields, value))

    def unknown(self, value: object, path: str) -> Iterator[str]:
        """Yield the unknown fields of each item."""
        if isinstance(value, list):
            for index, item in enumerate(value):
                yield from self.items.unknown(item, f"{path}[{index}]")


class AnyType(Shape):
    """Accepts any type, since the schema names none; its parts check objects and lists.

    Args:
        parts: the shapes of an object and of a list, if the schema speaks of them.
    """

    __slots__ = ("parts",)

    def __init__(
        self, messages: Messages, expected: Expected, nullable: bool, parts: tuple[Shape, ...]
    ) -> None:
        super().__init__(messages, expected, nullable)
        self.parts = parts

    def fits(self, value: object) -> bool:
        """Return whether the part for values of this type fits."""
        return all(part.fits(value) for part in self.parts if part.accepts(value))

    def inner_faults(self, value: object, path: str) -> Iterator[Fault]:
        """Yield the faults that the part for values of this type finds."""
        for part in self.parts:
            if part.accepts(value):
                yield from part.inner_faults(value, path)

    def has_no_unknown_fields(self, value: object) -> bool:
        """Return whether the type of the items has every field of each; an object is open."""
        return all(
            part.has_no_unknown_fields(value) for part in self.parts if isinstance(part, ArrayShape)
        )

    def unknown(self, value: object, path: str) -> Iterator[str]:
        """Yield the unknown fields of the items of a list; an object without a type is open."""
        for part in self.parts:
            if isinstance(part, ArrayShape):
                yield from part.unknown(value, path)
