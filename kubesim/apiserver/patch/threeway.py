"""The three-way patch of `kubectl apply`: last applied, wanted, live -> what to send.

Fields that were applied before and are wanted no more are removed; fields that are wanted are set;
what others set is left alone. Pure: three documents in, a patch out; `{}` says that nothing is to
be done.

>>> strategic({"a": 1, "old": 2}, {"a": 3}, {"a": 1, "old": 2, "b": 4})
{'old': None, 'a': 3}

Source: k8s.io/apimachinery/pkg/util/strategicpatch (CreateThreeWayMergePatch),
pkg/util/jsonmergepatch (for custom kinds), k8s.io/kubectl/pkg/cmd/apply.
"""

from __future__ import annotations

import json
from typing import Any

from kubesim.apiserver.patch.patching import (
    DIRECTIVE,
    MERGE_KEYS,
    ORDER,
    PRIMITIVE_SETS,
    REMOVE,
    RETAIN,
)
from kubesim.errors import BadRequest
from kubesim.objects.frozen import Document, thaw
from kubesim.objects.meta import annotations_of
from kubesim.objects.wellknown import LAST_APPLIED

# Objects of which at most one member counts: members that the patch does not name are dropped.
RETAINING_FIELDS = ("strategy",)
RETAINING_ITEMS = ("volumes",)


def annotated(document: Document) -> Document:
    """A copy of a manifest that carries itself as the last applied configuration."""
    wanted: Document = thaw(document)
    metadata = wanted.setdefault("metadata", {})
    annotations = metadata.get("annotations") or {}
    if not isinstance(annotations, dict):
        raise BadRequest("metadata.annotations must be an object")
    annotations.pop(LAST_APPLIED, None)
    metadata["annotations"] = annotations
    text = json.dumps(wanted, sort_keys=True, separators=(",", ":"), ensure_ascii=False) + "\n"
    metadata["annotations"] = {**annotations, LAST_APPLIED: text}
    return wanted


def last_applied(live: Document) -> Document:
    """The configuration that was applied last; {} if there is none (or none that can be read)."""
    try:
        found = json.loads(annotations_of(live).get(LAST_APPLIED, "{}"))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def strategic(original: Document, wanted: Document, live: Document) -> Document:
    """The patch for built-in kinds: keyed lists are merged item by item."""
    return _objects(original, wanted, live, keyed=True)


def merging(original: Document, wanted: Document, live: Document) -> Document:
    """The patch for custom kinds: RFC 7386, lists are replaced."""
    return _objects(original, wanted, live, keyed=False)


def _objects(original: Any, wanted: Document, live: Any, *, keyed: bool) -> Document:
    original = original if isinstance(original, dict) else {}
    live = live if isinstance(live, dict) else {}
    patch: Document = {}
    for field in original:
        if wanted.get(field) is None and field in live:
            patch[field] = None
    for field, value in wanted.items():
        if value is None or (field in live and live[field] == value):
            continue
        there, before = live.get(field), original.get(field)
        if isinstance(value, dict) and isinstance(there, dict):
            inner = _objects(before, value, there, keyed=keyed)
            if inner and keyed and field in RETAINING_FIELDS:
                inner[RETAIN] = sorted(value)
            if inner:
                patch[field] = inner
        elif keyed and isinstance(value, list) and isinstance(there, list):
            patch |= _lists(field, before, value, there)
        else:
            patch[field] = thaw(value)
    return patch


def _lists(field: str, original: Any, wanted: list[Any], live: list[Any]) -> Document:
    """What of a list is to be sent."""
    before = original if isinstance(original, list) else []
    if field in PRIMITIVE_SETS:
        patch: Document = {}
        if added := [item for item in wanted if item not in live]:
            patch[field] = added
        if gone := [item for item in before if item not in wanted and item in live]:
            patch[REMOVE + field] = gone
        return patch
    keys = MERGE_KEYS.get(field, ())
    if not keys or not all(_key_of(item, keys) for item in [*wanted, *live]):
        return {field: thaw(wanted)}
    return _keyed(field, keys, before, wanted, live)


def _keyed(
    field: str, keys: tuple[str, ...], original: list[Any], wanted: list[Any], live: list[Any]
) -> Document:
    there = {_identity(item, keys): item for item in live}
    before = {_identity(item, keys): item for item in original if _key_of(item, keys)}
    items = []
    for item in wanted:
        identity = _identity(item, keys)
        key = _key_of(item, keys)
        if identity not in there:
            items.append(thaw(item))
        elif inner := _objects(before.get(identity), item, there[identity], keyed=True):
            if field in RETAINING_ITEMS:
                inner[RETAIN] = sorted(item)
            items.append({**inner, key: item[key]})
    kept = {_identity(item, keys) for item in wanted}
    gone = [item for identity, item in before.items() if identity not in kept]
    items += [
        {DIRECTIVE: "delete", (key := _key_of(item, keys)): item[key]}
        for item in gone
        if _identity(item, keys) in there
    ]
    order = [{(key := _key_of(item, keys)): item[key]} for item in wanted]
    common = [identity for identity in there if identity in kept]
    moved = common != [_identity(item, keys) for item in wanted if _identity(item, keys) in there]
    if not items and not moved:
        return {}
    return {f"{ORDER}{field}": order, **({field: items} if items else {})}


def _key_of(item: Any, keys: tuple[str, ...]) -> str:
    return next((key for key in keys if isinstance(item, dict) and key in item), "")


def _identity(item: Document, keys: tuple[str, ...]) -> str:
    key = _key_of(item, keys)
    return json.dumps([key, item[key]])
