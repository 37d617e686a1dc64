"""The built-in commands of a shell: those that change its own state, and `test`.

Source: IEEE Std 1003.1-2017, Shell Command Language, 2.14 Special Built-In Utilities; test.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from kubesim.kubelet.shell.arithmetic import condition, evaluate
from kubesim.kubelet.shell.expansion import split_line
from kubesim.kubelet.shell.parser import parse
from kubesim.kubelet.shell.programs import PROGRAMS
from kubesim.kubelet.shell.state import OPTION_LETTERS, ShellState
from kubesim.kubelet.shell.steps import (
    USAGE_ERROR,
    ExitShell,
    Input,
    LoopControl,
    ReturnFromFunction,
    Run,
    ShellError,
    complaint,
    line,
)
from kubesim.kubelet.shell.syntax import Command
from kubesim.kubelet.shell.words import is_name


class Shell(Protocol):
    """What a built-in may ask of the interpreter."""

    def execute(self, command: Command, stdin: Input) -> Run:
        """Run a command in this shell."""

    def run(self, words: list[str], stdin: Input) -> Run:
        """Run a program in this shell."""


SIGNALS = {
    "0": "EXIT",
    "1": "HUP",
    "2": "INT",
    "3": "QUIT",
    "9": "KILL",
    "10": "USR1",
    "12": "USR2",
    "15": "TERM",
}
Builtin = Callable[[Shell, ShellState, list[str], Input], Run]


def _exit_code(state: ShellState, words: list[str]) -> int:
    """Return the exit code that `exit` and `return` name; without one: of the last command."""
    if not words:
        return state.status
    if not words[0].lstrip("-").isdigit():
        raise ShellError(f"Illegal number: {words[0][:40]}")
    return int(words[0][:20]) % 256


def _exit(_shell: Shell, state: ShellState, words: list[str], _stdin: Input) -> Run:
    yield from ()
    raise ExitShell(_exit_code(state, words))


def _return(_shell: Shell, state: ShellState, words: list[str], _stdin: Input) -> Run:
    yield from ()
    raise ReturnFromFunction(_exit_code(state, words))


def _break(_shell: Shell, _state: ShellState, words: list[str], _stdin: Input) -> Run:
    yield from ()
    raise LoopControl(_levels(words), again=False)


def _continue(_shell: Shell, _state: ShellState, words: list[str], _stdin: Input) -> Run:
    yield from ()
    raise LoopControl(_levels(words), again=True)


def _levels(words: list[str]) -> int:
    if words and (not words[0].isdigit() or int(words[0][:9]) < 1):
        raise ShellError(f"Illegal number: {words[0][:40]}")
    return int(words[0][:9]) if words else 1


def _colon(_shell: Shell, _state: ShellState, _words: list[str], _stdin: Input) -> Run:
    yield from ()
    return 0


def _cd(_shell: Shell, state: ShellState, words: list[str], _stdin: Input) -> Run:
    target = words[0] if words else state.variables.get("HOME", "/")
    path = state.path(target)
    if not state.files.is_directory(path):
        yield complaint(f"{state.name}: cd: can't cd to {target}: No such file or directory")
        return USAGE_ERROR
    state.change_directory(path)
    return 0


def _export(_shell: Shell, state: ShellState, words: list[str], _stdin: Input) -> Run:
    for word in words:
        name, equals, value = word.partition("=")
        if not is_name(name):
            raise ShellError(f"{name[:40]}: bad variable name")
        if equals:
            state.set(name, value)
        state.exported.add(name)
    if not words:
        for name, value in sorted(state.environment.items()):
            yield line(f"export {name}='{value}'")
    return 0


def _local(_shell: Shell, state: ShellState, words: list[str], _stdin: Input) -> Run:
    yield from ()
    for word in words:
        name, equals, value = word.partition("=")
        if not is_name(name):
            raise ShellError(f"{name[:40]}: bad variable name")
        state.declare_local(name)
        if equals:
            state.set(name, value)
    return 0


def _let(_shell: Shell, state: ShellState, words: list[str], _stdin: Input) -> Run:
    yield from ()
    if not words:
        raise ShellError("let: expression expected")
    return int([evaluate(word, state.variables) for word in words][-1] == 0)


def _unset(_shell: Shell, state: ShellState, words: list[str], _stdin: Input) -> Run:
    yield from ()
    for name in words:
        state.variables.pop(name, None)
        state.functions.pop(name, None)
        state.exported.discard(name)
    return 0


def _set(_shell: Shell, state: ShellState, words: list[str], _stdin: Input) -> Run:
    """Set options and positional parameters."""
    rest = list(words)
    while rest and rest[0][:1] in "+-" and len(rest[0]) > 1:
        word = rest.pop(0)
        if word == "--":
            state.set_arguments(rest)
            return 0
        value = word[0] == "-"
        if word[1:] == "o":
            letters = OPTION_LETTERS.get(rest.pop(0), "") if rest else ""
        else:
            letters = word[1:].replace("o", "")
            if word[1:].endswith("o") and rest:  # set -euo pipefail
                letters += OPTION_LETTERS.get(rest.pop(0), "")
        state.set_options(letters, value=value)
    if rest:
        state.set_arguments(rest)
    if not words:
        for name, text in sorted(state.variables.items()):
            yield line(f"{name}='{text}'")
    return 0


def _shift(_shell: Shell, state: ShellState, words: list[str], _stdin: Input) -> Run:
    yield from ()
    count = _levels(words)
    if count > len(state.positional):
        return 1
    del state.positional[:count]
    return 0


def _read(_shell: Shell, state: ShellState, words: list[str], stdin: Input) -> Run:
    rest = list(words)
    while rest and rest[0].startswith("-"):
        if rest.pop(0)[-1] in "ptn" and rest:
            rest.pop(0)  # a prompt, a timeout or a number of characters
    names = rest or ["REPLY"]
    text = yield from stdin.read_line()
    fields = split_line(text.rstrip("\n"), state.variables.get("IFS"), len(names))
    for index, name in enumerate(names):
        if not is_name(name):
            raise ShellError(f"{name[:40]}: bad variable name")
        state.set(name, fields[index] if index < len(fields) else "")
    return int(not text.endswith("\n"))


def _eval(shell: Shell, _state: ShellState, words: list[str], stdin: Input) -> Run:
    return (yield from shell.execute(parse(" ".join(words)), stdin))


def _source(shell: Shell, state: ShellState, words: list[str], stdin: Input) -> Run:
    path = state.path(words[0] if words else "")
    if not state.files.is_file(path):
        raise ShellError(f"{words[0] if words else '.'}: No such file or directory")
    return (yield from shell.execute(parse(state.files.read(path)), stdin))


def _exec(shell: Shell, state: ShellState, words: list[str], stdin: Input) -> Run:
    if not words:
        return 0
    state.signals.traps.clear()
    raise ExitShell((yield from shell.run(words, stdin)))


def _wait(_shell: Shell, state: ShellState, words: list[str], _stdin: Input) -> Run:
    process_ids = [int(word[:9]) for word in words if word.isdigit()]
    return (yield from state.jobs.wait(state.signals, process_ids))


def _kill(_shell: Shell, state: ShellState, words: list[str], _stdin: Input) -> Run:
    """Send a signal to the first process, or end a command in the background."""
    rest, signal = list(words), "TERM"
    if rest[:1] == ["-l"]:
        yield line(" ".join(SIGNALS.values()))
        return 0
    if rest and rest[0].startswith("-") and rest[0] != "--":
        name = rest.pop(0)[1:]
        name = rest.pop(0) if name == "s" and rest else name
        signal = "0" if name == "0" else signal_name(name)
    rest = rest[1:] if rest[:1] == ["--"] else rest
    if not signal or not rest:
        yield complaint("kill: usage: kill [-s signal | -signal] process id...")
        return USAGE_ERROR
    code = 0
    for word in rest:
        process_id = int(word[:9]) if word.isdigit() else -1
        if process_id in (0, 1):
            if signal != "0":
                state.host.signals.send(signal)
        elif not state.jobs.end(process_id, exists=signal == "0"):
            yield complaint(f"kill: can't kill pid {word[:40]}: No such process")
            code = 1
    return code


def signal_name(word: str) -> str:
    """Return the name of a signal by its number or name, with or without SIG; "": unknown."""
    name = word.upper().removeprefix("SIG")
    return SIGNALS.get(name, name if name in SIGNALS.values() else "")


def _trap(_shell: Shell, state: ShellState, words: list[str], _stdin: Input) -> Run:
    """Set what the shell does when a signal comes, or at its end."""
    traps = state.signals.traps
    rest = words[1:] if words[:1] == ["--"] else words
    if not rest:
        for name, commands in sorted(traps.items()):
            quoted = commands.replace("'", "'\\''")
            yield line(f"trap -- '{quoted}' {name}")
        return 0
    resets = rest[0] == "-" or rest[0].isdigit()
    code = 0
    for word in rest if rest[0].isdigit() else rest[1:]:
        name = signal_name(word)
        if word in ("ERR", "DEBUG", "RETURN"):
            yield complaint(f"{state.name}: trap: {word} is not simulated; it is ignored")
        elif not name:
            yield complaint(f"{state.name}: trap: {word[:40]}: bad trap")
            code = 1
        elif resets:
            traps.pop(name, None)
        else:
            traps[name] = rest[0]
    return code


def _command(shell: Shell, state: ShellState, words: list[str], stdin: Input) -> Run:
    """`command NAME` runs it; `command -v NAME` says whether it exists."""
    if words[:1] in (["-v"], ["-V"]):
        name = words[1] if len(words) > 1 else ""
        if name in BUILTINS or name in state.functions:
            yield line(name)
            return 0
        if name in PROGRAMS:
            yield line(f"/bin/{name}")
            return 0
        return 127
    return (yield from shell.run(words, stdin)) if words else 0


# -- test -----------------------------------------------------------------------------------------


def _test(_shell: Shell, state: ShellState, words: list[str], _stdin: Input) -> Run:
    try:
        return int(not condition(state, list(words), glob=False))
    except ValueError as error:
        yield complaint(f"{state.name}: {error}")
        return USAGE_ERROR


def _bracket(_shell: Shell, state: ShellState, words: list[str], stdin: Input) -> Run:
    if words[-1:] != ["]"]:
        yield complaint(f"{state.name}: [: missing ]")
        return USAGE_ERROR
    return (yield from _test(_shell, state, words[:-1], stdin))


def _double_bracket(_shell: Shell, state: ShellState, words: list[str], _stdin: Input) -> Run:
    if words[-1:] != ["]]"]:
        yield complaint(f"{state.name}: [[: missing ]]")
        return USAGE_ERROR
    try:
        return int(not condition(state, words[:-1], glob=True))
    except ValueError as error:
        yield complaint(f"{state.name}: {error}")
        return USAGE_ERROR


BUILTINS: dict[str, Builtin] = {
    ":": _colon,
    ".": _source,
    "[": _bracket,
    "[[": _double_bracket,
    "break": _break,
    "cd": _cd,
    "command": _command,
    "continue": _continue,
    "eval": _eval,
    "exec": _exec,
    "exit": _exit,
    "export": _export,
    "kill": _kill,
    "let": _let,
    "local": _local,
    "read": _read,
    "readonly": _export,
    "return": _return,
    "set": _set,
    "shift": _shift,
    "source": _source,
    "test": _test,
    "trap": _trap,
    "type": _command,
    "ulimit": _colon,
    "umask": _colon,
    "unset": _unset,
    "wait": _wait,
}
