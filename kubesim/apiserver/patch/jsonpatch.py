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


def json_patch(document: Document, operations: Any) -> Any:
    """The document after add, remove, replace, move, copy and test; it is not changed itself.

    Raises:
        BadRequest: the patch is malformed.
        Invalid: an operation does not apply, or a test failed; the cause says which.
    """
    if not isinstance(operations, list):
        raise BadRequest("a JSON patch is a list of operations")
    if len(operations) > MAX_OPERATIONS:
        raise BadRequest(f"a JSON patch may hold {MAX_OPERATIONS} operations at most")
    root: Any = [thaw(document)]  # a list, so that the root itself can be replaced
    copied = 0
    for operation in operations:
        if not isinstance(operation, dict) or not {"op", "path"} <= operation.keys():
            raise BadRequest("each operation of a JSON patch needs `op` and `path`")
        copied += _apply(root, operation)
        if copied > MAX_COPIED_BYTES:
            raise _refused(f"the copies take more than {MAX_COPIED_BYTES} bytes")
    return root[0]


def _apply(root: list[Any], operation: Document) -> int:
    """Apply one operation; the number of bytes that it copied."""
    op, path = operation["op"], _pointer(operation["path"])
    match op:
        case "add":
            _add(root, path, thaw(_value(operation)))
        case "remove":
            _remove(root, path)
        case "replace":
            _replace(root, path, thaw(_value(operation)))
        case "test":
            if not _equal(_look(root, path), _value(operation)):
                raise _refused(f"testing value {operation['path']} failed")
        case "move":
            source = _pointer(operation.get("from"))
            value = _look(root, source)
            _remove(root, source)
            _add(root, path, value)
        case "copy":
            value = _look(root, _pointer(operation.get("from")))
            _add(root, path, thaw(value))
            return len(json.dumps(value))
        case _:
            raise BadRequest(f"unexpected kind of JSON patch operation: {op!r}")
    return 0


def _refused(why: str) -> Invalid:
    return Invalid(REFUSED, hint=why)  # upstream gives no causes: kubectl prints the message alone


def _pointer(text: Any) -> list[str]:
    if not isinstance(text, str) or (text and not text.startswith("/")):
        raise BadRequest(f"{text!r} is no JSON pointer; write for example /spec/replicas")
    return [part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:]]


def _value(operation: Document) -> Any:
    if "value" not in operation:
        raise BadRequest(f"operation {operation['op']!r} needs a `value`")
    return operation["value"]


def _equal(left: Any, right: Any) -> bool:
    """Equal as JSON: true is not 1, although Python says so."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_equal(left[k], right[k]) for k in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_equal, left, right))
    return bool(left == right)


def _look(root: list[Any], path: list[str]) -> Any:
    value: Any = root[0]
    for part in path:
        value = value[_place(value, part)]
    return value


def _place(container: Any, part: str, *, adding: bool = False) -> Any:
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
        if _INDEX.fullmatch(part) and int(part) < len(container) + adding:
            return int(part)
    raise _refused(f"the path does not exist in the document: {part!r}")


def _add(root: list[Any], path: list[str], value: Any) -> None:
    if not path:
        root[0] = value
        return
    parent = _look(root, path[:-1])
    place = _place(parent, path[-1], adding=True)
    if isinstance(parent, list):
        parent.insert(place, value)
    else:
        parent[place] = value


def _replace(root: list[Any], path: list[str], value: Any) -> None:
    if not path:
        root[0] = value
        return
    parent = _look(root, path[:-1])
    parent[_place(parent, path[-1])] = value


def _remove(root: list[Any], path: list[str]) -> None:
    if not path:
        root[0] = None
        return
    parent = _look(root, path[:-1])
    del parent[_place(parent, path[-1])]
