"""Checks of arguments: what was expected, what was given, and how to correct it.

A check is a function from a value to the string that says what was expected, or None if the value
is fine. `check_arguments` raises one BadRequest for the first argument that is not.

>>> check_arguments({"nodes": whole_number(0)}, {"nodes": "3"})
Traceback (most recent call last):
...
kubesim.errors.BadRequest: nodes must be a whole number, not '3' (write nodes=3)

No counterpart in Kubernetes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from math import isfinite, isnan
from numbers import Integral, Real

from kubesim.errors import BadRequest
from kubesim.quantity import parse_cpu_milli, parse_memory

Check = Callable[[object], str | None]


def check_arguments(checks: Mapping[str, Check], arguments: Mapping[str, object]) -> None:
    """Raise an error for the first argument that fails its check.

    Args:
        checks: by the name of the argument.
        arguments: their values.

    Raises:
        BadRequest: names the argument, what was expected, and the value; or an argument is not
            known.
    """
    for name, value in arguments.items():
        if name not in checks:
            raise BadRequest(f"there is no option {name!r}", hint=f"options: {', '.join(checks)}")
        expected = checks[name](value)
        if expected is not None:
            raise BadRequest(
                f"{name} must be {expected}, not {_shown(value)}", hint=_hint(name, value, checks)
            )


def _shown(value: object) -> str:
    """The value, cut to a length that fits into a sentence."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _hint(name: str, value: object, checks: Mapping[str, Check]) -> str:
    """``write nodes=3`` if the value is right in another type; else ""."""
    if isinstance(value, type):
        return f"write {name}={value.__name__}(), with parentheses"
    if not isinstance(value, str):
        return ""
    for convert in (int, float):
        try:
            number = convert(value)
        except ValueError:
            continue
        return f"write {name}={number}" if checks[name](number) is None else ""
    return ""


# -- checks ----------------------------------------------------------------------------------------


def whole_number(least: int | None = None, most: int | None = None) -> Check:
    """Expect a whole number from `least` to `most`; True and False are not numbers."""

    def check(value: object) -> str | None:
        if isinstance(value, bool) or not isinstance(value, Integral):
            return "a whole number"
        parsed = int(value)
        if most is not None and parsed > most:
            return f"{least} to {most}" if least is not None else f"{most} or less"
        if least is not None and parsed < least:
            return f"{least} or more" if most is None else f"{least} to {most}"
        return None

    return check


def count(most: int) -> Check:
    """Expect a whole number from 0 to `most`; only a larger one is told the upper bound."""

    def check(value: object) -> str | None:
        return whole_number(0)(value) or whole_number(0, most)(value)

    return check


def number(least: float = 0.0, *, above: bool = False, unit: str = "") -> Check:
    """Expect a finite number; True and False are not numbers.

    Args:
        least: the smallest number that is allowed.
        above: the number must be larger than `least`.
        unit: for the message, for example ``seconds``.
    """
    expected = f"above {least:g} {unit}" if above else f"at least {least:g} {unit}"

    def check(value: object) -> str | None:
        if isinstance(value, bool) or not isinstance(value, Real):
            return "a number"
        parsed = float(value)
        fits = isfinite(parsed) and (parsed > least if above else parsed >= least)
        return None if fits else expected.rstrip()

    return check


def real_number(value: object) -> str | None:
    """Expect a number of any sign, also an infinite one; NaN, True and False are not numbers."""
    fits = isinstance(value, Real) and not isinstance(value, bool) and not isnan(value)
    return None if fits else "a number"


def finite_number(value: object) -> str | None:
    """Expect a finite number of any sign; True and False are not numbers."""
    expected = real_number(value)
    if expected is None and isinstance(value, Real) and not isfinite(value):
        return "a finite number"
    return expected


def flag(value: object) -> str | None:
    """Expect True or False."""
    return None if isinstance(value, bool) else "True or False"


def cpu_quantity(value: object) -> str | None:
    """Expect an amount of CPU, such as ``"4"`` or ``"500m"``."""
    return _quantity(value, parse_cpu_milli, 'an amount of CPU such as "4" or "500m"')


def memory_quantity(value: object) -> str | None:
    """Expect an amount of memory, such as ``"8Gi"``."""
    return _quantity(value, parse_memory, 'an amount of memory such as "8Gi"')


def _quantity(
    value: object, parse: Callable[[str | int | float], int], expected: str
) -> str | None:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return expected
    try:
        return None if parse(value) >= 0 else expected
    except (ValueError, OverflowError):
        return expected


def optional(check: Check) -> Check:
    """Expect None, or what another check expects."""

    def checked(value: object) -> str | None:
        expected = None if value is None else check(value)
        return None if expected is None else f"{expected}, or None"

    return checked


def function(value: object) -> str | None:
    """Expect a function."""
    return None if callable(value) else "a function"


def instance_of(kind: type | tuple[type, ...], expected: str) -> Check:
    """Expect an object of a class."""
    return lambda value: None if isinstance(value, kind) else expected


def having(method: str, expected: str) -> Check:
    """Expect an object (not its class) with a method of that name."""

    def check(value: object) -> str | None:
        fits = not isinstance(value, type) and callable(getattr(value, method, None))
        return None if fits else expected

    return check


def list_of(check: Check, expected: str) -> Check:
    """Expect a list or tuple of values that pass a check."""

    def checked(value: object) -> str | None:
        fits = isinstance(value, (list, tuple)) and all(check(item) is None for item in value)
        return None if fits else f"a list of {expected}"

    return checked


def collection_of(expected: str) -> Check:
    """Expect an iterable that is not a string, whose items would be single characters."""

    def checked(value: object) -> str | None:
        fits = isinstance(value, Iterable) and not isinstance(value, (str, bytes))
        return None if fits else f"a list of {expected}"

    return checked


def names_among(names: Collection[str], check: Check, expected: str) -> Check:
    """Expect a mapping from some of the given names to values that pass a check.

    Args:
        names: the allowed names.
        check: of a value.
        expected: the values in words.
    """

    def checked(value: object) -> str | None:
        mapping = value if isinstance(value, Mapping) else {None: None}
        if all(name in names and check(item) is None for name, item in mapping.items()):
            return None
        return f"a mapping from names ({', '.join(sorted(names))}) to {expected}"

    return checked


def mapping_of(check: Check, expected: str) -> Check:
    """Expect a mapping from names to values that pass a check."""

    def checked(value: object) -> str | None:
        if not isinstance(value, Mapping):
            return f"a mapping from names to {expected}"
        for name, item in value.items():
            if not isinstance(name, str) or not name or check(item) is not None:
                return f"a mapping from names to {expected}"
        return None

    return checked
