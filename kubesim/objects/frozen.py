"""Documents that cannot be changed in place, as the store keeps them.

A Kubernetes API server decodes a fresh object for each request, and client-go's caches hand out
pointers with the advice "never mutate objects from the cache". Here Python enforces that rule:
`freeze` turns a JSON document into dictionaries and lists that refuse every change, so that store,
watches, caches and readers share one copy.

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

from collections.abc import Iterator, Mapping
from math import isfinite
from typing import Any, NoReturn, TypeVar

from kubesim.errors import FrozenDocument

Document = dict[str, Any]
"""A Kubernetes object, or a part of it, as its JSON document: string keys, JSON values."""

ReadOnlyDocument = Mapping[str, Any]
"""A document that a function reads and does not change: frozen or not."""


T = TypeVar("T")


def _refuse(*_args: object, **_kwargs: object) -> NoReturn:
    raise FrozenDocument()


class FrozenDict(Document):
    """A dict that refuses changes; `json.dumps`, `==` and `isinstance(x, dict)` work as ever."""

    __slots__ = ()
    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def __deepcopy__(self, memo: dict[int, object]) -> Document:
        return thaw(self)

    def __copy__(self) -> Document:
        return dict(self)

    def __reduce__(self) -> tuple[object, ...]:
        return (freeze, (thaw(self),))


class FrozenList(list[Any]):
    """A list that refuses changes."""

    __slots__ = ()
    __setitem__ = __delitem__ = __iadd__ = __imul__ = _refuse
    append = clear = extend = insert = pop = remove = reverse = sort = _refuse

    def __deepcopy__(self, memo: dict[int, object]) -> list[Any]:
        return thaw(self)

    def __copy__(self) -> list[Any]:
        return list(self)

    def __reduce__(self) -> tuple[object, ...]:
        return (freeze, (thaw(self),))


EMPTY = FrozenDict()
_DICTS: frozenset[type] = frozenset((dict, FrozenDict))
_ATOMS = frozenset({str, int, float, bool, type(None)})  # values that cannot be changed in place


def freeze(value: Any) -> Any:
    """Return a value as a frozen JSON document; frozen parts are shared, not copied.

    Args:
        value: JSON values in dicts, lists and tuples.

    Raises:
        TypeError: a value that JSON cannot express (a set, an object, a key that is not a string).
        ValueError: NaN or infinity.
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
            # Most values are strings, whole numbers or (in managedFields) empty: no call for them.
            [
                (
                    k,
                    v
                    if type(v) is str or type(v) is int
                    else EMPTY
                    if not v and type(v) is dict
                    else freeze(v),
                )
                for k, v in value.items()
            ]
        )
    if isinstance(value, (list, tuple)):
        return FrozenList(map(freeze, value))
    if isinstance(value, (str, int)):  # an enum member, for example: keep the plain value
        return str.__str__(value) if isinstance(value, str) else int(value)
    raise TypeError(f"{type(value).__name__} is not a JSON value: {value!r}")


def thaw(value: T) -> T:
    """Return a deep copy in plain dicts and lists, which may be changed."""
    if isinstance(value, dict):
        return {  # type: ignore[return-value]  # plain, and equal
            # No call for what has no parts: managedFields is full of empty objects.
            k: v if type(v) in _ATOMS else {} if not v and type(v) in _DICTS else thaw(v)
            for k, v in value.items()
        }
    if isinstance(value, list):
        return [v if type(v) in _ATOMS else thaw(v) for v in value]  # type: ignore[return-value]  # plain, and equal
    return value


def objects_in(value: object) -> Iterator[Document]:
    """Yield the objects in a list; nothing if it is not a list (validation reports that)."""
    return (
        (item for item in value if isinstance(item, dict)) if isinstance(value, list) else iter(())
    )
