"""What a running program does that others see, and what it reads.

A program is a generator of these steps and returns its exit code. The one who runs it, a kubelet or
`kubectl exec`, decides what a step means: a line of the container's log, a timer on the clock.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Protocol

STDOUT, STDERR = 1, 2
NOT_FOUND = 127
USAGE_ERROR = 2
SIGTERM_EXIT, SIGPIPE_EXIT = 143, 141

COMMANDS_PER_SECOND = 1_000  # of a program that never sleeps: an endless loop takes simulated time
MOST_BUSY_SECONDS = 64.0  # between two bursts of commands of a program that never sleeps
OUTPUT_BYTES = 1 << 20  # what a command substitution, a file or one line may hold
NESTING = 40  # functions, substitutions and groups inside one another


@dataclass(frozen=True, slots=True)
class Output:
    """Characters written to stdout (1) or stderr (2)."""

    stream: int
    text: str


@dataclass(frozen=True, slots=True)
class Sleep:
    """Nothing happens for some simulated seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class ForeignProgram:
    """A program that is not simulated: how long it runs is for the caller to say."""

    words: tuple[str, ...]


Step = Output | Sleep | ForeignProgram
Run = Generator[Step, None, int]
"""A program that runs: its steps, and at last its exit code."""


class CommandBudget:
    """The commands that a program, its subshells included, runs without a pause.

    After `COMMANDS_PER_SECOND` of them it pauses for a second; each further burst doubles the
    pause, so that an endless loop costs the simulator less and less.
    """

    __slots__ = ("_commands", "_pause")

    def __init__(self) -> None:
        self._commands, self._pause = 0, 1.0

    def spend(self) -> Generator[Step, None, None]:
        """Count a command, or a line of output."""
        self._commands += 1
        if self._commands >= COMMANDS_PER_SECOND:
            pause, self._pause = self._pause, min(2 * self._pause, MOST_BUSY_SECONDS)
            self._commands = 0
            yield Sleep(pause)

    def rest(self) -> None:
        """Begin again, since the program sleeps."""
        self._commands, self._pause = 0, 1.0


class ShellError(Exception):
    """The shell cannot go on: bad syntax, a bad substitution, a limit that was exceeded."""


class ExitShell(Exception):
    """`exit`, or an error that ends a shell that is not interactive."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class ReturnFromFunction(Exception):
    """`return`."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class LoopControl(Exception):
    """`break` or `continue`.

    Attributes:
        levels: loops that are still to be left, the innermost included.
        again: True for `continue`.
    """

    def __init__(self, levels: int, *, again: bool) -> None:
        super().__init__(levels)
        self.levels = levels
        self.again = again

    def ends_loop(self) -> bool:
        """Whether the loop that catches it ends; it is raised again for the loops around that."""
        if self.levels > 1:
            raise LoopControl(self.levels - 1, again=self.again)
        return not self.again


def line(text: str) -> Output:
    """Return a line on stdout."""
    return Output(STDOUT, text + "\n")


def complaint(text: str) -> Output:
    """Return a line on stderr."""
    return Output(STDERR, text + "\n")


def fail(message: str, code: int) -> Run:
    """Return a program that prints an error and ends.

    Args:
        message: for stderr.
        code: the exit code.
    """
    yield complaint(message)
    return code


# -- standard input ------------------------------------------------------------------------------


class Input(Protocol):
    """Standard input."""

    def read_line(self) -> Generator[Step, None, str]:
        """Return the next line with its newline; "" at the end."""

    def finish(self) -> Generator[Step, None, None]:
        """Let the writer end, since nobody reads any more."""


class TextInput:
    """A text that is there already."""

    def __init__(self, text: str) -> None:
        self._lines = text.splitlines(keepends=True)
        self._at = 0

    def read_line(self) -> Generator[Step, None, str]:
        """Return the next line with its newline; "" at the end."""
        yield from ()
        self._at += 1
        return self._lines[self._at - 1] if self._at <= len(self._lines) else ""

    def finish(self) -> Generator[Step, None, None]:
        """Do nothing: no writer waits."""
        yield from ()


BROKEN_PIPE = 141  # 128 + SIGPIPE


class PipeInput:
    """The output of a running command; it runs only as far as it is read.

    Attributes:
        code: exit code of the command, once it has ended.
    """

    def __init__(self, writer: Run) -> None:
        self._writer = writer
        self._buffer = ""
        self._ended = False
        self.code = 0

    def read_line(self) -> Generator[Step, None, str]:
        """Return the next line with its newline; "" at the end."""
        while "\n" not in self._buffer and not self._ended:
            try:
                step = next(self._writer)
            except StopIteration as end:
                self._ended, self.code = True, int(end.value)
                break
            if isinstance(step, Output) and step.stream == STDOUT:
                self._buffer += step.text
            else:
                yield step
        line, newline, rest = self._buffer.partition("\n")
        self._buffer = rest
        return line + newline

    def finish(self) -> Generator[Step, None, None]:
        """Let the writer go on up to its next output, which SIGPIPE ends."""
        while not self._ended:
            try:
                step = next(self._writer)
            except StopIteration as end:
                self.code = int(end.value)
                break
            if isinstance(step, Output) and step.stream == STDOUT:
                self._writer.close()
                self.code = BROKEN_PIPE
                break
            yield step
        self._ended = True


EMPTY: Input = TextInput("")
