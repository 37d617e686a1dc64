"""Collecting field errors: every broken rule of an object, each with its path.

Source: k8s.io/apimachinery/pkg/util/validation/field (ErrorList) and its messages.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from kubesim.errors import Cause
from kubesim.objects.wellknown import MAX_INT32


def fill(holder: dict[str, Any], field: str, value: Any) -> None:
    """Give a field a default if the client left it out, or wrote null."""
    if holder.get(field) is None:
        holder[field] = value


class FieldErrors:
    """A list of field errors that validation adds to."""

    def __init__(self) -> None:
        self.causes: list[Cause] = []

    def required(self, path: str, detail: str = "") -> None:
        """A field is missing."""
        self._add(path, "FieldValueRequired", "Required value", detail)

    def invalid(self, path: str, value: Any, detail: str) -> None:
        """A field has a value that breaks a rule."""
        self._add(path, "FieldValueInvalid", f"Invalid value: {_shown(value)}", detail)

    def not_supported(self, path: str, value: Any, supported: Iterable[str]) -> None:
        """A field has a value outside a fixed set."""
        known = ", ".join(json.dumps(name) for name in supported)
        detail = f"supported values: {known}"
        self._add(path, "FieldValueNotSupported", f"Unsupported value: {_shown(value)}", detail)

    def forbidden(self, path: str, detail: str) -> None:
        """A field may not be set, or not be changed."""
        self._add(path, "FieldValueForbidden", "Forbidden", detail)

    def duplicate(self, path: str, value: Any) -> None:
        """A value occurs twice where it may occur once."""
        self._add(path, "FieldValueDuplicate", f"Duplicate value: {_shown(value)}", "")

    def too_long(self, path: str, limit: int) -> None:
        """A value is longer than allowed."""
        detail = f"may not be more than {limit} bytes"
        self._add(path, "FieldValueTooLong", "Too long", detail)

    def too_many(self, path: str, count: int, limit: int) -> None:
        """A list is longer than allowed."""
        detail = f"must have at most {limit} items"
        self._add(path, "FieldValueTooMany", f"Too many: {count}", detail)

    def _add(self, path: str, reason: str, head: str, detail: str) -> None:
        self.causes.append(Cause(path, reason, f"{head}: {detail}" if detail else head))

    # -- rules that several kinds share ---------------------------------------------------------

    def whole_number(
        self, path: str, value: Any, least: int = 0, most: int = MAX_INT32, rule: str = ""
    ) -> bool:
        """Check a whole number within bounds; True if it is one.

        Args:
            path, value: the field.
            least, most: the bounds, both allowed.
            rule: what to say of a smaller one; "": that it must not be smaller than `least`.
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

    def mapping(self, path: str, value: Any) -> dict[str, Any]:
        """The value if it is an object; else an error, and an empty one to go on with."""
        if value is None:
            return {}
        if isinstance(value, dict):
            return value
        self.invalid(path, value, "must be an object")
        return {}

    def items(self, path: str, value: Any) -> list[tuple[str, dict[str, Any]]]:
        """(path, object) of each item of a list of objects; errors for what is none."""
        if value is None:
            return []
        if not isinstance(value, list):
            self.invalid(path, value, "must be a list")
            return []
        found = []
        for index, item in enumerate(value):
            if isinstance(item, dict) or item is None:
                found.append((f"{path}[{index}]", item or {}))
            else:
                self.invalid(f"{path}[{index}]", item, "must be an object")
        return found

    def texts(self, path: str, value: Any) -> None:
        """Check an object whose values are all texts."""
        for key, item in self.mapping(path, value).items():
            if not isinstance(item, str):
                self.invalid(f"{path}[{key}]", item, "must be a text: put it in quotes")

    def quantity(self, path: str, value: Any, parse: Callable[[Any], Any]) -> Any:
        """The parsed, not negative value of a quantity; None and an error if it is none."""
        try:
            parsed = parse(value)
        except ValueError as error:
            self.invalid(path, value, str(error))
            return None
        if parsed < 0:
            self.invalid(path, value, "must be greater than or equal to 0")
            return None
        return parsed

    def positive_quantity(self, path: str, value: Any, parse: Callable[[Any], Any]) -> None:
        """Check a quantity that must be more than nothing."""
        try:
            if parse(value) <= 0:
                self.invalid(path, value, "must be positive")
        except ValueError as error:
            self.invalid(path, value, str(error))


def _shown(value: Any) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 200 else text[:200] + "..."
