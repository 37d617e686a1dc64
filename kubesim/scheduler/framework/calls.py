"""How the framework calls a plug-in: with or without the state, and with its exceptions caught.

A plug-in that needs no state writes `filter(pod, node)`, another writes
`filter(pod, node, state)`. The method's signature, inspected once, tells which of the two it is.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from functools import lru_cache
from types import FunctionType, MethodType

from kubesim.scheduler.framework.profile import Enabled
from kubesim.scheduler.framework.status import PluginFailed
from kubesim.usercode import USER_ERRORS, error_text


def takes_state(method: Callable[..., object], arguments: int) -> bool:
    """Return whether a method takes that many arguments, the last one being the state."""
    if isinstance(method, MethodType) and isinstance(method.__func__, FunctionType):
        return _of_function(method.__func__) - 1 >= arguments
    return _most_positional(method) >= arguments


def _most_positional(function: Callable[..., object]) -> float:
    """Return how many positional arguments a function takes at most."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # a callable written in C has no signature
        return 0
    kinds = [parameter.kind for parameter in parameters]
    if inspect.Parameter.VAR_POSITIONAL in kinds:
        return math.inf
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(kind in positional for kind in kinds)


_of_function = lru_cache(maxsize=256)(_most_positional)  # each new cluster asks again


class PluginMethod:
    """One method of one plug-in, looked up once and called often.

    Args:
        enabled: the plug-in.
        method: the method's name; its last argument, the state, may be left out by the plug-in.
        arguments: the number of arguments including the state.
    """

    __slots__ = ("enabled", "function", "method", "name", "stateful")

    def __init__(self, enabled: Enabled, method: str, arguments: int) -> None:
        self.enabled = enabled
        self.name = enabled.name
        self.method = method
        self.function: Callable[..., object] = getattr(enabled.plugin, method)
        self.stateful = takes_state(self.function, arguments)

    def __call__(self, *arguments: object) -> object:
        """Call the method with all arguments, the state last.

        Raises:
            PluginFailed: the plug-in raised an exception.
        """
        try:
            return self.function(*(arguments if self.stateful else arguments[:-1]))
        except USER_ERRORS as error:
            raise plugin_failure(self.enabled, self.method, error) from error


def call(enabled: Enabled, method: str, *arguments: object) -> object:
    """Call a method of a plug-in.

    Args:
        enabled: the plug-in.
        method: the method's name.
        arguments: its arguments.

    Raises:
        PluginFailed: the plug-in raised an exception.
    """
    try:
        return getattr(enabled.plugin, method)(*arguments)
    except USER_ERRORS as error:
        raise plugin_failure(enabled, method, error) from error


def plugin_failure(enabled: Enabled, method: str, error: BaseException) -> PluginFailed:
    """Return a PluginFailed that names the plug-in; return `error` itself if it is one already.

    Args:
        enabled: the plug-in.
        method: name of the method that failed.
        error: the exception.
    """
    if isinstance(error, PluginFailed):
        return error
    return PluginFailed(f"running {method} of plugin {enabled.name!r}: {error_text(error)}")
