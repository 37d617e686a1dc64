"""IntOrString: one parser for surge, unavailable, and disruption budgets."""

from __future__ import annotations

import pytest

from kubesim.objects.intstr import is_percentage, number_in, parse_int, scaled_value


@pytest.mark.parametrize(
    ("value", "total", "up", "down"),
    [
        (None, 10, 0, 0),
        (3, 10, 3, 3),
        ("25%", 10, 3, 2),
        ("25%", 8, 2, 2),
        ("0%", 7, 0, 0),
        ("100%", 7, 7, 7),
        ("150%", 3, 5, 4),
        ("1%", 0, 0, 0),
    ],
)
def test_a_percentage_is_a_part_and_a_number_is_itself(
    value: int | str | None, total: int, up: int, down: int
) -> None:
    """Rounded as the caller says."""
    assert scaled_value(value, total, round_up=True) == up
    assert scaled_value(value, total, round_up=False) == down


@pytest.mark.parametrize("value", ["", "%", "25", "2.5%", "-5%", "٣%", "5%%", " 5%"])
def test_other_strings_are_refused(value: str) -> None:
    """Also digits of other scripts, as upstream's regular expression has it."""
    assert not is_percentage(value)
    with pytest.raises(ValueError, match="neither a number nor a percentage"):
        scaled_value(value, 10, round_up=True)


def test_the_number_in_a_value() -> None:
    """With or without the sign; nothing counts as 0."""
    assert (number_in("25%"), number_in(7), number_in(None)) == (25, 7, 0)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0),
        ("-12", -12),
        ("+5", 5),
        ("007", 7),
        ("0" * 5000 + "8", 8),
        ("-" + "0" * 5000, 0),
        ("9223372036854775807", 2**63 - 1),
        ("9223372036854775808", None),
        ("-9223372036854775808", -(2**63)),
        ("9" * 5000, None),
        ("", None),
        ("-", None),
        (" 1", None),
        ("1_0", None),
        ("1.0", None),
        ("٣", None),
    ],
)
def test_whole_numbers_of_64_bits(text: str, number: int | None) -> None:
    """As strconv.Atoi: a sign, ASCII digits, and nothing that does not fit."""
    assert parse_int(text) == number
