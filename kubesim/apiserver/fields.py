"""FieldErrors: collects every broken rule of an object, each with the path of its field.

Source: k8s.io/apimachinery/pkg/util/validation/field (ErrorList) and its messages.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable
from fractions import Fraction
from typing import TypeVar

from kubesim.errors import Cause
from kubesim.objects.frozen import Document
from kubesim.objects.wellknown import MAX_INT32
from kubesim.quantity import Amount

Number = TypeVar("Number", int, Fraction)


def fill(holder: Document, field: str, value: object) -> None:
    """Set a field to its default if it is missing or null.

    Args:
        holder: the object that has the field; it is changed.
        field: name of the field.
        value: the default.
    """
    if holder.get(field) is None:
        holder[field] = value


MUST_BE_STRING = "must be a string; quote it"

MAX_SHOWN = 200  # characters of a value that a message repeats


class FieldErrors:
    """The list of field errors that validation adds to.

    Attributes:
        causes: the errors so far.
    """

    def __init__(self) -> None:
        self.causes: list[Cause] = []

    def required(self, path: str, detail: str = "") -> None:
        """Add the error that a field is missing."""
        self._add(path, "FieldValueRequired", "Required value", detail)

    def invalid(self, path: str, value: object, detail: str) -> None:
        """Add the error that a value breaks a rule."""
        self._add(path, "FieldValueInvalid", f"Invalid value: {_shown(value)}", detail)

    def not_supported(self, path: str, value: object, supported: Iterable[str]) -> None:
        """Add the error that a value is none of the supported ones."""
        known = ", ".join(json.dumps(name) for name in supported)
        detail = f"supported values: {known}"
        self._add(path, "FieldValueNotSupported", f"Unsupported value: {_shown(value)}", detail)

    def forbidden(self, path: str, detail: str) -> None:
        """Add the error that a field may not be set or changed."""
        self._add(path, "FieldValueForbidden", "Forbidden", detail)

    def duplicate(self, path: str, value: object) -> None:
        """Add the error that a value occurs more than once."""
        self._add(path, "FieldValueDuplicate", f"Duplicate value: {_shown(value)}", "")

    def too_long(self, path: str, limit: int) -> None:
        """Add the error that a value is too long."""
        detail = f"may not be more than {limit} bytes"
        self._add(path, "FieldValueTooLong", "Too long", detail)

    def too_many(self, path: str, count: int, limit: int) -> None:
        """Add the error that a list has too many items."""
        detail = f"must have at most {limit} items"
        self._add(path, "FieldValueTooMany", f"Too many: {count}", detail)

    def _add(self, path: str, reason: str, head: str, detail: str) -> None:
        self.causes.append(Cause(path, reason, f"{head}: {detail}" if detail else head))

    # -- rules that several kinds share ---------------------------------------------------------

    def whole_number(
        self, path: str, value: object, least: int = 0, most: int = MAX_INT32, rule: str = ""
    ) -> bool:
        """Check an integer within bounds.

        Args:
            path: path of the field.
            value: its value.
            least: the smallest allowed value.
            most: the largest allowed value.
            rule: the message for a smaller value; "": "must be greater than or equal to `least`".

        Returns:
            Whether the value is an integer within the bounds.
        """
        if isinstance(value, bool) or not isinstance(value, int):
            self.invalid(path, value, "must be a whole number")
            return False
        if value < least:
            self.invalid(path, value, rule or f"must be greater than or equal to {least}")
            return False
        if value > most:
            self.invalid(path, value, f"must be less than or equal to {most}")
            return False
        return True

    def mapping(self, path: str, value: object) -> Document:
        """Return a value that must be an object; on failure record an error and return {}."""
        if value is None:
            return {}
        if isinstance(value, dict):
            return value
        self.invalid(path, value, "must be an object")
        return {}

    def items(self, path: str, value: object) -> list[tuple[str, Document]]:
        """Return (path, object) for each item of a list; record an error for other items."""
        if value is None:
            return []
        if not isinstance(value, list):
            self.invalid(path, value, "must be a list")
            return []
        objects = []
        for index, item in enumerate(value):
            if isinstance(item, dict) or item is None:
                objects.append((f"{path}[{index}]", item or {}))
            else:
                self.invalid(f"{path}[{index}]", item, "must be an object")
        return objects

    def strings(self, path: str, value: object) -> None:
        """Check an object whose values must be strings."""
        for key, item in self.mapping(path, value).items():
            if not isinstance(item, str):
                self.invalid(f"{path}[{key}]", item, MUST_BE_STRING)

    def boolean(self, path: str, value: object) -> None:
        """Check an optional boolean."""
        if value is not None and not isinstance(value, bool):
            self.invalid(path, value, "must be true or false")

    def one_of(self, path: str, value: object, supported: Collection[str]) -> bool:
        """Check a value out of a fixed set.

        Args:
            path: path of the field.
            value: its value.
            supported: the allowed values, in the order of the message.

        Returns:
            Whether the value is one of them.
        """
        if value in supported:
            return True
        self.not_supported(path, value, supported)
        return False

    def quantity(
        self, path: str, value: Amount, parse: Callable[[Amount], Number]
    ) -> Number | None:
        """Parse a non-negative quantity; on failure record an error and return None.

        Args:
            path: path of the field.
            value: its value.
            parse: parses it, for example `parse_memory`.
        """
        try:
            parsed = parse(value)
        except ValueError as error:
            self.invalid(path, value, str(error))
            return None
        if parsed < 0:
            self.invalid(path, value, "must be greater than or equal to 0")
            return None
        return parsed

    def positive_quantity(
        self, path: str, value: Amount, parse: Callable[[Amount], Number]
    ) -> None:
        """Check a quantity that must be greater than 0.

        Args:
            path: path of the field.
            value: its value.
            parse: parses it, for example `parse_quantity`.
        """
        try:
            if parse(value) <= 0:
                self.invalid(path, value, "must be positive")
        except ValueError as error:
            self.invalid(path, value, str(error))


def _shown(value: object) -> str:
    encoded = json.dumps(value, default=str)
    return encoded if len(encoded) <= MAX_SHOWN else encoded[:MAX_SHOWN] + "..."
