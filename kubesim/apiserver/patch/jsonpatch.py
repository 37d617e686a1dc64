"""JSON patch: a list of operations that are applied all or none.

>>> json_patch({"a": [1, 2]}, [{"op": "test", "path": "/a/0", "value": 1},
...                            {"op": "move", "from": "/a/0", "path": "/b"}])
{'a': [2], 'b': 1}

Source: RFC 6902, RFC 6901 (pointers); github.com/evanphx/json-patch, which the API server uses.
"""

from __future__ import annotations

import json
import re
from typing import Any

from kubesim.errors import BadRequest, Invalid
from kubesim.objects.frozen import Document, thaw

MAX_OPERATIONS = 10_000  # maxJSONPatchOperations
MAX_COPIED_BYTES = 3 * 1024 * 1024  # jsonPatchMaxCopyBytes: copies of copies grow without bound
REFUSED = "the server rejected our request due to an error in our request"
_INDEX = re.compile(r"0|[1-9][0-9]{0,8}", re.ASCII)


def json_patch(document: Document, operations: object) -> Any:
    """Return the document after all operations; it is not changed itself.

    Args:
        document: an object, or any other JSON value.
        operations: the patch, a list of operations.

    Raises:
        BadRequest: the patch is malformed.
        Invalid: an operation does not apply, or a test failed; the cause says which.
    """
    if not isinstance(operations, list):
        raise BadRequest("a JSON patch is a list of operations")
    if len(operations) > MAX_OPERATIONS:
        raise BadRequest(f"a JSON patch may contain at most {MAX_OPERATIONS} operations")
    root: list[object] = [thaw(document)]  # a list, so that the root itself can be replaced
    copied = 0
    for operation in operations:
        if not isinstance(operation, dict) or not {"op", "path"} <= operation.keys():
            raise BadRequest("each operation of a JSON patch needs `op` and `path`")
        copied += _apply(root, operation)
        if copied > MAX_COPIED_BYTES:
            raise _refused(f"the copies take more than {MAX_COPIED_BYTES} bytes")
    return root[0]


def _apply(root: list[object], operation: Document) -> int:
    """Apply one operation; return the number of bytes that it copied."""
    op, path = operation["op"], _pointer(operation["path"])
    match op:
        case "add":
            _add(root, path, thaw(_value(operation)))
        case "remove":
            _remove(root, path)
        case "replace":
            _replace(root, path, thaw(_value(operation)))
        case "test":
            if not _equal(_get(root, path), _value(operation)):
                raise _refused(f"testing value {operation['path']} failed")
        case "move":
            source = _pointer(operation.get("from"))
            value = _get(root, source)
            _remove(root, source)
            _add(root, path, value)
        case "copy":
            value = _get(root, _pointer(operation.get("from")))
            _add(root, path, thaw(value))
            return len(json.dumps(value))
        case _:
            raise BadRequest(f"unexpected kind of JSON patch operation: {op!r}")
    return 0


def _refused(reason: str) -> Invalid:
    # Upstream gives no causes: kubectl prints the message alone.
    return Invalid(REFUSED, hint=reason)


def _pointer(pointer: object) -> list[str]:
    if not isinstance(pointer, str) or (pointer and not pointer.startswith("/")):
        raise BadRequest(f"{pointer!r} is not a JSON pointer; write, for example, /spec/replicas")
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]


def _value(operation: Document) -> object:
    if "value" not in operation:
        raise BadRequest(f"operation {operation['op']!r} needs a `value`")
    return operation["value"]


def _equal(left: object, right: object) -> bool:
    """Compare two values as JSON does: true is not 1, although Python says so."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_equal(left[k], right[k]) for k in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_equal, left, right))
    return bool(left == right)


def _get(root: list[object], path: list[str]) -> object:
    """Return what a pointer points to.

    Raises:
        Invalid: there is nothing.
    """
    value = root[0]
    for part in path:
        value = _child(value, part)
    return value


def _child(container: object, part: str) -> object:
    if isinstance(container, dict) and part in container:
        return container[part]
    if isinstance(container, list):
        return container[_index(container, part)]
    raise _missing(part)


def _index(container: list[object], part: str, *, adding: bool = False) -> int:
    """Return the position that a part of a pointer means in a list; ``-`` is the place after it."""
    if part == "-" and adding:
        return len(container)
    if _INDEX.fullmatch(part) and int(part) < len(container) + adding:
        return int(part)
    raise _missing(part)


def _missing(part: str) -> Invalid:
    return _refused(f"the path does not exist in the document: {part!r}")


def _add(root: list[object], path: list[str], value: object) -> None:
    if not path:
        root[0] = value
        return
    parent = _get(root, path[:-1])
    if isinstance(parent, list):
        parent.insert(_index(parent, path[-1], adding=True), value)
    elif isinstance(parent, dict):
        parent[path[-1]] = value
    else:
        raise _missing(path[-1])


def _replace(root: list[object], path: list[str], value: object) -> None:
    if not path:
        root[0] = value
        return
    parent = _get(root, path[:-1])
    _child(parent, path[-1])  # it must exist
    if isinstance(parent, list):
        parent[_index(parent, path[-1])] = value
    elif isinstance(parent, dict):
        parent[path[-1]] = value


def _remove(root: list[object], path: list[str]) -> None:
    if not path:
        root[0] = None
        return
    parent = _get(root, path[:-1])
    _child(parent, path[-1])  # it must exist
    if isinstance(parent, list):
        del parent[_index(parent, path[-1])]
    elif isinstance(parent, dict):
        del parent[path[-1]]
