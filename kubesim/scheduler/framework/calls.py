"""How the framework calls a plug-in: with the state if it wants it, and with its failures caught.

Learners write `filter(pod, node)`; a plug-in with a memory writes `filter(pod, node, state)`. Which
of the two it is, is read once from the method's signature.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from kubesim.scheduler.framework.profile import Enabled
from kubesim.scheduler.framework.status import PluginFailed


def takes_state(method: Callable[..., Any], arguments: int) -> bool:
    """Whether a method takes that many arguments, the last one being the state."""
    try:
        parameters = inspect.signature(method).parameters.values()
    except (TypeError, ValueError):  # a callable written in C says nothing of itself
        return False
    kinds = [parameter.kind for parameter in parameters]
    if inspect.Parameter.VAR_POSITIONAL in kinds:
        return True
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(kind in positional for kind in kinds) >= arguments


class Call:
    """One method of one plug-in, ready to be called often.

    Args:
        enabled: whose.
        method: which; the last of its arguments is the state and may be left out by the plug-in.
        arguments: how many there are with the state.
    """

    __slots__ = ("enabled", "function", "method", "name", "stateful")

    def __init__(self, enabled: Enabled, method: str, arguments: int) -> None:
        self.enabled = enabled
        self.name = enabled.name
        self.method = method
        self.function: Callable[..., Any] = getattr(enabled.plugin, method)
        self.stateful = takes_state(self.function, arguments)

    def __call__(self, *arguments: Any) -> Any:
        """Call it with all arguments, the state last."""
        try:
            return self.function(*(arguments if self.stateful else arguments[:-1]))
        except Exception as error:
            raise failed(self.enabled, self.method, error) from error


def call(enabled: Enabled, method: str, *arguments: Any) -> Any:
    """Call a method of a plug-in.

    Raises:
        PluginFailed: it raised.
    """
    try:
        return getattr(enabled.plugin, method)(*arguments)
    except Exception as error:
        raise failed(enabled, method, error) from error


def call_with_state(enabled: Enabled, method: str, arguments: int, *given: Any) -> Any:
    """The same for a method whose last argument, the state, may be left out."""
    return Call(enabled, method, arguments)(*given)


def failed(enabled: Enabled, method: str, error: Exception) -> PluginFailed:
    """The failure of a plug-in, with its name; one that is told already stays as it is."""
    if isinstance(error, PluginFailed):
        return error
    said = f"running {method} of plugin {enabled.name!r}: {type(error).__name__}: {error}"
    return PluginFailed(said)
