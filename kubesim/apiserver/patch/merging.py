"""Merging an applied configuration into an object, by the types of its lists and maps.

Pure: documents in, a new document out. Maps are merged, keyed lists item by item, sets united;
everything else is replaced.

>>> merge({"a": 1, "b": {"c": 2}}, {"b": {"d": 3}}, {})
{'a': 1, 'b': {'c': 2, 'd': 3}}
>>> without({"a": 1, "b": {"c": 2}}, {("f:b", "f:c")}, {})
{'a': 1}

Source: sigs.k8s.io/structured-merge-diff/typed (Merge, RemoveItems).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kubesim.apiserver.fieldmanager.paths import (
    SELF,
    Path,
    is_atomic,
    is_set,
    item_schema,
    key_step,
    keys_of,
    part_schema,
    value_step,
)
from kubesim.apiserver.schema.data import Schema
from kubesim.objects.frozen import Document, thaw


def merge(live: Any, applied: Any, schema: Schema) -> Any:
    """The live value with the applied one merged into it."""
    if isinstance(live, dict) and isinstance(applied, dict) and not is_atomic(schema):
        made = dict(live)
        for name, value in applied.items():
            inner = part_schema(schema, name)
            made[name] = merge(live[name], value, inner) if name in live else thaw(value)
        return made
    if isinstance(live, list) and isinstance(applied, list):
        keys = keys_of(schema, [*live, *applied])
        if keys:
            wanted = {key_step(item, keys): item for item in applied}
            return _merge_items(live, wanted, keys, item_schema(schema))
        if is_set(schema, [*live, *applied]):
            return [*live, *(item for item in applied if item not in live)]
    return thaw(applied)


def _merge_items(
    live: list[Any], wanted: dict[str, Any], keys: tuple[str, ...], schema: Schema
) -> list[Any]:
    """What is there keeps its place; what is new follows."""
    made = []
    for item in live:
        step = key_step(item, keys)
        made.append(merge(item, wanted.pop(step), schema) if step in wanted else item)
    return [*made, *(thaw(item) for item in wanted.values())]


def without(document: Document, paths: Iterable[Path], schema: Schema) -> Document:
    """The document without the fields at some paths; what is empty then goes, too."""
    gone: dict[str, list[Path]] = {}
    for path in paths:
        if path:
            gone.setdefault(path[0], []).append(path[1:])
    found = _without(document, gone, schema)
    return found if isinstance(found, dict) else {}


def _without(value: Any, gone: dict[str, list[Path]], schema: Schema) -> Any:
    if isinstance(value, dict):
        made = {}
        for name, item in value.items():
            below = gone.get(f"f:{name}")
            if below is None:
                made[name] = item
            elif () not in below:
                left = _below(item, below, part_schema(schema, name))
                if left or left == item:
                    made[name] = left
        return made
    if isinstance(value, list):
        keys = keys_of(schema, value)
        if keys:
            inner, kept = item_schema(schema), []
            for item in value:
                below = gone.get(key_step(item, keys))
                if below is None:
                    kept.append(item)
                elif (SELF,) not in below:
                    kept.append(_below(item, below, inner))
            return kept
        return [item for item in value if value_step(item) not in gone]
    return value


def _below(value: Any, paths: list[Path], schema: Schema) -> Any:
    grouped: dict[str, list[Path]] = {}
    for path in paths:
        if path:
            grouped.setdefault(path[0], []).append(path[1:])
    return _without(value, grouped, schema)
