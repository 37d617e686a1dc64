"""Traffic from a CSV file: an export of a monitoring system, or a published trace.

Two columns are (second, requests per second). One column is the number of requests in each interval
of equal length, as in public traces of web sites and serverless functions. A first line without
numbers is a heading. Empty lines and lines that begin with # are ignored.

No counterpart in Kubernetes.
"""

from __future__ import annotations

import csv
from os import PathLike, fspath

from kubesim.arguments import check_arguments, finite_number, instance_of
from kubesim.errors import BadRequest
from kubesim.traffic.models import Replay

MINUTE = 60.0
OPTIONS = {
    "path": instance_of((str, PathLike), "the path of a file"),
    "interval_seconds": finite_number,
    "column": instance_of((str, int, type(None)), "the name or the index of a column, or None"),
    "scale": finite_number,
}


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
    place: int | None = column if isinstance(column, int) else None
    points: list[tuple[float, float]] = []
    for number, row in _rows(path):
        if place is None and isinstance(column, str):
            place = _place(path, number, row, column)
            continue
        cells = row if place is None else row[place : place + 1]
        values = _numbers(cells)
        if values is None and not points:
            continue  # the heading
        if values is None or len(values) not in (1, 2) or min(values) < 0:
            raise _error(path, number, "needs one or two numbers of 0 or more")
        if len(values) == 1:
            values = [len(points) * interval_seconds, values[0] / interval_seconds]
        if points and values[0] <= points[-1][0]:
            raise _error(path, number, "is not later than the line before")
        points.append((values[0], values[1] * scale))
    if not points:
        raise BadRequest(f"{fspath(path)} holds no line with numbers")
    return Replay(points)


def _rows(path: str | PathLike[str]) -> list[tuple[int, list[str]]]:
    """Return (line number, cells) of each line that is not ignored."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            return [
                (reader.line_num, row)
                for row in reader
                if any(cell.strip() for cell in row) and not row[0].lstrip().startswith("#")
            ]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadRequest(f"{fspath(path)} cannot be read: {error}") from error


def _place(path: str | PathLike[str], number: int, row: list[str], column: str) -> int:
    names = [cell.strip() for cell in row]
    if column not in names:
        raise _error(path, number, f"has no column {column!r}; there are: {', '.join(names)}")
    return names.index(column)


def _numbers(cells: list[str]) -> list[float] | None:
    """Return the cells as finite numbers; None if one is not a number."""
    try:
        values = [float(cell) for cell in cells]
    except ValueError:
        return None
    return values if all(abs(value) < float("inf") for value in values) else None


def _error(path: str | PathLike[str], number: int, problem: str) -> BadRequest:
    return BadRequest(f"{fspath(path)}, line {number}: {problem}")
