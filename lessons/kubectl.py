"""The cell magic ``%%kubectl``: run the real kubectl against the lesson's cluster.

    %%kubectl
    get pods -o wide
    apply -f - <<EOF
    apiVersion: v1
    kind: ConfigMap
    metadata: {name: settings}
    EOF
    rollout status deploy/web

Each line is one command; the lines between ``<<EOF`` and ``EOF`` are its input. The first line may
name a variable that holds another cluster: ``%%kubectl mine``. On the virtual clock, time passes
quickly while a command runs, so that what the command waits for can happen.

On a machine without kubectl, the cell prints how to get it.
"""

from __future__ import annotations

import atexit
import os
import re
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple
from weakref import WeakKeyDictionary

from kubesim import Cluster
from kubesim.rest import RestServer

GET_ONE = (
    "There is no kubectl on this machine. It is a single file: see "
    "https://kubernetes.io/docs/tasks/tools/ for how to get it. Put it in a folder of your PATH, "
    "or set the variable KUBECTL to its path, and run the cell again. Any version from 1.27 works."
)
STEP_SECONDS = 0.5  # simulated time between two polls of the command
POLL_SECONDS = 0.025
PATIENCE_SECONDS = 60.0
HERE = re.compile(r"([^<]*)<<-?(\w*)")  # a word that announces an input: <<EOF, <<, -<<EOF

_servers: WeakKeyDictionary[Cluster, RestServer] = WeakKeyDictionary()


class Command(NamedTuple):
    """One line of a cell: its words, and its input."""

    words: list[str]
    input: str


def parse_cell(text: str) -> Iterator[Command]:
    """Return the commands of a cell.

    >>> [command.words for command in parse_cell("get pods\\n# a note\\nkubectl get nodes")]
    [['get', 'pods'], ['get', 'nodes']]
    >>> list(parse_cell("apply -f - <<EOF\\na: 1\\nEOF"))
    [Command(words=['apply', '-f', '-'], input='a: 1\\n')]

    Raises:
        ValueError: a quotation or an input has no end, or an input has no command or no mark.
    """
    lines = iter(text.splitlines())
    for line in lines:
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        words, mark = _split(line)
        input_lines = []
        if mark:
            for inner in lines:
                if inner.strip() == mark:
                    break
                input_lines.append(f"{inner}\n")
            else:
                raise ValueError(f"the input of {line.strip()!r} does not end with a line {mark!r}")
        yield Command(words[1:] if words[0] == "kubectl" else words, "".join(input_lines))


def _split(line: str) -> tuple[list[str], str]:
    """Return the words of a line, and the mark of its input; "": it has none."""
    words, mark = [], ""
    rest = iter(shlex.split(line))
    for word in rest:
        here = HERE.fullmatch(word)
        if here is None:
            words.append(word)
            continue
        if here[1]:
            words.append(here[1])
        mark = here[2] or next(rest, "")
        if not mark:
            message = "has no mark after <<: write, for example, apply -f - <<EOF"
            raise ValueError(f"{line.strip()!r} {message}")
    if not words:
        example = "write a command before it, for example apply -f - <<EOF"
        raise ValueError(f"{line.strip()!r} is an input without a command: {example}")
    return words, mark


def program() -> str | None:
    """Return the path of kubectl on this machine, or None."""
    return os.environ.get("KUBECTL") or shutil.which("kubectl")


def run_cell(text: str, cluster: Cluster) -> None:
    """Run the commands of a cell one after the other, and print their output."""
    executable = program()
    if executable is None:
        print(GET_ONE)
        return
    for command in parse_cell(text):
        print(_run(executable, command, cluster), end="")


def _run(executable: str, command: Command, cluster: Cluster) -> str:
    """Return the output of one command; simulated time passes while it runs."""
    address = server_of(cluster)
    environment = {**os.environ, "HOME": _home().name, "KUBECONFIG": ""}
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as stdin:
        stdin.write(command.input)
        stdin.seek(0)
        with subprocess.Popen(
            [executable, "--server", address, *command.words],
            stdin=stdin,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
        ) as process:
            end = time.monotonic() + PATIENCE_SECONDS
            while process.poll() is None and time.monotonic() < end:
                if cluster.clock.virtual:
                    cluster.sleep(STEP_SECONDS)
                time.sleep(POLL_SECONDS)
            if process.poll() is None:
                process.kill()
                output.write(f"\n(ended after {PATIENCE_SECONDS:g} s)\n")
        output.seek(0)
        return output.read()


def server_of(cluster: Cluster) -> str:
    """Return the address of a cluster's server; start the server when it is first needed."""
    if cluster not in _servers:
        _servers[cluster] = cluster.serve()
    return _servers[cluster].url


@lru_cache(maxsize=1)
def _home() -> tempfile.TemporaryDirectory[str]:
    """Return a home folder for kubectl, which caches there what a server serves.

    It is this process' own and has no predictable name: on a machine with several users nobody
    else can have made it. It is removed when the process ends.
    """
    folder = tempfile.TemporaryDirectory(prefix="kubesim-kubectl-")
    atexit.register(folder.cleanup)
    return folder


def load(find: Callable[[], Cluster | None] | None = None) -> bool:
    """Register the magic; return False outside a notebook.

    Args:
        find: returns the cluster of a cell that names none.
    """
    from IPython.core.getipython import get_ipython

    shell = get_ipython()
    if shell is None:
        return False

    def kubectl(line: str, cell: str | None = None) -> None:
        """Run kubectl against the lesson's cluster."""
        if cell is None:
            run_cell(line, _cluster(shell.user_ns, "", find))
        else:
            run_cell(cell, _cluster(shell.user_ns, line.strip(), find))

    # IPython's decorator hides the signature of the method.
    shell.register_magic_function(kubectl, "line_cell", "kubectl")  # type: ignore[arg-type]
    return True


def _cluster(
    variables: Mapping[str, object], name: str, find: Callable[[], Cluster | None] | None
) -> Cluster:
    """Return the cluster of a variable, or of the lesson if no variable is named."""
    cluster = variables.get(name) if name else (find() if find is not None else None)
    if not isinstance(cluster, Cluster):
        what = f"there is no cluster called {name!r}" if name else "there is no cluster yet"
        raise LookupError(f"{what}: make one first, with cluster = fresh_cluster()")
    return cluster
