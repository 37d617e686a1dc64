"""Table: rows that print as text, render as HTML in a notebook, or convert to a DataFrame.

`Table.to_frame()` uses pandas if it is installed. The tables that kubectl prints are another type
(meta.k8s.io Table, `kubesim.apiserver.printers`).

>>> print(Table(("pod", "cpu [m]"), [("auto-pod-0", 134), ("auto-pod-1", 97)]))
pod         cpu [m]
----------  -------
auto-pod-0      134
auto-pod-1       97
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from importlib import import_module
from typing import Any

Cell = Any  # each column has its own type, which its readers know
DataFrame = Any  # pandas is optional, and has no type information


class Table:
    """Named columns and rows of plain values.

    Args:
        columns: the headings; units are in square brackets: ``cpu [m]``.
        rows: one sequence of values per row.
        title: printed above the table.
    """

    def __init__(
        self, columns: Sequence[str], rows: Iterable[Sequence[object]], title: str = ""
    ) -> None:
        self.columns = tuple(columns)
        self.rows = [tuple(row) for row in rows]
        self.title = title

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[tuple[Cell, ...]]:
        return iter(self.rows)

    def column(self, name: str) -> list[Cell]:
        """Return the values of one column.

        Raises:
            KeyError: no such column; the message lists the columns.
        """
        if name not in self.columns:
            raise KeyError(f"no column {name!r}; there are: {', '.join(self.columns)}")
        index = self.columns.index(name)
        return [row[index] for row in self.rows]

    def __str__(self) -> str:
        cells = [[_text(value) for value in row] for row in self.rows]
        widths = [
            max([len(heading), *(len(row[i]) for row in cells)])
            for i, heading in enumerate(self.columns)
        ]
        numeric = numeric_columns(self.rows, len(self.columns))

        def line(values: Sequence[str]) -> str:
            return "  ".join(
                value.rjust(width) if right else value.ljust(width)
                for value, width, right in zip(values, widths, numeric, strict=True)
            ).rstrip()

        lines = [self.title] if self.title else []
        lines += [line(self.columns), line(["-" * width for width in widths])]
        lines += [line(row) for row in cells]
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return html_table(self.columns, self.rows, self.title)

    def to_dicts(self) -> list[dict[str, Cell]]:
        """Return the rows as dictionaries by column name."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]

    def to_frame(self) -> DataFrame:
        """Convert the table to a pandas DataFrame.

        Raises:
            ImportError: pandas is not installed; the message says how to install it.
        """
        try:
            pandas = import_module("pandas")  # optional
        except ImportError as error:
            raise ImportError(
                "Table.to_frame() needs pandas: pip install pandas (or use to_dicts())"
            ) from error
        return pandas.DataFrame(self.rows, columns=list(self.columns))


def numeric_columns(rows: Sequence[Sequence[object]], count: int) -> list[bool]:
    """Return which of `count` columns hold numbers, and at most a few empty cells.

    >>> numeric_columns([("a", 1), ("b", None)], 2)
    [False, True]
    """
    columns = [[row[i] for row in rows if row[i] is not None] for i in range(count)]
    return [
        bool(cells) and all(isinstance(cell, (int, float)) for cell in cells) for cells in columns
    ]


def html_table(columns: Sequence[str], rows: Sequence[Sequence[object]], title: str = "") -> str:
    """Return a table as HTML: words to the left, numbers to the right, headings over both.

    Jupyter aligns every cell to the right, so each cell names its alignment.

    Args:
        columns: headings.
        rows: plain values; None is empty.
        title: caption; "" for none.
    """
    styles = [
        f' style="text-align:{"right" if right else "left"}"'
        for right in numeric_columns(rows, len(columns))
    ]
    head = "".join(
        f"<th{style}>{escape(name)}</th>" for name, style in zip(columns, styles, strict=True)
    )
    body = "".join(
        "<tr>"
        + "".join(
            f"<td{style}>{escape(_text(value))}</td>"
            for value, style in zip(row, styles, strict=True)
        )
        + "</tr>"
        for row in rows
    )
    caption = f"<caption>{escape(title)}</caption>" if title else ""
    return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.6g}"
    return str(value)
