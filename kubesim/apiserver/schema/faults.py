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

QUANTITY_TYPE, TIME_TYPE = "resource.Quantity", "v1.Time"
QUANTITY_FORMAT = (
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
)
WIDTHS = {"int32": 2**31, "int64": 2**63}


class Fault(NamedTuple):
    """One thing that is wrong.

    Attributes:
        path: of the field.
        value: the value of the field, as the message shows it; None of a missing field.
        detail: the message; "" says that the field is missing.
        reason: ``invalid``, ``type_invalid``, ``required``, ``not_supported``, ``too_long``,
            ``too_many`` or ``duplicate``.
        limit: the most that is allowed (``too_long``, ``too_many``).
        allowed: the values that are allowed (``not_supported``).
        go_type: the Go type that the value should have; "": another fault.
    """

    path: str
    value: object
    detail: str = ""
    reason: str = "invalid"
    limit: int = 0
    allowed: tuple[str, ...] = ()
    go_type: str = ""

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
            case "type_invalid":
                errors.invalid(self.path, self.value, self.detail, "FieldValueTypeInvalid")
            case _:
                errors.invalid(self.path, self.value, self.detail)


class Expected(NamedTuple):
    """The expected type, as named in messages.

    Attributes:
        owner: short name of the Go type whose field it is.
        type: the Go type, or the type of OpenAPI.
        is_time: it decodes itself from a string.
    """

    owner: str
    type: str
    is_time: bool = False


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
    if expected.type == QUANTITY_TYPE:
        return Fault(path, value, QUANTITY_FORMAT, go_type=QUANTITY_TYPE)
    match value:
        case bool():
            kind = "bool"
        case int() | float():
            kind = f"number {value}" if expected.type in WIDTHS else "number"
        case _:
            kind = type_of(value)
    where = re.sub(r"\[.*?\]", "", path)
    into = f"Go struct field {expected.owner}.{where}"
    detail = f"json: cannot unmarshal {kind} into {into} of type {expected.type}"
    return Fault(path, value, detail, go_type=TIME_TYPE if expected.is_time else expected.type)


def _openapi_message(expected: Expected, value: object, path: str) -> Fault:
    kind, limit = type_of(value), WIDTHS["int64"]
    if isinstance(value, int) and not -limit <= value < limit:
        kind = "number"  # Go reads it as one
    detail = f'{path} in body must be of type {expected.type}: "{kind}"'
    return Fault(path, kind, detail, reason="type_invalid")


DECODER = Messages(_decoder_message, null_is_absent=True)
OPENAPI = Messages(_openapi_message, null_is_absent=False)


# -- text that the decoder parses ------------------------------------------------------------------

_NUMBER = r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)"
QUANTITY = re.compile(  # of at most 40 characters: more than any quantity needs
    r"(?=.{0,40}\Z)" + _NUMBER + r"([eE][+-]?[0-9]{1,2}|[numkMGTPE]|[KMGTPE]i)?", re.ASCII
)
_QUANTITY_PARTS = re.compile(r"[+-]?[0-9.]+[eEinumkKMGTP]*[-+]?[0-9]*", re.ASCII)
_QUANTITY_NUMBER = re.compile(_NUMBER + r"([^0-9.].*)?", re.ASCII)


def quantity_error(text: str) -> str:
    """Return what is wrong with a quantity, or "".

    >>> quantity_error("100m"), quantity_error("1Mb") == QUANTITY_FORMAT
    ('', True)
    >>> quantity_error("1KiM"), quantity_error("1.2.3")
    ("unable to parse quantity's suffix", 'unable to parse numeric part of quantity')

    Source: k8s.io/apimachinery/pkg/api/resource/quantity.go (ParseQuantity).
    """
    if QUANTITY.fullmatch(text):
        return ""
    if not _QUANTITY_PARTS.fullmatch(text):
        return QUANTITY_FORMAT
    if not _QUANTITY_NUMBER.fullmatch(text):
        return "unable to parse numeric part of quantity"
    return "unable to parse quantity's suffix"


BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?", re.ASCII)
_NEWLINES = str.maketrans("", "", "\r\n")


def base64_error(text: str) -> str:
    r"""Return what is wrong with text in base 64, or ""; line breaks in it are ignored.

    >>> base64_error("aGk="), base64_error("aG\nk="), base64_error("no base64!")
    ('', '', 'illegal base64 data at input byte 2')

    Source: Go's encoding/base64 (CorruptInputError), which names the byte where decoding stops.
    """
    plain = text.translate(_NEWLINES)
    match = BASE64.match(plain)
    end = match.end() if match else 0
    if end == len(plain):
        return ""
    rest = plain[end:]
    is_padded = end > 0 and plain[end - 1] == "="
    alphabet = re.match(r"[A-Za-z0-9+/]*", rest, re.ASCII)
    letters = 0 if is_padded or alphabet is None else alphabet.end()
    if rest[letters:] == "=" and letters == 2:
        letters += 1  # the second sign of the padding is missing
    stop = end if letters == len(rest) and "=" not in rest else end + letters
    return f"illegal base64 data at input byte {_place(text, stop)}"


def _place(text: str, position: int) -> int:
    """Return the place of a character in a text with line breaks; the text's length for its end."""
    places = [place for place, letter in enumerate(text) if letter not in "\r\n"]
    return places[position] if position < len(places) else len(text)


# -- paths -----------------------------------------------------------------------------------------


def join(path: str, name: str) -> str:
    """Return the path of a field."""
    return f"{path}.{name}" if path else name


def step(path: str, name: str) -> str:
    """Return the path of an entry of a map."""
    return f"{path}[{name}]" if path else name
