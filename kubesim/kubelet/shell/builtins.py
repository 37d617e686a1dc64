"""The built-in commands of a shell: those that change its own state, and `test`.

Source: IEEE Std 1003.1-2017, Shell Command Language, 2.14 Special Built-In Utilities; test.
"""

from __future__ import annotations

from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Protocol

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

    def wait(self) -> Run:
        """Run what was put in the background."""


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
        if equals:
            state.set(name, value)
    return 0


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
    names = [word for word in words if not word.startswith("-")] or ["REPLY"]
    text = yield from stdin.read_line()
    fields = text.rstrip("\n").split(None, len(names) - 1)
    for index, name in enumerate(names):
        if not is_name(name):
            raise ShellError(f"{name[:40]}: bad variable name")
        state.set(name, fields[index].strip() if index < len(fields) else "")
    return int(not text.endswith("\n"))


def _eval(shell: Shell, _state: ShellState, words: list[str], stdin: Input) -> Run:
    return (yield from shell.execute(parse(" ".join(words)), stdin))


def _source(shell: Shell, state: ShellState, words: list[str], stdin: Input) -> Run:
    path = state.path(words[0] if words else "")
    if not state.files.is_file(path):
        raise ShellError(f"{words[0] if words else '.'}: No such file or directory")
    return (yield from shell.execute(parse(state.files.read(path)), stdin))


def _exec(shell: Shell, _state: ShellState, words: list[str], stdin: Input) -> Run:
    if not words:
        return 0
    raise ExitShell((yield from shell.run(words, stdin)))


def _wait(shell: Shell, _state: ShellState, _words: list[str], _stdin: Input) -> Run:
    return (yield from shell.wait())


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
        return int(not _condition(state, list(words), glob=False))
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
        return int(not _condition(state, words[:-1], glob=True))
    except ValueError as error:
        yield complaint(f"{state.name}: {error}")
        return USAGE_ERROR


def _condition(state: ShellState, words: list[str], *, glob: bool) -> bool:
    """Evaluate a condition: `-o` binds less than `-a`, which binds less than `!`."""
    for operator in ("-o", "-a"):
        if operator in words[1:-1] and len(words) > 3:
            at = words.index(operator, 1)
            left = _condition(state, words[:at], glob=glob)
            right = _condition(state, words[at + 1 :], glob=glob)
            return left or right if operator == "-o" else left and right
    if words[:1] == ["!"]:
        return not _condition(state, words[1:], glob=glob)
    if len(words) <= 1:
        return bool(words and words[0])
    if len(words) == 2:
        return _unary(state, *words)
    if len(words) == 3:
        return _binary(*words, glob=glob)
    raise ValueError(f"test: {words[0][:40]}: unexpected operator")


def _unary(state: ShellState, operator: str, operand: str) -> bool:
    path = state.path(operand)
    match operator:
        case "-n":
            return operand != ""
        case "-z":
            return operand == ""
        case "-e" | "-r" | "-w":
            return state.files.exists(path)
        case "-f":
            return state.files.is_file(path)
        case "-d":
            return state.files.is_directory(path)
        case "-s":
            return state.files.is_file(path) and state.files.read(path) != ""
        case "-x":
            return state.files.is_directory(path)
        case "-t" | "-L" | "-h" | "-S" | "-p":
            return False
    raise ValueError(f"test: {operator[:40]}: unexpected operator")


def _binary(left: str, operator: str, right: str, *, glob: bool) -> bool:
    if operator in ("=", "==", "!="):
        equal = fnmatchcase(left, right[:200]) if glob else left == right
        return equal == (operator != "!=")
    if operator in ("<", ">"):
        return left < right if operator == "<" else left > right
    try:
        first, second = int(left[:40]), int(right[:40])
    except ValueError:
        raise ValueError(f"test: {left[:40]} {operator} {right[:40]}: bad number") from None
    results = {
        "-eq": first == second,
        "-ne": first != second,
        "-lt": first < second,
        "-le": first <= second,
        "-gt": first > second,
        "-ge": first >= second,
    }
    if operator not in results:
        raise ValueError(f"test: {operator[:40]}: unexpected operator")
    return results[operator]


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
    "local": _local,
    "read": _read,
    "readonly": _export,
    "return": _return,
    "set": _set,
    "shift": _shift,
    "source": _source,
    "test": _test,
    "trap": _colon,  # a simulated container ends gracefully when it is told to
    "type": _command,
    "ulimit": _colon,
    "umask": _colon,
    "unset": _unset,
    "wait": _wait,
}
