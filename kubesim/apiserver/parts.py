"""Composition: methods of a class that one of its parts has.

>>> class Counter:
...     def add(self, number: int) -> int:
...         return number + 1
>>> class Server:
...     def __init__(self) -> None:
...         self.counter = Counter()
...     add = method_of("counter", Counter.add)
>>> server = Server()
>>> server.add(2), server.add == server.counter.add
(3, True)

No counterpart in Kubernetes, where Go embeds structs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar, cast

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class PartMethod:
    """The descriptor behind `method_of`.

    The bound method of the part is kept in the instance at the first access, as by
    `functools.cached_property`, so that a call costs no more than a call of the part. In instances
    of a subclass it is not kept, so a subclass may override the method and call `super()`.
    """

    def __init__(self, part: str, function: Callable[..., object]) -> None:
        self._part = part
        self._function = function
        self._owner: type | None = None
        self.__doc__ = function.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._owner = owner

    def __get__(self, instance: object | None, owner: type) -> Callable[..., object]:
        if instance is None:
            return self._function
        name = self._function.__name__
        method: Callable[..., object] = getattr(getattr(instance, self._part), name)
        if type(instance) is self._owner:
            instance.__dict__[name] = method
        return method


def method_of(
    part: str, function: Callable[Concatenate[T, P], R]
) -> Callable[Concatenate[object, P], R]:
    """Return a method of a part as a method of the class that holds the part.

    Args:
        part: name of the attribute that holds the part.
        function: the part's method; the class attribute must have the same name.
    """
    return cast("Callable[Concatenate[object, P], R]", PartMethod(part, function))
