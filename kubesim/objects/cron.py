"""Cron schedules: the next time at which a schedule is due.

Five fields (minute, hour, day of the month, month, day of the week) with lists, ranges, steps and
names, the descriptors ``@hourly`` ... ``@yearly``, and ``@every 90m``. Times are UTC, and so is the
schedule unless it has a time zone.

>>> from datetime import datetime
>>> parse_schedule("*/15 9-17 * * MON-FRI").next(datetime(2025, 1, 3, 17, 50)).isoformat()
'2025-01-06T09:00:00'

If both days are restricted, one of them has to match; if one is a star, both have to match:

>>> parse_schedule("0 0 13 * 5").next(datetime(2025, 1, 1)).isoformat()          # a Friday
'2025-01-03T00:00:00'

In a time zone the fields mean local time. A time that the clocks skip in spring is left out; one
that comes twice in autumn is due twice:

>>> berlin = parse_schedule("30 2 * * *", load_zone("Europe/Berlin"))
>>> berlin.next(datetime(2025, 3, 29, 12)).isoformat()                     # not on the 30th
'2025-03-31T00:30:00'

Source: github.com/robfig/cron/v3 (parser.go, spec.go, constantdelay.go); Go's time.LoadLocation.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from kubesim.quantity import parse_duration

DESCRIPTORS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
MONTHS = {name: number for number, name in enumerate(_MONTHS, 1)}
DAYS = {name: number for number, name in enumerate(_DAYS)}
BOUNDS: tuple[tuple[int, int, dict[str, int]], ...] = (
    (0, 59, {}),
    (0, 23, {}),
    (1, 31, {}),
    (1, 12, MONTHS),
    (0, 6, DAYS),
)
HORIZON_YEARS = 5  # a schedule that is not due within them never is (30 February)


@dataclass(frozen=True, slots=True)
class Schedule:
    """A parsed schedule.

    Attributes:
        fields: the values of each of the five fields.
        days_star: whether the day of the month, and the day of the week, is a star.
        every: seconds between two times; the fields are not used then. 0: the fields are used.
        zone: in whose local time the fields are; None: UTC.
    """

    fields: tuple[frozenset[int], ...] = ()
    days_star: tuple[bool, bool] = (True, True)
    every: float = 0.0
    zone: tzinfo | None = None

    def next(self, after: datetime) -> datetime | None:
        """Return the first time after `after`, or None within five years; both naive, in UTC."""
        if self.every:
            return after.replace(microsecond=0) + timedelta(seconds=self.every)
        if self.zone is not None:
            return self._next_in(self.zone, after)
        minutes, hours, _, months, _ = self.fields
        at = after.replace(second=0, microsecond=0) + timedelta(minutes=1)
        limit = at.year + HORIZON_YEARS
        while at.year <= limit:
            if at.month not in months:
                first = at.replace(day=1, hour=0, minute=0)
                at = (first + timedelta(days=32)).replace(day=1)
            elif not self._day_fits(at):
                at = at.replace(hour=0, minute=0) + timedelta(days=1)
            elif at.hour not in hours:
                at = at.replace(minute=0) + timedelta(hours=1)
            elif at.minute not in minutes:
                at += timedelta(minutes=1)
            else:
                return at
        return None

    def _next_in(self, zone: tzinfo, after: datetime) -> datetime | None:
        """Return the first time after `after` whose local time fits."""
        minutes, hours, _, months, _ = self.fields
        at = after.replace(second=0, microsecond=0, tzinfo=UTC) + timedelta(minutes=1)
        local = at.astimezone(zone)
        limit = local.year + HORIZON_YEARS
        while local.year <= limit:
            if local.month not in months:
                later = local.date().replace(day=1) + timedelta(days=32)
                at = _midnight(later.replace(day=1), zone)
            elif not self._day_fits(local):
                at = _midnight(local.date() + timedelta(days=1), zone)
            elif local.hour not in hours:
                at += timedelta(minutes=60 - local.minute)
            elif local.minute not in minutes:
                at += timedelta(minutes=1)
            else:
                return at.replace(tzinfo=None)
            local = at.astimezone(zone)
        return None

    def _day_fits(self, at: datetime) -> bool:
        of_month = at.day in self.fields[2]
        of_week = at.isoweekday() % 7 in self.fields[4]
        return of_month and of_week if any(self.days_star) else of_month or of_week


def _midnight(day: date, zone: tzinfo) -> datetime:
    """Return when a local day begins; where the clocks skip midnight, the moment they do."""
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)


def load_zone(name: str) -> tzinfo:
    """Return a time zone of the IANA database, which the system has, or the package tzdata.

    Raises:
        ValueError: there is no such time zone; the message is Go's.

    >>> load_zone("Mars/Base")
    Traceback (most recent call last):
    ValueError: unknown time zone Mars/Base
    """
    if name in ("", "UTC"):
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"unknown time zone {name}") from error


def parse_schedule(text: str, zone: tzinfo | None = None) -> Schedule:
    """Parse a schedule.

    Args:
        text: five fields, or a descriptor.
        zone: in whose local time it is; None: UTC.

    Raises:
        ValueError: it cannot be parsed; the message is that of upstream's parser.
    """
    if not text.strip():
        raise ValueError("empty spec string")
    if text.startswith("@every "):
        seconds = parse_duration(text.removeprefix("@every ").strip())
        return Schedule(every=max(1.0, float(int(seconds))))
    if text.startswith("@") and text not in DESCRIPTORS:
        raise ValueError(f"unrecognized descriptor: {text}")
    parts = DESCRIPTORS.get(text, text).split()
    if len(parts) != len(BOUNDS):
        shown = " ".join(parts)
        raise ValueError(f"expected exactly 5 fields, found {len(parts)}: [{shown}]")
    parsed = [_field(part, *bounds) for part, bounds in zip(parts, BOUNDS, strict=True)]
    days_star = (parsed[2][1], parsed[4][1])
    return Schedule(tuple(values for values, _ in parsed), days_star, zone=zone)


def _field(text: str, low: int, high: int, names: dict[str, int]) -> tuple[frozenset[int], bool]:
    """Return the values of a comma-separated list, and whether a star is in it."""
    values: set[int] = set()
    star = False
    for item in text.split(","):
        range_values, starred = _range(item, low, high, names)
        values |= range_values
        star = star or starred
    return frozenset(values), star


def _range(text: str, low: int, high: int, names: dict[str, int]) -> tuple[set[int], bool]:
    span, *steps = text.split("/")
    ends = span.split("-")
    star = span in ("*", "?")
    if len(ends) > 2:
        raise ValueError(f"too many hyphens: {text}")
    if len(steps) > 1:
        raise ValueError(f"too many slashes: {text}")
    first = low if star else _number(ends[0], names)
    last = high if star else _number(ends[-1], names)
    step = 1
    if steps:
        step = _number(steps[0], {})
        if not star and len(ends) == 1:
            last = high  # "5/15": every 15 from 5 on
    if first < low:
        raise ValueError(f"beginning of range ({first}) below minimum ({low}): {text}")
    if last > high:
        raise ValueError(f"end of range ({last}) above maximum ({high}): {text}")
    if first > last:
        raise ValueError(f"beginning of range ({first}) beyond end of range ({last}): {text}")
    if step == 0:
        raise ValueError(f"step of range should be a positive number: {text}")
    return set(range(first, last + 1, step)), star and step == 1


def _number(text: str, names: dict[str, int]) -> int:
    if text.lower() in names:
        return names[text.lower()]
    if not (text.isascii() and text.isdigit()):
        reason = f'strconv.Atoi: parsing "{text}": invalid syntax'
        raise ValueError(f"failed to parse int from {text}: {reason}")
    return int(text)
