"""Cron schedules: when they are due, and what is none."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubesim.objects.cron import load_zone, parse_schedule

START = datetime(2025, 1, 1, 12, 34, 56)  # a Wednesday


@pytest.mark.parametrize(
    ("text", "due"),
    [
        ("* * * * *", "2025-01-01T12:35:00"),
        ("34 * * * *", "2025-01-01T13:34:00"),
        ("*/20 * * * *", "2025-01-01T12:40:00"),
        ("5/20 * * * *", "2025-01-01T12:45:00"),
        ("0 0,6,18 * * *", "2025-01-01T18:00:00"),
        ("0 9-17/4 * * *", "2025-01-01T13:00:00"),
        ("0 0 1 * *", "2025-02-01T00:00:00"),
        ("0 0 31 * *", "2025-01-31T00:00:00"),
        ("0 0 29 2 *", "2028-02-29T00:00:00"),
        ("0 0 * FEB *", "2025-02-01T00:00:00"),
        ("0 0 * * sun", "2025-01-05T00:00:00"),
        ("0 0 ? * MON-FRI", "2025-01-02T00:00:00"),
        # Either day is enough, unless one of them is a star: then both have to match.
        ("0 0 13 * 5", "2025-01-03T00:00:00"),
        ("0 0 */1 * 5", "2025-01-03T00:00:00"),
        ("0 0 */30 * 5", "2025-01-03T00:00:00"),
        ("0 0 13 * *", "2025-01-13T00:00:00"),
        ("@hourly", "2025-01-01T13:00:00"),
        ("@daily", "2025-01-02T00:00:00"),
        ("@weekly", "2025-01-05T00:00:00"),
        ("@monthly", "2025-02-01T00:00:00"),
        ("@yearly", "2026-01-01T00:00:00"),
        ("@every 90s", "2025-01-01T12:36:26"),
        ("@every 1h30m", "2025-01-01T14:04:56"),
        ("@every 10ms", "2025-01-01T12:34:57"),
    ],
)
def test_when_it_is_due(text: str, due: str) -> None:
    """Strictly after the moment that is given."""
    found = parse_schedule(text).next(START)
    assert found is not None
    assert found.isoformat() == due


def test_what_is_never_due() -> None:
    """The thirtieth of February."""
    assert parse_schedule("0 0 30 2 *").next(START) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty spec string"),
        ("* * * *", r"expected exactly 5 fields, found 4: \[\* \* \* \*\]"),
        ("60 * * * *", r"end of range \(60\) above maximum \(59\): 60"),
        ("* * 0 * *", r"beginning of range \(0\) below minimum \(1\): 0"),
        ("* * * * 7", r"end of range \(7\) above maximum \(6\): 7"),
        ("5-3 * * * *", r"beginning of range \(5\) beyond end of range \(3\): 5-3"),
        ("*/0 * * * *", "step of range should be a positive number"),
        ("1-2-3 * * * *", "too many hyphens"),
        ("1/2/3 * * * *", "too many slashes"),
        ("x * * * *", 'failed to parse int from x: strconv.Atoi: parsing "x": invalid syntax'),
        ("@sometimes", "unrecognized descriptor: @sometimes"),
        ("@every never", "never"),
    ],
)
def test_what_is_no_schedule(text: str, said: str) -> None:
    """In the words of upstream's parser."""
    with pytest.raises(ValueError, match=said):
        parse_schedule(text)


@given(
    st.sampled_from(["*/7 * * * *", "3 */5 * * *", "0 0 */9 * 2", "59 23 31 * *", "0 12 * 2 1-3"]),
    st.datetimes(datetime(2024, 1, 1), datetime(2027, 1, 1)),
)
def test_the_next_time_is_the_first_that_fits(text: str, after: datetime) -> None:
    """Trying the minutes one by one gives the same result, within some years."""
    schedule = parse_schedule(text)
    found = schedule.next(after)
    at = after.replace(second=0, microsecond=0)
    for _ in range(3000):
        at += timedelta(minutes=1)
        minutes, hours, _, months, _ = schedule.fields
        fits = at.minute in minutes and at.hour in hours and at.month in months
        if fits and schedule._day_fits(at):
            assert found == at
            return
    assert found is None or found > at


@pytest.mark.parametrize(
    ("zone", "schedule", "after", "expected"),
    [
        ("Europe/Berlin", "0 9 * * *", "2025-01-10T00:00", "2025-01-10T08:00"),
        ("Europe/Berlin", "0 9 * * *", "2025-07-10T00:00", "2025-07-10T07:00"),
        ("America/New_York", "0 0 1 * *", "2025-01-01T05:00", "2025-02-01T05:00"),
        ("Asia/Kolkata", "15 * * * *", "2025-01-01T00:00", "2025-01-01T00:45"),
        # In spring 02:30 does not exist on 30 March; the next one is a day later.
        ("Europe/Berlin", "30 2 * * *", "2025-03-29T02:00", "2025-03-31T00:30"),
        # In autumn 02:30 comes twice on 26 October: at 00:30 and at 01:30 UTC.
        ("Europe/Berlin", "30 2 * * *", "2025-10-25T12:00", "2025-10-26T00:30"),
        ("Europe/Berlin", "30 2 * * *", "2025-10-26T00:30", "2025-10-26T01:30"),
        ("Europe/Berlin", "30 2 * * *", "2025-10-26T01:30", "2025-10-27T01:30"),
        # Clocks that skip midnight, and half an hour.
        ("America/Santiago", "0 1 * * *", "2025-09-06T12:00", "2025-09-07T04:00"),
        ("Australia/Lord_Howe", "45 2 * * *", "2025-10-04T00:00", "2025-10-04T15:45"),
        ("Europe/Berlin", "@daily", "2025-01-01T00:00", "2025-01-01T23:00"),
        ("Europe/Berlin", "@every 90m", "2025-01-01T00:00", "2025-01-01T01:30"),
        ("Pacific/Kiritimati", "0 0 * * MON", "2025-01-01T00:00", "2025-01-05T10:00"),
        ("UTC", "0 0 * * *", "2025-01-01T00:00", "2025-01-02T00:00"),
    ],
)
def test_schedules_in_time_zones(zone: str, schedule: str, after: str, expected: str) -> None:
    """The fields are local time, as in robfig/cron with TZ=; what the clocks skip is left out."""
    parsed = parse_schedule(schedule, load_zone(zone))
    due = parsed.next(datetime.fromisoformat(after))
    assert due is not None and due.isoformat(timespec="minutes") == expected


def test_a_zone_without_offset_is_as_none() -> None:
    """The next times in a zone that equals UTC are those without a zone, for many schedules."""
    zone = load_zone("Etc/UTC")
    for schedule in ("*/7 3-5 * * *", "0 0 29 2 *", "5 4 1-7 */2 SUN", "59 23 31 12 ?"):
        at: datetime | None = datetime(2025, 1, 1, 0, 0, 30)
        for _ in range(50):
            assert at is not None
            expected = parse_schedule(schedule).next(at)
            assert parse_schedule(schedule, zone).next(at) == expected
            at = expected if expected is not None and expected.year < 2100 else at
