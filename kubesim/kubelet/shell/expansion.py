"""Expand the words of a command: parameters, substitutions, arithmetic, splitting, path names.

Source: IEEE Std 1003.1-2017, Shell Command Language, 2.6 Word Expansions.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from kubesim.kubelet.shell import arithmetic
from kubesim.kubelet.shell.state import ShellState
from kubesim.kubelet.shell.steps import OUTPUT_BYTES, ShellError, Step
from kubesim.kubelet.shell.syntax import (
    ArithmeticExpansion,
    Command,
    CommandSubstitution,
    Literal,
    Parameter,
    Part,
    Word,
)

MAX_WORDS = 10_000
MAX_PATTERN = 200  # characters; matching is quadratic at worst
MAX_TRIMMED = 10_000  # characters of a value from which a pattern is removed
BRACES = re.compile(r"\{(-?\d{1,6})\.\.(-?\d{1,6})\}")

Capture = Callable[[Command], Generator[Step, None, str]]
"""capture(commands) -> a run that returns what they print on stdout."""
Expansion = Generator[Step, None, str]


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a word after its expansion.

    Attributes:
        text: the characters.
        splits: whether blanks in it separate words.
        plain: whether `*`, `?` and `[` in it are patterns.
        ends_word: whether the next piece begins a new word, as between the values of ``"$@"``.
    """

    text: str
    splits: bool
    plain: bool
    ends_word: bool = False


class Expander:
    """Expands words with the variables of a shell.

    Args:
        state: the shell's variables and files.
        capture: runs the commands of a command substitution.
    """

    def __init__(self, state: ShellState, capture: Capture) -> None:
        self._state = state
        self._capture = capture

    # -- words ------------------------------------------------------------------------------------

    def words(self, words: tuple[Word, ...]) -> Generator[Step, None, list[str]]:
        """Expand words to arguments: each may become none, one or many."""
        arguments: list[str] = []
        for word in words:
            plain = word.unquoted
            if plain is not None and not set(plain) & set("*?[{~"):
                arguments.append(plain)  # the usual case
                continue
            if self._state.is_bash and plain is not None and (braces := _braces(plain)):
                arguments += braces
                continue
            pieces = yield from self._pieces(word)
            for field, is_pattern in _split(pieces, self._state.variables.get("IFS")):
                arguments += self._paths(field) if is_pattern else [field]
            if len(arguments) > MAX_WORDS:
                raise ShellError("Argument list too long")
        return arguments

    def string(self, word: Word) -> Expansion:
        """Expand a word to one string, without splitting: assignments, redirections, `case`."""
        pieces = yield from self._pieces(word)
        return " ".join("".join(piece.text for piece in group) for group in _groups(pieces))

    def pattern(self, word: Word) -> Expansion:
        """Expand a word to a pattern for `fnmatchcase`; quoted characters match themselves."""
        pieces = yield from self._pieces(word)
        pattern = "".join(p.text if p.plain else _escape(p.text) for p in pieces)
        if len(pattern) > MAX_PATTERN:
            raise ShellError("the pattern is too long")
        return pattern

    def arithmetic(self, expression: Word) -> Generator[Step, None, int]:
        """Expand and evaluate an arithmetic expression."""
        text = yield from self.string(expression)
        return arithmetic.evaluate(text, self._state.variables)

    # -- parts ------------------------------------------------------------------------------------

    def _pieces(self, word: Word) -> Generator[Step, None, list[Piece]]:
        pieces: list[Piece] = []
        for index, part in enumerate(word.parts):
            if isinstance(part, Literal):
                text = part.text
                if index == 0 and not part.quoted and (text == "~" or text.startswith("~/")):
                    text = self._state.variables.get("HOME", "/root") + text[1:]
                pieces.append(Piece(text, splits=False, plain=not part.quoted))
            elif isinstance(part, Parameter) and part.name in "@*" and not part.operator:
                pieces += self._positional(part)
            else:
                text = yield from self._value(part)
                pieces.append(Piece(text, splits=not part.quoted, plain=not part.quoted))
        return pieces

    def _positional(self, part: Parameter) -> list[Piece]:
        """Expand ``$@`` and ``$*``."""
        values = self._state.positional
        if part.quoted and part.name == "*":
            return [Piece(self._state.separator.join(values), splits=False, plain=False)]
        return [
            Piece(value, splits=not part.quoted, plain=False, ends_word=at + 1 < len(values))
            for at, value in enumerate(values)
        ]

    def _value(self, part: Part) -> Expansion:
        if isinstance(part, CommandSubstitution):
            text = yield from self._capture(part.body)
            return text.rstrip("\n")
        if isinstance(part, ArithmeticExpansion):
            return str((yield from self.arithmetic(part.expression)))
        assert isinstance(part, Parameter)
        text = yield from self._parameter(part)
        if len(text) > OUTPUT_BYTES:
            raise ShellError(f"{part.name}: value too long")
        return text

    def _parameter(self, part: Parameter) -> Expansion:
        """Expand ``${NAME...}``."""
        value = self._state.get(part.name)
        operator = part.operator
        if operator == "length":
            return str(len(value or ""))
        if operator in (":-", ":=", ":?", ":+") or operator in ("-", "=", "?", "+"):
            missing = value is None or (operator[0] == ":" and value == "")
            return (yield from self._default(part, operator[-1], value or "", missing=missing))
        if value is None:
            if not operator and self._state.options.nounset and part.name not in "@*":
                raise ShellError(f"{part.name}: parameter not set")
            return ""
        if not operator or part.argument is None:
            return value
        if operator == ":":
            argument = yield from self.string(part.argument)
            return _substring(value, argument, self._state)
        pattern = yield from self.pattern(part.argument)
        if operator in ("/", "//"):
            old, _, new = pattern.partition("/")
            if old and value.count(old) * len(new) > OUTPUT_BYTES:
                raise ShellError(f"{part.name}: value too long")
            return value.replace(old, new, -1 if operator == "//" else 1) if old else value
        return _trim(value, pattern, operator)

    def _default(self, part: Parameter, operator: str, value: str, *, missing: bool) -> Expansion:
        """Expand ``${NAME:-word}``, ``:=``, ``:?`` and ``:+``."""
        word = part.argument or Word(())
        if operator == "+":
            return "" if missing else (yield from self.string(word))
        if not missing:
            return value
        text = yield from self.string(word)
        if operator == "?":
            raise ShellError(f"{part.name}: {text or 'parameter not set'}")
        if operator == "=":
            self._state.set(part.name, text)
        return text

    def _paths(self, pattern: str) -> list[str]:
        """Return the path names that match a pattern; the pattern itself if none does."""
        if len(pattern) > MAX_PATTERN or not set(pattern) & set("*?["):
            return [pattern]
        directory, slash, last = pattern.rpartition("/")
        if set(directory) & set("*?["):
            return [pattern]
        files = self._state.files
        path = self._state.path(directory or ("/" if slash else "."))
        names = files.names(path) if files.is_directory(path) else []
        matching = [n for n in names if fnmatchcase(n, last) and not n.startswith(".")]
        return [f"{directory}{slash}{name}" for name in matching] or [pattern]


def _groups(pieces: list[Piece]) -> list[list[Piece]]:
    """Return pieces in groups that make one word each, before splitting."""
    groups: list[list[Piece]] = [[]]
    for piece in pieces:
        groups[-1].append(piece)
        if piece.ends_word:
            groups.append([])
    return groups


def _split(pieces: list[Piece], separators: str | None = None) -> list[tuple[str, bool]]:
    """Split pieces into (field, whether it is a pattern).

    Args:
        pieces: of one word.
        separators: IFS; None: it is not set.
    """
    if separators is not None and set(separators) != set(" \t\n"):
        return [f for group in _groups(pieces) for f in _split_group(group, separators)]
    fields: list[tuple[str, bool]] = []
    for group in _groups(pieces):
        current: list[Piece] | None = None
        for piece in group:
            if not piece.splits:
                current = [*(current or []), piece]
                continue
            words = piece.text.split()
            if current and piece.text[:1].isspace():
                fields.append(_field(current))
                current = None
            for word in words:
                if current is not None and word is not words[0]:
                    fields.append(_field(current))
                    current = None
                current = [*(current or []), Piece(word, splits=False, plain=piece.plain)]
            if current and words and piece.text[-1:].isspace():
                fields.append(_field(current))
                current = None
        if current is not None:
            fields.append(_field(current))
    return fields


def _split_group(group: list[Piece], separators: str) -> list[tuple[str, bool]]:
    """Split the pieces of one word at the characters of IFS."""
    fields: list[tuple[str, bool]] = []
    current: list[Piece] | None = None
    after_blank = False  # a separator that follows blanks belongs to them
    for piece in group:
        if not piece.splits:
            current, after_blank = [*(current or []), piece], False
            continue
        for text in re.split(f"([{re.escape(separators)}])", piece.text) if separators else ():
            if text and text in separators:
                if current is not None or (not text.isspace() and not after_blank):
                    fields.append(_field(current or []))
                    after_blank = text.isspace()
                elif not text.isspace():
                    after_blank = False
                current = None
            elif text:
                part = Piece(text, splits=False, plain=piece.plain)
                current, after_blank = [*(current or []), part], False
        if not separators and piece.text:
            current = [*(current or []), piece]
    return [*fields, _field(current)] if current is not None else fields


def split_line(text: str, separators: str | None, count: int) -> list[str]:
    """Split a line as `read` does: the last variable gets the rest.

    Args:
        text: the line.
        separators: IFS; None: it is not set.
        count: number of variables.

    >>> split_line(" a  b c ", None, 2), split_line("a:b:c", ":", 2), split_line("a,,b", ",", 3)
    (['a', 'b c'], ['a', 'b:c'], ['a', '', 'b'])
    """
    separators = " \t\n" if separators is None else separators
    blanks = "".join(c for c in separators if c.isspace())
    text = text.strip(blanks) if blanks else text
    if not separators or count < 2:
        return [text]
    others = re.escape("".join(c for c in separators if not c.isspace()))
    blank = f"[{re.escape(blanks)}]" if blanks else "(?!)"
    delimiter = f"{blank}*[{others}]{blank}*|{blank}+" if others else f"{blank}+"
    return re.split(delimiter, text, maxsplit=count - 1)


def _field(pieces: list[Piece]) -> tuple[str, bool]:
    text = "".join(piece.text for piece in pieces)
    return text, any(piece.plain and set(piece.text) & set("*?[") for piece in pieces)


def _escape(text: str) -> str:
    return "".join(f"[{c}]" if c in "*?[" else c for c in text)


def _braces(text: str) -> list[str]:
    """Expand ``a{1..3}b`` as bash does; [] if there is nothing to expand."""
    match = BRACES.search(text)
    if match is None:
        return []
    first, last = int(match[1]), int(match[2])
    if abs(last - first) > MAX_WORDS:
        raise ShellError("Argument list too long")
    step = 1 if last >= first else -1
    before, after = text[: match.start()], text[match.end() :]
    return [f"{before}{number}{after}" for number in range(first, last + step, step)]


def _trim(value: str, pattern: str, operator: str) -> str:
    """Remove the shortest or longest prefix (``#``) or suffix (``%``) that matches."""
    length = len(value)
    if length > MAX_TRIMMED:
        raise ShellError("the value is too long to be trimmed")
    sizes = range(length + 1) if len(operator) == 1 else range(length, -1, -1)
    for size in sizes:
        part = value[:size] if operator[0] == "#" else value[length - size :]
        if fnmatchcase(part, pattern):
            return value[size:] if operator[0] == "#" else value[: length - size]
    return value


def _substring(value: str, argument: str, state: ShellState) -> str:
    """Return ``${value:offset:length}``."""
    offset_text, _, length_text = argument.partition(":")
    offset = arithmetic.evaluate(offset_text, state.variables)
    offset = max(0, len(value) + offset) if offset < 0 else offset
    if not length_text:
        return value[offset:]
    length = arithmetic.evaluate(length_text, state.variables)
    return value[offset : len(value) + length if length < 0 else offset + length]
