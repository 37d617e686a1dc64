"""How strategic merge treats each field: the patch strategies and merge keys of the API types.

A `Place` is a field of a document as the API types know it. Where the kind of a document is not
known (a pod template alone, say), a field is treated as the field of that name in core/v1.

>>> place_of({"apiVersion": "v1", "kind": "Pod"}).below("spec").below("volumes")[1:]
('volumes', ('name',), False, True, False)

Source: the tags patchStrategy and patchMergeKey of k8s.io/api; strategicpatch/meta.go.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from kubesim.apiserver.schema import data
from kubesim.apiserver.schema.data import Schema
from kubesim.apiserver.schema.schemas import REF, component_of, resolve

CORE = "io.k8s.api.core.v1."
LONGEST_FIELD = 100  # characters; at most one longer name is kept
STRATEGY, MERGE_KEY = "x-kubernetes-patch-strategy", "x-kubernetes-patch-merge-key"


class Place(NamedTuple):
    """A field, and how patches are merged into it.

    Attributes:
        schema: of the field; None if the kind of the document is not known.
        name: of the field; "" is the document itself.
        keys: the fields by which the items of a list are told apart; () if they are not. Where the
            type is not known there may be several, of which an item has one.
        is_set: whether a list of plain values is merged as a set.
        retains_keys: whether an object (or each item of the list) is a union, of which a client
            sends the members to keep as ``$retainKeys``.
        is_replaced: whether the value is replaced as a whole.
    """

    schema: Schema | None
    name: str = ""
    keys: tuple[str, ...] = ()
    is_set: bool = False
    retains_keys: bool = False
    is_replaced: bool = False

    def below(self, name: str) -> Place:
        """Return the place of a field of an object."""
        if self.schema is None:
            return field_named(name)
        schema = resolve(self.schema)
        part = (schema.get("properties") or {}).get(name, schema.get("additionalProperties"))
        return _place(name, part if isinstance(part, dict) else {})

    def item(self) -> Place:
        """Return the place of an item of a list."""
        if self.schema is None:
            return Place(None)
        items = self.schema.get("items")
        return Place(items if isinstance(items, dict) else {})


def place_of(*documents: object) -> Place:
    """Return the place of a whole object, by the first document that names a built-in kind."""
    for document in documents:
        if isinstance(document, dict):
            name = component_of(str(document.get("apiVersion")), str(document.get("kind")))
            if name is not None:
                return Place({"$ref": REF + name})
    return Place(None)


@lru_cache(maxsize=512)
def field_named(name: str) -> Place:
    """Return the place of a field in an object whose type is not known."""
    if len(name) > LONGEST_FIELD:
        field_named.cache_clear()
    parts = _fields_of_core().get(name, [])
    return Place(
        None,
        name,
        keys=tuple(dict.fromkeys(key for part in parts for key in part.keys)),
        is_set=any(part.is_set for part in parts),
        retains_keys=any(part.retains_keys for part in parts),
        is_replaced=False,
    )


def _place(name: str, schema: Schema) -> Place:
    strategies = str(schema.get(STRATEGY, "")).split(",")
    is_merged_list = schema.get("type") == "array" and "merge" in strategies
    key = schema.get(MERGE_KEY)
    return Place(
        schema,
        name,
        keys=(str(key),) if is_merged_list and key else (),
        is_set=is_merged_list and not key,
        retains_keys="retainKeys" in strategies,
        is_replaced="replace" in strategies,
    )


@lru_cache(maxsize=1)
def _fields_of_core() -> dict[str, list[Place]]:
    """Return the fields with a patch strategy, by name, of the types that most objects are of."""
    fields: dict[str, list[Place]] = {}
    for type_name, schema in data.types().items():
        if not type_name.startswith((CORE, data.META, "io.k8s.api.apps.v1.")):
            continue
        for name, part in (schema.get("properties") or {}).items():
            if STRATEGY in part:
                fields.setdefault(name, []).append(_place(name, part))
    return fields
