"""What a running program does that others see, and what it reads.

A program is a generator of these steps and returns its exit code. The one who runs it, a kubelet or
`kubectl exec`, decides what a step means: a line of the container's log, a timer on the clock.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Protocol

STDOUT, STDERR = 1, 2
NOT_FOUND = 127
USAGE_ERROR = 2
SIGTERM_EXIT, SIGPIPE_EXIT = 143, 141

COMMANDS_PER_SECOND = 1_000  # of a program that never sleeps: an endless loop takes simulated time
MOST_BUSY_SECONDS = 64.0  # between two bursts of commands of a program that never sleeps
OUTPUT_BYTES = 1 << 20  # what a command substitution, a file or one line may hold
MAX_PENDING = 64  # signals
MAX_JOBS = 100
FIRST_PROCESS_ID = 7  # of a job
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


class Signals:
    """The traps of a shell, and the signals that it has still to handle.

    A container's first process has one that others may signal. The kernel delivers nothing to it
    for which it has no handler, except from outside of the container.

    Attributes:
        traps: condition (EXIT, TERM, ...) -> commands; "": the signal is ignored.
        pending: signals that came, in their order.
        waiting: the shell is inside of `wait`, which a signal interrupts.
    """

    __slots__ = ("_default", "_wake", "pending", "traps", "waiting")

    def __init__(self) -> None:
        self.traps: dict[str, str] = {}
        self.pending: list[str] = []
        self.waiting = False
        self._wake: Callable[[], object] = bool
        self._default: Callable[[str], object] = bool

    def connect(
        self, wake: Callable[[], object] = bool, default: Callable[[str], object] = bool
    ) -> None:
        """Begin anew for another process.

        Args:
            wake: called when a signal with a trap has come.
            default: called with a signal that has no trap.
        """
        self.traps, self.pending, self.waiting = {}, [], False
        self._wake, self._default = wake, default

    def catches(self, name: str) -> bool:
        """Whether a signal has a trap."""
        return name in self.traps

    def send(self, name: str) -> None:
        """Send a signal."""
        if name not in self.traps:
            self._default(name)
        elif self.traps[name] and len(self.pending) < MAX_PENDING:
            self.pending.append(name)
            self._wake()

    def set_waiting(self, *, waiting: bool) -> None:
        """Note whether the shell is inside of `wait`."""
        self.waiting = waiting


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


# -- jobs -----------------------------------------------------------------------------------------


@dataclass(slots=True)
class Job:
    """A command in the background.

    Attributes:
        run: the command.
        interrupted: the step at which a signal interrupted `wait`; it is repeated.
    """

    run: Run
    interrupted: Step | None = None


class Jobs:
    """The commands that one shell has put in the background."""

    __slots__ = ("_codes", "_jobs", "_next_id")

    def __init__(self) -> None:
        self._jobs: dict[int, Job] = {}
        self._codes: dict[int, int] = {}  # of those that have ended
        self._next_id = FIRST_PROCESS_ID

    def add(self, run: Run) -> int:
        """Add a command; return its process id.

        Raises:
            ShellError: there are too many.
        """
        if len(self._jobs) >= MAX_JOBS:
            raise ShellError("Cannot fork")
        process_id, self._next_id = self._next_id, self._next_id + 1
        self._jobs[process_id] = Job(run)
        return process_id

    def end(self, process_id: int, *, exists: bool = False) -> bool:
        """End a command; return whether there was one.

        Args:
            process_id: of the command.
            exists: only look.
        """
        if process_id not in self._jobs:
            return False
        if not exists:
            self._jobs.pop(process_id).run.close()
            self._note(process_id, SIGTERM_EXIT)
        return True

    def wait(self, signals: Signals, process_ids: list[int]) -> Run:
        """Run commands to their end, or until a signal with a trap comes.

        Args:
            signals: of the shell that waits.
            process_ids: which ones; none: all of them.
        """
        code = 0
        for process_id in process_ids or list(self._jobs):
            if process_id in self._jobs:
                yield from self._run(process_id, signals)
            if signals.pending:
                return SIGTERM_EXIT
            code = self._codes.get(process_id, NOT_FOUND)
        return code if process_ids else 0

    def _run(self, process_id: int, signals: Signals) -> Run:
        job = self._jobs[process_id]
        step, job.interrupted = job.interrupted, None
        try:
            while True:
                if step is None:
                    step = next(job.run)
                signals.set_waiting(waiting=True)
                yield step
                signals.set_waiting(waiting=False)
                if signals.pending:
                    job.interrupted = step
                    return SIGTERM_EXIT
                step = None
        except StopIteration as end:
            del self._jobs[process_id]
            self._note(process_id, int(end.value))
            return 0
        finally:
            signals.set_waiting(waiting=False)

    def _note(self, process_id: int, code: int) -> None:
        if len(self._codes) >= MAX_JOBS:
            self._codes.clear()
        self._codes[process_id] = code


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
