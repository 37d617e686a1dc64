"""What a schema finds wrong with a value, in two sets of messages.

Built-in kinds answer in the words of Go's decoder, which names the innermost type and the path;
custom kinds answer in the words of OpenAPI validation:

>>> DECODER.wrong_type(Expected("Spec", "int32"), "three", "spec.replicas").detail
'json: cannot unmarshal string into Go struct field Spec.spec.replicas of type int32'
>>> OPENAPI.wrong_type(Expected("", "integer"), "three", "spec.size").detail
'spec.size in body must be of type integer: "string"'

Source: sigs.k8s.io/json (UnmarshalTypeError); k8s.io/kube-openapi/pkg/validation/errors.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from kubesim.apiserver.validation import FieldErrors

WIDTHS = {"int32": 2**31, "int64": 2**63}


class Fault(NamedTuple):
    """One thing that is wrong.

    Attributes:
        path: of the field.
        value: the value of the field, as the message shows it; None of a missing field.
        detail: the message; "" says that the field is missing.
        reason: ``invalid``, ``required``, ``not_supported``, ``too_long``, ``too_many`` or
            ``duplicate``.
        limit: the most that is allowed (``too_long``, ``too_many``).
        allowed: the values that are allowed (``not_supported``).
    """

    path: str
    value: object
    detail: str = ""
    reason: str = "invalid"
    limit: int = 0
    allowed: tuple[str, ...] = ()

    def report(self, errors: FieldErrors) -> None:
        """Add the fault to the errors of an object."""
        match self.reason:
            case "required":
                errors.required(self.path, self.detail)
            case "not_supported":
                errors.not_supported(self.path, self.value, self.allowed)
            case "too_long":
                errors.too_long(self.path, self.limit)
            case "too_many" if isinstance(self.value, int):
                errors.too_many(self.path, self.value, self.limit)
            case "duplicate":
                errors.duplicate(self.path, self.value)
            case _:
                errors.invalid(self.path, self.value, self.detail)


class Expected(NamedTuple):
    """The expected type, as named in messages.

    Attributes:
        owner: short name of the Go type whose field it is.
        type: the Go type, or the type of OpenAPI.
    """

    owner: str
    type: str


class Messages(NamedTuple):
    """How faults are worded, and what null means.

    Attributes:
        wrong_type: makes the fault of a value of another type.
        null_is_absent: whether null is allowed everywhere and means absent.
    """

    wrong_type: Callable[[Expected, object, str], Fault]
    null_is_absent: bool


def type_of(value: object) -> str:
    """Return the name that JSON has for the type of a value."""
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


def _decoder_message(expected: Expected, value: object, path: str) -> Fault:
    match value:
        case bool():
            kind = "bool"
        case int() | float():
            kind = f"number {value}" if expected.type in WIDTHS else "number"
        case _:
            kind = type_of(value)
    where = re.sub(r"\[\d+\]", "", path)
    into = f"Go struct field {expected.owner}.{where}"
    return Fault(path, value, f"json: cannot unmarshal {kind} into {into} of type {expected.type}")


def _openapi_message(expected: Expected, value: object, path: str) -> Fault:
    kind = type_of(value)
    detail = f'{path} in body must be of type {expected.type}: "{kind}"'
    return Fault(path, kind, detail)


DECODER = Messages(_decoder_message, null_is_absent=True)
OPENAPI = Messages(_openapi_message, null_is_absent=False)


def join(path: str, name: str) -> str:
    """Return the path of a field."""
    return f"{path}.{name}" if path else name


def step(path: str, name: str) -> str:
    """Return the path of an entry of a map."""
    return f"{path}[{name}]" if path else name
