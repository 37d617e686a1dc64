"""Run a shell program: walk its syntax tree, yield what it does, return its exit code.

>>> from kubesim.kubelet.shell.files import FileSystem
>>> from kubesim.kubelet.shell.state import ContainerHost, ShellState
>>> state = ShellState.of(ContainerHost("web-0", FileSystem(), lambda: 0.0), {"A": "1"}, "/")
>>> from kubesim.kubelet.shell.parser import parse
>>> for step in Interpreter(state).execute(parse("for i in a b; do echo $A$i; sleep 1; done")):
...     print(step)
Output(stream=1, text='1a\\n')
Sleep(seconds=1.0)
Output(stream=1, text='1b\\n')
Sleep(seconds=1.0)

Pipelines pull: the last command asks the one before it for a line when it reads one, so that
``while true; do date; sleep 1; done | head -2`` ends as it does in a real shell.

A signal with a trap waits for the end of the command that runs; it interrupts `wait`.

Ours leaves out: jobs that run at the same time (`&` runs its command to the end at `wait` or at the
end of the program).
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from functools import partial

from kubesim.kubelet.shell.builtins import BUILTINS
from kubesim.kubelet.shell.expansion import Expander
from kubesim.kubelet.shell.files import FileError
from kubesim.kubelet.shell.parser import parse
from kubesim.kubelet.shell.programs import PROGRAMS
from kubesim.kubelet.shell.redirection import redirect
from kubesim.kubelet.shell.state import Call, ShellState, shell_flags
from kubesim.kubelet.shell.steps import (
    EMPTY,
    NOT_FOUND,
    OUTPUT_BYTES,
    STDOUT,
    USAGE_ERROR,
    ExitShell,
    ForeignProgram,
    Input,
    LoopControl,
    Output,
    PipeInput,
    ReturnFromFunction,
    Run,
    ShellError,
    Step,
    complaint,
    fail,
)
from kubesim.kubelet.shell.syntax import (
    AndOr,
    ArithmeticCommand,
    Background,
    Case,
    Command,
    CommandList,
    For,
    FunctionDefinition,
    If,
    Not,
    Pipeline,
    Redirected,
    SimpleCommand,
    Subshell,
    While,
)

SHELLS = frozenset({"sh", "bash", "ash", "dash"})


class Interpreter:
    """Runs commands in one shell.

    Args:
        state: the shell's state; the commands change it.
    """

    def __init__(self, state: ShellState) -> None:
        self._state = state
        self._expander = Expander(state, self._capture)
        self._condition = 0  # errexit is off inside of conditions
        self._substituted = 0  # exit code of the last command substitution

    def program(self, command: Command, stdin: Input = EMPTY) -> Run:
        """Run a whole program; `exit` and the shell's own errors end it."""
        code = yield from self._guarded(self._to_end(command, stdin))
        trap = self._state.signals.traps.pop("EXIT", "")
        if not trap:
            return code
        self._state.finish(code)
        return (yield from self._guarded(self._trap(trap)))

    def _guarded(self, run: Run) -> Run:
        """Run what `exit` and the shell's own errors end."""
        state = self._state
        try:
            return (yield from run)
        except ExitShell as end:
            return end.code
        except (LoopControl, ReturnFromFunction):
            return state.status
        except ShellError as error:
            yield complaint(f"{state.name}: {error}")
            return USAGE_ERROR

    def _to_end(self, command: Command, stdin: Input) -> Run:
        yield from self.execute(command, stdin)
        yield from self._state.jobs.wait(self._state.signals, [])
        return self._state.status

    def _trap(self, commands: str) -> Run:
        """Run the commands of a trap; they do not change ``$?``."""
        status = self._state.status
        yield from self.execute(parse(commands))
        self._state.finish(status)
        return status

    def execute(self, command: Command, stdin: Input = EMPTY) -> Run:
        """Run a command; set ``$?`` and return it.

        Args:
            command: any node of the tree.
            stdin: what it reads.
        """
        state = self._state
        with state.one_deeper():
            code = yield from self._dispatch(command, stdin)
        state.finish(code)
        if code and state.options.errexit and not self._condition:
            if isinstance(command, SimpleCommand | Pipeline | Subshell):
                raise ExitShell(code)
        while state.signals.pending:
            yield from self._trap(state.signals.traps.get(state.signals.pending.pop(0), ""))
        return code

    def _dispatch(self, command: Command, stdin: Input) -> Run:
        match command:
            case SimpleCommand():
                return (yield from self._simple(command, stdin))
            case CommandList(commands):
                code = 0
                for each in commands:
                    code = yield from self.execute(each, stdin)
                return code
            case AndOr(left, operator, right):
                with self._in_condition():
                    code = yield from self.execute(left, stdin)
                if (code == 0) == (operator == "&&"):
                    return (yield from self.execute(right, stdin))
                return code
            case Not(inner):
                with self._in_condition():
                    code = yield from self.execute(inner, stdin)
                return int(code == 0)
            case Pipeline(commands):
                return (yield from self._pipeline(commands, stdin))
            case Redirected(inner, redirects):
                run = partial(self.execute, inner)
                return (yield from redirect(self._state, self._expander, redirects, run, stdin))
            case Subshell(body):
                return (yield from Interpreter(self._state.copy()).program(body, stdin))
            case ArithmeticCommand(expression):
                return int((yield from self._expander.arithmetic(expression)) == 0)
            case Background(inner):
                job = Interpreter(self._state.nested()).program(inner)
                self._state.put_in_background(job)
                return 0
            case FunctionDefinition(name, body):
                self._state.functions[name] = body
                return 0
        return (yield from self._compound(command, stdin))

    @contextmanager
    def _in_condition(self) -> Iterator[None]:
        self._condition += 1
        try:
            yield
        finally:
            self._condition -= 1

    # -- compound commands ------------------------------------------------------------------------

    def _compound(self, command: Command, stdin: Input) -> Run:
        match command:
            case For():
                return (yield from self._for(command, stdin))
            case While():
                return (yield from self._while(command, stdin))
            case If(branches, otherwise):
                for condition, body in branches:
                    with self._in_condition():
                        code = yield from self.execute(condition, stdin)
                    if code == 0:
                        return (yield from self.execute(body, stdin))
                return 0 if otherwise is None else (yield from self.execute(otherwise, stdin))
            case Case(subject, items):
                value = yield from self._expander.string(subject)
                for patterns, body in items:
                    for pattern in patterns:
                        if fnmatchcase(value, (yield from self._expander.pattern(pattern))):
                            return (yield from self.execute(body, stdin))
                return 0
        raise AssertionError(f"unknown command {command!r}")  # the parser makes no other

    def _for(self, loop: For, stdin: Input) -> Run:
        values = list(self._state.positional)
        if loop.words is not None:
            values = yield from self._expander.words(loop.words)
        code = 0
        for value in values:
            self._state.set(loop.name, value)
            yield from self._state.budget.spend()
            try:
                code = yield from self.execute(loop.body, stdin)
            except LoopControl as control:
                if control.ends_loop():
                    return 0
        return code

    def _while(self, loop: While, stdin: Input) -> Run:
        code = 0
        while True:
            yield from self._state.budget.spend()
            try:
                with self._in_condition():
                    condition = yield from self.execute(loop.condition, stdin)
                if (condition == 0) == loop.until:
                    return code
                code = yield from self.execute(loop.body, stdin)
            except LoopControl as control:
                if control.ends_loop():
                    return 0

    # -- simple commands --------------------------------------------------------------------------

    def _simple(self, command: SimpleCommand, stdin: Input) -> Run:
        state = self._state
        yield from state.budget.spend()
        self._substituted = 0
        words = yield from self._expander.words(command.words)
        assigned = {}
        for assignment in command.assignments:
            assigned[assignment.name] = yield from self._expander.string(assignment.value)
            if not words:
                state.set(assignment.name, assigned[assignment.name])
        if state.options.xtrace:
            shown = [*(f"{k}={v}" for k, v in assigned.items()), *words]
            yield complaint(f"+ {' '.join(shown)}")
        if not words:
            return self._substituted
        return (yield from self.run(words, stdin, assigned))

    def run(self, words: list[str], stdin: Input, assigned: dict[str, str] | None = None) -> Run:
        """Run a function, a built-in or a program.

        Args:
            words: its name and arguments.
            stdin: what it reads.
            assigned: variables of this command alone.
        """
        state, name = self._state, words[0]
        with state.with_variables(assigned or {}):
            if name in state.functions:
                return (yield from self._function(state.functions[name], words[1:], stdin))
            builtin = BUILTINS.get(name)
            if builtin is not None:
                return (yield from builtin(self, state, words[1:], stdin))
            base = name.rpartition("/")[2]
            if base in SHELLS:
                shell = run_shell(state.new_shell(base), words[1:], stdin)
                return 0 if shell is None else (yield from shell)
            program = PROGRAMS.get(base)
            if program is not None:
                return (yield from program(Call(self.run_program, state, name, words[1:], stdin)))
            if name and state.foreign:
                yield ForeignProgram(tuple(words))
                return 0
            return (yield from fail(f"{state.name}: {name}: not found", NOT_FOUND))

    def run_program(self, state: ShellState, words: list[str], stdin: Input) -> Run:
        """Run a program with another state, as `env`, `timeout` and `xargs` do.

        Args:
            state: variables and options of the program.
            words: its name and arguments.
            stdin: what it reads.
        """
        return (yield from Interpreter(state).run(words, stdin))

    def _function(self, body: Command, arguments: list[str], stdin: Input) -> Run:
        state = self._state
        before = state.set_arguments(arguments)
        try:
            with state.function_scope():
                return (yield from self.execute(body, stdin))
        except ReturnFromFunction as end:
            return end.code
        finally:
            state.set_arguments(before)

    # -- pipes and redirections -------------------------------------------------------------------

    def _pipeline(self, commands: tuple[Command, ...], stdin: Input) -> Run:
        """Run each command in a subshell; each reads what the one before it writes."""
        current: Input = stdin
        pipes: list[PipeInput] = []
        for command in commands[:-1]:
            current = PipeInput(Interpreter(self._state.copy()).program(command, current))
            pipes.append(current)
        code = yield from Interpreter(self._state.copy()).program(commands[-1], current)
        yield from current.finish()
        if code == 0 and self._state.options.pipefail:
            for pipe in reversed(pipes):
                yield from pipe.finish()
                code = code or pipe.code
        return code

    def _capture(self, body: Command) -> Generator[Step, None, str]:
        """Run commands in a subshell and return what they write to stdout."""
        texts: list[str] = []
        size = 0
        run = Interpreter(self._state.copy()).program(body)
        while True:
            try:
                step = next(run)
            except StopIteration as end:
                self._substituted = int(end.value)
                self._state.finish(self._substituted)
                return "".join(texts)
            if isinstance(step, Output) and step.stream == STDOUT:
                size += len(step.text)
                if size > OUTPUT_BYTES:
                    raise ShellError("command substitution: output too long")
                texts.append(step.text)
            else:
                yield step


# -- shells --------------------------------------------------------------------------------------


def run_shell(state: ShellState, words: list[str], stdin: Input) -> Run | None:
    """Return the run of a shell; None for one that waits for a terminal.

    Args:
        state: of the new shell.
        words: its arguments: options, then a command string or a script and its parameters.
        stdin: what it reads.
    """
    flags, words = shell_flags(words)
    state.set_options(flags)
    if "c" in flags:
        if not words:
            return fail(f"{state.name}: -c requires an argument", USAGE_ERROR)
        state.set_arguments(words[2:])
        state.set_script("".join(words[1:2]))
        return _source(state, words[0], stdin)
    if not words:
        return None if stdin is EMPTY else _interactive(state, stdin)
    state.set_arguments(words[1:])
    state.set_script(words[0])
    try:
        text = state.files.read(state.path(words[0]))
    except FileError as error:
        return fail(f"{state.name}: can't open '{words[0]}': {error}", NOT_FOUND)
    return _source(state, text, stdin)


def _source(state: ShellState, text: str, stdin: Input) -> Run:
    """Run a script; one that cannot be parsed fails."""
    try:
        program = parse(text)
    except ShellError as error:
        return fail(f"{state.name}: {error}", USAGE_ERROR)
    return Interpreter(state).program(program, stdin)


def _interactive(state: ShellState, stdin: Input) -> Run:
    """Run the commands on standard input, line by line."""
    text = ""
    while part := (yield from stdin.read_line()):
        text += part
    return (yield from _source(state, text, EMPTY))
