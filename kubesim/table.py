"""One small table type: rows that print as text, as HTML in a notebook, or become a DataFrame.

kubesim itself imports no pandas; `Table.to_frame()` uses it if the reader has it. The API server
answers kubectl with a table of its own (meta.k8s.io Table); this one is for people.

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


class Table:
    """Named columns and rows of plain values.

    Args:
        columns: the headings, with units in square brackets where there are any.
        rows: one sequence of values for each row.
        title: shown above the table.
    """

    def __init__(
        self, columns: Sequence[str], rows: Iterable[Sequence[Any]], title: str = ""
    ) -> None:
        self.columns = tuple(columns)
        self.rows = [tuple(row) for row in rows]
        self.title = title

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return iter(self.rows)

    def column(self, name: str) -> list[Any]:
        """All values of one column.

        Raises:
            KeyError: no such column; the message lists those that exist.
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
        numeric = [
            bool(self.rows) and all(isinstance(row[i], (int, float)) for row in self.rows)
            for i in range(len(self.columns))
        ]

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
        head = "".join(f"<th>{escape(name)}</th>" for name in self.columns)
        body = "".join(
            "<tr>" + "".join(f"<td>{escape(_text(value))}</td>" for value in row) + "</tr>"
            for row in self.rows
        )
        caption = f"<caption>{escape(self.title)}</caption>" if self.title else ""
        return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"

    def to_dicts(self) -> list[dict[str, Any]]:
        """The rows as dictionaries by column name."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]

    def to_frame(self) -> Any:
        """The table as a pandas DataFrame.

        Raises:
            ImportError: pandas is not installed; the message says how to get it.
        """
        try:
            pandas = import_module("pandas")  # optional: only for those who have it
        except ImportError as error:
            raise ImportError(
                "Table.to_frame() needs pandas: pip install pandas (or use to_dicts())"
            ) from error
        return pandas.DataFrame(self.rows, columns=list(self.columns))


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.6g}"
    return str(value)
