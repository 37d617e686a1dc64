"""Documents that cannot be changed in place: what the store keeps and everybody shares.

A Kubernetes API server decodes a fresh object for each request, and client-go's caches hand out
pointers with the words "never mutate objects from the cache". Python can enforce the second rule
instead of asking for it: `freeze` turns a JSON document into dictionaries and lists that refuse
every change, so store, watches, caches and readers share one copy without ever copying it.

>>> pod = freeze({"metadata": {"name": "web"}, "spec": {"containers": [{"name": "app"}]}})
>>> pod["metadata"]["name"]
'web'
>>> pod["metadata"]["name"] = "other"
Traceback (most recent call last):
...
kubesim.errors.FrozenDocument: this document is shared with the store and every cache, ...
>>> mine = thaw(pod)
>>> mine["metadata"]["name"] = "other"
>>> pod["metadata"]["name"], mine["metadata"]["name"]
('web', 'other')
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any, NoReturn

from kubesim.errors import FrozenDocument

Document = dict[str, Any]
"""A Kubernetes object, or a part of it, as its JSON document: string keys, JSON values."""

ReadOnlyDocument = Mapping[str, Any]
"""A document that a function reads and does not change: frozen or not."""


def _refuse(*_args: object, **_kwargs: object) -> NoReturn:
    raise FrozenDocument()


class FrozenDict(dict[str, Any]):
    """A dict that refuses changes; `json.dumps`, `==` and `isinstance(x, dict)` work as ever."""

    __slots__ = ()
    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def __deepcopy__(self, memo: dict[int, Any]) -> dict[str, Any]:
        return thaw(self)  # type: ignore[no-any-return]

    def __copy__(self) -> dict[str, Any]:
        return dict(self)

    def __reduce__(self) -> tuple[Any, ...]:
        return (freeze, (thaw(self),))


class FrozenList(list[Any]):
    """A list that refuses changes."""

    __slots__ = ()
    __setitem__ = __delitem__ = __iadd__ = __imul__ = _refuse
    append = clear = extend = insert = pop = remove = reverse = sort = _refuse

    def __deepcopy__(self, memo: dict[int, Any]) -> list[Any]:
        return thaw(self)  # type: ignore[no-any-return]

    def __copy__(self) -> list[Any]:
        return list(self)

    def __reduce__(self) -> tuple[Any, ...]:
        return (freeze, (thaw(self),))


_ATOMS = frozenset({str, int, float, bool, type(None)})  # what cannot be changed in place anyway


def freeze(value: Any) -> Any:
    """The value as a frozen JSON document; parts that are frozen already are shared, not copied.

    Raises:
        TypeError: a value that JSON has no word for (a set, an object, a key that is no string).
        ValueError: NaN or infinity, which JSON cannot carry.
    """
    kind = type(value)
    if kind is str or kind is int or kind is bool or value is None:
        return value
    if kind is FrozenDict or kind is FrozenList:
        return value
    if kind is float:
        if not isfinite(value):
            raise ValueError(f"{value} is not a JSON number")
        return value
    if isinstance(value, dict):
        for key in value:
            if type(key) is not str:
                raise TypeError(f"a JSON document has string keys only, not {key!r}")
        return FrozenDict(
            # Texts and whole numbers are most of a document: spare them the call.
            [(k, v if type(v) is str or type(v) is int else freeze(v)) for k, v in value.items()]
        )
    if isinstance(value, (list, tuple)):
        return FrozenList(map(freeze, value))
    if isinstance(value, (str, int)):  # an enum member, for example: keep the plain value
        return str.__str__(value) if isinstance(value, str) else int(value)
    raise TypeError(f"{type(value).__name__} is not a JSON value: {value!r}")


def thaw(value: Any) -> Any:
    """A deep copy in plain dicts and lists, free to be changed."""
    if isinstance(value, dict):
        return {k: v if type(v) in _ATOMS else thaw(v) for k, v in value.items()}
    if isinstance(value, list):
        return [v if type(v) in _ATOMS else thaw(v) for v in value]
    return value
