"""What a running shell remembers: variables, functions, files, directory and options."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from kubesim.kubelet.shell.files import FileSystem
from kubesim.kubelet.shell.steps import (
    NESTING,
    CommandBudget,
    Input,
    Jobs,
    Run,
    ShellError,
    Signals,
)
from kubesim.kubelet.shell.syntax import Command

MAX_VARIABLES = 1_000


@dataclass(frozen=True, slots=True)
class ContainerHost:
    """What a program sees of the container in which it runs.

    Attributes:
        hostname: the pod's.
        files: the container's file system.
        now: returns simulated seconds since 1970.
        random: returns an integer from 0 to 32767.
        resolve: returns the IP addresses of a DNS name; empty if there is no such name.
        signals: of its first process.
    """

    hostname: str
    files: FileSystem
    now: Callable[[], float]
    random: Callable[[], int] = lambda: 0
    resolve: Callable[[str], Iterable[str]] = lambda _name: ()
    signals: Signals = field(default_factory=Signals)


OPTION_LETTERS = {"errexit": "e", "nounset": "u", "xtrace": "x", "pipefail": "|"}


@dataclass(slots=True)
class ShellOptions:
    """The options that `set` changes: -e, -u, -x, -o pipefail."""

    errexit: bool = False
    nounset: bool = False
    xtrace: bool = False
    pipefail: bool = False


@dataclass(slots=True)
class ShellState:
    """The state of one shell; a subshell has a copy.

    Attributes:
        host: the container.
        variables: by name.
        exported: names of the variables that programs see.
        name: of the shell, for its messages.
        script: ``$0``, if it is not the shell's name.
        positional: ``$1``, ``$2``, ...
        functions: by name.
        directory: the working directory.
        status: exit code of the last command: ``$?``.
        depth: commands that are inside one another.
        budget: shared with its subshells.
        foreign: whether a program that is not simulated runs all the same; otherwise it is "not
            found", as in `kubectl exec`.
        signals: its traps.
        jobs: commands in the background.
        last_job: ``$!``: the process id of the last command in the background.
        scopes: per function that runs, the variables that its `local` hides; None: not set.
    """

    host: ContainerHost
    variables: dict[str, str]
    exported: set[str]
    name: str = "sh"
    positional: list[str] = field(default_factory=list)
    functions: dict[str, Command] = field(default_factory=dict)
    directory: str = "/"
    status: int = 0
    depth: int = 0
    foreign: bool = True
    budget: CommandBudget = field(default_factory=CommandBudget)
    options: ShellOptions = field(default_factory=ShellOptions)
    script: str = ""
    signals: Signals = field(default_factory=Signals)
    jobs: Jobs = field(default_factory=Jobs)
    last_job: str = ""
    scopes: list[dict[str, str | None]] = field(default_factory=list)

    @classmethod
    def of(
        cls,
        host: ContainerHost,
        environment: Mapping[str, str],
        directory: str,
        *,
        name: str = "sh",
        foreign: bool = True,
    ) -> ShellState:
        """Return the state of a new shell.

        Args:
            host: the container.
            environment: all exported.
            directory: the working directory.
            name: of the shell.
            foreign: see the attribute.
        """
        variables, exported = dict(environment), set(environment)
        state = cls(host, variables, exported, name=name, directory=directory, foreign=foreign)
        return replace(state, signals=host.signals) if foreign else state

    @property
    def files(self) -> FileSystem:
        """The container's files."""
        return self.host.files

    @property
    def is_bash(self) -> bool:
        """Whether the shell is bash, which expands braces."""
        return self.name == "bash"

    @property
    def environment(self) -> dict[str, str]:
        """The exported variables."""
        return {k: v for k, v in self.variables.items() if k in self.exported}

    def copy(self) -> ShellState:
        """Return the state of a subshell: traps are reset."""
        return replace(
            self,
            signals=Signals(),
            jobs=Jobs(),
            scopes=list(map(dict, self.scopes)),
            variables=dict(self.variables),
            exported=set(self.exported),
            positional=list(self.positional),
            functions=dict(self.functions),
            options=replace(self.options),
        )

    def nested(self) -> ShellState:
        """Return the state of a subshell, one level deeper.

        Raises:
            ShellError: it is too deep.
        """
        if self.depth >= NESTING:
            raise ShellError("maximum nested commands reached")
        return replace(self.copy(), depth=self.depth + 1)

    def new_shell(self, name: str) -> ShellState:
        """Return the state of another shell that this one starts; it has what is exported.

        Args:
            name: of the shell.

        Raises:
            ShellError: it is too deep.
        """
        return replace(
            self.nested(),
            name=name,
            script="",
            scopes=[],
            variables=self.environment,
            exported=set(self.environment),
            functions={},
            options=ShellOptions(),
        )

    @contextmanager
    def one_deeper(self) -> Iterator[None]:
        """Count a command that is inside others.

        Raises:
            ShellError: it is too deep.
        """
        if self.depth >= NESTING:
            raise ShellError("maximum nested commands reached")
        self.depth += 1
        try:
            yield
        finally:
            self.depth -= 1

    @contextmanager
    def with_variables(self, assigned: Mapping[str, str]) -> Iterator[None]:
        """Set and export variables for one command."""
        before = {name: self.variables.get(name) for name in assigned}
        exported = set(assigned) - self.exported
        self.variables.update(assigned)
        self.exported |= exported
        try:
            yield
        finally:
            self.exported -= exported
            for name, value in before.items():
                if value is None:
                    self.variables.pop(name, None)
                else:
                    self.variables[name] = value

    def finish(self, code: int) -> None:
        """Note the exit code of a command."""
        self.status = code

    def set_arguments(self, words: list[str]) -> list[str]:
        """Set the positional parameters; return the former ones."""
        before, self.positional = self.positional, words
        return before

    def set_script(self, name: str) -> None:
        """Set ``$0``."""
        self.script = name

    def put_in_background(self, run: Run) -> None:
        """Add a job; its process id is ``$!``."""
        self.last_job = str(self.jobs.add(run))

    @property
    def separator(self) -> str:
        """What ``"$*"`` puts between the parameters: the first character of IFS."""
        return self.variables.get("IFS", " ")[:1]

    @contextmanager
    def function_scope(self) -> Iterator[None]:
        """Run a function: what it declares `local` is as before at its end."""
        self.scopes.append({})
        try:
            yield
        finally:
            for name, value in self.scopes.pop().items():
                if value is None:
                    self.variables.pop(name, None)
                else:
                    self.variables[name] = value

    def declare_local(self, name: str) -> None:
        """Let a variable be as it is now at the end of the function that runs."""
        if self.scopes:
            self.scopes[-1].setdefault(name, self.variables.get(name))

    def set_options(self, letters: str, *, value: bool = True) -> None:
        """Switch the options of these letters on or off; others are ignored.

        Args:
            letters: of `set`: e, u, x; and "|" for pipefail, which has no letter.
            value: on or off.
        """
        options = self.options
        options.errexit = value if "e" in letters else options.errexit
        options.nounset = value if "u" in letters else options.nounset
        options.xtrace = value if "x" in letters else options.xtrace
        options.pipefail = value if "|" in letters else options.pipefail

    def change_directory(self, path: str) -> None:
        """Set the working directory, as an absolute path."""
        self.directory = path

    def get(self, name: str) -> str | None:
        """Return the value of a parameter; None if it is not set."""
        if name.isdigit():
            index = int(name)
            if index == 0:
                return self.script or self.name
            return self.positional[index - 1] if index <= len(self.positional) else None
        special = {
            "?": str(self.status),
            "#": str(len(self.positional)),
            "@": " ".join(self.positional),
            "*": self.separator.join(self.positional),
            "$": "1",  # a container's first process
            "!": self.last_job,
            "-": "",
        }
        if name in special:
            return special[name]
        if name == "RANDOM" and name not in self.variables:
            return str(self.host.random())
        if name == "PWD":
            return self.directory
        return self.variables.get(name, " \t\n" if name == "IFS" else None)

    def set(self, name: str, value: str) -> None:
        """Set a variable.

        Raises:
            ShellError: there are too many.
        """
        if name not in self.variables and len(self.variables) >= MAX_VARIABLES:
            raise ShellError("too many variables")
        self.variables[name] = value

    def path(self, path: str) -> str:
        """Return the absolute form of a path."""
        absolute = posixpath.normpath(posixpath.join(self.directory, path or "."))
        return "/" + absolute.lstrip("/")


def shell_flags(words: list[str]) -> tuple[str, list[str]]:
    """Split the arguments of a shell into the letters of its options and the rest.

    >>> shell_flags(["-eo", "pipefail", "-c", "date"])
    ('eo|c', ['date'])
    """
    flags, rest = "", list(words)
    while rest and rest[0][:1] in ("-", "+") and len(rest[0]) > 1:
        word = rest.pop(0)
        if word == "--":
            break
        if word[1:2] != "-":
            flags += word[1:]
            if word.endswith("o") and rest:  # sh -o pipefail -c ...
                flags += OPTION_LETTERS.get(rest.pop(0), "")
    return flags, rest


class Call(NamedTuple):
    """One call of a program.

    Attributes:
        run: run(state, words, stdin) runs another program.
        state: of the shell that calls it; a program does not change it.
        name: as it was called.
        words: the arguments.
        stdin: what it reads.
    """

    run: Callable[[ShellState, list[str], Input], Run]
    state: ShellState
    name: str
    words: list[str]
    stdin: Input


Program = Callable[[Call], Run]
