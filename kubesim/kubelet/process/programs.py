"""The programs of one pod: what its containers' commands, probes, hooks and `kubectl exec` run.

Source: pkg/kubelet/kubelet_pods.go (GenerateRunContainerOptions), pkg/kubelet/container/helpers.go
(ExpandContainerCommandAndArgs), pkg/kubelet/lifecycle/handlers.go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from kubesim.clock.base import Clock
from kubesim.clock.streams import keyed_fraction
from kubesim.kubelet.process.environment import Sources, environment_of, expand, hostname_of
from kubesim.kubelet.process.volumes import TERMINATION_PATH, PodVolumes, file_system
from kubesim.kubelet.shell.process import start
from kubesim.kubelet.shell.state import Machine
from kubesim.kubelet.shell.steps import ForeignProgram, Output, Run, Sleep
from kubesim.objects import meta
from kubesim.objects.frozen import Document

MAX_OUTPUT = 65_536  # characters of a command that a probe or a hook runs

Resolve = Callable[[str], Iterable[str]]


class CommandResult(NamedTuple):
    """What a command printed, its exit code, and how long it took.

    Attributes:
        stdout, stderr: its output.
        code: its exit code.
        seconds: simulated seconds that it slept.
    """

    stdout: str
    stderr: str = ""
    code: int = 0
    seconds: float = 0.0


class PodPrograms:
    """Starts programs in the containers of one pod.

    Args:
        sources: returns where the values of variables come from, at this moment.
        clock: for `date`.
        resolve: DNS.
        volumes: of the pod.
    """

    def __init__(
        self,
        sources: Callable[[], Sources],
        clock: Clock,
        volumes: PodVolumes,
        resolve: Resolve = lambda _name: (),
    ) -> None:
        self._sources, self._clock, self._volumes, self._resolve = sources, clock, volumes, resolve
        self._machines: dict[str, Machine] = {}
        self._draws = 0

    def main(self, container: Document) -> Run | None:
        """Return the program of a container that starts now; None if it is not simulated.

        Args:
            container: an entry of the pod's spec.
        """
        command = [*(container.get("command") or ()), *(container.get("args") or ())]
        if not command:
            return None  # what its image runs is not known
        self._machines.pop(str(container.get("name")), None)  # a new container has new files
        return self.command(container, command, expands=True)

    def command(
        self,
        container: Document,
        command: Sequence[object],
        stdin: str = "",
        *,
        expands: bool = False,
    ) -> Run | None:
        """Return a program that runs in a container; None if it is not simulated.

        Args:
            container: an entry of the pod's spec.
            command: the program and its arguments.
            stdin: what it reads.
            expands: whether ``$(NAME)`` in the command is replaced.
        """
        sources = self._sources()
        variables = environment_of(container, sources)
        words = [expand(str(w), variables) if expands else str(w) for w in command]
        directory = str(container.get("workingDir") or "/")
        return start(words, self._machine(container, sources), variables, directory, stdin)

    def run(self, container: Document, command: Sequence[object]) -> CommandResult | None:
        """Run a command to its end at once, as probes do; None if it is not simulated.

        Args:
            container: an entry of the pod's spec.
            command: the program and its arguments.
        """
        run = self.command(container, command)
        return None if run is None else run_to_end(run)

    def termination_message(self, container: Document) -> str:
        """Return what a container has written to its terminationMessagePath."""
        machine = self._machines.get(str(container.get("name")))
        path = str(container.get("terminationMessagePath") or TERMINATION_PATH)
        if machine is None or not machine.files.is_file(path):
            return ""
        return machine.files.read(path)

    def _machine(self, container: Document, sources: Sources) -> Machine:
        name = str(container.get("name"))
        if name not in self._machines:
            self._machines[name] = Machine(
                hostname=hostname_of(sources.pod),
                files=file_system(container, sources, self._volumes),
                now=lambda: self._clock.epoch.timestamp() + self._clock.now(),
                random=self._random,
                resolve=self._resolve,
            )
        return self._machines[name]

    def _random(self) -> int:
        self._draws += 1
        key = f"shell/{meta.uid_of(self._sources().pod)}/{self._draws}"
        return int(keyed_fraction(key) * 32_768)


def run_to_end(run: Run, most_seconds: float = 3_600.0) -> CommandResult:
    """Run a program to its end without waiting for its pauses.

    Args:
        run: the program.
        most_seconds: it is ended after so many simulated seconds.
    """
    texts: dict[int, list[str]] = {1: [], 2: []}
    size, seconds = 0, 0.0
    while True:
        try:
            step = next(run)
        except StopIteration as end:
            return CommandResult("".join(texts[1]), "".join(texts[2]), int(end.value), seconds)
        if isinstance(step, Output):
            size += len(step.text)
            texts[step.stream].append(step.text)
        elif isinstance(step, Sleep):
            seconds += step.seconds
        elif isinstance(step, ForeignProgram):
            texts[2].append(f"sh: {step.words[0]}: not found\n")
            run.close()
            return CommandResult("".join(texts[1]), "".join(texts[2]), 127, seconds)
        if size > MAX_OUTPUT or seconds > most_seconds:
            run.close()
            return CommandResult("".join(texts[1]), "".join(texts[2]), 137, seconds)
