"""Label selectors and field selectors.

>>> parse_label_selector("app=web,tier in (front,back),!legacy").matches(
...     {"app": "web", "tier": "front"})
True
>>> parse_field_selector("status.phase!=Running").matches({"status": {"phase": "Pending"}})
True

Source: k8s.io/apimachinery/pkg/labels/selector.go, pkg/fields/selector.go;
metav1.LabelSelectorAsSelector.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kubesim.errors import BadRequest
from kubesim.objects.frozen import ReadOnlyDocument
from kubesim.objects.intstr import parse_int
from kubesim.objects.meta import label_key_error, label_value_error

if TYPE_CHECKING:
    from kubesim.objects.types import LabelSelectorDict

# Parts of a field selector between commas that are not escaped; then field, operator and value.
_TERMS = re.compile(r"(?:[^,\\]|\\.|\\$)+", re.DOTALL)
_TERM = re.compile(r"([^=!]*(?:!(?!=)[^=!]*)*)(!=|==|=)(.*)", re.DOTALL)
_UNESCAPED = re.compile(r"(?:[^\\=]|\\[\\,=])*(=|\\(?:[^\\,=]|\Z))", re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
# By apiVersion, kind and path: the fields that a selector reads instead, and the value if absent.
_ALIASES: Mapping[tuple[str, str, str], tuple[str, ...]] = {
    ("batch/v1", "Job", "status.successful"): ("status.succeeded",),
    ("v1", "Event", "source"): ("source.component", "reportingComponent"),
}
_ABSENT: Mapping[tuple[str, str, str], str] = {
    ("v1", "Node", "spec.unschedulable"): "false",
    ("v1", "Pod", "spec.hostNetwork"): "false",
    ("apps/v1", "ReplicaSet", "status.replicas"): "0",
    ("v1", "ReplicationController", "status.replicas"): "0",
    ("batch/v1", "Job", "status.successful"): "0",
}
_SPECIAL = frozenset(path for _, _, path in (*_ALIASES, *_ABSENT))


@dataclass(frozen=True, slots=True)
class Requirement:
    """One condition on one label.

    Attributes:
        key: of the label.
        operator: In, NotIn, Exists, DoesNotExist, Gt or Lt.
        values: for In and NotIn; one number for Gt and Lt.
    """

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether labels match; a missing label matches NotIn and DoesNotExist."""
        value = labels.get(self.key)
        if self.operator == "In":
            return value in self.values
        if self.operator == "NotIn":
            return value is None or value not in self.values
        if self.operator == "Exists":
            return value is not None
        if self.operator == "DoesNotExist":
            return value is None
        left, right = parse_int(value or ""), parse_int(self.values[0])
        if left is None or right is None:
            return False
        return left > right if self.operator == "Gt" else left < right

    def __str__(self) -> str:
        match self.operator, self.values:
            case "In", (value,):
                return f"{self.key}={value}"
            case "NotIn", (value,):
                return f"{self.key}!={value}"
            case "In" | "NotIn", values:
                return f"{self.key} {self.operator.lower()} ({','.join(sorted(values))})"
            case "Exists", _:
                return self.key
            case "DoesNotExist", _:
                return f"!{self.key}"
        return f"{self.key}{'>' if self.operator == 'Gt' else '<'}{self.values[0]}"


@dataclass(frozen=True, slots=True)
class Selector:
    """A conjunction of requirements; without requirements all labels match, unless `nothing`."""

    requirements: tuple[Requirement, ...] = ()
    nothing: bool = False

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether labels match all requirements."""
        return not self.nothing and all(r.matches(labels) for r in self.requirements)

    @property
    def empty(self) -> bool:
        """Whether the selector matches all objects."""
        return not self.requirements and not self.nothing

    def __str__(self) -> str:
        return ",".join(str(r) for r in sorted(self.requirements, key=lambda r: r.key))


_ALL = Selector()  # what every informer without a selector has


_LEXEMES = re.compile(r"==|!=|[=!(),<>]|[^=!(),<> \t\r\n]+")
_SPECIAL_LEXEMES = frozenset(("", "==", "!=", *"=!(),<>"))  # "": the end of the string
_OPERATORS = {
    "in": "In",
    "notin": "NotIn",
    "=": "In",
    "==": "In",
    "!=": "NotIn",
    ">": "Gt",
    "<": "Lt",
}
_BINARY = "in, notin, =, ==, !=, gt, lt"
_NOT_A_NUMBER = "for 'Gt', 'Lt' operators, the value must be an integer"


class _Lexemes:
    """The lexemes of a label selector, and how far they are read."""

    def __init__(self, text: str) -> None:
        self._lexemes: list[str] = [*_LEXEMES.findall(text), ""]
        self._next = 0

    def peek(self) -> str:
        """Return the next lexeme; "" at the end."""
        return self._lexemes[self._next]

    def take(self) -> str:
        """Return the next lexeme, and go on behind it."""
        self._next += 1
        return self._lexemes[self._next - 1]


def parse_label_selector(text: str) -> Selector:
    """Parse a label selector as clients write it: ``app=web,tier in (a,b),!legacy``.

    Raises:
        BadRequest: it cannot be parsed; the message says what is wrong in Go's words.

    Source: k8s.io/apimachinery/pkg/labels/selector.go (Lexer, Parser). There a NUL ends the text;
    ours refuses it.
    """
    return Selector(tuple(_requirements(_Lexemes(text)))) if text else _ALL


def _requirements(lexemes: _Lexemes) -> Iterator[Requirement]:
    while first := lexemes.peek():
        if first in _SPECIAL_LEXEMES and first != "!":
            raise _unparsable(f"found '{first}', expected: !, identifier, or 'end of string'")
        try:
            yield _requirement(lexemes)
        except ValueError as error:
            raise _unparsable(f"unable to parse requirement: {error}") from error
        end = lexemes.take()
        if not end:
            return
        if end != ",":
            raise _unparsable(f"found '{end}', expected: ',' or 'end of string'")
        following = lexemes.peek()
        if following in _SPECIAL_LEXEMES and following != "!":
            raise _unparsable(f"found '{following}', expected: identifier after ','")


def _unparsable(message: str) -> BadRequest:
    hint = "write, for example, app=web, tier!=back, tier in (front,back), app, !app"
    return BadRequest(message, hint=hint)


def _requirement(lexemes: _Lexemes) -> Requirement:
    """Read one requirement.

    Raises:
        ValueError: it is malformed.
    """
    absent, key = False, lexemes.take()
    if key == "!":
        absent, key = True, lexemes.take()
    if key in _SPECIAL_LEXEMES:
        raise ValueError(f"found '{key}', expected: identifier")
    if fault := label_key_error(key):
        raise ValueError(_invalid("<nil>", key, fault))
    if absent or lexemes.peek() in ("", ","):
        return Requirement(key, "DoesNotExist" if absent else "Exists")
    word = lexemes.take()
    operator = _OPERATORS.get(word)
    if operator is None:
        raise ValueError(f"found '{word}', expected: {_BINARY}")
    values = _listed_values(lexemes) if word in ("in", "notin") else [_exact_value(lexemes)]
    _check_values(key, operator, values)
    return Requirement(key, operator, tuple(values))


def _exact_value(lexemes: _Lexemes) -> str:
    if lexemes.peek() in ("", ","):
        return ""
    value = lexemes.take()
    if value in _SPECIAL_LEXEMES:
        raise ValueError(f"found '{value}', expected: identifier")
    return value


def _listed_values(lexemes: _Lexemes) -> list[str]:
    """Read the values between parentheses; an empty one stands between two commas."""
    if (first := lexemes.take()) != "(":
        raise ValueError(f"found '{first}' expected: '('")
    if (first := lexemes.peek()) in _SPECIAL_LEXEMES and first not in (",", ")"):
        raise ValueError(f"found '{first}', expected: ',', ')' or identifier")
    values = {""} if first in (",", ")") else set()
    while (word := lexemes.take()) != ")":
        if word == ",":
            if lexemes.peek() in (",", ")"):
                values.add("")
            continue
        if word in _SPECIAL_LEXEMES:
            raise ValueError(f"found '{word}', expected: ',', or identifier")
        values.add(word)
        if (following := lexemes.peek()) not in (",", ")"):
            raise ValueError(f"found '{following}', expected: ',' or ')'")
    return sorted(values)


def _check_values(key: str, operator: str, values: list[str]) -> None:
    """Refuse values that no label can have (NewRequirement)."""
    faults = []
    if operator in ("Gt", "Lt") and parse_int(values[0]) is None:
        faults.append(_invalid("values[0]", values[0], _NOT_A_NUMBER))
    for index, value in enumerate(values):
        if fault := label_value_error(value):
            faults.append(_invalid(f"values[{index}][{key}]", value, fault))
    if faults:
        raise ValueError(faults[0] if len(faults) == 1 else f"[{', '.join(faults)}]")


def _invalid(path: str, value: str, detail: str) -> str:
    return f"{path}: Invalid value: {json.dumps(value, ensure_ascii=False)}: {detail}"


def selector_from(document: LabelSelectorDict | None) -> Selector:
    """Parse a LabelSelector document (matchLabels, matchExpressions).

    As by metav1.LabelSelectorAsSelector, None matches nothing and an empty document everything.

    Raises:
        BadRequest: an unknown operator, or values for an operator without values.
    """
    if document is None:
        return Selector(nothing=True)
    requirements = [
        Requirement(key, "In", (value or "",))
        for key, value in sorted((document.get("matchLabels") or {}).items())
    ]
    for expression in document.get("matchExpressions") or ():
        operator, values = expression.get("operator"), tuple(expression.get("values") or ())
        if operator not in ("In", "NotIn", "Exists", "DoesNotExist"):
            raise BadRequest(f"{operator!r} is not a valid label selector operator")
        if bool(values) != (operator in ("In", "NotIn")):
            raise BadRequest(f"operator {operator} takes {'no ' if values else ''}values")
        requirements.append(Requirement(expression["key"], operator, values))
    return Selector(tuple(requirements))


@dataclass(frozen=True, slots=True)
class FieldSelector:
    """Conditions on fields.

    Attributes:
        terms: (dotted path, whether it must be equal, value).
    """

    terms: tuple[tuple[str, bool, str], ...] = ()

    def matches(self, document: ReadOnlyDocument) -> bool:
        """Whether a document matches all terms; see `selectable_field`."""
        return all(
            ((selectable_field if path in _SPECIAL else field_of)(document, path) == value) is equal
            for path, equal, value in self.terms
        )

    @property
    def empty(self) -> bool:
        """Whether the selector matches all objects."""
        return not self.terms

    def value_of(self, path: str) -> str | None:
        """Return the value that a field must have; None if it may have any."""
        return next((value for field, equal, value in self.terms if equal and field == path), None)

    @property
    def paths(self) -> list[str]:
        """The fields of all terms."""
        return [path for path, _, _ in self.terms]


def parse_field_selector(text: str) -> FieldSelector:
    """Parse a field selector such as ``spec.nodeName=node-1,status.phase!=Failed``.

    Empty parts are skipped. In a value, ``\\,``, ``\\=`` and ``\\\\`` stand for a comma, an equals
    sign and a backslash.

    Raises:
        BadRequest: it cannot be parsed; the message shows the part, in Go's words.

    Source: k8s.io/apimachinery/pkg/fields/selector.go (parseSelector, splitTerms, UnescapeValue).
    """
    parts = _TERMS.findall(text) if text.strip() else []
    try:
        return FieldSelector(tuple(_term(part, text) for part in parts))
    except BadRequest:
        for part in sorted(parts):  # upstream reads them in this order, and names the first fault
            _term(part, text)
        raise


def _term(part: str, text: str) -> tuple[str, bool, str]:
    """Parse one part of the field selector `text`."""
    match = _TERM.fullmatch(part)
    if match is None:
        message = f"invalid selector: '{text}'; can't understand '{part}'"
        raise BadRequest(message, hint="write, for example, status.phase=Running")
    value = match[3].strip()
    if fault := _UNESCAPED.match(value):
        sign = fault[1]
        wrong = f"invalid escape sequence: {sign}"
        if sign == "=":  # Go prints the number of the character
            wrong = f"unescaped character in value: {ord(sign)}"
        raise BadRequest(f"invalid field selector: {wrong}")
    return match[1].strip(), match[2] != "!=", _ESCAPE.sub(r"\1", value)


def selectable_field(document: ReadOnlyDocument, path: str) -> str:
    """Return a field as field selectors see it: numbers and flags that are absent have a value.

    >>> selectable_field({"apiVersion": "v1", "kind": "Node", "spec": {}}, "spec.unschedulable")
    'false'

    Source: the functions ToSelectableFields of pkg/registry/*/*/strategy.go.
    """
    key = (str(document.get("apiVersion")), str(document.get("kind")), path)
    for actual in _ALIASES.get(key, (path,)):
        if value := field_of(document, actual):
            return value
    return _ABSENT.get(key, "")


def field_of(document: object, path: str) -> str:
    """Return the field at a dotted path as a string; "" if it is missing."""
    value: object = document
    for step in path.split("."):
        value = value.get(step) if isinstance(value, dict) else None
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)
