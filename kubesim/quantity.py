"""Quantities and durations: "500m" is half a core, "64Mi" is bytes, "1m30s" is ninety seconds.

A quantity is a number with a suffix: decimal (n, u, m, k, M, G ...), binary (Ki, Mi, Gi ...) or an
exponent (1e3). Parsing is exact; only the result is rounded, and always up, so that no container
gets less than it requests.

>>> parse_cpu_milli("250m"), parse_cpu_milli(1), parse_memory("128Mi"), parse_memory("1.5G")
(250, 1000, 134217728, 1500000000)
>>> format_cpu(250), format_cpu(2000), format_memory(134217728)
('250m', '2', '128Mi')
>>> parse_duration("1m30s"), format_duration(90)
(90.0, '1m30s')

Source: k8s.io/apimachinery/pkg/api/resource/quantity.go; Go's time.ParseDuration and
Duration.String.
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache
from math import ceil

MEGABYTE = 1_000_000
MEBIBYTE = 1 << 20
_SUFFIXES = {
    "n": Fraction(1, 10**9),
    "u": Fraction(1, 10**6),
    "m": Fraction(1, 10**3),
    "": Fraction(1),
    "k": Fraction(10**3),
    "M": Fraction(10**6),
    "G": Fraction(10**9),
    "T": Fraction(10**12),
    "P": Fraction(10**15),
    "E": Fraction(10**18),
    "Ki": Fraction(2**10),
    "Mi": Fraction(2**20),
    "Gi": Fraction(2**30),
    "Ti": Fraction(2**40),
    "Pi": Fraction(2**50),
    "Ei": Fraction(2**60),
}
_DECIMAL_SUFFIXES = dict(zip(range(-9, 19, 3), ("n", "u", "m", "", *"kMGTPE"), strict=True))
_QUANTITY = re.compile(
    r"([+-]?)([0-9]+\.?[0-9]*|\.[0-9]+)(?:([eE][+-]?[0-9]{1,2})|([numkMGTPE]|[KMGTPE]i)?)", re.ASCII
)
_MAX_BINARY = Fraction(2**63 - 1)  # of a quantity with a binary suffix; larger ones are capped
_MAX_DIGITS = 40  # more digits than any quantity needs; bounds the work for hostile input
_DURATION_UNITS = {
    "ns": Fraction(1, 10**9),
    "us": Fraction(1, 10**6),
    "µs": Fraction(1, 10**6),
    "ms": Fraction(1, 10**3),
    "s": Fraction(1),
    "m": Fraction(60),
    "h": Fraction(3600),
}
_DURATION_PART = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|ms|s|m|h)")
_MAX_DURATION_SECONDS = 2**63 / 1e9  # an int64 of nanoseconds: some 292 years

Amount = str | int | float


def count_of(number: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun, for messages.

    Args:
        number: how many.
        noun: for exactly one, for example ``pod`` or ``pod is``.
        plural: for any other number; "": the noun with an s.

    >>> count_of(1, "pod"), count_of(3, "pod"), count_of(0, "pod is", "pods are")
    ('1 pod', '3 pods', '0 pods are')
    """
    return f"{number} {noun if number == 1 else plural or f'{noun}s'}"


def parse_quantity(value: Amount) -> Fraction:
    """Parse a quantity exactly.

    Raises:
        ValueError: the value is not a quantity; the message shows examples.
    """
    if type(value) is str:
        return _parse_text(value)
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise ValueError(f"{value!r} is not a quantity; write, for example, 500m, 2, 64Mi, 1.5G")
    return Fraction(value) if isinstance(value, int) else _parse_text(str(value))


# Few distinct quantities occur: all pods of a workload have the same ones.
@lru_cache(maxsize=4096)
def _parse_text(text: str) -> Fraction:
    match = _QUANTITY.fullmatch(text) if len(text) <= _MAX_DIGITS else None
    if match is None:
        raise ValueError(
            "quantities must match the regular expression "
            "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$': "
            f"{text[:60]!r}; write, for example, 500m, 2, 64Mi, 1.5G"
        )
    sign, digits, exponent, suffix = match.groups()
    number = Fraction(digits.rstrip(".") if digits.endswith(".") else digits)
    scale = Fraction(10) ** int(exponent[1:]) if exponent else _SUFFIXES[suffix or ""]
    number *= scale
    if suffix and suffix[-1] == "i":
        number = min(number, _MAX_BINARY)
    return -number if sign == "-" else number


@lru_cache(maxsize=4096, typed=True)
def canonical_quantity(value: Amount) -> Amount:
    """Return a quantity in its canonical form: a whole number with the largest possible suffix.

    The family of the suffix stays, decimal, binary or exponent. A value below one thousandth of its
    smallest unit is rounded up; what is no quantity is returned as it is.

    >>> [canonical_quantity(text) for text in (0.5, 1, "1024Mi", "1000m", ".5", "+1", "0.5Ki")]
    ['500m', '1', '1Gi', '1', '500m', '1', '512']
    >>> [canonical_quantity(text) for text in ("1000", "1e3", "0", "100m", "1.5", "-2000M")]
    ['1k', '1e3', '0', '100m', '1500m', '-2G']
    >>> canonical_quantity("16Ei"), canonical_quantity("16E")
    ('9223372036854775807', '16E')

    Source: k8s.io/apimachinery/pkg/api/resource/quantity.go (CanonicalizeBytes).
    """
    try:
        text = str(value)
        exact = _parse_text(text)
    except ValueError:
        return value
    nano = ceil(abs(exact) * 10**9)  # away from zero
    sign = "-" if exact < 0 and nano else ""
    if text[-1] == "i" and nano % 10**9 == 0 and nano >= 1024 * 10**9:
        return sign + format_memory(nano // 10**9)
    by_exponent = text[-1].isdigit() and "e" in text.lower()
    if nano == 0:
        return "0"
    power = -9
    while nano % 1000 == 0 and (power < 18 or by_exponent):
        nano, power = nano // 1000, power + 3
    if by_exponent:
        return f"{sign}{nano}e{power}" if power else f"{sign}{nano}"
    return f"{sign}{nano}{_DECIMAL_SUFFIXES[power]}"


def parse_cpu(value: Amount) -> float:
    """Parse CPU; returns cores.

    >>> parse_cpu("1500m")
    1.5
    """
    return float(parse_quantity(value))


def parse_cpu_milli(value: Amount) -> int:
    """Parse CPU; returns millicores, rounded up (resource.Quantity.MilliValue)."""
    # The most common form, without the detour through fractions.
    if isinstance(value, str) and value.endswith("m") and value[:-1].isdecimal():
        if value.isascii() and len(value) <= _MAX_DIGITS:
            return int(value[:-1])
    return ceil(parse_quantity(value) * 1000)


def parse_memory(value: Amount) -> int:
    """Parse memory; returns bytes, rounded up (resource.Quantity.Value)."""
    return ceil(parse_quantity(value))


def format_cpu(milli: int) -> str:
    """Format millicores as Kubernetes does: whole cores without a suffix."""
    return str(milli // 1000) if milli % 1000 == 0 else f"{milli}m"


def format_memory(size: int) -> str:
    """Format bytes with the largest binary suffix that divides them."""
    if size != 0:
        for power, suffix in ((6, "Ei"), (5, "Pi"), (4, "Ti"), (3, "Gi"), (2, "Mi"), (1, "Ki")):
            if size % 1024**power == 0:
                return f"{size // 1024**power}{suffix}"
    return str(size)


def parse_duration(text: object) -> float:
    """Parse a Go duration ("300ms", "-1.5h", "1m30s"; "0" needs no unit); returns seconds.

    Raises:
        ValueError: not a duration, or longer than Go's maximum of 292 years.
    """
    if not isinstance(text, str):
        raise ValueError(f"{text!r} is not a duration; write, for example, 5s, 1m30s, 500ms")
    rest = text[1:] if text[:1] in ("+", "-") else text
    if rest == "0":
        return 0.0
    total = Fraction(0)
    position = 0
    while position < len(rest) and len(rest) <= 2 * _MAX_DIGITS:
        match = _DURATION_PART.match(rest, position)
        if match is None or not match[1].isascii():
            break
        number = match[1].rstrip(".") if match[1].endswith(".") else match[1]
        total += Fraction(number) * _DURATION_UNITS[match[2]]
        position = match.end()
    if position == 0 or position < len(rest) or total > _MAX_DURATION_SECONDS:
        raise ValueError(f"{text[:60]!r} is not a duration; write, for example, 5s, 1m30s, 500ms")
    return float(-total if text.startswith("-") else total)


def format_duration(seconds: float) -> str:
    """Format seconds as Go's Duration.String does: "5s", "1m30s", "500ms", "1h0m0s".

    >>> [format_duration(s) for s in (0, 0.0005, 0.5, 5, 60, 3600.25)]
    ['0s', '500µs', '500ms', '5s', '1m0s', '1h0m0.25s']
    """
    nanoseconds = round(seconds * 1e9)
    if nanoseconds == 0:
        return "0s"
    sign, nanoseconds = ("-", -nanoseconds) if nanoseconds < 0 else ("", nanoseconds)
    if nanoseconds < 10**9:
        for unit, size in (("ms", 10**6), ("µs", 10**3), ("ns", 1)):
            if nanoseconds >= size:
                return f"{sign}{_decimal(nanoseconds, size)}{unit}"
    minutes, rest = divmod(nanoseconds, 60 * 10**9)
    text = f"{_decimal(rest, 10**9)}s"
    if minutes:
        hours, minutes = divmod(minutes, 60)
        text = f"{hours}h{minutes}m{text}" if hours else f"{minutes}m{text}"
    return sign + text


def _decimal(value: int, unit: int) -> str:
    whole, part = divmod(value, unit)
    if not part:
        return str(whole)
    return f"{whole}.{str(part).zfill(len(str(unit)) - 1).rstrip('0')}"
