"""Read the words of a shell program: blanks, quotes, expansions, here-documents.

Source: IEEE Std 1003.1-2017, Shell Command Language, 2.2 Quoting, 2.3 Token Recognition, 2.6.
"""

from __future__ import annotations

from collections.abc import Callable

from kubesim.kubelet.shell.steps import NESTING, ShellError
from kubesim.kubelet.shell.syntax import (
    ArithmeticExpansion,
    Command,
    CommandSubstitution,
    Literal,
    Parameter,
    Part,
    Word,
)

BLANKS = " \t\r"
METACHARACTERS = frozenset(" \t\r\n;&|<>()")
SPECIAL_PARAMETERS = "?#@*$!-0123456789"
OPERATORS = (":-", ":=", ":?", ":+", "%%", "##", "//", "-", "=", "?", "+", "%", "#", "/", ":")
END_OF_FILE = "syntax error: unexpected end of file"
Substitution = Callable[[str, int], tuple[Command, int]]
"""substitution(source, start) -> the commands of ``$(...)`` and the position behind them."""


def is_name(text: str) -> bool:
    """Whether a string is a shell name: letters, digits and underscores, no digit first."""
    return text.isascii() and text.isidentifier()


class WordReader:
    """Reads a program from left to right.

    Args:
        source: the program.
        position: index of the first character.
        substitution: parses the commands of a command substitution.
    """

    def __init__(self, source: str, position: int, *, substitution: Substitution) -> None:
        self.position = position
        self._source = source
        self._substitution = substitution
        self._nested = position > 0
        self._depth = 0

    # -- characters -------------------------------------------------------------------------------

    @property
    def at_end(self) -> bool:
        """Whether the whole program was read."""
        return self.position >= len(self._source)

    def looking_at(self, text: str, offset: int = 0) -> bool:
        """Whether the next characters, after `offset` further ones, are these."""
        return self._source.startswith(text, self.position + offset)

    def skip(self, count: int) -> None:
        """Skip some characters."""
        self.position += count

    def take(self, text: str) -> None:
        """Skip these characters, which come next."""
        self.position += len(text)

    def expect(self, text: str) -> None:
        """Skip these characters.

        Raises:
            ShellError: other ones come next.
        """
        self.skip_newlines()
        if not self.looking_at(text):
            unexpected = "end of file" if self.at_end else f'"{self.next_token()}"'
            raise ShellError(f'syntax error: unexpected {unexpected} (expecting "{text}")')
        self.take(text)

    def skip_blanks(self) -> None:
        """Skip blanks, continued lines and comments."""
        source, length = self._source, len(self._source)
        while self.position < length:
            if source[self.position] in BLANKS:
                self.position += 1
            elif self.looking_at("\\\n"):
                self.position += 2
            elif source[self.position] == "#":
                end = source.find("\n", self.position)
                self.position = length if end < 0 else end
            else:
                return

    def skip_newlines(self) -> None:
        """Skip blanks and newlines."""
        self.skip_blanks()
        while self.looking_at("\n"):
            self.position += 1
            self.skip_blanks()

    def next_token(self) -> str:
        """Return what comes next, for an error message."""
        self.skip_blanks()
        if self.at_end:
            return "end of file"
        return self.peek_plain_word() or self._source[self.position].replace("\n", "newline")

    def peek_plain_word(self) -> str:
        """Return the next word if it has no quote and no expansion, else ""."""
        source, end = self._source, self.position
        while end < len(source) and source[end] not in METACHARACTERS:
            if source[end] in "'\"\\$`":
                return ""
            end += 1
        return source[self.position : end]

    def peek_descriptor(self) -> int | None:
        """Return the file descriptor directly in front of a redirection, or None."""
        if self.position < len(self._source) and self._source[self.position] in "012":
            if self._source[self.position + 1 : self.position + 2] in ("<", ">"):
                return int(self._source[self.position])
        return None

    # -- words ------------------------------------------------------------------------------------

    def word(self) -> Word | None:
        """Read a word; None if none comes next."""
        self.skip_blanks()
        parts = self._parts(lambda: self._source[self.position] in METACHARACTERS)
        return Word(tuple(parts)) if parts else None

    def _parts(self, at_stop: Callable[[], bool]) -> list[Part]:
        """Read unquoted and quoted parts up to a stop character or the end."""
        parts: list[Part] = []
        source = self._source
        while not self.at_end and not at_stop():
            character = source[self.position]
            if character == "'":
                end = source.find("'", self.position + 1)
                if end < 0:
                    raise ShellError("syntax error: unterminated quoted string")
                parts.append(Literal(source[self.position + 1 : end], quoted=True))
                self.position = end + 1
            elif character == '"':
                self.position += 1
                parts += self._double_quoted()
            elif character == "\\":
                if source[self.position + 1 : self.position + 2] != "\n":
                    parts.append(
                        Literal(source[self.position + 1 : self.position + 2], quoted=True)
                    )
                self.position += 2
            elif character in "$`":
                parts.append(self._expansion(quoted=False))
            else:
                parts.append(Literal(self._plain(at_stop), quoted=False))
        return parts

    def _plain(self, at_stop: Callable[[], bool]) -> str:
        begin = self.position
        while not self.at_end and self._source[self.position] not in "'\"\\$`" and not at_stop():
            self.position += 1
        return self._source[begin : self.position]

    def _double_quoted(self, closing: str = '"') -> list[Part]:
        """Read up to the closing quote; "" reads to the end of the source (a here-document)."""
        parts: list[Part] = []
        text: list[str] = []
        source = self._source
        while not self.at_end and not (closing and self.looking_at(closing)):
            character = source[self.position]
            following = source[self.position + 1 : self.position + 2]
            if character == "\\" and following and following in '$`"\\\n':
                text.append("" if following == "\n" else following)
                self.position += 2
            elif character in "$`":
                if text:
                    parts.append(Literal("".join(text), quoted=True))
                    text.clear()
                parts.append(self._expansion(quoted=True))
            else:
                text.append(character)
                self.position += 1
        if closing:
            if self.at_end:
                raise ShellError("syntax error: unterminated quoted string")
            self.position += 1
        if text or not parts:
            parts.append(Literal("".join(text), quoted=True))
        return parts

    # -- expansions -------------------------------------------------------------------------------

    def _expansion(self, *, quoted: bool) -> Part:
        """Read what begins with a dollar sign or a backquote."""
        if self._depth >= NESTING:
            raise ShellError("syntax error: nested too deeply")
        self._depth += 1
        part = self._any_expansion(quoted)
        self._depth -= 1
        return part

    def _any_expansion(self, quoted: bool) -> Part:
        source = self._source
        if source[self.position] == "`":
            return self._backquoted(quoted)
        if self.looking_at("$(("):
            self.position += 1
            return ArithmeticExpansion(self.arithmetic_until("))", 2), quoted)
        if self.looking_at("$("):
            body, self.position = self._substitution(source, self.position + 2)
            return CommandSubstitution(body, quoted)
        if self.looking_at("${"):
            return self._braced(quoted)
        end = self.position + 1
        if end < len(source) and source[end] in SPECIAL_PARAMETERS:
            end += 1
        else:
            while (
                end < len(source)
                and source[end].isascii()
                and (source[end].isalnum() or source[end] == "_")
            ):
                end += 1
        name = source[self.position + 1 : end]
        self.position = end
        return Parameter(name, "", None, quoted) if name else Literal("$", quoted=True)

    def _backquoted(self, quoted: bool) -> Part:
        end = self._source.find("`", self.position + 1)
        if end < 0:
            raise ShellError("syntax error: unterminated backquote")
        inner = self._source[self.position + 1 : end]
        body, used = self._substitution(inner + ")", 0)
        if used != len(inner) + 1:
            raise ShellError('syntax error: unexpected ")"')
        self.position = end + 1
        return CommandSubstitution(body, quoted)

    def _braced(self, quoted: bool) -> Part:
        """Read ``${...}``."""
        source = self._source
        self.position += 2
        length = self.looking_at("#") and not self.looking_at("#}")
        if length:
            self.position += 1
        end = self.position
        if end < len(source) and source[end] in SPECIAL_PARAMETERS and not source[end].isdigit():
            end += 1
        else:
            while end < len(source) and (source[end].isalnum() or source[end] == "_"):
                end += 1
        name = source[self.position : end]
        self.position = end
        if not name:
            raise ShellError("bad substitution")
        if self.looking_at("}"):
            self.position += 1
            return Parameter(name, "length" if length else "", None, quoted)
        operator = next((o for o in OPERATORS if self.looking_at(o)), None)
        if operator is None or length:
            raise ShellError("bad substitution" if not self.at_end else END_OF_FILE)
        self.take(operator)
        argument = Word(tuple(self._parts(lambda: self.looking_at("}"))))
        if self.at_end:
            raise ShellError(END_OF_FILE)
        self.position += 1
        return Parameter(name, operator, argument, quoted)

    def arithmetic_until(self, closing: str, opening: int) -> Word:
        """Read an arithmetic expression with balanced parentheses.

        Args:
            closing: what ends it.
            opening: number of characters that begin it.
        """
        self.position += opening
        depth = 0

        def at_stop() -> bool:
            nonlocal depth
            character = self._source[self.position]
            if depth == 0 and self.looking_at(closing):
                return True
            depth += {"(": 1, ")": -1}.get(character, 0)
            if depth < 0:
                raise ShellError("arithmetic syntax error")
            return False

        parts = []
        text: list[str] = []
        while not self.at_end and not at_stop():
            if self._source[self.position] in "$`":
                parts += [Literal("".join(text), quoted=True), self._expansion(quoted=True)]
                text.clear()
            else:
                text.append(self._source[self.position])
                self.position += 1
        if self.at_end:
            raise ShellError(END_OF_FILE)
        self.take(closing)
        return Word((*parts, Literal("".join(text), quoted=True)))

    # -- here-documents ---------------------------------------------------------------------------

    def here_document(self, *, strip_tabs: bool) -> Word:
        """Read the delimiter of a here-document; its body follows the next newline.

        Args:
            strip_tabs: whether leading tabs are removed from each line (``<<-``).
        """
        delimiter = self.word()
        if delimiter is None or delimiter.literal is None:
            raise ShellError("syntax error: a here-document needs a delimiter")
        end = self._source.find("\n", self.position)
        if self._nested:
            raise ShellError("a here-document inside a command substitution is not simulated")
        if end < 0:
            raise ShellError(f'syntax error: here-document ends without "{delimiter.literal}"')
        body, rest = _split_here_document(self._source[end + 1 :], delimiter.literal, strip_tabs)
        # The lines of the body are taken out, so that the rest of the program follows its line.
        self._source = f"{self._source[: end + 1]}{rest}"
        if delimiter.unquoted is None:
            return Word((Literal(body, quoted=True),))
        inner = WordReader(body, 0, substitution=self._substitution)
        return Word(tuple(inner._double_quoted(closing="")))


def _split_here_document(text: str, delimiter: str, strip_tabs: bool) -> tuple[str, str]:
    """Return the body of a here-document and the text behind its last line."""
    body: list[str] = []
    lines = text.split("\n")
    for index, raw in enumerate(lines):
        candidate = raw.lstrip("\t") if strip_tabs else raw
        if candidate == delimiter:
            return "".join(f"{each}\n" for each in body), "\n".join(lines[index + 1 :])
        body.append(candidate)
    raise ShellError(f'syntax error: here-document ends without "{delimiter}"')
