"""The three ways to patch a document: JSON merge, JSON patch, strategic merge.

All are pure: a document and a patch in, a new document out.

>>> merge_patch({"a": 1, "b": {"c": 2, "d": 3}}, {"a": None, "b": {"c": 9}})
{'b': {'c': 9, 'd': 3}}
>>> json_patch({"a": [1, 2]}, [{"op": "add", "path": "/a/-", "value": 3}])
{'a': [1, 2, 3]}
>>> strategic_patch({"containers": [{"name": "a", "image": "x"}, {"name": "b", "image": "y"}]},
...                 {"containers": [{"name": "b", "image": "z"}]})
{'containers': [{'name': 'a', 'image': 'x'}, {'name': 'b', 'image': 'z'}]}

Source: RFC 7386; k8s.io/apimachinery/pkg/util/strategicpatch (merge keys are the `patchMergeKey`
tags of the API types). JSON patch has a file of its own.
"""

from __future__ import annotations

from typing import Any

from kubesim.apiserver.patch.jsonpatch import json_patch
from kubesim.errors import BadRequest
from kubesim.objects.frozen import Document, thaw

__all__ = ["json_patch", "merge_patch", "strategic_patch"]

# Lists that strategic merge joins item by item, and the field by which items are told apart.
# Every other list is replaced as a whole (taints, tolerations, args, HPA metrics ...).
MERGE_KEYS: dict[str, tuple[str, ...]] = {
    "addresses": ("type",),
    "conditions": ("type",),
    "containers": ("name",),
    "env": ("name",),
    "ephemeralContainers": ("name",),
    "hostAliases": ("ip",),
    "hostIPs": ("ip",),
    "imagePullSecrets": ("name",),
    "initContainers": ("name",),
    "ownerReferences": ("uid",),
    "podIPs": ("ip",),
    "ports": ("containerPort", "port"),  # of a container, of a service
    "resourceClaims": ("name",),
    "secrets": ("name",),
    "topologySpreadConstraints": ("topologyKey",),
    "volumeDevices": ("devicePath",),
    "volumeMounts": ("mountPath",),
    "volumes": ("name",),
}
PRIMITIVE_SETS = ("finalizers", "podCIDRs")  # lists of texts that are joined as sets
ORDER, REMOVE, RETAIN, DIRECTIVE = (
    "$setElementOrder/",
    "$deleteFromPrimitiveList/",
    "$retainKeys",
    "$patch",
)


def merge_patch(document: Any, patch: Any) -> Any:
    """RFC 7386: objects are merged, null removes, everything else replaces."""
    if not isinstance(patch, dict):
        return thaw(patch)
    result = dict(document) if isinstance(document, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge_patch(result.get(key), value)
    return result


def strategic_patch(document: Any, patch: Any, field: str = "") -> Any:
    """Kubernetes' own merge: as RFC 7386, but keyed lists are merged item by item.

    Directives: `$patch: delete | replace | merge` in an object or item; `$retainKeys` drops the
    keys that it does not name; `$deleteFromPrimitiveList/FIELD`; `$setElementOrder/FIELD` orders
    what it names.

    Args:
        document: what is there; it is not changed.
        patch: what is to change.
        field: the field in which both stand; it decides how lists are merged.

    Raises:
        BadRequest: a directive that does not exist, or a list item without its merge key.
    """
    if isinstance(patch, list):
        return _merge_list(document if isinstance(document, list) else [], patch, field)
    if not isinstance(patch, dict):
        return patch
    directive = patch.get(DIRECTIVE, "merge")
    if directive == "delete":
        return {}
    if directive not in ("merge", "replace"):
        raise BadRequest(f"Unknown patch type: {directive}")
    merging = isinstance(document, dict) and directive == "merge"
    result = _retained(dict(document) if merging else {}, patch)
    for key, value in patch.items():
        if key.startswith(REMOVE):
            _remove_from_set(result, key.removeprefix(REMOVE), value)
        elif key in (DIRECTIVE, RETAIN) or key.startswith(ORDER):
            continue
        elif value is None:
            result.pop(key, None)
        else:
            result[key] = strategic_patch(result.get(key), value, key)
    for key, order in patch.items():
        if key.startswith(ORDER):
            _order(result, document, key.removeprefix(ORDER), order)
    return result


def _retained(document: Document, patch: Document) -> Document:
    """The document without the keys that `$retainKeys` does not name."""
    if RETAIN not in patch:
        return document
    kept = _texts(patch[RETAIN], RETAIN)
    for key in patch:
        if not key.startswith("$") and key not in kept:
            raise BadRequest(f"{RETAIN} does not name {key!r}, which the patch sets")
    return {key: value for key, value in document.items() if key in kept}


def _remove_from_set(result: Document, field: str, values: Any) -> None:
    removed = _texts(values, REMOVE + field)
    if isinstance(result.get(field), list):
        result[field] = [item for item in result[field] if item not in removed]


def _texts(value: Any, directive: str) -> list[Any]:
    if not isinstance(value, list):
        raise BadRequest(f"{directive} takes a list")
    return value


# -- lists --------------------------------------------------------------------------------------


def _merge_list(document: list[Any], patch: list[Any], field: str) -> list[Any]:
    if field in PRIMITIVE_SETS:
        return [*document, *(item for item in patch if item not in document)]
    if field not in MERGE_KEYS or not all(isinstance(item, dict) for item in patch):
        return [_without_directives(item) for item in patch]
    if any(item.get(DIRECTIVE) == "replace" for item in patch):
        return [_without_directives(item) for item in patch if DIRECTIVE not in item]
    result = list(document)
    for item in patch:
        key = _merge_key(item, field)
        index = next((i for i, old in enumerate(result) if _same(old, item, key)), None)
        if item.get(DIRECTIVE) == "delete":
            result = [old for old in result if not _same(old, item, key)]
        elif index is None:
            result.append(strategic_patch({}, item))
        else:
            result[index] = strategic_patch(result[index], item)
    return result


def _without_directives(value: Any) -> Any:
    """An item that replaces: nulls and directives in it mean nothing any more."""
    return strategic_patch({}, value) if isinstance(value, dict) else thaw(value)


def _merge_key(item: Document, field: str) -> str:
    for key in MERGE_KEYS[field]:
        if key in item:
            return key
    names = " or ".join(MERGE_KEYS[field])
    raise BadRequest(f"map: {item!r} does not contain declared merge key: {names}")


def _same(old: Any, item: Document, key: str) -> bool:
    return isinstance(old, dict) and key in old and old[key] == item[key]


def _order(result: Document, before: Any, field: str, order: Any) -> None:
    """Put the items of a list into an order; one that it does not name follows its predecessor."""
    items = result.get(field)
    if not isinstance(items, list) or not isinstance(order, list):
        return
    identities = [_identity(item, field) for item in order]
    named = [item for item in items if _identity(item, field) in identities]
    named.sort(key=lambda item: identities.index(_identity(item, field)))
    old = before.get(field) if isinstance(before, dict) else None
    places = [_identity(item, field) for item in old] if isinstance(old, list) else []
    for item in items:
        identity = _identity(item, field)
        if identity not in identities:
            known = [_identity(item, field) for item in named]
            earlier = places[: places.index(identity)] if identity in places else known
            behind = [known.index(other) for other in earlier if other in known]
            named.insert(max(behind) + 1 if behind else 0, item)
    result[field] = named


def _identity(item: Any, field: str) -> Any:
    """By what a list item is known: the value of its merge key, or the item itself."""
    if not isinstance(item, dict):
        return item
    return next((item[key] for key in MERGE_KEYS.get(field, ()) if key in item), item)
