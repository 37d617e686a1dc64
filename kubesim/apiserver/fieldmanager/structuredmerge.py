"""Structured merge: sets of field paths, as managedFields holds them, and the merge by list types.

A path is a tuple of steps, written as in `fieldsV1`: ``f:replicas`` is a field,
``k:{"name":"web"}`` an item of a keyed list, ``v:"x"`` a member of a set; a path that ends with
``.`` is the item itself. Leaves are plain values and everything that is replaced as a whole: lists
without keys, selectors. A map, a list or a structure can be owned itself: on the wire it has ``.``.
All functions are pure.

>>> paths = leaf_paths({"spec": {"replicas": 3, "selector": {"app": "web"}}})
>>> to_fields_v1(paths)
{'f:spec': {'f:replicas': {}, 'f:selector': {'f:app': {}}}}
>>> from_fields_v1(to_fields_v1(paths)) == paths
True

`merge` puts an applied configuration into an object, by its list and map types: maps are merged,
keyed lists item by item, sets united; everything else is replaced.

>>> merge({"a": 1, "b": {"c": 2}}, {"b": {"d": 3}}, {})
{'a': 1, 'b': {'c': 2, 'd': 3}}
>>> without({"a": 1, "b": {"c": 2}}, {("f:b", "f:c")}, {})
{'a': 1}

Source: sigs.k8s.io/structured-merge-diff (fieldpath: Set, PathElement, serialize.go; typed: Merge,
RemoveItems), the list and map types of the API (`x-kubernetes-list-type`, `x-kubernetes-map-type`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from kubesim.apiserver.schema.data import Schema, present
from kubesim.apiserver.schema.schemas import REF, REFERENCES
from kubesim.objects.frozen import Document, thaw

Path = tuple[str, ...]
FieldSet = frozenset[Path]
FieldValues = dict[Path, object]
SELF = "."
_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode
DEFAULT_KEYS = {"protocol": "TCP"}  # values of keys that an item leaves out
NOTHING: Schema = {}
# The identity of an object, and fields that the server writes: no manager owns them.
UNOWNED = frozenset(
    (
        ("f:apiVersion",),
        ("f:kind",),
        *(
            ("f:metadata", f"f:{field}")
            for field in (
                "creationTimestamp",
                "deletionGracePeriodSeconds",
                "deletionTimestamp",
                "generation",
                "managedFields",
                "name",
                "namespace",
                "resourceVersion",
                "selfLink",
                "uid",
            )
        ),
    )
)

UNOWNED_ROOTS = frozenset(path[0] for path in UNOWNED)  # where unowned fields are


PRESENT = "present"  # of a schema: the fields that every object has


class _TypedReferences(dict[str, Schema]):
    """The schemas by reference, each with the fields that Go writes in every object."""

    def __missing__(self, reference: str) -> Schema:
        fields = present().get(reference.removeprefix(REF))
        schema = REFERENCES[reference]
        self[reference] = schema = {**schema, PRESENT: fields} if fields else schema
        return schema


TYPED = _TypedReferences()


# -- steps -----------------------------------------------------------------------------------------


def part_schema(schema: Schema, field: str) -> Schema:
    """Return the schema of a field of an object; {} if it is not known."""
    part = (schema.get("properties") or {}).get(field)
    if part is None:
        part = schema.get("additionalProperties")
    if not isinstance(part, dict):
        return NOTHING
    reference = part.get("$ref")
    return part if reference is None else TYPED[reference]


def item_schema(schema: Schema) -> Schema:
    """Return the schema of the items of a list."""
    items = schema.get("items")
    if not isinstance(items, dict):
        return NOTHING
    reference = items.get("$ref")
    return items if reference is None else TYPED[reference]


def is_atomic(schema: Schema) -> bool:
    """Return whether an object is replaced as a whole."""
    return schema.get("x-kubernetes-map-type") == "atomic"


def keys_of(schema: Schema, items: list[object]) -> tuple[str, ...]:
    """Return the keys of a keyed list; () if its items have none."""
    if schema.get("x-kubernetes-list-type") != "map":
        return ()
    keys = tuple(schema.get("x-kubernetes-list-map-keys") or ())
    whole = all(isinstance(item, dict) and keys[0] in item for item in items) if keys else False
    return keys if whole else ()


def is_set(schema: Schema, items: list[object]) -> bool:
    """Return whether a list is a set of plain values."""
    plain = not any(isinstance(item, (dict, list)) for item in items)
    return schema.get("x-kubernetes-list-type") == "set" and plain


def key_step(item: Document, keys: Iterable[str]) -> str:
    """Return the step to an item of a keyed list."""
    named = {key: item.get(key, DEFAULT_KEYS.get(key)) for key in keys}
    present = {key: value for key, value in named.items() if value is not None}
    return f"k:{_encode(present)}"


def value_step(value: object) -> str:
    """Return the step to a member of a set."""
    return f"v:{_encode(value)}"


# -- leaves ----------------------------------------------------------------------------------------


def leaf_paths(document: Document, schema: Schema = NOTHING) -> FieldSet:
    """Return the paths of everything in a document that a manager can own.

    Args:
        document: an object, or a part of one.
        schema: of the document; {}: lists are replaced as a whole.
    """
    return frozenset(values(document, schema))


def values(
    document: Document, schema: Schema = NOTHING, *, structures: bool = False
) -> FieldValues:
    """Return each leaf of a document and its value; items of keyed lists have the value None.

    Args:
        document: an object, or a part of one.
        schema: of the document; {}: lists are replaced as a whole.
        structures: add each map, list and structure, with the value None, as Go has them in memory:
            a structure held by value is there even if the document leaves it out. An empty one has
            the value None too, so that one that gets its first field is not taken for a new one.

    Source: sigs.k8s.io/structured-merge-diff/typed (compare.go: what was added; tofieldset.go).
    """
    collected: FieldValues = {}
    _collect(document, schema, (), collected, structures)
    return {
        path: value
        for path, value in collected.items()
        if path[0] not in UNOWNED_ROOTS or not is_unowned(path)
    }


def is_unowned(path: Path) -> bool:
    """Return whether no manager owns a field: the object's identity, and what the server writes."""
    return path == ("f:metadata",) or path[:1] in UNOWNED or path[:2] in UNOWNED


def _collect(
    value: object, schema: Schema, path: Path, collected: FieldValues, structures: bool
) -> None:
    """Add each leaf of a value at `path`."""
    if isinstance(value, dict) and not is_atomic(schema) and (value or structures):
        _collect_fields(value, schema, path, collected, structures)
    elif isinstance(value, list) and value and (keys := keys_of(schema, value)):
        of_item = item_schema(schema)
        if structures:
            collected[path] = None
        for item in value:
            step = (*path, key_step(item, keys))
            if is_atomic(of_item):
                collected[(*step, SELF)] = item
            else:
                collected[(*step, SELF)] = None
                _collect(item, of_item, step, collected, structures)
    elif isinstance(value, list) and value and is_set(schema, value):
        if structures:
            collected[path] = None
        for item in value:
            collected[(*path, value_step(item))] = item
    elif path:
        collected[path] = None if structures and value in ([], {}) else value


def _collect_fields(
    value: Document, schema: Schema, path: Path, collected: FieldValues, structures: bool
) -> None:
    """Add each leaf of an object at `path`; with `structures`, the object, too."""
    if structures and path and path[-1][:2] == "f:":
        collected[path] = None
    for name, item in value.items():
        inner = (*path, f"f:{name}")
        if isinstance(item, (dict, list)) and (item or structures):
            _collect(item, part_schema(schema, name), inner, collected, structures)
        else:
            collected[inner] = item
    for name in schema.get(PRESENT, ()) if structures else ():
        if value.get(name) is None:
            inner, part = (*path, f"f:{name}"), part_schema(schema, name)
            collected[inner] = None
            if part.get("properties"):
                _collect({}, part, inner, collected, structures)


# -- on the wire -----------------------------------------------------------------------------------


def to_fields_v1(paths: Iterable[Path]) -> Document:
    """Serialize a set as `fieldsV1`: nested objects; a leaf is an empty object."""
    tree: Document = {}
    node: Document = tree
    before: Path = ()
    for path in sorted(path[:-1] if path[-1:] == (SELF,) else path for path in paths):
        if before and path[: len(before)] == before:
            node[SELF] = {}  # the path before this one is owned, and so is a part of it
        node = tree
        for step in path:
            node = node.setdefault(step, {})
        before = path
    return tree


def from_fields_v1(tree: object) -> FieldSet:
    """Parse a `fieldsV1`; a malformed one counts as empty."""
    return frozenset(_paths(tree, ())) if isinstance(tree, dict) else frozenset()


def _paths(tree: Document, path: Path) -> Iterator[Path]:
    for step, below in tree.items():
        if step == SELF:
            yield path if not path[-1:] or path[-1][:2] == "f:" else (*path, SELF)
        elif isinstance(below, dict) and below:
            yield from _paths(below, (*path, step))
        else:
            yield (*path, step, SELF) if step[:2] == "k:" else (*path, step)


def path_text(path: Path) -> str:
    """Format a path for messages: ``.spec.containers[name="c"].image``."""
    formatted = ""
    for step in path:
        if step == SELF:
            continue
        kind, rest = step[:2], step[2:]
        if kind == "k:":
            named = json.loads(rest)
            formatted += "[" + ",".join(f"{key}={_encode(named[key])}" for key in named) + "]"
        elif kind == "v:":
            formatted += f"[={rest}]"
        else:
            formatted += f".{rest}"
    return formatted


# -- merge -----------------------------------------------------------------------------------------


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
            applied_items = {key_step(item, keys): item for item in applied}
            return _merge_items(live, applied_items, keys, item_schema(schema))
        if is_set(schema, [*live, *applied]):
            return [*live, *(item for item in applied if item not in live)]
    return thaw(applied)


def _merge_items(
    live: list[Document], applied: dict[str, Document], keys: tuple[str, ...], schema: Schema
) -> list[Document]:
    """Return the items: those that exist keep their places, new ones follow."""
    result: list[Document] = []
    for item in live:
        step = key_step(item, keys)
        result.append(merge(item, applied.pop(step), schema) if step in applied else item)
    return [*result, *(thaw(item) for item in applied.values())]


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
    inner, items = item_schema(schema), []
    for item in value:
        below = removed.get(key_step(item, keys))
        if below is None:
            items.append(item)
        elif (SELF,) not in below:
            items.append(_below(item, below, inner))
    return items


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
