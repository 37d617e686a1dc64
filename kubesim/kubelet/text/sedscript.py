"""Parse a script of `sed`.

Ours keeps: s, y, d, p, q, =, a, i, c, groups in braces, addresses by number, by `$` and by pattern,
ranges and `!`. Other commands are an error, so that a script does not do half of what it says.

Source: IEEE Std 1003.1-2017, Utilities, sed; GNU sed for `-E`, `-i` and the flag I.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from kubesim.kubelet.text.patterns import Effort, TextPattern, TextProgramError
from kubesim.kubelet.text.patternsyntax import compile_pattern
from kubesim.kubelet.text.sed import Address, EditCommand

MAX_COMMANDS = 500
ESCAPES = {"n": "\n", "t": "\t"}


def parse_script(source: str, effort: Effort, *, extended: bool = False) -> list[EditCommand]:
    """Parse a script.

    Args:
        source: the script.
        effort: counts the steps of its patterns.
        extended: its patterns are extended regular expressions.

    Raises:
        TextProgramError: it is malformed, or uses what is not simulated.
    """
    reader = _ScriptReader(source, effort, extended=extended)
    commands = reader.commands(0)
    if reader.position < len(source):
        raise TextProgramError("unexpected `}'")
    return commands


def needs_last_line(commands: list[EditCommand]) -> bool:
    """Whether a script asks whether a line is the last one."""
    return any(
        any(address.last for address in command.addresses) or needs_last_line(command.body)
        for command in commands
    )


@dataclass(slots=True)
class _ScriptReader:
    source: str
    effort: Effort
    extended: bool
    position: int = 0
    count: int = 0

    def commands(self, depth: int) -> list[EditCommand]:
        """Read commands up to the end of the script, or of the group."""
        if depth > 10:
            raise TextProgramError("the groups are nested too deeply")
        commands: list[EditCommand] = []
        while True:
            self._skip(" \t\n;")
            if self._peek() == "#":
                end = self.source.find("\n", self.position)
                self.position = len(self.source) if end < 0 else end
                continue
            if self._peek() in ("", "}"):
                return commands
            self.count += 1
            if self.count > MAX_COMMANDS:
                raise TextProgramError("the script is too long")
            commands.append(self._command(depth))

    def _peek(self) -> str:
        return self.source[self.position : self.position + 1]

    def _skip(self, characters: str) -> None:
        while self._peek() and self._peek() in characters:
            self.position += 1

    def _command(self, depth: int) -> EditCommand:
        addresses = self._addresses()
        self._skip(" \t")
        negated = self._peek() == "!"
        self.position += negated
        self._skip(" \t!")
        name = self._peek()
        self.position += 1
        command = EditCommand(name, addresses, negated)
        if name and name in "aic":
            return replace(command, text=self._text())
        command = self._with_arguments(command, depth)
        self._skip(" \t")
        if self._peek() not in ("", ";", "\n", "}", "#"):
            raise TextProgramError("extra characters after command")
        return command

    def _with_arguments(self, command: EditCommand, depth: int) -> EditCommand:
        """Read what follows the letter of a command."""
        match command.name:
            case "{":
                body = self.commands(depth + 1)
                if self._peek() != "}":
                    raise TextProgramError("unmatched `{'")
                self.position += 1
                return replace(command, body=body)
            case "s":
                return self._substitution(command)
            case "y":
                return replace(command, table=self._table())
            case "q":
                self._skip(" \t")
                begin = self.position
                self._skip("0123456789")
                return replace(command, text=self.source[begin : self.position][:9])
            case "d" | "p" | "=":
                return command
            case "":
                raise TextProgramError("missing command")
        raise TextProgramError(f"the command `{command.name}' is not simulated")

    def _addresses(self) -> tuple[Address, ...]:
        first = self._address()
        if first is None:
            return ()
        self._skip(" \t")
        if self._peek() != ",":
            return (first,)
        self.position += 1
        self._skip(" \t")
        second = self._address()
        if second is None:
            raise TextProgramError("unexpected `,'")
        return (first, second)

    def _address(self) -> Address | None:
        character = self._peek()
        if character and character in "0123456789":
            begin = self.position
            self._skip("0123456789")
            number = int(self.source[begin : self.position][:9])
            if number == 0 or self._peek() == "~":
                raise TextProgramError("the addresses 0 and first~step are not simulated")
            return Address(number)
        if character == "$":
            self.position += 1
            return Address(last=True)
        if character not in ("/", "\\"):
            return None
        self.position += 2 if character == "\\" else 1
        text = self._until(self.source[self.position - 1], in_pattern=True)
        ignore_case = self._peek() == "I"
        self.position += ignore_case
        return Address(pattern=self._pattern(text, ignore_case=ignore_case))

    def _pattern(self, text: str, *, ignore_case: bool) -> TextPattern:
        if not text:
            raise TextProgramError("the empty pattern is not simulated")
        return compile_pattern(text, self.effort, extended=self.extended, ignore_case=ignore_case)

    def _until(self, delimiter: str, *, in_pattern: bool = False) -> str:
        """Read up to a delimiter; one behind a backslash is a character."""
        text, in_brackets = "", False
        while (character := self._peek()) and (character != delimiter or in_brackets):
            self.position += 1
            if character == "\\" and not in_brackets:
                following = self._peek()
                self.position += 1
                text += following if following == delimiter else character + following
                continue
            if in_pattern and character == "[" and not in_brackets:
                in_brackets = "]" in self.source[self.position + 1 :]
            elif character == "]" and not text.endswith(("[", "[^")):
                in_brackets = False
            text += character
        if not character:
            raise TextProgramError("unterminated address regex or `s' command")
        self.position += 1
        return text

    def _substitution(self, command: EditCommand) -> EditCommand:
        delimiter = self._peek()
        if delimiter in ("", "\n", "\\"):
            raise TextProgramError("unterminated `s' command")
        self.position += 1
        pattern = self._until(delimiter, in_pattern=True)
        replacement = self._until(delimiter)
        flags, nth = "", 1
        while (flag := self._peek()) and flag in "gpiI123456789":
            begin = self.position
            self.position += 1
            flags += flag
            if flag.isdigit():
                self._skip("0123456789")
                nth = int(self.source[begin : self.position][:9])
        if self._peek() not in ("", ";", "\n", "}", " ", "\t", "#"):
            raise TextProgramError(f"the option `{self._peek()}' of `s' is not simulated")
        compiled = self._pattern(pattern, ignore_case="i" in flags.lower())
        return replace(
            command,
            pattern=compiled,
            replacement=_replacement(replacement, compiled.groups),
            every="g" in flags,
            prints="p" in flags,
            nth=nth,
        )

    def _table(self) -> dict[int, str]:
        delimiter = self._peek()
        self.position += 1
        first, second = self._until(delimiter), self._until(delimiter)
        if len(first) != len(second):
            raise TextProgramError("strings for `y' command are different lengths")
        return {ord(a): b for a, b in zip(first, second, strict=True)}

    def _text(self) -> str:
        """Read the text of a, i and c: the rest of the line, or the lines behind a backslash."""
        self._skip(" \t")
        if self._peek() == "\\":
            self.position += 1
            self._skip(" \t")
            if self._peek() == "\n":
                self.position += 1
        text = ""
        while (character := self._peek()) and character != "\n":
            self.position += 1
            if character == "\\":
                character = self._peek()
                self.position += 1
            text += character
        if not text:
            raise TextProgramError("expected \\ after `a', `c' or `i'")
        return text


def _replacement(text: str, groups: int) -> tuple[str | int, ...]:
    """Parse the replacement of `s`."""
    pieces: list[str | int] = []
    position = 0
    while position < len(text):
        character = text[position]
        position += 1
        if character == "&":
            pieces.append(0)
            continue
        if character == "\\":
            character = text[position : position + 1]
            position += 1
            if character and character in "0123456789":
                if int(character) > groups:
                    raise TextProgramError(f"invalid reference \\{character} on `s' command's RHS")
                pieces.append(int(character))
                continue
            if character in "ULEul" and character:
                raise TextProgramError(f"\\{character} in a replacement is not simulated")
            character = ESCAPES.get(character, character)
        pieces.append(character)
    return tuple(pieces)
