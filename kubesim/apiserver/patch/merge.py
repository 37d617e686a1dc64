"""JSON merge patch: objects are merged, null removes, everything else replaces. Pure.

>>> merge_patch({"a": 1, "b": {"c": 2, "d": 3}}, {"a": None, "b": {"c": 9}})
{'b': {'c': 9, 'd': 3}}

Source: RFC 7386.
"""

from __future__ import annotations

from typing import Any

from kubesim.objects.frozen import thaw


def merge_patch(document: object, patch: object) -> Any:
    """Return the document after the patch; it is not changed itself.

    Args:
        document: an object, or any other JSON value.
        patch: an object that is merged into it, or a value that replaces it.
    """
    if not isinstance(patch, dict):
        return thaw(patch)
    result = dict(document) if isinstance(document, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge_patch(result.get(key), value)
    return result
