"""Redirections: the streams of a command come from files and go to files.

Source: IEEE Std 1003.1-2017, Shell Command Language, 2.7 Redirection.
"""

from __future__ import annotations

from collections.abc import Callable

from kubesim.kubelet.shell.expansion import Expander
from kubesim.kubelet.shell.files import FileError
from kubesim.kubelet.shell.state import ShellState
from kubesim.kubelet.shell.steps import STDERR, STDOUT, Input, Output, Run, TextInput, complaint
from kubesim.kubelet.shell.syntax import Redirect

DEVICES = {
    "/dev/stdout": STDOUT,
    "/dev/stderr": STDERR,
    "/proc/1/fd/1": STDOUT,
    "/proc/1/fd/2": STDERR,
}
Target = str | int
"""Where a stream goes: the path of a file, or a stream of the caller."""


def redirect(
    state: ShellState,
    expander: Expander,
    redirects: tuple[Redirect, ...],
    run: Callable[[Input], Run],
    stdin: Input,
) -> Run:
    """Run a command whose streams go elsewhere.

    Args:
        state: of the shell.
        expander: expands the names of files.
        redirects: in the order of the command.
        run: run(stdin) runs the command.
        stdin: what it reads if no redirection says otherwise.
    """
    targets: dict[int, Target] = {STDOUT: STDOUT, STDERR: STDERR}
    for each in redirects:
        target = yield from expander.string(each.target)
        try:
            if each.operator == "<<":
                stdin = TextInput(target)
            elif each.operator == "<":
                stdin = TextInput(state.files.read(state.path(target)))
            else:
                targets[each.descriptor] = _open(state, each.operator, target, targets)
        except FileError as error:
            yield complaint(f"{state.name}: {target}: {error}")
            return 1
    return (yield from _write_to(state, targets, run(stdin)))


def _open(state: ShellState, operator: str, target: str, targets: dict[int, Target]) -> Target:
    """Return where a redirected output goes; a file is created or emptied.

    Raises:
        FileError: the file cannot be written, or the descriptor is not open.
    """
    if operator in (">&", "<&"):
        if target not in ("1", "2", "-"):
            raise FileError("Bad file descriptor")
        return "/dev/null" if target == "-" else targets[int(target)]
    path = state.path(target)
    if path in DEVICES:
        return DEVICES[path]
    state.files.write(path, "", append=operator == ">>")
    return path


def _write_to(state: ShellState, targets: dict[int, Target], run: Run) -> Run:
    """Run a command; its output goes to files or other streams."""
    while True:
        try:
            step = next(run)
        except StopIteration as end:
            return int(end.value)
        target = targets.get(step.stream) if isinstance(step, Output) else None
        if not isinstance(step, Output) or target is None:
            yield step
        elif isinstance(target, int):
            yield Output(target, step.text)
        else:
            try:
                state.files.write(target, step.text, append=True)
            except FileError as error:
                run.close()
                yield complaint(f"{state.name}: write error: {error}")
                return 1
