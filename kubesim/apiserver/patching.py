"""The three ways to patch a document: JSON merge, JSON patch, strategic merge.

All are pure: a document and a patch in, a new document out.

>>> merge_patch({"a": 1, "b": {"c": 2, "d": 3}}, {"a": None, "b": {"c": 9}})
{'b': {'c': 9, 'd': 3}}
>>> json_patch({"a": [1, 2]}, [{"op": "add", "path": "/a/-", "value": 3}])
{'a': [1, 2, 3]}
>>> strategic_patch({"containers": [{"name": "a", "image": "x"}, {"name": "b", "image": "y"}]},
...                 {"containers": [{"name": "b", "image": "z"}]})
{'containers': [{'name': 'a', 'image': 'x'}, {'name': 'b', 'image': 'z'}]}

Source: RFC 7386, RFC 6902; k8s.io/apimachinery/pkg/util/strategicpatch (merge keys are the
`patchMergeKey` tags of the API types).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kubesim.errors import BadRequest, Invalid
from kubesim.objects.frozen import Document, thaw

# Lists that strategic merge joins item by item, and the field by which items are told apart.
# Every other list is replaced as a whole (tolerations, args, policies ...).
MERGE_KEYS: dict[str, tuple[str, ...]] = {
    "containers": ("name",),
    "initContainers": ("name",),
    "ephemeralContainers": ("name",),
    "env": ("name",),
    "volumes": ("name",),
    "volumeMounts": ("mountPath",),
    "ports": ("containerPort", "port"),
    "imagePullSecrets": ("name",),
    "hostAliases": ("ip",),
    "conditions": ("type",),
    "ownerReferences": ("uid",),
    "addresses": ("type",),
    "taints": ("key",),
    "topologySpreadConstraints": ("topologyKey",),
    "podIPs": ("ip",),
}
PRIMITIVE_SETS = ("finalizers",)
MAX_JSON_PATCH_OPERATIONS = 10_000


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


# -- strategic merge -------------------------------------------------------------------------------


def strategic_patch(document: Any, patch: Any, field: str = "") -> Any:
    """Kubernetes' own patch: like a merge, but lists with a merge key are joined item by item.

    Understands the directives `$patch: delete|replace`, `$retainKeys` and
    `$deleteFromPrimitiveList/...`; `$setElementOrder/...` orders what it names.
    """
    if isinstance(patch, list):
        return _strategic_list(document if isinstance(document, list) else [], patch, field)
    if not isinstance(patch, dict):
        return thaw(patch)
    directive = patch.get("$patch")
    if directive == "replace":
        return {key: thaw(value) for key, value in patch.items() if key != "$patch"}
    if directive == "delete":
        return {}
    result = dict(document) if isinstance(document, dict) else {}
    if "$retainKeys" in patch:
        result = {key: value for key, value in result.items() if key in patch["$retainKeys"]}
    for key, value in patch.items():
        if key.startswith("$deleteFromPrimitiveList/"):
            name = key.partition("/")[2]
            result[name] = [item for item in result.get(name) or [] if item not in value]
        elif key.startswith("$"):
            continue
        elif value is None:
            result.pop(key, None)
        else:
            result[key] = strategic_patch(result.get(key), value, key)
    for key, order in patch.items():
        name = key.partition("/")[2]
        if key.startswith("$setElementOrder/") and isinstance(result.get(name), list):
            result[name] = _ordered(result[name], order, name)
    return result


def _strategic_list(document: list[Any], patch: list[Any], field: str) -> list[Any]:
    if field in PRIMITIVE_SETS:
        return [*document, *(item for item in patch if item not in document)]
    if field not in MERGE_KEYS or not all(isinstance(item, dict) for item in patch):
        return [thaw(item) for item in patch]
    if any(item.get("$patch") == "replace" for item in patch):
        return [thaw(item) for item in patch if "$patch" not in item]
    result = list(document)
    for item in patch:
        key = _merge_key(item, field)
        index = next((i for i, old in enumerate(result) if _same(old, item, key)), None)
        if item.get("$patch") == "delete":
            if index is not None:
                del result[index]
        elif index is None:
            result.append(strategic_patch({}, item, ""))
        else:
            result[index] = strategic_patch(result[index], item, "")
    return result


def _merge_key(item: Document, field: str) -> str:
    for key in MERGE_KEYS[field]:
        if key in item:
            return key
    names = " or ".join(MERGE_KEYS[field])
    raise BadRequest(f"map: {item!r} does not contain declared merge key: {names}")


def _same(old: Any, item: Document, key: str) -> bool:
    return isinstance(old, dict) and old.get(key) == item.get(key)


def _ordered(items: list[Any], order: Sequence[Any], field: str) -> list[Any]:
    """The items that `order` names in its order; the others keep their places behind them."""
    keys = MERGE_KEYS.get(field)
    if keys is None:
        return items

    def rank(item: Any) -> int:
        for position, wanted in enumerate(order):
            if isinstance(wanted, dict) and any(
                k in wanted and _same(item, wanted, k) for k in keys
            ):
                return position
        return len(order)

    return sorted(items, key=rank)


# -- JSON patch ------------------------------------------------------------------------------------


def json_patch(document: Document, operations: Any) -> Any:
    """RFC 6902: a list of add, remove, replace, move, copy and test, all or nothing.

    Raises:
        BadRequest: the patch is malformed.
        Invalid: an operation does not apply, or a test failed.
    """
    if not isinstance(operations, list):
        raise BadRequest("a JSON patch is a list of operations")
    if len(operations) > MAX_JSON_PATCH_OPERATIONS:
        raise BadRequest(f"a JSON patch may hold {MAX_JSON_PATCH_OPERATIONS} operations at most")
    root: Any = [thaw(document)]  # a list, so that the root itself can be replaced
    for operation in operations:
        if not isinstance(operation, dict) or "op" not in operation or "path" not in operation:
            raise BadRequest("each operation of a JSON patch needs `op` and `path`")
        _apply(root, operation)
    return root[0]


def _apply(root: list[Any], operation: Document) -> None:
    op, path = operation["op"], _pointer(operation["path"])
    match op:
        case "add":
            _add(root, path, thaw(_value(operation)))
        case "remove":
            _remove(root, path)
        case "replace":
            _remove(root, path)
            _add(root, path, thaw(_value(operation)))
        case "test":
            if _look(root, path) != _value(operation):
                raise Invalid(f"testing value {operation['path']} failed")
        case "copy" | "move":
            source = _pointer(operation.get("from"))
            value = thaw(_look(root, source))
            if op == "move":
                _remove(root, source)
            _add(root, path, value)
        case _:
            raise BadRequest(f"unexpected kind of JSON patch operation: {op!r}")


def _pointer(text: Any) -> list[str]:
    if not isinstance(text, str) or (text and not text.startswith("/")):
        raise BadRequest(f"{text!r} is no JSON pointer; write for example /spec/replicas")
    return [part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:]]


def _value(operation: Document) -> Any:
    if "value" not in operation:
        raise BadRequest(f"operation {operation['op']!r} needs a `value`")
    return operation["value"]


def _look(root: list[Any], path: list[str]) -> Any:
    value: Any = root[0]
    for part in path:
        value = value[_index(value, part)]
    return value


def _index(container: Any, part: str, *, adding: bool = False) -> Any:
    """The key or position that a pointer's part means in a container.

    Raises:
        Invalid: there is no such place.
    """
    if isinstance(container, dict):
        if part in container or adding:
            return part
    elif isinstance(container, list):
        if part == "-" and adding:
            return len(container)
        if part.isascii() and part.isdigit() and len(part) < 10:
            position = int(part)
            if position < len(container) + adding:
                return position
    raise Invalid(f"the path does not exist in the document: {part!r}")


def _parent(root: list[Any], path: list[str]) -> tuple[Any, str]:
    if not path:
        return root, "0"
    return _look(root, path[:-1]), path[-1]


def _add(root: list[Any], path: list[str], value: Any) -> None:
    parent, part = _parent(root, path)
    place = _index(parent, part, adding=bool(path))
    if isinstance(parent, list) and path:
        parent.insert(place, value)
    else:
        parent[place] = value


def _remove(root: list[Any], path: list[str]) -> None:
    parent, part = _parent(root, path)
    place = _index(parent, part)
    if path:
        del parent[place]
    else:
        root[0] = None
