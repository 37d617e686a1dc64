"""Traffic from a CSV file: an export of a monitoring system, or a published trace.

The shape of the file is found out from its heading and its first lines:

* one column: the number of requests in each interval of equal length;
* two columns: a time and the requests per second from then on. A time is a number of seconds, a
  Unix time (in seconds or smaller units) or a date; Unix times and dates count from the first line;
* a time and several series: `column` names one of them, which counts requests per interval;
* a row for each program, whose intervals stand side by side below the headings 1, 2, 3 ...: the
  rows are added, as in public traces of serverless functions.

A first line without numbers is a heading; one that names a unit (``minute``, ``timestamp_ms``,
``requests_per_minute``) sets it. Columns are separated by commas, semicolons or tabs. Empty lines
and lines that begin with # are ignored.

No counterpart in Kubernetes.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from math import isfinite
from os import PathLike, fspath

from kubesim.arguments import Check, check_arguments, finite_number, instance_of, whole_number
from kubesim.errors import BadRequest
from kubesim.traffic.models import Replay

MINUTE = 60.0
COLUMN = "the name or the index of a column, or None"
OPTIONS: dict[str, Check] = {
    "path": instance_of((str, PathLike), "the path of a file"),
    "interval_seconds": finite_number,
    "column": lambda value: None if _names_column(value) else COLUMN,
    "scale": finite_number,
}
UNIX_UNITS = ((1e17, 1e-9), (1e14, 1e-6), (1e11, 1e-3), (1e8, 1.0))  # from: seconds; 1e8 s is 1973
TIME_WORDS = frozenset({"time", "timestamp", "date", "datetime", "second", "ts", "epoch", "period"})
SECONDS_OF = {
    "ns": 1e-9,
    "us": 1e-6,
    "ms": 1e-3,
    "millisecond": 1e-3,
    "s": 1.0,
    "second": 1.0,
    "minute": 60.0,
    "min": 60.0,
    "hour": 3600.0,
    "h": 3600.0,
}
PER = re.compile(r"(?:per|/)[ _]?(second|s|minute|min|hour|h)\b|\b(rpm)\b")
Row = tuple[int, list[str]]
"""(line number, cells)."""


def _names_column(value: object) -> bool:
    """Return whether a value may choose a column: a name, an index from 0, or None."""
    return value is None or isinstance(value, str) or whole_number(0)(value) is None


def from_csv(
    path: str | PathLike[str],
    *,
    interval_seconds: float = MINUTE,
    column: str | int | None = None,
    scale: float = 1.0,
) -> Replay:
    """Read traffic from a CSV file.

    Args:
        path: of the file, in UTF-8.
        interval_seconds: length of an interval, for files that count requests per interval.
        column: name (in the heading) or index (from 0) of the column with the requests per
            interval, in a file with many columns; None: by the number of columns.
        scale: factor for all rates.

    Returns:
        A traffic model that replays the file.

    Raises:
        BadRequest: the file cannot be read, or a line is wrong; the message says which line. Or an
            argument of another type.
    """
    given = {"path": path, "interval_seconds": interval_seconds, "column": column, "scale": scale}
    check_arguments(OPTIONS, given)
    if not interval_seconds > 0:
        raise BadRequest(f"interval_seconds must be more than 0, not {interval_seconds!r}")
    try:
        rows = _rows(path)
        heading = _heading(rows, column)
        rows = rows[1:] if heading else rows
        first = _first_interval(heading) if column is None else None
        if first is not None:
            points = _wide(rows, first, len(heading), interval_seconds)
        else:
            points = _long(rows, heading, column, interval_seconds)
    except _BadLineError as error:
        raise BadRequest(f"{fspath(path)}, line {error.line}: {error.problem}") from error
    if not points:
        raise BadRequest(f"{fspath(path)} holds no line with numbers")
    return Replay([(second, rate * scale) for second, rate in points])


class _BadLineError(Exception):
    """A line cannot be used.

    Args:
        line: its number.
        problem: what is wrong with it.
    """

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(problem)
        self.line, self.problem = line, problem


# -- the shapes of a file --------------------------------------------------------------------------


def _long(
    rows: Sequence[Row], heading: Sequence[str], column: str | int | None, interval: float
) -> list[tuple[float, float]]:
    """Return (second, rate) of each line of a file that has a line for each moment.

    Args:
        rows: the lines below the heading.
        heading: names of the columns; []: there is no heading.
        column: of the counts; None: by the number of columns.
        interval: seconds that a count covers.
    """
    if not rows:
        return []
    place = _place(rows[0], heading, column)
    timed = _has_times(rows, heading, place) if column is not None else place == 1
    unit = _unit(heading[0]) if heading and timed else None
    # A column that was asked for counts requests per interval; so does the only one.
    per = interval if column is not None or not timed else 1.0
    if heading and place < len(heading) and (match := PER.search(heading[place].lower())):
        per = 60.0 if match[2] else SECONDS_OF[match[1]]
    points: list[tuple[float, float]] = []
    start = 0.0
    for line, cells in rows:
        if column is None and len(cells) != place + 1:
            raise _BadLineError(line, f"has {len(cells)} cells in place of {place + 1}")
        second = _time(line, cells[0], unit) if timed else len(points) * interval
        if not points and timed and (second >= UNIX_UNITS[-1][0] or _is_date(cells[0])):
            start = second  # a moment of the calendar: the file begins with it
        if points and second - start <= points[-1][0]:
            raise _BadLineError(line, "is not later than the line before; sort the file by time")
        points.append((second - start, _count(line, cells, place) / per))
    return points


def _wide(
    rows: Sequence[Row], first: int, columns: int, interval: float
) -> list[tuple[float, float]]:
    """Return (second, rate) of each interval of a file whose rows hold one program each.

    Args:
        rows: the lines below the heading.
        first: index of the first interval's column.
        columns: number of columns.
        interval: seconds that a column covers.
    """
    totals = [0.0] * (columns - first)
    for line, cells in rows:
        if len(cells) != columns:
            raise _BadLineError(line, f"has {len(cells)} cells in place of {columns}")
        for index in range(first, columns):
            totals[index - first] += _count(line, cells, index)
    return [(index * interval, total / interval) for index, total in enumerate(totals) if rows]


def _first_interval(heading: Sequence[str]) -> int | None:
    """Return the index of the first interval in a heading like ``name, 1, 2, 3``; None: no such."""
    numbers = [int(name) if name.isdecimal() else None for name in heading]
    first = next((index for index, number in enumerate(numbers) if number is not None), None)
    if not first or len(numbers) - first < 2 or numbers[first] not in (0, 1):
        return None  # without a name before them, the numbers may be values
    start = numbers[first] or 0
    expected = [*range(start, start + len(numbers) - first)]
    return first if numbers[first:] == expected else None


def _heading(rows: Sequence[Row], column: str | int | None) -> list[str]:
    """Return the names of the columns; [] if the first line holds values.

    Raises:
        _BadLineError: it has no column of that name.
    """
    if not rows:
        return []
    line, cells = rows[0]
    names = [cell.strip() for cell in cells]
    if isinstance(column, str):
        if column not in names:
            problem = f"has no column {column!r}; there are: {', '.join(names)}"
            raise _BadLineError(line, problem)
        return names
    values = names if column is None else names[column : column + 1]
    has_values = all(_is_float(name) or _is_date(name) for name in values)
    return [] if has_values and _first_interval(names) is None else names


def _place(row: Row, heading: Sequence[str], column: str | int | None) -> int:
    """Return the index of the column with the requests."""
    if isinstance(column, str):
        return heading.index(column)
    if column is not None:
        return column
    line, cells = row
    if len(cells) > 2:
        names = ", ".join(heading[1:] or map(str, range(1, len(cells))))
        raise _BadLineError(line, f"has {len(cells)} cells; choose a column= of: {names}")
    return len(cells) - 1


def _has_times(rows: Sequence[Row], heading: Sequence[str], place: int) -> bool:
    """Return whether the first column of a file with many columns holds times."""
    cell = rows[0][1][0].strip()
    if place == 0:
        return False
    if _is_date(cell):
        return True
    words = set(re.split(r"[^a-z]+", heading[0].lower())) if heading else set()
    value = _number(cell)
    named = any(word.removesuffix("s") in TIME_WORDS or word == "minute" for word in words)
    return value is not None and (named or value >= UNIX_UNITS[-1][0])


# -- cells -----------------------------------------------------------------------------------------


def _rows(path: str | PathLike[str]) -> list[Row]:
    """Return (line number, cells) of each line that is not ignored."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            text = file.read()
        sample = next((t for t in text.splitlines() if t.strip() and t.lstrip()[0] != "#"), "")
        separator = next((sign for sign in ",;\t" if sign in sample), ",")
        reader = csv.reader(text.splitlines(keepends=True), delimiter=separator)
        return [
            (reader.line_num, row)
            for row in reader
            if any(cell.strip() for cell in row) and not row[0].lstrip().startswith("#")
        ]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadRequest(f"{fspath(path)} cannot be read: {error}") from error


def _is_float(cell: str) -> bool:
    """Return whether a cell is written as a number, also as one that no count may have."""
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _number(cell: str) -> float | None:
    """Return a cell as a finite number, or None."""
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if isfinite(value) else None


def _count(line: int, cells: Sequence[str], place: int) -> float:
    """Return a number of requests.

    Args:
        line: number of the line.
        cells: of the line.
        place: index of the cell.
    """
    if place >= len(cells):
        raise _BadLineError(line, f"has {len(cells)} cells, and none for column {place}")
    value = _number(cells[place])
    if value is None or value < 0:
        raise _BadLineError(line, f"needs a number of 0 or more, not {cells[place].strip()!r}")
    return value


def _is_date(cell: str) -> bool:
    """Return whether a cell is a date and time, as in ``2024-05-01T12:00:00Z``."""
    if "-" not in cell[1:]:
        return False  # fromisoformat would read 20240501, which is a number here
    try:
        datetime.fromisoformat(cell.strip())
    except ValueError:
        return False
    return True


def _time(line: int, cell: str, unit: float | None) -> float:
    """Return a time in seconds.

    Args:
        line: number of the line.
        cell: a number, or a date and time; without a zone it is UTC.
        unit: seconds of 1, as the heading says; None: by the size of the number.
    """
    if _is_date(cell):
        moment = datetime.fromisoformat(cell.strip())
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    value = _number(cell)
    if value is None or value < 0:
        problem = f"{cell.strip()!r} is no time: write seconds, a Unix time or 2024-05-01T12:00:00Z"
        raise _BadLineError(line, problem)
    by_size = next((unit for least, unit in UNIX_UNITS if value >= least), 1.0)
    return value * (by_size if unit is None or value >= UNIX_UNITS[-1][0] else unit)


def _unit(name: str) -> float | None:
    """Return the seconds of 1 in a column whose heading names a unit; None if it names none."""
    words = re.split(r"[^a-z]+", name.lower())
    units = (SECONDS_OF.get(word, SECONDS_OF.get(word.removesuffix("s"))) for word in words if word)
    return next((unit for unit in units if unit is not None), None)
