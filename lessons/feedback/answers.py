"""The form of an answer: a function, a class, a number, a list or a dict.

Each function here returns a test of the form, which runs before the test of an exercise.
Kubernetes has no counterpart.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any

from kubesim.quantity import count_of
from lessons.feedback.faults import short

Form = Callable[[object], str | None]
"""form(answer) -> None if the answer has the right form, else a sentence that names that form."""


class _Todo:
    """The value of an exercise that has not been attempted."""

    def __repr__(self) -> str:
        return "todo"

    def __bool__(self) -> bool:
        return False


todo: Any = _Todo()

KINDS: dict[type, str] = {
    str: "a string",
    bool: "a truth value",
    int: "a number",
    float: "a number",
    list: "a list",
    tuple: "a tuple",
    dict: "a dict",
    set: "a set",
}


def a_function(name: str, *parameters: str) -> Form:
    """Return a test for a function that can be called with these parameters."""
    advice = f"write a function: def {name}({', '.join(parameters)})"

    def form(answer: object) -> str | None:
        if not callable(answer) or isinstance(answer, type):
            return f"{_instead(answer)}; {advice}"
        return _call_problem(answer, parameters, advice)

    return form


def a_class(name: str, method: str, *parameters: str) -> Form:
    """Return a test for a class with a method.

    Args:
        name: of the class in the example.
        method: the method that it needs.
        *parameters: of the method, without self.
    """
    advice = f"write a class {name} with a method {method}({', '.join(('self', *parameters))})"

    def form(answer: object) -> str | None:
        member = getattr(answer, method, None)
        if not isinstance(answer, type):
            if callable(member):
                return f"give the class {type(answer).__name__} itself, without ()"
            return f"{_instead(answer)}; {advice}"
        if not callable(member):
            return f"the class {getattr(answer, '__name__', name)} has no method {method}; {advice}"
        return _call_problem(member, ("self", *parameters), advice)

    return form


def a_score(*parameters: str) -> Form:
    """Return a test for a function, or for a class or an object with a method score."""
    function = a_function("score", *parameters)
    method = a_class("Mine", "score", *parameters)

    def form(answer: object) -> str | None:
        if isinstance(answer, type):
            return method(answer)
        return function(getattr(answer, "score", answer))

    return form


def a_number() -> Form:
    """Return a test for a number."""

    def form(answer: object) -> str | None:
        if isinstance(answer, (int, float)) and not isinstance(answer, bool):
            return None
        quotes = " without quotation marks" if isinstance(answer, str) else ""
        return f"{_instead(answer)}; write a number{quotes}"

    return form


def a_string(example: str) -> Form:
    """Return a test for a string."""

    def form(answer: object) -> str | None:
        return None if isinstance(answer, str) else f"{_instead(answer)}; write a string: {example}"

    return form


def a_list_of(kind: type, count: int, example: str) -> Form:
    """Return a test for a list, or a tuple, of so many values of a type.

    Args:
        kind: `str`, or `int` for any numbers.
        count: how many.
        example: such a list, as Python text.
    """
    noun = "numbers" if kind is int else "strings"
    kinds = (int, float) if kind is int else kind

    def form(answer: object) -> str | None:
        advice = f"write a list of {count} {noun}, such as {example}"
        if not isinstance(answer, (list, tuple)):
            return f"{_instead(answer)}; {advice}"
        if len(answer) != count:
            return f"your list has {count_of(len(answer), 'value')}; {advice}"
        for value in answer:
            if not isinstance(value, kinds) or isinstance(value, bool):
                return f"{short(value)} is not one of the {noun}; {advice}"
        return None

    return form


def a_dict(example: str) -> Form:
    """Return a test for a dict."""

    def form(answer: object) -> str | None:
        return None if isinstance(answer, dict) else f"{_instead(answer)}; write a dict: {example}"

    return form


def _instead(answer: object) -> str:
    """Return what an answer is, in a few words."""
    if isinstance(answer, type):
        return f"{answer.__name__} is a class"
    if inspect.isroutine(answer):
        return f"{answer.__name__} is a function"
    kind = KINDS.get(type(answer), "not what the exercise asks for")
    return f"{short(answer)} is {kind}"


def _call_problem(function: Callable[..., object], parameters: Any, advice: str) -> str | None:
    """Return what is wrong with a function's parameters; None if they fit, or are not known."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return None
    try:
        signature.bind(*parameters)
    except TypeError:
        name = getattr(function, "__qualname__", "your function").rpartition("<locals>.")[2]
        return f"{name}{signature} does not take ({', '.join(parameters)}); {advice}"
    return None


# -- answers that the simulation calls, and whose errors it would report without a line ---------


def with_errors(check: Callable[[Any], str | None], method: str) -> Callable[[Any], str | None]:
    """Return a check that raises what the answer raised, instead of what the simulation reports.

    Args:
        check: runs a simulation that calls the answer.
        method: the method that the simulation calls; an answer without it is a function.
    """

    def checked(answer: Any) -> str | None:
        errors: list[Exception] = []
        if isinstance(answer, type):
            message = check(_watched_class(answer, method, errors))
        else:
            message = check(_watched_function(getattr(answer, method, answer), errors))
        if errors:
            raise errors[0]
        return message

    return checked


def _watched_function(function: Callable[..., Any], errors: list[Exception]) -> Callable[..., Any]:
    """Return a function that also appends what it raises to a list."""

    @wraps(function)
    def watched(*arguments: object, **options: object) -> object:
        try:
            return function(*arguments, **options)
        except Exception as error:
            errors.append(error)
            raise

    return watched


def _watched_class(cls: type, method: str, errors: list[Exception]) -> type:
    """Return a subclass whose method also appends what it raises to a list."""
    own = _watched_function(getattr(cls, method), errors)
    names = {"__module__": cls.__module__, "__qualname__": cls.__qualname__, method: own}
    return type(cls.__name__, (cls,), names)
