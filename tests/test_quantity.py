"""Quantities and durations: exact, strict, and as Kubernetes and Go print them."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubesim.quantity import (
    format_cpu,
    format_duration,
    format_memory,
    parse_cpu,
    parse_cpu_milli,
    parse_duration,
    parse_memory,
    parse_quantity,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("12", 12),
        ("1.5", Fraction(3, 2)),
        (".5", Fraction(1, 2)),
        ("5.", 5),
        ("+1", 1),
        ("-1", -1),
        ("100m", Fraction(1, 10)),
        ("1u", Fraction(1, 10**6)),
        ("1n", Fraction(1, 10**9)),
        ("2k", 2000),
        ("1Ki", 1024),
        ("1.5Gi", 3 * 2**29),
        ("1e3", 1000),
        ("1E3", 1000),
        ("1E", 10**18),
        ("1Ei", 2**60),
        (7, 7),
        (0.5, Fraction(1, 2)),
    ],
)
def test_quantities_are_exact(text: object, value: object) -> None:
    """Every suffix, exponents, and plain numbers."""
    assert parse_quantity(text) == value  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text",
    [
        "",
        " 1",
        "1 ",
        "1KB",
        "1mi",
        "1K",
        "--1",
        "1.2.3",
        "e3",
        "1e",
        "\u0661",
        "1\n",
        "0x1",
        "9" * 50,
    ],
)
def test_what_is_no_quantity_is_refused_with_an_example(text: str) -> None:
    """ASCII only, the whole text, and the message shows how."""
    with pytest.raises(ValueError, match="write, for example, 500m"):
        parse_quantity(text)


@pytest.mark.parametrize("value", [True, None, [], float("nan")])
def test_other_types_are_refused(value: object) -> None:
    """A boolean is no number."""
    with pytest.raises(ValueError):
        parse_quantity(value)  # type: ignore[arg-type]


def test_amounts_are_rounded_up() -> None:
    """No container gets less than it requests."""
    assert parse_cpu_milli("0.0001") == 1
    assert parse_cpu_milli("1.5m") == 2
    assert parse_memory("0.1") == 1
    assert parse_cpu("250m") == 0.25


@given(st.integers(0, 10**7))
def test_cpu_goes_there_and_back(milli: int) -> None:
    """format and parse are inverse."""
    assert parse_cpu_milli(format_cpu(milli)) == milli


@given(st.integers(0, 2**62))
def test_memory_goes_there_and_back(size: int) -> None:
    """format and parse are inverse."""
    assert parse_memory(format_memory(size)) == size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("5s", 5),
        ("1m30s", 90),
        ("1.5h", 5400),
        ("500ms", 0.5),
        ("1h0m0.25s", 3600.25),
        ("0", 0),
        ("-2s", -2),
        ("+2s", 2),
        ("100us", 0.0001),
        ("100\u00b5s", 0.0001),
        ("7ns", 7e-9),
    ],
)
def test_durations_are_go_s(text: str, seconds: float) -> None:
    """As time.ParseDuration reads them."""
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text",
    ["", "5", "s", "5 s", "5S", "1d", "1e3s", "5s5", "\u0665s", "1s\n", "9" * 30 + "h", 5, None],
)
def test_what_is_no_duration_is_refused(text: object) -> None:
    """A bare number has no unit, Kubernetes has no days."""
    with pytest.raises(ValueError, match="write, for example, 5s"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (5, "5s"),
        (60, "1m0s"),
        (90, "1m30s"),
        (3600, "1h0m0s"),
        (0.5, "500ms"),
        (1.5, "1.5s"),
        (-90, "-1m30s"),
        (0.0015, "1.5ms"),
    ],
)
def test_durations_print_as_go_s(seconds: float, text: str) -> None:
    """As Duration.String writes them."""
    assert format_duration(seconds) == text


@given(st.integers(-(10**12), 10**12))
def test_durations_go_there_and_back(milliseconds: int) -> None:
    """format and parse are inverse for whole milliseconds."""
    seconds = milliseconds / 1000
    assert parse_duration(format_duration(seconds)) == pytest.approx(seconds, rel=1e-12, abs=1e-9)
