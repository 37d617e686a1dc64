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

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kubesim.errors import BadRequest
from kubesim.objects.frozen import ReadOnlyDocument
from kubesim.objects.intstr import parse_int

if TYPE_CHECKING:
    from kubesim.objects.types import LabelSelectorDict

_NAME = r"[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?"
_KEY = rf"(?:[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?/)?{_NAME}"
_SET = re.compile(rf"({_KEY})\s+(in|notin)\s*\(([^()]*)\)", re.ASCII)
_EQUAL = re.compile(rf"({_KEY})\s*(==|=|!=)\s*({_NAME})?", re.ASCII)
_EXISTS = re.compile(rf"(!?)\s*({_KEY})", re.ASCII)
_COMPARE = re.compile(rf"({_KEY})\s*([<>])\s*(-?[0-9]+)", re.ASCII)

# Parts of a field selector between commas that are not escaped; then field, operator and value.
_TERMS = re.compile(r"(?:[^,\\]|\\.|\\$)+", re.DOTALL)
_TERM = re.compile(r"([^=!]*(?:!(?!=)[^=!]*)*)(!=|==|=)((?:[^\\=]|\\[\\,=])*)", re.DOTALL)
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


def parse_label_selector(text: str) -> Selector:
    """Parse a label selector as clients write it: ``app=web,tier in (a,b),!legacy``.

    Raises:
        BadRequest: it cannot be parsed; the message shows the part.
    """
    return Selector(tuple(_requirement(part.strip()) for part in _parts(text))) if text else _ALL


def _parts(text: str) -> list[str]:
    """Split a string at its commas, but not at those between parentheses."""
    if not text.strip():
        return []
    parts, inside = [""], False
    for piece in re.split(r"([,()])", text):
        if piece == "," and not inside:
            parts.append("")
            continue
        inside = piece == "(" or (inside and piece != ")")
        parts[-1] += piece
    return parts


def _requirement(part: str) -> Requirement:
    if match := _SET.fullmatch(part):
        values = tuple(value.strip() for value in match[3].split(","))
        return Requirement(match[1], "In" if match[2] == "in" else "NotIn", values)
    if match := _EQUAL.fullmatch(part):
        return Requirement(match[1], "NotIn" if match[2] == "!=" else "In", (match[3] or "",))
    if match := _COMPARE.fullmatch(part):
        return Requirement(match[1], "Gt" if match[2] == ">" else "Lt", (match[3],))
    if match := _EXISTS.fullmatch(part):
        return Requirement(match[2], "DoesNotExist" if match[1] else "Exists")
    raise BadRequest(
        f"unable to parse requirement: {part!r}",
        hint="write, for example, app=web, tier!=back, tier in (front,back), app, !app",
    )


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
        BadRequest: it cannot be parsed; the message shows the part.

    Source: k8s.io/apimachinery/pkg/fields/selector.go (parseSelector, splitTerms, UnescapeValue).
    """
    terms = []
    for part in _TERMS.findall(text) if text.strip() else ():
        match = _TERM.fullmatch(part)
        if match is None:
            raise BadRequest(
                f"invalid field selector: {part!r}", hint="write, for example, status.phase=Running"
            )
        value = _ESCAPE.sub(r"\1", match[3].strip())
        terms.append((match[1].strip(), match[2] != "!=", value))
    return FieldSelector(tuple(terms))


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
