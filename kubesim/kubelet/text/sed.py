"""The stream editor `sed`: what a script does with each line.

Source: IEEE Std 1003.1-2017, Utilities, sed.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from kubesim.kubelet.text.patterns import (
    MAX_TEXT,
    PatternMatch,
    TextPattern,
    TextProgramError,
)


@dataclass(frozen=True, slots=True)
class Address:
    """Which line: a number, the last one, or those that match a pattern.

    Attributes:
        number: of the line; 0: another form.
        last: the last line.
        pattern: None: another form; "" in the script stands for the last pattern used.
    """

    number: int = 0
    last: bool = False
    pattern: TextPattern | None = None

    def selects(self, line: str, number: int, *, last: bool) -> bool:
        """Whether the address selects a line.

        Args:
            line: its text.
            number: its number, from 1.
            last: whether it is the last one.
        """
        if self.pattern is not None:
            return self.pattern.search(line) is not None
        return last if self.last else number == self.number


@dataclass(slots=True)
class EditCommand:
    """One command of a script.

    Attributes:
        name: its letter; "{" for a group.
        addresses: none, one or two.
        negated: it applies to the lines that are not selected.
        pattern, replacement: of `s`: pieces of text, and numbers of groups.
        every, nth, prints: flags of `s`.
        text: of a, i, c; the exit code of q.
        table: of `y`.
        body: of a group.
        inside: whether its range has begun.
    """

    name: str
    addresses: tuple[Address, ...] = ()
    negated: bool = False
    pattern: TextPattern | None = None
    replacement: tuple[str | int, ...] = ()
    every: bool = False
    nth: int = 1
    prints: bool = False
    text: str = ""
    table: dict[int, str] = field(default_factory=dict)
    body: list[EditCommand] = field(default_factory=list)
    inside: bool = False


class Editor:
    """Runs a script on one line after the other.

    Args:
        commands: the script.
        quiet: print only what `p` prints.

    Attributes:
        number: of the last line.
        code: the exit code that `q` gave; None: it goes on.
    """

    def __init__(self, commands: list[EditCommand], *, quiet: bool) -> None:
        self._commands, self._quiet = commands, quiet
        self.number = 0
        self.code: int | None = None

    def edit(self, line: str, *, last: bool) -> list[str]:
        """Return the lines that are printed for a line.

        Args:
            line: without its newline.
            last: whether it is the last one.

        Raises:
            TextProgramError: it takes too long, or becomes too long.
        """
        self.number += 1
        output: list[str] = []
        after: list[str] = []
        result = self._run(self._commands, line, output, after, last=last)
        if result is not None and not self._quiet:
            output.append(result)
        return output + after

    def _run(
        self,
        commands: list[EditCommand],
        line: str | None,
        output: list[str],
        after: list[str],
        *,
        last: bool,
    ) -> str | None:
        """Run commands; return the line as it is then, None if it was deleted."""
        for command in commands:
            if line is None or self.code is not None:
                return line
            if self._selects(command, line, last=last) == command.negated:
                continue
            if command.name == "{":
                line = self._run(command.body, line, output, after, last=last)
            elif command.name == "s":
                line = _substitute(command, line, output)
            elif command.name == "y":
                line = line.translate(command.table)
            elif command.name in "dc":
                if command.name == "c" and not command.inside:
                    output.append(command.text)
                line = None
            else:
                self._print(command, line, output, after)
        return line

    def _print(self, command: EditCommand, line: str, output: list[str], after: list[str]) -> None:
        """Run a command that does not change the line."""
        match command.name:
            case "p":
                output.append(line)
            case "=":
                output.append(str(self.number))
            case "i":
                output.append(command.text)
            case "a":
                after.append(command.text)
            case "q":
                self.code = int(command.text or 0) % 256

    def _selects(self, command: EditCommand, line: str, *, last: bool) -> bool:
        addresses, number = command.addresses, self.number
        if len(addresses) < 2:
            return not addresses or addresses[0].selects(line, number, last=last)
        begin, end = addresses
        if command.inside:
            if end.number:
                command.inside = number < end.number
                return number <= end.number or begin.selects(line, number, last=last)
            command.inside = not end.selects(line, number, last=last)
            return True
        if not begin.selects(line, number, last=last):
            return False
        command.inside = not last and not (end.number and end.number <= number)
        return True


def _substitute(command: EditCommand, line: str, output: list[str]) -> str:
    """Run the command `s`."""
    assert command.pattern is not None
    pieces: list[str] = []
    copied = count = 0
    for match in command.pattern.matches(line):
        count += 1
        if count >= command.nth:
            pieces += (line[copied : match.start], _replaced(command.replacement, match))
            copied = match.end
            if not command.every:
                break
    if count < command.nth:
        return line
    result = "".join([*pieces, line[copied:]])
    if len(result) > MAX_TEXT:
        raise TextProgramError("the line is too long")
    if command.prints:
        output.append(result)
    return result


def _replaced(replacement: tuple[str | int, ...], match: PatternMatch) -> str:
    return "".join(p if isinstance(p, str) else match.groups[p] for p in replacement)
