"""Sets of fields: which parts of a document somebody wrote, and how they are told apart.

A path is a tuple of steps, written as Kubernetes writes them in `fieldsV1`: ``f:replicas`` is a
field, ``k:{"name":"web"}`` an item of a keyed list, ``v:"x"`` a member of a set; a path that ends
with ``.`` means the item itself. Leaves are plain values and whatever is replaced as a whole: lists
without keys, selectors. All functions are pure.

>>> paths = leaves({"spec": {"replicas": 3, "selector": {"app": "web"}}})
>>> to_fields_v1(paths)
{'f:spec': {'f:replicas': {}, 'f:selector': {'f:app': {}}}}
>>> from_fields_v1(to_fields_v1(paths)) == paths
True

Source: sigs.k8s.io/structured-merge-diff (fieldpath: Set, PathElement, serialize.go), the list and
map types of the API (`x-kubernetes-list-type`, `x-kubernetes-map-type`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from kubesim.apiserver.schema.data import Schema
from kubesim.apiserver.schema.schemas import resolve
from kubesim.objects.frozen import Document

Path = tuple[str, ...]
FieldSet = frozenset[Path]
SELF = "."
DEFAULT_KEYS = {"protocol": "TCP"}  # what a key is if an item does not say
NOTHING: Schema = {}
# Who an object is, and what the server writes: nobody's fields.
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


# -- steps -----------------------------------------------------------------------------------------


def part_schema(schema: Schema, field: str) -> Schema:
    """The schema of a field of an object; {} if it is not known."""
    found = (schema.get("properties") or {}).get(field)
    if found is None:
        found = schema.get("additionalProperties")
    return resolve(found) if isinstance(found, dict) else NOTHING


def item_schema(schema: Schema) -> Schema:
    """The schema of the items of a list."""
    items = schema.get("items")
    return resolve(items) if isinstance(items, dict) else NOTHING


def is_atomic(schema: Schema) -> bool:
    """Whether an object is replaced as a whole."""
    return schema.get("x-kubernetes-map-type") == "atomic"


def keys_of(schema: Schema, items: list[Any]) -> tuple[str, ...]:
    """The keys by which the items of a list are told apart; () if they are not."""
    if schema.get("x-kubernetes-list-type") != "map":
        return ()
    keys = tuple(schema.get("x-kubernetes-list-map-keys") or ())
    whole = all(isinstance(item, dict) and keys[0] in item for item in items) if keys else False
    return keys if whole else ()


def is_set(schema: Schema, items: list[Any]) -> bool:
    """Whether a list is a set of plain values."""
    plain = not any(isinstance(item, (dict, list)) for item in items)
    return schema.get("x-kubernetes-list-type") == "set" and plain


def key_step(item: Document, keys: Iterable[str]) -> str:
    """The step to an item of a keyed list."""
    named = {key: item.get(key, DEFAULT_KEYS.get(key)) for key in keys}
    known = {key: value for key, value in named.items() if value is not None}
    return f"k:{_compact(known)}"


def value_step(value: Any) -> str:
    """The step to a member of a set."""
    return f"v:{_compact(value)}"


def _compact(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


# -- leaves ----------------------------------------------------------------------------------------


def leaves(document: Document, schema: Schema = NOTHING) -> FieldSet:
    """The paths of everything in a document that somebody can own.

    Args:
        document: an object, or a part of one.
        schema: of the document; {}: lists are replaced as a whole.
    """
    return frozenset(values(document, schema))


def values(document: Document, schema: Schema = NOTHING) -> dict[Path, Any]:
    """Each leaf of a document and its value; items of keyed lists have the value None."""
    found = {}
    for path, value in _walk(document, schema, ()):
        if path[:1] not in UNOWNED and path[:2] not in UNOWNED:
            found[path] = value
    return found


def _walk(value: Any, schema: Schema, path: Path) -> Iterator[tuple[Path, Any]]:
    if isinstance(value, dict) and value and not is_atomic(schema):
        for name, item in value.items():
            yield from _walk(item, part_schema(schema, name), (*path, f"f:{name}"))
    elif isinstance(value, list) and value and (keys := keys_of(schema, value)):
        inner = item_schema(schema)
        for item in value:
            step = (*path, key_step(item, keys))
            yield (*step, SELF), None
            yield from _walk(item, inner, step)
    elif isinstance(value, list) and value and is_set(schema, value):
        for item in value:
            yield (*path, value_step(item)), item
    elif path:
        yield path, value


# -- on the wire -----------------------------------------------------------------------------------


def to_fields_v1(paths: Iterable[Path]) -> Document:
    """A set as `fieldsV1`: one object inside the other, a leaf is an empty one."""
    tree: Document = {}
    for path in sorted(paths):
        place = tree
        for step in path:
            place = place.setdefault(step, {})
    return tree


def from_fields_v1(tree: Any) -> FieldSet:
    """The set in a `fieldsV1`; what is no such thing counts as empty."""
    return frozenset(_paths(tree, ())) if isinstance(tree, dict) else frozenset()


def _paths(tree: Document, path: Path) -> Iterator[Path]:
    for step, below in tree.items():
        if step == SELF:
            yield path if not path[-1:] or path[-1][:2] == "f:" else (*path, SELF)
        elif isinstance(below, dict) and below:
            yield from _paths(below, (*path, step))
        else:
            yield (*path, step)


def path_text(path: Path) -> str:
    """A path as messages show it: ``.spec.containers[name="c"].image``."""
    text = ""
    for step in path:
        if step == SELF:
            continue
        kind, rest = step[:2], step[2:]
        if kind == "k:":
            named = json.loads(rest)
            text += "[" + ",".join(f"{key}={_compact(named[key])}" for key in named) + "]"
        elif kind == "v:":
            text += f"[={rest}]"
        else:
            text += f".{rest}"
    return text
