"""The three-way patch of `kubectl apply`: last applied, wanted and live object in, a patch out.

The patch removes the fields that were applied before and are wanted no more, sets the fields that
are wanted, and leaves alone what others set. `{}` means that nothing has to change. Pure.

>>> strategic({"a": 1, "old": 2}, {"a": 3}, {"a": 1, "old": 2, "b": 4})
{'old': None, 'a': 3}

Source: k8s.io/apimachinery/pkg/util/strategicpatch (CreateThreeWayMergePatch),
pkg/util/jsonmergepatch (for custom kinds), k8s.io/kubectl/pkg/cmd/apply.
"""

from __future__ import annotations

import json

from kubesim.apiserver.patch.strategic import DIRECTIVE, ORDER, REMOVE, RETAIN
from kubesim.apiserver.patch.strategies import Place, place_of
from kubesim.errors import BadRequest
from kubesim.objects.frozen import Document, thaw
from kubesim.objects.meta import annotations_of
from kubesim.objects.wellknown import LAST_APPLIED


def annotated(document: Document) -> Document:
    """Return a copy of a manifest that carries itself as the last applied configuration."""
    result: Document = thaw(document)
    metadata = result.setdefault("metadata", {})
    annotations = metadata.get("annotations") or {}
    if not isinstance(annotations, dict):
        raise BadRequest("metadata.annotations must be an object")
    annotations.pop(LAST_APPLIED, None)
    metadata["annotations"] = annotations
    configuration = json.dumps(result, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    metadata["annotations"] = {**annotations, LAST_APPLIED: configuration + "\n"}
    return result


def last_applied(live: Document) -> Document:
    """Return the configuration that was applied last, or {} that can be read."""
    try:
        configuration = json.loads(annotations_of(live).get(LAST_APPLIED, "{}"))
    except ValueError:
        return {}
    return configuration if isinstance(configuration, dict) else {}


def strategic(original: Document, modified: Document, live: Document) -> Document:
    """Return the patch for a built-in kind: keyed lists are merged item by item.

    Args:
        original: the configuration that was applied last.
        modified: the configuration to apply, with its kind and apiVersion.
        live: the object as the server has it.
    """
    return _objects(original, modified, live, place_of(modified, live))


def merging(original: Document, modified: Document, live: Document) -> Document:
    """Return the patch for a custom kind (RFC 7386): lists are replaced.

    Args:
        original, modified, live: as for `strategic`.
    """
    return _objects(original, modified, live, None)


def _objects(original: object, modified: Document, live: object, place: Place | None) -> Document:
    """Return the patch of an object; without a place lists are replaced (RFC 7386)."""
    before = original if isinstance(original, dict) else {}
    current = live if isinstance(live, dict) else {}
    patch: Document = {}
    for field in before:
        if modified.get(field) is None and field in current:
            patch[field] = None
    for field, value in modified.items():
        if value is None or (field in current and current[field] == value):
            continue
        inner_place = place.below(field) if place is not None else None
        inner_live, inner_before = current.get(field), before.get(field)
        if isinstance(value, dict) and isinstance(inner_live, dict):
            inner = _objects(inner_before, value, inner_live, inner_place)
            if inner and inner_place is not None and inner_place.retains_keys:
                inner[RETAIN] = sorted(value)
            if inner:
                patch[field] = inner
        elif inner_place is not None and isinstance(value, list) and isinstance(inner_live, list):
            patch |= _lists(inner_place, inner_before, value, inner_live)
        else:
            patch[field] = thaw(value)
    return patch


def _lists(place: Place, original: object, modified: list[object], live: list[object]) -> Document:
    """Return what is to be sent of a list."""
    before = original if isinstance(original, list) else []
    if place.is_set:
        patch: Document = {}
        if added := [item for item in modified if item not in live]:
            patch[place.name] = added
        if removed := [item for item in before if item not in modified and item in live]:
            patch[REMOVE + place.name] = removed
        return patch
    modified_items, live_items = (_keyed_items(items, place) for items in (modified, live))
    if modified_items is None or live_items is None:
        return {place.name: thaw(modified)}
    former = [item for item in before if isinstance(item, dict) and _key_of(item, place)]
    return _keyed(place, former, modified_items, live_items)


def _keyed_items(items: list[object], place: Place) -> list[Document] | None:
    """Return the items if each of them has a merge key."""
    keyed = [item for item in items if isinstance(item, dict) and _key_of(item, place)]
    return keyed if len(keyed) == len(items) and place.keys else None


def _keyed(
    place: Place, original: list[Document], modified: list[Document], live: list[Document]
) -> Document:
    current = {_identity(item, place): item for item in live}
    before = {_identity(item, place): item for item in original}
    items = []
    for item in modified:
        identity = _identity(item, place)
        key = _key_of(item, place)
        if identity not in current:
            items.append(thaw(item))
        elif inner := _objects(before.get(identity), item, current[identity], place.item()):
            if place.retains_keys:
                inner[RETAIN] = sorted(item)
            items.append({**inner, key: item[key]})
    identities = {_identity(item, place) for item in modified}
    removed = [item for identity, item in before.items() if identity not in identities]
    items += [
        {DIRECTIVE: "delete", (key := _key_of(item, place)): item[key]}
        for item in removed
        if _identity(item, place) in current
    ]
    order = [{(key := _key_of(item, place)): item[key]} for item in modified]
    common = [identity for identity in current if identity in identities]
    moved = common != [
        identity for item in modified if (identity := _identity(item, place)) in current
    ]
    if not items and not moved:
        return {}
    return {f"{ORDER}{place.name}": order, **({place.name: items} if items else {})}


def _key_of(item: Document, place: Place) -> str:
    return next((key for key in place.keys if key in item), "")


def _identity(item: Document, place: Place) -> str:
    key = _key_of(item, place)
    return json.dumps([key, item[key]])
