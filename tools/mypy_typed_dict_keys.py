"""A plug-in for mypy: `document.get("key")` of a TypedDict needs a key that the type has.

mypy reports ``pod["sttus"]``, but takes ``pod.get("sttus")`` for an `object`, so that a misspelt
field may go unseen: ``str(pod.get("sttus"))``. With this plug-in both are errors. A key that is
computed is one, too: code that computes keys reads the document as a `ReadOnlyDocument`.

pyproject.toml names this file.
"""

from __future__ import annotations

from collections.abc import Callable

from mypy.plugin import MethodContext, Plugin
from mypy.plugins.default import DefaultPlugin
from mypy.types import LiteralType, Type, TypedDictType, get_proper_type

GET = "typing.Mapping.get"


class TypedDictKeys(Plugin):
    """Checks the keys of `TypedDict.get`; the type of the result is that of mypy itself."""

    def get_method_hook(self, fullname: str) -> Callable[[MethodContext], Type] | None:
        """Return the check of one method.

        Args:
            fullname: of the method, as mypy calls it.
        """
        return self._checked if fullname == GET else None

    def _checked(self, context: MethodContext) -> Type:
        if isinstance(context.type, TypedDictType):
            key = _key_of(context)
            name = (context.type.fallback.type.name or "TypedDict").rpartition(".")[2]
            if key is None:
                message = f"{name}.get with a computed key; read a ReadOnlyDocument"
                context.api.fail(message, context.context)
            elif key not in context.type.items:
                context.api.fail(f'{name} has no key "{key}"', context.context)
        default = DefaultPlugin(self.options).get_method_hook(GET)
        return context.default_return_type if default is None else default(context)


def _key_of(context: MethodContext) -> str | None:
    """Return the key that is asked for; None if it is computed."""
    argument = get_proper_type(context.arg_types[0][0])
    literal = getattr(argument, "last_known_value", None) or argument
    value = literal.value if isinstance(literal, LiteralType) else None
    return value if isinstance(value, str) else None


def plugin(_version: str) -> type[TypedDictKeys]:
    """Return the plug-in, as mypy asks for it."""
    return TypedDictKeys
