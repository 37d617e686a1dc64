r"""JSON paths of printer columns, as client-go parses and evaluates them.

>>> pod = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
>>> find_values(pod, '.status.conditions[?(@.type=="Ready")].status')
['True']
>>> find_values({"a": {"b.c": [1, 2, 3]}}, r".a.b\.c[-2:]")
[2, 3]
>>> parse_path(".spec[")
Traceback (most recent call last):
    ...
kubesim.apiserver.printers.jsonpath.PathError: unterminated array

Left out: the text around braces and ``range`` / ``end``, which columns have no use for.

Source: k8s.io/client-go/util/jsonpath (parser.go, jsonpath.go).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import NamedTuple, TypeAlias

MAX_DEPTH = 10  # filters inside filters
TERMINATORS = " \t\r\n.,[]$@{}"
_NUMBER = re.compile(r"[+-]?[0-9.]*", re.ASCII)
_KEY = re.compile(r"'([^']*)'")
_SLICE = re.compile(r"(-?[0-9]*)(:-?[0-9]*)?(:-?[0-9]*)?", re.ASCII)
_COMPARISON = re.compile(r"([^!<>=]+)([!<>=]+)(.+?)", re.DOTALL)
_ESCAPE = re.compile(r"\\(.?)", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", "a": "\a", "b": "\b", "f": "\f"}


class PathError(ValueError):
    """A path that cannot be parsed, or that does not fit the value that it is applied to."""


class FieldStep(NamedTuple):
    """One field of objects; ``*`` is each of them, and each item of lists."""

    name: str


class SliceStep(NamedTuple):
    """Some items of lists; `single` says that the path names one index."""

    start: int
    end: int | None
    step: int
    single: bool


class FilterStep(NamedTuple):
    """The items of lists for which a comparison holds; the operator ``exists`` has no operand."""

    left: tuple[Step, ...]
    operator: str
    right: tuple[Step, ...]


class UnionStep(NamedTuple):
    """What several paths find, one after the other."""

    branches: tuple[tuple[Step, ...], ...]


class LiteralStep(NamedTuple):
    """A value that stands in the path itself."""

    value: object


class NameStep(NamedTuple):
    """A bare word; it has no meaning in a column."""

    name: str


class DescendStep(NamedTuple):
    """Each value and all objects and lists inside of it."""


Step: TypeAlias = (
    FieldStep | SliceStep | FilterStep | UnionStep | LiteralStep | NameStep | DescendStep
)
Path: TypeAlias = tuple[Step, ...]


# -- parsing ---------------------------------------------------------------------------------------


@lru_cache(maxsize=1024)
def parse_path(path: str) -> Path:
    """Return the steps of a path.

    Raises:
        PathError: the path is malformed.
    """
    return _Scanner(path + "}", 0).steps()


def is_path(path: str) -> bool:
    """Return whether a path can be parsed."""
    try:
        parse_path(path)
    except PathError:
        return False
    return True


class _Scanner:
    """Reads one path up to its closing brace.

    Args:
        text: the path and its brace.
        depth: how many filters and unions the path stands in.
    """

    def __init__(self, text: str, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise PathError("unterminated filter")
        self._text = text
        self._depth = depth
        self._position = 0

    def steps(self) -> Path:
        """Return the steps up to the closing brace."""
        return tuple(self._read())

    def _read(self) -> Iterator[Step]:
        after_descent = False
        while not self._text.startswith("}", self._position):
            character = self._text[self._position : self._position + 1]
            if self._text.startswith("[?(", self._position):
                yield self._filter()
            elif self._text.startswith("..", self._position):
                if after_descent:
                    raise PathError("invalid multiple recursive descent")
                yield DescendStep()
                self._position += 2
                following = self._text[self._position : self._position + 1]
                after_descent = not (following == "_" or following.isalnum())
                if not after_descent:
                    yield self._field()
                continue
            elif character in ("", "\r", "\n"):
                raise PathError("unclosed action")
            elif character in " @$":
                self._position += 1
                continue
            else:
                yield from self._plain(character)
            after_descent = False

    def _plain(self, character: str) -> Iterator[Step]:
        if character == "[":
            yield from self._array()
        elif character in "\"'":
            yield LiteralStep(self._quoted(character))
        elif character == ".":
            self._position += 1
            yield self._field()
        elif character in "+-" or character.isdecimal():
            yield LiteralStep(self._number())
        elif character == "_" or character.isalnum():
            word = self._until_terminator()
            yield LiteralStep(word == "true") if word in ("true", "false") else NameStep(word)
        else:
            code = f"U+{ord(character):04X} '{character}'"
            raise PathError(f"unrecognized character in action: {code}")

    def _until_terminator(self) -> str:
        start = self._position
        while self._position < len(self._text) and self._text[self._position] not in TERMINATORS:
            self._position += 2 if self._text[self._position] == "\\" else 1
        return self._text[start : self._position]

    def _field(self) -> Step:
        return FieldStep(self._until_terminator().replace("\\", "") or "")

    def _number(self) -> int | float:
        match = _NUMBER.match(self._text, self._position)
        text = match.group() if match else ""
        self._position += len(text)
        try:
            return float(text) if "." in text else int(text)
        except ValueError:
            raise PathError(f"cannot parse number {text}") from None

    def _quoted(self, quote: str) -> str:
        start = self._position + 1
        end = start
        while True:
            end = self._text.find(quote, end)
            line_end = self._text.find("\n", start)
            if end < 0 or 0 <= line_end < end:
                raise PathError("unterminated quoted string")
            if self._text[end - 1] != "\\":
                break
            end += 1
        self._position = end + 1
        return _ESCAPE.sub(lambda match: _unescape(match.group(1), quote), self._text[start:end])

    def _array(self) -> Iterator[Step]:
        end = self._text.find("]", self._position)
        text = self._text[self._position + 1 : end]
        if end < 0 or "\n" in text:
            raise PathError("unterminated array")
        self._position = end + 1
        parts = (":" if text == "*" else text).split(",")
        if len(parts) > 1:
            yield UnionStep(tuple(self._inner(f"[{part.strip(' ')}]") for part in parts))
        elif key := _KEY.fullmatch(parts[0]):
            yield from self._inner(f".{key[1]}")
        else:
            yield _slice(parts[0])

    def _filter(self) -> Step:
        start = self._position + 3
        end = start
        quote, closed = "", False
        while True:
            character = self._text[end : end + 1]
            if character in ("", "\n"):
                raise PathError("unterminated filter")
            if character in "\"'" and not quote:
                quote = character
            elif character == quote and self._text[end - 1] != "\\":
                closed = True
            elif character == ")" and bool(quote) == closed:
                break
            end += 1
        if not self._text.startswith("]", end + 1):
            raise PathError("unclosed array expect ]")
        self._position = end + 2
        text = self._text[start:end]
        match = _COMPARISON.fullmatch(text)
        if match is None:
            return FilterStep(self._inner(text), "exists", ())
        left, operator, right = match.groups()
        return FilterStep(self._inner(left), operator, self._inner(right))

    def _inner(self, text: str) -> Path:
        return _Scanner(text + "}", self._depth + 1).steps()


def _unescape(letter: str, quote: str) -> str:
    if letter == quote:
        return letter
    if letter not in _ESCAPES:
        raise PathError("invalid syntax")
    return _ESCAPES[letter]


def _slice(text: str) -> Step:
    match = _SLICE.fullmatch(text)
    if match is None:
        raise PathError(f"invalid array index {text}")
    first, end, step = (part.removeprefix(":") if part else part for part in match.groups())
    for part in (first, end, step):
        if part == "-":
            raise PathError(f"array index {part} is not a number")
    single = end is None and bool(first)
    start = int(first or 0)
    return SliceStep(
        start, start + 1 if end is None else int(end) if end else None, int(step or 1), single
    )


# -- evaluating ------------------------------------------------------------------------------------


def find_values(document: object, path: str) -> list[object]:
    """Return the values at a path: fields, indexes, slices, ``[*]``, ``[?(@.field=="value")]``.

    Args:
        document: the object.
        path: the path.

    Raises:
        PathError: the path is malformed, or it reads an item of what is no list.
    """
    return _walk([document], parse_path(path))


def _walk(values: list[object], path: Path) -> list[object]:
    for step in path:
        match step:
            case FieldStep():
                values = list(_fields(values, step.name))
            case SliceStep():
                values = [item for value in values for item in _items(value, step)]
            case FilterStep():
                values = [item for value in values for item in _matching(value, step)]
            case UnionStep():
                values = [item for branch in step.branches for item in _walk(values, branch)]
            case LiteralStep():
                values = [step.value]
            case DescendStep():
                values = [item for value in values for item in _descend(value)]
            case NameStep():
                raise PathError(f"unrecognized identifier {step.name}")
    return values


def _fields(values: list[object], name: str) -> Iterator[object]:
    for value in values:
        if name == "*":
            yield from _children(value)
        elif isinstance(value, dict) and name in value:
            yield value[name]


def _children(value: object) -> list[object]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _descend(value: object) -> Iterator[object]:
    children = _children(value)
    if children:
        yield value
    for child in children:
        yield from _descend(child)


def _items(value: object, step: SliceStep) -> list[object]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise PathError("the value is not array or slice")
    length = len(value)
    start = step.start + length if step.start < 0 else step.start
    end = length if step.end is None else step.end
    if end < 0 or (end == 0 and step.single):
        end += length
    if start == end:
        return []
    if not 0 <= start < length or not 0 <= end <= length or start > end:
        raise PathError(f"array index out of bounds: index {start}, length {length}")
    if step.step <= 0:
        raise PathError("step must be > 0")
    return value[start : end : step.step]


def _matching(value: object, step: FilterStep) -> Iterator[object]:
    if not isinstance(value, list):
        raise PathError("the value is not array or slice and cannot be filtered")
    for item in value:
        lefts = _walk([item], step.left)
        if step.operator == "exists":
            if lefts:
                yield item
            continue
        rights = _walk([item], step.right)
        if len(lefts) > 1 or len(rights) > 1:
            raise PathError("can only compare one element at a time")
        if lefts and rights and _holds(lefts[0], step.operator, rights[0]):
            yield item


ORDERS: dict[str, Callable[[float, float], bool]] = {
    "<": lambda left, right: left < right,
    ">": lambda left, right: left > right,
    "<=": lambda left, right: left <= right,
    ">=": lambda left, right: left >= right,
}


def _holds(left: object, operator: str, right: object) -> bool:
    if operator not in ORDERS and operator not in ("==", "!="):
        raise PathError(f"unrecognized filter operator {operator}")
    if type(left) is not type(right) or not isinstance(left, (bool, int, float, str)):
        raise PathError("incompatible types for comparison")
    if operator in ("==", "!="):
        return (left == right) is (operator == "==")
    if isinstance(left, bool):
        raise PathError("invalid type for comparison")
    return ORDERS[operator](left, right)  # type: ignore[arg-type]  # both strings, or both numbers
