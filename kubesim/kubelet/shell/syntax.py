"""The syntax tree of a shell program, as the parser makes it and the interpreter walks it.

Each class is one production of the POSIX shell grammar; the names are those of the standard.

Source: IEEE Std 1003.1-2017, Shell Command Language, 2.10 Shell Grammar.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Literal:
    """Characters that stand for themselves; quoted ones are neither split nor matched."""

    text: str
    quoted: bool


@dataclass(frozen=True, slots=True)
class Parameter:
    """``$NAME`` or ``${NAME}`` with an operator such as ``:-`` and its word."""

    name: str
    operator: str
    argument: Word | None
    quoted: bool


@dataclass(frozen=True, slots=True)
class CommandSubstitution:
    """``$(commands)`` or backquotes: replaced by what the commands print."""

    body: Command
    quoted: bool


@dataclass(frozen=True, slots=True)
class ArithmeticExpansion:
    """``$((expression))``."""

    expression: Word
    quoted: bool


Part = Literal | Parameter | CommandSubstitution | ArithmeticExpansion


@dataclass(frozen=True, slots=True)
class Word:
    """One word before its expansion."""

    parts: tuple[Part, ...]

    @property
    def literal(self) -> str | None:
        """The word's text if nothing in it is expanded, else None."""
        texts = [part.text for part in self.parts if isinstance(part, Literal)]
        return "".join(texts) if len(texts) == len(self.parts) else None

    @property
    def unquoted(self) -> str | None:
        """The word's text if no part of it is quoted or expanded, else None: reserved words."""
        if all(isinstance(part, Literal) and not part.quoted for part in self.parts):
            return self.literal
        return None


@dataclass(frozen=True, slots=True)
class Assignment:
    """``NAME=value``."""

    name: str
    value: Word


@dataclass(frozen=True, slots=True)
class Redirect:
    """``[n]>file`` and its sisters; a here-document has the operator ``<<`` and its body."""

    descriptor: int
    operator: str
    target: Word


@dataclass(frozen=True, slots=True)
class SimpleCommand:
    """A program or built-in with its arguments."""

    assignments: tuple[Assignment, ...]
    words: tuple[Word, ...]


@dataclass(frozen=True, slots=True)
class Redirected:
    """A command whose input or output goes elsewhere."""

    command: Command
    redirects: tuple[Redirect, ...]


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Commands connected by ``|``."""

    commands: tuple[Command, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """``! command``."""

    command: Command


@dataclass(frozen=True, slots=True)
class AndOr:
    """``left && right`` or ``left || right``."""

    left: Command
    operator: str
    right: Command


@dataclass(frozen=True, slots=True)
class Background:
    """``command &``."""

    command: Command


@dataclass(frozen=True, slots=True)
class CommandList:
    """Commands one after the other."""

    commands: tuple[Command, ...]


@dataclass(frozen=True, slots=True)
class For:
    """``for NAME in words; do body; done``; without ``in``: over the positional parameters."""

    name: str
    words: tuple[Word, ...] | None
    body: Command


@dataclass(frozen=True, slots=True)
class While:
    """``while condition; do body; done``, or ``until``."""

    condition: Command
    body: Command
    until: bool


@dataclass(frozen=True, slots=True)
class If:
    """``if ... elif ... else ... fi``: (condition, body) pairs, then the last resort."""

    branches: tuple[tuple[Command, Command], ...]
    otherwise: Command | None


@dataclass(frozen=True, slots=True)
class Case:
    """``case word in pattern) body ;; esac``."""

    subject: Word
    items: tuple[tuple[tuple[Word, ...], Command], ...]


@dataclass(frozen=True, slots=True)
class Subshell:
    """``(commands)``: what they set is forgotten afterwards."""

    body: Command


@dataclass(frozen=True, slots=True)
class FunctionDefinition:
    """``name() { body; }``."""

    name: str
    body: Command


@dataclass(frozen=True, slots=True)
class ArithmeticCommand:
    """``((expression))``: fails if the expression is zero."""

    expression: Word


Command = (
    SimpleCommand
    | Redirected
    | Pipeline
    | Not
    | AndOr
    | Background
    | CommandList
    | For
    | While
    | If
    | Case
    | Subshell
    | FunctionDefinition
    | ArithmeticCommand
)
