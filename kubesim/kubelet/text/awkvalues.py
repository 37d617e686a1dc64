"""The values of `awk`: numbers, strings, and strings of the input that count as numbers.

>>> compare(FieldText("10"), FieldText("9")), compare("10", FieldText("9"))
(1, -1)
>>> text_of(3.0), text_of(0.1 + 0.2), number_of("12abc")
('3', '0.3', 12.0)
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Final

from kubesim.kubelet.text.patterns import MAX_TEXT, TextProgramError

NUMBER = re.compile(r"[ \t\n]*[-+]?(?:\d{1,400}\.?\d*|\.\d+)(?:[eE][-+]?\d{1,4})?")
DIRECTIVE = re.compile(r"%([-+ 0#]{0,5})(\d{0,3})(?:\.(\d{0,3}))?([a-zA-Z%*])?")
LARGEST_WHOLE = 1e16  # larger numbers are printed with an exponent


class FieldText(str):
    """A string from the input: it compares as a number if it looks like one."""

    __slots__ = ()


AwkValue = float | str
UNSET: Final = FieldText("")  # a variable without a value: "" and 0


def looks_numeric(value: AwkValue) -> bool:
    """Whether a value compares as a number."""
    if isinstance(value, float):
        return True
    if value is UNSET:
        return True
    if not isinstance(value, FieldText):
        return False
    match = NUMBER.match(value)
    return match is not None and not value[match.end() :].strip(" \t\n")


def number_of(value: AwkValue) -> float:
    """Return a value as a number: the number that a string begins with, or 0."""
    if isinstance(value, float):
        return value
    match = NUMBER.match(value)
    return float(match[0]) if match is not None else 0.0


def text_of(value: AwkValue) -> str:
    """Return a value as a string, as CONVFMT says by default."""
    if isinstance(value, str):
        return str(value)
    if math.isfinite(value) and value == int(value) and abs(value) < LARGEST_WHOLE:
        return str(int(value))
    return f"{value:.6g}"


def is_true(value: AwkValue) -> bool:
    """Whether a value counts as true."""
    if looks_numeric(value):
        return number_of(value) != 0
    return value != ""


def compare(left: AwkValue, right: AwkValue) -> int:
    """Return -1, 0 or 1: as numbers if both are numbers, else as strings."""
    if looks_numeric(left) and looks_numeric(right):
        first, second = number_of(left), number_of(right)
        return (first > second) - (first < second)
    one, other = text_of(left), text_of(right)
    return (one > other) - (one < other)


def format_values(template: str, values: Sequence[AwkValue]) -> str:
    """Return what `printf` prints.

    Args:
        template: the format.
        values: for its directives.

    Raises:
        TextProgramError: a directive is not simulated, or lacks its value.
    """
    pieces: list[str] = []
    position = used = 0
    for match in DIRECTIVE.finditer(template):
        pieces.append(template[position : match.start()])
        position = match.end()
        if match[4] == "%":
            pieces.append("%")
            continue
        if match[4] is None or match[4] not in "diouxXcsfFeEgG":
            raise TextProgramError(f"printf: {match[0][:20]!r} is not simulated")
        if used >= len(values):
            raise TextProgramError("printf: not enough arguments")
        pieces.append(_formatted(match, values[used]))
        used += 1
    result = "".join([*pieces, template[position:]])
    if len(result) > MAX_TEXT:
        raise TextProgramError("printf: the string is too long")
    return result


def _formatted(match: re.Match[str], value: AwkValue) -> str:
    flags, width, precision, letter = match[1], match[2], match[3], match[4]
    layout = f"%{flags}{width}" + (f".{precision or 0}" if precision is not None else "")
    if letter == "s":
        return f"{layout}s" % text_of(value)
    if letter == "c":
        text = chr(int(value) % 0x110000) if isinstance(value, float) else value[:1]
        return f"%{flags}{width}s" % text
    number = number_of(value)
    if letter in "fFeEgG":
        return f"{layout}{letter}" % number
    if not math.isfinite(number):
        return f"%{flags.replace('0', '')}{width}s" % text_of(number)
    letter = {"i": "d", "u": "d"}.get(letter, letter)
    if letter in "oxX" and number < 0:
        raise TextProgramError(f"printf: %{letter} of a negative number is not simulated")
    return f"{layout}{letter}" % int(number)
