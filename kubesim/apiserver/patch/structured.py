"""Server-side apply: merge an applied configuration into an object, by its list and map types.

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


def merge(live: object, applied: object, schema: Schema) -> Any:
    """Return the live value with the applied one merged into it.

    Args:
        live: the value of the object.
        applied: the value of the configuration that is applied.
        schema: of the value; {}: lists are replaced as a whole.
    """
    if isinstance(live, dict) and isinstance(applied, dict) and not is_atomic(schema):
        result = dict(live)
        for name, value in applied.items():
            inner = part_schema(schema, name)
            result[name] = merge(live[name], value, inner) if name in live else thaw(value)
        return result
    if isinstance(live, list) and isinstance(applied, list):
        keys = keys_of(schema, [*live, *applied])
        if keys:
            wanted = {key_step(item, keys): item for item in applied}
            return _merge_items(live, wanted, keys, item_schema(schema))
        if is_set(schema, [*live, *applied]):
            return [*live, *(item for item in applied if item not in live)]
    return thaw(applied)


def _merge_items(
    live: list[Document], wanted: dict[str, Document], keys: tuple[str, ...], schema: Schema
) -> list[Document]:
    """Return the items: those that exist keep their places, new ones follow."""
    result: list[Document] = []
    for item in live:
        step = key_step(item, keys)
        result.append(merge(item, wanted.pop(step), schema) if step in wanted else item)
    return [*result, *(thaw(item) for item in wanted.values())]


def without(document: Document, paths: Iterable[Path], schema: Schema) -> Document:
    """Return the document without the fields at some paths, and without what they leave empty.

    Args:
        document: an object, or a part of one.
        paths: of the fields to remove.
        schema: of the document.
    """
    result = _below(document, list(paths), schema)
    return result if isinstance(result, dict) else {}


def _below(value: object, paths: list[Path], schema: Schema) -> object:
    removed: dict[str, list[Path]] = {}
    for path in paths:
        if path:
            removed.setdefault(path[0], []).append(path[1:])
    if isinstance(value, dict):
        return _without_fields(value, removed, schema)
    if not isinstance(value, list):
        return value
    keys = keys_of(schema, value)
    if not keys:
        return [item for item in value if value_step(item) not in removed]
    inner, kept = item_schema(schema), []
    for item in value:
        below = removed.get(key_step(item, keys))
        if below is None:
            kept.append(item)
        elif (SELF,) not in below:
            kept.append(_below(item, below, inner))
    return kept


def _without_fields(value: Document, removed: dict[str, list[Path]], schema: Schema) -> Document:
    result = {}
    for name, item in value.items():
        below = removed.get(f"f:{name}")
        if below is None:
            result[name] = item
        elif () not in below:
            rest = _below(item, below, part_schema(schema, name))
            if rest or rest == item:
                result[name] = rest
    return result
