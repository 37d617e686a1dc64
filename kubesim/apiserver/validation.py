"""Validation: every broken rule of an object; the rules of metadata, the same for every kind.

`FieldErrors` holds the broken rules, each with the path of its field.

Source: k8s.io/apimachinery/pkg/util/validation/field (ErrorList) and its messages,
pkg/api/validation/objectmeta.go.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable
from fractions import Fraction
from typing import Any, TypeVar

from kubesim.errors import Cause
from kubesim.objects import meta
from kubesim.objects.frozen import Document
from kubesim.objects.wellknown import MAX_INT32
from kubesim.quantity import Amount

Number = TypeVar("Number", int, Fraction)
INVALID = "FieldValueInvalid"


def fill(holder: Document, field: str, value: object) -> None:
    """Set a field to its default if it is missing or null, or an empty string for a string.

    Args:
        holder: the object that has the field; it is changed.
        field: name of the field.
        value: the default.
    """
    if (old := holder.get(field)) is None or (old == "" and isinstance(value, str)):
        holder[field] = value


MUST_BE_STRING = "must be a string; quote it"
MAX_SHOWN = 200  # characters of a value that a message repeats
_HTML = (("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026"))  # what Go's JSON escapes


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

    def invalid(self, path: str, value: object, detail: str, reason: str = INVALID) -> None:
        """Add the error that a value breaks a rule.

        Args:
            path, value: of the field.
            detail, reason: the rule that it breaks, and the kind of rule.
        """
        self._add(path, reason, f"Invalid value: {_shown(value)}", detail)

    def not_supported(self, path: str, value: object, supported: Iterable[str]) -> None:
        """Add the error that a value is none of the supported ones.

        Args:
            path, value: of the field.
            supported: the allowed values.
        """
        names = ", ".join(json.dumps(name) for name in supported)
        detail = f"supported values: {names}"
        self._add(path, "FieldValueNotSupported", f"Unsupported value: {_shown(value)}", detail)

    def forbidden(self, path: str, detail: str) -> None:
        """Add the error that a field may not be set or changed."""
        self._add(path, "FieldValueForbidden", "Forbidden", detail)

    def not_found(self, path: str, value: object, detail: str = "") -> None:
        """Add the error that a value names nothing that exists.

        Args:
            path, value: of the field.
            detail: what could have been named.
        """
        self._add(path, "FieldValueNotFound", f"Not found: {_shown(value)}", detail)

    def duplicate(self, path: str, value: object) -> None:
        """Add the error that a value occurs more than once."""
        self._add(path, "FieldValueDuplicate", f"Duplicate value: {_shown(value)}", "")

    def too_long(self, path: str, limit: int) -> None:
        """Add the error that a value is too long."""
        detail = f"may not be more than {limit} bytes"
        self._add(path, "FieldValueTooLong", "Too long", detail)

    def too_many(self, path: str, count: int, limit: int) -> None:
        """Add the error that a list has too many items.

        Args:
            path: of the list.
            count, limit: number of its items, and the largest allowed one.
        """
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
            path, value: of the field.
            least, most: the smallest and the largest allowed value.
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
            path, value: of the field.
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
            path, value: of the field.
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
            path, value: of the field.
            parse: parses it, for example `parse_quantity`.
        """
        try:
            if parse(value) <= 0:
                self.invalid(path, value, "must be positive")
        except ValueError as error:
            self.invalid(path, value, str(error))


def _shown(value: object) -> str:
    """Return a value as a message shows it: what has parts as compact JSON, as since 1.34.

    Source: k8s.io/apimachinery/pkg/util/validation/field/errors.go (ErrorBody).
    """
    encoded = json.dumps(value, default=str, ensure_ascii=False, separators=(",", ":"))
    if not isinstance(value, str):
        for character, escape in _HTML:
            encoded = encoded.replace(character, escape)
    return encoded if len(encoded) <= MAX_SHOWN else encoded[:MAX_SHOWN] + "..."


# -- metadata --------------------------------------------------------------------------------------

MAX_ANNOTATIONS_BYTES = 256 * 1024  # TotalAnnotationSizeLimitB
SUBDOMAIN_RULE = meta.SUBDOMAIN_RULE
LABEL_RULE = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and "
    "must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used "
    "for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)


def validate_metadata(metadata: Document, errors: FieldErrors) -> None:
    """Report every broken rule of an object's metadata but those of its name."""
    if metadata.get("labels") is not None:
        validate_labels(metadata["labels"], "metadata.labels", errors)
    if metadata.get("annotations") is not None:
        validate_annotations(metadata["annotations"], "metadata.annotations", errors)
    if metadata.get("finalizers") is not None:
        _validate_finalizers(metadata["finalizers"], errors)
    if metadata.get("ownerReferences") is not None:
        _validate_owners(metadata["ownerReferences"], errors)


def validate_metadata_update(metadata: Document, old: Document, errors: FieldErrors) -> None:
    """Refuse new finalizers of an object that is being deleted.

    Args:
        metadata: of the new object.
        old: of the stored object.
        errors: receives the violations.
    """
    if "deletionTimestamp" not in old:
        return
    existing = old.get("finalizers") or []
    added = [name for name in metadata.get("finalizers") or [] if name not in existing]
    if added:
        rule = "no new finalizers can be added if the object is being deleted, found new finalizers"
        errors.forbidden("metadata.finalizers", f"{rule} {added}")


def validate_name(
    valid_name: Callable[[str], object], rule: str, metadata: Document, errors: FieldErrors
) -> None:
    """Report what is wrong with the name of a new object.

    Args:
        valid_name, rule: of the kind: whether a name is valid, and the same as a message.
        metadata: of the object.
        errors: receives the violations.
    """
    base = metadata.get("generateName")
    if base is not None and not isinstance(base, str):
        errors.invalid("metadata.generateName", base, "must be a string")
    elif base and not valid_name(base.rstrip("-") or "-"):
        # The suffix follows, so that a '-' at the end does no harm.
        errors.invalid("metadata.generateName", base, rule)
    name = metadata.get("name")
    if not name:
        errors.required("metadata.name", "name or generateName is required")
    elif not isinstance(name, str) or not valid_name(name):
        if isinstance(name, str) and len(name) > meta.MAX_NAME:
            errors.invalid("metadata.name", name, meta.at_most(meta.MAX_NAME))
        else:
            errors.invalid("metadata.name", name, rule)


label_key_error, label_value_error = meta.label_key_error, meta.label_value_error


def validate_labels(labels: Any, path: str, errors: FieldErrors) -> None:
    """Validate the labels of an object or of a template.

    Args:
        labels: key -> value.
        path: path of the field.
        errors: collects the errors.
    """
    for key, value in errors.mapping(path, labels).items():
        if message := label_key_error(key):
            errors.invalid(path, key, message)
        if not isinstance(value, str):
            errors.invalid(f"{path}[{key}]", value, MUST_BE_STRING)
        elif len(value) > meta.MAX_LABEL or meta.LABEL_VALUE.fullmatch(value) is None:
            errors.invalid(path, value, label_value_error(value))


def validate_annotations(annotations: Any, path: str, errors: FieldErrors) -> None:
    """Validate the annotations of an object or of a template.

    Args:
        annotations, path: key -> value, and the path of the field.
        errors: collects the errors.
    """
    size = 0
    for key, value in errors.mapping(path, annotations).items():
        if message := label_key_error(key.lower()):
            errors.invalid(path, key, message)
        if not isinstance(value, str):
            errors.invalid(f"{path}[{key}]", value, MUST_BE_STRING)
        else:
            size += len(key.encode()) + len(value.encode())
    if size > MAX_ANNOTATIONS_BYTES:
        errors.too_long(path, MAX_ANNOTATIONS_BYTES)


def _validate_finalizers(finalizers: Any, errors: FieldErrors) -> None:
    if not isinstance(finalizers, list):
        errors.invalid("metadata.finalizers", finalizers, "must be a list of strings")
        return
    for name in finalizers:
        message = label_key_error(name) if isinstance(name, str) else "must be a string"
        if message:
            errors.invalid("metadata.finalizers", name, message)


def _validate_owners(owners: Any, errors: FieldErrors) -> None:
    path = "metadata.ownerReferences"
    controllers = []
    for _, owner in errors.items(path, owners):
        for field in ("apiVersion", "kind", "name", "uid"):
            if not owner.get(field):
                errors.invalid(f"{path}.{field}", owner.get(field) or "", "must not be empty")
        if (owner.get("apiVersion"), owner.get("kind")) == ("v1", "Event"):
            errors.invalid(path, owner, "/v1, Kind=Event is disallowed from being an owner")
        if owner.get("controller") is True:
            controllers.append(str(owner.get("name")))
    if len(controllers) > 1:
        rule = 'Only one reference can have Controller set to true. Found "true" in references for'
        errors.invalid(path, owners, f"{rule} {' and '.join(controllers)}")
