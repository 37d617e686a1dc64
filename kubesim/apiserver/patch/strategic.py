"""Strategic merge patch: as JSON merge patch, but keyed lists are merged item by item. Pure.

>>> strategic_patch({"containers": [{"name": "a", "image": "x"}, {"name": "b", "image": "y"}]},
...                 {"containers": [{"name": "b", "image": "z"}]})
{'containers': [{'name': 'a', 'image': 'x'}, {'name': 'b', 'image': 'z'}]}

Which lists are keyed, and by which field, is a matter of the API types (`strategies`). The work is
linear in the lists: items are looked up by their merge key.

Source: k8s.io/apimachinery/pkg/util/strategicpatch.
"""

from __future__ import annotations

import json
from typing import Any

from kubesim.apiserver.patch.strategies import Place, field_named, place_of
from kubesim.errors import BadRequest
from kubesim.objects.frozen import Document, thaw

ORDER, REMOVE, RETAIN, DIRECTIVE = (
    "$setElementOrder/",
    "$deleteFromPrimitiveList/",
    "$retainKeys",
    "$patch",
)
Identity = tuple[str, object]
"""(merge key, its value) of an item of a list; ("", the value) of one without a key."""
_DELETED = object()


def strategic_patch(document: object, patch: object, field: str = "") -> Any:
    """Return the document after the patch; it is not changed itself.

    Directives: `$patch: delete | replace | merge` in an object or item; `$retainKeys` drops the
    keys that it does not name; `$deleteFromPrimitiveList/FIELD`; `$setElementOrder/FIELD` orders
    what it names.

    Args:
        document: the object, with its kind and apiVersion, or a part of one.
        patch: what is to change.
        field: the field in which both stand, for a part; it decides how lists are merged.

    Raises:
        BadRequest: a directive that does not exist, or a list item without its merge key.
    """
    return apply_patch(document, patch, field_named(field) if field else place_of(document, patch))


def apply_patch(document: object, patch: object, place: Place) -> object:
    """Return the patched value.

    Args:
        document: current value; None if absent.
        patch: what is to change.
        place: the field, as the API types know it.

    Raises:
        BadRequest: as `strategic_patch`.
    """
    if isinstance(patch, list):
        return _merge_list(document if isinstance(document, list) else [], patch, place)
    if not isinstance(patch, dict):
        return patch
    directive = patch.get(DIRECTIVE, "merge")
    if directive == "delete":
        return {}
    if directive not in ("merge", "replace"):
        raise BadRequest(f"Unknown patch type: {directive}")
    merges = isinstance(document, dict) and directive == "merge" and not place.is_replaced
    result = _retained(dict(document) if merges and isinstance(document, dict) else {}, patch)
    for key, value in patch.items():
        if key.startswith(REMOVE):
            _remove_from_set(result, key.removeprefix(REMOVE), value)
        elif key in (DIRECTIVE, RETAIN) or key.startswith(ORDER):
            continue
        elif value is None:
            result.pop(key, None)
        else:
            result[key] = apply_patch(result.get(key), value, place.below(key))
    for key, order in patch.items():
        if key.startswith(ORDER):
            _order(result, document, place.below(key.removeprefix(ORDER)), order)
    return result


def _retained(document: Document, patch: Document) -> Document:
    """Return the document without the keys that `$retainKeys` does not name."""
    if RETAIN not in patch:
        return document
    retained = _values(patch[RETAIN], RETAIN)
    for key in patch:
        if not key.startswith("$") and key not in retained:
            raise BadRequest(f"{RETAIN} does not name {key!r}, which the patch sets")
    return {key: value for key, value in document.items() if key in retained}


def _remove_from_set(result: Document, field: str, values: object) -> None:
    removed = {_hashable(value) for value in _values(values, REMOVE + field)}
    if isinstance(result.get(field), list):
        result[field] = [item for item in result[field] if _hashable(item) not in removed]


def _values(value: object, directive: str) -> list[object]:
    if not isinstance(value, list):
        raise BadRequest(f"{directive} must be a list")
    return value


# -- lists --------------------------------------------------------------------------------------


def _merge_list(document: list[object], patch: list[object], place: Place) -> list[object]:
    if place.is_set:
        present = {_hashable(item) for item in document}
        return [*document, *(item for item in patch if _hashable(item) not in present)]
    changes = [item for item in patch if isinstance(item, dict)]
    if not place.keys or len(changes) < len(patch):
        return [_without_directives(item, place.item()) for item in patch]
    if any(item.get(DIRECTIVE) == "replace" for item in changes):
        items = (item for item in changes if DIRECTIVE not in item)
        return [_without_directives(item, place.item()) for item in items]
    return _merge_items(document, changes, place)


def _merge_items(document: list[object], changes: list[Document], place: Place) -> list[object]:
    """Return a keyed list with items merged, added and deleted, in one pass over both lists."""
    result = list(document)
    positions: dict[Identity, list[int]] = {}
    for index, item in enumerate(result):
        for identity in _identities(item, place.keys):
            positions.setdefault(identity, []).append(index)
    for change in changes:
        identity = _identity(change, _merge_key(change, place.keys))
        indices = [i for i in positions.get(identity, ()) if result[i] is not _DELETED]
        if change.get(DIRECTIVE) == "delete":
            for index in indices:
                result[index] = _DELETED
        elif indices:
            result[indices[0]] = apply_patch(result[indices[0]], change, place.item())
        else:
            positions[identity] = [len(result)]
            result.append(apply_patch({}, change, place.item()))
    return [item for item in result if item is not _DELETED]


def _without_directives(value: object, place: Place) -> object:
    """Return an item that replaces another, without its nulls and directives."""
    return apply_patch({}, value, place) if isinstance(value, dict) else thaw(value)


def _merge_key(item: Document, keys: tuple[str, ...]) -> str:
    key = next((key for key in keys if key in item), None)
    if key is None:
        names = " or ".join(keys)
        raise BadRequest(f"map: {item!r} does not contain declared merge key: {names}")
    return key


def _identities(item: object, keys: tuple[str, ...]) -> list[Identity]:
    present = keys if isinstance(item, dict) else ()
    return [_identity(item, key) for key in present if isinstance(item, dict) and key in item]


def _identity(item: Document, key: str) -> Identity:
    return key, _hashable(item[key])


def _hashable(value: object) -> object:
    """Return a value by which equal JSON values are found in a set; true is not 1 in JSON."""
    if isinstance(value, (dict, list)):
        return ("json", json.dumps(value, sort_keys=True, default=str))
    return (type(value) is bool, value)


def _order(result: Document, before: object, place: Place, order: object) -> None:
    """Put a list into an order; an item that it does not name follows its predecessors."""
    items = result.get(place.name)
    if not isinstance(items, list) or not isinstance(order, list):
        return
    ranks: dict[Identity, int] = {}
    for item in order:
        ranks.setdefault(_item_identity(item, place), len(ranks))
    named = [item for item in items if _item_identity(item, place) in ranks]
    named.sort(key=lambda item: ranks[_item_identity(item, place)])
    old = before.get(place.name) if isinstance(before, dict) else None
    followers = _followers(old if isinstance(old, list) else [], items, ranks, place)
    result[place.name] = list(followers.pop(-1, []))
    last = -1
    for item in named:
        rank = ranks[_item_identity(item, place)]
        if rank != last:
            result[place.name] += followers.pop(last, [])
        result[place.name].append(item)
        last = rank
    for rank in sorted(followers):
        result[place.name] += followers[rank]


def _followers(
    old: list[object], items: list[object], ranks: dict[Identity, int], place: Place
) -> dict[int, list[object]]:
    """Return the items that an order does not name, by the rank that each of them follows.

    That is the highest rank of what stood before the item; -1 if nothing did; an item that is new
    follows everything.
    """
    present = {_item_identity(item, place) for item in items}
    follows: dict[Identity, int] = {}
    highest = -1
    for item in old:
        identity = _item_identity(item, place)
        if identity in ranks and identity in present:
            highest = max(highest, ranks[identity])
        follows.setdefault(identity, highest)
    positions = {identity: index for index, identity in enumerate(follows)}
    result: dict[int, list[object]] = {}
    unnamed = [item for item in items if _item_identity(item, place) not in ranks]
    for item in sorted(
        unnamed, key=lambda i: positions.get(_item_identity(i, place), len(positions))
    ):
        result.setdefault(follows.get(_item_identity(item, place), len(ranks)), []).append(item)
    return result


def _item_identity(item: object, place: Place) -> Identity:
    """Return what identifies an item of a list: its merge key, or the item itself."""
    identities = _identities(item, place.keys)
    return identities[0] if identities else ("", _hashable(item))
