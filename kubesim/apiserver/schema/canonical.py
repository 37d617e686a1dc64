"""Documents as Go would write them after it has read them: the form in which they are stored.

Reading into Go's types and writing again changes five things: a quantity gets its canonical form,
a time the zone UTC and whole seconds, a list or map without items is left out, base 64 loses its
line breaks, and null in a map becomes the zero value of its type.

>>> pod = {"spec": {"nodeSelector": {}, "containers": [
...     {"name": "main", "resources": {"requests": {"cpu": 0.5, "memory": "1024Mi"}}}]}}
>>> make_canonical(Kind("Pod", "pods"), pod)
>>> pod["spec"]
{'containers': [{'name': 'main', 'resources': {'requests': {'cpu': '500m', 'memory': '1Gi'}}}]}

The parts of a type are made when a value of it is first seen, as in `compiler`; many threads may do
so at once, since what they make is the same.

Source: k8s.io/apimachinery/pkg/api/resource/quantity.go (UnmarshalJSON, MarshalJSON), the tags
`omitempty` of the API types, encoding/base64, encoding/json (null).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from kubesim.apiserver.registry import Kind
from kubesim.apiserver.schema.compiler import QUANTITY, TIMES
from kubesim.apiserver.schema.data import Schema
from kubesim.apiserver.schema.schemas import component_name, resolve, structure
from kubesim.apiserver.schema.times import canonical_time
from kubesim.objects.frozen import Document
from kubesim.quantity import canonical_quantity

ABSENT: Final = object()
# Lists that stay without items: EndpointSlices write their ports so, and to an HPA an empty list of
# policies is a mistake, while no list stands for the default.
KEPT = frozenset({"policies", "ports"})


class CanonicalPart:
    """A value that stays as it is."""

    def tidy(self, value: object) -> object:
        """Return the canonical value; ABSENT: its field is left out. Objects change in place."""
        return value


class QuantityPart(CanonicalPart):
    """A quantity."""

    def tidy(self, value: object) -> object:
        """Return the canonical form; what is no quantity is left to validation."""
        if isinstance(value, (str, int, float)) and not isinstance(value, bool):
            return canonical_quantity(value)
        return value


class TimePart(CanonicalPart):
    """A time.

    Args:
        micro: it is a v1.MicroTime.
    """

    def __init__(self, *, micro: bool) -> None:
        self._micro = micro

    def tidy(self, value: object) -> object:
        """Return the time in UTC; what is no time is left to validation."""
        return canonical_time(value, micro=self._micro) if isinstance(value, str) else value


class Base64Part(CanonicalPart):
    """Bytes in base 64."""

    def tidy(self, value: object) -> object:
        """Return the text without line breaks."""
        if isinstance(value, str) and ("\n" in value or "\r" in value):
            return value.replace("\n", "").replace("\r", "")
        return value


class ListPart(CanonicalPart):
    """A list.

    Args:
        items: of each item; None: they stay as they are.
        keeps_empty: a list without items is written.
    """

    def __init__(self, items: CanonicalPart | None, *, keeps_empty: bool) -> None:
        self._items = items
        self._keeps_empty = keeps_empty

    def tidy(self, value: object) -> object:
        """Return the list, its items canonical; ABSENT for one without items."""
        if not isinstance(value, list):
            return value
        if not value and not self._keeps_empty:
            return ABSENT
        if self._items is not None:
            for index, item in enumerate(value):
                kept = self._items.tidy(item)
                if kept is not item and kept is not ABSENT:
                    value[index] = kept
        return value


class MapPart(CanonicalPart):
    """A map.

    Args:
        values: of each value; None: they stay as they are.
        zero: what null becomes (`a:` without a value in YAML); None: it stays.
        keeps_empty: a map without entries is written.
    """

    def __init__(
        self, values: CanonicalPart | None, zero: str | None, *, keeps_empty: bool
    ) -> None:
        self._values = values
        self._zero = zero
        self._keeps_empty = keeps_empty

    def tidy(self, value: object) -> object:
        """Return the map, its values canonical; ABSENT for one without entries."""
        if not isinstance(value, dict):
            return value
        if not value and not self._keeps_empty:
            return ABSENT
        if self._zero is not None and None in value.values():
            value.update({name: self._zero for name, item in value.items() if item is None})
        if self._values is not None:
            for name, item in value.items():
                kept = self._values.tidy(item)
                if kept is not item and kept is not ABSENT:
                    value[name] = kept
        return value


class ObjectPart(CanonicalPart):
    """An object with fields.

    Args:
        schema: of the object.
    """

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._fields: dict[str, CanonicalPart] | None = None

    def tidy(self, value: object) -> object:
        """Make the fields canonical, in place."""
        if not isinstance(value, dict):
            return value
        fields = self._fields
        if fields is None:
            fields = self._fields = _fields_of(self._schema)
        absent: list[str] = []
        for name, item in value.items():
            part = fields.get(name)
            if part is not None:
                kept = part.tidy(item)
                if kept is ABSENT:
                    absent.append(name)
                elif kept is not item:
                    value[name] = kept
        for name in absent:
            del value[name]
        return value


def make_canonical(kind: Kind, document: Document) -> None:
    """Make an object of a built-in kind canonical, in place.

    Args:
        kind: of the object, which is in the stored version.
        document: the object, a copy that belongs to the caller.
    """
    part = _part_of(kind)
    if part is not None:
        part.tidy(document)


@lru_cache(maxsize=256)
def _part_of(kind: Kind) -> ObjectPart | None:
    schema = None if kind.custom else structure(component_name(kind))
    return None if schema is None else ObjectPart(schema)


def _fields_of(schema: Schema) -> dict[str, CanonicalPart]:
    required = schema.get("required") or ()
    parts = {
        name: _part(field, keeps_empty=name in required or name in KEPT)
        for name, field in (schema.get("properties") or {}).items()
    }
    return {name: part for name, part in parts.items() if part is not None}


@lru_cache(maxsize=2048)
def _referenced(reference: str) -> CanonicalPart | None:
    return _part(resolve({"$ref": reference}), keeps_empty=False)


def _part(schema: Schema, *, keeps_empty: bool) -> CanonicalPart | None:
    """Return how values of a schema are made canonical; None: they stay as they are."""
    if "$ref" in schema:
        if schema["$ref"].endswith(TIMES):
            return TimePart(micro=schema["$ref"].endswith(TIMES[1]))
        return _referenced(str(schema["$ref"]))
    if schema.get(QUANTITY):
        return QuantityPart()
    if schema.get("format") == "byte":
        return Base64Part()
    values, items = schema.get("additionalProperties"), schema.get("items")
    if isinstance(values, dict):
        part = _part(values, keeps_empty=True)
        return MapPart(part, _zero_of(values, part), keeps_empty=keeps_empty)
    if isinstance(items, dict):
        return ListPart(_part(items, keeps_empty=True), keeps_empty=keeps_empty)
    return ObjectPart(schema) if schema.get("properties") else None


def _zero_of(schema: Schema, part: CanonicalPart | None) -> str | None:
    """Return the zero value of a map's values; None: null stays."""
    if isinstance(part, QuantityPart):
        return "0"
    return "" if schema.get("type") == "string" else None
