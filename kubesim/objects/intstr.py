"""Numbers in strings, and IntOrString: a number, or a percentage such as ``maxSurge: 25%``.

>>> scaled_value("25%", 10, round_up=True), scaled_value("25%", 10, round_up=False)
(3, 2)
>>> scaled_value(3, 10, round_up=True)
3

Source: k8s.io/apimachinery/pkg/util/intstr (GetScaledValueFromIntOrPercent); Go's strconv.Atoi.
"""

from __future__ import annotations

import re

_INTEGER = re.compile(r"([+-]?)0*([0-9]{1,19})", re.ASCII)


def parse_int(text: str) -> int | None:
    """Parse a whole number of 64 bits as Go's strconv.Atoi does; None if it is not one.

    >>> parse_int("-07"), parse_int("9223372036854775808"), parse_int("1.0"), parse_int("")
    (-7, None, None, None)
    """
    match = _INTEGER.fullmatch(text)
    if match is None:
        return None
    number = int(match[1] + match[2])
    return number if -(2**63) <= number < 2**63 else None


def is_percentage(value: str) -> bool:
    """Whether a string is a whole percentage: digits and a percent sign.

    >>> is_percentage("25%"), is_percentage("2.5%"), is_percentage("%"), is_percentage("25")
    (True, False, False, False)
    """
    digits = value.removesuffix("%")
    return value.endswith("%") and digits.isascii() and digits.isdigit()


def number_in(value: int | str | None) -> int:
    """Return the number in a valid IntOrString, with or without a percent sign; None is 0."""
    return int(value.removesuffix("%")) if isinstance(value, str) else int(value or 0)


def scaled_value(value: int | str | None, total: int, *, round_up: bool) -> int:
    """Resolve an IntOrString: a percentage of `total`, or the number itself.

    Args:
        value: the number or percentage; None is 0.
        total: what a percentage is a part of.
        round_up: round a part up; otherwise down.

    Raises:
        ValueError: a string that is not a whole percentage.
    """
    if value is None:
        return 0
    if isinstance(value, int):
        return value
    if not is_percentage(value):
        raise ValueError(f"{value!r} is neither a number nor a percentage such as '25%'")
    product = number_in(value) * total
    return -(-product // 100) if round_up else product // 100
