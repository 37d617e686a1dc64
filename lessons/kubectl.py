"""``%%kubectl``: a cell of commands, run by the real kubectl against the lesson's cluster.

    %%kubectl
    get pods -o wide
    apply -f - <<EOF
    apiVersion: v1
    kind: ConfigMap
    metadata: {name: settings}
    EOF
    rollout status deploy/web

Each line is one command; what stands between ``<<EOF`` and ``EOF`` is its input. The first line may
name a variable that holds another cluster: ``%%kubectl mine``. On the virtual clock time passes,
fast, while a command runs, so that what it waits for can happen.

Where there is no kubectl, the cell says how to get one.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from kubesim import Cluster
from kubesim.rest import RestServer

GET_ONE = (
    "There is no kubectl on this machine. It is one file: https://kubernetes.io/docs/tasks/tools/ "
    "says where to get it. Put it into a folder of your PATH (or name it in the variable KUBECTL) "
    "and run the cell again. Any version from 1.27 on will do."
)
STEP_SECONDS = 0.5  # simulated, between two looks at the command
LOOK_SECONDS = 0.025
PATIENCE_SECONDS = 60.0

_servers: WeakKeyDictionary[Cluster, RestServer] = WeakKeyDictionary()


class Command(NamedTuple):
    """One line of a cell: its words, and what it reads."""

    words: list[str]
    input: str


def parse_cell(text: str) -> Iterator[Command]:
    """The commands of a cell.

    >>> [command.words for command in parse_cell("get pods\\n# a note\\nkubectl get nodes")]
    [['get', 'pods'], ['get', 'nodes']]
    >>> list(parse_cell("apply -f - <<EOF\\na: 1\\nEOF"))
    [Command(words=['apply', '-f', '-'], input='a: 1\\n')]

    Raises:
        ValueError: a quotation or an input that does not end.
    """
    lines = iter(text.splitlines())
    for line in lines:
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        line, marked, mark = line.partition("<<")
        given, mark = [], mark.strip(" '\"-")
        if marked:
            for inner in lines:
                if inner.strip() == mark:
                    break
                given.append(f"{inner}\n")
            else:
                raise ValueError(f"the input of {line.strip()!r} does not end with {mark}")
        words = shlex.split(line)
        yield Command(words[1:] if words[0] == "kubectl" else words, "".join(given))


def program() -> str | None:
    """The kubectl of this machine; None if there is none."""
    return os.environ.get("KUBECTL") or shutil.which("kubectl")


def run_cell(text: str, cluster: Cluster) -> None:
    """Run the commands of a cell, one after the other, and print what they say."""
    found = program()
    if found is None:
        print(GET_ONE)
        return
    for command in parse_cell(text):
        print(_run(found, command, cluster), end="")


def _run(found: str, command: Command, cluster: Cluster) -> str:
    """What one command says; time passes meanwhile."""
    address = server_of(cluster)
    environment = {**os.environ, "HOME": str(_home()), "KUBECONFIG": ""}
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as given:
        given.write(command.input)
        given.seek(0)
        with subprocess.Popen(
            [found, "--server", address, *command.words],
            stdin=given,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
        ) as process:
            end = time.monotonic() + PATIENCE_SECONDS
            while process.poll() is None and time.monotonic() < end:
                if cluster.clock.virtual:
                    cluster.sleep(STEP_SECONDS)
                time.sleep(LOOK_SECONDS)
            if process.poll() is None:
                process.kill()
                output.write(f"\n(ended after {PATIENCE_SECONDS:g} s)\n")
        output.seek(0)
        return output.read()


def server_of(cluster: Cluster) -> str:
    """The address of a cluster's server for kubectl; it is started when it is first needed."""
    if cluster not in _servers:
        _servers[cluster] = cluster.serve()
    return _servers[cluster].url


def _home() -> Path:
    """A home of its own: kubectl keeps there what it has learned of a server."""
    path = Path(tempfile.gettempdir(), f"kubesim-kubectl-{os.getpid()}")
    path.mkdir(mode=0o700, exist_ok=True)
    return path


def load(find: Any = None) -> bool:
    """Teach the notebook the magic; False outside a notebook.

    Args:
        find: called with a variable's name, or "": the cluster that a cell is for. None: the
            lesson's.
    """
    from IPython.core.getipython import get_ipython

    shell = get_ipython()
    if shell is None:
        return False

    def kubectl(line: str, cell: str | None = None) -> None:
        """Run kubectl against the lesson's cluster."""
        if cell is None:
            run_cell(line, _cluster(shell, "", find))
        else:
            run_cell(cell, _cluster(shell, line.strip(), find))

    shell.register_magic_function(kubectl, "line_cell", "kubectl")
    return True


def _cluster(shell: Any, name: str, find: Any) -> Cluster:
    found = shell.user_ns.get(name) if name else (find() if find is not None else None)
    if not isinstance(found, Cluster):
        what = f"there is no cluster called {name!r}" if name else "there is no cluster yet"
        raise LookupError(f"{what}: make one first, with cluster = fresh_cluster()")
    return found
