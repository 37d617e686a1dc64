"""The program that a container's command names, if the simulator understands it.

>>> from kubesim.kubelet.shell.files import FileSystem
>>> host = ContainerHost("web-0", FileSystem(), lambda: 0.0)
>>> list(start(["sh", "-c", "echo $HOME; exit 3"], host, {"HOME": "/root"}))
[Output(stream=1, text='/root\\n')]
>>> start(["nginx", "-g", "daemon off;"], host, {}) is None
True

Ours keeps: a shell with its command string or a script from a mounted file, and the programs of
`programs.PROGRAMS`, and `test` and `kill`, which the shell has built in. Every other program is
foreign: the kubelet decides how long it runs.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence

from kubesim.kubelet.shell.interpreter import SHELLS, Interpreter, run_shell
from kubesim.kubelet.shell.programs import PROGRAMS
from kubesim.kubelet.shell.state import ContainerHost, ShellState
from kubesim.kubelet.shell.steps import (
    EMPTY,
    USAGE_ERROR,
    Input,
    Run,
    ShellError,
    TextInput,
    complaint,
)

BUILTIN_PROGRAMS = frozenset({"[", "kill", "test"})
"""Builtins of the shell that are programs as well: `kubectl cp` runs `test -d`, people `kill 1`."""

INIT_PROGRAMS = frozenset({"tini", "dumb-init"})
"""Programs that only start another one, as a container's first process."""


def start(
    command: Sequence[str],
    host: ContainerHost,
    environment: Mapping[str, str],
    directory: str = "/",
    stdin: str = "",
    *,
    foreign: bool = True,
) -> Run | None:
    """Return the running program of a command; None if the program is foreign.

    Args:
        command: the program and its arguments.
        host: the container.
        environment: its variables.
        directory: the working directory.
        stdin: what it reads.
        foreign: whether other programs that it calls run all the same; False: they are not found.
    """
    words = [str(word) for word in command]
    while words and posixpath.basename(words[0]) in INIT_PROGRAMS:
        words = [word for at, word in enumerate(words) if at and word not in ("--", "-s", "-g")]
    if not words:
        return None
    name = posixpath.basename(words[0])
    shell = name if name in SHELLS else "sh"
    state = ShellState.of(host, environment, directory, name=shell, foreign=foreign)
    entered: Input = TextInput(stdin) if stdin else EMPTY
    if name in SHELLS:
        return run_shell(state, words[1:], entered)
    if name in PROGRAMS or name in BUILTIN_PROGRAMS:
        return _program(state, words, entered)
    return None


def _program(state: ShellState, words: list[str], stdin: Input) -> Run:
    try:
        return (yield from Interpreter(state).run(words, stdin))
    except ShellError as error:
        yield complaint(f"{words[0]}: {error}")
        return USAGE_ERROR
