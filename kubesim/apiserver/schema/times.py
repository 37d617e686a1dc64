"""Times as the decoder reads them, with Go's words for those that it cannot read.

Two types have a time: v1.Time, to the second, and v1.MicroTime, with six digits of a second.

>>> time_error("2025-02-28T12:00:00+01:00"), micro_time_error("2025-02-28T12:00:00.000000Z")
('', '')
>>> time_error("tomorrow")
'parsing time "tomorrow" as "2006-01-02T15:04:05Z07:00": cannot parse "tomorrow" as "2006"'
>>> time_error("2025-02-30T12:00:00Z")
'parsing time "2025-02-30T12:00:00Z": day out of range'
>>> canonical_time("2025-02-28T12:00:00.5+01:00"), canonical_time("2025-02-28T11:00:00Z")
('2025-02-28T11:00:00Z', '2025-02-28T11:00:00Z')

Source: k8s.io/apimachinery/pkg/apis/meta/v1 (time.go, micro_time.go: UnmarshalJSON, MarshalJSON);
Go's time.Parse and ParseError.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime

LAYOUT, MICRO_LAYOUT = "2006-01-02T15:04:05Z07:00", "2006-01-02T15:04:05.000000Z07:00"
_START = (
    "(?!0000)[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])T([01][0-9]|2[0-3])(:[0-5][0-9]){2}"
)
_ZONE = "(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"
# Most times; of the others `time_error` decides, which knows how long each month is.
TIME = re.compile(_START + r"([.,][0-9]+)?" + _ZONE, re.ASCII)
MICRO_TIME = re.compile(_START + r"[.,][0-9]{6}" + _ZONE, re.ASCII)
_WRITTEN = re.compile(_START + "Z", re.ASCII)
_WRITTEN_MICRO = re.compile(_START + r"\.[0-9]{6}Z", re.ASCII)
_PARTS = (  # of a layout: its text, what a time has there, and the name and bounds of the number
    ("2006", "[0-9]{4}", ("year", 1, 9999)),
    ("-", "-", None),
    ("01", "[0-9]{2}", ("month", 1, 12)),
    ("-", "-", None),
    ("02", "[0-9]{2}", ("day", 1, 31)),
    ("T", "T", None),
    ("15", "[0-9]{2}", ("hour", 0, 23)),
    (":", ":", None),
    ("04", "[0-9]{2}", ("minute", 0, 59)),
    (":", ":", None),
    ("05", "[0-9]{2}", ("second", 0, 59)),
)
_ZONE_PART = ("Z07:00", _ZONE, None)
_FRACTIONS = {LAYOUT: ("", "([.,][0-9]+)?", None), MICRO_LAYOUT: (".000000", "[.,][0-9]{6}", None)}


def time_error(text: str) -> str:
    """Return what is wrong with a v1.Time, or ""."""
    return _error(text, LAYOUT)


def micro_time_error(text: str) -> str:
    """Return what is wrong with a v1.MicroTime, or ""."""
    return _error(text, MICRO_LAYOUT)


def _error(text: str, layout: str) -> str:
    rest, about = text, f"parsing time {json.dumps(text[:100], ensure_ascii=False)}"
    for part, pattern, bounds in (*_PARTS, _FRACTIONS[layout], _ZONE_PART):
        match = re.compile(pattern, re.ASCII).match(rest)
        if match is None:
            shown = json.dumps(rest[:100], ensure_ascii=False)
            return f'{about} as "{layout}": cannot parse {shown} as "{part}"'
        if bounds is not None and not bounds[1] <= int(match[0]) <= bounds[2]:
            return f"{about}: {bounds[0]} out of range"
        rest = rest[match.end() :]
    if rest:
        return f"{about}: extra text: {json.dumps(rest[:100], ensure_ascii=False)}"
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return f"{about}: day out of range"
    return ""


def canonical_time(text: str, *, micro: bool = False) -> str:
    """Return a time as Go writes it: in UTC, to the second, or to the microsecond.

    Args:
        text: a time; what is none is returned as it is.
        micro: it is a v1.MicroTime.
    """
    if (_WRITTEN_MICRO if micro else _WRITTEN).fullmatch(text):
        return text
    if micro_time_error(text) if micro else time_error(text):
        return text
    try:
        moment = datetime.fromisoformat(text).astimezone(UTC).replace(tzinfo=None)
    except OverflowError:  # the first and the last day of the calendar
        return text
    return f"{moment.isoformat(timespec='microseconds' if micro else 'seconds')}Z"
